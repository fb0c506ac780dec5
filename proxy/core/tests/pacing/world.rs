//! A world in virtual time.

use super::{
    platform::{Counting, Fate},
    support::faults::{Faults, Faulty},
};
use rust_decimal::Decimal;
use serde_json::json;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::time::{Instant, sleep};
use usher_core::{Core, Policy, Tools};
use usher_model::{
    Acceptance, Clock, Entry, Job, Money, PaymentRef, Random, Record, RecordId, Refund, RefundAmount, Send,
    Site, SiteName, Source, UnixMs,
};
use usher_store::{Rehearsal, Store};
use usher_upstream::Platform;

/// Virtual time as a clock.
pub(crate) struct Virtual(Instant);

impl Clock for Virtual {
    fn now(&self) -> UnixMs {
        let passed = i64::try_from(self.0.elapsed().as_millis()).expect("a while");
        UnixMs(1_790_000_000_000 + passed)
    }
}

/// Chance that is the same each time (<https://prng.di.unimi.it/splitmix64.c>).
pub(crate) struct Dice(Mutex<u64>);

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

pub(crate) struct World {
    pub(crate) core: Core,
    pub(crate) tools: Tools,
    pub(crate) platform: Arc<Counting>,
    pub(crate) faults: Arc<Faults>,
}

impl World {
    /// A platform that allows 300 calls a minute and 10 a second, as its smallest plan does.
    pub(crate) async fn new(script: impl Fn(u64, &str) -> Fate + std::marker::Send + Sync + 'static) -> Self {
        Self::with(true, script).await
    }

    pub(crate) async fn with(
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
            policy: Policy {
                click_budget: Duration::ZERO,
                truncate_addresses: true,
                retention_days: 395,
                visitor_key: [7; 32],
            }
            .into(),
        };
        let core = Core::start(&tools, &[site("a"), site("b")]).await;
        Self { core, tools, platform, faults }
    }

    pub(crate) fn now(&self) -> UnixMs {
        self.tools.clock.now()
    }

    pub(crate) fn passed_ms(&self) -> u64 {
        u64::try_from(self.platform.began.elapsed().as_millis()).expect("a while")
    }

    /// Writes an entry, due now.
    pub(crate) async fn write(&self, entry: Entry) {
        let accepted = self.tools.store.accept(entry).await.expect("accepted");
        assert_eq!(accepted, Acceptance::Waiting);
    }

    /// Writes a sale of that site, due now.
    pub(crate) async fn sell(&self, of: &str, key: &str) {
        self.write(sale(of, key, self.now())).await;
    }

    pub(crate) async fn until_ms(&self, ms: u64) {
        tokio::time::sleep_until(self.platform.began + Duration::from_millis(ms)).await;
    }

    pub(crate) async fn waiting(&self) -> u64 {
        self.core.delivery.status().await.expect("a status").waiting
    }

    /// Waits until nothing waits any more, so long at most; how long it took.
    pub(crate) async fn drain(&self, at_most_ms: u64) -> u64 {
        let began = Instant::now();
        while self.waiting().await > 0 {
            assert!(began.elapsed() < Duration::from_millis(at_most_ms), "{} wait", self.waiting().await);
            sleep(Duration::from_millis(100)).await;
        }
        u64::try_from(began.elapsed().as_millis()).expect("a while")
    }

    pub(crate) async fn record(&self, of: &str, key: &str) -> Record {
        self.tools.store.find(&site(of), key).await.expect("found").remove(0)
    }
}

pub(crate) fn site(name: &str) -> SiteName {
    SiteName::new(name).expect("a name")
}

pub(crate) fn sale(of: &str, key: &str, now: UnixMs) -> Entry {
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

pub(crate) fn refund(of: &str, payment: &str, key: &str, amount: RefundAmount, now: UnixMs) -> Entry {
    let of_payment = PaymentRef::Named(vec![payment.to_owned()]);
    Entry {
        job: Job::Refund,
        body: json!({"external_event_id": key}).to_string(),
        paid: None,
        refund: Some(Refund { of: of_payment, amount, currency: None }),
        ..sale(of, key, now)
    }
}

pub(crate) fn euros(cents: i64) -> Decimal {
    Decimal::new(cents, 2)
}

/// Some settings of the site `a`.
pub(crate) fn shop() -> Arc<Site> {
    Arc::new(Site::new(site("a"), vec!["shop.example".to_owned()], "prog".to_owned()))
}
