//! The embedded store's files, when no edge holds them: copied away and back, and opened with the store's own code.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;
use usher_model::{Job, Record, RefundAmount, SiteName};
use usher_store::{Role, Store};

use crate::judge::same_amount;
use crate::merchant::Books;

/// What SQLite puts beside its file; the index in shared memory is built anew after a crash of the machine, and after one of
/// the process it lives on, so it belongs to a copy as well.
const ENDINGS: [&str; 4] = ["", "-wal", "-shm", "-journal"];

/// A copy of the store's files.
pub(crate) struct Shelf {
    folder: TempDir,
}

impl Shelf {
    /// Copies the files of the store at `database`, which nobody may hold.
    pub(crate) fn keep(database: &Path) -> Self {
        let shelf = Self { folder: tempfile::tempdir().expect("a folder") };
        copy(database, &shelf.database());
        shelf
    }

    /// Puts the files where they came from, in place of what is there.
    pub(crate) fn put_back(&self, database: &Path) {
        copy(&self.database(), database);
    }

    /// Where the copy is.
    pub(crate) fn database(&self) -> PathBuf {
        self.folder.path().join("usher.db")
    }
}

/// Removes a store's files.
pub(crate) fn clear(database: &Path) {
    for ending in ENDINGS {
        // What is not there need not be removed.
        let _ = std::fs::remove_file(beside(database, ending));
    }
}

/// The contents of the files that a crash of the machine leaves, by name.
pub(crate) fn read(database: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = ENDINGS.into_iter().filter(|ending| *ending != "-shm").map(|ending| beside(database, ending));
    let name = |file: &Path| file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    files.filter_map(|file| Some((name(&file), std::fs::read(&file).ok()?))).collect()
}

fn copy(from: &Path, to: &Path) {
    clear(to);
    for ending in ENDINGS {
        let from = beside(from, ending);
        if from.exists() {
            std::fs::copy(&from, beside(to, ending)).expect("a copy");
        }
    }
}

/// A file beside the database.
pub(crate) fn beside(database: &Path, ending: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Opens the store as the edge would.
pub(crate) async fn open(database: &Path) -> usher_store::Result<Arc<dyn Store>> {
    let url = format!("sqlite:{}", database.display());
    usher_store::open(&url, &[site()], Role::Service).await
}

/// What of these books is not in the store of an edge that has ended. It is looked at in a copy: a connection of ours that
/// closes late must not meet the next edge on the same files.
pub(crate) async fn lost(database: &Path, books: &Books) -> Vec<String> {
    let copy = Shelf::keep(database);
    match open(&copy.database()).await {
        Ok(store) => missing(store.as_ref(), books).await,
        Err(why) => vec![format!("the store does not open: {why}")],
    }
}

/// The site that every edge of the harness has.
pub(crate) fn site() -> SiteName {
    SiteName::new("shop").expect("a name")
}

/// What of these books is not in the store: events that it does not know, or knows otherwise than they were acknowledged.
pub(crate) async fn missing(store: &dyn Store, books: &Books) -> Vec<String> {
    let mut missing = Vec::new();
    let sales = books.sales.iter().map(|(event, sold)| (event, Job::Conversion, sold.cents));
    let refunds = books.refunds.iter().map(|(event, refunded)| (event, Job::Refund, refunded.cents));
    for (event, job, cents) in sales.chain(refunds) {
        if let Err(why) = holds(store, event, job, cents).await {
            missing.push(format!("{event}: {why}"));
        }
    }
    missing
}

async fn holds(store: &dyn Store, event: &str, job: Job, cents: u64) -> Result<(), String> {
    let records = store.find(&site(), event).await.map_err(|why| why.to_string())?;
    let own: Vec<&Record> =
        records.iter().filter(|record| record.job == job && record.key.as_deref() == Some(event)).collect();
    let [record] = own.as_slice() else { return Err(format!("{} records", own.len())) };
    let amount = match record.refund {
        Some((RefundAmount::Part(part), _)) => Some(part.to_string()),
        Some(_) => None,
        None => record.paid.map(|paid| paid.amount().to_string()),
    };
    // The shop's mark, or a refund's reason: the event once more.
    let is_marked = record.body.contains(&format!("{event:?}"));
    if !is_marked || !same_amount(amount.as_deref(), cents) {
        return Err(format!("another content: {amount:?} {}", record.body));
    }
    Ok(())
}
