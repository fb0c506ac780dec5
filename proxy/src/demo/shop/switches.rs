//! How the pages are served: under which Content-Security-Policy, and who puts the tag into them.

use http::{HeaderMap, HeaderValue, header};

use crate::demo::http::query_value;
use crate::demo::ids::nonce;

/// The Content-Security-Policy of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Csp {
    Off,
    /// `default-src 'self'`: nothing inline, no WebAssembly.
    Strict,
    /// A nonce and `strict-dynamic`.
    Nonce(String),
}

/// The switches of one page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Switches {
    pub(super) csp: Csp,
    /// The tag is not in the HTML; a tag manager's script makes it.
    pub(super) tag_manager: bool,
}

impl Switches {
    /// From the query, else from the cookies.
    pub(super) fn of(query: Option<&str>, headers: &HeaderMap) -> Self {
        let value =
            |switch: &str| query_value(query, switch).or_else(|| cookie(headers, &format!("demo_{switch}")));
        let csp = match value("csp").as_deref() {
            Some("strict") => Csp::Strict,
            Some("nonce") => Csp::Nonce(nonce()),
            _ => Csp::Off,
        };
        Self { csp, tag_manager: value("tag").as_deref() == Some("manager") }
    }

    /// Puts the policy, and the cookies for switches that the query set, on a page's answer.
    pub(super) fn apply(&self, query: Option<&str>, headers: &mut HeaderMap) {
        let policy = match &self.csp {
            Csp::Off => None,
            Csp::Strict => Some("default-src 'self'".to_owned()),
            Csp::Nonce(nonce) => Some(format!(
                "default-src 'self'; script-src 'nonce-{nonce}' 'strict-dynamic'; object-src 'none'; base-uri 'none'"
            )),
        };
        if let Some(policy) = policy.and_then(|policy| HeaderValue::try_from(policy).ok()) {
            headers.insert(header::CONTENT_SECURITY_POLICY, policy);
        }
        for (switch, values) in [("csp", ["strict", "nonce", "off"]), ("tag", ["manager", "html", "off"])] {
            let Some(asked) = query_value(query, switch) else { continue };
            if let Some(value) = values.into_iter().find(|value| *value == asked)
                && let Ok(set) = HeaderValue::try_from(format!("demo_{switch}={value}; Path=/; SameSite=Lax"))
            {
                headers.append(header::SET_COOKIE, set);
            }
        }
    }

    /// The attribute that lets a script run, with a space before it; empty without a nonce.
    pub(super) fn nonce_attribute(&self) -> String {
        match &self.csp {
            Csp::Nonce(nonce) => format!(" nonce=\"{nonce}\""),
            Csp::Off | Csp::Strict => String::new(),
        }
    }
}

/// A cookie's value.
pub(super) fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    all.flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_cookie(line: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_static(line))])
    }

    #[test]
    fn the_query_beats_the_cookie_and_is_remembered() {
        let headers = with_cookie("a=b; demo_csp=strict; demo_tag=manager");
        let kept = Switches::of(None, &headers);
        assert_eq!(kept, Switches { csp: Csp::Strict, tag_manager: true });
        let off = Switches::of(Some("via=alice&csp=off"), &headers);
        assert_eq!(off, Switches { csp: Csp::Off, tag_manager: true });
        let mut answer = HeaderMap::new();
        off.apply(Some("via=alice&csp=off"), &mut answer);
        assert_eq!(answer[header::SET_COOKIE], "demo_csp=off; Path=/; SameSite=Lax");
        assert!(!answer.contains_key(header::CONTENT_SECURITY_POLICY));
    }

    #[test]
    fn nothing_of_the_query_reaches_a_header() {
        let query = Some("csp=strict%0d%0ax:y&tag=%22");
        let switches = Switches::of(query, &HeaderMap::new());
        let mut answer = HeaderMap::new();
        switches.apply(query, &mut answer);
        assert!(answer.is_empty(), "{answer:?}");
    }

    #[test]
    fn every_page_has_its_own_nonce() {
        let nonces = [(); 2].map(|()| Switches::of(Some("csp=nonce"), &HeaderMap::new()).nonce_attribute());
        assert_ne!(nonces[0], nonces[1]);
    }
}
