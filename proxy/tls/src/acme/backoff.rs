//! How long a host rests after what went wrong. It is written down before an order begins, so that a process that dies over
//! and over does not order over and over.

use serde::{Deserialize, Serialize};
use usher_model::{Random, UnixMs, limits};

/// What is remembered of a host's orders.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Backoff {
    /// Orders in a row that did not come to the directory's judgement, or of which the end is not known.
    pub(crate) unreached: u32,
    /// Orders in a row that it refused.
    pub(crate) refused: u32,
    /// No order before this moment.
    pub(crate) not_before: UnixMs,
    /// How the host was validated last.
    pub(crate) proof: Proof,
    /// What went wrong last, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
}

/// How a host is proved to be ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Proof {
    /// By a handshake (RFC 8737).
    #[default]
    #[serde(rename = "tls-alpn-01")]
    TlsAlpn,
    /// By plain HTTP (RFC 8555 section 8.3).
    #[serde(rename = "http-01")]
    Http,
}

impl Proof {
    pub(crate) fn other(self) -> Self {
        match self {
            Self::TlsAlpn => Self::Http,
            Self::Http => Self::TlsAlpn,
        }
    }
}

impl Backoff {
    /// Which way is tried next: the one that worked last, and the other after each refusal.
    pub(crate) fn next_proof(&self) -> Proof {
        if self.refused.is_multiple_of(2) { self.proof } else { self.proof.other() }
    }

    /// An order begins; if nothing more is heard of it, it counts as one that did not reach the directory.
    pub(crate) fn begin(&mut self, now: UnixMs, random: &dyn Random) {
        self.unreached = self.unreached.saturating_add(1);
        let rest = doubled(limits::ACME_RETRY_MS, self.unreached, limits::ACME_RETRY_LONGEST_MS);
        self.not_before = now.plus(jittered(rest, random));
    }

    /// The order came to nothing: the directory refused the host.
    pub(crate) fn refuse(&mut self, now: UnixMs, random: &dyn Random) {
        (self.unreached, self.refused) = (0, self.refused.saturating_add(1));
        let rest = match self.refused {
            1 => limits::ACME_RETRY_MS, // the other way has not been tried
            more => doubled(limits::ACME_REFUSED_MS, more - 1, limits::ACME_LONGEST_MS),
        };
        self.not_before = now.plus(jittered(rest, random));
    }

    /// The directory said that it is too much.
    pub(crate) fn limit(&mut self, now: UnixMs, random: &dyn Random) {
        let rest = doubled(limits::ACME_REFUSED_MS, self.unreached, limits::ACME_LONGEST_MS);
        self.not_before = now.plus(jittered(rest, random));
    }

    /// The directory asked to wait for some seconds (`Retry-After`, RFC 9110 section 10.2.3).
    pub(crate) fn wait(&mut self, now: UnixMs, seconds: i64) {
        let until = now.plus(seconds.saturating_mul(1000).min(limits::ACME_LONGEST_MS));
        self.not_before = self.not_before.max(until);
    }

    /// Whoever is asked said no. No order was made.
    pub(crate) fn deny(&mut self, now: UnixMs, random: &dyn Random) {
        self.unreached = 0;
        self.not_before = now.plus(jittered(limits::ACME_DENIED_MS, random));
    }

    /// A certificate of `life_ms` was issued. Whatever its dates say, the next is not ordered at once.
    pub(crate) fn succeed(now: UnixMs, life_ms: i64, proof: Proof) -> Self {
        let not_before = now.plus(limits::ACME_AGAIN_MS.min(life_ms / 3));
        Self { not_before, proof, ..Self::default() }
    }

    /// The same moment when the clock was far ahead when it was written: no rest is longer than the longest.
    pub(crate) fn not_before(&self, now: UnixMs) -> UnixMs {
        self.not_before.min(now.plus(limits::ACME_LONGEST_MS))
    }
}

/// `first` doubled with each of `times` but the first.
fn doubled(first: i64, times: u32, longest: i64) -> i64 {
    first.saturating_mul(1 << times.saturating_sub(1).min(30)).min(longest)
}

/// Three quarters to all of it, so that edges that failed together do not try together and none waits longer than it may.
fn jittered(ms: i64, random: &dyn Random) -> i64 {
    let quarter = u64::try_from(ms / 4).unwrap_or(0);
    ms - i64::try_from(random.below(quarter + 1)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::super::scripted::{Always, End};
    use super::*;

    /// No jitter, and all of it.
    const LONGEST: Always = Always(End::Low);
    const SHORTEST: Always = Always(End::High);
    const NOW: UnixMs = UnixMs(1_000_000_000);
    const HOUR: i64 = 60 * 60 * 1000;

    #[test]
    fn a_host_is_never_validated_five_times_an_hour() {
        let (mut backoff, mut now, mut tries) = (Backoff::default(), NOW, Vec::new());
        for _ in 0..20 {
            tries.push(now);
            backoff.begin(now, &SHORTEST);
            backoff.refuse(now, &SHORTEST);
            now = backoff.not_before;
        }
        for window in tries.windows(6) {
            assert!(window[5].since(window[0]) > HOUR, "{tries:?}");
        }
        let last = tries[19].since(tries[18]);
        assert!((limits::ACME_LONGEST_MS * 3 / 4..=limits::ACME_LONGEST_MS).contains(&last), "{last}");
    }

    #[test]
    fn the_ways_take_turns_and_the_one_that_works_is_kept() {
        let mut backoff = Backoff::default();
        let mut ways = Vec::new();
        for _ in 0..4 {
            ways.push(backoff.next_proof());
            backoff.refuse(NOW, &LONGEST);
        }
        assert_eq!(ways, [Proof::TlsAlpn, Proof::Http, Proof::TlsAlpn, Proof::Http]);
        assert_eq!(Backoff::succeed(NOW, HOUR, Proof::Http).next_proof(), Proof::Http);
        // What is not the host's fault changes nothing.
        backoff = Backoff::default();
        backoff.begin(NOW, &LONGEST);
        assert_eq!(backoff.next_proof(), Proof::TlsAlpn);
    }

    #[test]
    fn a_directory_that_is_away_is_asked_once_an_hour_at_last() {
        let mut backoff = Backoff::default();
        backoff.begin(NOW, &LONGEST);
        assert_eq!(backoff.not_before.since(NOW), limits::ACME_RETRY_MS);
        for _ in 0..60 {
            backoff.begin(NOW, &LONGEST);
        }
        assert_eq!(backoff.not_before.since(NOW), limits::ACME_RETRY_LONGEST_MS);
    }

    #[test]
    fn a_directory_is_obeyed_for_a_day_at_most() {
        let rest = |seconds: i64| {
            let mut backoff = Backoff::default();
            backoff.limit(NOW, &LONGEST);
            backoff.wait(NOW, seconds);
            backoff.not_before.since(NOW)
        };
        assert_eq!(rest(0), limits::ACME_REFUSED_MS);
        assert_eq!(rest(3 * 3600), 3 * HOUR);
        assert_eq!(rest(i64::MAX), limits::ACME_LONGEST_MS);
        assert_eq!(rest(i64::MIN), limits::ACME_REFUSED_MS);
    }

    #[test]
    fn a_success_does_not_order_again_at_once() {
        assert_eq!(Backoff::succeed(NOW, 90 * 24 * HOUR, Proof::Http).not_before.since(NOW), 6 * HOUR);
        assert_eq!(Backoff::succeed(NOW, 30_000, Proof::Http).not_before.since(NOW), 10_000);
        assert_eq!(Backoff::succeed(NOW, -5, Proof::Http).not_before.since(NOW), -1);
    }

    #[test]
    fn a_clock_that_was_wrong_costs_a_day_at_most() {
        let backoff = Backoff { not_before: UnixMs(i64::MAX), ..Backoff::default() };
        assert_eq!(backoff.not_before(NOW), NOW.plus(limits::ACME_LONGEST_MS));
    }
}
