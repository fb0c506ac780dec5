//! Dodo Payments: <https://docs.dodopayments.com/developer-resources/webhooks>.
//!
//! A payload shows the state at the time of delivery, not at the time of the event, so the event's name decides.

use crate::{
    Context, Conversion, Extracted, Ignored, Outcome, Promo, Proof, Provider, Refund, Rejection, Request,
    Verdict,
    common::{
        self, Delivery, Stop,
        json::Json,
        money::{self, ISO_4217},
        referral, standard_webhooks,
    },
};
use usher_model::Secret;

pub(crate) const PROVIDER: Provider = Provider { name: "dodopayments", proofs: &[Proof::Body], judge };

fn judge(request: &Request<'_>, context: &Context<'_>) -> Outcome {
    common::judge_json(request, context, verify, translate)
}

fn verify(request: &Request<'_>, context: &Context<'_>) -> Result<Proof, Rejection> {
    fn keys(secret: &Secret) -> Vec<Vec<u8>> {
        standard_webhooks::decoded_key(secret).into_iter().collect()
    }
    standard_webhooks::verify(request, context, keys)
}

fn translate(delivery: &Delivery<'_>, found: &mut Extracted) -> Result<Verdict, Stop> {
    let event = delivery.event;
    let kind = event.need("type")?;
    found.event_type = Some(kind.clone());
    found.provider_event_id = delivery.request.header(standard_webhooks::ID).map(str::to_owned);
    match kind.as_str() {
        "payment.succeeded" => payment(event, found),
        "refund.succeeded" => refund(event, found),
        _ => Err(Ignored::NotCommercial.into()),
    }
}

/// `total_amount` in `currency` is what the customer paid; `settlement_*` is what the merchant gets.
fn payment(event: &Json, found: &mut Extracted) -> Result<Verdict, Stop> {
    if event.flag("data.is_update_payment_method") == Some(true) {
        return Err(Ignored::NotCommercial.into());
    }
    let currency = money::currency(event, "data.currency")?;
    let amount = money::minor(event, "data.total_amount", currency, &ISO_4217)?;
    let id = event.need("data.payment_id")?;
    found.payment_ids = vec![id.clone()];
    found.customer_email = event.text("data.customer.email");
    found.promo = promo(event);
    // One payment may start several subscriptions; then none of them is "the" subscription.
    let several = event.list("data.subscription_ids");
    found.subscription_id = event.text("data.subscription_id").or_else(|| match several {
        [only] => only.as_text(),
        _ => None,
    });
    let multiple = event.flag("data.is_multi_subscription") == Some(true);
    let conversion = Conversion {
        referral_id: referral::in_metadata(event, &["data.metadata"]),
        customer_id: event.text("data.customer.customer_id"),
        provider_order_id: id.clone(),
        external_event_id: id,
        amount: money::paid(amount, currency)?,
        product_ids: referral::ids(
            event.list("data.product_cart").iter().map(|product| product.text("product_id")),
        ),
        price_ids: Vec::new(),
        is_subscription: found.subscription_id.is_some() || multiple || !several.is_empty(),
        interval: None,
    };
    Ok(common::conversion(conversion, found))
}

/// Newer payloads list the discounts with their codes; older ones have one id.
fn promo(event: &Json) -> Option<Promo> {
    let first = event.get("data.discounts.0");
    Promo::new(first.text("code"), None, first.text("discount_id").or_else(|| event.text("data.discount_id")))
}

/// Amount and currency may both be null. A whole refund needs neither; of a part nobody could say how much.
fn refund(event: &Json, found: &mut Extracted) -> Result<Verdict, Stop> {
    let full = event.flag("data.is_partial") == Some(false);
    let told = !event.get("data.amount").is_null() && !event.get("data.currency").is_null();
    if !told && !full {
        return Err(Ignored::PartialRefundAmountUnknown.into());
    }
    let (amount, currency) = if told {
        let currency = money::currency(event, "data.currency")?;
        let amount = money::minor(event, "data.amount", currency, &ISO_4217)?;
        (Some(money::went_back(amount)?), Some(currency))
    } else {
        (None, event.text("data.currency").and_then(|code| code.parse().ok()))
    };
    let refund = Refund {
        payment_id: event.need("data.payment_id")?,
        external_event_id: event.need("data.refund_id")?,
        amount,
        currency,
        full,
        reason: event.text("data.reason"),
        cumulative: false,
    };
    Ok(common::refund(refund, found))
}
