//! Creem: <https://docs.creem.io/code/webhooks>.
//!
//! The checkout of a recurring product is followed by `subscription.paid` for the same transaction, which is what counts.

use crate::{
    Context, Conversion, Extracted, Ignored, Interval, Outcome, Promo, Proof, Provider, Refund, Rejection,
    Request, Verdict,
    common::{
        self, Delivery, Stop,
        json::{Fault, Json},
        money::{self, ISO_4217},
        referral,
        signature::{self, Encoding},
        standard_webhooks,
    },
};
use usher_model::{Money, Secret};

pub(crate) const PROVIDER: Provider = Provider { name: "creem", proofs: &[Proof::Body], judge };

fn judge(request: &Request<'_>, context: &Context<'_>) -> Outcome {
    common::judge_json(request, context, verify, translate)
}

/// With all three headers of Standard Webhooks those count alone, else `creem-signature`: hex, of the body, by the whole
/// secret as text. As in the library <https://www.npmjs.com/package/creem> 1.13.0, `webhooks.js`.
fn verify(request: &Request<'_>, context: &Context<'_>) -> Result<Proof, Rejection> {
    const HEADER: &str = "creem-signature";
    fn keys(secret: &Secret) -> Vec<Vec<u8>> {
        standard_webhooks::decoded_key(secret).into_iter().collect()
    }
    if standard_webhooks::present(request) {
        return standard_webhooks::verify(request, context, keys);
    }
    let header = request.header(HEADER).or_else(|| request.header("x-creem-signature"));
    let given = header.ok_or(Rejection::MissingHeader(HEADER))?;
    let given = given.strip_prefix("sha256=").unwrap_or(given);
    signature::check(context.secrets().map(Secret::expose), &[request.body], Encoding::Hex, &[given])?;
    Ok(Proof::Body)
}

fn translate(delivery: &Delivery<'_>, found: &mut Extracted) -> Result<Verdict, Stop> {
    let event = delivery.event;
    let kind = event.need("eventType")?;
    found.event_type = Some(kind.clone());
    found.provider_event_id = event.text("id");
    let read = match kind.as_str() {
        "checkout.completed" => checkout,
        "subscription.paid" => subscription,
        "refund.created" => refund,
        _ => return Err(Ignored::NotCommercial.into()),
    };
    // `test` in the documentation, `sandbox` in the library's types.
    let mode = event.text("object.mode").or_else(|| event.text("object.order.mode"));
    let live = mode.map(|mode| mode != "test" && mode != "sandbox");
    common::note_livemode(live, delivery.context, found)?;
    read(event, found)
}

fn checkout(event: &Json, found: &mut Extracted) -> Result<Verdict, Stop> {
    let kind = event.text("object.order.type").or_else(|| event.text("object.product.billing_type"));
    if kind.as_deref() == Some("recurring") {
        return Err(Ignored::CoveredBySubscriptionPaid.into());
    }
    if event.text("object.order.status").is_some_and(|status| status != "paid") {
        return Err(Ignored::NotPaid.into());
    }
    let amount = charged(event, "object.order")?;
    let order = event.need("object.order.id")?;
    let conversion = Conversion {
        external_event_id: event.id("object.order.transaction").unwrap_or_else(|| order.clone()),
        product_ids: referral::ids([event.id("object.product").or_else(|| event.id("object.order.product"))]),
        customer_id: event.id("object.customer").or_else(|| event.id("object.order.customer")),
        is_subscription: false,
        interval: None,
        ..sale(event, amount, order, found)
    };
    Ok(noted(conversion, found))
}

fn subscription(event: &Json, found: &mut Extracted) -> Result<Verdict, Stop> {
    let unpaid = ["pending", "declined", "failed", "void", "voided"];
    if event.text("object.last_transaction.status").is_some_and(|status| unpaid.contains(&status.as_str())) {
        return Err(Ignored::NotPaid.into());
    }
    let amount = charged(event, "object.last_transaction")?;
    let transaction = event
        .id("object.last_transaction")
        .or_else(|| event.text("object.last_transaction_id"))
        .ok_or_else(|| Fault::new("object.last_transaction.id", "is missing"))?;
    let order = event.id("object.last_transaction.order");
    found.subscription_id = event.text("object.id");
    let conversion = Conversion {
        external_event_id: transaction.clone(),
        product_ids: referral::ids([event.id("object.product")]),
        customer_id: event.id("object.customer").or_else(|| event.id("object.last_transaction.customer")),
        is_subscription: true,
        interval: match event.text("object.product.billing_period").as_deref() {
            Some("every-month") => Some(Interval::Monthly),
            Some("every-year") => Some(Interval::Yearly),
            _ => None,
        },
        ..sale(event, amount, order.unwrap_or(transaction), found)
    };
    Ok(noted(conversion, found))
}

/// What was paid: `amount_paid`, or `amount` where that is not said.
fn charged(event: &Json, of: &str) -> Result<Money, Stop> {
    let currency = money::currency(event, &format!("{of}.currency"))?;
    let paid = format!("{of}.amount_paid");
    let path = if event.get(&paid).is_null() { format!("{of}.amount") } else { paid };
    money::paid(money::minor(event, &path, currency, &ISO_4217)?, currency)
}

/// What checkouts and subscriptions have in common.
fn sale(event: &Json, amount: Money, order: String, found: &mut Extracted) -> Conversion {
    found.customer_email = event.text("object.customer.email");
    let code = event.text("object.discount.discountCode").or_else(|| event.text("object.discount.code"));
    found.promo = Promo::new(code, None, event.id("object.discount"));
    Conversion {
        referral_id: referral::in_metadata(event, &["object.metadata", "object.subscription.metadata"]),
        customer_id: None,
        external_event_id: order.clone(),
        amount,
        product_ids: Vec::new(),
        price_ids: Vec::new(),
        is_subscription: false,
        interval: None,
        provider_order_id: order,
    }
}

fn noted(conversion: Conversion, found: &mut Extracted) -> Verdict {
    let names = [&conversion.external_event_id, &conversion.provider_order_id];
    found.payment_ids = referral::ids(names.map(|id| Some(id.clone())));
    common::conversion(conversion, found)
}

fn refund(event: &Json, found: &mut Extracted) -> Result<Verdict, Stop> {
    if !event.says("object.status", "succeeded") {
        return Err(Ignored::RefundNotFinal.into());
    }
    let currency = money::currency(event, "object.refund_currency")?;
    let amount = money::minor(event, "object.refund_amount", currency, &ISO_4217)?;
    let order = event.id("object.transaction.order").or_else(|| event.id("object.order"));
    found.payment_ids = referral::ids([event.id("object.transaction"), order]);
    let payment_id = match found.payment_ids.first() {
        Some(id) => id.clone(),
        None => event.need_id("object.transaction")?,
    };
    let refund = Refund {
        payment_id,
        external_event_id: event.need("object.id")?,
        amount: Some(money::went_back(amount)?),
        currency: Some(currency),
        full: false,
        reason: event.text("object.reason"),
        cumulative: false,
    };
    Ok(common::refund(refund, found))
}
