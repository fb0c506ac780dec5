//! Paddle Billing: <https://developer.paddle.com/webhooks>.
//!
//! Amounts are texts in the lowest unit. A refund usually starts as `pending_approval`, so it is the update that counts.

use crate::{
    Context, Conversion, Extracted, Ignored, Interval, Outcome, Promo, Proof, Provider, Refund, Request,
    Verdict,
    common::{
        self, Delivery, Stop,
        json::Json,
        money::{self, Exponents},
        referral,
        timed::TimedHeader,
        timestamp::Bound,
    },
};

pub(crate) const PROVIDER: Provider = Provider { name: "paddle", proofs: &[Proof::Body], judge };

/// Of its currencies (<https://developer.paddle.com/concepts/sell/supported-currencies>); none has three decimals.
const EXPONENTS: Exponents = Exponents { zero: &["CLP", "JPY", "KRW", "VND"], three: &[] };

/// `Paddle-Signature: ts=<unix>;h1=<hex>[;h1=<hex>…]`, of `ts:body`. The library allows 5 seconds, which a slow network does
/// not keep; 300 bounds a replay as well.
const SIGNED: TimedHeader = TimedHeader {
    name: "paddle-signature",
    separator: ';',
    time: "ts",
    signature: "h1",
    joiner: b":",
    bound: Bound::Both,
};

fn judge(request: &Request<'_>, context: &Context<'_>) -> Outcome {
    common::judge_json(request, context, |request, context| SIGNED.verify(request, context), translate)
}

fn translate(delivery: &Delivery<'_>, found: &mut Extracted) -> Result<Verdict, Stop> {
    let event = delivery.event;
    let kind = event.need("event_type")?;
    found.event_type = Some(kind.clone());
    found.provider_event_id = event.text("event_id");
    match kind.as_str() {
        "transaction.completed" => transaction(event, found),
        "adjustment.created" | "adjustment.updated" => adjustment(event, found),
        _ => Err(Ignored::NotCommercial.into()),
    }
}

fn transaction(event: &Json, found: &mut Extracted) -> Result<Verdict, Stop> {
    let currency = money::currency(event, "data.currency_code")?;
    let amount = money::minor(event, "data.details.totals.total", currency, &EXPONENTS)?;
    let id = event.need("data.id")?;
    found.payment_ids = vec![id.clone()];
    found.promo = Promo::new(None, None, event.id("data.discount_id"));
    found.subscription_id = event.text("data.subscription_id");
    let items = event.list("data.items");
    let recurring = items.iter().any(|item| !item.get("price.billing_cycle").is_null());
    let conversion = Conversion {
        referral_id: referral::in_metadata(event, &["data.custom_data"]),
        customer_id: event.text("data.customer_id"),
        provider_order_id: id.clone(),
        external_event_id: id,
        amount: money::paid(amount, currency)?,
        product_ids: referral::ids(items.iter().map(|item| item.text("price.product_id"))),
        price_ids: referral::ids(
            items.iter().map(|item| item.text("price.id").or_else(|| item.text("price_id"))),
        ),
        is_subscription: found.subscription_id.is_some() || recurring,
        interval: interval(items),
    };
    Ok(common::conversion(conversion, found))
}

/// The billing cycle that all recurring items share.
fn interval(items: &[Json]) -> Option<Interval> {
    let mut cycles =
        items.iter().map(|item| item.get("price.billing_cycle")).filter(|cycle| !cycle.is_null());
    let first = cycles.next()?;
    let same =
        |cycle: &Json| ["interval", "frequency"].iter().all(|part| cycle.text(part) == first.text(part));
    if cycles.all(same) {
        common::interval(&first.text("interval")?, &first.text("frequency")?)
    } else {
        None
    }
}

fn adjustment(event: &Json, found: &mut Extracted) -> Result<Verdict, Stop> {
    if !event.says("data.action", "refund") {
        return Err(Ignored::NotCommercial.into());
    }
    if !event.says("data.status", "approved") {
        return Err(Ignored::RefundNotFinal.into());
    }
    let currency = money::currency(event, "data.currency_code")?;
    let amount = money::minor(event, "data.totals.total", currency, &EXPONENTS)?;
    let refund = Refund {
        payment_id: event.need("data.transaction_id")?,
        external_event_id: event.need("data.id")?,
        amount: Some(money::went_back(amount)?),
        currency: Some(currency),
        full: event.says("data.type", "full"),
        reason: event.text("data.reason"),
        cumulative: false,
    };
    Ok(common::refund(refund, found))
}
