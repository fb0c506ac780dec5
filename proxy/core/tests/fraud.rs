//! Cheap tricks: floods, ids that somebody made up, clicks at the checkout.

mod support;

use support::{World, eventually, sale};
use usher_core::{
    Refusal, Visitor,
    attribution::{Doubt, Rule},
};
use usher_model::{ClickId, limits};

const ALICE: &str = r#"{"programId":"prog","trackingId":"alice"}"#;
const CLICKS: usize = 10_000;

/// One of many visitors behind one address.
fn one_of_many(world: &World, number: usize) -> Visitor {
    Visitor { user_agent: format!("{} {number}", world.visitor().user_agent), ..world.visitor() }
}

/// Spends what the network may bring, and more: the last click.
async fn flooded(world: &World, clicks: usize) -> ClickId {
    let mut last = None;
    for number in 0..clicks {
        last = world.track(ALICE, &one_of_many(world, number)).await.cookie;
        assert!(last.is_some(), "every page is answered with a click");
    }
    last.expect("a click")
}

#[tokio::test]
async fn a_flood_from_one_address_is_answered_and_the_platform_hears_little_of_it() {
    let world = World::new(|_| {}).await;
    let began = world.clock.now_ms();
    flooded(&world, CLICKS).await;
    let seconds = usize::try_from((world.clock.now_ms() - began) / limits::CLICK_REFILL_MS).expect("a few");
    let (told, untold) = (world.platform.clicks().len(), world.core.capture.untold()());
    assert!(told <= limits::CLICKS_PER_NETWORK_AND_AFFILIATE as usize + seconds + 1, "{told} in {seconds} s");
    assert_eq!(told as u64 + untold, CLICKS as u64);
    assert!(untold > 0);
    let elsewhere = Visitor { address: "198.51.100.7".parse().expect("an address"), ..world.visitor() };
    world.track(ALICE, &elsewhere).await;
    assert_eq!(world.platform.clicks().len(), told + 1, "nobody else is held up");
}

#[tokio::test]
async fn a_click_of_a_flood_is_told_and_credited_when_somebody_buys() {
    let world = World::new(|_| {}).await;
    let mut last = flooded(&world, limits::CLICKS_PER_NETWORK_AND_AFFILIATE as usize + 1).await;
    for number in 1_000..2_000 {
        if last.is_minted() {
            break;
        }
        last = world.track(ALICE, &one_of_many(&world, number)).await.cookie.expect("a click");
    }
    assert!(last.is_minted() && world.platform.created().is_empty());
    eventually("it is written", || world.knows(&last)).await;
    assert_eq!(world.platform.created(), Vec::<String>::new(), "nobody tells of it by itself");
    world.convert(&sale("pay_1", &format!(r#","referral_id":"{last}""#))).await.expect("accepted");
    eventually("the sale is told", || async { world.platform.sales().len() == 1 }).await;
    assert_eq!(world.platform.created(), ["alice"], "and its click before it");
    assert!(world.platform.sales()[0]["referral_id"].as_str().expect("an id").starts_with("click"));
    let trace = world.trace("pay_1").await;
    assert_eq!((trace.rule, trace.seen[0].doubt), (Rule::Named, Some(Doubt::Flood)));
}

#[tokio::test]
async fn ids_that_pages_make_up_cost_the_platform_few_calls() {
    let world = World::new(|_| {}).await;
    let began = world.clock.now_ms();
    for number in 0..2_000 {
        world
            .track(&format!(r#"{{"programId":"prog","affonsoId":"madeup{number}"}}"#), &world.visitor())
            .await;
    }
    let seconds = usize::try_from((world.clock.now_ms() - began) / 1_000).expect("a few");
    let asked = world.core.capture.untold()();
    assert!(asked + (limits::CLICKS_PER_NETWORK as usize + 10 * (seconds + 1)) as u64 >= 2_000, "{asked}");
}

#[tokio::test]
async fn a_click_that_nobody_minted_credits_nobody() {
    let world = World::new(|_| {}).await;
    let made_up = ClickId::new("ush_01arz3ndektsv4rrffq69g5fav").expect("an id");
    let visitor = world.visitor_with(&made_up);
    let body = sale("pay_1", &format!(r#","referral_id":"{made_up}""#));
    assert!(matches!(world.convert(&body).await, Err(Refusal::NotFound { .. })));
    assert!(matches!(world.bind("order-1", &visitor).await, Err(Refusal::NotFound { .. })));
    let tracked = world.track(ALICE, &visitor).await;
    assert_ne!(tracked.cookie.expect("a click of alice"), made_up, "it stands in nobody's way");
    assert!(world.track(r#"{"programId":"prog"}"#, &visitor).await.cookie.is_none());
}

#[tokio::test]
async fn a_sale_moments_after_its_click_is_odd_and_counts() {
    let world = World::new(|_| {}).await;
    let cid = world.track(ALICE, &world.visitor()).await.cookie.expect("a click");
    eventually("it is written", || world.knows(&cid)).await;
    let body = |id: &str| sale(id, &format!(r#","referral_id":"{cid}""#));
    world.convert(&body("pay_1")).await.expect("accepted");
    world.clock.pass_ms(limits::HASTY_MS);
    world.convert(&body("pay_2")).await.expect("accepted");
    assert_eq!(world.trace("pay_1").await.seen[0].doubt, Some(Doubt::Hasty));
    assert_eq!(world.trace("pay_2").await.seen[0].doubt, None);
}
