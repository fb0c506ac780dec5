//! `POST hooks/NAME`: a payment provider reports.

use crate::{
    answer, body,
    call::{Call, Outcome},
    fault::Fault,
};
use http::StatusCode;
use serde_json::json;
use std::sync::Arc;
use usher_core::conversions::Heard;
use usher_front::Inbound;
use usher_model::limits::WEBHOOK_BODY_BYTES;
use usher_providers::{Rejection, Request};

/// Answers `200` once what moved money is on stable storage, and for what is none of our business: providers repeat, and
/// switch off, what they are not thanked for. Only what nobody known has sent, or nobody can read, is turned away.
pub(super) async fn act(call: &Call<'_>, name: &str, body: Inbound) -> Result<Outcome, Fault> {
    let webhook = call.face.webhooks.get(name).ok_or(Fault::NotFound)?;
    let body = body::read(body, WEBHOOK_BODY_BYTES).await?;
    let (core, site) = (call.core()?, Arc::clone(&call.face.site));
    let (webhook, keyring) = (Arc::clone(webhook), Arc::clone(call.keyring));
    let (method, headers) = (call.head.method.clone(), call.head.headers.clone());
    let url = call.head.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
    let heard = call.detached(async move {
        let headers: Vec<(&str, &[u8])> =
            headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let request = Request { method: method.as_str(), url: &url, headers: &headers, body: &body };
        let heard = core.conversions.hear(&site, &webhook, &request, &keyring).await;
        note(&site.name, webhook.name.as_str(), &heard);
        heard
    });
    match heard.await?? {
        Heard::Taken => Ok(thanks(&json!({"received": true}))),
        Heard::Ignored(reason) => Ok(thanks(&json!({"received": true, "ignored": reason.word()}))),
        Heard::Rejected(Rejection::Unreadable(_)) => Err(Fault::Unreadable),
        Heard::Rejected(_) => Err(Fault::Unsigned),
    }
}

fn thanks(said: &serde_json::Value) -> Outcome {
    answer::json(StatusCode::OK, said).into()
}

/// One line for each delivery: whoever wonders why a payment did not count finds it.
fn note(site: &usher_model::SiteName, webhook: &str, heard: &Result<Heard, usher_core::Refusal>) {
    match heard {
        Ok(Heard::Taken) => tracing::info!(%site, webhook, "webhook taken"),
        Ok(Heard::Ignored(reason)) => {
            tracing::info!(%site, webhook, reason = reason.word(), "webhook ignored");
        }
        Ok(Heard::Rejected(why)) => {
            tracing::warn!(%site, webhook, reason = why.word(), %why, "webhook rejected");
        }
        Err(error) => {
            tracing::error!(%site, webhook, %error, "webhook not taken; the provider is asked to send it again");
        }
    }
}
