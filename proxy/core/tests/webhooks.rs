//! What payment providers say, over the real embedded store: one payment, whatever comes twice, late, early or out of order.

mod support;

use rust_decimal::Decimal;
use serde_json::{Value, json};
use std::time::Duration;
use support::{Mood, World, eventually};
use usher_core::{Certificates, FetchError, Keyring, Refusal, conversions::Heard};
use usher_model::{Payment, PaymentRef, Record, Secret, Site, Source, State};
use usher_providers::{
    Credential, Ignored, Kind, Request, TestMode, Webhook,
    custom::{Amount, BackPayment, Condition, Custom, Payment as Described, Scheme},
};

struct NoCertificates;

#[async_trait::async_trait]
impl Certificates for NoCertificates {
    async fn fetch(&self, _: &str, _: Duration) -> Result<String, FetchError> {
        Err(FetchError("there is no network".to_owned()))
    }
}

/// A provider that tells everything plainly. `totals` says that refunds name all that ever went back.
fn webhook(totals: bool) -> Webhook {
    let path = |path: &str| path.to_owned();
    let when = |kind: &str| vec![Condition { path: path("type"), one_of: vec![kind.to_owned()] }];
    let amount =
        || Amount { path: path("amount"), is_minor: false, currency: Some(path("currency")), always: None };
    Webhook {
        name: Source::new("psp").expect("a name"),
        kind: Kind::Custom(Box::new(Custom {
            scheme: Scheme::Token { header: path("x-token"), prefix: String::new() },
            test: vec![Condition { path: path("test"), one_of: vec![path("true")] }],
            event: Some(path("type")),
            payment: Some(Described {
                when: when("paid"),
                id: path("id"),
                other_ids: vec![path("charge")],
                amount: amount(),
                referral: vec![path("referral")],
                customer: vec![path("customer")],
                promo_code: vec![path("promo")],
                order: vec![path("order")],
                subscription: vec![path("plan")],
            }),
            refund: Some(BackPayment {
                when: when("refunded"),
                id: path("id"),
                payment: path("payment"),
                amount: Some(amount()),
                is_total: totals,
            }),
        })),
        credentials: vec![Credential::Text(Secret::new("secret"))],
        test_mode: TestMode::Forward,
    }
}

struct Shop {
    world: World,
    webhook: Webhook,
    keyring: Keyring,
}

impl Shop {
    async fn open(change: impl FnOnce(&mut Site)) -> Self {
        let world = World::new(change).await;
        Self { world, webhook: webhook(false), keyring: Keyring::new(NoCertificates) }
    }

    async fn tell(&self, event: &Value) -> Result<Heard, Refusal> {
        let body = event.to_string();
        let headers: [(&str, &[u8]); 1] = [("x-token", b"secret")];
        let request =
            Request { method: "POST", url: "/r/hooks/psp", headers: &headers, body: body.as_bytes() };
        self.world.core.conversions.hear(&self.world.site, &self.webhook, &request, &self.keyring).await
    }

    async fn taken(&self, event: &Value) {
        assert_eq!(self.tell(event).await.expect("written"), Heard::Taken, "{event}");
    }

    async fn payment(&self, name: &str) -> Payment {
        let of = PaymentRef::Named(vec![name.to_owned()]);
        let (store, site) = (&self.world.tools.store, &self.world.site.name);
        store.payment(site, &self.webhook.name, &of).await.expect("read").expect("a payment")
    }

    async fn records(&self, name: &str) -> Vec<Record> {
        self.world.tools.store.find(&self.world.site.name, name).await.expect("read")
    }

    /// Waits until nothing is on its way.
    async fn quiet(&self) {
        eventually("the outbox is empty", || async {
            self.world.tools.store.backlog().await.expect("read").waiting == 0
        })
        .await;
    }
}

#[allow(clippy::needless_pass_by_value, reason = "json! makes values")]
fn paid(id: &str, more: Value) -> Value {
    merged(
        json!({"type": "paid", "id": id, "charge": format!("ch_{id}"), "amount": "100.00", "currency": "EUR"}),
        &more,
    )
}

fn refunded(id: &str, payment: &str, amount: &str) -> Value {
    json!({"type": "refunded", "id": id, "payment": payment, "amount": amount, "currency": "EUR"})
}

fn merged(mut event: Value, more: &Value) -> Value {
    for (name, value) in more.as_object().into_iter().flatten() {
        event[name] = value.clone();
    }
    event
}

fn euros(cents: i64) -> Decimal {
    Decimal::new(cents, 2)
}

#[tokio::test]
async fn any_order_of_a_payments_events_ends_in_the_same_ledger() {
    let pay = || paid("pay_1", json!({"referral": "cmd1"}));
    let part = || refunded("re_1", "ch_pay_1", "30.00");
    let rest = || refunded("re_2", "pay_1", "70.00");
    for (case, events) in [
        ("in order", vec![pay(), part(), rest()]),
        ("everything twice", vec![pay(), pay(), part(), part(), rest(), rest()]),
        ("a refund first", vec![part(), pay(), rest()]),
        ("both refunds first", vec![rest(), part(), pay()]),
        ("a repeat at the end", vec![pay(), rest(), part(), pay(), rest()]),
    ] {
        let shop = Shop::open(|_| {}).await;
        for event in &events {
            shop.taken(event).await;
        }
        shop.quiet().await;
        let payment = shop.payment("pay_1").await;
        assert_eq!((payment.refunded(), payment.left()), (euros(10_000), Decimal::ZERO), "{case}");
        assert_eq!(shop.world.platform.sales().len(), 1, "{case}");
        assert_eq!(shop.world.platform.sales()[0]["referral_id"], "cmd1", "{case}");
        assert!(payment.refunds.iter().all(|refund| refund.state == State::Delivered), "{case}");
        assert_eq!(payment.refunds.len(), 2, "{case}");
    }
}

#[tokio::test]
async fn totals_become_differences_and_nothing_exceeds_what_was_paid() {
    let mut shop = Shop::open(|_| {}).await;
    shop.webhook = webhook(true);
    shop.taken(&paid("pay_1", json!({"referral": "cmd1"}))).await;
    for amount in ["30.00", "30.00", "45.00", "20.00", "100.00", "250.00"] {
        shop.taken(&refunded("order", "pay_1", amount)).await;
        shop.quiet().await;
    }
    let payment = shop.payment("pay_1").await;
    let back: Vec<_> = payment.refunds.iter().filter_map(|refund| refund.refunded).collect();
    assert_eq!(back, [euros(3_000), euros(1_500), euros(5_500)]);
    assert_eq!(payment.left(), Decimal::ZERO);
}

#[tokio::test]
async fn a_sale_that_nobody_brought_is_written_down_and_neither_it_nor_its_refund_is_sent() {
    let shop = Shop::open(|_| {}).await;
    shop.taken(&paid("pay_1", json!({}))).await;
    shop.taken(&refunded("re_1", "pay_1", "10.00")).await;
    shop.quiet().await;
    assert_eq!(shop.world.platform.asked(), 0);
    for name in ["pay_1", "re_1"] {
        let states: Vec<_> = shop.records(name).await.iter().map(|record| record.state).collect();
        assert_eq!(states, [State::Closed], "{name}");
    }
}

#[tokio::test]
async fn of_overlapping_events_the_first_that_credits_somebody_counts() {
    let plain = || paid("pay_1", json!({}));
    let named = || paid("pay_1", json!({"referral": "cmd1", "order": "1001"}));
    for (case, events) in [
        ("the plain one first", vec![plain(), named()]),
        ("and again", vec![plain(), named(), plain(), named(), named()]),
        ("the named one first", vec![named(), plain()]),
    ] {
        let shop = Shop::open(|_| {}).await;
        for event in &events {
            shop.taken(event).await;
        }
        shop.taken(&refunded("re_1", "ch_pay_1", "30.00")).await;
        shop.quiet().await;
        let sales = shop.world.platform.sales();
        assert_eq!(sales.len(), 1, "{case}");
        assert_eq!(
            (&sales[0]["referral_id"], &sales[0]["external_event_id"]),
            (&json!("cmd1"), &json!("pay_1"))
        );
        let refunds: Vec<_> = shop.records("re_1").await.iter().map(|record| record.state).collect();
        assert_eq!(refunds, [State::Delivered], "{case}");
    }
}

#[tokio::test]
async fn renewals_are_credited_through_their_customer() {
    let shop = Shop::open(|_| {}).await;
    shop.taken(&paid("pay_1", json!({"referral": "cmd1", "customer": "cus_1"}))).await;
    shop.taken(&paid("pay_2", json!({"customer": "cus_1"}))).await;
    shop.quiet().await;
    let sales = shop.world.platform.sales();
    assert_eq!(sales.iter().filter(|sale| sale["referral_id"] == "cmd1").count(), 2, "{sales:?}");
}

#[tokio::test]
async fn a_subscription_is_credited_for_as_long_as_it_is_paid() {
    let shop = Shop::open(|site| site.cookie_days = 30).await;
    let visitor = shop.world.visitor();
    let tracked =
        shop.world.track(r#"{"programId":"prog","url":"https://shop.example/?via=alice"}"#, &visitor).await;
    let click = tracked.cookie.expect("a click");
    eventually("the click is written", || async { shop.world.knows(&click).await }).await;
    shop.world.pass_ms(300 * 24 * 60 * 60 * 1000).await;
    shop.taken(&paid("pay_1", json!({"referral": click}))).await;
    shop.taken(&paid("pay_2", json!({"referral": click, "plan": "monthly"}))).await;
    shop.quiet().await;
    let sold: Vec<_> =
        shop.world.platform.sales().iter().map(|sale| sale["external_event_id"].clone()).collect();
    assert_eq!(sold, ["pay_2"], "a single payment so late is nobody's");
}

#[tokio::test]
async fn customers_that_are_mere_numbers_are_each_sources_own() {
    let shop = Shop::open(|_| {}).await;
    shop.world
        .convert(&support::sale("theirs", r#","referral_id":"cmd9","customer_id":"42""#))
        .await
        .expect("a sale");
    shop.taken(&paid("pay_1", json!({"customer": "42"}))).await;
    shop.quiet().await;
    let sale = shop.world.platform.sales().into_iter().find(|sale| sale["external_event_id"] == "pay_1");
    assert!(sale.is_none_or(|sale| sale["referral_id"].is_null()));
}

#[tokio::test]
async fn a_promo_code_and_an_order_credit_their_affiliate() {
    let shop = Shop::open(|_| {}).await;
    shop.world.put_code("SPRING", r#"{"affiliate":"bob","provider_ids":["promo_1"]}"#).await;
    shop.taken(&paid("pay_1", json!({"promo": "spring"}))).await;
    shop.quiet().await;
    assert_eq!(shop.world.platform.created(), ["bob"]);
    let tracked = shop
        .world
        .track(r#"{"programId":"prog","url":"https://shop.example/?via=alice"}"#, &shop.world.visitor())
        .await;
    let click = tracked.cookie.expect("a click");
    eventually("the click is written", || async { shop.world.knows(&click).await }).await;
    let visitor = shop.world.visitor_with(&click);
    let core = &shop.world.core.conversions;
    core.bind(&shop.world.site, br#"{"order_id":"1001"}"#, &visitor).await.expect("bound");
    shop.taken(&paid("pay_2", json!({"order": "1001"}))).await;
    shop.quiet().await;
    let sales = shop.world.platform.sales();
    let sale = sales.iter().find(|sale| sale["external_event_id"] == "pay_2").expect("the sale");
    assert_eq!(sale["referral_id"], click.as_str());
}

#[tokio::test]
async fn the_provider_is_answered_before_the_platform_is() {
    let shop = Shop::open(|_| {}).await;
    shop.world.platform.set(Mood::Slow(Duration::from_secs(60)));
    let event = paid("pay_1", json!({"referral": "cmd1"}));
    let answered = tokio::time::timeout(Duration::from_secs(3), shop.tell(&event));
    assert_eq!(answered.await.expect("at once").expect("written"), Heard::Taken);
}

#[tokio::test]
async fn tests_are_marked_and_what_is_not_a_payment_is_let_pass() {
    let shop = Shop::open(|_| {}).await;
    shop.taken(&paid("pay_1", json!({"referral": "cmd1", "test": true}))).await;
    shop.quiet().await;
    assert_eq!(shop.world.platform.sales()[0]["metadata"]["test"], true);
    for (event, reason) in [
        (json!({"type": "ping"}), Ignored::NotCommercial),
        (paid("pay_2", json!({"referral": "cmd1", "amount": "0"})), Ignored::ZeroAmount),
    ] {
        assert_eq!(shop.tell(&event).await.expect("heard"), Heard::Ignored(reason));
    }
    let unreadable = shop.tell(&paid("pay_3", json!({"currency": null}))).await.expect("heard");
    assert!(matches!(unreadable, Heard::Rejected(_)));
    assert_eq!(shop.world.platform.sales().len(), 1);
}
