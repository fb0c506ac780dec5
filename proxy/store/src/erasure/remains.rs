//! What stays of a record: what was sold, for how much, and what came of it; nothing that says to whom.

use super::{ERASED, person::Search};
use serde_json::{Map, Value};
use usher_model::{Record, State};

/// Members of reports and answers that stay, wherever they stand. All others go: nobody knows what a shop writes into its own.
const KEPT: [&str; 18] = [
    "success",
    "data",
    "id",
    "object",
    "status",
    "replayed",
    "amount",
    "sale_amount",
    "saleAmount",
    "currency",
    "sale_amount_currency",
    "is_subscription",
    "created_at",
    "createdAt",
    "occurred_at",
    "programId",
    "error",
    "code",
];

/// A record without the person. Key, names, amounts and times are what the ledger needs, and stay as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remains {
    /// Its id.
    pub id: String,
    /// What was sent, without the person.
    pub body: String,
    /// Why it was attributed so, without the person.
    pub trace: Option<String>,
    /// What the platform said, without the person.
    pub answer: Option<String>,
    /// Why it was closed.
    pub error: Option<String>,
    /// Names of it that name the person too, and so go.
    pub names: Vec<String>,
    /// Names that stay.
    pub names_kept: Vec<String>,
}

impl Remains {
    pub(super) fn of(record: &Record, search: &Search) -> Self {
        let (names, names_kept) = record.names.iter().cloned().partition(|name| search.is_in_text("", name));
        Self {
            id: record.id.clone(),
            body: kept_of(&record.body, search).unwrap_or_else(|| "{}".to_owned()),
            trace: record.trace.as_deref().map(trace),
            answer: record.answer.as_ref().map(|answer| kept_of(&answer.body, search).unwrap_or_default()),
            error: (record.state != State::Delivered).then(|| ERASED.to_owned()),
            names,
            names_kept,
        }
    }
}

/// Whether nothing is left to take away: the person was erased before.
pub(super) fn is_blank(record: &Record) -> bool {
    let known = Remains::of(record, &Search::default());
    record.click.is_none()
        && record.needs.is_none()
        && record.log.is_empty()
        && record.body == known.body
        && record.trace == known.trace
        && record.error == known.error
        && record.answer.as_ref().map(|answer| &answer.body) == known.answer.as_ref()
}

/// What stays of a JSON object; `None` when it is none.
fn kept_of(text: &str, search: &Search) -> Option<String> {
    let Ok(Value::Object(members)) = serde_json::from_str(text) else { return None };
    Some(Value::Object(kept(members, search)).to_string())
}

fn kept(members: Map<String, Value>, search: &Search) -> Map<String, Value> {
    let mut stays = Map::new();
    for (name, value) in members.into_iter().filter(|(name, _)| KEPT.contains(&name.as_str())) {
        let value = match value {
            Value::Object(inner) => Value::Object(kept(inner, search)),
            Value::Array(_) => continue,
            Value::String(text) if search.is_in_text(&name, &text) => continue,
            other => other,
        };
        stays.insert(name, value);
    }
    stays
}

/// A trace without clicks, customers and orders: the kinds of signals, the affiliates and the codes.
fn trace(text: &str) -> String {
    let Ok(Value::Object(mut trace)) = serde_json::from_str(text) else { return "{}".to_owned() };
    for seen in trace.get_mut("seen").and_then(Value::as_array_mut).into_iter().flatten() {
        let Value::Object(seen) = seen else { continue };
        seen.remove("click");
        if seen.get("by").is_none_or(|by| by != "code") {
            seen.insert("what".to_owned(), "erased".into());
        }
    }
    Value::Object(trace).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Person;

    #[test]
    fn amounts_stay_and_whoever_paid_goes() {
        let search = Search::of(&Person::Email("jane@x.example".to_owned()));
        let body = r#"{"sale_amount":99.90,"currency":"EUR","email":"jane@x.example","metadata":{"id":"7"},
            "data":{"id":"jane@x.example","status":"pending","user":{"id":1}},"status":["jane"]}"#;
        let kept: Value = serde_json::from_str(&kept_of(body, &search).expect("an object")).expect("JSON");
        assert_eq!(
            kept,
            serde_json::json!({"sale_amount":99.90,"currency":"EUR","data":{"status":"pending"}})
        );
        assert_eq!(kept_of("<p>jane@x.example", &search), None);
    }

    #[test]
    fn a_trace_keeps_rules_affiliates_and_codes() {
        let before = r#"{"rule":"code","seen":[{"by":"named","what":"cmd1","of":"alice","at":1},
            {"by":"code","what":"SPRING","of":"bob"},{"by":"customer","what":"customer:7","click":"cmd1"}]}"#;
        let after: Value = serde_json::from_str(&trace(before)).expect("JSON");
        let expected = serde_json::json!({"rule":"code","seen":[{"by":"named","what":"erased","of":"alice","at":1},
            {"by":"code","what":"SPRING","of":"bob"},{"by":"customer","what":"erased"}]});
        assert_eq!(after, expected);
    }
}
