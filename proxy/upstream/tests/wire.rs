//! The client over real HTTP: what goes out for each job, and what it makes of what comes back.

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::net::TcpListener;
use usher_model::{Clock, Job, Secret, UnixMs, limits};
use usher_upstream::{CallError, Client, Platform, RateWindow, Reply, Settings, sign};

const DEADLINE: Duration = Duration::from_secs(5);

/// A request as it came.
#[derive(Clone, Debug)]
struct Came {
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

impl Came {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("text"))
    }
}

type Answers = dyn Fn() -> Response<Full<Bytes>> + Send + Sync;

/// A server that keeps what comes and answers as it is told.
struct Server {
    base: String,
    came: Arc<Mutex<Vec<Came>>>,
}

impl Server {
    async fn start(answers: impl Fn() -> Response<Full<Bytes>> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let base = format!("http://{}/v1", listener.local_addr().expect("an address"));
        let came = Arc::new(Mutex::new(Vec::new()));
        tokio::spawn(serve(listener, Arc::clone(&came), Arc::new(answers)));
        Self { base, came }
    }

    fn came(&self) -> Vec<Came> {
        self.came.lock().expect("whole").clone()
    }
}

async fn serve(listener: TcpListener, came: Arc<Mutex<Vec<Came>>>, answers: Arc<Answers>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (came, answers) = (Arc::clone(&came), Arc::clone(&answers));
        let service = service_fn(move |request: Request<Incoming>| {
            let (came, answers) = (Arc::clone(&came), Arc::clone(&answers));
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect().await.expect("a body").to_bytes();
                let request = Came { path: head.uri.to_string(), headers: head.headers, body };
                came.lock().expect("whole").push(request);
                Ok::<_, Infallible>(answers())
            }
        });
        // A client that hangs up is none of the server's business.
        tokio::spawn(async move {
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// A clock that goes on by a second with each look.
struct Ticking(AtomicI64);

impl Clock for Ticking {
    fn now(&self) -> UnixMs {
        UnixMs(self.0.fetch_add(1_000, Relaxed))
    }
}

fn client(base: &str) -> Client {
    let settings = Settings {
        base_url: base.to_owned(),
        api_key: Some(Secret::new("sk_live_1")),
        signing_secret: Some(Secret::new("whsec_test")),
    };
    Client::new(settings, Arc::new(Ticking(AtomicI64::new(1_700_000_000_000)))).expect("a client")
}

fn answer(status: u16, body: impl Into<Bytes>, headers: &[(&'static str, &str)]) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    for (name, value) in headers {
        response.headers_mut().insert(*name, value.parse().expect("a value"));
    }
    response
}

async fn deliver(client: &Client, job: Job, conversion: Option<&str>) -> Result<Reply, CallError> {
    client.deliver(job, conversion, r#"{"a":1}"#, DEADLINE).await
}

#[tokio::test]
async fn each_job_has_its_path_and_money_is_signed() {
    let server = Server::start(|| answer(201, r#"{"success":true,"data":{"id":"com_1"}}"#, &[])).await;
    let client = client(&server.base);
    for job in Job::ALL {
        let reply = deliver(&client, job, Some("com_1")).await.expect("a reply");
        assert_eq!((reply.status, reply.id.as_deref()), (201, Some("com_1")));
    }
    let came = server.came();
    let seen: Vec<_> =
        came.iter().map(|came| (came.path.as_str(), came.header(sign::SIGNATURE).is_some())).collect();
    assert_eq!(
        seen,
        [
            ("/v1/clicks", false),
            ("/v1/signups", false),
            ("/v1/conversions", true),
            ("/v1/conversions/com_1/refund", true),
            ("/v1/events", true),
            ("/v1/sources/segment/events", true),
        ]
    );
    for came in &came {
        assert_eq!(came.header("authorization"), Some("Bearer sk_live_1"));
        assert_eq!(came.header("content-type"), Some("application/json"));
        assert_eq!(came.header("accept-encoding"), None, "an answer that is not compressed cannot be a bomb");
        assert_eq!(&came.body[..], br#"{"a":1}"#, "byte for byte");
    }
}

#[tokio::test]
async fn each_attempt_is_signed_anew() {
    let server = Server::start(|| answer(500, "", &[])).await;
    let client = client(&server.base);
    for _ in 0..2 {
        assert_eq!(deliver(&client, Job::Conversion, None).await.expect("a reply").status, 500);
    }
    let came = server.came();
    assert_ne!(came[0].header(sign::TIMESTAMP), came[1].header(sign::TIMESTAMP));
    for came in came {
        let (at, signature) = (came.header(sign::TIMESTAMP), came.header(sign::SIGNATURE));
        let seconds = at.expect("a time").parse().expect("seconds");
        let secret = Secret::new("whsec_test");
        assert_eq!(signature, Some(&*sign::sign(&secret, seconds, &came.body)));
    }
}

#[tokio::test]
async fn a_conversions_id_stays_one_segment_of_the_path() {
    let server = Server::start(|| answer(201, r#"{"success":true}"#, &[])).await;
    let client = client(&server.base);
    for (id, path) in [
        ("txn-1_a.b~c", "/v1/conversions/txn-1_a.b~c/refund"),
        ("a/../b?c#d%e f", "/v1/conversions/a%2F..%2Fb%3Fc%23d%25e%20f/refund"),
        ("é\r\nx: y", "/v1/conversions/%C3%A9%0D%0Ax%3A%20y/refund"),
    ] {
        deliver(&client, Job::Refund, Some(id)).await.expect("a reply");
        assert_eq!(server.came().last().expect("a request").path, path);
    }
}

#[tokio::test]
async fn what_the_platform_says_of_its_window_is_read() {
    const TOLD: [(&str, &str); 5] = [
        ("x-ratelimit-limit", "300"),
        ("x-ratelimit-remaining", "0"),
        ("x-ratelimit-reset", "1700000060"),
        ("date", "Tue, 14 Nov 2023 22:13:50 GMT"),
        ("retry-after", "30"),
    ];
    let server = Server::start(|| answer(429, "{}", &TOLD)).await;
    let reply = deliver(&client(&server.base), Job::Conversion, None).await.expect("a reply");
    let window = RateWindow { limit: Some(300), remaining: 0, reset: 1_700_000_060, resets_in_ms: 30_000 };
    assert_eq!((reply.window, reply.retry_after_ms), (Some(window), Some(30_000)));
}

#[tokio::test]
async fn an_answer_without_end_is_none() {
    let server = Server::start(|| answer(201, vec![b' '; limits::UPSTREAM_BODY_BYTES + 1], &[])).await;
    let reply = deliver(&client(&server.base), Job::Conversion, None).await;
    assert!(matches!(reply, Err(CallError::Rubbish(_))), "{reply:?}");
}

#[tokio::test]
async fn an_answer_that_points_elsewhere_is_not_followed() {
    let server = Server::start(|| answer(307, "", &[("location", "/v1/elsewhere")])).await;
    let reply = deliver(&client(&server.base), Job::Conversion, None).await.expect("a reply");
    assert_eq!((reply.status, server.came().len()), (307, 1));
}

#[tokio::test]
async fn one_deadline_holds_from_connecting_to_the_last_byte() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base = format!("http://{}/v1", listener.local_addr().expect("an address"));
    let silent = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok(connection) = listener.accept().await {
            held.push(connection);
        }
    });
    let short = Duration::from_millis(200);
    let reply = client(&base).deliver(Job::Conversion, None, "{}", short).await;
    assert!(matches!(reply, Err(CallError::TimedOut(200))), "{reply:?}");
    silent.abort();
    let _ = silent.await;
    let reply = client(&base).deliver(Job::Conversion, None, "{}", DEADLINE).await;
    assert!(matches!(reply, Err(CallError::Unreachable(_))), "{reply:?}");
}
