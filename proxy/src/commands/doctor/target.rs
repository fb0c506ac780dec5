//! What there is to look at: the page, the tag on it, and where its calls go.

use super::{
    fetch::{Ask, Got, Net},
    page::{Page, Script},
    safari,
    script::Names,
    verdict::Verdict,
};
use crate::cli;
use http::{HeaderName, header};
use url::Url;
use usher_model::{
    Site,
    limits::{DOCTOR_PAGE_BYTES, UPSTREAM_BODY_BYTES},
};

const CHECK: &str = "page";

/// What a browser says when somebody opens a page by typing its address.
pub(super) const NAVIGATION: [(HeaderName, &str); 6] = [
    (header::ACCEPT, "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
    (header::ACCEPT_ENCODING, "identity"),
    (HeaderName::from_static("sec-fetch-dest"), "document"),
    (HeaderName::from_static("sec-fetch-mode"), "navigate"),
    (HeaderName::from_static("sec-fetch-site"), "none"),
    (HeaderName::from_static("sec-fetch-user"), "?1"),
];

/// The set-up, as far as it was found.
pub(super) struct Target {
    /// The page's address, after redirects.
    pub(super) page: Url,
    /// Its answer, when there was one.
    pub(super) got: Option<Got>,
    pub(super) markup: Page,
    /// The tag, when the page has one that calls the page's own site.
    pub(super) tag: Option<Script>,
    /// Where calls go, and the script; `None` when nothing says where Usher is.
    pub(super) edge: Option<Edge>,
    pub(super) site: Option<Site>,
}

/// Where Usher answers.
pub(super) struct Edge {
    /// Without a slash at its end.
    pub(super) base: Url,
    pub(super) script: Url,
}

impl Edge {
    /// An address below the base.
    pub(super) fn at(&self, name: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}/{name}", self.base.path().trim_end_matches('/')));
        url
    }

    fn new(base: Url) -> Self {
        let mut edge = Self { script: base.clone(), base };
        edge.script = edge.at("pixel.js");
        edge
    }
}

impl Target {
    /// Opens the page and looks for the tag; where it has none, what was told on the command line or in the configuration says
    /// where Usher answers.
    pub(super) async fn find(
        net: &Net,
        options: &cli::Doctor,
        site: Option<Site>,
    ) -> anyhow::Result<(Self, Vec<Verdict>)> {
        let told = told(options, site.as_ref());
        let mut page = options.page.clone().unwrap_or_else(|| page_of(&options.url, told.as_ref()));
        forget_referrals(&mut page, site.as_ref());
        let mut target = Self { page, got: None, markup: Page::default(), tag: None, edge: None, site };
        let mut verdicts = target.open(net).await;

        let own = |script: &&Script| {
            let site = |url: &Url| safari::registrable(url.host_str().unwrap_or_default()).to_owned();
            site(&script.url) == site(&target.page)
        };
        let tag = target.markup.tag();
        if let Some(foreign) = tag.filter(|tag| !own(tag)) {
            let host = foreign.url.host_str().unwrap_or_default();
            verdicts.push(Verdict::fail(
                CHECK,
                format!("the tag loads {} from another site, {host}: blockers list such, and its cookies are a third party's", foreign.url),
                "replace it by what `usher snippet` prints",
            ));
        }
        target.tag = tag.filter(own).cloned();
        let calls = target.tag.as_ref().and_then(|tag| Some((tag.url.clone(), tag.calls(&target.page)?)));
        target.edge = match calls {
            Some((script, base)) => Some(Edge { base, script }),
            None => told.map(Edge::new),
        };
        if target.edge.is_none()
            && let Some(edge) = typed(net, &options.url).await
        {
            // It is where Usher answers, and that it is no page is as it should be.
            verdicts.clear();
            target.got = None;
            target.edge = Some(edge);
        }
        verdicts.extend(target.about_tag());
        Ok((target, verdicts))
    }

    /// Fetches the page.
    async fn open(&mut self, net: &Net) -> Vec<Verdict> {
        let page = self.page.clone();
        match net.follow(&Ask::get(&page, &NAVIGATION, DOCTOR_PAGE_BYTES)).await {
            Ok(got) => {
                let mut verdicts = about_page(&page, &got);
                if let Some(encoding) =
                    got.header(header::CONTENT_ENCODING).filter(|name| *name != "identity")
                {
                    let what =
                        format!("the page comes as {encoding} though nobody asked for it, so it is not read");
                    verdicts.push(Verdict::warn(CHECK, what, "give --prefix"));
                } else {
                    self.markup = Page::read(&got.body, &got.url);
                }
                self.page = got.url.clone();
                self.got = Some(got);
                verdicts
            }
            Err(error) => vec![Verdict::fail(CHECK, format!("{page} does not open: {error:#}"), "")],
        }
    }

    fn about_tag(&self) -> Vec<Verdict> {
        let verdict = match (&self.edge, &self.tag) {
            (Some(edge), Some(tag)) => {
                Verdict::ok(CHECK, format!("the tag loads {} and calls {}", tag.url, edge.base))
            }
            (Some(edge), None) if self.got.is_some() => Verdict::warn(
                CHECK,
                format!("the page's HTML has no tag; {} is looked at all the same", edge.base),
                "put in what `usher snippet` prints, unless a tag manager does",
            ),
            (Some(edge), None) => Verdict::info(
                CHECK,
                format!("{} is looked at without a page", edge.base),
                "give --page, the address of a page that visitors land on",
            ),
            (None, _) if self.got.is_none() => return Vec::new(),
            (None, _) => Verdict::fail(
                CHECK,
                "nothing says where Usher answers: the page's HTML has no tag",
                "put in what `usher snippet` prints, or give --prefix /r or --config usher.toml",
            ),
        };
        vec![verdict]
    }
}

/// Where Usher answers, as it was told: `--prefix`, a path typed together with a page, or the configuration.
fn told(options: &cli::Doctor, site: Option<&Site>) -> Option<Url> {
    let typed = options.url.path().trim_end_matches('/');
    let typed = (options.page.is_some() && !typed.is_empty()).then(|| typed.to_owned());
    let prefix = options.prefix.clone().or(typed).or_else(|| site.map(|site| site.prefix.clone()))?;
    let mut base = options.url.clone();
    base.set_path(&prefix);
    base.set_query(None);
    base.set_fragment(None);
    Some(base)
}

/// The address that was typed, when Usher answers below it.
async fn typed(net: &Net, url: &Url) -> Option<Edge> {
    let path = url.path().trim_end_matches('/').to_owned();
    let mut base = url.clone();
    base.set_path(&path);
    base.set_query(None);
    base.set_fragment(None);
    let edge = Edge::new(base);
    let got = net.ask(&Ask::get(&edge.script, &[], UPSTREAM_BODY_BYTES)).await.ok()?;
    (got.status == 200 && !path.is_empty() && Names::read(&String::from_utf8_lossy(&got.body)).is_some())
        .then_some(edge)
}

/// What was typed, unless it lies in Usher's part of the site: then the home page.
fn page_of(typed: &Url, told: Option<&Url>) -> Url {
    let inside = told.is_some_and(|base| {
        let rest = typed.path().strip_prefix(base.path());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    });
    let mut page = typed.clone();
    page.set_fragment(None);
    if inside {
        page.set_path("/");
        page.set_query(None);
    }
    page
}

/// A page that was opened with a referral in its address would count as a click.
fn forget_referrals(page: &mut Url, site: Option<&Site>) {
    let usual = referral::Parameters::default();
    let own = site.map(|site| &site.parameters).unwrap_or(&usual);
    let is_one = |name: &str| {
        own.names().iter().chain(usual.names()).any(|known| known == name) || name == "affonso_id"
    };
    if page.query_pairs().any(|(name, _)| is_one(&name)) {
        page.set_query(None);
    }
}

fn about_page(asked: &Url, got: &Got) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    if !got.hops.is_empty() {
        let hops: Vec<String> = got.hops.iter().map(|(status, to)| format!("{status} to {to}")).collect();
        verdicts.push(Verdict::info(CHECK, format!("{asked} redirects: {}", hops.join(", ")), ""));
    }
    let kind = got.header(header::CONTENT_TYPE).unwrap_or_default();
    if got.status != 200 {
        let what = format!("{} answers {}", got.url, got.status);
        verdicts.push(Verdict::fail(CHECK, what, "give the address of a page that visitors land on"));
    } else if !kind.to_ascii_lowercase().starts_with("text/html") {
        let what = format!("{} is {kind:?}, not HTML", got.url);
        verdicts.push(Verdict::warn(CHECK, what, "give the address of a page that visitors land on"));
    } else {
        verdicts.push(Verdict::ok(CHECK, format!("{} opens", got.url)));
    }
    verdicts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).expect("a URL")
    }

    #[test]
    fn what_was_typed_is_a_page_unless_it_lies_in_ushers_part() {
        for (typed, told, page) in [
            ("https://shop.com", None, "https://shop.com/"),
            ("https://shop.com/sale#x", Some("https://shop.com/r"), "https://shop.com/sale"),
            ("https://shop.com/r", Some("https://shop.com/r"), "https://shop.com/"),
            ("https://shop.com/r/pixel.js?x", Some("https://shop.com/r"), "https://shop.com/"),
            ("https://shop.com/rest", Some("https://shop.com/r"), "https://shop.com/rest"),
        ] {
            assert_eq!(page_of(&url(typed), told.map(url).as_ref()).as_str(), page, "{typed}");
        }
    }

    #[test]
    fn opening_a_page_is_no_click() {
        for (typed, opened) in [
            ("https://shop.com/?via=alice", "https://shop.com/"),
            ("https://shop.com/?x=1&ref=alice", "https://shop.com/"),
            ("https://shop.com/?affonso_id=1", "https://shop.com/"),
            ("https://shop.com/?x=1", "https://shop.com/?x=1"),
        ] {
            let mut page = url(typed);
            forget_referrals(&mut page, None);
            assert_eq!(page.as_str(), opened, "{typed}");
        }
    }
}
