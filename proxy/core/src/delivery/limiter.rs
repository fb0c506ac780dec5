//! How fast the platform may be asked: what it says of its window is kept to before it has to refuse, and what it refuses
//! all the same makes it slower (<https://docs.affonso.io/api/rate-limits>).

use std::{collections::VecDeque, time::Duration};
use tokio::time::Instant;
use usher_model::limits;
use usher_upstream::RateWindow;

const SECOND: Duration = Duration::from_secs(1);

/// The pace of one key, which serves all sites.
#[derive(Debug)]
pub(super) struct Limiter {
    window: Option<Window>,
    /// Calls that a window allows.
    limit: Option<u64>,
    /// How long a window is, as far as has been seen.
    length: Duration,
    /// Whether the platform has answered at all.
    has_heard: bool,
    rest: Option<Instant>,
    slowed: Option<Slowed>,
    /// Refusals in a row, each after a rest.
    strikes: u32,
    /// When calls of the last second began, the oldest first.
    starts: VecDeque<Instant>,
    /// When calls ended without an answer of which the platform may not have told yet, for it may have counted them after
    /// it wrote an answer that is still on its way.
    lost: VecDeque<Instant>,
}

/// The platform's window, as it was last heard of.
#[derive(Debug)]
struct Window {
    /// Its name: the second at which it ends by the platform's clock.
    reset: i64,
    ends: Instant,
    /// What is left of it, but for calls that are under way.
    remaining: u64,
    /// It ended, and of the one after it nothing was heard yet.
    is_over: bool,
}

/// Additive increase, multiplicative decrease (RFC 5681 section 3.1), of calls a second.
#[derive(Debug)]
struct Slowed {
    per_second: usize,
    successes: usize,
}

impl Limiter {
    pub(super) fn new() -> Self {
        Self {
            window: None,
            limit: None,
            length: Duration::from_secs(limits::RATE_WINDOW_S.unsigned_abs()),
            has_heard: false,
            rest: None,
            slowed: None,
            strikes: 0,
            starts: VecDeque::new(),
            lost: VecDeque::new(),
        }
    }

    /// How many calls may begin now beside those under way; when none, until when. `Ok(0)`: when one under way has ended.
    /// Work that waits anyway (not `live`) leaves a part of the window to what comes in now, less of it towards the
    /// window's end.
    pub(super) fn room(&mut self, now: Instant, under_way: usize, live: bool) -> Result<usize, Instant> {
        if let Some(rest) = self.rest.filter(|rest| now < *rest) {
            return Err(rest);
        }
        let in_window = self.room_in_window(now, under_way, live)?;
        Ok(in_window.min(self.room_in_second(now, live)?))
    }

    /// A call begins, if one may.
    pub(super) fn start(&mut self, now: Instant, under_way: usize) -> Result<bool, Instant> {
        let has_room = self.room(now, under_way, true)? > 0;
        if has_room {
            self.starts.push_back(now);
        }
        Ok(has_room)
    }

    /// A call that was to begin did not.
    pub(super) fn unstart(&mut self) {
        self.starts.pop_back();
    }

    /// A call has ended; what the answer said of the window, when there was an answer.
    pub(super) fn ended(&mut self, now: Instant, answer: Option<Option<RateWindow>>) {
        self.has_heard |= answer.is_some();
        forget(&mut self.lost, now, Duration::from_millis(limits::UPSTREAM_CALL_MS));
        // A plan that allows nothing is none: kept to, it would never let the call be made that tells more.
        let told = answer.flatten().filter(|told| told.limit != Some(0));
        match (told, &mut self.window) {
            (Some(told), _) => self.told(now, told),
            (None, Some(window)) => {
                self.lost.push_back(now);
                window.remaining = window.remaining.saturating_sub(1);
            }
            (None, None) if !self.has_heard => self.lost.push_back(now),
            (None, None) => {}
        }
    }

    /// The platform took a call.
    pub(super) fn taken(&mut self) {
        self.strikes = 0;
        let most = self.per_second_told();
        let Some(slowed) = &mut self.slowed else { return };
        slowed.successes += 1;
        if slowed.successes >= slowed.per_second {
            *slowed = Slowed { per_second: slowed.per_second + 1, successes: 0 };
        }
        if slowed.per_second >= most.unwrap_or(limits::RATE_UNSLOWED) {
            self.slowed = None;
        }
    }

    /// The platform refused a call as one too many, and asked for that much time, or did not say.
    pub(super) fn too_fast(&mut self, now: Instant, asked: Option<Duration>) {
        let used_up = self.window.as_ref().filter(|window| window.remaining == 0 && now < window.ends);
        let (used_up, ends) = (used_up.is_some(), used_up.map(|window| window.ends));
        // Of calls that were under way together the first says it all.
        if self.rest.is_none_or(|rest| rest <= now) {
            self.strikes = self.strikes.saturating_add(1);
            if !used_up {
                forget(&mut self.starts, now, SECOND);
                let most = self.slowed.as_ref().map_or(usize::MAX, |slowed| slowed.per_second);
                // Fewer than the smallest plan takes were hardly too many at once, unless it is said again.
                let least = if most == usize::MAX { limits::RATE_FIRST_CALLS / 2 } else { 1 };
                let per_second = (self.starts.len().min(most) / 2).max(least);
                self.slowed = Some(Slowed { per_second, successes: 0 });
            }
        }
        let asked = asked.map(|time| now + time.max(Duration::from_millis(limits::RATE_PAUSE_MS)));
        let until = asked.or(ends).unwrap_or_else(|| now + SECOND * (1 << self.strikes.clamp(1, 7) >> 1));
        self.rest = Some(self.rest.map_or(until, |rest| rest.max(until)));
    }

    fn room_in_window(&mut self, now: Instant, under_way: usize, live: bool) -> Result<usize, Instant> {
        forget(&mut self.lost, now, Duration::from_millis(limits::UPSTREAM_CALL_MS));
        let (length, limit) = (self.length, self.limit);
        let (Some(window), Some(limit)) = (&mut self.window, limit) else {
            let first = limits::RATE_FIRST_CALLS.saturating_sub(under_way + self.lost.len());
            return Ok(if self.has_heard { usize::MAX } else { first });
        };
        if window.ends <= now {
            *window = Window { reset: window.reset, ends: now + length, remaining: limit, is_over: true };
        }
        if window.remaining == 0 {
            return Err(window.ends);
        }
        let spare = window.remaining.saturating_sub(as_u64(under_way));
        let part = (window.ends - now).as_secs_f64() / length.as_secs_f64();
        let reserve = (limit / limits::RATE_RESERVE) as f64 * part.min(1.0);
        match spare {
            _ if live => Ok(as_usize(spare)),
            0 => Ok(0),
            spare if (spare as f64) <= reserve => Err(window.ends.min(now + SECOND)),
            spare => Ok(as_usize(spare - reserve as u64)),
        }
    }

    fn room_in_second(&mut self, now: Instant, live: bool) -> Result<usize, Instant> {
        forget(&mut self.starts, now, SECOND);
        let told = self.per_second_told();
        let slowed = self.slowed.as_ref().map(|slowed| slowed.per_second);
        let Some(most) = told.into_iter().chain(slowed).min() else { return Ok(usize::MAX) };
        let most = if live { most } else { most - most / 5 };
        match (most.saturating_sub(self.starts.len()), self.starts.front()) {
            (0, Some(first)) => Err(*first + SECOND),
            (room, _) => Ok(room),
        }
    }

    /// How many calls may begin within a second: bursts are limited to twice the even pace, of which a fifth is left for
    /// calls that come closer together on their way.
    fn per_second_told(&self) -> Option<usize> {
        let even = self.limit? as f64 / self.length.as_secs_f64().max(1.0);
        Some(((even * 1.6) as usize).max(1))
    }

    fn told(&mut self, now: Instant, told: RateWindow) {
        let seen = self.limit.unwrap_or(0).max(told.remaining.saturating_add(1));
        self.limit = Some(told.limit.unwrap_or(seen));
        let in_ms = told.resets_in_ms.unsigned_abs();
        let ends = now + Duration::from_millis(in_ms + limits::RATE_MARGIN_MS);
        let remaining = told.remaining.saturating_sub(as_u64(self.lost.len()));
        let fresh = Window { reset: told.reset, ends, remaining, is_over: false };
        match &mut self.window {
            Some(window) if told.reset == window.reset && !window.is_over => {
                // Answers overtake one another: the least that was heard is the last that was said.
                window.remaining = window.remaining.min(remaining);
                window.ends = window.ends.min(ends);
            }
            // It goes on after all, when the platform's clock is behind.
            Some(window) if told.reset == window.reset && in_ms > 0 => *window = fresh,
            Some(window) if told.reset <= window.reset && now < window.ends => {
                window.remaining = window.remaining.saturating_sub(1);
            }
            Some(window) => {
                let passed = told.reset.saturating_sub(window.reset).clamp(1, limits::RATE_WINDOW_S);
                self.length = self.length.min(Duration::from_secs(passed.unsigned_abs()));
                *window = fresh;
            }
            None => self.window = Some(fresh),
        }
    }
}

/// Forgets what is older than `age`.
fn forget(moments: &mut VecDeque<Instant>, now: Instant, age: Duration) {
    while moments.front().is_some_and(|moment| *moment + age <= now) {
        moments.pop_front();
    }
}

fn as_u64(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

fn as_usize(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
