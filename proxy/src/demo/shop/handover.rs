//! What a merchant's web server does for an edge behind it: hands over one path prefix, says who asked, passes everything back.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;

use crate::demo::http::{BodyError, HangUp, Reply, read_body, reply};
use crate::demo::limits;

/// A pooled client for plain HTTP.
pub(super) type EdgeClient = Client<HttpConnector, Full<Bytes>>;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Hands a request over and its answer back.
///
/// # Errors
/// When the browser's own body breaks off: there is nobody left to answer.
pub(super) async fn hand_over(
    client: &EdgeClient,
    edge: SocketAddr,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Result<Reply, HangUp> {
    let (head, body) = request.into_parts();
    let body = match read_body(body, limits::REQUEST_BODY_MAX_BYTES).await {
        Ok(body) => body,
        Err(BodyError::TooLarge) => return Ok(said(StatusCode::PAYLOAD_TOO_LARGE)),
        Err(BodyError::Broken) => return Err(HangUp),
    };
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let Ok(uri) = Uri::builder().scheme("http").authority(edge.to_string()).path_and_query(path).build()
    else {
        return Ok(said(StatusCode::BAD_REQUEST));
    };
    let mut onward = Request::new(Full::new(body));
    *onward.method_mut() = head.method;
    *onward.uri_mut() = uri;
    *onward.headers_mut() = onward_headers(head.headers, peer);
    let answered = tokio::time::timeout(limits::HANDOVER_DEADLINE, ask(client, onward)).await;
    Ok(match answered {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => {
            tracing::warn!(%error, "the edge did not answer");
            said(StatusCode::BAD_GATEWAY)
        }
        Err(_) => said(StatusCode::GATEWAY_TIMEOUT),
    })
}

async fn ask(
    client: &EdgeClient,
    onward: Request<Full<Bytes>>,
) -> Result<Reply, Box<dyn std::error::Error + Send + Sync>> {
    let (mut head, body) = client.request(onward).await?.into_parts();
    let body = Limited::new(body, limits::HANDED_ANSWER_MAX_BYTES).collect().await?.to_bytes();
    drop_hop_by_hop(&mut head.headers);
    Ok(Response::from_parts(head, Full::new(body)))
}

/// The request's headers for the edge: `Host` as the browser wrote it, the browser's address added behind what was said before.
fn onward_headers(mut headers: HeaderMap, peer: SocketAddr) -> HeaderMap {
    drop_hop_by_hop(&mut headers);
    // The body is whole by now, so its length is set anew and nobody waits for a go-ahead.
    headers.remove(header::CONTENT_LENGTH);
    headers.remove(header::EXPECT);
    let mut chain = Vec::new();
    for said in headers.get_all(&FORWARDED_FOR) {
        chain.extend_from_slice(said.as_bytes());
        chain.extend_from_slice(b", ");
    }
    chain.extend_from_slice(peer.ip().to_canonical().to_string().as_bytes());
    if let Ok(chain) = HeaderValue::from_bytes(&chain) {
        headers.insert(FORWARDED_FOR, chain);
    }
    headers.insert(FORWARDED_PROTO, HeaderValue::from_static("http"));
    headers
}

/// Removes what belongs to one connection only (RFC 9110, 7.6.1), and what `Connection` names as such.
fn drop_hop_by_hop(headers: &mut HeaderMap) {
    const HOP_BY_HOP: [&str; 8] = [
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "transfer-encoding",
        "upgrade",
    ];
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

fn said(status: StatusCode) -> Reply {
    reply(status, "text/plain; charset=utf-8", status.canonical_reason().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn onward_headers_are_the_browsers_own_and_its_address() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("host", "shop.test:8080"),
            ("cookie", "a=b"),
            ("connection", "close, X-Private"),
            ("x-private", "1"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("x-forwarded-for", "198.51.100.1"),
            ("x-forwarded-for", "198.51.100.2"),
            ("x-forwarded-proto", "https"),
        ] {
            headers.append(name, value.parse().unwrap());
        }
        let onward = onward_headers(headers, "[::ffff:192.0.2.7]:4000".parse().unwrap());
        let mut names: Vec<&str> = onward.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["cookie", "host", "x-forwarded-for", "x-forwarded-proto"]);
        assert_eq!(onward["host"], "shop.test:8080");
        assert_eq!(onward["x-forwarded-for"], "198.51.100.1, 198.51.100.2, 192.0.2.7");
        assert_eq!(onward["x-forwarded-proto"], "http");
    }
}
