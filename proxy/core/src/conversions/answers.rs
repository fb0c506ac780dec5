//! What a caller is answered.

use super::write::Receipt;
use serde::de::IgnoredAny;
use serde_json::{
    Map, Value, json,
    value::{RawValue, to_raw_value},
};
use std::collections::BTreeMap;
use usher_model::{Answer, EntryState, RecordId, State};

/// What an answer of ours says of a record, beside its id and how it stands.
pub(super) type Told = Map<String, Value>;

/// An event is told by the id that its reporter gave it.
pub(super) fn told(key: &str) -> Told {
    Told::from_iter([("external_event_id".to_owned(), key.into())])
}

/// The answer to a report that has just been written down.
pub(super) fn written(receipt: &Receipt, said: Option<Answer>, told: Told) -> Answer {
    match said {
        Some(answer) => spoken(answer, &receipt.id, told),
        None => envelope(202, &receipt.id, "queued", told),
    }
}

/// The answer to a report that was made before: `200` where the first got `201`.
pub(super) fn replayed(known: EntryState, told: Told) -> Answer {
    let EntryState { id, state, answer } = known;
    match (state, answer) {
        // The platform's last word before it was given up is no answer to this question: it is about its own trouble, our
        // key or our pace, or somebody else's words in its place.
        (State::Dead, Some(Answer { status: 0..=399 | 401..=403 | 408 | 425 | 429 | 500.., .. })) => {
            envelope(202, &id, "failed", told)
        }
        (_, Some(answer)) if answer.status == 201 => spoken(repeated(answer), &id, told),
        (_, Some(answer)) => spoken(answer, &id, told),
        (State::Due | State::Blocked | State::Orphan, None) => envelope(202, &id, "queued", told),
        (State::Dead, None) => envelope(202, &id, "failed", told),
        (State::Delivered | State::Closed, None) => envelope(200, &id, state.word(), told),
    }
}

/// What the platform says when it is asked again: `200`, and `replayed` where it tells that.
fn repeated(answer: Answer) -> Answer {
    type Fields = BTreeMap<String, Box<RawValue>>;
    let body = || {
        let mut envelope: Fields = serde_json::from_str(&answer.body).ok()?;
        let mut data: Fields = serde_json::from_str(envelope.get("data")?.get()).ok()?;
        *data.get_mut("replayed")? = to_raw_value(&true).ok()?;
        *envelope.get_mut("data")? = to_raw_value(&data).ok()?;
        serde_json::to_string(&envelope).ok()
    };
    Answer { status: 200, body: body().unwrap_or(answer.body) }
}

/// The platform's own answer; its `409` says that it has the record, which is what the caller wanted.
fn spoken(answer: Answer, id: &RecordId, told: Told) -> Answer {
    match answer.status {
        409 => envelope(200, id, State::Delivered.word(), told),
        _ => readable(answer, id, told),
    }
}

/// The platform's own answer. What is no JSON, since it was cut or came from something before the platform, is told in the
/// platform's form.
pub(super) fn readable(answer: Answer, id: &RecordId, told: Told) -> Answer {
    match answer.status {
        _ if serde_json::from_str::<IgnoredAny>(&answer.body).is_ok() => answer,
        status @ 200..300 => envelope(status, id, State::Delivered.word(), told),
        status => {
            let message = format!("the platform answered {status}");
            let body = json!({"success": false, "error": {"code": "VALIDATION_ERROR", "message": message}});
            Answer { status, body: body.to_string() }
        }
    }
}

fn envelope(status: u16, id: &RecordId, word: &str, mut told: Told) -> Answer {
    told.insert("id".to_owned(), id.as_str().into());
    told.insert("status".to_owned(), word.into());
    Answer { status, body: json!({"success": true, "data": told}).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replay_is_told_what_is_known() {
        let answer = |status| Some(Answer { status, body: "{}".to_owned() });
        let status = |state, answer| {
            let id = RecordId::new("conv_1").expect("an id");
            let said = replayed(EntryState { id, state, answer }, told("pay_1"));
            let body: Value = serde_json::from_str(&said.body).unwrap_or_default();
            (said.status, body["data"]["status"].as_str().unwrap_or_default().to_owned())
        };
        for (state, said, expected) in [
            (State::Due, None, (202, "queued")),
            (State::Blocked, None, (202, "queued")),
            (State::Orphan, None, (202, "queued")),
            (State::Delivered, answer(201), (200, "")),
            (State::Delivered, answer(200), (200, "")),
            (State::Delivered, answer(409), (200, "delivered")),
            (State::Delivered, None, (200, "delivered")),
            (State::Dead, answer(422), (422, "")),
            (State::Dead, answer(200), (202, "failed")),
            (State::Dead, answer(201), (202, "failed")),
            (State::Dead, answer(302), (202, "failed")),
            (State::Dead, answer(403), (202, "failed")),
            (State::Dead, answer(503), (202, "failed")),
            (State::Dead, None, (202, "failed")),
            (State::Closed, answer(404), (404, "")),
            (State::Closed, None, (200, "closed")),
        ] {
            assert_eq!(status(state, said), (expected.0, expected.1.to_owned()), "{state:?}");
        }
    }

    #[test]
    fn what_is_no_json_is_told_in_the_platforms_form() {
        let said = |status, body: &str| {
            let answer = Answer { status, body: body.to_owned() };
            let Answer { status, body } =
                spoken(answer, &RecordId::new("conv_1").expect("an id"), told("pay_1"));
            (status, serde_json::from_str::<Value>(&body).expect("JSON"))
        };
        let (status, cut) = said(201, r#"{"success":true,"data":{"id":"com_1","metadata":"xxx"#);
        assert_eq!((status, &cut["data"]["id"], &cut["success"]), (201, &"conv_1".into(), &true.into()));
        let (status, page) = said(413, "<h1>Request Entity Too Large</h1>");
        assert_eq!((status, &page["success"]), (413, &false.into()));
        assert_eq!(page["error"]["message"], "the platform answered 413");
        assert_eq!(said(422, r#"{"error":{}}"#).1, json!({"error": {}}), "its own words stay");
    }

    #[test]
    fn a_replay_says_so_where_the_platform_would() {
        let said = |body: &str| repeated(Answer { status: 201, body: body.to_owned() }).body;
        let first = r#"{"data":{"amount":99.90,"id":"com_1","replayed":false},"success":true}"#;
        assert_eq!(said(first), first.replace("false", "true"));
        for body in [r#"{"success":true, "data":{"id":"com_1"}}"#, r#"{"data":[false]}"#, "cut of"] {
            assert_eq!(said(body), body);
        }
    }
}
