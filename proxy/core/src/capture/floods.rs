//! Floods of clicks: somebody who loads an affiliate's link over and over. They cost bounded memory and a bounded number of
//! calls to the platform, and no page breaks.

use crate::buckets::{Buckets, Size, network};
use std::{
    net::IpAddr,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};
use usher_model::{AffiliateCode, SiteName, UnixMs, limits};

const AFFILIATE: Size =
    Size { tries: limits::CLICKS_PER_NETWORK_AND_AFFILIATE, refill_ms: limits::CLICK_REFILL_MS };
const NETWORK: Size = Size { tries: limits::CLICKS_PER_NETWORK, refill_ms: limits::CLICK_NETWORK_REFILL_MS };

type Key = (SiteName, IpAddr, Option<AffiliateCode>);

/// Counts new clicks by network, and by network and affiliate.
pub(super) struct Floods {
    buckets: Buckets<Key>,
    untold: AtomicU64,
}

impl Floods {
    pub(super) fn new() -> Self {
        Self { buckets: Buckets::new(limits::CLICK_NETWORKS_REMEMBERED), untold: AtomicU64::new(0) }
    }

    /// Whether the platform is told of one more now. Where all visitors come through one proxy that is not trusted to say
    /// who they are, its address says nothing; such a one is of the shop's own network as a rule.
    pub(super) fn admits(
        &self,
        site: &SiteName,
        address: IpAddr,
        affiliate: Option<&AffiliateCode>,
        now: UnixMs,
    ) -> bool {
        let address = address.to_canonical();
        if is_own(address) {
            return true;
        }
        let network = network(address);
        let whole = ((site.clone(), network, None), NETWORK);
        let narrow = affiliate.map(|affiliate| ((site.clone(), network, Some(affiliate.clone())), AFFILIATE));
        let buckets: Vec<(Key, Size)> = narrow.into_iter().chain([whole]).collect();
        if !buckets.iter().all(|(key, size)| self.buckets.has(key, *size, now)) {
            self.untold.fetch_add(1, Relaxed);
            return false;
        }
        for (key, size) in buckets {
            self.buckets.take(key, size, now);
        }
        true
    }

    /// How often it said no.
    pub(super) fn untold(&self) -> u64 {
        self.untold.load(Relaxed)
    }
}

/// An address that no visitor has whom the Internet brings (RFC 1918, RFC 4193, RFC 3927 and this machine).
fn is_own(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(floods: &Floods, from: &str, affiliate: &str, times: u32, now: UnixMs) -> u32 {
        let (site, affiliate) = (SiteName::new("shop"), AffiliateCode::new(affiliate));
        let (site, affiliate) = (site.expect("a site"), affiliate.expect("a code"));
        let address: IpAddr = from.parse().expect("an address");
        (0..times).map(|_| u32::from(floods.admits(&site, address, Some(&affiliate), now))).sum()
    }

    #[test]
    fn a_network_has_a_budget_for_each_affiliate_and_one_for_all() {
        let (floods, now) = (Floods::new(), UnixMs(1_000_000));
        assert_eq!(admitted(&floods, "203.0.113.7", "alice", 10_000, now), 60);
        assert_eq!(floods.untold(), 9_940);
        assert_eq!(admitted(&floods, "203.0.113.8", "alice", 5, now), 0, "a neighbour of the same network");
        assert_eq!(admitted(&floods, "203.0.114.7", "alice", 5, now), 5, "another network");
        assert_eq!(admitted(&floods, "203.0.113.7", "bob", 5, now), 5, "another affiliate");
        let all: u32 = (0..20).map(|n| admitted(&floods, "203.0.113.9", &format!("a{n}"), 60, now)).sum();
        assert_eq!(all, 600 - 65);
        assert_eq!(admitted(&floods, "203.0.113.7", "alice", 99, now.plus(10_000)), 10);
        assert_eq!(admitted(&floods, "2001:db8:1:2::3", "eve", 70, now), 60);
        assert_eq!(admitted(&floods, "2001:db8:1:ffff::4", "eve", 70, now), 0, "the same /48");
    }

    #[test]
    fn a_proxy_that_is_not_trusted_is_no_flood() {
        let floods = Floods::new();
        for own in ["127.0.0.1", "::1", "10.0.0.7", "192.168.1.1", "fd00::1", "::ffff:10.0.0.7"] {
            assert_eq!(admitted(&floods, own, "alice", 2_000, UnixMs(0)), 2_000, "{own}");
        }
    }
}
