//! What each answer of the platform means for the work that it answers.

use crate::{CallError, Reply};
use usher_model::Job;

/// What to do with a delivery after an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The platform has it, now or since an earlier attempt.
    Done,
    /// Try again; not before that many milliseconds when the platform said so.
    Again {
        /// What the platform asked for.
        after_ms: Option<i64>,
        /// What went wrong.
        error: String,
    },
    /// The key is wrong, not the work: rest the site's deliveries until somebody mends it.
    KeyRefused(String),
    /// This piece of work will never be taken as it is.
    Refused(String),
}

/// Classifies an attempt.
///
/// A replay is a success, and so is `409`: the platform holds a record under that `external_event_id`. A `2xx` that is not
/// the platform's envelope is not believed (a captive proxy, a parked domain): the work is tried again.
#[must_use]
pub fn classify(job: Job, outcome: &Result<Reply, CallError>) -> Verdict {
    let reply = match outcome {
        Ok(reply) => reply,
        Err(error) => return Verdict::Again { after_ms: None, error: error.to_string() },
    };
    let words = || format!("{} {}", reply.status, message_of(&reply.body));
    match reply.status {
        200..=299 if reply.id.is_some() || (job == Job::Signup && is_success(&reply.body)) => Verdict::Done,
        409 if job != Job::Click => Verdict::Done,
        401 | 403 => Verdict::KeyRefused(words()),
        400 | 402 | 404..=407 | 409..=424 | 426..=428 | 430..=499 => Verdict::Refused(words()),
        _ => Verdict::Again { after_ms: reply.retry_after_ms.or(reply.rate_limited_ms), error: words() },
    }
}

fn is_success(body: &str) -> bool {
    serde_json::from_str::<serde_json::Value>(body).is_ok_and(|body| body["success"] == true)
}

/// The platform's own words, cut to a line.
fn message_of(body: &str) -> String {
    let parsed: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    let words = match (&parsed["error"]["code"], &parsed["error"]["message"]) {
        (code, serde_json::Value::String(message)) => {
            format!("{} {message}", code.as_str().unwrap_or_default())
        }
        _ => body.chars().filter(|c| !c.is_control()).collect(),
    };
    words.trim().chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16, body: &str, id: Option<&str>) -> Result<Reply, CallError> {
        Ok(Reply { status, body: body.to_owned(), id: id.map(str::to_owned), ..Reply::default() })
    }

    #[test]
    fn every_status_of_the_contract_has_its_verdict() {
        let envelope = r#"{"success":false,"error":{"code":"X","message":"no"}}"#;
        let verdict = |status, id| classify(Job::Conversion, &reply(status, envelope, id));
        assert_eq!(verdict(201, Some("conv_1")), Verdict::Done);
        assert_eq!(verdict(200, Some("conv_1")), Verdict::Done, "a replay is a success");
        assert_eq!(verdict(409, None), Verdict::Done);
        for status in [401, 403] {
            assert_eq!(verdict(status, None), Verdict::KeyRefused(format!("{status} X no")));
        }
        for status in [400, 404, 413, 422] {
            assert_eq!(verdict(status, None), Verdict::Refused(format!("{status} X no")));
        }
        for status in [302, 408, 425, 429, 500, 502, 503, 504] {
            assert!(matches!(verdict(status, None), Verdict::Again { .. }), "{status}");
        }
        assert!(matches!(verdict(200, None), Verdict::Again { .. }), "200 from somebody else");
    }

    #[test]
    fn a_click_that_brings_no_id_is_no_success() {
        assert!(matches!(
            classify(Job::Click, &reply(200, r#"{"success":true}"#, None)),
            Verdict::Again { .. }
        ));
        assert!(matches!(classify(Job::Click, &reply(409, "", None)), Verdict::Refused(_)));
        assert_eq!(classify(Job::Signup, &reply(200, r#"{"success":true}"#, None)), Verdict::Done);
    }

    #[test]
    fn the_platforms_pace_is_kept() {
        let slow = Reply { status: 429, retry_after_ms: Some(7_000), ..Reply::default() };
        assert!(matches!(classify(Job::Conversion, &Ok(slow)), Verdict::Again { after_ms: Some(7_000), .. }));
        let lost = classify(Job::Conversion, &Err(CallError::TimedOut(20)));
        assert!(matches!(lost, Verdict::Again { after_ms: None, .. }));
    }
}
