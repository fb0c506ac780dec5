//! Chargebee (<https://apidocs.chargebee.com/docs/api/events>): HTTP Basic authentication (RFC 7617). Nothing covers the
//! body.

use crate::{
    Context, Conversion, Credential, Extracted, Ignored, Outcome, Promo, Proof, Provider, Refund, Rejection,
    Request, Verdict,
    common::{
        self, Delivery, Stop,
        json::{Fault, Json},
        judge_json, money,
        referral::{click, ids, in_metadata},
        signature,
    },
};
use base64::{Engine, prelude::BASE64_STANDARD};

pub(crate) const PROVIDER: Provider = Provider { name: "chargebee", proofs: &[Proof::Token], judge };

const AUTHORIZATION: &str = "authorization";

/// A field that the merchant defined; Chargebee begins their names with `cf_`.
const CUSTOM_FIELD: &str = "cf_affonso_referral";

fn judge(request: &Request<'_>, context: &Context<'_>) -> Outcome {
    judge_json(request, context, verify, translate)
}

fn verify(request: &Request<'_>, context: &Context<'_>) -> Result<Proof, Rejection> {
    let header = request.header(AUTHORIZATION).ok_or(Rejection::MissingHeader(AUTHORIZATION))?;
    let (scheme, encoded) = header.split_once(' ').unwrap_or((header, ""));
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(Rejection::UnsupportedVersion);
    }
    let given = BASE64_STANDARD.decode(encoded.trim()).map_err(|_| Rejection::BadSignature)?;
    // Only the first colon parts the two: a password may hold others, a name none.
    let colon = given.iter().position(|byte| *byte == b':').ok_or(Rejection::BadSignature)?;
    let (name, password) = (&given[..colon], &given[colon + 1..]);
    let ours = context.credentials.iter().any(|credential| match credential {
        Credential::Login { username, password: expected } if !expected.expose().is_empty() => {
            signature::same(username.as_bytes(), name) & signature::same(expected.expose(), password)
        }
        _ => false,
    });
    if ours { Ok(Proof::Token) } else { Err(Rejection::BadSignature) }
}

fn translate(delivery: &Delivery<'_>, found: &mut Extracted) -> Result<Verdict, Stop> {
    let event = delivery.event;
    found.provider_event_id = event.text("id");
    found.event_type = event.text("event_type");
    match found.event_type.as_deref() {
        Some("payment_succeeded") => payment(event, found),
        Some("payment_refunded") => refund(event, found),
        _ => Err(Ignored::NotCommercial.into()),
    }
}

fn payment(event: &Json, found: &mut Extracted) -> Result<Verdict, Stop> {
    let id = event.need("content.transaction.id")?;
    let linked = event.list("content.transaction.linked_invoices");
    let invoices = ids([event.text("content.invoice.id")]
        .into_iter()
        .chain(linked.iter().map(|invoice| invoice.text("invoice_id"))));
    let order = invoices.first().unwrap_or(&id).clone();
    found.payment_ids = ids([Some(id.clone())].into_iter().chain(invoices.into_iter().map(Some)));
    found.customer_email = event.text("content.customer.email");
    found.subscription_id = ["content.subscription.id", "content.invoice.subscription_id"]
        .iter()
        .chain(&["content.transaction.subscription_id"])
        .find_map(|path| event.text(path));
    found.promo = promo(event);
    if !settled(event, "payment") {
        return Err(Ignored::NotPaid.into());
    }
    let currency = money::currency(event, "content.transaction.currency_code")?;
    let amount = money::minor(event, "content.transaction.amount", currency, &money::ISO_4217)?;
    let conversion = Conversion {
        referral_id: referral_of(event),
        customer_id: ["content.customer.id", "content.transaction.customer_id"]
            .iter()
            .find_map(|path| event.text(path)),
        external_event_id: id,
        amount: money::paid(amount, currency)?,
        product_ids: Vec::new(),
        price_ids: ids(event.list("content.invoice.line_items").iter().map(|line| line.text("entity_id"))),
        is_subscription: found.subscription_id.is_some(),
        interval: event
            .text("content.subscription.billing_period_unit")
            .and_then(|unit| common::interval(&unit, &event.text("content.subscription.billing_period")?)),
        provider_order_id: order,
    };
    Ok(common::conversion(conversion, found))
}

fn refund(event: &Json, found: &mut Extracted) -> Result<Verdict, Stop> {
    let notes = event.list("content.transaction.linked_credit_notes");
    let payment = event
        .text("content.transaction.refunded_txn_id")
        .or_else(|| event.text("content.transaction.reference_transaction_id"));
    found.payment_ids = ids([payment]
        .into_iter()
        .chain(notes.iter().map(|note| note.text("cn_reference_invoice_id")))
        .chain([event.text("content.credit_note.reference_invoice_id")]));
    let Some(payment_id) = found.payment_ids.first().cloned() else {
        return Err(Fault::new("content.transaction.refunded_txn_id", "is missing").into());
    };
    if !settled(event, "refund") {
        return Err(Ignored::RefundNotFinal.into());
    }
    let currency = money::currency(event, "content.transaction.currency_code")?;
    let amount = money::minor(event, "content.transaction.amount", currency, &money::ISO_4217)?;
    let refund = Refund {
        payment_id,
        external_event_id: event.need("content.transaction.id")?,
        amount: Some(money::went_back(amount)?),
        currency: Some(currency),
        full: false,
        reason: None,
        cumulative: false,
    };
    Ok(common::refund(refund, found))
}

/// Whether the transaction is of this type and went through, as far as it says.
fn settled(event: &Json, kind: &str) -> bool {
    let agrees = |path, word: &str| event.text(path).is_none_or(|found| found == word);
    agrees("content.transaction.type", kind) && agrees("content.transaction.status", "success")
}

fn referral_of(event: &Json) -> Option<String> {
    ["content.subscription", "content.customer", "content.invoice"].iter().find_map(|path| {
        let holder = event.get(path);
        in_metadata(holder, &["meta_data"]).or_else(|| click(holder.member(CUSTOM_FIELD)))
    })
}

/// What was taken off this invoice; else what the subscription has.
fn promo(event: &Json) -> Option<Promo> {
    let coupon = |discount: &&Json| {
        discount.text("entity_type").is_none_or(|kind| kind.ends_with("coupon"))
            && discount.text("entity_id").is_some()
    };
    let of_invoice = event.list("content.invoice.discounts").iter().find(coupon);
    of_invoice
        .and_then(|discount| Promo::new(discount.text("coupon_set_code"), None, discount.text("entity_id")))
        .or_else(|| {
            let coupon = event.list("content.subscription.coupons").first()?;
            Promo::new(coupon.text("coupon_code"), None, coupon.text("coupon_id"))
        })
}
