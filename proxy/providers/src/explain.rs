//! `usher webhook explain`: recorded requests, judged.
//!
//! A record is one JSON object: `provider`, `case`, `secrets`, `now`, `method`, `url`, `headers`, `body`. What else it holds
//! is not looked at.

use crate::{Credential, Kind, Outcome, Provider, Request, TestMode, Webhook, report};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use usher_model::{Secret, Source, UnixMs};

/// Why a record cannot be explained. All of them are the file's fault.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// It is no JSON object of the format.
    #[error("is no recorded webhook")]
    Format(#[from] serde_json::Error),
    /// No provider has this name.
    #[error("names the provider `{0}`, which is none")]
    UnknownProvider(String),
    /// A secret has none of the forms.
    #[error("holds a secret in no known form (number {0} of `secrets`)")]
    Secret(usize),
    /// Nothing to verify with.
    #[error("has no `{0}`, and none was given")]
    Missing(&'static str),
}

/// A recorded request.
#[derive(Debug)]
pub struct Recorded {
    /// Who sent it, by the name that stands in the address.
    pub provider: String,
    /// What the record is called.
    pub case: Option<String>,
    /// The secrets that the record brings; empty when it brings none.
    pub credentials: Vec<Credential>,
    /// The time that the record brings.
    pub now: Option<UnixMs>,
    /// The method.
    pub method: String,
    /// Path and query.
    pub url: String,
    /// Header fields as they were sent.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

/// Judges a record with the secrets and the time that it brings, and says in one line of JSON what it means.
///
/// # Errors
/// [`ExplainError`] when the record is none, or brings no secrets or no time.
pub fn explain(vector_json: &str) -> Result<String, ExplainError> {
    let recorded = Recorded::read(vector_json)?;
    let now = recorded.now.ok_or(ExplainError::Missing("now"))?;
    Ok(recorded.explain(&recorded.webhook()?, now))
}

#[derive(Deserialize)]
struct Record {
    provider: String,
    case: Option<String>,
    #[serde(default)]
    secrets: Vec<Value>,
    now: Option<i64>,
    #[serde(default = "post")]
    method: String,
    #[serde(default)]
    url: String,
    headers: BTreeMap<String, String>,
    body: String,
}

fn post() -> String {
    "POST".to_owned()
}

impl Recorded {
    /// Reads a record.
    ///
    /// # Errors
    /// [`ExplainError`] says what is wrong with it.
    pub fn read(json: &str) -> Result<Self, ExplainError> {
        let record: Record = serde_json::from_str(json.strip_prefix('\u{feff}').unwrap_or(json))?;
        let credentials = (record.secrets.iter().zip(1..))
            .map(|(secret, number)| credential(secret).ok_or(ExplainError::Secret(number)))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            provider: record.provider,
            case: record.case,
            credentials,
            now: record.now.map(|seconds| UnixMs(seconds.saturating_mul(1000))),
            method: record.method,
            url: record.url,
            headers: record.headers.into_iter().collect(),
            body: record.body,
        })
    }

    /// The webhook that it brings along: a provider that is known, and secrets.
    ///
    /// # Errors
    /// [`ExplainError`] says what it does not bring.
    pub fn webhook(&self) -> Result<Webhook, ExplainError> {
        let unknown = || ExplainError::UnknownProvider(self.provider.clone());
        let provider = Provider::find(&self.provider).ok_or_else(unknown)?;
        if self.credentials.is_empty() {
            return Err(ExplainError::Missing("secrets"));
        }
        Ok(Webhook {
            name: Source::new(provider.name).map_err(|_| unknown())?,
            kind: Kind::Known(provider),
            credentials: self.credentials.clone(),
            test_mode: TestMode::Ignore,
        })
    }

    /// Judges it as `webhook` would at this time.
    #[must_use]
    pub fn judge(&self, webhook: &Webhook, now: UnixMs) -> Outcome {
        let headers: Vec<(&str, &[u8])> =
            self.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let request =
            Request { method: &self.method, url: &self.url, headers: &headers, body: self.body.as_bytes() };
        webhook.judge(&request, now, &BTreeMap::new())
    }

    /// The same, said in one line of JSON.
    #[must_use]
    pub fn explain(&self, webhook: &Webhook, now: UnixMs) -> String {
        report(&self.provider, self.case.as_deref(), &self.judge(webhook, now))
    }
}

/// A secret as records write it: a text, or an object whose members tell what it is.
fn credential(secret: &Value) -> Option<Credential> {
    if let Value::String(text) = secret {
        return Some(Credential::Text(Secret::new(text)));
    }
    let text = |name: &str| secret.get(name).and_then(Value::as_str).map(str::to_owned);
    let hidden = |name: &str| text(name).map(Secret::new);
    if let (Some(username), Some(password)) = (text("username"), hidden("password")) {
        return Some(Credential::Login { username, password });
    }
    if let (Some(key_id), Some(key)) = (text("hmac_key_id"), hidden("hmac_secret")) {
        return Some(Credential::Named { key_id, key });
    }
    if let (Some(mid), Some(merchant_key)) = (text("mid"), hidden("merchant_key")) {
        return Some(Credential::Paytm { mid, merchant_key });
    }
    if let (Some(url_token), Some(seller_id)) = (hidden("url_token"), text("seller_id")) {
        return Some(Credential::Gumroad { url_token, seller_id });
    }
    let pairs = secret.get("certs").and_then(Value::as_object).into_iter().flatten();
    Some(Credential::PayPal {
        webhook_id: text("webhook_id")?,
        trust_anchors_pem: text("trust_anchor_pem").unwrap_or_default(),
        certificates: pairs.filter_map(|(url, pem)| Some((url.clone(), pem.as_str()?.to_owned()))).collect(),
    })
}
