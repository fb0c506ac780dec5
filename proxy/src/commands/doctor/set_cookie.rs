//! `Set-Cookie` as browsers read and keep it (RFC 6265bis section 5.6 and 5.7,
//! <https://datatracker.ietf.org/doc/html/draft-ietf-httpbis-rfc6265bis>).

use std::net::IpAddr;

/// Browsers keep nothing longer (RFC 6265bis section 5.5).
pub(super) const MAX_DAYS: i64 = 400;
/// Name and value together.
const PAIR_BYTES: usize = 4_096;
/// One attribute's value; longer ones are passed over.
const ATTRIBUTE_BYTES: usize = 1_024;

/// Which sites' requests carry it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum SameSite {
    Strict,
    Lax,
    None,
    #[default]
    /// It does not say: Chromium takes that for `Lax`, the others for `None`.
    Unsaid,
}

/// How long it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    /// Until the browser is closed.
    Session,
    /// So many seconds, as the server says; browsers cap it at [`MAX_DAYS`].
    Seconds(i64),
    /// It removes a cookie.
    Gone,
}

/// A cookie that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) name: String,
    pub(super) value: String,
    /// The domain whose hosts get it; `None` when the host alone does.
    pub(super) domain: Option<String>,
    pub(super) path: String,
    pub(super) life: Life,
    pub(super) secure: bool,
    pub(super) http_only: bool,
    pub(super) same_site: SameSite,
}

/// What answered: browsers judge a cookie by where it came from.
#[derive(Clone, Copy, Debug)]
pub(super) struct From<'a> {
    pub(super) host: &'a str,
    pub(super) path: &'a str,
    pub(super) https: bool,
    /// Seconds since 1970, for `Expires`.
    pub(super) now_s: i64,
}

/// Reads one field.
///
/// # Errors
/// Why browsers refuse it.
pub(super) fn keep(field: &str, from: From<'_>) -> Result<Kept, String> {
    if field.bytes().any(|b| b.is_ascii_control() && b != b'\t') {
        return Err("it holds a control character".to_owned());
    }
    let (pair, attributes) = field.split_once(';').unwrap_or((field, ""));
    let (name, value) = pair.split_once('=').unwrap_or(("", pair));
    let (name, value) = (name.trim(), value.trim());
    if name.is_empty() && value.is_empty() {
        return Err("it has neither name nor value".to_owned());
    }
    if name.len() + value.len() > PAIR_BYTES {
        return Err(format!("name and value are longer than {PAIR_BYTES} bytes"));
    }
    let mut read = Attributes::default();
    attributes.split(';').for_each(|attribute| read.take(attribute));
    let kept = Kept {
        name: name.to_owned(),
        value: value.to_owned(),
        domain: domain(read.domain.as_deref(), from.host)?,
        path: path(read.path.as_deref(), from.path),
        life: read.life(from.now_s),
        secure: read.secure,
        http_only: read.http_only,
        same_site: read.same_site,
    };
    admit(kept, &read, from)
}

/// Whether a request to `host` carries it.
pub(super) fn covers(kept: &Kept, set_by: &str, host: &str) -> bool {
    match &kept.domain {
        Some(domain) => matches(host, domain),
        None => host == set_by,
    }
}

#[derive(Default)]
struct Attributes {
    domain: Option<String>,
    path: Option<String>,
    max_age: Option<i64>,
    expires: Option<i64>,
    secure: bool,
    http_only: bool,
    same_site: SameSite,
}

impl Attributes {
    /// Of several of a kind, the last one counts.
    fn take(&mut self, attribute: &str) {
        let (name, value) = attribute.split_once('=').unwrap_or((attribute, ""));
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
        if value.len() > ATTRIBUTE_BYTES {
            return;
        }
        match name.as_str() {
            "domain" => self.domain = Some(value.to_ascii_lowercase()),
            "path" => self.path = Some(value.to_owned()),
            "max-age" => self.max_age = seconds(value).or(self.max_age),
            "expires" => self.expires = date(value).or(self.expires),
            "secure" => self.secure = true,
            "httponly" => self.http_only = true,
            "samesite" => {
                self.same_site = match value.to_ascii_lowercase().as_str() {
                    "strict" => SameSite::Strict,
                    "lax" => SameSite::Lax,
                    "none" => SameSite::None,
                    _ => SameSite::Unsaid,
                }
            }
            _ => {}
        }
    }

    fn life(&self, now_s: i64) -> Life {
        match self.max_age.or_else(|| self.expires.map(|at| at.saturating_sub(now_s))) {
            None => Life::Session,
            Some(seconds) if seconds > 0 => Life::Seconds(seconds),
            Some(_) => Life::Gone,
        }
    }
}

/// What is refused for how its parts go together.
fn admit(kept: Kept, read: &Attributes, from: From<'_>) -> Result<Kept, String> {
    let refuse = |why: &str| Err(why.to_owned());
    if kept.secure && !from.https {
        return refuse("it is Secure and came by plain http");
    }
    if kept.same_site == SameSite::None && !kept.secure {
        return refuse("SameSite=None needs Secure");
    }
    let text = if kept.name.is_empty() { &kept.value } else { &kept.name };
    let begins =
        |prefix: &str| text.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix));
    let of_host = kept.domain.is_none() && read.path.as_deref() == Some("/");
    if kept.name.is_empty() && ["__Host-", "__Secure-", "__Http-"].into_iter().any(begins) {
        return refuse("it has no name, and its value looks like a prefixed one");
    }
    if ["__Host-", "__Secure-", "__Http-"].into_iter().any(begins) && !kept.secure {
        return refuse("its prefix demands Secure");
    }
    if begins("__Host-") && !of_host {
        return refuse("__Host- demands Path=/ and no Domain");
    }
    if (begins("__Http-") || begins("__Host-Http-")) && !kept.http_only {
        return refuse("its prefix demands HttpOnly");
    }
    Ok(kept)
}

/// A public suffix is refused, unless it is the very host; then the cookie is the host's alone.
fn domain(written: Option<&str>, host: &str) -> Result<Option<String>, String> {
    let Some(written) = written else { return Ok(None) };
    let domain = written.strip_prefix('.').unwrap_or(written);
    if domain.is_empty() {
        return Ok(None);
    }
    if host.parse::<IpAddr>().is_ok() {
        return if domain == host { Ok(None) } else { Err(format!("Domain={domain} on an address")) };
    }
    // A name without a registrable domain is a public suffix, or a name of one label.
    if psl::domain(domain.as_bytes()).is_none() {
        return if domain == host {
            Ok(None)
        } else {
            Err(format!("Domain={domain} is a public suffix: everybody there would get it"))
        };
    }
    if matches(host, domain) {
        Ok(Some(domain.to_owned()))
    } else {
        Err(format!("Domain={domain} is not where it came from, {host}"))
    }
}

fn matches(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// The written path, or the folder of the request's.
fn path(written: Option<&str>, request: &str) -> String {
    match written {
        Some(path) if path.starts_with('/') => path.to_owned(),
        _ => match request.rsplit_once('/') {
            Some((folder, _)) if folder.starts_with('/') => folder.to_owned(),
            _ => "/".to_owned(),
        },
    }
}

/// Digits, with a minus perhaps; more than fit are all there are.
fn seconds(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let most = if text.starts_with('-') { i64::MIN } else { i64::MAX };
    Some(text.parse().unwrap_or(most))
}

/// The forms that servers write; browsers read wilder ones.
fn date(text: &str) -> Option<i64> {
    let spaced = text.replace('-', " ");
    let at = httpdate::parse_http_date(text).or_else(|_| httpdate::parse_http_date(&spaced)).ok()?;
    let seconds = at.duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    i64::try_from(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW_S: i64 = 1_764_000_000; // 2025-11-24T16:00:00Z

    fn at(host: &'static str, https: bool, field: &str) -> Result<Kept, String> {
        keep(field, From { host, path: "/r/track", https, now_s: NOW_S })
    }

    fn shown(kept: &Kept) -> String {
        let life = match kept.life {
            Life::Session => "session".to_owned(),
            Life::Gone => "gone".to_owned(),
            Life::Seconds(seconds) => seconds.to_string(),
        };
        let mut text = format!("{}={} {} {life}", kept.name, kept.value, kept.path);
        text += &kept.domain.as_ref().map_or(String::new(), |domain| format!(" .{domain}"));
        for (is, word) in [(kept.secure, " secure"), (kept.http_only, " http-only")] {
            text += if is { word } else { "" };
        }
        match kept.same_site {
            SameSite::Unsaid => text,
            said => format!("{text} {said:?}"),
        }
    }

    #[test]
    fn what_browsers_keep() {
        for (host, https, field, kept) in [
            ("go.shop.com", true, "a=b", "a=b /r session"),
            ("go.shop.com", true, " a = b ; Path=/", "a=b / session"),
            ("go.shop.com", true, "a=b; path=x", "a=b /r session"),
            ("go.shop.com", true, "a=b=c; Path=/; Path=/x", "a=b=c /x session"),
            ("go.shop.com", true, "a=; Path=/", "a= / session"),
            ("go.shop.com", true, "b", "=b /r session"),
            ("go.shop.com", true, "=b", "=b /r session"),
            ("go.shop.com", true, "a=b; Domain=shop.com", "a=b /r session .shop.com"),
            ("go.shop.com", true, "a=b; domain=.SHOP.com", "a=b /r session .shop.com"),
            ("go.shop.com", true, "a=b; Domain=go.shop.com", "a=b /r session .go.shop.com"),
            ("go.shop.com", true, "a=b; Domain=", "a=b /r session"),
            ("go.shop.com", true, "a=b; Domain=x.com; Domain=shop.com", "a=b /r session .shop.com"),
            ("a.github.io", true, "a=b; Domain=a.github.io", "a=b /r session .a.github.io"),
            ("github.io", true, "a=b; Domain=github.io", "a=b /r session"),
            ("localhost", false, "a=b; Domain=localhost", "a=b /r session"),
            ("127.0.0.1", false, "a=b; Domain=127.0.0.1", "a=b /r session"),
            ("shop.com", true, "a=b; Max-Age=60; Expires=Mon, 24 Nov 2025 16:01:40 GMT", "a=b /r 60"),
            ("shop.com", true, "a=b; Expires=Mon, 24 Nov 2025 16:01:40 GMT", "a=b /r 100"),
            ("shop.com", true, "a=b; Expires=Mon, 24-Nov-2025 16:01:40 GMT", "a=b /r 100"),
            ("shop.com", true, "a=b; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "a=b /r gone"),
            ("shop.com", true, "a=b; Expires=tomorrow", "a=b /r session"),
            ("shop.com", true, "a=b; Max-Age=0", "a=b /r gone"),
            ("shop.com", true, "a=b; Max-Age=-1", "a=b /r gone"),
            ("shop.com", true, "a=b; Max-Age=1.5", "a=b /r session"),
            ("shop.com", true, "a=b; Max-Age=99999999999999999999", "a=b /r 9223372036854775807"),
            ("shop.com", true, "a=b; Secure; HttpOnly; SameSite=Lax", "a=b /r session secure http-only Lax"),
            ("shop.com", true, "a=b; samesite=NONE; secure", "a=b /r session secure None"),
            ("shop.com", true, "a=b; SameSite=Lax; SameSite=Strict", "a=b /r session Strict"),
            ("shop.com", true, "a=b; SameSite=maybe", "a=b /r session"),
            ("shop.com", true, "a=b; Partitioned; Priority=High", "a=b /r session"),
            ("shop.com", true, "__Secure-a=b; Secure", "__Secure-a=b /r session secure"),
            ("shop.com", true, "__Host-a=b; Secure; Path=/", "__Host-a=b / session secure"),
            ("shop.com", true, "__Http-a=b; Secure; HttpOnly", "__Http-a=b /r session secure http-only"),
        ] {
            assert_eq!(at(host, https, field).map(|kept| shown(&kept)).as_deref(), Ok(kept), "{field}");
        }
    }

    #[test]
    fn what_browsers_refuse() {
        let long = format!("a={}", "b".repeat(PAIR_BYTES));
        for (host, https, field, why) in [
            ("shop.com", true, "", "neither"),
            ("shop.com", true, "=; Path=/", "neither"),
            ("shop.com", true, "a=b\u{1}", "control"),
            ("shop.com", true, "a=b; Path=/\r", "control"),
            ("shop.com", true, long.as_str(), "longer"),
            ("shop.com", true, "a=b; Domain=com", "public suffix"),
            ("www.shop.co.uk", true, "a=b; Domain=co.uk", "public suffix"),
            ("a.github.io", true, "a=b; Domain=github.io", "public suffix"),
            ("x.localhost", true, "a=b; Domain=localhost", "public suffix"),
            ("shop.com", true, "a=b; Domain=go.shop.com", "not where"),
            ("shop.com", true, "a=b; Domain=hop.com", "not where"),
            ("shop.com", true, "a=b; Domain=other.com", "not where"),
            ("127.0.0.1", true, "a=b; Domain=0.0.1", "address"),
            ("shop.com", false, "a=b; Secure", "plain http"),
            ("shop.com", false, "__Secure-a=b; Secure", "plain http"),
            ("shop.com", true, "a=b; SameSite=None", "needs Secure"),
            ("shop.com", true, "__Secure-a=b", "demands Secure"),
            ("shop.com", true, "__secure-a=b", "demands Secure"),
            ("shop.com", true, "__Host-a=b; Path=/", "demands Secure"),
            ("shop.com", true, "__Host-a=b; Secure", "no Domain"),
            ("shop.com", true, "__Host-a=b; Secure; Path=/r", "no Domain"),
            ("shop.com", true, "__Host-a=b; Secure; Path=/; Domain=shop.com", "no Domain"),
            ("shop.com", true, "__Http-a=b; Secure", "HttpOnly"),
            ("shop.com", true, "__Host-Http-a=b; Secure; Path=/", "HttpOnly"),
            ("shop.com", true, "=__Host-a; Secure; Path=/", "no name"),
        ] {
            let said = at(host, https, field).expect_err(field);
            assert!(said.contains(why), "{field}: {said}");
        }
    }

    #[test]
    fn who_gets_it() {
        let kept = at("go.shop.com", true, "a=b; Domain=shop.com").expect("kept");
        for (host, gets) in
            [("shop.com", true), ("www.shop.com", true), ("xshop.com", false), ("other.com", false)]
        {
            assert_eq!(covers(&kept, "go.shop.com", host), gets, "{host}");
        }
        let own = at("go.shop.com", true, "a=b").expect("kept");
        assert!(covers(&own, "go.shop.com", "go.shop.com") && !covers(&own, "go.shop.com", "shop.com"));
    }

    proptest! {
        #[test]
        fn reading_never_panics(field in "\\PC{0,80}", attribute in "(?i)(max-age|expires|domain|path|__host-)[=\\-:; 0-9a-z.,]{0,30}") {
            let _ = at("go.shop.com", true, &field);
            let _ = at("go.shop.com", true, &format!("a=b; {attribute}"));
            let _ = at("go.shop.com", true, &attribute);
        }
    }
}
