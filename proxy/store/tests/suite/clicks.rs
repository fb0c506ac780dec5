//! Clicks.

use crate::{
    bed::{self, Bed},
    sample::{NOW, click, click_id, dead, delivered, delivery_of, ids, other_site, pending, site},
};
use usher_model::{Click, UnixMs, Upstream, VisitorKey};
use usher_store::PendingClick;

pub(crate) async fn a_click_is_written_once_and_read_back_whole(bed: Bed) {
    let store = &*bed.store;
    let known = Click { upstream: Upstream::Known(click_id("up-1")), visitor: None, ..click("a") };
    let refused = Click { upstream: Upstream::Refused("not \"ours\"".to_owned()), ..click("b") };
    let same = Click { upstream: Upstream::Same, visitor: Some(VisitorKey(u128::MAX)), ..click("c") };
    let waiting = click("d");
    let all = [known, refused, same, waiting];
    store.record_clicks(all.iter().cloned().map(|click| (click, None)).collect()).await.expect("written");
    for click in &all {
        assert_eq!(bed::click(store, &site(), click.id.as_str()).await.as_ref(), Some(click));
    }
    assert_eq!(bed::click(store, &other_site(), all[0].id.as_str()).await, None);

    let again = Click { created_at: NOW.plus(5), upstream: Upstream::Same, ..click("d") };
    store.record_clicks(vec![(again, None)]).await.expect("ignored");
    assert_eq!(bed::click(store, &site(), "d").await, Some(click("d")));
    store.record_clicks(Vec::new()).await.expect("nothing to do");
}

pub(crate) async fn the_newest_click_of_a_visitor_is_found_since_a_moment(bed: Bed) {
    let store = &*bed.store;
    let at = |id: &str, ms: i64| Click { created_at: NOW.plus(ms), ..click(id) };
    let elsewhere = Click { site: other_site(), ..at("elsewhere", 9) };
    let somebody = Click { visitor: Some(VisitorKey(8)), ..at("somebody", 9) };
    let nobody = Click { visitor: None, ..at("nobody", 9) };
    // Batches may come in any order.
    for click in [at("b", 2), at("c", 3), at("a", 1), elsewhere, somebody, nobody] {
        store.record_clicks(vec![(click, None)]).await.expect("written");
    }
    let newest = |visitor, since| async move {
        bed::newest(store, &site(), visitor, since).await.map(|click| click.id)
    };
    assert_eq!(newest(7, UnixMs(0)).await, Some(click_id("c")));
    assert_eq!(newest(7, NOW.plus(3)).await, Some(click_id("c")));
    assert_eq!(newest(7, NOW.plus(4)).await, None);
    assert_eq!(newest(9, UnixMs(0)).await, None);
}

pub(crate) async fn a_click_without_a_visitor_gets_one_and_keeps_it(bed: Bed) {
    let store = &*bed.store;
    let visited = |id: &str, visitor: Option<u128>| Click { visitor: visitor.map(VisitorKey), ..click(id) };
    let record = async |click: Click, pending: Option<PendingClick>| {
        store.record_clicks(vec![(click, pending)]).await.expect("written");
    };
    let due = PendingClick { due_at: NOW.plus(50), ..pending() };
    record(visited("bare", None), Some(due.clone())).await;
    record(visited("told", None), None).await;
    store.settle(&delivery_of(&click("told")), delivered(Some("up-1")), NOW).await.expect("settled");
    let told = bed::click(store, &site(), "told").await.expect("there").upstream;

    // It happened when it was written first, and what the platform calls it stays; so does its delivery.
    let other = PendingClick { body: r#"{"other":1}"#.to_owned(), due_at: NOW };
    let later = Click { created_at: NOW.plus(9), ..visited("bare", Some(8)) };
    record(later, Some(other)).await;
    record(visited("told", Some(9)), Some(pending())).await;
    assert_eq!(bed::click(store, &site(), "bare").await, Some(visited("bare", Some(8))));
    assert_eq!(bed::newest(store, &site(), 8, NOW).await, Some(visited("bare", Some(8))));
    assert_eq!(bed::newest(store, &site(), 8, NOW.plus(1)).await, None);
    let known = Click { upstream: told, ..visited("told", Some(9)) };
    assert_eq!(bed::newest(store, &site(), 9, NOW).await, Some(known));
    let claimed = store.claim(NOW.plus(50), 10, 9).await.expect("a claim");
    assert_eq!(claimed, [delivery_of(&click("bare"))], "once, as it was first");

    for visitor in [Some(1), None] {
        record(visited("bare", visitor), None).await;
        assert_eq!(bed::click(store, &site(), "bare").await, Some(visited("bare", Some(8))));
    }
    assert_eq!(bed::newest(store, &site(), 1, UnixMs(0)).await, None);
}

pub(crate) async fn a_click_without_a_body_has_no_delivery(bed: Bed) {
    let store = &*bed.store;
    let later = PendingClick { due_at: NOW.plus(50), ..pending() };
    let known = Click { upstream: Upstream::Same, ..click("known") };
    store
        .record_clicks(vec![(click("plain"), None), (click("due"), Some(later)), (known, Some(pending()))])
        .await
        .expect("written");
    assert!(store.claim(NOW.plus(49), 10, 9).await.expect("a claim").is_empty());
    let claimed = store.claim(NOW.plus(50), 10, 9).await.expect("a claim");
    assert_eq!(claimed, [delivery_of(&click("due"))], "a click that the platform knows needs none");
}

pub(crate) async fn a_click_that_was_resolved_before_it_was_written_stays_resolved(bed: Bed) {
    let store = &*bed.store;
    store.settle(&delivery_of(&click("early")), delivered(Some("up-1")), NOW).await.expect("settled");
    store.settle(&delivery_of(&click("hopeless")), dead("program closed"), NOW).await.expect("settled");
    let batch = vec![(click("early"), Some(pending())), (click("hopeless"), Some(pending()))];
    store.record_clicks(batch.clone()).await.expect("written");
    let upstream =
        |id: &'static str| async move { bed::click(store, &site(), id).await.expect("there").upstream };
    assert_eq!(upstream("early").await, Upstream::Known(click_id("up-1")));
    assert_eq!(upstream("hopeless").await, Upstream::Refused("program closed".to_owned()));
    assert_eq!(ids(&store.claim(NOW.plus(9), 10, 9).await.expect("a claim")), [""; 0]);

    store.record_clicks(batch).await.expect("ignored");
    assert_eq!(upstream("early").await, Upstream::Known(click_id("up-1")));
}
