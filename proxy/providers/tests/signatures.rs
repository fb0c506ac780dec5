//! Which signatures pass and which do not, beyond the recorded ones.

mod support;

use support::{Vector, decoded, hex, mac};

/// One authentic record a provider.
const RECORDS: [&str; 8] = [
    "stripe/checkout-completed-one-time-eur",
    "paddle/transaction-completed-eur",
    "polar/order-paid-one-time",
    "dodopayments/payment-succeeded-one-time",
    "creem/checkout-completed-one-time",
    "lemonsqueezy/order-created-usd",
    "shopify/orders-paid-eur",
    "woocommerce/order-updated-processing",
];

fn kind(vector: &Vector) -> String {
    vector.outcome().0
}

fn rejected(vector: &Vector, reason: &str) {
    assert_eq!(vector.outcome(), ("rejected".to_owned(), reason.to_owned()), "{}", vector.explain());
}

#[test]
fn any_live_secret_verifies_and_an_empty_one_never_does() {
    for record in RECORDS {
        let mut vector = Vector::load(record);
        let secret = vector.json["secrets"][0].clone();
        vector.json["secrets"] = serde_json::json!(["other", secret, "whsec_b3RoZXI="]);
        assert_eq!(kind(&vector), "conversion", "{record}");
        vector.json["secrets"] = serde_json::json!([""]);
        if record.starts_with("dodo") {
            vector.sign_standard(vector.now(), b"");
        } else {
            vector.sign();
        }
        assert_eq!(kind(&vector), "rejected", "{record} signed with an empty key");
    }
}

#[test]
fn header_names_have_no_case_and_white_space_around_values_does_not_count() {
    for record in RECORDS {
        let mut vector = Vector::load(record);
        let headers = vector.json["headers"].as_object().expect("headers").clone();
        vector.json["headers"] = headers
            .into_iter()
            .map(|(name, value)| {
                (name.to_uppercase(), format!(" {}\t", value.as_str().expect("text")).into())
            })
            .collect::<serde_json::Map<_, _>>()
            .into();
        assert_eq!(kind(&vector), "conversion", "{record}");
    }
}

#[test]
fn the_body_is_verified_as_it_came() {
    for record in RECORDS {
        let body = Vector::load(record).body;
        for altered in
            [format!("{body}\n"), format!(" {body}"), format!("\u{feff}{body}"), body.replace(',', ", ")]
        {
            let mut vector = Vector::load(record);
            vector.body = altered;
            assert_eq!(kind(&vector), "rejected", "{record}");
            vector.sign();
            assert_eq!(kind(&vector), "conversion", "{record} signed with what surrounds it");
        }
    }
}

#[test]
fn replays_are_bounded_where_the_scheme_has_a_time() {
    for record in &RECORDS[..4] {
        let mut vector = Vector::load(record);
        let now = vector.now();
        vector.sign_at(now - 300);
        assert_eq!(kind(&vector), "conversion", "{record}");
        vector.sign_at(now - 301);
        rejected(&vector, "stale_timestamp");
        vector.sign_at(now + 300);
        assert_eq!(kind(&vector), "conversion", "{record}");
        vector.sign_at(now + 301);
        match record.starts_with("stripe") {
            true => assert_eq!(kind(&vector), "conversion", "Stripe's library takes the future"),
            false => rejected(&vector, "future_timestamp"),
        }
    }
}

#[test]
fn stripe_takes_any_v1() {
    let mut vector = Vector::load(RECORDS[0]);
    let at = vector.now();
    let good = hex(&mac(vector.secret().as_bytes(), &format!("{at}.{}", vector.body)));
    let zero = "0".repeat(64);
    for (header, passes) in [
        (format!("t={at},v1={zero},v1={good}"), true),
        (format!("t={at},v0={zero},v1={good},v1={zero}"), true),
        (format!("v1={good},t={at}"), true),
        (format!("t={at},v1={}", good.to_uppercase()), false),
        (format!("t={at},v1={}", &good[..63]), false),
        (format!("t={at},v1="), false),
        (format!("t={at}"), false),
        (format!("v1={good}"), false),
        (format!("t={at}.0,v1={good}"), false),
        (format!("t=0{at},v1={good}"), false),
        (",,==,t,v1".to_owned(), false),
    ] {
        vector.header("Stripe-Signature", &header);
        assert_eq!(kind(&vector) == "conversion", passes, "{header}");
    }
}

#[test]
fn paddle_takes_any_h1() {
    let mut vector = Vector::load(RECORDS[1]);
    let at = vector.now();
    let good = hex(&mac(vector.secret().as_bytes(), &format!("{at}:{}", vector.body)));
    let zero = "0".repeat(64);
    for (header, passes) in [
        (format!("ts={at};h1={good};h1={zero}"), true),
        (format!("ts={at};h1={zero};h1={good}"), true),
        (format!("ts={at},h1={good}"), false),
        (format!("ts={at};h2={good}"), false),
        (format!("h1={good}"), false),
    ] {
        vector.header("Paddle-Signature", &header);
        assert_eq!(kind(&vector) == "conversion", passes, "{header}");
    }
}

#[test]
fn standard_webhooks_have_three_kinds_of_key() {
    let mut polar = Vector::load(RECORDS[2]);
    polar.sign_standard(polar.now(), &decoded(&polar.secret()));
    assert_eq!(kind(&polar), "conversion", "Polar's library takes the decoded key as well");

    rejected(&Vector::load("polar/neg-v1a-only"), "unsupported_version");

    let mut dodo = Vector::load(RECORDS[3]);
    dodo.sign_standard(dodo.now(), dodo.secret().as_bytes());
    rejected(&dodo, "bad_signature");
    dodo.sign();
    let good = dodo.json["headers"]["webhook-signature"].as_str().expect("a header").to_owned();
    for (header, passes) in [
        (format!("v1,AAAA v1a,xyz {good}"), true),
        (format!("{good} v1,AAAA"), true),
        (good.replace("v1,", "v1a,"), false),
        (good.replace("v1,", ""), false),
        (good.trim_end_matches('=').to_owned(), false),
        ("v1,".to_owned(), false),
        (good.replace("v1,", "v1="), false),
    ] {
        dodo.header("webhook-signature", &header);
        assert_eq!(kind(&dodo) == "conversion", passes, "{header}");
    }
}

#[test]
fn creem_prefers_standard_webhooks_and_does_not_fall_back() {
    let mut vector = Vector::load(RECORDS[4]);
    vector.json["secrets"] = serde_json::json!(["whsec_c2VjcmV0IHNlY3JldA=="]);
    vector.sign();
    let plain = vector.json["headers"]["creem-signature"].as_str().expect("a header").to_owned();
    assert_eq!(kind(&vector), "conversion");
    vector.header("creem-signature", &format!("sha256={plain}"));
    assert_eq!(kind(&vector), "conversion");
    vector.sign_standard(vector.now(), b"secret secret");
    assert_eq!(kind(&vector), "conversion");
    vector.header("webhook-signature", "v1,AAAA");
    rejected(&vector, "bad_signature");
    vector.remove_header("webhook-id");
    assert_eq!(kind(&vector), "conversion", "two of three headers are not the scheme");
    vector.remove_header("creem-signature");
    vector.header("X-Creem-Signature", &plain);
    assert_eq!(kind(&vector), "conversion");
}

#[test]
fn woocommerce_pings_are_nothing_but_a_number() {
    let ping = |body: &str| {
        let mut vector = Vector::load("woocommerce/activation-ping");
        vector.body = body.to_owned();
        vector
    };
    assert_eq!(ping("webhook_id=12").outcome(), ("ignored".to_owned(), "unsigned_ping".to_owned()));
    for body in ["webhook_id=", "webhook_id=7&total=1", "webhook_id=7\n", "{}", "", "webhook_id=x"] {
        rejected(&ping(body), "missing_header");
    }
    let mut signed = ping("webhook_id=7");
    signed.header("X-WC-Webhook-Signature", "AAAA");
    rejected(&signed, "bad_signature");
}
