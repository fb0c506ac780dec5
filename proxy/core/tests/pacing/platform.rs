//! A platform that counts what it is asked, in fixed windows, and answers as a script says.

use async_trait::async_trait;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard},
    time::Duration,
};
use tokio::time::{Instant, sleep};
use usher_model::{Job, limits};
use usher_upstream::{CallError, Platform, RateWindow, Reply, TrackAnswer, TrackCall};

const LATENCY_MS: u64 = 80;

/// What the platform does with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Taken,
    Down,
    Status(u16),
    /// No answer for so long.
    Silent,
    /// The client itself fails.
    Panic,
}

pub(crate) type Script = Box<dyn Fn(u64, &str) -> Fate + Send + Sync>;

/// A call as the platform saw it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) job: Job,
    pub(crate) conversion: Option<String>,
    pub(crate) key: String,
    pub(crate) body: Value,
    pub(crate) fate: Fate,
}

/// A platform that counts in fixed windows, as the contract says.
pub(crate) struct Counting {
    pub(crate) began: Instant,
    pub(crate) per_minute: u64,
    pub(crate) per_second: u64,
    /// Whether it tells what is left of its window.
    pub(crate) tells: bool,
    pub(crate) script: Script,
    pub(crate) seen: Mutex<Vec<Seen>>,
    /// Calls that were let through, by minute and by second.
    pub(crate) windows: Mutex<(BTreeMap<u64, u64>, BTreeMap<u64, u64>)>,
}

impl Counting {
    pub(crate) fn seen(&self) -> MutexGuard<'_, Vec<Seen>> {
        self.seen.lock().expect("whole")
    }

    pub(crate) fn taken(&self) -> Vec<String> {
        self.seen().iter().filter(|seen| seen.fate == Fate::Taken).map(|seen| seen.key.clone()).collect()
    }

    pub(crate) fn refused_as_too_many(&self) -> usize {
        self.seen().iter().filter(|seen| seen.fate == Fate::Status(429)).count()
    }

    pub(crate) fn most_attempts(&self) -> usize {
        let mut attempts = BTreeMap::<String, usize>::new();
        for seen in self.seen().iter() {
            *attempts.entry(seen.key.clone()).or_default() += 1;
        }
        attempts.into_values().max().unwrap_or(0)
    }

    /// Counts a call, and says what is left; nothing when it is one too many.
    pub(crate) fn count(&self, at_ms: u64) -> Option<RateWindow> {
        let mut windows = self.windows.lock().expect("whole");
        let (minute, second) = (at_ms / 60_000, at_ms / 1_000);
        let in_second = windows.1.entry(second).or_default();
        *in_second += 1;
        let is_burst = *in_second > self.per_second;
        let in_minute = windows.0.entry(minute).or_default();
        *in_minute += 1;
        let left = self.per_minute.checked_sub(*in_minute).filter(|_| !is_burst)?;
        let reset = i64::try_from((minute + 1) * 60).expect("a second");
        let resets_in_ms = reset * 1_000 - i64::try_from(at_ms / 1_000 * 1_000).expect("a while");
        Some(RateWindow { limit: Some(self.per_minute), remaining: left, reset, resets_in_ms })
    }
}

#[async_trait]
impl Platform for Counting {
    async fn track(&self, _: TrackCall, _: Duration) -> Result<TrackAnswer, CallError> {
        Err(CallError::Unreachable("no clicks here".to_owned()))
    }

    async fn deliver(
        &self,
        job: Job,
        conversion: Option<&str>,
        body: &str,
        deadline: Duration,
    ) -> Result<Reply, CallError> {
        sleep(Duration::from_millis(LATENCY_MS / 2)).await;
        let at_ms = u64::try_from(self.began.elapsed().as_millis()).expect("a while");
        let body: Value = serde_json::from_str(body).expect("JSON");
        let key = body["external_event_id"].as_str().expect("a key").to_owned();
        let mut fate = (self.script)(at_ms, &key);
        let mut window = None;
        if fate != Fate::Down {
            window = self.count(at_ms);
            fate = if window.is_some() { fate } else { Fate::Status(429) };
            window = window.filter(|_| self.tells);
        }
        let conversion = conversion.map(str::to_owned);
        self.seen().push(Seen { job, conversion, key: key.clone(), body, fate });
        sleep(Duration::from_millis(LATENCY_MS / 2)).await;
        let error = |status: u16| {
            let error = json!({"code": status.to_string(), "message": "no"});
            json!({"success": false, "error": error}).to_string()
        };
        match fate {
            Fate::Down => Err(CallError::Unreachable("connection refused".to_owned())),
            Fate::Silent => {
                sleep(deadline).await;
                Err(CallError::TimedOut(limits::UPSTREAM_CALL_MS))
            }
            Fate::Panic => panic!("as the script says"),
            Fate::Status(429) => {
                let minute = self.windows.lock().expect("whole").0[&(at_ms / 60_000)];
                let window_ms = if minute > self.per_minute { 60_000 } else { 1_000 };
                let left_ms = i64::try_from(window_ms - at_ms % window_ms).expect("a while");
                let retry_after_ms = Some((left_ms + 999) / 1_000 * 1_000);
                Ok(Reply { status: 429, body: error(429), retry_after_ms, ..Reply::default() })
            }
            Fate::Status(status) => Ok(Reply { status, body: error(status), window, ..Reply::default() }),
            Fate::Taken => {
                let id = format!("com_{key}");
                let body = json!({"success": true, "data": {"id": id}}).to_string();
                Ok(Reply { status: 201, body, id: Some(id), window, ..Reply::default() })
            }
        }
    }
}
