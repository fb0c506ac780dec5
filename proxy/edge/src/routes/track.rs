//! `POST track`: a page reports where its visitor came from.

use super::page_body;
use crate::{
    answer,
    call::{Call, Outcome},
    cookie::Grant,
    fault::Fault,
    visitor,
};
use http::StatusCode;
use std::sync::Arc;
use usher_front::Inbound;

pub(super) async fn act(call: &Call<'_>, body: Inbound) -> Result<Outcome, Fault> {
    let body = page_body(call, body).await?;
    let visitor = visitor::of(call.head, call.address, call.face);
    let (core, site) = (call.core()?, Arc::clone(&call.face.site));
    let tracked = call.detached(async move { core.capture.track(&site, &body, &visitor).await }).await??;
    call.face.meters.tracked(tracked.cookie.as_ref());
    Ok(Outcome {
        answer: answer::json(StatusCode::OK, &tracked.answer),
        grant: Grant::of(call, tracked.cookie, tracked.proof, tracked.data),
    })
}
