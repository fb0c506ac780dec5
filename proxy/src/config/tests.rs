//! Every refusal, every default, and that no text whatever can break the loader.

use super::*;
use proptest::prelude::*;
use std::{collections::HashMap, io};
use usher_model::{Attribution, CodeOrClick, Consent, CookieDomain};

/// A file `dir/usher.toml` in surroundings of its own.
#[derive(Default)]
struct World {
    text: String,
    vars: HashMap<&'static str, &'static str>,
    files: HashMap<&'static str, &'static str>,
}

impl Env for World {
    fn var(&self, name: &str) -> Option<String> {
        self.vars.get(name).map(ToString::to_string)
    }

    fn read(&self, path: &Path, _limit_bytes: usize) -> io::Result<String> {
        match path.to_str() {
            Some("dir/usher.toml") => Ok(self.text.clone()),
            Some(path) => self.files.get(path).map(ToString::to_string).ok_or(io::ErrorKind::NotFound.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

fn world(text: &str) -> World {
    let vars = HashMap::from([("KEY", "k3y"), ("EMPTY", ""), ("SPACED", "two words")]);
    let files =
        HashMap::from([("dir/key", "from-file\r\n"), ("/run/key", "absolute\n\n"), ("dir/empty", "\n")]);
    World { text: text.to_owned(), vars, files }
}

pub(super) fn load_text(text: &str) -> Result<Config, Vec<Finding>> {
    load(Path::new("dir/usher.toml"), &world(text))
}

/// Everything about `SITE` in the middle of an otherwise good file.
pub(super) fn site(more: &str) -> String {
    format!(
        "[[site]]\nname = \"shop\"\nhosts = [\"shop.example\"]\nprogram = \"cm4\"\nnames_secret = {{ env = \"KEY\" }}\n{more}"
    )
}

pub(super) fn good(text: &str) -> Config {
    load_text(text).unwrap_or_else(|findings| panic!("{text}\n{}", shown(&findings).join("\n")))
}

pub(super) fn shown(findings: &[Finding]) -> Vec<String> {
    findings.iter().map(ToString::to_string).collect()
}

/// The errors' lines, without the file's name.
pub(super) fn errors(text: &str) -> Vec<String> {
    let findings = load_text(text).err().unwrap_or_default();
    let errors: Vec<Finding> = findings.into_iter().filter(Finding::is_error).collect();
    shown(&errors).iter().map(|line| line.trim_start_matches("dir/usher.toml:").to_owned()).collect()
}

/// That `text` is refused for one reason, which begins with its place and holds `says`.
fn refused(text: &str, place: &str, says: &str) {
    let errors = errors(text);
    assert_eq!(errors.len(), 1, "{text}\n{errors:#?}");
    assert!(errors[0].starts_with(&format!("{place}: error: ")), "{text}\n{errors:#?}");
    assert!(errors[0].contains(says), "{says:?} is not in {errors:#?}");
}

#[test]
fn defaults() {
    let config = good(&site(""));
    assert_eq!(config.http, ["0.0.0.0:8080".parse().expect("an address")]);
    assert_eq!(config.admin, Admin::Usual);
    assert!(config.trusted_proxies.is_empty());
    assert_eq!(config.store_url.expose(), "sqlite:dir/usher.db");
    assert_eq!(
        (config.upstream.base_url.as_str(), config.upstream.click_budget_ms),
        ("https://api.affonso.io/v1", 300)
    );
    assert_eq!(config.privacy, Privacy { truncate_addresses: true, retention_days: 395 });
    let [site] = config.sites.as_slice() else { panic!("one site") };
    assert_eq!((site.prefix.as_str(), site.cookie_days, site.honour_gpc), ("/r", 30, true));
    assert_eq!((site.attribution, site.code_or_click), (Attribution::LastClick, CodeOrClick::Code));
    assert_eq!((site.consent, &site.cookie_domain), (Consent::Granted, &CookieDomain::Registrable));
    assert_eq!(site.parameters, referral::Parameters::default());
    assert!(site.api_keys.is_empty() && site.signing_secrets.is_empty());
    let missing: Vec<&str> = config.warnings.iter().map(|warning| warning.key.as_str()).collect();
    assert_eq!(missing, ["upstream.api_key", "site.api_keys"]);
}

#[test]
fn everything_that_is_written_arrives() {
    let config = good(&format!(
        "[server]\nhttp = [\"localhost:0\", \"[::1]:81\"]\nadmin = \"off\"\n\
         trusted_proxies = [\"10.1.2.3/8\", \"::1\"]\n[store]\nurl = \"sqlite:/var/usher.db\"\n\
         [upstream]\nbase_url = \"http://127.0.0.1:9/v1/\"\napi_key = {{ file = \"key\" }}\nclick_budget_ms = 0\n\
         signing_secret = {{ file = \"/run/key\" }}\n[privacy]\ntruncate_addresses = false\nretention_days = 35\n{}",
        site(
            "prefix = \"/a/b/\"\nparameters = \"p\"\ncookie_days = 400\ncookie_domain = \".Shop.example\"\n\
             attribution = \"first_click\"\ncode_or_click = \"latest\"\nconsent = \"required\"\nhonour_gpc = false\n\
             api_keys = { env = \"KEY\" }\nsigning_secret = [{ env = \"KEY\" }, { file = \"key\" }]"
        )
    ));
    assert_eq!(shown(&config.warnings), Vec::<String>::new());
    assert_eq!(config.http, ["127.0.0.1:0", "[::1]:81"].map(|at| at.parse().expect("an address")));
    assert_eq!(config.admin, Admin::Off);
    let networks: Vec<String> = config.trusted_proxies.iter().map(ToString::to_string).collect();
    assert_eq!(networks, ["10.0.0.0/8", "::1/128"]);
    assert_eq!(config.store_url.expose(), "sqlite:/var/usher.db");
    assert_eq!(config.upstream.base_url, "http://127.0.0.1:9/v1");
    let secret = |secret: &Option<Secret>| secret.as_ref().map(|secret| secret.expose().to_vec());
    assert_eq!(secret(&config.upstream.api_key), Some(b"from-file".to_vec()));
    assert_eq!(
        secret(&config.upstream.signing_secret),
        Some(b"absolute\n".to_vec()),
        "one newline is the file's own"
    );
    let [site] = config.sites.as_slice() else { panic!("one site") };
    assert_eq!((site.prefix.as_str(), site.cookie_days, site.honour_gpc), ("/a/b", 400, false));
    assert_eq!((site.attribution, site.code_or_click), (Attribution::FirstClick, CodeOrClick::Latest));
    assert_eq!(
        (site.consent, &site.cookie_domain),
        (Consent::Required, &CookieDomain::Named("shop.example".into()))
    );
    assert_eq!(
        (site.parameters.names(), site.api_keys.len(), site.signing_secrets.len()),
        (&["p".to_owned()][..], 1, 2)
    );
}

#[test]
fn a_key_that_is_not_known_gets_its_nearest() {
    refused(&site("cookie_day = 3"), "6:1", "site.cookie_day is not a known key; did you mean cookie_days?");
    refused(&format!("[sever]\n{}", site("")), "1:2", "sever is not a known key; did you mean server?");
    refused(&site("names_secret2 = 1"), "6:1", "did you mean names_secret?");
    refused(
        &site("api_keys = [{ evn = \"KEY\" }]"),
        "6:15",
        "site.api_keys.evn is not a known key; did you mean env?",
    );
    let misplaced =
        site("links = [{ path = \"/a\", affiliate = \"a\", to = \"https://a.example\", cookie_days = 3 }]");
    refused(&misplaced, "6:68", "it belongs below [[site]]");
    refused(&site("\"\\u001b[2J\" = 1"), "6:1", r#"site."\u{1b}[2J" is not a known key"#);
    refused(&site("zzzz = 1"), "6:1", "the nearest is");
    refused(&site("name = \"b\""), "6:1", "\"name\" stands there twice; keep one of them");
}

#[test]
fn values_of_the_wrong_kind_or_size() {
    for (line, says) in [
        ("cookie_days = 0", "site.cookie_days is 0; write a whole number from 1 to 400"),
        ("cookie_days = 401", "is 401"),
        ("cookie_days = -1", "is -1"),
        ("cookie_days = 99999999999999999999", "is 99999999999999999999"),
        ("cookie_days = \"30\"", "is a text; write a whole number"),
        ("honour_gpc = \"yes\"", "is a text; write true or false"),
        ("attribution = \"last\"", r#"is "last"; write one of "last_click", "first_click""#),
        ("code_or_click = \"both\"", r#"write one of "code", "click", "latest""#),
        ("consent = true", "is true or false; write a text"),
        ("parameters = []", "site.parameters cannot be used: no parameter is named"),
        ("parameters = [\"gclid\"]", "already has another meaning"),
        ("parameters = 3", "is a whole number; write a text in quotes, or a list of them"),
        ("parameters = [3]", "is a whole number; write a text in quotes"),
        ("links = 3", "is a whole number; write each as [[site.links]]"),
        ("links = [3]", "holds a whole number"),
        (
            "links = [{ path = \"a\", affiliate = \"a\", to = \"https://a.example\" }]",
            "begin it with a slash",
        ),
        (
            "links = [{ path = \"/a\", affiliate = \"a b\", to = \"https://a.example\" }]",
            "affiliate is \"a b\"",
        ),
        (
            "links = [{ path = \"/a\", affiliate = \"a\", to = \"javascript:x\" }]",
            "whole http or https address",
        ),
        ("links = [{ path = \"/a\", affiliate = \"a\" }]", "site.links.to is missing"),
        ("webhook = [{ secret = { env = \"KEY\" } }]", "site.webhook.provider is missing"),
        ("origin = \"shop\"", "which is no URL"),
        ("origin = \"ftp://shop.example\"", "neither http nor https"),
        ("origin = \"http://shop.example/app\"", "write \"http://shop.example\""),
        ("origin = \"http://[::1]:3000?a\"", "write \"http://[::1]:3000\""),
        ("origin = \"http://a:b@shop.example\"", "holds a user name or password"),
        ("origin_cookies = 1", "write true or false"),
        ("tag = \"no\"", "write true or false"),
        ("go = 1", "write a path such as \"/go\", or false"),
        ("go = \"go\"", "does not begin with a slash"),
        ("go = \"/r\"", "cannot be told from the prefix \"/r\""),
        ("go = \"/r/go\"", "cannot be told from the prefix"),
    ] {
        let errors = errors(&site(line));
        assert_eq!(errors.len(), 1, "{line}: {errors:#?}");
        assert!(errors[0].starts_with("6:") && errors[0].contains(says), "{line}: {errors:#?}");
    }
}

#[test]
fn secrets() {
    for (written, says) in [
        ("\"\"", "is empty"),
        ("{ env = \"NOPE\" }", "names the variable \"NOPE\", which is not set"),
        ("{ env = \"EMPTY\" }", "names the variable \"EMPTY\", which is empty"),
        ("{ file = \"nope\" }", "names the file \"dir/nope\", which cannot be read"),
        ("{ file = \"empty\" }", "names the file \"dir/empty\", which is empty"),
        ("{ env = \"KEY\", file = \"key\" }", "names both a variable and a file"),
        ("{}", "names neither a variable nor a file"),
        ("{ env = 3 }", "is a whole number"),
        ("[[]]", "is a list; it takes one secret"),
        ("3", "is a whole number"),
        ("{ env = \"SPACED\" }", "white space"),
    ] {
        let errors = errors(&site(&format!("api_keys = {written}")));
        assert_eq!(errors.len(), 1, "{written}: {errors:#?}");
        assert!(errors[0].contains(says), "{written}: {errors:#?}");
    }
    for (written, name) in [("$SHOP_KEY", "SHOP_KEY"), ("${SHOP_KEY}", "SHOP_KEY"), ("$1", "1")] {
        let says = format!(
            "is a variable as shells write it, which is not looked up here; write {{ env = {name:?} }}"
        );
        refused(&site(&format!("api_keys = {written:?}")), "6:12", &says);
    }
    for literal in ["$", "${}", "$a-b", "a$B"] {
        good(&site(&format!("api_keys = {literal:?}")));
    }
    refused(&format!("[upstream]\napi_key = [\"a\"]\n{}", site("")), "2:11", "it takes one secret");
    let clear = good(&site("api_keys = \"literal\"")).warnings;
    assert!(clear.iter().any(|warning| warning.what == "is written in clear"), "{clear:?}");
    assert!(!format!("{:?} {:?}", good(&site("api_keys = \"literal\"")), clear).contains("literal"));
}

#[test]
fn hosts() {
    for (host, says) in [
        ("https://shop.example/x", "has a scheme; write \"shop.example\" alone"),
        ("shop.example:8080", "has a port; write \"shop.example\" alone"),
        ("[::1]:80", "has a port"),
        ("shop.example/x", "has a path"),
        ("*.shop.example", "is a pattern"),
        ("münchen.example", "write \"xn--mnchen-3ya.example\""),
        ("", "is no host name"),
        ("a..b", "is no host name"),
        ("-a.example", "is no host name"),
        ("1.2.3", "is no host name"),
        ("shop example", "is no host name"),
    ] {
        let text = site("").replace("\"shop.example\"", &format!("{host:?}"));
        refused(&text, "3:10", says);
    }
    for (host, read) in [
        ("SHOP.Example.", "shop.example"),
        ("127.0.0.1", "127.0.0.1"),
        ("[::1]", "::1"),
        ("localhost", "localhost"),
    ] {
        let text = site("").replace("\"shop.example\"", &format!("{host:?}"));
        assert_eq!(good(&text).sites[0].hosts, [read]);
    }
    refused(&site("").replace("[\"shop.example\"]", "[]"), "3:9", "site.hosts is empty");
    refused(&site("").replace("\"shop.example\"", "\"a.example\", \"A.example\""), "3:23", "twice");
}

#[test]
fn prefixes_and_cookie_domains() {
    for (prefix, says) in [
        ("r", "does not begin with a slash"),
        ("/", "leaves no path to the site itself"),
        ("", "leaves no path to the site itself"),
        ("/a//b", "is no path"),
        ("/../b", "is no path"),
        ("/a?b", "is no path"),
        ("/ä", "is no path"),
    ] {
        refused(&site(&format!("prefix = {prefix:?}")), "6:10", says);
    }
    for (domain, says) in [
        ("example", "a public suffix"),
        ("co.uk", "a public suffix"),
        ("127.0.0.1", "an address"),
        ("other.example", "which \"shop.example\" does not lie in"),
        ("hop.example", "which \"shop.example\" does not lie in"),
        ("a b", "is no host name"),
    ] {
        refused(&site(&format!("cookie_domain = {domain:?}")), "6:17", says);
    }
}

#[test]
fn listeners() {
    for (line, says) in [
        ("http = []", "names no address"),
        ("http = 8080", "is a whole number"),
        ("http = \":8080\"", "write an address and a port"),
        ("http = \"shop.example:80\"", "write an address and a port"),
        ("http = \"localhost:99999\"", "write an address and a port"),
        ("http = [\"0.0.0.0:1\", \"127.0.0.1:1\"]", "where 0.0.0.0:1 listens as well"),
        ("https = \"x\"", "write an address and a port"),
        ("admin = \"0.0.0.0:8080\"", "where the public listener 0.0.0.0:8080 is as well"),
        ("admin = \"on\"", "write an address and a port"),
        ("trusted_proxies = [\"10.0.0.0/33\"]", "write an address or a network"),
    ] {
        let errors = errors(&format!("[server]\n{line}\n{}", site("")));
        assert_eq!(errors.len(), 1, "{line}: {errors:#?}");
        assert!(errors[0].starts_with("2:") && errors[0].contains(says), "{line}: {errors:#?}");
    }
    good(&format!("[server]\nhttp = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n{}", site("")));
}

#[test]
fn store_and_upstream() {
    for (url, says) in [
        ("postgres://h/d", "is \"postgres://h/d\"; write sqlite:FILE"),
        ("sqlite:", "names no file"),
        ("sqlite:~/usher.db", "begins with '~'"),
        ("sqlite::memory:", "forget"),
        ("redis://", "write sqlite:FILE"),
        ("redis+sentinel://", "write sqlite:FILE"),
        ("redis+sentinel://a:1,b:2", "names no primary"),
        ("redis+cluster://a:1,b:2/3", "has no database but 0"),
        ("redis://a:1?wiat=1", "knows no option \"wiat\""),
        ("redis://a:port", "write redis://HOST:PORT, redis+sentinel"),
    ] {
        refused(&format!("[store]\nurl = {url:?}\n{}", site("")), "2:7", says);
    }
    for url in
        ["redis+sentinel://u:p@a:1,b:2/shop?wait=1", "rediss+sentinel://a/shop/2", "redis+cluster://a:1,b:2"]
    {
        let config = good(&format!("[store]\nurl = {url:?}\n{}", site("")));
        assert_eq!(config.store_url.expose(), url);
    }
    for (url, says) in [
        ("api.affonso.io", "is no URL"),
        ("ftp://a.example", "is neither http nor https"),
        ("https://a.example/?x", "has a query"),
        ("https://u:hunter2@a.example", "holds a user name or password"),
    ] {
        refused(&format!("[upstream]\nbase_url = {url:?}\n{}", site("")), "2:12", says);
    }
    refused(&format!("[upstream]\nclick_budget_ms = 5001\n{}", site("")), "2:19", "from 0 to 5000");
    refused(&format!("[privacy]\nretention_days = 34\n{}", site("")), "2:18", "from 35 to");
    refused(&format!("upstream = 3\n{}", site("")), "1:12", "write it as a table: [upstream]");
}

#[test]
fn passwords_are_never_shown() {
    for url in
        ["redis://u:hunter2@h:1/0", "redis://:hunter2@h", "postgres://u:hunter2@h", "redis://u:hun/hunter2@h"]
    {
        let text = format!("[store]\nurl = {url:?}\n{}", site(""));
        let all = format!("{:?}", load_text(&text));
        assert!(!all.contains("hunter2"), "{all}");
    }
    let config = good(&format!("[store]\nurl = \"redis://u:hunter2@h:1/0\"\n{}", site("")));
    assert_eq!(config.store_url.expose(), "redis://u:hunter2@h:1/0");
    assert_eq!(config.store_url.to_string(), "redis://…@h:1/0");
    assert!(config.warnings.iter().any(|warning| warning.what == "holds a password in clear"));
}

#[test]
fn sites_do_not_share_names_or_places() {
    let two = |more: &str| format!("{}\n{}", site(""), site(more).replace("\"shop\"", "\"two\""));
    refused(&two(""), "9:9", "holds \"shop.example\", which site \"shop\" has with the same prefix \"/r\"");
    assert_eq!(good(&two("prefix = \"/r/x\"")).sites.len(), 2);
    let same = format!("{}\n{}", site(""), site("prefix = \"/x\""));
    refused(&same, "8:8", "is \"shop\", as an earlier site's is");
}

#[test]
fn what_is_missing_is_named() {
    refused("", "1:1", "site is missing; add [[site]]");
    refused("site = []", "1:8", "site is empty");
    refused("[site]\nname = \"a\"", "1:1", "is a table; write each as [[site]]");
    let nothing = errors("\n[[site]]\n");
    let keys: Vec<&str> = nothing.iter().filter_map(|line| line.split(' ').nth(2)).collect();
    assert_eq!(keys, ["site.name", "site.hosts", "site.program"], "{nothing:#?}");
    assert!(nothing.iter().all(|line| line.starts_with("2:1: ")), "{nothing:#?}");
}

#[test]
fn all_findings_come_at_once_in_the_files_order() {
    let found = errors(
        "[store]\nurl = 3\n[server]\nhtp = 1\n[[site]]\nname = \"A\"\nname = \"b\"\ncookie_days = 0\n",
    );
    let places: Vec<&str> = found.iter().map(|line| &line[..4]).collect();
    assert_eq!(places, ["2:7:", "4:1:", "5:1:", "5:1:", "6:8:", "7:1:", "8:15"], "{found:#?}");
    let missing = load(Path::new("nowhere.toml"), &World::default()).expect_err("no file");
    assert!(shown(&missing)[0].starts_with("nowhere.toml: error: the file cannot be read"));
}

#[test]
fn warnings_do_not_refuse() {
    let warnings = |text: &str| shown(&good(text).warnings).join("\n");
    let about = warnings(&site("").replace("names_secret = { env = \"KEY\" }", ""));
    assert!(
        about.contains("1:1: warning: site.names_secret is missing: the tag loads /r/pixel.js"),
        "{about}"
    );
    assert!(warnings(&site("")).contains("upstream.api_key is missing"));
    assert!(warnings(&site("prefix = \"/track\"")).contains("has the word \"track\""));
    assert!(
        warnings(&site("").replace("shop.example", "pixel.shop.example"))
            .contains("blockers look for \"pixel\"")
    );
    let stripped = warnings(&site("parameters = [\"via\", \"ref\"]"));
    assert!(
        stripped.contains("holds \"ref\"") && stripped.contains("hand out links with \"via\""),
        "{stripped}"
    );
    assert!(
        warnings(&format!("[upstream]\nbase_url = \"http://a.example\"\n{}", site("")))
            .contains("plain http")
    );
    assert!(
        warnings(&format!("[server]\nadmin = \"0.0.0.0:1\"\n{}", site("")))
            .contains("shows health and metrics")
    );
    assert!(
        warnings(&format!("[upstream]\nbase_url = \"https://a.example\"\n{}", site("")))
            .contains("has no path")
    );
    for (server, says) in [
        ("http = \"127.0.0.1:1\"", "every visitor will have the proxy's address"),
        ("trusted_proxies = [\"::/0\"]", "holds ::/0, so every visitor may say"),
    ] {
        let said = warnings(&format!("[server]\n{server}\n{}", site("")));
        assert!(said.contains(says), "{said}");
        let more = "trusted_proxies = [\"127.0.0.0/8\"]";
        let fine = server
            .starts_with("http")
            .then(|| warnings(&format!("[server]\n{server}\n{more}\n{}", site(""))));
        assert!(!fine.is_some_and(|said| said.contains("trusted_proxies")));
    }
    assert!(warnings(&site("api_keys = []")).contains("nobody can report sales"));
    let token = warnings(&format!("[server]\nadmin_token = {{ env = \"KEY\" }}\n{}", site("")));
    assert!(token.contains("is read but not served by this version"), "{token}");
    assert!(warnings(&site("tag = false")).contains("changes nothing without origin"));
}

#[test]
fn a_command_that_needs_the_store_alone_does_without_the_other_secrets() {
    let lenient = |text: &str| load_for_store(Path::new("dir/usher.toml"), &world(text));
    let keys = "api_keys = [{ env = \"NOPE\" }, { file = \"nope\" }, { env = \"KEY\" }]";
    assert_eq!(errors(&site(keys)).len(), 2);
    let config = lenient(&site(keys)).expect("what is there is enough");
    assert_eq!(config.sites[0].api_keys.len(), 1);
    assert!(lenient(&format!("[store]\nurl = {{ env = \"NOPE\" }}\n{}", site(""))).is_err());
    assert!(lenient(&site("api_keys = [{ evn = \"NOPE\" }]")).is_err(), "what is written wrong stays wrong");
}

const PIECES: [&str; 24] = [
    "[[site]]",
    "[site]",
    "[server]",
    "[upstream]",
    "[store]",
    "name",
    "hosts",
    "prefix",
    "api_keys",
    "http",
    "url",
    "=",
    "\n",
    "\"",
    "[",
    "]",
    "{",
    "}",
    ",",
    "env",
    "\"shop.example\"",
    "\"sqlite:x\"",
    "3",
    "\u{e4}",
];

proptest! {
    #[test]
    fn no_text_breaks_the_loader(text in "(?s).{0,300}") {
        let _ = load_text(&text).map_err(|findings| shown(&findings));
    }

    #[test]
    fn no_heap_of_pieces_breaks_the_loader(pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..60)) {
        let _ = load_text(&pieces.join(" ")).map_err(|findings| shown(&findings));
    }

    #[test]
    fn no_value_breaks_the_loader(key in prop::sample::select(keys::SITE), value in "(?s).{0,60}") {
        let _ = load_text(&site(&format!("{key} = {value}")));
        let _ = load_text(&site(&format!("{key} = {value:?}")));
        let _ = load_text(&site(&format!("{key} = [{value:?}]")));
    }
}
