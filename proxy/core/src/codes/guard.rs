//! Who may go on guessing promo codes: token buckets for each address and each network, spent by unknown codes only.

use crate::buckets::{Buckets, Size, network};
use std::net::IpAddr;
use usher_model::{UnixMs, limits};

const ADDRESS: Size = Size { tries: limits::CODE_MISSES_PER_ADDRESS, refill_ms: limits::CODE_MISS_REFILL_MS };
const NETWORK: Size =
    Size { tries: limits::CODE_MISSES_PER_NETWORK, refill_ms: limits::CODE_MISS_NETWORK_REFILL_MS };

/// Remembers who guessed wrong, bounded.
pub(super) struct Guard {
    buckets: Buckets<(IpAddr, bool)>,
}

impl Guard {
    pub(super) fn new() -> Self {
        Self { buckets: Buckets::new(limits::CODE_GUESSERS_REMEMBERED) }
    }

    /// Whether this address may ask at all; else milliseconds until it may. Once the tries are spent even right codes
    /// are refused, for a difference in the answers would be an answer.
    pub(super) fn check(&self, address: IpAddr, now: UnixMs) -> Result<(), u64> {
        let wait = buckets_of(address)
            .into_iter()
            .filter(|(key, size)| !self.buckets.has(key, *size, now))
            .map(|(_, size)| size.refill_ms.unsigned_abs())
            .max();
        wait.map_or(Ok(()), Err)
    }

    /// Notes an unknown code.
    pub(super) fn miss(&self, address: IpAddr, now: UnixMs) {
        for (key, size) in buckets_of(address) {
            self.buckets.take(key, size, now);
        }
    }
}

/// An address by itself (an IPv6 customer's /64) and the network around it.
fn buckets_of(address: IpAddr) -> [((IpAddr, bool), Size); 2] {
    let one = match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
    };
    [((one, false), ADDRESS), ((network(address), true), NETWORK)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn spend(guard: &Guard, from: IpAddr, now: UnixMs) -> u32 {
        let mut spent = 0;
        while guard.check(from, now).is_ok() && spent < 10_000 {
            guard.miss(from, now);
            spent += 1;
        }
        spent
    }

    #[test]
    fn an_address_has_its_tries_and_gets_them_back_one_by_one() {
        let (guard, one, now) = (Guard::new(), address("192.0.2.1"), UnixMs(1_000_000));
        assert_eq!(spend(&guard, one, now), limits::CODE_MISSES_PER_ADDRESS);
        assert!(guard.check(address("192.0.2.2"), now).is_ok(), "the neighbour did nothing");
        let later = now.plus(limits::CODE_MISS_REFILL_MS * 2);
        assert_eq!(spend(&guard, one, later), 2);
        assert!(guard.check(one, now.plus(-60_000)).is_err(), "a clock that steps back gives nothing away");
    }

    #[test]
    fn a_network_has_its_own_and_ipv6_customers_count_by_their_64() {
        let (guard, now) = (Guard::new(), UnixMs(0));
        let all: u32 = (1..=254).map(|host| spend(&guard, address(&format!("192.0.2.{host}")), now)).sum();
        assert_eq!(all, limits::CODE_MISSES_PER_NETWORK);
        assert_eq!(spend(&guard, address("2001:db8::1"), now), limits::CODE_MISSES_PER_ADDRESS);
        assert!(guard.check(address("2001:db8::ffff:2"), now).is_err(), "the same customer");
    }
}
