//! The client over HTTP.

use crate::{CallError, Platform, RateWindow, Reply, TrackAnswer, TrackCall, sign};
use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client as Pool, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use std::{sync::Arc, time::Duration};
use usher_model::{ClickId, Clock, Job, Secret, UnixMs, limits};

/// All but the unreserved characters (RFC 3986 section 2.3).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Where the platform is and how to show who we are.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Such as `https://api.affonso.io/v1`.
    pub base_url: String,
    /// Sent as `Authorization: Bearer`.
    pub api_key: Option<Secret>,
    /// When set, conversions, refunds, events and what Segment said are signed.
    pub signing_secret: Option<Secret>,
}

/// Why no client could be made of the settings.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Not `http://…` or `https://…`.
    #[error("upstream.base_url must be an http or https URL without query, not {0:?}")]
    BaseUrl(String),
    /// A key that cannot stand in a header.
    #[error("upstream.api_key holds bytes that cannot stand in a header")]
    ApiKey,
}

/// The platform over HTTP/1.1, with a connection pool.
pub struct Client {
    pool: Pool<HttpsConnector<HttpConnector>, Full<Bytes>>,
    base: String,
    authorization: Option<HeaderValue>,
    signing_secret: Option<Secret>,
    clock: Arc<dyn Clock>,
}

impl Client {
    /// Makes a client; connects to nothing yet.
    ///
    /// # Errors
    /// [`ClientError`] when the settings are unusable.
    pub fn new(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, ClientError> {
        let base = settings.base_url.trim_end_matches('/').to_owned();
        let uri: Uri = base.parse().map_err(|_| ClientError::BaseUrl(base.clone()))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.query().is_some() {
            return Err(ClientError::BaseUrl(base));
        }
        let authorization = settings.api_key.map(|key| bearer(&key)).transpose()?;
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(Duration::from_millis(limits::UPSTREAM_CALL_MS)));
        let tls = HttpsConnectorBuilder::new()
            .with_provider_and_webpki_roots(rustls::crypto::ring::default_provider())
            .unwrap_or_else(|_| unreachable!("ring supports the default protocol versions"))
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let pool = Pool::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(30))
            .pool_max_idle_per_host(limits::UPSTREAM_CALLS)
            .build(tls);
        Ok(Self { pool, base, authorization, signing_secret: settings.signing_secret, clock })
    }

    /// One request within one deadline, from connecting to the last byte of the answer.
    async fn call(
        &self,
        path: &str,
        headers: HeaderMap,
        body: Bytes,
        deadline: Duration,
    ) -> Result<(StatusCode, HeaderMap, Bytes), CallError> {
        let mut request = Request::post(format!("{}{path}", self.base))
            .body(Full::new(body))
            .map_err(|error| CallError::Unreachable(error.to_string()))?;
        *request.headers_mut() = headers;
        request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        request.headers_mut().insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        let exchange = async {
            let answer =
                self.pool.request(request).await.map_err(|error| CallError::Unreachable(causes(&error)))?;
            let (head, body) = answer.into_parts();
            let body = Limited::new(body, limits::UPSTREAM_BODY_BYTES);
            let body =
                body.collect().await.map_err(|error| CallError::Rubbish(causes(error.as_ref())))?.to_bytes();
            Ok((head.status, head.headers, body))
        };
        let in_time = tokio::time::timeout(deadline, exchange).await;
        in_time.unwrap_or_else(|_| {
            Err(CallError::TimedOut(u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX)))
        })
    }

    fn server_headers(&self, job: Job, body: &[u8]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::USER_AGENT,
            HeaderValue::from_static(concat!("usher/", env!("CARGO_PKG_VERSION"))),
        );
        if let Some(authorization) = &self.authorization {
            headers.insert(header::AUTHORIZATION, authorization.clone());
        }
        // The platform never takes signatures on clicks or signups.
        let is_signed = !matches!(job, Job::Click | Job::Signup);
        if let (Some(secret), true) = (&self.signing_secret, is_signed) {
            let seconds = self.clock.now().seconds();
            insert(&mut headers, sign::TIMESTAMP, &seconds.to_string());
            insert(&mut headers, sign::SIGNATURE, &sign::sign(secret, seconds, body));
        }
        headers
    }
}

#[async_trait]
impl Platform for Client {
    async fn track(&self, call: TrackCall, deadline: Duration) -> Result<TrackAnswer, CallError> {
        let body = Bytes::from(Value::Object(call.body).to_string());
        let mut headers = HeaderMap::new();
        if let Some(address) = call.address {
            insert(&mut headers, "x-real-ip", &address.to_string());
            insert(&mut headers, "x-forwarded-for", &address.to_string());
        }
        for (name, value) in
            [("user-agent", &call.user_agent), ("referer", &call.referer), ("origin", &call.origin)]
        {
            if let Some(value) = value {
                insert(&mut headers, name, value);
            }
        }
        let (status, _, body) = self.call("/track", headers, body, deadline).await?;
        if !status.is_success() {
            return Err(CallError::Rubbish(format!("status {}", status.as_u16())));
        }
        track_answer(&body)
    }

    async fn deliver(
        &self,
        job: Job,
        conversion: Option<&str>,
        body: &str,
        deadline: Duration,
    ) -> Result<Reply, CallError> {
        let refund;
        let path = match job {
            Job::Click => "/clicks",
            Job::Signup => "/signups",
            Job::Conversion => "/conversions",
            Job::Refund => {
                let id = utf8_percent_encode(conversion.unwrap_or_default(), SEGMENT);
                refund = format!("/conversions/{id}/refund");
                &refund
            }
            Job::Event => "/events",
            Job::Segment => "/sources/segment/events",
        };
        let body = Bytes::copy_from_slice(body.as_bytes());
        let headers = self.server_headers(job, &body);
        let (status, headers, body) = self.call(path, headers, body, deadline).await?;
        Ok(reply(status, &headers, &body, self.clock.now()))
    }
}

fn bearer(key: &Secret) -> Result<HeaderValue, ClientError> {
    let mut value =
        HeaderValue::from_bytes(&[b"Bearer ", key.expose()].concat()).map_err(|_| ClientError::ApiKey)?;
    value.set_sensitive(true);
    Ok(value)
}

/// Sets a header, or leaves it out when the value cannot stand in one.
fn insert(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

/// An error and what caused it, in one line.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// Reads the unwrapped answer of `POST /track`.
fn track_answer(body: &[u8]) -> Result<TrackAnswer, CallError> {
    let Ok(Value::Object(mut rest)) = serde_json::from_slice(body) else {
        return Err(CallError::Rubbish("not a JSON object".to_owned()));
    };
    let cid = match rest.remove("cid") {
        None | Some(Value::Null) => None,
        Some(Value::String(cid)) if cid.is_empty() => None,
        Some(Value::String(cid)) => {
            Some(ClickId::new(cid).map_err(|error| CallError::Rubbish(format!("cid: {error}")))?)
        }
        Some(_) => return Err(CallError::Rubbish("cid is not a string".to_owned())),
    };
    Ok(TrackAnswer { cid, rest })
}

fn reply(status: StatusCode, headers: &HeaderMap, body: &[u8], now: UnixMs) -> Reply {
    let body = String::from_utf8_lossy(body).into_owned();
    let parsed: Value = serde_json::from_str(&body).unwrap_or_default();
    let seconds = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<i64>().ok();
    let ms = |seconds: i64| seconds.clamp(0, 86_400).saturating_mul(1000);
    let retry_after_ms = seconds("retry-after")
        .or_else(|| parsed["error"]["retryAfter"].as_i64())
        .map(ms)
        .or_else(|| retry_date(headers.get(header::RETRY_AFTER)?.to_str().ok()?, now));
    Reply {
        status: status.as_u16(),
        id: parsed["data"]["id"].as_str().filter(|id| !id.is_empty()).map(str::to_owned),
        body,
        retry_after_ms,
        window: rate_window(headers, now),
    }
}

/// Reads `X-RateLimit-*`. How far away the reset is is told by the platform's own clock (`Date`) where it shows it, for ours
/// may differ; even then it may seem further away than any window is long.
fn rate_window(headers: &HeaderMap, now: UnixMs) -> Option<RateWindow> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let remaining = text("x-ratelimit-remaining")?.parse().ok()?;
    let reset: i64 = text("x-ratelimit-reset")?.parse().ok()?;
    let limit = text("x-ratelimit-limit").and_then(|limit| limit.parse().ok());
    let shown = httpdate::parse_http_date(text("date").unwrap_or_default()).ok();
    let shown = shown.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
    let since_epoch = shown.and_then(|at| i64::try_from(at.as_millis()).ok()).unwrap_or(now.0);
    let resets_in_ms = reset.saturating_mul(1000).saturating_sub(since_epoch);
    Some(RateWindow {
        limit,
        remaining,
        reset,
        resets_in_ms: resets_in_ms.clamp(0, limits::RATE_WINDOW_S * 1000),
    })
}

/// `Retry-After` as a date (RFC 9110 section 10.2.3).
fn retry_date(text: &str, now: UnixMs) -> Option<i64> {
    let at = httpdate::parse_http_date(text).ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    let at = i64::try_from(at.as_millis()).ok()?;
    Some((at - now.0).clamp(0, 86_400_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        fields
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn the_track_answer_is_unwrapped_and_an_empty_cid_is_none() {
        let answer =
            track_answer(br#"{"cid":"cmd1","data":{"discount":null},"status":"ok"}"#).expect("an answer");
        assert_eq!(answer.cid, Some(ClickId::new("cmd1").expect("an id")));
        assert_eq!(answer.rest.len(), 2);
        assert_eq!(track_answer(br#"{"cid":""}"#).expect("an answer").cid, None);
        for rubbish in [&b"<html>"[..], b"[]", b"{\"cid\":7}", b"{\"cid\":\"a b\"}", b"", b"\xff"] {
            assert!(track_answer(rubbish).is_err(), "{rubbish:?}");
        }
    }

    #[test]
    fn waiting_times_are_read_from_wherever_the_platform_says_them() {
        let now = UnixMs(784_111_777_000); // Sun, 06 Nov 1994 08:49:37 GMT
        let of =
            |fields: &[_], body: &[u8]| reply(StatusCode::TOO_MANY_REQUESTS, &headers(fields), body, now);
        assert_eq!(of(&[("retry-after", "7")], b"").retry_after_ms, Some(7_000));
        assert_eq!(of(&[("retry-after", "Sun, 06 Nov 1994 08:49:47 GMT")], b"").retry_after_ms, Some(10_000));
        assert_eq!(of(&[], br#"{"error":{"retryAfter":3}}"#).retry_after_ms, Some(3_000));
        assert_eq!(of(&[("retry-after", "-5")], b"").retry_after_ms, Some(0));
        assert_eq!(of(&[("retry-after", "soon")], b"").retry_after_ms, None);
    }

    #[test]
    fn the_window_is_read_by_the_platforms_own_clock() {
        let now = UnixMs(784_111_777_400); // Sun, 06 Nov 1994 08:49:37.4 GMT
        let of = |fields: &[_]| rate_window(&headers(fields), now);
        let told = |limit, remaining, reset, resets_in_ms| {
            Some(RateWindow { limit, remaining, reset, resets_in_ms })
        };
        let left = ("x-ratelimit-remaining", "7");
        assert_eq!(of(&[left, ("x-ratelimit-reset", "784111780")]), told(None, 7, 784_111_780, 2_600));
        let reset = ("x-ratelimit-reset", "784111800");
        let date = ("date", "Sun, 06 Nov 1994 08:49:50 GMT");
        assert_eq!(
            of(&[left, reset, date, ("x-ratelimit-limit", "300")]),
            told(Some(300), 7, 784_111_800, 10_000)
        );
        let skewed = ("x-ratelimit-reset", "784115377");
        assert_eq!(of(&[left, skewed]), told(None, 7, 784_115_377, 60_000), "no window is an hour long");
        assert_eq!(of(&[left, ("x-ratelimit-reset", "5")]), told(None, 7, 5, 0));
        for rubbish in ["", "-1", "many", "99999999999999999999"] {
            assert_eq!(of(&[("x-ratelimit-remaining", rubbish), reset]), None, "{rubbish}");
        }
        assert_eq!(of(&[left]), None);
    }

    #[test]
    fn only_http_urls_are_bases() {
        struct Epoch;
        impl Clock for Epoch {
            fn now(&self) -> UnixMs {
                UnixMs(0)
            }
        }
        let base = |base_url: &str| {
            let settings = Settings { base_url: base_url.to_owned(), api_key: None, signing_secret: None };
            Client::new(settings, Arc::new(Epoch)).is_ok()
        };
        assert!(base("https://api.affonso.io/v1") && base("http://127.0.0.1:9/v1/"));
        assert!(!base("ftp://x/") && !base("api.affonso.io") && !base("https://x/?a=b") && !base(""));
    }
}
