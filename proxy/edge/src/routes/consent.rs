//! `POST consent`: a visitor gives consent, or withdraws it.

use super::page_body;
use crate::{
    answer,
    call::{Call, Outcome},
    cookie::{self, Grant},
    fault::Fault,
    visitor,
};
use http::StatusCode;
use serde_json::{Map, Value};
use std::sync::Arc;
use usher_core::Refusal;
use usher_front::Inbound;

/// Under what a page names the click that was recorded before consent.
const CLICK: [&str; 5] = ["upgradeClickId", "affonsoId", "affonso_id", "click_id", "cid"];

/// Takes `{"granted": true}` with the click that was recorded before, or with all that `track` takes; or `{"granted": false}`.
/// Answers `204`, with the cookies of the click, or clears them.
pub(super) async fn act(call: &Call<'_>, body: Inbound) -> Result<Outcome, Fault> {
    let body = page_body(call, body).await?;
    let (granted, report) = read(&body)?;
    let answer = answer::empty(StatusCode::NO_CONTENT);
    if !granted {
        return Ok(Outcome { answer, grant: Some(Grant::Nothing) });
    }
    let visitor = visitor::of(call.head, call.address, call.face);
    let (core, site) = (call.core()?, Arc::clone(&call.face.site));
    let tracked = call.detached(async move { core.capture.track(&site, &report, &visitor).await }).await??;
    let grant = Grant::of(call, tracked.cookie, tracked.proof, tracked.data);
    Ok(Outcome { answer, grant: grant.or_else(|| cookie::renewed(call)) })
}

/// Whether consent is given, and the report of the visit that follows from it.
fn read(body: &[u8]) -> Result<(bool, Vec<u8>), Refusal> {
    let Ok(Value::Object(mut said)) = serde_json::from_slice::<Value>(body) else {
        let message = "the body must be a JSON object".to_owned();
        return Err(Refusal::Invalid { field: None, message });
    };
    let granted = said.remove("granted").or_else(|| said.get("hasConsent").cloned());
    let Some(Value::Bool(granted)) = granted else {
        let message = "must be true or false".to_owned();
        return Err(Refusal::Invalid { field: Some("granted"), message });
    };
    let click = CLICK.iter().find_map(|name| said.get(*name).filter(|value| value.is_string()).cloned());
    said.insert("hasConsent".to_owned(), granted.into());
    said.extend(click.map(|click| ("upgradeClickId".to_owned(), click)));
    Ok((granted, text(&said)))
}

fn text(report: &Map<String, Value>) -> Vec<u8> {
    // Maps with text keys are always JSON.
    serde_json::to_vec(report).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(body: &str) -> Option<(bool, Value)> {
        let (granted, report) = read(body.as_bytes()).ok()?;
        Some((granted, serde_json::from_slice(&report).expect("JSON")))
    }

    #[test]
    fn the_click_is_taken_under_each_of_its_names() {
        for name in CLICK {
            let (granted, report) =
                report(&format!(r#"{{"granted":true,"{name}":"clk1"}}"#)).expect("a report");
            assert!(granted);
            assert_eq!((&report["upgradeClickId"], &report["hasConsent"]), (&"clk1".into(), &true.into()));
        }
        assert!(report(r#"{"hasConsent":true,"url":"https://s.example/?via=a"}"#).expect("a report").0);
        assert!(!report(r#"{"granted":false,"hasConsent":true}"#).expect("a report").0);
    }

    #[test]
    fn what_says_neither_is_refused() {
        for body in
            ["", "[]", "{}", r#"{"granted":"yes"}"#, r#"{"granted":null}"#, r#"{"hasConsent":1}"#, "\u{0}"]
        {
            assert!(read(body.as_bytes()).is_err(), "{body}");
        }
    }
}
