use super::*;
use crate::fixture;
use proptest::prelude::*;
use url::{Position, Url};

fn site() -> Site {
    let link = |path: &str, to: &str| Link {
        path: path.to_owned(),
        affiliate: AffiliateCode::new("alice").expect("a code"),
        to: to.to_owned(),
    };
    Site {
        links: vec![
            link("/spring", "https://shop.example/sale"),
            link("/more", "https://shop.example:444/sale?a=b#top"),
            link("/away", "https://elsewhere.example"),
            link("/go/special", "https://shop.example/special"),
        ],
        go: Some("/go".to_owned()),
        ..fixture::site()
    }
}

/// Where a path and query lead, and whose link it is.
fn lead(path: &str, query: Option<&str>, carries: bool) -> Option<(String, String)> {
    let site = site();
    let lead = Links::new(&site).find(&site, path)?;
    let location = lead.location(&site, "", query, carries).expect("a location");
    Some((lead.affiliate.as_str().to_owned(), location.to_str().expect("text").to_owned()))
}

#[test]
fn links_lead_to_their_pages() {
    for (path, query, affiliate, to) in [
        ("/spring", None, "alice", "https://shop.example/sale"),
        ("/spring", Some(""), "alice", "https://shop.example/sale"),
        ("/spring", Some("utm_source=x&gclid=1"), "alice", "https://shop.example/sale?utm_source=x&gclid=1"),
        ("/more", Some("utm_source=x"), "alice", "https://shop.example:444/sale?a=b&utm_source=x#top"),
        ("/away", Some("x=1"), "alice", "https://elsewhere.example?x=1"),
        ("/go/bob", None, "bob", "/"),
        ("/go/bob/", None, "bob", "/"),
        ("/go/bob/shoes", None, "bob", "/shoes"),
        ("/go/bob/shoes/", None, "bob", "/shoes/"),
        ("/go/bob/a/b;c=d/@e:f", Some("q=1"), "bob", "/a/b;c=d/@e:f?q=1"),
        ("/go/bob/fr%C3%BChling%20sale", None, "bob", "/fr%C3%BChling%20sale"),
        ("/go/bob/http:", None, "bob", "/http:"),
        ("/go/special", None, "alice", "https://shop.example/special"),
        ("/go/go", None, "go", "/"),
    ] {
        let wanted = Some((affiliate.to_owned(), to.to_owned()));
        assert_eq!(lead(path, query, false), wanted, "{path}?{query:?}");
    }
    for path in [
        "/",
        "/spring/",
        "/Spring",
        "/springs",
        "/go",
        "/go/",
        "/go//",
        "/go/al%69ce",
        "/gone/bob",
        "//go/bob",
    ] {
        assert_eq!(lead(path, None, false), None, "{path}");
    }
}

#[test]
fn the_query_is_passed_on_without_what_names_an_affiliate() {
    let to = |query: &str| lead("/go/bob/x", Some(query), false).expect("a link").1;
    for (query, passed) in [
        ("via=eve", "/x"),
        ("a=1&via=eve&b=2", "/x?a=1&b=2"),
        ("%76ia=eve&v%69a=eve", "/x"),
        ("affonso_id=abc&viable=1", "/x?viable=1"),
        ("&&a=1&&", "/x?a=1"),
        ("a=\"<>\\^`{|}", "/x?a=%22%3C%3E%5C%5E%60%7B%7C%7D"),
        ("a=ü", "/x?a=%C3%BC"),
        ("u=https://evil.example/", "/x?u=https://evil.example/"),
    ] {
        assert_eq!(to(query), passed, "{query}");
    }
    assert_eq!(to(&format!("a={}", "b".repeat(LINK_QUERY_BYTES))), "/x", "too long to be passed on");
}

#[test]
fn who_has_not_been_asked_carries_the_affiliate_to_pages_of_the_site() {
    for (path, to) in [
        ("/spring", "https://shop.example/sale?via=alice"),
        ("/more", "https://shop.example:444/sale?a=b&via=alice#top"),
        ("/away", "https://elsewhere.example"),
        ("/go/bob/x", "/x?via=bob"),
    ] {
        assert_eq!(lead(path, None, true).expect("a link").1, to, "{path}");
    }
    assert_eq!(
        lead("/spring", Some("via=eve&a=1"), true).expect("a link").1,
        "https://shop.example/sale?a=1&via=alice"
    );
}

#[test]
fn no_path_leads_off_the_host() {
    for path in [
        "//evil.example",
        "/evil.example//x",
        "\\evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "%2f%2fevil.example",
        "%2Fevil.example",
        "%5cevil.example",
        "%5C%5Cevil.example",
        "%252f%252fevil.example",
        "%255cevil.example",
        "..",
        "../..",
        "../x",
        "a/../../x",
        ".",
        "./x",
        "%2e%2e/x",
        "%2E%2e",
        ".%2e/x",
        "%2e",
        "a/%2e%2e/b",
        "a//b",
        "a/",
        "//",
        "/",
        "a//",
        "%00",
        "a%0d%0aSet-Cookie:x",
        "%0a/evil.example",
        "%09/evil.example",
        "a\tb",
        "%7f",
        "%c2%80",
        "%c2%85",
        "%ff",
        "%c0%af",
        "%e2%80%a8",
        "%",
        "%2",
        "%zz",
        "%25",
        "a%3fb",
        "a%23b",
        "a?b",
        "a#b",
        "a b",
        "a\"b",
        "a<b",
        "a|b",
        "a^b",
        "ü",
    ] {
        let led = lead(&format!("/go/bob/{path}"), None, false);
        let allowed = ["a/", "%e2%80%a8"];
        assert_eq!(led.is_some(), allowed.contains(&path), "{path}: {led:?}");
    }
}

fn stays(location: &str, base: &str) -> bool {
    let base = Url::parse(base).expect("a URL");
    base.join(location).is_ok_and(|url| url[..Position::BeforePath] == base[..Position::BeforePath])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn whatever_is_asked_for_stays(
        below in "([a-z/\\\\.@:;?#&=%]|%2[0-9a-fF]|%5[cC]|%0[0-9a-f]|%25|evil|http:|\\.\\.|//){0,12}",
        query in proptest::option::of("[ -~]{0,30}"),
        carries: bool,
    ) {
        if let Some((_, location)) = lead(&format!("/go/bob/{below}"), query.as_deref(), carries) {
            prop_assert!(location.starts_with('/') && !location.starts_with("//"), "{}", location);
            prop_assert!(location.bytes().all(|b| b.is_ascii_graphic() && b != b'\\'), "{}", location);
            for base in ["https://shop.example/go/bob/x", "http://127.0.0.1:8080/"] {
                prop_assert!(stays(&location, base), "{}", location);
            }
        }
        let (_, location) = lead("/more", query.as_deref(), carries).expect("a link");
        prop_assert!(stays(&location, "https://shop.example:444/"), "{}", location);
    }
}
