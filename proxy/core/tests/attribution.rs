//! Who is credited when what was seen before has changed since.

mod support;

use std::sync::atomic::Ordering::Relaxed;
use support::{Mood, World, eventually, faults::Faults, sale};
use usher_core::Refusal;
use usher_model::{Attribution, ClickId, Site};

const ALICE: &str = r#"{"programId":"prog","trackingId":"alice"}"#;
const BOB: &str = r#"{"programId":"prog","trackingId":"bob"}"#;

/// A click of alice that was minted while the platform was down, and refused when it heard of it.
async fn refused_click(world: &World) -> ClickId {
    world.platform.set(Mood::RefusesClicks);
    let cid = world.track(ALICE, &world.visitor()).await.cookie.expect("a cookie");
    eventually("the click is refused", || async {
        world.core.delivery.status().await.expect("a status").dead == 1
    })
    .await;
    world.platform.set(Mood::Well);
    cid
}

/// Bob's click takes the place of one that credits nobody, as soon as the store says so within a visitor's time.
async fn gives_way(world: &World, cid: &ClickId) {
    eventually("the click gives way", || async {
        world.track(BOB, &world.visitor_with(cid)).await.cookie.expect("a cookie") != *cid
    })
    .await;
}

#[tokio::test]
async fn a_replay_is_answered_also_when_its_code_counts_no_longer() {
    let world = World::new(|_| {}).await;
    world.put_code("ONCE", r#"{"affiliate":"alice","max_uses":1}"#).await;
    let body = sale("pay_1", r#","promo_code":"ONCE""#);
    assert_eq!(world.convert(&body).await.expect("accepted").status, 201);
    let once = usher_model::PromoCode::fold("once").expect("a code");
    eventually("the use is seen", || async {
        world.core.codes.find(&world.site, &once).is_some_and(|code| code.uses == 1)
    })
    .await;
    assert_eq!(world.convert(&body).await.expect("a replay").status, 200, "its last use was its own");
    world.tools.store.remove_code(&world.site.name, &once).await.expect("removed");
    eventually("it is gone", || async { world.core.codes.find(&world.site, &once).is_none() }).await;
    assert_eq!(world.convert(&body).await.expect("a replay").status, 200);
    let other = sale("pay_1", r#","promo_code":"OTHER""#);
    assert!(matches!(world.convert(&other).await, Err(Refusal::Conflict { .. })));
    let new = sale("pay_2", r#","promo_code":"ONCE""#);
    assert!(matches!(world.convert(&new).await, Err(Refusal::NotFound { .. })));
    assert_eq!(world.platform.sales().len(), 1);
}

#[tokio::test]
async fn a_replay_is_answered_also_when_its_click_was_refused_since() {
    let world = World::new(|_| {}).await;
    world.platform.set(Mood::Down);
    let cid = world.track(ALICE, &world.visitor()).await.cookie.expect("a cookie");
    let body = sale("pay_1", &format!(r#","referral_id":"{cid}""#));
    let lead = br#"{"email":"kim@example.org"}"#;
    assert_eq!(world.convert(&body).await.expect("accepted").status, 202);
    let visitor = world.visitor_with(&cid);
    let signup = || world.core.conversions.signup(&world.site, lead, &visitor);
    assert_eq!(signup().await.expect("accepted").status, 202);
    world.platform.set(Mood::RefusesClicks);
    eventually("all are dead", || async { world.core.delivery.status().await.expect("a status").dead == 3 })
        .await;
    assert_eq!(world.convert(&body).await.expect("a replay").status, 422, "what became of it");
    assert_eq!(signup().await.expect("a replay").status, 422);
}

#[tokio::test]
async fn a_code_applied_at_the_shop_uses_itself_up() {
    let world = World::new(|_| {}).await;
    world.put_code("ONCE", r#"{"affiliate":"alice","max_uses":1}"#).await;
    let cid = world.resolve("once", &world.visitor()).await.expect("known").cookie.expect("a cookie");
    eventually("it is written", || async { world.knows(&cid).await }).await;
    let body = sale("pay_1", &format!(r#","referral_id":"{cid}","promo_code":"ONCE""#));
    assert_eq!(world.convert(&body).await.expect("accepted").status, 201);
    let alone = sale("pay_2", r#","promo_code":"ONCE""#);
    assert!(matches!(world.convert(&alone).await, Err(Refusal::NotFound { .. })), "it had one use");
    let with_click = sale("pay_3", &format!(r#","referral_id":"{cid}","promo_code":"ONCE""#));
    assert_eq!(world.convert(&with_click).await.expect("the click counts still").status, 201);
    assert!(world.platform.created().is_empty(), "and no click was minted");
}

#[tokio::test]
async fn a_customer_of_a_refused_click_is_left_to_the_platform() {
    let world = World::new(|_| {}).await;
    world.platform.set(Mood::Down);
    let cid = world.track(ALICE, &world.visitor()).await.cookie.expect("a cookie");
    let first = sale("pay_1", &format!(r#","referral_id":"{cid}","customer_id":"cus_1""#));
    world.convert(&first).await.expect("accepted");
    world.platform.set(Mood::RefusesClicks);
    eventually("both are dead", || async { world.core.delivery.status().await.expect("a status").dead == 2 })
        .await;
    let next = sale("pay_2", r#","customer_id":"cus_1""#);
    assert_eq!(world.convert(&next).await.expect("the platform may know them").status, 201);
    let sent = &world.platform.sales()[0];
    assert_eq!((&sent["customer_id"], sent.get("referral_id")), (&"cus_1".into(), None));
}

#[tokio::test]
async fn of_customers_bound_to_different_clicks_those_of_the_other_are_not_sent() {
    let world = World::new(|_| {}).await;
    world.convert(&sale("pay_1", r#","referral_id":"cmd1","customer_id":"cus_1""#)).await.expect("accepted");
    world
        .convert(&sale("pay_2", r#","referral_id":"cmd2","external_user_id":"u_1""#))
        .await
        .expect("accepted");
    world
        .convert(&sale("pay_3", r#","customer_id":"cus_1","external_user_id":"u_1""#))
        .await
        .expect("accepted");
    let sent = &world.platform.sales()[2];
    assert_eq!((&sent["referral_id"], &sent["customer_id"]), (&"cmd1".into(), &"cus_1".into()));
    assert!(sent.get("external_user_id").is_none(), "the platform refuses identifiers that disagree");
}

#[tokio::test]
async fn a_code_is_not_called_unknown_before_the_codes_were_read() {
    let faults = Faults::default();
    faults.no_codes.store(true, Relaxed);
    let world = World::with_faults(faults, |_| {}).await;
    let body = sale("pay_1", r#","promo_code":"SPRING""#);
    assert!(matches!(world.convert(&body).await, Err(Refusal::Unavailable(_))));
    world.faults.no_codes.store(false, Relaxed);
    world.put_code("SPRING", r#"{"affiliate":"alice"}"#).await;
    assert_eq!(world.convert(&body).await.expect("accepted").status, 201);
}

#[tokio::test]
async fn the_first_click_counts_also_while_the_store_is_silent() {
    let world = World::new(|site: &mut Site| site.attribution = Attribution::FirstClick).await;
    let cid = ClickId::new("ush_01arz3ndektsv4rrffq69g5fav").expect("an id");
    world.faults.clicks_hang.store(true, Relaxed);
    assert_eq!(world.track(BOB, &world.visitor_with(&cid)).await.cookie, Some(cid.clone()));
    world.faults.clicks_hang.store(false, Relaxed);
    gives_way(&world, &cid).await;
}

#[tokio::test]
async fn a_first_click_that_was_refused_gives_way_to_the_next() {
    let world = World::new(|site: &mut Site| site.attribution = Attribution::FirstClick).await;
    let cid = refused_click(&world).await;
    gives_way(&world, &cid).await;
    assert_eq!(world.platform.clicks(), ["bob"]);
}
