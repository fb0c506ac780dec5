//! What the embedded store alone has to promise.

use crate::sample::{NOW, click_id, closed, delivered, entry, ids, named, payment, refund, site, sites};
use std::{os::unix::fs::PermissionsExt as _, path::Path, sync::Arc};
use usher_model::{Acceptance, Entry, limits};
use usher_store::{Role, Store, StoreError};

fn url(folder: &Path) -> String {
    format!("sqlite:{}", folder.join("usher.db").display())
}

async fn open(folder: &Path, role: Role) -> Result<Arc<dyn Store>, StoreError> {
    usher_store::open(&url(folder), &sites(), role).await
}

#[tokio::test]
async fn one_service_at_a_time_holds_the_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = open(folder.path(), Role::Service).await.expect("a store");
    let Err(StoreError::Settings(why)) = open(folder.path(), Role::Service).await else {
        panic!("a second service")
    };
    assert!(why.contains(&format!("process {}", std::process::id())), "{why}");
    open(folder.path(), Role::Tool).await.expect("a tool may");
    drop(first);
    open(folder.path(), Role::Service).await.expect("the next one");
}

#[tokio::test]
async fn its_files_are_its_owners_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path(), Role::Service).await.expect("a store");
    assert!(matches!(store.accept(entry("a")).await, Ok(Acceptance::New(_))));
    for name in ["usher.db", "usher.db-wal", "usher.db-shm"] {
        let mode = std::fs::metadata(folder.path().join(name)).expect(name).permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[tokio::test]
async fn a_url_that_cannot_work_says_why() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("text.db"), "this is no database, whatever it is called")
        .expect("a file");
    let text = format!("sqlite:{}", folder.path().join("text.db").display());
    let nowhere = format!("sqlite:{}", folder.path().join("no/such/usher.db").display());
    for (url, word) in [
        ("sqlite:", "path of a file"),
        ("sqlite::memory:", "path of a file"),
        ("postgres://u:s3cret@h/db", "redis://"),
        ("usher.db", "sqlite:"),
        (&nowhere, "no/such/usher.db"),
        (&text, "not a database"),
    ] {
        let Err(why) = usher_store::open(url, &sites(), Role::Service).await else { panic!("{url} opened") };
        assert!(why.to_string().contains(word), "{url}: {why}");
        assert!(!why.to_string().contains("s3cret"), "{why}");
    }
}

#[tokio::test]
async fn what_a_dead_service_held_is_due_for_the_next_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path(), Role::Service).await.expect("a store");
    store.accept(entry("a")).await.expect("new");
    assert!(store.claim(NOW.plus(1), 10, 9).await.expect("a claim").is_empty());
    drop(store);
    let store = open(folder.path(), Role::Service).await.expect("a store");
    assert_eq!(store.claim(NOW.plus(1), 10, 9).await.expect("a claim").len(), 1, "nobody else can hold it");
}

/// Changes the file behind the store's back.
fn meddle(folder: &Path, sql: &str) {
    rusqlite::Connection::open(folder.join("usher.db")).expect("the file").execute_batch(sql).expect(sql);
}

#[tokio::test]
async fn who_cannot_write_an_outcome_still_holds_the_delivery() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path(), Role::Service).await.expect("a store");
    let Ok(Acceptance::New(held)) = store.accept(entry("a")).await else { panic!("new") };
    meddle(folder.path(), "CREATE TRIGGER no BEFORE UPDATE ON delivery BEGIN SELECT RAISE(ABORT, 'no'); END");
    store.settle(&held[0], delivered(None), NOW).await.expect_err("not written");
    assert!(
        store.claim(NOW.plus(1), 10, 9).await.expect("a claim").is_empty(),
        "else it is sent at once, for ever"
    );
    meddle(folder.path(), "DROP TRIGGER no");
    store.settle(&held[0], delivered(None), NOW).await.expect("written");
    assert_eq!(store.backlog().await.expect("a backlog").waiting, 0);
}

#[tokio::test]
async fn a_delivery_that_cannot_be_read_is_passed_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path(), Role::Service).await.expect("a store");
    for key in ["a", "b"] {
        store.accept(entry(key)).await.expect("new");
    }
    meddle(folder.path(), "UPDATE delivery SET job = 'nonsense' WHERE id = 'conv_a'");
    let now = NOW.plus(limits::LEASE_MS);
    assert_eq!(ids(&store.claim(now, 10, 9).await.expect("a claim")), ["conv_b"]);
}

#[tokio::test]
async fn what_is_forgotten_leaves_nothing_in_any_table() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path(), Role::Service).await.expect("a store");
    let bind = Some((click_id("c"), vec!["cus_1".to_owned()]));
    let sale = Entry { bind, ..payment("sale", &["pi_1", "order-1"]) };
    let Ok(Acceptance::New(held)) = store.accept(sale).await else { panic!("new") };
    for entry in
        [refund("r", named(&["pi_1"])), refund("orphan", named(&["x", "y"])), refund("o", named(&["z"]))]
    {
        assert_eq!(store.accept(entry).await.expect("accepted"), Acceptance::Waiting);
    }
    store.settle(&held[0], closed("nobody to credit"), NOW).await.expect("settled");
    assert!(store.discard(&site(), "refund_o", "not ours", NOW).await.expect("asked"));
    store.forget(NOW.plus(1)).await.expect("forgotten");
    let file = rusqlite::Connection::open(folder.path().join("usher.db")).expect("the file");
    for table in ["delivery", "name", "orphan", "customer"] {
        let rows: i64 =
            file.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).expect(table);
        assert_eq!(rows, 0, "{table}");
    }
}
