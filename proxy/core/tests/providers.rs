//! Each provider's way through a payment: paid, told twice, renewed, refunded in parts and as a whole, refunds first. However the
//! events come, the ledger ends the same.

mod support;

#[path = "../../providers/tests/support/mod.rs"]
mod signed;

use rust_decimal::Decimal;
use serde_json::{Value, json};
use signed::Vector;
use std::time::Duration;
use support::{World, eventually};
use usher_core::{Certificates, FetchError, Keyring, conversions::Heard};
use usher_model::{Payment, PaymentRef, State};
use usher_providers::{Credential, Recorded, Request, Webhook};

/// When the recorded deliveries were signed.
const RECORDED_MS: i64 = 1_789_000_000_000;

/// A recorded delivery and what is changed in it, at JSON pointers.
type Event = (&'static str, Value);

/// What happens to a payment.
struct Story {
    paid: Event,
    /// The payment's id and its amount.
    payment: (&'static str, &'static str),
    /// The same customer's next payment.
    renewed: Option<Event>,
    /// What else the provider tells of it.
    noise: &'static [&'static str],
    /// Refunds in their order, and what goes back by each of them.
    parts: Vec<(Event, &'static str)>,
    /// One refund of everything.
    whole: Option<Event>,
}

struct NoCertificates;

#[async_trait::async_trait]
impl Certificates for NoCertificates {
    async fn fetch(&self, _: &str, _: Duration) -> Result<String, FetchError> {
        Err(FetchError("there is no network".to_owned()))
    }
}

fn plain(case: &'static str) -> Event {
    (case, json!({}))
}

fn recorded((case, changes): &Event) -> Recorded {
    let mut vector = Vector::load(case);
    if changes.as_object().is_some_and(|changes| !changes.is_empty()) {
        vector.change(changes);
        vector.sign();
    }
    let mut json = vector.json;
    json["body"] = vector.body.into();
    Recorded::read(&json.to_string()).expect("a record")
}

fn decimal(text: &str) -> Decimal {
    text.parse().expect("an amount")
}

/// A shop with that provider's webhook.
struct Shop {
    world: World,
    webhook: Webhook,
    keyring: Keyring,
}

impl Shop {
    async fn open(story: &Story) -> Self {
        let world = World::new(|_| {}).await;
        world.clock.pass_ms(RECORDED_MS - 1_700_000_000_000);
        let events = [&story.paid].into_iter().chain(story.renewed.as_ref()).chain(story.whole.as_ref());
        let all: Vec<Recorded> =
            events.chain(story.parts.iter().map(|(event, _)| event)).map(recorded).collect();
        let credentials: Vec<Credential> =
            all.iter().flat_map(|recorded| recorded.credentials.clone()).collect();
        let webhook = Webhook { credentials, ..all[0].webhook().expect("a webhook") };
        Self { world, webhook, keyring: Keyring::new(NoCertificates) }
    }

    async fn tell(&self, event: &Event) -> Heard {
        let recorded = recorded(event);
        let headers: Vec<(&str, &[u8])> =
            recorded.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let (method, url) = (&recorded.method, &recorded.url);
        let request = Request { method, url, headers: &headers, body: recorded.body.as_bytes() };
        let heard =
            self.world.core.conversions.hear(&self.world.site, &self.webhook, &request, &self.keyring);
        heard.await.expect("written")
    }

    async fn payment(&self, name: &str) -> Payment {
        let of = PaymentRef::Named(vec![name.to_owned()]);
        let (store, site) = (&self.world.tools.store, &self.world.site.name);
        store.payment(site, &self.webhook.name, &of).await.expect("read").expect("a payment")
    }

    fn sold(&self, event: &str) -> Vec<Value> {
        let sales = self.world.platform.sales().into_iter();
        sales.filter(|sale| sale["external_event_id"] == event).collect()
    }
}

/// The orders in which events come: `p`aid, `n`oise, `r`enewed, a `w`hole refund, parts by their numbers.
const ORDERS: [&str; 9] = ["pnpnrr0011", "0pr1", "10prp", "rpn0p1p01r", "p10", "pww", "wprw", "nrwpp", "p"];

impl Story {
    async fn check(self) {
        for order in ORDERS {
            let is_told = |event: char| match event {
                'w' => self.whole.is_some(),
                'r' => self.renewed.is_some(),
                '0'..='9' => event.to_digit(10).is_some_and(|n| (n as usize) < self.parts.len()),
                _ => true,
            };
            // The order is about refunds that this provider's records do not have.
            if order.contains('w') && self.whole.is_none() {
                continue;
            }
            self.told(&order.chars().filter(|event| is_told(*event)).collect::<String>()).await;
        }
    }

    /// Whether nothing covers the body of what this provider sends.
    fn proves_a_token(&self) -> bool {
        let (provider, _) = self.paid.0.split_once('/').expect("provider/case");
        ["chargebee", "gumroad", "phonepe", "xendit"].contains(&provider)
    }

    async fn told(&self, order: &str) {
        let shop = Shop::open(self).await;
        let case = format!("{} {order}", self.paid.0);
        let mut is_paid = false;
        for event in order.chars() {
            let told = match event {
                'p' => &self.paid,
                'r' => self.renewed.as_ref().expect("told"),
                'w' => self.whole.as_ref().expect("told"),
                'n' => {
                    for noise in self.noise {
                        let heard = shop.tell(&plain(noise)).await;
                        assert!(
                            matches!(heard, Heard::Ignored(_) | Heard::Taken),
                            "{case} {noise}: {heard:?}"
                        );
                    }
                    continue;
                }
                part => &self.parts[part.to_digit(10).expect("a number") as usize].0,
            };
            assert_eq!(shop.tell(told).await, Heard::Taken, "{case} {event}");
            is_paid |= matches!(event, 'p' | 'r');
            assert!(is_paid || shop.world.platform.asked() == 0, "{case}: a refund waits for its payment");
        }
        eventually(&format!("{case}: the outbox is empty"), || async {
            shop.world.tools.store.backlog().await.expect("read").waiting == 0
        })
        .await;
        self.ended(&shop, order, &case).await;
    }

    async fn ended(&self, shop: &Shop, order: &str, case: &str) {
        let (id, amount) = self.payment;
        let sales = shop.sold(id);
        assert_eq!(sales.len(), 1, "{case}: {:?}", shop.world.platform.sales());
        assert!(sales[0]["referral_id"].is_string(), "{case}");
        let traced = shop.world.record(id).await.trace.expect("a trace");
        assert_eq!(traced.contains(r#""proof":"token""#), self.proves_a_token(), "{case}: {traced}");
        let others = shop.world.platform.sales().len() - 1;
        assert_eq!(others, usize::from(order.contains('r')), "{case}: {:?}", shop.world.platform.sales());

        let payment = shop.payment(id).await;
        assert_eq!(payment.paid.amount(), decimal(amount), "{case}");
        let parts: Vec<Decimal> = (self.parts.iter().zip('0'..='9'))
            .filter(|(_, number)| order.contains(*number))
            .map(|((_, back), _)| decimal(back))
            .collect();
        let back = if order.contains('w') { decimal(amount) } else { parts.iter().sum() };
        assert_eq!(payment.refunded(), back, "{case}: {:?}", payment.refunds);
        for refund in &payment.refunds {
            assert!(matches!(refund.state, State::Delivered | State::Closed), "{case}: {refund:?}");
        }
        if order.starts_with("pn") {
            let told: Vec<_> = payment.refunds.iter().filter_map(|refund| refund.refunded).collect();
            assert_eq!(told, parts, "{case}");
            let delivered = payment.refunds.iter().all(|refund| refund.state == State::Delivered);
            assert!(delivered, "{case}: {:?}", payment.refunds);
        }
    }
}

#[tokio::test]
async fn stripe() {
    let part = |id, amount| json!({"/data/object/id": id, "/data/object/amount": amount});
    let story = Story {
        paid: plain("stripe/checkout-completed-one-time-eur"),
        payment: ("pi_qsEZERbiWm85K6K1mlf8hPZ0", "129"),
        renewed: Some(plain("stripe/invoice-paid-renewal-basil")),
        noise: &[
            "stripe/payment-intent-succeeded",
            "stripe/charge-refunded",
            "stripe/checkout-completed-unpaid",
        ],
        parts: vec![
            (("stripe/refund-created-full", part("re_1", 2900)), "29"),
            (("stripe/refund-created-full", part("re_2", 10_000)), "100"),
        ],
        whole: Some(plain("stripe/refund-created-full")),
    };
    story.check().await;
}

#[tokio::test]
async fn paypal() {
    let story = Story {
        paid: plain("paypal/capture-completed-usd"),
        payment: ("WBYLKX714MMP7TUTB", "59.9"),
        renewed: Some(plain("paypal/sale-completed-subscription")),
        noise: &[],
        // Who has no key of PayPal's cannot sign a changed one.
        parts: Vec::new(),
        whole: Some(plain("paypal/capture-refunded-full")),
    };
    story.check().await;
}

#[tokio::test]
async fn shopify() {
    let rest = json!({"/id": 930_012_345_700_u64, "/transactions/0/id": 6_610_012_345_699_u64, "/transactions/0/amount": "24.90"});
    let next = json!({"/id": 5_830_012_345_999_u64});
    let story = Story {
        paid: plain("shopify/orders-paid-eur"),
        payment: ("order:5830012345601", "39.9"),
        renewed: Some(("shopify/orders-paid-eur", next)),
        noise: &[],
        parts: vec![
            (plain("shopify/refunds-create-partial"), "15"),
            (("shopify/refunds-create-partial", rest), "24.9"),
        ],
        whole: None,
    };
    story.check().await;
}

#[tokio::test]
async fn woocommerce() {
    let refund = |id: u32, total| json!({"id": id, "reason": "", "total": total});
    // Each delivery lists all refunds of the order.
    let all = json!({"/refunds": [refund(1299, "-24.50"), refund(1300, "-35.00")], "/status": "refunded"});
    let next = json!({"/id": 1206, "/transaction_id": "pi_next"});
    let whole = json!({"/refunds": [refund(1301, "-59.50")], "/status": "refunded"});
    let story = Story {
        paid: plain("woocommerce/order-updated-processing"),
        payment: ("order:1205", "59.5"),
        renewed: Some(("woocommerce/order-updated-processing", next)),
        noise: &[],
        parts: vec![
            (plain("woocommerce/order-updated-refunded"), "24.5"),
            (("woocommerce/order-updated-refunded", all), "35"),
        ],
        whole: Some(("woocommerce/order-updated-refunded", whole)),
    };
    story.check().await;
}

#[tokio::test]
async fn razorpay() {
    let change =
        |id, amount: u32| json!({"/payload/refund/entity/id": id, "/payload/refund/entity/amount": amount});
    let story = Story {
        paid: plain("razorpay/payment-captured-inr"),
        payment: ("pay_z07MMP0Q6MT7G0", "1299.5"),
        renewed: Some(plain("razorpay/subscription-charged")),
        noise: &[],
        parts: vec![
            (plain("razorpay/refund-processed-partial"), "500"),
            (("razorpay/refund-processed-partial", change("rfnd_2", 79_950)), "799.5"),
        ],
        whole: Some(("razorpay/refund-processed-partial", change("rfnd_all", 129_950))),
    };
    story.check().await;
}

#[tokio::test]
async fn paddle() {
    let part = |id, total| json!({"/data/id": id, "/data/type": "partial", "/data/totals/total": total});
    let story = Story {
        paid: plain("paddle/transaction-completed-eur"),
        payment: ("txn_01s4g0xv92j25bn15j8w73qj9x", "49.99"),
        renewed: Some(plain("paddle/transaction-completed-renewal")),
        noise: &[],
        parts: vec![
            (("paddle/adjustment-updated-approved-refund", part("adj_1", "2000")), "20"),
            (("paddle/adjustment-updated-approved-refund", part("adj_2", "2999")), "29.99"),
        ],
        whole: Some(plain("paddle/adjustment-updated-approved-refund")),
    };
    story.check().await;
}

#[tokio::test]
async fn lemonsqueezy() {
    // The amount is all that ever went back.
    let part = json!({
        "/data/attributes/refunded_amount": 1000, "/data/attributes/refunded": false,
        "/data/attributes/status": "partial_refund",
    });
    let story = Story {
        paid: plain("lemonsqueezy/order-created-usd"),
        payment: ("order:4411207", "39"),
        renewed: Some(plain("lemonsqueezy/subscription-payment-success-renewal")),
        noise: &[],
        parts: vec![
            (("lemonsqueezy/order-refunded-full", part), "10"),
            (plain("lemonsqueezy/order-refunded-full"), "29"),
        ],
        whole: Some(plain("lemonsqueezy/order-refunded-full")),
    };
    story.check().await;
}

#[tokio::test]
async fn polar() {
    let part =
        |id, amount: u32, tax: u32| json!({"/data/id": id, "/data/amount": amount, "/data/tax_amount": tax});
    let story = Story {
        paid: plain("polar/order-paid-one-time"),
        payment: ("41b1534e-9060-49bb-a793-15b308b36e1b", "24.78"),
        renewed: None,
        noise: &[],
        parts: vec![
            (("polar/refund-created-succeeded", part("re_1", 1000, 239)), "12.39"),
            (("polar/refund-created-succeeded", part("re_2", 1000, 239)), "12.39"),
        ],
        whole: Some(plain("polar/refund-created-succeeded")),
    };
    story.check().await;
}

#[tokio::test]
async fn dodopayments() {
    let part =
        |id, amount: u32| json!({"/data/refund_id": id, "/data/amount": amount, "/data/is_partial": true});
    let story = Story {
        paid: plain("dodopayments/payment-succeeded-one-time"),
        payment: ("pay_lsnUHNwCaMBPpA6jg5vu", "47.2"),
        renewed: Some(plain("dodopayments/payment-succeeded-subscription")),
        noise: &[],
        parts: vec![
            (("dodopayments/refund-succeeded-full", part("ref_1", 720)), "7.2"),
            (("dodopayments/refund-succeeded-full", part("ref_2", 4000)), "40"),
        ],
        whole: Some(plain("dodopayments/refund-succeeded-full")),
    };
    story.check().await;
}

#[tokio::test]
async fn creem() {
    let part = |id, amount: u32| json!({"/object/id": id, "/object/refund_amount": amount});
    let story = Story {
        paid: plain("creem/subscription-paid-monthly"),
        payment: ("tran_6gs7UZd7JOXTqRzzn6AW7P", "12.1"),
        renewed: Some(plain("creem/checkout-completed-one-time")),
        noise: &[],
        parts: vec![
            (("creem/refund-created", part("ref_1", 210)), "2.1"),
            (("creem/refund-created", part("ref_2", 1000)), "10"),
        ],
        whole: Some(plain("creem/refund-created")),
    };
    story.check().await;
}

#[tokio::test]
async fn chargebee() {
    let change =
        |id, amount: u32| json!({"/content/transaction/id": id, "/content/transaction/amount": amount});
    let story = Story {
        paid: plain("chargebee/payment-succeeded-subscription"),
        payment: ("txn_8MTF2LyeM4VdnPzS1", "29.99"),
        renewed: None,
        noise: &[],
        parts: vec![
            (plain("chargebee/payment-refunded-partial"), "10"),
            (("chargebee/payment-refunded-partial", change("txn_2", 1999)), "19.99"),
        ],
        whole: Some(("chargebee/payment-refunded-partial", change("txn_all", 2999))),
    };
    story.check().await;
}

#[tokio::test]
async fn flutterwave() {
    let change = |id, amount: f64| json!({"/data/id": id, "/data/amount_refunded": amount});
    let story = Story {
        paid: plain("flutterwave/v4-charge-completed-kes"),
        payment: ("chg_1WDwkXscAJ", "2500.25"),
        renewed: Some(plain("flutterwave/v4-charge-completed-id-member")),
        noise: &[],
        parts: vec![
            (plain("flutterwave/v4-refund-completed"), "1000.25"),
            (("flutterwave/v4-refund-completed", change("rfd_2", 1500.0)), "1500"),
        ],
        whole: Some(("flutterwave/v4-refund-completed", change("rfd_all", 2500.25))),
    };
    story.check().await;
}

#[tokio::test]
async fn xendit() {
    let change = |id, amount: f64| json!({"/data/id": id, "/data/amount": amount});
    let story = Story {
        paid: plain("xendit/payment-succeeded-php"),
        payment: ("ewpy-da178770-0ab6-454a-a542-24506c042a14", "1499.5"),
        renewed: Some(plain("xendit/payment-capture-idr")),
        noise: &[],
        parts: vec![
            (plain("xendit/refund-succeeded"), "499.5"),
            (("xendit/refund-succeeded", change("rfd-2", 1000.0)), "1000"),
        ],
        whole: Some(("xendit/refund-succeeded", change("rfd-all", 1499.5))),
    };
    story.check().await;
}

#[tokio::test]
async fn phonepe() {
    let change = |id, amount: u32| json!({"/payload/refundId": id, "/payload/merchantRefundId": id, "/payload/amount": amount});
    let story = Story {
        paid: plain("phonepe/order-completed"),
        payment: ("OMO8164707000689044339191", "1299"),
        renewed: None,
        noise: &[],
        parts: vec![
            (plain("phonepe/refund-completed-partial"), "299.5"),
            (("phonepe/refund-completed-partial", change("OMR2", 99_950)), "999.5"),
        ],
        whole: Some(("phonepe/refund-completed-partial", change("OMR3", 129_900))),
    };
    story.check().await;
}

#[tokio::test]
async fn gumroad() {
    let story = Story {
        paid: plain("gumroad/sale-usd"),
        payment: ("RJmrK0YsMBSHd7J6oJMMm4==", "19"),
        renewed: Some(plain("gumroad/sale-recurring-eur-product")),
        noise: &[],
        parts: Vec::new(),
        whole: Some(plain("gumroad/refund-full")),
    };
    story.check().await;
}

#[tokio::test]
async fn paytm() {
    let story = Story {
        paid: plain("paytm/payment-success-form"),
        payment: ("2026562133917204867218718103519", "1499"),
        renewed: Some(plain("paytm/payment-success-json")),
        noise: &[],
        parts: vec![(plain("paytm/refund-success-json"), "499")],
        whole: None,
    };
    story.check().await;
}
