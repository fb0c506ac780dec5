//! What the routes share that only the site's own servers call.

use crate::{body, call::Call, fault::Fault};
use bytes::Bytes;
use http::HeaderName;
use usher_core::Refusal;
use usher_front::Inbound;
use usher_model::limits::{IDEMPOTENCY_KEY_BYTES, SERVER_BODY_BYTES};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The body of a call that the platform's SDK never signs (`clicks`, `signups`), once the caller has shown the site's key.
pub(super) async fn unsigned(call: &Call<'_>, body: Inbound) -> Result<Bytes, Fault> {
    call.face.keys.check_bearer(&call.head.headers)?;
    read(call, body).await
}

/// The body of a call that has to be signed where the site asks for signatures.
pub(super) async fn signed(call: &Call<'_>, body: Inbound) -> Result<Bytes, Fault> {
    let body = unsigned(call, body).await?;
    call.face.keys.check_signature(&call.head.headers, &body, call.now)?;
    Ok(body)
}

/// The same for Segment, whose libraries show the key in a way of their own.
pub(super) async fn segments(call: &Call<'_>, body: Inbound) -> Result<Bytes, Fault> {
    call.face.keys.check_bearer_or_basic(&call.head.headers)?;
    let body = read(call, body).await?;
    call.face.keys.check_signature(&call.head.headers, &body, call.now)?;
    Ok(body)
}

/// The header `Idempotency-Key`, which stands in where a body has no event id
/// (<https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-idempotency-key-header>).
pub(super) fn idempotency_key(call: &Call<'_>) -> Result<Option<String>, Fault> {
    let mut values = call.head.headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let key = value.to_str().ok().filter(|key| (1..=IDEMPOTENCY_KEY_BYTES).contains(&key.len()));
    match (key, values.next()) {
        (Some(key), None) if !key.contains('\t') => Ok(Some(key.to_owned())),
        _ => {
            let wanted =
                format!("Idempotency-Key must be 1 to {IDEMPOTENCY_KEY_BYTES} printable characters of ASCII");
            Err(Refusal::invalid("Idempotency-Key", wanted).into())
        }
    }
}

async fn read(call: &Call<'_>, body: Inbound) -> Result<Bytes, Fault> {
    call.check_json()?;
    body::read(body, SERVER_BODY_BYTES).await
}
