//! How many connections may be open: in all, and of one address.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{
            AtomicUsize,
            Ordering::{AcqRel, Acquire},
        },
    },
};
use usher_model::limits::CONNECTIONS_PER_ADDRESS;

/// Counts open connections.
pub struct Caps {
    most: usize,
    open: AtomicUsize,
    /// In shards, so that accepting on one socket does not wait for closing on another.
    networks: [Mutex<HashMap<Network, usize>>; SHARDS],
}

/// Why a connection is closed as soon as it is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Crowded {
    /// There are too many in all.
    #[error("too many connections are open")]
    All,
    /// There are too many from its address.
    #[error("too many connections of one address are open")]
    Address,
}

impl Crowded {
    /// A word for metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::All => "connections",
            Self::Address => "connections_of_address",
        }
    }
}

const SHARDS: usize = 16;

/// An IPv4 address, or the network of an IPv6 one: whoever has one address there has all of them.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Network {
    V4([u8; 4]),
    V6([u8; 8]),
}

impl Network {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.octets()),
            IpAddr::V6(address) => {
                let [a, b, c, d, e, f, g, h, ..] = address.octets();
                Self::V6([a, b, c, d, e, f, g, h])
            }
        }
    }

    /// Where one address stands for many people: this machine and private networks, whose proxies, load balancers and
    /// container bridges nobody may have told us of (RFC 1918, RFC 4193, RFC 6598).
    fn is_near(self) -> bool {
        match self {
            Self::V4([a, b, ..]) => {
                matches!((a, b), (10 | 127, _) | (172, 16..=31) | (192, 168) | (169, 254) | (100, 64..=127))
            }
            Self::V6([a, b, ..]) => matches!((a, b), (0, 0) | (0xfc..=0xfd, _) | (0xfe, 0x80..=0xbf)),
        }
    }

    fn shard(self) -> usize {
        let bytes = match &self {
            Self::V4(octets) => octets.as_slice(),
            Self::V6(octets) => octets.as_slice(),
        };
        bytes.iter().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(*byte))) % SHARDS
    }
}

impl Caps {
    /// Lets `most` connections be open at once.
    #[must_use]
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, open: AtomicUsize::new(0), networks: Default::default() })
    }

    /// Counts a connection that was accepted from `address`. Of the addresses that are exempt, for they carry everybody, only
    /// the sum counts.
    ///
    /// # Errors
    /// When it is one too many.
    pub fn admit(self: &Arc<Self>, address: IpAddr, is_exempt: bool) -> Result<Place, Crowded> {
        let mut place = Place { caps: Arc::clone(self), network: None };
        if self.open.fetch_add(1, AcqRel) >= self.most {
            return Err(Crowded::All);
        }
        if is_exempt {
            return Ok(place);
        }
        let network = Network::of(address);
        let most = if network.is_near() { self.most / 4 * 3 } else { CONNECTIONS_PER_ADDRESS.min(self.most) };
        let mut shard = self.shard(network);
        let open = shard.entry(network).or_default();
        if *open >= most {
            return Err(Crowded::Address);
        }
        *open += 1;
        drop(shard);
        place.network = Some(network);
        Ok(place)
    }

    /// How many are open.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open.load(Acquire)
    }

    fn shard(&self, network: Network) -> std::sync::MutexGuard<'_, HashMap<Network, usize>> {
        self.networks[network.shard()].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a connection has of the caps for as long as it is open.
pub struct Place {
    caps: Arc<Caps>,
    network: Option<Network>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.caps.open.fetch_sub(1, AcqRel);
        let Some(network) = self.network else { return };
        let mut shard = self.caps.shard(network);
        if let Some(open) = shard.get_mut(&network) {
            *open -= 1;
            if *open == 0 {
                shard.remove(&network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn an_address_has_so_many_and_gets_them_back() {
        let caps = Caps::new(10_000);
        for one in ["203.0.113.9", "2001:db8::1"] {
            let mut places: Vec<_> = (0..CONNECTIONS_PER_ADDRESS)
                .map(|_| caps.admit(address(one), false).expect("a place"))
                .collect();
            assert_eq!(caps.admit(address(one), false).err(), Some(Crowded::Address));
            places.pop();
            places.push(caps.admit(address(one), false).expect("a place"));
            assert_eq!(caps.open(), CONNECTIONS_PER_ADDRESS);
            drop(places);
            assert_eq!(caps.open(), 0);
        }
        assert!(caps.networks.iter().all(|shard| shard.lock().expect("fine").is_empty()));
    }

    #[test]
    fn a_network_of_ipv6_is_one_and_mapped_addresses_are_ipv4() {
        let caps = Caps::new(10_000);
        let _places: Vec<_> = (0..CONNECTIONS_PER_ADDRESS)
            .map(|n| caps.admit(address(&format!("2001:db8:1:2::{n:x}")), false).expect("a place"))
            .collect();
        assert!(caps.admit(address("2001:db8:1:2:ffff::"), false).is_err());
        let _other = caps.admit(address("2001:db8:1:3::"), false).expect("another network");
        let _mapped: Vec<_> = (0..CONNECTIONS_PER_ADDRESS)
            .map(|_| caps.admit(address("::ffff:203.0.113.9"), false).expect("a place"))
            .collect();
        assert!(caps.admit(address("203.0.113.9"), false).is_err());
    }

    #[test]
    fn who_carries_everybody_is_not_one_visitor() {
        let caps = Caps::new(4_000);
        for near in
            ["127.0.0.1", "10.1.2.3", "172.17.0.1", "192.168.1.1", "100.64.0.1", "::1", "fd00::1", "fe80::1"]
        {
            let places: Vec<_> = (0..3_000).map(|_| caps.admit(address(near), false).expect(near)).collect();
            assert_eq!(caps.admit(address(near), false).err(), Some(Crowded::Address), "{near}");
            drop(places);
        }
        let _trusted: Vec<_> =
            (0..4_000).map(|_| caps.admit(address("203.0.113.1"), true).expect("a place")).collect();
        assert_eq!(caps.admit(address("203.0.113.1"), true).err(), Some(Crowded::All));
        assert_eq!(caps.open(), 4_000);
    }
}
