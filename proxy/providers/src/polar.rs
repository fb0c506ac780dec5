//! Polar: <https://polar.sh/docs/integrate/webhooks/delivery>, <https://polar.sh/docs/integrate/webhooks/events>.

use crate::{
    Context, Conversion, Extracted, Ignored, Outcome, Promo, Proof, Provider, Refund, Rejection, Request,
    Verdict,
    common::{
        self, Delivery, Stop,
        json::Json,
        money::{self, Exponents},
        referral, standard_webhooks,
    },
};
use usher_model::Secret;

pub(crate) const PROVIDER: Provider = Provider { name: "polar", proofs: &[Proof::Body], judge };

/// <https://github.com/polarsource/polar> `server/polar/kit/currency.py`: all else has two decimals.
const EXPONENTS: Exponents = Exponents {
    zero: &[
        "BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF",
        "XPF",
    ],
    three: &[],
};

fn judge(request: &Request<'_>, context: &Context<'_>) -> Outcome {
    common::judge_json(request, context, verify, translate)
}

/// Standard Webhooks, but Polar's server signs with the whole secret as text, `whsec_` included. Its library also takes
/// the decoded form of the specification.
fn verify(request: &Request<'_>, context: &Context<'_>) -> Result<Proof, Rejection> {
    fn keys(secret: &Secret) -> Vec<Vec<u8>> {
        std::iter::once(secret.expose().to_vec()).chain(standard_webhooks::decoded_key(secret)).collect()
    }
    standard_webhooks::verify(request, context, keys)
}

fn translate(delivery: &Delivery<'_>, found: &mut Extracted) -> Result<Verdict, Stop> {
    let event = delivery.event;
    let kind = event.need("type")?;
    found.event_type = Some(kind.clone());
    found.provider_event_id = delivery.request.header(standard_webhooks::ID).map(str::to_owned);
    match kind.as_str() {
        "order.paid" => order(event, found),
        "refund.created" | "refund.updated" => refund(event, found),
        _ => Err(Ignored::NotCommercial.into()),
    }
}

fn order(event: &Json, found: &mut Extracted) -> Result<Verdict, Stop> {
    if event.flag("data.paid") == Some(false) || event.says("data.status", "pending") {
        return Err(Ignored::NotPaid.into());
    }
    let currency = money::currency(event, "data.currency")?;
    let amount = money::minor(event, "data.total_amount", currency, &EXPONENTS)?;
    let id = event.need("data.id")?;
    // Renewals keep the checkout of the first order, so that name comes last.
    found.payment_ids = referral::ids([Some(id.clone()), event.text("data.checkout_id")]);
    found.customer_email = event.text("data.customer.email");
    found.promo = Promo::new(
        event.text("data.discount.code"),
        None,
        event.text("data.discount.id").or_else(|| event.text("data.discount_id")),
    );
    found.subscription_id = event.id("data.subscription_id").or_else(|| event.text("data.subscription.id"));
    let by_reason =
        event.text("data.billing_reason").is_some_and(|reason| reason.starts_with("subscription_"));
    let prices = event.list("data.items").iter().map(|item| item.text("product_price_id"));
    let conversion = Conversion {
        referral_id: referral::in_metadata(event, &["data.metadata"])
            .or_else(|| referral::click(event.get("data.metadata.reference_id")))
            .or_else(|| referral::in_metadata(event, &["data.subscription.metadata"])),
        customer_id: event.text("data.customer_id").or_else(|| event.text("data.customer.id")),
        provider_order_id: id.clone(),
        external_event_id: id,
        amount: money::paid(amount, currency)?,
        product_ids: referral::ids([event.text("data.product_id").or_else(|| event.text("data.product.id"))]),
        price_ids: referral::ids(prices),
        is_subscription: found.subscription_id.is_some() || by_reason,
        interval: event.text("data.subscription.recurring_interval").and_then(|unit| {
            let count = event.text("data.subscription.recurring_interval_count");
            common::interval(&unit, count.as_deref().unwrap_or("1"))
        }),
    };
    Ok(common::conversion(conversion, found))
}

/// `amount` is without tax; what the customer gets back is both.
fn refund(event: &Json, found: &mut Extracted) -> Result<Verdict, Stop> {
    if !event.says("data.status", "succeeded") {
        return Err(Ignored::RefundNotFinal.into());
    }
    let currency = money::currency(event, "data.currency")?;
    let net = money::minor(event, "data.amount", currency, &EXPONENTS)?;
    let tax = match event.get("data.tax_amount").is_null() {
        true => rust_decimal::Decimal::ZERO,
        false => money::minor(event, "data.tax_amount", currency, &EXPONENTS)?,
    };
    let refund = Refund {
        payment_id: event.need("data.order_id")?,
        external_event_id: event.need("data.id")?,
        amount: Some(money::went_back(net + tax)?),
        currency: Some(currency),
        full: false,
        reason: event.text("data.reason"),
        cumulative: false,
    };
    Ok(common::refund(refund, found))
}
