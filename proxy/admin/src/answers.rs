//! What is answered at which path.

use crate::{State, outbox::Readiness};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Response, StatusCode,
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HOST, X_CONTENT_TYPE_OPTIONS},
    request::Parts,
    uri::Authority,
};
use http_body_util::Full;
use prometheus_client::encoding::text::encode;
use std::net::IpAddr;

type Answer = Response<Full<Bytes>>;

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
/// <https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md#overall-structure>
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Answers one request.
pub(crate) async fn answer(state: &State, head: &Parts) -> Answer {
    if !is_asked_by_our_name(&head.headers, &state.hosts) {
        return text(StatusCode::MISDIRECTED_REQUEST, "The admin address is not served under this host.\n");
    }
    if !matches!(head.method, Method::GET | Method::HEAD) {
        let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, "Only GET and HEAD.\n");
        answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return answer;
    }
    match head.uri.path() {
        "/healthz" => text(StatusCode::OK, "ok"),
        "/readyz" => readyz(state).await,
        "/metrics" => metrics(state).await,
        _ => text(StatusCode::NOT_FOUND, "Not Found\n"),
    }
}

async fn readyz(state: &State) -> Answer {
    let readiness = Readiness::of(state).await;
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    match serde_json::to_vec(&readiness) {
        Ok(body) => with_body(status, JSON, body.into()),
        Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "The state could not be written as JSON.\n"),
    }
}

async fn metrics(state: &State) -> Answer {
    state.gauges.refresh(state).await;
    let mut body = String::new();
    match encode(&mut body, &state.registry) {
        Ok(()) => with_body(StatusCode::OK, OPEN_METRICS, body.into()),
        Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "The metrics could not be written.\n"),
    }
}

/// Against DNS rebinding: a page can make its own name resolve to our address, but then its browser sends that name.
/// Probes that send no `Host` are no browsers.
fn is_asked_by_our_name(headers: &HeaderMap, hosts: &[String]) -> bool {
    headers.get_all(HOST).iter().all(|host| {
        let Ok(authority) = Authority::try_from(host.as_bytes()) else { return false };
        let name = authority.host();
        let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        bare.parse::<IpAddr>().is_ok()
            || name.eq_ignore_ascii_case("localhost")
            || hosts.iter().any(|own| own.eq_ignore_ascii_case(bare))
    })
}

fn text(status: StatusCode, body: &'static str) -> Answer {
    with_body(status, TEXT, Bytes::from_static(body.as_bytes()))
}

fn with_body(status: StatusCode, kind: &'static str, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_names_are_answered() {
        let asked = |hosts: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for host in hosts {
                headers.append(HOST, HeaderValue::from_static(host));
            }
            is_asked_by_our_name(&headers, &["ops.internal".to_owned()])
        };
        for hosts in [
            &["127.0.0.1:9090"][..],
            &["[::1]:9090"],
            &["localhost"],
            &["LOCALHOST:1"],
            &["Ops.internal:9090"],
            &["10.0.0.1"],
            &[],
        ] {
            assert!(asked(hosts), "{hosts:?}");
        }
        for hosts in [
            &["evil.example"][..],
            &["evil.example:9090"],
            &["localhost.evil.example"],
            &["127.0.0.1.evil.example"],
            &[""],
            &["a b"],
            &["localhost", "evil.example"],
        ] {
            assert!(!asked(hosts), "{hosts:?}");
        }
    }
}
