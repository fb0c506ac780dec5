//! Stripe: <https://docs.stripe.com/webhooks>, <https://docs.stripe.com/api/events/types>.
//!
//! A subscription's first payment is told twice, by the checkout session and by the invoice; both carry the invoice's id.
//! Refunds name the payment intent, and `invoice_payment.paid` is what joins that to the invoice.

use crate::{
    Context, Conversion, Extracted, Ignored, Interval, Link, Outcome, Promo, Proof, Provider, Refund,
    Request, Verdict,
    common::{
        self, Delivery, Stop,
        json::Json,
        money::{self, Exponents},
        referral,
        timed::TimedHeader,
        timestamp::{self, Bound},
    },
};
use time::{Date, OffsetDateTime};

pub(crate) const PROVIDER: Provider = Provider { name: "stripe", proofs: &[Proof::Body], judge };

/// <https://docs.stripe.com/currencies#zero-decimal>. ISK and UGX are passed with two decimals although they have none.
const EXPONENTS: Exponents = Exponents {
    zero: &[
        "BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF",
        "XPF",
    ],
    three: &["BHD", "JOD", "KWD", "OMR", "TND"],
};

/// `Stripe-Signature: t=<unix>,v1=<hex>[,v1=<hex>…]`, of `t.body`. The key is the whole `whsec_…`, as text. Like the
/// library, only the past is bounded.
const SIGNED: TimedHeader = TimedHeader {
    name: "stripe-signature",
    separator: ',',
    time: "t",
    signature: "v1",
    joiner: b".",
    bound: Bound::Past,
};

fn judge(request: &Request<'_>, context: &Context<'_>) -> Outcome {
    common::judge_json(request, context, |request, context| SIGNED.verify(request, context), translate)
}

fn translate(delivery: &Delivery<'_>, found: &mut Extracted) -> Result<Verdict, Stop> {
    let event = delivery.event;
    let kind = event.need("type")?;
    found.event_type = Some(kind.clone());
    let read = match kind.as_str() {
        "checkout.session.completed" | "checkout.session.async_payment_succeeded" => session,
        "invoice.paid" => invoice,
        "invoice_payment.paid" => join,
        "refund.created" | "refund.updated" => refund,
        _ => return Err(Ignored::NotCommercial.into()),
    };
    found.provider_event_id = event.text("id");
    let live = event.flag("livemode").or_else(|| event.flag("data.object.livemode"));
    common::note_livemode(live, delivery.context, found)?;
    read(event, found)
}

fn session(event: &Json, found: &mut Extracted) -> Result<Verdict, Stop> {
    match event.need("data.object.payment_status")?.as_str() {
        "paid" => {}
        "no_payment_required" => return Err(Ignored::ZeroAmount.into()),
        _ => return Err(Ignored::NotPaid.into()),
    }
    let currency = money::currency(event, "data.object.currency")?;
    let amount = money::minor(event, "data.object.amount_total", currency, &EXPONENTS)?;
    let subscription = event.id("data.object.subscription");
    let payment_ids =
        referral::ids([event.id("data.object.invoice"), event.id("data.object.payment_intent")]);
    let id = match payment_ids.first() {
        Some(id) => id.clone(),
        None => event.need("data.object.id")?,
    };
    found.payment_ids = if payment_ids.is_empty() { vec![id.clone()] } else { payment_ids };
    found.customer_email =
        event.text("data.object.customer_details.email").or_else(|| event.text("data.object.customer_email"));
    found.promo = promo(event.list("data.object.discounts"));
    let is_subscription = subscription.is_some() || event.says("data.object.mode", "subscription");
    found.subscription_id = subscription;
    let conversion = Conversion {
        referral_id: referral::in_metadata(event, &["data.object.metadata"])
            .or_else(|| referral::click(event.get("data.object.client_reference_id"))),
        customer_id: event.id("data.object.customer"),
        provider_order_id: id.clone(),
        external_event_id: id,
        amount: money::paid(amount, currency)?,
        product_ids: Vec::new(),
        price_ids: Vec::new(),
        is_subscription,
        interval: None,
    };
    Ok(common::conversion(conversion, found))
}

/// The first discount that came from a typed code, else the first.
fn promo(discounts: &[Json]) -> Option<Promo> {
    let typed = discounts.iter().find(|discount| discount.id("promotion_code").is_some());
    let discount = typed.or_else(|| discounts.first())?;
    Promo::new(None, discount.id("promotion_code"), discount.id("coupon"))
}

/// Since API version 2025-03-31.basil what concerns the subscription stands under `parent`.
fn invoice(event: &Json, found: &mut Extracted) -> Result<Verdict, Stop> {
    let currency = money::currency(event, "data.object.currency")?;
    let amount = money::minor(event, "data.object.amount_paid", currency, &EXPONENTS)?;
    let id = event.need("data.object.id")?;
    let old = ["data.object.payment_intent", "data.object.charge"].map(|path| event.id(path));
    found.payment_ids = referral::ids([Some(id.clone())].into_iter().chain(old));
    found.customer_email = event.text("data.object.customer_email");
    found.promo = promo(std::slice::from_ref(event.get("data.object.discount")));
    found.subscription_id = event
        .id("data.object.parent.subscription_details.subscription")
        .or_else(|| event.id("data.object.subscription"));
    let lines = event.list("data.object.lines.data");
    let conversion = Conversion {
        referral_id: referral::in_metadata(
            event,
            &[
                "data.object.parent.subscription_details.metadata",
                "data.object.subscription_details.metadata",
                "data.object.metadata",
            ],
        )
        .or_else(|| lines.iter().find_map(|line| referral::in_metadata(line, &["metadata"]))),
        customer_id: event.id("data.object.customer"),
        provider_order_id: id.clone(),
        external_event_id: id,
        amount: money::paid(amount, currency)?,
        product_ids: referral::ids(
            lines
                .iter()
                .map(|line| line.id("pricing.price_details.product").or_else(|| line.id("price.product"))),
        ),
        price_ids: referral::ids(
            lines.iter().map(|line| line.id("pricing.price_details.price").or_else(|| line.id("price"))),
        ),
        is_subscription: found.subscription_id.is_some(),
        interval: found.subscription_id.as_ref().and_then(|_| common_interval(lines)),
    };
    Ok(common::conversion(conversion, found))
}

/// The interval that all lines of the subscription agree on. Single items, and what only corrects a running period, do not
/// count.
fn common_interval(lines: &[Json]) -> Option<Interval> {
    let regular = |line: &&Json| {
        let correction =
            line.flag("parent.subscription_item_details.proration").or_else(|| line.flag("proration"));
        let single = line.says("parent.type", "invoice_item_details") || line.says("type", "invoiceitem");
        !single && correction != Some(true)
    };
    let mut intervals = lines.iter().filter(regular).map(interval);
    let first = intervals.next()??;
    intervals.all(|other| other == Some(first)).then_some(first)
}

/// By the price where the line has one, else by the period that was paid.
fn interval(line: &Json) -> Option<Interval> {
    if let Some(unit) = line.text("price.recurring.interval") {
        let count = line.text("price.recurring.interval_count");
        return common::interval(&unit, count.as_deref().unwrap_or("1"));
    }
    let day = |path| {
        let seconds = timestamp::read(&line.text(path)?)?;
        Some(OffsetDateTime::from_unix_timestamp(seconds).ok()?.date())
    };
    period(day("period.start")?, day("period.end")?)
}

/// A period of one calendar month or year. One that begins or ends at the end of a month may fall on different days.
fn period(start: Date, end: Date) -> Option<Interval> {
    let month = |day: Date| i64::from(day.year()) * 12 + i64::from(u8::from(day.month()));
    let last = |day: Date| day.day() == day.month().length(day.year());
    if start.day() != end.day() && !last(start) && !last(end) {
        return None;
    }
    match (month(end) - month(start), (end - start).whole_days()) {
        (1, 28..=31) => Some(Interval::Monthly),
        (12, 365..=366) => Some(Interval::Yearly),
        _ => None,
    }
}

fn join(event: &Json, found: &mut Extracted) -> Result<Verdict, Stop> {
    let payment = event.id("data.object.payment.payment_intent");
    let Some(payment_id) = payment.or_else(|| event.id("data.object.payment.charge")) else {
        return Err(Ignored::NotCommercial.into());
    };
    Ok(common::link(Link { payment_id, alias_of: event.need_id("data.object.invoice")? }, found))
}

fn refund(event: &Json, found: &mut Extracted) -> Result<Verdict, Stop> {
    if !event.says("data.object.status", "succeeded") {
        return Err(Ignored::RefundNotFinal.into());
    }
    let currency = money::currency(event, "data.object.currency")?;
    let amount = money::minor(event, "data.object.amount", currency, &EXPONENTS)?;
    found.payment_ids =
        referral::ids([event.id("data.object.payment_intent"), event.id("data.object.charge")]);
    let payment_id = match found.payment_ids.first() {
        Some(id) => id.clone(),
        None => event.need_id("data.object.payment_intent")?,
    };
    let refund = Refund {
        payment_id,
        external_event_id: event.need("data.object.id")?,
        amount: Some(money::went_back(amount)?),
        currency: Some(currency),
        full: false,
        reason: event.text("data.object.reason"),
        cumulative: false,
    };
    Ok(common::refund(refund, found))
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::Month::{self, *};

    #[test]
    fn only_calendar_months_and_years_are_intervals() {
        let day =
            |(year, month, day): (i32, Month, u8)| Date::from_calendar_date(year, month, day).expect("a day");
        for (start, end, expected) in [
            ((2026, September, 9), (2026, October, 9), Some(Interval::Monthly)),
            ((2027, January, 31), (2027, February, 28), Some(Interval::Monthly)),
            ((2027, February, 28), (2027, March, 31), Some(Interval::Monthly)),
            ((2028, February, 29), (2029, February, 28), Some(Interval::Yearly)),
            ((2026, September, 9), (2027, September, 9), Some(Interval::Yearly)),
            ((2026, January, 5), (2026, February, 2), None),
            ((2026, January, 31), (2026, February, 7), None),
            ((2026, September, 9), (2026, December, 9), None),
            ((2026, September, 9), (2026, September, 9), None),
            ((2026, October, 9), (2026, September, 9), None),
        ] {
            assert_eq!(period(day(start), day(end)), expected, "{start:?} {end:?}");
        }
    }
}
