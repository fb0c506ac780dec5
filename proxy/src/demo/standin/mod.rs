//! A stand-in for the affiliate platform: its contract in memory, and faults on demand.
//!
//! Below `/v1` it keeps to the public contract of <https://docs.affonso.io>: `POST /track` (unwrapped answer), `/clicks`,
//! `/signups`, `/conversions`, `/conversions/{id}/refund`, `/events`, `/sources/segment/events`, with the platform's envelopes,
//! error codes, idempotency, request signing and rate-limit headers. Where the documentation is silent: an unknown affiliate gets
//! an empty `cid`; a replay answers 200 and a first request 201; a missing or bad signature answers 401; `/signups` needs no key
//! when the body names its `programId`, as the pixel's does.
//!
//! Beside it, for tests and people (no key; bind it to the loopback only):
//!
//! | method and path | does |
//! |---|---|
//! | `GET /` | a page that shows what arrives, with buttons for the faults |
//! | `GET /_received` | everything received; `?limit=N` the newest N of each kind; `?summary=1` counts, exact sums, event ids and their replays |
//! | `DELETE /_received` | forgets it |
//! | `POST /_behaviour` | lines up a fault, or a JSON list of them: see below |
//! | `GET /_behaviour`, `DELETE /_behaviour` | lists them with how often each was applied; back to health |
//! | `POST /_settings` | changes `api_key`, `signing_secret`, `program`, `affiliates`, `rate_limit` (requests a minute; until it is set one is claimed and not kept) while it runs; `null` lifts one |
//!
//! A fault: `{"path":"/v1/conversions","times":3,"mode":"commit_and_drop"}`. `path` is exact, ends in `*`, or is `*` (default);
//! `times` is how many requests it applies to, all when absent. The first fault in the list that fits and is not used up is
//! applied. Modes: `down` (connection closed at once), `drop` (closed after reading, nothing done), `commit_and_drop` (done, then
//! closed without an answer), `slow` (done at once, answered after `delay_ms`), `rate_limit` (429, `retry_after` seconds, default
//! 1), `status` (`status`, default 503, and `retry_after` if given), `unauthorized` (401), `rubbish` (200 with bytes that are
//! neither JSON nor text). Faults touch only paths below `/v1`.

mod affiliates;
mod amount;
mod answers;
mod api;
mod control;
mod faults;
mod ledger;
mod rate;
mod sales;
mod signature;
#[cfg(test)]
mod tests;
mod visits;
mod wire;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::{HeaderValue, Request, StatusCode, header};
use hyper::body::Incoming;
use tokio::net::TcpListener;
use usher_model::Clock;

use self::faults::{Fault, Faults, Mode};
use self::ledger::Ledger;
use self::rate::Rate;
use self::wire::{Call, Failure};
use super::http::{BodyError, HangUp, Reply, read_body, reply, serve};
use super::limits::REQUEST_BODY_MAX_BYTES;

/// What the stand-in expects of its callers.
#[derive(Clone)]
pub(crate) struct Settings {
    /// The key that backends must bring; any key when absent.
    pub(crate) api_key: Option<String>,
    /// When set, conversions, refunds, events and Segment events must be signed with it.
    pub(crate) signing_secret: Option<String>,
    /// The only program there is; any when absent.
    pub(crate) program: Option<String>,
    /// The only affiliates there are; when absent every code but `nobody` is one.
    pub(crate) affiliates: Option<Vec<String>>,
    /// How often it may be asked.
    pub(crate) rate: Rate,
    /// What time it is.
    pub(crate) clock: Arc<dyn Clock>,
}

impl Settings {
    /// Takes any key, any program and any affiliate, signed or not.
    pub(crate) fn open(clock: Arc<dyn Clock>) -> Self {
        Self {
            api_key: None,
            signing_secret: None,
            program: None,
            affiliates: None,
            rate: Rate::default(),
            clock,
        }
    }
}

/// The platform, shared by all its connections.
#[derive(Clone)]
pub(crate) struct Standin(Arc<Mutex<State>>);

/// All that it is.
struct State {
    settings: Settings,
    ledger: Ledger,
    faults: Faults,
}

impl Standin {
    /// A platform that has seen nothing yet.
    pub(crate) fn new(settings: Settings) -> Self {
        let (ledger, faults) = (Ledger::default(), Faults::default());
        Self(Arc::new(Mutex::new(State { settings, ledger, faults })))
    }

    /// Serves until `shutdown` is ready.
    ///
    /// # Errors
    /// As [`serve`].
    pub(crate) async fn serve(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()>,
    ) -> std::io::Result<()> {
        serve(listener, shutdown, move |request, peer| self.clone().handle(request, peer)).await
    }

    async fn handle(self, request: Request<Incoming>, peer: SocketAddr) -> Result<Reply, HangUp> {
        let path = request.uri().path();
        let is_api = path.starts_with("/v1/");
        let fault = if is_api { self.state().faults.take(path) } else { None };
        let mut noted = ledger::Request {
            method: request.method().to_string(),
            path: path.to_owned(),
            status: None,
            signed: None,
            mode: fault.as_ref().map(|fault| fault.mode),
            at: self.state().settings.clock.now(),
        };
        let answer = self.act(request, peer, fault, &mut noted).await;
        if is_api {
            self.state().ledger.log(noted);
        }
        answer
    }

    async fn act(
        &self,
        request: Request<Incoming>,
        peer: SocketAddr,
        fault: Option<Fault>,
        noted: &mut ledger::Request,
    ) -> Result<Reply, HangUp> {
        let mode = fault.as_ref().map(|fault| fault.mode);
        if mode == Some(Mode::Down) {
            return Err(HangUp);
        }
        let (head, body) = request.into_parts();
        let body = match read_body(body, REQUEST_BODY_MAX_BYTES).await {
            Ok(body) => body,
            Err(BodyError::Broken) => return Err(HangUp),
            Err(BodyError::TooLarge) => {
                noted.status = Some(413);
                return Ok(Failure::plain(StatusCode::PAYLOAD_TOO_LARGE, "the body is too long").reply(None));
            }
        };
        let path = noted.path.clone();
        let call = Call { method: head.method, path, headers: head.headers, body, peer, now: noted.at };
        if !call.path.starts_with("/v1/") {
            return Ok(control::answer(&mut self.state(), &call, head.uri.query()));
        }
        let too_many = self.state().settings.rate.count(call.now).map(too_many);
        let (reply, spent) = match too_many.or_else(|| fault.as_ref().and_then(instead)) {
            Some(Instead::Nothing) => return Err(HangUp),
            Some(Instead::Reply { reply, spent }) => (reply, spent),
            None => {
                let State { settings, ledger, .. } = &mut *self.state();
                let (reply, signed) = api::answer(settings, ledger, &call);
                noted.signed = signed;
                (reply, None)
            }
        };
        match fault {
            Some(Fault { mode: Mode::CommitAndDrop, .. }) => return Err(HangUp),
            Some(Fault { mode: Mode::Slow, delay_ms, .. }) => {
                tokio::time::sleep(Duration::from_millis(delay_ms)).await;
            }
            _ => {}
        }
        noted.status = Some(reply.status().as_u16());
        Ok(self.state().settings.rate.tell(reply, call.now, spent))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic while it was held would be a defect of the stand-in; what it received is still worth showing.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a fault puts in the place of the work.
enum Instead {
    /// No answer at all.
    Nothing,
    /// An answer; `spent` is the wait in seconds when the rate limit is what it plays.
    Reply { reply: Reply, spent: Option<u64> },
}

/// The answer to one request too many.
fn too_many(wait: u64) -> Instead {
    let failure = Failure::plain(StatusCode::TOO_MANY_REQUESTS, "Too many requests");
    Instead::Reply { reply: failure.reply(Some(wait)), spent: Some(wait) }
}

/// `None` when the work is done in spite of the fault.
fn instead(fault: &Fault) -> Option<Instead> {
    match fault.mode {
        Mode::Down | Mode::Drop => Some(Instead::Nothing),
        Mode::CommitAndDrop | Mode::Slow => None,
        Mode::RateLimit => Some(too_many(fault.retry_after.unwrap_or(1))),
        Mode::Unauthorized => {
            let reply = Failure::unauthorized("the API key is not valid").reply(None);
            Some(Instead::Reply { reply, spent: None })
        }
        Mode::Status => {
            let status = StatusCode::from_u16(fault.status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
            let mut reply = Failure::plain(status, "told to fail").reply(None);
            if let Some(wait) = fault.retry_after {
                reply.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait));
            }
            Some(Instead::Reply { reply, spent: None })
        }
        Mode::Rubbish => {
            let bytes: &[u8] = b"<!doctype html>\xff\xfe\x00{\"cid\": \"";
            Some(Instead::Reply { reply: reply(StatusCode::OK, "text/html", bytes), spent: None })
        }
    }
}
