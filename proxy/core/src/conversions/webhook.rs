//! What payment providers say: sales, refunds, and two names of one payment.

use super::{
    Conversions,
    correct::beside,
    fields::{Fields, fingerprint, raw, text_of},
    sale::Sale,
};
use crate::{
    Refusal,
    attribution::{By, Hints, NamedCustomer, Proved, Rule, Trace, patiently},
    keyring::Keyring,
};
use serde_json::json;
use usher_model::{
    ClickId, Entry, EntryState, Job, PaymentRef, PromoCode, RefundAmount, Site, Source, State, limits,
};
use usher_providers::{
    Conversion, Extracted, Ignored, Link, Outcome, Promo, Proof, Rejection, Request, Verdict, Webhook,
};

/// What a delivery came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It moves money, or joins two names of a payment: it is on stable storage.
    Taken,
    /// It is authentic, and there is nothing to do.
    Ignored(Ignored),
    /// It is not authentic, or not readable.
    Rejected(Rejection),
}

/// Why a payment that nobody brought is not sent.
const UNBROUGHT: &str = "no affiliate brought this sale";
/// Name and customer of a payment, and the reason of a refund, as the platform takes them, in characters.
const TEXT_LONGEST: usize = 255;
const REASON_LONGEST: usize = 1_000;

impl Conversions {
    /// A payment provider's delivery (`POST /hooks/…`), judged and written down. Run it detached from the request.
    ///
    /// Providers repeat and overlap: of several events of one payment the first one that credits somebody counts, under the
    /// payment's own id.
    ///
    /// # Errors
    /// [`Refusal::Unavailable`] when it could not be written down: the provider should try again. Nothing was acknowledged then.
    pub async fn hear(
        &self,
        site: &Site,
        webhook: &Webhook,
        request: &Request<'_>,
        keyring: &Keyring,
    ) -> Result<Heard, Refusal> {
        let outcome = keyring.judge(webhook, request, self.tools.clock.now()).await;
        match &outcome.verdict {
            Verdict::Conversion(paid) | Verdict::Unidentified(paid) => {
                let sale = self.sale(site, webhook, paid, &outcome).await?;
                self.sold(site, sale).await?;
            }
            Verdict::Refund(refund) => self.went_back(site, webhook, refund, &outcome).await?,
            Verdict::Refunds(refunds) => {
                for refund in refunds {
                    self.went_back(site, webhook, refund, &outcome).await?;
                }
            }
            Verdict::Link(link) => self.link(site, webhook, link).await?,
            Verdict::Ignored(reason) => return Ok(Heard::Ignored(*reason)),
            Verdict::Rejected(rejection) => return Ok(Heard::Rejected(rejection.clone())),
        }
        Ok(Heard::Taken)
    }

    /// Writes a payment down. Events of one payment overlap, and not each of them names the referral: when an earlier one
    /// credited nobody, the first that does is written beside it. The platform knows both by the payment's own id.
    async fn sold(&self, site: &Site, mut sale: Sale) -> Result<(), Refusal> {
        match self.take(site, &sale).await {
            Ok(_) => return Ok(()),
            Err(Refusal::Conflict { .. }) => {}
            Err(refusal) => return Err(refusal),
        }
        let earlier = self.accepted(site, &sale.source, &sale.key).await?;
        let Some(EntryState { id, state, .. }) = earlier else { return Ok(()) };
        let records = patiently(|| self.tools.store.find(&site.name, id.as_str())).await?;
        let is_credited = records.iter().any(|record| record.id == id.as_str() && record.click.is_some());
        if is_credited || state == State::Delivered {
            return Ok(());
        }
        sale.names.push(sale.key.clone());
        let Some(beside) = beside(&sale.key).next() else { return Ok(()) };
        sale.key = beside;
        sale.close_unbrought = None;
        match self.take(site, &sale).await {
            // It credits nobody either, or it was written down before.
            Ok(_) | Err(Refusal::Conflict { .. } | Refusal::NotFound { .. } | Refusal::Invalid { .. }) => {
                Ok(())
            }
            Err(unavailable) => Err(unavailable),
        }
    }

    async fn accepted(&self, site: &Site, source: &Source, key: &str) -> Result<Option<EntryState>, Refusal> {
        let find = || self.tools.store.accepted(&site.name, source, Job::Conversion, key);
        Ok(patiently(find).await?.map(|(_, state)| state))
    }

    /// The sale that a payment is. Its idempotency key is the payment's id, so that overlapping events are one.
    async fn sale(
        &self,
        site: &Site,
        webhook: &Webhook,
        paid: &Conversion,
        outcome: &Outcome,
    ) -> Result<Sale, Refusal> {
        let extracted = &outcome.extracted;
        let fields = sale_fields(webhook, paid, extracted)?;
        let mut names = extracted.payment_ids.clone();
        names.push(paid.provider_order_id.clone());
        let names = distinct(names, &paid.external_event_id);
        let customers: Vec<NamedCustomer> = paid.customer_id.iter().map(|id| customer(webhook, id)).collect();
        let click = paid.referral_id.as_ref().and_then(|id| ClickId::new(id.as_str()).ok());
        let hints = Hints {
            clicks: click.into_iter().map(|id| (By::Named, "referral_id", id)).collect(),
            promo_code: match &extracted.promo {
                Some(promo) => self.promo_code(site, promo)?,
                None => None,
            },
            orders: self.bound(site, names.iter().chain([&paid.external_event_id])).await?,
            customers,
            ..Hints::default()
        };
        Ok(Sale {
            source: webhook.name.clone(),
            job: Job::Conversion,
            key: paid.external_event_id.clone(),
            fingerprint: fingerprint(
                &fields,
                &[paid.referral_id.as_deref(), hints.promo_code.as_ref().map(PromoCode::as_str)],
            ),
            bind: hints.customers.iter().map(|customer| customer.key.clone()).collect(),
            hints,
            paid: Some(paid.amount),
            names,
            fields,
            click_field: "referral_id",
            made_at: None,
            as_it_came: None,
            close_unbrought: Some(UNBROUGHT.to_owned()),
            proof: proved(outcome),
        })
    }

    /// Those of a payment's names by which a page has bound an order.
    async fn bound<'n>(
        &self,
        site: &Site,
        names: impl Iterator<Item = &'n String>,
    ) -> Result<Vec<String>, Refusal> {
        let mut bound = Vec::new();
        for name in names {
            if patiently(|| self.tools.store.order(&site.name, name)).await?.is_some() {
                bound.push(name.clone());
            }
        }
        Ok(bound)
    }

    /// The code that was typed, else the one that the provider calls so.
    fn promo_code(&self, site: &Site, promo: &Promo) -> Result<Option<PromoCode>, Refusal> {
        let typed = promo.code.as_deref().and_then(PromoCode::fold);
        if let Some(code) = &typed
            && self.codes.find(site, code)?.is_some()
        {
            return Ok(typed);
        }
        for id in [&promo.promotion_id, &promo.coupon_id].into_iter().flatten() {
            if let Some(code) = self.codes.of_provider(site, id)? {
                return Ok(Some(code));
            }
        }
        Ok(typed)
    }

    async fn went_back(
        &self,
        site: &Site,
        webhook: &Webhook,
        refund: &usher_providers::Refund,
        outcome: &Outcome,
    ) -> Result<(), Refusal> {
        let mut fields = Fields::new();
        fields.insert("external_event_id".to_owned(), raw(&refund.external_event_id)?);
        if let Some(reason) = &refund.reason {
            fields.insert("reason".to_owned(), raw(&cut(reason, REASON_LONGEST))?);
        }
        let amount = match refund.amount {
            Some(amount) if refund.cumulative && !refund.full => RefundAmount::Total(amount),
            Some(amount) if !refund.full => RefundAmount::Part(amount),
            _ => RefundAmount::Rest,
        };
        let named =
            std::iter::once(refund.payment_id.clone()).chain(outcome.extracted.payment_ids.iter().cloned());
        let of = self.refunded(site, &webhook.name, distinct(named.collect(), "")).await?;
        let now = self.tools.clock.now();
        let (word, number) = amount.words();
        let entry = Entry {
            id: self.mint("refund"),
            site: site.name.clone(),
            source: webhook.name.clone(),
            job: Job::Refund,
            key: refund.external_event_id.clone(),
            fingerprint: fingerprint(
                &fields,
                &[Some(&refund.payment_id), Some(word), number.map(|number| number.to_string()).as_deref()],
            ),
            body: text_of(&fields)?,
            click: None,
            needs: None,
            mint: None,
            code: None,
            bind: None,
            names: Vec::new(),
            paid: None,
            refund: Some(usher_model::Refund { of, amount, currency: refund.currency }),
            send: self.delivery.when(&site.name, Job::Refund),
            trace: Trace { proof: proved(outcome), ..Trace::of(Rule::Payment) }.to_json(),
            now,
        };
        once(self.write(entry).await.map(|_| ()))
    }

    /// The payment of these names: of those that stand beside each other, the one that counts.
    async fn refunded(
        &self,
        site: &Site,
        source: &Source,
        names: Vec<String>,
    ) -> Result<PaymentRef, Refusal> {
        let of = PaymentRef::Named(names);
        let payment = patiently(|| self.tools.store.payment(&site.name, source, &of)).await?;
        let Some(closed) = payment.filter(|payment| payment.state == State::Closed) else { return Ok(of) };
        let id = closed.id.as_str();
        let records = patiently(|| self.tools.store.find(&site.name, id)).await?;
        let key = records.into_iter().find(|record| record.id == id).and_then(|record| record.key);
        let Some(key) = key else { return Ok(of) };
        for source in [source, &Source::api()] {
            for key in beside(&key) {
                let beside = self.accepted(site, source, &key).await?;
                if let Some(beside) = beside.filter(|beside| beside.state != State::Closed) {
                    return Ok(PaymentRef::Record(beside.id));
                }
            }
        }
        Ok(of)
    }

    async fn link(&self, site: &Site, webhook: &Webhook, link: &Link) -> Result<(), Refusal> {
        let (store, now) = (&self.tools.store, self.tools.clock.now());
        Ok(store.link(&site.name, &webhook.name, &link.payment_id, &link.alias_of, now).await?)
    }
}

/// What was taken before stays as it was taken: another event of the payment, or a repeat with other words, changes nothing.
fn once(written: Result<(), Refusal>) -> Result<(), Refusal> {
    match written {
        Err(Refusal::Conflict { message }) => {
            tracing::debug!(message, "an overlapping event");
            Ok(())
        }
        other => other,
    }
}

/// What the delivery proved, where that is less than all of it.
fn proved(outcome: &Outcome) -> Option<Proved> {
    (outcome.proof == Some(Proof::Token)).then_some(Proved::Token)
}

/// What the platform is told of a payment, but for the click.
fn sale_fields(webhook: &Webhook, paid: &Conversion, extracted: &Extracted) -> Result<Fields, Refusal> {
    let mut metadata = json!({"provider": webhook.provider(), "provider_order_id": paid.provider_order_id});
    if webhook.name.as_str() != webhook.provider() {
        metadata["webhook"] = webhook.name.as_str().into();
    }
    if extracted.livemode == Some(false) {
        metadata["test"] = true.into();
    }
    let mut fields = Fields::from([
        ("external_event_id".to_owned(), raw(&paid.external_event_id)?),
        ("sale_amount".to_owned(), paid.amount.json_number()),
        ("sale_amount_currency".to_owned(), raw(&paid.amount.currency())?),
        ("is_subscription".to_owned(), raw(&paid.is_subscription)?),
        ("metadata".to_owned(), raw(&metadata)?),
    ]);
    if let Some(customer) = &paid.customer_id {
        fields.insert("customer_id".to_owned(), raw(&cut(customer, TEXT_LONGEST))?);
    }
    if let Some(interval) = paid.interval {
        fields.insert("interval".to_owned(), raw(&interval)?);
    }
    for (name, ids) in [("product_ids", &paid.product_ids), ("price_ids", &paid.price_ids)] {
        if !ids.is_empty() {
            fields.insert(name.to_owned(), raw(ids)?);
        }
    }
    Ok(fields)
}

/// A provider's customer. Ids that are mere numbers mean somebody else at every provider and in the shop itself.
fn customer(webhook: &Webhook, id: &str) -> NamedCustomer {
    let is_number = id.bytes().all(|b| b.is_ascii_digit());
    let kind = if is_number { webhook.name.as_str() } else { "customer" };
    NamedCustomer { field: "customer_id", key: format!("{kind}:{id}") }
}

/// Each name once, without `key`, and not more of them than a record may have.
fn distinct(names: Vec<String>, key: &str) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for name in names {
        if name != key && !name.is_empty() && !kept.contains(&name) && kept.len() < limits::RECORD_NAMES {
            kept.push(name);
        }
    }
    kept
}

fn cut(text: &str, longest: usize) -> String {
    text.chars().take(longest).collect()
}
