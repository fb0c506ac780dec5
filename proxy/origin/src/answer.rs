//! What the visitor is answered: what the origin said, put together anew.

use crate::{
    BoxError,
    flow::{BodyStream, Flow},
    pool::Lease,
    request::cookie_name,
    upload::Upload,
    wire::{Decoder, Framing, Head, Malformed},
};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Response, StatusCode,
    header::{CONNECTION, Entry, SET_COOKIE, UPGRADE},
};
use http_body::Body;

/// The answer. One that is here as a whole leaves its connection to others at once.
pub(crate) fn of<B>(
    head: Head,
    mut lease: Lease,
    upload: Upload<B>,
    own_cookies: &[String],
) -> Response<BodyStream>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    let input = &mut lease.connection.input;
    let whole = match head.framing {
        Framing::None => Some(Bytes::new()),
        Framing::Length(length) => usize::try_from(length)
            .ok()
            .filter(|length| *length <= input.len())
            .map(|length| input.split_to(length).freeze()),
        Framing::Chunked | Framing::UntilClose => None,
    };
    let body = match whole {
        Some(whole) => {
            if head.keeps && upload.is_done() && lease.connection.input.is_empty() {
                lease.give_back();
            }
            BodyStream::whole(whole)
        }
        None => BodyStream::flow(Flow::new(lease, upload, Decoder::new(head.framing), head.keeps)),
    };
    let mut headers = head.headers;
    drop_cookies(&mut headers, own_cookies);
    answer(head.status, headers, body)
}

/// The answer to an upgrade that was asked for.
pub(crate) fn switched(head: Head) -> Result<Response<BodyStream>, Malformed> {
    let upgrade = head.upgrade.ok_or(Malformed("it switches without a word to what"))?;
    let mut headers = head.headers;
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, upgrade);
    Ok(answer(head.status, headers, BodyStream::whole(Bytes::new())))
}

fn answer(status: StatusCode, headers: HeaderMap, body: BodyStream) -> Response<BodyStream> {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    *answer.headers_mut() = headers;
    answer
}

/// An origin that sets our cookies would say whose a visitor is.
fn drop_cookies(headers: &mut HeaderMap, own: &[String]) {
    let is_own = |field: &HeaderValue| own.iter().any(|name| set_name(field) == name.as_bytes());
    if let Entry::Occupied(fields) = headers.entry(SET_COOKIE)
        && fields.iter().any(is_own)
    {
        let (_, fields) = fields.remove_entry_mult();
        let kept: Vec<HeaderValue> = fields.filter(|field| !is_own(field)).collect();
        for field in kept {
            headers.append(SET_COOKIE, field);
        }
    }
}

fn set_name(field: &HeaderValue) -> &[u8] {
    cookie_name(field.as_bytes().split(|b| *b == b';').next().unwrap_or_default())
}
