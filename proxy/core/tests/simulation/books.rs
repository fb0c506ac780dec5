//! A model of the platform's side of the contract: what it takes, what it refuses, and what it holds in the end.

use rust_decimal::Decimal;
use serde_json::{Value, json, value::RawValue};
use std::collections::BTreeMap;
use usher_model::Job;

/// Affiliates of the program. Others are unknown to the platform.
pub(crate) const AFFILIATES: [&str; 4] = ["alice", "bob", "carol", "dave"];

type Fields = BTreeMap<String, Box<RawValue>>;

/// A sale that the platform holds.
#[derive(Clone, Debug)]
pub(crate) struct Sale {
    pub(crate) id: String,
    pub(crate) click: String,
    pub(crate) amount: Decimal,
    pub(crate) currency: String,
    /// What went back of it.
    pub(crate) back: Decimal,
    /// Which payment it was, as the history counts them, whatever key it came under.
    marker: String,
}

/// A refund that the platform holds.
#[derive(Clone, Debug)]
pub(crate) struct Back {
    pub(crate) id: String,
    /// What the platform calls the sale.
    pub(crate) sale: String,
    pub(crate) key: Option<String>,
    pub(crate) amount: Decimal,
}

/// Everything that the platform holds.
#[derive(Default)]
pub(crate) struct Books {
    /// Clicks with their affiliates.
    pub(crate) clicks: BTreeMap<String, String>,
    /// Customers with the click that brought them.
    customers: BTreeMap<String, String>,
    /// Sales by their keys.
    pub(crate) sales: BTreeMap<String, Sale>,
    /// Keys of sales by the payment that they were.
    payments: BTreeMap<String, String>,
    /// Refunds in the order in which they came.
    pub(crate) refunds: Vec<Back>,
    /// Leads by their clicks.
    pub(crate) leads: BTreeMap<String, String>,
    /// Events by their keys.
    pub(crate) events: BTreeMap<String, String>,
    /// What no client that keeps its promises asks for.
    pub(crate) faults: Vec<String>,
    /// Refunds of more than is left, each with the sale's key.
    pub(crate) too_much: Vec<(String, String)>,
    ids: u64,
}

/// Status, error word or `data`.
type Said = (u16, Value);

fn refused(status: u16, message: impl Into<String>) -> Said {
    let code = if status == 404 { "NOT_FOUND" } else { "VALIDATION_ERROR" };
    (status, json!({"success": false, "error": {"code": code, "message": message.into()}}))
}

fn taken(status: u16, id: &str) -> Said {
    (status, json!({"success": true, "data": {"id": id}}))
}

fn text(fields: &Fields, name: &str) -> Option<String> {
    serde_json::from_str::<Option<String>>(fields.get(name)?.get()).ok().flatten()
}

fn number(fields: &Fields, name: &str) -> Option<Decimal> {
    let raw = fields.get(name)?.get();
    raw.trim_matches('"').parse().ok()
}

/// What the history put into the record to know it again.
fn marker(fields: &Fields) -> String {
    let metadata = ["metadata", "properties"].iter().find_map(|name| fields.get(*name));
    let parsed = metadata.and_then(|raw| serde_json::from_str::<Value>(raw.get()).ok()).unwrap_or_default();
    let known = parsed["marker"].as_str().or_else(|| parsed["provider_order_id"].as_str());
    known.unwrap_or_default().to_owned()
}

impl Books {
    fn id(&mut self, kind: &str) -> String {
        self.ids += 1;
        format!("{kind}_{}", self.ids)
    }

    /// A browser's click.
    pub(crate) fn track(&mut self, affiliate: &str) -> Option<String> {
        AFFILIATES.contains(&affiliate).then(|| {
            let id = self.id("clk");
            self.clicks.insert(id.clone(), affiliate.to_owned());
            id
        })
    }

    /// A server's request.
    pub(crate) fn take(&mut self, job: Job, sale: Option<&str>, body: &str) -> Said {
        let Ok(fields) = serde_json::from_str::<Fields>(body) else {
            self.faults.push(format!("{} is no object: {body}", job.word()));
            return refused(400, "not an object");
        };
        match job {
            Job::Click => match text(&fields, "trackingId").and_then(|affiliate| self.track(&affiliate)) {
                Some(id) => taken(201, &id),
                None => refused(404, "no such affiliate"),
            },
            Job::Signup => self.lead(&fields, body),
            Job::Conversion => self.sale(&fields),
            Job::Refund => self.refund(sale.unwrap_or_default(), &fields),
            Job::Event => self.event(&fields, "external_event_id", body),
            Job::Segment => self.event(&fields, "messageId", body),
        }
    }

    fn lead(&mut self, fields: &Fields, body: &str) -> Said {
        let Some(click) = text(fields, "click_id").filter(|click| self.clicks.contains_key(click)) else {
            return refused(404, "no such click");
        };
        if let Some(user) = text(fields, "external_user_id") {
            self.customers.entry(format!("external_user_id:{user}")).or_insert_with(|| click.clone());
        }
        let status = if self.leads.contains_key(&click) { 200 } else { 201 };
        self.leads.entry(click.clone()).or_insert_with(|| body.to_owned());
        taken(status, &click)
    }

    /// The one click that all identifiers mean.
    fn referral(&self, fields: &Fields) -> Result<String, Said> {
        let mut found: Option<String> = None;
        let mut named = false;
        for name in ["referral_id", "click_id", "customer_id", "external_user_id", "userId"] {
            let Some(id) = text(fields, name) else { continue };
            named = true;
            let click = match name {
                "referral_id" | "click_id" => Some(id).filter(|id| self.clicks.contains_key(id)),
                "userId" => self.customers.get(&format!("customer_id:{id}")).cloned(),
                _ => self.customers.get(&format!("{name}:{id}")).cloned(),
            };
            match (click, &found) {
                (None, _) if name.ends_with("k_id") || name == "referral_id" => {
                    return Err(refused(404, format!("no such {name}")));
                }
                (Some(click), Some(other)) if click != *other => {
                    return Err(refused(400, "identifiers of different referrals"));
                }
                (Some(click), _) => found = Some(click),
                (None, _) => {}
            }
        }
        match (found, named) {
            (Some(click), _) => Ok(click),
            (None, true) => Err(refused(404, "no referral of that identifier")),
            (None, false) => Err(refused(400, "an identifier is required")),
        }
    }

    fn sale(&mut self, fields: &Fields) -> Said {
        let (Some(key), Some(amount), Some(currency)) = (
            text(fields, "external_event_id"),
            number(fields, "sale_amount").filter(|amount| *amount > Decimal::ZERO),
            text(fields, "sale_amount_currency"),
        ) else {
            self.faults.push(format!("a sale without key, amount or currency: {fields:?}"));
            return refused(400, "fields are missing");
        };
        if let Some(sale) = self.sales.get(&key) {
            if (sale.amount, &sale.currency, &sale.marker) != (amount, &currency, &marker(fields)) {
                self.faults.push(format!("{key} came again with other content: {amount} {currency}"));
            }
            return taken(200, &sale.id);
        }
        let click = match self.referral(fields) {
            Ok(click) => click,
            Err(refused) => return refused,
        };
        for name in ["customer_id", "external_user_id"] {
            if let Some(id) = text(fields, name) {
                self.customers.entry(format!("{name}:{id}")).or_insert_with(|| click.clone());
            }
        }
        let id = self.id("com");
        let sale =
            Sale { id: id.clone(), click, amount, currency, back: Decimal::ZERO, marker: marker(fields) };
        if let Some(other) = self.payments.insert(sale.marker.clone(), key.clone()) {
            self.faults.push(format!("{key} is the payment that came as {other} before"));
        }
        self.sales.insert(key, sale);
        taken(201, &id)
    }

    fn refund(&mut self, of: &str, fields: &Fields) -> Said {
        let key = text(fields, "external_event_id");
        let asked = number(fields, "amount");
        if let Some(before) = key.as_ref().and_then(|key| self.held_refund(of, key)).cloned() {
            if asked.is_some_and(|asked| asked != before.amount) {
                self.faults.push(format!("{key:?} came again with {asked:?} for {}", before.amount));
            }
            return taken(200, &before.id);
        }
        let id = self.id("ref");
        let Some((of_key, sale)) = self.sales.iter_mut().find(|(_, sale)| sale.id == of) else {
            return refused(404, "no such conversion");
        };
        let left = sale.amount - sale.back;
        let amount = asked.unwrap_or(left);
        if amount <= Decimal::ZERO || amount > left {
            let fault = format!("{key:?} gives back {amount} of {of}, of which {left} is left");
            self.too_much.push((of_key.clone(), fault));
            return refused(400, "more than is left");
        }
        if text(fields, "currency").is_some_and(|currency| currency != sale.currency) {
            return refused(400, "another currency");
        }
        sale.back += amount;
        self.refunds.push(Back { id: id.clone(), sale: of.to_owned(), key, amount });
        taken(201, &id)
    }

    fn held_refund(&self, of: &str, key: &str) -> Option<&Back> {
        self.refunds.iter().find(|held| held.sale == of && held.key.as_deref() == Some(key))
    }

    fn event(&mut self, fields: &Fields, key_field: &str, body: &str) -> Said {
        let Some(key) = text(fields, key_field) else {
            self.faults.push(format!("an event without its key: {fields:?}"));
            return refused(400, "the key is missing");
        };
        if self.events.contains_key(&key) {
            return taken(200, &format!("evt_{key}"));
        }
        match self.referral(fields) {
            Err(refused) => refused,
            Ok(_) => {
                self.events.insert(key.clone(), body.to_owned());
                taken(201, &format!("evt_{key}"))
            }
        }
    }
}
