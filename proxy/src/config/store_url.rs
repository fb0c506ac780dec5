//! `[store]`: where codes, clicks and conversions last.

use super::{
    keys,
    reader::{Place, Section, quoted},
    secrets::Secrets,
};
use std::{fmt, path::Path};
use toml::de::DeValue;

const HINT: &str = "write redis://HOST:PORT, redis+sentinel://HOST:PORT,HOST:PORT/NAME or redis+cluster://HOST:PORT,HOST:PORT";
const DEFAULT: &str = "sqlite:usher.db";
/// Each with TLS as well: `rediss…`.
const SCHEMES: [&str; 3] = ["redis://", "redis+sentinel://", "redis+cluster://"];

/// The address of a store. It may hold a password, so it is shown without.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct StoreUrl(String);

impl StoreUrl {
    /// The embedded store's file.
    #[must_use]
    pub(crate) fn file(&self) -> Option<&Path> {
        self.0.strip_prefix("sqlite:").map(Path::new)
    }

    /// All of it, for the one who opens the store.
    #[must_use]
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match credentials(&self.0) {
            Some((scheme, _, rest)) => write!(f, "{scheme}://…@{rest}"),
            None => f.write_str(&self.0),
        }
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Besides a text, the address may be `{ env = … }` or `{ file = … }`, since it may hold a password.
pub(super) fn read(root: &Section<'_>, secrets: &Secrets<'_>) -> Option<StoreUrl> {
    let section = match root.section("store", keys::STORE) {
        Some(section) => section,
        None => return sqlite(root.place(), DEFAULT.trim_start_matches("sqlite:"), secrets.folder),
    };
    let Some((place, value)) = section.get("url") else {
        return sqlite(section.place(), DEFAULT.trim_start_matches("sqlite:"), secrets.folder);
    };
    let url = match value.get_ref() {
        DeValue::String(text) => {
            if credentials(text).is_some_and(|(_, user, _)| user.contains(':')) {
                place.warn("holds a password in clear", "write { env = \"NAME\" } or { file = \"PATH\" }");
            }
            text.to_string()
        }
        _ => secrets.written(&place, value)?,
    };
    if let Some(path) = url.strip_prefix("sqlite:") {
        return sqlite(&place, path, secrets.folder);
    }
    let plain = url.strip_prefix("rediss").map(|rest| format!("redis{rest}"));
    let plain = plain.as_deref().unwrap_or(&url);
    if SCHEMES.iter().any(|scheme| plain.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty())) {
        return match usher_store::check_url(&url) {
            Ok(()) => Some(StoreUrl(url)),
            Err(why) => place.refuse(why.to_string().trim_start_matches("store url: ").to_owned(), HINT),
        };
    }
    let mend = format!("write sqlite:FILE or one of {}", SCHEMES.join(", "));
    // What came from outside the file may be a password alone.
    let shown = if matches!(value.get_ref(), DeValue::String(_)) && credentials(&url).is_none() {
        format!("is {}", quoted(&url))
    } else {
        "is no store's address".to_owned()
    };
    place.refuse(shown, mend)
}

/// A relative path begins at the configuration file's folder: `usher codes` must find the file that `usher serve`
/// writes, wherever each was started.
fn sqlite(place: &Place<'_>, path: &str, folder: &Path) -> Option<StoreUrl> {
    let path = path.strip_prefix("//").unwrap_or(path);
    if path.is_empty() {
        return place.refuse("names no file", "write sqlite:usher.db");
    }
    if path.starts_with(":memory:") {
        return place.refuse("would forget every conversion at a restart", "write sqlite:usher.db");
    }
    if path.starts_with('~') {
        return place.refuse("begins with '~', which is not looked up here", "write the whole path");
    }
    match folder.join(path).to_str() {
        Some(full) => Some(StoreUrl(format!("sqlite:{full}"))),
        None => place.refuse("lies below a folder whose name is not UTF-8", "give the whole path"),
    }
}

/// Scheme, user and password, and the rest, when there is a user or password.
fn credentials(url: &str) -> Option<(&str, &str, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    // A password may hold '/' when it was not escaped: look further for its end then.
    let at = authority.rfind('@').or_else(|| rest.rfind('@'))?;
    Some((scheme, &rest[..at], &rest[at + 1..]))
}
