//! Records page by page, so that a million of them are never in memory at once.

use usher_model::{Listing, Record, SiteName, State, limits};
use usher_store::Store;

/// Where a listing is.
pub(super) struct Pages<'a> {
    store: &'a dyn Store,
    next: Option<Listing>,
}

impl<'a> Pages<'a> {
    /// The records of one site, or of all, in these states.
    pub(super) fn new(store: &'a dyn Store, site: Option<SiteName>, states: &[State]) -> Self {
        let next = Listing { site, states: states.to_vec(), after: None, limit: limits::RECORDS_LISTED };
        Self { store, next: Some(next) }
    }

    /// The next records, the oldest first; none when there are no more.
    pub(super) async fn next(&mut self) -> usher_store::Result<Vec<Record>> {
        let Some(listing) = self.next.take() else { return Ok(Vec::new()) };
        let records = self.store.list(&listing).await?;
        if let Some(last) = records.last() {
            self.next = Some(Listing { after: Some((last.created_at, last.id.clone())), ..listing });
        }
        Ok(records)
    }
}
