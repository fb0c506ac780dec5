//! `POST signups`: a page reports a lead.

use super::page_body;
use crate::{
    call::{Call, Outcome},
    fault::Fault,
    visitor,
};
use std::sync::Arc;
use usher_front::Inbound;

pub(super) async fn act(call: &Call<'_>, body: Inbound) -> Result<Outcome, Fault> {
    let body = page_body(call, body).await?;
    let visitor = visitor::of(call.head, call.address, call.face);
    let (core, site) = (call.core()?, Arc::clone(&call.face.site));
    let said = call.detached(async move { core.conversions.signup(&site, &body, &visitor).await }).await??;
    Ok(Outcome::said(said))
}
