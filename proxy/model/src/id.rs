//! Identifiers. Each kind is its own type, so that a click id can never be handed over as an affiliate's code.

use crate::time::{Random, UnixMs};
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;

/// Why a text is not the identifier it was meant to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} must be {grammar}")]
pub struct IdError {
    what: &'static str,
    grammar: &'static str,
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $what:literal, $grammar:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Takes `text` when it keeps to the grammar.
            ///
            /// # Errors
            /// [`IdError`] names the grammar.
            pub fn new(text: impl Into<String>) -> Result<Self, IdError> {
                let text = text.into();
                let valid: fn(&str) -> bool = $valid;
                if valid(&text) { Ok(Self(text)) } else { Err(IdError { what: $what, grammar: $grammar }) }
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                Self::new(String::deserialize(from)?).map_err(serde::de::Error::custom)
            }
        }
    };
}

identifier!(
    /// A site's name in the configuration: part of keys in the store, of metrics and of log lines.
    SiteName, "a site's name", "1 to 40 lower-case letters, digits, '-' or '_'",
    |s| (1..=40).contains(&s.len()) && s.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'))
);
identifier!(
    /// An affiliate's public code: what stands behind `?via=`, and what the platform calls `trackingId`.
    AffiliateCode, "an affiliate's code", "1 to 64 letters, digits, '-' or '_'", referral::is_code
);
identifier!(
    /// The id of a click: the value of the cookie `affonso_referral`. Its alphabet is the one that payment providers'
    /// reference fields take (Stripe `client_reference_id`).
    ClickId, "a click id", "1 to 200 letters, digits, '-' or '_'", referral::is_click_id
);
identifier!(
    /// Who reported something: `api`, `browser`, `segment`, or a webhook's name (`stripe`, `stripe-eu`). An event's id is
    /// unique for its source alone.
    Source, "a source", "1 to 40 lower-case letters, digits, '-' or '_'",
    |s| (1..=40).contains(&s.len()) && s.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'))
);
identifier!(
    /// The id of a record that this edge wrote (a conversion, a lead): sortable by time.
    RecordId, "a record id", "1 to 64 letters, digits, '-' or '_'", referral::is_code
);

/// What every click id minted at an edge begins with, so that it is told from the platform's own.
const MINTED: &str = "ush_";

impl ClickId {
    /// A new id for a click that the platform does not know yet.
    #[must_use]
    pub fn mint(now: UnixMs, random: &dyn Random) -> Self {
        Self(format!("{MINTED}{}", sortable(now, random)))
    }

    /// Whether an edge minted this id.
    #[must_use]
    pub fn is_minted(&self) -> bool {
        self.0.starts_with(MINTED)
    }
}

impl Source {
    /// The merchant's own servers.
    #[must_use]
    pub fn api() -> Self {
        Self("api".to_owned())
    }

    /// A page.
    #[must_use]
    pub fn browser() -> Self {
        Self("browser".to_owned())
    }

    /// Segment, <https://segment.com/docs/connections/spec/track/>.
    #[must_use]
    pub fn segment() -> Self {
        Self("segment".to_owned())
    }
}

impl RecordId {
    /// A new id; `kind` is a short word that its readers recognise it by (`conv`, `lead`).
    #[must_use]
    pub fn mint(kind: &'static str, now: UnixMs, random: &dyn Random) -> Self {
        Self(format!("{kind}_{}", sortable(now, random)))
    }

    /// What kind of record it is the id of, when it has the form of one that an edge minted.
    #[must_use]
    pub fn minted_kind(&self) -> Option<&str> {
        let (kind, rest) = self.0.split_once('_')?;
        let first_fits = rest.as_bytes().first().is_some_and(|first| (b'0'..=b'7').contains(first));
        let is_minted = rest.len() == 26 && first_fits && rest.bytes().all(|byte| ALPHABET.contains(&byte));
        is_minted.then_some(kind)
    }
}

/// The digits of ids, in the order of their values.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// 48 bits of time and 80 of chance in 26 characters that sort as the time does (the layout of ULID,
/// <https://github.com/ulid/spec>, in lower case).
fn sortable(now: UnixMs, random: &dyn Random) -> String {
    let mut bytes = [0; 16];
    random.fill(&mut bytes[6..]);
    bytes[..6].copy_from_slice(&now.0.max(0).to_be_bytes()[2..]);
    let all = u128::from_be_bytes(bytes);
    (0..26).rev().map(|digit| ALPHABET[(all >> (5 * digit)) as usize & 31] as char).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Sevens;
    impl Random for Sevens {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(7);
        }
    }

    #[test]
    fn minted_ids_are_valid_recognised_and_sorted_by_time() {
        let early = ClickId::mint(UnixMs(1_000), &Sevens);
        let late = ClickId::mint(UnixMs(1_001), &Sevens);
        assert!(early < late && early.is_minted());
        assert_eq!(ClickId::new(early.as_str()), Ok(early));
        assert!(!ClickId::new("cmdhq6ayf0001").expect("an id").is_minted());
    }

    #[test]
    fn records_of_an_edge_are_told_from_the_platforms() {
        let ours = RecordId::mint("conv", UnixMs(1_700_000_000_000), &Sevens);
        assert_eq!(ours.minted_kind(), Some("conv"));
        let theirs = |id: &str| RecordId::new(id).expect("an id").minted_kind().is_none();
        assert!(theirs("conv_1") && theirs("com_cmdhq6ayf0001l9fbcvl9m05z") && theirs("txn"));
        assert!(theirs("conv_zzzzzzzzzzzzzzzzzzzzzzzzzz"), "no moment has such a first digit");
    }

    #[test]
    fn grammars_are_kept_also_when_read_from_json() {
        assert!(
            SiteName::new("shop-2").is_ok() && SiteName::new("Shop").is_err() && SiteName::new("").is_err()
        );
        assert!(serde_json::from_str::<AffiliateCode>(r#""alice""#).is_ok());
        assert!(serde_json::from_str::<AffiliateCode>(r#""al ice""#).is_err());
    }
}
