//! Request bodies: bounded in size and in time.

use crate::fault::Fault;
use bytes::Bytes;
use http_body::Body;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use std::time::Duration;
use usher_front::{Inbound, InboundError};
use usher_model::limits::BODY_READ_MS;

/// Reads a whole body of at most `limit` bytes. One that announces more is refused before any of it is read, so that a
/// client that waits for `100 Continue` never sends it.
pub(crate) async fn read(body: Inbound, limit: usize) -> Result<Bytes, Fault> {
    if body.size_hint().lower() > limit as u64 {
        return Err(Fault::TooLarge(limit));
    }
    let whole = Limited::new(body, limit).collect();
    match tokio::time::timeout(Duration::from_millis(BODY_READ_MS), whole).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Fault::TooLarge(limit)),
        Ok(Err(error)) => match error.downcast_ref() {
            Some(InboundError::TooSlow) => Err(Fault::TooSlow),
            _ => Err(Fault::Broken),
        },
        Err(_) => Err(Fault::TooSlow),
    }
}
