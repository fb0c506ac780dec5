//! As `traps.rs`, for the providers that send forms.

mod support;

use aes::Aes128;
use base64::{Engine, prelude::BASE64_STANDARD};
use cbc::cipher::{Array, BlockModeEncrypt, KeyIvInit};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use support::{Vector, hex};

#[test]
fn gumroad() {
    let with = |case: &str, replace: &[(&str, &str)]| {
        let mut vector = Vector::load(case);
        for (from, to) in replace {
            assert!(vector.body.contains(from), "{case} has {from}");
            vector.body = vector.body.replace(from, to);
        }
        vector
    };
    let sale = "gumroad/sale-usd";
    with(sale, &[("price=1900", "price=0")]).stops("ignored", "zero_amount");
    with(sale, &[("seller_id=wo1DUnjOOPLNq8wffegB36%3D%3D&", "")]).stops("rejected", "bad_signature");
    with(sale, &[("&offer_code", "&is_preorder_authorization=true&offer_code")]).stops("ignored", "not_paid");
    with(sale, &[("resource_name=sale", "resource_name=dispute")]).stops("ignored", "not_commercial");
    with("gumroad/refund-full", &[("refunded=true", "refunded=false")])
        .stops("ignored", "partial_refund_amount_unknown");
    with("gumroad/refund-full", &[("&ip_country", "&test=true&ip_country")]).stops("ignored", "test_mode");
    let hidden = with(sale, &[("&offer_code", "&custom_fields[price]=1900&offer_code")]);
    hidden.stops("rejected", "unreadable");
    // Whoever buys names the parameters of the address.
    let injected = with(
        sale,
        &[("url_params[source_url]", "url_params[x&price=99900&resource_name=refund&refunded=true&y]")],
    );
    assert_eq!(injected.explain()["conversion"]["sale_amount"], "19");
    let custom = with(sale, &[("url_params[affonso_referral]", "custom_fields[affonso_referral]")]);
    assert_eq!(custom.explain()["conversion"]["referral_id"], "cml755b6xqzjyukzirr5f5pzk");
    for (recurrence, interval) in
        [("yearly", json!("yearly")), ("quarterly", json!(null)), ("every_two_years", json!(null))]
    {
        let vector = with(
            "gumroad/sale-recurring-eur-product",
            &[("recurrence=monthly", &format!("recurrence={recurrence}"))],
        );
        assert_eq!(vector.explain()["conversion"]["interval"], interval, "{recurrence}");
    }
}

#[test]
fn gumroad_in_json() {
    let mut vector = Vector::load("gumroad/sale-usd");
    vector.header("Content-Type", "application/json");
    let ping = |test: Value, name: &str| {
        json!({"seller_id": "wo1DUnjOOPLNq8wffegB36==", "product_id": "P==", "price": 1900, "currency": "eur", "sale_id": "S==",
            "url_params": {"affonso_referral": "click-1"}, "test": test, "refunded": true, "resource_name": name})
        .to_string()
    };
    vector.body = ping(json!(null), "sale");
    let expected =
        json!({"conversion": {"sale_amount": "19", "sale_amount_currency": "USD", "referral_id": "click-1"}});
    vector.expect(&expected);
    vector.body = ping(json!(true), "sale");
    vector.stops("ignored", "test_mode");
    vector.body = ping(json!(false), "refund");
    vector.expect(&json!({"refund": {"full": true, "payment_id": "S=="}}));
}

/// `paytmchecksum`'s `calculateChecksum`, with a salt that is given.
fn paytm_seal(key: &str, text: &str, salt: &str) -> String {
    let padding = 16 - (64 + salt.len()) % 16;
    paytm_seal_padded(key, text, salt, &vec![u8::try_from(padding).expect("small"); padding])
}

fn paytm_seal_padded(key: &str, text: &str, salt: &str, padding: &[u8]) -> String {
    let mut digest = hex(&Sha256::digest(format!("{text}|{salt}"))).into_bytes();
    digest.extend_from_slice(salt.as_bytes());
    digest.extend_from_slice(padding);
    let mut cipher =
        cbc::Encryptor::<Aes128>::new_from_slices(key.as_bytes(), b"@@@@&&&&####$$$$").expect("a key");
    let sealed: Vec<u8> = digest
        .chunks_exact(16)
        .flat_map(|chunk| {
            let mut block = Array::try_from(chunk).expect("a block");
            cipher.encrypt_block(&mut block);
            block
        })
        .collect();
    BASE64_STANDARD.encode(sealed)
}

const PAYTM_KEY: &str = "mvK9GIKYPHI2Jf1S";

/// A JSON webhook with this text as its `body` member.
fn paytm_json(body: &str) -> Vector {
    let mut vector = Vector::load("paytm/payment-success-json");
    let signature = paytm_seal(PAYTM_KEY, body, "aB3x");
    vector.body = format!("{{ \"head\" : {{\"signature\":\"{signature}\"}},\r\n\t\"body\" : {body} }}\n");
    vector
}

/// A form webhook with these fields, already in the order of their names.
fn paytm_form(fields: &[(&str, &str)], signed: &str) -> Vector {
    let mut vector = Vector::load("paytm/payment-success-form");
    let encoded =
        |text: &str| text.replace('%', "%25").replace('+', "%2B").replace('&', "%26").replace(' ', "+");
    let pairs: Vec<String> =
        fields.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    vector.body =
        format!("{}&CHECKSUMHASH={}", pairs.join("&"), encoded(&paytm_seal(PAYTM_KEY, signed, "0000")));
    vector
}

#[test]
fn paytm() {
    let mid = r#""mid":"DUKAAN19469438475514""#;
    let paid = |members: &str| {
        paytm_json(&format!(
            r#"{{{mid},"txnId":"T1","orderId":"O\/1","txnAmount":"10.50","mercUnqRef":"click-1",{members}}}"#
        ))
    };
    let sold =
        paid(r#""status":"TXN_SUCCESS","subsId":"SUB1","promoCampId":"P","promoStatus":"PROMO_FAILURE""#);
    let expected = json!({"conversion": {"sale_amount": "10.5", "sale_amount_currency": "INR", "is_subscription": true},
        "extracted": {"subscription_id": "SUB1", "promo": null, "payment_ids": ["T1", "O/1"]}});
    sold.expect(&expected);
    for status in ["TXN_FAILURE", "PENDING", "NO_RECORD_FOUND"] {
        paid(&format!(r#""status":"{status}""#)).stops("ignored", "not_paid");
    }
    paid(r#""x":1"#).stops("ignored", "not_commercial");
    paid(r#""status":"TXN_SUCCESS","txnAmount":"0.00""#).stops("ignored", "zero_amount");
    paytm_json(r#"{"mid":"SOMEBODYELSE","txnId":"T1","status":"TXN_SUCCESS","txnAmount":"1"}"#)
        .stops("rejected", "bad_signature");
    let refund = |members: &str| {
        let body = format!(r#"{{{mid},"txnId":"T1","refundId":"R1","refundAmount":"1.00",{members}}}"#);
        paytm_json(&body)
    };
    assert_eq!(refund(r#""userCreditInitiateTimestamp":"x""#).explain()["refund"]["amount"], "1");
    refund(r#""userCreditInitiateTimestamp":"x","status":"PENDING""#).stops("ignored", "refund_not_final");
    refund(r#""userCreditInitiateTimestamp":"""#).stops("ignored", "refund_not_final");
}

#[test]
fn only_the_very_checksum_passes() {
    let mut vector = Vector::load("paytm/payment-success-json");
    let body = r#"{"txnId":"T1","txnAmount":"1","status":"TXN_SUCCESS","custId":"C"}"#;
    let padding = |byte: u8, len: usize| vec![byte; len];
    for (salt, padding, passes) in [
        ("aB3x", padding(12, 12), true),
        ("aB3x", padding(0, 12), false),
        ("aB3x", padding(28, 28), false),
        ("aB3", padding(13, 13), false),
        ("", padding(16, 16), false),
    ] {
        let signature = paytm_seal_padded(PAYTM_KEY, body, salt, &padding);
        vector.body = format!(r#"{{"head":{{"signature":"{signature}"}},"body":{body}}}"#);
        assert_eq!(vector.outcome().0 == "conversion", passes, "{salt} {padding:?}");
    }
}

#[test]
fn paytm_forms() {
    let fields = |reference: &'static str| {
        [
            ("BANKNAME", reference),
            ("MERC_UNQ_REF", "click-1"),
            ("MID", "DUKAAN19469438475514"),
            ("RESPMSG", "ok & 100% + x"),
            ("STATUS", "TXN_SUCCESS"),
            ("TXNAMOUNT", "7"),
            ("TXNID", "T1"),
        ]
    };
    let rest = "click-1|DUKAAN19469438475514|ok & 100% + x|TXN_SUCCESS|7|T1";
    // The two libraries differ on the word "null".
    for signed in [format!("|{rest}"), format!("null|{rest}")] {
        assert_eq!(paytm_form(&fields("null"), &signed).outcome().0, "conversion", "{signed}");
    }
    paytm_form(&fields("x"), &format!("|{rest}")).stops("rejected", "bad_signature");
    let mut twice = paytm_form(&fields(""), &format!("|{rest}"));
    assert_eq!(twice.outcome().0, "conversion");
    twice.body.push_str("&TXNAMOUNT=7");
    twice.stops("rejected", "bad_signature");
}
