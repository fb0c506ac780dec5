//! `PhonePe`
//! (<https://developer.phonepe.com/payment-gateway/website-integration/standard-checkout/api-integration/api-reference/webhook>).
//!
//! A webhook is of one type. SHA: `Authorization` is hex SHA-256 of `username:password`, a constant; nothing covers the body.
//! HMAC: hex HMAC-SHA256 of the body, beside the key's name.

use crate::{
    Context, Conversion, Credential, Extracted, Ignored, Outcome, Proof, Provider, Refund, Rejection,
    Request, Verdict,
    common::{
        self, Delivery, Stop,
        json::{Fault, Json},
        judge_json, money,
        referral::{click, ids},
        signature::{self, Encoding},
    },
};
use rust_decimal::Decimal;
use sha2::{Digest, Sha256};
use usher_model::{Currency, Secret};

pub(crate) const PROVIDER: Provider =
    Provider { name: "phonepe", proofs: &[Proof::Body, Proof::Token], judge };

const AUTHORIZATION: &str = "authorization";
const SIGNATURE: &str = "x-phonepe-checksum-signature";
const KEY_ID: &str = "x-phonepe-checksum-key-id";

fn judge(request: &Request<'_>, context: &Context<'_>) -> Outcome {
    judge_json(request, context, verify, translate)
}

/// Each credential by its own type; a webhook of one type is never taken for one of the other.
fn verify(request: &Request<'_>, context: &Context<'_>) -> Result<Proof, Rejection> {
    let mut refusal = Rejection::BadSignature;
    for credential in context.credentials {
        let checked = match credential {
            Credential::Login { username, password } => by_login(request, username, password),
            Credential::Named { key_id, key } => by_key(request, key_id, key),
            _ => continue,
        };
        match checked {
            Ok(proof) => return Ok(proof),
            Err(reason) => refusal = reason,
        }
    }
    Err(refusal)
}

fn by_login(request: &Request<'_>, username: &str, password: &Secret) -> Result<Proof, Rejection> {
    let given = request.header(AUTHORIZATION).ok_or(Rejection::MissingHeader(AUTHORIZATION))?;
    let mut hash = Sha256::new_with_prefix(username);
    hash.update(b":");
    hash.update(password.expose());
    let expected = Encoding::Hex.write(&hash.finalize());
    let ours = !password.expose().is_empty() && signature::same(expected.as_bytes(), given.as_bytes());
    if ours { Ok(Proof::Token) } else { Err(Rejection::BadSignature) }
}

fn by_key(request: &Request<'_>, key_id: &str, key: &Secret) -> Result<Proof, Rejection> {
    let given = request.header(SIGNATURE).ok_or(Rejection::MissingHeader(SIGNATURE))?;
    if key.expose().is_empty() || request.header(KEY_ID).is_some_and(|named| named != key_id) {
        return Err(Rejection::BadSignature);
    }
    signature::check([key.expose()], &[request.body], Encoding::Hex, &[given])?;
    Ok(Proof::Body)
}

fn translate(delivery: &Delivery<'_>, found: &mut Extracted) -> Result<Verdict, Stop> {
    let event = delivery.event;
    found.event_type = event.text("event");
    match found.event_type.as_deref() {
        Some("checkout.order.completed" | "pg.order.completed") => order(event, false, found),
        Some("subscription.redemption.order.completed") => order(event, true, found),
        Some("pg.refund.completed") => refund(event, found),
        Some("pg.refund.accepted" | "pg.refund.failed") => Err(Ignored::RefundNotFinal.into()),
        _ => Err(Ignored::NotCommercial.into()),
    }
}

fn order(event: &Json, is_subscription: bool, found: &mut Extracted) -> Result<Verdict, Stop> {
    let merchants = event.text("payload.merchantOrderId");
    let id = match event.text("payload.orderId") {
        Some(id) => id,
        None => event.need("payload.merchantOrderId")?,
    };
    let attempts = event.list("payload.paymentDetails").iter().map(|attempt| attempt.text("transactionId"));
    found.payment_ids = ids([merchants.clone(), Some(id.clone())].into_iter().chain(attempts));
    found.subscription_id = event
        .text("payload.paymentFlow.merchantSubscriptionId")
        .or_else(|| event.text("payload.paymentFlow.subscriptionId"))
        .filter(|_| is_subscription);
    // "Completed" can also mean that it expired.
    if !event.says("payload.state", "COMPLETED") {
        return Err(Ignored::NotPaid.into());
    }
    let (amount, currency) = amount(event)?;
    let conversion = Conversion {
        referral_id: referral_of(event.get("payload.metaInfo")),
        customer_id: None,
        provider_order_id: merchants.unwrap_or_else(|| id.clone()),
        external_event_id: id,
        amount: money::paid(amount, currency)?,
        product_ids: Vec::new(),
        price_ids: Vec::new(),
        is_subscription,
        interval: None,
    };
    Ok(common::conversion(conversion, found))
}

fn refund(event: &Json, found: &mut Extracted) -> Result<Verdict, Stop> {
    let payment_id = event.need("payload.originalMerchantOrderId")?;
    found.payment_ids = vec![payment_id.clone()];
    if !event.says("payload.state", "COMPLETED") {
        return Err(Ignored::RefundNotFinal.into());
    }
    let external_event_id = match event.text("payload.refundId") {
        Some(id) => id,
        None => event.need("payload.merchantRefundId")?,
    };
    let (amount, currency) = amount(event)?;
    let refund = Refund {
        payment_id,
        external_event_id,
        amount: Some(money::went_back(amount)?),
        currency: Some(currency),
        full: false,
        reason: None,
        cumulative: false,
    };
    Ok(common::refund(refund, found))
}

/// Paise. There is one currency, and often no word of it.
fn amount(event: &Json) -> Result<(Decimal, Currency), Fault> {
    let path = "payload.currency";
    let code = event.text(path).unwrap_or_else(|| "INR".to_owned());
    let currency = code.parse().map_err(|_| Fault::new(path, "is no currency"))?;
    Ok((money::minor(event, "payload.amount", currency, &money::ISO_4217)?, currency))
}

/// The shop's five free fields. The click belongs in the first; in the others only what looks like one is taken for one.
fn referral_of(free: &Json) -> Option<String> {
    let others = ["udf1", "udf2", "udf3", "udf4", "udf5"];
    let certain =
        others.iter().filter_map(|name| click(free.member(name))).find(|text| looks_like_a_click(text));
    certain.or_else(|| click(free.member("udf1")))
}

/// As the platform (cuid, `c` and at least 23 small letters and digits) or an edge mints them.
fn looks_like_a_click(text: &str) -> bool {
    let small = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    text.starts_with("ush_") || (text.len() >= 24 && text.starts_with('c') && small)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_click_is_told_from_the_shops_own_words() {
        let referral =
            |fields: &str| referral_of(&Json::parse(format!("{{{fields}}}").as_bytes()).expect("json"));
        let cuid = "cm5js0e10by7g9bft3oro7ljs";
        for (fields, expected) in [
            (r#""udf1":"cm5js0e10by7g9bft3oro7ljs","udf2":"x""#, Some(cuid)),
            (r#""udf1":"order-7","udf3":"cm5js0e10by7g9bft3oro7ljs""#, Some(cuid)),
            (r#""udf1":"","udf2":"नमस्ते/2""#, None),
            (r#""udf1":"","udf2":"order-7""#, None),
            (r#""udf1":"click-7""#, Some("click-7")),
            ("", None),
        ] {
            assert_eq!(referral(fields).as_deref(), expected, "{fields}");
        }
    }
}
