//! The platform as it is reached over a network: it counts calls, answers them, or not.

use super::{
    books::Books,
    dice::Dice,
    life::Life,
    network::{Fate, Mood},
    time::Time,
    trace::{Trace, say},
};
use async_trait::async_trait;
use serde_json::{Map, Value, json};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};
use usher_model::{ClickId, Job};
use usher_upstream::{CallError, Platform, RateWindow, Reply, TrackAnswer, TrackCall};

/// Calls that it allows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    pub(crate) per_minute: u32,
    pub(crate) per_second: u32,
}

/// What the platform counts.
#[derive(Default)]
pub(crate) struct Counted {
    /// Calls for one piece of work.
    pub(crate) calls: BTreeMap<String, u32>,
    /// Calls that were let through and calls that were too many, by minute.
    pub(crate) minutes: BTreeMap<i64, (u32, u32)>,
    /// The second that it is, and calls in it.
    second: (i64, u32),
    /// Calls that it acted on, or may act on, without the caller's learning of it.
    pub(crate) unheard: u32,
    /// Clicks that browsers brought.
    pub(crate) tracked: usize,
    /// The same as `unheard`, of clicks alone: they have no key, so each may be there once more.
    pub(crate) unheard_clicks: usize,
}

/// A request that the platform gets to when its sender has given up.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Late {
    at: i64,
    body: String,
    sale: Option<String>,
    job: &'static str,
}

#[derive(Default)]
struct State {
    books: Books,
    counted: Counted,
    late: Vec<Late>,
    /// Requests whose sender died while they were on their way.
    orphaned: Vec<Late>,
    mood: Mood,
}

/// The platform of a world.
pub(crate) struct Affonso {
    state: Mutex<State>,
    rate: Rate,
    dice: Dice,
    time: Arc<Time>,
    life: Arc<Life>,
    trace: Arc<Trace>,
}

/// A request as it was sent.
#[derive(Clone, Copy)]
struct Sent<'a> {
    job: Job,
    sale: Option<&'a str>,
    body: &'a str,
}

impl Sent<'_> {
    fn late(&self, at: i64) -> Late {
        Late { at, body: self.body.to_owned(), sale: self.sale.map(str::to_owned), job: self.job.word() }
    }
}

impl Affonso {
    pub(crate) fn new(dice: Dice, rate: Rate, time: Arc<Time>, life: Arc<Life>, trace: Arc<Trace>) -> Self {
        Self { state: Mutex::default(), rate, dice, time, life, trace }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("whole")
    }

    pub(crate) fn set(&self, mood: Mood) {
        self.state().mood = mood;
    }

    /// What it holds, and what it has counted.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&Books, &Counted) -> T) -> T {
        let state = self.state();
        look(&state.books, &state.counted)
    }

    /// A click that it knows from before.
    pub(crate) fn add_click(&self, affiliate: &str) -> ClickId {
        let id = self.state().books.track(affiliate).expect("an affiliate");
        ClickId::new(id).expect("an id")
    }

    /// Requests that were on their way for so long arrive.
    pub(crate) fn take_late(&self) {
        let now = self.time.true_now().0;
        let mut state = self.state();
        let (due, rest): (Vec<_>, _) =
            std::mem::take(&mut state.late).into_iter().partition(|late| late.at <= now);
        state.late = rest;
        for late in due {
            let job = Job::from_word(late.job).expect("a job");
            let (status, _) = state.books.take(job, late.sale.as_deref(), &late.body);
            say!(self.trace, "platform: late {} {} -> {status}", late.job, late.body);
        }
    }

    /// Whether requests are on their way still.
    pub(crate) fn awaits(&self) -> bool {
        !self.state().late.is_empty()
    }

    /// Counts a call: what it says of its window, and how long to wait when it is one too many.
    fn count(&self) -> (RateWindow, Option<i64>) {
        let now = self.time.true_now().0;
        let counted = &mut self.state().counted;
        if counted.second.0 != now / 1000 {
            counted.second = (now / 1000, 0);
        }
        counted.second.1 += 1;
        let in_second = counted.second.1;
        let (calls, refused) = counted.minutes.entry(now / 60_000).or_default();
        let wait = match () {
            () if *calls >= self.rate.per_minute => Some(60_000 - now % 60_000),
            () if in_second > self.rate.per_second => Some(1_000),
            () => None,
        };
        *(if wait.is_some() { refused } else { &mut *calls }) += 1;
        let resets_in_ms = 60_000 - now % 60_000;
        let window = RateWindow {
            limit: Some(self.rate.per_minute.into()),
            remaining: (self.rate.per_minute - *calls).into(),
            reset: (now + resets_in_ms) / 1000,
            resets_in_ms,
        };
        (window, wait)
    }

    fn act(&self, sent: Sent<'_>) -> (u16, Value) {
        self.state().books.take(sent.job, sent.sale, sent.body)
    }

    /// It acts, or will, and the caller does not learn of it.
    fn act_unheard(&self, sent: Sent<'_>, within_ms: Option<(u64, u64)>) {
        self.count_unheard(sent.job);
        let Some((low, high)) = within_ms else {
            self.act(sent);
            return;
        };
        let late = sent.late(self.time.true_now().0 + self.pause(low, high));
        self.state().late.push(late);
    }

    fn count_unheard(&self, job: Job) {
        let counted = &mut self.state().counted;
        counted.unheard += 1;
        counted.unheard_clicks += usize::from(job == Job::Click);
    }

    fn pause(&self, low: u64, high: u64) -> i64 {
        i64::try_from(self.dice.between(low, high)).expect("a while")
    }

    /// The process is dead: what it had sent arrives, or not. In an order of its own, for a runtime drops its tasks in any.
    pub(crate) fn mourn(&self) {
        let mut orphaned = std::mem::take(&mut self.state().orphaned);
        orphaned.sort();
        for mut late in orphaned {
            if self.dice.percent(50) {
                late.at += self.pause(0, 500);
                self.count_unheard(Job::from_word(late.job).expect("a job"));
                self.state().late.push(late);
            }
        }
    }

    async fn wait(&self, (low, high): (u64, u64)) {
        tokio::time::sleep(Duration::from_millis(self.dice.between(low, high))).await;
    }

    async fn latency(&self) {
        let latency = self.state().mood.latency();
        self.wait(latency).await;
    }

    async fn meet(&self, fate: Fate, sent: Sent<'_>, deadline: Duration) -> Result<Reply, CallError> {
        let timed_out = || CallError::TimedOut(u64::try_from(deadline.as_millis()).expect("a deadline"));
        let reply = |status, body: &str| Reply { status, body: body.to_owned(), ..Reply::default() };
        match fate {
            Fate::Answered => return self.answer(sent).await,
            Fate::Unreachable => {
                self.wait((1, 400)).await;
                return Err(CallError::Unreachable("connection refused".to_owned()));
            }
            Fate::Lost => {
                tokio::time::sleep(deadline).await;
                return Err(timed_out());
            }
            Fate::Late => {
                self.act_unheard(sent, Some((100, 90_000)));
                tokio::time::sleep(deadline).await;
                return Err(timed_out());
            }
            _ => self.latency().await,
        }
        self.count();
        match fate {
            Fate::Dropped => {
                self.act_unheard(sent, None);
                self.wait((1, 500)).await;
                Err(CallError::Unreachable("connection reset".to_owned()))
            }
            Fate::Error { status, acted } => {
                if acted {
                    self.act_unheard(sent, None);
                }
                let retry_after_ms = self.dice.percent(20).then_some(5_000);
                Ok(Reply { retry_after_ms, ..reply(status, "oops") })
            }
            Fate::Refused(status) => Ok(reply(status, &error("UNAUTHORIZED", "this key may not"))),
            _ => Ok(reply(200, "<html>please log in</html>")),
        }
    }

    /// The ordinary case.
    async fn answer(&self, sent: Sent<'_>) -> Result<Reply, CallError> {
        let mut way = OnItsWay { platform: self, sent, stage: Stage::Sent };
        self.latency().await;
        way.stage = Stage::Arrived;
        let (window, wait) = self.count();
        let window = Some(window);
        if let Some(wait) = wait {
            way.stage = Stage::Answered;
            let retry_after_ms = self.dice.percent(90).then_some((wait + 999) / 1000 * 1000);
            let body = error("RATE_LIMIT_EXCEEDED", "too many requests");
            return Ok(Reply { status: 429, body, id: None, retry_after_ms, window });
        }
        let (status, said) = self.act(sent);
        self.wait((0, 5)).await;
        way.stage = Stage::Answered;
        let id = said["data"]["id"].as_str().map(str::to_owned);
        Ok(Reply { status, body: said.to_string(), id, retry_after_ms: None, window })
    }
}

fn error(code: &str, message: &str) -> String {
    json!({"success": false, "error": {"code": code, "message": message}}).to_string()
}

/// How far a request has come.
#[derive(PartialEq, Eq)]
enum Stage {
    Sent,
    Arrived,
    Answered,
}

/// A request whose sender may die. It arrives all the same, or not.
struct OnItsWay<'a> {
    platform: &'a Affonso,
    sent: Sent<'a>,
    stage: Stage,
}

impl Drop for OnItsWay<'_> {
    fn drop(&mut self) {
        let late = self.sent.late(self.platform.time.true_now().0);
        match self.stage {
            Stage::Sent => self.platform.state().orphaned.push(late),
            Stage::Arrived => self.platform.count_unheard(self.sent.job),
            Stage::Answered => {}
        }
    }
}

/// What a request is about: its key, or all of it.
fn name(body: &str) -> String {
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    let key = ["external_event_id", "messageId", "click_id", "trackingId"]
        .iter()
        .find_map(|key| body[key].as_str());
    key.unwrap_or("?").to_owned()
}

#[async_trait]
impl Platform for Affonso {
    async fn track(&self, call: TrackCall, deadline: Duration) -> Result<TrackAnswer, CallError> {
        self.life.goes_on().await;
        let mood = self.state().mood;
        match mood {
            Mood::Down => return Err(CallError::Unreachable("connection refused".to_owned())),
            Mood::Failing | Mood::Rubbish => return Err(CallError::Rubbish("status 500".to_owned())),
            _ => {}
        }
        let answer = async {
            self.latency().await;
            if let Some(id) = call.body.get("upgradeClickId").and_then(Value::as_str) {
                return ClickId::new(id).ok();
            }
            let affiliate = call.body.get("trackingId").and_then(Value::as_str).unwrap_or_default();
            let id = self.state().books.track(affiliate)?;
            self.state().counted.tracked += 1;
            // Until it is heard.
            self.state().counted.unheard_clicks += 1;
            if matches!(mood, Mood::Drops | Mood::Silent) {
                std::future::pending::<()>().await;
            }
            self.wait((0, 20)).await;
            self.state().counted.unheard_clicks -= 1;
            ClickId::new(id).ok()
        };
        let timed_out = |_| CallError::TimedOut(u64::try_from(deadline.as_millis()).expect("a deadline"));
        let cid = tokio::time::timeout(deadline, answer).await.map_err(timed_out)?;
        say!(self.trace, "platform: track {:?} -> {cid:?}", call.body.get("trackingId"));
        Ok(TrackAnswer { cid, rest: Map::new() })
    }

    async fn deliver(
        &self,
        job: Job,
        conversion: Option<&str>,
        body: &str,
        deadline: Duration,
    ) -> Result<Reply, CallError> {
        self.life.goes_on().await;
        self.take_late();
        let fate = self.state().mood.fate(job, &self.dice);
        let name = format!("{} {}", job.word(), name(body));
        say!(self.trace, "platform: {name} {conversion:?} {body} ...");
        *self.state().counted.calls.entry(name.clone()).or_default() += 1;
        let sent = Sent { job, sale: conversion, body };
        let met = tokio::time::timeout(deadline, self.meet(fate, sent, deadline)).await;
        let met = met.unwrap_or_else(|_| {
            Err(CallError::TimedOut(u64::try_from(deadline.as_millis()).expect("a deadline")))
        });
        match &met {
            Ok(reply) => say!(self.trace, "platform: {name} -> {} {:?}", reply.status, reply.id),
            Err(why) => say!(self.trace, "platform: {name} -> {why} ({fate:?})"),
        }
        met
    }
}
