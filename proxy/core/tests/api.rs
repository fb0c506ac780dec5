//! What servers say beside sales: refunds, events, Segment's calls, leads and clicks; and what pages bind.

mod support;

use serde_json::Value;
use support::{Mood, World, eventually, sale};
use usher_core::Refusal;
use usher_model::{Answer, ClickId, Clock, Delivery, Job, Record, Settlement, State, limits};

fn data(answer: &Answer) -> Value {
    serde_json::from_str::<Value>(&answer.body).expect("JSON")["data"].clone()
}

fn refused(outcome: Result<Answer, Refusal>) -> (Option<&'static str>, String) {
    match outcome {
        Err(Refusal::Invalid { field, message } | Refusal::NotFound { field, message }) => (field, message),
        other => panic!("{other:?}"),
    }
}

/// A sale of 99.90 USD that was delivered: our id of it.
async fn sold(world: &World, key: &str) -> String {
    let answer = world.convert(&sale(key, r#","referral_id":"cmd1""#)).await.expect("accepted");
    assert_eq!(answer.status, 201);
    world.record(key).await.id
}

#[tokio::test]
async fn a_refund_goes_to_the_platforms_conversion_and_never_beyond_what_is_left() {
    let world = World::new(|_| {}).await;
    let id = sold(&world, "pay_1").await;
    let upstream = world.record("pay_1").await.upstream_id.expect("delivered");
    let part = world.refund(&id, r#"{"amount":"40.5","externalEventId":"re_1"}"#, None).await;
    assert_eq!(part.expect("accepted").status, 201);
    let (field, message) = refused(world.refund(&id, r#"{"amount":59.41}"#, None).await);
    assert_eq!((field, message.contains("59.4 USD")), (Some("amount"), true), "{message}");
    let (field, _) = refused(world.refund(&id, r#"{"currency":"EUR"}"#, None).await);
    assert_eq!(field, Some("currency"));
    // By the platform's name for it, and all that is left.
    world.refund(&upstream, "", None).await.expect("accepted");
    assert_eq!(world.refund(&id, "", None).await.expect("a replay").status, 200, "there is one full refund");
    assert_eq!(world.refund(&upstream, "{}", None).await.expect("a replay").status, 200);
    let (field, message) = refused(world.refund(&id, r#"{"amount":0.01}"#, None).await);
    assert_eq!((field, message.contains("nothing is left")), (Some("amount"), true), "{message}");
    let refunds = world.platform.refunds();
    assert!(refunds.iter().all(|(of, _)| *of == upstream));
    let said: Vec<_> =
        refunds.iter().map(|(_, body)| (body["amount"].to_string(), &body["external_event_id"])).collect();
    let full = Value::from(format!("refund:{id}"));
    assert_eq!(said, [("40.5".to_owned(), &"re_1".into()), ("null".to_owned(), &full)]);
}

#[tokio::test]
async fn the_same_refund_again_is_the_same_and_another_under_its_key_is_a_conflict() {
    let world = World::new(|_| {}).await;
    let id = sold(&world, "pay_1").await;
    let refund = |body: &'static str, key: Option<&'static str>| world.refund(&id, body, key);
    let first = refund(r#"{"amount":10}"#, Some("try-1")).await.expect("accepted");
    let again = refund(r#"{"amount":"10.00"}"#, Some("try-1")).await.expect("a replay");
    assert_eq!((first.status, again.status, first.body == again.body), (201, 200, true));
    assert!(matches!(refund(r#"{"amount":11}"#, Some("try-1")).await, Err(Refusal::Conflict { .. })));
    refund(r#"{"amount":10}"#, None).await.expect("without a key each is a refund");
    refund(r#"{"amount":10}"#, None).await.expect("accepted");
    refund(r#"{"amount":10,"external_event_id":"re_1"}"#, Some("try-1")).await.expect("the body's id counts");
    let keys: std::collections::BTreeSet<_> =
        world.platform.refunds().iter().map(|(_, body)| body["external_event_id"].to_string()).collect();
    assert_eq!(keys.len(), 4, "each is one upstream: {keys:?}");
}

#[tokio::test]
async fn a_refund_waits_for_its_sale_and_is_answered_at_once() {
    let world = World::new(|_| {}).await;
    world.platform.set(Mood::Down);
    let queued = world.convert(&sale("pay_1", r#","referral_id":"cmd1""#)).await.expect("accepted");
    let id = data(&queued)["id"].as_str().expect("an id").to_owned();
    let begun = tokio::time::Instant::now();
    let answer = world.refund(&id, r#"{"amount":9.9}"#, Some("k")).await.expect("accepted");
    assert!(begun.elapsed().as_millis() < u128::from(limits::UPSTREAM_WAIT_MS), "nobody waits for nothing");
    let told = data(&answer);
    assert_eq!(
        (answer.status, &told["status"], &told["conversion_id"]),
        (202, &"queued".into(), &id.as_str().into())
    );
    let (_, message) = refused(world.refund(&id, r#"{"amount":90.01}"#, None).await);
    assert!(message.contains("90 USD"), "what waits is promised: {message}");
    world.platform.set(Mood::Well);
    eventually("it goes back", || async { world.platform.refunds().len() == 1 }).await;
    assert_eq!(world.platform.sales().len(), 1);
}

#[tokio::test]
async fn refunds_of_what_is_not_there_are_told_apart() {
    let world = World::new(|_| {}).await;
    for unknown in ["conv_01arz3ndektsv4rrffq69g5fav", "lead_01arz3ndektsv4rrffq69g5fav", "", "a\u{7}"] {
        assert!(
            matches!(world.refund(unknown, "", None).await, Err(Refusal::NotFound { .. })),
            "{unknown:?}"
        );
    }
    let theirs = world.refund("com/elsewhere", r#"{"amount":5,"currency":"eur"}"#, None).await;
    assert_eq!(theirs.expect("the platform may know it").status, 201);
    let (of, body) = world.platform.refunds().remove(0);
    assert_eq!(
        (of.as_str(), body["amount"].to_string(), &body["currency"]),
        ("com/elsewhere", "5".to_owned(), &"EUR".into())
    );
}

#[tokio::test]
async fn a_sale_is_found_by_the_platforms_id_also_when_that_looks_like_ours() {
    let world = World::new(|_| {}).await;
    world.platform.set(Mood::Down);
    world.convert(&sale("pay_1", r#","referral_id":"cmd1""#)).await.expect("accepted");
    let Record { id, site, job, body, created_at, .. } = world.record("pay_1").await;
    let theirs = "conv_01arz3ndektsv4rrffq69g5fav";
    let (needs, refund, attempts, log) = (None, None, 0, Vec::new());
    let delivery = Delivery { id, site, job, body, needs, refund, attempts, log, created_at };
    let answer = Answer { status: 201, body: "{}".to_owned() };
    let delivered = Settlement::Delivered { answer, upstream_id: Some(theirs.to_owned()), refunded: None };
    world.tools.store.settle(&delivery, delivered, created_at).await.expect("settled");
    world.platform.set(Mood::Well);
    world.refund(theirs, "", None).await.expect("accepted");
    eventually("it goes back", || async { world.platform.refunds().len() == 1 }).await;
    assert_eq!(world.platform.refunds()[0].0, theirs);
}

#[tokio::test]
async fn a_sale_that_nobody_was_credited_with_has_nothing_to_take_back() {
    let world = World::new(|_| {}).await;
    world.platform.set(Mood::KnowsNobody);
    let stranger = sale("pay_1", r#","customer_id":"cus_1""#);
    assert_eq!(world.convert(&stranger).await.expect("written").status, 404, "the platform's word");
    let record = world.record("pay_1").await;
    assert_eq!(record.state, State::Closed, "and nobody has to look");
    world.platform.set(Mood::Well);
    let refund = world.refund(&record.id, "", None).await;
    assert!(
        matches!(&refund, Err(Refusal::NotFound { message, .. }) if message.contains("credited")),
        "{refund:?}"
    );
    assert_eq!(world.convert(&stranger).await.expect("a replay").status, 404);
}

#[tokio::test]
async fn a_sale_that_came_to_nothing_is_taken_corrected_and_then_it_is_the_one() {
    let world = World::new(|_| {}).await;
    let wrong = |number: u8| sale("pay_1", &format!(r#","referral_id":"wrong{number}""#));
    let right = sale("pay_1", r#","referral_id":"cmd1""#);
    // Nobody's, then somebody's that the platform does not know, then the right one's.
    world.platform.set(Mood::KnowsNobody);
    let stranger = sale("pay_1", r#","customer_id":"cus_1""#);
    assert_eq!(world.convert(&stranger).await.expect("written").status, 404);
    world.platform.set(Mood::Refuses);
    assert_eq!(world.convert(&wrong(1)).await.expect("written").status, 422);
    assert_eq!(world.record("pay_1#2").await.state, State::Dead);
    world.platform.set(Mood::Well);
    assert_eq!(world.convert(&right).await.expect("accepted").status, 201);
    assert_eq!(world.record("pay_1#2").await.state, State::Closed, "nobody shall send it again");
    let sold = world.platform.sales();
    assert_eq!((sold.len(), &sold[0]["external_event_id"]), (1, &"pay_1".into()));

    assert_eq!(world.convert(&right).await.expect("a replay").status, 200);
    assert_eq!(world.convert(&wrong(1)).await.expect("a replay").status, 422, "as it was then");
    assert!(matches!(world.convert(&wrong(2)).await, Err(Refusal::Conflict { .. })), "it counts");
    // By the id that the shop gave it.
    assert_eq!(world.refund("pay_1", r#"{"amount":10}"#, None).await.expect("accepted").status, 201);
    assert_eq!(world.platform.refunds()[0].0, world.record("pay_1#3").await.upstream_id.expect("delivered"));
}

#[tokio::test]
async fn a_sale_whose_refund_waits_is_not_replaced() {
    let world = World::new(|_| {}).await;
    world.platform.set(Mood::Refuses);
    let sold = |referral: &str| sale("pay_1", &format!(r#","referral_id":"{referral}""#));
    world.convert(&sold("wrong")).await.expect("written");
    let id = world.record("pay_1").await.id;
    assert_eq!(world.refund(&id, r#"{"amount":10}"#, None).await.expect("written").status, 202);
    assert!(matches!(world.convert(&sold("cmd1")).await, Err(Refusal::Conflict { .. })));
    assert_eq!(world.record("pay_1").await.state, State::Dead);
}

#[tokio::test]
async fn a_refund_that_was_refused_is_taken_again_for_the_right_sale() {
    let world = World::new(|_| {}).await;
    let id = sold(&world, "pay_1").await;
    world.platform.set(Mood::KnowsNobody);
    let body = r#"{"amount":10,"external_event_id":"re_1"}"#;
    assert_eq!(world.refund("com_typo", body, None).await.expect("written").status, 404);
    world.platform.set(Mood::Well);
    assert_eq!(world.refund(&id, body, None).await.expect("accepted").status, 201);
    assert_eq!(world.refund(&id, body, None).await.expect("a replay").status, 200);
    let refunds = world.platform.refunds();
    assert_eq!((refunds.len(), &refunds[0].1["external_event_id"]), (1, &"re_1".into()));
}

#[tokio::test]
async fn an_event_is_credited_like_a_sale_and_its_money_can_go_back() {
    let world = World::new(|_| {}).await;
    world.platform.set(Mood::Down);
    let cid = world
        .track(r#"{"programId":"prog","trackingId":"alice"}"#, &world.visitor())
        .await
        .cookie
        .expect("a cookie");
    assert!(cid.is_minted());
    world.platform.set(Mood::Well);
    let lead =
        format!(r#"{{"eventName":"Demo","event_type":"lead","clickId":"{cid}","externalUserId":"u1"}}"#);
    world.event(&lead).await.expect("accepted");
    let paid = r#"{"event_name":"Paid","event_type":"conversion","external_event_id":"e1","sale_amount":10,"sale_amount_currency":"EUR","external_user_id":"u1"}"#;
    world.event(paid).await.expect("accepted");
    eventually("both arrive", || async { world.platform.events().len() == 2 }).await;
    let upstream = world.upstream_id(&cid).await.expect("known by now");
    for event in world.platform.events() {
        assert_eq!(event["referral_id"], upstream.as_str(), "the edge's id is resolved: {event}");
        assert!(event["external_event_id"].is_string(), "trying again is no second one: {event}");
    }
    let id = world.record("e1").await.id;
    eventually("it is known there", || async { world.record("e1").await.state == State::Delivered }).await;
    assert_eq!(world.refund(&id, "", None).await.expect("accepted").status, 201);
    assert_eq!(world.event(paid).await.expect("a replay").status, 200);
    let again = paid.replace("10,", "11,");
    assert!(matches!(world.event(&again).await, Err(Refusal::Conflict { .. })));
}

#[tokio::test]
async fn one_payment_is_not_reported_as_a_sale_and_as_an_event() {
    let world = World::new(|_| {}).await;
    sold(&world, "pay_1").await;
    let event = sale("pay_1", r#","referral_id":"cmd1","event_name":"Paid","event_type":"conversion""#);
    assert!(matches!(world.event(&event).await, Err(Refusal::Conflict { .. })));
    assert!(world.platform.events().is_empty());
    let event = event.replace("pay_1", "pay_2");
    assert_eq!(world.event(&event).await.expect("accepted").status, 201);
    let sale = world.convert(&sale("pay_2", r#","referral_id":"cmd1""#)).await;
    assert!(matches!(sale, Err(Refusal::Conflict { .. })), "nor the other way round: {sale:?}");
    assert_eq!(world.platform.sales().len(), 1);
}

fn track(message: &str, event: &str, properties: &str) -> String {
    format!(
        r#"{{"type":"track","messageId":"{message}","event":"{event}","userId":"u1","properties":{{"revenue":39.5,"currency":"usd"{properties}}},"context":{{}}}}"#
    )
}

#[tokio::test]
async fn what_segment_says_goes_through_untouched_unless_a_click_is_credited() {
    let world = World::new(|_| {}).await;
    world.put_code("SPRING", r#"{"affiliate":"alice"}"#).await;
    let stranger = track("m1", "Order Completed", "");
    assert_eq!(world.segment(&stranger).await.expect("accepted").status, 201);
    assert_eq!(world.platform.segments(), [serde_json::from_str::<Value>(&stranger).expect("JSON")]);
    let with_code = track("m2", "Order Completed", r#","coupon":"spring","order_id":"o1""#);
    assert_eq!(world.segment(&with_code).await.expect("accepted").status, 201);
    let with_click = track("m3", "demo_booked", r#","affonso_referral":"cmd1""#);
    assert_eq!(world.segment(&with_click).await.expect("accepted").status, 201);
    let made_up = track("m4", "purchase", r#","affonso_referral":"ush_01arz3ndektsv4rrffq69g5fav""#);
    let made_up = made_up.replace("u1", "u9");
    assert_eq!(world.segment(&made_up).await.expect("the platform may know the user").status, 201);
    assert_eq!((world.platform.segments().len(), world.platform.created()), (1, vec!["alice".to_owned()]));
    assert!(world.platform.sales()[1].get("referral_id").is_none(), "an id of nobody's is not passed on");
    let sale = &world.platform.sales()[0];
    assert_eq!((&sale["external_event_id"], &sale["customer_id"]), (&"m2".into(), &"u1".into()));
    assert_eq!(
        (sale["sale_amount"].to_string(), &sale["metadata"]["order_id"]),
        ("39.5".to_owned(), &"o1".into())
    );
    let event = &world.platform.events()[0];
    assert_eq!((&event["event_type"], &event["referral_id"]), (&"lead".into(), &"cmd1".into()));
}

#[tokio::test]
async fn a_message_of_segment_is_one_whatever_was_learned_meanwhile() {
    let world = World::new(|_| {}).await;
    let order = track("m1", "Order Completed", r#","promo_code":"LATE""#);
    world.segment(&order).await.expect("accepted");
    // The code becomes an affiliate's: the same message would be told in the other form now.
    world.put_code("LATE", r#"{"affiliate":"alice"}"#).await;
    assert_eq!(world.segment(&order).await.expect("a replay").status, 200);
    assert_eq!((world.platform.segments().len(), world.platform.sales().len()), (1, 0));
    let other = track("m1", "Order Completed", r#","promo_code":"OTHER""#);
    assert!(matches!(world.segment(&other).await, Err(Refusal::Conflict { .. })));
    let record = world.record("m1").await;
    assert_eq!((record.job, record.paid.expect("money").to_string()), (Job::Segment, "39.5 USD".to_owned()));
}

#[tokio::test]
async fn a_server_reports_a_lead_once() {
    let world = World::new(|_| {}).await;
    let lead = r#"{"click_id":"cmd1","email":"kim@example.org","custom":{"a":1.0}}"#;
    assert_eq!(world.lead(lead).await.expect("accepted").status, 201);
    assert_eq!(world.lead(lead).await.expect("a replay").status, 200);
    assert_eq!(world.platform.leads(), ["cmd1"]);
    let unknown = r#"{"click_id":"ush_01arz3ndektsv4rrffq69g5fav","email":"kim@example.org"}"#;
    assert_eq!(refused(world.lead(unknown).await).0, Some("click_id"));
}

const CLICK: &str =
    r#"{"programId":"prog","trackingId":"alice","ip":"192.0.2.7","userAgent":"UA","sub1":"s"}"#;

#[tokio::test]
async fn a_click_that_a_server_reports_is_on_disk_and_told_once() {
    let world = World::new(|_| {}).await;
    let answer = world.click(CLICK, None).await.expect("accepted");
    assert_eq!(answer.status, 201);
    let id = ClickId::new(data(&answer)["id"].as_str().expect("an id")).expect("a click id");
    assert!(!id.is_minted(), "the platform's own");
    let again = world.click(CLICK, None).await.expect("the same visitor");
    assert_eq!((again.status, &data(&again)["id"]), (200, &id.as_str().into()));
    assert_eq!(world.platform.created(), ["alice"]);
    // Whose it is is known by the id that the caller was given: a code of the same affiliate mints nothing.
    world.put_code("SPRING", r#"{"affiliate":"alice"}"#).await;
    let body = sale("pay_1", &format!(r#","referral_id":"{id}","promo_code":"SPRING""#));
    world.convert(&body).await.expect("accepted");
    assert_eq!(world.platform.created().len(), 1);
    world.clock.pass_ms(limits::SAME_VISITOR_MS);
    assert_eq!(world.click(CLICK, None).await.expect("a new one").status, 201);
}

#[tokio::test]
async fn clicks_are_the_same_by_their_key_and_else_their_own() {
    let world = World::new(|_| {}).await;
    let plain = r#"{"programId":"prog","trackingId":"alice"}"#;
    world.click(plain, None).await.expect("accepted");
    world.click(plain, None).await.expect("different visitors may look alike");
    assert_eq!(world.platform.created().len(), 2);
    let first = world.click(plain, Some("k1")).await.expect("accepted");
    let again = world.click(plain, Some("k1")).await.expect("a replay");
    assert_eq!((again.status, &data(&again)["id"]), (200, &data(&first)["id"]));
    world.click(CLICK, Some("k2")).await.expect("accepted");
    world.click(CLICK, Some("k3")).await.expect("another key, another click");
    assert_eq!(world.platform.created().len(), 5);
    let other = plain.replace("alice", "bob");
    assert!(matches!(world.click(&other, Some("k1")).await, Err(Refusal::Conflict { .. })));
    assert_eq!(refused(world.click(&plain.replace("prog", "other"), None).await).0, Some("programId"));
    let (a, b, c) = tokio::join!(
        world.click(plain, Some("k4")),
        world.click(plain, Some("k4")),
        world.click(plain, Some("k4"))
    );
    assert!(a.is_ok() && b.is_ok() && c.is_ok());
    assert_eq!(world.platform.created().len(), 6, "at the same moment as well");
}

#[tokio::test]
async fn a_click_that_is_reported_late_is_the_same_again_by_when_it_happened() {
    let world = World::new(|_| {}).await;
    let at = |ago_ms: i64| {
        let at = world.clock.now().plus(-ago_ms).rfc3339();
        CLICK.replace("\"sub1\"", &format!(r#""createdAt":"{at}","sub1""#))
    };
    let yesterday = at(2 * limits::CLICK_KEY_MS);
    for key in [None, Some("k1")] {
        let first = world.click(&yesterday, key).await.expect("accepted");
        let again = world.click(&yesterday, key).await.expect("a replay");
        assert_eq!(
            (first.status, again.status, &data(&again)["id"]),
            (201, 200, &data(&first)["id"]),
            "{key:?}"
        );
    }
    assert_eq!(world.click(CLICK, None).await.expect("a later one").status, 201);
    assert_eq!(world.platform.created().len(), 3);
}

#[tokio::test]
async fn a_click_that_the_platform_does_not_take_at_once_is_told_later_without_an_address() {
    let world = World::new(|_| {}).await;
    world.platform.set(Mood::Down);
    let answer = world.click(CLICK, None).await.expect("accepted");
    let told = data(&answer);
    assert_eq!(
        (answer.status, &told["status"], &told["tracking_id"]),
        (202, &"queued".into(), &"alice".into())
    );
    let id = ClickId::new(told["id"].as_str().expect("an id")).expect("a click id");
    assert!(id.is_minted());
    let body = world.record(id.as_str()).await.body;
    assert!(
        !body.contains("192.0.2.7") && body.contains("\"sub1\":\"s\""),
        "addresses stay off the disk: {body}"
    );
    let sold = world.convert(&sale("pay_1", &format!(r#","referral_id":"{id}""#))).await;
    assert_eq!(sold.expect("it is as good as any").status, 202);
    world.platform.set(Mood::Well);
    eventually("the sale arrives", || async { world.platform.sales().len() == 1 }).await;
    assert_eq!(world.platform.created(), ["alice"]);
    let upstream = world.upstream_id(&id).await.expect("known");
    assert_eq!(world.platform.sales()[0]["referral_id"], upstream.as_str());
    let again = world.click(CLICK, None).await.expect("the same visitor");
    assert_eq!((again.status, &data(&again)["id"]), (200, &upstream.as_str().into()));
}

#[tokio::test]
async fn while_the_platform_rests_a_click_is_taken_at_once_and_told_when_it_may_be() {
    let world = World::new(|_| {}).await;
    world.platform.set(Mood::TooMany(5_000));
    world.convert(&sale("pay_1", r#","referral_id":"cmd1""#)).await.expect("accepted");
    let (begun, asked) = (tokio::time::Instant::now(), world.platform.asked());
    assert_eq!(world.click(CLICK, None).await.expect("accepted").status, 202);
    assert!(begun.elapsed().as_millis() < u128::from(limits::UPSTREAM_WAIT_MS));
    assert_eq!(world.platform.asked(), asked);
    world.platform.set(Mood::Well);
    world.pass_ms(20_000).await;
    eventually("it is told", || async { world.platform.created() == ["alice"] }).await;
}

#[tokio::test]
async fn binding_an_order_takes_a_click_that_there_is() {
    let world = World::new(|_| {}).await;
    let click = |id: &str| ClickId::new(id).expect("an id");
    let visitor = world.visitor_with(&click("cmd1"));
    world.bind("o1", &visitor).await.expect("bound");
    world.bind("o1", &visitor).await.expect("again");
    assert!(matches!(
        world.bind("o2", &world.visitor()).await,
        Err(Refusal::Invalid { field: Some("click_id"), .. })
    ));
    let made_up = world.visitor_with(&click("ush_01arz3ndektsv4rrffq69g5fav"));
    assert!(matches!(world.bind("o2", &made_up).await, Err(Refusal::NotFound { .. })));
    for order in 1..limits::ORDERS_PER_CLICK {
        world.bind(&format!("p{order}"), &visitor).await.expect("bound");
    }
    assert!(matches!(world.bind("one too many", &visitor).await, Err(Refusal::Invalid { .. })));
}
