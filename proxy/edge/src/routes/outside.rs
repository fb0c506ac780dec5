//! Everything outside of the prefix: the merchant's own server's, where there is one.

use crate::{
    answer::{Answer, Body},
    call::{Call, Outcome},
    client,
    fault::Fault,
    landing::{self, Ground, Landing},
    rescue::rescue,
    table::Table,
};
use http::{Method, Response, header::CONTENT_TYPE};
use http_body_util::combinators::UnsyncBoxBody;
use usher_core::capture;
use usher_front::Inbound;
use usher_origin::{BodyStream, Visitor};

/// Its answer. Where the address names an affiliate, a click is made meanwhile; the answer comes whatever has become of that, and
/// of the store and the platform.
pub(super) async fn act(call: &Call<'_>, table: &Table, body: Inbound) -> Result<Outcome, Fault> {
    // It would show scripts what they may not see (RFC 9110 section 9.3.8).
    if call.face.origin.is_some() && call.head.method == Method::TRACE {
        return Err(Fault::Method("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
    }
    let address = call.head.uri.path_and_query().filter(|_| call.face.origin.is_some());
    let landing = address.and_then(|address| capture::Landing::read(&call.face.site, address.as_str()));
    let is_referred = landing.is_some();
    let landing = landing.and_then(|landing| Landing::begin(call, table, Ground::Page, landing).ok());

    let mut answer = match forward(call, table, body).await {
        Ok(answer) => tagged(call, answer),
        Err(fault) if landing.is_some() => rescue(&fault),
        Err(fault) => return Err(fault),
    };
    let grant = match landing {
        Some(landing) => Box::pin(landing.granted(call)).await,
        None => None,
    };
    // Another visitor's copy of such a page would come without their cookie, or with somebody else's.
    if grant.is_some() || (is_referred && is_html(&answer)) {
        landing::keep_private(answer.headers_mut());
    }
    Ok(Outcome { answer, grant })
}

/// Puts the tag in, if it is a page.
fn tagged(call: &Call<'_>, answer: Response<BodyStream>) -> Answer {
    let (mut parts, body) = answer.into_parts();
    let tagger = call.face.tagger.as_ref();
    let body = match body.into_whole() {
        Ok(whole) => {
            let done = tagger
                .map_or(Some(whole.clone()), |tagger| tagger.decorate_whole(call.head, &mut parts, &whole));
            match done {
                Some(done) => return Response::from_parts(parts, done.into()),
                None => Body::from(whole),
            }
        }
        Err(stream) => Body::Stream(UnsyncBoxBody::new(stream)),
    };
    let answer = Response::from_parts(parts, body);
    let Some(tagger) = tagger else { return answer };
    tagger.decorate(call.head, answer).map(|body| match body.into_untouched() {
        Ok(body) => body,
        Err(tagged) => Body::Stream(UnsyncBoxBody::new(tagged)),
    })
}

fn is_html(answer: &Answer) -> bool {
    let kind = answer.headers().get(CONTENT_TYPE).map(|kind| kind.as_bytes().to_ascii_lowercase());
    kind.is_some_and(|kind| kind.starts_with(b"text/html"))
}

/// What the origin says.
async fn forward(call: &Call<'_>, table: &Table, body: Inbound) -> Result<Response<BodyStream>, Fault> {
    let origin = call.face.origin.as_ref().ok_or(Fault::Outside)?;
    let visitor = Visitor {
        address: call.address,
        https: client::speaks_https(call.peer, &call.head.headers, &table.trusted),
        host: call.host,
        is_vouched_for: client::is_trusted(call.peer.address.to_canonical(), &table.trusted),
    };
    origin.forward(call.head, body, &visitor).await.map_err(|failure| {
        call.face.meters.unanswered(&failure, origin.address());
        Fault::Origin(failure)
    })
}
