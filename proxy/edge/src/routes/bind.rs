//! `POST bind`: a page ties an order to its visitor's click before the checkout leaves the browser.

use super::page_body;
use crate::{
    answer,
    call::{Call, Outcome},
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
    call.detached(async move { core.conversions.bind(&site, &body, &visitor).await }).await??;
    Ok(answer::empty(StatusCode::NO_CONTENT).into())
}
