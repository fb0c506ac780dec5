//! What the core needs of the platform.

use async_trait::async_trait;
use serde_json::{Map, Value};
use std::{net::IpAddr, time::Duration};
use usher_model::{ClickId, Job};

/// A call that brought no answer. Whether the platform has acted on it is unknown.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CallError {
    /// No connection, or it broke.
    #[error("the platform cannot be reached: {0}")]
    Unreachable(String),
    /// No answer within the deadline.
    #[error("the platform did not answer within {0} ms")]
    TimedOut(u64),
    /// An answer that is none: too long, or not what the contract says.
    #[error("the platform's answer cannot be read: {0}")]
    Rubbish(String),
}

/// A browser's click, as the platform's `POST /track` takes it (camelCase, unwrapped answer).
#[derive(Clone, Debug, Default)]
pub struct TrackCall {
    /// The JSON object to send, `programId` included.
    pub body: Map<String, Value>,
    /// The visitor's address, sent as `X-Real-IP` and `X-Forwarded-For`; `None` without consent.
    pub address: Option<IpAddr>,
    /// The visitor's user agent, sent as `User-Agent`; `None` without consent.
    pub user_agent: Option<String>,
    /// The page's `Referer`.
    pub referer: Option<String>,
    /// The page's `Origin`.
    pub origin: Option<String>,
}

/// What `POST /track` answered.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrackAnswer {
    /// The click's id; `None` when the platform has no click for it (an empty `cid`).
    pub cid: Option<ClickId>,
    /// The whole answer as it came, for the front end (`data`, `resolved_query_params`, …), without `cid`.
    pub rest: Map<String, Value>,
}

/// What a server-to-server call answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// The body.
    pub body: String,
    /// `data.id` of the body, when it has one.
    pub id: Option<String>,
    /// `Retry-After` (seconds or date, RFC 9110 section 10.2.3) or `error.retryAfter`, in milliseconds from now.
    pub retry_after_ms: Option<i64>,
    /// What `X-RateLimit-*` said.
    pub window: Option<RateWindow>,
}

/// The platform's count of our calls, as it tells it with an answer (<https://docs.affonso.io/api/rate-limits>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateWindow {
    /// `X-RateLimit-Limit`: calls that a window allows.
    pub limit: Option<u64>,
    /// `X-RateLimit-Remaining`: how many are left of it.
    pub remaining: u64,
    /// `X-RateLimit-Reset`: when it ends, in seconds since the epoch by the platform's clock. It names the window.
    pub reset: i64,
    /// How far away that is, in milliseconds.
    pub resets_in_ms: i64,
}

/// The platform. Each call keeps to the deadline it is given, connecting included.
#[async_trait]
pub trait Platform: Send + Sync + 'static {
    /// `POST /track`.
    async fn track(&self, call: TrackCall, deadline: Duration) -> Result<TrackAnswer, CallError>;

    /// `POST /clicks`, `/signups`, `/conversions`, `/conversions/{conversion}/refund`, `/events` or
    /// `/sources/segment/events`: `body` goes out byte for byte, with the key, and signed where the platform takes signatures
    /// (all but clicks and signups) and a secret is set, with a fresh timestamp. `conversion` is what the platform calls
    /// the conversion that a refund is of.
    async fn deliver(
        &self,
        job: Job,
        conversion: Option<&str>,
        body: &str,
        deadline: Duration,
    ) -> Result<Reply, CallError>;
}
