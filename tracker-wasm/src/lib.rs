//! The face of `referral` in the browser: one function, strings in, a string out.
#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

use alloc::string::String;

use referral::{Parameters, Referral};
use wasm_bindgen::prelude::wasm_bindgen;

#[cfg(target_arch = "wasm32")]
mod runtime;

/// Reads an address. `parameters` are the site's, joined by commas.
///
/// Answers a JSON object with the fields of `/track`, or an empty string when the address holds no referral.
#[wasm_bindgen]
#[must_use]
pub fn parse(url: &str, parameters: &str) -> String {
    let parameters = Parameters::new(parameters.split(',')).unwrap_or_default();
    let referral = referral::parse(url, &parameters);
    if referral.is_present() { json(&referral) } else { String::new() }
}

fn json(referral: &Referral) -> String {
    let mut json = String::new();
    for (field, value) in referral.track_fields() {
        json.push(if json.is_empty() { '{' } else { ',' });
        push_string(&mut json, field);
        json.push(':');
        push_string(&mut json, value);
    }
    json.push('}');
    json
}

/// Control characters need no escape: `referral` lets none through.
fn push_string(json: &mut String, s: &str) {
    json.push('"');
    for c in s.chars() {
        if matches!(c, '"' | '\\') {
            json.push('\\');
        }
        json.push(c);
    }
    json.push('"');
}
