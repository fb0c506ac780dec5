//! `usher check`

use super::{GOOD, Place};

#[test]
fn a_good_file_passes_without_a_word_too_many() {
    let said = Place::new(GOOD).run(&["check"]).done();
    assert_eq!(said, "usher.toml: ok, 1 site, store sqlite:usher.db: 0 errors, 0 warnings\n");
    let place = Place::new(GOOD);
    place.write("other.toml", GOOD);
    assert!(place.run(&["--config", "other.toml", "check"]).done().starts_with("other.toml: ok"));
    assert!(place.run(&["check", "--config", "other.toml"]).done().starts_with("other.toml: ok"));
}

#[test]
fn warnings_pass() {
    let said =
        Place::new(&GOOD.replace("{ env = \"UPSTREAM_KEY\" }", "\"sk_live_1\"")).run(&["check"]).done();
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(
        lines,
        [
            "usher.toml:5:11: warning: upstream.api_key is written in clear; write { env = \"NAME\" } or { file = \"PATH\" }",
            "usher.toml: ok, 1 site, store sqlite:usher.db: 0 errors, 1 warning",
        ]
    );
}

#[test]
fn bad_files_are_refused_with_line_key_and_mend() {
    for (from, to, expected) in [
        (
            "program = ",
            "cookie_day = 5\nprogram = ",
            &["10:1: error: site.cookie_day is not a known key; did you mean cookie_days?"][..],
        ),
        (
            "NAMES_SECRET",
            "NOT_SET_ANYWHERE",
            &[
                "11:24: error: site.names_secret.env names the variable \"NOT_SET_ANYWHERE\", which is not set; set it where \
               usher is started",
            ],
        ),
        (
            "[\"shop.example\", \"go.shop.example\"]",
            "[\"https://shop.example\", \"go.shop.example:443\"]",
            &[
                "9:10: error: site.hosts holds \"https://shop.example\", which has a scheme; write \"shop.example\" alone",
                "9:34: error: site.hosts holds \"go.shop.example:443\", which has a port; write \"go.shop.example\" alone: \
                 a host is matched without its port",
            ],
        ),
        (
            "url = \"sqlite",
            "urll = \"sqlite",
            &["2:1: error: store.urll is not a known key; did you mean url?"],
        ),
        ("[store]", "[store", &["1:7: error: unclosed table, expected `]`"]),
    ] {
        let ran = Place::new(&GOOD.replace(from, to)).run(&["check"]);
        assert_eq!((ran.code, ran.err.as_str()), (Some(1), ""), "{to}");
        let mut lines: Vec<&str> = ran.out.lines().collect();
        let verdict = lines.pop().expect("a last line");
        let expected: Vec<String> = expected.iter().map(|line| format!("usher.toml:{line}")).collect();
        assert_eq!(lines, expected, "{to}");
        let count = expected.len();
        let noun = if count == 1 { "error" } else { "errors" };
        assert_eq!(verdict, format!("usher.toml: refused: {count} {noun}, 0 warnings"));
    }
}

#[test]
fn a_file_that_cannot_be_read_is_one_finding() {
    let ran = Place::new(GOOD).run(&["check", "--config", "nowhere.toml"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.out.starts_with("nowhere.toml: error: the file cannot be read: No such file"), "{}", ran.out);
}

#[test]
fn secrets_are_read_beside_the_file_and_never_printed() {
    let place = Place::new(&GOOD.replace("{ env = \"UPSTREAM_KEY\" }", "{ file = \"key\" }"));
    place.write("key", "sk_hidden\n");
    let from_elsewhere = Place::new("");
    let path = place.path().join("usher.toml");
    let said = from_elsewhere.run(&["check", "--config", path.to_str().expect("UTF-8")]).done();
    assert!(said.contains(&format!("store sqlite:{}/usher.db", place.path().display())), "{said}");
    assert!(!said.contains("sk_hidden"), "{said}");
}

#[test]
fn a_store_that_cannot_be_is_told_before_it_is_needed() {
    let place = Place::new(&GOOD.replace("sqlite:usher.db", "sqlite:nowhere/usher.db"));
    let ran = place.run(&["check"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(1), ""));
    assert_eq!(
        ran.out.lines().next(),
        Some(
            "usher.toml: error: store.url lies in the folder nowhere, which is not there; make it, for the user that \
             usher runs as"
        )
    );
    // The port was free a moment ago; whoever has it by now is no Redis.
    let free =
        std::net::TcpListener::bind("127.0.0.1:0").and_then(|bound| bound.local_addr()).expect("a port");
    let place = Place::new(&GOOD.replace("sqlite:usher.db", &format!("redis://:hidden@{free}/0")));
    let ran = place.run(&["check"]);
    assert_eq!(ran.code, Some(0), "serve waits for it: {}", ran.out);
    let says = format!("usher.toml: warning: store.url names redis://…@{free}/0, which cannot be used now: ");
    assert!(ran.out.contains(&says) && !ran.out.contains("hidden"), "{}", ran.out);
}

#[test]
fn a_check_creates_nothing() {
    let place = Place::new(GOOD);
    place.run(&["check"]).done();
    let names: Vec<_> =
        std::fs::read_dir(place.path()).expect("a folder").flatten().map(|f| f.file_name()).collect();
    assert_eq!(names, ["usher.toml"]);
}
