//! Every key of the file, by table, and what somebody who wrote another one may have meant.

pub(super) const ROOT: &[&str] = &["server", "store", "upstream", "site", "privacy", "tls"];
pub(super) const SERVER: &[&str] = &["http", "https", "admin", "admin_token", "trusted_proxies"];
pub(super) const STORE: &[&str] = &["url"];
pub(super) const UPSTREAM: &[&str] = &["base_url", "api_key", "signing_secret", "click_budget_ms"];
pub(super) const SITE: &[&str] = &[
    "name",
    "hosts",
    "program",
    "prefix",
    "names_secret",
    "origin",
    "origin_cookies",
    "tag",
    "parameters",
    "cookie_days",
    "cookie_domain",
    "attribution",
    "code_or_click",
    "consent",
    "honour_gpc",
    "click_signing_key",
    "api_keys",
    "signing_secret",
    "links",
    "go",
    "webhook",
];
pub(super) const LINK: &[&str] = &["path", "affiliate", "to"];
pub(super) const WEBHOOK: &[&str] = &[
    "provider",
    "name",
    "secret",
    "test_mode",
    "webhook_id",
    "trust_anchor",
    "mid",
    "merchant_key",
    "username",
    "password",
    "hmac_key_id",
    "hmac_secret",
    "url_token",
    "seller_id",
    "signature",
    "event",
    "test",
    "payment",
    "refund",
];
/// What credentials are made of where one text does not do.
pub(super) const CREDENTIAL: &[&str] = &[
    "webhook_id",
    "trust_anchor",
    "mid",
    "merchant_key",
    "username",
    "password",
    "hmac_key_id",
    "hmac_secret",
    "url_token",
    "seller_id",
];
pub(super) const SIGNATURE: &[&str] =
    &["scheme", "header", "prefix", "hash", "encoding", "message", "timestamp_header"];
pub(super) const PAYMENT: &[&str] = &[
    "when",
    "id",
    "other_ids",
    "amount",
    "unit",
    "currency",
    "always_currency",
    "referral",
    "customer",
    "promo_code",
    "order",
    "subscription",
];
pub(super) const REFUND: &[&str] =
    &["when", "id", "payment", "amount", "unit", "currency", "always_currency", "is_total"];
pub(super) const PRIVACY: &[&str] = &["truncate_addresses", "retention_days"];
pub(super) const TLS: &[&str] = &["certificates", "acme"];
pub(super) const ACME: &[&str] = &["directory", "contact", "ask", "ca", "storage"];
pub(super) const SECRET: &[&str] = &["env", "file"];

const HEADERS: [(&str, &[&str]); 12] = [
    ("[server]", SERVER),
    ("[store]", STORE),
    ("[upstream]", UPSTREAM),
    ("[[site]]", SITE),
    ("[[site.links]]", LINK),
    ("[[site.webhook]]", WEBHOOK),
    ("[site.webhook.signature]", SIGNATURE),
    ("[site.webhook.payment]", PAYMENT),
    ("[site.webhook.refund]", REFUND),
    ("[privacy]", PRIVACY),
    ("[tls]", TLS),
    ("[tls.acme]", ACME),
];
/// From here on a key reads like a slip of the finger and not like another word.
const ALIKE: f64 = 0.65;

/// What somebody may have meant who wrote a key that is not among the `known` ones of its table: a key that is written
/// nearly so, the table that has it, or, failing both, the known ones.
pub(super) fn meant(written: &str, known: &[&str]) -> String {
    let folded = written.to_lowercase();
    let likeness = |name: &str| {
        strsim::jaro_winkler(&folded, name).max(strsim::normalized_damerau_levenshtein(&folded, name))
    };
    let nearest = known.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    let elsewhere: Vec<&str> = HEADERS
        .iter()
        .filter(|(_, keys)| *keys != known && keys.contains(&folded.as_str()))
        .map(|(header, _)| *header)
        .collect();
    match (nearest, elsewhere.as_slice()) {
        (Some(name), []) if likeness(name) >= ALIKE => format!("did you mean {name}?"),
        (Some(name), []) => format!("the nearest is {name}, of {}", known.join(", ")),
        (Some(name), at) if likeness(name) >= ALIKE => {
            format!("did you mean {name}? {folded} belongs below {}", at.join(" or "))
        }
        (_, []) => String::new(),
        (_, at) => format!("it belongs below {}", at.join(" or ")),
    }
}
