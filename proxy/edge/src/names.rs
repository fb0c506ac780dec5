//! Neutral path names, derived for each site from its secret.
//!
//! Filter lists block fixed paths and telling words. A name that no two sites share and that says nothing can only be
//! blocked one site at a time.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use usher_model::{Secret, SiteName};

/// The path segments below a site's prefix that its own snippet uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// The snippet; ends in `.js`.
    pub script: String,
    /// Where a click is recorded.
    pub track: String,
    /// Where a lead is recorded.
    pub signups: String,
    /// Where promo codes are resolved; the code follows as one more segment.
    pub codes: String,
    /// Where an order is tied to a click.
    pub bind: String,
    /// Where consent is granted or withdrawn.
    pub consent: String,
}

impl Names {
    /// The names of `site`. Without a secret they are the well-known ones (`pixel.js`, `track`, …).
    ///
    /// The site's name goes into the derivation, so that sites which share one secret do not share their names.
    #[must_use]
    pub fn derive(secret: Option<&Secret>, site: &SiteName) -> Self {
        let Some(secret) = secret else { return Self::well_known() };
        let mut taken = Vec::new();
        let mut next = |purpose: &str| {
            let name = first_harmless(secret, site, purpose, &taken);
            taken.push(name.clone());
            name
        };
        Self {
            script: next("script") + ".js",
            track: next("track"),
            signups: next("signups"),
            codes: next("codes"),
            bind: next("bind"),
            consent: next("consent"),
        }
    }

    fn well_known() -> Self {
        Self {
            script: "pixel.js".to_owned(),
            track: "track".to_owned(),
            signups: "signups".to_owned(),
            codes: "codes".to_owned(),
            bind: "bind".to_owned(),
            consent: "consent".to_owned(),
        }
    }
}

/// The name of the cookie that proves a click. It says as little as the paths do.
pub(crate) fn cookie(secret: &Secret, site: &SiteName) -> String {
    first_harmless(secret, site, "proof", &[])
}

/// Letters and digits of a name.
const LENGTH: usize = 6;

/// Parts of words that generic filter rules look for, and the well-known names that a neutral one must not hide.
/// The script ends in `.js`, so what counts as an extension is of no concern here.
const LISTED: [&str; 38] = [
    "ads", "adv", "aff", "anal", "atrk", "banner", "beac", "bind", "click", "clk", "cnt", "codes", "coll",
    "consen", "count", "event", "gif", "gtag", "gtm", "hit", "hook", "log", "metr", "par", "ping", "pix",
    "pv", "px", "ref", "signup", "stat", "tag", "tele", "track", "trk", "utm", "via", "visit",
];

fn first_harmless(secret: &Secret, site: &SiteName, purpose: &str, taken: &[String]) -> String {
    let mut name = String::new();
    // About one name in twenty is refused; sixteen in a row are not met in practice, and the last is still a name.
    for attempt in 0..16 {
        name = candidate(secret, site, purpose, attempt);
        if !taken.contains(&name) && !LISTED.iter().any(|part| name.contains(part)) {
            break;
        }
    }
    name
}

fn candidate(secret: &Secret, site: &SiteName, purpose: &str, attempt: u8) -> String {
    const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose()).expect("HMAC takes a key of any length");
    for part in ["usher names 1", site.as_str(), purpose] {
        mac.update(part.as_bytes());
        mac.update(&[0]);
    }
    mac.update(&[attempt]);
    let digest = mac.finalize().into_bytes();
    let pick = |at: usize, of: u8| char::from(ALPHABET[usize::from(digest[at] % of)]);
    std::iter::once(pick(0, 26)).chain((1..LENGTH).map(|at| pick(at, 36))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn site(name: &str) -> SiteName {
        SiteName::new(name).expect("a name")
    }

    fn all(names: &Names) -> Vec<String> {
        let Names { script, track, signups, codes, bind, consent } = names.clone();
        vec![script.trim_end_matches(".js").to_owned(), track, signups, codes, bind, consent]
    }

    #[test]
    fn names_stay_what_they_are() {
        // Pages in the wild hold them: a change here breaks every tag that was ever pasted.
        let names = Names::derive(Some(&Secret::new("correct horse")), &site("shop"));
        assert_eq!(all(&names), FROZEN);
        assert!(names.script.ends_with(".js"));
    }
    const FROZEN: [&str; 6] = ["f24if0", "y5xqdc", "bprh66", "kvtmk7", "zr3x7m", "enj501"];

    #[test]
    fn names_are_distinct_and_harmless_and_belong_to_one_site() {
        let mut seen = HashSet::new();
        for number in 0..500 {
            let secret = Secret::new(format!("secret {number}"));
            for name in all(&Names::derive(Some(&secret), &site("shop"))) {
                assert_eq!(name.len(), LENGTH);
                assert!(name.starts_with(|c: char| c.is_ascii_lowercase()), "{name}");
                assert!(name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()), "{name}");
                assert!(!LISTED.iter().any(|part| name.contains(part)), "{name}");
                assert!(seen.insert(name));
            }
        }
        let secret = Secret::new("shared");
        assert_ne!(Names::derive(Some(&secret), &site("a")), Names::derive(Some(&secret), &site("b")));
    }

    #[test]
    fn without_a_secret_the_names_are_the_well_known_ones() {
        assert_eq!(Names::derive(None, &site("shop")).script, "pixel.js");
    }
}
