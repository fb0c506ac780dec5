//! The face of `referral` in the browser: one function, strings in, a string out.
#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

use alloc::{string::String, vec::Vec};

use wasm_bindgen::prelude::wasm_bindgen;

#[cfg(target_arch = "wasm32")]
mod runtime;

/// Reads an address. `parameters` are the site's, joined by commas.
///
/// Answers a JSON object with the fields of `/track`, or an empty string when the address holds no referral.
#[wasm_bindgen]
#[must_use]
pub fn parse(url: &str, parameters: &str) -> String {
    let parameters: Vec<&[u8]> = parameters.as_bytes().split(|&b| b == b',').collect();
    let fields = referral::track_fields(url, &parameters);
    if fields.iter().any(|(field, _)| matches!(*field, "trackingId" | "affonsoId")) {
        json(&fields)
    } else {
        String::new()
    }
}

fn json(fields: &[(&'static str, String)]) -> String {
    let mut json = String::new();
    for (field, value) in fields {
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
