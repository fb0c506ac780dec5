//! What content blockers' lists are known to stop. A word that passes today may be listed tomorrow, so this advises and
//! never refuses.

use super::reader::{Place, Section};
use referral::Parameters;
use sha2::{Digest, Sha256};
use usher_model::Site;

/// Words that generic rules of EasyPrivacy, uBlock Origin and AdGuard look for in paths
/// (<https://easylist.to/easylist/easyprivacy.txt>), and the platform's own name.
const WORDS: [&str; 36] = [
    "adserver",
    "affiliate",
    "affiliates",
    "affonso",
    "analyse",
    "analytics",
    "beacon",
    "click",
    "clicks",
    "cnt",
    "collect",
    "collector",
    "conversion",
    "counter",
    "event",
    "events",
    "hit",
    "hits",
    "ingest",
    "log",
    "logs",
    "metrics",
    "pageview",
    "partnermetrics",
    "ping",
    "pixel",
    "pv",
    "ref",
    "referral",
    "referrer",
    "stats",
    "telemetry",
    "track",
    "tracker",
    "tracking",
    "views",
];
/// First labels of a host that are stopped whatever the path, or with one of the words above in it.
const LABELS: [&str; 34] = [
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
/// Parameters that lists take off links on every site: ClearURLs (`ref`) and DandelionSprout's
/// LegitimateURLShortener (the others).
const STRIPPED: [&str; 7] = ["aff", "affiliate", "awc", "cjevent", "irclickid", "ref", "rfsn"];

/// About the words in a site's hosts and prefix.
pub(super) fn names(section: &Section<'_>, site: &Site) {
    let better = site.hosts.first().map_or_else(|| "k7q".to_owned(), |host| neutral(host));
    if let Some(word) = site.prefix.split('/').find(|part| listed(part, &WORDS)) {
        section.place_of("prefix").warn(
            format!("has the word {word:?}, which blockers look for"),
            format!("prefer one that says nothing, such as \"/{better}\""),
        );
    }
    for host in &site.hosts {
        let label = host.split('.').next().unwrap_or(host);
        if host.contains('.') && listed(label, &LABELS) {
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
    let stripped = |name: &&String| STRIPPED.contains(&name.to_ascii_lowercase().as_str());
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

fn listed(name: &str, words: &[&str]) -> bool {
    words.contains(&name.to_ascii_lowercase().as_str())
}

/// A prefix that differs from merchant to merchant: one that is suggested to all would soon be listed.
fn neutral(host: &str) -> String {
    let digest = Sha256::digest(host.as_bytes());
    let pick = |byte: u8, from: &[u8]| char::from(from[usize::from(byte) % from.len()]);
    let (letters, digits) = (b"bcdfghjkmnpqrstvwxz", b"23456789");
    [pick(digest[0], letters), pick(digest[1], digits), pick(digest[2], letters), pick(digest[3], letters)]
        .iter()
        .collect()
}
