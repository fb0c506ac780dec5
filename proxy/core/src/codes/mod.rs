//! Codes: a promo code becomes an affiliate. All codes of the served sites are held in memory, and the store says when
//! they change, so that a lookup takes no I/O, and goes on with what was last known while the store is away.

mod guard;

use crate::{Refusal, Tools, Visitor, capture::Capture};
use arc_swap::ArcSwap;
use guard::Guard;
use serde_json::{Map, Value};
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use usher_model::{ClickId, Clock, Code, CodeOrClick, PromoCode, Site, SiteName, Validity};
use usher_store::{Store, StoreError};

/// A site's codes as they were last known.
#[derive(Default)]
struct Book {
    codes: HashMap<PromoCode, Code>,
    /// By what payment providers call them.
    of_providers: HashMap<String, PromoCode>,
}

impl Book {
    fn new(codes: Vec<(PromoCode, Code)>) -> Self {
        let ids = |(code, says): &(PromoCode, Code)| {
            let code = code.clone();
            says.provider_ids.iter().map(move |id| (id.clone(), code.clone())).collect::<Vec<_>>()
        };
        Self { of_providers: codes.iter().flat_map(ids).collect(), codes: codes.into_iter().collect() }
    }
}

/// What a code turned out to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved {
    /// For the page: `{code, valid, discount, reason?, cid?}`.
    pub answer: Map<String, Value>,
    /// Set the cookie `affonso_referral` to this.
    pub cookie: Option<ClickId>,
    /// Set the signed cookie to this, which proves the same click.
    pub proof: Option<String>,
}

/// Promo codes in memory.
pub struct Codes {
    books: ArcSwap<HashMap<SiteName, Arc<Book>>>,
    guard: Guard,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
}

impl Codes {
    pub(crate) fn new(tools: &Tools) -> Self {
        Self {
            books: ArcSwap::default(),
            guard: Guard::new(),
            store: Arc::clone(&tools.store),
            clock: Arc::clone(&tools.clock),
        }
    }

    /// A code that a visitor typed. One that counts is as good as a click through its affiliate's link, where the site's
    /// policy lets a code win.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] for an unknown code, [`Refusal::TooMany`] when this address or network has tried too many.
    pub async fn resolve(
        &self,
        site: &Arc<Site>,
        typed: &str,
        visitor: &Visitor,
        capture: &Capture,
    ) -> Result<Resolved, Refusal> {
        let now = self.clock.now();
        let too_many = |retry_after_ms| Refusal::TooMany { retry_after_ms };
        self.guard.check(visitor.address, now).map_err(too_many)?;
        let Some((folded, code)) =
            PromoCode::fold(typed).and_then(|code| Some((code.clone(), self.find(site, &code)?)))
        else {
            self.guard.miss(visitor.address, now);
            return Err(Refusal::NotFound {
                field: Some("code"),
                message: "this code is not known".to_owned(),
            });
        };
        let validity = code.validity(now);
        let mut resolved = Resolved { answer: view(&folded, &code, validity), cookie: None, proof: None };
        let wins = match site.code_or_click {
            CodeOrClick::Code | CodeOrClick::Latest => true,
            CodeOrClick::Click => visitor.cookie.is_none() && visitor.signed.is_none(),
        };
        if validity == Validity::Valid && wins {
            let tracked = capture.code_applied(site, &code.affiliate, visitor).await;
            if let Some(id) = tracked.cookie {
                resolved.answer.insert("cid".to_owned(), id.as_str().into());
                resolved.cookie = Some(id);
                resolved.proof = tracked.proof;
            }
        }
        Ok(resolved)
    }

    /// The code, as it was last known.
    #[must_use]
    pub fn find(&self, site: &Site, code: &PromoCode) -> Option<Code> {
        self.books.load().get(&site.name)?.codes.get(code).cloned()
    }

    /// The same for a sale: that the codes were never read yet is no word on any of them.
    ///
    /// # Errors
    /// [`Refusal::Unavailable`] when they were not.
    pub(crate) fn surely_find(&self, site: &Site, code: &PromoCode) -> Result<Option<Code>, Refusal> {
        match self.books.load().get(&site.name) {
            Some(book) => Ok(book.codes.get(code).cloned()),
            None => Err(StoreError::Unavailable("promo codes were not read yet".to_owned()).into()),
        }
    }

    /// The code that a payment provider calls so.
    pub(crate) fn of_provider(&self, site: &Site, id: &str) -> Option<PromoCode> {
        self.books.load().get(&site.name)?.of_providers.get(id).cloned()
    }

    /// Reads the codes of `sites` again whenever the store says that they may have changed, until `stop`.
    pub(crate) async fn keep_true(self: Arc<Self>, sites: Vec<SiteName>, stop: CancellationToken) {
        let mut changes = self.store.code_changes();
        loop {
            changes.mark_unchanged();
            let begun = Instant::now();
            let complete = self.read(&sites).await;
            // Large books take long to read: at most a third of the time goes into it, and a second is promised.
            let rest = if complete { begun.elapsed() * 2 } else { Duration::from_millis(500) };
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = tokio::time::sleep(rest) => {}
            }
            if complete {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => return,
                    changed = changes.changed() => if changed.is_err() { return },
                }
            }
        }
    }

    /// Reads all books; one that cannot be read stays as it was. Whether all could.
    pub(crate) async fn read(&self, sites: &[SiteName]) -> bool {
        let mut complete = true;
        let mut books = HashMap::clone(&self.books.load());
        for site in sites {
            match self.store.codes(site).await {
                Ok(codes) => {
                    tracing::debug!(%site, codes = codes.len(), "promo codes read");
                    books.insert(site.clone(), Arc::new(Book::new(codes)));
                }
                Err(error) => {
                    tracing::warn!(%site, %error, "promo codes stay as they were last known");
                    complete = false;
                }
            }
        }
        self.books.store(Arc::new(books));
        complete
    }
}

fn view(folded: &PromoCode, code: &Code, validity: Validity) -> Map<String, Value> {
    let valid = validity == Validity::Valid;
    let discount = code.discount.clone().filter(|_| valid).map_or(Value::Null, Value::Object);
    let mut view = Map::new();
    view.insert("code".to_owned(), folded.as_str().into());
    view.insert("valid".to_owned(), valid.into());
    view.insert("discount".to_owned(), discount);
    if !valid {
        view.insert("reason".to_owned(), validity.word().into());
    }
    view
}
