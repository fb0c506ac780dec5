//! A record in words: what it is, how it stands, what to do about it, and each attempt.

use super::words::{plain, span, when};
use usher_model::{Attempt, Job, Record, RefundAmount, State, UnixMs};

/// What it is: `a sale of 89.91 USD`.
pub(super) fn what(record: &Record) -> String {
    match (record.job, &record.paid, &record.refund) {
        (Job::Click, ..) => "a click".to_owned(),
        (Job::Signup, ..) => "a lead".to_owned(),
        (Job::Refund, _, Some((_, Some(refunded)))) => format!("a refund of {refunded}"),
        (Job::Refund, _, Some((asked, None))) => format!("a refund of {}", asked_for(*asked)),
        (Job::Refund, ..) => "a refund".to_owned(),
        (Job::Conversion, Some(paid), _) => format!("a sale of {paid}"),
        (Job::Conversion, ..) => "a sale".to_owned(),
        (Job::Event, Some(paid), _) => format!("an event, a sale of {paid}"),
        (Job::Event, ..) => "an event".to_owned(),
        (Job::Segment, Some(paid), _) => format!("a Segment event, a sale of {paid}"),
        (Job::Segment, ..) => "a Segment event".to_owned(),
    }
}

fn asked_for(amount: RefundAmount) -> String {
    match amount {
        RefundAmount::Rest => "all that is left".to_owned(),
        RefundAmount::Part(part) => part.to_string(),
        RefundAmount::Total(total) => format!("what is missing to {total} in all"),
    }
}

/// How it stands, as one word or a few.
pub(super) const fn state(record: &Record) -> &'static str {
    match record.state {
        State::Due | State::Blocked => "waiting",
        State::Orphan => "orphan",
        State::Delivered => "delivered",
        State::Dead => "dead",
        State::Closed => "closed",
    }
}

/// How it stands, as a sentence without its end.
pub(super) fn standing(record: &Record, now: UnixMs) -> String {
    let why = record.error.as_deref().map(plain).filter(|why| !why.is_empty());
    let because = |verdict: &str| match &why {
        Some(why) => format!("{verdict}: {why}"),
        None => verdict.to_owned(),
    };
    match record.state {
        State::Due if record.attempts == 0 => format!("is to be sent {}", next_try(record, now)),
        State::Due => {
            let failed = record.attempts;
            let times = if failed == 1 { "once".to_owned() } else { format!("{failed} times") };
            format!("failed {times} and is tried again {}", next_try(record, now))
        }
        State::Blocked => waits_for(record),
        State::Orphan => {
            let names: Vec<String> = record.awaits.iter().map(|name| plain(name)).collect();
            let called = if names.is_empty() {
                "its payment".to_owned()
            } else {
                format!("the payment {}", names.join(" or "))
            };
            format!("waits for {called}, which nobody has reported")
        }
        State::Delivered => "has arrived at the platform".to_owned(),
        State::Dead => because("failed for good"),
        State::Closed => because("is closed and will not be sent"),
    }
}

/// When a delivery is tried (again), from now.
pub(super) fn next_try(record: &Record, now: UnixMs) -> String {
    match record.due_at.since(now) {
        ..=0 => "now".to_owned(),
        wait => format!("in {}", span(wait)),
    }
}

fn waits_for(record: &Record) -> String {
    match (&record.needs, &record.payment) {
        (Some(click), _) => format!("waits until the platform has the click {click}"),
        (None, Some(payment)) => {
            format!("waits for the sale {} or an earlier refund of it", plain(payment))
        }
        (None, None) => "waits for what comes before it".to_owned(),
    }
}

/// What the platform said last, or what it waits for, on one line: for a row of a table.
pub(super) fn last_words(record: &Record, now: UnixMs) -> String {
    let error = record.error.as_deref();
    let said = error.or_else(|| record.log.last().map(|attempt| attempt.said.as_str()));
    match (record.state, said) {
        (State::Blocked | State::Orphan, _) => standing(record, now),
        (_, Some(said)) => plain(said),
        (_, None) => String::new(),
    }
}

/// What somebody can do about it; nothing when it goes on by itself.
pub(super) fn advice(record: &Record) -> Option<String> {
    let id = &record.id;
    let retry = format!("`usher outbox retry {id}`");
    let discard = format!("`usher outbox discard {id}`");
    match record.state {
        State::Dead => Some(match dead_of(record) {
            Dead::GivenUp => format!("The platform could not take it for a week. When it is back: {retry}."),
            Dead::Unasked => format!(
                "The platform was not asked, since it would be in vain. When that is mended (`usher trace {id}` tells all): \
                 {retry}. If it cannot be: {discard}."
            ),
            Dead::Click => format!(
                "The platform does not take this click, most often since it knows no such affiliate. Mend the affiliate's code \
                 there or in `usher codes`, then {retry}, then retry the sales that died with it; or {discard}."
            ),
            Dead::Unsold => format!(
                "The platform does not have this sale, so it cannot be refunded there. If it should, have it mended there, then \
                 {retry}; if it was reported of a wrong sale, report it again of the right one; else {discard}."
            ),
            Dead::Unknown => format!(
                "The platform knows nobody or nothing of that name. If it should, have it mended there, then {retry}; if no \
                 affiliate brought this, {discard}."
            ),
            Dead::Content => format!(
                "The platform refuses the content, and would again. Report it anew with what is wrong put right (and an event id \
                 of its own), then {discard}; if the platform was mended instead, {retry}."
            ),
            Dead::Other => format!(
                "When what it complains of is mended: {retry}. If it should never be sent: {discard}."
            ),
        }),
        State::Orphan => Some(format!(
            "It is sent by itself as soon as its payment is reported. If that never happens (a sale from before Usher, or a test): \
             {discard}."
        )),
        State::Due | State::Blocked | State::Delivered | State::Closed => None,
    }
}

/// Why something died, as far as it changes what to do.
enum Dead {
    GivenUp,
    Unasked,
    Click,
    Unsold,
    Unknown,
    Content,
    Other,
}

fn dead_of(record: &Record) -> Dead {
    let error = record.error.as_deref().unwrap_or_default();
    // An attempt's line is the beginning of what the platform said; what it was not asked has none.
    let was_asked = record.log.last().is_some_and(|attempt| error.starts_with(&attempt.said));
    let status = record.answer.as_ref().map(|answer| answer.status);
    match (record.job, status) {
        _ if error.starts_with("given up after") => Dead::GivenUp,
        _ if !was_asked => Dead::Unasked,
        (Job::Click, _) => Dead::Click,
        (Job::Refund, Some(404)) => Dead::Unsold,
        (_, Some(404)) => Dead::Unknown,
        (_, Some(400..=499)) => Dead::Content,
        _ => Dead::Other,
    }
}

/// How many attempts were made in all. The store counts those that failed since the last retry; the log leaves the middle of a
/// long history out.
pub(super) fn tries(record: &Record) -> u32 {
    let logged = record.log.iter().fold(0_u32, |sum, attempt| sum.saturating_add(attempt.times));
    logged.max(record.attempts)
}

/// Attempts with what came of them, a line each; those that ended alike are one.
pub(super) fn attempts(record: &Record) -> Vec<String> {
    record.log.iter().map(attempt).collect()
}

fn attempt(attempt: &Attempt) -> String {
    let Attempt { at, last, times, said } = attempt;
    let said = plain(said);
    match times {
        0 | 1 => format!("1 attempt at {}: {said}", when(*at)),
        _ => format!("{times} attempts from {} to {}: {said}", when(*at), when(*last)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use usher_model::{Answer, SiteName};

    fn dead(job: Job, status: Option<u16>, error: &str) -> Record {
        let said = if error.contains("its click") { "503" } else { error };
        Record {
            id: "conv_1".to_owned(),
            site: SiteName::new("shop").expect("a name"),
            source: None,
            job,
            key: None,
            state: State::Dead,
            body: String::new(),
            click: None,
            needs: None,
            payment: None,
            awaits: Vec::new(),
            names: Vec::new(),
            paid: None,
            refund: None,
            trace: None,
            due_at: UnixMs(0),
            attempts: 0,
            log: vec![Attempt { at: UnixMs(0), last: UnixMs(0), times: 1, said: said.to_owned() }],
            created_at: UnixMs(0),
            settled_at: None,
            answer: status.map(|status| Answer { status, body: String::new() }),
            upstream_id: None,
            error: Some(error.to_owned()),
        }
    }

    #[test]
    fn advice_fits_why_it_died() {
        for (job, status, error, begins) in [
            (Job::Conversion, Some(503), "given up after 7 days: 503", "The platform could not take it"),
            (Job::Conversion, Some(422), "the platform refused its click: no", "The platform was not asked"),
            (Job::Click, Some(404), "404 NOT_FOUND", "The platform does not take this click"),
            (Job::Refund, Some(404), "404 NOT_FOUND", "The platform does not have this sale"),
            (Job::Conversion, Some(404), "404 NOT_FOUND", "The platform knows nobody"),
            (Job::Event, Some(400), "400 VALIDATION_ERROR", "The platform refuses the content"),
            (Job::Event, None, "a strange end", "When what it complains of is mended"),
        ] {
            let advice = advice(&dead(job, status, error)).expect("somebody is needed");
            assert!(advice.starts_with(begins), "{error}: {advice}");
            assert!(advice.contains("`usher outbox retry conv_1`") && advice.contains("retry"), "{advice}");
        }
        let delivered = Record { state: State::Delivered, ..dead(Job::Click, None, "") };
        assert_eq!(advice(&delivered), None);
    }

    #[test]
    fn how_it_stands_is_a_sentence() {
        let record = |state, attempts| Record {
            state,
            attempts,
            due_at: UnixMs(90_000),
            awaits: vec!["pi_1".to_owned(), "ch_1".to_owned()],
            ..dead(Job::Click, None, "no\n")
        };
        for (state, attempts, sentence) in [
            (State::Due, 0, "is to be sent in 90 s"),
            (State::Due, 1, "failed once and is tried again in 90 s"),
            (State::Due, 3, "failed 3 times and is tried again in 90 s"),
            (State::Blocked, 0, "waits for what comes before it"),
            (State::Orphan, 0, "waits for the payment pi_1 or ch_1, which nobody has reported"),
            (State::Delivered, 0, "has arrived at the platform"),
            (State::Dead, 0, "failed for good: no"),
            (State::Closed, 0, "is closed and will not be sent: no"),
        ] {
            assert_eq!(standing(&record(state, attempts), UnixMs(0)), sentence);
        }
        assert_eq!(standing(&record(State::Due, 0), UnixMs(90_000)), "is to be sent now");
    }
}
