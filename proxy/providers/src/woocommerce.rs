//! `WooCommerce`: <https://woocommerce.github.io/woocommerce-rest-api-docs/#webhooks>,
//! <https://github.com/woocommerce/woocommerce> `plugins/woocommerce/includes/class-wc-webhook.php`.
//!
//! There is no "paid" and no "refunded" event: the order comes again whenever it changes. Nothing is ever sent twice.

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
use usher_model::{Currency, Secret};

pub(crate) const PROVIDER: Provider = Provider { name: "woocommerce", proofs: &[Proof::Body], judge };

const SIGNATURE: &str = "x-wc-webhook-signature";
const TOPIC: &str = "x-wc-webhook-topic";

fn judge(request: &Request<'_>, context: &Context<'_>) -> Outcome {
    if is_ping(request) {
        let verdict = Verdict::Ignored(Ignored::UnsignedPing);
        return Outcome { verdict, extracted: Extracted::default(), proof: None };
    }
    common::judge_json(request, context, verify, translate)
}

/// What is sent when a webhook is saved: a form with the webhook's number and nothing else, not signed.
fn is_ping(request: &Request<'_>) -> bool {
    let number = request.body.strip_prefix(b"webhook_id=").unwrap_or_default();
    request.header(SIGNATURE).is_none()
        && (1..=20).contains(&number.len())
        && number.iter().all(u8::is_ascii_digit)
}

/// `X-WC-Webhook-Signature`: base64, of the body.
fn verify(request: &Request<'_>, context: &Context<'_>) -> Result<Proof, Rejection> {
    let given = request.header(SIGNATURE).ok_or(Rejection::MissingHeader(SIGNATURE))?;
    signature::check(context.secrets().map(key), &[request.body], Encoding::Base64, &[given])?;
    request.header(TOPIC).ok_or(Rejection::MissingHeader(TOPIC))?;
    Ok(Proof::Body)
}

/// WordPress undoes the HTML escapes of the stored secret before it signs (`wp_specialchars_decode`, `ENT_QUOTES`): in one
/// pass, so that `&amp;lt;` becomes `&lt;`.
fn key(secret: &Secret) -> Vec<u8> {
    const ESCAPES: [(&[u8], u8); 13] = [
        (b"&amp;", b'&'),
        (b"&#038;", b'&'),
        (b"&#x26;", b'&'),
        (b"&lt;", b'<'),
        (b"&#060;", b'<'),
        (b"&gt;", b'>'),
        (b"&#062;", b'>'),
        (b"&quot;", b'"'),
        (b"&#034;", b'"'),
        (b"&#x22;", b'"'),
        (b"&#039;", b'\''),
        (b"&#39;", b'\''),
        (b"&#x27;", b'\''),
    ];
    let mut rest = secret.expose();
    let mut plain = Vec::with_capacity(rest.len());
    while let Some((&byte, after)) = rest.split_first() {
        let escape = ESCAPES.iter().find_map(|(escape, means)| Some((rest.strip_prefix(*escape)?, *means)));
        let (left, means) = escape.unwrap_or((after, byte));
        plain.push(means);
        rest = left;
    }
    plain
}

fn translate(delivery: &Delivery<'_>, found: &mut Extracted) -> Result<Verdict, Stop> {
    let event = delivery.event;
    let topic = delivery.request.header(TOPIC).unwrap_or_default();
    found.event_type = Some(topic.to_owned());
    if !matches!(topic, "order.created" | "order.updated") {
        return Err(Ignored::NotCommercial.into());
    }
    let order = event.need("id")?;
    let status = event.need("status")?;
    found.payment_ids = referral::ids([Some(format!("order:{order}")), event.text("transaction_id")]);
    let refunds = refunds(event, &order, status == "refunded")?;
    if !refunds.is_empty() {
        return Ok(Verdict::Refunds(refunds));
    }
    let dated = ["date_paid", "date_paid_gmt"].iter().any(|path| event.text(path).is_some());
    // Cash on delivery is `processing` long before anybody pays.
    if !dated || !matches!(status.as_str(), "processing" | "completed") {
        return Err(Ignored::NotPaid.into());
    }
    sale(event, order, found)
}

fn sale(event: &Json, order: String, found: &mut Extracted) -> Result<Verdict, Stop> {
    let currency = money::currency(event, "currency")?;
    let amount = money::major(event, "total")?;
    found.customer_email = event.text("billing.email");
    found.promo = event.list("coupon_lines").iter().find_map(|one| Promo::new(one.text("code"), None, None));
    // 0 stands for "none" wherever an id is expected.
    let id = |of: &Json, name: &str| of.text(name).filter(|id| id != "0");
    let items = event.list("line_items");
    let conversion = Conversion {
        referral_id: referral::in_pairs(event, "meta_data", "key", "value"),
        customer_id: id(event, "customer_id"),
        external_event_id: format!("order:{order}"),
        amount: money::paid(amount, currency)?,
        product_ids: referral::ids(items.iter().map(|item| id(item, "product_id"))),
        price_ids: referral::ids(items.iter().map(|item| id(item, "variation_id"))),
        is_subscription: false,
        interval: None,
        provider_order_id: order,
    };
    Ok(common::conversion(conversion, found))
}

/// All that ever went back of this order, in negative amounts. Entries of nothing (goods came back, no money) are left out.
fn refunds(event: &Json, order: &str, full: bool) -> Result<Vec<Refund>, Stop> {
    let mut refunds = Vec::new();
    for entry in event.list("refunds") {
        let fault = |fault: Fault| fault.under("refunds");
        let amount = money::major(entry, "total").map_err(fault)?.abs().normalize();
        if amount.is_zero() {
            continue;
        }
        let currency: Currency = money::currency(event, "currency")?;
        refunds.push(Refund {
            payment_id: format!("order:{order}"),
            external_event_id: format!("refund:{}", entry.need("id").map_err(fault)?),
            amount: Some(amount),
            currency: Some(currency),
            full,
            reason: entry.text("reason"),
            cumulative: false,
        });
    }
    Ok(refunds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_of_the_secret_are_undone_once() {
        for (stored, plain) in [
            ("plain text", "plain text"),
            ("a&amp;b&lt;c&gt;d&quot;e&#039;f", "a&b<c>d\"e'f"),
            ("&amp;lt;", "&lt;"),
            ("&amp;amp;", "&amp;"),
            ("&", "&"),
            ("&am", "&am"),
        ] {
            assert_eq!(key(&Secret::new(stored)), plain.as_bytes(), "{stored}");
        }
    }
}
