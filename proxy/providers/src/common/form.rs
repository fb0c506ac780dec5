//! Bodies of `application/x-www-form-urlencoded` (<https://url.spec.whatwg.org/#application/x-www-form-urlencoded>), and the
//! queries of addresses.

use percent_encoding::percent_decode;

/// One field: its name as it was sent, and its value decoded.
pub(crate) struct Field<'a> {
    /// The name, still encoded: whether a bracket in it was encoded can matter.
    pub(crate) encoded_name: &'a [u8],
    /// The value's bytes.
    pub(crate) value: Vec<u8>,
}

impl Field<'_> {
    /// The name, decoded.
    pub(crate) fn name(&self) -> String {
        String::from_utf8_lossy(&decode(self.encoded_name)).into_owned()
    }
}

/// The fields in the order in which they were sent, repeated ones included.
pub(crate) fn fields(body: &[u8]) -> impl Iterator<Item = Field<'_>> {
    body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()).map(|pair| {
        let end = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
        Field { encoded_name: &pair[..end], value: decode(pair.get(end + 1..).unwrap_or_default()) }
    })
}

/// Bytes without `%xx` and with spaces for `+`.
pub(crate) fn decode(encoded: &[u8]) -> Vec<u8> {
    let spaced: Vec<u8> = encoded.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    percent_decode(&spaced).collect()
}

/// The value of the first field `name` in an address's query, with `+` left as it is: tokens are pasted, not typed into forms.
pub(crate) fn query_value(address: &str, name: &str) -> Option<Vec<u8>> {
    let address = address.split('#').next().unwrap_or(address);
    let (_, query) = address.split_once('?')?;
    let value = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
    Some(percent_decode(value.as_bytes()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fields_are_read_in_order() {
        let body = b"a=1&&b%5B%5D=%C5%BD+x%2B&a=2&c&=d&e=f=g&bad=%zz%4";
        let read: Vec<(String, String)> = fields(body)
            .map(|field| (field.name(), String::from_utf8_lossy(&field.value).into_owned()))
            .collect();
        let expected =
            [("a", "1"), ("b[]", "Ž x+"), ("a", "2"), ("c", ""), ("", "d"), ("e", "f=g"), ("bad", "%zz%4")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(read, expected);
    }

    #[test]
    fn tokens_are_found_in_the_query_alone() {
        let token =
            |address: &str| query_value(address, "token").and_then(|found| String::from_utf8(found).ok());
        assert_eq!(token("/hooks/gumroad?x=1&token=a%2Bb+c&token=z#token=y").as_deref(), Some("a+b+c"));
        assert_eq!(token("https://h/r?token=").as_deref(), Some(""));
        for none in ["", "/hooks?tokens=1", "/token=1", "/hooks#?token=1", "/hooks?xtoken=1&token"] {
            assert_eq!(token(none), None, "{none}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(body in proptest::collection::vec(any::<u8>(), 0..200), address in "\\PC{0,60}") {
            for field in fields(&body) {
                let _ = field.name();
            }
            let _ = query_value(&address, "token");
        }
    }
}
