//! `uri-host [":" port]` (RFC 9110 section 7.2), allow-listed: what DNS serves, and addresses.

use std::{net::Ipv6Addr, str};

/// A host with its port, as they came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Authority<'t> {
    host: &'t [u8],
    port: Option<u16>,
}

impl<'t> Authority<'t> {
    /// Reads it; `None` when it is malformed or names a user.
    pub(super) fn parse(text: &'t [u8]) -> Option<Self> {
        let (host, rest) = match text {
            [b'[', ..] => {
                let end = memchr::memchr(b']', text)?;
                str::from_utf8(&text[1..end]).ok()?.parse::<Ipv6Addr>().ok()?;
                text.split_at(end + 1)
            }
            _ => {
                let end = memchr::memchr(b':', text).unwrap_or(text.len());
                let (name, rest) = text.split_at(end);
                is_name(name).then_some((name, rest))?
            }
        };
        let port = match rest {
            [] | [b':'] => None,
            [b':', digits @ ..] => Some(port(digits)?),
            _ => return None,
        };
        Some(Self { host, port })
    }

    /// Whether both mean the same place for a scheme with that port.
    pub(super) fn agrees(self, other: Authority<'_>, default_port: u16) -> bool {
        self.host.eq_ignore_ascii_case(other.host)
            && self.port.unwrap_or(default_port) == other.port.unwrap_or(default_port)
    }
}

fn is_name(name: &[u8]) -> bool {
    let name = name.strip_suffix(b".").unwrap_or(name);
    (1..=253).contains(&name.len()) && name.split(|octet| *octet == b'.').all(is_label)
}

fn is_label(label: &[u8]) -> bool {
    (1..=63).contains(&label.len())
        && label.iter().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_'))
}

fn port(digits: &[u8]) -> Option<u16> {
    digits.iter().all(u8::is_ascii_digit).then(|| str::from_utf8(digits).ok()?.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_with_or_without_a_port() {
        for text in [
            "shop.example",
            "SHOP.example:8080",
            "shop.example.",
            "shop.example:",
            "localhost:1",
            "127.0.0.1:65535",
            "[::1]",
            "[2001:db8::1]:443",
            "a_b.example",
            "xn--mnchen-3ya.example",
        ] {
            assert!(Authority::parse(text.as_bytes()).is_some(), "{text}");
        }
        for text in [
            "",
            ":80",
            ".",
            "a..b",
            ".a",
            "a b",
            "a,b",
            "a@b",
            "u:p@a",
            "a:x",
            "a:65536",
            "a:+1",
            "a:1:2",
            "[::1",
            "[::1]x",
            "[::1]:x",
            "[fe80::1%25eth0]",
            "[v1.a]",
            "[]",
            "::1",
            "a/b",
            "a\\b",
            "a%2eb",
            "a?b",
            "a#b",
            "a\0",
            "a\tb",
            "münchen.example",
        ] {
            assert!(Authority::parse(text.as_bytes()).is_none(), "{text:?}");
        }
        let long = "a.".repeat(127);
        assert!(Authority::parse(long.as_bytes()).is_some());
        assert!(Authority::parse(format!("{long}a.").as_bytes()).is_none());
        assert!(Authority::parse("a".repeat(64).as_bytes()).is_none());
    }

    #[test]
    fn the_default_port_need_not_be_named() {
        let agree = |one: &str, other: &str| {
            let (one, other) = (one.as_bytes(), other.as_bytes());
            Authority::parse(one).expect("valid").agrees(Authority::parse(other).expect("valid"), 80)
        };
        assert!(agree("a.example", "A.example:80") && agree("a.example:", "a.example"));
        assert!(agree("[::1]:81", "[::1]:81"));
        for other in ["b.example", "a.example:81", "a.example.", "xa.example", "[::1]"] {
            assert!(!agree("a.example", other), "{other}");
        }
    }
}
