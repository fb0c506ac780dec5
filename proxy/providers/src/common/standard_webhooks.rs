//! Standard Webhooks
//! (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>).

use super::{
    signature::{self, Encoding},
    timestamp::{self, Bound},
};
use crate::{Context, Proof, Rejection, Request};
use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use usher_model::Secret;

/// The delivery's id.
pub(crate) const ID: &str = "webhook-id";
const TIMESTAMP: &str = "webhook-timestamp";
const SIGNATURE: &str = "webhook-signature";

/// Secrets are pasted with and without the padding.
const KEYS: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Whether the request carries all three header fields.
pub(crate) fn present(request: &Request<'_>) -> bool {
    [ID, TIMESTAMP, SIGNATURE].iter().all(|name| request.header(name).is_some())
}

/// Verifies `id.timestamp.body`; `keys` makes the HMAC keys that a configured secret can stand for.
pub(crate) fn verify(
    request: &Request<'_>,
    context: &Context<'_>,
    keys: fn(&Secret) -> Vec<Vec<u8>>,
) -> Result<Proof, Rejection> {
    let header = |name| request.header(name).ok_or(Rejection::MissingHeader(name));
    let (id, time, signatures) = (header(ID)?, header(TIMESTAMP)?, header(SIGNATURE)?);
    let at = timestamp::read(time).ok_or(Rejection::BadSignature)?;
    let ours: Vec<&str> = signatures
        .split(' ')
        .filter_map(|one| one.strip_prefix("v1,"))
        .filter(|one| !one.is_empty())
        .collect();
    if ours.is_empty() {
        return Err(Rejection::UnsupportedVersion);
    }
    let parts: [&[u8]; 5] = [id.as_bytes(), b".", time.as_bytes(), b".", request.body];
    signature::check(context.secrets().flat_map(keys), &parts, Encoding::Base64, &ours)?;
    timestamp::check(at, context.now, Bound::Both)?;
    Ok(Proof::Body)
}

/// The key as the specification has it: base64 after `whsec_`. Nothing when it is none.
pub(crate) fn decoded_key(secret: &Secret) -> Option<Vec<u8>> {
    let text = secret.expose();
    let encoded = text.strip_prefix(b"whsec_").unwrap_or(text);
    KEYS.decode(encoded).ok().filter(|key| !key.is_empty())
}
