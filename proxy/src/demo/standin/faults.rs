//! Faults that the stand-in was told to have: a list, applied in order and counted.

use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::wire::Failure;
use crate::demo::limits::FAULTS_MAX_COUNT;

/// How a request is mistreated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Mode {
    /// The connection is closed as soon as the request's head is read.
    Down,
    /// The connection is closed after the whole request is read; nothing is done.
    Drop,
    /// The work is done, then the connection is closed without an answer.
    CommitAndDrop,
    /// The work is done at once, its answer waits for `delay_ms`.
    Slow,
    /// 429 with `Retry-After`; nothing is done.
    RateLimit,
    /// The given `status` with the error envelope; nothing is done.
    Status,
    /// 200 with bytes that are neither JSON nor text, called HTML; nothing is done.
    Rubbish,
    /// 401, as if the key had been revoked; nothing is done.
    Unauthorized,
}

/// One fault, as `POST /_behaviour` takes it and `GET /_behaviour` shows it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fault {
    /// An exact path, a path that ends in `*` for all that begin so, or `*`.
    #[serde(default = "every_path")]
    pub(super) path: String,
    /// How many requests it applies to; all when absent.
    #[serde(default)]
    pub(super) times: Option<u64>,
    pub(super) mode: Mode,
    /// For `slow`.
    #[serde(default)]
    pub(super) delay_ms: u64,
    /// For `status`.
    #[serde(default = "unavailable")]
    pub(super) status: u16,
    /// Seconds, for `rate_limit` and for `status` when given.
    #[serde(default)]
    pub(super) retry_after: Option<u64>,
    /// How many requests it was applied to so far; not taken from outside.
    #[serde(default, skip_deserializing)]
    applied: u64,
}

/// The faults that are lined up.
#[derive(Debug, Default, Serialize)]
pub(super) struct Faults {
    behaviours: Vec<Fault>,
}

impl Faults {
    /// Lines up one fault, or a JSON list of them, behind those that are there.
    pub(super) fn add(&mut self, json: &[u8]) -> Result<(), Failure> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum OneOrMany {
            Many(Vec<serde_json::Value>),
            One(serde_json::Value),
        }
        let parsed: OneOrMany =
            serde_json::from_slice(json).map_err(|error| Failure::invalid("", error.to_string()))?;
        let values = match parsed {
            OneOrMany::Many(values) => values,
            OneOrMany::One(value) => vec![value],
        };
        let mut added = Vec::new();
        for value in values {
            // Each alone, so that the error names what is wrong in it.
            let fault: Fault =
                serde_json::from_value(value).map_err(|error| Failure::invalid("", error.to_string()))?;
            if StatusCode::from_u16(fault.status).is_err() || fault.status < 200 {
                return Err(Failure::invalid("status", "status must be 200 to 999"));
            }
            added.push(fault);
        }
        if self.behaviours.len() + added.len() > FAULTS_MAX_COUNT {
            return Err(Failure::invalid("", "too many behaviours; DELETE /_behaviour first"));
        }
        self.behaviours.extend(added);
        Ok(())
    }

    /// Forgets them all.
    pub(super) fn clear(&mut self) {
        self.behaviours.clear();
    }

    /// The fault for a request, which counts it: the first in the list that fits and is not used up.
    pub(super) fn take(&mut self, path: &str) -> Option<Fault> {
        let fault = self
            .behaviours
            .iter_mut()
            .find(|fault| fits(&fault.path, path) && fault.times.is_none_or(|times| fault.applied < times))?;
        fault.applied += 1;
        Some(fault.clone())
    }
}

fn fits(pattern: &str, path: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => path.starts_with(start),
        None => path == pattern,
    }
}

fn every_path() -> String {
    "*".to_owned()
}

fn unavailable() -> u16 {
    503
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn applied_in_order_and_counted() {
        let mut faults = Faults::default();
        faults
            .add(br#"[{"path":"/v1/track","mode":"down","times":2},{"mode":"slow","delay_ms":5}]"#)
            .unwrap();
        let modes: Vec<Mode> =
            (0..3).filter_map(|_| faults.take("/v1/track")).map(|fault| fault.mode).collect();
        assert_eq!(modes, [Mode::Down, Mode::Down, Mode::Slow]);
        assert_eq!(faults.take("/v1/clicks").map(|fault| fault.delay_ms), Some(5));
        faults.clear();
        assert!(faults.take("/v1/track").is_none());
    }

    #[test]
    fn patterns() {
        assert!(fits("*", "/v1/track") && fits("/v1/conversions*", "/v1/conversions/com_1/refund"));
        assert!(fits("/v1/conversions", "/v1/conversions"));
        assert!(!fits("/v1/conversions", "/v1/conversions/com_1/refund"));
    }

    #[test]
    fn mistakes_are_named() {
        for (json, word) in [
            (&br#"{"mode":"explode"}"#[..], "explode"),
            (br#"{"mode":"down","time":1}"#, "time"),
            (br#"{"mode":"status","status":42}"#, "status"),
            (b"nope", "expected"),
        ] {
            let error = Faults::default().add(json).unwrap_err();
            assert!(format!("{error:?}").contains(word), "{error:?}");
        }
    }
}
