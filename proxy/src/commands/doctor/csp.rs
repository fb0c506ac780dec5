//! Content-Security-Policy as browsers match it (<https://www.w3.org/TR/CSP3/>): what a page may load, and whom it may call.

use percent_encoding::percent_decode_str;
use url::Url;

/// One policy. Where a page has several, all of them must allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Policy {
    directives: Vec<(String, Vec<String>)>,
    /// It only reports.
    pub(super) is_report_only: bool,
}

/// A script tag, as the page's markup has it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Script<'a> {
    pub(super) url: &'a Url,
    pub(super) nonce: Option<&'a str>,
    pub(super) integrity: Option<&'a str>,
}

/// The policies of one header field, or of one `<meta>`. A comma begins another policy; of a directive's repetitions the first
/// counts.
pub(super) fn parse(text: &str, is_report_only: bool) -> Vec<Policy> {
    let policies = text.split(',').map(|policy| {
        let mut directives: Vec<(String, Vec<String>)> = Vec::new();
        for directive in policy.split(';') {
            let mut words = directive.split_ascii_whitespace();
            let Some(name) = words.next().map(str::to_ascii_lowercase) else { continue };
            if directives.iter().all(|(earlier, _)| *earlier != name) {
                directives.push((name, words.map(str::to_owned).collect()));
            }
        }
        Policy { directives, is_report_only }
    });
    policies.filter(|policy| !policy.directives.is_empty()).collect()
}

impl Policy {
    /// Whether the page runs the script.
    ///
    /// # Errors
    /// The directive that forbids it, as it stands there.
    pub(super) fn script(&self, page: &Url, script: Script<'_>) -> Result<(), String> {
        let Some((name, sources)) = self.first(&["script-src-elem", "script-src", "default-src"]) else {
            return Ok(());
        };
        let nonce = script.nonce.filter(|nonce| !nonce.is_empty());
        let by_nonce = nonce.is_some_and(|nonce| holds(sources, &format!("'nonce-{nonce}'")));
        // What the parser inserts needs a nonce or a hash there; the addresses in the list count for nothing.
        let by_address = || !has(sources, "'strict-dynamic'") && matches(sources, script.url, page);
        if by_nonce || by_hash(sources, script.integrity) || by_address() {
            Ok(())
        } else {
            Err(shown(name, sources))
        }
    }

    /// Whether the page may call the address (`fetch`, `sendBeacon`).
    ///
    /// # Errors
    /// As [`Policy::script`].
    pub(super) fn connect(&self, page: &Url, url: &Url) -> Result<(), String> {
        match self.first(&["connect-src", "default-src"]) {
            Some((name, sources)) if !matches(sources, url, page) => Err(shown(name, sources)),
            _ => Ok(()),
        }
    }

    /// Whether the page may start a worker from the address.
    ///
    /// # Errors
    /// As [`Policy::script`].
    pub(super) fn worker(&self, page: &Url, url: &Url) -> Result<(), String> {
        let Some((name, sources)) = self.first(&["worker-src", "child-src", "script-src", "default-src"])
        else {
            return Ok(());
        };
        // A script started it, which such a list trusts.
        let trusted = name == "script-src" && has(sources, "'strict-dynamic'");
        if trusted || matches(sources, url, page) { Ok(()) } else { Err(shown(name, sources)) }
    }

    /// Whether WebAssembly is compiled.
    pub(super) fn wasm(&self) -> bool {
        self.first(&["script-src", "default-src"])
            .is_none_or(|(_, sources)| has(sources, "'wasm-unsafe-eval'") || has(sources, "'unsafe-eval'"))
    }

    /// Whether a script may make a trusted-types policy of this name
    /// (<https://www.w3.org/TR/trusted-types/#trusted-types-csp-directive>).
    ///
    /// # Errors
    /// As [`Policy::script`].
    pub(super) fn trusted_types(&self, policy: &str) -> Result<(), String> {
        match self.first(&["trusted-types"]) {
            Some((name, names)) if !holds(names, policy) && !has(names, "*") => Err(shown(name, names)),
            _ => Ok(()),
        }
    }

    /// What a `sandbox` takes from the page that scripts and cookies need.
    pub(super) fn sandbox(&self) -> Option<&'static str> {
        let (_, words) = self.first(&["sandbox"])?;
        let lacks = |word: &&'static str| !has(words, word);
        ["allow-scripts", "allow-same-origin"].into_iter().find(lacks)
    }

    /// The first of these directives that is there: the others stand in for it.
    fn first(&self, names: &[&str]) -> Option<(&str, &[String])> {
        names.iter().find_map(|wanted| {
            let found = self.directives.iter().find(|(name, _)| name == wanted)?;
            Some((found.0.as_str(), found.1.as_slice()))
        })
    }
}

fn shown(name: &str, sources: &[String]) -> String {
    format!("{name} {}", sources.join(" ")).trim_end().to_owned()
}

/// Keywords are compared without regard to case, nonces and hashes with it.
fn has(sources: &[String], keyword: &str) -> bool {
    sources.iter().any(|source| source.eq_ignore_ascii_case(keyword))
}

fn holds(sources: &[String], exact: &str) -> bool {
    sources.iter().any(|source| source == exact)
}

/// Every digest on the tag stands in the list. Base64's two alphabets are the same to browsers.
fn by_hash(sources: &[String], integrity: Option<&str>) -> bool {
    let plain = |text: &str| text.replace('-', "+").replace('_', "/");
    let known = |digest: &str| {
        let Some((kind, value)) = digest.split('?').next().and_then(|digest| digest.split_once('-')) else {
            return false;
        };
        sources.iter().any(|source| {
            let inner = source.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
            inner.and_then(|inner| inner.split_once('-')).is_some_and(|(listed, hash)| {
                listed.eq_ignore_ascii_case(kind) && plain(hash) == plain(value)
            })
        })
    };
    let mut digests = integrity.unwrap_or_default().split_ascii_whitespace().peekable();
    digests.peek().is_some() && digests.all(known)
}

fn matches(sources: &[String], url: &Url, page: &Url) -> bool {
    sources.iter().any(|source| source_matches(source, url, page))
}

fn source_matches(source: &str, url: &Url, page: &Url) -> bool {
    if source == "*" {
        return matches!(url.scheme(), "http" | "https" | "ws" | "wss") || url.scheme() == page.scheme();
    }
    if source.eq_ignore_ascii_case("'self'") {
        return is_self(url, page);
    }
    if source.starts_with('\'') {
        return false;
    }
    if let Some(scheme) = source.strip_suffix(':')
        && !scheme.contains(['/', '.', ':'])
    {
        return upgrades(scheme, url.scheme());
    }
    host_source(source, url, page)
}

/// The page's own origin, also by a safer scheme at the usual ports.
fn is_self(url: &Url, page: &Url) -> bool {
    if url.origin() == page.origin() {
        return true;
    }
    let usual = |url: &Url| url.port().is_none();
    let safer = matches!(url.scheme(), "https" | "wss") || (page.scheme(), url.scheme()) == ("http", "ws");
    let ports = url.port() == page.port() || (usual(url) && usual(page));
    url.host_str() == page.host_str() && ports && safer
}

/// Whether a list that says `listed` means `used` too.
fn upgrades(listed: &str, used: &str) -> bool {
    let listed = listed.to_ascii_lowercase();
    listed == used
        || matches!(
            (listed.as_str(), used),
            ("http", "https") | ("ws", "wss" | "http" | "https") | ("wss", "https")
        )
}

/// `[scheme://]host[:port][path]`
fn host_source(source: &str, url: &Url, page: &Url) -> bool {
    let (scheme, rest) = match source.split_once("://") {
        Some((scheme, rest)) => (Some(scheme), rest),
        None => (None, source),
    };
    let (authority, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    };
    upgrades(scheme.unwrap_or(page.scheme()), url.scheme())
        && host_matches(host, url.host_str().unwrap_or_default())
        && port_matches(port, url)
        && path_matches(path, url.path())
}

fn host_matches(listed: &str, host: &str) -> bool {
    let listed = listed.to_ascii_lowercase();
    match listed.strip_prefix('*') {
        Some("") => true,
        Some(parent) => parent.starts_with('.') && host.ends_with(parent),
        None => listed == host,
    }
}

fn port_matches(listed: Option<&str>, url: &Url) -> bool {
    match listed {
        None => url.port().is_none(),
        Some("*") => true,
        Some(listed) => {
            let port = url.port_or_known_default();
            listed.parse().ok() == port || (listed == "80" && port == Some(443))
        }
    }
}

/// A path that ends with a slash stands for all below it.
fn path_matches(listed: &str, path: &str) -> bool {
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let (listed, path) = (decoded(listed), decoded(path));
    match listed.as_str() {
        "" => true,
        _ if listed.ends_with('/') => path.starts_with(&listed),
        _ => path == listed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn url(text: &str) -> Url {
        Url::parse(text).expect("a URL")
    }

    const PAGE: &str = "https://shop.com/sale";
    const OWN: &str = "https://shop.com/r/a.js";
    const SUB: &str = "https://go.shop.com/r/a.js";

    fn allows(policy: &str, page: &str, script: &str, nonce: Option<&str>, integrity: Option<&str>) -> bool {
        let (page, script) = (url(page), url(script));
        let script = Script { url: &script, nonce, integrity };
        parse(policy, false).iter().all(|policy| policy.script(&page, script).is_ok())
    }

    #[test]
    fn scripts_by_their_address() {
        for (policy, script, allowed) in [
            ("", OWN, true),
            ("img-src 'none'", OWN, true),
            ("default-src 'self'", OWN, true),
            ("default-src 'self'", SUB, false),
            ("default-src 'none'", OWN, false),
            ("script-src", OWN, false),
            ("script-src 'none'", OWN, false),
            ("script-src 'none' 'self'", OWN, true),
            ("SCRIPT-SRC 'SELF'", OWN, true),
            ("default-src 'none'; script-src 'self'", OWN, true),
            ("script-src 'none'; script-src-elem 'self'", OWN, true),
            ("script-src 'self'; script-src-elem 'none'", OWN, false),
            ("script-src 'none'; script-src 'self'", OWN, false),
            ("script-src 'self', script-src 'none'", OWN, false),
            ("script-src 'self', img-src 'none'", OWN, true),
            ("script-src *", SUB, true),
            ("script-src https:", SUB, true),
            ("script-src http:", SUB, true),
            ("script-src data: blob:", SUB, false),
            ("script-src go.shop.com", SUB, true),
            ("script-src GO.SHOP.COM", SUB, true),
            ("script-src shop.com", SUB, false),
            ("script-src *.shop.com", SUB, true),
            ("script-src *.shop.com", OWN, false),
            ("script-src https://go.shop.com", SUB, true),
            ("script-src http://go.shop.com", SUB, true),
            ("script-src wss://go.shop.com", SUB, true),
            ("script-src ftp://go.shop.com", SUB, false),
            ("script-src go.shop.com:443", SUB, true),
            ("script-src go.shop.com:80", SUB, true),
            ("script-src go.shop.com:8443", SUB, false),
            ("script-src go.shop.com:*", "https://go.shop.com:8443/r/a.js", true),
            ("script-src go.shop.com", "https://go.shop.com:8443/r/a.js", false),
            ("script-src go.shop.com:8443", "https://go.shop.com:8443/r/a.js", true),
            ("script-src 'self'", "https://shop.com:8443/r/a.js", false),
            ("script-src go.shop.com/", SUB, true),
            ("script-src go.shop.com/r/", SUB, true),
            ("script-src go.shop.com/r", SUB, false),
            ("script-src go.shop.com/r/a.js", SUB, true),
            ("script-src go.shop.com/r/%61.js", SUB, true),
            ("script-src go.shop.com/x/", SUB, false),
            ("script-src 'unsafe-inline' 'unsafe-eval'", OWN, false),
            ("require-trusted-types-for 'script'", OWN, true),
        ] {
            assert_eq!(allows(policy, PAGE, script, None, None), allowed, "{policy} | {script}");
        }
        assert!(allows("script-src 'self'", "http://shop.com/", "https://shop.com/r/a.js", None, None));
        assert!(allows("script-src go.shop.com", "http://shop.com/", SUB, None, None));
        assert!(!allows("script-src go.shop.com", PAGE, "http://go.shop.com/r/a.js", None, None));
        assert!(!allows("script-src 'self'", PAGE, "http://shop.com/r/a.js", None, None));
        assert!(allows(
            "script-src [::1]:8080",
            "http://[::1]:8080/",
            "http://[::1]:8080/r/a.js",
            None,
            None
        ));
    }

    #[test]
    fn scripts_by_nonce_and_hash() {
        let digest = Some("sha384-abc+/=");
        for (policy, nonce, integrity, allowed) in [
            ("script-src 'nonce-x'", Some("x"), None, true),
            ("script-src 'nonce-x'", Some("X"), None, false),
            ("script-src 'nonce-x'", None, None, false),
            ("script-src 'nonce-'", Some(""), None, false),
            ("script-src 'nonce-x' 'strict-dynamic'", Some("x"), None, true),
            ("script-src 'self' 'strict-dynamic'", None, None, false),
            ("script-src 'self' 'nonce-x'", None, None, true),
            ("script-src https: 'nonce-x' 'strict-dynamic'", None, None, false),
            ("script-src 'sha384-abc+/='", None, digest, true),
            ("script-src 'sha384-abc-_='", None, digest, true),
            ("script-src 'SHA384-abc+/='", None, digest, true),
            ("script-src 'sha256-abc+/='", None, digest, false),
            ("script-src 'sha384-abc+/='", None, Some("sha384-abc+/= sha512-x"), false),
            ("script-src 'sha384-abc+/=' 'sha512-x'", None, Some("sha384-abc+/= sha512-x?ct=a"), true),
            ("script-src 'sha384-abc+/='", None, Some(" "), false),
            ("script-src 'sha384-abc+/=' 'strict-dynamic'", None, digest, true),
        ] {
            assert_eq!(
                allows(policy, PAGE, OWN, nonce, integrity),
                allowed,
                "{policy} {nonce:?} {integrity:?}"
            );
        }
    }

    #[test]
    fn calls_workers_and_webassembly() {
        let (page, own, sub) = (url(PAGE), url("https://shop.com/r/x"), url("https://go.shop.com/r/x"));
        // what may be called: own and subdomain; worker of our own; WebAssembly
        for (policy, expected) in [
            ("", [true, true, true, true]),
            ("default-src 'self'", [true, false, true, false]),
            ("default-src 'none'", [false, false, false, false]),
            ("default-src 'none'; connect-src 'self'", [true, false, false, false]),
            ("connect-src 'none'", [false, false, true, true]),
            ("connect-src https://go.shop.com", [false, true, true, true]),
            ("connect-src 'self' *.shop.com", [true, true, true, true]),
            ("script-src 'self'", [true, true, true, false]),
            ("script-src 'self' 'wasm-unsafe-eval'", [true, true, true, true]),
            ("script-src 'self' 'unsafe-eval'", [true, true, true, true]),
            ("script-src 'self' 'wasm-eval'", [true, true, true, false]),
            ("script-src 'self' 'unsafe-inline'", [true, true, true, false]),
            ("script-src 'nonce-x' 'strict-dynamic'", [true, true, true, false]),
            ("script-src 'nonce-x'", [true, true, false, false]),
            ("script-src-elem 'self'", [true, true, true, true]),
            ("script-src-elem 'self'; default-src 'self'", [true, false, true, false]),
            ("worker-src 'none'", [true, true, false, true]),
            ("worker-src blob:", [true, true, false, true]),
            ("child-src 'none'", [true, true, false, true]),
            ("child-src 'none'; worker-src 'self'", [true, true, true, true]),
            ("worker-src /r/", [true, true, false, true]),
            ("worker-src shop.com/r/", [true, true, true, true]),
            ("object-src 'none'; base-uri 'none'", [true, true, true, true]),
            ("default-src 'self' 'wasm-unsafe-eval'", [true, false, true, true]),
        ] {
            let policies = parse(policy, false);
            let all = |allows: &dyn Fn(&Policy) -> bool| policies.iter().all(allows);
            let found = [
                all(&|policy| policy.connect(&page, &own).is_ok()),
                all(&|policy| policy.connect(&page, &sub).is_ok()),
                all(&|policy| policy.worker(&page, &own).is_ok()),
                all(&Policy::wasm),
            ];
            assert_eq!(found, expected, "{policy}");
        }
    }

    #[test]
    fn trusted_types_and_sandboxes() {
        for (policy, named, lacks) in [
            ("trusted-types referral", true, None),
            ("trusted-types *", true, None),
            ("trusted-types a referral 'allow-duplicates'", true, None),
            ("trusted-types 'none'", false, None),
            ("trusted-types", false, None),
            ("trusted-types Referral", false, None),
            ("require-trusted-types-for 'script'", true, None),
            ("sandbox", true, Some("allow-scripts")),
            ("sandbox allow-scripts", true, Some("allow-same-origin")),
            ("sandbox allow-scripts allow-same-origin", true, None),
        ] {
            let policy = &parse(policy, false)[0];
            assert_eq!(
                (policy.trusted_types("referral").is_ok(), policy.sandbox()),
                (named, lacks),
                "{policy:?}"
            );
        }
    }

    #[test]
    fn what_forbids_is_named() {
        let policy = &parse("default-src 'self'; script-src  https://cdn.com  'nonce-x'", false)[0];
        let script = Script { url: &url(OWN), nonce: None, integrity: None };
        assert_eq!(policy.script(&url(PAGE), script), Err("script-src https://cdn.com 'nonce-x'".to_owned()));
        assert_eq!(policy.connect(&url(PAGE), &url(SUB)), Err("default-src 'self'".to_owned()));
        assert!(parse(" ; ,", false).is_empty());
    }

    proptest! {
        #[test]
        fn no_policy_panics(text in "[a-z'*:/.%;, -]{0,60}", any in "\\PC{0,40}") {
            for text in [text, any] {
                let script = url(SUB);
                for policy in parse(&format!("script-src {text}; {text}"), false) {
                    let _ = policy.script(&url(PAGE), Script { url: &script, nonce: Some(&text), integrity: Some(&text) });
                    let _ = (policy.connect(&url(PAGE), &script), policy.worker(&url(PAGE), &script), policy.wasm());
                }
            }
        }
    }
}
