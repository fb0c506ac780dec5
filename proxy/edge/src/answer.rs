//! The shape of answers that are made for one request.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, VARY, X_CONTENT_TYPE_OPTIONS},
};
use http_body::{Frame, SizeHint};
use http_body_util::{Full, combinators::UnsyncBoxBody};
use serde::Serialize;
use std::{
    pin::Pin,
    task::{Context, Poll},
};

/// An answer.
pub(crate) type Answer = Response<Body>;

/// What an answer carries.
pub(crate) enum Body {
    /// Ours, which all fit in memory.
    Whole(Full<Bytes>),
    /// The origin's, as it comes.
    Stream(UnsyncBoxBody<Bytes, BoxError>),
}

/// What can end a stream early.
pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        match self.get_mut() {
            Self::Whole(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
            Self::Stream(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(body) => body.is_end_stream(),
            Self::Stream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => body.size_hint(),
            Self::Stream(body) => body.size_hint(),
        }
    }
}

impl From<Bytes> for Body {
    fn from(whole: Bytes) -> Self {
        Self::Whole(Full::new(whole))
    }
}

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

/// A page of one line for people. No cache may keep it, and no page of another site's is to show it as its own.
pub(crate) fn page(status: StatusCode, line: &str) -> Answer {
    let (code, reason) = (status.as_u16(), status.canonical_reason().unwrap_or_default());
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{code} {reason}</title>\n\
         <h1>{code} {reason}</h1>\n<p>{line}</p>\n</html>\n"
    );
    let mut answer = private(status, html.into());
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    answer
}

/// Adds `Vary: Origin`: what the answer allows depends on who asks.
pub(crate) fn vary_by_origin(headers: &mut HeaderMap) {
    headers.insert(VARY, HeaderValue::from_static("Origin"));
}

/// An answer for one client alone: no cache may keep it, no browser guess what it is.
pub(crate) fn private(status: StatusCode, body: Bytes) -> Answer {
    let mut answer = Response::new(body.into());
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(RESOURCE_POLICY, HeaderValue::from_static("same-site"));
    answer
}
