//! Entries.

use crate::{
    bed::{self, Bed},
    sample::{
        NOW, answer, click_id, code, dead, delivered, entry, ids, minting, other_site, payment, promo, site,
        using,
    },
};
use usher_model::{
    Acceptance, Answer, Delivery, Entry, EntryState, Job, Settlement, Source, State, UnixMs, limits,
};

fn own(entry: &Entry) -> Delivery {
    Delivery {
        id: entry.id.as_str().to_owned(),
        site: entry.site.clone(),
        job: entry.job,
        body: entry.body.clone(),
        needs: entry.needs.clone().map(usher_model::Needs::Click),
        refund: None,
        log: Vec::new(),
        attempts: 0,
        created_at: entry.now,
    }
}

pub(crate) async fn an_entry_is_new_once_and_the_same_afterwards(bed: Bed) {
    let store = &*bed.store;
    let first = entry("evt_1");
    assert_eq!(store.accept(first.clone()).await.expect("new"), Acceptance::New(vec![own(&first)]));
    let again = Entry { id: entry("evt_2").id, now: NOW.plus(5), ..first.clone() };
    let same = Acceptance::Same(EntryState { id: first.id, state: State::Due, answer: None });
    assert_eq!(store.accept(again).await.expect("same"), same);
    assert_eq!(store.backlog().await.expect("a backlog").waiting, 1);
}

pub(crate) async fn a_key_is_taken_for_its_site_source_and_job_alone(bed: Bed) {
    let store = &*bed.store;
    let awkward = " a:b{c}*\u{1F49A}\n".to_owned();
    let first = Entry { key: awkward, ..entry("1") };
    let lead = Entry { job: Job::Signup, id: entry("2").id, ..first.clone() };
    let elsewhere = Entry { site: other_site(), id: entry("3").id, ..first.clone() };
    let theirs = Entry { source: Source::segment(), id: entry("4").id, ..first.clone() };
    for entry in [&first, &lead, &elsewhere, &theirs] {
        assert_eq!(store.accept(entry.clone()).await.expect("new"), Acceptance::New(vec![own(entry)]));
    }
    assert!(matches!(store.accept(first).await, Ok(Acceptance::Same(_))));
}

pub(crate) async fn the_same_key_with_other_content_is_a_conflict(bed: Bed) {
    let store = &*bed.store;
    let first = entry("evt_1");
    store.accept(first.clone()).await.expect("new");
    let mut fingerprint = first.fingerprint;
    fingerprint[31] ^= 1;
    let other = Entry { fingerprint, id: entry("evt_2").id, ..first.clone() };
    assert_eq!(store.accept(other.clone()).await.expect("asked"), Acceptance::Conflict(first.id));
    assert_eq!(store.backlog().await.expect("a backlog").waiting, 1);
}

pub(crate) async fn a_payment_is_taken_once_whatever_job_tells_of_it(bed: Bed) {
    let store = &*bed.store;
    let sale = payment("pay_1", &["order_1"]);
    store.accept(sale.clone()).await.expect("new");
    for (n, job) in [Job::Event, Job::Segment].into_iter().enumerate() {
        let id = entry(&format!("other_{n}")).id;
        let again = Entry { job, id: id.clone(), ..sale.clone() };
        let conflict = Acceptance::Conflict(sale.id.clone());
        assert_eq!(store.accept(again.clone()).await.expect("asked"), conflict, "{job:?}");
        let unpaid = Entry { paid: None, ..again };
        assert!(matches!(store.accept(unpaid).await, Ok(Acceptance::New(_))), "{job:?}");
    }
    let by_name = Entry { job: Job::Event, ..payment("order_1", &[]) };
    assert!(matches!(store.accept(by_name).await, Ok(Acceptance::New(_))), "a name is no key");
    let theirs = Entry { source: Source::segment(), id: entry("theirs").id, job: Job::Event, ..sale };
    assert!(matches!(store.accept(theirs).await, Ok(Acceptance::New(_))));
    assert!(matches!(store.accept(payment("late", &[])).await, Ok(Acceptance::New(_))));
    let lead = Entry { job: Job::Event, id: entry("lead").id, ..entry("e1") };
    store.accept(lead).await.expect("new");
    assert!(matches!(store.accept(payment("e1", &[])).await, Ok(Acceptance::New(_))), "a lead is no payment");
}

pub(crate) async fn of_many_at_once_one_is_new(bed: Bed) {
    let tasks: Vec<_> = (0..64)
        .map(|i| {
            let store = bed.store.clone();
            let entry = Entry { id: entry(&format!("id{i}")).id, ..entry("evt_1") };
            tokio::spawn(async move { store.accept(entry).await.expect("an acceptance") })
        })
        .collect();
    let (mut new, mut same) = (Vec::new(), Vec::new());
    for task in tasks {
        match task.await.expect("a task") {
            Acceptance::New(deliveries) => new.extend(deliveries),
            Acceptance::Same(state) => same.push(state.id.as_str().to_owned()),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((new.len(), same.len()), (1, 63));
    assert!(same.iter().all(|id| *id == new[0].id));
}

pub(crate) async fn what_the_platform_said_is_given_to_whoever_asks_again(bed: Bed) {
    let store = &*bed.store;
    let refused = Answer { status: 422, body: "no".to_owned() };
    let nobody = Settlement::Closed { answer: Some(refused.clone()), why: "nobody to credit".to_owned() };
    for (key, settlement, state, said) in [
        ("good", delivered(Some("conv-up")), State::Delivered, Some(answer())),
        ("bad", dead("unknown customer"), State::Dead, Some(refused.clone())),
        ("void", nobody, State::Closed, Some(refused)),
    ] {
        let Ok(Acceptance::New(deliveries)) = store.accept(entry(key)).await else { panic!("not new") };
        store.settle(&deliveries[0], settlement, NOW.plus(9)).await.expect("settled");
        let state = EntryState { id: entry(key).id, state, answer: said };
        assert_eq!(store.accept(entry(key)).await.expect("same"), Acceptance::Same(state));
    }
}

pub(crate) async fn an_entry_that_cannot_count_its_code_leaves_nothing(bed: Bed) {
    let store = &*bed.store;
    store
        .put_codes(&site(), vec![(promo("once"), code(r#"{"affiliate":"a","max_uses":1}"#))])
        .await
        .expect("put");
    store.accept(using("a", "once", Some(1))).await.expect("new");
    let loser = Entry {
        code: using("b", "once", Some(1)).code,
        bind: Some((click_id("ush_b"), vec!["cus_b".to_owned()])),
        ..minting("b", "ush_b")
    };
    assert_eq!(store.accept(loser.clone()).await.expect("asked"), Acceptance::UsedUp);
    assert_eq!(bed::click(store, &site(), "ush_b").await, None);
    assert_eq!(bed::bound(store, &site(), "cus_b").await, None);
    assert_eq!(store.backlog().await.expect("a backlog").waiting, 1);
    let without = Entry { code: None, ..loser };
    assert!(matches!(store.accept(without).await, Ok(Acceptance::New(_))), "its key was not taken");
}

pub(crate) async fn customers_stay_with_their_first_click(bed: Bed) {
    let store = &*bed.store;
    let bind = |key: &str, click: &str, customers: &[&str]| Entry {
        bind: Some((click_id(click), customers.iter().map(|&customer| customer.to_owned()).collect())),
        ..entry(key)
    };
    store.accept(bind("1", "click-1", &["cus_1", "a@example.com"])).await.expect("new");
    store.accept(bind("2", "click-2", &["cus_1", "cus_2"])).await.expect("new");
    for (customer, click) in [
        ("cus_1", Some("click-1")),
        ("a@example.com", Some("click-1")),
        ("cus_2", Some("click-2")),
        ("cus_3", None),
    ] {
        let found = bed::bound(store, &site(), customer).await;
        assert_eq!(found, click.map(click_id), "{customer}");
    }
    assert_eq!(bed::bound(store, &other_site(), "cus_1").await, None);
}

pub(crate) async fn what_was_acknowledged_is_there_after_a_restart(bed: Bed) {
    bed.store.accept(entry("plain")).await.expect("new");
    bed.store.accept(minting("minting", "ush_1")).await.expect("new");
    let bed = bed.reopen().await;
    let store = &*bed.store;
    assert!(matches!(store.accept(entry("plain")).await, Ok(Acceptance::Same(_))));
    assert!(matches!(store.accept(minting("minting", "ush_1")).await, Ok(Acceptance::Same(_))));
    let later: UnixMs = NOW.plus(limits::LEASE_MS);
    let claimed = store.claim(later, 10, 9).await.expect("a claim");
    let mut found = ids(&claimed);
    found.sort_unstable();
    assert_eq!(found, ["conv_plain", "ush_1"]);
    let own = claimed.iter().find(|delivery| delivery.id == "conv_plain").expect("there");
    assert_eq!(*own, self::own(&entry("plain")));
}

pub(crate) async fn what_was_accepted_is_found_by_its_key(bed: Bed) {
    let store = &*bed.store;
    let found = |job, key: &'static str| async move {
        store.accepted(&site(), &Source::api(), job, key).await.expect("a read")
    };
    assert_eq!(found(Job::Conversion, "a").await, None);
    assert_eq!(store.accept(entry("a")).await.expect("new"), Acceptance::New(vec![own(&entry("a"))]));
    let at = |state, answer| Some((vec![7; 32], EntryState { id: entry("a").id, state, answer }));
    assert_eq!(found(Job::Conversion, "a").await, at(State::Due, None));
    store.settle(&own(&entry("a")), delivered(None), NOW).await.expect("settled");
    assert_eq!(found(Job::Conversion, "a").await, at(State::Delivered, Some(answer())));
    assert_eq!(found(Job::Signup, "a").await, None);
    for (site, source) in [(other_site(), Source::api()), (site(), Source::browser())] {
        assert_eq!(store.accepted(&site, &source, Job::Conversion, "a").await.expect("a read"), None);
    }
}
