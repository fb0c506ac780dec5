//! `POST v1/conversions`: the merchant's server reports a sale.

use super::server;
use crate::{
    call::{Call, Outcome},
    fault::Fault,
};
use std::sync::Arc;
use usher_front::Inbound;

pub(super) async fn act(call: &Call<'_>, body: Inbound) -> Result<Outcome, Fault> {
    let body = server::signed(call, body).await?;
    let (core, site) = (call.core()?, Arc::clone(&call.face.site));
    let said = call.detached(async move { core.conversions.convert(&site, &body).await }).await??;
    Ok(Outcome::said(said))
}
