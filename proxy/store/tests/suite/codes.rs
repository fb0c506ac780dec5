//! Promo codes.

use crate::{
    bed::Bed,
    sample::{NOW, code, entry, other_site, promo, site, using},
};
use std::time::Duration;
use tokio::{sync::watch, time::timeout};
use usher_model::{Acceptance, Code, SiteName};
use usher_store::Store;

async fn find(store: &dyn Store, site: &SiteName, name: &str) -> Option<Code> {
    let codes = store.codes(site).await.expect("codes");
    codes.into_iter().find(|(found, _)| *found == promo(name)).map(|(_, code)| code)
}

async fn told(changes: &mut watch::Receiver<u64>) {
    timeout(Duration::from_secs(1), changes.changed())
        .await
        .expect("told within a second")
        .expect("the store lives");
}

pub(crate) async fn codes_are_kept_replaced_and_removed_each_site_its_own(bed: Bed) {
    let store = &*bed.store;
    let full = code(
        r#"{"affiliate":"alice","discount":{"amount":10,"type":"percentage"},"starts_at":10,"expires_at":"2026-12-01","max_uses":3}"#,
    );
    let plain = code(r#"{"affiliate":"bob"}"#);
    store
        .put_codes(&site(), vec![(promo("Spring"), full.clone()), (promo("ÉTÉ"), plain.clone())])
        .await
        .expect("put");
    store.put_codes(&other_site(), vec![(promo("spring"), plain.clone())]).await.expect("put");

    assert_eq!(find(store, &site(), "SPRING").await, Some(full));
    assert_eq!(find(store, &site(), "été").await, Some(plain.clone()));
    assert_eq!(find(store, &other_site(), "spring").await, Some(plain.clone()));

    store.put_codes(&site(), vec![(promo("spring"), plain.clone())]).await.expect("replaced");
    assert_eq!(find(store, &site(), "spring").await, Some(plain.clone()));

    assert!(store.remove_code(&site(), &promo("spring")).await.expect("removed"));
    assert!(!store.remove_code(&site(), &promo("spring")).await.expect("asked"), "there is none any more");
    assert_eq!(find(store, &site(), "spring").await, None);
    assert_eq!(find(store, &other_site(), "spring").await, Some(plain), "the other site's stays");
}

pub(crate) async fn uses_are_counted_beside_the_code_and_survive_its_replacement(bed: Bed) {
    let store = &*bed.store;
    let value = code(r#"{"affiliate":"alice","max_uses":2}"#);
    store.put_codes(&site(), vec![(promo("spring"), value.clone())]).await.expect("put");
    assert!(matches!(store.accept(using("a", "spring", Some(2))).await, Ok(Acceptance::New(_))));
    assert!(
        matches!(store.accept(using("a", "spring", Some(2))).await, Ok(Acceptance::Same(_))),
        "not counted twice"
    );
    assert!(matches!(store.accept(using("b", "summer", None)).await, Ok(Acceptance::New(_))), "not counted");
    assert_eq!(find(store, &site(), "spring").await.expect("kept").uses, 1);

    store.put_codes(&site(), vec![(promo("spring"), value.clone())]).await.expect("replaced");
    assert_eq!(find(store, &site(), "spring").await.expect("kept").uses, 1);

    store.remove_code(&site(), &promo("spring")).await.expect("removed");
    store.put_codes(&site(), vec![(promo("spring"), value)]).await.expect("put");
    assert_eq!(find(store, &site(), "spring").await.expect("kept").uses, 0, "its count went with it");
}

pub(crate) async fn uses_never_exceed_what_is_allowed_however_many_ask_at_once(bed: Bed) {
    const ALLOWED: u64 = 10;
    let value = code(r#"{"affiliate":"alice","max_uses":10}"#);
    bed.store.put_codes(&site(), vec![(promo("spring"), value)]).await.expect("put");
    let tasks: Vec<_> = (0..64)
        .map(|i| {
            let store = bed.store.clone();
            tokio::spawn(async move { store.accept(using(&format!("k{i}"), "spring", Some(ALLOWED))).await })
        })
        .collect();
    let mut won = 0;
    for task in tasks {
        match task.await.expect("a task").expect("an acceptance") {
            Acceptance::New(deliveries) => won += deliveries.len() as u64,
            Acceptance::UsedUp => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(won, ALLOWED);
    assert_eq!(find(&*bed.store, &site(), "spring").await.expect("kept").uses, ALLOWED);
    assert_eq!(bed.store.backlog().await.expect("a backlog").waiting, ALLOWED);
    assert_eq!(bed.store.accept(using("late", "spring", Some(0))).await.expect("asked"), Acceptance::UsedUp);
}

pub(crate) async fn a_change_is_told_whoever_made_it(bed: Bed) {
    let other = bed.other().await;
    let mut changes = bed.store.code_changes();
    // A shared store tells of its connection as well: what was missed before it is not known.
    while timeout(Duration::from_millis(700), changes.changed()).await.is_ok() {}

    let value = code(r#"{"affiliate":"alice","max_uses":5}"#);
    bed.store.put_codes(&site(), vec![(promo("spring"), value.clone())]).await.expect("put");
    told(&mut changes).await;
    other.put_codes(&site(), vec![(promo("summer"), value)]).await.expect("put");
    told(&mut changes).await;
    assert!(find(&*bed.store, &site(), "summer").await.is_some());
    bed.store.accept(using("a", "spring", Some(5))).await.expect("counted");
    told(&mut changes).await;
    other.remove_code(&site(), &promo("summer")).await.expect("removed");
    told(&mut changes).await;

    bed.store.accept(entry("no-code")).await.expect("accepted");
    bed.store
        .settle(
            &bed.store.claim(NOW.plus(100_000), 1, 1).await.expect("a claim")[0],
            crate::sample::delivered(None),
            NOW,
        )
        .await
        .expect("settled");
    assert!(
        timeout(Duration::from_millis(700), changes.changed()).await.is_err(),
        "nothing about codes changed"
    );
}
