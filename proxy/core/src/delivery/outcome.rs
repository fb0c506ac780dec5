//! What the outcome of an attempt means for the delivery.

use super::{
    gate::{Heard, What},
    request::Request,
};
use serde_json::{json, value::RawValue};
use std::collections::BTreeMap;
use usher_model::{Answer, Delivery, Job, Random, Settlement, UnixMs, limits};
use usher_upstream::{CallError, Reply, Verdict, classify, knows_nobody};

/// The fields of a JSON object.
type Fields = BTreeMap<String, Box<RawValue>>;

/// What became of an attempt.
pub(super) struct Judged {
    pub(super) settlement: Settlement,
    pub(super) heard: Heard,
    /// For the log of attempts.
    pub(super) said: String,
}

/// A moment of judgement.
#[derive(Clone, Copy)]
pub(super) struct Now<'a> {
    pub(super) now: UnixMs,
    pub(super) random: &'a dyn Random,
    /// Others of its kind were taken since this one was forbidden.
    pub(super) is_suspect: bool,
}

/// Judges an attempt.
pub(super) fn judge(
    delivery: &Delivery,
    request: &Request,
    outcome: Result<Reply, CallError>,
    at: Now<'_>,
) -> Judged {
    let verdict = classify(delivery.job, &outcome);
    let answer = outcome.as_ref().ok().map(|reply| reply.window);
    let said = said(&verdict, &outcome);
    let what = what(&verdict, &outcome, at.is_suspect);
    let settlement = match (verdict, outcome) {
        (Verdict::Done, Ok(reply)) => {
            let (upstream_id, refunded) = (reply.id.clone(), request.refunded);
            Settlement::Delivered { answer: kept(reply), upstream_id, refunded }
        }
        (Verdict::Refused(why), Ok(reply)) if names_nobody(delivery) && knows_nobody(&reply) => {
            Settlement::Closed { answer: Some(kept(reply)), why }
        }
        (Verdict::Refused(error), outcome) => Settlement::Dead { answer: outcome.ok().map(kept), error },
        // Others that rest meanwhile are tried before it: it may be this one alone that is refused.
        (Verdict::KeyRefused(_), _) if !at.is_suspect => {
            rested(at, limits::PAUSE_MS + limits::REFUSED_LAST_MS)
        }
        // The platform counts; that says nothing of the work, so it costs no attempt.
        (Verdict::Again { after_ms, .. }, Ok(reply)) if reply.status == 429 => {
            rested(at, after_ms.unwrap_or(limits::RETRY_FIRST_MS))
        }
        (Verdict::Again { error, .. } | Verdict::KeyRefused(error), outcome)
            if is_given_up(delivery, at.now) =>
        {
            let error = format!("given up after 7 days: {error}");
            Settlement::Dead { answer: outcome.ok().map(kept), error }
        }
        (Verdict::Again { after_ms, error }, _) => again(delivery, at, after_ms, error),
        (Verdict::KeyRefused(error), _) => again(delivery, at, None, error),
        (Verdict::Done, Err(error)) => again(delivery, at, None, error.to_string()),
    };
    Judged { settlement, heard: Heard { what, answer }, said }
}

/// It cannot be delivered, and the platform was not even asked: whoever repeats the request is told so in its stead.
pub(super) fn hopeless(error: String) -> Settlement {
    Settlement::Dead { answer: Some(refusal(422, &error)), error }
}

/// There is nothing to give back after all.
pub(super) fn nothing_left(why: &str) -> Settlement {
    Settlement::Closed { answer: Some(refusal(400, why)), why: why.to_owned() }
}

/// Full jitter over a growing span (<https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>), with a
/// floor, for a pause of nothing is no pause.
pub(super) fn pause_ms(attempts: u32, random: &dyn Random) -> i64 {
    const FLOOR: i64 = limits::RETRY_FIRST_MS / 2;
    let span = limits::RETRY_FIRST_MS.saturating_mul(limits::RETRY_FACTOR.saturating_pow(attempts));
    let span = span.min(limits::RETRY_LONGEST_MS) - FLOOR;
    let jitter = random.below(span.unsigned_abs());
    FLOOR + i64::try_from(jitter).unwrap_or(span)
}

fn refusal(status: u16, message: &str) -> Answer {
    let body = json!({"success": false, "error": {"code": "VALIDATION_ERROR", "message": message}});
    Answer { status, body: body.to_string() }
}

/// What an attempt says of the platform.
fn what(verdict: &Verdict, outcome: &Result<Reply, CallError>, is_suspect: bool) -> What {
    match (verdict, outcome) {
        (Verdict::Done | Verdict::Refused(_), _) => What::Looked,
        (Verdict::KeyRefused(_), Ok(reply)) if reply.status == 403 && is_suspect => What::Answered,
        (Verdict::KeyRefused(words), Ok(reply)) if reply.status == 403 => What::Forbidden(words.clone()),
        (Verdict::KeyRefused(words), _) => What::KeyUnknown(words.clone()),
        (Verdict::Again { after_ms, .. }, Ok(reply)) if reply.status == 429 => What::TooFast(*after_ms),
        (Verdict::Again { after_ms, .. }, _) => What::Failed(*after_ms),
    }
}

fn rested(at: Now<'_>, ms: i64) -> Settlement {
    Settlement::Release { due_at: at.now.plus(ms.clamp(0, limits::RETRY_AFTER_LONGEST_MS)) }
}

fn again(delivery: &Delivery, at: Now<'_>, asked_ms: Option<i64>, error: String) -> Settlement {
    let asked = asked_ms.unwrap_or(0).min(limits::RETRY_AFTER_LONGEST_MS);
    let pause = pause_ms(delivery.attempts, at.random).max(asked);
    Settlement::Retry { due_at: at.now.plus(pause), error }
}

/// Whether it was tried for long enough. Age alone does not say so: the edge may have been off for a week, or its clock
/// may have been set.
fn is_given_up(delivery: &Delivery, now: UnixMs) -> bool {
    now.since(delivery.created_at) >= limits::RETRY_FOR_MS && delivery.attempts >= limits::RETRY_AT_LEAST
}

/// Whether the work leaves it to the platform to know by its customer whom to credit, so that nobody may be: then its
/// refusal is an answer and no failure.
fn names_nobody(delivery: &Delivery) -> bool {
    const REFERRALS: [&str; 8] = [
        "referral_id",
        "referralId",
        "click_id",
        "clickId",
        "affonso_id",
        "affonsoId",
        "affonso_referral",
        "affonsoReferral",
    ];
    if delivery.needs.is_some() || !matches!(delivery.job, Job::Conversion | Job::Event | Job::Segment) {
        return false;
    }
    // Not through values: texts that none of ours can hold would hide the referral beside them.
    let names =
        |body: &Fields| REFERRALS.iter().any(|name| body.get(*name).is_some_and(|id| id.get() != "null"));
    let body: Fields = serde_json::from_str(&delivery.body).unwrap_or_default();
    let properties =
        body.get("properties").and_then(|inner| serde_json::from_str::<Fields>(inner.get()).ok());
    !names(&body) && !properties.is_some_and(|properties| names(&properties))
}

/// The attempt in a line.
fn said(verdict: &Verdict, outcome: &Result<Reply, CallError>) -> String {
    let words = match (verdict, outcome) {
        (Verdict::Done, Ok(reply)) => reply.status.to_string(),
        (Verdict::Again { error, .. } | Verdict::KeyRefused(error) | Verdict::Refused(error), _) => {
            error.clone()
        }
        (Verdict::Done, Err(error)) => error.to_string(),
    };
    words.chars().take(limits::ATTEMPT_CHARS).collect()
}

/// An answer, its body cut to what is kept, between characters.
fn kept(reply: Reply) -> Answer {
    let Reply { status, mut body, .. } = reply;
    let mut end = body.len().min(limits::ANSWER_KEPT_BYTES);
    while !body.is_char_boundary(end) {
        end -= 1;
    }
    body.truncate(end);
    Answer { status, body }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{Dice, delivery};
    use usher_model::{ClickId, Needs};

    fn reply(status: u16) -> Reply {
        let body = r#"{"success":false,"error":{"code":"C","message":"m"}}"#.to_owned();
        Reply { status, body, ..Reply::default() }
    }

    fn request() -> Request {
        Request { body: "{}".to_owned(), conversion: None, refunded: None }
    }

    fn of(delivery: &Delivery, outcome: Result<Reply, CallError>, is_suspect: bool) -> Judged {
        judge(delivery, &request(), outcome, Now { now: UnixMs(1_000), random: &Dice, is_suspect })
    }

    fn judged(outcome: Result<Reply, CallError>) -> Judged {
        of(&named(Job::Conversion), outcome, false)
    }

    fn named(job: Job) -> Delivery {
        Delivery { body: r#"{"referral_id":"cmd1"}"#.to_owned(), ..delivery(job) }
    }

    #[test]
    fn the_platforms_pace_costs_no_attempt() {
        let slow = Reply { retry_after_ms: Some(9_000), ..reply(429) };
        let Judged { settlement, heard, .. } = judged(Ok(slow));
        assert_eq!(settlement, Settlement::Release { due_at: UnixMs(10_000) });
        assert_eq!(heard, Heard { what: What::TooFast(Some(9_000)), answer: Some(None) });
        assert!(matches!(judged(Ok(reply(429))).settlement, Settlement::Release { .. }));
    }

    #[test]
    fn a_refused_key_costs_no_attempt_unless_it_is_the_work_that_is_refused() {
        let words = |status| format!("{status} C m");
        for (status, what) in [
            (401, What::KeyUnknown(words(401))),
            (402, What::KeyUnknown(words(402))),
            (403, What::Forbidden(words(403))),
        ] {
            let Judged { settlement, heard, .. } = judged(Ok(reply(status)));
            assert_eq!(settlement, Settlement::Release { due_at: UnixMs(2_000 + limits::PAUSE_MS) });
            assert_eq!(heard.what, what);
        }
        let Judged { settlement, heard, .. } = of(&named(Job::Conversion), Ok(reply(403)), true);
        assert!(matches!(settlement, Settlement::Retry { .. }));
        assert_eq!(heard.what, What::Answered);
    }

    #[test]
    fn what_the_platform_will_never_take_is_kept_with_its_words() {
        let Judged { settlement, said, .. } = judged(Ok(reply(422)));
        assert!(matches!(settlement, Settlement::Dead { answer: Some(_), error } if error == "422 C m"));
        assert_eq!(said, "422 C m");
    }

    #[test]
    fn a_sale_that_nobody_brought_is_closed() {
        let nobody = |job, body: &str| Delivery { body: body.to_owned(), ..delivery(job) };
        let is_closed = |delivery: &Delivery, status| {
            matches!(
                of(delivery, Ok(reply(status)), false).settlement,
                Settlement::Closed { answer: Some(_), .. }
            )
        };
        for job in [Job::Conversion, Job::Event, Job::Segment] {
            // Without a field that it is about, 400 and 422 may be about anything.
            assert!(is_closed(&nobody(job, r#"{"customer_id":"c"}"#), 404));
            for status in [400, 422] {
                assert!(!is_closed(&nobody(job, r#"{"customer_id":"c"}"#), status));
            }
            for status in [400, 404, 422] {
                assert!(!is_closed(&nobody(job, r#"{"affonsoReferral":"c"}"#), status), "{job:?}");
                let half = r#"{"metadata":{"note":"\ud83d"},"referral_id":"c"}"#;
                assert!(!is_closed(&nobody(job, half), status), "{job:?}");
            }
            assert!(!is_closed(&nobody(job, "{}"), 413), "that is about something else");
            let click = ClickId::new("ush_1").expect("an id");
            let waited = Delivery { needs: Some(Needs::Click(click)), ..nobody(job, "{}") };
            assert!(!is_closed(&waited, 404));
        }
        assert!(!is_closed(&nobody(Job::Segment, r#"{"properties":{"referral_id":"c"}}"#), 404));
        for job in [Job::Click, Job::Signup, Job::Refund] {
            assert!(!is_closed(&nobody(job, "{}"), 404), "{job:?}");
        }
    }

    #[test]
    fn a_refund_that_the_platform_holds_already_went_back() {
        let request = Request { refunded: Some(rust_decimal::Decimal::ONE), ..request() };
        let at = Now { now: UnixMs(0), random: &Dice, is_suspect: false };
        let judged = judge(&delivery(Job::Refund), &request, Ok(reply(409)), at);
        assert!(matches!(
            judged.settlement,
            Settlement::Delivered { refunded: Some(one), .. } if one == rust_decimal::Decimal::ONE
        ));
    }

    #[test]
    fn seven_days_and_enough_attempts_are_enough() {
        let now = UnixMs(limits::RETRY_FOR_MS);
        let after = |attempts| {
            let delivery = Delivery { attempts, ..delivery(Job::Conversion) };
            let at = Now { now, random: &Dice, is_suspect: false };
            judge(&delivery, &request(), Err(CallError::TimedOut(1)), at).settlement
        };
        assert!(
            matches!(after(limits::RETRY_AT_LEAST), Settlement::Dead { error, .. } if error.contains("7 days"))
        );
        assert!(matches!(after(0), Settlement::Retry { .. }), "the edge was off for a week");
    }

    #[test]
    fn a_longer_retry_after_is_obeyed_but_not_for_days() {
        let after = |ms| {
            let Settlement::Retry { due_at, .. } =
                judged(Ok(Reply { retry_after_ms: Some(ms), ..reply(503) })).settlement
            else {
                panic!("it is tried again")
            };
            due_at.since(UnixMs(1_000))
        };
        assert_eq!(after(30_000), 30_000);
        assert_eq!(after(86_400_000), limits::RETRY_AFTER_LONGEST_MS);
    }

    #[test]
    fn pauses_grow_up_to_the_longest() {
        struct Most;
        impl Random for Most {
            fn fill(&self, bytes: &mut [u8]) {
                bytes.fill(0);
            }
            fn below(&self, end: u64) -> u64 {
                end.saturating_sub(1)
            }
        }
        let longest: Vec<_> = (0..10).map(|attempts| pause_ms(attempts, &Most) + 1).collect();
        let (last, first) = longest.split_last().expect("some");
        assert_eq!(first, [500, 2_000, 8_000, 32_000, 128_000, 512_000, 2_048_000, 8_192_000, 14_400_000]);
        assert_eq!((*last, pause_ms(u32::MAX, &Most) + 1), (14_400_000, 14_400_000));
    }

    #[test]
    fn a_long_answer_is_cut_between_characters() {
        let body = format!("x{}", "é".repeat(limits::ANSWER_KEPT_BYTES));
        assert_eq!(kept(Reply { body, ..Reply::default() }).body.len(), limits::ANSWER_KEPT_BYTES - 1);
    }
}
