//! The records that are found after a cut, held against those that there were in the end.

use std::collections::BTreeSet;
use std::sync::Arc;

use usher_model::{Job, Listing, Record, State, UnixMs};
use usher_store::{Result, Store};

use crate::merchant::Books;

/// Deliveries that are looked at.
const CLAIMED: usize = 10_000;
/// Later than every delivery is due.
const LATER: UnixMs = UnixMs(4_000_000_000_000);

/// All records of a life, as they were in the end, with their fingerprints.
#[derive(Clone)]
pub(super) struct Accepted(Arc<Vec<(Record, Option<Vec<u8>>)>>);

/// What is wrong with the records of a store.
#[derive(Default)]
pub(super) struct Found {
    /// What nobody accepted, or not so.
    pub(super) invented: Vec<String>,
    /// Reports that were refused when their sync failed, and are there all the same, under the id that they got then.
    pub(super) refused: usize,
}

impl Accepted {
    /// Everything in the store of an edge that has ended.
    pub(super) async fn of(store: &dyn Store) -> Result<Self> {
        let mut all = Vec::new();
        for record in everything(store).await? {
            let taken = taken(store, &record).await?;
            all.push((record, taken.map(|(fingerprint, _)| fingerprint)));
        }
        Ok(Self(Arc::new(all)))
    }

    /// Looks through the store that a cut left, when `known` had been acknowledged.
    ///
    /// Each record is one of these: with its id, key and content. With `may_be_refused`, that is when a sync failed, it may
    /// also be the first attempt at one of them, which was answered with a 503: the disk said that it failed and kept it.
    /// Then nothing else has the key, its repeat is known to be the same, and no repeat had been acknowledged before the
    /// cut, since that is written over the attempt.
    pub(super) async fn compare(
        &self,
        store: &dyn Store,
        known: &Books,
        may_be_refused: bool,
    ) -> Result<Found> {
        let records = everything(store).await?;
        let mut found = Found::default();
        let mut keys = BTreeSet::new();
        for record in &records {
            if record.key.is_some() && !keys.insert(name(record)) {
                found.invented.push(format!("two records of one key: {record:?}"));
            } else if self.has(record) {
                continue;
            } else if may_be_refused && self.is_refused(store, record, known).await? {
                found.refused += 1;
            } else {
                found.invented.push(format!("it holds {record:?}"));
            }
        }
        for delivery in store.claim(LATER, 1, CLAIMED).await? {
            if !records.iter().any(|record| record.id == delivery.id && record.body == delivery.body) {
                found.invented.push(format!("it would deliver {delivery:?}"));
            }
        }
        Ok(found)
    }

    fn has(&self, record: &Record) -> bool {
        let is_same =
            |own: &Record| own.id == record.id && name(own) == name(record) && own.body == record.body;
        self.0.iter().any(|(own, _)| is_same(own))
    }

    async fn is_refused(&self, store: &dyn Store, record: &Record, known: &Books) -> Result<bool> {
        let Some(key) = &record.key else { return Ok(false) };
        let is_known = match record.job {
            Job::Refund => known.refunds.contains_key(key),
            _ => known.sales.contains_key(key),
        };
        let Some((fingerprint, id)) = taken(store, record).await? else { return Ok(false) };
        let is_same = |own: &Record, own_fingerprint: &Option<Vec<u8>>| {
            name(own) == name(record)
                && own.body == record.body
                && own_fingerprint.as_ref() == Some(&fingerprint)
        };
        let is_repeated = self.0.iter().any(|(own, own_fingerprint)| is_same(own, own_fingerprint));
        Ok(!is_known && id == record.id && is_repeated)
    }
}

async fn everything(store: &dyn Store) -> Result<Vec<Record>> {
    let listing = Listing { site: None, states: State::ALL.to_vec(), after: None, limit: usize::MAX >> 33 };
    store.list(&listing).await
}

/// What the record's key is taken by: a fingerprint, and an id.
async fn taken(store: &dyn Store, record: &Record) -> Result<Option<(Vec<u8>, String)>> {
    let (Some(source), Some(key)) = (&record.source, &record.key) else { return Ok(None) };
    let taken = store.accepted(&record.site, source, record.job, key).await?;
    Ok(taken.map(|(fingerprint, state)| (fingerprint, state.id.to_string())))
}

/// What a report is known by.
fn name(record: &Record) -> (&str, Option<&str>, &'static str, Option<&str>) {
    let source = record.source.as_ref().map(usher_model::Source::as_str);
    (record.site.as_str(), source, record.job.word(), record.key.as_deref())
}
