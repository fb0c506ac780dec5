//! Help, exit codes, and where the configuration is looked for.

use super::{GOOD, Place};

#[test]
fn every_command_explains_itself_with_an_example() {
    let place = Place::new(GOOD);
    let all = place.run(&["--help"]).done();
    for command in ["demo", "serve", "check", "codes", "outbox", "trace", "snippet"] {
        assert!(all.contains(&format!("\n  {command} ")), "{command} is not in {all}");
        let help = place.run(&[command, "--help"]).done();
        assert!(help.contains("Example: usher ") || command == "codes", "{help}");
        assert!(help.contains("--config <FILE>"), "{help}");
    }
    for action in ["list", "add", "remove", "import", "export"] {
        let help = place.run(&["codes", action, "--help"]).done();
        assert!(help.contains(&format!("Example: usher codes {action}")), "{help}");
    }
    for action in ["list", "show", "retry", "discard"] {
        let help = place.run(&["outbox", action, "--help"]).done();
        assert!(help.contains(&format!("Example: usher outbox {action}")), "{help}");
    }
    assert!(place.run(&["--version"]).done().starts_with("usher "));
}

#[test]
fn wrong_usage_exits_2() {
    let place = Place::new(GOOD);
    for arguments in [
        &[][..],
        &["frobnicate"],
        &["outbox"],
        &["outbox", "list", "--state", "odd"],
        &["outbox", "show"],
        &["outbox", "retry"],
        &["outbox", "retry", "conv_1", "--all"],
        &["outbox", "discard"],
        &["trace"],
        &["check", "--strict"],
        &["codes"],
        &["codes", "add", "X"],
        &["codes", "add", "X", "--affiliate", "a", "--amount", "5"],
        &["codes", "add", "X", "--affiliate", "a", "--amount", "0", "--currency", "EUR"],
        &["codes", "add", "X", "--affiliate", "a", "--percent", "101"],
        &["codes", "add", "X", "--affiliate", "a", "--percent", "5", "--discount", "{}"],
        &["codes", "add", "X", "--affiliate", "a", "--starts-at", "soon"],
        &["demo", "--upstream-only", "--listen", "here"],
        &["demo", "--listen", "127.0.0.1:0"],
    ] {
        let ran = place.run(arguments);
        assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""), "{arguments:?}: {ran:?}");
    }
}

#[test]
fn without_a_configuration_it_says_where_it_looked() {
    let place = Place::new(GOOD);
    std::fs::remove_file(place.path().join("usher.toml")).expect("removed");
    for command in
        [&["check"][..], &["serve"], &["snippet"], &["codes", "list"], &["outbox", "list"], &["trace", "x"]]
    {
        let said = place.run(command).failed();
        assert!(said.starts_with("usher: there is no ./usher.toml and no /etc/usher/usher.toml"), "{said}");
        assert!(said.contains("`usher demo`") && said.lines().count() == 1, "{said}");
    }
}

#[test]
fn a_refused_configuration_stops_every_command() {
    let place = Place::new(&GOOD.replace("hosts", "host"));
    for command in [&["serve"][..], &["snippet"], &["codes", "list"], &["outbox", "list"], &["trace", "x"]] {
        let said = place.run(command).failed();
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(
            lines,
            [
                "usher.toml:7:1: error: site.hosts is missing; add hosts = [\"shop.example\"]",
                "usher.toml:9:1: error: site.host is not a known key; did you mean hosts?",
                "usher: usher.toml cannot be used: 2 errors, 0 warnings",
            ]
        );
    }
}
