//! Counting and forgetting.

use crate::{
    bed::{self, Bed},
    sample::{NOW, click, click_id, dead, delivered, entry, minting, pending, site},
};
use usher_model::{Acceptance, Click, Delivery, Entry, Settlement, UnixMs, Upstream, VisitorKey};
use usher_store::{Backlog, Store};

const DAY: i64 = 24 * 60 * 60 * 1000;

async fn accepted(store: &dyn Store, entry: Entry) -> Delivery {
    match store.accept(entry).await.expect("an acceptance") {
        Acceptance::New(mut deliveries) => deliveries.remove(0),
        other => panic!("{other:?}"),
    }
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
