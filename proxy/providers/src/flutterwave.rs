//! Flutterwave. Version 4 (<https://developer.flutterwave.com/docs/webhooks>) signs with base64 HMAC-SHA256 of the body.
//! Version 3 (<https://developer.flutterwave.com/v3.0/docs/webhooks>) sends the secret itself: nothing covers the body.

use crate::{
    Context, Conversion, Extracted, Ignored, Outcome, Proof, Provider, Refund, Rejection, Request, Verdict,
    common::{
        self, Delivery, Stop,
        json::Json,
        judge_json, money,
        referral::{ids, in_metadata},
        signature::{self, Encoding},
    },
};
use usher_model::Secret;

pub(crate) const PROVIDER: Provider =
    Provider { name: "flutterwave", proofs: &[Proof::Body, Proof::Token], judge };

const SIGNATURE: &str = "flutterwave-signature";
const HASH: &str = "verif-hash";

fn judge(request: &Request<'_>, context: &Context<'_>) -> Outcome {
    judge_json(request, context, verify, translate)
}

/// A signature decides alone when there is one.
fn verify(request: &Request<'_>, context: &Context<'_>) -> Result<Proof, Rejection> {
    if let Some(given) = request.header(SIGNATURE) {
        let keys = context.secrets().map(Secret::expose);
        signature::check(keys, &[request.body], Encoding::Base64, &[given])?;
        return Ok(Proof::Body);
    }
    let given = request.header(HASH).ok_or(Rejection::MissingHeader(SIGNATURE))?;
    let ours = context.secrets().any(|secret| signature::same(secret.expose(), given.as_bytes()));
    if ours { Ok(Proof::Token) } else { Err(Rejection::BadSignature) }
}

/// Version 4 names the event in `type`, version 3 in `event`; before that it had no name, and lay flat.
fn translate(delivery: &Delivery<'_>, found: &mut Extracted) -> Result<Verdict, Stop> {
    let event = delivery.event;
    let v4 = event.text("type");
    if v4.is_some() {
        found.provider_event_id = event.text("webhook_id").or_else(|| event.text("id"));
    }
    let Some(name) = v4.or_else(|| event.text("event")) else { return flat(event, found) };
    found.event_type = Some(name.clone());
    match name.as_str() {
        "charge.completed" => charge(event, found),
        "refund.completed" => refund(event, found),
        _ => Err(Ignored::NotCommercial.into()),
    }
}

fn charge(event: &Json, found: &mut Extracted) -> Result<Verdict, Stop> {
    let data = event.get("data");
    let own = [data.text("flw_ref"), data.text("reference"), data.text("tx_ref")];
    payment(event, data, own, found)
}

/// The oldest shape: `txRef` where the later ones have `data.tx_ref`, and the kind of payment for a name.
fn flat(event: &Json, found: &mut Extracted) -> Result<Verdict, Stop> {
    found.event_type = event.member("event.type").as_text();
    if event.text("txRef").is_none() {
        return Err(Ignored::NotCommercial.into());
    }
    payment(event, event, [event.text("flwRef"), None, event.text("txRef")], found)
}

/// A charge at `data`; `names` are its other names, the merchant's last.
fn payment(
    event: &Json,
    data: &Json,
    names: [Option<String>; 3],
    found: &mut Extracted,
) -> Result<Verdict, Stop> {
    let id = transaction(&data.need("id")?);
    let merchants = names.iter().rev().flatten().next().cloned();
    found.payment_ids = ids([Some(id.clone())].into_iter().chain(names));
    found.customer_email = data.text("customer.email");
    // The same event tells of charges that failed.
    if !data.text("status").is_some_and(|status| is_success(&status)) {
        return Err(Ignored::NotPaid.into());
    }
    let plan = data.text("payment_plan").or_else(|| data.text("paymentPlan"));
    let currency = money::currency(data, "currency")?;
    let conversion = Conversion {
        referral_id: in_metadata(data, &["meta", "meta_data"])
            .or_else(|| in_metadata(event, &["meta_data", "meta"])),
        customer_id: data.id("customer"),
        provider_order_id: merchants.unwrap_or_else(|| id.clone()),
        external_event_id: id,
        amount: money::paid(money::major(data, "amount")?, currency)?,
        product_ids: Vec::new(),
        is_subscription: plan.is_some(),
        price_ids: ids([plan]),
        interval: None,
    };
    Ok(common::conversion(conversion, found))
}

fn refund(event: &Json, found: &mut Extracted) -> Result<Verdict, Stop> {
    let payment_id = transaction(&event.need("data.charge_id")?);
    found.payment_ids = vec![payment_id.clone()];
    if event.text("data.status").is_some_and(|status| !is_success(&status)) {
        return Err(Ignored::RefundNotFinal.into());
    }
    let currency = money::optional_currency(event, "data.currency")?;
    let refund = Refund {
        payment_id,
        external_event_id: event.need("data.id")?,
        amount: Some(money::went_back(money::major(event, "data.amount_refunded")?)?),
        currency,
        full: false,
        reason: event.text("data.reason"),
        cumulative: false,
    };
    Ok(common::refund(refund, found))
}

/// Version 3 says `successful`, version 4 `succeeded`; of refunds both also say `completed`.
fn is_success(status: &str) -> bool {
    ["successful", "succeeded", "completed"].iter().any(|word| status.eq_ignore_ascii_case(word))
}

/// Version 3 counts its transactions; a bare number says nothing of what it counts.
fn transaction(id: &str) -> String {
    if id.bytes().all(|byte| byte.is_ascii_digit()) { format!("transaction:{id}") } else { id.to_owned() }
}
