//! The fields of a body: one name for each, checked, and every other byte as it came.

use crate::Refusal;
use rust_decimal::Decimal;
use serde_json::{Value, value::RawValue};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use usher_model::{ClickId, UnixMs};

/// The fields of a JSON object, each with its bytes as they were sent.
pub(crate) type Fields = BTreeMap<String, Box<RawValue>>;

/// A field under the name that the platform's endpoint takes, and its name in the other casing.
pub(super) type Named = (&'static str, &'static str);

/// Names under which the platform takes the referral's id, the preferred one first
/// (<https://docs.affonso.io/api/endpoint/conversions/create>).
pub(super) const REFERRAL_NAMES: [&str; 8] = [
    "referral_id",
    "referralId",
    "affonso_referral",
    "affonsoReferral",
    "affonso_id",
    "affonsoId",
    "click_id",
    "clickId",
];
/// Identifiers and other short text, in characters.
pub(super) const TEXT_LONGEST: usize = 255;

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

/// The fields as JSON text.
pub(super) fn text_of(fields: &Fields) -> Result<String, Refusal> {
    raw(fields).map(|raw| raw.get().to_owned())
}

/// Gives each of these fields one name. `null` is as good as absent, and so is empty text under the other casing.
///
/// # Errors
/// [`Refusal::Invalid`] when both names are there and say different things.
pub(super) fn settle_names(fields: &mut Fields, known: &[Named]) -> Result<(), Refusal> {
    fields.retain(|_, value| value.get() != "null");
    for &(name, other) in known {
        let Some(value) = fields.remove(other).filter(|value| value.get() != "\"\"") else { continue };
        match fields.get(name) {
            Some(taken) if taken.get() != "\"\"" && content(taken) != content(&value) => {
                let message = format!("{other} and {name} say different things; send one");
                return Err(Refusal::invalid(other, message));
            }
            Some(taken) if taken.get() != "\"\"" => {}
            _ => {
                fields.insert(name.to_owned(), value);
            }
        }
    }
    Ok(())
}

/// A field that is text, or a whole number where callers keep their ids as numbers; absent, `null` and empty are the same.
pub(super) fn text(fields: &Fields, name: &'static str, longest: usize) -> Result<Option<String>, Refusal> {
    let Some(value) = fields.get(name) else { return Ok(None) };
    let text = match serde_json::from_str::<Value>(value.get()) {
        Ok(Value::String(text)) => text.trim().to_owned(),
        Ok(Value::Number(number)) if number.is_i64() || number.is_u64() => number.to_string(),
        Ok(Value::Null) => return Ok(None),
        _ => return Err(Refusal::invalid(name, format!("{name} must be a string"))),
    };
    if text.chars().count() > longest || text.chars().any(char::is_control) {
        let message = format!("{name} must be at most {longest} characters without controls");
        return Err(Refusal::invalid(name, message));
    }
    Ok(Some(text).filter(|text| !text.is_empty()))
}

/// An identifier: what [`text`] reads, written back as the text that the platform expects.
pub(super) fn identifier(fields: &mut Fields, name: &'static str) -> Result<Option<String>, Refusal> {
    let id = text(fields, name, TEXT_LONGEST)?;
    match &id {
        Some(id) => fields.insert(name.to_owned(), raw(id)?),
        None => fields.remove(name),
    };
    Ok(id)
}

/// A field that holds one of a few words.
pub(super) fn word(fields: &Fields, name: &'static str, allowed: &[&str]) -> Result<Option<String>, Refusal> {
    let word = text(fields, name, TEXT_LONGEST)?;
    match word {
        Some(word) if !allowed.contains(&word.as_str()) => {
            Err(Refusal::invalid(name, format!("{name} must be one of {}", allowed.join(", "))))
        }
        word => Ok(word),
    }
}

/// A moment in ISO 8601. A bare date is the end of that day: nothing that happened on it came later.
pub(super) fn moment(fields: &Fields, name: &'static str) -> Result<Option<UnixMs>, Refusal> {
    const DAY_MS: i64 = 24 * 60 * 60 * 1000;
    let Some(written) = text(fields, name, TEXT_LONGEST)? else { return Ok(None) };
    let at = UnixMs::parse(&written).ok_or_else(|| {
        Refusal::invalid(name, format!("{name} must be an ISO 8601 date, such as 2026-11-21T07:32:56Z"))
    })?;
    let is_bare_date = written.len() == 10;
    Ok(Some(if is_bare_date { at.plus(DAY_MS - 1) } else { at }))
}

/// A field of a certain shape, when it is there.
pub(super) fn shape(
    fields: &Fields,
    name: &'static str,
    expected: &str,
    is_it: impl Fn(&Value) -> bool,
) -> Result<(), Refusal> {
    let Some(value) = fields.get(name) else { return Ok(()) };
    match serde_json::from_str::<Value>(value.get()) {
        Ok(value) if value.is_null() || is_it(&value) => Ok(()),
        _ => Err(Refusal::invalid(name, format!("{name} must be {expected}"))),
    }
}

/// The same for an object whose inside is nobody's business here: JSON knows texts that none of ours can hold, such as half
/// of a character that a script has cut in two (RFC 8259 section 8.2).
pub(super) fn object_shape(fields: &Fields, name: &'static str) -> Result<(), Refusal> {
    match fields.get(name).map(|value| value.get()) {
        None | Some("null") => Ok(()),
        Some(text) if text.starts_with('{') => Ok(()),
        Some(_) => Err(Refusal::invalid(name, format!("{name} must be an object"))),
    }
}

/// Whether it is a list of texts.
pub(super) fn is_texts(value: &Value) -> bool {
    value.as_array().is_some_and(|items| items.iter().all(Value::is_string))
}

/// The referral, under whichever of its names, which are taken out. Several names for several referrals are a mistake that
/// only the caller can mend.
pub(super) fn take_referral(fields: &mut Fields) -> Result<Option<(&'static str, ClickId)>, Refusal> {
    let mut found: Option<(&'static str, ClickId)> = None;
    for name in REFERRAL_NAMES {
        let id = text(fields, name, TEXT_LONGEST)?;
        fields.remove(name);
        let Some(id) = id else { continue };
        let id = ClickId::new(id).map_err(|error| Refusal::invalid(name, format!("{name}: {error}")))?;
        match &found {
            Some((first, other)) if *other != id => {
                let message = format!("{name} and {first} name different referrals; send one");
                return Err(Refusal::invalid(name, message));
            }
            Some(_) => {}
            None => found = Some((name, id)),
        }
    }
    Ok(found)
}

/// SHA-256 over fields and more of the content, whatever the order and spacing of its parts.
pub(super) fn fingerprint(fields: &Fields, more: &[Option<&str>]) -> [u8; 32] {
    let mut hash = Sha256::new();
    let mut add = |text: &str| {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    };
    for part in more {
        add(if part.is_some() { "1" } else { "0" });
        add(part.unwrap_or_default());
    }
    for (name, value) in fields {
        add(name);
        add(&content(value));
    }
    hash.finalize().into()
}

/// What a value says, however it is spelled: spacing, the order of nested fields, and `1`, `1.0` and `1e0` make no
/// difference. What cannot be read keeps its own text.
fn content(value: &RawValue) -> String {
    match serde_json::from_str::<Value>(value.get()) {
        Ok(Value::Number(_)) => number(value.get()),
        Ok(mut parsed) => {
            spell_alike(&mut parsed);
            parsed.to_string()
        }
        Err(_) => value.get().to_owned(),
    }
}

/// A number to its last digit; one with more digits than are kept exactly has its own text.
fn number(text: &str) -> String {
    const DIGITS_MOST: usize = 28;
    let digits = text.bytes().take_while(|byte| !matches!(byte, b'e' | b'E')).filter(u8::is_ascii_digit);
    let exact = match text.contains(['e', 'E']) {
        _ if digits.count() > DIGITS_MOST => None,
        true => Decimal::from_scientific(text).ok(),
        false => Decimal::from_str_exact(text).ok(),
    };
    exact.map_or_else(|| text.to_owned(), |number| number.normalize().to_string())
}

/// Whole numbers inside are written as such. They are as exact as a float, and so they are to the platform.
fn spell_alike(value: &mut Value) {
    const WHOLE_BELOW: f64 = 9_007_199_254_740_992.0;
    match value {
        Value::Number(number) if number.is_f64() => {
            let whole = number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() < WHOLE_BELOW);
            if let Some(whole) = whole {
                *value = Value::from(whole as i64);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(spell_alike),
        Value::Object(fields) => fields.values_mut().for_each(spell_alike),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(body: &str) -> Fields {
        object(body.as_bytes()).expect("an object")
    }

    #[test]
    fn both_casings_are_one_field_and_may_not_disagree() {
        let known: &[Named] = &[("order_id", "orderId")];
        for (body, expected) in [
            (r#"{"orderId":"a"}"#, Some("\"a\"")),
            (r#"{"order_id":"a","orderId":"a"}"#, Some("\"a\"")),
            (r#"{"order_id":"a","orderId":null}"#, Some("\"a\"")),
            (r#"{"order_id":"a","orderId":""}"#, Some("\"a\"")),
            (r#"{"order_id":"","orderId":"a"}"#, Some("\"a\"")),
            (r#"{"order_id":null}"#, None),
        ] {
            let mut fields = of(body);
            settle_names(&mut fields, known).expect(body);
            assert_eq!(fields.get("order_id").map(|value| value.get()), expected, "{body}");
            assert!(!fields.contains_key("orderId"));
        }
        match settle_names(&mut of(r#"{"order_id":"a","orderId":"b"}"#), known) {
            Err(Refusal::Invalid { field: Some("orderId"), message }) => {
                assert!(message.contains("order_id"));
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_name_of_the_referral_is_taken_out() {
        for name in REFERRAL_NAMES {
            let mut fields = of(&format!(r#"{{"{name}":"cmd1","x":1}}"#));
            let (field, id) = take_referral(&mut fields).expect(name).expect("a referral");
            assert_eq!((field, id.as_str(), fields.len()), (name, "cmd1", 1));
        }
        assert!(take_referral(&mut of(r#"{"referral_id":"a","click_id":"a"}"#)).is_ok());
        assert!(take_referral(&mut of(r#"{"referral_id":"a","click_id":"b"}"#)).is_err());
        assert!(take_referral(&mut of(r#"{"referral_id":"a b"}"#)).is_err());
        assert_eq!(take_referral(&mut of(r#"{"referral_id":"","click_id":null}"#)).expect("none"), None);
    }

    #[test]
    fn a_bare_date_ends_with_its_day() {
        let at = |text: &str| moment(&of(&format!(r#"{{"at":"{text}"}}"#)), "at");
        assert_eq!(at("1970-01-02").expect("a date"), Some(UnixMs(2 * 86_400_000 - 1)));
        assert_eq!(at("1970-01-01T00:00:01Z").expect("a moment"), Some(UnixMs(1_000)));
        assert!(at("yesterday").is_err());
    }

    #[test]
    fn the_spelling_of_a_number_says_nothing() {
        let of = |value: &str| content(&of(&format!(r#"{{"a":{value}}}"#))["a"]);
        for (one, other) in [
            ("39.5", "39.50"),
            ("100", "1e2"),
            ("-0.10", "-0.1"),
            ("10000000000000000001", "10000000000000000001.0"),
            (r#"{"b":[1,1.5]}"#, r#"{ "b" : [1.0, 1.50] }"#),
        ] {
            assert_eq!(of(one), of(other), "{one}");
        }
        let long = "1".repeat(30);
        for (one, other) in [
            ("39.5", "39.51"),
            ("1", "\"1\""),
            ("12345678901234567890", "12345678901234567891"),
            (&*format!("{long}2"), &*format!("{long}3")),
            (r#"{"b":1}"#, r#"{"b":1.1}"#),
        ] {
            assert_ne!(of(one), of(other), "{one}");
        }
    }

    #[test]
    fn numbers_become_the_ids_that_they_are() {
        let mut fields = of(r#"{"a":42,"b":" x ","c":"","d":1.5}"#);
        assert_eq!(identifier(&mut fields, "a").expect("an id").as_deref(), Some("42"));
        assert_eq!(identifier(&mut fields, "b").expect("an id").as_deref(), Some("x"));
        assert_eq!(identifier(&mut fields, "c").expect("none"), None);
        assert!(identifier(&mut fields, "d").is_err());
        let written: Vec<_> = ["a", "b"].map(|name| fields[name].get().to_owned()).into();
        assert_eq!(written, ["\"42\"", "\"x\""]);
        assert!(!fields.contains_key("c"));
    }

    proptest! {
        #[test]
        fn any_value_is_read_or_refused(value in "\\PC{0,40}|[0-9eE.+\\-\\[\\]{}\":a]{0,30}") {
            let body = format!(r#"{{"a":{value}}}"#);
            if let Ok(mut fields) = object(body.as_bytes()) {
                let _ = text(&fields, "a", 10);
                let _ = moment(&fields, "a");
                let _ = shape(&fields, "a", "a list", is_texts);
                let _ = fingerprint(&fields, &[]);
                let _ = identifier(&mut fields, "a");
            }
        }
    }
}
