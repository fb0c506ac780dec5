//! A world: the process and everything around it, from the first step of a history to the silence after the last.

use super::{
    callers::{Caller, Request, ask},
    dice::Dice,
    faulty::{self, Faulty},
    life::Life,
    network,
    orders::caller,
    plan::{CODES, Plan, VISITORS, What},
    platform::Affonso,
    time::Time,
    trace::{Loudness, Trace, say},
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};
use usher_core::{Core, Policy, Tools};
use usher_model::{
    Attribution, ClickId, Clock, Code, CodeOrClick, Job, Listing, PromoCode, Random, Record, Site, SiteName,
    State, limits,
};
use usher_store::{Rehearsal, Store};
use usher_upstream::Platform;

/// What the history knows of itself.
#[derive(Default)]
pub(crate) struct Facts {
    pub(crate) callers: Vec<Caller>,
    /// What each visitor's browser keeps.
    pub(crate) cookies: Vec<Option<ClickId>>,
    /// Clicks with the affiliate whose link made them.
    pub(crate) clicks: BTreeMap<String, &'static str>,
    pub(crate) deaths: u32,
    /// Records that somebody gave up on.
    pub(crate) discarded: Vec<String>,
    /// Records that somebody sent again.
    pub(crate) retried: Vec<String>,
    /// What was skipped, in milliseconds.
    pub(crate) skipped: i64,
    /// Whether the clock was set.
    pub(crate) jumped: bool,
    /// How far it was set back altogether, in milliseconds.
    pub(crate) set_back: i64,
    /// What is wrong, as it was noticed.
    pub(crate) wrong: Vec<String>,
}

/// Everything.
pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) site: Arc<Site>,
    pub(crate) time: Arc<Time>,
    pub(crate) trace: Arc<Trace>,
    pub(crate) life: Arc<Life>,
    pub(crate) platform: Arc<Affonso>,
    pub(crate) store: Arc<Rehearsal>,
    pub(crate) faulty: Arc<Faulty>,
    pub(crate) dice: Arc<Dice>,
    facts: Mutex<Facts>,
}

/// A process that lives.
pub(crate) struct Alive {
    pub(crate) core: Core,
}

impl Alive {
    /// Starts the process.
    pub(crate) async fn start(world: &World) -> Self {
        Self { core: Core::start(&world.tools(), std::slice::from_ref(&world.site.name)).await }
    }
}

/// How far a history has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Step(usize),
    /// Nothing goes wrong any more: everything has to come to rest.
    Calm,
    /// Somebody sends again what is dead, and it comes to rest once more.
    People,
    /// After one more start nothing may be sent.
    After,
    End,
}

impl Facts {
    /// The request to put now; `None` when there is none.
    pub(crate) fn begin_asking(&mut self, index: usize) -> Option<Request> {
        let caller = self.callers.get_mut(index).filter(|caller| caller.is_open())?;
        caller.waits = true;
        Some(caller.request.clone())
    }

    /// What was asked first under that key.
    pub(crate) fn first_request(&self, job: Job, key: &str) -> Option<Request> {
        let same = |caller: &&Caller| caller.job == Some(job) && caller.key == key;
        self.callers.iter().find(same).map(|caller| caller.request.clone())
    }

    /// What the shop was told that a sale is called.
    pub(crate) fn id_of_sale(&self, key: &str) -> Option<String> {
        let same = |caller: &&Caller| caller.job == Some(Job::Conversion) && caller.key == key;
        let (_, answer) = self.callers.iter().filter(same).find_map(Caller::acknowledged)?;
        let body: Value = serde_json::from_str(&answer.body).ok()?;
        body["data"]["id"].as_str().map(str::to_owned)
    }
}

impl World {
    pub(crate) fn new(plan: Plan, loudness: Loudness) -> Arc<Self> {
        let seed = plan.seed;
        let time = Arc::new(Time::new());
        let trace = Arc::new(Trace::new(Arc::clone(&time), loudness));
        let life = Arc::new(Life::new());
        let platform = Affonso::new(
            Dice::new(seed, 2),
            plan.rate,
            Arc::clone(&time),
            Arc::clone(&life),
            Arc::clone(&trace),
        );
        let store = Rehearsal::new().expect("a store");
        let faulty = Faulty::new(
            Arc::clone(&store) as Arc<dyn Store>,
            Dice::new(seed, 3),
            Arc::clone(&life),
            Arc::clone(&trace),
        );
        let facts = Facts { cookies: vec![None; usize::from(VISITORS)], ..Facts::default() };
        Arc::new(Self {
            site: Arc::new(site(&plan)),
            plan,
            time,
            trace,
            life,
            platform: Arc::new(platform),
            store,
            faulty: Arc::new(faulty),
            dice: Arc::new(Dice::new(seed, 4)),
            facts: Mutex::new(facts),
        })
    }

    pub(crate) fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().expect("whole")
    }

    fn wrong(&self, what: String) {
        say!(self.trace, "WRONG: {what}");
        self.facts().wrong.push(what);
    }

    fn tools(&self) -> Tools {
        Tools {
            clock: Arc::clone(&self.time) as Arc<dyn Clock>,
            random: Arc::clone(&self.dice) as Arc<dyn Random>,
            store: Arc::clone(&self.faulty) as Arc<dyn Store>,
            platform: Arc::clone(&self.platform) as Arc<dyn Platform>,
            policy: Policy {
                click_budget: Duration::from_millis(150),
                truncate_addresses: true,
                retention_days: self.plan.retention_days,
                visitor_key: [7; 32],
            }
            .into(),
        }
    }
}

fn site(plan: &Plan) -> Site {
    let name = SiteName::new("shop").expect("a name");
    let mut site = Site::new(name, vec!["shop.example".to_owned()], "prog".to_owned());
    if plan.first_click {
        site.attribution = Attribution::FirstClick;
    }
    if plan.click_wins {
        site.code_or_click = CodeOrClick::Click;
    }
    site
}

/// Plays a history to its end, on this thread.
pub(crate) fn play(world: &Arc<World>) {
    let mut stage = Stage::Step(0);
    while stage != Stage::End {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        runtime.block_on(live(world, &mut stage));
        // Whatever of the process was under way ends here, wherever it was.
        drop(runtime);
        world.platform.mourn();
        world.store.restart();
        let now = world.time.true_now();
        world.facts().callers.iter_mut().for_each(|caller| caller.hang_up(now));
    }
}

/// One life of the process.
async fn live(world: &Arc<World>, stage: &mut Stage) {
    world.time.begin();
    world.life.begin();
    if let (0, Stage::Step(0), Some(death)) = (world.facts().deaths, &*stage, world.plan.death) {
        world.life.doom(death);
    }
    say!(world.trace, "the process starts ({stage:?})");
    tokio::select! {
        biased;
        () = over(world) => {
            say!(world.trace, "the process dies");
            world.facts().deaths += 1;
        }
        () = drive(world, stage) => {}
    }
    world.life.kill();
    world.time.end();
}

async fn over(world: &World) {
    while world.life.is_alive() {
        world.life.over.notified().await;
    }
}

/// Does what the plan says from where it stands, until the process is to be started anew.
async fn drive(world: &Arc<World>, stage: &mut Stage) {
    if *stage == Stage::Step(0) {
        put_codes(world).await;
    }
    let alive = Arc::new(Alive::start(world).await);
    let open: Vec<_> = (0..world.facts().callers.len()).collect();
    for index in open {
        begin(world, &alive, index);
    }
    loop {
        match *stage {
            Stage::Step(next) if next < world.plan.steps.len() => {
                let step = world.plan.steps[next];
                tokio::time::sleep(Duration::from_millis(step.pause_ms)).await;
                *stage = Stage::Step(next + 1);
                say!(world.trace, "step {next}: {:?}", step.what);
                if step.what == What::Restart {
                    return stop(world, alive).await;
                }
                perform(world, &alive, step.what).await;
            }
            Stage::Step(_) => *stage = Stage::Calm,
            Stage::Calm => {
                calm(world);
                rest(world).await;
                *stage = Stage::People;
            }
            Stage::People => {
                if world.plan.seed.is_multiple_of(2) {
                    retry_dead(world).await;
                    rest(world).await;
                }
                *stage = Stage::After;
                return stop(world, alive).await;
            }
            Stage::After => {
                let calls = |world: &World| world.platform.look(|_, counted| counted.calls.clone());
                let before = calls(world);
                tokio::time::sleep(Duration::from_secs(3)).await;
                if calls(world) != before {
                    world.wrong("something was sent after everything had come to rest".to_owned());
                }
                *stage = Stage::End;
            }
            Stage::End => return,
        }
    }
}

async fn put_codes(world: &World) {
    let code = |(name, affiliate, max_uses): (&str, &str, Option<u64>)| {
        let expires = if name == "PAST" { r#","expires_at":"2020-01-01""# } else { "" };
        let uses = max_uses.map_or_else(String::new, |max| format!(r#","max_uses":{max}"#));
        let json = format!(r#"{{"affiliate":"{affiliate}"{uses}{expires}}}"#);
        (PromoCode::fold(name).expect("a code"), Code::from_json(&json).expect("its value"))
    };
    let codes = CODES.into_iter().map(code).collect();
    world.store.put_codes(&world.site.name, codes).await.expect("written");
}

/// Lets a caller ask.
fn begin(world: &Arc<World>, alive: &Arc<Alive>, index: usize) {
    tokio::spawn(ask(Arc::clone(world), Arc::downgrade(alive), index));
}

async fn perform(world: &Arc<World>, alive: &Arc<Alive>, what: What) {
    match what {
        What::Platform(mood) => world.platform.set(mood),
        What::Store(mood) => world.faulty.set(mood),
        What::Die(death) => world.life.doom(death),
        What::Jump(ms) => {
            world.facts().jumped = true;
            world.facts().set_back += (-ms).max(0);
            world.time.jump(ms);
        }
        What::Skip(ms) => {
            world.facts().skipped += ms;
            world.time.skip(ms);
        }
        What::RetryDead => retry_dead(world).await,
        What::DiscardWaiting => discard_waiting(world).await,
        request => {
            let Some(caller) = caller(world, request) else { return };
            say!(world.trace, "caller {}: {caller:?}", world.facts().callers.len());
            world.facts().callers.push(caller);
            let index = world.facts().callers.len() - 1;
            begin(world, alive, index);
        }
    }
}

async fn listed(world: &World, states: Vec<State>) -> Vec<Record> {
    let listing = Listing { site: None, states, after: None, limit: 1_000 };
    world.store.list(&listing).await.expect("a list")
}

async fn retry_dead(world: &World) {
    for record in listed(world, vec![State::Dead]).await {
        world.facts().retried.push(record.id.clone());
        // It may fail as everything may.
        let _ = world.faulty.retry(&record.site, &record.id, world.time.now()).await;
    }
}

async fn discard_waiting(world: &World) {
    for record in listed(world, vec![State::Due, State::Blocked, State::Orphan]).await {
        world.facts().discarded.push(record.id.clone());
        let _ = world.faulty.discard(&record.site, &record.id, "nobody wants it", world.time.now()).await;
    }
}

/// From now on all is well.
fn calm(world: &World) {
    say!(world.trace, "all is well from now on");
    world.life.begin();
    world.platform.set(network::Mood::Well);
    world.faulty.set(faulty::Mood::Well);
}

/// How long it may take until everything has gone once all is well: the longest pause between attempts, and what is to
/// follow one another. A clock that is set back makes it longer by no more than that.
const REST_MS: i64 = 2 * limits::RETRY_LONGEST_MS;

/// Waits until nothing is left to do. Where nothing happens for long, time is skipped.
async fn rest(world: &World) {
    let began = world.time.true_now();
    come_to_rest(world).await;
    let took = world.time.true_now().since(began);
    if took > REST_MS + world.facts().set_back {
        world.wrong(format!("it took {} minutes to come to rest", took / 60_000));
    }
}

async fn come_to_rest(world: &World) {
    // What was given up on may be written late, and what could not be written is.
    tokio::time::sleep(Duration::from_secs(15)).await;
    for round in 0..3_000 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = world.time.now();
        world.platform.take_late();
        let busy = world.facts().callers.iter().any(Caller::is_open);
        let waiting = waiting(world).await;
        if !busy && waiting.is_empty() && !world.platform.awaits() {
            return;
        }
        if waiting.is_empty() || round < 3 {
            continue;
        }
        let due =
            waiting.iter().filter(|record| record.state == State::Due).map(|record| record.due_at).min();
        let ahead = due.map_or(0, |due| due.since(now) - 200);
        // What is due and does not go is held under a lease that has to run out.
        world.time.skip(if ahead > 0 { ahead } else { i64::from(round > 30) * 60_000 });
    }
    let left = waiting(world).await;
    world.wrong(format!("it never comes to rest: {left:?}"));
}

/// What is to be sent still: all but refunds of payments that wait for a person.
async fn waiting(world: &World) -> Vec<Record> {
    let dead: Vec<_> = listed(world, vec![State::Dead]).await.into_iter().map(|record| record.id).collect();
    let mut waiting = listed(world, vec![State::Due, State::Blocked]).await;
    let of_dead = |record: &Record| record.payment.as_ref().is_some_and(|payment| dead.contains(payment));
    waiting.retain(|record| record.state == State::Due || !of_dead(record));
    waiting
}

/// The process is stopped in order: requests end, then the work behind them.
async fn stop(world: &World, alive: Arc<Alive>) {
    for _ in 0..100 {
        let waits = world.facts().callers.iter().any(|caller| caller.waits);
        if !waits {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    match Arc::try_unwrap(alive) {
        Ok(alive) => alive.core.finish(Duration::from_secs(10)).await,
        Err(_) => say!(world.trace, "requests hang: the process is killed"),
    }
}
