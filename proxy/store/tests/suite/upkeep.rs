//! Counting and forgetting.

use crate::{
    bed::{self, Bed},
    sample::{
        NOW, click, click_id, dead, delivered, entry, gave_back, minting, named, part, payment, pending,
        refund, site,
    },
};
use usher_model::{
    Acceptance, Click, Delivery, Entry, PaymentRef, Send, Settlement, Source, State, UnixMs, Upstream,
    VisitorKey,
};
use usher_store::{Backlog, Store};

const DAY: i64 = 24 * 60 * 60 * 1000;

async fn accepted(store: &dyn Store, entry: Entry) -> Delivery {
    bed::accepted(store, entry).await.remove(0)
}

pub(crate) async fn the_backlog_counts_what_waits_and_what_is_dead(bed: Bed) {
    let store = &*bed.store;
    assert_eq!(store.backlog().await.expect("a backlog"), Backlog::default());
    let at = |ms: i64| NOW.plus(ms);
    let oldest = accepted(store, Entry { now: at(1), ..entry("a") }).await;
    let second = accepted(store, Entry { now: at(2), ..minting("b", "ush_b") }).await;
    let third = accepted(store, Entry { now: at(3), ..entry("c") }).await;
    // A click counts from when it happened.
    let expected =
        |waiting, dead, oldest: Option<i64>| Backlog { waiting, dead, orphans: 0, oldest: oldest.map(at) };
    assert_eq!(store.backlog().await.expect("a backlog"), expected(4, 0, Some(0)));
    store.settle(&second, dead("no"), at(9)).await.expect("settled");
    assert_eq!(store.backlog().await.expect("a backlog"), expected(3, 1, Some(1)));
    let retry = Settlement::Retry { due_at: at(DAY), error: "503".to_owned() };
    store.settle(&third, retry, at(9)).await.expect("settled");
    store.settle(&oldest, delivered(None), at(9)).await.expect("settled");
    assert_eq!(store.backlog().await.expect("a backlog"), expected(2, 1, Some(2)));
}

pub(crate) async fn what_is_old_and_done_is_forgotten(bed: Bed) {
    let store = &*bed.store;
    let bind = Some((click_id("old"), vec!["cus_old".to_owned()]));
    let done = accepted(store, Entry { bind, ..entry("old") }).await;
    store.settle(&done, delivered(None), NOW).await.expect("settled");
    let old = Click { upstream: Upstream::Same, ..click("old") };
    let young = Click { created_at: NOW.plus(2 * DAY), visitor: Some(VisitorKey(9)), ..old.clone() };
    let young = Click { id: click_id("young"), ..young };
    store.record_clicks(vec![(old, None), (young, None)]).await.expect("written");

    assert_eq!(store.forget(NOW).await.expect("forgotten"), 0, "nothing is from before");
    assert_eq!(store.forget(NOW.plus(DAY)).await.expect("forgotten"), 3, "entry, click and binding");
    assert_eq!(store.forget(NOW.plus(DAY)).await.expect("forgotten"), 0);
    assert!(matches!(store.accept(entry("old")).await, Ok(Acceptance::New(_))), "its key is free again");
    assert_eq!(bed::bound(store, &site(), "cus_old").await, None);
    assert_eq!(bed::click(store, &site(), "old").await, None);
    assert_eq!(bed::newest(store, &site(), 7, UnixMs(0)).await, None);
    assert!(bed::click(store, &site(), "young").await.is_some());
}

pub(crate) async fn what_still_waits_is_not_forgotten(bed: Bed) {
    let store = &*bed.store;
    let of_click = accepted(store, minting("a", "ush_a")).await;
    let refused = accepted(store, entry("dead")).await;
    store.settle(&refused, dead("a person has to decide"), NOW).await.expect("settled");
    store.record_clicks(vec![(click("ush_b"), Some(pending()))]).await.expect("written");
    let late = NOW.plus(500 * DAY);
    assert_eq!(store.forget(late).await.expect("forgotten"), 0);
    assert_eq!(
        store.backlog().await.expect("a backlog"),
        Backlog { waiting: 3, dead: 1, orphans: 0, oldest: Some(NOW) }
    );

    store.settle(&of_click, delivered(Some("up")), NOW.plus(1)).await.expect("settled");
    let rest = store.claim(NOW.plus(1), 10, 9).await.expect("a claim");
    assert_eq!(
        store.forget(late).await.expect("forgotten"),
        1,
        "the click's delivery; the click is still needed"
    );
    assert!(bed::click(store, &site(), "ush_a").await.is_some());
    for delivery in &rest {
        store.settle(delivery, delivered(Some("up")), NOW.plus(1)).await.expect("settled");
    }
    assert_eq!(store.forget(late).await.expect("forgotten"), 4, "two deliveries, two clicks");
    assert!(matches!(store.accept(entry("dead")).await, Ok(Acceptance::Same(_))));
}

pub(crate) async fn it_is_ready_when_it_can_write(bed: Bed) {
    bed.store.ready().await.expect("ready");
    bed.store.ready().await.expect("still ready");
}

pub(crate) async fn a_payment_and_its_refunds_are_forgotten_together(bed: Bed) {
    let store = &*bed.store;
    let late = NOW.plus(500 * DAY);
    bed::paid(store, payment("sale", &["pi_1"]), "com_1").await;
    let first = bed::accepted(store, part("1", named(&["pi_1"]), 100)).await.remove(0);
    let young = Entry { now: NOW.plus(2 * DAY), ..part("2", named(&["pi_1"]), 100) };
    bed::waits(store, young).await;
    assert_eq!(store.forget(late).await.expect("forgotten"), 0, "its refunds wait");
    store.settle(&first, gave_back(100), NOW).await.expect("settled");
    assert_eq!(store.forget(late).await.expect("forgotten"), 0, "one still waits");
    let second = store.claim(NOW.plus(2 * DAY), 10, 9).await.expect("a claim").remove(0);
    store.settle(&second, dead("a person has to decide"), NOW.plus(2 * DAY)).await.expect("settled");
    assert_eq!(store.forget(late).await.expect("forgotten"), 0, "one waits for a person");
    assert!(store.discard(&site(), "refund_2", "so be it", NOW.plus(3 * DAY)).await.expect("asked"));
    assert_eq!(store.forget(NOW.plus(DAY)).await.expect("forgotten"), 0, "one is young");
    assert_eq!(store.forget(NOW.plus(3 * DAY)).await.expect("forgotten"), 0, "one was decided lately");
    assert_eq!(store.forget(NOW.plus(3 * DAY + 1)).await.expect("forgotten"), 3);
    for name in ["pi_1", "sale", "refund_1", "com_1"] {
        assert!(store.find(&site(), name).await.expect("a look").is_empty(), "{name}");
    }
    bed::waits(store, refund("3", named(&["pi_1"]))).await;
    assert_eq!(bed::state(store, "refund_3").await, State::Orphan, "nothing is known of it any more");
}

pub(crate) async fn what_nobody_will_ask_for_is_forgotten(bed: Bed) {
    let store = &*bed.store;
    bed::waits(store, refund("orphan", named(&["sale"]))).await;
    let theirs = bed::accepted(store, refund("theirs", PaymentRef::Upstream("com_1".to_owned()))).await;
    store.settle(&theirs[0], delivered(None), NOW).await.expect("settled");
    bed::waits(store, Entry { send: Send::Never("nobody".to_owned()), ..entry("closed") }).await;
    store.link(&site(), &Source::api(), "a", "sale", NOW).await.expect("linked");
    store.bind_order(&site(), "order-1", &click_id("c"), NOW).await.expect("bound");
    store.bind_order(&site(), "order-1", &click_id("d"), NOW.plus(9 * DAY)).await.expect("contested");
    let of_click = bed::accepted(store, minting("a", "ush_a")).await.remove(0);
    store.settle(&of_click, dead("no"), NOW).await.expect("settled");

    assert_eq!(store.forget(NOW).await.expect("forgotten"), 0, "nothing is from before");
    let gone = "orphan, refund, closed sale, link and order";
    assert_eq!(store.forget(NOW.plus(DAY)).await.expect("forgotten"), 5, "{gone}");
    assert_eq!(bed::state(store, "ush_a").await, State::Dead, "a sale needs it that was not sent");
    assert_eq!(store.backlog().await.expect("a backlog").orphans, 0);
    bed::accepted(store, payment("sale", &[])).await;
    let again = bed::accepted(store, refund("orphan", PaymentRef::Upstream("com_2".to_owned()))).await;
    assert_eq!(again.len(), 1, "its key is free");
    assert_eq!(store.order(&site(), "order-1").await.expect("a look"), None);

    let sale = store.claim(NOW.plus(1), 10, 9).await.expect("a claim");
    let sale = sale.iter().find(|delivery| delivery.id == "conv_a").expect("it was set free");
    store.settle(sale, delivered(None), NOW).await.expect("settled");
    assert_eq!(
        store.forget(NOW.plus(DAY)).await.expect("forgotten"),
        3,
        "the sale, the dead click and its delivery"
    );
}
