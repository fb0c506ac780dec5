//! What a cache or browser asks of a static answer: `Accept-Encoding` and `If-None-Match`.

use http::{
    HeaderMap,
    header::{ACCEPT_ENCODING, IF_NONE_MATCH},
};

/// How an asset is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// Brotli (RFC 7932).
    Brotli,
    /// Gzip (RFC 1952).
    Gzip,
    /// As it is.
    Identity,
}

/// What the client likes best by its weights, the smaller one of equals (RFC 9110 section 12.5.3). Identity when nothing
/// that we have is acceptable: an answer that some client can use is better than none.
pub(crate) fn encoding(headers: &HeaderMap) -> Encoding {
    let (mut brotli, mut gzip, mut identity, mut others) = (None, None, None, None);
    let lines = headers.get_all(ACCEPT_ENCODING).iter();
    for element in lines.flat_map(|line| line.as_bytes().split(|b| *b == b',')) {
        let mut parts = element.split(|b| *b == b';').map(<[u8]>::trim_ascii);
        let coding = parts.next().unwrap_or_default();
        let slot = match coding {
            b"*" => &mut others,
            _ if coding.eq_ignore_ascii_case(b"br") => &mut brotli,
            _ if coding.eq_ignore_ascii_case(b"gzip") || coding.eq_ignore_ascii_case(b"x-gzip") => &mut gzip,
            _ if coding.eq_ignore_ascii_case(b"identity") => &mut identity,
            _ => continue,
        };
        *slot = Some(parts.next().map_or(1000, weight));
    }
    let weight_of = |named: Option<u16>| named.or(others).unwrap_or(0);
    let mut best = (Encoding::Identity, identity.unwrap_or(0));
    for (encoding, weight) in [(Encoding::Gzip, weight_of(gzip)), (Encoding::Brotli, weight_of(brotli))] {
        if weight > 0 && weight >= best.1 {
            best = (encoding, weight);
        }
    }
    best.0
}

/// Thousandths of `q=0.5`. What cannot be read is not wanted.
fn weight(parameter: &[u8]) -> u16 {
    let digits = match parameter {
        [b'q' | b'Q', b'=', digits @ ..] => digits,
        _ => return 0,
    };
    match digits {
        [b'1'] => 1000,
        [b'1', b'.', zeros @ ..] if zeros.len() <= 3 && zeros.iter().all(|b| *b == b'0') => 1000,
        [b'0', b'.', rest @ ..] if rest.len() <= 3 && rest.iter().all(u8::is_ascii_digit) => (0..3)
            .fold(0, |sum, place| sum * 10 + rest.get(place).map_or(0, |digit| u16::from(*digit - b'0'))),
        _ => 0,
    }
}

/// Whether `If-None-Match` names `tag` (a strong entity tag with its quotes) by weak comparison, or is `*`
/// (RFC 9110 section 13.1.2).
pub(crate) fn names_tag(headers: &HeaderMap, tag: &[u8]) -> bool {
    headers.get_all(IF_NONE_MATCH).iter().any(|line| {
        let line = line.as_bytes().trim_ascii();
        line == b"*" || Tags(line).any(|named| named == tag)
    })
}

/// The opaque tags of a list, quotes included; it ends where the list is malformed.
struct Tags<'l>(&'l [u8]);

impl<'l> Iterator for Tags<'l> {
    type Item = &'l [u8];

    fn next(&mut self) -> Option<&'l [u8]> {
        let start = self.0.iter().position(|b| !matches!(b, b',' | b' ' | b'\t'))?;
        let rest = &self.0[start..];
        let rest = rest.strip_prefix(b"W/").unwrap_or(rest);
        let inner = rest.strip_prefix(b"\"")?;
        let end = inner.iter().position(|b| *b == b'"')?;
        let (tag, after) = rest.split_at(end + 2);
        self.0 = after;
        Some(tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;

    fn accepting(values: &[&str]) -> Encoding {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(ACCEPT_ENCODING, HeaderValue::from_str(value).expect("a value"));
        }
        encoding(&headers)
    }

    #[test]
    fn weights_decide_and_brotli_wins_among_equals() {
        use Encoding::{Brotli, Gzip, Identity};
        let table: [(&[&str], Encoding); 28] = [
            (&[], Identity),
            (&[""], Identity),
            (&["gzip"], Gzip),
            (&["br"], Brotli),
            (&["BR"], Brotli),
            (&["x-gzip"], Gzip),
            (&["gzip, deflate, br, zstd"], Brotli),
            (&["gzip", "br"], Brotli),
            (&["gzip;q=1.0, br;q=0.5"], Gzip),
            (&["gzip;q=0.5,br;q=0.501"], Brotli),
            (&["br;q=0, gzip"], Gzip),
            (&["br ; q=0.8 , gzip ; q=0.8"], Brotli),
            (&["br;q=0.000, gzip;Q=0.001"], Gzip),
            (&["*"], Brotli),
            (&["*;q=0"], Identity),
            (&["*;q=0, gzip"], Gzip),
            (&["br;q=0, *"], Gzip),
            (&["*;q=0.5, gzip;q=0.6"], Gzip),
            (&["identity"], Identity),
            (&["identity, gzip;q=0.5"], Identity),
            (&["identity, gzip"], Gzip),
            (&["identity;q=0"], Identity),
            (&["identity;q=0, br;q=0"], Identity),
            (&["deflate, zstd"], Identity),
            (&["br;q=2, gzip"], Gzip),
            (&["br;q=1.001"], Identity),
            (&["br;q=0.1234, gzip;q=0.001"], Gzip),
            (&["brx, gzipped, b r"], Identity),
        ];
        for (values, wanted) in table {
            assert_eq!(accepting(values), wanted, "{values:?}");
        }
    }

    fn named(values: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(IF_NONE_MATCH, HeaderValue::from_str(value).expect("a value"));
        }
        names_tag(&headers, b"\"a1\"")
    }

    #[test]
    fn tags_are_compared_weakly_over_lists() {
        for values in [
            &["\"a1\""][..],
            &["W/\"a1\""],
            &["*"],
            &[" * "],
            &["\"x\", \"a1\""],
            &["\"x,\\\",\"a1\""],
            &["\"x\"", "\"a1\""],
            &["\"x\",W/\"a1\",\"y\""],
            &[", ,\"a1\""],
        ] {
            assert!(named(values), "{values:?}");
        }
        for values in [
            &[][..],
            &[""],
            &["a1"],
            &["\"a1"],
            &["a1\""],
            &["\"A1\""],
            &["w/\"a1\""],
            &["\"x\", *"],
            &["W/ \"a1\""],
            &["\"x, \"a1"],
            &["\"\""],
            &["x, \"a1\""],
        ] {
            assert!(!named(values), "{values:?}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "[ -~]{0,60}") {
            accepting(&[&text]);
            named(&[&text]);
        }

        #[test]
        fn q_is_read_by_thousandths(thousandths in 0_u16..=1000) {
            let text = format!("q={}.{:03}", thousandths / 1000, thousandths % 1000);
            prop_assert_eq!(weight(text.as_bytes()), thousandths);
        }

        #[test]
        fn a_tag_in_a_list_is_found(before in prop::collection::vec("[!#-~]{0,8}", 0..4), weak: bool) {
            let mut list: Vec<String> = before.iter().map(|tag| format!("\"{tag}\"")).collect();
            list.push(format!("{}\"a1\"", if weak { "W/" } else { "" }));
            prop_assert!(named(&[&list.join(", ")]));
        }
    }
}
