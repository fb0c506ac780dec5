//! The visitor's address and scheme, as far as proxies that we trust say so.

use http::{HeaderMap, HeaderName, header::ORIGIN};
use ipnet::IpNet;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use usher_model::limits::FORWARDED_HOPS;

pub(crate) const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Who opened a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    pub(crate) address: IpAddr,
    /// Whether it speaks TLS with us.
    pub(crate) is_tls: bool,
}

/// The visitor's address: the first one, from our side, that is not a trusted proxy's.
///
/// Each proxy appends whom it saw to `X-Forwarded-For`, so the list is walked from the right for as long as the speaker is
/// trusted. An entry that is no address ends the walk at the nearest known one.
pub(crate) fn address(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let mut nearest = peer.to_canonical();
    if !is_trusted(nearest, trusted) {
        return nearest;
    }
    let lines = headers.get_all(FORWARDED_FOR).iter().rev();
    let entries = lines.flat_map(|line| line.as_bytes().rsplit(|b| *b == b','));
    for entry in entries.take(FORWARDED_HOPS).map(<[u8]>::trim_ascii).filter(|entry| !entry.is_empty()) {
        let Some(hop) = parse(entry) else { break };
        nearest = hop;
        if !is_trusted(hop, trusted) {
            break;
        }
    }
    nearest
}

/// Whether the visitor's side speaks https: a trusted proxy says so, or it does so with us.
pub(crate) fn speaks_https(peer: Peer, headers: &HeaderMap, trusted: &[IpNet]) -> bool {
    told_https(peer, headers, trusted).unwrap_or(peer.is_tls)
}

/// The same, or the page that calls was itself loaded by https.
pub(crate) fn is_https(peer: Peer, headers: &HeaderMap, trusted: &[IpNet]) -> bool {
    let from_https = || headers.get(ORIGIN).is_some_and(|origin| origin.as_bytes().starts_with(b"https://"));
    told_https(peer, headers, trusted).unwrap_or_else(|| peer.is_tls || from_https())
}

fn told_https(peer: Peer, headers: &HeaderMap, trusted: &[IpNet]) -> Option<bool> {
    let line = headers.get(FORWARDED_PROTO).filter(|_| is_trusted(peer.address.to_canonical(), trusted))?;
    // Of a list, the first is what the visitor used.
    let first = line.as_bytes().split(|b| *b == b',').next().unwrap_or_default();
    Some(first.trim_ascii().eq_ignore_ascii_case(b"https"))
}

/// Whether this machine may say whom it speaks for.
pub(crate) fn is_trusted(address: IpAddr, trusted: &[IpNet]) -> bool {
    trusted.iter().any(|net| net.contains(&address))
}

/// Reads `ip`, `ip:port`, `[v6]`, `[v6]:port`, each also in quotes.
fn parse(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry).ok()?;
    let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    if text.contains('%') {
        return None; // a zone has no meaning on another machine
    }
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok();
    text.parse::<IpAddr>()
        .ok()
        .or_else(|| text.parse::<SocketAddr>().ok().map(|at| at.ip()))
        .or_else(|| bracketed().map(IpAddr::V6))
        .map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;

    const TRUSTED: [&str; 3] = ["127.0.0.0/8", "10.0.0.0/8", "fd00::/8"];

    fn trusted() -> Vec<IpNet> {
        TRUSTED.iter().map(|net| net.parse().expect("a network")).collect()
    }

    fn lines(name: &HeaderName, values: &[&[u8]]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name, HeaderValue::from_bytes(value).expect("a value"));
        }
        headers
    }

    #[test]
    fn the_nearest_untrusted_hop_is_the_visitor() {
        let table: [(&str, &[&str], &str); 40] = [
            // an untrusted peer is the visitor, whatever it says
            ("203.0.113.9", &[], "203.0.113.9"),
            ("203.0.113.9", &["198.51.100.1"], "203.0.113.9"),
            ("203.0.113.9", &["127.0.0.1"], "203.0.113.9"),
            ("::ffff:203.0.113.9", &["198.51.100.1"], "203.0.113.9"),
            ("2001:db8::9", &["198.51.100.1"], "2001:db8::9"),
            // a trusted peer that says nothing is the nearest known
            ("127.0.0.1", &[], "127.0.0.1"),
            ("127.0.0.1", &[""], "127.0.0.1"),
            ("127.0.0.1", &[" , ,"], "127.0.0.1"),
            ("::ffff:127.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            // one hop
            ("127.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            ("127.0.0.1", &["  198.51.100.1\t"], "198.51.100.1"),
            ("127.0.0.1", &["2001:db8::1"], "2001:db8::1"),
            ("127.0.0.1", &["::ffff:198.51.100.1"], "198.51.100.1"),
            // ports, brackets, quotes
            ("127.0.0.1", &["198.51.100.1:4711"], "198.51.100.1"),
            ("127.0.0.1", &["[2001:db8::1]:4711"], "2001:db8::1"),
            ("127.0.0.1", &["[2001:db8::1]"], "2001:db8::1"),
            ("127.0.0.1", &["\"198.51.100.1\""], "198.51.100.1"),
            ("127.0.0.1", &["\"[2001:db8::1]:4711\""], "2001:db8::1"),
            ("127.0.0.1", &["[::ffff:198.51.100.1]:80"], "198.51.100.1"),
            // what the visitor himself put to the left is never believed
            ("127.0.0.1", &["1.1.1.1, 198.51.100.1"], "198.51.100.1"),
            ("127.0.0.1", &["10.0.0.1, 198.51.100.1"], "198.51.100.1"),
            ("127.0.0.1", &["garbage, 198.51.100.1"], "198.51.100.1"),
            // several trusted hops
            ("127.0.0.1", &["198.51.100.1, 10.0.0.1"], "198.51.100.1"),
            ("127.0.0.1", &["198.51.100.1, 10.0.0.1, 10.0.0.2:80"], "198.51.100.1"),
            ("127.0.0.1", &["198.51.100.1, [fd00::1]:80"], "198.51.100.1"),
            ("127.0.0.1", &["1.1.1.1, 198.51.100.1, 10.0.0.1"], "198.51.100.1"),
            ("127.0.0.1", &["198.51.100.1,,10.0.0.1,"], "198.51.100.1"),
            // all of them trusted: the furthest
            ("127.0.0.1", &["10.0.0.2, 10.0.0.1"], "10.0.0.2"),
            // several lines are one list
            ("127.0.0.1", &["198.51.100.1", "10.0.0.1"], "198.51.100.1"),
            ("127.0.0.1", &["1.1.1.1, 198.51.100.1", "10.0.0.2", "10.0.0.1"], "198.51.100.1"),
            ("127.0.0.1", &["10.0.0.1", "198.51.100.1"], "198.51.100.1"),
            // garbage ends the walk
            ("127.0.0.1", &["unknown"], "127.0.0.1"),
            ("127.0.0.1", &["198.51.100.1, _hidden"], "127.0.0.1"),
            ("127.0.0.1", &["198.51.100.1, x, 10.0.0.1"], "10.0.0.1"),
            ("127.0.0.1", &["198.51.100.1, 10.0.0.1:port"], "127.0.0.1"),
            ("127.0.0.1", &["198.51.100.256"], "127.0.0.1"),
            ("127.0.0.1", &["010.0.0.1"], "127.0.0.1"),
            ("127.0.0.1", &["fe80::1%eth0"], "127.0.0.1"),
            ("127.0.0.1", &["[fe80::1%1]:80"], "127.0.0.1"),
            ("127.0.0.1", &["[198.51.100.1]"], "127.0.0.1"),
        ];
        for (peer, values, visitor) in table {
            let values: Vec<&[u8]> = values.iter().map(|value| value.as_bytes()).collect();
            let found = address(peer.parse().expect("a peer"), &lines(&FORWARDED_FOR, &values), &trusted());
            assert_eq!(found.to_string(), visitor, "{peer} {values:?}");
        }
    }

    #[test]
    fn nobody_is_trusted_by_default() {
        let headers = lines(&FORWARDED_FOR, &[b"198.51.100.1"]);
        assert_eq!(address([127, 0, 0, 1].into(), &headers, &[]).to_string(), "127.0.0.1");
    }

    #[test]
    fn the_walk_is_bounded() {
        let hops = format!("198.51.100.1{}", ", 10.0.0.1".repeat(1000));
        let found = address([127, 0, 0, 1].into(), &lines(&FORWARDED_FOR, &[hops.as_bytes()]), &trusted());
        assert_eq!(found.to_string(), "10.0.0.1");
        let most = format!("198.51.100.1{}", ", 10.0.0.1".repeat(FORWARDED_HOPS - 1));
        let found = address([127, 0, 0, 1].into(), &lines(&FORWARDED_FOR, &[most.as_bytes()]), &trusted());
        assert_eq!(found.to_string(), "198.51.100.1");
    }

    #[test]
    fn https_is_known_from_a_trusted_proxy_else_from_the_page() {
        let plain = |address: [u8; 4]| Peer { address: address.into(), is_tls: false };
        let (local, far) = (plain([127, 0, 0, 1]), plain([203, 0, 113, 9]));
        let with = |proto: &'static str, origin: &'static str| {
            let mut headers = HeaderMap::new();
            if !proto.is_empty() {
                headers.insert(FORWARDED_PROTO, HeaderValue::from_static(proto));
            }
            headers.insert(ORIGIN, HeaderValue::from_static(origin));
            headers
        };
        assert!(is_https(local, &with("https", "http://a"), &trusted()));
        assert!(is_https(local, &with("HTTPS, http", "http://a"), &trusted()));
        assert!(!is_https(local, &with("http", "https://a"), &trusted()));
        assert!(!is_https(far, &with("https", "http://a"), &trusted()));
        assert!(is_https(far, &with("http", "https://a"), &trusted()));
        assert!(!is_https(far, &HeaderMap::new(), &trusted()));
        assert!(is_https(Peer { is_tls: true, ..far }, &with("http", "http://a"), &trusted()));
        assert!(!is_https(Peer { is_tls: true, ..local }, &with("http", ""), &trusted()));
    }

    proptest! {
        #[test]
        fn never_panics(values in prop::collection::vec(prop::collection::vec(0x20_u8..=0xff, 0..40), 0..5)) {
            let values: Vec<&[u8]> = values.iter().map(|v| v.as_slice()).filter(|v| !v.contains(&0x7f)).collect();
            address([127, 0, 0, 1].into(), &lines(&FORWARDED_FOR, &values), &trusted());
        }

        #[test]
        fn what_stands_left_of_the_visitor_changes_nothing(left in "[ -~]{0,60}", visitor: [u8; 4]) {
            let visitor = IpAddr::from(visitor);
            prop_assume!(!is_trusted(visitor, &trusted()));
            let list = format!("{left}, {visitor}, 10.9.8.7");
            let found = address([127, 0, 0, 1].into(), &lines(&FORWARDED_FOR, &[list.as_bytes()]), &trusted());
            prop_assert_eq!(found, visitor);
        }
    }
}
