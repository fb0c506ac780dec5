//! Token buckets, filled by the clock, bounded in number: what may be done so often by whom.

use quick_cache::sync::Cache;
use std::{hash::Hash, net::IpAddr};
use usher_model::UnixMs;

/// A bucket: how many tries were left at a moment. It fills by itself as time goes on.
#[derive(Clone, Copy)]
struct Bucket {
    left: u32,
    at: UnixMs,
}

/// How large a bucket is and how fast it fills.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    /// Tries when it is full.
    pub(crate) tries: u32,
    /// Milliseconds until there is one more.
    pub(crate) refill_ms: i64,
}

/// Buckets by key. One that is forgotten, for there are too many, is full again.
pub(crate) struct Buckets<K>(Cache<K, Bucket>);

impl<K: Clone + Eq + Hash> Buckets<K> {
    /// For about so many keys.
    pub(crate) fn new(most: usize) -> Self {
        Self(Cache::new(most))
    }

    /// Whether there is a try left.
    pub(crate) fn has(&self, key: &K, size: Size, now: UnixMs) -> bool {
        self.filled(key, size, now).left > 0
    }

    /// Takes a try, if there is one.
    pub(crate) fn take(&self, key: K, size: Size, now: UnixMs) {
        let bucket = self.filled(&key, size, now);
        self.0.insert(key, Bucket { left: bucket.left.saturating_sub(1), ..bucket });
    }

    fn filled(&self, key: &K, size: Size, now: UnixMs) -> Bucket {
        let Some(bucket) = self.0.get(key) else { return Bucket { left: size.tries, at: now } };
        let gained = now.since(bucket.at).max(0) / size.refill_ms;
        let left = bucket.left.saturating_add(u32::try_from(gained).unwrap_or(u32::MAX)).min(size.tries);
        // What is not a whole try yet stays on account.
        Bucket { left, at: if left == size.tries { now } else { bucket.at.plus(gained * size.refill_ms) } }
    }
}

/// The network around an address: /24, /48.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            IpAddr::from([a, b, c, 0])
        }
        IpAddr::V6(v6) => {
            let [a, b, c, ..] = v6.segments();
            IpAddr::from([a, b, c, 0, 0, 0, 0, 0])
        }
    }
}
