//! Lemon Squeezy: <https://docs.lemonsqueezy.com/help/webhooks>.
//!
//! Ids are bare integers per type, so they are qualified here. A refund has no id of its own: the order comes again with all
//! that ever went back.

use crate::{
    Context, Conversion, Extracted, Ignored, Outcome, Proof, Provider, Refund, Rejection, Request, Verdict,
    common::{
        self, Delivery, Stop,
        json::Json,
        money::{self, ISO_4217},
        referral,
        signature::{self, Encoding},
    },
};
use usher_model::Secret;

pub(crate) const PROVIDER: Provider = Provider { name: "lemonsqueezy", proofs: &[Proof::Body], judge };

fn judge(request: &Request<'_>, context: &Context<'_>) -> Outcome {
    common::judge_json(request, context, verify, translate)
}

/// `X-Signature`: hex, of the body.
fn verify(request: &Request<'_>, context: &Context<'_>) -> Result<Proof, Rejection> {
    const HEADER: &str = "x-signature";
    let given = request.header(HEADER).ok_or(Rejection::MissingHeader(HEADER))?;
    signature::check(context.secrets().map(Secret::expose), &[request.body], Encoding::Hex, &[given])?;
    Ok(Proof::Body)
}

/// The event's name is taken from the body: the header `X-Event-Name` is not signed.
fn translate(delivery: &Delivery<'_>, found: &mut Extracted) -> Result<Verdict, Stop> {
    let event = delivery.event;
    let kind = event.need("meta.event_name")?;
    found.event_type = Some(kind.clone());
    let read = match kind.as_str() {
        "order_created" => order,
        "subscription_payment_success" => invoice,
        "order_refunded" => order_refund,
        "subscription_payment_refunded" => invoice_refund,
        _ => return Err(Ignored::NotCommercial.into()),
    };
    let marks = ["meta.test_mode", "data.attributes.test_mode"].map(|path| event.flag(path));
    let live = match marks {
        [None, None] => None,
        marks => Some(!marks.contains(&Some(true))),
    };
    common::note_livemode(live, delivery.context, found)?;
    read(event, found)
}

fn order(event: &Json, found: &mut Extracted) -> Result<Verdict, Stop> {
    let conversion = Conversion {
        product_ids: referral::ids([event.text("data.attributes.first_order_item.product_id")]),
        price_ids: referral::ids([event.text("data.attributes.first_order_item.variant_id")]),
        ..sale("order", event, found)?
    };
    Ok(common::conversion(conversion, found))
}

fn invoice(event: &Json, found: &mut Extracted) -> Result<Verdict, Stop> {
    if event.says("data.attributes.billing_reason", "initial") {
        return Err(Ignored::CoveredByOrderCreated.into());
    }
    found.subscription_id = event.text("data.attributes.subscription_id");
    let conversion = Conversion { is_subscription: true, ..sale("subscription-invoice", event, found)? };
    Ok(common::conversion(conversion, found))
}

/// What orders and subscription invoices have in common.
fn sale(kind: &str, event: &Json, found: &mut Extracted) -> Result<Conversion, Stop> {
    if event.need("data.attributes.status")? != "paid" {
        return Err(Ignored::NotPaid.into());
    }
    let currency = money::currency(event, "data.attributes.currency")?;
    let amount = money::minor(event, "data.attributes.total", currency, &ISO_4217)?;
    let order = event.need("data.id")?;
    let id = format!("{kind}:{order}");
    found.payment_ids = vec![id.clone()];
    found.customer_email = event.text("data.attributes.user_email");
    Ok(Conversion {
        referral_id: referral::in_metadata(event, &["meta.custom_data"]),
        customer_id: event.text("data.attributes.customer_id"),
        external_event_id: id,
        amount: money::paid(amount, currency)?,
        product_ids: Vec::new(),
        price_ids: Vec::new(),
        is_subscription: false,
        interval: None,
        provider_order_id: order,
    })
}

fn order_refund(event: &Json, found: &mut Extracted) -> Result<Verdict, Stop> {
    refund("order", event, found)
}

fn invoice_refund(event: &Json, found: &mut Extracted) -> Result<Verdict, Stop> {
    refund("subscription-invoice", event, found)
}

/// `refunded_amount` is all that ever went back, so it is part of the refund's id.
fn refund(kind: &str, event: &Json, found: &mut Extracted) -> Result<Verdict, Stop> {
    let currency = money::currency(event, "data.attributes.currency")?;
    let all = event.says("data.attributes.status", "refunded");
    let path = match event.get("data.attributes.refunded_amount").is_null() {
        false => "data.attributes.refunded_amount",
        true if all => "data.attributes.total",
        true => return Err(Ignored::PartialRefundAmountUnknown.into()),
    };
    let amount = money::went_back(money::minor(event, path, currency, &ISO_4217)?)?;
    let total = money::minor(event, "data.attributes.total", currency, &ISO_4217);
    let payment_id = format!("{kind}:{}", event.need("data.id")?);
    let refund = Refund {
        external_event_id: format!("{payment_id}:refund:{}", event.need(path)?),
        payment_id,
        amount: Some(amount),
        currency: Some(currency),
        full: all || total.is_ok_and(|total| amount >= total),
        reason: None,
        cumulative: true,
    };
    Ok(common::refund(refund, found))
}
