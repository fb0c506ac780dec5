//! Nouns to try with.

use rust_decimal::Decimal;
use usher_model::{
    AffiliateCode, Answer, Click, ClickId, Code, CodeUse, Delivery, Entry, Job, Money, PaymentRef, PromoCode,
    RecordId, Refund, RefundAmount, Send, Settlement, SiteName, Source, UnixMs, Upstream, VisitorKey,
};
use usher_store::PendingClick;

/// When every test begins.
pub(crate) const NOW: UnixMs = UnixMs(1_795_000_000_000);

pub(crate) fn site() -> SiteName {
    SiteName::new("shop").expect("a site")
}

pub(crate) fn other_site() -> SiteName {
    SiteName::new("shop-2").expect("a site")
}

pub(crate) fn sites() -> Vec<SiteName> {
    vec![site(), other_site()]
}

pub(crate) fn click_id(text: &str) -> ClickId {
    ClickId::new(text).expect("a click id")
}

pub(crate) fn promo(text: &str) -> PromoCode {
    PromoCode::fold(text).expect("a code")
}

pub(crate) fn code(json: &str) -> Code {
    Code::from_json(json).expect("a code's value")
}

/// A click that waits for the platform's id.
pub(crate) fn click(id: &str) -> Click {
    Click {
        id: click_id(id),
        site: site(),
        affiliate: AffiliateCode::new("alice").expect("an affiliate"),
        visitor: Some(VisitorKey(7)),
        created_at: NOW,
        upstream: Upstream::Pending,
    }
}

pub(crate) fn pending() -> PendingClick {
    PendingClick { body: r#"{"click":1}"#.to_owned(), due_at: NOW }
}

/// A conversion with the event id `key`.
pub(crate) fn entry(key: &str) -> Entry {
    Entry {
        id: RecordId::new(format!("conv_{key}")).expect("a record id"),
        site: site(),
        job: Job::Conversion,
        key: key.to_owned(),
        fingerprint: [7; 32],
        body: r#"{"sale":99.90,"name":"Žofie 💚"}"#.to_owned(),
        source: Source::api(),
        click: None,
        needs: None,
        mint: None,
        code: None,
        names: Vec::new(),
        paid: None,
        refund: None,
        send: Send::Now,
        bind: None,
        trace: r#"{"rule":"referral_id"}"#.to_owned(),
        now: NOW,
    }
}

/// A conversion whose promo code won: it mints a click and waits for it.
pub(crate) fn minting(key: &str, id: &str) -> Entry {
    Entry { needs: Some(click_id(id)), mint: Some((click(id), r#"{"minted":1}"#.to_owned())), ..entry(key) }
}

pub(crate) fn using(key: &str, code: &str, max_uses: Option<u64>) -> Entry {
    Entry { code: Some(CodeUse { code: promo(code), max_uses }), ..entry(key) }
}

/// A conversion of 100 euros that is called `names` as well.
pub(crate) fn payment(key: &str, names: &[&str]) -> Entry {
    let paid = Money::parse("100.00", "EUR".parse().expect("a currency")).expect("money");
    Entry { paid: Some(paid), names: texts(names), ..entry(key) }
}

/// All that is left of a payment goes back.
pub(crate) fn refund(key: &str, of: PaymentRef) -> Entry {
    let id = RecordId::new(format!("refund_{key}")).expect("a record id");
    let refund = Refund { of, amount: RefundAmount::Rest, currency: None };
    Entry { id, job: Job::Refund, body: "{}".to_owned(), refund: Some(refund), ..entry(key) }
}

/// Some of it goes back.
pub(crate) fn part(key: &str, of: PaymentRef, cents: i64) -> Entry {
    let currency = Some("EUR".parse().expect("a currency"));
    let amount = RefundAmount::Part(euros(cents));
    Entry { refund: Some(Refund { of, amount, currency }), ..refund(key, PaymentRef::Named(Vec::new())) }
}

pub(crate) fn named(names: &[&str]) -> PaymentRef {
    PaymentRef::Named(texts(names))
}

pub(crate) fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

pub(crate) fn euros(cents: i64) -> Decimal {
    Decimal::new(cents, 2)
}

pub(crate) fn source(name: &str) -> Source {
    Source::new(name).expect("a source")
}

pub(crate) fn answer() -> Answer {
    Answer { status: 201, body: r#"{"success":true}"#.to_owned() }
}

pub(crate) fn delivered(upstream_id: Option<&str>) -> Settlement {
    Settlement::Delivered { answer: answer(), upstream_id: upstream_id.map(str::to_owned), refunded: None }
}

/// The platform took a refund of that much.
pub(crate) fn gave_back(cents: i64) -> Settlement {
    Settlement::Delivered { answer: answer(), upstream_id: None, refunded: Some(euros(cents)) }
}

pub(crate) fn closed(why: &str) -> Settlement {
    Settlement::Closed { answer: Some(answer()), why: why.to_owned() }
}

pub(crate) fn dead(error: &str) -> Settlement {
    Settlement::Dead { answer: Some(Answer { status: 422, body: "no".to_owned() }), error: error.to_owned() }
}

pub(crate) fn delivery_of(click: &Click) -> Delivery {
    Delivery {
        id: click.id.as_str().to_owned(),
        site: click.site.clone(),
        job: Job::Click,
        body: pending().body,
        needs: None,
        refund: None,
        attempts: 0,
        log: Vec::new(),
        created_at: click.created_at,
    }
}

pub(crate) fn ids(deliveries: &[Delivery]) -> Vec<&str> {
    deliveries.iter().map(|delivery| delivery.id.as_str()).collect()
}
