//! Which bytes may stand where.

const TOKEN: u8 = 1;
const PLAIN: u8 = 2;
const PATH: u8 = 4;
const QUERY: u8 = 8;
const QUERY_AS_IT_IS: u8 = 16;

/// What each byte may be.
static CLASS: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut octet = 0;
    while octet < 256 {
        table[octet] = class(octet as u8);
        octet += 1;
    }
    table
}

const fn class(octet: u8) -> u8 {
    match octet {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' => TOKEN | PLAIN | PATH | QUERY | QUERY_AS_IT_IS,
        b'!' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'.' | b'^' | b'_' | b'|' | b'~' => {
            TOKEN | PATH | QUERY | QUERY_AS_IT_IS
        }
        b'(' | b')' | b',' | b';' | b'=' | b':' | b'@' | b'/' | b'[' | b']' => PATH | QUERY | QUERY_AS_IT_IS,
        b'`' => TOKEN | QUERY | QUERY_AS_IT_IS,
        b'#' => TOKEN,
        b'?' | b'\\' | b'{' | b'}' => QUERY | QUERY_AS_IT_IS,
        b'"' | b'<' | b'>' => QUERY,
        _ => 0,
    }
}

/// A character of a token (RFC 9110 section 5.6.2).
pub(super) fn is_token_char(octet: u8) -> bool {
    CLASS[usize::from(octet)] & TOKEN != 0
}

/// A token (RFC 9110 section 5.6.2).
pub(super) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && all(text, TOKEN)
}

/// Letters, digits and hyphens: names that no origin takes for another one when it turns them into variables.
pub(super) fn is_plain(name: &[u8]) -> bool {
    all(name, PLAIN)
}

/// Whether a token is plain; `None` when it is no token.
pub(super) fn token(text: &[u8]) -> Option<bool> {
    let common = common(text);
    (!text.is_empty() && common & TOKEN != 0).then_some(common & PLAIN != 0)
}

/// Characters of a path: RFC 3986 section 3.3, and `[]^|`, which browsers do not encode
/// (<https://url.spec.whatwg.org/#path-percent-encode-set>).
pub(super) fn is_path(text: &[u8]) -> bool {
    all(text, PATH)
}

/// Characters of a query: everything in ASCII that can be seen but `#`. RFC 3986 section 3.4 has fewer, and browsers send most
/// others as they are (<https://url.spec.whatwg.org/#query-percent-encode-set>).
///
/// Whether something in it is to be encoded, which browsers do and others may not have done; `None` when it is no query.
pub(super) fn query(text: &[u8]) -> Option<bool> {
    let common = common(text);
    (common & QUERY != 0).then_some(common & QUERY_AS_IT_IS == 0)
}

/// What browsers encode in a query.
pub(super) fn wants_encoding(octet: u8) -> bool {
    CLASS[usize::from(octet)] & (QUERY | QUERY_AS_IT_IS) == QUERY
}

fn all(text: &[u8], class: u8) -> bool {
    common(text) & class != 0
}

/// What all bytes may be.
fn common(text: &[u8]) -> u8 {
    text.iter().fold(u8::MAX, |common, octet| common & CLASS[usize::from(*octet)])
}

/// Characters of a field's value (RFC 9110 section 5.5). Written without a way out early, so that it takes many at a time.
pub(super) fn is_value(text: &[u8]) -> bool {
    !text.iter().fold(false, |bad, octet| bad | ((*octet < b' ') & (*octet != b'\t')) | (*octet == 0x7f))
}

/// Without the white space around it (RFC 9110 section 5.6.3): where it begins and ends.
pub(super) fn trim(text: &[u8]) -> (usize, usize) {
    let is_space = |octet: &u8| matches!(octet, b' ' | b'\t');
    let begin = text.iter().position(|octet| !is_space(octet)).unwrap_or(text.len());
    let end = text.iter().rposition(|octet| !is_space(octet)).map_or(begin, |last| last + 1);
    (begin, end)
}

/// The elements of a list; empty ones are skipped (RFC 9110 section 5.6.1).
pub(super) fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|octet| *octet == b',').filter_map(|element| {
        let (begin, end) = trim(element);
        (begin < end).then(|| &element[begin..end])
    })
}

/// Whether every `%` of a path begins two hexadecimal digits (RFC 3986 section 2.1).
pub(super) fn is_encoded(path: &[u8]) -> bool {
    let mut rest = path;
    while let Some(at) = memchr::memchr(b'%', rest) {
        let Some([high, low]) = rest.get(at + 1..at + 3) else { return false };
        if !high.is_ascii_hexdigit() || !low.is_ascii_hexdigit() {
            return false;
        }
        rest = &rest[at + 3..];
    }
    true
}

/// A decimal number without sign; `None` when it is none or above `i64::MAX`, which many origins count with.
pub(super) fn decimal(text: &[u8]) -> Option<Result<u64, ()>> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = text.iter().try_fold(0_u64, |sum, digit| {
        sum.checked_mul(10)?.checked_add(u64::from(digit - b'0')).filter(|sum| i64::try_from(*sum).is_ok())
    });
    Some(number.ok_or(()))
}
