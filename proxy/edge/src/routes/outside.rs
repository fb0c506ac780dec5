//! Everything outside of the prefix: the merchant's own server's, where there is one.

use crate::{
    answer::{Answer, Body},
    call::Call,
    client,
    fault::Fault,
    table::Table,
};
use http::Method;
use http_body_util::{Full, combinators::UnsyncBoxBody};
use usher_front::Inbound;
use usher_origin::Visitor;

/// Its answer. It asks neither the store nor the platform, so it comes whatever has become of those.
pub(super) async fn act(call: &Call<'_>, table: &Table, body: Inbound) -> Result<Answer, Fault> {
    let origin = call.face.origin.as_ref().ok_or(Fault::Outside)?;
    // It would show scripts what they may not see (RFC 9110 section 9.3.8).
    if call.head.method == Method::TRACE {
        return Err(Fault::Method("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
    }
    let visitor = Visitor {
        address: call.address,
        https: client::speaks_https(call.peer, &call.head.headers, &table.trusted),
        host: call.host,
        is_vouched_for: client::is_trusted(call.peer.address.to_canonical(), &table.trusted),
    };
    match origin.forward(call.head, body, &visitor).await {
        Ok(answer) => Ok(answer.map(|body| match body.into_whole() {
            Ok(whole) => Body::Whole(Full::new(whole)),
            Err(stream) => Body::Stream(UnsyncBoxBody::new(stream)),
        })),
        Err(failure) => {
            call.face.meters.unanswered(&failure, origin.address());
            Err(Fault::Origin(failure))
        }
    }
}
