//! Shopify: <https://shopify.dev/docs/apps/build/webhooks>.

use crate::{
    Context, Conversion, Extracted, Ignored, Outcome, Promo, Proof, Provider, Refund, Rejection, Request,
    Verdict,
    common::{
        self, Delivery, Stop,
        json::{Fault, Json},
        money, referral,
        signature::{self, Encoding},
    },
};
use rust_decimal::Decimal;
use usher_model::Secret;

pub(crate) const PROVIDER: Provider = Provider { name: "shopify", proofs: &[Proof::Body], judge };

fn judge(request: &Request<'_>, context: &Context<'_>) -> Outcome {
    common::judge_json(request, context, verify, translate)
}

/// `X-Shopify-Hmac-SHA256`: base64, of the body, by the app's client secret.
fn verify(request: &Request<'_>, context: &Context<'_>) -> Result<Proof, Rejection> {
    let given = header(request, "x-shopify-hmac-sha256")?;
    signature::check(context.secrets().map(Secret::expose), &[request.body], Encoding::Base64, &[given])?;
    header(request, TOPIC)?;
    Ok(Proof::Body)
}

const TOPIC: &str = "x-shopify-topic";

/// A header field; the newer *Events* deliveries leave the `x-` away.
fn header<'a>(request: &Request<'a>, name: &'static str) -> Result<&'a str, Rejection> {
    let short = name.strip_prefix("x-").unwrap_or(name);
    request.header(name).or_else(|| request.header(short)).ok_or(Rejection::MissingHeader(name))
}

/// The topic is not signed, so what the body says of itself is looked at as well.
fn translate(delivery: &Delivery<'_>, found: &mut Extracted) -> Result<Verdict, Stop> {
    let topic = header(delivery.request, TOPIC).unwrap_or_default();
    found.event_type = Some(topic.to_owned());
    found.provider_event_id = header(delivery.request, "x-shopify-webhook-id").ok().map(str::to_owned);
    match topic {
        "orders/paid" => order(delivery, found),
        "refunds/create" => refund(delivery, found),
        _ => Err(Ignored::NotCommercial.into()),
    }
}

fn order(delivery: &Delivery<'_>, found: &mut Extracted) -> Result<Verdict, Stop> {
    let event = delivery.event;
    common::note_livemode(event.flag("test").map(|test| !test), delivery.context, found)?;
    let unpaid = ["pending", "authorized", "partially_paid", "voided", "expired"];
    if event.text("financial_status").is_some_and(|status| unpaid.contains(&status.as_str())) {
        return Err(Ignored::NotPaid.into());
    }
    // In the shop's currency, as refunds are; `presentment_money` is the same in the customer's.
    let currency = money::currency(event, "currency")?;
    let amount = money::major(event, "total_price")?;
    let order = event.need("id")?;
    let id = format!("order:{order}");
    found.payment_ids = vec![id.clone()];
    found.customer_email =
        ["email", "contact_email", "customer.email"].iter().find_map(|path| event.text(path));
    found.promo =
        event.list("discount_codes").iter().find_map(|one| Promo::new(one.text("code"), None, None));
    let items = event.list("line_items");
    let conversion = Conversion {
        referral_id: referral::in_pairs(event, "note_attributes", "name", "value"),
        customer_id: event.text("customer.id"),
        external_event_id: id,
        amount: money::paid(amount, currency)?,
        product_ids: referral::ids(items.iter().map(|item| item.text("product_id"))),
        price_ids: referral::ids(items.iter().map(|item| item.text("variant_id"))),
        is_subscription: false,
        interval: None,
        provider_order_id: order,
    };
    Ok(common::conversion(conversion, found))
}

/// What went back is the sum of the transactions that succeeded. There may be none: goods can return without money.
fn refund(delivery: &Delivery<'_>, found: &mut Extracted) -> Result<Verdict, Stop> {
    let event = delivery.event;
    let all: Vec<&Json> =
        event.list("transactions").iter().filter(|one| one.says("kind", "refund")).collect();
    let done: Vec<&Json> = all.iter().copied().filter(|one| one.says("status", "success")).collect();
    let Some(first) = done.first() else {
        let why = if all.is_empty() { Ignored::ZeroAmount } else { Ignored::RefundNotFinal };
        return Err(why.into());
    };
    if done.iter().all(|one| one.flag("test") == Some(true)) {
        common::note_livemode(Some(false), delivery.context, found)?;
    }
    let fault = |fault: Fault| fault.under("transactions");
    let currency = money::optional_currency(first, "currency").map_err(fault)?;
    let mut amount = Decimal::ZERO;
    for one in done {
        if money::optional_currency(one, "currency").map_err(fault)? != currency {
            return Err(Fault::new("transactions[].currency", "differs within one refund").into());
        }
        amount += money::major(one, "amount").map_err(fault)?;
    }
    let refund = Refund {
        payment_id: format!("order:{}", event.need("order_id")?),
        external_event_id: format!("refund:{}", event.need("id")?),
        amount: Some(money::went_back(amount)?),
        currency,
        full: false,
        reason: None,
        cumulative: false,
    };
    Ok(common::refund(refund, found))
}
