//! `GET codes/{code}`: what a promo code is worth, and whose it is.

use crate::{
    answer,
    call::{Call, Outcome},
    cookie::Grant,
    cors::Caller,
    fault::Fault,
    visitor,
};
use http::StatusCode;
use percent_encoding::percent_decode_str;
use std::sync::Arc;

pub(super) async fn act(call: &Call<'_>, code: &str) -> Result<Outcome, Fault> {
    // What is no UTF-8 becomes a code that nobody can have, and counts as a guess like any other.
    let code = percent_decode_str(code).decode_utf8_lossy().into_owned();
    let mut visitor = visitor::of(call.head, call.address, call.face);
    // Somebody else's page may not make its visitors ours: no click, no cookie.
    visitor.signals.head |= call.caller == Caller::Foreign;
    let (core, site) = (call.core()?, Arc::clone(&call.face.site));
    let resolved = call
        .detached(async move { core.codes.resolve(&site, &code, &visitor, &core.capture).await })
        .await??;
    Ok(Outcome {
        answer: answer::json(StatusCode::OK, &resolved.answer),
        grant: resolved.cookie.map(|click| Grant::Click { click, proof: resolved.proof, data: None }),
    })
}
