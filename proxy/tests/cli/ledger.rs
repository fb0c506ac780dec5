//! A ledger with known things in it, written as the service writes them.

use super::Place;
use std::sync::Arc;
use tokio::runtime::Runtime;
use usher_model::{
    Answer, Delivery, Entry, Job, Money, PaymentRef, RecordId, Refund, RefundAmount, Send, Settlement,
    SiteName, Source, UnixMs,
};
use usher_store::{Role, Store};

/// The embedded store of a place, for tests.
pub(crate) struct Ledger {
    runtime: Runtime,
    store: Arc<dyn Store>,
}

impl Ledger {
    /// Opens it in `place`, as a second process beside the one that is tried.
    pub(crate) fn new(place: &Place) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let url = format!("sqlite:{}", place.path().join("usher.db").display());
        let store = runtime.block_on(usher_store::open(&url, &[shop()], Role::Tool)).expect("a store");
        Self { runtime, store }
    }

    /// A sale that waits for its first attempt, in an hour.
    pub(crate) fn waiting(&self, name: &str) {
        let now = now();
        self.accept(Entry { send: Send::From(now.plus(3_600_000)), ..sale(name, now) });
    }

    /// A sale that the platform refused with these words.
    pub(crate) fn dead(&self, name: &str, words: &str) {
        self.refuse(sale(name, now()), words);
    }

    /// The same with another name.
    pub(crate) fn dead_called(&self, name: &str, called: &str) {
        self.refuse(Entry { names: vec![called.to_owned()], ..sale(name, now()) }, "422");
    }

    /// What Stripe says when a payment of its own is an invoice's.
    pub(crate) fn linked(&self, name: &str, alias_of: &str) {
        let stripe = Source::new("stripe").expect("a source");
        self.runtime.block_on(self.store.link(&shop(), &stripe, name, alias_of, now())).expect("linked");
    }

    /// A refund of 25 of a payment that nobody has reported.
    pub(crate) fn orphan(&self, name: &str, payment: &str) {
        let of = PaymentRef::Named(vec![payment.to_owned()]);
        let part = Money::parse("25", "USD".parse().expect("a currency")).expect("money").amount();
        let refund = Refund { of, amount: RefundAmount::Part(part), currency: None };
        self.accept(Entry {
            id: RecordId::new(format!("refund_{name}")).expect("an id"),
            job: Job::Refund,
            paid: None,
            refund: Some(refund),
            body: "{}".to_owned(),
            ..sale(name, now())
        });
    }

    fn refuse(&self, entry: Entry, words: &str) {
        let now = entry.now;
        let [delivery] = &self.accept(entry)[..] else { panic!("one delivery") };
        let answer = Some(Answer { status: 422, body: r#"{"success":false}"#.to_owned() });
        let settlement = Settlement::Dead { answer, error: words.to_owned() };
        self.runtime.block_on(self.store.settle(delivery, settlement, now)).expect("settled");
    }

    fn accept(&self, entry: Entry) -> Vec<Delivery> {
        match self.runtime.block_on(self.store.accept(entry)).expect("accepted") {
            usher_model::Acceptance::New(deliveries) => deliveries,
            usher_model::Acceptance::Waiting => Vec::new(),
            other => panic!("{other:?}"),
        }
    }
}

fn shop() -> SiteName {
    SiteName::new("shop").expect("a name")
}

/// A quarter of an hour ago or so, a millisecond later at each call, so that lists have an order.
fn now() -> UnixMs {
    use std::sync::atomic::{AtomicI64, Ordering};
    static CALLS: AtomicI64 = AtomicI64::new(0);
    let since = std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_millis();
    let start = i64::try_from(since).expect("before the year 292 million") - 900_000;
    UnixMs(start + CALLS.fetch_add(1, Ordering::Relaxed))
}

fn sale(name: &str, now: UnixMs) -> Entry {
    Entry {
        id: RecordId::new(format!("conv_{name}")).expect("an id"),
        site: shop(),
        source: Source::api(),
        job: Job::Conversion,
        key: name.to_owned(),
        fingerprint: [0; 32],
        body: r#"{"sale_amount":89.91}"#.to_owned(),
        click: None,
        needs: None,
        mint: None,
        code: None,
        bind: None,
        names: Vec::new(),
        paid: Some(Money::parse("89.91", "USD".parse().expect("a currency")).expect("money")),
        refund: None,
        send: Send::Now,
        trace: "{}".to_owned(),
        now,
    }
}
