//! The platform's envelopes, and bodies whose values are kept as the text that arrived.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use serde::Serialize;
use serde_json::value::RawValue;
use usher_model::UnixMs;

use super::amount::Amount;
use crate::demo::http::{Reply, json};

/// One request, read in full.
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) peer: SocketAddr,
    pub(super) now: UnixMs,
}

impl Call {
    /// A header's text, `None` when absent, empty or not text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok().map(str::trim).filter(|text| !text.is_empty())
    }

    /// The headers by lower-case name, repeated ones joined. The authorization's value is left out.
    pub(super) fn headers_shown(&self) -> BTreeMap<String, String> {
        let mut shown: BTreeMap<String, String> = BTreeMap::new();
        for (name, value) in &self.headers {
            let hidden = name == http::header::AUTHORIZATION;
            let value = if hidden { "(present)".into() } else { String::from_utf8_lossy(value.as_bytes()) };
            shown
                .entry(name.as_str().to_owned())
                .and_modify(|joined| {
                    joined.push_str(", ");
                    joined.push_str(&value);
                })
                .or_insert_with(|| value.into_owned());
        }
        shown
    }

    /// The body as it arrived, for the record. Empty bodies are recorded as `null`.
    pub(super) fn body_shown(&self) -> Box<RawValue> {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| RawValue::NULL.to_owned())
    }
}

/// A refusal: the platform's error envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) status: StatusCode,
    code: &'static str,
    message: String,
    field: Option<String>,
}

impl Failure {
    /// `VALIDATION_ERROR`, 400, naming the field.
    pub(super) fn invalid(field: &str, message: impl Into<String>) -> Self {
        let field = Some(field.to_owned()).filter(|field| !field.is_empty());
        Self { status: StatusCode::BAD_REQUEST, code: "VALIDATION_ERROR", message: message.into(), field }
    }

    /// `NOT_FOUND`, 404.
    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::plain(StatusCode::NOT_FOUND, message)
    }

    /// `UNAUTHORIZED`, 401.
    pub(super) fn unauthorized(message: impl Into<String>) -> Self {
        Self::plain(StatusCode::UNAUTHORIZED, message)
    }

    /// A refusal with the code that belongs to the status.
    pub(super) fn plain(status: StatusCode, message: impl Into<String>) -> Self {
        let code = match status.as_u16() {
            400 | 413 | 422 => "VALIDATION_ERROR",
            401 => "UNAUTHORIZED",
            403 => "FORBIDDEN",
            404 => "NOT_FOUND",
            405 => "METHOD_NOT_ALLOWED",
            409 => "DUPLICATE_ERROR",
            429 => "RATE_LIMIT_EXCEEDED",
            _ => "INTERNAL_ERROR",
        };
        Self { status, code, message: message.into(), field: None }
    }

    /// The envelope. `retry_after` is in seconds and belongs to a 429.
    pub(super) fn reply(&self, retry_after: Option<u64>) -> Reply {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Inner<'a> {
            code: &'a str,
            message: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            field: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            retry_after: Option<u64>,
        }
        #[derive(Serialize)]
        struct Envelope<'a> {
            success: bool,
            error: Inner<'a>,
        }
        let error =
            Inner { code: self.code, message: &self.message, field: self.field.as_deref(), retry_after };
        json(self.status, &Envelope { success: false, error })
    }
}

/// `{"success":true,"data":…}`.
pub(super) fn enveloped(status: StatusCode, data: &impl Serialize) -> Reply {
    #[derive(Serialize)]
    struct Envelope<'a, D> {
        success: bool,
        data: &'a D,
    }
    json(status, &Envelope { success: true, data })
}

/// A JSON object whose values keep the text they arrived as. A value of `null` is as good as absent.
#[derive(Debug, Default)]
pub(super) struct Fields(BTreeMap<String, Box<RawValue>>);

impl Fields {
    /// Reads an object.
    pub(super) fn parse(json: &[u8]) -> Result<Self, Failure> {
        let object: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(json)
            .map_err(|error| Failure::invalid("", format!("the body is not a JSON object: {error}")))?;
        Ok(Self(object.into_iter().filter(|(_, value)| value.get() != "null").collect()))
    }

    /// The value as it arrived.
    pub(super) fn raw(&self, name: &str) -> Option<&RawValue> {
        self.0.get(name).map(|value| &**value)
    }

    /// A value of a type, `None` when absent.
    pub(super) fn get<T: serde::de::DeserializeOwned>(
        &self,
        name: &str,
        expected: &str,
    ) -> Result<Option<T>, Failure> {
        let Some(raw) = self.raw(name) else { return Ok(None) };
        let value = serde_json::from_str(raw.get());
        value.map(Some).map_err(|_| Failure::invalid(name, format!("{name} must be {expected}")))
    }

    /// A string of at most `max` characters. Empty is as good as absent: front ends write `window.affonso_referral || ''`.
    pub(super) fn text(&self, name: &str, max: usize) -> Result<Option<String>, Failure> {
        let text: Option<String> = self.get(name, "a string")?;
        if text.as_ref().is_some_and(|text| text.chars().count() > max) {
            return Err(Failure::invalid(name, format!("{name} must be at most {max} characters")));
        }
        Ok(text.filter(|text| !text.trim().is_empty()))
    }

    /// A string that must be there.
    pub(super) fn required(&self, name: &str, max: usize) -> Result<String, Failure> {
        self.text(name, max)?.ok_or_else(|| Failure::invalid(name, format!("{name} is required")))
    }

    /// The first of several names that holds a string.
    pub(super) fn first_text(&self, names: &[&str], max: usize) -> Result<Option<String>, Failure> {
        for name in names {
            if let Some(text) = self.text(name, max)? {
                return Ok(Some(text));
            }
        }
        Ok(None)
    }

    /// An object inside this one; empty when absent.
    pub(super) fn object(&self, name: &str) -> Result<Self, Failure> {
        match self.raw(name) {
            None => Ok(Self::default()),
            Some(raw) => Self::parse(raw.get().as_bytes())
                .map_err(|_| Failure::invalid(name, format!("{name} must be an object"))),
        }
    }

    /// An amount above zero: a JSON number, not a string.
    pub(super) fn amount(&self, name: &str) -> Result<Option<(Amount, Box<RawValue>)>, Failure> {
        let Some(raw) = self.raw(name) else { return Ok(None) };
        let amount = Amount::parse(raw.get())
            .ok_or_else(|| Failure::invalid(name, format!("{name} must be a number greater than 0")))?;
        Ok(Some((amount, raw.to_owned())))
    }

    /// A currency: three letters.
    pub(super) fn currency(&self, name: &str) -> Result<Option<String>, Failure> {
        let currency = self.text(name, 255)?;
        match currency {
            Some(text) if text.len() != 3 || !text.bytes().all(|b| b.is_ascii_alphabetic()) => {
                Err(Failure::invalid(name, format!("{name} must be a 3-letter currency code")))
            }
            currency => Ok(currency),
        }
    }

    /// One of a few words.
    pub(super) fn one_of(&self, name: &str, allowed: &[&str]) -> Result<Option<String>, Failure> {
        let word = self.text(name, 255)?;
        match word {
            Some(word) if !allowed.contains(&word.as_str()) => {
                Err(Failure::invalid(name, format!("{name} must be one of {}", allowed.join(", "))))
            }
            word => Ok(word),
        }
    }
}
