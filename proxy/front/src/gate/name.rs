//! The field names that the gate knows.

use super::octets;

/// What a field is to the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    Host,
    ContentLength,
    TransferEncoding,
    Connection,
    Upgrade,
    Expect,
    Te,
    /// It has one value, so it may come once. The number tells it from others of the kind.
    Single(u8),
    /// It ends at the gate.
    Dropped,
    /// Everything else.
    Other,
}

impl Name {
    /// Tells it by a token.
    ///
    /// Names that have other characters than letters, digits and hyphens are dropped, as nginx does: origins that turn names
    /// into variables (CGI, WSGI, PHP) take `Content_Length` and `X_Forwarded_For` for the fields with hyphens.
    pub(super) fn of(token: &[u8]) -> Self {
        if octets::is_plain(token) { Self::of_plain(token) } else { Self::Dropped }
    }

    /// Tells it by a token of letters, digits and hyphens.
    pub(super) fn of_plain(token: &[u8]) -> Self {
        let known: &[(&[u8], Self)] = match token.len() {
            2 => &[(b"te", Self::Te)],
            4 => &[(b"host", Self::Host), (b"date", Self::Single(0)), (b"from", Self::Single(1))],
            5 => &[(b"range", Self::Single(2))],
            6 => &[(b"origin", Self::Single(3)), (b"expect", Self::Expect)],
            7 => &[(b"upgrade", Self::Upgrade)],
            8 => &[(b"if-range", Self::Single(4))],
            10 => &[(b"connection", Self::Connection), (b"keep-alive", Self::Dropped)],
            12 => &[(b"content-type", Self::Single(5)), (b"max-forwards", Self::Single(6))],
            13 => &[(b"authorization", Self::Single(7)), (b"content-range", Self::Single(8))],
            14 => &[(b"content-length", Self::ContentLength), (b"http2-settings", Self::Dropped)],
            15 => &[(b"idempotency-key", Self::Single(9))],
            16 => &[(b"proxy-connection", Self::Dropped), (b"content-location", Self::Single(10))],
            17 => &[(b"transfer-encoding", Self::TransferEncoding), (b"if-modified-since", Self::Single(11))],
            19 => &[(b"if-unmodified-since", Self::Single(12)), (b"proxy-authorization", Self::Single(13))],
            _ => &[],
        };
        known.iter().find(|(name, _)| token.eq_ignore_ascii_case(name)).map_or(Self::Other, |(_, name)| *name)
    }
}

/// Whether a field frames, routes or authorises a request, or says who sent it: it neither belongs to one connection alone
/// (RFC 9110 section 7.6.1) nor comes behind the body (section 6.5.1).
pub(super) fn is_protected(token: &[u8]) -> bool {
    const PREFIXES: &[&[u8]] = &[b"content-", b"x-forwarded-", b"sec-", b"if-", b"accept-", b"proxy-auth"];
    const NAMES: &[&[u8]] = &[
        b"accept",
        b"cache-control",
        b"cookie",
        b"forwarded",
        b"max-forwards",
        b"pragma",
        b"referer",
        b"set-cookie",
        b"user-agent",
        b"via",
        b"x-http-method-override",
        b"x-original-url",
        b"x-real-ip",
        b"x-rewrite-url",
    ];
    let begins =
        |prefix: &&[u8]| token.get(..prefix.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(prefix));
    matches!(
        Name::of(token),
        Name::Host | Name::ContentLength | Name::TransferEncoding | Name::Expect | Name::Single(_)
    ) || PREFIXES.iter().any(begins)
        || NAMES.iter().any(|name| token.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_in_any_case() {
        assert_eq!(Name::of(b"hOST"), Name::Host);
        assert_eq!(Name::of(b"Content-Length"), Name::ContentLength);
        assert_eq!(Name::of(b"Accept-Language"), Name::Other);
        assert_eq!(Name::of(b"X"), Name::Other);
        for name in ["Content_Length", "x_forwarded_for", "x.y", "a!", "Keep-Alive", "HTTP2-Settings"] {
            assert_eq!(Name::of(name.as_bytes()), Name::Dropped, "{name}");
        }
    }

    #[test]
    fn what_frames_routes_or_authorises_is_protected() {
        for name in ["Host", "Transfer-Encoding", "Cookie", "X-Forwarded-For", "content-md5", "Authorization"]
        {
            assert!(is_protected(name.as_bytes()), "{name}");
        }
        for name in ["X-Checksum", "te", "upgrade", "keep-alive", "Server-Timing", "x"] {
            assert!(!is_protected(name.as_bytes()), "{name}");
        }
    }
}
