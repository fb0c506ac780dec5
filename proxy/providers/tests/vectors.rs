//! Every recorded request in `tests/vectors/webhooks` has the outcome that stands beside it. The format and what is compared:
//! `tests/vectors/README.md`.

use serde_json::Value;
use std::{fs, path::PathBuf};

/// One test a folder, so that a failure names the provider; a last one sees that no folder is left out.
macro_rules! providers {
    ($($name:ident),* $(,)?) => {
        $(#[test] fn $name() { check(stringify!($name)); })*

        #[test]
        fn every_folder_has_its_test() {
            let mut folders: Vec<String> = fs::read_dir(folder())
                .expect("the vectors")
                .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
                .collect();
            folders.sort();
            assert_eq!(folders, [$(stringify!($name)),*]);
        }
    };
}

providers!(
    chargebee,
    creem,
    dodopayments,
    flutterwave,
    gumroad,
    lemonsqueezy,
    paddle,
    paypal,
    paytm,
    phonepe,
    polar,
    razorpay,
    shopify,
    stripe,
    woocommerce,
    xendit,
);

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/webhooks")
}

fn check(provider: &str) {
    let mut faults = Vec::new();
    let mut seen = 0;
    for entry in fs::read_dir(folder().join(provider)).expect("a provider's vectors") {
        let text = fs::read_to_string(entry.expect("an entry").path()).expect("a vector");
        let vector: Value = serde_json::from_str(&text).expect("JSON");
        seen += 1;
        let line = match usher_providers::explain(&text) {
            Ok(line) => line,
            Err(error) => {
                faults.push(format!("{}: {error}", vector["case"]));
                continue;
            }
        };
        let got: Value = serde_json::from_str(&line).expect("a line of JSON");
        if let Err(why) = compare(&got, &vector) {
            faults.push(format!("{}: {why}\n    got {line}\n    not {}", vector["case"], vector["expect"]));
        }
    }
    assert!(
        seen > 0 && faults.is_empty(),
        "{provider}, {} of {seen} wrong\n{}",
        faults.len(),
        faults.join("\n")
    );
}

fn compare(got: &Value, vector: &Value) -> Result<(), String> {
    let expect = &vector["expect"];
    for member in ["provider", "case"] {
        same(member, &got[member], &vector[member], &[])?;
    }
    let optional: Vec<&str> =
        expect["optional"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    // The word for a reason is advisory.
    for member in ["verified", "kind", "conversion", "refund", "refunds", "extracted"] {
        same(member, &got[member], &expect[member], &optional)?;
    }
    Ok(())
}

fn same(path: &str, got: &Value, expect: &Value, optional: &[&str]) -> Result<(), String> {
    match (got, expect) {
        (Value::Object(some), Value::Object(other)) => some.keys().chain(other.keys()).try_for_each(|name| {
            let path = format!("{path}.{name}");
            same(&path, &got[name], &expect[name], optional)
        }),
        (Value::Array(some), Value::Array(other)) if some.len() == other.len() => {
            some.iter().zip(other).try_for_each(|(one, two)| same(path, one, two, optional))
        }
        (Value::Null, _) | (_, Value::Null) if optional.contains(&path) => Ok(()),
        _ if path.ends_with("amount") && number(got).is_some() && number(got) == number(expect) => Ok(()),
        _ if got == expect => Ok(()),
        _ => Err(format!("{path} is {got}, not {expect}")),
    }
}

/// A decimal text without what does not change its value.
fn number(value: &Value) -> Option<String> {
    let text = value.as_str()?;
    let trimmed = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text };
    Some(trimmed.to_owned())
}

#[test]
fn the_comparison_can_fail() {
    let vector = |amount: &str, kind: &str| {
        serde_json::json!({"provider": "p", "case": "c", "expect": {"verified": true, "kind": kind,
            "refund": {"amount": amount, "currency": "EUR"}, "optional": ["refund.currency"]}})
    };
    let mut got = serde_json::json!({"provider": "p", "case": "c", "verified": true, "kind": "refund",
        "refund": {"amount": "1.50"}});
    assert_eq!(compare(&got, &vector("1.5", "refund")), Ok(()));
    assert!(compare(&got, &vector("15", "refund")).is_err());
    assert!(compare(&got, &vector("1.5", "ignored")).is_err());
    got["refund"]["more"] = true.into();
    assert!(compare(&got, &vector("1.5", "refund")).is_err());
}
