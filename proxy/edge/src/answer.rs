//! The shape of answers that are made for one request.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, VARY, X_CONTENT_TYPE_OPTIONS},
};
use http_body_util::Full;
use serde::Serialize;

/// An answer; all of ours fit in memory.
pub(crate) type Answer = Response<Full<Bytes>>;

/// Not in the `http` crate (<https://fetch.spec.whatwg.org/#cross-origin-resource-policy-header>).
pub(crate) const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// An answer of `value` as JSON. No cache may keep it.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Answer {
    match serde_json::to_vec(value) {
        Ok(body) => json_text(status, body.into()),
        // Maps with text keys are always JSON; nothing else is handed in.
        Err(_) => json_text(StatusCode::INTERNAL_SERVER_ERROR, Bytes::new()),
    }
}

/// The same of JSON that is text already.
pub(crate) fn json_text(status: StatusCode, body: Bytes) -> Answer {
    let mut answer = private(status, body);
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

/// An answer without content.
pub(crate) fn empty(status: StatusCode) -> Answer {
    private(status, Bytes::new())
}

/// A line for people, where no program of ours asks.
pub(crate) fn plain(status: StatusCode, line: &'static str) -> Answer {
    let mut answer = private(status, Bytes::from_static(line.as_bytes()));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    answer
}

/// Adds `Vary: Origin`: what the answer allows depends on who asks.
pub(crate) fn vary_by_origin(headers: &mut HeaderMap) {
    headers.insert(VARY, HeaderValue::from_static("Origin"));
}

fn private(status: StatusCode, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(RESOURCE_POLICY, HeaderValue::from_static("same-site"));
    answer
}
