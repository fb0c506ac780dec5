//! JSON with numbers kept as they were written, read by path, with errors that name the path.
//!
//! `serde_json::Value` would turn `1499.10` into a binary fraction; money must not.

use serde::{Deserialize, Deserializer, de::Visitor};
use serde_json::value::RawValue;
use std::{borrow::Cow, collections::BTreeMap, fmt};

/// How deep values may lie in one another: far deeper than any provider's, and far from the end of the stack.
const DEPTH: usize = 96;

/// What is wrong with a payload, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path} {problem}")]
pub struct Fault {
    path: String,
    problem: &'static str,
}

impl Fault {
    /// A fault of the value at `path`; `problem` completes the sentence "`path` …".
    pub(crate) fn new(path: impl Into<String>, problem: &'static str) -> Self {
        Self { path: path.into(), problem }
    }

    /// The same fault, of an entry of the list at `path`.
    pub(crate) fn under(self, path: &str) -> Self {
        Self { path: format!("{path}[].{}", self.path), ..self }
    }
}

/// A JSON value (RFC 8259). Of members with the same name the last one counts, as in browsers and in Node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Json>),
    Object(BTreeMap<String, Json>),
}

static NULL: Json = Json::Null;

impl Json {
    /// Reads a whole body. A byte order mark before it is let through.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, Fault> {
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        let text = std::str::from_utf8(body).map_err(|_| Fault::new("the body", "is not UTF-8"))?;
        let raw = serde_json::from_str(text).map_err(|_| not_json())?;
        Self::build(raw, DEPTH)
    }

    fn build(raw: &RawValue, depth: usize) -> Result<Self, Fault> {
        let text = raw.get();
        let inner = depth.checked_sub(1).ok_or_else(|| Fault::new("the body", "is nested too deeply"))?;
        Ok(match text.as_bytes().first() {
            Some(b'{') => serde_json::from_str::<BTreeMap<String, &RawValue>>(text)
                .map_err(|_| not_json())?
                .into_iter()
                .map(|(name, value)| Ok((name, Self::build(value, inner)?)))
                .collect::<Result<_, Fault>>()
                .map(Self::Object)?,
            Some(b'[') => serde_json::from_str::<Vec<&RawValue>>(text)
                .map_err(|_| not_json())?
                .into_iter()
                .map(|value| Self::build(value, inner))
                .collect::<Result<_, Fault>>()
                .map(Self::List)?,
            Some(b'"') => Self::Text(serde_json::from_str::<Lossy>(text).map_err(|_| not_json())?.0),
            Some(b't') => Self::Bool(true),
            Some(b'f') => Self::Bool(false),
            Some(b'n') => Self::Null,
            _ => Self::Number(text.to_owned()),
        })
    }

    /// The member of this very name; null when there is none, or this is no object.
    pub(crate) fn member(&self, name: &str) -> &Self {
        match self {
            Self::Object(members) => members.get(name).unwrap_or(&NULL),
            _ => &NULL,
        }
    }

    /// The value at a path such as `data.items.0.price`; null when there is none.
    pub(crate) fn get(&self, path: &str) -> &Self {
        path.split('.').fold(self, |value, step| match value {
            Self::List(values) => step.parse().ok().and_then(|at: usize| values.get(at)).unwrap_or(&NULL),
            _ => value.member(step),
        })
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The values at `path` when they are a list; nothing otherwise.
    pub(crate) fn list(&self, path: &str) -> &[Self] {
        match self.get(path) {
            Self::List(values) => values,
            _ => &[],
        }
    }

    /// The flag at `path`, when there is one.
    pub(crate) fn flag(&self, path: &str) -> Option<bool> {
        match self.get(path) {
            Self::Bool(flag) => Some(*flag),
            _ => None,
        }
    }

    /// A text, or a whole number as text; nothing when it is blank or anything else. Ids are read so: providers write
    /// them either way.
    pub(crate) fn as_text(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.trim()).filter(|text| !text.is_empty()).map(str::to_owned),
            Self::Number(digits) => {
                let whole = digits.strip_prefix('-').unwrap_or(digits).bytes().all(|b| b.is_ascii_digit());
                whole.then(|| digits.clone())
            }
            _ => None,
        }
    }

    /// [`Self::as_text`] of the value at `path`.
    pub(crate) fn text(&self, path: &str) -> Option<String> {
        self.get(path).as_text()
    }

    /// Whether exactly this text stands at `path`.
    pub(crate) fn says(&self, path: &str, text: &str) -> bool {
        matches!(self.get(path), Self::Text(found) if found == text)
    }

    /// As [`Self::text`], where the provider promises it.
    pub(crate) fn need(&self, path: &str) -> Result<String, Fault> {
        let value = self.get(path);
        value.as_text().ok_or_else(|| match value {
            Self::Null => Fault::new(path, "is missing"),
            _ => Fault::new(path, "is no text"),
        })
    }

    /// An id that is written plainly, or as the object that carries it in `id`.
    pub(crate) fn id(&self, path: &str) -> Option<String> {
        let value = self.get(path);
        value.as_text().or_else(|| value.member("id").as_text())
    }

    /// As [`Self::id`], where the provider promises it.
    pub(crate) fn need_id(&self, path: &str) -> Result<String, Fault> {
        self.id(path).ok_or_else(|| Fault::new(path, "is missing or no id"))
    }
}

fn not_json() -> Fault {
    Fault::new("the body", "is not JSON")
}

/// A text in which half a surrogate pair becomes U+FFFD: a shop that cut a customer's name in an emoji still sold.
struct Lossy(String);

impl<'de> Deserialize<'de> for Lossy {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Lossy;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Lossy, E> {
                Ok(Lossy(match String::from_utf8_lossy(bytes) {
                    Cow::Borrowed(text) => text.to_owned(),
                    Cow::Owned(text) => text,
                }))
            }
        }
        // serde_json gives bytes as they are, and text only when it is valid.
        from.deserialize_bytes(Bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_stay_as_they_were_written() {
        let json = Json::parse(b"\xef\xbb\xbf {\"a\":{\"b\":[1499.10,12345678901234567890]},\"b\":null}\r\n")
            .expect("json");
        assert_eq!(json.get("a.b.0"), &Json::Number("1499.10".into()));
        assert_eq!(json.text("a.b.1").as_deref(), Some("12345678901234567890"));
        assert_eq!(json.text("a.b.0"), None, "a fraction is no id");
        for nothing in ["a.b.2", "a.b.x", "a.c", "b", "b.c", "", "a.b.0.c"] {
            assert!(json.get(nothing).is_null(), "{nothing}");
        }
    }

    #[test]
    fn the_last_of_two_members_counts() {
        let json = Json::parse(br#"{"a":1,"a":"2"}"#).expect("json");
        assert_eq!(json.text("a").as_deref(), Some("2"));
    }

    #[test]
    fn half_a_surrogate_pair_does_not_cost_the_sale() {
        let json = Json::parse(br#"{"n":"x\ud83d","id":"\u0031\/"}"#).expect("json");
        assert_eq!(json.text("id").as_deref(), Some("1/"));
        assert!(json.text("n").is_some_and(|name| name.starts_with('x')));
    }

    #[test]
    fn faults_name_the_path() {
        let json = Json::parse(br#"{"data":{"amount":{}}}"#).expect("json");
        assert_eq!(json.need("data.id").expect_err("absent").to_string(), "data.id is missing");
        assert_eq!(json.need("data.amount").expect_err("no text").to_string(), "data.amount is no text");
        assert!(Json::parse(&[b'['; 100_000]).is_err() && Json::parse(b"").is_err());
        let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
        assert!(Json::parse(deep.as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(body in proptest::collection::vec(any::<u8>(), 0..200), text in "[\\[\\]{}\",:0-9.eE a\\\\u-]{0,60}") {
            let _ = Json::parse(&body);
            if let Ok(json) = Json::parse(text.as_bytes()) {
                let _ = json.get(&text).as_text();
                prop_assert!(serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok());
            }
        }
    }
}
