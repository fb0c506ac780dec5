//! Corrections: a report whose key is held by one that came to nothing.

use super::{Conversions, sale::Sale, write::Written};
use crate::{Refusal, attribution::patiently};
use usher_model::{Answer, EntryState, Job, PaymentRef, Site, Source, State};

/// How often a report can be corrected.
const CORRECTIONS: usize = 3;

/// What a key is good for.
pub(super) enum Key {
    /// It, or one beside it, holds this very content.
    Holds(EntryState),
    /// What the ledger keeps the report under: the key itself, or one beside it.
    Free(String),
}

/// The keys that stand beside one, in the order in which they are taken. The platform knows all of them by the key itself.
pub(super) fn beside(key: &str) -> impl DoubleEndedIterator<Item = String> {
    (2..2 + CORRECTIONS).map(move |number| format!("{key}#{number}"))
}

impl Conversions {
    /// Where a report belongs. One with other content than that which holds the key takes its place if that came to nothing
    /// and never can: a sale that was refused for a wrong referral is not lost for good.
    ///
    /// # Errors
    /// [`Refusal::Conflict`] when what holds the key may count.
    pub(super) async fn key(
        &self,
        site: &Site,
        (source, job): (&Source, Job),
        key: &str,
        fingerprint: &[u8; 32],
    ) -> Result<Key, Refusal> {
        for candidate in std::iter::once(key.to_owned()).chain(beside(key)) {
            match self.earlier(&site.name, source, job, &candidate, fingerprint).await {
                Ok(None) => return Ok(Key::Free(candidate)),
                Ok(Some(known)) => return Ok(Key::Holds(known)),
                Err(conflict @ Refusal::Conflict { .. }) => {
                    let holder = self.tools.store.accepted(&site.name, source, job, &candidate).await?;
                    let Some((_, holder)) = holder else { return Err(conflict) };
                    if !self.gives_way(site, &holder).await? {
                        return Err(conflict);
                    }
                }
                Err(other) => return Err(other),
            }
        }
        let message = format!("{key} was corrected {CORRECTIONS} times; a new event needs a new id");
        Err(Refusal::Conflict { message })
    }

    /// Writes a sale down whose key was found taken.
    pub(super) async fn correct(&self, site: &Site, sale: &Sale) -> Result<Written, Refusal> {
        match self.key(site, (&sale.source, sale.job), &sale.key, &sale.fingerprint).await? {
            Key::Holds(known) => Ok(Written::Known(known)),
            Key::Free(key) => {
                let mut corrected = Sale { key, ..sale.clone() };
                corrected.names.push(sale.key.clone());
                self.take(site, &corrected).await
            }
        }
    }

    /// Whether the platform has refused what was reported, so that it came to nothing for good. One that was discarded may have
    /// been on its way. A dead one is closed for that: nobody shall send it again.
    async fn gives_way(&self, site: &Site, held: &EntryState) -> Result<bool, Refusal> {
        let is_refused = matches!(held.answer, Some(Answer { status: 400 | 404 | 410 | 422, .. }));
        match held.state {
            _ if !is_refused => Ok(false),
            State::Closed => Ok(true),
            State::Dead => {
                let (of, source) = (PaymentRef::Record(held.id.clone()), Source::api());
                let payment = patiently(|| self.tools.store.payment(&site.name, &source, &of)).await?;
                // Refunds that wait for it would be closed with it.
                if payment.is_some_and(|payment| !payment.refunds.is_empty()) {
                    return Ok(false);
                }
                let why = "it was reported again, corrected";
                Ok(self
                    .tools
                    .store
                    .discard(&site.name, held.id.as_str(), why, self.tools.clock.now())
                    .await?)
            }
            _ => Ok(false),
        }
    }
}
