//! What the ledger knows of an id, put together: a payment with its refunds and its click is one story.

use std::collections::BTreeSet;
use usher_model::{
    Click, ClickId, Job, OrderBinding, Payment, PaymentRef, Record, RecordId, SiteName, Source,
};
use usher_store::{Result, Store};

/// What goes by an id.
#[derive(Default)]
pub(super) struct Found {
    pub(super) stories: Vec<Story>,
    /// A click of that id, when no story tells of it.
    pub(super) clicks: Vec<SeenClick>,
    /// An order of that id, when no story tells of it.
    pub(super) orders: Vec<(SiteName, Order)>,
}

/// A sale, a lead, an event, or a refund whose payment is not here, with all that belongs to it.
pub(super) struct Story {
    pub(super) record: Record,
    pub(super) payment: Option<Payment>,
    /// Of that payment, in the order in which they are sent.
    pub(super) refunds: Vec<Record>,
    /// Whom it is credited to.
    pub(super) click: Option<SeenClick>,
    /// The orders among its names that a page has tied to a click.
    pub(super) orders: Vec<Order>,
}

/// A click, and its way to the platform when the edge minted it.
pub(super) struct SeenClick {
    pub(super) id: ClickId,
    pub(super) click: Option<Click>,
    pub(super) delivery: Option<Record>,
}

/// An order, and the click that a page has tied it to.
pub(super) struct Order {
    pub(super) id: String,
    pub(super) bound: OrderBinding,
}

impl Found {
    /// Whether nothing goes by it.
    pub(super) const fn is_empty(&self) -> bool {
        self.stories.is_empty() && self.clicks.is_empty() && self.orders.is_empty()
    }
}

/// Looks an id up in these sites, each with the sources of its webhooks.
pub(super) async fn gather(
    store: &dyn Store,
    sites: &[(SiteName, Vec<Source>)],
    name: &str,
) -> Result<Found> {
    let mut found = Found::default();
    for (site, sources) in sites {
        let mut told = BTreeSet::new();
        for record in named(store, site, sources, name).await? {
            if record.job == Job::Click {
                continue;
            }
            let record = root(store, record).await?;
            if told.insert(record.id.clone()) {
                found.stories.push(story(store, record, name).await?);
            }
        }
        let here = || found.stories.iter().filter(|story| story.record.site == *site);
        let told_click =
            here().any(|story| story.click.as_ref().is_some_and(|click| click.id.as_str() == name));
        let told_order = here().any(|story| story.orders.iter().any(|order| order.id == name));
        if let Ok(id) = ClickId::new(name)
            && !told_click
        {
            let click = seen_click(store, site, &id).await?;
            found.clicks.extend(Some(click).filter(|seen| seen.click.is_some() || seen.delivery.is_some()));
        }
        if !told_order {
            found.orders.extend(order(store, site, name).await?.map(|order| (site.clone(), order)));
        }
    }
    Ok(found)
}

/// The records of that name; when there is none, the payment that a provider has linked the name to, as Stripe links the
/// payment that its pages show to the invoice that was reported.
async fn named(store: &dyn Store, site: &SiteName, sources: &[Source], name: &str) -> Result<Vec<Record>> {
    let records = store.find(site, name).await?;
    if !records.is_empty() {
        return Ok(records);
    }
    let of = PaymentRef::Named(vec![name.to_owned()]);
    for source in sources {
        if let Some(payment) = store.payment(site, source, &of).await? {
            let found = store.find(site, payment.id.as_str()).await?.into_iter();
            return Ok(found.filter(|record| record.id == payment.id.as_str()).collect());
        }
    }
    Ok(records)
}

/// The payment that a refund is of, when it is here; else the record itself.
async fn root(store: &dyn Store, record: Record) -> Result<Record> {
    let Some(payment) = record.payment.as_deref().filter(|_| record.job == Job::Refund) else {
        return Ok(record);
    };
    let is_it = |other: &Record| {
        other.paid.is_some() && (other.id == payment || other.upstream_id.as_deref() == Some(payment))
    };
    let found = store.find(&record.site, payment).await?.into_iter().find(is_it);
    Ok(found.unwrap_or(record))
}

async fn story(store: &dyn Store, record: Record, asked: &str) -> Result<Story> {
    let mut payment = None;
    if record.paid.is_some()
        && let (Some(source), Ok(id)) = (&record.source, RecordId::new(record.id.as_str()))
    {
        payment = store.payment(&record.site, source, &PaymentRef::Record(id)).await?;
    }
    let mut refunds = Vec::new();
    for refund in payment.iter().flat_map(|payment| &payment.refunds) {
        let found = store.find(&record.site, refund.id.as_str()).await?;
        refunds.extend(found.into_iter().find(|found| found.id == refund.id.as_str()));
    }
    let click = match &record.click {
        Some(id) => Some(seen_click(store, &record.site, id).await?),
        None => None,
    };
    let mut orders = Vec::new();
    let names = record.names.iter().map(String::as_str).chain(record.key.as_deref()).chain([asked]);
    for name in names.collect::<BTreeSet<_>>() {
        orders.extend(order(store, &record.site, name).await?);
    }
    Ok(Story { record, payment, refunds, click, orders })
}

async fn seen_click(store: &dyn Store, site: &SiteName, id: &ClickId) -> Result<SeenClick> {
    let click = store.click(site, id).await?;
    let is_its = |record: &Record| record.job == Job::Click && record.id == id.as_str();
    // A click that the platform gave an id itself has nothing to be told.
    let delivery = match id.is_minted() {
        true => store.find(site, id.as_str()).await?.into_iter().find(is_its),
        false => None,
    };
    Ok(SeenClick { id: id.clone(), click, delivery })
}

async fn order(store: &dyn Store, site: &SiteName, id: &str) -> Result<Option<Order>> {
    Ok(store.order(site, id).await?.map(|bound| Order { id: id.to_owned(), bound }))
}
