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
/// A replay is a success, and so is `409`: the platform holds a record under that `external_event_id`. What is not the
/// platform's envelope is not believed where somebody else may have said it (a `2xx` of a captive portal, a `404` of a parked
/// domain or a wrong base URL): the work is tried again.
#[must_use]
pub fn classify(job: Job, outcome: &Result<Reply, CallError>) -> Verdict {
    let reply = match outcome {
        Ok(reply) => reply,
        Err(error) => return Verdict::Again { after_ms: None, error: error.to_string() },
    };
    let words = || format!("{} {}", reply.status, message_of(&reply.body));
    match reply.status {
        200..=299 if reply.id.is_some() || (!brings_id(job) && is_success(&reply.body)) => Verdict::Done,
        409 if job != Job::Click => Verdict::Done,
        // 402: the merchant's plan, not the sale, is what the platform does not take.
        401..=403 => Verdict::KeyRefused(words()),
        404..=407 | 410 if is_error(&reply.body) => Verdict::Refused(words()),
        400 | 409 | 411..=424 | 426..=428 | 430..=499 => Verdict::Refused(words()),
        _ => Verdict::Again { after_ms: reply.retry_after_ms, error: words() },
    }
}

/// Whether a refusal says that the platform knows nobody by the identifiers that the work names. One that names another
/// field as the culprit does not, nor does one that names none, unless it is a `404`.
#[must_use]
pub fn knows_nobody(reply: &Reply) -> bool {
    let parsed: serde_json::Value = serde_json::from_str(&reply.body).unwrap_or_default();
    match (reply.status, parsed["error"]["field"].as_str()) {
        (400 | 404 | 422, Some(field)) => IDENTIFIERS.contains(&field),
        (404, None) => parsed["error"].is_object(),
        _ => false,
    }
}

/// The fields by which a conversion or an event may name its referral, the last ones of a Segment call.
const IDENTIFIERS: [&str; 17] = [
    "referral_id",
    "referralId",
    "click_id",
    "clickId",
    "affonso_id",
    "affonsoId",
    "affonso_referral",
    "affonsoReferral",
    "customer_id",
    "customerId",
    "external_user_id",
    "externalUserId",
    "userId",
    "properties.external_user_id",
    "properties.externalUserId",
    "context.traits.external_user_id",
    "context.traits.externalUserId",
];

/// Whether a success always brings an id that is needed later.
const fn brings_id(job: Job) -> bool {
    matches!(job, Job::Click | Job::Conversion)
}

fn is_success(body: &str) -> bool {
    serde_json::from_str::<serde_json::Value>(body).is_ok_and(|body| body["success"] == true)
}

fn is_error(body: &str) -> bool {
    serde_json::from_str::<serde_json::Value>(body).is_ok_and(|body| body["error"].is_object())
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
        for status in [401, 402, 403] {
            assert_eq!(verdict(status, None), Verdict::KeyRefused(format!("{status} X no")));
        }
        for status in [400, 404, 413, 422] {
            assert_eq!(verdict(status, None), Verdict::Refused(format!("{status} X no")));
        }
        for status in [302, 408, 425, 429, 500, 502, 503, 504] {
            assert!(matches!(verdict(status, None), Verdict::Again { .. }), "{status}");
        }
        assert!(matches!(verdict(200, None), Verdict::Again { .. }), "200 from somebody else");
        for status in [404, 405, 410] {
            let parked = classify(Job::Conversion, &reply(status, "<h1>nothing here</h1>", None));
            assert!(matches!(parked, Verdict::Again { .. }), "{status} from somebody else");
        }
        assert_eq!(classify(Job::Conversion, &reply(422, "no", None)), Verdict::Refused("422 no".to_owned()));
    }

    #[test]
    fn events_and_refunds_need_no_id_to_be_done() {
        for job in [Job::Signup, Job::Refund, Job::Event, Job::Segment] {
            let verdict = |status, body| classify(job, &reply(status, body, None));
            assert_eq!(
                verdict(200, r#"{"success":true,"data":{"action":"referral_updated"}}"#),
                Verdict::Done
            );
            assert_eq!(verdict(409, ""), Verdict::Done, "it holds that event");
            for body in ["<html>", "{}", r#"{"success":false}"#, r#"{"success":"true"}"#] {
                assert!(matches!(verdict(200, body), Verdict::Again { .. }), "{job:?} {body}");
            }
            let unknown = verdict(404, r#"{"success":false,"error":{"code":"NOT_FOUND","message":"no"}}"#);
            assert_eq!(unknown, Verdict::Refused("404 NOT_FOUND no".to_owned()));
        }
    }

    #[test]
    fn a_refusal_that_blames_another_field_is_not_about_whom_to_credit() {
        let nobody = |status, body: &str| knows_nobody(&reply(status, body, None).expect("a reply"));
        let named = r#"{"error":{"field":"customer_id","message":"no"}}"#;
        assert!(nobody(400, named) && nobody(404, named) && nobody(422, named));
        assert!(!nobody(413, named) && !nobody(403, named));
        let unnamed = r#"{"error":{"code":"NOT_FOUND","message":"no"}}"#;
        assert!(nobody(404, unnamed) && !nobody(400, unnamed) && !nobody(422, unnamed));
        assert!(!nobody(400, r#"{"error":{"field":"sale_amount","message":"no"}}"#));
        assert!(!nobody(404, "<html>") && !nobody(404, r#"{"error":"no"}"#));
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
