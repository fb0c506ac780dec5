//! What content blockers' lists are known to stop. A word that passes today may be listed tomorrow, so this advises and
//! never refuses.

use super::reader::{Place, Section};
use referral::Parameters;
use sha2::{Digest, Sha256};
use usher_model::Site;

/// Words that generic rules of EasyPrivacy, uBlock Origin and AdGuard look for in paths
/// (<https://easylist.to/easylist/easyprivacy.txt>), and the platform's own name.
const WORDS: [&str; 73] = [
    "_tracking",
    "_vercel",
    "ad",
    "admiral",
    "ads",
    "adserver",
    "aff",
    "affiliate",
    "affiliates",
    "affiliatetracking",
    "affiliate-tracker",
    "affonso",
    "ahoy",
    "analyse",
    "analytics",
    "banner",
    "banners",
    "beacon",
    "cdn-cgi",
    "click",
    "clicks",
    "clicktrack",
    "cnt",
    "collect",
    "collector",
    "conversion",
    "counter",
    "e",
    "event",
    "events",
    "fathom",
    "fingerprint",
    "flags",
    "gtag",
    "gtm",
    "hit",
    "hits",
    "ingest",
    "insights",
    "log",
    "logs",
    "matomo",
    "metrics",
    "pageview",
    "partner-analytics",
    "partnermetrics",
    "ping",
    "piwik",
    "pixel",
    "plausible",
    "posthog",
    "pv",
    "px",
    "ref",
    "referral",
    "referral-tracking",
    "referrer",
    "reftracker",
    "sponsor",
    "stat",
    "stats",
    "telemetry",
    "track",
    "tracker",
    "tracking",
    "trk",
    "umami",
    "utm",
    "utm-tracking",
    "views",
    "visit",
    "visits",
    "zaraz",
];
/// First labels of a host that are stopped whatever the path, or with one of the words above in it.
const LABELS: [&str; 35] = [
    "ad",
    "ad1",
    "ads",
    "ads2",
    "aff-ads",
    "analytics",
    "analytics-beacon",
    "analytics-cdn",
    "affonso",
    "beacon",
    "cmpworker",
    "collect",
    "collector",
    "fathom",
    "gtm",
    "insights-collector",
    "internal-matomo",
    "matomo",
    "metrics",
    "metrics-collector",
    "pixel",
    "piwik",
    "plausible",
    "posthog",
    "rum",
    "segment-api",
    "segment-cdn",
    "sgtm",
    "ssgtm",
    "stats",
    "tagging",
    "telemetry",
    "track",
    "tracker",
    "tracking",
];
/// Parameters that are taken off links on every site: by ClearURLs (`ref`), DandelionSprout's LegitimateURLShortener (`aff`,
/// `affiliate`, `rfsn`, `sub1` and others), and as click ids by uBlock Origin, AdGuard's URL Tracking list, Brave, Firefox and
/// Safari's Private Browsing.
const STRIPPED: [&str; 64] = [
    "__hsfp",
    "__hssc",
    "__hstc",
    "__s",
    "_branch_match_id",
    "_ga",
    "_gl",
    "_hsenc",
    "_kx",
    "_openstat",
    "aff",
    "affiliate",
    "awc",
    "bsft_clkid",
    "bsft_eid",
    "cjdata",
    "cjevent",
    "dclid",
    "erid",
    "et_rid",
    "fbclid",
    "gad_source",
    "gbraid",
    "gclid",
    "hsctatracking",
    "igsh",
    "igshid",
    "ir_partnerid",
    "irclickid",
    "irgwc",
    "mc_cid",
    "mc_eid",
    "mkt_tok",
    "ml_subscriber",
    "ml_subscriber_hash",
    "msclkid",
    "mtm_cid",
    "oly_anon_id",
    "oly_enc_id",
    "pk_cid",
    "rb_clickid",
    "ref",
    "rfsn",
    "s_cid",
    "srsltid",
    "ss_email_id",
    "sscid",
    "sub1",
    "tduid",
    "ttclid",
    "twclid",
    "unicorn_click_id",
    "utm_affiliate",
    "utm_campaign",
    "utm_content",
    "utm_id",
    "utm_medium",
    "utm_source",
    "utm_term",
    "vero_id",
    "wbraid",
    "wickedid",
    "yclid",
    "ysclid",
];

/// About the words in a site's hosts and prefix.
pub(super) fn names(section: &Section<'_>, site: &Site) {
    let better = site.hosts.first().map_or_else(|| "k7q".to_owned(), |host| neutral(host));
    if let Some(word) = word_in(&site.prefix) {
        section.place_of("prefix").warn(
            format!("has the word {word:?}, which blockers look for"),
            format!("prefer one that says nothing, such as \"/{better}\""),
        );
    }
    for host in &site.hosts {
        if let Some(label) = label_of(host) {
            section.place_of("hosts").warn(
                format!("holds {host:?}, and blockers look for {label:?}"),
                "prefer the shop's own host, or a name such as \"go\"",
            );
        }
    }
    if section.get("names_secret").is_none() {
        let prefix = &site.prefix;
        section.place_of("names_secret").warn(
            format!(
                "is missing: the tag loads {prefix}/pixel.js, a name that one rule can stop on every site"
            ),
            "add names_secret = { env = \"USHER_NAMES_SECRET\" }",
        );
    }
}

/// About the parameters that a site was given.
pub(super) fn parameters(place: &Place<'_>, parameters: &Parameters) {
    let stripped = |name: &&String| is_stripped(name);
    let lost: Vec<String> =
        parameters.names().iter().filter(stripped).map(|name| format!("{name:?}")).collect();
    if lost.is_empty() {
        return;
    }
    let mend = match parameters.names().iter().find(|name| !stripped(name)) {
        Some(kept) => format!("hand out links with {kept:?}"),
        None => "add \"via\" and hand out links with it".to_owned(),
    };
    place.warn(format!("holds {}, which some blockers take off every link", lost.join(" and ")), mend);
}

/// The part of a path that blockers look for.
pub(crate) fn word_in(path: &str) -> Option<&str> {
    path.split('/').find(|part| listed(part, &WORDS))
}

/// The first label of a host, when blockers look for it.
pub(crate) fn label_of(host: &str) -> Option<&str> {
    let (label, _) = host.split_once('.')?;
    listed(label, &LABELS).then_some(label)
}

/// Whether some blockers take this parameter off every link.
pub(crate) fn is_stripped(parameter: &str) -> bool {
    listed(parameter, &STRIPPED)
}

/// A prefix that differs from merchant to merchant: one that is suggested to all would soon be listed.
pub(crate) fn neutral(host: &str) -> String {
    let digest = Sha256::digest(host.as_bytes());
    let pick = |byte: u8, from: &[u8]| char::from(from[usize::from(byte) % from.len()]);
    let (letters, digits) = (b"bcdfghjkmnpqrstvwxz", b"23456789");
    [pick(digest[0], letters), pick(digest[1], digits), pick(digest[2], letters), pick(digest[3], letters)]
        .iter()
        .collect()
}

fn listed(name: &str, words: &[&str]) -> bool {
    words.contains(&name.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_blocked_is_known_and_what_was_seen_clean_is_not() {
        for path in
            ["/r/beacon", "/collect", "/Analytics", "/api/collector", "/cdn-cgi/zaraz", "/affonso", "/umami"]
        {
            assert!(word_in(path).is_some(), "{path}");
        }
        for path in
            ["/r", "/k3f9", "/n1", "/api", "/go", "/perks", "/assets", "/static", "/shop", "/reference", ""]
        {
            assert_eq!(word_in(path), None, "{path}");
        }
        for host in ["matomo.shop.com", "ads.shop.com", "SSGTM.shop.com", "track.shop.com"] {
            assert!(label_of(host).is_some(), "{host}");
        }
        for host in ["go.shop.com", "partners.shop.com", "www.shop.com", "shop.com", "ads", "127.0.0.1"] {
            assert_eq!(label_of(host), None, "{host}");
        }
        for name in ["ref", "aff", "AFF", "gclid", "utm_source", "hsCtaTracking", "irclickid", "_gl"] {
            assert!(is_stripped(name), "{name}");
        }
        for name in
            ["via", "atp", "affonso", "affonso_id", "fpr", "tolt", "partner", "campaign", "code", "dub_id"]
        {
            assert!(!is_stripped(name), "{name}");
        }
    }

    #[test]
    fn a_suggestion_is_no_word_and_differs_from_host_to_host() {
        let names: std::collections::HashSet<String> =
            (0..200).map(|shop| neutral(&format!("shop{shop}.com"))).collect();
        assert!(names.len() > 190, "{}", names.len());
        assert!(names.iter().all(|name| name.len() == 4 && word_in(name).is_none()), "{names:?}");
    }
}
