//! What an edge remembers of clicks, in front of the store: bounded, and right without being complete.

use crate::Tools;
use hmac::{Hmac, KeyInit, Mac};
use quick_cache::sync::Cache;
use serde_json::{Map, Value};
use sha2::Sha256;
use std::{future::Future, net::IpAddr, sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;
use usher_model::{
    AffiliateCode, Click, ClickId, Clock, Site, SiteName, UnixMs, Upstream, VisitorKey, limits,
};
use usher_store::Store;
use usher_upstream::TrackAnswer;

/// A click and what the platform said with it.
#[derive(Clone, Debug)]
pub(super) struct Remembered {
    /// The id that the visitor's cookie holds.
    pub(super) id: ClickId,
    click: Option<Arc<Click>>,
    /// The platform's answer without `cid`; empty when it gave none.
    pub(super) rest: Arc<Map<String, Value>>,
}

impl Remembered {
    /// An id whose click is not in our store.
    pub(super) fn unknown(id: &ClickId) -> Self {
        Self { id: id.clone(), click: None, rest: Arc::default() }
    }

    /// A click that proved itself, and that the store does not tell of.
    pub(super) fn proved(click: Click) -> Self {
        Self { id: click.id.clone(), click: Some(Arc::new(click)), rest: Arc::default() }
    }

    /// The click, where it is known.
    pub(super) fn click(&self) -> Option<&Click> {
        self.click.as_deref()
    }

    /// Whether the platform has yet to say what it calls it.
    fn is_pending(&self) -> bool {
        self.click().is_some_and(|click| click.upstream.is_pending())
    }

    /// Whether the platform will not have it: it credits nobody.
    pub(super) fn is_refused(&self) -> bool {
        self.click().is_some_and(|click| matches!(click.upstream, Upstream::Refused(_)))
    }

    /// Whether it may have come to have a visitor since: through another edge, while it was held.
    fn may_be_claimed(&self, now: UnixMs) -> bool {
        let is_past = |click: &Click| now.since(click.created_at) > limits::HELD_CLICK_MS;
        self.click().is_some_and(|click| click.visitor.is_none() && is_past(click))
    }

    /// Whether it is known to be that affiliate's.
    pub(super) fn is_of(&self, affiliate: &AffiliateCode) -> bool {
        self.click().is_some_and(|click| click.affiliate == *affiliate)
    }

    /// The same click with the platform's newest answer.
    pub(super) fn with(self, answer: &TrackAnswer) -> Self {
        Self { rest: Arc::new(answer.rest.clone()), ..self }
    }
}

/// What became of looking for a click.
#[derive(Clone, Debug)]
pub(super) enum Lookup {
    /// Here it is.
    Found(Remembered),
    /// There is none of that id.
    Absent,
    /// The store did not say in time.
    Silent,
}

impl Lookup {
    pub(super) fn found(self) -> Option<Remembered> {
        match self {
            Self::Found(known) => Some(known),
            Self::Absent | Self::Silent => None,
        }
    }
}

type VisitorAndAffiliate = (SiteName, VisitorKey, AffiliateCode);

/// Recent clicks by their id and by their visitor.
pub(super) struct Memory {
    by_id: Cache<(SiteName, ClickId), Remembered>,
    by_visitor: Cache<VisitorAndAffiliate, (UnixMs, Remembered)>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
}

impl Memory {
    pub(super) fn new(tools: &Tools) -> Self {
        Self {
            by_id: Cache::new(limits::CLICKS_REMEMBERED),
            by_visitor: Cache::new(limits::VISITORS_REMEMBERED),
            store: Arc::clone(&tools.store),
            clock: Arc::clone(&tools.clock),
        }
    }

    /// Keeps a new click in mind.
    pub(super) fn remember(&self, click: Click, rest: Map<String, Value>) -> Remembered {
        let remembered =
            Remembered { id: click.id.clone(), click: Some(Arc::new(click)), rest: Arc::new(rest) };
        self.keep(&remembered);
        remembered
    }

    /// The click that has come to have this visitor, with what the platform said with it.
    pub(super) fn remember_visitor(
        &self,
        visitor: VisitorKey,
        click: Click,
        known: Remembered,
    ) -> Remembered {
        let (at, key) = (click.created_at, (click.site.clone(), visitor, click.affiliate.clone()));
        let remembered = Remembered { click: Some(Arc::new(click)), ..known };
        self.keep(&remembered);
        if self.clock.now().since(at) < limits::SAME_VISITOR_MS {
            self.by_visitor.insert(key, (at, remembered.clone()));
        }
        remembered
    }

    /// The click of that id, from memory, else from the store within its budget. What the platform has made of a click of
    /// ours since it was minted is known to the store alone, and so is whose a click is that was held long enough.
    pub(super) async fn click(&self, site: &Site, id: &ClickId) -> Lookup {
        let remembered = self.by_id.get(&(site.name.clone(), id.clone()));
        let now = self.clock.now();
        let may_differ = |known: &&Remembered| known.is_pending() || known.may_be_claimed(now);
        if let Some(known) = remembered.as_ref().filter(|known| !may_differ(known)) {
            return Lookup::Found(known.clone());
        }
        match (self.within_budget(self.store.click(&site.name, id)).await, remembered) {
            (Ok(Some(click)), remembered) => {
                let rest = remembered.map(|known| Map::clone(&known.rest)).unwrap_or_default();
                Lookup::Found(self.remember(click, rest))
            }
            (_, Some(remembered)) => Lookup::Found(remembered),
            (Ok(None), None) => Lookup::Absent,
            (Err(()), None) => Lookup::Silent,
        }
    }

    /// Forgets all of it each time when somebody was erased, for that may have been one of them. What is not erased is in the
    /// store.
    pub(super) async fn forget_erased(self: Arc<Self>, stop: CancellationToken) {
        let mut erasures = self.store.erasures();
        while stop.run_until_cancelled(erasures.changed()).await.is_some_and(|told| told.is_ok()) {
            // Once more for who read the store just before and writes it down here just after.
            for _ in 0..2 {
                self.by_id.clear();
                self.by_visitor.clear();
                let pause = tokio::time::sleep(Duration::from_millis(2 * limits::STORE_READ_MS));
                stop.run_until_cancelled(pause).await;
            }
        }
    }

    /// The newest click of that visitor that the store knows, if it is recent and of that affiliate.
    pub(super) async fn stored_click_of_visitor(
        &self,
        site: &Site,
        visitor: VisitorKey,
        affiliate: &AffiliateCode,
    ) -> Option<Remembered> {
        let since = self.clock.now().plus(-limits::SAME_VISITOR_MS);
        let found = self.within_budget(self.store.click_of_visitor(&site.name, visitor, since)).await;
        let known = self.remember(found.ok()??, Map::new());
        (known.is_of(affiliate) && !known.is_refused()).then_some(known)
    }

    /// The visitor's recent click of that affiliate; else what `make` gives, made once however many ask at the moment.
    pub(super) async fn once_for_visitor(
        &self,
        site: &Site,
        visitor: VisitorKey,
        affiliate: &AffiliateCode,
        make: impl Future<Output = Option<Remembered>>,
    ) -> Option<Remembered> {
        let key = (site.name.clone(), visitor, affiliate.clone());
        let now = self.clock.now();
        let expired = |(at, _): &(UnixMs, Remembered)| now.since(*at) >= limits::SAME_VISITOR_MS;
        self.by_visitor.remove_if(&key, expired);
        let once =
            self.by_visitor.get_or_insert_async(&key, async { make.await.map(|made| (now, made)).ok_or(()) });
        once.await.ok().map(|(_, remembered)| remembered)
    }

    fn keep(&self, remembered: &Remembered) {
        if let Some(click) = remembered.click() {
            self.by_id.insert((click.site.clone(), click.id.clone()), remembered.clone());
        }
    }

    /// A read of the store on a visitor's time. Trouble is logged; whoever asks goes on without.
    async fn within_budget(
        &self,
        read: impl Future<Output = usher_store::Result<Option<Click>>>,
    ) -> Result<Option<Click>, ()> {
        match tokio::time::timeout(Duration::from_millis(limits::STORE_READ_MS), read).await {
            Ok(Ok(click)) => Ok(click),
            Ok(Err(error)) => {
                tracing::debug!(%error, "a click was not looked up");
                Err(())
            }
            Err(_) => Err(()),
        }
    }
}

/// What tells clicks of visitors without a cookie apart.
#[derive(Clone, Copy)]
pub(crate) enum VisitorKeyParts<'a> {
    /// Address and user agent.
    Visitor(IpAddr, &'a str),
    /// The `Idempotency-Key` of a server's report.
    Key(&'a str),
    /// Nothing but the click itself, of which a server has reported.
    Click(&'a str),
}

/// Tells visitors without a cookie apart without keeping who they are.
pub(crate) fn visitor_key(key: &[u8; 32], site: &Site, parts: VisitorKeyParts<'_>) -> VisitorKey {
    let mut mac = Hmac::<Sha256>::new_from_slice(key)
        .unwrap_or_else(|_| unreachable!("HMAC takes a key of any length (RFC 2104 section 2)"));
    let (first, second) = match parts {
        VisitorKeyParts::Visitor(address, user_agent) => (address.to_string(), user_agent),
        // No address is written so.
        VisitorKeyParts::Key(key) => ("key".to_owned(), key),
        VisitorKeyParts::Click(id) => ("click".to_owned(), id),
    };
    mac.update(site.name.as_str().as_bytes());
    mac.update(&[0]);
    mac.update(first.as_bytes());
    mac.update(&[0]);
    mac.update(second.as_bytes());
    let tag: [u8; 32] = mac.finalize().into_bytes().into();
    VisitorKey(tag[..16].iter().fold(0, |key, byte| key << 8 | u128::from(*byte)))
}
