//! Whether a call to the platform may begin: one pace for the key, and rests for what does not answer or is refused, no
//! wider than what is wrong.

use super::{
    circuit::{Circuit, Failure, Manner},
    limiter::Limiter,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use tokio::time::Instant;
use usher_model::{Delivery, Job, Random, SiteName, limits};
use usher_upstream::RateWindow;

/// What an attempt has told beyond its own outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Heard {
    pub(super) what: What,
    /// What an answer said of the platform's window, when there was one.
    pub(super) answer: Option<Option<RateWindow>>,
}

/// What the platform made of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// It looked at the work, so it takes the key.
    Looked,
    /// It answered, which says nothing of the key.
    Answered,
    /// It was asked too often, and wants that many milliseconds.
    TooFast(Option<i64>),
    /// It does not take the key, with its words: a person has to act.
    KeyUnknown(String),
    /// It does not let the key do this, which says nothing of other work: a person has to act.
    Forbidden(String),
    /// No useful answer; it may have asked for that many milliseconds.
    Failed(Option<i64>),
}

/// A call that may begin now.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Call(u64);

/// No call may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rest {
    until: Instant,
    cause: Cause,
}

impl Rest {
    /// Whether it is over by then, and nobody else's work is held up by waiting for it in hand.
    pub(super) fn ends_by(self, moment: Instant) -> bool {
        self.cause == Cause::Everything && self.until <= moment
    }

    /// Waits until it is over.
    pub(super) async fn over(self) {
        tokio::time::sleep_until(self.until).await;
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// It holds for everything. Nothing is claimed meanwhile.
    Everything,
    /// Nothing of this site is answered.
    Site,
    /// The site's work of this kind is forbidden.
    Kind,
    /// Too many calls of the site are under way.
    Crowded,
}

/// All that is known of the platform's state.
pub(super) struct Gate {
    limiter: Limiter,
    calls: BTreeMap<u64, Begun>,
    next: u64,
    /// Opens when nobody's calls are answered.
    platform: Circuit,
    sites: BTreeMap<SiteName, Health>,
    key: Circuit,
    key_words: Option<(SiteName, String)>,
    forbidden: BTreeMap<(SiteName, Job), Forbidden>,
    /// Deliveries that were forbidden before others of their kind were taken: what is wrong is not the key.
    suspects: BTreeSet<String>,
    /// It has answered since this process began: what an earlier one put off need not wait for its own time.
    has_answered: bool,
    is_back: bool,
}

/// A call under way.
struct Begun {
    site: SiteName,
    job: Job,
    id: String,
}

/// Work of one kind that the key may not do.
struct Forbidden {
    circuit: Circuit,
    words: String,
    deliveries: BTreeSet<String>,
}

/// Whether the platform answers calls of one site.
struct Health {
    circuit: Circuit,
    answered: Option<Instant>,
}

impl Gate {
    pub(super) fn new() -> Self {
        Self {
            limiter: Limiter::new(),
            calls: BTreeMap::new(),
            next: 0,
            platform: Circuit::new(Manner::Down),
            sites: BTreeMap::new(),
            key: Circuit::new(Manner::Refused),
            key_words: None,
            forbidden: BTreeMap::new(),
            suspects: BTreeSet::new(),
            has_answered: false,
            is_back: false,
        }
    }

    /// Calls under way.
    pub(super) fn under_way(&self) -> usize {
        self.calls.len()
    }

    /// How much work may be claimed, whosever it is; when none, until when; `Ok(0)`: when a call has ended.
    pub(super) fn room(&mut self, now: Instant) -> Result<usize, Instant> {
        let under_way = self.calls.len();
        let rooms = [
            self.key.room(now, under_way),
            self.platform.room(now, under_way),
            self.limiter.room(now, under_way, false),
        ];
        narrowest(rooms)
    }

    /// How many such calls could begin now.
    pub(super) fn look(&mut self, site: &SiteName, job: Job, now: Instant) -> Result<usize, Rest> {
        self.passes(site, job, now)?;
        let room = self.limiter.room(now, self.calls.len(), true);
        pass(room, now, Cause::Everything)?;
        Ok(room.unwrap_or(0))
    }

    /// Begins a call, which has to be told the gate when it ends.
    pub(super) fn start(&mut self, delivery: &Delivery, now: Instant) -> Result<Call, Rest> {
        let (site, job) = (&delivery.site, delivery.job);
        self.passes(site, job, now)?;
        let begins = self.limiter.start(now, self.calls.len());
        pass(begins.map(usize::from), now, Cause::Everything)?;
        if !self.sites.contains_key(site) {
            let health = Health { circuit: Circuit::new(Manner::Down), answered: None };
            self.sites.insert(site.clone(), health);
        }
        let call = self.next;
        self.next += 1;
        self.calls.insert(call, Begun { site: site.clone(), job, id: delivery.id.clone() });
        Ok(Call(call))
    }

    /// A call did not begin after all.
    pub(super) fn unstart(&mut self, call: &Call) {
        if self.calls.remove(&call.0).is_some() {
            self.limiter.unstart();
        }
    }

    /// A call has ended.
    pub(super) fn ended(&mut self, call: &Call, heard: Heard, now: Instant, random: &dyn Random) {
        let Some(begun) = self.calls.remove(&call.0) else { return };
        self.limiter.ended(now, heard.answer);
        let failure = Failure { call: call.0, next: self.next, now, asked: Duration::ZERO };
        match heard.what {
            What::Looked => {
                self.limiter.taken();
                self.answered(call.0, &begun.site, now);
                if self.key.succeeded(call.0, now) || !self.key.is_open() {
                    self.key_words = None;
                }
                self.allowed(call.0, begun, now);
            }
            What::Answered => self.answered(call.0, &begun.site, now),
            What::TooFast(wait_ms) => self.limiter.too_fast(now, wait_ms.map(|ms| asked(Some(ms)))),
            What::KeyUnknown(words) => {
                self.answered(call.0, &begun.site, now);
                if self.key.failed(failure, 0, random) {
                    self.key_words = Some((begun.site, words));
                }
            }
            What::Forbidden(words) => {
                self.answered(call.0, &begun.site, now);
                self.forbidden(failure, begun, words, random);
            }
            What::Failed(asked_ms) => {
                self.failed(Failure { asked: asked(asked_ms), ..failure }, &begun.site, random);
            }
        }
    }

    /// Whether others of its kind were taken after this delivery was forbidden.
    pub(super) fn is_suspect(&self, id: &str) -> bool {
        self.suspects.contains(id)
    }

    /// When work that is turned away should be looked at again.
    pub(super) fn due(&mut self, rest: Rest, site: &SiteName, job: Job, now: Instant) -> Instant {
        let circuit = match rest.cause {
            Cause::Everything => return rest.until.max(now),
            Cause::Crowded => return now + Duration::from_millis(limits::CROWDED_MS),
            Cause::Site => self.sites.get_mut(site).map(|health| &mut health.circuit),
            Cause::Kind => self.forbidden.get_mut(&(site.clone(), job)).map(|kind| &mut kind.circuit),
        };
        circuit.map_or(now, |circuit| circuit.due(now))
    }

    /// What rests may be tried at once: a person has acted. What waits for a later try need not.
    pub(super) fn try_now(&mut self, now: Instant) {
        self.key.try_now(now);
        self.platform.try_now(now);
        self.sites.values_mut().for_each(|health| health.circuit.try_now(now));
        self.forbidden.values_mut().for_each(|kind| kind.circuit.try_now(now));
        self.is_back = true;
    }

    /// Whether something is mended since this was last asked, so that what waits for a later try need not.
    pub(super) fn take_back(&mut self) -> bool {
        std::mem::take(&mut self.is_back)
    }

    /// Sites whose work the platform refuses, with its words.
    pub(super) fn refused(&self) -> Vec<(SiteName, String)> {
        let forbidden = self.forbidden.iter().map(|((site, _), kind)| (site.clone(), kind.words.clone()));
        self.key_words.iter().cloned().chain(forbidden).collect()
    }

    /// Sites whose calls the platform does not answer, and since when.
    pub(super) fn unanswered(&self) -> Vec<(SiteName, Instant)> {
        let since = |health: &Health| health.circuit.open_since();
        self.sites.iter().filter_map(|(site, health)| Some((site.clone(), since(health)?))).collect()
    }

    /// Everything but the pace.
    fn passes(&self, site: &SiteName, job: Job, now: Instant) -> Result<(), Rest> {
        let all = self.calls.len();
        let own = self.calls.values().filter(|call| call.site == *site).count();
        pass(self.key.room(now, all), now, Cause::Everything)?;
        self.passes_health(site, own, now)?;
        if let Some(kind) = self.forbidden.get(&(site.clone(), job)) {
            let same = self.calls.values().filter(|call| call.site == *site && call.job == job).count();
            pass(kind.circuit.room(now, same), now, Cause::Kind)?;
        }
        let is_crowded = self.sites.len() > 1 && own >= limits::SITE_CALLS;
        pass(Ok(usize::from(!is_crowded)), now, Cause::Crowded)
    }

    /// While nobody is answered the platform's circuit decides for all, but for a site that was not among those who found
    /// it out: it may try for itself.
    fn passes_health(&self, site: &SiteName, own: usize, now: Instant) -> Result<(), Rest> {
        let all = pass(self.platform.room(now, self.calls.len()), now, Cause::Everything);
        match self.sites.get(site).map(|health| &health.circuit).filter(|circuit| circuit.is_open()) {
            None if own == 0 => Ok(()),
            Some(circuit) if !self.platform.is_open() || self.somebody_is_answered(now) => {
                all?;
                pass(circuit.room(now, own), now, Cause::Site)
            }
            _ => all,
        }
    }

    fn somebody_is_answered(&self, now: Instant) -> bool {
        let lately = Duration::from_millis(limits::UP_FOR_MS);
        let answered = |health: &Health| {
            health.circuit.is_well() && health.answered.is_some_and(|at| now.duration_since(at) < lately)
        };
        self.sites.values().any(answered)
    }

    fn answered(&mut self, call: u64, site: &SiteName, now: Instant) {
        if self.platform.is_well() {
            self.is_back |= !std::mem::replace(&mut self.has_answered, true);
        }
        if self.platform.succeeded(call, now) {
            self.sites.values_mut().for_each(|health| health.circuit.try_now(now));
        }
        if let Some(health) = self.sites.get_mut(site) {
            health.answered = Some(now);
            self.is_back |= health.circuit.succeeded(call, now);
        }
    }

    fn allowed(&mut self, call: u64, begun: Begun, now: Instant) {
        self.suspects.remove(&begun.id);
        let key = (begun.site, begun.job);
        let Some(kind) = self.forbidden.get_mut(&key) else { return };
        if kind.circuit.succeeded(call, now) {
            let kind = self.forbidden.remove(&key).map(|kind| kind.deliveries).unwrap_or_default();
            let others = kind.into_iter().filter(|id| *id != begun.id);
            self.suspects.extend(others.take(limits::UPSTREAM_CALLS));
            while self.suspects.len() > limits::CLAIMED {
                self.suspects.pop_first();
            }
            self.is_back = true;
        }
    }

    fn forbidden(&mut self, failure: Failure, begun: Begun, words: String, random: &dyn Random) {
        let kind = self.forbidden.entry((begun.site, begun.job)).or_insert_with(|| Forbidden {
            circuit: Circuit::new(Manner::Refused),
            words: String::new(),
            deliveries: BTreeSet::new(),
        });
        if kind.circuit.failed(failure, 0, random) {
            kind.words = words;
        }
        if kind.deliveries.len() < limits::UPSTREAM_CALLS {
            kind.deliveries.insert(begun.id);
        }
    }

    fn failed(&mut self, failure: Failure, site: &SiteName, random: &dyn Random) {
        // Who tries for itself while nobody else is answered needs no long proof.
        let tolerated = if self.platform.is_open() { 0 } else { limits::DOWN_AFTER - 1 };
        let Some(health) = self.sites.get_mut(site) else { return };
        health.circuit.failed(failure, tolerated, random);
        if health.circuit.is_open() && !self.somebody_is_answered(failure.now) {
            self.platform.failed(failure, 0, random);
        }
    }
}

/// The time that the platform asked for, as far as it is granted.
fn asked(ms: Option<i64>) -> Duration {
    let ms = ms.unwrap_or(0).clamp(0, limits::RETRY_AFTER_LONGEST_MS);
    Duration::from_millis(ms.unsigned_abs())
}

/// A rest, unless there is room.
fn pass(room: Result<usize, Instant>, now: Instant, cause: Cause) -> Result<(), Rest> {
    match room {
        Ok(0) => Err(Rest { until: now + Duration::from_millis(limits::OUTBOX_POLL_MS), cause }),
        Ok(_) => Ok(()),
        Err(until) => Err(Rest { until, cause }),
    }
}

fn narrowest<const N: usize>(rooms: [Result<usize, Instant>; N]) -> Result<usize, Instant> {
    let rest = rooms.iter().filter_map(|room| room.err()).max();
    match rest {
        Some(until) => Err(until),
        None => Ok(rooms.into_iter().flatten().min().unwrap_or(usize::MAX)),
    }
}

#[cfg(test)]
mod tests;
