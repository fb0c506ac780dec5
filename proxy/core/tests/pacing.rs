//! Delivery over days, in virtual time: the embedded store's own tables, and a platform that counts what it is asked.

mod support;

use async_trait::async_trait;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, atomic::Ordering::Relaxed},
    time::Duration,
};
use support::faults::{Faults, Faulty};
use tokio::time::{Instant, sleep};
use usher_core::{Core, Tools};
use usher_model::{
    Acceptance, Clock, Entry, Job, Listing, Money, PaymentRef, Random, Record, RecordId, Refund,
    RefundAmount, Send, SiteName, Source, State, UnixMs, limits,
};
use usher_store::{Rehearsal, Store};
use usher_upstream::{CallError, Platform, RateWindow, Reply, TrackAnswer, TrackCall};

const SECOND_MS: u64 = 1_000;
const HOUR_MS: u64 = 60 * 60 * SECOND_MS;
const LATENCY_MS: u64 = 80;

/// What the platform does with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Taken,
    Down,
    Status(u16),
    /// No answer for so long.
    Silent,
    /// The client itself fails.
    Panic,
}

type Script = Box<dyn Fn(u64, &str) -> Fate + std::marker::Send + Sync>;

/// A call as the platform saw it.
#[derive(Clone, Debug)]
struct Seen {
    job: Job,
    conversion: Option<String>,
    key: String,
    body: Value,
    fate: Fate,
}

/// A platform that counts in fixed windows, as the contract says.
struct Counting {
    began: Instant,
    per_minute: u64,
    per_second: u64,
    /// Whether it tells what is left of its window.
    tells: bool,
    script: Script,
    seen: Mutex<Vec<Seen>>,
    /// Calls that were let through, by minute and by second.
    windows: Mutex<(BTreeMap<u64, u64>, BTreeMap<u64, u64>)>,
}

impl Counting {
    fn seen(&self) -> MutexGuard<'_, Vec<Seen>> {
        self.seen.lock().expect("whole")
    }

    fn taken(&self) -> Vec<String> {
        self.seen().iter().filter(|seen| seen.fate == Fate::Taken).map(|seen| seen.key.clone()).collect()
    }

    fn refused_as_too_many(&self) -> usize {
        self.seen().iter().filter(|seen| seen.fate == Fate::Status(429)).count()
    }

    fn most_attempts(&self) -> usize {
        let mut attempts = BTreeMap::<String, usize>::new();
        for seen in self.seen().iter() {
            *attempts.entry(seen.key.clone()).or_default() += 1;
        }
        attempts.into_values().max().unwrap_or(0)
    }

    /// Counts a call, and says what is left; nothing when it is one too many.
    fn count(&self, at_ms: u64) -> Option<RateWindow> {
        let mut windows = self.windows.lock().expect("whole");
        let (minute, second) = (at_ms / 60_000, at_ms / 1_000);
        let in_second = windows.1.entry(second).or_default();
        *in_second += 1;
        let is_burst = *in_second > self.per_second;
        let in_minute = windows.0.entry(minute).or_default();
        *in_minute += 1;
        let left = self.per_minute.checked_sub(*in_minute).filter(|_| !is_burst)?;
        let reset = i64::try_from((minute + 1) * 60).expect("a second");
        let resets_in_ms = reset * 1_000 - i64::try_from(at_ms / 1_000 * 1_000).expect("a while");
        Some(RateWindow { limit: Some(self.per_minute), remaining: left, reset, resets_in_ms })
    }
}

#[async_trait]
impl Platform for Counting {
    async fn track(&self, _: TrackCall, _: Duration) -> Result<TrackAnswer, CallError> {
        Err(CallError::Unreachable("no clicks here".to_owned()))
    }

    async fn deliver(
        &self,
        job: Job,
        conversion: Option<&str>,
        body: &str,
        deadline: Duration,
    ) -> Result<Reply, CallError> {
        sleep(Duration::from_millis(LATENCY_MS / 2)).await;
        let at_ms = u64::try_from(self.began.elapsed().as_millis()).expect("a while");
        let body: Value = serde_json::from_str(body).expect("JSON");
        let key = body["external_event_id"].as_str().expect("a key").to_owned();
        let mut fate = (self.script)(at_ms, &key);
        let mut window = None;
        if fate != Fate::Down {
            window = self.count(at_ms);
            fate = if window.is_some() { fate } else { Fate::Status(429) };
            window = window.filter(|_| self.tells);
        }
        let conversion = conversion.map(str::to_owned);
        self.seen().push(Seen { job, conversion, key: key.clone(), body, fate });
        sleep(Duration::from_millis(LATENCY_MS / 2)).await;
        let error = |status: u16| {
            let error = json!({"code": status.to_string(), "message": "no"});
            json!({"success": false, "error": error}).to_string()
        };
        match fate {
            Fate::Down => Err(CallError::Unreachable("connection refused".to_owned())),
            Fate::Silent => {
                sleep(deadline).await;
                Err(CallError::TimedOut(limits::UPSTREAM_CALL_MS))
            }
            Fate::Panic => panic!("as the script says"),
            Fate::Status(429) => {
                let minute = self.windows.lock().expect("whole").0[&(at_ms / 60_000)];
                let window_ms = if minute > self.per_minute { 60_000 } else { 1_000 };
                let left_ms = i64::try_from(window_ms - at_ms % window_ms).expect("a while");
                let retry_after_ms = Some((left_ms + 999) / 1_000 * 1_000);
                Ok(Reply { status: 429, body: error(429), retry_after_ms, ..Reply::default() })
            }
            Fate::Status(status) => Ok(Reply { status, body: error(status), window, ..Reply::default() }),
            Fate::Taken => {
                let id = format!("com_{key}");
                let body = json!({"success": true, "data": {"id": id}}).to_string();
                Ok(Reply { status: 201, body, id: Some(id), window, ..Reply::default() })
            }
        }
    }
}

/// Virtual time as a clock.
struct Virtual(Instant);

impl Clock for Virtual {
    fn now(&self) -> UnixMs {
        let passed = i64::try_from(self.0.elapsed().as_millis()).expect("a while");
        UnixMs(1_790_000_000_000 + passed)
    }
}

/// Chance that is the same each time (<https://prng.di.unimi.it/splitmix64.c>).
struct Dice(Mutex<u64>);

impl Random for Dice {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let mut state = self.0.lock().expect("whole");
            *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^= mixed >> 31;
            chunk.copy_from_slice(&mixed.to_le_bytes()[..chunk.len()]);
        }
    }
}

struct World {
    core: Core,
    tools: Tools,
    platform: Arc<Counting>,
    faults: Arc<Faults>,
}

impl World {
    /// A platform that allows 300 calls a minute and 10 a second, as its smallest plan does.
    async fn new(script: impl Fn(u64, &str) -> Fate + std::marker::Send + Sync + 'static) -> Self {
        Self::with(true, script).await
    }

    async fn with(
        tells: bool,
        script: impl Fn(u64, &str) -> Fate + std::marker::Send + Sync + 'static,
    ) -> Self {
        let began = Instant::now();
        let platform = Arc::new(Counting {
            began,
            per_minute: 300,
            per_second: 10,
            tells,
            script: Box::new(script),
            seen: Mutex::default(),
            windows: Mutex::default(),
        });
        let faults = Arc::new(Faults::default());
        let store = Rehearsal::new().expect("a store") as Arc<dyn Store>;
        let tools = Tools {
            clock: Arc::new(Virtual(began)),
            random: Arc::new(Dice(Mutex::new(7))),
            store: Arc::new(Faulty { store, faults: Arc::clone(&faults) }),
            platform: Arc::clone(&platform) as Arc<dyn Platform>,
            click_budget: Duration::ZERO,
            truncate_addresses: true,
            retention_days: 395,
            visitor_key: [7; 32],
        };
        let core = Core::start(&tools, &[site("a"), site("b")]).await;
        Self { core, tools, platform, faults }
    }

    fn now(&self) -> UnixMs {
        self.tools.clock.now()
    }

    fn passed_ms(&self) -> u64 {
        u64::try_from(self.platform.began.elapsed().as_millis()).expect("a while")
    }

    /// Writes an entry, due now.
    async fn write(&self, entry: Entry) {
        let accepted = self.tools.store.accept(entry).await.expect("accepted");
        assert_eq!(accepted, Acceptance::Waiting);
    }

    /// Writes a sale of that site, due now.
    async fn sell(&self, of: &str, key: &str) {
        self.write(sale(of, key, self.now())).await;
    }

    async fn until_ms(&self, ms: u64) {
        tokio::time::sleep_until(self.platform.began + Duration::from_millis(ms)).await;
    }

    async fn waiting(&self) -> u64 {
        self.core.delivery.status().await.expect("a status").waiting
    }

    /// Waits until nothing waits any more, so long at most; how long it took.
    async fn drain(&self, at_most_ms: u64) -> u64 {
        let began = Instant::now();
        while self.waiting().await > 0 {
            assert!(began.elapsed() < Duration::from_millis(at_most_ms), "{} wait", self.waiting().await);
            sleep(Duration::from_millis(100)).await;
        }
        u64::try_from(began.elapsed().as_millis()).expect("a while")
    }

    async fn record(&self, of: &str, key: &str) -> Record {
        self.tools.store.find(&site(of), key).await.expect("found").remove(0)
    }
}

fn site(name: &str) -> SiteName {
    SiteName::new(name).expect("a name")
}

fn sale(of: &str, key: &str, now: UnixMs) -> Entry {
    Entry {
        id: RecordId::new(format!("conv_{key}")).expect("an id"),
        site: site(of),
        source: Source::api(),
        job: Job::Conversion,
        key: key.to_owned(),
        fingerprint: [0; 32],
        body: json!({"external_event_id": key, "referral_id": "cmd1", "sale_amount": 100}).to_string(),
        click: None,
        needs: None,
        mint: None,
        code: None,
        bind: None,
        names: Vec::new(),
        paid: Some(Money::parse("100", "EUR".parse().expect("a currency")).expect("money")),
        refund: None,
        send: Send::From(now),
        trace: "{}".to_owned(),
        now,
    }
}

fn refund(of: &str, payment: &str, key: &str, amount: RefundAmount, now: UnixMs) -> Entry {
    let of_payment = PaymentRef::Named(vec![payment.to_owned()]);
    Entry {
        job: Job::Refund,
        body: json!({"external_event_id": key}).to_string(),
        paid: None,
        refund: Some(Refund { of: of_payment, amount, currency: None }),
        ..sale(of, key, now)
    }
}

fn euros(cents: i64) -> Decimal {
    Decimal::new(cents, 2)
}

#[tokio::test(start_paused = true)]
async fn after_a_day_without_the_platform_everything_arrives_once_and_within_its_limits() {
    const SALES: u64 = 3_000;
    let outage = 2 * HOUR_MS..26 * HOUR_MS;
    let away = outage.clone();
    let world =
        World::new(move |at_ms, _| if away.contains(&at_ms) { Fate::Down } else { Fate::Taken }).await;
    for n in 0..SALES {
        world.until_ms(outage.start + n * 24 * HOUR_MS / SALES).await;
        let body = json!({"external_event_id": format!("pay_{n}"), "sale_amount": 100, "referral_id": "cmd1", "sale_amount_currency": "EUR"});
        let answer = world.core.conversions.convert(&shop(), body.to_string().as_bytes()).await;
        assert_eq!(answer.expect("accepted").status, 202);
    }
    world.until_ms(outage.end).await;
    assert_eq!(world.waiting().await, SALES);
    // 300 calls a minute, and up to a minute until the platform is found to be back.
    let drained_ms = world.drain(SALES / 300 * 66 * SECOND_MS + 61 * SECOND_MS).await;
    println!("drained within {} s, {} attempts at most", drained_ms / 1_000, world.platform.most_attempts());
    assert_eq!(world.platform.refused_as_too_many(), 0);
    assert!(world.platform.most_attempts() <= 12, "{}", world.platform.most_attempts());
    let mut taken = world.platform.taken();
    taken.sort_unstable();
    taken.dedup();
    let count = |n: usize| u64::try_from(n).expect("a count");
    assert_eq!((count(taken.len()), count(world.platform.taken().len())), (SALES, SALES));
    // Waiting for the platform to come back costs no writes.
    let settled = count(world.faults.settled.load(Relaxed));
    let asked = count(world.platform.seen().len());
    assert!(settled <= asked + asked / 20, "{settled} settlements of {asked} calls");
}

/// Some settings of the site `a`.
fn shop() -> Arc<usher_model::Site> {
    Arc::new(usher_model::Site::new(site("a"), vec!["shop.example".to_owned()], "prog".to_owned()))
}

#[tokio::test(start_paused = true)]
async fn a_site_that_is_refused_does_not_hold_up_another() {
    const SALES: u64 = 2_000;
    let mended = HOUR_MS;
    let world = World::new(move |at_ms, key| match key.starts_with('a') && at_ms < mended {
        true => Fate::Status(403),
        false => Fate::Taken,
    })
    .await;
    for n in 0..SALES {
        world.sell("a", &format!("a_{n}")).await;
    }
    for n in 0..20 {
        world.sell("b", &format!("b_{n}")).await;
        sleep(Duration::from_millis(30 * SECOND_MS)).await;
        assert!(world.platform.taken().contains(&format!("b_{n}")), "within half a minute");
    }
    assert_eq!(world.core.delivery.status().await.expect("a status").paused.len(), 1);
    let settled = world.faults.settled.load(Relaxed);
    world.until_ms(mended).await;
    let hourly = world.faults.settled.load(Relaxed) - settled;
    assert!(hourly <= 5 * 2_100, "{hourly} writes in fifty minutes");
    world.drain(SALES / 300 * 70 * SECOND_MS + 120 * SECOND_MS).await;
    assert_eq!(world.platform.taken().len(), 2_020);
    assert_eq!(world.platform.refused_as_too_many(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_site_whose_calls_are_not_answered_does_not_hold_up_another() {
    let world = World::new(|_, key| if key.starts_with('a') { Fate::Silent } else { Fate::Taken }).await;
    world.sell("b", "b_first").await;
    world.drain(5 * SECOND_MS).await;
    for n in 0..500 {
        world.sell("a", &format!("a_{n}")).await;
    }
    for n in 0..60 {
        let began = Instant::now();
        world.sell("b", &format!("b_{n}")).await;
        while !world.platform.taken().contains(&format!("b_{n}")) {
            sleep(Duration::from_millis(50)).await;
            assert!(began.elapsed() < Duration::from_secs(30), "b_{n}");
        }
        sleep(Duration::from_millis(20 * SECOND_MS)).await;
    }
    assert!(world.platform.most_attempts() <= 12);
}

#[tokio::test(start_paused = true)]
async fn one_that_always_fails_holds_up_nobody() {
    let world = World::new(|_, key| if key == "poison" { Fate::Status(500) } else { Fate::Taken }).await;
    world.sell("a", "poison").await;
    for n in 0..2_000 {
        let began = Instant::now();
        world.sell("a", &format!("pay_{n}")).await;
        while world.waiting().await > 1 {
            sleep(Duration::from_millis(20)).await;
        }
        assert!(began.elapsed() < Duration::from_secs(2), "pay_{n} took {:?}", began.elapsed());
        sleep(Duration::from_millis(30 * SECOND_MS)).await;
    }
    let attempts = world.platform.seen().iter().filter(|seen| seen.key == "poison").count();
    assert!((5..=25).contains(&attempts), "{attempts} in {} hours", world.passed_ms() / HOUR_MS);
    let record = world.record("a", "poison").await;
    assert_eq!((record.state, record.log.len(), &*record.log[0].said), (State::Due, 1, "500 500 no"));
    assert_eq!(usize::try_from(record.log[0].times).expect("a few"), attempts);
}

#[tokio::test(start_paused = true)]
async fn work_that_is_forbidden_among_work_that_is_not_is_tried_less_and_less() {
    let world = World::new(|_, key| if key == "poison" { Fate::Status(403) } else { Fate::Taken }).await;
    world.sell("a", "poison").await;
    sleep(Duration::from_millis(SECOND_MS)).await;
    for n in 0..300 {
        world.sell("a", &format!("pay_{n}")).await;
        sleep(Duration::from_millis(60 * SECOND_MS)).await;
    }
    sleep(Duration::from_millis(60 * SECOND_MS)).await;
    let record = world.record("a", "poison").await;
    assert_eq!((world.waiting().await, record.state, world.platform.taken().len()), (1, State::Due, 300));
    let asked = world.platform.seen().iter().filter(|seen| seen.key == "poison").count();
    assert!((5..=15).contains(&asked) && record.attempts >= 5, "{asked} {}", record.attempts);
    assert!(world.core.delivery.status().await.expect("a status").paused.is_empty());
}

#[tokio::test(start_paused = true)]
async fn refunds_of_a_payment_go_out_one_by_one_and_never_exceed_it() {
    let world = World::new(|at_ms, _| if at_ms < 10_000 { Fate::Down } else { Fate::Taken }).await;
    let now = world.now();
    world.sell("a", "pay").await;
    let amounts = [
        ("r1", RefundAmount::Part(euros(2_550)), Some(2_550)),
        ("r2", RefundAmount::Total(euros(4_000)), Some(1_450)),
        ("r3", RefundAmount::Part(euros(9_000)), Some(6_000)),
        ("r4", RefundAmount::Rest, None),
    ];
    for (key, amount, _) in amounts {
        world.write(refund("a", "pay", key, amount, now)).await;
        sleep(Duration::from_millis(1)).await;
    }
    world.drain(120 * SECOND_MS).await;
    for (key, _, cents) in amounts {
        let record = world.record("a", key).await;
        assert_eq!(record.refund.expect("a refund").1, cents.map(euros), "{key}");
        let expected = if cents.is_some() { State::Delivered } else { State::Closed };
        assert_eq!(record.state, expected, "{key}");
    }
    let seen = world.platform.seen();
    let refunds: Vec<_> =
        seen.iter().filter(|seen| seen.job == Job::Refund && seen.fate == Fate::Taken).collect();
    let amounts: Vec<_> = refunds.iter().map(|seen| seen.body["amount"].to_string()).collect();
    assert_eq!(amounts, ["25.5", "14.5", "60.0"], "as serde_json reads 25.50, 14.50 and 60.00");
    assert!(refunds.iter().all(|seen| seen.conversion.as_deref() == Some("com_pay")));
}

#[tokio::test(start_paused = true)]
async fn a_sale_that_nobody_brought_is_closed_and_no_dead_letter() {
    let world = World::new(|_, _| Fate::Status(404)).await;
    let body = json!({"external_event_id": "pay", "customer_id": "c", "sale_amount": 100}).to_string();
    world.write(Entry { body, ..sale("a", "pay", world.now()) }).await;
    world.drain(5 * SECOND_MS).await;
    let record = world.record("a", "pay").await;
    assert_eq!((record.state, record.error.as_deref()), (State::Closed, Some("404 404 no")));
    assert_eq!(record.answer.map(|answer| answer.status), Some(404));
    assert_eq!(record.log.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn when_the_process_stops_what_is_in_hand_is_written_down_in_time() {
    let world = World::new(|_, _| Fate::Silent).await;
    for n in 0..30 {
        world.sell("a", &format!("pay_{n}")).await;
    }
    sleep(Duration::from_millis(2 * SECOND_MS)).await;
    let asked = world.platform.seen().len();
    assert!(asked > 0);
    let began = Instant::now();
    let World { core, tools, platform, .. } = world;
    core.finish(Duration::from_millis(limits::DRAIN_MS)).await;
    assert!(began.elapsed() < Duration::from_millis(limits::DRAIN_MS), "{:?}", began.elapsed());
    let states = vec![State::Due];
    let listing = Listing { site: None, states, after: None, limit: 100 };
    let due = tools.store.list(&listing).await.expect("listed");
    assert_eq!(due.len(), 30);
    assert_eq!(due.iter().filter(|record| record.attempts == 1).count(), asked);
    assert_eq!(platform.seen().len(), asked);
    // Nobody holds any of it.
    let free =
        tools.store.claim(tools.clock.now().plus(limits::RETRY_LONGEST_MS), 1, 100).await.expect("claimed");
    assert_eq!(free.len(), 30);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_panics_takes_no_room_with_it() {
    let world = World::new(|at_ms, _| if at_ms < 1_000 { Fate::Panic } else { Fate::Taken }).await;
    for n in 0..limits::RATE_FIRST_CALLS {
        world.sell("a", &format!("pay_{n}")).await;
    }
    // They are tried again when their lease has run out.
    world.drain(limits::LEASE_MS.unsigned_abs() + 10 * SECOND_MS).await;
    assert_eq!(world.platform.taken().len(), limits::RATE_FIRST_CALLS);
}

#[tokio::test(start_paused = true)]
async fn a_platform_that_tells_nothing_but_refuses_is_not_stormed() {
    const SALES: usize = 3_000;
    let world = World::with(false, |_, _| Fate::Taken).await;
    for n in 0..SALES {
        world.sell("a", &format!("pay_{n}")).await;
    }
    let drained_ms = world.drain(30 * 60 * SECOND_MS).await;
    let refused = world.platform.refused_as_too_many();
    println!("drained within {} s, {refused} refused", drained_ms / 1_000);
    assert_eq!(world.platform.taken().len(), SALES);
    assert!(refused <= SALES / 10, "{refused} of {SALES}");
}
