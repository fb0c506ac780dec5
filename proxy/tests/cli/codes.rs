//! `usher codes`, on the embedded store.

use super::{GOOD, Place, Ran};
use serde_json::{Value, json};
use std::{
    fmt::Write as _,
    io::{BufRead, BufReader, Read, Write as _},
    process::Stdio,
};

#[test]
fn codes_come_and_go() {
    let place = Place::new(GOOD);
    let none = "Site shop has no codes; `usher codes add CODE --affiliate NAME` writes one.\n";
    assert_eq!(place.run(&["codes", "list"]).done(), none);
    let add =
        ["codes", "add", "spring10", "--affiliate", "alice", "--percent", "10", "--expires-at", "2999-06-01"];
    assert_eq!(place.run(&add).done(), "SPRING10 is written for alice\n");
    let add = [
        "codes",
        "add",
        "fünf",
        "--affiliate",
        "bob",
        "--amount",
        "5",
        "--currency",
        "eur",
        "--max-uses",
        "3",
    ];
    place.run(&add).done();
    place
        .run(&[
            "codes",
            "add",
            "OLD",
            "--affiliate",
            "bob",
            "--starts-at",
            "2020-01-01",
            "--expires-at",
            "2020-02-01",
        ])
        .done();

    let list = place.run(&["codes", "list"]).done();
    let lines: Vec<&str> = list.lines().collect();
    assert_eq!(
        lines,
        [
            "CODE      AFFILIATE  DISCOUNT  USES  STARTS                EXPIRES               STATE    PROVIDER IDS",
            "FÜNF      bob        5 EUR     0/3   -                     -                     valid    -",
            "OLD       bob        -         0     2020-01-01T00:00:00Z  2020-02-01T00:00:00Z  expired  -",
            "SPRING10  alice      10%       0     -                     2999-06-01T00:00:00Z  valid    -",
        ]
    );
    let json_lines = place.run(&["codes", "list", "--json"]).done();
    let first: Value = serde_json::from_str(json_lines.lines().next().expect("a line")).expect("JSON");
    let discount = json!({"amount": 5, "type": "fixed", "currency": "EUR"});
    let expected = json!({"code": "FÜNF", "affiliate": "bob", "discount": discount, "max_uses": 3, "uses": 0, "state": "valid"});
    assert_eq!(first, expected);

    assert_eq!(place.run(&["codes", "remove", " Old "]).done(), "OLD is removed\n");
    assert_eq!(place.run(&["codes", "remove", "old"]).failed(), "usher: site shop has no code OLD\n");
    assert_eq!(place.run(&["codes", "list"]).done().lines().count(), 3);
}

#[test]
fn what_is_exported_can_be_imported() {
    let place = Place::new(GOOD);
    let csv = "code,affiliate,discount,starts_at,expires_at,max_uses,provider_ids\n\
               A B,alice,\"{\"\"amount\"\":7.5,\"\"note\"\":\"\"a, b\\n\"\"}\",2026-01-01T00:00:00Z,2999-01-01T00:00:00Z,9,promo_1 coupon_2\n\
               B,bob,,,,,\n";
    place.write("codes.csv", csv);
    assert_eq!(place.run(&["codes", "import", "codes.csv"]).done(), "codes written: 2\n");
    assert_eq!(place.run(&["codes", "export"]).done(), csv);
    let other = Place::new(GOOD);
    let mut import = other
        .command(&["codes", "import", "-", "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    import.stdin.take().expect("a pipe").write_all(csv.as_bytes()).expect("written");
    let output = import.wait_with_output().expect("ends");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "{\"imported\":2}\n");
    assert_eq!(other.run(&["codes", "export"]).done(), csv);
}

#[test]
fn an_import_with_one_wrong_row_writes_nothing() {
    let place = Place::new(GOOD);
    place.write("codes.csv", "code,affiliate,max_uses\nGOOD,alice,1\n\nBAD,al ice,1\nGOOD,bob,1\n");
    let said = place.run(&["codes", "import", "codes.csv"]).failed();
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(
        lines,
        [
            "codes.csv:4: error: affiliate is \"al ice\"; an affiliate's code must be 1 to 64 letters, digits, '-' or '_'",
            "codes.csv:5: error: GOOD stands in line 2 already",
            "usher: codes.csv: rows that are wrong: 2; nothing was written",
        ]
    );
    assert_eq!(place.run(&["codes", "list", "--json"]).done(), "");
    assert!(
        place
            .run(&["codes", "import", "nowhere.csv"])
            .failed()
            .starts_with("usher: nowhere.csv cannot be read: No such")
    );
    place.write("header.csv", "code;affiliate\nA;b\n");
    let said = place.run(&["codes", "import", "header.csv"]).failed();
    assert!(said.starts_with("usher: header.csv: line 1: the columns are not separated by commas"), "{said}");
    std::fs::write(place.path().join("latin.csv"), b"code,affiliate\nF\xfcNF,alice\n").expect("written");
    let said = place.run(&["codes", "import", "latin.csv"]).failed();
    assert_eq!(said, "usher: latin.csv is not UTF-8; save it as \"CSV UTF-8\"\n");
}

#[test]
fn what_can_never_be_a_code_is_refused() {
    let place = Place::new(GOOD);
    for (arguments, says) in [
        (&["codes", "add", " ", "--affiliate", "alice"][..], "\" \" is no code"),
        (&["codes", "add", "A", "--affiliate", "al ice"], "an affiliate's code must be"),
        (&["codes", "add", "A", "--affiliate", "a", "--discount", "{"], "--discount is no JSON object"),
        (
            &["codes", "add", "A", "--affiliate", "a", "--discount", "10"],
            "--discount is \"10\"; write 10%, 5 EUR or",
        ),
        (
            &[
                "codes",
                "add",
                "A",
                "--affiliate",
                "a",
                "--starts-at",
                "2026-02-01",
                "--expires-at",
                "2026-01-01",
            ],
            "never count",
        ),
        (&["codes", "remove", ""], "\"\" is no code"),
    ] {
        let said = place.run(arguments).failed();
        assert!(said.starts_with("usher: ") && said.contains(says) && said.lines().count() == 1, "{said}");
    }
}

#[test]
fn one_of_several_sites_has_to_be_chosen() {
    let place = Place::new(&format!(
        "{GOOD}\n[[site]]\nname = \"second\"\nhosts = \"second.example\"\nprogram = \"p\"\nnames_secret = {{ env = \"NAMES_SECRET\" }}\n"
    ));
    let said = place.run(&["codes", "list"]).failed();
    assert_eq!(said, "usher: there are several sites; choose one with --site: shop, second\n");
    let said = place.run(&["codes", "--site", "third", "list"]).failed();
    assert_eq!(said, "usher: there is no site \"third\"; the configuration has: shop, second\n");
    place.run(&["codes", "--site", "second", "add", "A", "--affiliate", "a"]).done();
    assert_eq!(place.run(&["codes", "list", "--site", "shop", "--json"]).done(), "");
    assert_eq!(place.run(&["codes", "list", "--site", "second", "--json"]).done().lines().count(), 1);
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let place = Place::new(GOOD);
    let mut csv = "code,affiliate\n".to_owned();
    // More than a pipe holds (64 KiB) twice over, so that the writer meets the closed end.
    for number in 0..20_000 {
        writeln!(csv, "CODE{number},alice").expect("written");
    }
    place.write("codes.csv", &csv);
    assert_eq!(place.run(&["codes", "import", "codes.csv"]).done(), "codes written: 20000\n");
    for arguments in [&["codes", "export"][..], &["codes", "list"], &["codes", "list", "--json"]] {
        let mut child =
            place.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
        let mut first = String::new();
        BufReader::with_capacity(64, child.stdout.take().expect("a pipe"))
            .read_line(&mut first)
            .expect("read");
        assert!(!first.is_empty());
        let mut said = String::new();
        child.stderr.take().expect("a pipe").read_to_string(&mut said).expect("read");
        assert_eq!((child.wait().expect("ends").code(), said.as_str()), (Some(0), ""), "{arguments:?}");
    }
}

#[test]
fn discounts_are_read_as_they_are_shown() {
    let place = Place::new(GOOD);
    place.write("codes.csv", "code,affiliate,discount\nA,alice,10%\nB,bob,5 EUR\nC,bob,much\n");
    let said = place.run(&["codes", "import", "codes.csv"]).failed();
    assert!(
        said.starts_with("codes.csv:4: error: discount is \"much\"; write 10%, 5 EUR or a JSON object\n"),
        "{said}"
    );
    place.write("codes.csv", "code,affiliate,discount\nA,alice,10%\nB,bob,5 EUR\n");
    place.run(&["codes", "import", "codes.csv"]).done();
    let list = place.run(&["codes", "list"]).done();
    assert!(list.contains("\nA     alice      10% ") && list.contains("\nB     bob        5 EUR "), "{list}");
}

#[test]
fn no_secret_is_needed_but_the_stores() {
    let place = Place::new(GOOD);
    let mut command = place.command(&["codes", "list"]);
    command.env_remove("UPSTREAM_KEY").env_remove("NAMES_SECRET").env_remove("SHOP_KEY");
    Ran::from(command.output().expect("the binary starts")).done();
    let place = Place::new(&GOOD.replace("\"sqlite:usher.db\"", "{ env = \"NOWHERE\" }"));
    let said = place.run(&["codes", "list"]).failed();
    assert!(
        said.starts_with("usher.toml:2:15: error: store.url.env names the variable \"NOWHERE\""),
        "{said}"
    );
}

#[test]
fn a_store_that_cannot_be_opened_is_one_line() {
    let place = Place::new(&GOOD.replace("sqlite:usher.db", "sqlite:nowhere/usher.db"));
    let said = place.run(&["codes", "list"]).failed();
    let begins = "usher: cannot open the store sqlite:nowhere/usher.db: ";
    assert!(said.starts_with(begins) && said.lines().count() == 1, "{said}");
}
