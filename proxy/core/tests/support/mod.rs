//! A world to test the jobs in: the real embedded store, a scripted platform, a clock that is set by hand.

#![allow(dead_code, reason = "each file of tests uses a part")]

pub(crate) mod faults;

use async_trait::async_trait;
use faults::{Faults, Faulty};
use serde_json::{Value, json};
use std::{
    future::Future,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};
use usher_core::{
    Core, Policy, Refusal, Signals, Tools, Visitor, attribution::Trace, capture::Tracked, codes::Resolved,
};
use usher_model::{Answer, ClickId, Clock, Code, Job, PromoCode, Random, Site, SiteName, UnixMs};
use usher_store::Role;
use usher_upstream::{CallError, Platform, Reply, TrackAnswer, TrackCall};

pub(crate) struct World {
    pub(crate) core: Core,
    pub(crate) site: Arc<Site>,
    pub(crate) tools: Tools,
    pub(crate) platform: Arc<Scripted>,
    pub(crate) clock: Arc<HandClock>,
    pub(crate) faults: Arc<Faults>,
    pub(crate) _folder: tempfile::TempDir,
}

impl World {
    pub(crate) async fn new(change: impl FnOnce(&mut Site)) -> Self {
        Self::with_faults(Faults::default(), change).await
    }

    pub(crate) async fn with_faults(faults: Faults, change: impl FnOnce(&mut Site)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut site = site();
        change(&mut site);
        let site = Arc::new(site);
        let url = format!("sqlite:{}", folder.path().join("usher.db").display());
        let store =
            usher_store::open(&url, std::slice::from_ref(&site.name), Role::Service).await.expect("a store");
        let faults = Arc::new(faults);
        let store = Arc::new(Faulty { store, faults: Arc::clone(&faults) });
        let (platform, clock) = (Arc::new(Scripted::default()), Arc::new(HandClock::default()));
        let tools = Tools {
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            random: Arc::new(Counter::default()),
            store,
            platform: Arc::clone(&platform) as Arc<dyn Platform>,
            policy: Policy {
                click_budget: Duration::from_millis(150),
                truncate_addresses: true,
                retention_days: 395,
                visitor_key: [7; 32],
            }
            .into(),
        };
        let core = Core::start(&tools, std::slice::from_ref(&site.name)).await;
        Self { core, site, tools, platform, clock, faults, _folder: folder }
    }

    pub(crate) fn visitor(&self) -> Visitor {
        Visitor {
            address: "192.0.2.7".parse().expect("an address"),
            user_agent: "Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0".to_owned(),
            referer: None,
            origin: None,
            cookie: None,
            signed: None,
            signals: Signals::default(),
        }
    }

    pub(crate) fn visitor_with(&self, cookie: &ClickId) -> Visitor {
        Visitor { cookie: Some(cookie.clone()), ..self.visitor() }
    }

    pub(crate) async fn track(&self, body: &str, visitor: &Visitor) -> Tracked {
        self.core.capture.track(&self.site, body.as_bytes(), visitor).await.expect("a report")
    }

    pub(crate) async fn convert(&self, body: &str) -> Result<Answer, Refusal> {
        self.core.conversions.convert(&self.site, body.as_bytes()).await
    }

    pub(crate) async fn event(&self, body: &str) -> Result<Answer, Refusal> {
        self.core.conversions.event(&self.site, body.as_bytes()).await
    }

    pub(crate) async fn segment(&self, body: &str) -> Result<Answer, Refusal> {
        self.core.conversions.segment(&self.site, body.as_bytes()).await
    }

    pub(crate) async fn lead(&self, body: &str) -> Result<Answer, Refusal> {
        self.core.conversions.lead(&self.site, body.as_bytes()).await
    }

    pub(crate) async fn refund(
        &self,
        of: &str,
        body: &str,
        idempotency_key: Option<&str>,
    ) -> Result<Answer, Refusal> {
        self.core.conversions.refund(&self.site, of, body.as_bytes(), idempotency_key).await
    }

    pub(crate) async fn click(&self, body: &str, idempotency_key: Option<&str>) -> Result<Answer, Refusal> {
        self.core.conversions.click(&self.site, body.as_bytes(), idempotency_key).await
    }

    pub(crate) async fn bind(&self, order: &str, visitor: &Visitor) -> Result<(), Refusal> {
        let body = json!({"order_id": order}).to_string();
        self.core.conversions.bind(&self.site, body.as_bytes(), visitor).await
    }

    /// The only record that goes by that name.
    pub(crate) async fn record(&self, name: &str) -> usher_model::Record {
        let found = self.tools.store.find(&self.site.name, name).await.expect("read");
        match <[_; 1]>::try_from(found) {
            Ok([record]) => record,
            Err(found) => panic!("{name}: {found:?}"),
        }
    }

    /// Why the only record of that name was credited as it was.
    pub(crate) async fn trace(&self, name: &str) -> Trace {
        serde_json::from_str(&self.record(name).await.trace.expect("a trace")).expect("its own form")
    }

    pub(crate) async fn resolve(&self, code: &str, visitor: &Visitor) -> Result<Resolved, Refusal> {
        self.core.codes.resolve(&self.site, code, visitor, &self.core.capture).await
    }

    pub(crate) async fn put_code(&self, code: &str, json: &str) {
        let folded = PromoCode::fold(code).expect("a code");
        let value = Code::from_json(json).expect("a value");
        self.tools.store.put_codes(&self.site.name, vec![(folded.clone(), value)]).await.expect("written");
        eventually("the code is seen", || async {
            matches!(self.core.codes.find(&self.site, &folded), Ok(Some(_)))
        })
        .await;
    }

    /// Lets time pass, for the clock and for all that waits.
    pub(crate) async fn pass_ms(&self, ms: i64) {
        self.clock.pass_ms(ms);
        tokio::time::pause();
        tokio::time::advance(Duration::from_millis(ms.unsigned_abs())).await;
        tokio::time::resume();
    }

    pub(crate) async fn knows(&self, id: &ClickId) -> bool {
        self.tools.store.click(&self.site.name, id).await.expect("read").is_some()
    }

    pub(crate) async fn upstream_id(&self, id: &ClickId) -> Option<ClickId> {
        self.tools.store.click(&self.site.name, id).await.expect("read")?.upstream_id().cloned()
    }
}

/// A sale of that event id, with more fields.
pub(crate) fn sale(id: &str, more: &str) -> String {
    format!(r#"{{"external_event_id":"{id}","sale_amount":99.90,"sale_amount_currency":"USD"{more}}}"#)
}

/// Waits until `fact` holds; fails after ten seconds.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, mut fact: impl FnMut() -> F) {
    let patience = tokio::time::Instant::now() + Duration::from_secs(10);
    while !fact().await {
        assert!(tokio::time::Instant::now() < patience, "not within ten seconds: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[derive(Clone, Copy, Default)]
pub(crate) enum Mood {
    #[default]
    Well,
    Down,
    Rubbish,
    Slow(Duration),
    NoSuchAffiliate,
    CommitsAndDrops,
    KeyRefused,
    Refuses,
    /// It knows nobody by what it is told.
    KnowsNobody,
    /// Clicks are refused, nothing else.
    RefusesClicks,
    /// The key may not tell of clicks.
    ForbidsClicks,
    /// Wait that many milliseconds.
    TooMany(i64),
}

#[derive(Default)]
struct Seen {
    mood: Mood,
    tracks: Vec<TrackCall>,
    delivered: Vec<(Job, Value)>,
    /// What the platform calls the conversion, and what goes back of it.
    refunds: Vec<(String, Value)>,
    asked: usize,
    /// What the visitors of any affiliate are offered.
    offer: Option<Value>,
}

/// A platform that does as it is told.
#[derive(Default)]
pub(crate) struct Scripted {
    seen: Mutex<Seen>,
    ids: AtomicU64,
}

impl Scripted {
    pub(crate) fn set(&self, mood: Mood) {
        self.seen.lock().expect("whole").mood = mood;
    }

    /// From now on clicks come with this as their `data`.
    pub(crate) fn offer(&self, data: Value) {
        self.seen.lock().expect("whole").offer = Some(data);
    }

    /// Affiliates of clicks that came live.
    pub(crate) fn clicks(&self) -> Vec<String> {
        let seen = self.seen.lock().expect("whole");
        seen.tracks
            .iter()
            .filter_map(|call| Some(call.body.get("trackingId")?.as_str()?.to_owned()))
            .collect()
    }

    /// Affiliates of clicks that were told later.
    pub(crate) fn created(&self) -> Vec<String> {
        self.bodies(Job::Click)
            .iter()
            .map(|body| body["trackingId"].as_str().expect("a code").to_owned())
            .collect()
    }

    pub(crate) fn sales(&self) -> Vec<Value> {
        self.bodies(Job::Conversion)
    }

    pub(crate) fn events(&self) -> Vec<Value> {
        self.bodies(Job::Event)
    }

    pub(crate) fn segments(&self) -> Vec<Value> {
        self.bodies(Job::Segment)
    }

    /// Refunds with what the platform calls their conversion.
    pub(crate) fn refunds(&self) -> Vec<(String, Value)> {
        self.seen.lock().expect("whole").refunds.clone()
    }

    pub(crate) fn leads(&self) -> Vec<String> {
        self.bodies(Job::Signup)
            .iter()
            .map(|body| body["click_id"].as_str().expect("an id").to_owned())
            .collect()
    }

    pub(crate) fn last_track(&self) -> TrackCall {
        self.seen.lock().expect("whole").tracks.last().expect("a call").clone()
    }

    /// How often it was asked to take a delivery.
    pub(crate) fn asked(&self) -> usize {
        self.seen.lock().expect("whole").asked
    }

    fn bodies(&self, job: Job) -> Vec<Value> {
        let seen = self.seen.lock().expect("whole");
        seen.delivered.iter().filter(|(kind, _)| *kind == job).map(|(_, body)| body.clone()).collect()
    }

    fn mood(&self) -> Mood {
        self.seen.lock().expect("whole").mood
    }

    fn id(&self, kind: &str) -> String {
        format!("{kind}{}", self.ids.fetch_add(1, Ordering::Relaxed))
    }
}

#[async_trait]
impl Platform for Scripted {
    async fn track(&self, call: TrackCall, deadline: Duration) -> Result<TrackAnswer, CallError> {
        let mood = self.mood();
        match mood {
            Mood::Down => return Err(CallError::Unreachable("down".to_owned())),
            Mood::Rubbish => return Err(CallError::Rubbish("rubbish".to_owned())),
            Mood::Slow(by) => tokio::time::sleep(by.min(deadline)).await,
            Mood::RefusesClicks | Mood::ForbidsClicks => {
                return Err(CallError::Unreachable("down".to_owned()));
            }
            Mood::NoSuchAffiliate => return Ok(TrackAnswer::default()),
            _ => {}
        }
        let upgraded = call.body.get("upgradeClickId").and_then(Value::as_str).map(str::to_owned);
        let offer = {
            let mut seen = self.seen.lock().expect("whole");
            seen.tracks.push(call);
            seen.offer.clone()
        };
        let cid = match upgraded {
            Some(id) if id.starts_with("refused") => return Ok(TrackAnswer::default()),
            Some(id) => id,
            None => self.id("cid"),
        };
        let rest = offer.map(|data| ("data".to_owned(), data)).into_iter().collect();
        Ok(TrackAnswer { cid: ClickId::new(cid).ok(), rest })
    }

    async fn deliver(
        &self,
        job: Job,
        conversion: Option<&str>,
        body: &str,
        _deadline: Duration,
    ) -> Result<Reply, CallError> {
        let reply =
            |status, body: Value, id| Reply { status, body: body.to_string(), id, ..Reply::default() };
        let error = || json!({"success": false, "error": {"code": "X", "message": "no"}});
        self.seen.lock().expect("whole").asked += 1;
        match self.mood() {
            Mood::RefusesClicks if job == Job::Click => return Ok(reply(422, error(), None)),
            Mood::ForbidsClicks if job == Job::Click => return Ok(reply(403, error(), None)),
            Mood::TooMany(ms) => {
                return Ok(Reply { retry_after_ms: Some(ms), ..reply(429, error(), None) });
            }
            Mood::Down => return Err(CallError::Unreachable("down".to_owned())),
            Mood::Rubbish => return Ok(reply(200, json!("<html>"), None)),
            Mood::KeyRefused => return Ok(reply(401, error(), None)),
            Mood::Refuses => return Ok(reply(422, error(), None)),
            Mood::KnowsNobody => return Ok(reply(404, error(), None)),
            _ => {}
        }
        let parsed: Value = serde_json::from_str(body).expect("JSON");
        if let Some(conversion) = conversion {
            self.seen.lock().expect("whole").refunds.push((conversion.to_owned(), parsed.clone()));
        }
        self.seen.lock().expect("whole").delivered.push((job, parsed));
        match self.mood() {
            Mood::CommitsAndDrops => return Err(CallError::Unreachable("dropped".to_owned())),
            Mood::Slow(by) => tokio::time::sleep(by).await,
            _ => {}
        }
        let id = self.id(job.word());
        Ok(reply(201, json!({"success": true, "data": {"id": id}}), Some(id)))
    }
}

/// A clock that is set by hand.
pub(crate) struct HandClock(AtomicI64);

impl Default for HandClock {
    fn default() -> Self {
        Self(AtomicI64::new(1_700_000_000_000))
    }
}

impl HandClock {
    pub(crate) fn pass_ms(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::Relaxed);
    }

    /// What time it is; no time passes by this look.
    pub(crate) fn now_ms(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Clock for HandClock {
    fn now(&self) -> UnixMs {
        // A retry that is due a moment later comes due by itself: each look at this clock lets a little time pass.
        UnixMs(self.0.fetch_add(20, Ordering::Relaxed))
    }
}

/// Bytes that never repeat.
#[derive(Default)]
struct Counter(AtomicU64);

impl Random for Counter {
    fn fill(&self, bytes: &mut [u8]) {
        let next = self.0.fetch_add(1, Ordering::Relaxed).to_le_bytes();
        for (n, byte) in bytes.iter_mut().enumerate() {
            *byte = next[n % next.len()];
        }
    }
}

fn site() -> Site {
    Site::new(SiteName::new("shop").expect("a name"), vec!["shop.example".to_owned()], "prog".to_owned())
}
