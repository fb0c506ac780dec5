//! Promo codes: how they are folded, written down, and when they count.

use crate::{id::AffiliateCode, time::UnixMs};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fmt;

/// A code as it is looked up: trimmed by Unicode's rules and folded to upper case.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct PromoCode(String);

impl PromoCode {
    /// Folds what a person typed; `None` when nothing is left, it is longer than 64 characters, or holds controls.
    #[must_use]
    pub fn fold(typed: &str) -> Option<Self> {
        referral::fold_promo_code(typed).map(Self)
    }

    /// The folded text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PromoCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the shopper gets, passed on to front ends as it was written (`amount`, `type`, `couponId`, …).
pub type Discount = Map<String, Value>;

/// What a promo code says. This is the JSON value in Redis, field by field.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Code {
    /// Whose sale it is.
    pub affiliate: AffiliateCode,
    /// What the shopper gets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discount: Option<Discount>,
    /// Counts from this moment on. RFC 3339, a bare date, or Unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "moment")]
    pub starts_at: Option<UnixMs>,
    /// Counts until just before this moment.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "moment")]
    pub expires_at: Option<UnixMs>,
    /// How many conversions it may be credited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_uses: Option<u64>,
    /// What payment providers call it: their webhooks name a discount by its id, such as Stripe's `promo_…`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub provider_ids: Vec<String>,
    /// How many it has been credited for. Counted by the store beside the code, never part of its JSON.
    #[serde(skip)]
    pub uses: u64,
}

/// Whether a known code counts now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// It does.
    Valid,
    /// Its start lies ahead.
    NotStarted,
    /// Its expiry has passed.
    Expired,
    /// Its uses are spent.
    UsedUp,
}

impl Validity {
    /// The word that front ends see as `reason`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::NotStarted => "not_started",
            Self::Expired => "expired",
            Self::UsedUp => "used_up",
        }
    }
}

/// Why a stored code cannot be read.
#[derive(Debug, thiserror::Error)]
#[error(
    "its value is not a code: {0}; expected {{\"affiliate\":\"alice\",\"discount\":{{…}}?,\"starts_at\"?,\"expires_at\"?,\"max_uses\"?,\"provider_ids\"?}}"
)]
pub struct CodeFault(String);

impl Code {
    /// Reads the JSON value of a code. Fields that it does not know are left alone: others may add their own.
    ///
    /// # Errors
    /// [`CodeFault`] says what is wrong with it.
    pub fn from_json(json: &str) -> Result<Self, CodeFault> {
        serde_json::from_str(json).map_err(|error| CodeFault(error.to_string()))
    }

    /// Writes the JSON value of a code.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|_| unreachable!("a code has text keys only"))
    }

    /// Whether it counts at `now`.
    #[must_use]
    pub fn validity(&self, now: UnixMs) -> Validity {
        if self.starts_at.is_some_and(|start| now < start) {
            Validity::NotStarted
        } else if self.expires_at.is_some_and(|end| now >= end) {
            Validity::Expired
        } else if self.max_uses.is_some_and(|max| self.uses >= max) {
            Validity::UsedUp
        } else {
            Validity::Valid
        }
    }
}

/// A moment in a code's JSON: RFC 3339, a bare date, or Unix seconds; written as RFC 3339.
mod moment {
    use super::UnixMs;
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Text(String),
        Seconds(i64),
        Nothing(()),
    }

    pub(super) fn serialize<S: Serializer>(at: &Option<UnixMs>, to: S) -> Result<S::Ok, S::Error> {
        match at {
            Some(at) => to.serialize_str(&at.rfc3339()),
            None => to.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<UnixMs>, D::Error> {
        const EXPECTED: &str =
            "a moment must be RFC 3339 (2026-12-01T00:00:00Z), a date (2026-12-01) or Unix seconds";
        match Written::deserialize(from).map_err(|_| D::Error::custom(EXPECTED))? {
            Written::Text(text) => UnixMs::parse(&text).map(Some).ok_or_else(|| D::Error::custom(EXPECTED)),
            Written::Seconds(seconds) => Ok(Some(UnixMs(seconds.saturating_mul(1000)))),
            Written::Nothing(()) => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(json: &str) -> Code {
        Code::from_json(json).expect("a code")
    }

    #[test]
    fn a_code_counts_from_its_start_until_its_expiry_while_uses_are_left() {
        let mut spring =
            code(r#"{"affiliate":"alice","starts_at":10,"expires_at":"1970-01-01T00:00:20Z","max_uses":2}"#);
        for (seconds, expected) in
            [(9, Validity::NotStarted), (10, Validity::Valid), (19, Validity::Valid), (20, Validity::Expired)]
        {
            assert_eq!(spring.validity(UnixMs(seconds * 1000)), expected, "{seconds}");
        }
        spring.uses = 2;
        assert_eq!(spring.validity(UnixMs(15_000)), Validity::UsedUp);
    }

    #[test]
    fn json_survives_the_way_there_and_back() {
        let json = r#"{"affiliate":"alice","discount":{"amount":10,"type":"percentage"},"expires_at":"2026-12-01T00:00:00Z"}"#;
        assert_eq!(code(json).to_json(), json);
        assert!(code(r#"{"affiliate":"a","expires_at":null,"note":"ours"}"#).expires_at.is_none());
    }

    #[test]
    fn a_fault_names_what_is_wrong() {
        let fault = Code::from_json(r#"{"affiliate":"alice","expires_at":"soon"}"#)
            .expect_err("no moment")
            .to_string();
        assert!(fault.contains("RFC 3339"), "{fault}");
        assert!(
            Code::from_json(r#"{"discount":{}}"#).expect_err("nobody's").to_string().contains("affiliate")
        );
    }
}
