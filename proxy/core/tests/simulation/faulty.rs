//! The store as it is reached over a bad disk or a bad network, and the moments at which the process dies.

use super::{
    dice::Dice,
    life::Life,
    trace::{Trace, say},
};
use async_trait::async_trait;
use std::{
    collections::BTreeSet,
    fmt::Debug,
    future::Future,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::watch;
use usher_model::{
    Acceptance, Bound, Click, ClickId, Code, Delivery, Entry, EntryState, Job, Listing, OrderBinding,
    Payment, PaymentRef, PromoCode, Record, Settlement, SiteName, Source, UnixMs, VisitorKey, limits,
};
use usher_store::{Backlog, PendingClick, Result, Store, StoreError};

/// How the store is for a while.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mood {
    /// All is well.
    #[default]
    Well,
    /// It takes its time.
    Slow,
    /// So many calls in a hundred go wrong, each in another way.
    Flaky(u8),
    /// It does not answer, as while another Redis takes over.
    Away,
    /// It has no room.
    Full,
}

/// What happens to one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Done,
    /// It fails before anything is written.
    Failed,
    /// The same, for want of room.
    NoRoom,
    /// It is done, and the answer is lost.
    Unheard,
    /// It is done when nobody waits any more.
    Late,
}

/// The store of a world.
pub(crate) struct Faulty {
    store: Arc<dyn Store>,
    mood: Mutex<Mood>,
    dice: Dice,
    life: Arc<Life>,
    trace: Arc<Trace>,
    /// What the platform calls clicks whose answer was heard and could not be written down.
    unwritten: Arc<Mutex<BTreeSet<String>>>,
}

fn away<T>(why: &str) -> Result<T> {
    Err(StoreError::Unavailable(why.to_owned()))
}

impl Faulty {
    pub(crate) fn new(store: Arc<dyn Store>, dice: Dice, life: Arc<Life>, trace: Arc<Trace>) -> Self {
        Self { store, mood: Mutex::default(), dice, life, trace, unwritten: Arc::default() }
    }

    pub(crate) fn set(&self, mood: Mood) {
        *self.mood.lock().expect("whole") = mood;
    }

    /// Clicks of which the platform told, and the ledger does not know: each may be told of again.
    pub(crate) fn unwritten_clicks(&self) -> usize {
        self.unwritten.lock().expect("whole").len()
    }

    fn mood(&self) -> Mood {
        *self.mood.lock().expect("whole")
    }

    fn fate(&self, writes: bool) -> Fate {
        match self.mood() {
            Mood::Well | Mood::Slow => Fate::Done,
            Mood::Flaky(percent) if self.dice.percent(percent.into()) => match writes {
                true => self.dice.pick(&[Fate::Failed, Fate::Unheard, Fate::Late]),
                false => Fate::Failed,
            },
            Mood::Flaky(_) => Fate::Done,
            Mood::Away => Fate::Failed,
            Mood::Full if writes => Fate::NoRoom,
            Mood::Full => Fate::Done,
        }
    }

    async fn latency(&self) {
        let ms = match self.mood() {
            Mood::Slow => self.dice.between(0, 400),
            Mood::Away => self.dice.pick(&[0, 5, 2_000]),
            _ => self.dice.between(0, 5).saturating_sub(2),
        };
        if ms > 0 {
            tokio::time::sleep(Duration::from_millis(ms)).await;
        }
        self.life.goes_on().await;
    }

    /// One call, from the process's asking to its learning what came of it.
    async fn call<T: Debug + Send + 'static>(
        &self,
        writes: bool,
        what: String,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        self.life.goes_on().await;
        let last = self.life.last_call();
        if last == Some(false) {
            say!(self.trace, "store: {what}: the process dies before");
            self.life.die().await;
        }
        let fate = self.fate(writes);
        self.latency().await;
        let outcome = match fate {
            Fate::Done => work.await,
            Fate::Failed => away("away"),
            Fate::NoRoom => Err(StoreError::Full("no room".to_owned())),
            Fate::Unheard => work.await.and_then(|_| away("the answer is lost")),
            Fate::Late => {
                let pause = Duration::from_millis(self.dice.between(limits::STORE_WRITE_MS, 12_000));
                tokio::spawn(async move {
                    tokio::time::sleep(pause).await;
                    let _ = work.await;
                });
                tokio::time::sleep(Duration::from_millis(limits::STORE_WRITE_MS)).await;
                away("no answer in time")
            }
        };
        if last == Some(true) {
            say!(self.trace, "store: {what} -> {outcome:?}: the process dies after");
            self.life.die().await;
        }
        self.life.goes_on().await;
        if writes || outcome.is_err() {
            let told = format!("{outcome:?}");
            // Most claims find nothing, which is not worth a line.
            if told != "Ok([])" {
                say!(self.trace, "store: {what} -> {told} ({fate:?})");
            }
        }
        outcome
    }
}

macro_rules! call {
    ($self:ident, $writes:literal, $what:tt, |$store:ident| $work:expr) => {{
        let $store = Arc::clone(&$self.store);
        $self.call($writes, format! $what, async move { $work.await }).await
    }};
}

#[async_trait]
impl Store for Faulty {
    async fn codes(&self, site: &SiteName) -> Result<Vec<(PromoCode, Code)>> {
        let site = site.clone();
        call!(self, false, ("codes"), |store| store.codes(&site))
    }

    async fn put_codes(&self, site: &SiteName, codes: Vec<(PromoCode, Code)>) -> Result<()> {
        self.store.put_codes(site, codes).await
    }

    async fn remove_code(&self, site: &SiteName, code: &PromoCode) -> Result<bool> {
        self.store.remove_code(site, code).await
    }

    fn code_changes(&self) -> watch::Receiver<u64> {
        self.store.code_changes()
    }

    async fn record_clicks(&self, clicks: Vec<(Click, Option<PendingClick>)>) -> Result<()> {
        call!(self, true, ("record {clicks:?}"), |store| store.record_clicks(clicks))
    }

    async fn click(&self, site: &SiteName, id: &ClickId) -> Result<Option<Click>> {
        let (site, id) = (site.clone(), id.clone());
        call!(self, false, ("click {id}"), |store| store.click(&site, &id))
    }

    async fn click_of_visitor(
        &self,
        site: &SiteName,
        visitor: VisitorKey,
        since: UnixMs,
    ) -> Result<Option<Click>> {
        let site = site.clone();
        call!(self, false, ("click of visitor"), |store| store.click_of_visitor(&site, visitor, since))
    }

    async fn accept(&self, entry: Entry) -> Result<Acceptance> {
        let (id, key) = (entry.id.clone(), entry.key.clone());
        call!(self, true, ("accept {id} {key}"), |store| store.accept(entry))
    }

    async fn accepted(
        &self,
        site: &SiteName,
        source: &Source,
        job: Job,
        key: &str,
    ) -> Result<Option<(Vec<u8>, EntryState)>> {
        let (site, source, key) = (site.clone(), source.clone(), key.to_owned());
        call!(self, false, ("accepted {key}"), |store| store.accepted(&site, &source, job, &key))
    }

    async fn payment(&self, site: &SiteName, source: &Source, of: &PaymentRef) -> Result<Option<Payment>> {
        let (site, source, of) = (site.clone(), source.clone(), of.clone());
        call!(self, false, ("payment {of:?}"), |store| store.payment(&site, &source, &of))
    }

    async fn link(
        &self,
        site: &SiteName,
        source: &Source,
        name: &str,
        alias_of: &str,
        now: UnixMs,
    ) -> Result<()> {
        let (site, source, name, alias) =
            (site.clone(), source.clone(), name.to_owned(), alias_of.to_owned());
        call!(self, true, ("link {name} {alias}"), |store| store.link(&site, &source, &name, &alias, now))
    }

    async fn click_of_customer(&self, site: &SiteName, customer: &str) -> Result<Option<ClickId>> {
        let (site, customer) = (site.clone(), customer.to_owned());
        call!(self, false, ("click of {customer}"), |store| store.click_of_customer(&site, &customer))
    }

    async fn bind_order(&self, site: &SiteName, order: &str, click: &ClickId, now: UnixMs) -> Result<Bound> {
        let (site, order, click) = (site.clone(), order.to_owned(), click.clone());
        call!(self, true, ("bind {order} {click}"), |store| store.bind_order(&site, &order, &click, now))
    }

    async fn order(&self, site: &SiteName, order: &str) -> Result<Option<OrderBinding>> {
        let (site, order) = (site.clone(), order.to_owned());
        call!(self, false, ("order {order}"), |store| store.order(&site, &order))
    }

    async fn claim(&self, now: UnixMs, lease_ms: i64, limit: usize) -> Result<Vec<Delivery>> {
        call!(self, true, ("claim {limit}"), |store| store.claim(now, lease_ms, limit))
    }

    async fn settle(&self, delivery: &Delivery, settlement: Settlement, now: UnixMs) -> Result<()> {
        let delivery = delivery.clone();
        let (id, said) = (delivery.id.clone(), format!("{settlement:?}"));
        let unwritten = Arc::clone(&self.unwritten);
        let told = match &settlement {
            Settlement::Delivered { upstream_id, .. } if delivery.job == Job::Click => upstream_id.clone(),
            _ => None,
        };
        unwritten.lock().expect("whole").extend(told.clone());
        let write = move |store: Arc<dyn Store>| async move {
            store.settle(&delivery, settlement, now).await?;
            told.inspect(|told| _ = unwritten.lock().expect("whole").remove(told));
            Ok(())
        };
        call!(self, true, ("settle {id} {said}"), |store| write(store))
    }

    async fn hasten(&self, now: UnixMs) -> Result<u64> {
        call!(self, true, ("hasten"), |store| store.hasten(now))
    }

    async fn backlog(&self) -> Result<Backlog> {
        call!(self, false, ("backlog"), |store| store.backlog())
    }

    async fn find(&self, site: &SiteName, name: &str) -> Result<Vec<Record>> {
        let (site, name) = (site.clone(), name.to_owned());
        call!(self, false, ("find {name}"), |store| store.find(&site, &name))
    }

    async fn list(&self, listing: &Listing) -> Result<Vec<Record>> {
        let listing = listing.clone();
        call!(self, false, ("list"), |store| store.list(&listing))
    }

    async fn retry(&self, site: &SiteName, id: &str, now: UnixMs) -> Result<bool> {
        let (site, id) = (site.clone(), id.to_owned());
        call!(self, true, ("retry {id}"), |store| store.retry(&site, &id, now))
    }

    async fn discard(&self, site: &SiteName, id: &str, why: &str, now: UnixMs) -> Result<bool> {
        let (site, id, why) = (site.clone(), id.to_owned(), why.to_owned());
        call!(self, true, ("discard {id}"), |store| store.discard(&site, &id, &why, now))
    }

    async fn expunge(&self, site: &SiteName, what: &usher_store::Personal) -> Result<usher_store::Erased> {
        self.store.expunge(site, what).await
    }

    async fn wipe(&self) -> Result<()> {
        self.store.wipe().await
    }

    fn erasures(&self) -> watch::Receiver<u64> {
        self.store.erasures()
    }

    async fn forget(&self, before: UnixMs) -> Result<u64> {
        call!(self, true, ("forget"), |store| store.forget(before))
    }

    async fn ready(&self) -> Result<()> {
        self.store.ready().await
    }
}
