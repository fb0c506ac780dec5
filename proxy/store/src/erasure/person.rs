//! Whose data it is: what names a person in a record.

use serde_json::Value;
use std::collections::BTreeSet;
use usher_model::{Click, ClickId, Job, Record};

/// Whose data is to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Person {
    /// Who came with that click.
    Click(ClickId),
    /// Whose e-mail address that is, in upper or lower case.
    Email(String),
    /// Who is called so by the shop or its payment provider.
    Customer(String),
}

/// Members of reports that name a customer.
const CUSTOMERS: [&str; 6] =
    ["customer_id", "customerId", "external_user_id", "externalUserId", "user_id", "userId"];
/// Words before a customer's id in our own keys.
const KINDS: [&str; 2] = ["customer", "user"];

/// So long a word is the id of a click by no chance.
const UNLIKELY_CHARS: usize = 12;

/// What to look for.
#[derive(Clone, Debug, Default)]
pub(super) struct Search {
    email: Option<String>,
    clicks: BTreeSet<String>,
    /// What the platform calls the clicks.
    upstream: BTreeSet<String>,
    customers: BTreeSet<String>,
    /// Payments whose refunds are meant as well.
    payments: BTreeSet<String>,
}

impl Search {
    pub(super) fn of(person: &Person) -> Self {
        let mut search = Self::default();
        match person {
            Person::Click(click) => drop(search.clicks.insert(click.as_str().to_owned())),
            Person::Email(email) => search.email = Some(email.trim().to_lowercase()),
            Person::Customer(customer) => drop(search.customers.insert(customer.clone())),
        }
        search
    }

    pub(super) fn clicks(&self) -> Vec<ClickId> {
        self.clicks.iter().filter_map(|id| ClickId::new(id.as_str()).ok()).collect()
    }

    /// The keys under which customers are bound.
    pub(super) fn customer_keys(&self) -> Vec<String> {
        let keys = |id: &String| KINDS.map(|kind| format!("{kind}:{id}"));
        self.customers.iter().flat_map(keys).collect()
    }

    /// The click goes by the platform's id of it as well.
    pub(super) fn also_called(&mut self, click: &Click) {
        self.upstream.extend(click.upstream_id().map(|id| id.as_str().to_owned()));
    }

    pub(super) fn join(&mut self, other: Self) {
        self.clicks.extend(other.clicks);
        self.customers.extend(other.customers);
        self.payments.extend(other.payments);
    }

    /// Takes note of what a record says more of the person, if it is theirs.
    pub(super) fn learn(&mut self, search: &Self, record: &Record) {
        if !search.is_in(record) {
            return;
        }
        self.clicks.extend(record.click.iter().chain(&record.needs).map(ToString::to_string));
        self.payments.extend(record.paid.is_some().then(|| record.id.clone()));
        if let Ok(body) = serde_json::from_str::<Value>(&record.body) {
            each(&body, &mut |name, value| {
                if CUSTOMERS.contains(&name)
                    && let Some(id) = id_of(value)
                {
                    self.customers.insert(id);
                }
            });
        }
    }

    /// Whether the record is the person's, or says something of them.
    pub(super) fn is_in(&self, record: &Record) -> bool {
        let credited = record.click.iter().chain(&record.needs);
        (record.job == Job::Click && self.clicks.contains(&record.id))
            || credited.map(ClickId::as_str).any(|id| self.clicks.contains(id))
            || record.payment.as_ref().is_some_and(|payment| self.payments.contains(payment))
            || record.names.iter().any(|name| self.is_in_text("", name))
            || self.is_in_json(&record.body)
            || record.trace.as_deref().is_some_and(|trace| self.is_in_json(trace))
            || record.answer.as_ref().is_some_and(|answer| self.is_in_json(&answer.body))
            || record.error.as_deref().is_some_and(|error| self.is_in_text("", error))
            || record.log.iter().any(|line| self.is_in_text("", &line.said))
    }

    fn is_in_json(&self, text: &str) -> bool {
        let Ok(value) = serde_json::from_str::<Value>(text) else { return self.is_in_text("", text) };
        let mut found = false;
        each(&value, &mut |name, value| {
            found = found || id_of(value).is_some_and(|text| self.is_in_text(name, &text));
        });
        found
    }

    /// Whether a text that stands under that name says something of the person.
    pub(super) fn is_in_text(&self, name: &str, text: &str) -> bool {
        let is_customer = |id: &str| self.customers.contains(id);
        let key = text.split_once(':').filter(|(kind, _)| KINDS.contains(kind));
        key.is_some_and(|(_, id)| is_customer(id))
            || (CUSTOMERS.contains(&name) && is_customer(text))
            || self.names_click(text)
            || self.email.as_ref().is_some_and(|email| mentions(text, email))
    }

    /// Whether the text is the id of a click, or words that hold one. Short ids are words by chance.
    fn names_click(&self, text: &str) -> bool {
        let is_click = |word: &str| self.clicks.contains(word) || self.upstream.contains(word);
        let of_id = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        is_click(text) || text.split(|c| !of_id(c)).any(|word| word.len() >= UNLIKELY_CHARS && is_click(word))
    }
}

/// Calls `look` with each text and number, and the name that it stands under.
fn each(value: &Value, look: &mut impl FnMut(&str, &Value)) {
    fn walk(name: &str, value: &Value, look: &mut impl FnMut(&str, &Value)) {
        match value {
            Value::Object(members) => members.iter().for_each(|(name, value)| walk(name, value, look)),
            Value::Array(all) => all.iter().for_each(|value| walk(name, value, look)),
            other => look(name, other),
        }
    }
    walk("", value, look);
}

fn id_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Whether the address stands in the text by itself, and not as the end or the beginning of another one.
fn mentions(text: &str, email: &str) -> bool {
    let text = text.to_lowercase();
    let of_address = |c: char| c.is_alphanumeric() || "._%+-".contains(c);
    text.match_indices(email).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let mut after = text[at + email.len()..].chars();
        let (next, then) = (after.next(), after.next());
        let goes_on = match next {
            Some('.') => then.is_some_and(char::is_alphanumeric),
            Some(c) => c.is_alphanumeric() || c == '-',
            None => false,
        };
        !before.is_some_and(of_address) && !goes_on
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_found_whole_and_in_any_case() {
        for (text, expected) in [
            ("jane@x.example", true),
            ("Jane@X.Example", true),
            ("the address jane@x.example. is taken", true),
            ("<jane@x.example>", true),
            ("mary.jane@x.example", false),
            ("jane@x.example.org", false),
            ("jane@x.example-shop", false),
            ("jane@x", false),
        ] {
            assert_eq!(mentions(text, "jane@x.example"), expected, "{text}");
        }
    }

    #[test]
    fn an_id_is_a_customers_only_where_customers_are_named() {
        let search = Search::of(&Person::Customer("7".to_owned()));
        for (json, expected) in [
            (r#"{"customer_id":7}"#, true),
            (r#"{"data":[{"externalUserId":"7"}]}"#, true),
            (r#"{"seen":[{"by":"customer","what":"user:7"}]}"#, true),
            (r#"{"quantity":7,"order":"7"}"#, false),
            (r#"{"customer_id":"77"}"#, false),
        ] {
            assert_eq!(search.is_in_json(json), expected, "{json}");
        }
    }

    #[test]
    fn a_text_is_found_however_its_json_is_written() {
        let search = Search::of(&Person::Email("J\u{f6}rg@x.example".to_owned()));
        assert!(search.is_in_json(r#"{"a":{"e":"j\u00f6rg\u0040x.example"}}"#));
    }
}
