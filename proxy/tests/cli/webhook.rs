//! `usher webhook explain`.

use super::Place;

const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/webhooks");

#[test]
fn each_record_gets_its_line_in_order() {
    let place = Place::new("");
    let paid = format!("{VECTORS}/stripe/checkout-completed-one-time-eur.json");
    let forged = format!("{VECTORS}/stripe/neg-wrong-secret.json");
    let out = place.run(&["webhook", "explain", &paid, &forged]).done();
    let lines: Vec<serde_json::Value> =
        out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let seen: Vec<_> = lines.iter().map(|line| (line["kind"].as_str(), line["verified"].as_bool())).collect();
    assert_eq!(seen, [(Some("conversion"), Some(true)), (Some("rejected"), Some(false))]);
    assert_eq!(lines[0]["conversion"]["sale_amount"], "129");
}

#[test]
fn a_file_that_is_none_is_named_and_the_others_are_judged() {
    let place = Place::new("");
    let paid = format!("{VECTORS}/stripe/checkout-completed-one-time-eur.json");
    let ran = place.run(&["webhook", "explain", "usher.toml", "missing.json", &paid]);
    assert_eq!((ran.code, ran.out.lines().count()), (Some(1), 1));
    assert!(
        ran.err.contains("usher.toml: is no recorded webhook") && ran.err.contains("missing.json"),
        "{}",
        ran.err
    );
}
