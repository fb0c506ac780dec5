//! One attempt to deliver: what is sent, and what its outcome means.

use super::pace::{Heard, Pace, Why};
use crate::Tools;
use serde_json::value::RawValue;
use std::time::Duration;
use usher_model::{Answer, Delivery, Job, Needs, Random, Settlement, UnixMs, Upstream, limits};
use usher_upstream::{CallError, Reply, Verdict, classify};

/// What became of an attempt, beyond the delivery itself.
pub(super) struct Attempted {
    pub(super) settlement: Settlement,
    pub(super) heard: Heard,
}

/// Tries `delivery` once.
pub(super) async fn attempt(tools: &Tools, delivery: &Delivery) -> Attempted {
    let body = match resolved_body(tools, delivery).await {
        Ok(body) => body,
        Err(settlement) => return Attempted { settlement, heard: Heard::default() },
    };
    let deadline = Duration::from_millis(limits::UPSTREAM_CALL_MS);
    let outcome = tools.platform.deliver(delivery.job, None, &body, deadline).await;
    judge(delivery, outcome, tools.clock.now(), tools.random.as_ref())
}

/// The body to send: with the platform's id of the click that it needs, or what to do when there is none.
async fn resolved_body(tools: &Tools, delivery: &Delivery) -> Result<String, Settlement> {
    let Some(Needs::Click(needs)) = &delivery.needs else { return Ok(delivery.body.clone()) };
    let now = tools.clock.now();
    let due_at = now.plus(pause_ms(delivery.attempts, tools.random.as_ref()));
    let click = match tools.store.click(&delivery.site, needs).await {
        Ok(Some(click)) => click,
        Ok(None) => return Err(hopeless(format!("its click {needs} is not known"))),
        // The platform was not asked, so it counts as no attempt.
        Err(error) => {
            tracing::debug!(id = delivery.id, %error, "its click was not read");
            return Err(Settlement::Release { due_at });
        }
    };
    match (&click.upstream, click.upstream_id()) {
        (_, Some(id)) => {
            let field = if delivery.job == Job::Signup { "click_id" } else { "referral_id" };
            with_field(&delivery.body, field, id.as_str())
                .map_err(|error| hopeless(format!("its body cannot be read: {error}")))
        }
        (Upstream::Refused(why), _) => Err(hopeless(format!("the platform refused its click: {why}"))),
        _ => Err(Settlement::Release { due_at }),
    }
}

/// It cannot be delivered, and the platform was not even asked: whoever repeats the request is told so in its stead.
fn hopeless(error: String) -> Settlement {
    let body = serde_json::json!({"success": false, "error": {"code": "VALIDATION_ERROR", "message": error}});
    Settlement::Dead { answer: Some(Answer { status: 422, body: body.to_string() }), error }
}

/// Adds a field to a JSON object, leaving every other byte of its values as it is.
fn with_field(body: &str, field: &str, value: &str) -> serde_json::Result<String> {
    let mut object: std::collections::BTreeMap<String, Box<RawValue>> = serde_json::from_str(body)?;
    object.insert(field.to_owned(), serde_json::value::to_raw_value(value)?);
    serde_json::to_string(&object)
}

fn judge(
    delivery: &Delivery,
    outcome: Result<Reply, CallError>,
    now: UnixMs,
    random: &dyn Random,
) -> Attempted {
    let verdict = classify(delivery.job, &outcome);
    let reply = outcome.ok();
    let rest = |ms: i64, why| Pace { since: now, until: now.plus(ms), why };
    let status = reply.as_ref().map(|reply| reply.status);
    let mut pace = reply.as_ref().and_then(|reply| reply.rate_limited_ms).map(|ms| rest(ms, Why::TooFast));
    let answer = reply.map(|reply| (Answer { status: reply.status, body: kept(reply.body) }, reply.id));
    let key_taken = matches!(verdict, Verdict::Done | Verdict::Refused(_));
    let settlement = match verdict {
        Verdict::Done => {
            let (answer, upstream_id) =
                answer.unwrap_or_else(|| (Answer { status: 200, body: String::new() }, None));
            Settlement::Delivered { answer, upstream_id, refunded: None }
        }
        Verdict::Refused(error) => Settlement::Dead { answer: answer.map(|(answer, _)| answer), error },
        Verdict::KeyRefused(error) => {
            let why = if status == Some(403) { Why::Forbidden(error) } else { Why::KeyUnknown(error) };
            pace = Some(rest(limits::PAUSE_MS, why));
            Settlement::Release { due_at: now.plus(limits::PAUSE_MS) }
        }
        // The platform counts; that says nothing of the work, so it costs no attempt.
        Verdict::Again { after_ms: Some(after_ms), .. } if status == Some(429) => {
            pace = Some(rest(after_ms, Why::TooFast));
            Settlement::Release { due_at: now.plus(after_ms) }
        }
        Verdict::Again { error, .. } if is_given_up(delivery, now) => Settlement::Dead {
            answer: answer.map(|(answer, _)| answer),
            error: format!("given up after 7 days: {error}"),
        },
        Verdict::Again { after_ms, error } => {
            if let Some(after_ms) = after_ms {
                pace = Some(rest(after_ms, Why::TooFast));
            }
            let pause = pause_ms(delivery.attempts, random).max(after_ms.unwrap_or(0));
            Settlement::Retry { due_at: now.plus(pause), error }
        }
    };
    Attempted { settlement, heard: Heard { key_taken, pace } }
}

/// Whether it was tried for long enough. Age alone does not say so: the edge may have been off for a week, or its clock
/// may have been set.
fn is_given_up(delivery: &Delivery, now: UnixMs) -> bool {
    now.since(delivery.created_at) >= limits::RETRY_FOR_MS && delivery.attempts >= limits::RETRY_AT_LEAST
}

/// Full jitter over a doubling span (<https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>), with a
/// floor, for a pause of nothing is no pause.
fn pause_ms(attempts: u32, random: &dyn Random) -> i64 {
    const FLOOR: i64 = limits::RETRY_FIRST_MS / 2;
    let span = limits::RETRY_FIRST_MS.saturating_mul(1 << attempts.min(24)).min(limits::RETRY_LONGEST_MS);
    let jitter = random.below(span.unsigned_abs());
    FLOOR + i64::try_from(jitter).unwrap_or(limits::RETRY_LONGEST_MS)
}

/// Cuts an answer to what is kept, between characters.
fn kept(mut body: String) -> String {
    let mut end = body.len().min(limits::ANSWER_KEPT_BYTES);
    while !body.is_char_boundary(end) {
        end -= 1;
    }
    body.truncate(end);
    body
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{Dice, delivery};

    fn reply(status: u16) -> Reply {
        Reply { status, body: r#"{"error":{"code":"C","message":"m"}}"#.to_owned(), ..Reply::default() }
    }

    fn judged(outcome: Result<Reply, CallError>) -> Attempted {
        judge(&delivery(Job::Conversion), outcome, UnixMs(1_000), &Dice)
    }

    #[test]
    fn the_platforms_pace_holds_for_everything_and_costs_no_attempt() {
        let slow = Reply { retry_after_ms: Some(9_000), ..reply(429) };
        let Attempted { settlement, heard } = judged(Ok(slow));
        assert_eq!(settlement, Settlement::Release { due_at: UnixMs(10_000) });
        let pace = Pace { since: UnixMs(1_000), until: UnixMs(10_000), why: Why::TooFast };
        assert_eq!(heard, Heard { key_taken: false, pace: Some(pace) });
        let silent = judged(Ok(reply(429)));
        assert!(matches!(silent.settlement, Settlement::Retry { .. }), "else it would never pause longer");
    }

    #[test]
    fn a_refused_key_costs_no_attempt() {
        for (status, why) in
            [(401, Why::KeyUnknown("401 C m".to_owned())), (403, Why::Forbidden("403 C m".to_owned()))]
        {
            let Attempted { settlement, heard } = judged(Ok(reply(status)));
            assert_eq!(settlement, Settlement::Release { due_at: UnixMs(1_000 + limits::PAUSE_MS) });
            assert_eq!((heard.key_taken, heard.pace.expect("a pause").why), (false, why));
        }
    }

    #[test]
    fn what_the_platform_will_never_take_is_kept_with_its_words() {
        let Attempted { settlement, .. } = judged(Ok(reply(422)));
        assert!(matches!(settlement, Settlement::Dead { answer: Some(_), error } if error == "422 C m"));
    }

    #[test]
    fn seven_days_and_enough_attempts_are_enough() {
        let now = UnixMs(limits::RETRY_FOR_MS);
        let after = |attempts| {
            let delivery = Delivery { attempts, ..delivery(Job::Conversion) };
            judge(&delivery, Err(CallError::TimedOut(1)), now, &Dice).settlement
        };
        assert!(
            matches!(after(limits::RETRY_AT_LEAST), Settlement::Dead { error, .. } if error.contains("7 days"))
        );
        assert!(matches!(after(0), Settlement::Retry { .. }), "the edge was off for a week");
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        assert!(pause_ms(0, &Dice) <= limits::RETRY_FIRST_MS * 3 / 2);
        assert!(pause_ms(1_000, &Dice) <= limits::RETRY_FIRST_MS / 2 + limits::RETRY_LONGEST_MS);
    }

    #[test]
    fn a_field_is_added_and_numbers_keep_their_digits() {
        let body = with_field(
            r#"{"sale_amount":12345678901234567.89,"metadata":{"b":1.0,"a":2}}"#,
            "referral_id",
            "cmd1",
        );
        assert_eq!(
            body.expect("an object"),
            r#"{"metadata":{"b":1.0,"a":2},"referral_id":"cmd1","sale_amount":12345678901234567.89}"#
        );
    }

    #[test]
    fn a_long_answer_is_cut_between_characters() {
        let cut = kept(format!("x{}", "é".repeat(limits::ANSWER_KEPT_BYTES)));
        assert_eq!(cut.len(), limits::ANSWER_KEPT_BYTES - 1);
    }
}
