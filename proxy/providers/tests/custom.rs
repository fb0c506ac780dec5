//! A provider that the merchant describes: one like Paystack, one like Mollie.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Sha256, Sha512};
use std::collections::BTreeMap;
use usher_model::{Secret, Source, UnixMs};
use usher_providers::{
    Credential, Ignored, Kind, Outcome, Proof, Rejection, Request, TestMode, Verdict, Webhook,
    custom::{Amount, BackPayment, Condition, Custom, Message, Payment, Scheme, Signature},
};

const NOW: UnixMs = UnixMs(1_789_000_000_000);

fn condition(path: &str, one_of: &[&str]) -> Condition {
    Condition { path: path.to_owned(), one_of: one_of.iter().map(|&text| text.to_owned()).collect() }
}

fn paths(paths: &[&str]) -> Vec<String> {
    paths.iter().map(|&path| path.to_owned()).collect()
}

fn amount(path: &str, is_minor: bool, currency: &str) -> Amount {
    Amount { path: path.to_owned(), is_minor, currency: Some(currency.to_owned()), always: None }
}

fn hmac(header: &str, prefix: &str, is_sha512: bool, message: &str, timestamp: Option<&str>) -> Scheme {
    Scheme::Hmac(Signature {
        header: header.to_owned(),
        prefix: prefix.to_owned(),
        is_sha512,
        is_base64: false,
        timestamp: timestamp.map(str::to_owned),
        message: Message::parse(message).expect("a message"),
    })
}

/// <https://paystack.com/docs/payments/webhooks/>: hex HMAC-SHA512 of the body, kobo.
fn like_paystack() -> Custom {
    Custom {
        scheme: hmac("x-paystack-signature", "", true, "{body}", None),
        test: vec![condition("data.domain", &["test"])],
        event: Some("event".to_owned()),
        payment: Some(Payment {
            when: vec![condition("event", &["charge.success"]), condition("data.status", &["success"])],
            id: "data.reference".to_owned(),
            other_ids: paths(&["data.id"]),
            amount: amount("data.amount", true, "data.currency"),
            referral: paths(&["data.metadata.affonso_referral"]),
            customer: paths(&["data.customer.customer_code"]),
            promo_code: paths(&["data.metadata.promo_code"]),
            order: paths(&["data.metadata.order_id"]),
            subscription: paths(&["data.plan.plan_code"]),
        }),
        refund: Some(BackPayment {
            when: vec![condition("event", &["refund.processed"])],
            id: "data.id".to_owned(),
            payment: "data.transaction_reference".to_owned(),
            amount: Some(amount("data.amount", true, "data.currency")),
            is_total: false,
        }),
    }
}

/// <https://docs.mollie.com/reference/webhooks-new>: `sha256=` and hex HMAC-SHA256 of the body, decimal texts.
fn like_mollie() -> Custom {
    Custom {
        scheme: hmac("x-mollie-signature", "sha256=", false, "{body}", None),
        test: Vec::new(),
        event: Some("type".to_owned()),
        payment: Some(Payment {
            when: vec![condition("type", &["payment-link.paid"])],
            id: "entityId".to_owned(),
            other_ids: Vec::new(),
            amount: amount("_embedded.entity.amount.value", false, "_embedded.entity.amount.currency"),
            referral: paths(&["_embedded.entity.metadata.affonso_referral"]),
            customer: Vec::new(),
            promo_code: Vec::new(),
            order: Vec::new(),
            subscription: Vec::new(),
        }),
        refund: Some(BackPayment {
            when: vec![condition("type", &["refund.done"])],
            id: "entityId".to_owned(),
            payment: "_embedded.entity.paymentId".to_owned(),
            amount: Some(amount(
                "_embedded.entity.refunded.value",
                false,
                "_embedded.entity.refunded.currency",
            )),
            is_total: true,
        }),
    }
}

fn judged(custom: Custom, headers: &[(&str, &str)], body: &str, test_mode: TestMode) -> Outcome {
    let webhook = Webhook {
        name: Source::new("psp").expect("a name"),
        kind: Kind::Custom(Box::new(custom)),
        credentials: vec![Credential::Text(Secret::new("old")), Credential::Text(Secret::new("sk_1"))],
        test_mode,
    };
    let headers: Vec<(&str, &[u8])> = headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
    let request = Request { method: "POST", url: "/r/hooks/psp", headers: &headers, body: body.as_bytes() };
    webhook.judge(&request, NOW, &BTreeMap::new())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sha512(body: &str) -> String {
    hex(&Hmac::<Sha512>::new_from_slice(b"sk_1").expect("a key").chain_update(body).finalize().into_bytes())
}

fn sha256(text: &str) -> String {
    hex(&Hmac::<Sha256>::new_from_slice(b"sk_1").expect("a key").chain_update(text).finalize().into_bytes())
}

fn paystack(body: &str) -> Outcome {
    judged(like_paystack(), &[("X-Paystack-Signature", &sha512(body))], body, TestMode::Ignore)
}

const PAID: &str = r#"{"event":"charge.success","data":{"id":302961,"domain":"live","status":"success","reference":"qTPrJo",
    "amount":1050075,"currency":"NGN","metadata":{"affonso_referral":"cmd1","order_id":"1001"},
    "customer":{"customer_code":"CUS_1"},"plan":{}}}"#;

#[test]
fn a_payment_is_read_as_it_is_described() {
    let outcome = paystack(PAID);
    assert_eq!(outcome.proof, Some(Proof::Body));
    let Verdict::Conversion(sale) = outcome.verdict else { panic!("{:?}", outcome.verdict) };
    assert_eq!((sale.external_event_id.as_str(), sale.referral_id.as_deref()), ("qTPrJo", Some("cmd1")));
    assert_eq!(
        (sale.amount.amount().to_string(), sale.amount.currency().to_string()),
        ("10500.75".into(), "NGN".into())
    );
    assert_eq!((sale.customer_id.as_deref(), sale.provider_order_id.as_str()), (Some("CUS_1"), "1001"));
    assert!(!sale.is_subscription);
    assert_eq!(outcome.extracted.payment_ids, ["qTPrJo", "302961"]);
    assert_eq!(outcome.extracted.event_type.as_deref(), Some("charge.success"));
}

#[test]
fn what_does_not_hold_is_no_payment() {
    for (from, to, reason) in [
        ("charge.success", "charge.dispute.create", Ignored::NotCommercial),
        ("\"status\":\"success\"", "\"status\":\"failed\"", Ignored::NotCommercial),
        ("\"domain\":\"live\"", "\"domain\":\"test\"", Ignored::TestMode),
        ("1050075", "0", Ignored::ZeroAmount),
    ] {
        assert_eq!(paystack(&PAID.replace(from, to)).verdict, Verdict::Ignored(reason), "{to}");
    }
    let test = PAID.replace("\"domain\":\"live\"", "\"domain\":\"test\"");
    let headers = [("x-paystack-signature", &*sha512(&test))];
    let forwarded = judged(like_paystack(), &headers, &test, TestMode::Forward);
    assert!(
        matches!(forwarded.verdict, Verdict::Conversion(_)) && forwarded.extracted.livemode == Some(false)
    );
    let nameless = PAID.replace("\"reference\":\"qTPrJo\",", "");
    let Verdict::Rejected(Rejection::Unreadable(fault)) = paystack(&nameless).verdict else {
        panic!("unreadable")
    };
    assert_eq!(fault.to_string(), "data.reference is missing");
}

#[test]
fn a_refund_names_its_payment() {
    let body = r#"{"event":"refund.processed","data":{"id":"RF1","transaction_reference":"qTPrJo","amount":"50000","currency":"NGN"}}"#;
    let Verdict::Refund(refund) = paystack(body).verdict else { panic!("a refund") };
    assert_eq!((refund.payment_id.as_str(), refund.external_event_id.as_str()), ("qTPrJo", "RF1"));
    assert_eq!(refund.amount.map(|amount| amount.to_string()).as_deref(), Some("500"));
    assert!(!refund.cumulative);
}

#[test]
fn totals_carry_their_amount_in_their_id() {
    let body = r#"{"type":"refund.done","entityId":"re_1","_embedded":{"entity":{"paymentId":"tr_1","refunded":{"value":"12.50","currency":"EUR"}}}}"#;
    let header = format!("sha256={}", sha256(body));
    let outcome = judged(like_mollie(), &[("x-mollie-signature", &header)], body, TestMode::Ignore);
    let Verdict::Refund(refund) = outcome.verdict else { panic!("{:?}", outcome.verdict) };
    assert_eq!((refund.external_event_id.as_str(), refund.cumulative), ("re_1:12.5", true));
}

#[test]
fn nobody_else_is_believed() {
    let rejected = |headers: &[(&str, &str)], body: &str| {
        let outcome = judged(like_mollie(), headers, body, TestMode::Ignore);
        let rejected = matches!(outcome.verdict, Verdict::Rejected(_));
        assert_eq!(outcome.proof.is_none(), rejected);
        rejected
    };
    let body = r#"{"type":"ping"}"#;
    let good = format!("sha256={}", sha256(body));
    assert!(rejected(&[], body));
    assert!(rejected(&[("x-mollie-signature", &sha256(body))], body), "without its prefix");
    assert!(rejected(&[("x-mollie-signature", &good)], r#"{"type":"ping" }"#));
    assert!(rejected(&[("x-mollie-signature", &good.to_uppercase())], body));
    assert!(!rejected(&[("x-mollie-signature", &good)], body));
}

#[test]
fn a_signed_time_is_bounded() {
    let timed = || Custom {
        scheme: hmac("x-sig", "v1=", false, "v1:{timestamp}:{body}", Some("x-time")),
        ..like_mollie()
    };
    for (age, taken) in [(0, true), (300, true), (301, false), (-300, true), (-301, false)] {
        let time = (NOW.seconds() - age).to_string();
        let header = format!("v1={}", sha256(&format!("v1:{time}:{{}}")));
        let headers = [("x-sig", header.as_str()), ("x-time", time.as_str())];
        let outcome = judged(timed(), &headers, "{}", TestMode::Ignore);
        assert_eq!(!matches!(outcome.verdict, Verdict::Rejected(_)), taken, "{age}");
    }
    let outcome = judged(timed(), &[("x-sig", "v1=00")], "{}", TestMode::Ignore);
    assert!(matches!(outcome.verdict, Verdict::Rejected(Rejection::MissingHeader(_))));
}

#[test]
fn a_token_proves_no_body() {
    let token = || Custom {
        scheme: Scheme::Token { header: "authorization".to_owned(), prefix: "Bearer ".to_owned() },
        ..like_mollie()
    };
    for (header, taken) in [
        ("Bearer sk_1", true),
        ("Bearer old", true),
        ("sk_1", false),
        ("Bearer ", false),
        ("Bearer sk_2", false),
    ] {
        let outcome = judged(token(), &[("authorization", header)], "{}", TestMode::Ignore);
        assert_eq!(outcome.proof, taken.then_some(Proof::Token), "{header}");
    }
}
