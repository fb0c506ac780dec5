//! `GET` and `POST codes/{code}`: what a promo code is worth, and whose it is.
//!
//! A code that counts makes a click and sets cookies, so pages apply one by `POST`. There an unknown code is an answer as good
//! as any other: browsers print every `404` into the console of the page.

use crate::{
    answer, body,
    call::{Call, Outcome},
    cookie::Grant,
    cors::Caller,
    fault::Fault,
    visitor,
};
use http::{Method, StatusCode};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use std::sync::Arc;
use usher_core::Refusal;
use usher_front::Inbound;
use usher_model::{PromoCode, limits::BROWSER_BODY_BYTES};

pub(super) async fn act(call: &Call<'_>, code: &str, body: Inbound) -> Result<Outcome, Fault> {
    let applies = call.head.method == Method::POST;
    if applies {
        // It says nothing; a connection is used again only when all of it was read.
        body::read(body, BROWSER_BODY_BYTES).await?;
    }
    // What is no UTF-8 becomes a code that nobody can have, and counts as a guess like any other.
    let code = percent_decode_str(code).decode_utf8_lossy().into_owned();
    let mut visitor = visitor::of(call.head, call.address, call.face);
    // Somebody else's page may not make its visitors ours: no click, no cookie.
    visitor.signals.head |= call.caller == Caller::Foreign;
    let (core, site) = (call.core()?, Arc::clone(&call.face.site));
    let typed = code.clone();
    let resolved = call
        .detached(async move { core.codes.resolve(&site, &typed, &visitor, &core.capture).await })
        .await?;
    let resolved = match resolved {
        Err(Refusal::NotFound { .. }) if applies => {
            return Ok(answer::json(StatusCode::OK, &unknown(&code)).into());
        }
        resolved => resolved?,
    };
    Ok(Outcome {
        answer: answer::json(StatusCode::OK, &resolved.answer),
        grant: Grant::of(call, resolved.cookie, resolved.proof, resolved.data),
    })
}

/// What a page is told of a code that nobody knows, in the form of those that are known.
fn unknown(typed: &str) -> Value {
    let folded = PromoCode::fold(typed);
    let code = folded.as_ref().map_or(typed, PromoCode::as_str);
    json!({"code": code, "valid": false, "discount": null, "reason": "unknown"})
}
