//! Histories, one or many: played, checked, told of, and cut down to what breaks the promise.

use super::{
    checks::check,
    life::Death,
    plan::Plan,
    trace::Loudness,
    world::{World, play},
};
use std::{
    cell::RefCell,
    collections::hash_map::RandomState,
    fmt,
    hash::BuildHasher,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::Instant,
};

/// Histories that are played twice, to see that they are the same: one in so many.
const TWICE: u64 = 5;
/// Broken histories after which no more are played.
const BROKEN: usize = 10;

thread_local! {
    static PANICS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Keeps what panics say, also where the runtime catches them.
pub(crate) fn hear_panics() {
    std::panic::set_hook(Box::new(|panic| {
        PANICS.with_borrow_mut(|panics| panics.push(panic.to_string()));
    }));
}

/// What has panicked on this thread since this was last asked.
pub(crate) fn panics() -> Vec<String> {
    PANICS.take()
}

/// What came of a history.
pub(crate) struct Outcome {
    pub(crate) wrong: Vec<String>,
    /// The hash of its trace.
    pub(crate) hash: u64,
    kept: Vec<String>,
    lines: u64,
    /// How long it lasted, in milliseconds of its own.
    lasted: i64,
    deaths: u32,
    delivered: usize,
    /// Whether it was played again, and was the same.
    again: bool,
}

fn played(plan: Plan, loudness: Loudness) -> Outcome {
    panics();
    let world = World::new(plan, loudness);
    let checked = catch_unwind(AssertUnwindSafe(|| {
        play(&world);
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(check(&world))
    }));
    let mut wrong = panics();
    wrong.extend(checked.unwrap_or_default());
    let delivered =
        world.platform.look(|books, _| books.sales.len() + books.refunds.len() + books.events.len());
    Outcome {
        wrong,
        hash: world.trace.hash(),
        kept: world.trace.take_kept(),
        lines: world.trace.lines(),
        lasted: world.time.passed(),
        deaths: world.facts().deaths,
        delivered,
        again: false,
    }
}

/// A seed that nobody has chosen.
pub(crate) fn by_chance() -> u64 {
    RandomState::new().hash_one(0) >> 16
}

/// Which history it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Which {
    pub(crate) seed: u64,
    /// Instead of those that the seed says.
    pub(crate) death: Option<Death>,
}

impl Which {
    fn plan(self) -> Plan {
        let plan = Plan::of(self.seed);
        match self.death {
            Some(death) => plan.with_death(death),
            None => plan,
        }
    }
}

/// The command that plays it aloud.
impl fmt::Display for Which {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(Death { calls, done }) = self.death else {
            return write!(to, "cargo xtask prove simulation --seed {}", self.seed);
        };
        let when = if done { "--dies-after" } else { "--dies-before" };
        let run = "cargo test --release -p usher-core --test simulation -- histories";
        write!(to, "{run} --seed {} {when} {calls}", self.seed)
    }
}

#[derive(Default)]
struct Total {
    histories: u64,
    /// Played again, and no different.
    twice: u64,
    lines: u64,
    lasted: i64,
    deaths: u32,
    delivered: usize,
    /// Over all traces, whatever the order in which they were played.
    hash: u64,
    broken: Vec<(Which, Vec<String>)>,
}

/// Plays the histories of so many seeds; whether the promise held in all.
pub(crate) fn many(first: u64, seeds: u64) -> bool {
    let began = Instant::now();
    let total = on_two_threads(first, seeds, |seed, total| {
        let outcome = once_or_twice(seed);
        lock(total).add(Which { seed, death: None }, outcome);
    });
    println!(
        "simulation: {} histories from seed {first} ({} of them twice, to the same trace), {} broken; {} delivered, {} deaths, \
         {:.1} days of virtual time in {:.1} s; trace of {} lines, hash {:016x}",
        total.histories,
        total.twice,
        total.broken.len(),
        total.delivered,
        total.deaths,
        total.lasted as f64 / 86_400_000.0,
        began.elapsed().as_secs_f64(),
        total.lines,
        total.hash,
    );
    total.held()
}

/// Plays the histories of so many seeds once for each call of the store, with a death before it, and once more with a death
/// after it; whether the promise held in all.
pub(crate) fn every_death(seeds: u64) -> bool {
    let began = Instant::now();
    let total = on_two_threads(0, seeds, |seed, total| {
        for death in (1..).flat_map(|calls| [false, true].map(|done| Death { calls, done })) {
            let outcome = played(Plan::of(seed).with_death(death), Loudness::Hashed);
            // It has come to rest before.
            if outcome.deaths == 0 {
                return;
            }
            lock(total).add(Which { seed, death: Some(death) }, outcome);
        }
    });
    println!(
        "simulation: a death before and after each call of the store of {seeds} histories: {} histories, {} broken, in {:.1} s",
        total.histories,
        total.broken.len(),
        began.elapsed().as_secs_f64(),
    );
    total.held()
}

fn on_two_threads(first: u64, seeds: u64, play: impl Fn(u64, &Mutex<Total>) + Sync) -> Total {
    let next = AtomicU64::new(first);
    let total = Mutex::new(Total::default());
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Relaxed);
                    if seed >= first + seeds || lock(&total).broken.len() >= BROKEN {
                        return;
                    }
                    play(seed, &total);
                }
            });
        }
    });
    total.into_inner().expect("whole")
}

fn lock(total: &Mutex<Total>) -> MutexGuard<'_, Total> {
    total.lock().expect("whole")
}

fn once_or_twice(seed: u64) -> Outcome {
    if !seed.is_multiple_of(TWICE) {
        return played(Plan::of(seed), Loudness::Hashed);
    }
    let mut outcome = played(Plan::of(seed), Loudness::Hashed);
    outcome.again = true;
    if played(Plan::of(seed), Loudness::Hashed).hash != outcome.hash {
        let [one, other] = [0, 1].map(|_| played(Plan::of(seed), Loudness::Kept).kept);
        let first = one.iter().zip(&other).find(|(one, other)| one != other);
        outcome.wrong.push(format!("played again it differs: {first:#?}"));
    }
    outcome
}

impl Total {
    fn add(&mut self, which: Which, outcome: Outcome) {
        self.histories += 1;
        self.twice += u64::from(outcome.again);
        self.lines += outcome.lines;
        self.lasted += outcome.lasted;
        self.deaths += outcome.deaths;
        self.delivered += outcome.delivered;
        self.hash = self.hash.wrapping_add(outcome.hash.wrapping_mul(which.seed | 1));
        if !outcome.wrong.is_empty() {
            self.broken.push((which, outcome.wrong));
        }
    }

    /// Shows what broke, if anything did.
    fn held(mut self) -> bool {
        self.broken.sort();
        for (which, wrong) in &self.broken {
            println!("seed {} ({which}):", which.seed);
            wrong.iter().take(5).for_each(|wrong| println!("  {wrong}"));
        }
        if let Some((which, _)) = self.broken.first() {
            show_shrunk(*which);
        }
        self.broken.is_empty()
    }
}

/// Plays one history aloud; whether the promise held.
pub(crate) fn replay(which: Which) -> bool {
    let plan = which.plan();
    println!("{plan:#?}");
    let outcome = played(plan, Loudness::Aloud);
    println!("seed {}: trace of {} lines, hash {:016x}", which.seed, outcome.lines, outcome.hash);
    if outcome.wrong.is_empty() {
        println!("the promise held");
        return true;
    }
    outcome.wrong.iter().for_each(|wrong| println!("broken: {wrong}"));
    show_shrunk(which);
    false
}

/// Leaves out steps while it still breaks, and shows what is left.
fn show_shrunk(which: Which) {
    let mut plan = which.plan();
    let breaks = |plan: &Plan| !played(plan.clone(), Loudness::Hashed).wrong.is_empty();
    let mut length = plan.steps.len() / 2;
    while length > 0 {
        let mut start = 0;
        while start < plan.steps.len() {
            let mut less = plan.clone();
            less.steps.drain(start..(start + length).min(plan.steps.len()));
            if breaks(&less) { plan = less } else { start += length }
        }
        length /= 2;
    }
    println!("seed {} breaks with these steps alone:", which.seed);
    plan.steps.iter().for_each(|step| println!("  after {:>5} ms {:?}", step.pause_ms, step.what));
    played(plan, Loudness::Hashed).wrong.iter().for_each(|wrong| println!("  broken: {wrong}"));
}
