//! A circuit breaker (<https://martinfowler.com/bliki/CircuitBreaker.html>): what fails again and again rests, then a few
//! calls try whether it is mended, and only then goes on.

use std::time::Duration;
use tokio::time::Instant;
use usher_model::{Random, limits};

/// What is wrong when it opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// No useful answer comes. It may come back any moment, and everybody asks at once then.
    Down,
    /// The key is refused. Somebody has to act.
    Refused,
}

/// A call that failed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failure {
    pub(super) call: u64,
    /// The call that begins next.
    pub(super) next: u64,
    pub(super) now: Instant,
    /// For how much time the platform asked.
    pub(super) asked: Duration,
}

/// One of them. Calls are numbered in the order in which they began: what comes back from before it opened says nothing.
#[derive(Debug)]
pub(super) struct Circuit {
    manner: Manner,
    /// In a row.
    failures: u32,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    /// For people.
    began: Instant,
    /// The first call that began after it opened.
    since: u64,
    until: Instant,
    /// Rests in a row.
    rests: u32,
    /// Of calls that tried it, since the last failure.
    successes: u32,
    /// How many wait for the end of this rest.
    waiting: u32,
}

impl Circuit {
    pub(super) const fn new(manner: Manner) -> Self {
        Self { manner, failures: 0, open: None }
    }

    pub(super) const fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Since when it has been open.
    pub(super) fn open_since(&self) -> Option<Instant> {
        self.open.as_ref().map(|open| open.began)
    }

    /// Whether its last call was none that failed.
    pub(super) const fn is_well(&self) -> bool {
        self.open.is_none() && self.failures == 0
    }

    /// How many calls may begin beside those under way; when it rests, until when. While it is tried, one call may be under
    /// way, and with each success twice as many.
    pub(super) fn room(&self, now: Instant, under_way: usize) -> Result<usize, Instant> {
        match &self.open {
            None => Ok(usize::MAX),
            Some(open) if now < open.until => Err(open.until),
            Some(open) => Ok((1_usize << open.successes.min(16)).saturating_sub(under_way)),
        }
    }

    /// A call failed. True when it rests for that: when more than `tolerated` failed in a row.
    pub(super) fn failed(&mut self, failure: Failure, tolerated: u32, random: &dyn Random) -> bool {
        let rests = match &self.open {
            Some(open) if failure.call < open.since => return false,
            Some(open) => open.rests.saturating_add(1),
            None => {
                self.failures = self.failures.saturating_add(1);
                if self.failures <= tolerated {
                    return false;
                }
                0
            }
        };
        let until = failure.now + self.pause(rests, random).max(failure.asked);
        let began = self.open_since().unwrap_or(failure.now);
        self.open = Some(Open { began, since: failure.next, until, rests, successes: 0, waiting: 0 });
        true
    }

    /// A call succeeded. True when that closes it.
    pub(super) fn succeeded(&mut self, call: u64, now: Instant) -> bool {
        self.failures = 0;
        let Some(open) = &mut self.open else { return false };
        if call < open.since {
            return false;
        }
        open.until = open.until.min(now);
        open.successes += 1;
        let proof = match self.manner {
            Manner::Down => limits::UP_AFTER,
            Manner::Refused => 1,
        };
        let is_proven = open.successes >= proof;
        if is_proven {
            self.open = None;
        }
        is_proven
    }

    /// It may be tried at once.
    pub(super) fn try_now(&mut self, now: Instant) {
        if let Some(open) = &mut self.open {
            open.until = open.until.min(now);
        }
    }

    /// When work should be looked at again that is turned away: some of it when the rest ends, so that there is something
    /// to try with. The rest of it waits until it is known that it is mended, for each look at it is a write.
    pub(super) fn due(&mut self, now: Instant) -> Instant {
        let parked = now + Duration::from_millis(limits::PARKED_MS);
        let Some(open) = &mut self.open else { return now };
        open.waiting = open.waiting.saturating_add(1);
        if open.waiting <= limits::PROBES { open.until.max(now) } else { parked }
    }

    /// Full jitter over a doubling span, with a floor.
    fn pause(&self, rests: u32, random: &dyn Random) -> Duration {
        let ms = match self.manner {
            Manner::Refused => limits::PAUSE_MS.unsigned_abs(),
            Manner::Down => {
                let span = (limits::DOWN_FIRST_MS << rests.min(16)).min(limits::DOWN_LONGEST_MS);
                (limits::DOWN_FIRST_MS / 2 + random.below(span)).min(limits::DOWN_LONGEST_MS)
            }
        };
        Duration::from_millis(ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::Dice;

    const TOLERATED: u32 = limits::DOWN_AFTER - 1;

    fn failure(call: u64, next: u64, now: Instant) -> Failure {
        Failure { call, next, now, asked: Duration::ZERO }
    }

    fn opened(now: Instant) -> Circuit {
        let mut circuit = Circuit::new(Manner::Down);
        for call in 0..5 {
            assert_eq!(circuit.failed(failure(call, 10, now), TOLERATED, &Dice), call == 4);
        }
        circuit
    }

    fn later(now: Instant) -> Instant {
        now + Duration::from_millis(limits::DOWN_LONGEST_MS)
    }

    #[test]
    fn failures_among_successes_do_not_open_it() {
        let (mut circuit, now) = (Circuit::new(Manner::Down), Instant::now());
        for call in 0..100 {
            assert!(!circuit.failed(failure(call, call, now), TOLERATED, &Dice));
            if call % 4 == 0 {
                circuit.succeeded(call, now);
            }
        }
        assert_eq!(circuit.room(now, 63), Ok(usize::MAX));
    }

    #[test]
    fn one_tries_then_two_then_four_and_five_successes_close_it() {
        let now = Instant::now();
        let mut circuit = opened(now);
        assert!(circuit.room(now, 0).is_err());
        let now = later(now);
        for (call, room) in [(10, 1), (11, 2), (12, 4), (13, 8), (14, 16)] {
            assert_eq!((circuit.room(now, 0), circuit.room(now, room)), (Ok(room), Ok(0)));
            assert_eq!(circuit.succeeded(call, now), call == 14);
        }
        assert!(circuit.is_well());
    }

    #[test]
    fn what_began_before_it_opened_says_nothing() {
        let now = Instant::now();
        let mut circuit = opened(now);
        let until = circuit.room(now, 0);
        assert!(!circuit.failed(failure(9, 11, now), TOLERATED, &Dice) && !circuit.succeeded(9, now));
        assert_eq!(circuit.room(now, 0), until);
    }

    #[test]
    fn rests_double_up_to_the_longest() {
        let start = Instant::now();
        let (mut now, mut circuit) = (start, opened(start));
        for rests in 0..30 {
            let until = circuit.room(now, 0).expect_err("it rests");
            let span = (limits::DOWN_FIRST_MS << rests.min(16)).min(limits::DOWN_LONGEST_MS);
            let rest = until - now;
            assert!(rest >= Duration::from_millis(limits::DOWN_FIRST_MS / 2), "{rest:?}");
            assert!(rest <= Duration::from_millis(limits::DOWN_FIRST_MS / 2 + span), "{rest:?}");
            assert!(rest <= Duration::from_millis(limits::DOWN_LONGEST_MS), "{rest:?}");
            now = until;
            assert!(circuit.failed(failure(10, 10, now), TOLERATED, &Dice));
            assert_eq!(circuit.open_since(), Some(start), "another rest is the same outage");
        }
    }

    #[test]
    fn a_few_wait_for_the_end_of_the_rest_and_the_others_longer() {
        let now = Instant::now();
        let mut circuit = opened(now);
        let until = circuit.room(now, 0).expect_err("it rests");
        let dues: Vec<_> = (0..100).map(|_| circuit.due(now)).collect();
        let probes = usize::try_from(limits::PROBES).expect("a few");
        assert!(dues[..probes].iter().all(|due| *due == until));
        assert!(dues[probes..].iter().all(|due| *due == now + Duration::from_millis(limits::PARKED_MS)));
    }
}
