//! What the origin is asked: the visitor's request, written anew.

use crate::{failure::Failure, origin::Visitor};
use bytes::{BufMut, Bytes, BytesMut};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Version,
    header::{CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, HOST, TE, UPGRADE},
    request::Parts,
};
use http_body::Body;
use usher_model::limits::ORIGIN_ROUNDS;

/// A request's head as it goes over the wire.
#[derive(Debug)]
pub(crate) struct RequestHead {
    pub(crate) bytes: Bytes,
    /// How its body ends.
    pub(crate) size: Size,
    /// Whether the body waits until the origin asks for it.
    pub(crate) expects: bool,
    /// Whether doing it twice does no more than doing it once (RFC 9110 section 9.2.1).
    pub(crate) is_safe: bool,
    /// Whether it asks to go on in another protocol.
    pub(crate) upgrades: bool,
}

/// How a request's body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    None,
    Length(u64),
    Chunked,
}

impl Size {
    /// Whether the request is the last one of its connection. Servers may answer without reading a body, a `GET`'s above all,
    /// and some then take it for the next request: one that a visitor wrote, whose answer another visitor would get.
    pub(crate) fn is_last(self) -> bool {
        self != Self::None
    }
}

/// What is the same for every request of an origin.
#[derive(Debug)]
pub(crate) struct Rules {
    /// Cookies that the origin does not see.
    pub(crate) hidden_cookies: Vec<String>,
    /// What tells that a request has been here: an entry of `CDN-Loop` (RFC 8586). `Via` would do as well, but nginx does not
    /// compress what is asked for with it.
    pub(crate) mark: String,
}

/// RFC 8586.
const CDN_LOOP: HeaderName = HeaderName::from_static("cdn-loop");

/// What there is beside a request's head.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    size: Size,
    /// Whether its connection can go on in another protocol.
    can_switch: bool,
}

impl Shape {
    pub(crate) fn of(body: &impl Body, can_switch: bool) -> Self {
        let size = match body.size_hint().exact() {
            _ if body.is_end_stream() => Size::None,
            Some(length) => Size::Length(length),
            None => Size::Chunked,
        };
        Self { size, can_switch }
    }
}

/// Writes a request's head.
pub(crate) fn head(
    parts: &Parts,
    shape: Shape,
    visitor: &Visitor<'_>,
    rules: &Rules,
) -> Result<RequestHead, Failure> {
    let rounds = parts.headers.get_all(CDN_LOOP).iter().map(|value| count(value, &rules.mark)).sum::<usize>();
    if rounds >= ORIGIN_ROUNDS {
        return Err(Failure::Circle);
    }
    let size = shape.size;
    let upgrade = if shape.can_switch { upgrade(parts) } else { None };
    let expects = size != Size::None
        && parts.version == Version::HTTP_11
        && parts.headers.get(EXPECT).is_some_and(|e| e.as_bytes().eq_ignore_ascii_case(b"100-continue"));

    let mut out = BytesMut::with_capacity(1024);
    line(&mut out, parts);
    fields(&mut out, parts, visitor, rules);
    if let Some(protocols) = &upgrade {
        put(&mut out, "upgrade", protocols);
    }
    // `close` stands alone: Python's server knows it only so, and trailers of an answer are dispensable.
    let takes_trailers = !size.is_last() && takes_trailers(&parts.headers);
    if takes_trailers {
        out.put_slice(b"te: trailers\r\n");
    }
    let options = [(upgrade.is_some(), "upgrade"), (takes_trailers, "te"), (size.is_last(), "close")];
    let options = options.iter().filter(|(is_meant, _)| *is_meant).map(|(_, option)| option.as_bytes());
    put_joined(&mut out, "connection", options, b", ");
    if expects {
        out.put_slice(b"expect: 100-continue\r\n");
    }
    framing(&mut out, parts, size);
    out.put_slice(b"\r\n");
    Ok(RequestHead {
        bytes: out.freeze(),
        size,
        expects,
        is_safe: matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS),
        upgrades: upgrade.is_some(),
    })
}

fn line(out: &mut BytesMut, parts: &Parts) {
    out.put_slice(parts.method.as_str().as_bytes());
    out.put_u8(b' ');
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    if target.starts_with('?') {
        out.put_u8(b'/'); // of `http://shop.example?x`
    }
    out.put_slice(target.as_bytes());
    out.put_slice(b" HTTP/1.1\r\n");
}

/// What the visitor sent, without what belongs to its connection, and what we know of the visitor.
fn fields(out: &mut BytesMut, parts: &Parts, visitor: &Visitor<'_>, rules: &Rules) {
    let host = match parts.uri.authority() {
        Some(authority) => authority.as_str().as_bytes(),
        None => parts.headers.get(HOST).map_or(visitor.host.as_bytes(), HeaderValue::as_bytes),
    };
    put(out, "host", host);
    let named: Vec<&[u8]> = options(&parts.headers).collect();
    for (name, value) in &parts.headers {
        let dropped = is_dropped(name.as_str(), visitor.is_vouched_for)
            || named.iter().any(|option| option.eq_ignore_ascii_case(name.as_str().as_bytes()));
        if !dropped {
            put(out, name.as_str(), value.as_bytes());
        }
    }
    cookies(out, &parts.headers, &rules.hidden_cookies);
    about(out, visitor, host);
    let marks = parts.headers.get_all(CDN_LOOP).iter().map(HeaderValue::as_bytes);
    put_joined(out, "cdn-loop", marks.chain([rules.mark.as_bytes()]), b", ");
}

/// Everything that says who the visitor is says what we know (RFC 7239 for `Forwarded`).
fn about(out: &mut BytesMut, visitor: &Visitor<'_>, host: &[u8]) {
    let proto: &[u8] = if visitor.https { b"https" } else { b"http" };
    let address = visitor.address.to_string();
    let address = address.as_bytes();
    put(out, "x-forwarded-for", address);
    put(out, "x-real-ip", address);
    put(out, "x-forwarded-proto", proto);
    put(out, "x-forwarded-host", host);
    let quotes: [&[u8]; 2] = if visitor.address.is_ipv6() { [b"\"[", b"]\""] } else { [b"", b""] };
    let parts =
        [b"forwarded: for=", quotes[0], address, quotes[1], b";proto=", proto, b";host=\"", host, b"\"\r\n"];
    parts.iter().for_each(|part| out.put_slice(part));
}

/// The body's framing is ours, whatever the visitor called it.
fn framing(out: &mut BytesMut, parts: &Parts, size: Size) {
    let length = match size {
        Size::Chunked => return out.put_slice(b"transfer-encoding: chunked\r\n"),
        Size::Length(length) => length,
        // RFC 9110 section 8.6: methods that usually have a body say that there is none.
        Size::None if matches!(parts.method, Method::POST | Method::PUT | Method::PATCH) => 0,
        Size::None if parts.headers.contains_key(CONTENT_LENGTH) => 0,
        Size::None => return,
    };
    put(out, "content-length", length.to_string().as_bytes());
}

/// Fields that are written anew or concern the visitor's connection alone. CGI takes `_` for `-` in names
/// (RFC 3875 section 4.1.18), and so do many servers behind.
fn is_dropped(name: &str, is_vouched_for: bool) -> bool {
    if name.contains('_') {
        let dashed = name.replace('_', "-");
        return is_own(&dashed) || (!is_vouched_for && is_claim(&dashed)) || dashed == "cookie";
    }
    is_own(name) || name == "cookie" || (!is_vouched_for && is_claim(name))
}

fn is_own(name: &str) -> bool {
    matches!(
        name,
        "host"
            | "connection"
            | "keep-alive"
            | "te"
            | "transfer-encoding"
            | "content-length"
            | "upgrade"
            | "http2-settings"
            | "expect"
            | "early-data"
            | "cdn-loop"
            | "forwarded"
            | "x-real-ip"
    ) || name.starts_with("x-forwarded-")
        || name.starts_with("proxy-")
}

/// What only a proxy that we trust may say of a visitor. `proxy` would become `HTTP_PROXY` (<https://httpoxy.org>).
fn is_claim(name: &str) -> bool {
    matches!(
        name,
        "proxy"
            | "client-ip"
            | "true-client-ip"
            | "x-client-ip"
            | "x-cluster-client-ip"
            | "x-originating-ip"
            | "x-original-forwarded-for"
            | "x-remote-ip"
            | "x-remote-addr"
            | "x-real-port"
            | "x-azure-clientip"
            | "x-azure-socketip"
            | "x-appengine-user-ip"
            | "x-envoy-external-address"
            | "fastly-client-ip"
            | "fly-client-ip"
            | "wl-proxy-client-ip"
    ) || name.starts_with("cf-connecting-ip")
        || name.starts_with("cf-pseudo-ip")
}

/// One field of all crumbs (RFC 9113 section 8.2.3), without the cookies that are hidden.
fn cookies(out: &mut BytesMut, headers: &HeaderMap, hidden: &[String]) {
    let lines = || headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes);
    let is_hidden = |pair: &[u8]| hidden.iter().any(|name| cookie_name(pair) == name.as_bytes());
    let pairs = |line| <[u8]>::split(line, |b| *b == b';').map(<[u8]>::trim_ascii);
    if lines().flat_map(pairs).any(is_hidden) {
        let kept = lines().flat_map(pairs).filter(|pair| !pair.is_empty() && !is_hidden(pair));
        put_joined(out, "cookie", kept, b"; ");
    } else {
        put_joined(out, "cookie", lines(), b"; ");
    }
}

/// What stands before the `=`.
pub(crate) fn cookie_name(pair: &[u8]) -> &[u8] {
    pair.split(|b| *b == b'=').next().unwrap_or_default().trim_ascii()
}

/// Protocols that the visitor would go on in, as they go into `Upgrade`. HTTP and TLS are none: a tunnel would carry requests
/// past everything that is checked here.
fn upgrade(parts: &Parts) -> Option<Vec<u8>> {
    if parts.version != Version::HTTP_11
        || !options(&parts.headers).any(|o| o.eq_ignore_ascii_case(b"upgrade"))
    {
        return None;
    }
    let lines = parts.headers.get_all(UPGRADE).iter().map(HeaderValue::as_bytes);
    let protocols = lines.flat_map(|line| line.split(|b| *b == b',')).map(<[u8]>::trim_ascii);
    let carried = |protocol: &&[u8]| {
        let begins = |with: &[u8]| protocol.get(..with.len()).is_some_and(|p| p.eq_ignore_ascii_case(with));
        !protocol.is_empty() && !begins(b"h2") && !begins(b"h3") && !begins(b"http") && !begins(b"tls")
    };
    let carried: Vec<&[u8]> = protocols.filter(carried).collect();
    (!carried.is_empty()).then(|| carried.join(&b", "[..]))
}

/// What `Connection` names.
fn options(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    let lines = headers.get_all(CONNECTION).iter();
    lines.flat_map(|line| line.as_bytes().split(|b| *b == b',')).map(<[u8]>::trim_ascii)
}

fn takes_trailers(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(TE).iter();
    let mut codings = lines.flat_map(|line| line.as_bytes().split(|b| *b == b','));
    codings.any(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"trailers"))
}

fn count(value: &HeaderValue, mark: &str) -> usize {
    value.as_bytes().split(|b| *b == b',').filter(|entry| entry.trim_ascii() == mark.as_bytes()).count()
}

fn put(out: &mut BytesMut, name: &str, value: &[u8]) {
    out.reserve(name.len() + value.len() + 4);
    out.put_slice(name.as_bytes());
    out.put_slice(b": ");
    out.put_slice(value);
    out.put_slice(b"\r\n");
}

/// One field of all of `values`; none when there are none.
fn put_joined<'v>(
    out: &mut BytesMut,
    name: &str,
    mut values: impl Iterator<Item = &'v [u8]>,
    between: &[u8],
) {
    let Some(first) = values.next() else { return };
    out.put_slice(name.as_bytes());
    out.put_slice(b": ");
    out.put_slice(first);
    for value in values {
        out.put_slice(between);
        out.put_slice(value);
    }
    out.put_slice(b"\r\n");
}

/// Trailers without what may not be one (RFC 9110 section 6.5.1): framing, routing, credentials, and what tells of the visitor.
pub(crate) fn keep_trailers(mut trailers: HeaderMap) -> HeaderMap {
    let unfit: Vec<HeaderName> =
        trailers.keys().filter(|name| !is_fit_for_trailer(name.as_str())).cloned().collect();
    for name in unfit {
        trailers.remove(name);
    }
    trailers
}

/// The same of a request, as it goes over the wire.
pub(crate) fn write_trailers(out: &mut Vec<u8>, trailers: &HeaderMap) {
    for (name, value) in trailers.iter().filter(|(name, _)| is_fit_for_trailer(name.as_str())) {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            out.extend_from_slice(part);
        }
    }
}

fn is_fit_for_trailer(name: &str) -> bool {
    !is_dropped(name, false)
        && !name.starts_with("content-")
        && !name.starts_with("if-")
        && !matches!(
            name,
            "authorization"
                | "set-cookie"
                | "trailer"
                | "cache-control"
                | "max-forwards"
                | "range"
                | "age"
                | "date"
                | "expires"
                | "location"
                | "retry-after"
                | "vary"
                | "www-authenticate"
        )
}

#[cfg(test)]
mod tests;
