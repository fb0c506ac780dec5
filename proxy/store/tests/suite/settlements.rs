//! What becomes of a delivery, and of what waits for it.

use crate::{
    bed::{self, Bed, accepted},
    sample::{
        NOW, click, click_id, closed, dead, delivered, delivery_of, entry, ids, minting, pending, site,
    },
};
use usher_model::{Acceptance, Delivery, Entry, Needs, Record, Settlement, State, Upstream};
use usher_store::Store;

async fn upstream(store: &dyn Store, id: &str) -> Upstream {
    bed::click(store, &site(), id).await.expect("a click").upstream
}

pub(crate) async fn a_retry_comes_back_at_its_time_and_counts(bed: Bed) {
    let store = &*bed.store;
    let mut held = accepted(store, entry("a")).await.remove(0);
    for attempts in 1..=3 {
        let due_at = NOW.plus(i64::from(attempts) * 100);
        let retry = Settlement::Retry { due_at, error: "503".to_owned() };
        store.settle(&held, retry, due_at.plus(-50)).await.expect("settled");
        assert!(store.claim(due_at.plus(-1), 10, 9).await.expect("a claim").is_empty());
        let claimed = store.claim(due_at, 10, 9).await.expect("a claim");
        held.attempts = attempts;
        assert_eq!(claimed, [held.clone()]);
    }
}

pub(crate) async fn a_release_comes_back_and_does_not_count(bed: Bed) {
    let store = &*bed.store;
    let held = accepted(store, entry("a")).await;
    store.settle(&held[0], Settlement::Release { due_at: NOW.plus(5) }, NOW).await.expect("settled");
    assert!(store.claim(NOW.plus(4), 10, 9).await.expect("a claim").is_empty());
    assert_eq!(store.claim(NOW.plus(5), 10, 9).await.expect("a claim"), held);
}

pub(crate) async fn what_is_settled_stays_settled(bed: Bed) {
    let store = &*bed.store;
    for (key, last_word) in [("a", delivered(Some("up"))), ("b", dead("no")), ("v", closed("nothing to do"))]
    {
        let held = accepted(store, entry(key)).await.remove(0);
        store.settle(&held, last_word, NOW).await.expect("settled");
        let before = store.accept(entry(key)).await.expect("same");
        let backlog = store.backlog().await.expect("a backlog");
        for late in [
            delivered(Some("other")),
            dead("other"),
            closed("other"),
            Settlement::Retry { due_at: NOW, error: "late".to_owned() },
            Settlement::Release { due_at: NOW },
        ] {
            store.settle(&held, late, NOW.plus(1)).await.expect("ignored");
        }
        assert_eq!(store.accept(entry(key)).await.expect("same"), before);
        assert_eq!(store.backlog().await.expect("a backlog"), backlog);
    }
    assert!(store.claim(NOW.plus(1_000_000), 10, 9).await.expect("a claim").is_empty());
    let unknown = Delivery { id: "conv_unknown".to_owned(), ..accepted(store, entry("c")).await.remove(0) };
    store.settle(&unknown, delivered(None), NOW).await.expect("nothing to settle");
    assert_eq!(store.backlog().await.expect("a backlog").waiting, 1);
}

pub(crate) async fn a_minted_click_goes_first_and_sets_its_entry_free(bed: Bed) {
    let store = &*bed.store;
    let first = accepted(store, minting("a", "ush_a")).await;
    let of_click = Delivery { body: r#"{"minted":1}"#.to_owned(), ..delivery_of(&click("ush_a")) };
    assert_eq!(first, [of_click]);
    assert_eq!(upstream(store, "ush_a").await, Upstream::Pending);
    assert!(store.claim(NOW.plus(9), 10, 9).await.expect("a claim").is_empty());
    assert_eq!(store.backlog().await.expect("a backlog").waiting, 2);

    store.settle(&first[0], delivered(Some("up-1")), NOW.plus(10)).await.expect("settled");
    assert_eq!(upstream(store, "ush_a").await, Upstream::Known(click_id("up-1")));
    let freed = store.claim(NOW.plus(10), 10, 9).await.expect("a claim");
    assert_eq!(ids(&freed), ["conv_a"]);
    assert_eq!(freed[0].needs, Some(Needs::Click(click_id("ush_a"))));
    store.settle(&freed[0], delivered(Some("conv-up")), NOW.plus(11)).await.expect("settled");
    assert_eq!(store.backlog().await.expect("a backlog").waiting, 0);
}

pub(crate) async fn an_entry_waits_for_a_pending_click_only(bed: Bed) {
    let store = &*bed.store;
    let needing = |key: &str, id: &str| Entry { needs: Some(click_id(id)), ..entry(key) };
    store.record_clicks(vec![(click("ush_a"), Some(pending()))]).await.expect("written");
    assert_eq!(store.accept(needing("waits", "ush_a")).await.expect("accepted"), Acceptance::Waiting);
    assert!(matches!(store.accept(needing("waits", "ush_a")).await, Ok(Acceptance::Same(_))));

    // A late answer to the live call: nobody ever claimed that delivery.
    store.settle(&delivery_of(&click("ush_a")), delivered(Some("up-1")), NOW.plus(1)).await.expect("settled");
    assert_eq!(
        ids(&store.claim(NOW.plus(1), 10, 9).await.expect("a claim")),
        ["conv_waits"],
        "the click's is done"
    );
    let at_once = accepted(store, needing("known", "ush_a")).await;
    assert_eq!(at_once[0].needs, Some(Needs::Click(click_id("ush_a"))), "the deliverer looks it up");

    let same = usher_model::Click { upstream: Upstream::Same, ..click("same") };
    store.record_clicks(vec![(same, None)]).await.expect("written");
    accepted(store, needing("same", "same")).await;
    accepted(store, needing("nobody-knows", "ush_nowhere")).await;
}

pub(crate) async fn a_dead_click_sets_free_what_waits_for_it(bed: Bed) {
    let store = &*bed.store;
    let first = accepted(store, minting("a", "ush_a")).await;
    store.settle(&first[0], dead("unknown affiliate"), NOW.plus(10)).await.expect("settled");
    assert_eq!(upstream(store, "ush_a").await, Upstream::Refused("unknown affiliate".to_owned()));
    assert_eq!(ids(&store.claim(NOW.plus(10), 10, 9).await.expect("a claim")), ["conv_a"]);
    let late = Entry { needs: Some(click_id("ush_a")), ..entry("late") };
    accepted(store, late).await;

    let no_id = accepted(store, minting("b", "ush_b")).await;
    store.settle(&no_id[0], delivered(None), NOW.plus(20)).await.expect("settled");
    assert!(
        matches!(upstream(store, "ush_b").await, Upstream::Refused(_)),
        "without an id nothing can be sent"
    );
    assert_eq!(ids(&store.claim(NOW.plus(20), 10, 9).await.expect("a claim")).len(), 2, "b, and a again");
}

pub(crate) async fn many_entries_wait_for_one_click(bed: Bed) {
    let store = &*bed.store;
    let first = accepted(store, minting("0", "ush_a")).await;
    for i in 1..20 {
        let waits = Entry { needs: Some(click_id("ush_a")), ..entry(&i.to_string()) };
        assert_eq!(store.accept(waits).await.expect("accepted"), Acceptance::Waiting);
    }
    store.settle(&first[0], delivered(Some("up")), NOW.plus(1)).await.expect("settled");
    assert_eq!(store.claim(NOW.plus(1), 10, 99).await.expect("a claim").len(), 20);
}

pub(crate) async fn attempts_are_written_down_but_for_a_release(bed: Bed) {
    let store = &*bed.store;
    let retry = Settlement::Retry { due_at: NOW, error: "503".to_owned() };
    let release = Settlement::Release { due_at: NOW };
    let endings = [delivered(Some("up")), dead("no"), closed("nothing to do")];
    for (key, last_word) in ["a", "b", "c"].into_iter().zip(endings) {
        let mut held = accepted(store, entry(key)).await.remove(0);
        for (at, said, settlement, lines) in [
            (1, "503", &retry, 1),
            (2, "unsaid", &release, 1),
            (3, "503", &retry, 2),
            (4, "the end", &last_word, 3),
        ] {
            let mut delivery = held.clone();
            usher_model::delivery::note(&mut delivery.log, NOW.plus(at), said);
            store.settle(&delivery, settlement.clone(), NOW.plus(at)).await.expect("settled");
            let Record { log, error, state, .. } = bed::record(store, &held.id).await;
            assert!(state != State::Due || error.as_deref() == Some("503"), "{error:?}");
            let times: u32 = log.iter().map(|line| line.times).sum();
            assert_eq!(times, lines, "{said}: {log:?}");
            held.log = log;
        }
        let log = bed::record(store, &held.id).await.log;
        assert_eq!((log[0].last, &*log[1].said), (NOW.plus(3), "the end"));
    }
    // A click's that is settled before it is written down.
    let mut early = delivery_of(&click("ush_a"));
    usher_model::delivery::note(&mut early.log, NOW, "201");
    store.settle(&early, delivered(Some("up")), NOW).await.expect("settled");
    assert_eq!(bed::record(store, "ush_a").await.log, early.log);
}

pub(crate) async fn a_closed_click_sets_free_what_waits_for_it(bed: Bed) {
    let store = &*bed.store;
    let first = accepted(store, minting("a", "ush_a")).await;
    store.settle(&first[0], closed("not worth it"), NOW.plus(1)).await.expect("settled");
    assert_eq!(upstream(store, "ush_a").await, Upstream::Refused("not worth it".to_owned()));
    assert_eq!(ids(&store.claim(NOW.plus(1), 10, 9).await.expect("a claim")), ["conv_a"]);
}
