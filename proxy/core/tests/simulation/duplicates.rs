//! `duplicates`: a thousand repeats of sales, refunds and events over thirty days, while the process dies, the platform takes
//! what it does not answer, and whoever hears nothing asks again. Not one natural key may be at the platform twice.

use super::{
    checks::check,
    dice::Dice,
    faulty, history,
    life::Death,
    network,
    plan::{Plan, Refund, Sale, Step, What},
    platform::Rate,
    trace::Loudness,
    world::{World, play},
};
use usher_model::Job;

const DAYS: i64 = 30;
/// Stretches of a day between which time is skipped.
const STRETCHES: i64 = 4;
const REPEATS: usize = 1_000;
const HOUR_MS: i64 = 3_600_000;

/// Plays it; whether nothing came twice.
pub(crate) fn run(seed: u64) -> bool {
    let plan = plan(seed);
    let repeats = plan.steps.iter().filter(|step| is_repeat(step.what)).count();
    let world = World::new(plan, Loudness::Hashed);
    play(&world);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let mut wrong = history::panics();
    wrong.extend(runtime.block_on(check(&world)));
    let asked = |job| world.facts().callers.iter().filter(|caller| caller.job == Some(job)).count();
    let (sales, refunds, events) = (asked(Job::Conversion), asked(Job::Refund), asked(Job::Event));
    let deaths = world.facts().deaths;
    world.platform.look(|books, counted| {
        let calls: u32 = counted.calls.values().sum();
        println!(
            "duplicates: seed {seed}, {repeats} repeats among {sales} sales, {refunds} refunds and {events} events over {:.1} \
             days; {deaths} deaths; the platform was called {calls} times, acted {} times unheard, and holds {} sales, {} \
             refunds, {} events; duplicate natural keys: {}",
            world.time.passed() as f64 / 86_400_000.0,
            counted.unheard,
            books.sales.len(),
            books.refunds.len(),
            books.events.len(),
            books.faults.iter().filter(|fault| fault.contains("came")).count(),
        );
    });
    wrong.iter().take(10).for_each(|wrong| println!("  broken: {wrong}"));
    wrong.is_empty() && repeats >= REPEATS
}

const fn is_repeat(what: What) -> bool {
    matches!(what, What::Again { .. } | What::RefundAgain { .. } | What::EventAgain { .. })
}

fn plan(seed: u64) -> Plan {
    let dice = Dice::new(seed, 9);
    let rate = Rate { per_minute: 300, per_second: 10 };
    let mut steps = vec![step(0, What::Visit { visitor: 0, affiliate: 0 })];
    let each = REPEATS as i64 / (DAYS * STRETCHES) + 1;
    for stretch in 0..DAYS * STRETCHES {
        let number = u16::try_from(stretch).expect("few");
        trouble(&dice, &mut steps);
        let sale = Sale {
            payment: number,
            visitor: Some(0),
            code: None,
            customer: None,
            order: None,
            cents: 10_000,
            patient: true,
        };
        steps.push(step(dice.between(0, 500), What::Sale(sale)));
        for _ in 0..each / 3 {
            let pause = dice.pick(&[0, 0, 0, 3, 40, 900]);
            steps.push(step(pause, What::Again { payment: number, changed: false, patient: true }));
        }
        steps.push(step(dice.between(0, 8_000), What::Event { event: number, visitor: 0, patient: true }));
        let cents = dice.percent(70).then(|| u32::try_from(dice.between(1, 6_000)).expect("a price"));
        let refund = Refund { refund: number, payment: number.saturating_sub(1), cents, patient: true };
        steps.push(step(dice.between(0, 3_000), What::Refund(refund)));
        for _ in 0..each / 3 {
            let earlier = u16::try_from(dice.next() % (u64::from(number) + 1)).expect("few");
            steps.push(step(dice.pick(&[0, 0, 5, 200]), What::RefundAgain { refund: number }));
            steps.push(step(dice.pick(&[0, 0, 5, 200]), What::EventAgain { event: earlier }));
        }
        let long_ago = u16::try_from(dice.next() % (u64::from(number) + 1)).expect("few");
        steps.push(step(0, What::Again { payment: long_ago, changed: false, patient: true }));
        steps.push(step(dice.between(1_000, 30_000), What::Skip(24 * HOUR_MS / STRETCHES)));
    }
    Plan { seed, rate, first_click: false, click_wins: false, retention_days: 395, death: None, steps }
}

fn trouble(dice: &Dice, steps: &mut Vec<Step>) {
    let mood = match dice.next() % 6 {
        0 => network::Mood::Well,
        1 => network::Mood::Drops,
        2 => network::Mood::Slow,
        3 => network::Mood::Down,
        _ => network::Mood::Flaky(60),
    };
    steps.push(step(0, What::Platform(mood)));
    let mood = if dice.percent(30) { faulty::Mood::Flaky(15) } else { faulty::Mood::Well };
    steps.push(step(0, What::Store(mood)));
    if dice.percent(60) {
        steps.push(step(0, What::Die(Death { calls: dice.between(1, 60), done: dice.percent(60) })));
    }
}

const fn step(pause_ms: u64, what: What) -> Step {
    Step { pause_ms, what }
}
