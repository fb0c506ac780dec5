use super::*;
use proptest::prelude::*;
use std::{cmp::Reverse, collections::BTreeMap, collections::BinaryHeap};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn window(remaining: u64, reset: i64, resets_in_ms: i64) -> RateWindow {
    RateWindow { limit: Some(300), remaining, reset, resets_in_ms }
}

#[test]
fn before_the_platform_has_spoken_a_first_few_go_out() {
    let (mut limiter, now) = (Limiter::new(), Instant::now());
    assert_eq!(limiter.room(now, 0, true), Ok(limits::RATE_FIRST_CALLS));
    assert_eq!(limiter.room(now, limits::RATE_FIRST_CALLS - 1, true), Ok(1));
    assert_eq!(limiter.start(now, limits::RATE_FIRST_CALLS), Ok(false));
    limiter.ended(now, None);
    assert_eq!(limiter.room(now, 0, true), Ok(limits::RATE_FIRST_CALLS - 1), "it may have been counted");
    let later = now + ms(limits::UPSTREAM_CALL_MS);
    assert_eq!(limiter.room(later, 0, true), Ok(limits::RATE_FIRST_CALLS));
    limiter.ended(now, Some(None));
    assert_eq!(limiter.room(now, 1_000, true), Ok(usize::MAX), "it counts nothing");
}

#[test]
fn no_more_are_under_way_than_are_left() {
    let (mut limiter, now) = (Limiter::new(), Instant::now());
    limiter.ended(now, Some(Some(window(3, 100, 10_000))));
    assert_eq!((limiter.room(now, 0, true), limiter.room(now, 2, true)), (Ok(3), Ok(1)));
    assert_eq!(limiter.start(now, 3), Ok(false));
    // An answer that was overtaken, and one that never came.
    limiter.ended(now, Some(Some(window(5, 100, 10_000))));
    limiter.ended(now, None);
    assert_eq!(limiter.room(now, 0, true), Ok(2));
    limiter.ended(now, Some(Some(window(0, 100, 10_000))));
    let ends = now + ms(11_000);
    assert_eq!(limiter.room(now, 0, true), Err(ends));
    assert_eq!(limiter.room(ends, 0, true), Ok(8), "a new window, as many at once as its plan takes");
}

#[test]
fn a_plan_that_allows_nothing_is_none() {
    for remaining in [0, 5] {
        let (mut limiter, now) = (Limiter::new(), Instant::now());
        let told = RateWindow { limit: Some(0), ..window(remaining, 100, 1_000) };
        limiter.ended(now, Some(Some(told)));
        assert_eq!(limiter.room(now, 9, true), Ok(usize::MAX));
        limiter.ended(now, Some(Some(window(5, 100, 1_000))));
        limiter.ended(now, Some(Some(told)));
        assert_eq!(limiter.room(now, 0, true), Ok(4));
        let later = now + ms(90_000);
        assert_eq!(limiter.room(later, 0, true), Ok(8), "what was heard before goes on");
    }
}

#[test]
fn what_comes_late_from_a_window_that_is_over_does_not_use_up_the_next() {
    let (mut limiter, now) = (Limiter::new(), Instant::now());
    limiter.ended(now, Some(Some(window(0, 100, 2_000))));
    let next = now + ms(3_000);
    assert_eq!(limiter.room(next, 1, true), Ok(8));
    limiter.ended(next, Some(Some(window(0, 100, 0))));
    assert_eq!(limiter.room(next, 0, true), Ok(8));
    limiter.ended(next, Some(Some(window(0, 100, 4_000))));
    assert_eq!(
        limiter.room(next, 0, true),
        Err(next + ms(5_000)),
        "the platform's clock is behind: it goes on"
    );
}

#[test]
fn older_work_leaves_room_for_what_comes_in() {
    let (mut limiter, now) = (Limiter::new(), Instant::now());
    limiter.ended(now, Some(Some(window(30, 100, 59_000))));
    assert_eq!((limiter.room(now, 0, false), limiter.room(now, 0, true)), (Err(now + SECOND), Ok(8)));
    let late = now + ms(50_000);
    assert_eq!(limiter.room(late, 0, false), Ok(7), "towards the end of the window none is kept back");
}

#[test]
fn a_refusal_makes_it_slower_and_successes_faster_again() {
    let (mut limiter, start) = (Limiter::new(), Instant::now());
    limiter.ended(start, Some(None));
    for _ in 0..40 {
        assert_eq!(limiter.start(start, 0), Ok(true));
    }
    for _ in 0..30 {
        limiter.too_fast(start, Some(ms(700)));
    }
    assert_eq!(limiter.room(start, 0, true), Err(start + ms(700)));
    let now = start + SECOND;
    assert_eq!(limiter.room(now, 0, true), Ok(20), "refused together is refused once");
    for _ in 0..20 {
        limiter.taken();
    }
    assert_eq!(limiter.room(now, 0, true), Ok(21));
    limiter.too_fast(now, Some(ms(700)));
    assert_eq!(limiter.room(now + SECOND, 0, true), Ok(1), "none began, and still it was too many");
}

#[test]
fn a_refusal_of_a_few_is_about_the_minute_rather_than_the_second() {
    let (mut limiter, now) = (Limiter::new(), Instant::now());
    limiter.ended(now, Some(None));
    assert_eq!(limiter.start(now, 0), Ok(true));
    limiter.too_fast(now, Some(SECOND));
    assert_eq!(limiter.room(now + SECOND, 0, true), Ok(limits::RATE_FIRST_CALLS / 2));
}

#[test]
fn refusals_without_a_word_are_waited_out_longer_each_time() {
    let (mut limiter, mut now) = (Limiter::new(), Instant::now());
    let mut waits = Vec::new();
    for _ in 0..9 {
        limiter.too_fast(now, None);
        let until = limiter.room(now, 0, true).expect_err("it rests");
        waits.push((until - now).as_secs());
        now = until;
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 64, 64]);
}

/// A platform that counts calls in fixed windows, over a network that takes its time.
struct Counting {
    limit: u64,
    window_s: u64,
    /// Where its windows lie, in milliseconds after a full minute.
    offset_ms: u64,
    handled: BTreeMap<u64, u64>,
    refused: u64,
}

impl Counting {
    fn handle(&mut self, at: u64) -> Option<RateWindow> {
        let window = (at + self.offset_ms) / (self.window_s * 1000);
        let handled = self.handled.entry(window).or_default();
        *handled += 1;
        self.refused += u64::from(*handled > self.limit);
        let remaining = self.limit.saturating_sub(*handled);
        let ends_ms = (window + 1) * self.window_s * 1000 - self.offset_ms;
        let reset = ends_ms.div_ceil(1000);
        // As the client reads it: by the platform's clock, of which it shows whole seconds.
        let resets_in_ms = i64::try_from((reset - at / 1000) * 1000).expect("a while");
        let reset = i64::try_from(reset).expect("a while");
        Some(RateWindow { limit: Some(self.limit), remaining, reset, resets_in_ms })
    }
}

/// A call on its way: there, or back with what it was told.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Leg {
    There { back_ms: u64, is_lost: bool },
    Back(Option<(u64, i64, i64)>),
}

/// Sends as fast as it may for `for_ms`. Starts by millisecond, and the platform as it is then.
fn drain(mut platform: Counting, delays: &[(u64, u64, bool)], for_ms: u64) -> (Vec<u64>, Counting) {
    let (base, mut limiter) = (Instant::now(), Limiter::new());
    let mut legs = BinaryHeap::new();
    let (mut now, mut under_way, mut starts) = (0, 0, Vec::new());
    while now < for_ms {
        while legs.peek().is_some_and(|Reverse((at, _, _))| *at <= now) {
            let Some(Reverse((at, n, leg))) = legs.pop() else { break };
            match leg {
                Leg::There { back_ms, is_lost } => {
                    let told = platform.handle(at).filter(|_| !is_lost);
                    let told = told.map(|told| (told.remaining, told.reset, told.resets_in_ms));
                    legs.push(Reverse((at + back_ms, n, Leg::Back(told))));
                }
                Leg::Back(told) => {
                    under_way -= 1;
                    let limit = Some(platform.limit);
                    let told = told.map(|(remaining, reset, resets_in_ms)| {
                        Some(RateWindow { limit, remaining, reset, resets_in_ms })
                    });
                    limiter.ended(base + ms(now), told);
                }
            }
        }
        let next = loop {
            match limiter.start(base + ms(now), under_way) {
                Ok(true) => {
                    let (there_ms, back_ms, is_lost) = delays[starts.len() % delays.len()];
                    legs.push(Reverse((now + there_ms, starts.len(), Leg::There { back_ms, is_lost })));
                    under_way += 1;
                    starts.push(now);
                }
                Ok(false) => break u64::MAX,
                Err(until) => break u64::try_from((until - base).as_millis()).expect("a while").max(now + 1),
            }
        };
        let answered = legs.peek().map_or(u64::MAX, |Reverse((at, _, _))| *at);
        now = next.min(answered).max(now);
    }
    (starts, platform)
}

fn counting(limit: u64, window_s: u64, offset_ms: u64) -> Counting {
    Counting { limit, window_s, offset_ms, handled: BTreeMap::new(), refused: 0 }
}

#[test]
fn a_backlog_uses_the_windows_up() {
    let (starts, platform) = drain(counting(300, 60, 7_000), &[(40, 60, false)], 600_000);
    assert_eq!(platform.refused, 0);
    assert!(starts.len() >= 2_900, "{} of 3,000", starts.len());
}

proptest! {
    #[test]
    fn no_window_ever_sees_more_calls_than_it_allows(
        limit in 1..400_u64,
        window_s in 1..61_u64,
        offset_ms in 0..60_000_u64,
        delays in proptest::collection::vec((1..4_000_u64, 1..4_000_u64, proptest::bool::weighted(0.1)), 1..60),
    ) {
        // The first calls of all go out before anything is known, and again when none of them is answered.
        let limit = limit.max(u64::try_from(limits::RATE_FIRST_CALLS).expect("a few") * 5);
        let (starts, platform) = drain(counting(limit, window_s, offset_ms), &delays, 300_000);
        prop_assert_eq!(platform.refused, 0);
        prop_assert!(!starts.is_empty());
    }

    #[test]
    fn no_second_sees_more_than_twice_the_even_pace(limit in 60..3_000_u64, there in 1..500_u64) {
        let (starts, _) = drain(counting(limit, 60, 0), &[(there, 20, false)], 15_000);
        let most = usize::try_from(limit / 30).expect("a few").max(limits::RATE_FIRST_CALLS);
        for (n, start) in starts.iter().enumerate() {
            let in_second = starts[n..].iter().take_while(|other| **other < start + 1_000).count();
            prop_assert!(in_second <= most, "{in_second} > {most} at {start}");
        }
    }
}
