//! Who is credited when what was seen before has changed since.

mod support;

use std::sync::atomic::Ordering::Relaxed;
use support::{Mood, World, eventually, faults::Faults, sale};
use usher_core::{
    Refusal, SignedClick, Visitor,
    attribution::{By, Policy, Rule, Trace, WhyNot},
};
use usher_model::{AffiliateCode, Attribution, Click, ClickId, Clock, Secret, Site, UnixMs, Upstream};

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
        world.core.codes.find(&world.site, &once).expect("read").is_some_and(|code| code.uses == 1)
    })
    .await;
    assert_eq!(world.convert(&body).await.expect("a replay").status, 200, "its last use was its own");
    world.tools.store.remove_code(&world.site.name, &once).await.expect("removed");
    eventually("it is gone", || async { world.core.codes.find(&world.site, &once).expect("read").is_none() })
        .await;
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
async fn a_code_applied_a_moment_before_the_sale_is_the_click_that_the_sale_names() {
    let faults = Faults::default();
    faults.no_clicks.store(true, Relaxed);
    let world = World::with_faults(faults, |_| {}).await;
    world.put_code("ONCE", r#"{"affiliate":"alice","max_uses":1}"#).await;
    let cid = world.resolve("once", &world.visitor()).await.expect("known").cookie.expect("a cookie");
    assert!(!world.knows(&cid).await, "it waits for the store");
    let body = sale("pay_1", &format!(r#","referral_id":"{cid}","promo_code":"ONCE""#));
    assert_eq!(world.convert(&body).await.expect("accepted").status, 201);
    assert_eq!(world.platform.sales()[0]["referral_id"], cid.as_str());
    assert!(world.platform.created().is_empty(), "no second click was made");
    assert_eq!(why_not(&world.trace("pay_1").await, By::Code), None);
    world.faults.no_clicks.store(false, Relaxed);
    eventually("the click is written", || async { world.knows(&cid).await }).await;
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
    assert!(matches!(world.resolve("SPRING", &world.visitor()).await, Err(Refusal::Unavailable(_))));
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

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// A click of that affiliate by somebody at that address, written down.
async fn clicked(world: &World, affiliate: &str, address: &str) -> ClickId {
    let visitor = Visitor { address: address.parse().expect("an address"), ..world.visitor() };
    let body = format!(r#"{{"programId":"prog","trackingId":"{affiliate}"}}"#);
    let cid = world.track(&body, &visitor).await.cookie.expect("a cookie");
    eventually("the click is written", || async { world.knows(&cid).await }).await;
    cid
}

/// What the platform was told of that sale.
fn told(world: &World, key: &str) -> serde_json::Value {
    let sales = world.platform.sales();
    sales.into_iter().find(|sale| sale["external_event_id"] == key).expect("it was told")
}

fn why_not(trace: &Trace, by: By) -> Option<WhyNot> {
    trace.seen.iter().find(|seen| seen.by == by).expect("it was seen").why_not
}

#[tokio::test]
async fn an_order_that_was_bound_at_the_checkout_is_credited_to_its_click() {
    let world = World::new(|_| {}).await;
    let alice = clicked(&world, "alice", "192.0.2.1").await;
    world.bind("o1", &world.visitor_with(&alice)).await.expect("bound");
    world.convert(&sale("pay_1", r#","order_id":"o1","customer_id":"cus_1""#)).await.expect("accepted");
    assert_eq!(told(&world, "pay_1")["referral_id"], alice.as_str());
    let trace = world.trace("pay_1").await;
    assert_eq!((trace.rule, why_not(&trace, By::Customer)), (Rule::Order, Some(WhyNot::Unknown)));
    assert!(trace.to_json().len() <= 300, "{}", trace.to_json());
    // The customer is alice's from now on; a name of the order leads to the sale.
    world.convert(&sale("pay_2", r#","customer_id":"cus_1""#)).await.expect("accepted");
    assert_eq!(told(&world, "pay_2")["referral_id"], alice.as_str());
    assert_eq!(world.record("o1").await.key.as_deref(), Some("pay_1"));
}

#[tokio::test]
async fn an_order_that_two_bound_or_that_was_bound_at_another_time_credits_nobody() {
    let world = World::new(|_| {}).await;
    let alice = clicked(&world, "alice", "192.0.2.1").await;
    let bob = clicked(&world, "bob", "192.0.2.2").await;
    for (order, click) in [("o1", &alice), ("o1", &bob), ("o2", &bob)] {
        world.bind(order, &world.visitor_with(click)).await.expect("bound");
    }
    let refused = world.convert(&sale("pay_1", r#","orderId":"o1""#)).await;
    assert!(matches!(refused, Err(Refusal::NotFound { field: Some("order_id"), .. })), "{refused:?}");
    world
        .convert(&sale("pay_2", r#","order_id":"o1","customer_id":"c""#))
        .await
        .expect("the platform may know");
    let trace = world.trace("pay_2").await;
    assert_eq!((trace.rule, why_not(&trace, By::Order)), (Rule::Platform, Some(WhyNot::Contested)));
    // Whoever binds an order that was paid an hour ago did not bring it.
    let hour_ago = UnixMs(world.clock.now().0 - 3_600_000).rfc3339();
    let late = format!(r#","order_id":"o2","customer_id":"c","created_at":"{hour_ago}""#);
    world.convert(&sale("pay_3", &late)).await.expect("accepted");
    assert_eq!(why_not(&world.trace("pay_3").await, By::Order), Some(WhyNot::BoundLate));
    world.clock.pass_ms(8 * DAY_MS);
    world.convert(&sale("pay_4", r#","order_id":"o2","customer_id":"c""#)).await.expect("accepted");
    assert_eq!(why_not(&world.trace("pay_4").await, By::Order), Some(WhyNot::BoundEarly));
}

#[tokio::test]
async fn a_click_counts_as_long_as_its_cookie_lives_by_the_time_of_the_sale() {
    let world = World::new(|_| {}).await;
    let alice = clicked(&world, "alice", "192.0.2.1").await;
    let begun = world.clock.now();
    world.clock.pass_ms(31 * DAY_MS);
    let by_click = format!(r#","referral_id":"{alice}""#);
    let refused = world.convert(&sale("pay_1", &by_click)).await;
    assert!(matches!(refused, Err(Refusal::NotFound { field: Some("referral_id"), .. })), "{refused:?}");
    let at = |days: i64| format!(r#"{by_click},"created_at":"{}""#, begun.plus(days * DAY_MS).rfc3339());
    world.convert(&sale("pay_2", &at(29))).await.expect("it was made in time, and told late");
    assert_eq!(told(&world, "pay_2")["referral_id"], alice.as_str());
    let ahead = world.convert(&sale("pay_3", &at(400))).await;
    assert!(matches!(ahead, Err(Refusal::NotFound { .. })), "the future is now: {ahead:?}");
    // Through the link again: the window begins anew.
    let again = world.track(ALICE, &world.visitor_with(&alice)).await.cookie.expect("a cookie");
    assert_ne!(again, alice);
    eventually("it is written", || async { world.knows(&again).await }).await;
    world.convert(&sale("pay_4", &format!(r#","referral_id":"{again}""#))).await.expect("accepted");
}

#[tokio::test]
async fn who_comes_again_after_a_day_has_a_new_click_and_a_first_click_lasts_as_long_as_its_cookie() {
    use Attribution::{FirstClick as First, LastClick as Last};
    for (attribution, days, is_same) in
        [(Last, 0, true), (Last, 2, false), (First, 2, true), (First, 29, true), (First, 31, false)]
    {
        let world = World::new(|site: &mut Site| site.attribution = attribution).await;
        let alice = clicked(&world, "alice", "192.0.2.7").await;
        world.clock.pass_ms(days * DAY_MS);
        let again = world.track(ALICE, &world.visitor_with(&alice)).await.cookie.expect("a cookie");
        assert_eq!(again == alice, is_same, "{attribution:?} {days}");
    }
}

#[tokio::test]
async fn a_renewal_belongs_to_whoever_brought_the_customer() {
    let world = World::new(|_| {}).await;
    let alice = clicked(&world, "alice", "192.0.2.1").await;
    let first = sale("pay_1", &format!(r#","referral_id":"{alice}","customer_id":"cus_1""#));
    world.convert(&first).await.expect("accepted");
    world.clock.pass_ms(365 * DAY_MS);
    world.convert(&sale("pay_2", r#","customer_id":"cus_1""#)).await.expect("accepted");
    assert_eq!(told(&world, "pay_2")["referral_id"], alice.as_str());
    assert_eq!(world.trace("pay_2").await.rule, Rule::Customer);
}

#[tokio::test]
async fn the_first_click_of_a_customer_counts_where_the_site_says_so() {
    for (attribution, rule) in
        [(Attribution::FirstClick, Rule::Customer), (Attribution::LastClick, Rule::Named)]
    {
        let world = World::new(|site: &mut Site| site.attribution = attribution).await;
        let alice = clicked(&world, "alice", "192.0.2.1").await;
        let first = sale("pay_1", &format!(r#","referral_id":"{alice}","customer_id":"cus_1""#));
        world.convert(&first).await.expect("accepted");
        world.clock.pass_ms(DAY_MS);
        let bob = clicked(&world, "bob", "192.0.2.2").await;
        let second = sale("pay_2", &format!(r#","referral_id":"{bob}","customer_id":"cus_1""#));
        world.convert(&second).await.expect("accepted");
        let trace = world.trace("pay_2").await;
        assert_eq!(trace.rule, rule);
        assert_eq!(trace.policy, (rule == Rule::Customer).then_some(Policy::FirstClick));
        let winner = if rule == Rule::Customer { &alice } else { &bob };
        assert_eq!(told(&world, "pay_2")["referral_id"], winner.as_str());
    }
}

#[tokio::test]
async fn a_click_that_proves_itself_is_credited_before_it_is_written() {
    let faults = Faults::default();
    faults.no_clicks.store(true, Relaxed);
    let world = World::with_faults(faults, |site: &mut Site| {
        site.click_signing_key = Some(Secret::new("a key of the site"));
    })
    .await;
    world.platform.set(Mood::Down);
    let cid = world.track(ALICE, &world.visitor()).await.cookie.expect("a cookie");
    world.platform.set(Mood::Well);
    let click = Click {
        id: cid.clone(),
        site: world.site.name.clone(),
        affiliate: AffiliateCode::new("alice").expect("a code"),
        visitor: None,
        created_at: world.clock.now(),
        upstream: Upstream::Pending,
    };
    let text = SignedClick::sign(&world.site, &click).expect("a key");
    let signed = SignedClick::verify(&world.site, &text);
    let visitor = Visitor { signed: signed.clone(), ..world.visitor_with(&cid) };
    let lead = br#"{"email":"kim@example.org"}"#;
    let unproved = world.core.conversions.signup(&world.site, lead, &world.visitor_with(&cid)).await;
    assert!(matches!(unproved, Err(Refusal::Unavailable(_))), "it may be written yet: {unproved:?}");
    assert!(world.core.conversions.signup(&world.site, lead, &visitor).await.expect("accepted").status < 203);
    eventually("the lead arrives", || async { world.platform.leads().len() == 1 }).await;
    assert_eq!(world.platform.created(), ["alice"], "the click went before it");
}

#[tokio::test]
async fn a_click_of_another_edge_that_proves_itself_is_known_while_the_store_is_silent() {
    let world =
        World::new(|site: &mut Site| site.click_signing_key = Some(Secret::new("a key of the site"))).await;
    let id = ClickId::new("ush_01arz3ndektsv4rrffq69g5fav").expect("an id");
    let made = |days: i64| {
        let created_at = world.clock.now().plus(-days * DAY_MS);
        let affiliate = AffiliateCode::new("alice").expect("a code");
        let (site, upstream) = (world.site.name.clone(), Upstream::Pending);
        let click = Click { id: id.clone(), site, affiliate, visitor: None, created_at, upstream };
        let text = SignedClick::sign(&world.site, &click).expect("a key");
        Visitor { signed: SignedClick::verify(&world.site, &text), ..world.visitor_with(&id) }
    };
    world.faults.clicks_hang.store(true, Relaxed);
    assert_eq!(world.track(ALICE, &made(0)).await.cookie, Some(id.clone()));
    for other in [world.track(BOB, &made(0)).await, world.track(ALICE, &made(2)).await] {
        assert!(other.cookie.is_some_and(|other| other != id), "another affiliate's, or another click");
    }
}

#[tokio::test]
async fn a_sites_own_links_make_no_click_and_leave_the_visitor_whose_they_are() {
    let world = World::new(|_| {}).await;
    let cid = clicked(&world, "alice", "192.0.2.7").await;
    for own in [
        r#"{"programId":"prog","url":"https://shop.example/?ref=nav-footer"}"#,
        r#"{"programId":"prog","trackingId":"NAV-footer"}"#,
    ] {
        assert_eq!(world.track(own, &world.visitor_with(&cid)).await.cookie, None, "{own}");
    }
    assert_eq!(world.platform.clicks(), ["alice"]);
}

#[tokio::test]
async fn a_trace_tells_every_signal_and_why_it_did_not_count() {
    let world = World::new(|_| {}).await;
    world.put_code("BOBS", r#"{"affiliate":"bob"}"#).await;
    world.put_code("OLD", r#"{"affiliate":"carol","expires_at":"2000-01-01"}"#).await;
    let alice = clicked(&world, "alice", "192.0.2.1").await;
    let more = format!(r#","referral_id":"{alice}","promo_code":"bobs","customer_id":"cus_1""#);
    world.convert(&sale("pay_1", &more)).await.expect("accepted");
    let trace = world.trace("pay_1").await;
    assert_eq!((trace.rule, trace.policy), (Rule::Code, Some(Policy::Code)));
    let seen: Vec<_> = trace.seen.iter().map(|seen| (seen.by, seen.what.as_str(), seen.why_not)).collect();
    assert_eq!(
        seen,
        [
            (By::Named, alice.as_str(), Some(WhyNot::Outranked)),
            (By::Code, "BOBS", None),
            (By::Customer, "customer:cus_1", Some(WhyNot::Unknown)),
        ]
    );
    world
        .convert(&sale("pay_2", &more.replace("bobs", "old").replace("cus_1", "c2")))
        .await
        .expect("accepted");
    assert_eq!(why_not(&world.trace("pay_2").await, By::Code), Some(WhyNot::Expired));
}

#[tokio::test]
async fn a_sale_of_a_click_that_waits_for_the_store_is_credited_to_nobody_else_meanwhile() {
    let faults = Faults::default();
    faults.no_clicks.store(true, Relaxed);
    let world = World::with_faults(faults, |_| {}).await;
    world.put_code("BOBS", r#"{"affiliate":"bob"}"#).await;
    world.platform.set(Mood::Down);
    let cid = world.track(ALICE, &world.visitor()).await.cookie.expect("a cookie");
    world.platform.set(Mood::Well);
    let body = sale("pay_1", &format!(r#","referral_id":"{cid}","promo_code":"BOBS""#));
    assert!(
        matches!(world.convert(&body).await, Err(Refusal::Unavailable(_))),
        "its click may be written yet"
    );
    world.faults.no_clicks.store(false, Relaxed);
    eventually("the click is written", || async { world.knows(&cid).await }).await;
    assert!(world.convert(&body).await.expect("accepted").status < 300);
    let lost = sale("pay_2", r#","referral_id":"ush_01m3250x19nanegfxvf1h52a60""#);
    assert!(matches!(world.convert(&lost).await, Err(Refusal::NotFound { .. })), "nothing waits any more");
}
