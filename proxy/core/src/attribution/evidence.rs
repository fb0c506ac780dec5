//! What speaks for whom: the hints of a report, looked up.

use super::{By, Doubt, Seen, WhyNot};
use crate::{Refusal, SignedClick, Tools, capture::Unwritten, codes::Codes};
use std::time::Duration;
use tokio::time::Instant;
use usher_model::{Click, ClickId, Code, OrderBinding, PromoCode, Site, UnixMs, Upstream, Validity, limits};
use usher_store::StoreError;

/// What a report says of who brought it, before anything was looked up.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hints {
    /// Clicks: of which kind, in which field; the strongest kind first.
    pub(crate) clicks: Vec<(By, &'static str, ClickId)>,
    /// A click that proves itself. It stands among the clicks too, where it is a signal.
    pub(crate) signed: Option<SignedClick>,
    /// The promo code.
    pub(crate) promo_code: Option<PromoCode>,
    /// Names of the order, as pages may have bound it.
    pub(crate) orders: Vec<String>,
    /// Customers.
    pub(crate) customers: Vec<NamedCustomer>,
}

/// A customer that a report names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NamedCustomer {
    /// In which field.
    pub(crate) field: &'static str,
    /// A key of our own: `customer:…`, `user:…`.
    pub(crate) key: String,
}

/// A signal with what is known of it.
#[derive(Clone, Debug)]
pub(crate) struct Signal {
    /// What is written down of it.
    pub(crate) seen: Seen,
    /// The field that it came in.
    pub(crate) field: &'static str,
    /// For the caller: why it does not count, where the word for it does not say all.
    pub(crate) words: Option<String>,
    /// How its click stands.
    pub(crate) standing: Standing,
    /// When an order was bound, and whether twice.
    pub(crate) bound: Option<OrderBinding>,
    /// How many uses a code allows.
    pub(crate) max_uses: Option<u64>,
}

/// How a click stands with the platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// There is no click, or none that can be credited.
    None,
    /// The platform takes this id.
    Usable(ClickId),
    /// The platform will have an id for it.
    Awaited,
    /// As before, and nobody tells the platform of it yet: it has proved itself, or it was one of very many.
    Unwritten(Box<Click>),
}

impl Signal {
    fn new(by: By, field: &'static str, what: impl Into<String>) -> Self {
        let seen = Seen {
            by,
            what: what.into(),
            click: None,
            affiliate: None,
            at: None,
            doubt: None,
            why_not: None,
        };
        Self { seen, field, words: None, standing: Standing::None, bound: None, max_uses: None }
    }

    /// The click that it leads to.
    pub(crate) fn click(&self) -> Option<ClickId> {
        match self.seen.by {
            By::Named | By::Signed | By::Cookie => ClickId::new(self.seen.what.as_str()).ok(),
            By::Code => None,
            By::Order | By::Customer => self.seen.click.clone(),
        }
    }

    /// Whether both lead to one click, under whichever of its ids.
    pub(crate) fn leads_to_click_of(&self, other: &Self) -> bool {
        let same_upstream = matches!((&self.standing, &other.standing),
            (Standing::Usable(one), Standing::Usable(another)) if one == another);
        same_upstream || self.click().is_some_and(|click| other.click() == Some(click))
    }
}

/// Looks hints up.
pub(crate) struct Evidence<'a> {
    pub(crate) tools: &'a Tools,
    pub(crate) codes: &'a Codes,
    pub(crate) unwritten: &'a Unwritten,
    pub(crate) site: &'a Site,
}

impl Evidence<'_> {
    /// Every signal of a sale that was made at `made_at`, the strongest kind first.
    ///
    /// # Errors
    /// [`Refusal::Unavailable`] when the store does not say: then nobody may be credited in haste.
    pub(crate) async fn signals(&self, hints: &Hints, made_at: UnixMs) -> Result<Vec<Signal>, Refusal> {
        let mut signals = Vec::new();
        for (by, field, id) in &hints.clicks {
            let signal = Signal::new(*by, field, id.as_str());
            signals.push(self.with_click(signal, id, hints.signed.as_ref()).await?);
        }
        if let Some(code) = &hints.promo_code {
            signals.push(self.code(code, made_at)?);
        }
        for order in &hints.orders {
            signals.push(self.order(order).await?);
        }
        for customer in &hints.customers {
            signals.push(self.customer(customer).await?);
        }
        Ok(signals)
    }

    fn code(&self, code: &PromoCode, made_at: UnixMs) -> Result<Signal, Refusal> {
        let mut signal = Signal::new(By::Code, "promo_code", code.as_str());
        let Some(found) = self.codes.find(self.site, code)? else {
            signal.seen.why_not = Some(WhyNot::Unknown);
            return Ok(signal);
        };
        signal.seen.why_not = match found.validity(made_at) {
            Validity::Valid => None,
            Validity::NotStarted => Some(WhyNot::NotStarted),
            Validity::Expired => Some(WhyNot::Expired),
            Validity::UsedUp => Some(WhyNot::UsedUp),
        };
        let Code { affiliate, max_uses, .. } = found;
        signal.seen.affiliate = Some(affiliate);
        signal.max_uses = max_uses;
        Ok(signal)
    }

    async fn order(&self, order: &str) -> Result<Signal, Refusal> {
        let mut signal = Signal::new(By::Order, "order_id", order);
        let Some(bound) = patiently(|| self.tools.store.order(&self.site.name, order)).await? else {
            signal.seen.why_not = Some(WhyNot::Unknown);
            return Ok(signal);
        };
        let id = bound.click.clone();
        signal.seen.click = Some(id.clone());
        signal.bound = Some(bound);
        self.with_click(signal, &id, None).await
    }

    async fn customer(&self, customer: &NamedCustomer) -> Result<Signal, Refusal> {
        let mut signal = Signal::new(By::Customer, customer.field, customer.key.as_str());
        let bound = || self.tools.store.click_of_customer(&self.site.name, &customer.key);
        let Some(id) = patiently(bound).await? else {
            signal.seen.why_not = Some(WhyNot::Unknown);
            return Ok(signal);
        };
        signal.seen.click = Some(id.clone());
        self.with_click(signal, &id, None).await
    }

    /// The signal with all that is known of its click.
    async fn with_click(
        &self,
        mut signal: Signal,
        id: &ClickId,
        signed: Option<&SignedClick>,
    ) -> Result<Signal, Refusal> {
        let signed = signed.filter(|signed| signed.id() == id);
        let (click, is_written) = match self.written_click(signal.seen.by, id, signed.is_some()).await? {
            Some(click) => (click, true),
            None => match signed {
                Some(signed) => (signed.click(self.site), false),
                None => {
                    // One of the platform's own, from before Usher or from another edge's store: the platform knows.
                    if id.is_minted() {
                        signal.seen.why_not = Some(WhyNot::Unknown);
                        signal.words = Some(format!("{id} is not a click of this site"));
                    } else {
                        signal.standing = Standing::Usable(id.clone());
                    }
                    return Ok(signal);
                }
            },
        };
        signal.seen.affiliate = Some(click.affiliate.clone());
        signal.seen.at = Some(click.created_at);
        signal.standing = match (&click.upstream, click.upstream_id()) {
            (_, Some(upstream)) => Standing::Usable(upstream.clone()),
            (Upstream::Refused(why), _) => {
                signal.seen.why_not = Some(WhyNot::Refused);
                signal.words = Some(format!("the platform refused the click {id}: {why}"));
                Standing::None
            }
            (Upstream::Untold, _) => {
                signal.seen.doubt = Some(Doubt::Flood);
                Standing::Unwritten(Box::new(click))
            }
            _ if is_written => Standing::Awaited,
            _ => Standing::Unwritten(Box::new(click)),
        };
        Ok(signal)
    }

    /// The click, as it was written. One that has proved itself is believed whatever the store says.
    async fn written_click(&self, by: By, id: &ClickId, is_proved: bool) -> Result<Option<Click>, Refusal> {
        let look = || self.tools.store.click(&self.site.name, id);
        if is_proved {
            return Ok(look().await.unwrap_or_default());
        }
        // One that the platform knows is as good as written. First, for from there it goes into the store.
        if !id.is_minted()
            && let Some(click) = self.unwritten.click(&self.site.name, id)
        {
            return Ok(Some(click));
        }
        // Clicks are written behind the visitor's back, so one that an edge has just minted may take a moment to be found;
        // others are there or are none of ours. What orders and customers are bound to was there before them.
        let may_come = id.is_minted() && by < By::Code;
        let patience = Instant::now() + Duration::from_millis(limits::STORE_PATIENCE_MS);
        loop {
            let click = patiently(look).await?;
            if click.is_some() || !may_come {
                return Ok(click);
            }
            if Instant::now() > patience {
                // It may be among those that wait for the store: crediting somebody else, or nobody, would be for good.
                let waits = || StoreError::Unavailable("clicks wait to be written".to_owned());
                return if self.unwritten.any() { Err(waits().into()) } else { Ok(None) };
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// A read that a sale depends on. The store gives up early on reads, for a visitor's sake; a server can wait a little.
pub(crate) async fn patiently<T, F>(read: impl Fn() -> F) -> usher_store::Result<T>
where
    F: Future<Output = usher_store::Result<T>>,
{
    let patience = Instant::now() + Duration::from_millis(limits::STORE_PATIENCE_MS);
    let mut pause = Duration::from_millis(10);
    loop {
        match read().await {
            Err(StoreError::Unavailable(_)) if Instant::now() + pause < patience => {
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
            read => return read,
        }
    }
}
