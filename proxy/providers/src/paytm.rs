//! Paytm (<https://www.paytmpayments.com/docs/payment-success-webhook>). The signature stands in the body: `CHECKSUMHASH` among
//! the fields of a form, or `head.signature` over the very bytes of JSON's `body` member.
//!
//! It is base64 of AES-128-CBC of `hex(SHA-256(text|salt))` and `salt`: the merchant's key is 16 bytes, the initial vector a
//! constant, the salt four characters (npm `paytmchecksum` 1.5.1).

use crate::{
    Context, Conversion, Credential, Extracted, Ignored, Outcome, Promo, Proof, Provider, Refund, Rejection,
    Request, Verdict,
    common::{
        self, Delivery, Stop, form,
        json::{Fault, Json},
        money,
        referral::{click, ids},
        rejected,
        signature::{self, Encoding},
        translated,
    },
};
use base64::{Engine, prelude::BASE64_STANDARD};
use cbc::cipher::{Array, BlockModeDecrypt, KeyIvInit};
use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use usher_model::{Currency, Secret};

pub(crate) const PROVIDER: Provider = Provider { name: "paytm", proofs: &[Proof::Body], judge };

const CHECKSUM: &str = "CHECKSUMHASH";
const INITIAL_VECTOR: &[u8; BLOCK] = b"@@@@&&&&####$$$$";
const BLOCK: usize = 16;
/// What is encrypted: 64 hexadecimal digits, the salt, and PKCS#7's padding to whole blocks.
const DIGEST: usize = 64;
const SALT: usize = 4;
const SEALED: usize = 80;

fn judge(request: &Request<'_>, context: &Context<'_>) -> Outcome {
    let received = match receive(request.body) {
        Ok(received) => received,
        Err(rejection) => return rejected(rejection),
    };
    if !context.credentials.iter().any(|credential| received.is_from(credential)) {
        return rejected(Rejection::BadSignature);
    }
    let delivery = Delivery { request, context, event: &received.event };
    translated(&delivery, Proof::Body, translate)
}

/// A body taken apart, before anybody knows who sent it.
struct Received {
    signature: String,
    /// What may have been signed.
    texts: Vec<Vec<u8>>,
    event: Json,
}

impl Received {
    /// Signed with the merchant's key, and about that merchant.
    fn is_from(&self, credential: &Credential) -> bool {
        let Credential::Paytm { mid, merchant_key } = credential else { return false };
        let merchants = pick(&self.event, ["MID", "mid"]).is_none_or(|found| found == *mid);
        let Some(sealed) = BASE64_STANDARD.decode(&self.signature).ok().and_then(|it| it.try_into().ok())
        else {
            return false;
        };
        merchants && self.texts.iter().any(|text| signs(merchant_key, text, &sealed))
    }
}

fn receive(body: &[u8]) -> Result<Received, Rejection> {
    match body.trim_ascii_start().first() {
        Some(b'{') => receive_json(body),
        _ => receive_form(body),
    }
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    head: Option<&'a RawValue>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
}

fn receive_json(body: &[u8]) -> Result<Received, Rejection> {
    let envelope: Envelope<'_> = serde_json::from_slice(body)
        .map_err(|_| Fault::new("the body", "is not JSON with one head and body"))?;
    let head = envelope.head.map(|head| Json::parse(head.get().as_bytes())).transpose()?;
    let signature = head.and_then(|head| head.text("signature"));
    let text = envelope.body.map_or("", RawValue::get).as_bytes();
    Ok(Received {
        signature: signature.ok_or(Rejection::MissingHeader("head.signature"))?,
        texts: vec![text.to_vec()],
        event: Json::parse(text)?,
    })
}

/// A field that comes twice could be signed as one value and read as the other: such a form is nobody's.
fn receive_form(body: &[u8]) -> Result<Received, Rejection> {
    let mut values = BTreeMap::new();
    for field in form::fields(body) {
        if values.insert(field.name(), field.value).is_some() {
            return Err(Rejection::BadSignature);
        }
    }
    let signature = values.remove(CHECKSUM).ok_or(Rejection::MissingHeader(CHECKSUM))?;
    let text = |value: &Vec<u8>| String::from_utf8_lossy(value).into_owned();
    Ok(Received {
        signature: text(&signature),
        // The vendor's library for Python signs the word "null" as nothing, the one for Node as it is.
        texts: [true, false].map(|empty_null| joined(values.values(), empty_null)).into(),
        event: Json::Object(
            values.iter().map(|(name, value)| (name.clone(), Json::Text(text(value)))).collect(),
        ),
    })
}

/// The values in the order of their names, with `|` between them.
fn joined<'a>(values: impl Iterator<Item = &'a Vec<u8>>, empty_null: bool) -> Vec<u8> {
    let signed = |value: &'a Vec<u8>| match empty_null && value.eq_ignore_ascii_case(b"null") {
        true => b"".as_slice(),
        false => value.as_slice(),
    };
    values.map(signed).collect::<Vec<_>>().join(&b'|')
}

/// Everything that was encrypted is compared at once, the padding too, so that no answer tells what was wrong with it.
fn signs(key: &Secret, text: &[u8], sealed: &[u8; SEALED]) -> bool {
    let Ok(mut cipher) = cbc::Decryptor::<aes::Aes128>::new_from_slices(key.expose(), INITIAL_VECTOR) else {
        return false;
    };
    let opened: Vec<u8> = sealed
        .as_chunks::<BLOCK>()
        .0
        .iter()
        .flat_map(|sealed| {
            let mut block = Array::from(*sealed);
            cipher.decrypt_block(&mut block);
            block
        })
        .collect();
    let salt = opened.get(DIGEST..DIGEST + SALT).unwrap_or_default();
    let mut hash = Sha256::new_with_prefix(text);
    hash.update(b"|");
    hash.update(salt);
    let mut expected = Encoding::Hex.write(&hash.finalize()).into_bytes();
    expected.extend_from_slice(salt);
    let padding = SEALED - DIGEST - SALT;
    expected.resize(SEALED, u8::try_from(padding).unwrap_or(0));
    signature::same(&expected, &opened)
}

fn translate(delivery: &Delivery<'_>, found: &mut Extracted) -> Result<Verdict, Stop> {
    let event = delivery.event;
    if pick(event, ["REFUNDID", "refundId"]).is_some() {
        found.event_type = Some("refund".to_owned());
        return refund(event, found);
    }
    found.event_type = pick(event, ["STATUS", "status"]);
    match found.event_type.as_deref() {
        Some("TXN_SUCCESS") => payment(event, found),
        Some(_) => Err(Ignored::NotPaid.into()),
        None => Err(Ignored::NotCommercial.into()),
    }
}

fn payment(event: &Json, found: &mut Extracted) -> Result<Verdict, Stop> {
    let order = pick(event, ["ORDERID", "orderId"]);
    let id = need(event, ["TXNID", "txnId"])?;
    found.payment_ids = ids([Some(id.clone()), order.clone()]);
    found.subscription_id = pick(event, ["SUBS_ID", "subsId"]);
    // A campaign that was asked for and did not apply earned nobody anything.
    let applied = pick(event, ["PROMO_STATUS", "promoStatus"]).is_none_or(|status| status == "PROMO_SUCCESS");
    let campaign = pick(event, ["PROMO_CAMP_ID", "promoCampId"]).filter(|_| applied);
    found.promo = Promo::new(campaign, None, None);
    let path = present(event, ["TXNAMOUNT", "txnAmount"]);
    let currency = currency(event)?;
    let conversion = Conversion {
        referral_id: ["MERC_UNQ_REF", "mercUnqRef", "extendInfo.mercUnqRef"]
            .iter()
            .find_map(|path| click(event.get(path))),
        customer_id: pick(event, ["CUSTID", "custId"]),
        provider_order_id: order.unwrap_or_else(|| id.clone()),
        external_event_id: id,
        amount: money::paid(money::major(event, path)?, currency)?,
        product_ids: Vec::new(),
        price_ids: Vec::new(),
        is_subscription: found.subscription_id.is_some(),
        interval: None,
    };
    Ok(common::conversion(conversion, found))
}

/// One refund is told when it was accepted, when the money was sent, and when the bank has named it. The second counts; what
/// tells it apart is when the customer's credit was begun.
fn refund(event: &Json, found: &mut Extracted) -> Result<Verdict, Stop> {
    let payment_id = need(event, ["TXNID", "txnId"])?;
    found.payment_ids = ids([Some(payment_id.clone()), pick(event, ["ORDERID", "orderId"])]);
    let succeeded = pick(event, ["STATUS", "status"]).is_none_or(|status| status == "TXN_SUCCESS");
    let begun = pick(event, ["USERCREDITINITIATETIMESTAMP", "userCreditInitiateTimestamp"]).is_some();
    if !(succeeded && begun) {
        return Err(Ignored::RefundNotFinal.into());
    }
    let path = present(event, ["REFUNDAMOUNT", "refundAmount"]);
    let refund = Refund {
        payment_id,
        external_event_id: need(event, ["REFUNDID", "refundId"])?,
        amount: Some(money::went_back(money::major(event, path)?)?),
        currency: Some(currency(event)?),
        full: false,
        reason: None,
        cumulative: false,
    };
    Ok(common::refund(refund, found))
}

/// Rupees, and often no word of it.
fn currency(event: &Json) -> Result<Currency, Fault> {
    let code = pick(event, ["CURRENCY", "currency"]).unwrap_or_else(|| "INR".to_owned());
    code.parse().map_err(|_| Fault::new("CURRENCY", "is no currency"))
}

/// A field by its name in forms, or in JSON.
fn pick(event: &Json, names: [&str; 2]) -> Option<String> {
    names.iter().find_map(|name| event.text(name))
}

/// As [`pick`], where Paytm promises it.
fn need(event: &Json, names: [&'static str; 2]) -> Result<String, Fault> {
    event.need(present(event, names))
}

/// The name that is there; the one of JSON when neither is.
fn present(event: &Json, [form, json]: [&'static str; 2]) -> &'static str {
    if event.get(form).is_null() { json } else { form }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_signed_in_the_order_of_their_names() {
        let body = b"B=two&CHECKSUMHASH=x%2By&A=+1&C=NULL&D=";
        let received = receive_form(body).expect("a form");
        assert_eq!(received.signature, "x+y");
        assert_eq!(received.texts, [b" 1|two||".to_vec(), b" 1|two|NULL|".to_vec()]);
    }

    #[test]
    fn a_field_sent_twice_is_not_read() {
        let refused = receive_form(b"A=1&A=2&CHECKSUMHASH=x").err();
        assert_eq!(refused, Some(Rejection::BadSignature));
        assert!(receive_json(br#"{"head":{"signature":"x"},"body":{},"body":{}}"#).is_err());
    }

    #[test]
    fn a_key_of_another_length_signs_nothing() {
        for key in ["", "short", "seventeen bytes!!"] {
            assert!(!signs(&Secret::new(key), b"", &[0; SEALED]));
        }
    }
}
