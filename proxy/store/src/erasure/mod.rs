//! A person's data goes: whoever asks for it, whatever make the store is of. What stays is the fact and the amount of each
//! sale, for the platform has been told of it (`docs/decisions/0012-erasure.md`).

mod person;
mod remains;

pub use person::Person;
pub use remains::Remains;

use crate::contract::{Result, Store};
use person::Search;
use std::collections::BTreeSet;
use usher_model::{ClickId, Job, Listing, Record, SiteName, State, UnixMs, limits};

/// The reason that is written down with a record that is closed for this.
pub const ERASED: &str = "erased at the person's request";

/// What is to become of what is still to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// It keeps what it needs, and its click with it; ask again when it is delivered.
    Stays,
    /// It is discarded: the platform is never told.
    Discarded,
}

/// What one call of [`Store::expunge`] is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Personal {
    /// A click: its row, its own delivery where that is done, the orders and the customers that it bound.
    Click(ClickId),
    /// A customer's binding, by our key of the customer.
    Customer(String),
    /// What a record says, where that is done.
    Record(Box<Remains>),
}

/// How much was removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Erased {
    /// Clicks, and deliveries of clicks.
    pub clicks: u64,
    /// Orders that were bound to them.
    pub orders: u64,
    /// Customers that were bound to them.
    pub customers: u64,
    /// Sales, leads, events and refunds that say no more who it was.
    pub records: u64,
    /// Ids of what is still to be sent, and so was left as it is.
    pub waiting: Vec<String>,
}

impl Erased {
    /// Whether there was nothing of that person.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// Adds what another call removed.
    pub fn add(&mut self, other: Self) {
        self.clicks += other.clicks;
        self.orders += other.orders;
        self.customers += other.customers;
        self.records += other.records;
        self.waiting.extend(other.waiting);
    }
}

/// Removes a person's data from one site. All records are looked at, for a person may be named in any of them.
///
/// # Errors
/// When the store does not do it; what was removed until then is gone, and the same call again does the rest.
pub async fn erase(
    store: &dyn Store,
    site: &SiteName,
    person: &Person,
    waiting: Waiting,
    now: UnixMs,
) -> Result<Erased> {
    let mut search = Search::of(person);
    // Twice: what names the person may name them otherwise as well, and older records only so.
    for _ in 0..2 {
        for click in search.clicks() {
            if let Some(click) = click_of(store, site, &click).await? {
                search.also_called(&click);
            }
        }
        let mut found = Search::default();
        each(store, site, |record| found.learn(&search, record)).await?;
        search.join(found);
    }
    let mut records = Vec::new();
    each(store, site, |record| records.extend(search.is_in(record).then(|| record.clone()))).await?;
    let mut erased = Erased::default();
    let kept = settle(store, &records, waiting, now, &mut erased).await?;
    remove(store, site, &search, &records, &kept, &mut erased).await?;
    if !erased.is_nothing() {
        store.wipe().await?;
    }
    Ok(erased)
}

/// A read that is not on a visitor's time: asked again while the store is busy.
async fn click_of(store: &dyn Store, site: &SiteName, id: &ClickId) -> Result<Option<usher_model::Click>> {
    let mut last = store.click(site, id).await;
    for _ in 0..limits::ERASURE_READS {
        if !matches!(last, Err(crate::StoreError::Unavailable(_))) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(limits::ERASURE_PAUSE_MS)).await;
        last = store.click(site, id).await;
    }
    last
}

async fn each(store: &dyn Store, site: &SiteName, mut look: impl FnMut(&Record) + Send) -> Result<()> {
    let (site, states) = (Some(site.clone()), State::ALL.to_vec());
    let mut listing = Listing { site, states, after: None, limit: limits::RECORDS_LISTED };
    loop {
        let page = store.list(&listing).await?;
        let Some(last) = page.last() else { return Ok(()) };
        listing.after = Some((last.created_at, last.id.clone()));
        page.iter().for_each(&mut look);
    }
}

/// Closes what is not to be sent any more. Gives the ids of the clicks that what stays needs.
async fn settle(
    store: &dyn Store,
    records: &[Record],
    waiting: Waiting,
    now: UnixMs,
    erased: &mut Erased,
) -> Result<BTreeSet<String>> {
    let mut needed = BTreeSet::new();
    for record in records {
        match record.state {
            State::Delivered | State::Closed => {}
            State::Due | State::Blocked | State::Orphan if waiting == Waiting::Stays => {
                erased.waiting.push(record.id.clone());
                needed.extend(record.click.iter().chain(&record.needs).map(ToString::to_string));
                needed.extend((record.job == Job::Click).then(|| record.id.clone()));
            }
            State::Due | State::Blocked | State::Orphan | State::Dead => {
                store.discard(&record.site, &record.id, ERASED, now).await?;
            }
        }
    }
    Ok(needed)
}

async fn remove(
    store: &dyn Store,
    site: &SiteName,
    search: &Search,
    records: &[Record],
    needed: &BTreeSet<String>,
    erased: &mut Erased,
) -> Result<()> {
    for record in records.iter().filter(|record| record.job != Job::Click) {
        if !erased.waiting.contains(&record.id) && !remains::is_blank(record) {
            let remains = Box::new(Remains::of(record, search));
            erased.add(store.expunge(site, &Personal::Record(remains)).await?);
        }
    }
    for customer in search.customer_keys() {
        erased.add(store.expunge(site, &Personal::Customer(customer)).await?);
    }
    for click in search.clicks().into_iter().filter(|click| !needed.contains(click.as_str())) {
        erased.add(store.expunge(site, &Personal::Click(click)).await?);
    }
    Ok(())
}
