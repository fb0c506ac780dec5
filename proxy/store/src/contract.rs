//! What every make of the store promises.

use crate::erasure::{Erased, Personal};
use async_trait::async_trait;
use tokio::sync::watch;
#[cfg(doc)]
use usher_model::limits;
use usher_model::{
    Acceptance, Bound, Click, ClickId, Code, Delivery, Entry, EntryState, Job, Listing, OrderBinding,
    Payment, PaymentRef, PromoCode, Record, Settlement, SiteName, Source, UnixMs, VisitorKey,
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
    /// Works for these sites from now on, in place of those that it was opened for. A store that keeps all sites in one place
    /// has nothing to do.
    ///
    /// # Errors
    /// As [`crate::open`]; it works for those that it worked for, then.
    async fn serve(&self, sites: &[SiteName]) -> Result<()> {
        let _ = sites;
        Ok(())
    }

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

    /// Writes clicks; one that is there already stays as it is, but one that is there without a visitor gets the visitor
    /// that it comes with now. With a body, the click's delivery is written as well and becomes due at that moment.
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

    /// Writes an entry with all that belongs to it (delivery, minted click and its delivery, code use, bindings, names) in
    /// one transaction, once per (site, source, job, key). An entry with `paid` is a payment, one with `refund` a refund. A
    /// payment whose key another payment of the site and the source has taken is a conflict whatever their jobs.
    ///
    /// An entry that needs a click waits for it only while that click is known and pending; in every other case, also
    /// when nobody knows the click, the deliverer decides. A refund's own `needs` is not kept: it needs its payment alone.
    ///
    /// What is due is handed to the caller under a lease, its minted click first, when the entry says
    /// [`Now`](usher_model::Send::Now). When it says [`From`](usher_model::Send::From), nothing is: entry and click are
    /// due at that moment for whoever claims them. When it says [`Never`](usher_model::Send::Never), the entry is closed and
    /// keeps the reason in `error`; a minted click is due at once for whoever claims it. What was blocked and is set free is
    /// due at the moment when that happens. A lease leaves `due_at` as it is.
    ///
    /// A refund joins its payment. It is due when the payment is delivered and no other refund of it is due; blocked while
    /// the payment or an earlier refund is not done, also while the payment is dead; closed, with the payment's `error`,
    /// when the payment is closed; an orphan when nothing is known of a payment of that name. Of a payment that only the
    /// platform knows ([`PaymentRef::Upstream`]) it is due unless another refund of the same is. One that is never sent
    /// joins its payment as well when that is known, and is no orphan when it is not.
    ///
    /// A payment takes in the orphans that find it when they look for it as [`Store::payment`] does. They are blocked then,
    /// or closed with the payment's `error` when that is closed, and cease to be orphans.
    async fn accept(&self, entry: Entry) -> Result<Acceptance>;

    /// The entry that has taken that key, and the fingerprint of its content.
    async fn accepted(
        &self,
        site: &SiteName,
        source: &Source,
        job: Job,
        key: &str,
    ) -> Result<Option<(Vec<u8>, EntryState)>>;

    /// The payment of that name, with all its refunds, the blocked ones last, else in the order in which they came in, then
    /// of their ids.
    ///
    /// [`PaymentRef::Record`] and [`PaymentRef::Upstream`] are looked up as they are. [`PaymentRef::Named`]: all names that
    /// the given ones are linked to through links of `source`, either way and through one another, nearest first, older
    /// links first, no more than [`limits::NAMES_FOLLOWED`] names in all. The first of them that is the key or a name of a
    /// payment which `source` reported decides; if none is, the first that is one of a payment which `api` reported. Of
    /// several payments of one name the oldest (when it came in, then its id).
    async fn payment(&self, site: &SiteName, source: &Source, of: &PaymentRef) -> Result<Option<Payment>>;

    /// Writes down that `name` means the payment that `alias_of` means, or will mean when it is reported: refunds that
    /// name either find it. Orphans that find their payment by this are taken in, and one becomes due at `now` when the
    /// payment is delivered. The same link again changes nothing, nor does a name's link to itself; a name may be
    /// linked to several.
    async fn link(
        &self,
        site: &SiteName,
        source: &Source,
        name: &str,
        alias_of: &str,
        now: UnixMs,
    ) -> Result<()>;

    /// The click that a customer was bound to.
    async fn click_of_customer(&self, site: &SiteName, customer: &str) -> Result<Option<ClickId>>;

    /// Ties an order to a click. The first click keeps it; a second one makes it contested, and those after it change
    /// nothing. What a click has bound and what it has contested count alike: beyond [`limits::ORDERS_PER_CLICK`] nothing is
    /// written.
    async fn bind_order(&self, site: &SiteName, order: &str, click: &ClickId, now: UnixMs) -> Result<Bound>;

    /// What an order was tied to.
    async fn order(&self, site: &SiteName, order: &str) -> Result<Option<OrderBinding>>;

    // --- the outbox -------------------------------------------------------------------------------------------

    /// Up to `limit` deliveries that are due at `now` and nobody holds, oldest due first; the caller holds them until
    /// it settles them or `lease_ms` have passed.
    async fn claim(&self, now: UnixMs, lease_ms: i64, limit: usize) -> Result<Vec<Delivery>>;

    /// Writes down what became of a delivery, its log as it stands in `delivery`, and lets go of it. Settling what is
    /// settled already (delivered, dead or closed) changes nothing, but for one thing: what went back (`refunded`) is
    /// written also for a refund that was closed or died while it was under way, unless something was written already. A click's delivery may be settled by whoever knows
    /// better, unclaimed, and even before the click is written.
    ///
    /// [`Settlement::Release`] leaves `log`, `error` and attempts as they were.
    ///
    /// When a refund is settled for good, the oldest blocked one of that payment is due at `now`; when a payment is
    /// delivered, likewise. A payment that is delivered as `upstream_id` first takes in the refunds of
    /// [`PaymentRef::Upstream`] of that id, whatever their state. When a payment is closed, its refunds that wait or are
    /// dead are closed with the same reason. There is never more than one due.
    async fn settle(&self, delivery: &Delivery, settlement: Settlement, now: UnixMs) -> Result<()>;

    /// Makes everything due at `now` that waits for a later try and that nobody holds: the platform is back. How many. A
    /// click or a refund that was never tried keeps its time: what it stands in for may still be under way. What it does not
    /// get done within its deadline is left to the next call.
    async fn hasten(&self, now: UnixMs) -> Result<u64>;

    /// How many deliveries wait and how many are dead.
    async fn backlog(&self) -> Result<Backlog>;

    // --- people -----------------------------------------------------------------------------------------------

    /// Every record of a site that goes by that name: its id, its key, another name of it, what the platform calls it,
    /// the click that is credited with it, or, of an orphan, what its payment may be called; the oldest first (when it came
    /// in, then its id), at most [`limits::RECORDS_FOUND`]. Upstream names are those of payments. A click's own delivery goes by the click's id.
    async fn find(&self, site: &SiteName, name: &str) -> Result<Vec<Record>>;

    /// Records in some states, the oldest first.
    async fn list(&self, listing: &Listing) -> Result<Vec<Record>>;

    /// Sends a dead delivery again, with as many attempts as a new one. False when there is no dead one of that id, or when
    /// it is a refund of which is written that it went back.
    ///
    /// It is due at `now`; or blocked, when it needs a click that is pending, or is a refund and its payment is not
    /// delivered or another refund of it is due. Answer, error and `settled_at` are cleared, the log stays. A click that was
    /// refused for the very reason why its delivery died is pending again.
    async fn retry(&self, site: &SiteName, id: &str, now: UnixMs) -> Result<bool>;

    /// Closes what is due, blocked, an orphan or dead, for the reason `why`: it will not be sent. The refunds of a payment
    /// are closed with it; what needs a click is set free, as when it died. False when there is none of that id.
    ///
    /// A refund that was due may be under way in another process: the next one of that payment is due only when a lease from
    /// `now` has run out ([`limits::LEASE_MS`]).
    async fn discard(&self, site: &SiteName, id: &str, why: &str, now: UnixMs) -> Result<bool>;

    // --- erasing ----------------------------------------------------------------------------------------------

    /// Removes one piece of a person's data; how much that was. [`crate::erase`] finds all pieces.
    ///
    /// A click goes with its own delivery where that is done, and with the orders and customers that it bound; an order that
    /// it contested stays contested. A record that is delivered or closed is overwritten with what remains of it, its log,
    /// its click and what it needed are cleared; key, fingerprint and amounts stay, so the same report again is still the
    /// same. A record in another state is left as it is.
    async fn expunge(&self, site: &SiteName, what: &Personal) -> Result<Erased>;

    /// Makes good what [`Store::expunge`] removed: nothing of it is left in the store's own files, as far as the store can
    /// see to that, and every opener is told that clicks which it remembers may be gone.
    async fn wipe(&self) -> Result<()>;

    /// Changes within half a second after somebody has called [`Store::wipe`], whoever that was; and when that may have
    /// been missed.
    fn erasures(&self) -> watch::Receiver<u64>;

    // --- upkeep -----------------------------------------------------------------------------------------------

    /// Removes entries, clicks, names and bindings from before `before`, unless something about them still waits, be it for
    /// a person; orphans and dead clicks that nothing waits for go as well. A payment stays while a refund of it does, and a
    /// refund while its payment does. How many (records, clicks, customers, orders, links; names go with their records and are
    /// not counted). What it does not get done within its deadline is left to the next call.
    ///
    /// Records go when they are delivered or closed, or orphans, or dead clicks that no record needs which is not done; and
    /// when they came in and were settled before `before`. A click goes when its own delivery and every record that needs it
    /// are done. Customers, orders and links go by their age alone.
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
    /// Refunds of payments that nobody has reported.
    pub orphans: u64,
    /// When the oldest waiting one came in.
    pub oldest: Option<UnixMs>,
}
