//! `POST v1/sources/segment/events`: a `track` call as Segment passes it on, or a batch of calls as Segment's own libraries
//! send it (<https://segment.com/docs/connections/sources/catalog/libraries/server/http-api/#batch>).

use super::server;
use crate::{
    answer,
    call::{Call, Outcome},
    fault::Fault,
};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{json, value::RawValue};
use std::{sync::Arc, time::Duration};
use usher_core::{Core, Refusal};
use usher_front::Inbound;
use usher_model::{
    Answer, Site,
    limits::{SEGMENT_BATCH_CALLS, SEGMENT_STAGGER_MS},
};

/// What a library sends: calls of every kind that it knows, and its key once more.
#[derive(Deserialize)]
struct Batch {
    batch: Vec<Box<RawValue>>,
}

/// What became of one call.
type Said = Result<Answer, Refusal>;

pub(super) async fn act(call: &Call<'_>, body: Inbound) -> Result<Outcome, Fault> {
    let body = server::segments(call, body).await?;
    let (core, site) = (call.core()?, Arc::clone(&call.face.site));
    let Ok(Batch { batch }) = serde_json::from_slice(&body) else {
        let said = call.detached(async move { core.conversions.segment(&site, &body).await }).await??;
        return Ok(Outcome::said(said));
    };
    if batch.len() > SEGMENT_BATCH_CALLS {
        let most = format!("batch holds more than {SEGMENT_BATCH_CALLS} calls");
        return Err(Refusal::invalid("batch", most).into());
    }
    let all = batch.len();
    let said = call.detached(take(core, site, batch)).await??;
    told(all, said)
}

/// Takes the `track` calls of a batch, each with its place. The others are not for us: a library sends whatever its program
/// calls, to every destination alike.
async fn take(
    core: Arc<Core>,
    site: Arc<Site>,
    batch: Vec<Box<RawValue>>,
) -> Result<Vec<(usize, Said)>, Fault> {
    let mut said = Vec::new();
    let mut under_way = Vec::new();
    for (place, track) in batch.into_iter().enumerate().filter(|(_, call)| is_track(call)) {
        let (core, site) = (Arc::clone(&core), Arc::clone(&site));
        let mut task =
            tokio::spawn(async move { core.conversions.segment(&site, track.get().as_bytes()).await });
        // One is written down before the next is looked at, for a sale may be of a customer whom the call before has named.
        // For the platform's answers they wait together.
        match tokio::time::timeout(Duration::from_millis(SEGMENT_STAGGER_MS), &mut task).await {
            Ok(done) => said.push((place, done.map_err(|_| Fault::Lost)?)),
            Err(_) => under_way.push((place, task)),
        }
    }
    for (place, task) in under_way {
        said.push((place, task.await.map_err(|_| Fault::Lost)?));
    }
    Ok(said)
}

fn is_track(call: &RawValue) -> bool {
    #[derive(Deserialize)]
    struct Kind {
        r#type: Option<String>,
    }
    serde_json::from_str::<Kind>(call.get())
        .map_or(true, |kind| kind.r#type.is_none_or(|kind| kind == "track"))
}

/// One answer for all. A library sends a batch again when the answer is 429 or 5xx, and gives it up when it is another 4xx;
/// calls that were taken already are then the same ones again.
fn told(all: usize, said: Vec<(usize, Said)>) -> Result<Outcome, Fault> {
    let tracks = said.len();
    let mut queued = false;
    let mut refused = Vec::new();
    for (place, said) in said {
        match said {
            Ok(Answer { status: 202, .. }) => queued = true,
            Ok(Answer { status: 200..400, .. }) => {}
            Ok(Answer { status, .. }) => refused.push((place, by_the_platform(status))),
            Err(again @ (Refusal::Unavailable(_) | Refusal::TooMany { .. })) => return Err(again.into()),
            Err(refusal) => refused.push((place, refusal)),
        }
    }
    let taken = tracks - refused.len();
    if let Some((place, why)) = refused.into_iter().min_by_key(|(place, _)| *place) {
        let message = format!("{taken} of {tracks} track calls were taken; batch[{place}]: {why}");
        return Err(match why {
            Refusal::NotFound { .. } => Refusal::NotFound { field: Some("batch"), message },
            Refusal::Conflict { .. } => Refusal::Conflict { message },
            _ => Refusal::invalid("batch", message),
        }
        .into());
    }
    let status = if queued { StatusCode::ACCEPTED } else { StatusCode::OK };
    let data = json!({"success": true, "data": {"taken": taken, "ignored": all - tracks}});
    Ok(answer::json(status, &data).into())
}

fn by_the_platform(status: u16) -> Refusal {
    let message = format!("the platform answered {status}");
    match status {
        404 => Refusal::NotFound { field: None, message },
        _ => Refusal::Invalid { field: None, message },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use usher_store::StoreError;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).expect("JSON")
    }

    #[test]
    fn only_calls_of_other_kinds_are_left_out() {
        for call in [r#"{"type":"track"}"#, "{}", r#"{"type":null}"#, r#"{"type":7}"#, "7", "null"] {
            assert!(is_track(&raw(call)), "{call}");
        }
        for call in [r#"{"type":"identify"}"#, r#"{"type":"Track"}"#, r#"{"type":""}"#] {
            assert!(!is_track(&raw(call)), "{call}");
        }
    }

    #[test]
    fn the_first_refusal_of_a_batch_is_told_and_what_may_be_tried_again_before_it() {
        let said = |status| Ok(Answer { status, body: "{}".to_owned() });
        let wrong = || Err(Refusal::invalid("event", "event is required"));
        let conflict = || Err(Refusal::Conflict { message: "taken".to_owned() });
        let full = || Err(Refusal::Unavailable(StoreError::Full(String::new())));
        let status = |said: Vec<(usize, Said)>| match told(9, said) {
            Ok(outcome) => outcome.answer.status().as_u16(),
            Err(fault) => crate::rescue::rescue(&fault).status().as_u16(),
        };
        assert_eq!(status(vec![]), 200);
        assert_eq!(status(vec![(0, said(201)), (1, said(200))]), 200);
        assert_eq!(status(vec![(0, said(201)), (1, said(202))]), 202);
        assert_eq!(status(vec![(0, said(201)), (2, wrong()), (1, conflict())]), 409);
        assert_eq!(status(vec![(1, wrong()), (2, said(404))]), 400);
        assert_eq!(status(vec![(1, said(404)), (2, wrong())]), 404);
        assert_eq!(status(vec![(1, said(422))]), 400);
        assert_eq!(status(vec![(0, said(201)), (1, wrong()), (2, full())]), 503);
        let Err(Fault::Refused(Refusal::Invalid { field: Some("batch"), message })) =
            told(4, vec![(0, said(201)), (3, wrong())])
        else {
            panic!("it is refused");
        };
        assert_eq!(message, "1 of 2 track calls were taken; batch[3]: event is required");
    }
}
