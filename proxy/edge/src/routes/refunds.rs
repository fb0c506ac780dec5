//! `POST v1/conversions/{id}/refund`: the merchant's server reports money that goes back.

use super::server;
use crate::{
    call::{Call, Outcome},
    fault::Fault,
};
use percent_encoding::percent_decode_str;
use std::sync::Arc;
use usher_front::Inbound;
use usher_model::limits::CONVERSION_ID_BYTES;

pub(super) async fn act(call: &Call<'_>, id: &str, body: Inbound) -> Result<Outcome, Fault> {
    // Only what `is_id` allows comes here, so this is text.
    let id = percent_decode_str(id).decode_utf8_lossy().into_owned();
    let body = server::signed(call, body).await?;
    let key = server::idempotency_key(call)?;
    let (core, site) = (call.core()?, Arc::clone(&call.face.site));
    let said = call
        .detached(async move { core.conversions.refund(&site, &id, &body, key.as_deref()).await })
        .await??;
    Ok(Outcome::said(said))
}

/// Whether a path's segment may be a conversion's id, ours or the platform's: RFC 3986's unreserved characters, escaped or
/// not, since clients escape ids without looking. `.` and `..` mean other things in a path, and the id goes on into one.
pub(super) fn is_id(segment: &str) -> bool {
    let id = || percent_decode_str(segment);
    (1..=CONVERSION_ID_BYTES).contains(&id().count())
        && id().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
        && id().any(|byte| byte != b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_short_and_plain() {
        for id in ["a", "com_1", "A.b~C-9_", "%41", "..a", &"a".repeat(200)] {
            assert!(is_id(id), "{id}");
        }
        for id in [
            "",
            ".",
            "..",
            "%2e%2E",
            "a/b",
            "%2F",
            "a b",
            "a%20b",
            "a+b",
            "%",
            "a%4",
            "%e9",
            "é",
            "a\0",
            &"a".repeat(201),
        ] {
            assert!(!is_id(id), "{id}");
        }
    }
}
