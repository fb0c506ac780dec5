//! What blockers know of the names: by what they were seen to stop, and by the lists that were given.

use super::{
    lists::{Kind, Lists},
    script::Names,
    target::{Edge, Target},
    verdict::Verdict,
};
use crate::config::advice;
use url::Url;

const CHECK: &str = "names";
const OWN_PATH: &str = "use a path of the page's host, or A and AAAA records";

/// What a page asks for.
struct Asked<'a> {
    page: &'a Url,
    edge: &'a Edge,
    names: &'a Names,
    /// The script, where it is known which one the page loads.
    script: Option<&'a Url>,
    /// Whether the names are the site's own.
    is_neutral: bool,
    /// Whither the host of the calls points, outside of the page's site.
    aliases: &'a [String],
}

/// Judges the paths that are asked for, the hosts, the parameters and the cookies.
pub(super) fn look(
    target: &Target,
    names: Option<&Names>,
    aliases: &[String],
    lists: Option<&Lists>,
) -> Vec<Verdict> {
    let Some(edge) = &target.edge else { return Vec::new() };
    let well_known = Names::well_known(Vec::new());
    let names = names.unwrap_or(&well_known);
    let is_neutral = names.track != well_known.track;
    // Without a tag it is the one that `usher snippet` prints, whose neutral name nothing here tells.
    let script = Some(&edge.script).filter(|_| target.tag.is_some() || !is_neutral);
    let asked = Asked { page: &target.page, edge, names, script, is_neutral, aliases };
    let mut verdicts = asked.known();
    if verdicts.is_empty() {
        let what = format!("nothing in {} is known to be blocked or stripped", script.unwrap_or(&edge.base));
        verdicts.push(Verdict::ok(CHECK, what));
    }
    match lists {
        Some(lists) => verdicts.extend(asked.listed(lists)),
        None => {
            let what = "not looked at: what blockers load today";
            verdicts.push(Verdict::info("lists", what, "give --lists easyprivacy.txt and others"));
        }
    }
    verdicts
}

impl Asked<'_> {
    fn host(&self) -> &str {
        self.edge.base.host_str().unwrap_or_default()
    }

    /// What is known without lists, as `usher check` knows it.
    fn known(&self) -> Vec<Verdict> {
        let (host, better) = (self.host(), advice::neutral(self.host()));
        let word = advice::word_in(self.edge.base.path()).map(|word| {
            let what = format!("the prefix has the word {word:?}, which blockers look for");
            (what, format!("prefer one that says nothing, such as prefix = \"/{better}\""))
        });
        let label = advice::label_of(host).map(|label| {
            let what = format!("blockers look for hosts named {label:?}");
            (what, "prefer the shop's own host, or a name such as \"go\"".to_owned())
        });
        let script = self.well_known_script().map(|(file, mend)| {
            (format!("the page loads {file}, a name that one rule can stop on every site"), mend.to_owned())
        });
        let alias = self.aliases.last().map(|alias| {
            let what = format!(
                "{host} points to {alias}, and uBlock Origin in Firefox and Brave look there: a rule for that name stops every shop behind it"
            );
            (what, OWN_PATH.to_owned())
        });
        let parameters = &self.names.parameters;
        // Names that nobody need hand out do no harm, as long as others are left.
        let all_lost = !parameters.is_empty() && parameters.iter().all(|name| advice::is_stripped(name));
        let parameters = all_lost.then(|| {
            let what = format!("blockers take {} off links", quoted(&parameters.iter().collect::<Vec<_>>()));
            (what, "add \"via\" to parameters and hand out links with it".to_owned())
        });
        let found = [word, label, script, alias, parameters].into_iter().flatten();
        found.map(|(what, mend)| Verdict::warn(CHECK, what, mend)).collect()
    }

    /// The file that the tag loads, when its name is one that all sites have; and what to do.
    fn well_known_script(&self) -> Option<(&str, &'static str)> {
        let file = self.script?.path().rsplit('/').next()?;
        let mend = if self.is_neutral {
            "put in the tag that `usher snippet` prints"
        } else {
            "add names_secret = { env = \"USHER_NAMES_SECRET\" }"
        };
        matches!(file, "pixel.js" | "pixel.min.js").then_some((file, mend))
    }

    /// What the lists say.
    fn listed(&self, lists: &Lists) -> Vec<Verdict> {
        const CHECK: &str = "lists";
        let requests = requests(self.edge, self.script, self.names);
        let mut verdicts = self.blocked(lists, &requests);
        for alias in self.aliases {
            let there = |(url, kind): &(Url, Kind)| Some((under(url, alias)?, *kind));
            let behind: Vec<(Url, Kind)> = requests.iter().filter_map(there).collect();
            verdicts.extend(blocked(lists, self.page, &behind).into_iter().take(1).map(|(_, rule)| {
                let what = format!("{rule} blocks {alias}, which {} points to: uBlock Origin in Firefox and Brave look there", self.host());
                Verdict::fail(CHECK, what, OWN_PATH)
            }));
        }
        if let Some(rule) = lists.blocks(self.page, self.page, Kind::Page) {
            verdicts.push(Verdict::fail(CHECK, format!("{rule} blocks the page itself"), ""));
        }
        verdicts.extend(self.stripped(lists));
        for cookie in ["affonso_referral", "affonso_data"] {
            if let Some(rule) = lists.touches_cookie(self.page.host_str().unwrap_or_default(), cookie) {
                verdicts.push(Verdict::warn(CHECK, format!("{rule} is about the cookie {cookie}"), ""));
            }
        }
        if verdicts.is_empty() {
            let what = format!(
                "no rule blocks any of the {} requests that a page makes, nor strips a parameter",
                requests.len()
            );
            verdicts.push(Verdict::ok(CHECK, what));
        }
        verdicts.extend(self.unused(lists, &requests));
        verdicts
    }

    fn blocked(&self, lists: &Lists, requests: &[(Url, Kind)]) -> Vec<Verdict> {
        let old = self.well_known_script().filter(|_| self.is_neutral);
        let verdict = |(url, rule): (Url, String)| {
            let mend = match old {
                // The file alone has a well-known name.
                Some((_, mend)) if Some(&url) == self.script => mend.to_owned(),
                _ => format!(
                    "use another prefix, such as \"/{}\", and names_secret",
                    advice::neutral(self.host())
                ),
            };
            Verdict::fail("lists", format!("{rule} blocks {url}"), mend)
        };
        blocked(lists, self.page, requests).into_iter().map(verdict).collect()
    }

    fn stripped(&self, lists: &Lists) -> Option<Verdict> {
        let strips = |name: &&String| lists.strips(self.page, name);
        let (lost, kept): (Vec<&String>, Vec<&String>) = self.names.parameters.iter().partition(strips);
        if lost.is_empty() {
            return None;
        }
        let what = format!("they take {} off links to {}", quoted(&lost), self.page);
        Some(match kept.first() {
            Some(kept) => Verdict::warn("lists", what, format!("hand out links with {kept:?}")),
            None => {
                Verdict::fail("lists", what, "add another name to parameters, and hand out links with it")
            }
        })
    }

    /// The well-known names beside the neutral ones: blocked, and asked for by nobody.
    fn unused(&self, lists: &Lists, requests_made: &[(Url, Kind)]) -> Vec<Verdict> {
        if !self.is_neutral {
            return Vec::new();
        }
        let script = self.edge.at("pixel.js");
        let mut others = requests(self.edge, Some(&script), &Names::well_known(Vec::new()));
        others.retain(|(url, _)| requests_made.iter().all(|(made, _)| made != url));
        let verdict = |(url, rule): (Url, String)| {
            let what = format!("{rule} blocks {url}, a well-known name that the page does not ask for");
            Verdict::info("lists", what, "")
        };
        blocked(lists, self.page, &others).into_iter().map(verdict).collect()
    }
}

/// Everything that a page asks for.
fn requests(edge: &Edge, script: Option<&Url>, names: &Names) -> Vec<(Url, Kind)> {
    let code = format!("{}/SPRING10", names.codes);
    let mut all: Vec<(Url, Kind)> = script.into_iter().map(|script| (script.clone(), Kind::Script)).collect();
    all.extend(names.files.iter().chain([&names.worker]).map(|file| (edge.at(file), Kind::Script)));
    all.extend([(edge.at(snippet::WASM_NAME), Kind::Call), (edge.at(&code), Kind::Call)]);
    for name in names.others.iter().chain([&names.track]) {
        all.extend([(edge.at(name), Kind::Call), (edge.at(name), Kind::Beacon)]);
    }
    all
}

/// Each address once, with the first rule that blocks it.
fn blocked(lists: &Lists, page: &Url, requests: &[(Url, Kind)]) -> Vec<(Url, String)> {
    let mut found: Vec<(Url, String)> = Vec::new();
    for (url, kind) in requests {
        if found.iter().all(|(known, _)| known != url)
            && let Some(rule) = lists.blocks(url, page, *kind)
        {
            found.push((url.clone(), rule));
        }
    }
    found
}

fn under(url: &Url, host: &str) -> Option<Url> {
    let mut url = url.clone();
    url.set_host(Some(host)).ok()?;
    Some(url)
}

fn quoted(names: &[&String]) -> String {
    names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::{
        super::{page::Page, verdict::Level},
        *,
    };

    fn url(text: &str) -> Url {
        Url::parse(text).expect("a URL")
    }

    fn target(script: &str, base: &str) -> Target {
        let page =
            Page::read(format!("<script src={script} data-affonso=p></script>").as_bytes(), &url(base));
        Target {
            page: url("https://www.shop.com/"),
            got: None,
            markup: Page::default(),
            tag: page.tag().cloned(),
            edge: Some(Edge { base: url(base), script: url(script) }),
            site: None,
        }
    }

    fn neutral(parameters: &[&str]) -> Names {
        let [track, codes, worker] = ["y5xqdc", "kvtmk7", "7da73fbd1d1b672c.js"].map(str::to_owned);
        let others = ["bprh66", "zr3x7m"].map(str::to_owned).to_vec();
        let parameters = parameters.iter().map(|name| (*name).to_owned()).collect();
        Names { track, codes, others, worker, files: Vec::new(), parameters }
    }

    fn said(verdicts: &[Verdict], level: Level, text: &str) -> bool {
        verdicts.iter().any(|verdict| verdict.level == level && verdict.what.contains(text))
    }

    #[test]
    fn what_is_known_without_lists() {
        for (script, base, names, aliases, says) in [
            (
                "https://www.shop.com/k3/f24if0.js",
                "https://www.shop.com/k3",
                neutral(&["via", "ref"]),
                &[][..],
                None,
            ),
            (
                "https://www.shop.com/collect/f24if0.js",
                "https://www.shop.com/collect",
                neutral(&["via"]),
                &[],
                Some("the word \"collect\""),
            ),
            (
                "https://matomo.shop.com/k3/f24if0.js",
                "https://matomo.shop.com/k3",
                neutral(&["via"]),
                &[],
                Some("hosts named \"matomo\""),
            ),
            (
                "https://www.shop.com/k3/pixel.js",
                "https://www.shop.com/k3",
                neutral(&["via"]),
                &[],
                Some("loads pixel.js"),
            ),
            (
                "https://www.shop.com/k3/pixel.js",
                "https://www.shop.com/k3",
                Names::well_known(vec!["via".into()]),
                &[],
                Some("loads pixel.js"),
            ),
            (
                "https://go.shop.com/k3/f24if0.js",
                "https://go.shop.com/k3",
                neutral(&["via"]),
                &["e.vendor.com".to_owned()],
                Some("points to e.vendor.com"),
            ),
            (
                "https://www.shop.com/k3/f24if0.js",
                "https://www.shop.com/k3",
                neutral(&["ref", "aff"]),
                &[],
                Some("take \"ref\", \"aff\" off"),
            ),
        ] {
            let found = look(&target(script, base), Some(&names), aliases, None);
            match says {
                Some(says) => assert!(said(&found, Level::Warn, says), "{script}: {found:#?}"),
                None => assert!(said(&found, Level::Ok, "nothing in"), "{script}: {found:#?}"),
            }
        }
    }

    #[test]
    fn what_lists_say() {
        let good = target("https://www.shop.com/k3/f24if0.js", "https://www.shop.com/k3");
        let names = neutral(&["via", "ref"]);
        let vendor = ["e.vendor.com".to_owned()];
        for (list, aliases, level, says) in [
            ("||other.com^", &[][..], Level::Ok, "no rule blocks any of the 10 requests"),
            ("/k3/y5xqdc$ping", &[], Level::Fail, "/k3/y5xqdc$ping blocks https://www.shop.com/k3/y5xqdc"),
            ("/k3/*.js$script", &[], Level::Fail, "blocks https://www.shop.com/k3/f24if0.js"),
            (
                "/pixel.js",
                &[],
                Level::Info,
                "/pixel.js blocks https://www.shop.com/k3/pixel.js, a well-known name",
            ),
            ("/pixel.js", &[], Level::Ok, "no rule blocks"),
            ("||vendor.com^$third-party", &vendor, Level::Fail, "blocks e.vendor.com"),
            ("$removeparam=ref", &[], Level::Warn, "take \"ref\" off"),
            ("$removeparam=ref\n$removeparam=via", &[], Level::Fail, "take \"via\", \"ref\" off"),
            (
                "www.shop.com##+js(cookie-remover, affonso_data)",
                &[],
                Level::Warn,
                "about the cookie affonso_data",
            ),
        ] {
            let lists = Lists::new(&[list.to_owned()]);
            let found = look(&good, Some(&names), aliases, Some(&lists));
            assert!(said(&found, level, says), "{list}: {found:#?}");
        }
    }
}
