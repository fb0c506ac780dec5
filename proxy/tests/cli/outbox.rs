//! `usher outbox` over an embedded store that a test has filled.

use super::{GOOD, Place, ledger::Ledger};
use std::process::{Command, Stdio};

#[test]
fn a_store_that_is_not_there_is_no_empty_outbox() {
    let place = Place::new(GOOD);
    for command in [&["outbox", "list"][..], &["outbox", "retry", "--all"], &["trace", "order-1"]] {
        let said = place.run(command).failed();
        assert!(
            said.starts_with("usher: the store sqlite:usher.db is not there; `usher serve` makes it, beside"),
            "{said}"
        );
    }
    assert!(!place.path().join("usher.db").exists(), "looking makes nothing");
}

#[test]
fn an_empty_outbox_says_so() {
    let place = Place::new(GOOD);
    Ledger::new(&place);
    let list = |arguments: &[&str]| place.run(&[&["outbox", "list"], arguments].concat()).done();
    assert_eq!(list(&[]), "The outbox is empty: nothing failed for good, and nothing waits.\n");
    assert_eq!(list(&["--state", "dead"]), "Nothing failed for good.\n");
    assert_eq!(list(&["--state", "orphan"]), "No refund lacks its payment.\n");
    assert_eq!(list(&["--json"]), "");
    let said = place.run(&["outbox", "retry", "--all"]).done();
    assert_eq!(said, "Nothing failed for good, so nothing was set going again.\n");
}

#[test]
fn what_needs_somebody_comes_first_and_a_page_is_no_limit() {
    let place = Place::new(GOOD);
    let ledger = Ledger::new(&place);
    ledger.waiting("early");
    // More than are read at once, so that pages have to be joined.
    for number in 0..450 {
        ledger.dead(&format!("late-{number:03}"), "422 VALIDATION_ERROR no\u{1b}[31m such\nreferral");
    }
    let list = place.run(&["outbox", "list"]).done();
    let rows: Vec<&str> = list.lines().collect();
    assert_eq!(rows.len(), 1 + 450 + 1, "titles, the dead, the one that waits");
    assert!(rows[0].starts_with("ID ") && rows[0].ends_with("LAST WORDS"), "{}", rows[0]);
    assert!(rows[1].starts_with("conv_late-000 ") && rows[450].starts_with("conv_late-449 "), "{list}");
    assert!(rows[1].ends_with("422 VALIDATION_ERROR no\u{fffd}[31m such referral"), "{}", rows[1]);
    assert!(rows[451].starts_with("conv_early ") && rows[451].contains(" waiting "), "{}", rows[451]);

    let lines = place.run(&["outbox", "list", "--json", "--limit", "203"]).done();
    let ids: Vec<String> = lines
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON")["id"].to_string())
        .collect();
    assert_eq!((ids.len(), ids[202].as_str()), (203, "\"conv_late-202\""));

    let said = place.run(&["outbox", "retry", "--all"]).done();
    assert!(said.starts_with("Set going again: 450."), "{said}");
    assert_eq!(place.run(&["outbox", "list", "--state", "dead"]).done(), "Nothing failed for good.\n");
}

#[test]
fn an_orphan_is_mentioned_listed_and_explained() {
    let place = Place::new(GOOD);
    let ledger = Ledger::new(&place);
    ledger.orphan("r-1", "pi_unknown");
    let ran = place.run(&["outbox", "list"]);
    assert_eq!(ran.code, Some(0));
    assert_eq!(
        ran.err,
        "1 refund waits for a payment that nobody has reported: usher outbox list --state orphan\n"
    );
    assert_eq!(place.run(&["outbox", "list", "--json"]).done(), "", "a program is not talked to");
    let list = place.run(&["outbox", "list", "--state", "orphan"]).done();
    assert!(
        list.contains("\nrefund_r-1 ") && list.contains("waits for the payment pi_unknown, which"),
        "{list}"
    );
    let told = place.run(&["trace", "pi_unknown"]).done();
    assert!(
        told.starts_with("refund_r-1: a refund of 25 on site shop\n"),
        "whoever knows the payment finds it: {told}"
    );
    let shown = place.run(&["outbox", "show", "r-1"]).done();
    assert!(shown.contains("It is sent by itself as soon as its payment is reported."), "{shown}");
    let said = place.run(&["outbox", "retry", "r-1"]).failed();
    assert!(said.contains("report the payment, and it is sent by itself"), "{said}");
    let said = place.run(&["outbox", "discard", "r-1"]).done();
    assert_eq!(said, "refund_r-1 (a refund of 25) is discarded: it will not be sent\n");
}

#[test]
fn a_sale_is_found_by_what_a_provider_has_linked_to_it() {
    let webhook = "[[site.webhook]]\nprovider = \"stripe\"\nsecret = { env = \"NOT_SET_HERE\" }\n";
    let place = Place::new(&format!("{GOOD}{webhook}"));
    let ledger = Ledger::new(&place);
    ledger.waiting("in_1");
    ledger.linked("pi_1", "in_1");
    let told = place.run(&["trace", "pi_1"]).done();
    assert!(told.starts_with("conv_in_1: a sale of 89.91 USD on site shop\n"), "{told}");
    let said = place.run(&["trace", "pi_2"]).failed();
    assert!(said.contains("nothing here goes by \"pi_2\""), "{said}");
}

#[test]
fn a_name_that_several_go_by_is_asked_back() {
    let place = Place::new(GOOD);
    let ledger = Ledger::new(&place);
    ledger.dead_called("one", "shared");
    ledger.dead_called("two", "shared");
    ledger.waiting("three");
    let said = place.run(&["outbox", "retry", "shared"]).failed();
    assert_eq!(
        said,
        "usher: 2 records go by the name \"shared\"; name one by its id: conv_one (a sale of 89.91 USD, dead); \
         conv_two (a sale of 89.91 USD, dead)\n"
    );
    place.run(&["outbox", "discard", "conv_two"]).done();
    let said = place.run(&["outbox", "retry", "shared"]).done();
    assert!(
        said.starts_with("conv_one (a sale of 89.91 USD) is set going again"),
        "the only one that can be: {said}"
    );
    let said = place.run(&["outbox", "discard", "three", "--reason", " "]).failed();
    assert_eq!(said, "usher: --reason is empty; say why, for whoever asks later\n");
}

/// `script` runs a command on a terminal of its own.
#[cfg(target_os = "linux")]
#[test]
fn a_terminal_gets_a_bar_and_a_pipe_gets_none() {
    let place = Place::new(GOOD);
    let ledger = Ledger::new(&place);
    for number in 0..3 {
        ledger.dead(&number.to_string(), "422");
    }
    let command = format!("{} outbox retry --all", env!("CARGO_BIN_EXE_usher"));
    let ran = Command::new("script")
        .args(["--quiet", "--return", "--command", &command, "/dev/null"])
        .current_dir(place.path())
        .envs(place.command(&[]).get_envs().filter_map(|(name, value)| Some((name, value?))))
        .stdin(Stdio::null())
        .output()
        .expect("script runs");
    let seen = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(ran.status.success(), "{seen}");
    assert!(seen.contains(&format!("\r[{}] 3 of 3 set going again", "#".repeat(30))), "{seen}");
    assert!(seen.contains("Set going again: 3."), "{seen}");
    ledger.dead("4", "422");
    // `done` finds nothing on standard error.
    assert!(place.run(&["outbox", "retry", "--all"]).done().starts_with("Set going again: 1."));
}
