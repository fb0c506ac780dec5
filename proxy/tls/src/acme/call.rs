//! Every call to a directory: one deadline from connecting to the last byte, and what its answer says of the next try.

use crate::Error;
use bytes::Bytes;
use http::{Request, StatusCode, Uri, header::RETRY_AFTER};
use instant_acme::{BodyWrapper, BytesResponse, HttpClient};
use std::{cell::Cell, pin::Pin, sync::Arc, time::Duration};
use tokio::time::timeout;
use usher_model::limits;

type Answering = Pin<Box<dyn Future<Output = Result<BytesResponse, instant_acme::Error>> + Send>>;

tokio::task_local! {
    /// How many seconds the directory asked the order under way to wait, when it refused a call.
    static WAIT_S: Cell<Option<i64>>;
}

/// A client with a deadline.
#[derive(Clone)]
pub(crate) struct Calls(pub(crate) Arc<dyn HttpClient>);

impl HttpClient for Calls {
    fn request(&self, request: Request<BodyWrapper<Bytes>>) -> Answering {
        let answering = self.0.request(request);
        Box::pin(async move {
            let whole = async {
                let BytesResponse { parts, mut body } = answering.await?;
                let body = body.into_bytes().await.map_err(instant_acme::Error::Other)?;
                if parts.status == StatusCode::TOO_MANY_REQUESTS || parts.status.is_server_error() {
                    let wait = parts
                        .headers
                        .get(RETRY_AFTER)
                        .and_then(|value| value.to_str().ok()?.trim().parse().ok());
                    // Outside an order nobody waits.
                    let _ = WAIT_S.try_with(|cell| cell.set(wait.or(cell.get())));
                }
                Ok(BytesResponse { parts, body: Box::new(body) })
            };
            let late = || instant_acme::Error::Other("no answer in time".into());
            timeout(Duration::from_millis(limits::ACME_CALL_MS), whole).await.unwrap_or_else(|_| Err(late()))
        })
    }
}

/// Runs `order`, and answers also how many seconds the directory asked it to wait.
pub(crate) async fn with_wait<T>(order: impl Future<Output = T>) -> (T, Option<i64>) {
    WAIT_S
        .scope(Cell::new(None), async {
            let outcome = order.await;
            (outcome, WAIT_S.with(Cell::get))
        })
        .await
}

/// Asks whether a certificate for `host` may be ordered, as Caddy's `ask` does.
///
/// # Errors
/// [`Error::Denied`] when the answer is anything but 200; [`Error::Directory`] when there is none.
pub(crate) async fn ask(calls: &Calls, url: &str, host: &str) -> Result<(), Error> {
    let sign = if url.contains('?') { '&' } else { '?' };
    // Hosts are letters, digits, '-', '_', dots and colons: nothing that a query has to escape.
    let uri: Uri = format!("{url}{sign}domain={host}")
        .parse()
        .map_err(|error| Error::Directory(format!("tls.acme.ask is no address: {error}")))?;
    let request = Request::get(uri)
        .body(BodyWrapper::default())
        .map_err(|error| Error::Directory(format!("tls.acme.ask is no address: {error}")))?;
    let answer =
        calls.request(request).await.map_err(|error| Error::Directory(format!("tls.acme.ask: {error}")))?;
    if answer.parts.status == StatusCode::OK {
        return Ok(());
    }
    Err(Error::Denied(format!("tls.acme.ask answered {} and not 200", answer.parts.status.as_u16())))
}

#[cfg(test)]
mod tests {
    use super::super::scripted::Scripted;
    use super::*;
    use std::sync::PoisonError;

    #[tokio::test]
    async fn whoever_is_asked_decides() {
        let http =
            Scripted::default().then(200, &[], "").then(403, &[], "no").then(302, &[], "").then(204, &[], "");
        let http = Arc::new(http);
        let calls = Calls(Arc::clone(&http) as Arc<dyn HttpClient>);
        assert!(ask(&calls, "https://ask.example/may", "shop.example").await.is_ok());
        for _ in 0..3 {
            let refused = ask(&calls, "http://ask.example/?key=1", "shop.example").await;
            assert!(matches!(refused, Err(Error::Denied(_))), "{refused:?}");
        }
        let gone = ask(&calls, "http://ask.example/", "shop.example").await;
        assert!(matches!(gone, Err(Error::Directory(_))), "{gone:?}");
        let asked = http.asked.lock().unwrap_or_else(PoisonError::into_inner);
        assert_eq!(asked[0], "GET https://ask.example/may?domain=shop.example");
        assert_eq!(asked[1], "GET http://ask.example/?key=1&domain=shop.example");
    }

    #[tokio::test]
    async fn how_long_to_wait_is_told_by_refusals_alone() {
        let wait = async |status, value| {
            let http =
                Arc::new(Scripted::default().then(status, &[("retry-after", value)], "").then(200, &[], ""));
            let calls = Calls(http);
            let request =
                || Request::get("https://ca.example/").body(BodyWrapper::default()).expect("a request");
            let order = async {
                calls.request(request()).await.map(|_| ())?;
                calls.request(request()).await.map(|_| ())
            };
            let (done, wait) = with_wait(order).await;
            done.expect("both answer");
            wait
        };
        assert_eq!(wait(429, "3600").await, Some(3600));
        assert_eq!(wait(503, " 5 ").await, Some(5));
        assert_eq!(wait(429, "tomorrow").await, None);
        assert_eq!(wait(200, "3600").await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_directory_that_says_nothing_is_left_in_time() {
        struct Silent;
        impl HttpClient for Silent {
            fn request(&self, _: Request<BodyWrapper<Bytes>>) -> Answering {
                Box::pin(std::future::pending())
            }
        }
        let begin = tokio::time::Instant::now();
        let refused = ask(&Calls(Arc::new(Silent)), "https://ask.example/", "shop.example").await;
        assert!(refused.is_err_and(|error| error.to_string().contains("no answer in time")));
        assert_eq!(begin.elapsed(), Duration::from_millis(limits::ACME_CALL_MS));
    }
}
