//! `POST v1/clicks`: the merchant's server reports a visit.

use super::server;
use crate::{
    call::{Call, Outcome},
    fault::Fault,
};
use std::sync::Arc;
use usher_front::Inbound;

pub(super) async fn act(call: &Call<'_>, body: Inbound) -> Result<Outcome, Fault> {
    let body = server::unsigned(call, body).await?;
    let key = server::idempotency_key(call)?;
    let (core, site) = (call.core()?, Arc::clone(&call.face.site));
    let said =
        call.detached(async move { core.conversions.click(&site, &body, key.as_deref()).await }).await??;
    Ok(Outcome::said(said))
}
