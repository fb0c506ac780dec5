//! The status line and the header of an answer (RFC 9112 sections 4 and 6).

use super::{
    Malformed,
    fields::{end, field, lines},
};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header::CONTENT_LENGTH};
use usher_model::limits::{ORIGIN_FIELDS, ORIGIN_HEAD_BYTES};

/// An answer's head, without what belongs to the connection.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// What follows it.
    pub(crate) framing: Framing,
    /// Whether the connection may be used again.
    pub(crate) keeps: bool,
    /// What the origin would speak from now on.
    pub(crate) upgrade: Option<HeaderValue>,
}

/// Where a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// There is none.
    None,
    /// After so many bytes.
    Length(u64),
    /// Where it says so itself.
    Chunked,
    /// Where the connection does.
    UntilClose,
}

/// Reads heads off what has been received.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    /// How far the end has been looked for.
    looked: usize,
}

impl Reader {
    /// The next head in `input`, which answers a request of `method`; `None` when more has to come.
    pub(crate) fn read(&mut self, input: &mut BytesMut, method: &Method) -> Result<Option<Head>, Malformed> {
        const BEGINS: &[u8] = b"HTTP/1.";
        let seen = input.len().min(BEGINS.len());
        if input[..seen] != BEGINS[..seen] {
            return Err(Malformed("it does not begin with HTTP/1."));
        }
        let Some(end) = end(input, self.looked)? else {
            self.looked = input.len();
            return Ok(None);
        };
        self.looked = 0;
        if end > ORIGIN_HEAD_BYTES {
            return Err(Malformed("the header is too large"));
        }
        parse(&input.split_to(end).freeze(), method).map(Some)
    }
}

fn parse(block: &Bytes, method: &Method) -> Result<Head, Malformed> {
    let mut lines = lines(block);
    let (is_11, status) = status_line(&lines.next().unwrap_or_default())?;
    let mut headers = HeaderMap::with_capacity(16);
    let mut own = Own::default();
    for (count, line) in lines.enumerate() {
        if count == ORIGIN_FIELDS {
            return Err(Malformed("it has too many header fields"));
        }
        let (name, value) = field(&line)?;
        if let Some((name, value)) = own.take(name, value)? {
            headers.append(name, value);
        }
    }
    let framing = own.framing(is_11, status, method)?;
    for named in &own.named {
        headers.remove(named);
    }
    // It says how long the answer to a GET would be; of these there is no such thing (RFC 9110 section 8.6).
    if let Some(length) = own.length
        && !status.is_informational()
        && status != StatusCode::NO_CONTENT
    {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    let keeps = is_11 && !own.closes && framing != Framing::UntilClose;
    Ok(Head { status, headers, framing, keeps, upgrade: own.upgrade })
}

/// `HTTP/1.1 200 OK`. The reason has no meaning (RFC 9112 section 4) and is not passed on.
fn status_line(line: &[u8]) -> Result<(bool, StatusCode), Malformed> {
    const WRONG: Malformed = Malformed("the status line is none");
    let rest = line.strip_prefix(b"HTTP/1.").ok_or(WRONG)?;
    let (minor, code, reason) = match rest {
        [minor, b' ', a, b, c] => (minor, [*a, *b, *c], &[][..]),
        [minor, b' ', a, b, c, b' ', reason @ ..] => (minor, [*a, *b, *c], reason),
        _ => return Err(WRONG),
    };
    if !matches!(minor, b'0' | b'1') || reason.iter().any(|b| (*b < b' ' && *b != b'\t') || *b == 0x7f) {
        return Err(WRONG);
    }
    let status = StatusCode::from_bytes(&code).map_err(|_| WRONG)?;
    Ok((*minor == b'1', status))
}

/// What fields say of the connection and of the body's end.
#[derive(Default)]
struct Own {
    length: Option<u64>,
    chunked: bool,
    closes: bool,
    upgrade: Option<HeaderValue>,
    /// Fields that are for this connection alone, because `Connection` names them.
    named: Vec<HeaderName>,
}

impl Own {
    /// Gives back what is none of that.
    fn take(
        &mut self,
        name: HeaderName,
        value: HeaderValue,
    ) -> Result<Option<(HeaderName, HeaderValue)>, Malformed> {
        match name.as_str() {
            "content-length" => {
                let length = length(value.as_bytes()).ok_or(Malformed("Content-Length is no number"))?;
                if self.length.replace(length).is_some() {
                    return Err(Malformed("Content-Length is there twice"));
                }
            }
            "transfer-encoding" => {
                if self.chunked || !value.as_bytes().eq_ignore_ascii_case(b"chunked") {
                    return Err(Malformed("Transfer-Encoding is not chunked alone"));
                }
                self.chunked = true;
            }
            "connection" => self.connection(value.as_bytes())?,
            "upgrade" => self.upgrade = Some(value),
            "keep-alive" | "proxy-connection" | "proxy-authenticate" | "te" => {}
            _ => return Ok(Some((name, value))),
        }
        Ok(None)
    }

    fn connection(&mut self, value: &[u8]) -> Result<(), Malformed> {
        for option in value.split(|b| *b == b',').map(<[u8]>::trim_ascii).filter(|option| !option.is_empty())
        {
            if option.eq_ignore_ascii_case(b"close") {
                self.closes = true;
            } else if !option.eq_ignore_ascii_case(b"keep-alive") && !option.eq_ignore_ascii_case(b"upgrade")
            {
                let name =
                    HeaderName::from_bytes(option).map_err(|_| Malformed("Connection names no field"))?;
                self.named.push(name);
            }
        }
        Ok(())
    }

    /// RFC 9112 section 6.3, and what it lets a recipient refuse is refused.
    fn framing(&self, is_11: bool, status: StatusCode, method: &Method) -> Result<Framing, Malformed> {
        if self.chunked && (self.length.is_some() || !is_11) {
            return Err(Malformed("Transfer-Encoding where there may be none"));
        }
        let empty = status.is_informational()
            || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
            || method == Method::HEAD;
        Ok(match (empty, self.chunked, self.length) {
            (true, ..) | (_, _, Some(0)) => Framing::None,
            (_, true, _) => Framing::Chunked,
            (_, _, Some(length)) => Framing::Length(length),
            (_, _, None) => Framing::UntilClose,
        })
    }
}

/// Digits alone: neither a sign nor a list.
fn length(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}
