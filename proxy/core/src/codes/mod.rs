//! Codes: a promo code becomes an affiliate. All codes of the served sites are held in memory, and the store says when
//! they change, so that a lookup takes no I/O, and goes on with what was last known while the store is away.

mod guard;

use crate::{Refusal, Tools, Visitor, capture::Capture};
use arc_swap::ArcSwap;
use guard::Guard;
use serde_json::{Map, Value};
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::{sync::watch, time::Instant};
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
    /// For the page: `{code, valid, discount, reason?}`, and of a click that came of it `cid` and `data` as `track` answers them.
    pub answer: Map<String, Value>,
    /// Set the cookie `affonso_referral` to this.
    pub cookie: Option<ClickId>,
    /// Set the signed cookie to this, which proves the same click.
    pub proof: Option<String>,
    /// Set the cookie `affonso_data` to this JSON.
    pub data: Option<String>,
}

/// Promo codes in memory.
pub struct Codes {
    books: ArcSwap<HashMap<SiteName, Arc<Book>>>,
    /// The sites that are served.
    sites: watch::Sender<Vec<SiteName>>,
    guard: Guard,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
}

impl Codes {
    pub(crate) fn new(tools: &Tools, sites: &[SiteName]) -> Self {
        Self {
            books: ArcSwap::default(),
            sites: watch::Sender::new(sites.to_vec()),
            guard: Guard::new(),
            store: Arc::clone(&tools.store),
            clock: Arc::clone(&tools.clock),
        }
    }

    /// A code that a visitor typed. One that counts is as good as a click through its affiliate's link, where the site's
    /// policy lets a code win.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] for an unknown code, [`Refusal::TooMany`] when this address or network has tried too many,
    /// [`Refusal::Unavailable`] when the site's codes were never read yet.
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
        let found = match PromoCode::fold(typed) {
            Some(code) => self.find(site, &code)?.map(|says| (code, says)),
            None => None,
        };
        let Some((folded, code)) = found else {
            self.guard.miss(visitor.address, now);
            return Err(Refusal::NotFound {
                field: Some("code"),
                message: "this code is not known".to_owned(),
            });
        };
        let validity = code.validity(now);
        let mut resolved =
            Resolved { answer: view(&folded, &code, validity), cookie: None, proof: None, data: None };
        let wins = match site.code_or_click {
            CodeOrClick::Code | CodeOrClick::Latest => true,
            CodeOrClick::Click => visitor.cookie.is_none() && visitor.signed.is_none(),
        };
        if validity == Validity::Valid && wins {
            let mut tracked = capture.code_applied(site, &code, visitor).await;
            if let Some(id) = tracked.cookie {
                resolved.answer.insert("cid".to_owned(), id.as_str().into());
                resolved.answer.extend(tracked.answer.remove_entry("data"));
                resolved.cookie = Some(id);
                (resolved.proof, resolved.data) = (tracked.proof, tracked.data);
            }
        }
        Ok(resolved)
    }

    /// The code, as it was last known.
    ///
    /// # Errors
    /// [`Refusal::Unavailable`] when the site's codes were never read yet: that is no word on any of them.
    pub fn find(&self, site: &Site, code: &PromoCode) -> Result<Option<Code>, Refusal> {
        Ok(self.book(site)?.codes.get(code).cloned())
    }

    /// The code that a payment provider calls so.
    ///
    /// # Errors
    /// As above.
    pub(crate) fn of_provider(&self, site: &Site, id: &str) -> Result<Option<PromoCode>, Refusal> {
        Ok(self.book(site)?.of_providers.get(id).cloned())
    }

    fn book(&self, site: &Site) -> Result<Arc<Book>, Refusal> {
        let unread = || StoreError::Unavailable("promo codes were not read yet".to_owned());
        Ok(self.books.load().get(&site.name).cloned().ok_or_else(unread)?)
    }

    /// Holds the codes of these sites from now on. Those of new ones are there when it returns, if the store has answered.
    pub(crate) async fn serve(&self, sites: &[SiteName]) {
        // First, so that no reading that began for others is kept.
        self.sites.send_replace(sites.to_vec());
        let known = self.books.load_full();
        let mut new = HashMap::new();
        self.fill(&mut new, sites.iter().filter(|site| !known.contains_key(*site))).await;
        self.books.rcu(|books| {
            let mut books = HashMap::clone(books);
            for (site, book) in &new {
                books.entry(site.clone()).or_insert_with(|| Arc::clone(book));
            }
            books
        });
    }

    /// Reads the codes again whenever the store says that they may have changed, or there are other sites, until `stop`.
    pub(crate) async fn keep_true(self: Arc<Self>, stop: CancellationToken) {
        let mut changes = self.store.code_changes();
        let mut sites = self.sites.subscribe();
        loop {
            changes.mark_unchanged();
            sites.mark_unchanged();
            let begun = Instant::now();
            let complete = self.read().await;
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
                    // The sender lives as long as this.
                    _ = sites.changed() => {}
                }
            }
        }
    }

    /// Reads the books of all sites; one that cannot be read stays as it was. Whether all could.
    pub(crate) async fn read(&self) -> bool {
        let sites = self.sites.borrow().clone();
        let mut books = HashMap::clone(&self.books.load());
        books.retain(|site, _| sites.contains(site));
        let complete = self.fill(&mut books, &sites).await;
        // Else other sites are served by now, and it is read again.
        if *self.sites.borrow() == sites {
            self.books.store(Arc::new(books));
        }
        complete
    }

    async fn fill(
        &self,
        books: &mut HashMap<SiteName, Arc<Book>>,
        sites: impl IntoIterator<Item = &SiteName>,
    ) -> bool {
        let mut complete = true;
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
