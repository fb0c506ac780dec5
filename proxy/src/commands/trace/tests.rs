//! Stories, whole, as a person reads them.

use super::{
    gather::{Found, Order, SeenClick, Story},
    json, story,
};
use usher_model::{
    AffiliateCode, Answer, Attempt, Click, ClickId, Job, Money, OrderBinding, Payment, PaymentRefund, Record,
    RecordId, RefundAmount, SiteName, Source, State, UnixMs, Upstream,
};

const MINUTE: i64 = 60_000;
/// 2026-11-21T03:00:00Z
const START: UnixMs = UnixMs(1_795_230_000_000);

fn site() -> SiteName {
    SiteName::new("shop").expect("a name")
}

fn money(text: &str) -> Money {
    Money::parse(text, "USD".parse().expect("a currency")).expect("money")
}

fn sale() -> Record {
    Record {
        id: "conv_1".to_owned(),
        site: site(),
        source: Some(Source::api()),
        job: Job::Conversion,
        key: Some("order-1".to_owned()),
        state: State::Delivered,
        body: r#"{"sale_amount":89.91}"#.to_owned(),
        click: Some(ClickId::new("ush_1").expect("an id")),
        needs: None,
        payment: None,
        awaits: Vec::new(),
        names: vec!["1001".to_owned(), "pi_3".to_owned()],
        paid: Some(money("89.91")),
        refund: None,
        trace: Some(r#"{"rule":"code","seen":[{"by":"code","what":"SPRING10","of":"alice"}]}"#.to_owned()),
        due_at: START,
        attempts: 11,
        log: vec![Attempt {
            at: START.plus(MINUTE),
            last: START.plus(90 * MINUTE),
            times: 11,
            said: "503 \u{1b}[2JService Unavailable".to_owned(),
        }],
        created_at: START,
        settled_at: Some(START.plus(120 * MINUTE)),
        answer: Some(Answer { status: 201, body: "{}".to_owned() }),
        upstream_id: Some("com_9".to_owned()),
        error: None,
    }
}

fn refund() -> Record {
    Record {
        id: "refund_1".to_owned(),
        source: Some(Source::new("stripe").expect("a source")),
        job: Job::Refund,
        key: Some("re_7".to_owned()),
        state: State::Dead,
        click: None,
        payment: Some("conv_1".to_owned()),
        names: Vec::new(),
        paid: None,
        refund: Some((RefundAmount::Part(money("25").amount()), None)),
        trace: None,
        log: vec![Attempt {
            at: START.plus(MINUTE),
            last: START.plus(MINUTE),
            times: 1,
            said: "404 NOT_FOUND".to_owned(),
        }],
        attempts: 1,
        answer: Some(Answer { status: 404, body: String::new() }),
        upstream_id: None,
        error: Some("404 NOT_FOUND no such conversion".to_owned()),
        ..sale()
    }
}

fn told(found: &Found) -> String {
    let mut out = Vec::new();
    story::print(found, START.plus(180 * MINUTE), &mut out).expect("written");
    String::from_utf8(out).expect("UTF-8")
}

fn one() -> Found {
    let id = |text| RecordId::new(text).expect("an id");
    let amount = RefundAmount::Part(money("25").amount());
    let payment = Payment {
        id: id("conv_1"),
        paid: money("89.91"),
        state: State::Delivered,
        upstream_id: Some("com_9".to_owned()),
        refunds: vec![PaymentRefund { id: id("refund_1"), state: State::Dead, amount, refunded: None }],
    };
    let click = Click {
        id: ClickId::new("ush_1").expect("an id"),
        site: site(),
        affiliate: AffiliateCode::new("alice").expect("a code"),
        visitor: None,
        created_at: START,
        upstream: Upstream::Known(ClickId::new("cmd1").expect("an id")),
    };
    let click = SeenClick { id: click.id.clone(), click: Some(click), delivery: None };
    let bound = OrderBinding { click: click.id.clone(), at: START, contested: false };
    let orders = vec![Order { id: "1001".to_owned(), bound }];
    let story =
        Story { record: sale(), payment: Some(payment), refunds: vec![refund()], click: Some(click), orders };
    Found { stories: vec![story], ..Found::default() }
}

#[test]
fn a_sale_with_a_refund_is_one_story() {
    let expected = "\
conv_1: a sale of 89.91 USD on site shop
  It has arrived at the platform.

  Who reported it
    the shop's servers, as \"order-1\": 2026-11-21T03:00:00Z, 3 h ago
    it also goes by 1001, pi_3

  Who is credited, and why
    the affiliate whose promo code was used
    seen, the strongest first:
      promo code SPRING10, of alice: won

  The order
    1001 was tied to the click ush_1 by a page: 2026-11-21T03:00:00Z, 3 h ago

  The click
    ush_1 of alice: 2026-11-21T03:00:00Z, 3 h ago
    the edge minted it; the platform calls it cmd1

  What was sent
    11 attempts from 2026-11-21T03:01:00Z to 2026-11-21T04:30:00Z: 503 \u{fffd}[2JService Unavailable
    delivered at 2026-11-21T05:00:00Z, answer 201, 2 h after it was reported
    the platform calls it com_9

  What went back
    of 89.91 USD went back 0, 89.91 is left
    refund_1: a refund of 25: it failed for good: 404 NOT_FOUND no such conversion
      a webhook of stripe, as \"re_7\": 2026-11-21T03:00:00Z, 3 h ago
      1 attempt at 2026-11-21T03:01:00Z: 404 NOT_FOUND
      given up at 2026-11-21T05:00:00Z, answer 404
      The platform does not have this sale, so it cannot be refunded there. If it should, have it mended there, then `usher \
      outbox retry refund_1`; if it was reported of a wrong sale, report it again of the right one; else `usher outbox \
      discard refund_1`.
";
    assert_eq!(told(&one()), expected);
}

#[test]
fn a_click_and_an_order_without_a_sale_are_told_alone() {
    let Story { click, mut orders, .. } = one().stories.remove(0);
    orders[0].bound.contested = true;
    let found = Found {
        stories: Vec::new(),
        clicks: click.into_iter().collect(),
        orders: orders.into_iter().map(|order| (site(), order)).collect(),
    };
    assert_eq!(
        told(&found),
        "\
ush_1: a click
  ush_1 of alice: 2026-11-21T03:00:00Z, 3 h ago
  the edge minted it; the platform calls it cmd1
  No sale or lead is credited to it.

Order 1001 on site shop
  1001 was tied to the click ush_1 by a page: 2026-11-21T03:00:00Z, 3 h ago; another click claimed the same order, so neither is believed
  No sale of it has been reported.
"
    );
}

#[test]
fn programs_get_the_same() {
    let mut out = Vec::new();
    json::print("pi_3", &one(), &mut out).expect("written");
    let json: serde_json::Value = serde_json::from_slice(&out).expect("one JSON object");
    assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 1, "on one line");
    let story = &json["stories"][0];
    for (path, value) in [
        ("/record/log/0/times", "11"),
        ("/record/trace/rule", "\"code\""),
        ("/record/paid/amount", "\"89.91\""),
        ("/click/click/affiliate", "\"alice\""),
        ("/click/click/upstream_id", "\"cmd1\""),
        ("/payment/left", "\"89.91\""),
        ("/refunds/0/refund/amount", "\"25\""),
        ("/refunds/0/error", "\"404 NOT_FOUND no such conversion\""),
        ("/orders/0/order", "\"1001\""),
    ] {
        assert_eq!(story.pointer(path).map(ToString::to_string).as_deref(), Some(value), "{path} in {story}");
    }
    assert!(story.pointer("/click/click/visitor").is_none() && json["asked"] == "pi_3");
}
