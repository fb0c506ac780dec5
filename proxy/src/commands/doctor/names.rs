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

/// Judges the paths that are asked for, the hosts, the parameters and the cookies.
pub(super) fn look(
    target: &Target,
    names: Option<&Names>,
    aliases: &[String],
    lists: Option<&Lists>,
) -> Vec<Verdict> {
    let Some(edge) = &target.edge else { return Vec::new() };
    let mut verdicts = known(edge, names, aliases);
    if verdicts.is_empty() {
        verdicts.push(Verdict::ok(
            CHECK,
            format!("nothing in {} is known to be blocked or stripped", edge.script),
        ));
    }
    match lists {
        Some(lists) => verdicts.extend(listed(target, edge, names, aliases, lists)),
        None => {
            let what = "not looked at: what blockers load today";
            verdicts.push(Verdict::info("lists", what, "give --lists easyprivacy.txt and others"));
        }
    }
    verdicts
}

/// What is known without lists, as `usher check` knows it.
fn known(edge: &Edge, names: Option<&Names>, aliases: &[String]) -> Vec<Verdict> {
    let host = edge.base.host_str().unwrap_or_default();
    let mut verdicts = Vec::new();
    let mut warn = |what: String, mend: String| verdicts.push(Verdict::warn(CHECK, what, mend));
    if let Some(word) = advice::word_in(edge.base.path()) {
        let better = advice::neutral(host);
        warn(
            format!("the prefix has the word {word:?}, which blockers look for"),
            format!("prefer one that says nothing, such as prefix = \"/{better}\""),
        );
    }
    if let Some(label) = advice::label_of(host) {
        warn(
            format!("blockers look for hosts named {label:?}"),
            "prefer the shop's own host, or a name such as \"go\"".to_owned(),
        );
    }
    let file = edge.script.path().rsplit('/').next().unwrap_or_default();
    if matches!(file, "pixel.js" | "pixel.min.js") && names.is_some_and(|names| names.track != "track") {
        warn(
            format!("the page loads {file}, a name that one rule can stop on every site"),
            "put in the tag that `usher snippet` prints".to_owned(),
        );
    } else if matches!(file, "pixel.js" | "pixel.min.js") {
        warn(
            format!("the page loads {file}, a name that one rule can stop on every site"),
            "add names_secret = { env = \"USHER_NAMES_SECRET\" }".to_owned(),
        );
    }
    if let Some(alias) = aliases.last() {
        warn(
            format!(
                "{host} points to {alias}, and uBlock Origin in Firefox and Brave look there: a rule for that name stops every shop behind it"
            ),
            "use a path of the page's host, or A and AAAA records".to_owned(),
        );
    }
    let parameters = names.map(|names| names.parameters.as_slice()).unwrap_or_default();
    let (lost, kept): (Vec<&String>, Vec<&String>) =
        parameters.iter().partition(|name| advice::is_stripped(name));
    // Names that nobody need hand out do no harm, as long as others are left.
    if !lost.is_empty() && kept.is_empty() {
        warn(
            format!("blockers take {} off links", quoted(&lost)),
            "add \"via\" to parameters and hand out links with it".to_owned(),
        );
    }
    verdicts
}

/// What the lists say.
fn listed(
    target: &Target,
    edge: &Edge,
    names: Option<&Names>,
    aliases: &[String],
    lists: &Lists,
) -> Vec<Verdict> {
    const CHECK: &str = "lists";
    let page = &target.page;
    let well_known = Names::well_known(Vec::new());
    let used = names.unwrap_or(&well_known);
    let asked = requests(edge, &edge.script, used);
    let mut verdicts: Vec<Verdict> = blocked(lists, page, &asked)
        .into_iter()
        .map(|(url, rule)| {
            let mend = format!(
                "another prefix, such as \"/{}\", and names_secret",
                advice::neutral(edge.base.host_str().unwrap_or_default())
            );
            Verdict::fail(CHECK, format!("{rule} blocks {url}"), mend)
        })
        .collect();
    for alias in aliases {
        let behind =
            asked.iter().filter_map(|(url, kind)| Some((under(url, alias)?, *kind))).collect::<Vec<_>>();
        verdicts.extend(blocked(lists, page, &behind).into_iter().take(1).map(|(_, rule)| {
            let what = format!("{rule} blocks {alias}, which the host of the calls points to: uBlock Origin in Firefox and Brave look there");
            Verdict::fail(CHECK, what, "use a path of the page's host, or A and AAAA records")
        }));
    }
    if let Some(rule) = lists.blocks(page, page, Kind::Page) {
        verdicts.push(Verdict::fail(CHECK, format!("{rule} blocks the page itself"), ""));
    }
    let (lost, kept): (Vec<&String>, Vec<&String>) =
        used.parameters.iter().partition(|name| lists.strips(page, name));
    if !lost.is_empty() {
        let what = format!("they take {} off links to {page}", quoted(&lost));
        verdicts.push(match kept.first() {
            Some(kept) => Verdict::warn(CHECK, what, format!("hand out links with {kept:?}")),
            None => Verdict::fail(CHECK, what, "add another name to parameters, and hand out links with it"),
        });
    }
    for cookie in ["affonso_referral", "affonso_data"] {
        if let Some(rule) = lists.touches_cookie(page.host_str().unwrap_or_default(), cookie) {
            verdicts.push(Verdict::warn(CHECK, format!("{rule} is about the cookie {cookie}"), ""));
        }
    }
    if verdicts.is_empty() {
        let count = asked.len();
        verdicts.push(Verdict::ok(
            CHECK,
            format!("no rule blocks any of the {count} requests that a page makes, nor strips a parameter"),
        ));
    }
    if names.is_some_and(|names| names.track != well_known.track) {
        let mut script = edge.base.clone();
        script.set_path(&format!("{}/pixel.js", edge.base.path().trim_end_matches('/')));
        let unused = requests(edge, &script, &well_known);
        verdicts.extend(blocked(lists, page, &unused).into_iter().map(|(url, rule)| {
            Verdict::info(
                CHECK,
                format!("{rule} blocks {url}, a well-known name that the page does not ask for"),
                "",
            )
        }));
    }
    verdicts
}

/// Everything that a page asks for.
fn requests(edge: &Edge, script: &Url, names: &Names) -> Vec<(Url, Kind)> {
    let code = format!("{}/SPRING10", names.codes);
    let mut all = vec![
        (script.clone(), Kind::Script),
        (edge.at(&names.worker), Kind::Script),
        (edge.at(snippet::WASM_NAME), Kind::Call),
        (edge.at(&code), Kind::Call),
    ];
    for name in [&names.track, &names.signups, &names.bind] {
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
        Target {
            page: url("https://www.shop.com/"),
            got: None,
            markup: Page::default(),
            tag: None,
            edge: Some(Edge { base: url(base), script: url(script) }),
            site: None,
        }
    }

    fn neutral(parameters: &[&str]) -> Names {
        let [track, signups, codes, bind] = ["y5xqdc", "bprh66", "kvtmk7", "zr3x7m"].map(str::to_owned);
        let parameters = parameters.iter().map(|name| (*name).to_owned()).collect();
        Names { track, signups, codes, bind, worker: "7da73fbd1d1b672c.js".to_owned(), parameters }
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
