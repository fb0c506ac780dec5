//! What people look at and what they decide, beside a service that goes on.

use crate::{
    bed::{self, Bed, accepted, paid, state, states, waits},
    sample::{
        NOW, click, click_id, closed, dead, delivered, delivery_of, entry, euros, gave_back, ids, minting,
        named, other_site, part, payment, pending, refund, site, source,
    },
};
use usher_model::{
    Answer, Attempt, Click, Delivery, Entry, Job, Listing, PaymentRef, Record, RecordId, RefundAmount, Send,
    Settlement, State, UnixMs, Upstream, limits,
};
use usher_store::Store;

async fn found(store: &dyn Store, name: &str) -> Vec<String> {
    let records = store.find(&site(), name).await.expect("a look");
    records.into_iter().map(|record| record.id).collect()
}

async fn retry(store: &dyn Store, id: &str, ms: i64) -> bool {
    store.retry(&site(), id, NOW.plus(ms)).await.expect("asked")
}

async fn discard(store: &dyn Store, id: &str, ms: i64) -> bool {
    store.discard(&site(), id, "not ours", NOW.plus(ms)).await.expect("asked")
}

async fn claimed(store: &dyn Store, ms: i64) -> Vec<Delivery> {
    store.claim(NOW.plus(ms), limits::LEASE_MS, 99).await.expect("a claim")
}

async fn died(store: &dyn Store, entry: Entry) {
    let now = entry.now;
    let held = accepted(store, entry).await.remove(0);
    store.settle(&held, dead("no"), now).await.expect("settled");
}

pub(crate) async fn a_record_is_found_by_all_its_names(bed: Bed) {
    let store = &*bed.store;
    let sale = Entry { click: Some(click_id("c1")), ..payment("evt_1", &["pi_1", "order-1"]) };
    paid(store, sale, "com_1").await;
    let renewal = Entry { click: Some(click_id("c1")), now: NOW.plus(1), ..payment("evt_2", &["order-1"]) };
    accepted(store, renewal).await;
    let lead = Entry { job: Job::Signup, source: source("browser"), now: NOW.plus(2), ..entry("evt_1") };
    accepted(store, Entry { id: RecordId::new("lead_1").expect("an id"), ..lead }).await;
    accepted(store, Entry { site: other_site(), ..payment("evt_3", &["pi_1"]) }).await;
    let at = Click { created_at: NOW.plus(3), ..click("c1") };
    store.record_clicks(vec![(at, Some(pending()))]).await.expect("written");
    let lost = Entry { now: NOW.plus(4), ..refund("lost", named(&["pi_none", "ch_none"])) };
    waits(store, lost).await;
    assert_eq!(bed::record(store, "refund_lost").await.awaits, ["pi_none", "ch_none"]);
    for (name, expected) in [
        ("conv_evt_1", &["conv_evt_1"][..]),
        ("ch_none", &["refund_lost"]),
        ("evt_1", &["conv_evt_1", "lead_1"]),
        ("pi_1", &["conv_evt_1"]),
        ("order-1", &["conv_evt_1", "conv_evt_2"]),
        ("com_1", &["conv_evt_1"]),
        ("c1", &["conv_evt_1", "conv_evt_2", "c1"]),
        ("evt_3", &[]),
        ("", &[]),
    ] {
        assert_eq!(found(store, name).await, expected, "{name}");
    }
    accepted(store, payment("late", &["pi_none"])).await;
    assert_eq!(found(store, "pi_none").await, ["conv_late"], "it waits for it no more");
    assert!(bed::record(store, "refund_lost").await.awaits.is_empty());
}

pub(crate) async fn a_record_says_all_that_is_known(bed: Bed) {
    let store = &*bed.store;
    store.record_clicks(vec![(click("ush_a"), None)]).await.expect("written");
    let sale = Entry {
        source: source("stripe"),
        click: Some(click_id("ush_a")),
        needs: Some(click_id("ush_a")),
        ..payment("evt_1", &["pi_1", "a \"b\" \u{1F49A}"])
    };
    waits(store, sale.clone()).await;
    let mut expected = Record {
        id: "conv_evt_1".to_owned(),
        site: site(),
        source: Some(source("stripe")),
        job: Job::Conversion,
        key: Some("evt_1".to_owned()),
        state: State::Blocked,
        body: sale.body,
        click: Some(click_id("ush_a")),
        needs: Some(click_id("ush_a")),
        payment: None,
        awaits: Vec::new(),
        names: sale.names,
        paid: sale.paid,
        refund: None,
        trace: Some(sale.trace),
        due_at: NOW,
        attempts: 0,
        log: Vec::new(),
        created_at: NOW,
        settled_at: None,
        answer: None,
        upstream_id: None,
        error: None,
    };
    assert_eq!(bed::record(store, "conv_evt_1").await, expected);

    store.settle(&delivery_of(&click("ush_a")), delivered(Some("up-1")), NOW.plus(1)).await.expect("settled");
    let of_click = bed::record(store, "ush_a").await;
    assert_eq!((of_click.job, of_click.source, of_click.key), (Job::Click, None, None));
    let mut held = claimed(store, 2).await.remove(0);
    usher_model::delivery::note(&mut held.log, NOW.plus(2), "503");
    let retry = Settlement::Retry { due_at: NOW.plus(9), error: "503: \"busy\"".to_owned() };
    store.settle(&held, retry, NOW.plus(3)).await.expect("settled");
    (expected.state, expected.due_at) = (State::Due, NOW.plus(9));
    expected.attempts = 1;
    expected.error = Some("503: \"busy\"".to_owned());
    expected.log = vec![Attempt { at: NOW.plus(2), last: NOW.plus(2), times: 1, said: "503".to_owned() }];
    assert_eq!(bed::record(store, "conv_evt_1").await, expected);

    let mut held = claimed(store, 9).await.remove(0);
    assert_eq!(held.log, expected.log, "who tries next knows what came before");
    assert_eq!(bed::record(store, "conv_evt_1").await, expected, "a lease changes nothing");
    usher_model::delivery::note(&mut held.log, NOW.plus(9), "201");
    store.settle(&held, delivered(Some("com_1")), NOW.plus(10)).await.expect("settled");
    expected.state = State::Delivered;
    expected.error = None;
    expected.log = held.log;
    expected.settled_at = Some(NOW.plus(10));
    expected.answer = Some(crate::sample::answer());
    expected.upstream_id = Some("com_1".to_owned());
    assert_eq!(bed::record(store, "conv_evt_1").await, expected);

    let of = PaymentRef::Record(RecordId::new("conv_evt_1").expect("an id"));
    let back = accepted(store, part("r", of, 2_550)).await.remove(0);
    store.settle(&back, gave_back(2_500), NOW.plus(11)).await.expect("settled");
    let record = bed::record(store, "refund_r").await;
    assert_eq!(record.refund, Some((RefundAmount::Part(euros(2_550)), Some(euros(2_500)))));
    assert_eq!((record.payment.as_deref(), record.paid), (Some("conv_evt_1"), None));
}

pub(crate) async fn records_are_listed_by_state_a_page_at_a_time(bed: Bed) {
    let store = &*bed.store;
    for (key, ms) in [("b", 2), ("a", 2), ("c", 1)] {
        died(store, Entry { now: NOW.plus(ms), ..entry(key) }).await;
    }
    accepted(store, Entry { now: NOW.plus(3), ..entry("due") }).await;
    waits(store, Entry { now: NOW.plus(4), ..refund("orphan", named(&["x"])) }).await;
    died(store, Entry { site: other_site(), now: NOW.plus(5), ..entry("elsewhere") }).await;
    let list = |site, states: &'static [State], after, limit| async move {
        let listing = Listing { site, states: states.to_vec(), after, limit };
        let records = store.list(&listing).await.expect("a list");
        records.into_iter().map(|record| (record.created_at, record.id)).collect::<Vec<(UnixMs, String)>>()
    };
    let names = |page: &[(UnixMs, String)]| page.iter().map(|(_, id)| id.clone()).collect::<Vec<_>>();
    let dead = &[State::Dead];
    let all = list(None, dead, None, 9).await;
    assert_eq!(names(&all), ["conv_c", "conv_a", "conv_b", "conv_elsewhere"]);
    assert_eq!(names(&list(Some(site()), dead, None, 9).await), ["conv_c", "conv_a", "conv_b"]);
    let page = list(None, dead, None, 2).await;
    assert_eq!(names(&page), ["conv_c", "conv_a"]);
    assert_eq!(names(&list(None, dead, page.last().cloned(), 9).await), ["conv_b", "conv_elsewhere"]);
    assert!(list(None, dead, all.last().cloned(), 9).await.is_empty());
    let open = &[State::Orphan, State::Dead, State::Due];
    let expected = ["conv_c", "conv_a", "conv_b", "conv_due", "refund_orphan"];
    assert_eq!(names(&list(Some(site()), open, None, 9).await), expected);
    assert_eq!(
        names(&list(Some(site()), open, Some((NOW.plus(2), "conv_b".to_owned())), 1).await),
        ["conv_due"]
    );
    assert!(list(None, &[], None, 9).await.is_empty() && list(None, open, None, 0).await.is_empty());
}

pub(crate) async fn a_dead_delivery_is_sent_again(bed: Bed) {
    let store = &*bed.store;
    let mut held = accepted(store, entry("a")).await.remove(0);
    usher_model::delivery::note(&mut held.log, NOW, "422");
    let late = Settlement::Retry { due_at: NOW, error: "503".to_owned() };
    store.settle(&held, late, NOW).await.expect("settled");
    assert!(!retry(store, "conv_a", 1).await, "it is not dead");
    store.settle(&held, dead("no"), NOW.plus(1)).await.expect("settled");
    for (id, expected) in [("conv_a", true), ("conv_a", false), ("conv_nowhere", false)] {
        assert_eq!(retry(store, id, 5).await, expected, "{id}");
    }
    assert!(!store.retry(&other_site(), "conv_a", NOW).await.expect("asked"));
    let record = bed::record(store, "conv_a").await;
    let (due_at, attempts) = (record.due_at, record.attempts);
    assert_eq!((record.state, due_at, attempts, record.log.len()), (State::Due, NOW.plus(5), 0, 1));
    assert_eq!((record.settled_at, record.answer, record.error), (None, None, None));
    assert!(claimed(store, 4).await.is_empty());
    let again = claimed(store, 5).await;
    assert_eq!((ids(&again), again[0].attempts), (vec!["conv_a"], 0));
    store.settle(&again[0], delivered(None), NOW.plus(6)).await.expect("settled");
    assert_eq!(state(store, "conv_a").await, State::Delivered);
}

pub(crate) async fn a_dead_click_that_is_sent_again_is_pending_again(bed: Bed) {
    let store = &*bed.store;
    let first = accepted(store, minting("a", "ush_a")).await;
    store.settle(&first[0], dead("closed for now"), NOW.plus(1)).await.expect("settled");
    let freed = claimed(store, 1).await;
    store.settle(&freed[0], dead("nobody to credit"), NOW.plus(1)).await.expect("settled");
    assert!(retry(store, "ush_a", 2).await);
    assert_eq!(bed::click(store, &site(), "ush_a").await.expect("a click").upstream, Upstream::Pending);
    assert!(retry(store, "conv_a", 2).await);
    assert_eq!(state(store, "conv_a").await, State::Blocked, "it waits for the click again");
    let of_click = claimed(store, 2).await;
    assert_eq!(ids(&of_click), ["ush_a"]);
    store.settle(&of_click[0], delivered(Some("up-1")), NOW.plus(3)).await.expect("settled");
    let known = Upstream::Known(click_id("up-1"));
    assert_eq!(bed::click(store, &site(), "ush_a").await.expect("a click").upstream, known);
    assert_eq!(ids(&claimed(store, 3).await), ["conv_a"]);

    // Refused for another reason than its delivery died of: that stays.
    let refused = Upstream::Refused("unknown affiliate".to_owned());
    store.settle(&delivery_of(&click("ush_b")), dead("gone"), NOW).await.expect("settled");
    let other = Click { upstream: refused.clone(), ..click("ush_b") };
    store.record_clicks(vec![(other, None)]).await.expect("written");
    assert!(retry(store, "ush_b", 4).await);
    assert_eq!(bed::click(store, &site(), "ush_b").await.expect("a click").upstream, refused);
}

pub(crate) async fn a_dead_refund_that_is_sent_again_waits_its_turn(bed: Bed) {
    let store = &*bed.store;
    paid(store, payment("sale", &[]), "com_1").await;
    died(store, part("1", named(&["sale"]), 100)).await;
    let second = accepted(store, part("2", named(&["sale"]), 100)).await.remove(0);
    assert!(retry(store, "refund_1", 1).await);
    assert_eq!(state(store, "refund_1").await, State::Blocked, "another is under way");
    let of = PaymentRef::Record(RecordId::new("conv_sale").expect("an id"));
    let found = store.payment(&site(), &source("api"), &of).await.expect("a look").expect("a payment");
    let order: Vec<_> = found.refunds.iter().map(|refund| refund.id.as_str()).collect();
    assert_eq!(order, ["refund_2", "refund_1"], "in the order in which they are sent");
    store.settle(&second, dead("no"), NOW.plus(2)).await.expect("settled");
    assert_eq!(states(store, ["refund_1", "refund_2"]).await, [State::Due, State::Dead]);
    let first = claimed(store, 2).await.remove(0);
    store.settle(&first, gave_back(100), NOW.plus(3)).await.expect("settled");
    assert!(retry(store, "refund_2", 4).await);
    assert_eq!(state(store, "refund_2").await, State::Due, "nobody is before it");
    // It had died by mistake: whoever sent it first comes back with what it gave back.
    let second = claimed(store, 4).await.remove(0);
    store.settle(&second, dead("no"), NOW.plus(5)).await.expect("settled");
    store.settle(&second, gave_back(100), NOW.plus(6)).await.expect("settled");
    assert!(!retry(store, "refund_2", 7).await, "the money is back");
    let found = store.payment(&site(), &source("api"), &of).await.expect("a look").expect("a payment");
    assert_eq!(found.refunded(), euros(200));

    // One that was settled while its payment had not been sent.
    accepted(store, payment("late", &[])).await;
    waits(store, refund("r", named(&["late"]))).await;
    let settled = Delivery { id: "refund_r".to_owned(), ..second };
    store.settle(&settled, dead("no"), NOW.plus(8)).await.expect("settled");
    assert!(retry(store, "refund_r", 9).await);
    assert_eq!(state(store, "refund_r").await, State::Blocked);
}

pub(crate) async fn what_is_discarded_is_not_sent(bed: Bed) {
    let store = &*bed.store;
    let held = accepted(store, entry("due")).await.remove(0);
    died(store, entry("dead")).await;
    waits(store, refund("orphan", named(&["sale"]))).await;
    let of_click = accepted(store, minting("blocked", "ush_a")).await.remove(0);
    paid(store, entry("done"), "com_1").await;
    for id in ["conv_due", "conv_dead", "refund_orphan", "conv_blocked"] {
        assert!(discard(store, id, 1).await, "{id}");
        assert!(!discard(store, id, 2).await, "{id} again");
        assert!(!retry(store, id, 2).await, "{id}");
        let record = bed::record(store, id).await;
        let why = (record.state, record.error.as_deref(), record.settled_at);
        assert_eq!(why, (State::Closed, Some("not ours"), Some(NOW.plus(1))), "{id}");
    }
    assert!(!discard(store, "conv_done", 1).await && !discard(store, "conv_nowhere", 1).await);
    assert_eq!(store.backlog().await.expect("a backlog").waiting, 1, "the click");
    for late in [delivered(Some("com_2")), dead("late"), closed("late")] {
        store.settle(&held, late, NOW.plus(3)).await.expect("ignored");
        let record = bed::record(store, "conv_due").await;
        assert_eq!((record.state, record.upstream_id), (State::Closed, None));
        assert_eq!(record.error.as_deref(), Some("not ours"));
    }
    store.settle(&of_click, delivered(Some("up-1")), NOW.plus(3)).await.expect("settled");
    assert_eq!(state(store, "conv_blocked").await, State::Closed, "nothing sets it free");
    accepted(store, payment("sale", &[])).await;
    assert_eq!(state(store, "refund_orphan").await, State::Closed, "no payment takes it in");
    assert!(claimed(store, 4).await.is_empty());
}

pub(crate) async fn what_hangs_on_a_discarded_one_goes_with_it_or_goes_on(bed: Bed) {
    let store = &*bed.store;
    // A click's.
    accepted(store, minting("a", "ush_a")).await;
    assert!(discard(store, "ush_a", 1).await);
    let refused = Upstream::Refused("not ours".to_owned());
    assert_eq!(bed::click(store, &site(), "ush_a").await.expect("a click").upstream, refused);
    let freed = claimed(store, 1).await;
    assert_eq!(ids(&freed), ["conv_a"]);
    // A payment's.
    accepted(store, payment("sale", &[])).await;
    waits(store, refund("r", named(&["sale"]))).await;
    assert!(discard(store, "conv_sale", 2).await);
    let record = bed::record(store, "refund_r").await;
    assert_eq!((record.state, record.error.as_deref()), (State::Closed, Some("not ours")));
    // A refund's, while its payment has not been sent.
    accepted(store, payment("unsent", &[])).await;
    for key in ["5", "6"] {
        waits(store, part(key, named(&["unsent"]), 100)).await;
    }
    assert!(discard(store, "refund_5", 3).await);
    assert_eq!(state(store, "refund_6").await, State::Blocked);
    // A refund's that had its turn, and one's that had not.
    paid(store, payment("second", &[]), "com_1").await;
    died(store, part("1", named(&["second"]), 100)).await;
    accepted(store, part("2", named(&["second"]), 100)).await;
    for key in ["3", "4"] {
        waits(store, part(key, named(&["second"]), 100)).await;
    }
    assert!(discard(store, "refund_1", 3).await && discard(store, "refund_3", 3).await);
    assert_eq!(states(store, ["refund_2", "refund_4"]).await, [State::Due, State::Blocked]);
}

pub(crate) async fn a_refund_behind_one_that_was_discarded_on_its_way_knows_what_went_back(bed: Bed) {
    let store = &*bed.store;
    let tool = bed.other().await;
    paid(store, payment("sale", &[]), "com_1").await;
    let held = accepted(store, part("1", named(&["sale"]), 6_000)).await.remove(0);
    waits(store, refund("2", named(&["sale"]))).await;
    assert!(discard(&*tool, "refund_1", 5).await);
    let record = bed::record(store, "refund_2").await;
    assert_eq!((record.state, record.due_at), (State::Due, NOW.plus(5 + limits::LEASE_MS)));
    assert_eq!(
        store.hasten(NOW.plus(6)).await.expect("hastened"),
        0,
        "the platform is back; the other may be there"
    );
    assert!(claimed(store, 4 + limits::LEASE_MS).await.is_empty());
    // The platform took it all the same.
    store.settle(&held, gave_back(6_000), NOW.plus(7)).await.expect("settled");
    store.settle(&held, gave_back(1), NOW.plus(8)).await.expect("ignored");
    assert_eq!(state(store, "refund_1").await, State::Closed);
    let next = claimed(store, 5 + limits::LEASE_MS).await;
    assert_eq!(ids(&next), ["refund_2"]);
    let of = PaymentRef::Named(vec!["sale".to_owned()]);
    let found = store.payment(&site(), &source("api"), &of).await.expect("a look").expect("a payment");
    assert_eq!(found.comes_to(RefundAmount::Rest), Some(euros(4_000)));
}

pub(crate) async fn a_command_decides_while_the_service_runs(bed: Bed) {
    let store = &*bed.store;
    let tool = bed.other().await;
    // Discarded while it is under way: what comes of it changes nothing, and what waits goes with it.
    let held = accepted(store, payment("sale", &[])).await.remove(0);
    waits(store, refund("r", named(&["sale"]))).await;
    assert!(discard(&*tool, "conv_sale", 1).await);
    store.settle(&held, delivered(Some("com_1")), NOW.plus(2)).await.expect("ignored");
    assert_eq!(states(store, ["conv_sale", "refund_r"]).await, [State::Closed; 2]);

    // Sent again by a command: the service claims it, and nobody else does.
    died(store, entry("a")).await;
    assert!(retry(&*tool, "conv_a", 3).await && !retry(store, "conv_a", 3).await);
    let again = claimed(store, 3).await;
    assert_eq!(ids(&again), ["conv_a"]);
    assert!(claimed(store, 4).await.is_empty());
    // Its first sender, whom everybody had given up, comes back: the platform has it, and that is the last word.
    store.settle(&again[0], delivered(Some("com_a")), NOW.plus(5)).await.expect("settled");
    store.settle(&again[0], dead("late"), NOW.plus(6)).await.expect("ignored");
    assert!(!retry(&*tool, "conv_a", 7).await && !discard(&*tool, "conv_a", 7).await);
    assert_eq!(state(&*tool, "conv_a").await, State::Delivered);

    // A discarded click sets free at once; the late answer does not bind it any more.
    let first = accepted(store, minting("b", "ush_b")).await.remove(0);
    assert!(discard(&*tool, "ush_b", 8).await);
    store.settle(&first, delivered(Some("up-1")), NOW.plus(9)).await.expect("ignored");
    let refused = Upstream::Refused("not ours".to_owned());
    assert_eq!(bed::click(store, &site(), "ush_b").await.expect("a click").upstream, refused);
    assert_eq!(ids(&claimed(store, 9).await), ["conv_b"]);
    assert_eq!(bed::record(store, "conv_b").await.answer, None::<Answer>);
}

pub(crate) async fn nothing_is_sent_of_what_is_written_down_closed(bed: Bed) {
    let store = &*bed.store;
    let never = Send::Never("nobody brought it".to_owned());
    waits(store, Entry { send: never.clone(), ..payment("sale", &["pi_1"]) }).await;
    let record = bed::record(store, "conv_sale").await;
    assert_eq!((record.state, record.error.as_deref()), (State::Closed, Some("nobody brought it")));
    assert!(matches!(store.accept(payment("sale", &["pi_1"])).await, Ok(usher_model::Acceptance::Same(_))));
    let minted = Entry { send: never, ..minting("b", "ush_b") };
    waits(store, minted).await;
    assert_eq!(ids(&claimed(store, 1).await), ["ush_b"], "the click is true all the same");
    assert_eq!(state(store, "conv_b").await, State::Closed);
    assert!(!retry(store, "conv_b", 1).await && !discard(store, "conv_b", 1).await);
}
