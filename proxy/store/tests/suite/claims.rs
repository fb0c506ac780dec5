//! Who holds which delivery.

use crate::{
    bed::{self, Bed},
    sample::{NOW, click, delivered, entry, ids, minting, other_site, pending, site},
};
use std::collections::HashSet;
use usher_model::{Acceptance, Delivery, Entry, Send, Settlement, State, limits};
use usher_store::{PendingClick, Store};

async fn due_at(store: &dyn Store, id: &str, ms: i64) {
    let pending = PendingClick { body: "{}".to_owned(), due_at: NOW.plus(ms) };
    store.record_clicks(vec![(click(id), Some(pending))]).await.expect("written");
}

pub(crate) async fn an_accepted_delivery_is_held_by_whoever_accepted_it(bed: Bed) {
    let store = &*bed.store;
    store.accept(entry("a")).await.expect("new");
    let end = NOW.plus(limits::LEASE_MS);
    assert!(store.claim(end.plus(-1), 10, 9).await.expect("a claim").is_empty());
    assert_eq!(ids(&store.claim(end, 10, 9).await.expect("a claim")), ["conv_a"]);
}

pub(crate) async fn the_oldest_due_come_first_and_not_before_their_time(bed: Bed) {
    let store = &*bed.store;
    for (id, ms) in [("c", 3), ("a", 1), ("d", 4), ("b", 2)] {
        due_at(store, id, ms).await;
    }
    assert!(store.claim(NOW, 10, 9).await.expect("a claim").is_empty());
    assert!(store.claim(NOW.plus(4), 10, 0).await.expect("a claim").is_empty());
    assert_eq!(ids(&store.claim(NOW.plus(3), 100, 2).await.expect("a claim")), ["a", "b"]);
    assert_eq!(ids(&store.claim(NOW.plus(3), 100, 2).await.expect("a claim")), ["c"]);
    assert_eq!(ids(&store.claim(NOW.plus(4), 100, 2).await.expect("a claim")), ["d"]);
}

pub(crate) async fn nothing_is_handed_out_twice(bed: Bed) {
    const ALL: usize = 200;
    let batch = (0..ALL)
        .map(|i| (click(&format!("c{i}")), Some(PendingClick { body: "{}".to_owned(), due_at: NOW })));
    bed.store.record_clicks(batch.collect()).await.expect("written");
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let store = bed.store.clone();
            tokio::spawn(async move {
                let mut mine: Vec<Delivery> = Vec::new();
                loop {
                    let some = store.claim(NOW, 10, 7).await.expect("a claim");
                    // A share may be empty while others take theirs; the backlog says when all is done.
                    if some.is_empty() && store.backlog().await.expect("a backlog").waiting == 0 {
                        return mine;
                    }
                    for delivery in &some {
                        store.settle(delivery, delivered(Some("up")), NOW).await.expect("settled");
                    }
                    mine.extend(some);
                }
            })
        })
        .collect();
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await.expect("a task").into_iter().map(|delivery| delivery.id));
    }
    assert_eq!(all.len(), ALL);
    assert_eq!(all.into_iter().collect::<HashSet<_>>().len(), ALL);
}

pub(crate) async fn a_lease_that_ran_out_is_claimed_by_another(bed: Bed) {
    let store = &*bed.store;
    due_at(store, "a", 0).await;
    assert_eq!(store.claim(NOW, 100, 9).await.expect("a claim").len(), 1);
    assert!(store.claim(NOW.plus(99), 100, 9).await.expect("a claim").is_empty());
    let second = store.claim(NOW.plus(100), 100, 9).await.expect("a claim");
    assert_eq!(ids(&second), ["a"]);
    store
        .settle(&second[0], Settlement::Release { due_at: NOW.plus(150) }, NOW.plus(101))
        .await
        .expect("released");
    assert!(store.claim(NOW.plus(149), 100, 9).await.expect("a claim").is_empty());
    assert_eq!(
        store.claim(NOW.plus(150), 100, 9).await.expect("a claim").len(),
        1,
        "letting go ends the lease"
    );
}

pub(crate) async fn deliveries_of_all_sites_are_claimed_by_age(bed: Bed) {
    let store = &*bed.store;
    for i in 0..6_i64 {
        let site = if i % 2 == 0 { other_site() } else { crate::sample::site() };
        let entry = Entry { site, now: NOW.plus(i), ..entry(&i.to_string()) };
        assert!(matches!(store.accept(entry).await, Ok(Acceptance::New(_))));
    }
    let now = NOW.plus(limits::LEASE_MS + 10);
    assert_eq!(
        ids(&store.claim(now, 100, 4).await.expect("a claim")),
        ["conv_0", "conv_1", "conv_2", "conv_3"]
    );
    assert_eq!(ids(&store.claim(now, 100, 4).await.expect("a claim")), ["conv_4", "conv_5"]);
}

pub(crate) async fn what_is_not_to_be_sent_at_once_is_held_by_nobody(bed: Bed) {
    let store = &*bed.store;
    let later = |entry: Entry| Entry { send: Send::From(NOW.plus(50)), ..entry };
    bed::waits(store, later(entry("a"))).await;
    bed::waits(store, later(minting("b", "ush_b"))).await;
    assert!(store.claim(NOW.plus(49), 10, 9).await.expect("a claim").is_empty());
    let claimed = store.claim(NOW.plus(50), 10, 9).await.expect("a claim");
    let mut claimed = ids(&claimed);
    claimed.sort_unstable();
    assert_eq!(claimed, ["conv_a", "ush_b"]);
    assert_eq!(bed::record(store, "conv_b").await.state, State::Blocked);
}

pub(crate) async fn what_waits_for_a_later_try_is_hastened(bed: Bed) {
    let store = &*bed.store;
    let at = |ms| NOW.plus(ms);
    let later = |ms| Settlement::Retry { due_at: at(ms), error: "503".to_owned() };
    for key in ["tried", "tried-too", "elsewhere"] {
        let site = if key == "elsewhere" { other_site() } else { site() };
        let held = bed::accepted(store, Entry { site, ..entry(key) }).await.remove(0);
        store.settle(&held, later(9_000), at(1)).await.expect("settled");
    }
    bed::waits(store, Entry { send: Send::From(at(9_000)), ..entry("rests") }).await;
    // A call for this click is under way.
    let soon = PendingClick { due_at: at(9_000), ..pending() };
    store.record_clicks(vec![(click("live"), Some(soon))]).await.expect("written");
    bed::accepted(store, entry("held")).await;
    assert!(store.claim(at(2), 10, 9).await.expect("a claim").is_empty());

    assert_eq!(store.hasten(at(2)).await.expect("hastened"), 4);
    assert_eq!(store.hasten(at(2)).await.expect("hastened"), 0);
    assert_eq!(bed::record(store, "conv_tried").await.due_at, at(2));
    let claimed = store.claim(at(2), 10_000, 9).await.expect("a claim");
    let mut all = ids(&claimed);
    all.sort_unstable();
    assert_eq!(all, ["conv_elsewhere", "conv_rests", "conv_tried", "conv_tried-too"]);
    assert_eq!(bed::record(store, "conv_tried").await.attempts, 1, "that was no attempt");
    for ms in [3, 1] {
        assert_eq!(
            store.hasten(at(ms)).await.expect("hastened"),
            0,
            "they are held, whatever the clock says"
        );
    }
    assert!(store.claim(at(3), 10, 9).await.expect("a claim").is_empty());
}
