//! The request line: `method SP target SP version` (RFC 9112 section 3).

use super::{
    authority::Authority,
    octets::{self, is_encoded, is_path, is_token, wants_encoding},
    offence::Offence,
};
use bytes::{BufMut, BytesMut};
use std::ops::Range;

/// A request line; ranges count from its first byte.
#[derive(Clone, Debug)]
pub(super) struct RequestLine {
    method_end: usize,
    target: Target,
    pub(super) is_http_11: bool,
    /// Whether it goes on as it came.
    pub(super) is_canonical: bool,
}

/// What is asked for (RFC 9112 section 3.2).
#[derive(Clone, Debug)]
enum Target {
    /// A path and a query, or `*`.
    Origin(Range<usize>),
    /// The same behind a scheme and a host, which `Host` has to repeat. It is written as the former.
    Absolute { default_port: u16, authority: Range<usize>, path: Range<usize> },
}

impl RequestLine {
    /// Reads it from a line without its end.
    pub(super) fn parse(line: &[u8], is_secured: bool) -> Result<Self, Offence> {
        let method_end = memchr::memchr(b' ', line).ok_or(Offence::RequestLine)?;
        let (method, rest) = (&line[..method_end], &line[method_end + 1..]);
        let target_length = memchr::memchr(b' ', rest).ok_or(Offence::RequestLine)?;
        let (target, version) = (&rest[..target_length], &rest[target_length + 1..]);
        if !is_token(method) || target.is_empty() {
            return Err(Offence::RequestLine);
        }
        let is_http_11 = is_http_11(version)?;
        if !is_method(method) {
            return Err(Offence::Method);
        }
        let begin = method_end + 1;
        let target = begin..begin + target_length;
        let (target, is_canonical) = match line[begin] {
            b'/' => (Target::Origin(target.clone()), !check_path(&line[target])?),
            b'*' if target_length == 1 && method == b"OPTIONS" => (Target::Origin(target), true),
            b'*' => return Err(Offence::Target),
            _ => (absolute(line, target, is_secured)?, false),
        };
        Ok(Self { method_end, target, is_http_11, is_canonical })
    }

    /// The method.
    pub(super) fn method<'l>(&self, line: &'l [u8]) -> &'l [u8] {
        &line[..self.method_end]
    }

    /// Whether the target names the same place as `Host`, if it names one.
    pub(super) fn agrees(&self, line: &[u8], host: Authority<'_>) -> bool {
        let Target::Absolute { default_port, authority, .. } = &self.target else { return true };
        let named = Authority::parse(&line[authority.clone()]);
        named.is_some_and(|named| named.agrees(host, *default_port))
    }

    /// Writes it anew, with its end.
    pub(super) fn write(&self, line: &[u8], out: &mut BytesMut) {
        out.put_slice(self.method(line));
        out.put_u8(b' ');
        match &self.target {
            Target::Origin(target) => write_encoded(&line[target.clone()], out),
            Target::Absolute { path, .. } => self.write_path(line, &line[path.clone()], out),
        }
        out.put_slice(if self.is_http_11 { b" HTTP/1.1\r\n" } else { b" HTTP/1.0\r\n" });
    }

    /// What stands behind the host (RFC 9112 section 3.2.4 for the first case).
    fn write_path(&self, line: &[u8], path: &[u8], out: &mut BytesMut) {
        match path.first() {
            None if self.method(line) == b"OPTIONS" => out.put_u8(b'*'),
            None | Some(b'?') => out.put_u8(b'/'),
            Some(_) => {}
        }
        write_encoded(path, out);
    }
}

fn is_http_11(version: &[u8]) -> Result<bool, Offence> {
    match version {
        b"HTTP/1.1" => Ok(true),
        b"HTTP/1.0" => Ok(false),
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            Err(Offence::Version)
        }
        _ => Err(Offence::RequestLine),
    }
}

/// The methods of <https://www.iana.org/assignments/http-methods>: an origin may be a calendar or a WebDAV server. Without
/// `CONNECT`, as this is no forward proxy. `TRACE` is among them to be told that it is not allowed; whoever routes has to do
/// so, for it would show scripts what cookies they may not see.
pub(super) fn is_method(method: &[u8]) -> bool {
    matches!(
        method,
        b"GET"
            | b"POST"
            | b"HEAD"
            | b"OPTIONS"
            | b"PUT"
            | b"DELETE"
            | b"PATCH"
            | b"TRACE"
            | b"QUERY"
            | b"ACL"
            | b"BASELINE-CONTROL"
            | b"BIND"
            | b"CHECKIN"
            | b"CHECKOUT"
            | b"COPY"
            | b"LABEL"
            | b"LINK"
            | b"LOCK"
            | b"MERGE"
            | b"MKACTIVITY"
            | b"MKCALENDAR"
            | b"MKCOL"
            | b"MKREDIRECTREF"
            | b"MKWORKSPACE"
            | b"MOVE"
            | b"ORDERPATCH"
            | b"PROPFIND"
            | b"PROPPATCH"
            | b"REBIND"
            | b"REPORT"
            | b"SEARCH"
            | b"UNBIND"
            | b"UNCHECKOUT"
            | b"UNLINK"
            | b"UNLOCK"
            | b"UPDATE"
            | b"UPDATEREDIRECTREF"
            | b"VERSION-CONTROL"
    )
}

/// `absolute-form`: of our own two schemes, without a user. `authority-form` is refused with the rest.
fn absolute(line: &[u8], target: Range<usize>, is_secured: bool) -> Result<Target, Offence> {
    let text = &line[target.clone()];
    let begins = |scheme: &[u8]| text.get(..scheme.len()).is_some_and(|t| t.eq_ignore_ascii_case(scheme));
    let (scheme_length, default_port) = match () {
        () if begins(b"http://") => (7, 80),
        // RFC 9110 section 7.4: not what comes without TLS.
        () if begins(b"https://") && is_secured => (8, 443),
        () => return Err(Offence::Target),
    };
    let rest = &text[scheme_length..];
    let length = rest.iter().position(|octet| matches!(octet, b'/' | b'?')).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(length);
    Authority::parse(authority).ok_or(Offence::Target)?;
    check_path(path)?;
    let path_begin = target.start + scheme_length + length;
    Ok(Target::Absolute {
        default_port,
        authority: target.start + scheme_length..path_begin,
        path: path_begin..target.end,
    })
}

/// Checks a path with its query; whether something in it has to be encoded.
///
/// `//` at the beginning is refused: whoever puts such a target behind a scheme, or redirects to it, has named a host.
pub(super) fn check_path(target: &[u8]) -> Result<bool, Offence> {
    let query = memchr::memchr(b'?', target);
    let (path, query) = target.split_at(query.unwrap_or(target.len()));
    if path.starts_with(b"//") || !is_path(path) || !is_encoded(path) {
        return Err(Offence::Target);
    }
    octets::query(query).ok_or(Offence::Target)
}

fn write_encoded(text: &[u8], out: &mut BytesMut) {
    for part in text.split_inclusive(|octet| wants_encoding(*octet)) {
        match part.split_last() {
            Some((b'"', before)) => put(out, before, b"%22"),
            Some((b'<', before)) => put(out, before, b"%3C"),
            Some((b'>', before)) => put(out, before, b"%3E"),
            _ => out.put_slice(part),
        }
    }
}

fn put(out: &mut BytesMut, before: &[u8], encoded: &[u8]) {
    out.put_slice(before);
    out.put_slice(encoded);
}
