//! Whatever the bytes, there is a verdict.

mod support;

use proptest::prelude::*;
use std::fs;
use support::{Vector, folder};
use usher_model::UnixMs;
use usher_providers::{Context, PROVIDERS, Proof, Provider, Recorded, Request, TestMode, Verdict, explain};

fn records(provider: &str) -> Vec<Recorded> {
    fs::read_dir(folder().join(provider))
        .expect("vectors")
        .map(|entry| fs::read_to_string(entry.expect("an entry").path()).expect("a vector"))
        .map(|text| Recorded::read(&text).expect("a record"))
        .collect()
}

fn judge(record: &Recorded, headers: &[(&str, &[u8])], body: &[u8]) -> (Verdict, Option<Proof>) {
    let request = Request { method: &record.method, url: &record.url, headers, body };
    let now = record.now.unwrap_or(UnixMs(0));
    let context = Context { credentials: &record.credentials, now, test_mode: TestMode::Forward };
    let provider = Provider::find(&record.provider).expect("a provider");
    let outcome = provider.judge(&request, &context);
    (outcome.verdict, outcome.proof)
}

/// A record's header with the field at `at` replaced.
fn headers<'a>(record: &'a Recorded, at: usize, value: &'a [u8]) -> Vec<(&'a str, &'a [u8])> {
    let all = record.headers.iter().enumerate();
    all.map(|(n, (name, old))| (name.as_str(), if n == at { value } else { old.as_bytes() })).collect()
}

#[test]
fn every_byte_in_every_header() {
    for provider in PROVIDERS {
        // The shortest is as good as any: what varies are the headers.
        let mut all = records(provider.name);
        all.sort_by_key(|record| (record.headers.is_empty(), record.body.len()));
        let record = &all[0];
        for (at, (_, old)) in record.headers.iter().enumerate() {
            for byte in 0..=255_u8 {
                let longer = [old.as_bytes(), &[byte]].concat();
                for value in [&[byte][..], &[byte, b',', byte, b'=', byte], &longer] {
                    let _ = judge(record, &headers(record, at, value), record.body.as_bytes());
                }
            }
        }
    }
}

/// A signature over less than all of the body is none.
#[test]
fn a_truncated_body_is_turned_away() {
    for provider in PROVIDERS {
        let all = records(provider.name);
        let passes = |record: &&Recorded| {
            judge(record, &headers(record, usize::MAX, b""), record.body.as_bytes()).1.is_some()
        };
        let record = all.iter().find(passes).expect("an authentic record");
        let headers = headers(record, usize::MAX, b"");
        for end in 0..record.body.len() {
            let (verdict, proof) = judge(record, &headers, &record.body.as_bytes()[..end]);
            let turned_away = matches!(verdict, Verdict::Rejected(_));
            assert!(turned_away || proof == Some(Proof::Token), "{} {end}", provider.name);
        }
    }
}

/// A provider that signs half a body has said nothing that can be acted on.
#[test]
fn a_signed_half_is_unreadable() {
    for record in [
        "stripe/refund-created-full",
        "paddle/adjustment-updated-approved-refund",
        "polar/refund-created-succeeded",
        "dodopayments/refund-succeeded-full",
        "creem/refund-created",
        "lemonsqueezy/subscription-payment-success-renewal",
        "shopify/refunds-create-partial",
        "woocommerce/order-updated-refunded",
        "razorpay/refund-processed-partial",
        "flutterwave/v4-refund-completed",
        "phonepe/hmac-refund-completed",
        "phonepe/order-completed",
        "chargebee/payment-refunded-partial",
        "xendit/refund-succeeded",
    ] {
        let whole = Vector::load(record).body;
        for end in (0..whole.len()).filter(|end| whole.is_char_boundary(*end)).step_by(13) {
            let mut vector = Vector::load(record);
            whole[..end].clone_into(&mut vector.body);
            vector.sign();
            let line = vector.explain();
            assert_eq!(
                (&line["kind"], &line["verified"]),
                (&"rejected".into(), &true.into()),
                "{record} {end}"
            );
        }
    }
}

/// What is authentic can have any shape.
#[test]
fn every_value_replaced_by_every_kind() {
    for record in [
        "stripe/checkout-completed-one-time-eur",
        "stripe/invoice-paid-renewal-basil",
        "stripe/refund-created-full",
        "paddle/transaction-completed-renewal",
        "polar/order-paid-subscription-cycle",
        "dodopayments/payment-succeeded-one-time",
        "creem/subscription-paid-monthly",
        "lemonsqueezy/order-refunded-full",
        "shopify/refunds-create-partial",
        "woocommerce/order-updated-refunded",
        "razorpay/subscription-charged",
        "razorpay/refund-processed-partial",
        "flutterwave/v3-charge-completed-ngn",
        "flutterwave/v4-refund-completed",
        "phonepe/hmac-order-completed",
        "phonepe/refund-completed-partial",
        "chargebee/payment-succeeded-subscription",
        "chargebee/payment-refunded-partial",
        "xendit/payment-capture-idr",
        "xendit/refund-succeeded",
    ] {
        let vector = Vector::load(record);
        let mut pointers = Vec::new();
        collect(&serde_json::from_str(&vector.body).expect("JSON"), "", &mut pointers);
        for (n, pointer) in pointers.iter().enumerate() {
            // Each value somewhere, and each place with four of them: all of all takes minutes.
            for value in VALUES.iter().cycle().skip(n).take(4) {
                let value: serde_json::Value = serde_json::from_str(value).expect("JSON");
                let mut vector = vector.clone();
                vector.change(&serde_json::json!({ pointer.as_str(): value }));
                vector.sign();
                assert_eq!(vector.explain()["verified"], true, "{record} {pointer}");
            }
        }
    }
}

const VALUES: [&str; 11] =
    ["null", "true", "-1", "1e99", "0.1", "\"\"", "\"\\u0000\"", "[]", "[[]]", "{}", "{\"id\":7}"];

fn collect(value: &serde_json::Value, at: &str, pointers: &mut Vec<String>) {
    let mut below = |name: String, value| {
        let pointer = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
        if !pointer.contains('~') {
            collect(value, &pointer, pointers);
            pointers.push(pointer);
        }
    };
    match value {
        serde_json::Value::Object(members) => {
            members.iter().for_each(|(name, value)| below(name.clone(), value));
        }
        serde_json::Value::Array(values) => {
            values.iter().enumerate().for_each(|(n, value)| below(n.to_string(), value));
        }
        _ => {}
    }
}

proptest! {
    #[test]
    fn no_request_panics(
        which in any::<prop::sample::Index>(),
        record in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        value in proptest::collection::vec(any::<u8>(), 0..80),
        body in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..200)),
    ) {
        let provider: &Provider = which.get(PROVIDERS);
        let records = records(provider.name);
        let record = record.get(&records);
        let headers = headers(record, at.index(record.headers.len()), &value);
        let _ = judge(record, &headers, body.as_deref().unwrap_or(record.body.as_bytes()));
    }

    #[test]
    fn no_file_panics(text in "\\PC{0,100}|[{}\\[\\]\":,a-z0-9]{0,60}") {
        let _ = explain(&text);
    }
}
