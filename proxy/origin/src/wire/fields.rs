//! Header and trailer fields (RFC 9110 section 5, RFC 9112 section 5).

use super::Malformed;
use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use memchr::memchr;
use usher_model::limits::ORIGIN_HEAD_BYTES;

/// Where the lines end that begin at `from`: behind the empty one. What is before `from` has been looked at. A line has to end in
/// CR LF: that some take LF alone and others do not is what smuggling lives on.
pub(super) fn end(bytes: &[u8], from: usize) -> Result<Option<usize>, Malformed> {
    let mut at = from;
    while let Some(found) = bytes.get(at..).and_then(|rest| memchr(b'\n', rest)) {
        let newline = at + found;
        let before = |count: usize| newline.checked_sub(count).and_then(|at| bytes.get(at));
        if before(1) != Some(&b'\r') {
            return Err(Malformed("a line does not end in CR LF"));
        }
        if newline == 1 || before(2) == Some(&b'\n') {
            return Ok(Some(newline + 1));
        }
        at = newline + 1;
    }
    if bytes.len() > ORIGIN_HEAD_BYTES {
        return Err(Malformed("the header is too large"));
    }
    Ok(None)
}

/// The lines of `block`, which ends in an empty one, each without its end.
pub(super) fn lines(block: &Bytes) -> impl Iterator<Item = Bytes> {
    let mut rest = block.clone();
    std::iter::from_fn(move || {
        let newline = memchr(b'\n', &rest)?;
        let mut line = rest.split_to(newline + 1);
        line.truncate(newline.saturating_sub(1));
        (!line.is_empty()).then_some(line)
    })
}

/// One field.
pub(super) fn field(line: &Bytes) -> Result<(HeaderName, HeaderValue), Malformed> {
    let colon = memchr(b':', line).ok_or(Malformed("a field has no colon"))?;
    // This also refuses a space before the colon, and lines that begin with one (RFC 9112 sections 5.1 and 5.2).
    let name = HeaderName::from_bytes(&line[..colon]).map_err(|_| Malformed("a field's name is no token"))?;
    let value = line.slice(colon + 1..);
    let text = value.trim_ascii();
    let start = value.len() - value.trim_ascii_start().len();
    let value = value.slice(start..start + text.len());
    let value = HeaderValue::from_maybe_shared(value)
        .map_err(|_| Malformed("a field's value holds control characters"))?;
    Ok((name, value))
}
