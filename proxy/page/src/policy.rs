//! What a page's Content-Security-Policy makes of our tag (<https://www.w3.org/TR/CSP3/>).
//!
//! A script that a policy forbids does nothing but send the merchant a report, so it is better left out. What counts is the
//! script itself, and that it may call the host that it comes from.

use http::{HeaderMap, HeaderName, header::CONTENT_SECURITY_POLICY};

const REPORT_ONLY: HeaderName = HeaderName::from_static("content-security-policy-report-only");

/// Every policy of one page. What is put into it has to please all of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Policies {
    enforced: Vec<Policy>,
    /// The nonces of policies that only report.
    tried: Vec<String>,
    /// There are such.
    reports: bool,
}

/// What policies make of a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It works, with this nonce if there is one.
    Allowed(Option<String>),
    /// It does not.
    Forbidden,
}

/// Where a tag would lie.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'t> {
    /// The page's host with its port, as the request names it.
    pub(crate) authority: &'t str,
    /// The script's path.
    pub(crate) path: &'t str,
    /// A path that the script calls.
    pub(crate) called: &'t str,
}

#[derive(Clone, Debug, Default)]
struct Policy {
    /// What governs `<script src>`; `None` allows everything.
    script: Option<Vec<String>>,
    /// What governs `fetch`.
    connect: Option<Vec<String>>,
    sandbox: Option<Vec<String>>,
}

impl Policies {
    /// Those of an answer's headers. Policies that only report forbid nothing, but their nonces are known.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let texts = |name: HeaderName| {
            let fields = headers.get_all(name).into_iter().map(|field| field.as_bytes());
            fields.map(|field| String::from_utf8_lossy(field).into_owned()).collect::<Vec<_>>()
        };
        let mut policies = Self::default();
        texts(CONTENT_SECURITY_POLICY).iter().for_each(|text| policies.add(text));
        for text in texts(REPORT_ONLY) {
            policies.reports = true;
            let read = text.split(',').map(Policy::read);
            policies.tried.extend(read.flat_map(|policy| policy.nonces().collect::<Vec<_>>()));
        }
        policies
    }

    /// Adds what a field or a `<meta>` holds: policies with commas between them.
    pub(crate) fn add(&mut self, text: &str) {
        self.enforced.extend(text.split(',').filter(|text| !text.trim().is_empty()).map(Policy::read));
    }

    /// Whether the page has any.
    pub(crate) fn any(&self) -> bool {
        self.reports || !self.enforced.is_empty()
    }

    /// What becomes of a tag that lies at `target`; `known` is the nonce that a script of the page has.
    pub(crate) fn judge(&self, target: Target<'_>, known: Option<&str>) -> Verdict {
        let enforced = self.enforced.iter().flat_map(Policy::nonces);
        let nonces = enforced.chain(self.tried.iter().cloned()).chain(known.map(str::to_owned));
        let mut tried = nonces.filter(|nonce| is_nonce(nonce)).map(Some).chain([None]);
        let good =
            tried.find(|nonce| self.enforced.iter().all(|policy| policy.allows(target, nonce.as_deref())));
        good.map_or(Verdict::Forbidden, Verdict::Allowed)
    }
}

/// A nonce's grammar (section 2.3.1), which is harmless in an attribute.
pub(crate) fn is_nonce(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'-' | b'_' | b'='))
}

impl Policy {
    /// One policy. Of a repeated directive the first counts.
    fn read(text: &str) -> Self {
        let directive = |wanted: &str| {
            text.split(';').find_map(|directive| {
                let mut words = directive.split_ascii_whitespace();
                let name = words.next()?;
                name.eq_ignore_ascii_case(wanted).then(|| words.map(str::to_owned).collect::<Vec<_>>())
            })
        };
        let others = || directive("default-src");
        Self {
            script: directive("script-src-elem").or_else(|| directive("script-src")).or_else(others),
            connect: directive("connect-src").or_else(others),
            sandbox: directive("sandbox"),
        }
    }

    fn nonces(&self) -> impl Iterator<Item = String> {
        let sources = self.script.iter().flatten();
        let quoted = sources.filter_map(|source| source.strip_prefix('\'')?.strip_suffix('\''));
        quoted.filter_map(|word| {
            let (kind, nonce) = word.split_once('-')?;
            kind.eq_ignore_ascii_case("nonce").then(|| nonce.to_owned())
        })
    }

    fn allows(&self, target: Target<'_>, nonce: Option<&str>) -> bool {
        self.allows_script(target, nonce) && self.allows_calls(target) && self.lets_scripts_work()
    }

    fn allows_script(&self, target: Target<'_>, nonce: Option<&str>) -> bool {
        let Some(sources) = &self.script else { return true };
        if nonce.is_some_and(|nonce| self.nonces().any(|own| own == nonce)) {
            return true;
        }
        // Then lists of hosts do not count (section 8.2).
        let strict = sources.iter().any(|source| source.eq_ignore_ascii_case("'strict-dynamic'"));
        !strict && sources.iter().any(|source| matches(source, target.authority, target.path))
    }

    fn allows_calls(&self, target: Target<'_>) -> bool {
        let Some(sources) = &self.connect else { return true };
        sources.iter().any(|source| matches(source, target.authority, target.called))
    }

    fn lets_scripts_work(&self) -> bool {
        let has = |words: &[String], wanted: &str| words.iter().any(|word| word.eq_ignore_ascii_case(wanted));
        self.sandbox
            .as_ref()
            .is_none_or(|words| has(words, "allow-scripts") && has(words, "allow-same-origin"))
    }
}

/// Whether a source expression covers `path` of the page's own host (section 6.7.2.8). The scheme is the page's, so an
/// expression with either of the two is taken for it.
fn matches(source: &str, authority: &str, path: &str) -> bool {
    let source = source.to_ascii_lowercase();
    match source.as_str() {
        "'self'" | "*" | "https:" | "http:" => return true,
        _ if source.starts_with('\'') || source.ends_with(':') => return false,
        _ => {}
    }
    let rest = match source.split_once("://") {
        Some(("https" | "http", rest)) => rest,
        Some(_) => return false,
        None => &source,
    };
    let (place, covered) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    covers_host(place, &authority.to_ascii_lowercase()) && covers_path(covered, &path.to_ascii_lowercase())
}

fn covers_host(pattern: &str, authority: &str) -> bool {
    let (host, port) = split_port(authority);
    let (wanted, wanted_port) = split_port(pattern);
    let name = match wanted.strip_prefix("*.") {
        Some(parent) => host.strip_suffix(parent).is_some_and(|left| left.len() > 1 && left.ends_with('.')),
        None => wanted == host,
    };
    let usual = |port: Option<&str>| matches!(port, None | Some("80" | "443"));
    name && (wanted_port == Some("*") || wanted_port == port || (usual(wanted_port) && usual(port)))
}

fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

/// A path that ends in a slash covers what is below it; any other, itself.
fn covers_path(covered: &str, path: &str) -> bool {
    matches!(covered, "" | "/") || covered == path || (covered.ends_with('/') && path.starts_with(covered))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;

    const TARGET: Target<'_> = Target { authority: "shop.example", path: "/r/x.js", called: "/r/k2" };

    fn judge(enforced: &[&str], tried: &[&str], known: Option<&str>) -> String {
        let mut headers = HeaderMap::new();
        for (name, texts) in [(CONTENT_SECURITY_POLICY, enforced), (REPORT_ONLY, tried)] {
            for text in texts {
                headers.append(&name, HeaderValue::from_str(text).expect("a value"));
            }
        }
        match Policies::of(&headers).judge(TARGET, known) {
            Verdict::Allowed(None) => "yes".to_owned(),
            Verdict::Allowed(Some(nonce)) => nonce,
            Verdict::Forbidden => "no".to_owned(),
        }
    }

    #[test]
    fn one_policy() {
        for (policy, wanted) in [
            ("", "yes"),
            ("img-src 'none'; object-src 'none'; base-uri 'none'", "yes"),
            ("default-src 'self'", "yes"),
            ("Default-Src 'SELF'", "yes"),
            ("default-src 'none'", "no"),
            ("default-src", "no"),
            ("script-src", "no"),
            ("script-src 'none'", "no"),
            ("script-src 'unsafe-inline'", "no"),
            ("script-src 'unsafe-inline' 'self'", "yes"),
            ("script-src *", "yes"),
            ("script-src https:", "yes"),
            ("script-src data: blob:", "no"),
            ("script-src https://cdn.example", "no"),
            ("script-src cdn.example shop.example", "yes"),
            ("script-src SHOP.example", "yes"),
            ("script-src https://shop.example:443", "yes"),
            ("script-src shop.example:8080", "no"),
            ("script-src shop.example:*", "yes"),
            ("script-src *.example", "yes"),
            ("script-src *.shop.example", "no"),
            ("script-src xshop.example", "no"),
            ("script-src wss://shop.example", "no"),
            ("script-src shop.example/", "yes"),
            ("script-src shop.example/r/", "yes"),
            ("script-src shop.example/r/x.js", "yes"),
            ("script-src shop.example/r", "no"),
            ("script-src shop.example/static/", "no"),
            ("script-src 'nonce-abc'", "abc"),
            ("script-src 'Nonce-aB+/-_=='", "aB+/-_=="),
            ("script-src 'self' 'nonce-abc'", "abc"),
            ("script-src 'nonce-abc' 'nonce-def'", "abc"),
            ("default-src 'self' 'nonce-abc'", "abc"),
            ("script-src 'nonce-abc' 'strict-dynamic' 'unsafe-inline' https:", "abc"),
            ("script-src 'strict-dynamic' 'sha256-x' 'self' https:", "no"),
            ("script-src 'sha256-abc'", "no"),
            ("script-src 'nonce-a\"><script>'", "no"),
            ("script-src 'nonce-'", "no"),
            ("script-src 'self'; script-src 'none'", "yes"),
            ("script-src 'none'; script-src 'self'", "no"),
            ("script-src 'none'; script-src-elem 'self'", "yes"),
            ("script-src 'self'; script-src-elem 'none'", "no"),
            ("script-src-attr 'none'; script-src 'self'", "yes"),
            ("script-src 'self'; connect-src 'none'", "no"),
            ("script-src 'self'; connect-src https://api.example", "no"),
            ("script-src 'self'; connect-src https://api.example 'self'", "yes"),
            ("default-src 'none'; script-src 'nonce-abc'", "no"),
            ("default-src 'none'; script-src 'nonce-abc'; connect-src 'self'", "abc"),
            ("sandbox", "no"),
            ("sandbox allow-scripts", "no"),
            ("sandbox allow-scripts allow-same-origin", "yes"),
            (";; ;script-src\t'self' ;", "yes"),
            ("upgrade-insecure-requests; require-trusted-types-for 'script'", "yes"),
        ] {
            assert_eq!(judge(&[policy], &[], None), wanted, "{policy}");
        }
    }

    #[test]
    fn all_policies_have_to_agree() {
        for (policies, wanted) in [
            (&["script-src 'self'", "default-src 'none'"][..], "no"),
            (&["script-src 'self'", "script-src 'nonce-abc'"], "abc"),
            (&["script-src 'nonce-abc'", "script-src 'nonce-def'"], "no"),
            (&["script-src 'nonce-abc' 'nonce-def'", "script-src 'nonce-def'"], "def"),
            (&["script-src 'self', script-src 'none'"], "no"),
            (&["script-src 'self',", ""], "yes"),
        ] {
            assert_eq!(judge(policies, &[], None), wanted, "{policies:?}");
        }
    }

    #[test]
    fn what_only_reports_forbids_nothing_but_tells_its_nonce() {
        assert_eq!(judge(&[], &["script-src 'none'"], None), "yes");
        assert_eq!(judge(&[], &["script-src 'nonce-abc'"], None), "abc");
        assert_eq!(judge(&["script-src 'nonce-def'"], &["script-src 'nonce-abc'"], None), "def");
        assert_eq!(judge(&["script-src 'nonce-def'"], &[], Some("xyz")), "def");
        assert_eq!(judge(&["script-src 'self'"], &[], Some("xyz")), "xyz");
        assert_eq!(judge(&[], &[], Some("x\"y")), "yes");
    }

    #[test]
    fn the_pages_port_counts() {
        let mut policies = Policies::default();
        policies.add("script-src shop.example:8080; connect-src *:*");
        let target = Target { authority: "Shop.example:8080", ..TARGET };
        assert_eq!(policies.judge(target, None), Verdict::Forbidden, "*:* is no host");
        let mut policies = Policies::default();
        policies.add("script-src shop.example:8080");
        assert_eq!(policies.judge(target, None), Verdict::Allowed(None));
        assert_eq!(policies.judge(TARGET, None), Verdict::Forbidden);
    }

    proptest! {
        #[test]
        fn never_panics_and_gives_only_harmless_nonces(text in "[ -~]{0,120}", known in proptest::option::of(".{0,9}")) {
            let mut policies = Policies::default();
            policies.add(&text);
            if let Verdict::Allowed(Some(nonce)) = policies.judge(TARGET, known.as_deref()) {
                prop_assert!(is_nonce(&nonce));
            }
        }
    }
}
