//! Conversions, refunds and events: the part of the contract that is about money.

use http::StatusCode;
use serde_json::value::RawValue;

use super::amount::Amount;
use super::answers::{conversion_answer, event_answer};
use super::ledger::{Conversion, Event, Identifiers, Ledger, Refund};
use super::wire::{Call, Failure, Fields};
use crate::demo::http::Reply;
use crate::demo::ids::cuid;

/// The names under which a click or referral id may come.
const CLICK_FIELDS: [&str; 8] = [
    "referral_id",
    "click_id",
    "referralId",
    "clickId",
    "affonso_id",
    "affonsoId",
    "affonso_referral",
    "affonsoReferral",
];
const STATUSES: [&str; 8] = [
    "pending",
    "pending_manual_approval",
    "ready_for_payment",
    "processing_payout",
    "paid",
    "declined",
    "refunded",
    "dispute",
];
const SALES_STATUSES: [&str; 6] = ["open", "complete", "trialing", "failed", "refunded", "partial_refunded"];
const ID_MAX_CHARS: usize = 255;

/// `POST /conversions`.
pub(super) fn convert(ledger: &mut Ledger, call: &Call, signed: Option<bool>) -> Result<Reply, Failure> {
    let fields = Fields::parse(&call.body)?;
    let sale = Sale::read(&fields, "conversions")?;
    let (place, replayed) = sale.book(ledger, call, signed)?;
    conversion_answer(ledger, place, replayed)
}

/// `POST /conversions/{id}/refund`.
pub(super) fn refund(ledger: &mut Ledger, call: &Call, id: &str) -> Result<Reply, Failure> {
    let fields = if call.body.is_empty() { Fields::default() } else { Fields::parse(&call.body)? };
    let external_event_id = fields.text("external_event_id", ID_MAX_CHARS)?;
    let reason = fields.text("reason", 1000)?;
    instant(&fields, "refunded_at")?;
    let amount = fields.amount("amount")?.map(|(amount, _)| amount);
    let currency = fields.currency("currency")?;
    let place = ledger.conversion(id).ok_or_else(|| Failure::not_found("no such conversion"))?;
    if let Some(known) = external_event_id.as_deref().and_then(|event| ledger.refund_mut(event)) {
        if known.conversion_id != id {
            return Err(Failure::invalid(
                "external_event_id",
                "already used for another conversion's refund",
            ));
        }
        known.replays += 1;
        return conversion_answer(ledger, place, true);
    }
    let conversion = &mut ledger.conversions[place];
    if currency.is_some_and(|currency| !currency.eq_ignore_ascii_case(&conversion.sale_amount_currency)) {
        return Err(Failure::invalid("currency", "currency is not the conversion's"));
    }
    let left = conversion.amount.minus(conversion.refunded).unwrap_or(Amount::ZERO);
    let amount = amount.unwrap_or(left);
    if amount == Amount::ZERO || amount > left {
        return Err(Failure::invalid("amount", format!("only {} is left to refund", left.text())));
    }
    conversion.refunded = conversion.refunded.plus(amount);
    let full = conversion.refunded == conversion.amount;
    conversion.sales_status = if full { "refunded" } else { "partial_refunded" }.to_owned();
    if full {
        conversion.status = "refunded".to_owned();
    }
    ledger.add_refund(Refund {
        conversion_id: id.to_owned(),
        amount,
        external_event_id,
        reason,
        replays: 0,
        body: call.body_shown(),
        at: call.now,
    });
    conversion_answer(ledger, place, false).map(|mut reply| {
        *reply.status_mut() = StatusCode::OK;
        reply
    })
}

/// `POST /events`.
pub(super) fn event(ledger: &mut Ledger, call: &Call, signed: Option<bool>) -> Result<Reply, Failure> {
    let fields = Fields::parse(&call.body)?;
    let name = fields.required("event_name", ID_MAX_CHARS)?;
    // The platform's SDK lets it be left out; then the name decides, as it does for Segment.
    let kind = fields
        .one_of("event_type", &["conversion", "lead", "trial", "milestone"])?
        .unwrap_or_else(|| kind_of(&name).to_owned());
    instant(&fields, "occurred_at")?;
    if kind == "conversion" {
        let (place, replayed) = Sale::read(&fields, "events")?.book(ledger, call, signed)?;
        return conversion_answer(ledger, place, replayed);
    }
    let occurrence = Occurrence {
        who: identifiers(&fields)?,
        name,
        kind,
        external_event_id: fields.text("external_event_id", ID_MAX_CHARS)?,
        via: "events",
    };
    occurrence.note(ledger, call)
}

/// `POST /sources/segment/events`.
pub(super) fn segment(ledger: &mut Ledger, call: &Call, signed: Option<bool>) -> Result<Reply, Failure> {
    let fields = Fields::parse(&call.body)?;
    if fields.text("type", 64)?.is_some_and(|kind| kind != "track") {
        return Err(Failure::invalid("type", "Only Segment track payloads are supported"));
    }
    let name = fields.required("event", ID_MAX_CHARS)?;
    let message_id = fields.required("messageId", ID_MAX_CHARS)?;
    instant(&fields, "timestamp")?;
    let properties = fields.object("properties")?;
    let traits = fields.object("context")?.object("traits")?;
    let user_fields = ["external_user_id", "externalUserId"];
    let user = match properties.first_text(&user_fields, ID_MAX_CHARS)? {
        Some(user) => Some(user),
        None => traits.first_text(&user_fields, ID_MAX_CHARS)?,
    };
    let customer = fields.text("userId", ID_MAX_CHARS)?;
    if customer.is_none() && user.is_none() {
        return Err(Failure::invalid("userId", "userId or an explicit external_user_id mapping is required"));
    }
    let who = Identifiers { clicks: click_identifiers(&properties)?, customer, user };
    let kind = kind_of(&name);
    if kind == "conversion" {
        let (place, replayed) =
            Sale::from_segment(&properties, who, message_id)?.book(ledger, call, signed)?;
        return conversion_answer(ledger, place, replayed);
    }
    let kind = kind.to_owned();
    Occurrence { who, name, kind, external_event_id: Some(message_id), via: "segment" }.note(ledger, call)
}

/// What an event of that name is (<https://docs.affonso.io/api/segment-track-events>).
fn kind_of(name: &str) -> &'static str {
    match name {
        "Order Completed" | "Completed Order" | "purchase" => "conversion",
        "qualified_lead" | "demo_booked" => "lead",
        "trial_started" => "trial",
        _ => "milestone",
    }
}

/// A checked conversion that is not filed yet.
struct Sale {
    who: Identifiers,
    amount: Amount,
    amount_received: Box<RawValue>,
    currency: String,
    external_event_id: String,
    status: String,
    sales_status: String,
    created_at: Option<String>,
    via: &'static str,
}

impl Sale {
    fn read(fields: &Fields, via: &'static str) -> Result<Self, Failure> {
        let who = identifiers(fields)?;
        let (amount, amount_received) = fields
            .amount("sale_amount")?
            .ok_or_else(|| Failure::invalid("sale_amount", "sale_amount is required"))?;
        let currency = fields
            .currency("sale_amount_currency")?
            .ok_or_else(|| Failure::invalid("sale_amount_currency", "sale_amount_currency is required"))?;
        let external_event_id = fields.required("external_event_id", ID_MAX_CHARS)?;
        fields.get::<Vec<String>>("product_ids", "a list of strings")?;
        fields.get::<Vec<String>>("price_ids", "a list of strings")?;
        fields.get::<bool>("is_subscription", "true or false")?;
        fields.one_of("interval", &["monthly", "yearly"])?;
        fields.object("metadata")?;
        Ok(Self {
            who,
            amount,
            amount_received,
            currency,
            external_event_id,
            status: fields.one_of("status", &STATUSES)?.unwrap_or_else(|| "pending".to_owned()),
            sales_status: fields
                .one_of("sales_status", &SALES_STATUSES)?
                .unwrap_or_else(|| "complete".to_owned()),
            created_at: instant(fields, "created_at")?,
            via,
        })
    }

    fn from_segment(properties: &Fields, who: Identifiers, message_id: String) -> Result<Self, Failure> {
        let name =
            ["revenue", "amount", "value", "total"].into_iter().find(|name| properties.raw(name).is_some());
        let (amount, amount_received) = properties
            .amount(name.unwrap_or("revenue"))?
            .ok_or_else(|| Failure::invalid("properties.revenue", "an amount is required"))?;
        let currency = match properties.currency("currency")? {
            Some(currency) => currency,
            None => properties
                .currency("sale_amount_currency")?
                .ok_or_else(|| Failure::invalid("properties.currency", "a currency is required"))?,
        };
        Ok(Self {
            who,
            amount,
            amount_received,
            currency,
            external_event_id: message_id,
            status: "pending".to_owned(),
            sales_status: "complete".to_owned(),
            created_at: None,
            via: "segment",
        })
    }

    /// Files it, or finds what the same event id made before. Answers its place and whether it was there.
    fn book(self, ledger: &mut Ledger, call: &Call, signed: Option<bool>) -> Result<(usize, bool), Failure> {
        if let Some(place) = ledger.conversion_of_event(&self.external_event_id) {
            ledger.conversions[place].replays += 1;
            return Ok((place, true));
        }
        let referral = ledger.resolve(&self.who)?;
        ledger.bind(referral, self.who.customer.as_deref(), self.who.user.as_deref());
        let click = &mut ledger.clicks[referral];
        click.status = "customer";
        let conversion = Conversion {
            id: format!("com_{}", cuid(call.now)),
            referral_id: click.id.clone(),
            affiliate: click.tracking_id.clone(),
            program_id: click.program_id.clone(),
            sale_amount_text: self.amount_received.get().to_owned(),
            sale_amount: self.amount_received,
            amount: self.amount,
            refunded: Amount::ZERO,
            sale_amount_currency: self.currency,
            external_event_id: self.external_event_id,
            customer_id: self.who.customer,
            external_user_id: self.who.user,
            status: self.status,
            sales_status: self.sales_status,
            replays: 0,
            via: self.via,
            signed,
            body: call.body_shown(),
            at: call.now,
            created_at: self.created_at.unwrap_or_else(|| call.now.rfc3339()),
        };
        Ok((ledger.add_conversion(conversion), false))
    }
}

/// A checked event that is no conversion and is not filed yet.
struct Occurrence {
    who: Identifiers,
    name: String,
    kind: String,
    external_event_id: Option<String>,
    via: &'static str,
}

impl Occurrence {
    fn note(self, ledger: &mut Ledger, call: &Call) -> Result<Reply, Failure> {
        if let Some(place) = self.external_event_id.as_deref().and_then(|id| ledger.event_of_event(id)) {
            ledger.events[place].replays += 1;
            return Ok(event_answer(ledger, place, true));
        }
        let referral = ledger.resolve(&self.who)?;
        ledger.bind(referral, self.who.customer.as_deref(), self.who.user.as_deref());
        let click = &mut ledger.clicks[referral];
        if click.status == "visited" {
            click.status = "lead";
        }
        let event = Event {
            id: format!("evt_{}", cuid(call.now)),
            referral_id: click.id.clone(),
            affiliate: click.tracking_id.clone(),
            event_name: self.name,
            event_type: self.kind,
            external_event_id: self.external_event_id,
            replays: 0,
            via: self.via,
            body: call.body_shown(),
            at: call.now,
        };
        let place = ledger.add_event(event);
        Ok(event_answer(ledger, place, false))
    }
}

/// The identifiers of a request, at least one.
fn identifiers(fields: &Fields) -> Result<Identifiers, Failure> {
    let who = Identifiers {
        clicks: click_identifiers(fields)?,
        customer: fields.text("customer_id", ID_MAX_CHARS)?,
        user: fields.text("external_user_id", ID_MAX_CHARS)?,
    };
    if who.clicks.is_empty() && who.customer.is_none() && who.user.is_none() {
        return Err(Failure::invalid(
            "referral_id",
            "one of referral_id, external_user_id, customer_id, click_id is required",
        ));
    }
    Ok(who)
}

fn click_identifiers(fields: &Fields) -> Result<Vec<(&'static str, String)>, Failure> {
    let mut clicks = Vec::new();
    for field in CLICK_FIELDS {
        if let Some(id) = fields.text(field, ID_MAX_CHARS)? {
            clicks.push((field, id));
        }
    }
    Ok(clicks)
}

/// A moment in ISO 8601, as text.
pub(super) fn instant(fields: &Fields, name: &str) -> Result<Option<String>, Failure> {
    match fields.text(name, 64)? {
        Some(text) if usher_model::UnixMs::parse(&text).is_none() => {
            Err(Failure::invalid(name, format!("{name} must be an ISO 8601 date")))
        }
        text => Ok(text),
    }
}
