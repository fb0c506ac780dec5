//! `POST v1/conversions`: the merchant's server reports a sale.

use crate::{
    body,
    call::{Call, Outcome},
    fault::Fault,
};
use hyper::body::Incoming;
use std::sync::Arc;
use usher_model::limits::SERVER_BODY_BYTES;

pub(super) async fn act(call: &Call<'_>, body: Incoming) -> Result<Outcome, Fault> {
    let headers = &call.head.headers;
    call.face.keys.check_bearer(headers)?;
    call.check_json()?;
    let body = body::read(body, SERVER_BODY_BYTES).await?;
    call.face.keys.check_signature(headers, &body, call.now)?;
    let (core, site) = (Arc::clone(call.core), Arc::clone(&call.face.site));
    let said = call.detached(async move { core.conversions.convert(&site, &body).await }).await??;
    Ok(Outcome::said(said))
}
