//! The platform's rate limit: what it says of it, and whether it keeps to it (<https://docs.affonso.io/api/rate-limits>).

use http::{HeaderValue, header};
use usher_model::UnixMs;

use crate::demo::http::Reply;

/// What is claimed while nobody set a limit.
const CLAIMED_PER_MINUTE: u32 = 3000;
const WINDOW_MS: i64 = 60_000;

/// How often the platform may be asked.
#[derive(Debug, Clone, Default)]
pub(crate) enum Rate {
    /// It claims a limit that never runs out; the mode `rate_limit` plays that it did.
    #[default]
    Claimed,
    /// It says nothing of a limit, and has none.
    Lifted,
    /// It keeps to a limit.
    Kept(Window),
}

/// A window of a minute, from the first request in it.
#[derive(Debug, Clone)]
pub(crate) struct Window {
    per_minute: u32,
    used: u32,
    ends: UnixMs,
}

impl Rate {
    /// A limit that is kept.
    pub(super) const fn kept(per_minute: u32) -> Self {
        Self::Kept(Window { per_minute, used: 0, ends: UnixMs(0) })
    }

    /// Counts a request. When it is one too many: the seconds until the next may come.
    pub(super) fn count(&mut self, now: UnixMs) -> Option<u64> {
        let Self::Kept(window) = self else { return None };
        if window.ends <= now {
            *window = Window { used: 0, ends: now.plus(WINDOW_MS), ..*window };
        }
        if window.used < window.per_minute {
            window.used += 1;
            return None;
        }
        Some(seconds_until(window.ends, now))
    }

    /// Puts what it says on an answer. `spent` is the wait in seconds when nothing is left.
    pub(super) fn tell(&self, mut reply: Reply, now: UnixMs, spent: Option<u64>) -> Reply {
        let headers = reply.headers_mut();
        if let Some(wait) = spent {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(wait));
        }
        let (limit, remaining, wait) = match self {
            Self::Lifted if spent.is_none() => return reply,
            Self::Lifted | Self::Claimed => (CLAIMED_PER_MINUTE, CLAIMED_PER_MINUTE - 1, spent.unwrap_or(60)),
            Self::Kept(window) => {
                (window.per_minute, window.per_minute - window.used, seconds_until(window.ends, now))
            }
        };
        let remaining = if spent.is_some() { 0 } else { remaining };
        headers.insert("x-ratelimit-limit", HeaderValue::from(limit));
        headers.insert("x-ratelimit-remaining", HeaderValue::from(remaining));
        headers.insert("x-ratelimit-reset", HeaderValue::from(now.seconds().saturating_add_unsigned(wait)));
        reply
    }
}

fn seconds_until(end: UnixMs, now: UnixMs) -> u64 {
    u64::try_from(end.since(now)).unwrap_or(0).div_ceil(1_000).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_is_kept_runs_out_and_comes_back_with_the_next_window() {
        let mut rate = Rate::kept(2);
        let at = |ms: i64| UnixMs(1_700_000_000_000 + ms);
        assert_eq!([at(0), at(1), at(30_001)].map(|now| rate.count(now)), [None, None, Some(30)]);
        let told = rate.tell(Reply::default(), at(30_001), Some(30));
        assert_eq!(told.headers()["x-ratelimit-remaining"], "0");
        assert_eq!(told.headers()["x-ratelimit-reset"], "1700000060");
        assert_eq!(rate.count(at(60_000)), None);
    }

    #[test]
    fn a_limit_that_was_lifted_is_not_spoken_of() {
        let mut rate = Rate::Lifted;
        assert_eq!(rate.count(UnixMs(0)), None);
        assert!(rate.tell(Reply::default(), UnixMs(0), None).headers().is_empty());
    }
}
