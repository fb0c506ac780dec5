//! Orders that a page tied to a click.

use crate::{
    bed::Bed,
    sample::{NOW, click_id, other_site, site},
};
use usher_model::{Bound, OrderBinding, limits};
use usher_store::Store;

async fn bind(store: &dyn Store, order: &str, click: &str, ms: i64) -> Bound {
    store.bind_order(&site(), order, &click_id(click), NOW.plus(ms)).await.expect("a binding")
}

async fn order(store: &dyn Store, order: &str) -> Option<OrderBinding> {
    // The read has a visitor's deadline, which a busy machine misses now and then.
    for _ in 0..200 {
        if let Ok(found) = store.order(&site(), order).await {
            return found;
        }
    }
    panic!("no answer");
}

fn bound(click: &str, ms: i64, contested: bool) -> Option<OrderBinding> {
    Some(OrderBinding { click: click_id(click), at: NOW.plus(ms), contested })
}

pub(crate) async fn an_order_keeps_its_first_click_and_a_second_contests_it(bed: Bed) {
    let store = &*bed.store;
    let awkward = " a:b{c}*\u{1F49A}\n";
    assert_eq!(order(store, awkward).await, None);
    assert_eq!(bind(store, awkward, "a", 1).await, Bound::Bound);
    assert_eq!(order(store, awkward).await, bound("a", 1, false));
    assert_eq!(bind(store, awkward, "a", 2).await, Bound::Bound);
    assert_eq!(order(store, awkward).await, bound("a", 1, false), "the same again is no contest");
    for (click, ms) in [("b", 3), ("c", 4), ("a", 5)] {
        assert_eq!(bind(store, awkward, click, ms).await, Bound::Bound);
        assert_eq!(order(store, awkward).await, bound("a", 1, true));
    }
    assert_eq!(store.order(&other_site(), awkward).await.ok().flatten(), None);
    let bed = bed.reopen().await;
    assert_eq!(order(&*bed.store, awkward).await, bound("a", 1, true));
}

pub(crate) async fn a_click_binds_and_contests_only_so_many_orders(bed: Bed) {
    let store = &*bed.store;
    let name = |i: u32| format!("order-{i}");
    let most = limits::ORDERS_PER_CLICK;
    for i in 0..most {
        bind(store, &name(i), "victim", 1).await;
    }
    assert_eq!(bind(store, &name(most), "victim", 1).await, Bound::TooMany);
    assert_eq!(order(store, &name(most)).await, None, "nothing is written");
    assert_eq!(bind(store, &name(0), "victim", 2).await, Bound::Bound, "what it bound stays so");

    for i in 0..most - 1 {
        assert_eq!(bind(store, &name(i), "thief", 2).await, Bound::Bound);
    }
    assert_eq!(bind(store, "own", "thief", 3).await, Bound::Bound);
    assert_eq!(bind(store, &name(most - 1), "thief", 4).await, Bound::TooMany);
    assert_eq!(order(store, &name(most - 1)).await, bound("victim", 1, false));
    let elsewhere = store.bind_order(&other_site(), "o", &click_id("thief"), NOW).await;
    assert_eq!(elsewhere.expect("a binding"), Bound::Bound, "each site counts its own");
}
