//! What every make of the store promises.

use async_trait::async_trait;
use tokio::sync::watch;
use usher_model::{
    Acceptance, Click, ClickId, Code, Delivery, Entry, EntryState, Job, PromoCode, Settlement, SiteName,
    UnixMs, VisitorKey,
};

/// A store's result.
pub type Result<T> = std::result::Result<T, StoreError>;

/// Why the store did not do it. In every case nothing was acknowledged and nothing half-done is left.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached, did not answer in time, or is busy: try again.
    #[error("the store does not answer: {0}")]
    Unavailable(String),
    /// It has no room left: try again when somebody has made room.
    #[error("the store is full: {0}")]
    Full(String),
    /// It answered with what it never should have: a person has to look.
    #[error("the store holds what cannot be read: {0}")]
    Corrupt(String),
    /// Its settings are wrong: a person has to change them.
    #[error("{0}")]
    Settings(String),
}

/// A store. Methods that write return only when the write is on stable storage (with Redis: as stable as its
/// `appendfsync` makes it). Each call keeps a total deadline of its own.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    // --- promo codes ------------------------------------------------------------------------------------------

    /// All codes of a site with their counted uses. A value that cannot be read is left out and logged by its name.
    async fn codes(&self, site: &SiteName) -> Result<Vec<(PromoCode, Code)>>;

    /// Writes codes; one that exists is replaced, its count of uses stays.
    async fn put_codes(&self, site: &SiteName, codes: Vec<(PromoCode, Code)>) -> Result<()>;

    /// Removes a code and its count; false when there was none.
    async fn remove_code(&self, site: &SiteName, code: &PromoCode) -> Result<bool>;

    /// Changes whenever codes or uses of some site may have changed, whoever changed them, within half a second;
    /// also after every reconnect, since changes may have been missed meanwhile.
    fn code_changes(&self) -> watch::Receiver<u64>;

    // --- clicks -----------------------------------------------------------------------------------------------

    /// Writes clicks; one that is there already stays as it is. With a body, the click's delivery is written as well
    /// and becomes due at that moment.
    async fn record_clicks(&self, clicks: Vec<(Click, Option<PendingClick>)>) -> Result<()>;

    /// The click of that id.
    async fn click(&self, site: &SiteName, id: &ClickId) -> Result<Option<Click>>;

    /// The newest click of a visitor since `since`.
    async fn click_of_visitor(
        &self,
        site: &SiteName,
        visitor: VisitorKey,
        since: UnixMs,
    ) -> Result<Option<Click>>;

    // --- the ledger -------------------------------------------------------------------------------------------

    /// Writes an entry with all that belongs to it (delivery, minted click and its delivery, code use, bindings)
    /// in one transaction, once per (site, job, key). It waits for the click that it needs only while that click is
    /// known and pending; in every other case, also when nobody knows the click, the deliverer decides.
    async fn accept(&self, entry: Entry) -> Result<Acceptance>;

    /// The entry that has taken that key, and the fingerprint of its content.
    async fn accepted(&self, site: &SiteName, job: Job, key: &str) -> Result<Option<(Vec<u8>, EntryState)>>;

    /// The click that a customer was bound to.
    async fn click_of_customer(&self, site: &SiteName, customer: &str) -> Result<Option<ClickId>>;

    // --- the outbox -------------------------------------------------------------------------------------------

    /// Up to `limit` deliveries that are due at `now` and nobody holds, oldest due first; the caller holds them until
    /// it settles them or `lease_ms` have passed.
    async fn claim(&self, now: UnixMs, lease_ms: i64, limit: usize) -> Result<Vec<Delivery>>;

    /// Writes down what became of a delivery and lets go of it. Settling what is settled already changes nothing. A
    /// click's delivery may be settled by whoever knows better, unclaimed, and even before the click is written.
    async fn settle(&self, delivery: &Delivery, settlement: Settlement, now: UnixMs) -> Result<()>;

    /// How many deliveries wait and how many are dead.
    async fn backlog(&self) -> Result<Backlog>;

    // --- upkeep -----------------------------------------------------------------------------------------------

    /// Removes entries, clicks and bindings from before `before`, unless something about them still waits, be it for a
    /// person; how many. What it does not get done within its deadline is left to the next call.
    async fn forget(&self, before: UnixMs) -> Result<u64>;

    /// Whether it can write now; the reason when it cannot.
    async fn ready(&self) -> Result<()>;
}

/// The delivery that goes with a click which the platform does not know yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingClick {
    /// The JSON object to send.
    pub body: String,
    /// Not before. A call that is still under way may make it needless until then.
    pub due_at: UnixMs,
}

/// What the outbox holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Deliveries that wait for their turn, for a retry or for a click.
    pub waiting: u64,
    /// Deliveries that failed for good.
    pub dead: u64,
    /// When the oldest waiting one came in.
    pub oldest: Option<UnixMs>,
}
