//! `POST signups`: a page reports a lead.

use super::page_body;
use crate::{
    call::{Call, Outcome},
    fault::Fault,
    visitor,
};
use hyper::body::Incoming;
use std::sync::Arc;

pub(super) async fn act(call: &Call<'_>, body: Incoming) -> Result<Outcome, Fault> {
    let body = page_body(call, body).await?;
    let visitor = visitor::of(call.head, call.address, call.face);
    let (core, site) = (Arc::clone(call.core), Arc::clone(&call.face.site));
    let said = call.detached(async move { core.conversions.signup(&site, &body, &visitor).await }).await??;
    Ok(Outcome::said(said))
}
