//! Xendit (<https://docs.xendit.co/apidocs/payment-webhook-notification>): a static token in a header. Nothing covers the
//! body.
//!
//! Three shapes are in use: `payment.capture` (Payments API 3), `payment.succeeded` (its predecessor), and the callbacks of
//! invoices, which have no event's name.

use crate::{
    Context, Conversion, Extracted, Ignored, Outcome, Proof, Provider, Refund, Rejection, Request, Verdict,
    common::{
        self, Delivery, Stop,
        json::{Fault, Json},
        judge_json, money,
        referral::{ids, in_metadata},
        signature,
    },
};
use rust_decimal::Decimal;

pub(crate) const PROVIDER: Provider = Provider { name: "xendit", proofs: &[Proof::Token], judge };

const TOKEN: &str = "x-callback-token";

fn judge(request: &Request<'_>, context: &Context<'_>) -> Outcome {
    judge_json(request, context, verify, translate)
}

fn verify(request: &Request<'_>, context: &Context<'_>) -> Result<Proof, Rejection> {
    let given = request.header(TOKEN).ok_or(Rejection::MissingHeader(TOKEN))?;
    let ours = context.secrets().any(|secret| signature::same(secret.expose(), given.as_bytes()));
    if ours { Ok(Proof::Token) } else { Err(Rejection::BadSignature) }
}

fn translate(delivery: &Delivery<'_>, found: &mut Extracted) -> Result<Verdict, Stop> {
    let event = delivery.event;
    // The reference page shows a refund with the envelope twice.
    let twice = matches!(event.get("data.data"), Json::Object(_));
    let data = event.get(if twice { "data.data" } else { "data" });
    let name = event.text("event").or_else(|| event.text("data.event"));
    let Some(name) = name else { return invoice(event, found) };
    found.event_type = Some(name.clone());
    match name.as_str() {
        "payment.capture" | "payment.succeeded" => payment(data, found),
        "refund.succeeded" => refund(data, found),
        _ if name.starts_with("refund.") => Err(Ignored::RefundNotFinal.into()),
        _ => Err(Ignored::NotCommercial.into()),
    }
}

fn payment(data: &Json, found: &mut Extracted) -> Result<Verdict, Stop> {
    let id = match data.text("payment_id") {
        Some(id) => id,
        None => data.need("id")?,
    };
    let reference = data.text("reference_id");
    found.payment_ids = ids([Some(id.clone()), data.text("payment_request_id"), reference.clone()]);
    if !data.says("status", "SUCCEEDED") {
        return Err(Ignored::NotPaid.into());
    }
    let currency = money::currency(data, "currency")?;
    let conversion = Conversion {
        referral_id: in_metadata(data, &["metadata", "payment_method.metadata"]),
        customer_id: data.text("customer_id"),
        provider_order_id: reference.unwrap_or_else(|| id.clone()),
        external_event_id: id,
        amount: money::paid(charged(data)?, currency)?,
        product_ids: products(data),
        price_ids: Vec::new(),
        is_subscription: false,
        interval: None,
    };
    Ok(common::conversion(conversion, found))
}

/// What was captured; merchants who capture by hand may take less than they asked for.
fn charged(data: &Json) -> Result<Decimal, Fault> {
    let captures = data.list("captures");
    let parts: Result<Vec<Decimal>, Fault> =
        captures.iter().map(|capture| money::major(capture, "capture_amount")).collect();
    let sum = parts.ok().and_then(|parts| parts.into_iter().try_fold(Decimal::ZERO, Decimal::checked_add));
    match sum {
        Some(sum) if !captures.is_empty() => Ok(sum),
        _ if !data.get("request_amount").is_null() => money::major(data, "request_amount"),
        _ => money::major(data, "amount"),
    }
}

fn products(data: &Json) -> Vec<String> {
    ids(data.list("items").iter().map(|item| item.text("reference_id")))
}

/// `PENDING`, `PAID`, later `SETTLED`, or `EXPIRED`. What was paid stays so when it is settled, and has the same id.
fn invoice(event: &Json, found: &mut Extracted) -> Result<Verdict, Stop> {
    let (Some(status), Some(id)) = (event.text("status"), event.text("id")) else {
        return Err(Ignored::NotCommercial.into());
    };
    let reference = event.text("external_id");
    found.event_type = Some(format!("invoice.{}", status.to_ascii_lowercase()));
    found.payment_ids = ids([Some(id.clone()), event.text("payment_id"), reference.clone()]);
    found.customer_email = event.text("payer_email");
    match status.as_str() {
        "PAID" | "SETTLED" => {}
        "PENDING" => return Err(Ignored::NotPaid.into()),
        _ => return Err(Ignored::NotCommercial.into()),
    }
    let amount = if event.get("paid_amount").is_null() { "amount" } else { "paid_amount" };
    let currency = money::currency(event, "currency")?;
    let conversion = Conversion {
        referral_id: in_metadata(event, &["metadata"]),
        customer_id: event.text("customer_id"),
        provider_order_id: reference.unwrap_or_else(|| id.clone()),
        external_event_id: id,
        amount: money::paid(money::major(event, amount)?, currency)?,
        product_ids: products(event),
        price_ids: Vec::new(),
        is_subscription: false,
        interval: None,
    };
    Ok(common::conversion(conversion, found))
}

fn refund(data: &Json, found: &mut Extracted) -> Result<Verdict, Stop> {
    found.payment_ids = ids(["payment_id", "invoice_id", "payment_request_id"].map(|path| data.text(path)));
    let Some(payment_id) = found.payment_ids.first().cloned() else {
        return Err(Fault::new("data.payment_id", "is missing").into());
    };
    if data.text("status").is_some_and(|status| status != "SUCCEEDED") {
        return Err(Ignored::RefundNotFinal.into());
    }
    let currency = money::currency(data, "currency")?;
    let refund = Refund {
        payment_id,
        external_event_id: data.need("id")?,
        amount: Some(money::went_back(money::major(data, "amount")?)?),
        currency: Some(currency),
        full: false,
        reason: data.text("reason"),
        cumulative: false,
    };
    Ok(common::refund(refund, found))
}
