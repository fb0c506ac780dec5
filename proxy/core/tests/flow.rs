//! The jobs together, over the embedded store and a platform that does as it is told.

mod support;

use serde_json::{Value, json};
use support::{Mood, World, eventually, sale};
use usher_core::{Refusal, Signals, Visitor};
use usher_model::{Attribution, CodeOrClick, Site};

const ALICE: &str = r#"{"programId":"prog","trackingId":"alice"}"#;
const BOB: &str = r#"{"programId":"prog","trackingId":"bob"}"#;

#[tokio::test]
async fn a_click_gets_the_platforms_id_and_the_same_visitor_again_is_the_same_click() {
    let world = World::new(|_| {}).await;
    let first = world.track(ALICE, &world.visitor()).await;
    let cid = first.cookie.clone().expect("a cookie");
    assert!(!cid.is_minted());
    assert_eq!(first.answer["cid"], cid.as_str());
    assert_eq!(
        world.track(ALICE, &world.visitor()).await.cookie.as_ref(),
        Some(&cid),
        "by address and user agent"
    );
    let returning = world.visitor_with(&cid);
    assert_eq!(world.track(ALICE, &returning).await.cookie.as_ref(), Some(&cid), "by cookie");
    assert_eq!(world.platform.clicks(), ["alice"]);
    world.clock.pass_ms(usher_model::limits::SAME_VISITOR_MS);
    assert_ne!(
        world.track(ALICE, &world.visitor()).await.cookie,
        Some(cid),
        "an hour later, without a cookie"
    );
}

#[tokio::test]
async fn requests_at_the_same_moment_are_one_click() {
    let world = World::new(|_| {}).await;
    let visitor = world.visitor();
    let (a, b, c) = tokio::join!(
        world.track(ALICE, &visitor),
        world.track(ALICE, &visitor),
        world.track(ALICE, &visitor)
    );
    assert!(a.cookie.is_some() && a.cookie == b.cookie && b.cookie == c.cookie);
    assert_eq!(world.platform.clicks(), ["alice"]);
}

#[tokio::test]
async fn nobody_who_does_not_look_is_counted() {
    let world = World::new(|_| {}).await;
    for change in [
        (|v| v.signals.head = true) as fn(&mut usher_core::Visitor),
        |v| v.signals.prefetch = true,
        |v| {
            v.user_agent =
                "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)".to_owned();
        },
        |v| v.user_agent.clear(),
    ] {
        let mut visitor = world.visitor();
        change(&mut visitor);
        let tracked = world.track(ALICE, &visitor).await;
        assert_eq!((tracked.cookie, tracked.answer["cid"].as_str()), (None, Some("")));
    }
    assert!(world.platform.clicks().is_empty());
}

#[tokio::test]
async fn the_policy_says_which_click_counts() {
    for (attribution, expected) in [(Attribution::LastClick, "bob"), (Attribution::FirstClick, "alice")] {
        let world = World::new(|site: &mut Site| site.attribution = attribution).await;
        let cid = world.track(ALICE, &world.visitor()).await.cookie.expect("a cookie");
        let second = world.track(BOB, &world.visitor_with(&cid)).await.cookie.expect("a cookie");
        assert_eq!(second == cid, expected == "alice", "{attribution:?}");
    }
}

#[tokio::test]
async fn without_consent_nothing_is_stored_and_nobody_is_told_who_it_was() {
    let world = World::new(|_| {}).await;
    let mut visitor = world.visitor();
    visitor.signals.gpc = true;
    let tracked = world.track(ALICE, &visitor).await;
    assert!(tracked.cookie.is_none() && tracked.answer["cid"] != "");
    let call = world.platform.last_track();
    assert_eq!((call.address, call.user_agent.as_deref()), (None, None));
    assert_eq!((call.body["hasConsent"].as_bool(), call.body.get("userAgent")), (Some(false), None));
}

#[tokio::test]
async fn a_click_recorded_before_consent_is_upgraded_and_not_counted_again() {
    let world = World::new(|site: &mut Site| site.consent = usher_model::Consent::Required).await;
    let before = world.track(ALICE, &world.visitor()).await;
    assert!(before.cookie.is_none());
    let cid = before.answer["cid"].as_str().expect("an id").to_owned();
    let granted = format!(r#"{{"programId":"prog","upgradeClickId":"{cid}","hasConsent":true}}"#);
    let after = world.track(&granted, &world.visitor()).await;
    assert_eq!(after.cookie.expect("a cookie").as_str(), cid);
    assert_eq!(world.platform.last_track().body["upgradeClickId"], cid.as_str());
    assert_eq!(world.platform.clicks(), ["alice"]);
}

#[tokio::test]
async fn an_id_that_was_made_up_sets_no_cookie() {
    let world = World::new(|_| {}).await;
    for made_up in ["ush_01arz3ndektsv4rrffq69g5fav", "refused-by-platform"] {
        let body = format!(r#"{{"programId":"prog","affonsoId":"{made_up}"}}"#);
        assert_eq!(world.track(&body, &world.visitor()).await.cookie, None, "{made_up}");
    }
}

#[tokio::test]
async fn a_platform_that_is_down_or_talks_rubbish_costs_the_visitor_nothing() {
    for mood in [Mood::Down, Mood::Rubbish] {
        let world = World::new(|_| {}).await;
        world.platform.set(mood);
        let cid = world.track(ALICE, &world.visitor()).await.cookie.expect("a cookie");
        assert!(cid.is_minted());
        world.platform.set(Mood::Well);
        eventually("the click is told later", || async { world.platform.created() == ["alice"] }).await;
        assert!(world.platform.clicks().is_empty());
        eventually("its id is known", || async { world.upstream_id(&cid).await.is_some() }).await;
    }
}

#[tokio::test]
async fn a_slow_platform_is_not_waited_for_and_its_late_answer_is_the_clicks_id() {
    let world = World::new(|_| {}).await;
    world.platform.set(Mood::Slow(world.tools.policy.now().click_budget * 3));
    let cid = world.track(ALICE, &world.visitor()).await.cookie.expect("a cookie");
    assert!(cid.is_minted());
    eventually("the late answer is written", || async { world.upstream_id(&cid).await.is_some() }).await;
    assert_eq!(world.platform.clicks(), ["alice"], "one click upstream");
    assert!(world.platform.created().is_empty(), "and not told again");
}

#[tokio::test]
async fn a_platform_without_that_affiliate_means_no_cookie() {
    let world = World::new(|_| {}).await;
    world.platform.set(Mood::NoSuchAffiliate);
    let tracked = world.track(ALICE, &world.visitor()).await;
    assert_eq!((tracked.cookie, tracked.answer["cid"].as_str()), (None, Some("")));
}

#[tokio::test]
async fn a_sale_is_answered_by_the_platform_and_a_replay_with_the_same() {
    let world = World::new(|_| {}).await;
    let body = sale("pay_1", r#","referral_id":"cmd1","metadata":{"a":1}"#);
    let first = world.convert(&body).await.expect("accepted");
    assert_eq!(first.status, 201);
    assert_eq!(world.convert(&body).await.expect("a replay").status, 200);
    let reordered = r#"{"metadata":{"a":1},"referral_id":"cmd1","sale_amount_currency":"USD","sale_amount":99.90,"external_event_id":"pay_1"}"#;
    assert_eq!(world.convert(reordered).await.expect("a replay").body, first.body);
    let other = sale("pay_1", r#","referral_id":"cmd2""#);
    assert!(matches!(world.convert(&other).await, Err(Refusal::Conflict { .. })));
    let sent = world.platform.sales();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0]["referral_id"], "cmd1");
    assert_eq!(sent[0]["sale_amount"].to_string(), "99.9");
}

#[tokio::test]
async fn a_sale_of_a_minted_click_waits_for_the_platforms_id() {
    let world = World::new(|_| {}).await;
    world.platform.set(Mood::Down);
    let cid = world.track(ALICE, &world.visitor()).await.cookie.expect("a cookie");
    let queued =
        world.convert(&sale("pay_1", &format!(r#","referral_id":"{cid}""#))).await.expect("accepted");
    assert_eq!(queued.status, 202);
    world.platform.set(Mood::Well);
    eventually("the sale arrives", || async { world.platform.sales().len() == 1 }).await;
    let upstream = world.upstream_id(&cid).await.expect("known by now");
    assert_eq!(world.platform.sales()[0]["referral_id"], upstream.as_str());
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_under_the_same_key() {
    let world = World::new(|_| {}).await;
    world.platform.set(Mood::CommitsAndDrops);
    assert_eq!(
        world.convert(&sale("pay_1", r#","referral_id":"cmd1""#)).await.expect("accepted").status,
        202
    );
    world.platform.set(Mood::Well);
    eventually("it is settled", || async {
        world.core.delivery.status().await.expect("a status").waiting == 0
    })
    .await;
    let sales = world.platform.sales();
    assert!(sales.len() >= 2 && sales.iter().all(|sale| sale == &sales[0]), "{sales:?}");
}

#[tokio::test]
async fn a_refused_key_rests_the_site_and_is_shown() {
    let world = World::new(|_| {}).await;
    world.platform.set(Mood::KeyRefused);
    assert_eq!(
        world.convert(&sale("pay_1", r#","referral_id":"cmd1""#)).await.expect("accepted").status,
        202
    );
    let status = world.core.delivery.status().await.expect("a status");
    assert_eq!((status.waiting, status.paused.len()), (1, 1));
    world.platform.set(Mood::Well);
    world.pass_ms(2 * usher_model::limits::PAUSE_MS).await;
    eventually("it arrives", || async { world.platform.sales().len() == 1 }).await;
    eventually("and is well again", || async {
        world.core.delivery.status().await.expect("a status").paused.is_empty()
    })
    .await;
}

#[tokio::test]
async fn what_the_platform_will_never_take_is_kept_for_a_person() {
    let world = World::new(|_| {}).await;
    world.platform.set(Mood::Refuses);
    let answer = world.convert(&sale("pay_1", r#","referral_id":"cmd1""#)).await.expect("written");
    assert_eq!(answer.status, 422, "the platform's own words");
    assert_eq!(world.core.delivery.status().await.expect("a status").dead, 1);
}

#[tokio::test]
async fn a_promo_code_alone_mints_one_click_of_its_affiliate() {
    let world = World::new(|_| {}).await;
    world.put_code("SPRING", r#"{"affiliate":"alice"}"#).await;
    let answer = world.convert(&sale("pay_1", r#","promo_code":" spring ""#)).await.expect("accepted");
    assert_eq!(answer.status, 201);
    assert_eq!(world.platform.created(), ["alice"]);
    assert_eq!(
        world.convert(&sale("pay_1", r#","promo_code":" spring ""#)).await.expect("a replay").status,
        200
    );
    assert_eq!(world.platform.created(), ["alice"], "a replay mints nothing");
    assert!(matches!(
        world.convert(&sale("pay_2", r#","promo_code":"nobodys""#)).await,
        Err(Refusal::NotFound { .. })
    ));
}

#[tokio::test]
async fn a_click_and_a_code_of_one_affiliate_are_one_click() {
    let world = World::new(|_| {}).await;
    world.put_code("SPRING", r#"{"affiliate":"alice"}"#).await;
    let applied = world.resolve("spring", &world.visitor()).await.expect("known");
    let cid = applied.cookie.expect("a cookie");
    assert_eq!(
        world.track(ALICE, &world.visitor()).await.cookie.as_ref(),
        Some(&cid),
        "and through their link"
    );
    eventually("it is written", || async { world.knows(&cid).await }).await;
    let body = sale("pay_1", &format!(r#","referral_id":"{cid}","promo_code":"SPRING""#));
    assert_eq!(world.convert(&body).await.expect("accepted").status, 201);
    assert_eq!((world.platform.clicks().len(), world.platform.created().len()), (1, 0));
}

#[tokio::test]
async fn an_applied_code_offers_its_own_discount_and_its_affiliates_coupons() {
    let alices = json!({"discount": {"amount": 5}, "affiliateCoupons": [{"code": "A5"}]});
    let rubbish = json!("rubbish");
    let own = json!({"amount": 20, "type": "percentage"});
    for (platform, code, wanted) in [
        (&alices, r#"{"affiliate":"alice"}"#, alices.clone()),
        (
            &alices,
            r#"{"affiliate":"alice","discount":{"amount":20,"type":"percentage"}}"#,
            json!({"discount": own, "affiliateCoupons": [{"code": "A5"}]}),
        ),
        (
            &rubbish,
            r#"{"affiliate":"alice","discount":{"amount":20,"type":"percentage"}}"#,
            json!({"discount": own, "affiliateCoupons": []}),
        ),
    ] {
        let world = World::new(|_| {}).await;
        world.platform.offer(platform.clone());
        world.put_code("SPRING", code).await;
        let applied = world.resolve("spring", &world.visitor()).await.expect("known");
        assert_eq!(applied.answer["data"], wanted);
        let kept: Option<Value> =
            applied.data.as_deref().map(|data| serde_json::from_str(data).expect("JSON"));
        assert_eq!(kept, Some(wanted));
        let opted_out = Visitor { signals: Signals { gpc: true, ..Signals::default() }, ..world.visitor() };
        let asked = world.resolve("spring", &opted_out).await.expect("known");
        assert_eq!((asked.answer.get("data"), asked.data), (None, None), "there is no click");
    }
    let world = World::new(|_| {}).await;
    world.put_code("PLAIN", r#"{"affiliate":"alice"}"#).await;
    let applied = world.resolve("plain", &world.visitor()).await.expect("known");
    assert_eq!(applied.answer["data"], json!({"discount": null, "affiliateCoupons": []}));
    assert_eq!(applied.data, None, "there is nothing to keep");
}

#[tokio::test]
async fn the_policy_says_whether_code_or_click_wins_an_order() {
    for (policy, expected) in [(CodeOrClick::Code, 1), (CodeOrClick::Click, 0)] {
        let world = World::new(|site: &mut Site| site.code_or_click = policy).await;
        world.put_code("BOBS", r#"{"affiliate":"bob"}"#).await;
        let cid = world.track(ALICE, &world.visitor()).await.cookie.expect("a cookie");
        eventually("it is written", || async { world.knows(&cid).await }).await;
        let body = sale("pay_1", &format!(r#","referral_id":"{cid}","promo_code":"BOBS""#));
        world.convert(&body).await.expect("accepted");
        assert_eq!(world.platform.created().len(), expected, "{policy:?}");
    }
}

#[tokio::test]
async fn a_codes_last_use_goes_to_one_order_only() {
    let world = World::new(|_| {}).await;
    world.put_code("ONCE", r#"{"affiliate":"alice","max_uses":1}"#).await;
    let orders: Vec<_> = (0..8).map(|n| sale(&format!("pay_{n}"), r#","promo_code":"ONCE""#)).collect();
    let mut answers = Vec::new();
    for order in &orders {
        answers.push(world.convert(order).await.is_ok());
    }
    assert_eq!(answers.iter().filter(|accepted| **accepted).count(), 1);
    assert_eq!(world.platform.sales().len(), 1);
}

#[tokio::test]
async fn a_customer_seen_before_needs_no_referral() {
    let world = World::new(|_| {}).await;
    let first = sale("pay_1", r#","referral_id":"cmd1","customer_id":"cus_1""#);
    world.convert(&first).await.expect("accepted");
    world.convert(&sale("pay_2", r#","customer_id":"cus_1""#)).await.expect("accepted");
    world.convert(&sale("pay_3", r#","customer_id":"stranger""#)).await.expect("the platform may know them");
    let sales = world.platform.sales();
    assert_eq!((&sales[1]["referral_id"], &sales[1]["customer_id"]), (&"cmd1".into(), &"cus_1".into()));
    assert!(sales[2].get("referral_id").is_none());
    let other = sale("pay_4", r#","referral_id":"cmd9","customer_id":"cus_1""#);
    world.convert(&other).await.expect("accepted");
    assert!(world.platform.sales()[3].get("customer_id").is_none(), "conflicting identifiers are not sent");
}

#[tokio::test]
async fn guessing_codes_ends_and_right_ones_are_not_told_apart_then() {
    let world = World::new(|_| {}).await;
    world.put_code("SPRING", r#"{"affiliate":"alice","expires_at":"2000-01-01"}"#).await;
    let expired = world.resolve("spring", &world.visitor()).await.expect("known");
    assert_eq!((&expired.answer["valid"], &expired.answer["reason"]), (&false.into(), &"expired".into()));
    assert_eq!(expired.cookie, None);
    for n in 0..usher_model::limits::CODE_MISSES_PER_ADDRESS {
        let guess = world.resolve(&format!("guess{n}"), &world.visitor()).await;
        assert!(matches!(guess, Err(Refusal::NotFound { .. })));
    }
    for code in ["guess", "spring"] {
        assert!(
            matches!(world.resolve(code, &world.visitor()).await, Err(Refusal::TooMany { .. })),
            "{code}"
        );
    }
}

#[tokio::test]
async fn a_lead_reaches_the_platform_once() {
    let world = World::new(|_| {}).await;
    let visitor = world.visitor_with(&"cmd1".try_into_id());
    let body = br#"{"email":"kim@example.org","name":"Kim"}"#;
    assert_eq!(
        world.core.conversions.signup(&world.site, body, &visitor).await.expect("accepted").status,
        201
    );
    assert_eq!(
        world.core.conversions.signup(&world.site, body, &visitor).await.expect("a replay").status,
        200
    );
    assert_eq!(world.platform.leads(), ["cmd1"]);
}

trait TryIntoId {
    fn try_into_id(self) -> usher_model::ClickId;
}

impl TryIntoId for &str {
    fn try_into_id(self) -> usher_model::ClickId {
        usher_model::ClickId::new(self).expect("an id")
    }
}
