//! What a server says with `POST /v1/conversions`.

use crate::Refusal;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use usher_model::{ClickId, Currency, Money, MoneyError, PromoCode};

/// Names under which the platform takes the referral's id, the preferred one first
/// (<https://docs.affonso.io/api/endpoint/conversions/create>).
const REFERRAL_ALIASES: [&str; 8] = [
    "referral_id",
    "referralId",
    "affonso_referral",
    "affonsoReferral",
    "affonso_id",
    "affonsoId",
    "click_id",
    "clickId",
];
/// Identifiers and other text, in characters.
const TEXT_LONGEST: usize = 255;

/// The fields of a JSON object, each with its bytes as they were sent.
pub(super) type Fields = BTreeMap<String, Box<RawValue>>;

/// A sale as it was reported, checked.
#[derive(Debug)]
pub(super) struct ConversionRequest {
    /// The idempotency key.
    pub(super) event_id: String,
    /// The referral that the caller names, and under which name.
    pub(super) referral: Option<(&'static str, ClickId)>,
    /// The promo code that the order carries, and as it was typed.
    pub(super) promo_code: Option<(PromoCode, String)>,
    /// Customers that the caller names.
    pub(super) customers: Vec<Customer>,
    /// What was paid.
    pub(super) amount: Money,
    /// What goes to the platform as it came: without referral, promo code and order id, amount and currency normalised.
    pub(super) fields: Fields,
    /// SHA-256 over the content, whatever the order and spacing of its fields.
    pub(super) fingerprint: [u8; 32],
}

/// A customer that the caller names.
#[derive(Debug)]
pub(super) struct Customer {
    /// In which field.
    pub(super) field: &'static str,
    /// A key of our own: `customer:…`, `user:…`.
    pub(super) key: String,
}

impl ConversionRequest {
    /// Reads a body.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] names the field and the mend.
    pub(super) fn read(body: &[u8]) -> Result<Self, Refusal> {
        let mut fields = object(body)?;
        let event_id = text(&fields, "external_event_id")?.ok_or_else(|| {
            Refusal::invalid(
                "external_event_id",
                "is required: the stable id of the payment, not of the request",
            )
        })?;
        let referral = referral(&fields)?;
        let promo_code = match text(&fields, "promo_code")? {
            None => None,
            Some(typed) => Some((
                PromoCode::fold(&typed).ok_or_else(|| {
                    Refusal::invalid("promo_code", "must be 1 to 64 characters without controls")
                })?,
                typed,
            )),
        };
        let amount = amount(&fields)?;
        fields.insert("sale_amount".to_owned(), amount.json_number());
        fields.insert("sale_amount_currency".to_owned(), raw(&amount.currency())?);
        // Over the normalised amount: 10, 10.00 and "10" are the same sale.
        let fingerprint = fingerprint(&fields);
        let mut customers = Vec::new();
        for (name, kind) in [("customer_id", "customer"), ("external_user_id", "user")] {
            customers
                .extend(text(&fields, name)?.map(|id| Customer { field: name, key: format!("{kind}:{id}") }));
        }
        fields.retain(|name, value| {
            !REFERRAL_ALIASES.contains(&name.as_str())
                && !["promo_code", "order_id"].contains(&name.as_str())
                && value.get() != "null"
        });
        Ok(Self { event_id, referral, promo_code, customers, amount, fields, fingerprint })
    }
}

/// Reads a body as an object.
pub(super) fn object(body: &[u8]) -> Result<Fields, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal::Invalid {
        field: None,
        message: format!("the body must be a JSON object: {error}"),
    })
}

/// A value as raw JSON.
pub(super) fn raw(value: &impl serde::Serialize) -> Result<Box<RawValue>, Refusal> {
    serde_json::value::to_raw_value(value)
        .map_err(|error| Refusal::Invalid { field: None, message: error.to_string() })
}

/// A field that is text, or a whole number where callers keep their ids as numbers; absent, `null` and empty are the same.
pub(super) fn text(fields: &Fields, name: &'static str) -> Result<Option<String>, Refusal> {
    let Some(value) = fields.get(name) else { return Ok(None) };
    let text = match serde_json::from_str::<serde_json::Value>(value.get()) {
        Ok(serde_json::Value::String(text)) => text.trim().to_owned(),
        Ok(serde_json::Value::Number(number)) if number.is_i64() || number.is_u64() => number.to_string(),
        Ok(serde_json::Value::Null) => return Ok(None),
        _ => return Err(Refusal::invalid(name, format!("{name} must be a string"))),
    };
    if text.chars().count() > TEXT_LONGEST || text.chars().any(char::is_control) {
        return Err(Refusal::invalid(
            name,
            format!("{name} must be at most {TEXT_LONGEST} characters without controls"),
        ));
    }
    Ok(Some(text).filter(|text| !text.is_empty()))
}

/// The referral, under whichever of its names. Several names for several referrals are a mistake that only the caller can
/// mend.
fn referral(fields: &Fields) -> Result<Option<(&'static str, ClickId)>, Refusal> {
    let mut found: Option<(&'static str, ClickId)> = None;
    for name in REFERRAL_ALIASES {
        let Some(id) = text(fields, name)? else { continue };
        let id = ClickId::new(id).map_err(|error| Refusal::invalid(name, format!("{name}: {error}")))?;
        match &found {
            Some((first, other)) if *other != id => {
                return Err(Refusal::invalid(
                    name,
                    format!("{name} and {first} name different referrals; send one"),
                ));
            }
            Some(_) => {}
            None => found = Some((name, id)),
        }
    }
    Ok(found)
}

fn amount(fields: &Fields) -> Result<Money, Refusal> {
    let currency: Currency = text(fields, "sale_amount_currency")?
        .ok_or_else(|| {
            Refusal::invalid(
                "sale_amount_currency",
                "sale_amount_currency is required: three letters (ISO 4217), such as USD",
            )
        })?
        .parse()
        .map_err(|error: MoneyError| {
            Refusal::invalid("sale_amount_currency", format!("sale_amount_currency {error}"))
        })?;
    let amount = fields.get("sale_amount").ok_or_else(|| {
        Refusal::invalid(
            "sale_amount",
            "sale_amount is required: what was paid, in major units, such as 99.90",
        )
    })?;
    Money::from_json(amount, currency)
        .map_err(|error| Refusal::invalid("sale_amount", format!("sale_amount {error}")))
}

fn fingerprint(fields: &Fields) -> [u8; 32] {
    let mut hash = Sha256::new();
    for (name, value) in fields {
        // Through a `Value`, so that spacing and the order of nested fields do not matter; a number that a float cannot
        // hold keeps its own text.
        let text = match serde_json::from_str::<serde_json::Value>(value.get()) {
            Ok(parsed) if !parsed.is_number() => parsed.to_string(),
            _ => value.get().to_owned(),
        };
        hash.update((name.len() as u64).to_be_bytes());
        hash.update(name);
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SALE: &str = r#""external_event_id":"pay_1","sale_amount":99.90,"sale_amount_currency":"usd""#;

    fn read(more: &str) -> Result<ConversionRequest, Refusal> {
        ConversionRequest::read(format!("{{{SALE}{more}}}").as_bytes())
    }

    fn refused_at(body: &str) -> Option<&'static str> {
        match ConversionRequest::read(body.as_bytes()) {
            Err(Refusal::Invalid { field, .. }) => field,
            other => panic!("{body}: {other:?}"),
        }
    }

    #[test]
    fn every_alias_names_the_referral() {
        for alias in REFERRAL_ALIASES {
            let request = read(&format!(r#","{alias}":"cmd1""#)).expect(alias);
            assert_eq!(request.referral.expect("a referral").1.as_str(), "cmd1");
            assert!(!request.fields.contains_key(alias), "it is sent once, under its own name");
        }
        assert!(read(r#","referral_id":"a","click_id":"a""#).is_ok());
        assert!(read(r#","referral_id":"a","click_id":"b""#).is_err());
        assert!(read(r#","referral_id":"","customer_id":null"#).expect("a sale").referral.is_none());
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        assert_eq!(
            refused_at(r#"{"sale_amount":1,"sale_amount_currency":"USD"}"#),
            Some("external_event_id")
        );
        assert_eq!(
            refused_at(r#"{"external_event_id":"a","sale_amount_currency":"USD"}"#),
            Some("sale_amount")
        );
        assert_eq!(refused_at(r#"{"external_event_id":"a","sale_amount":1}"#), Some("sale_amount_currency"));
        assert_eq!(
            refused_at(r#"{"external_event_id":"a","sale_amount":-1,"sale_amount_currency":"USD"}"#),
            Some("sale_amount")
        );
        assert_eq!(refused_at(&format!("{{{SALE},\"customer_id\":{{}}}}")), Some("customer_id"));
        assert_eq!(refused_at(&format!("{{{SALE},\"referral_id\":\"a b\"}}")), Some("referral_id"));
        assert_eq!(refused_at("[]"), None);
    }

    #[test]
    fn other_fields_go_through_byte_for_byte() {
        let request = read(
            r#","metadata":{"z":1.10,"a":[12345678901234567890]},"order_id":"o1","promo_code":" Spring ""#,
        )
        .expect("a sale");
        assert_eq!(request.fields["metadata"].get(), r#"{"z":1.10,"a":[12345678901234567890]}"#);
        assert_eq!(request.fields["sale_amount"].get(), "99.9");
        assert_eq!(request.fields["sale_amount_currency"].get(), "\"USD\"");
        assert!(!request.fields.contains_key("order_id") && !request.fields.contains_key("promo_code"));
        assert_eq!(request.promo_code.expect("a code").0.as_str(), "SPRING");
    }

    #[test]
    fn the_fingerprint_sees_content_and_not_spelling() {
        let of = |body: &str| ConversionRequest::read(body.as_bytes()).expect(body).fingerprint;
        let one = of(&format!("{{{SALE},\"metadata\":{{\"a\":1,\"b\":2}}}}"));
        assert_eq!(one, of(&format!("{{ \"metadata\": {{ \"b\": 2, \"a\": 1 }}, {SALE} }}")));
        assert_ne!(one, of(&format!("{{{SALE},\"metadata\":{{\"a\":1,\"b\":3}}}}")));
        assert_ne!(one, of(&format!("{{{SALE}}}")));
        let plain = of(&format!("{{{SALE}}}"));
        for (from, to) in [("99.90", "99.9"), ("99.90", "\"99.900\""), ("99.90", "9.99e1"), ("usd", "USD")] {
            assert_eq!(plain, of(&format!("{{{}}}", SALE.replace(from, to))), "{to}");
        }
        assert_ne!(plain, of(&format!("{{{}}}", SALE.replace("99.90", "99.91"))));
    }

    proptest! {
        #[test]
        fn no_body_panics(body in proptest::collection::vec(any::<u8>(), 0..200), text in "\\PC{0,60}") {
            let _ = ConversionRequest::read(&body);
            let _ = ConversionRequest::read(format!(r#"{{{SALE},"customer_id":{text:?}}}"#).as_bytes());
        }
    }
}
