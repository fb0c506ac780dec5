//! Clients that call all the time: most open a connection for each request, some keep theirs.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use usher_tests::{HOST, KEY, PROGRAM, Request};

/// Clients that open a connection for each request.
const NEW: usize = 12;
/// Clients that keep theirs.
const KEPT: usize = 2;
/// What each of them lets pass after an answer: calling without a pause they would starve the edge and Redis of the two cores
/// that all share, and prove nothing more.
const PAUSE: Duration = Duration::from_millis(4);
/// How long any of them waits for an answer.
const PATIENCE: Duration = Duration::from_secs(20);
const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0";

/// What came of all requests.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    waits: Vec<Duration>,
    /// Over connections that were kept.
    kept: usize,
    /// Sent again, as a client may whose idle connection was closed (RFC 9112 section 9.3.1).
    again: usize,
    /// Sales that came again because Redis had no time for them.
    starved: usize,
    /// Sales that were acknowledged.
    sales: Vec<String>,
    failed: Vec<String>,
}

impl Tally {
    pub(crate) fn add(&mut self, other: Self) {
        self.waits.extend(other.waits);
        self.kept += other.kept;
        self.again += other.again;
        self.starved += other.starved;
        self.sales.extend(other.sales);
        self.failed.extend(other.failed);
    }

    pub(crate) fn requests(&self) -> usize {
        self.waits.len()
    }

    pub(crate) fn is_good(&self) -> bool {
        self.failed.is_empty()
    }

    pub(crate) fn sales(&self) -> &[String] {
        &self.sales
    }

    pub(crate) fn longest(&self) -> Duration {
        self.waits.iter().max().copied().unwrap_or_default()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut waits = self.waits.clone();
        waits.sort_unstable();
        let at = |hundredth: usize| {
            waits.get(waits.len() * hundredth / 100).copied().unwrap_or_default().as_millis()
        };
        let (failed, requests, kept, again) = (self.failed.len(), waits.len(), self.kept, self.again);
        write!(
            out,
            "{failed} failed of {requests} requests ({kept} over kept connections, {again} sent again), "
        )?;
        write!(out, "{} sales acknowledged, each delivered once, ", self.sales.len())?;
        write!(
            out,
            "half within {} ms, 99 % within {} ms, the longest {} ms",
            at(50),
            at(99),
            self.longest().as_millis()
        )?;
        if self.starved > 0 {
            write!(out, "; {} sales came again, since Redis got no time on this machine", self.starved)?;
        }
        match self.failed.as_slice() {
            [] => Ok(()),
            failed => write!(out, "; such as {:?}", &failed[..failed.len().min(5)]),
        }
    }
}

/// Running clients.
pub(crate) struct Clients {
    shared: Arc<Shared>,
    tasks: Vec<JoinHandle<Tally>>,
}

struct Shared {
    to: SocketAddr,
    /// What the snippet may be; anything else is a mix.
    scripts: [Bytes; 2],
    /// Whose sales are reported.
    referral: String,
    /// Whether Redis may be starved by what else this machine does: then a sale is refused, reloads or not, and comes again.
    may_starve: bool,
    /// Requests over connections of their own that are over.
    done: AtomicUsize,
    more: Notify,
    stop: AtomicBool,
}

impl Clients {
    /// Starts them.
    pub(crate) fn start(to: SocketAddr, scripts: [Bytes; 2], referral: String, may_starve: bool) -> Self {
        let (done, more, stop) = (AtomicUsize::new(0), Notify::new(), AtomicBool::new(false));
        let shared = Arc::new(Shared { to, scripts, referral, may_starve, done, more, stop });
        let new = (0..NEW).map(|client| tokio::spawn(Arc::clone(&shared).with_new_connections(client)));
        let kept = (0..KEPT).map(|_| tokio::spawn(Arc::clone(&shared).with_one_connection()));
        let tasks = new.collect::<Vec<_>>().into_iter().chain(kept.collect::<Vec<_>>()).collect();
        Self { shared, tasks }
    }

    /// Waits until so many requests over connections of their own are over.
    pub(crate) async fn until(&self, requests: usize) {
        while self.shared.done.load(Ordering::SeqCst) < requests {
            let mut more = std::pin::pin!(self.shared.more.notified());
            more.as_mut().enable();
            if self.shared.done.load(Ordering::SeqCst) < requests {
                more.await;
            }
        }
    }

    /// Ends them when their requests under way are over.
    pub(crate) async fn end(self) -> Tally {
        self.shared.stop.store(true, Ordering::SeqCst);
        let mut tally = Tally::default();
        for task in self.tasks {
            tally.add(task.await.expect("a client ends"));
        }
        tally
    }
}

impl Shared {
    async fn with_new_connections(self: Arc<Self>, client: usize) -> Tally {
        let mut tally = Tally::default();
        for number in 0_usize.. {
            if self.stop.load(Ordering::SeqCst) {
                break;
            }
            let sale = format!("sale-{}-{client}-{number}", self.to.port());
            let start = Instant::now();
            let came = match number % 4 {
                0 | 1 => self.script().await,
                2 => self.click(client * 1_000_000 + number).await,
                _ => self.sale(&sale, &mut tally).await,
            };
            Self::note(&mut tally, start, came.as_ref().err());
            self.done.fetch_add(1, Ordering::SeqCst);
            self.more.notify_waiters();
            tokio::time::sleep(PAUSE).await;
            if came.is_ok() && number % 4 == 3 {
                tally.sales.push(sale);
            }
        }
        tally
    }

    fn note(tally: &mut Tally, start: Instant, failed: Option<&String>) {
        tally.waits.push(start.elapsed());
        tally.failed.extend(failed.cloned());
    }

    async fn script(&self) -> Result<(), String> {
        let answer = sent(usher_tests::get(self.to, "/r/pixel.js").host(HOST)).await?;
        self.is_one_of_both(answer.status, &answer.body)
    }

    fn is_one_of_both(&self, status: u16, body: &Bytes) -> Result<(), String> {
        match status {
            200 if self.scripts.contains(body) => Ok(()),
            200 => Err(format!("a snippet of neither configuration: {} bytes", body.len())),
            _ => Err(format!("snippet: {status}")),
        }
    }

    async fn click(&self, visitor: usize) -> Result<(), String> {
        let address = format!("10.{}.{}.{}", visitor >> 16 & 255, visitor >> 8 & 255, visitor & 255);
        let body = json!({"programId": PROGRAM, "trackingId": "alice", "userAgent": BROWSER, "referrer": ""});
        let call = usher_tests::post(self.to, "/r/track")
            .host(HOST)
            .header("user-agent", BROWSER)
            .header("origin", "http://shop.example")
            .visitor(&address)
            .json(&body);
        let answer = sent(call).await?;
        match (answer.status, answer.cookie("affonso_referral")) {
            (200, Some(_)) => Ok(()),
            (status, cookie) => Err(format!("click: {status}, {cookie:?}: {}", answer.text())),
        }
    }

    async fn sale(&self, event: &str, tally: &mut Tally) -> Result<(), String> {
        let body = json!({
            "external_event_id": event, "sale_amount": 10, "sale_amount_currency": "USD", "customer_id": event,
            "referral_id": self.referral,
        });
        let call = usher_tests::post(self.to, "/r/v1/conversions").host(HOST).bearer(KEY).json(&body);
        loop {
            let answer = sent(call.clone()).await?;
            match answer.status {
                200..=202 => return Ok(()),
                503 if self.may_starve && answer.text().contains("could not be written down") => {
                    tally.starved += 1;
                    tokio::time::sleep(PAUSE * 10).await;
                }
                status => return Err(format!("sale: {status}: {}", answer.text())),
            }
        }
    }

    async fn with_one_connection(self: Arc<Self>) -> Tally {
        let mut tally = Tally::default();
        let mut connection = None;
        while !self.stop.load(Ordering::SeqCst) {
            let start = Instant::now();
            let was_open = connection.is_some();
            let came = match tokio::time::timeout(PATIENCE, self.over(&mut connection)).await {
                Ok(Err(Broken::Unanswered(_))) if was_open => {
                    tally.again += 1;
                    connection = None;
                    tokio::time::timeout(PATIENCE, self.over(&mut connection)).await
                }
                came => came,
            };
            let came = came.unwrap_or_else(|_| Err(Broken::Wrong("no answer in time".to_owned())));
            if came.is_err() {
                connection = None;
            }
            let failed = came.err().map(|(Broken::Unanswered(why) | Broken::Wrong(why))| why);
            Self::note(&mut tally, start, failed.as_ref());
            tally.kept += 1;
            tokio::time::sleep(PAUSE).await;
        }
        tally
    }

    /// One request over a connection, which is opened when there is none.
    async fn over(&self, connection: &mut Option<SendRequest<Empty<Bytes>>>) -> Result<(), Broken> {
        let unanswered = |why: &dyn fmt::Display| Broken::Unanswered(format!("kept connection: {why}"));
        let mut sender = match connection.take() {
            Some(sender) => sender,
            None => opened(self.to).await.map_err(|why| unanswered(&why))?,
        };
        sender.ready().await.map_err(|why| unanswered(&why))?;
        let request = http::Request::get("/r/pixel.js").header("host", HOST).body(Empty::new());
        let request = request.expect("a request");
        let answer = sender.send_request(request).await.map_err(|why| unanswered(&why))?;
        let closes = answer.headers().get("connection").is_some_and(|value| value == "close");
        let status = answer.status().as_u16();
        let body =
            answer.into_body().collect().await.map_err(|why| Broken::Wrong(format!("cut off: {why}")))?;
        self.is_one_of_both(status, &body.to_bytes()).map_err(Broken::Wrong)?;
        *connection = (!closes).then_some(sender);
        Ok(())
    }
}

/// Why a request over a kept connection came to nothing.
enum Broken {
    /// Not a byte of an answer came.
    Unanswered(String),
    Wrong(String),
}

async fn opened(to: SocketAddr) -> io::Result<SendRequest<Empty<Bytes>>> {
    let stream = TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    let shaken = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (sender, connection) = shaken.map_err(io::Error::other)?;
    tokio::spawn(connection);
    Ok(sender)
}

async fn sent(request: Request) -> Result<usher_tests::Answer, String> {
    let answer = tokio::time::timeout(PATIENCE, request.try_send()).await;
    answer.map_err(|_| "no answer in time".to_owned())?.map_err(|error| format!("no answer: {error}"))
}
