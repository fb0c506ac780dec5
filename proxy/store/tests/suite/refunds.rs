//! Refunds: each waits for its payment, and those of one payment go one after the other.

use crate::{
    bed::{self, Bed, accepted, paid, state, states, waits},
    sample::{
        NOW, closed, dead, delivered, entry, euros, gave_back, ids, named, part, payment, refund, site,
        source,
    },
};
use usher_model::{
    Acceptance, Currency, Entry, Needs, Payment, PaymentRef, RecordId, RefundAmount, Send, Settlement,
    Source, State, limits,
};
use usher_store::Store;

fn record_id(id: &str) -> RecordId {
    RecordId::new(id).expect("an id")
}

async fn claimed(store: &dyn Store, ms: i64) -> Vec<usher_model::Delivery> {
    store.claim(NOW.plus(ms), limits::LEASE_MS, 99).await.expect("a claim")
}

async fn find(store: &dyn Store, reporter: &str, of: PaymentRef) -> Option<Payment> {
    store.payment(&site(), &source(reporter), &of).await.expect("a look")
}

pub(crate) async fn a_refund_waits_for_its_payment(bed: Bed) {
    let store = &*bed.store;
    let sale = accepted(store, payment("sale", &["pi_1"])).await.remove(0);
    waits(store, part("r", named(&["pi_0", "pi_1"]), 2_550)).await;
    assert_eq!(state(store, "refund_r").await, State::Blocked);
    assert!(claimed(store, 1).await.is_empty());
    assert_eq!(store.backlog().await.expect("a backlog").waiting, 2);

    store.settle(&sale, delivered(Some("com_1")), NOW.plus(2)).await.expect("settled");
    let free = claimed(store, 2).await;
    assert_eq!(ids(&free), ["refund_r"]);
    assert_eq!(free[0].needs, Some(Needs::Payment(record_id("conv_sale"))));
    let currency: Currency = "EUR".parse().expect("a currency");
    assert_eq!(free[0].refund, Some((RefundAmount::Part(euros(2_550)), Some(currency))));
    store.settle(&free[0], gave_back(2_550), NOW.plus(3)).await.expect("settled");

    let at_once = accepted(store, refund("rest", named(&["sale"]))).await;
    assert_eq!(at_once[0].needs, Some(Needs::Payment(record_id("conv_sale"))), "the payment is done");
    assert_eq!(at_once[0].refund, Some((RefundAmount::Rest, None)));
    assert!(claimed(store, 4).await.is_empty(), "the caller holds it");
    let found = find(store, "api", PaymentRef::Record(record_id("conv_sale"))).await.expect("a payment");
    assert_eq!((found.refunded(), found.left()), (euros(2_550), euros(7_450)));
    assert_eq!((found.state, found.upstream_id.as_deref()), (State::Delivered, Some("com_1")));
    assert_eq!(
        found.refunds.iter().map(|refund| refund.state).collect::<Vec<_>>(),
        [State::Delivered, State::Due]
    );
}

pub(crate) async fn refunds_of_one_payment_go_one_after_the_other(bed: Bed) {
    let store = &*bed.store;
    paid(store, payment("sale", &[]), "com_1").await;
    paid(store, payment("other", &[]), "com_2").await;
    let mut held = accepted(store, part("0", named(&["sale"]), 100)).await.remove(0);
    for (i, key) in ["1", "2", "3", "4"].into_iter().enumerate() {
        waits(store, Entry { now: NOW.plus(4 - i as i64), ..part(key, named(&["sale"]), 100) }).await;
    }
    accepted(store, part("elsewhere", named(&["other"]), 100)).await;

    let retry = Settlement::Retry { due_at: NOW.plus(50), error: "503".to_owned() };
    store.settle(&held, retry, NOW.plus(10)).await.expect("settled");
    assert!(claimed(store, 49).await.is_empty(), "a refund that is tried again keeps its place");
    let last_words =
        [gave_back(100), dead("no"), closed("nothing left"), Settlement::Release { due_at: NOW.plus(200) }];
    for (at, (next, last_word)) in (100..).zip(["4", "3", "2", "1"].into_iter().zip(last_words)) {
        let now = NOW.plus(at);
        store.settle(&held, last_word, now).await.expect("settled");
        if at < 103 {
            held = claimed(store, at).await.remove(0);
            assert_eq!(held.id, format!("refund_{next}"), "the oldest first");
        }
        assert!(claimed(store, at).await.is_empty(), "one at a time");
    }
    let after = states(store, ["refund_0", "refund_4", "refund_3", "refund_2", "refund_1"]).await;
    assert_eq!(after, [State::Delivered, State::Dead, State::Closed, State::Due, State::Blocked]);
}

pub(crate) async fn a_dead_payment_keeps_its_refunds_waiting(bed: Bed) {
    let store = &*bed.store;
    let sale = accepted(store, payment("sale", &[])).await.remove(0);
    waits(store, refund("before", named(&["sale"]))).await;
    store.settle(&sale, dead("unknown"), NOW.plus(1)).await.expect("settled");
    waits(store, refund("after", named(&["sale"]))).await;
    assert_eq!(states(store, ["refund_before", "refund_after"]).await, [State::Blocked; 2]);
    assert!(claimed(store, 2).await.is_empty());

    assert!(store.retry(&site(), "conv_sale", NOW.plus(3)).await.expect("asked"));
    let again = claimed(store, 3).await;
    assert_eq!(ids(&again), ["conv_sale"], "its refunds wait for what becomes of it");
    store.settle(&again[0], delivered(Some("com_1")), NOW.plus(4)).await.expect("settled");
    assert_eq!(claimed(store, 4).await.len(), 1);
}

pub(crate) async fn a_closed_payment_closes_its_refunds(bed: Bed) {
    let store = &*bed.store;
    waits(store, refund("orphan", named(&["late"]))).await;
    for key in ["asked", "late"] {
        if key == "asked" {
            let sale = accepted(store, payment(key, &[])).await.remove(0);
            waits(store, refund("before", named(&[key]))).await;
            store.settle(&sale, closed("nobody to credit"), NOW.plus(1)).await.expect("settled");
        } else {
            let never = Send::Never("nobody to credit".to_owned());
            waits(store, Entry { send: never, ..payment(key, &[]) }).await;
        }
        waits(store, refund(&format!("after-{key}"), named(&[key]))).await;
    }
    for id in [
        "conv_asked",
        "conv_late",
        "refund_orphan",
        "refund_before",
        "refund_after-asked",
        "refund_after-late",
    ] {
        let record = bed::record(store, id).await;
        assert_eq!(
            (record.state, record.error.as_deref()),
            (State::Closed, Some("nobody to credit")),
            "{id}"
        );
        assert!(record.settled_at.is_some(), "{id}");
    }
    assert!(claimed(store, 9).await.is_empty());
    assert_eq!(store.backlog().await.expect("a backlog"), usher_store::Backlog::default());
}

pub(crate) async fn an_orphan_finds_its_payment_when_that_comes(bed: Bed) {
    let store = &*bed.store;
    for (key, name) in [("by-key", "sale"), ("by-name", "pi_1"), ("stranger", "pi_2")] {
        waits(store, refund(key, named(&["nothing", name]))).await;
    }
    let backlog = store.backlog().await.expect("a backlog");
    assert_eq!(
        (backlog.orphans, backlog.waiting, backlog.oldest),
        (3, 0, None),
        "orphans do not wait to be sent"
    );
    let sale = accepted(store, payment("sale", &["pi_1"])).await.remove(0);
    let expected = [State::Blocked, State::Blocked, State::Orphan];
    assert_eq!(states(store, ["refund_by-key", "refund_by-name", "refund_stranger"]).await, expected);
    assert_eq!(bed::record(store, "refund_by-key").await.payment.as_deref(), Some("conv_sale"));
    store.settle(&sale, delivered(Some("com_1")), NOW.plus(1)).await.expect("settled");
    assert_eq!(ids(&claimed(store, 1).await), ["refund_by-key"], "one at a time");
    assert_eq!(find(store, "api", named(&["pi_1"])).await.expect("a payment").refunds.len(), 2);

    // Nobody else's payment of that name.
    let elsewhere = Entry { site: crate::sample::other_site(), ..payment("pi_2", &[]) };
    let lead = Entry { paid: None, ..payment("pi_2", &[]) };
    accepted(store, elsewhere).await;
    accepted(store, lead).await;
    assert_eq!(state(store, "refund_stranger").await, State::Orphan);
    let unknown = refund("unknown", PaymentRef::Record(record_id("conv_nowhere")));
    waits(store, unknown).await;
    assert_eq!(state(store, "refund_unknown").await, State::Orphan);
}

pub(crate) async fn names_are_their_sources_own_or_the_merchants(bed: Bed) {
    let store = &*bed.store;
    let of = |reporter: &str, key: &str, id: &str| Entry {
        source: source(reporter),
        id: record_id(id),
        ..payment(key, &["order-1"])
    };
    let stranger = Entry { source: source("paddle"), ..refund("paddle", named(&["order-1"])) };
    waits(store, stranger).await;
    accepted(store, of("stripe", "a", "conv_stripe")).await;
    assert_eq!(state(store, "refund_paddle").await, State::Orphan, "stripe's names are not paddle's");
    assert_eq!(find(store, "api", named(&["order-1"])).await, None);

    accepted(store, of("api", "b", "conv_api")).await;
    assert_eq!(bed::record(store, "refund_paddle").await.payment.as_deref(), Some("conv_api"));
    accepted(store, Entry { now: NOW.plus(1), ..of("stripe", "c", "conv_later") }).await;
    for (reporter, names, expected) in [
        ("stripe", &["order-1"][..], Some("conv_stripe")),
        ("stripe", &["b", "order-1"], Some("conv_stripe")),
        ("stripe", &["c"], Some("conv_later")),
        ("stripe", &["b"], Some("conv_api")),
        ("paddle", &["a", "order-1"], Some("conv_api")),
        ("paddle", &["a"], None),
        ("api", &["order-1"], Some("conv_api")),
    ] {
        let found = find(store, reporter, named(names)).await.map(|payment| payment.id);
        assert_eq!(found.as_ref().map(RecordId::as_str), expected, "{reporter} {names:?}");
    }
}

pub(crate) async fn of_several_payments_of_one_name_the_oldest_is_meant(bed: Bed) {
    let store = &*bed.store;
    for (name, key_ms, name_ms, expected) in [("a", 2, 1, "conv_by-a"), ("b", 1, 2, "conv_b")] {
        accepted(store, Entry { now: NOW.plus(key_ms), ..payment(name, &[]) }).await;
        accepted(store, Entry { now: NOW.plus(name_ms), ..payment(&format!("by-{name}"), &[name]) }).await;
        let found = find(store, "api", named(&[name])).await.expect("a payment");
        assert_eq!(found.id.as_str(), expected);
    }
    for (key, ms) in [("later", 2), ("sooner", 1)] {
        accepted(store, Entry { now: NOW.plus(ms), ..payment(key, &["c"]) }).await;
    }
    assert_eq!(find(store, "api", named(&["c"])).await.expect("a payment").id.as_str(), "conv_sooner");
}

pub(crate) async fn linked_names_mean_the_same_payment(bed: Bed) {
    let store = &*bed.store;
    let stripe = source("stripe");
    let link = |name: &'static str, alias_of: &'static str, ms| {
        let stripe = stripe.clone();
        async move { store.link(&site(), &stripe, name, alias_of, NOW.plus(ms)).await.expect("linked") }
    };
    let from_stripe = |entry: Entry| Entry { source: source("stripe"), ..entry };
    // Before anything is known, through one another, and against the arrow.
    link("ch_1", "pi_1", 1).await;
    link("in_1", "pi_1", 2).await;
    waits(store, from_stripe(refund("early", named(&["ch_1"])))).await;
    paid(store, from_stripe(payment("sale", &["in_1"])), "com_1").await;
    assert_eq!(ids(&claimed(store, 3).await), ["refund_early"]);
    waits(store, from_stripe(refund("late", named(&["pi_1"])))).await;
    assert_eq!(find(store, "stripe", named(&["ch_1"])).await.expect("a payment").refunds.len(), 2);

    // After the payment and the refund.
    paid(store, from_stripe(payment("second", &["in_2"])), "com_2").await;
    waits(store, from_stripe(refund("waiting", named(&["re_2"])))).await;
    link("re_2", "ch_2", 4).await;
    assert_eq!(state(store, "refund_waiting").await, State::Orphan);
    store.link(&site(), &Source::api(), "ch_2", "in_2", NOW.plus(5)).await.expect("linked");
    assert_eq!(state(store, "refund_waiting").await, State::Orphan, "links are their source's own");
    link("ch_2", "in_2", 6).await;
    link("ch_2", "in_2", 7).await;
    link("in_2", "in_2", 8).await;
    let record = bed::record(store, "refund_waiting").await;
    assert_eq!((record.state, record.due_at), (State::Due, NOW.plus(6)), "the payment is done already");

    // What the merchant reported is found through the provider's links.
    accepted(store, payment("third", &["in_3"])).await;
    link("ch_3", "in_3", 9).await;
    assert!(find(store, "stripe", named(&["ch_3"])).await.is_some());
    assert!(find(store, "paddle", named(&["ch_3"])).await.is_none());
    assert_eq!(store.backlog().await.expect("a backlog").orphans, 0);
}

pub(crate) async fn a_name_may_be_linked_to_several(bed: Bed) {
    let store = &*bed.store;
    for (alias_of, ms) in [("pi_2", 1), ("pi_1", 2), ("pi_0", 2)] {
        store.link(&site(), &Source::api(), "in_1", alias_of, NOW.plus(ms)).await.expect("linked");
    }
    for (key, expected) in [("pi_1", "pi_1"), ("pi_0", "pi_0"), ("pi_2", "pi_2")] {
        accepted(store, payment(key, &[])).await;
        let found = find(store, "api", named(&["in_1"])).await.expect("a payment");
        assert_eq!(found.id, record_id(&format!("conv_{expected}")), "the older link first, then the name");
        assert_eq!(
            find(store, "api", named(&[key])).await.expect("a payment").id,
            record_id(&format!("conv_{key}"))
        );
    }
    // However many there are, they are not followed for ever.
    for i in 0..limits::NAMES_FOLLOWED {
        let (one, next) = (format!("n{i}"), format!("n{}", i + 1));
        store.link(&site(), &Source::api(), &one, &next, NOW.plus(i as i64)).await.expect("linked");
    }
    let last = limits::NAMES_FOLLOWED;
    accepted(store, payment(&format!("n{last}"), &[])).await;
    assert_eq!(find(store, "api", named(&["n0"])).await, None);
    assert!(find(store, "api", named(&["n40"])).await.is_some());
}

pub(crate) async fn a_payment_that_only_the_platform_knows_has_a_lane_too(bed: Bed) {
    let store = &*bed.store;
    let theirs = || PaymentRef::Upstream("com:9".to_owned());
    let first = accepted(store, part("1", theirs(), 100)).await.remove(0);
    assert_eq!(first.needs, Some(Needs::Upstream("com:9".to_owned())));
    waits(store, part("2", theirs(), 200)).await;
    assert_eq!(bed::record(store, "refund_2").await.payment.as_deref(), Some("com:9"));
    assert_eq!(find(store, "api", theirs()).await, None);
    store.settle(&first, delivered(None), NOW.plus(1)).await.expect("settled");
    assert_eq!(ids(&claimed(store, 1).await), ["refund_2"]);

    // It turns out to be one of ours: the refunds that it knows of are counted together.
    let sale = accepted(store, payment("sale", &[])).await.remove(0);
    waits(store, part("3", named(&["sale"]), 300)).await;
    store.settle(&sale, delivered(Some("com:9")), NOW.plus(2)).await.expect("settled");
    assert_eq!(state(store, "refund_3").await, State::Blocked, "one of them is under way");
    waits(store, part("4", theirs(), 400)).await;
    let found = find(store, "paddle", theirs()).await.expect("a payment");
    assert_eq!((found.id.as_str(), found.refunds.len()), ("conv_sale", 4));
    let second = claimed(store, 3 + limits::LEASE_MS).await.remove(0);
    assert_eq!(second.needs, Some(Needs::Payment(record_id("conv_sale"))));
    store.settle(&second, gave_back(200), NOW.plus(3)).await.expect("settled");
    assert_eq!(state(store, "refund_3").await, State::Due);
    assert_eq!(find(store, "api", theirs()).await.expect("a payment").refunded(), euros(200));
}

pub(crate) async fn a_refund_is_due_when_its_entry_says_so(bed: Bed) {
    let store = &*bed.store;
    paid(store, payment("sale", &[]), "com_1").await;
    let sent = |key: &str, send: Send| Entry { send, ..part(key, named(&["sale"]), 100) };
    waits(store, sent("never", Send::Never("a test".to_owned()))).await;
    waits(store, sent("later", Send::From(NOW.plus(50)))).await;
    waits(store, sent("next", Send::Now)).await;
    let nowhere = named(&["nowhere"]);
    waits(store, Entry { send: Send::Never("a test".to_owned()), ..refund("nowhere", nowhere) }).await;
    assert!(claimed(store, 49).await.is_empty());
    assert_eq!(ids(&claimed(store, 50).await), ["refund_later"]);
    let ids = ["refund_never", "refund_next", "refund_nowhere"];
    assert_eq!(states(store, ids).await, [State::Closed, State::Blocked, State::Closed]);
    assert_eq!(bed::record(store, "refund_never").await.payment.as_deref(), Some("conv_sale"));
    let needs = Some(crate::sample::click_id("ush_a"));
    let sale = Entry { needs: needs.clone(), ..entry("waits") };
    store.record_clicks(vec![(crate::sample::click("ush_a"), None)]).await.expect("written");
    waits(store, sale).await;
    paid(store, payment("second", &[]), "com_2").await;
    let own = accepted(store, Entry { needs, ..refund("own", named(&["second"])) }).await;
    assert_eq!(own[0].needs, Some(Needs::Payment(record_id("conv_second"))), "a refund needs no click");
    assert_eq!(bed::record(store, "refund_own").await.needs, None);
}

pub(crate) async fn lanes_are_there_after_a_restart(bed: Bed) {
    paid(&*bed.store, payment("sale", &["pi_1"]), "com_1").await;
    accepted(&*bed.store, part("1", named(&["pi_1"]), 100)).await;
    waits(&*bed.store, part("2", named(&["pi_1"]), 100)).await;
    waits(&*bed.store, refund("orphan", named(&["pi_2"]))).await;
    bed.store.link(&site(), &Source::api(), "pi_2", "pi_3", NOW).await.expect("linked");
    let bed = bed.reopen().await;
    let store = &*bed.store;
    let held = claimed(store, limits::LEASE_MS).await;
    assert_eq!(ids(&held), ["refund_1"]);
    store.settle(&held[0], gave_back(100), NOW.plus(1)).await.expect("settled");
    assert_eq!(state(store, "refund_2").await, State::Due);
    paid(store, payment("pi_3", &[]), "com_2").await;
    assert_eq!(state(store, "refund_orphan").await, State::Due);
}

pub(crate) async fn of_many_refunds_at_once_one_is_due(bed: Bed) {
    paid(&*bed.store, payment("sale", &[]), "com_1").await;
    let tasks: Vec<_> = (0..32)
        .map(|i| {
            let store = bed.store.clone();
            let entry = part(&format!("r{i}"), named(&["sale"]), 100);
            tokio::spawn(async move { store.accept(entry).await.expect("an acceptance") })
        })
        .collect();
    let mut due = 0;
    for task in tasks {
        due += usize::from(matches!(task.await.expect("a task"), Acceptance::New(_)));
    }
    assert_eq!(due, 1);
    assert_eq!(bed.store.backlog().await.expect("a backlog").waiting, 32);
}
