//! Filter lists, read by the engine of a blocker (the crate `adblock`, which Brave uses).

use adblock::{
    Engine, FilterSet,
    lists::{FilterFormat, ParseOptions},
    request::Request,
    url_parser::{ResolvesDomain, set_domain_resolver},
};
use anyhow::Context;
use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};
use url::Url;
use usher_model::limits::DOCTOR_LIST_BYTES;

/// How a page asks for something, in the words of the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Page,
    Script,
    Call,
    Beacon,
}

/// All lists together, as a blocker has them.
pub(super) struct Lists {
    engine: Engine,
    /// For what the engine does not say: rules about cookies.
    lines: Vec<String>,
}

struct Suffixes;

impl ResolvesDomain for Suffixes {
    fn get_host_domain(&self, host: &str) -> (usize, usize) {
        (host.len() - super::safari::registrable(host).len().min(host.len()), host.len())
    }
}

impl Lists {
    pub(super) fn load(paths: &[PathBuf]) -> anyhow::Result<Self> {
        let texts: Vec<String> = paths.iter().map(|path| read(path)).collect::<anyhow::Result<_>>()?;
        Ok(Self::new(&texts))
    }

    pub(super) fn new(texts: &[String]) -> Self {
        // A second one finds it set already.
        let _ = set_domain_resolver(Box::new(Suffixes));
        let mut set = FilterSet::new(true);
        for text in texts {
            let format = if is_hosts(text) { FilterFormat::Hosts } else { FilterFormat::Standard };
            set.add_filter_list(text.clone(), ParseOptions { format, ..ParseOptions::default() });
        }
        let about_cookies =
            |line: &&str| line.contains("+js(") || line.contains("$cookie") || line.contains("#%#");
        let lines = texts.iter().flat_map(|text| text.lines()).filter(about_cookies).map(str::to_owned);
        Self { lines: lines.collect(), engine: Engine::new_with_filter_set(set) }
    }

    /// The rule that blocks `url` on `page`.
    pub(super) fn blocks(&self, url: &Url, page: &Url, kind: Kind) -> Option<String> {
        let (word, method) = match kind {
            Kind::Page => ("document", "GET"),
            Kind::Script => ("script", "GET"),
            Kind::Call => ("xmlhttprequest", "POST"),
            Kind::Beacon => ("ping", "POST"),
        };
        let request = Request::new(url.as_str(), page.as_str(), word, method).ok()?;
        let result = self.engine.check_network_request(&request);
        if !result.should_block() {
            return None;
        }
        let rule = result.filter.and_then(|filter| filter.raw_line);
        Some(rule.unwrap_or_else(|| "a rule that the engine does not name".to_owned()))
    }

    /// Whether a link to the page loses this parameter.
    pub(super) fn strips(&self, page: &Url, parameter: &str) -> bool {
        let mut link = page.clone();
        link.set_query(None);
        link.query_pairs_mut().append_pair(parameter, "alice");
        let from = "https://www.google.com/";
        let request = Request::new(link.as_str(), from, "document", "GET");
        let result = request.map(|request| self.engine.check_network_request(&request));
        result.is_ok_and(|result| {
            let left = result.rewritten_url.and_then(|url| Url::parse(&url).ok());
            left.is_some_and(|left| left.query_pairs().all(|(name, _)| name != parameter))
        })
    }

    /// A rule that removes or changes a cookie of this name on pages of `host`.
    pub(super) fn touches_cookie(&self, host: &str, cookie: &str) -> Option<&str> {
        let applies = |line: &&String| {
            let domains = line.split('#').next().unwrap_or_default();
            let own = |domain: &str| {
                domain.is_empty()
                    || host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            };
            line.contains(cookie) && (line.contains("$cookie") || domains.split(',').any(own))
        };
        self.lines.iter().find(applies).map(String::as_str)
    }
}

fn read(path: &Path) -> anyhow::Result<String> {
    let cannot = || format!("cannot read the list {}", path.display());
    let mut bytes = Vec::new();
    let file = File::open(path).with_context(cannot)?;
    file.take(DOCTOR_LIST_BYTES as u64 + 1).read_to_end(&mut bytes).with_context(cannot)?;
    anyhow::ensure!(
        bytes.len() <= DOCTOR_LIST_BYTES,
        "{} is longer than {DOCTOR_LIST_BYTES} bytes",
        path.display()
    );
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A list in the form of `/etc/hosts`.
fn is_hosts(text: &str) -> bool {
    let rule =
        text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with(['#', '!', '[']));
    rule.is_some_and(|line| line.starts_with("0.0.0.0 ") || line.starts_with("127.0.0.1 "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).expect("a URL")
    }

    fn lists(text: &str) -> Lists {
        Lists::new(&[text.to_owned()])
    }

    #[test]
    fn rules_are_read_as_blockers_read_them() {
        let page = url("https://www.shop.com/");
        for (rule, address, kind, blocked) in [
            ("/pixel.js", "https://shop.com/r/pixel.js", Kind::Script, true),
            ("/pixel.js", "https://shop.com/r/f24if0.js", Kind::Script, false),
            ("/pixel.js|", "https://shop.com/r/pixel.js?x=1", Kind::Script, false),
            ("/track$ping", "https://shop.com/r/track", Kind::Beacon, true),
            ("/track$ping", "https://shop.com/r/track", Kind::Call, false),
            ("/track|$xmlhttprequest", "https://shop.com/r/track", Kind::Call, true),
            ("/track$third-party", "https://go.shop.com/r/track", Kind::Call, false),
            ("/track$third-party", "https://edge.vendor.com/r/track", Kind::Call, true),
            ("||vendor.com^", "https://edge.vendor.com/r/x", Kind::Call, true),
            ("||go.shop.com^$domain=other.com", "https://go.shop.com/r/x", Kind::Call, false),
            ("||go.shop.com^$domain=shop.com", "https://go.shop.com/r/x", Kind::Call, true),
            ("/r/track\n@@||shop.com/r/track", "https://shop.com/r/track", Kind::Call, false),
            (r"/^https:\/\/go\.[a-z]+\.com\/[a-z0-9]{2}\//", "https://go.shop.com/k3/a", Kind::Script, true),
            ("0.0.0.0 go.shop.com", "https://go.shop.com/k3/a", Kind::Script, true),
            ("! nothing", "https://shop.com/r/pixel.js", Kind::Script, false),
        ] {
            let found = lists(rule).blocks(&url(address), &page, kind);
            assert_eq!(found.is_some(), blocked, "{rule} | {address}: {found:?}");
        }
        let found = lists("||a.com^\n/pixel.js$script\n").blocks(
            &url("https://shop.com/r/pixel.js"),
            &page,
            Kind::Script,
        );
        assert_eq!(found.as_deref(), Some("/pixel.js$script"));
    }

    #[test]
    fn parameters_and_cookies() {
        let page = url("https://www.shop.com/sale?x=1");
        for (rule, strips) in [
            ("$removeparam=via", true),
            ("*$removeparam=/^(via|ref)$/", false),
            ("||shop.com^$removeparam=via", true),
            ("||other.com^$removeparam=via", false),
            ("$removeparam=ref", false),
        ] {
            let lists = lists(rule);
            // The engine takes plain names alone.
            assert_eq!(lists.strips(&page, "via"), strips, "{rule}");
        }
        for (rule, touches) in [
            ("shop.com##+js(cookie-remover, affonso_referral)", true),
            ("##+js(cookie-remover, affonso_referral)", true),
            ("other.com##+js(cookie-remover, affonso_referral)", false),
            ("hop.com##+js(cookie-remover, affonso_referral)", false),
            ("shop.com##+js(cookie-remover, other)", false),
            ("*$cookie=affonso_referral", true),
        ] {
            assert_eq!(
                lists(rule).touches_cookie("www.shop.com", "affonso_referral").is_some(),
                touches,
                "{rule}"
            );
        }
    }
}
