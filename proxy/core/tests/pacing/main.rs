//! Delivery over days, in virtual time: the embedded store's own tables, and a platform that counts what it is asked.

mod platform;
#[path = "../support/mod.rs"]
mod support;
mod world;

use platform::Fate;
use serde_json::json;
use std::{sync::atomic::Ordering::Relaxed, time::Duration};
use tokio::time::{Instant, sleep};
use usher_model::{Entry, Job, Listing, RefundAmount, State, limits};
use world::{World, euros, refund, sale, shop};

const SECOND_MS: u64 = 1_000;
const HOUR_MS: u64 = 60 * 60 * SECOND_MS;

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
