//! Where the tag goes, and where it does not.

use super::{HTML, Origin, WHOLE, decorated, put_into, through};
use proptest::prelude::*;

#[test]
fn the_tag_goes_to_the_end_of_the_head() {
    for page in [
        "<!doctype html><html><head><title>Shop</title>¤</head><body>x</body></html>",
        "<html><head>¤</head></html>",
        "<HTML><HEAD>¤</HEAD></HTML>",
        "<head>¤</head>",
        "\u{feff}<!doctype html><html><head>¤</head>",
        "  \n<!-- hello --><!DOCTYPE html><html><head>¤</head>",
        "<html lang=en><!-- </head> --><head><!--<body>-->¤</head>",
        "<html><head><script>var a = \"</head>\";</script>¤</head>",
        "<html><head><style></head></style>¤</head>",
        "<html><head><title><body></head></title>¤</head>",
        "<html><head><noscript><img src=x><p></noscript>¤</head>",
        "<html><head><template><div><head></head></div></template>¤</head>",
        "<html><head><meta charset=utf-8><link rel=icon href=x><base href=/a>¤</head>",
        "<html><head a='>'>¤</head >",
        // the head is never closed, or never there
        "<!doctype html><html><head><title>x</title>¤<body><p>",
        "<!doctype html><title>x</title>¤<p>Hello",
        "<!doctype html><html>¤<body></body></html>",
        "<html><head><title>x</title>¤<div></head>",
        "<html><head></template>¤</head>",
        // an old page
        "<html><head>¤</head><frameset><frame src=x></frameset></html>",
        // a later one of ours is the script's own business
        "<html><head>¤</head><body><script src=/r/k3f9.js></script>",
    ] {
        assert_eq!(put_into(&page.replace('¤', ""), &[]), page);
    }
}

#[test]
fn parts_of_pages_and_pages_that_have_it_are_left_alone() {
    for page in [
        "",
        "Hello",
        "<div>a part</div>",
        "<tr><td>1</td></tr>",
        "<title>htmx</title><div><head></head></div>",
        "<turbo-frame id=a><html><head></head></html></turbo-frame>",
        "<body><head></head></body>",
        "<?xml version='1.0'?><svg></svg>",
        "<script>1</script><html><head></head></html>",
        "<!doctype html><html><head><title>never closed",
        "<!doctype html><html><head><title>x</title>",
        "<!doctype html>",
        "<!doctype html><html amp lang=en><head></head>",
        "<!doctype html><html ⚡><head></head>",
        "<html",
        "<html><head><template>never closed</head><body>",
        "<html><head><script src=/r/k3f9.js></script></head>",
        "<html><head><script src='https://shop.example/r/pixel.js?v=2'></script></head>",
        "<html><head><script async data-affonso=other src=//cdn.example/p.js></script></head>",
    ] {
        assert_eq!(put_into(page, &[]), page);
    }
}

#[test]
fn a_page_through_two_edges_has_one_tag() {
    let once = put_into(WHOLE, &[]).replace('¤', HTML);
    assert_eq!(once.matches(HTML).count(), 1);
    assert_eq!(put_into(&once, &[]).replace('¤', HTML), once);
}

#[test]
fn the_tag_fits_the_pages_policy() {
    let csp = "content-security-policy";
    let tagged = |page: &str, fields: &[(&str, &str)]| {
        let out = put_into(page, fields).replace('¤', HTML);
        let start = out.find("<script async defer")?;
        Some(out[start..].split_inclusive('>').next().unwrap_or_default().to_owned())
    };
    let meta = |policy: &str| {
        WHOLE.replace(
            "<title>",
            &format!("<meta http-equiv=Content-Security-Policy content=\"{policy}\"><title>"),
        )
    };

    let tag = tagged(WHOLE, &[(csp, "script-src 'nonce-abc' 'strict-dynamic'")]).expect("a tag");
    assert!(tag.ends_with(r#"data-parser="edge" nonce="abc">"#), "{tag}");
    let tag = tagged(WHOLE, &[(csp, "default-src 'self'")]).expect("a tag");
    assert!(tag.ends_with(r#"data-api-base="/r" data-parser="edge">"#), "{tag}");
    let tag = tagged(WHOLE, &[("content-security-policy-report-only", "script-src 'none'")]).expect("a tag");
    assert!(tag.ends_with(r#"data-api-base="/r" data-parser="edge">"#), "{tag}");
    assert_eq!(tagged(WHOLE, &[(csp, "script-src cdn.example")]), None);
    assert_eq!(tagged(WHOLE, &[(csp, "script-src 'self'"), (csp, "script-src 'none'")]), None);

    let tag = tagged(&meta("script-src 'nonce-abc'"), &[]).expect("a tag");
    assert!(tag.ends_with(r#"data-parser="edge" nonce="abc">"#), "{tag}");
    assert_eq!(tagged(&meta("script-src 'none'"), &[]), None);
    assert_eq!(tagged(&meta("script-src 'nonce-abc'"), &[(csp, "script-src 'nonce-def'")]), None);
    let scripted = WHOLE.replace("<title>", "<script nonce='xyz'></script><script nonce=no></script><title>");
    let tag = tagged(&scripted, &[]).expect("a tag");
    assert!(tag.ends_with(r#" nonce="xyz">"#), "{tag}");
}

#[test]
fn a_base_elsewhere_does_not_lead_the_tag_there() {
    for (base, src) in [
        ("https://cdn.example/x/", "//shop.example/r/k3f9.js"),
        ("//cdn.example", "//shop.example/r/k3f9.js"),
        (" \t/\\cdn.example", "//shop.example/r/k3f9.js"),
        ("/app/", "/r/k3f9.js"),
        ("app/", "/r/k3f9.js"),
        ("", "/r/k3f9.js"),
    ] {
        let page = WHOLE.replace("<title>", &format!("<base href='{base}'><title>"));
        let out = put_into(&page, &[]).replace('¤', HTML);
        assert!(out.contains(&format!("defer src=\"{src}\"")), "{base}: {out}");
    }
}

#[test]
fn headers_tell_of_the_page_as_it_is() {
    let fields =
        [("etag", "\"a\""), ("content-length", "87"), ("accept-ranges", "bytes"), ("vary", "Cookie")];
    for method in ["GET", "HEAD"] {
        let page = if method == "GET" { WHOLE } else { "" };
        let origin = Origin::sends([page]);
        let (head, _) = decorated(method, &fields, origin);
        assert_eq!(head.headers["etag"], "W/\"a\"", "{method}");
        assert_eq!(head.headers["vary"], "Cookie");
        assert!(!head.headers.contains_key("content-length") && !head.headers.contains_key("accept-ranges"));
    }
    let policy = ("content-security-policy", "script-src 'none'");
    let (head, _) = decorated("GET", &[policy, fields[0], fields[1]], Origin::sends([WHOLE]));
    assert_eq!(
        (&head.headers["etag"], &head.headers["content-length"]),
        (&"\"a\"".parse().unwrap(), &"87".parse().unwrap())
    );
}

#[test]
fn a_page_that_is_here_whole_keeps_what_it_is_known_by_unless_it_is_changed() {
    let fields = [("etag", "\"a\""), ("content-length", "87")];
    let (head, page) = super::whole(b"<li>a part</li>", &fields);
    assert_eq!(
        (&head.headers["etag"], page.as_slice()),
        (&"\"a\"".parse().unwrap(), &b"<li>a part</li>"[..])
    );
    let (head, page) = super::whole(WHOLE.as_bytes(), &fields);
    assert_eq!(&head.headers["etag"], "W/\"a\"");
    assert!(!head.headers.contains_key("content-length"));
    assert_eq!(page, WHOLE.replace("</head>", &format!("{HTML}</head>")).into_bytes());
    let (head, page) =
        super::whole(WHOLE.as_bytes(), &[("content-security-policy", "script-src 'none'"), fields[0]]);
    assert_eq!((&head.headers["etag"], page.as_slice()), (&"\"a\"".parse().unwrap(), WHOLE.as_bytes()));
}

#[test]
fn a_tag_of_many_kilobytes_passes() {
    let long = format!("<html><head><link href='data:{}'></head><body>", "x".repeat(300_000));
    assert_eq!(put_into(&long, &[]), long, "too long to look for the place");
    let shorter = format!("<html><head><link href='data:{}'></head><body>", "x".repeat(100_000));
    assert_eq!(put_into(&shorter, &[]).replace('¤', ""), shorter);
    assert_ne!(put_into(&shorter, &[]), shorter);
}

fn piece() -> impl Strategy<Value = Vec<u8>> {
    const MARKUP: [&str; 20] = [
        "<!doctype html>",
        "<html>",
        "<head>",
        "</head>",
        "<body>",
        "<title>",
        "</title>",
        "<script>",
        "</script>",
        "<template>",
        "</template>",
        "<!--",
        "-->",
        "<meta charset=utf-8>",
        "<p a='",
        "'>",
        "<",
        ">",
        "<svg>",
        "</",
    ];
    prop_oneof![
        3 => prop::sample::select(&MARKUP[..]).prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..12),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]
    #[test]
    fn nothing_is_ever_lost_or_changed(pieces in prop::collection::vec(piece(), 0..24), size in 1_usize..40) {
        let page = pieces.concat();
        let got = through(&[], Origin::sends(page.chunks(size).map(<[u8]>::to_vec))).bytes();
        let at = got.windows(HTML.len()).position(|window| window == HTML.as_bytes());
        let rest = at.map_or(got.clone(), |at| [&got[..at], &got[at + HTML.len()..]].concat());
        prop_assert_eq!(&rest, &page);
        // However it comes in pieces, or whole, the place is the same.
        prop_assert_eq!(&super::whole(&page, &[]).1, &got);
        let at_once = through(&[], Origin::sends([page])).bytes();
        prop_assert_eq!(at_once, got);
    }
}
