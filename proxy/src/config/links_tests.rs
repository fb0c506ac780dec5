//! What a site shows outside of its prefix: its origin, and links that can be told apart and lead somewhere.

use super::tests::{errors, good, load_text, shown, site};

fn link(path: &str, affiliate: &str, to: &str) -> String {
    format!("[[site.links]]\npath = {path:?}\naffiliate = {affiliate:?}\nto = {to:?}\n")
}

#[test]
fn links_lead_where_they_say() {
    for (path, read) in [
        ("/spring", "/spring"),
        ("/a/B-2/~x:@!", "/a/B-2/~x:@!"),
        ("/frühling", "/fr%C3%BChling"),
        ("/", "/"),
    ] {
        for (to, sent) in [
            ("https://shop.example/sale?a=b#c", "https://shop.example/sale?a=b#c"),
            ("https://shop.example", "https://shop.example"),
            ("HTTPS://Other.example/ü", "https://other.example/%C3%BC"),
        ] {
            if (path, to) == ("/", "https://shop.example") {
                continue; // that is the link itself
            }
            let site = &good(&site(&link(path, "alice", to))).sites[0];
            let [link] = site.links.as_slice() else { panic!("one link") };
            assert_eq!(
                (link.path.as_str(), link.affiliate.as_str(), link.to.as_str()),
                (read, "alice", sent)
            );
            assert_eq!(site.go.as_deref(), Some("/go"));
        }
    }
    for (lines, go) in [
        ("", None),
        ("origin = \"http://127.0.0.1:1\"", Some("/go")),
        ("origin = \"http://127.0.0.1:1\"\ngo = false", None),
        ("go = true", Some("/go")),
        ("go = \"/with/\"", Some("/with")),
    ] {
        assert_eq!(good(&site(lines)).sites[0].go.as_deref(), go, "{lines}");
    }
}

#[test]
fn links_that_cannot_be_told_apart_or_lead_nowhere() {
    let sale = "https://shop.example/sale";
    for (path, affiliate, to, says) in [
        ("spring", "a", sale, "begin it with a slash"),
        ("//evil.example", "a", sale, "without empty segments"),
        ("/a/", "a", sale, "without a slash at its end"),
        ("/a/../b", "a", sale, "without empty segments and dots"),
        ("/a?b", "a", sale, "segments of letters"),
        ("/a%2fb", "a", sale, "segments of letters"),
        ("/a b", "a", sale, "segments of letters"),
        ("/r", "a", sale, "which lies below the prefix \"/r\""),
        ("/r/spring", "a", sale, "which lies below the prefix \"/r\""),
        ("/spring", "a b", sale, "affiliate is \"a b\""),
        ("/spring", "a", "//shop.example", "whole http or https address"),
        ("/spring", "a", "https://u:p@shop.example", "whole http or https address"),
        ("/spring", "a", "https://shop.example/spring?x", "leads back to the link itself"),
    ] {
        let errors = errors(&site(&link(path, affiliate, to)));
        assert!(errors.len() == 1 && errors[0].contains(says), "{path} {to}: {errors:#?}");
    }
    let twice = errors(&site(&(link("/spring", "alice", sale) + &link("/spring", "bob", sale))));
    assert_eq!(twice.len(), 1);
    assert!(twice[0].contains("is \"/spring\", as the path of a link of \"alice\" above is"), "{twice:?}");

    let two = |first: &str, prefix: &str, second: &str| {
        let other = site(&format!("prefix = {prefix:?}\n{second}")).replace("\"shop\"", "\"other\"");
        errors(&format!("{}\n{other}", site(first)))
    };
    let spring = link("/spring", "alice", sale);
    for (found, says) in [
        (two(&spring, "/two", &link("/spring", "bob", sale)), "has \"/spring\", as site \"shop\" has"),
        (two(&spring, "/spring", ""), "below which site \"shop\" has the link \"/spring\""),
        (two("prefix = \"/spring\"", "/two", &spring), "below the prefix \"/spring\" of site \"shop\""),
    ] {
        assert!(found.len() == 1 && found[0].contains(says), "{found:#?}");
    }
}

#[test]
fn an_origin_is_scheme_host_and_port() {
    for (written, shown) in [
        ("http://127.0.0.1:3000", "http://127.0.0.1:3000"),
        ("https://Shop.Example/", "https://shop.example:443"),
        ("http://[0:0::1]", "http://[::1]:80"),
    ] {
        let config = load_text(&site(&format!("origin = {written:?}"))).expect("it is right");
        let origin = config.sites[0].origin.as_ref().map(ToString::to_string);
        assert_eq!((origin.as_deref(), config.sites[0].origin_cookies), (Some(shown), false));
    }
    let alone = load_text(&site("origin_cookies = true")).expect("it is right");
    assert!(shown(&alone.warnings).iter().any(|said| said.contains("changes nothing without origin")));
}
