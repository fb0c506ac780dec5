//! Razorpay (<https://razorpay.com/docs/webhooks/validate-test/>): hex HMAC-SHA256 of the body. No time is signed, so a
//! replay is known by the payment's id alone.

use crate::{
    Context, Conversion, Extracted, Ignored, Outcome, Promo, Proof, Provider, Refund, Rejection, Request,
    Verdict,
    common::{
        self, Delivery, Stop,
        json::Json,
        judge_json, money,
        referral::{ids, in_metadata},
        signature::{self, Encoding},
    },
};
use usher_model::Secret;

pub(crate) const PROVIDER: Provider = Provider { name: "razorpay", proofs: &[Proof::Body], judge };

const SIGNATURE: &str = "x-razorpay-signature";
const EVENT_ID: &str = "x-razorpay-event-id";

/// Everything that can carry the merchant's notes. Without any, `notes` is an empty list, not an empty object.
const NOTES: [&str; 5] = [
    "payload.payment.entity.notes",
    "payload.order.entity.notes",
    "payload.subscription.entity.notes",
    "payload.payment_link.entity.notes",
    "payload.invoice.entity.notes",
];

fn judge(request: &Request<'_>, context: &Context<'_>) -> Outcome {
    judge_json(request, context, verify, translate)
}

fn verify(request: &Request<'_>, context: &Context<'_>) -> Result<Proof, Rejection> {
    let given = request.header(SIGNATURE).ok_or(Rejection::MissingHeader(SIGNATURE))?;
    signature::check(context.secrets().map(Secret::expose), &[request.body], Encoding::Hex, &[given])?;
    Ok(Proof::Body)
}

fn translate(delivery: &Delivery<'_>, found: &mut Extracted) -> Result<Verdict, Stop> {
    let event = delivery.event;
    found.provider_event_id = delivery.request.header(EVENT_ID).map(str::to_owned);
    found.event_type = event.text("event");
    match found.event_type.as_deref() {
        Some(
            "payment.captured" | "order.paid" | "payment_link.paid" | "invoice.paid" | "subscription.charged",
        ) => payment(event, found),
        Some("refund.processed") => refund(event, found),
        Some("refund.created" | "refund.speed_changed" | "refund.failed") => {
            Err(Ignored::RefundNotFinal.into())
        }
        _ => Err(Ignored::NotCommercial.into()),
    }
}

fn payment(event: &Json, found: &mut Extracted) -> Result<Verdict, Stop> {
    let id = event.need("payload.payment.entity.id")?;
    let order =
        event.text("payload.payment.entity.order_id").or_else(|| event.text("payload.order.entity.id"));
    let subscription = event.text("payload.subscription.entity.id");
    found.payment_ids = ids([Some(id.clone()), order.clone()]);
    found.customer_email = event.text("payload.payment.entity.email");
    found.subscription_id.clone_from(&subscription);
    found.promo = Promo::new(
        None,
        None,
        event
            .text("payload.order.entity.offer_id")
            .or_else(|| event.text("payload.subscription.entity.offer_id"))
            .or_else(|| event.text("payload.payment.entity.offer_id")),
    );
    if !captured(event) {
        return Err(Ignored::NotPaid.into());
    }
    let currency = money::currency(event, "payload.payment.entity.currency")?;
    let amount = money::minor(event, "payload.payment.entity.amount", currency, &money::ISO_4217)?;
    let conversion = Conversion {
        referral_id: in_metadata(event, &NOTES),
        customer_id: event
            .text("payload.payment.entity.customer_id")
            .or_else(|| event.text("payload.subscription.entity.customer_id")),
        provider_order_id: order.unwrap_or_else(|| id.clone()),
        external_event_id: id,
        amount: money::paid(amount, currency)?,
        product_ids: Vec::new(),
        price_ids: ids([event.text("payload.subscription.entity.plan_id")]),
        is_subscription: subscription.is_some(),
        interval: None,
    };
    Ok(common::conversion(conversion, found))
}

/// Whether the money was taken. `captured` is a flag in some events and the text `1` in others; `status` is always there.
fn captured(event: &Json) -> bool {
    match event.text("payload.payment.entity.status").as_deref() {
        Some(status) => matches!(status, "captured" | "refunded"),
        None => {
            let captured = "payload.payment.entity.captured";
            event.flag(captured) == Some(true) || event.text(captured).as_deref() == Some("1")
        }
    }
}

fn refund(event: &Json, found: &mut Extracted) -> Result<Verdict, Stop> {
    let payment = match event.text("payload.refund.entity.payment_id") {
        Some(id) => id,
        None => event.need("payload.payment.entity.id")?,
    };
    found.payment_ids = ids([Some(payment.clone()), event.text("payload.payment.entity.order_id")]);
    if event.text("payload.refund.entity.status").is_some_and(|status| status != "processed") {
        return Err(Ignored::RefundNotFinal.into());
    }
    let currency = money::currency(event, "payload.refund.entity.currency")?;
    let amount = money::minor(event, "payload.refund.entity.amount", currency, &money::ISO_4217)?;
    let refund = Refund {
        payment_id: payment,
        external_event_id: event.need("payload.refund.entity.id")?,
        amount: Some(money::went_back(amount)?),
        currency: Some(currency),
        full: event.says("payload.payment.entity.refund_status", "full"),
        reason: None,
        cumulative: false,
    };
    Ok(common::refund(refund, found))
}
