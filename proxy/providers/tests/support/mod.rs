//! Recorded requests, changed and signed anew. The signatures are computed here and not by the crate, so that a mistake there
//! does not hide itself.

#![allow(dead_code)] // each test file uses its part

use base64::{Engine, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;
use std::{fs, path::PathBuf};

#[derive(Clone)]
pub(crate) struct Vector {
    pub(crate) json: Value,
    pub(crate) body: String,
}

pub(crate) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/webhooks")
}

impl Vector {
    /// The record `provider/case`.
    pub(crate) fn load(case: &str) -> Self {
        let text = fs::read_to_string(folder().join(format!("{case}.json"))).expect(case);
        let json: Value = serde_json::from_str(&text).expect("a vector");
        let body = json["body"].as_str().expect("a body").to_owned();
        Self { json, body }
    }

    /// Puts values at JSON pointers (RFC 6901) of the body.
    pub(crate) fn change(&mut self, changes: &Value) {
        let mut body: Value = serde_json::from_str(&self.body).expect("a JSON body");
        for (pointer, value) in changes.as_object().expect("pointers") {
            let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
            match body.pointer_mut(parent).expect(pointer) {
                Value::Array(list) => list[name.parse::<usize>().expect("an index")] = value.clone(),
                parent => parent[name] = value.clone(),
            }
        }
        self.body = body.to_string();
    }

    pub(crate) fn header(&mut self, name: &str, value: &str) {
        self.json["headers"][name] = value.into();
    }

    pub(crate) fn remove_header(&mut self, name: &str) {
        self.json["headers"].as_object_mut().expect("headers").remove(name);
    }

    pub(crate) fn secret(&self) -> String {
        self.json["secrets"][0].as_str().expect("a text").to_owned()
    }

    pub(crate) fn now(&self) -> i64 {
        self.json["now"].as_i64().expect("a time")
    }

    /// Signs the body as it is now, with the record's own secret, now.
    pub(crate) fn sign(&mut self) {
        self.sign_at(self.now());
    }

    pub(crate) fn sign_at(&mut self, at: i64) {
        let first = &self.json["secrets"][0];
        let text = |name: &str| first[name].as_str().unwrap_or_default().to_owned();
        let (secret, key) = (first.as_str().unwrap_or_default().to_owned(), text("hmac_secret"));
        let body = self.body.clone();
        let plain = mac(secret.as_bytes(), &body);
        match self.json["provider"].as_str().expect("a provider") {
            "stripe" => {
                let signature = hex(&mac(secret.as_bytes(), &format!("{at}.{body}")));
                self.header("Stripe-Signature", &format!("t={at},v1={signature}"));
            }
            "paddle" => {
                let signature = hex(&mac(secret.as_bytes(), &format!("{at}:{body}")));
                self.header("Paddle-Signature", &format!("ts={at};h1={signature}"));
            }
            "creem" => self.header("creem-signature", &hex(&plain)),
            "lemonsqueezy" => self.header("X-Signature", &hex(&plain)),
            "shopify" => self.header("X-Shopify-Hmac-Sha256", &BASE64_STANDARD.encode(plain)),
            "woocommerce" => self.header("X-WC-Webhook-Signature", &BASE64_STANDARD.encode(plain)),
            "polar" => self.sign_standard(at, secret.as_bytes()),
            "dodopayments" => self.sign_standard(at, &decoded(&secret)),
            "razorpay" => self.header("X-Razorpay-Signature", &hex(&plain)),
            "flutterwave" if self.json["headers"]["verif-hash"].is_null() => {
                self.header("flutterwave-signature", &BASE64_STANDARD.encode(plain));
            }
            "phonepe" if !key.is_empty() => {
                self.header("x-phonepe-checksum-signature", &hex(&mac(key.as_bytes(), &body)));
            }
            // What these send covers no body.
            "flutterwave" | "phonepe" | "chargebee" | "gumroad" | "xendit" => {}
            other => panic!("no signer for {other}"),
        }
    }

    pub(crate) fn sign_standard(&mut self, at: i64, key: &[u8]) {
        let id = self.json["headers"]["webhook-id"].as_str().unwrap_or("msg_1").to_owned();
        let signature = BASE64_STANDARD.encode(mac(key, &format!("{id}.{at}.{}", self.body)));
        self.header("webhook-id", &id);
        self.header("webhook-timestamp", &at.to_string());
        self.header("webhook-signature", &format!("v1,{signature}"));
    }

    /// The line that explains it.
    pub(crate) fn explain(&self) -> Value {
        let mut json = self.json.clone();
        json["body"] = self.body.clone().into();
        let line = usher_providers::explain(&json.to_string()).expect("a record");
        serde_json::from_str(&line).expect("a line of JSON")
    }

    /// The line that explains it has at least these members.
    pub(crate) fn expect(&self, expected: &Value) {
        let (line, case) = (self.explain(), &self.json["case"]);
        assert!(includes(&line, expected), "{case} with {}\n got {line}\n not {expected}", self.body);
    }

    /// Its kind is `ignored` or `rejected`, for this reason.
    pub(crate) fn stops(&self, kind: &str, reason: &str) {
        self.expect(&serde_json::json!({"kind": kind, "reason": reason}));
    }

    /// Its kind and its reason.
    pub(crate) fn outcome(&self) -> (String, String) {
        let line = self.explain();
        let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
        (text("kind"), text("reason"))
    }
}

/// Of `provider/case`, with these values put at these JSON pointers (`null` included; a missing member is made), the line
/// that explains it has at least these members.
pub(crate) fn expect(case: &str, changes: &Value, expected: &Value) {
    let mut vector = Vector::load(case);
    vector.change(changes);
    vector.sign();
    vector.expect(expected);
}

/// As [`expect`], of what is authentic and does nothing.
pub(crate) fn ignored(case: &str, changes: &Value, reason: &str) {
    expect(case, changes, &serde_json::json!({"verified": true, "kind": "ignored", "reason": reason}));
}

/// The key of the Standard Webhooks specification.
pub(crate) fn decoded(secret: &str) -> Vec<u8> {
    BASE64_STANDARD.decode(secret.strip_prefix("whsec_").unwrap_or(secret)).expect("base64")
}

pub(crate) fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether `got` has everything that `expected` has; `null` stands for "not there". Lists are compared entry by entry.
pub(crate) fn includes(got: &Value, expected: &Value) -> bool {
    match (got, expected) {
        (Value::Object(got), Value::Object(members)) => {
            members.iter().all(|(name, value)| includes(got.get(name).unwrap_or(&Value::Null), value))
        }
        (Value::Array(got), Value::Array(values)) => {
            got.len() == values.len() && got.iter().zip(values).all(|(got, value)| includes(got, value))
        }
        _ => got == expected,
    }
}
