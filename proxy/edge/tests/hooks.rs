//! Payment providers' webhooks over HTTP: every recorded request gets its answer, is written down, and reaches the platform
//! once. Times, secrets and certificates are the records' own.

mod support;

use rust_decimal::Decimal;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};
use support::{Reply, World};
use usher_core::{Certificates, FetchError, Keyring};
use usher_model::{
    Clock, Code, CodeOrClick, Job, Listing, PaymentRef, PromoCode, Record, Site, Source, State, UnixMs,
};
use usher_providers::{Credential, Recorded, Webhook};

/// A recorded request and what it is to come to.
struct Vector {
    case: String,
    recorded: Recorded,
    expect: Value,
    certificates: BTreeMap<String, String>,
}

fn vectors(provider: &str) -> Vec<Vector> {
    let folder =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/webhooks").join(provider);
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).expect("the vectors").map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files.iter().map(|file| vector(&fs::read_to_string(file).expect("a vector"))).collect()
}

fn vector(text: &str) -> Vector {
    let json: Value = serde_json::from_str(text).expect("JSON");
    let mut recorded = Recorded::read(text).expect("a record");
    let mut certificates = BTreeMap::new();
    for credential in &mut recorded.credentials {
        // The edge has to fetch them.
        if let Credential::PayPal { certificates: known, .. } = credential {
            certificates.append(known);
        }
    }
    let case = json["case"].as_str().expect("a case").to_owned();
    Vector { case, recorded, expect: json["expect"].clone(), certificates }
}

impl Vector {
    fn is(&self, kind: &str) -> bool {
        self.expect["kind"] == kind
    }

    fn is_identified(&self) -> bool {
        let sale = &self.expect["conversion"];
        !sale["referral_id"].is_null()
            || !sale["customer_id"].is_null()
            || !self.expect["extracted"]["promo"].is_null()
    }
}

struct Hand(AtomicI64);

impl Clock for Hand {
    fn now(&self) -> UnixMs {
        UnixMs(self.0.load(Ordering::SeqCst))
    }
}

struct Chest(BTreeMap<String, String>);

#[async_trait::async_trait]
impl Certificates for Chest {
    async fn fetch(&self, address: &str, _: Duration) -> Result<String, FetchError> {
        self.0.get(address).cloned().ok_or_else(|| FetchError("there is none".to_owned()))
    }
}

/// A site with webhooks of one provider: one for each vector, so that none of them meets another, and one for all.
struct Bed {
    world: World,
    clock: Arc<Hand>,
}

const ALL: &str = "all";

impl Bed {
    async fn new(vectors: &[Vector]) -> Self {
        let clock = Arc::new(Hand(AtomicI64::new(0)));
        let mut webhooks = Vec::new();
        let mut all: Vec<Credential> = Vec::new();
        for (number, vector) in vectors.iter().enumerate() {
            let own = vector.recorded.webhook().expect("a webhook");
            all.extend(own.credentials.iter().cloned());
            webhooks.push(Webhook { name: Source::new(format!("v{number}")).expect("a name"), ..own });
        }
        let first = vectors[0].recorded.webhook().expect("a webhook");
        webhooks.push(Webhook { name: Source::new(ALL).expect("a name"), credentials: all, ..first });
        let certificates = vectors.iter().flat_map(|vector| vector.certificates.clone()).collect();
        let keyring = Keyring::new(Chest(certificates));
        // Codes are another affiliate's here, and what the vectors expect is the click.
        let site = Site { code_or_click: CodeOrClick::Click, ..support::site() };
        let world = World::build(site, webhooks, keyring, Arc::clone(&clock) as Arc<dyn Clock>).await;
        let bed = Self { world, clock };
        bed.put_codes(vectors).await;
        bed
    }

    /// Every promo code and every provider's id of one is an affiliate's.
    async fn put_codes(&self, vectors: &[Vector]) {
        let mut codes = Vec::new();
        for (number, vector) in vectors.iter().enumerate() {
            let promo = &vector.expect["extracted"]["promo"];
            let ids: Vec<&str> =
                ["promotion_id", "coupon_id"].iter().filter_map(|name| promo[*name].as_str()).collect();
            let typed = promo["code"].as_str().map_or_else(|| format!("mapped{number}"), str::to_owned);
            if promo.is_object() {
                let says = serde_json::json!({"affiliate": "carol", "provider_ids": ids}).to_string();
                codes.push((
                    PromoCode::fold(&typed).expect("a code"),
                    Code::from_json(&says).expect("a value"),
                ));
            }
        }
        let last = codes.last().map(|(code, _)| code.clone());
        self.world.store.put_codes(&self.world.site.name, codes).await.expect("written");
        if let Some(last) = last {
            eventually("the codes are known", async || {
                matches!(self.world.core.codes.find(&self.world.site, &last), Ok(Some(_)))
            })
            .await;
        }
    }

    async fn post(&self, vector: &Vector, name: &str) -> Reply {
        let recorded = &vector.recorded;
        self.clock.0.store(recorded.now.expect("a time").0, Ordering::SeqCst);
        let query = recorded.url.split_once('?').map_or(String::new(), |(_, query)| format!("?{query}"));
        let mut ask = self.world.ask(&recorded.method, &format!("/r/hooks/{name}{query}"));
        for (field, value) in &recorded.headers {
            let own = ["host", "content-length", "connection", "user-agent"];
            if !own.contains(&field.to_ascii_lowercase().as_str()) {
                ask = ask.header(field, value);
            }
        }
        ask.body(&recorded.body).send().await
    }

    async fn records(&self, source: &str, name: &str) -> Vec<Record> {
        let mut records = self.world.store.find(&self.world.site.name, name).await.expect("read");
        records.retain(|record| record.source.as_ref().is_some_and(|of| of.as_str() == source));
        records
    }

    /// How everything stands that came in by a webhook.
    async fn states(&self, source: &str) -> Vec<State> {
        let listing = Listing { states: State::ALL.to_vec(), limit: 1_000, ..Listing::default() };
        let mut records = self.world.store.list(&listing).await.expect("read");
        records.retain(|record| record.source.as_ref().is_some_and(|of| of.as_str() == source));
        records.iter().map(|record| record.state).collect()
    }

    /// The record of that key, once it has left its way to the platform.
    async fn settled(&self, source: &str, key: &str) -> Record {
        let settled = async || {
            let records = self.records(source, key).await;
            records.into_iter().find(|record| {
                record.key.as_deref() == Some(key) && !matches!(record.state, State::Due | State::Blocked)
            })
        };
        eventually(key, async || settled().await.is_some()).await;
        settled().await.expect("settled")
    }

    fn sent(&self, job: Job, event: &str) -> Vec<Value> {
        let bodies = self.world.platform.delivered().into_iter().filter(|(of, _)| *of == job);
        bodies
            .map(|(_, body)| serde_json::from_str::<Value>(&body).expect("JSON"))
            .filter(|body| body["external_event_id"] == event)
            .collect()
    }
}

async fn eventually(what: &str, mut fact: impl AsyncFnMut() -> bool) {
    let patience = tokio::time::Instant::now() + Duration::from_secs(20);
    while !fact().await {
        assert!(tokio::time::Instant::now() < patience, "not within twenty seconds: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn decimal(value: &Value) -> Decimal {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned).parse().expect("a decimal")
}

async fn check(provider: &str) {
    let vectors = vectors(provider);
    let bed = Bed::new(&vectors).await;
    for (number, vector) in vectors.iter().enumerate() {
        let name = format!("v{number}");
        let reply = bed.post(vector, &name).await;
        let case = format!("{provider}/{}", vector.case);
        let kind = vector.expect["kind"].as_str().expect("a kind");
        let expected = if kind == "rejected" { 401 } else { 200 };
        assert_eq!(reply.status, expected, "{case}: {}", reply.text());
        match kind {
            "conversion" => conversion(&bed, vector, &name, &case).await,
            "refund" => orphan(&bed, vector, &name, &case).await,
            // A payment that nobody brought is written down, closed.
            "ignored" => {
                assert!(bed.states(&name).await.iter().all(|state| *state == State::Closed), "{case}");
            }
            _ => assert_eq!(bed.states(&name).await, [], "{case}"),
        }
        let again = bed.post(vector, &name).await;
        assert_eq!(again.status, expected, "again {case}: {}", again.text());
    }
    together(&bed, &vectors, provider).await;
}

/// What the platform got of a payment, once.
async fn conversion(bed: &Bed, vector: &Vector, name: &str, case: &str) {
    assert!(vector.is_identified(), "{case}");
    let expected = &vector.expect["conversion"];
    let event = expected["external_event_id"].as_str().expect("an id");
    let record = bed.settled(name, event).await;
    assert_eq!(record.state, State::Delivered, "{case}: {:?}", record.error);
    let paid = record.paid.expect("money");
    assert_eq!(paid.amount(), decimal(&expected["sale_amount"]), "{case}");
    assert_eq!(paid.currency().to_string(), expected["sale_amount_currency"], "{case}");
    let sent = bed.sent(Job::Conversion, event);
    let body = sent.last().expect("sent");
    for field in [
        "sale_amount_currency",
        "external_event_id",
        "is_subscription",
        "interval",
        "product_ids",
        "price_ids",
    ] {
        assert_eq!(body[field], expected[field], "{case}: {field}");
    }
    assert!(body["sale_amount"].is_number(), "{case}");
    assert_eq!(decimal(&body["sale_amount"]), decimal(&expected["sale_amount"]), "{case}");
    if let Some(referral) = expected["referral_id"].as_str() {
        assert_eq!(body["referral_id"], referral, "{case}");
    }
    if let Some(customer) = expected["customer_id"].as_str() {
        assert_eq!(body["customer_id"], customer, "{case}");
    }
    assert_eq!(body["metadata"]["provider_order_id"], expected["metadata"]["provider_order_id"], "{case}");
    for id in vector.expect["extracted"]["payment_ids"].as_array().into_iter().flatten() {
        let id = id.as_str().expect("an id").to_owned();
        let source = Source::new(name).expect("a name");
        let found =
            bed.world.store.payment(&bed.world.site.name, &source, &PaymentRef::Named(vec![id])).await;
        assert_eq!(found.expect("read").expect("a payment").id.as_str(), record.id, "{case}");
    }
}

/// A refund of a payment that was not reported waits for it.
async fn orphan(bed: &Bed, vector: &Vector, name: &str, case: &str) {
    for refund in refunds(vector) {
        let event = refund["external_event_id"].as_str().expect("an id");
        let records = bed.records(name, event).await;
        let states: Vec<State> = records.iter().map(|record| record.state).collect();
        assert_eq!(states, [State::Orphan], "{case}");
    }
}

fn refunds(vector: &Vector) -> Vec<&Value> {
    match vector.expect["refunds"].as_array() {
        Some(all) => all.iter().collect(),
        None => vec![&vector.expect["refund"]],
    }
}

/// The vectors of a provider are one merchant's: refunds first, then payments, twice each; then everything is where it belongs.
async fn together(bed: &Bed, vectors: &[Vector], provider: &str) {
    let of = |kind| vectors.iter().filter(move |vector| vector.is(kind));
    for _ in 0..2 {
        for vector in of("refund").chain(of("ignored")).chain(of("conversion")) {
            assert_eq!(bed.post(vector, ALL).await.status, 200, "{provider}/{}", vector.case);
        }
    }
    let paid: Vec<&str> = of("conversion")
        .filter_map(|vector| vector.expect["conversion"]["external_event_id"].as_str())
        .collect();
    for event in &paid {
        assert_eq!(bed.settled(ALL, event).await.state, State::Delivered, "{provider} {event}");
    }
    for vector in of("refund") {
        for refund in refunds(vector) {
            let (payment, event) = (refund["payment_id"].as_str(), refund["external_event_id"].as_str());
            let (payment, event) = (payment.expect("an id").to_owned(), event.expect("an id"));
            let source = Source::new(ALL).expect("a name");
            let of = PaymentRef::Named(vec![payment]);
            let found = bed.world.store.payment(&bed.world.site.name, &source, &of).await.expect("read");
            let record = bed.settled(ALL, event).await;
            match found {
                None => assert_eq!(record.state, State::Orphan, "{provider} {event}"),
                Some(payment) => {
                    assert!(payment.refunded() <= payment.paid.amount(), "{provider} {event}");
                    assert!(
                        matches!(record.state, State::Delivered | State::Closed),
                        "{provider} {event}: {:?} {:?}",
                        record.state,
                        record.error
                    );
                }
            }
        }
    }
}

macro_rules! providers {
    ($($name:ident)*) => {
        $(#[tokio::test]
        async fn $name() {
            check(stringify!($name)).await;
        })*
    };
}

providers!(
    chargebee creem dodopayments flutterwave gumroad lemonsqueezy paddle paypal paytm phonepe polar razorpay shopify stripe
    woocommerce xendit
);

#[tokio::test]
async fn only_configured_names_take_posts() {
    let bed = Bed::new(&vectors("stripe")).await;
    for (method, path, status) in [
        ("POST", "/r/hooks/paddle", 404),
        ("POST", "/r/hooks/", 404),
        ("POST", "/r/hooks/v0/x", 404),
        ("GET", "/r/hooks/paddle", 404),
        ("GET", "/r/hooks/v0", 405),
        ("OPTIONS", "/r/hooks/v0", 405),
    ] {
        let reply = bed.world.ask(method, path).body("{}").send().await;
        assert_eq!(reply.status, status, "{method} {path}");
    }
    let long = "x".repeat(usher_model::limits::WEBHOOK_BODY_BYTES + 1);
    assert_eq!(bed.world.ask("POST", "/r/hooks/v0").body(&long).send().await.status, 413);
}

#[tokio::test]
async fn a_certificate_that_cannot_be_fetched_makes_the_provider_try_again() {
    let mut all = vectors("paypal");
    all.iter_mut().for_each(|vector| vector.certificates.clear());
    let bed = Bed::new(&all).await;
    let paid = all.iter().position(|vector| vector.is("conversion")).expect("a payment");
    let reply = bed.post(&all[paid], &format!("v{paid}")).await;
    assert_eq!(reply.status, 401, "{}", reply.text());
    assert_eq!(bed.world.platform.delivered(), []);
}
