//! What a certificate authority asks to see on a host before it issues for it (RFC 8555 section 8.3).

use crate::answer::{self, Answer};
use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header::CONTENT_TYPE, request::Parts};
use usher_tls::Challenges;

/// The answer, while an order of ours is under way that asks for it. Else the path is as any other: the origin may have
/// orders of its own.
pub(crate) fn answer(challenges: &Challenges, head: &Parts, host: &str) -> Option<Answer> {
    let token = head.uri.path().strip_prefix(Challenges::PATH)?;
    if head.method != Method::GET {
        return None;
    }
    let text = challenges.text(host, token)?;
    let mut answer = answer::private(StatusCode::OK, Bytes::from(text));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    Some(answer)
}
