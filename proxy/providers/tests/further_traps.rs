//! As `traps.rs`, for the other providers that send JSON. `PayPal`'s traps are beside its code: nobody else can sign for it.

mod support;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use support::{Vector, expect, hex, ignored};

#[test]
fn razorpay() {
    let captured = "razorpay/payment-captured-inr";
    let entity = "/payload/payment/entity";
    ignored(captured, &json!({format!("{entity}/status"): "authorized"}), "not_paid");
    ignored(captured, &json!({format!("{entity}/status"): "failed"}), "not_paid");
    ignored(captured, &json!({format!("{entity}/amount"): 0}), "zero_amount");
    ignored(captured, &json!({format!("{entity}/notes"): []}), "no_identifier");
    ignored(captured, &json!({format!("{entity}/notes"): null}), "no_identifier");
    ignored(captured, &json!({"/event": "payment.failed"}), "not_commercial");
    for (currency, minor, amount) in [("JPY", 500, "500"), ("KWD", 12_340, "12.34"), ("USD", 1, "0.01")] {
        let changes = json!({format!("{entity}/currency"): currency, format!("{entity}/amount"): minor});
        expect(
            captured,
            &changes,
            &json!({"conversion": {"sale_amount": amount, "sale_amount_currency": currency}}),
        );
    }
    // An event that says nothing of the state.
    let stateless = json!({format!("{entity}/status"): null, format!("{entity}/captured"): "1"});
    expect(captured, &stateless, &json!({"kind": "conversion"}));
    let flagged = json!({format!("{entity}/status"): null, format!("{entity}/captured"): true});
    expect(captured, &flagged, &json!({"kind": "conversion"}));
    let waiting = json!({format!("{entity}/status"): null, format!("{entity}/captured"): "0"});
    ignored(captured, &waiting, "not_paid");
    expect(
        captured,
        &json!({"/event": "payment_link.paid", format!("{entity}/notes"): [],
            "/payload/payment_link": {"entity": {"notes": {"affonso_referral": "click-1"}}}}),
        &json!({"conversion": {"referral_id": "click-1", "external_event_id": "pay_z07MMP0Q6MT7G0"}}),
    );
    let refund = "razorpay/refund-processed-partial";
    ignored(refund, &json!({"/event": "refund.created"}), "refund_not_final");
    ignored(refund, &json!({"/payload/refund/entity/status": "pending"}), "refund_not_final");
    expect(
        refund,
        &json!({"/payload/payment/entity/refund_status": "full"}),
        &json!({"refund": {"full": true}}),
    );
    expect(
        refund,
        &json!({"/payload/refund/entity/id": null}),
        &json!({"kind": "rejected", "verified": true}),
    );
}

#[test]
fn xendit() {
    let captured = "xendit/payment-capture-idr";
    ignored(captured, &json!({"/data/status": "FAILED"}), "not_paid");
    ignored(captured, &json!({"/data/status": null}), "not_paid");
    ignored(captured, &json!({"/event": "payment.authorization"}), "not_commercial");
    ignored(captured, &json!({"/event": "recurring.cycle.succeeded"}), "not_commercial");
    ignored(captured, &json!({"/data/metadata": null, "/data/customer_id": null}), "no_identifier");
    let sold = |amount: &str| json!({"conversion": {"sale_amount": amount}});
    expect(
        captured,
        &json!({"/data/captures": [{"capture_amount": 1000.5}, {"capture_amount": "0.25"}]}),
        &sold("1000.75"),
    );
    expect(captured, &json!({"/data/captures": []}), &sold("149000"));
    expect(captured, &json!({"/data/captures": [{}]}), &sold("149000"));
    ignored(captured, &json!({"/data/captures": null, "/data/request_amount": 0}), "zero_amount");
    let refund = "xendit/refund-succeeded";
    ignored(refund, &json!({"/event": "refund.failed"}), "refund_not_final");
    ignored(refund, &json!({"/data/status": "PENDING"}), "refund_not_final");
    let mut twice = Vector::load(refund);
    let inner: Value = serde_json::from_str(&twice.body).expect("JSON");
    for outer in [json!({"event": "refund.succeeded", "data": inner}), json!({"data": inner})] {
        twice.body = outer.to_string();
        let expected =
            json!({"refund": {"amount": "499.5"}, "extracted": {"event_type": "refund.succeeded"}});
        twice.expect(&expected);
    }
}

#[test]
fn xendit_invoices() {
    let mut vector = Vector::load("xendit/payment-capture-idr");
    let invoice = |status: &str| {
        json!({"id": "inv-1", "external_id": "ord/1", "status": status, "amount": 1000, "paid_amount": 900.5,
            "currency": "PHP", "payer_email": "a@example.com", "metadata": {"affonso_referral": "click-1"}})
    };
    for status in ["PAID", "SETTLED"] {
        vector.body = invoice(status).to_string();
        let expected = json!({"conversion": {"external_event_id": "inv-1", "sale_amount": "900.5", "referral_id": "click-1",
            "metadata": {"provider_order_id": "ord/1"}}, "extracted": {"payment_ids": ["inv-1", "ord/1"]}});
        vector.expect(&expected);
    }
    vector.body = invoice("PENDING").to_string();
    vector.stops("ignored", "not_paid");
    vector.body = invoice("EXPIRED").to_string();
    vector.stops("ignored", "not_commercial");
    // A disbursement is money that goes the other way.
    vector.body = invoice("COMPLETED").to_string();
    vector.stops("ignored", "not_commercial");
    vector.body = "[]".to_owned();
    vector.stops("ignored", "not_commercial");
}

#[test]
fn flutterwave() {
    let v3 = "flutterwave/v3-charge-completed-ngn";
    let v4 = "flutterwave/v4-charge-completed-kes";
    for status in ["pending", "failed", "", "unsuccessful"] {
        ignored(v3, &json!({"/data/status": status}), "not_paid");
        ignored(v4, &json!({"/data/status": status}), "not_paid");
    }
    ignored(v4, &json!({"/type": "transfer.completed"}), "not_commercial");
    ignored(v4, &json!({"/data/amount": 0}), "zero_amount");
    ignored(v4, &json!({"/data/meta": null, "/data/customer": null}), "no_identifier");
    // What the customer pays is not what the fees make of it.
    expect(v3, &json!({"/data/charged_amount": 25_350}), &json!({"conversion": {"sale_amount": "25000"}}));
    expect(
        v3,
        &json!({"/meta_data": null}),
        &json!({"conversion": {"referral_id": null, "customer_id": "215604089"}}),
    );
    expect(v3, &json!({"/data/amount": "25000.50"}), &json!({"conversion": {"sale_amount": "25000.5"}}));
    let refund = "flutterwave/v4-refund-completed";
    ignored(refund, &json!({"/data/status": "failed"}), "refund_not_final");
    ignored(refund, &json!({"/data/status": "pending"}), "refund_not_final");
    expect(
        refund,
        &json!({"/data/currency": null}),
        &json!({"refund": {"amount": "1000.25", "currency": null}}),
    );

    let mut flat = Vector::load(v3);
    flat.body = json!({"id": 7, "txRef": "ORD-7", "flwRef": "FLW-7", "amount": 100, "charged_amount": 103, "currency": "NGN",
        "status": "successful", "customer": {"id": 9, "email": "a@example.com"}, "event.type": "CARD_TRANSACTION"})
    .to_string();
    let expected = json!({"conversion": {"external_event_id": "transaction:7", "customer_id": "9", "sale_amount": "100",
        "metadata": {"provider_order_id": "ORD-7"}}, "extracted": {"payment_ids": ["transaction:7", "FLW-7", "ORD-7"]}});
    flat.expect(&expected);
    flat.body = json!({"event.type": "Transfer", "transfer": {"id": 1, "amount": 5, "status": "SUCCESSFUL"}})
        .to_string();
    flat.stops("ignored", "not_commercial");
}

#[test]
fn flutterwaves_signature_is_not_replaced_by_its_hash() {
    let mut both = Vector::load("flutterwave/neg-v4-tampered-body");
    let secret = both.secret();
    both.header("verif-hash", &secret);
    both.stops("rejected", "bad_signature");
    // The older page of version 4 compared this header in clear.
    both.header("flutterwave-signature", &secret);
    both.stops("rejected", "bad_signature");
}

#[test]
fn chargebee() {
    let paid = "chargebee/payment-succeeded-subscription";
    let transaction = "/content/transaction";
    for status in ["failure", "in_progress", "timeout", "voided"] {
        ignored(paid, &json!({format!("{transaction}/status"): status}), "not_paid");
    }
    ignored(paid, &json!({format!("{transaction}/type"): "authorization"}), "not_paid");
    ignored(paid, &json!({format!("{transaction}/amount"): 0}), "zero_amount");
    ignored(paid, &json!({"/event_type": "payment_failed"}), "not_commercial");
    let yen = json!({format!("{transaction}/currency_code"): "JPY", format!("{transaction}/amount"): 2999});
    expect(paid, &yen, &json!({"conversion": {"sale_amount": "2999"}}));
    let sold = |members: Value| json!({ "conversion": members });
    let subscription = "/content/subscription";
    for (unit, count, interval) in [
        ("year", 1, json!("yearly")),
        ("month", 3, json!(null)),
        ("month", 12, json!(null)),
        ("week", 1, json!(null)),
    ] {
        let changes = json!({format!("{subscription}/billing_period_unit"): unit, format!("{subscription}/billing_period"): count});
        expect(paid, &changes, &sold(json!({"interval": interval, "is_subscription": true})));
    }
    let once = json!({"/content/subscription": null, "/content/invoice/subscription_id": null,
        format!("{transaction}/subscription_id"): null});
    expect(
        paid,
        &once,
        &json!({"conversion": {"is_subscription": false, "interval": null, "referral_id": null},
        "extracted": {"subscription_id": null}}),
    );
    let field = json!({"/content/subscription": null, "/content/customer/cf_affonso_referral": "click-1"});
    expect(paid, &field, &sold(json!({"referral_id": "click-1"})));
    let typed = json!({"/content/invoice/discounts": [{"entity_type": "promotional_credits", "entity_id": "CREDITS"},
        {"entity_type": "item_level_coupon", "entity_id": "SAVE"}]});
    expect(paid, &typed, &json!({"extracted": {"promo": {"code": null, "coupon_id": "SAVE"}}}));
    expect(
        paid,
        &json!({"/content/invoice/discounts": []}),
        &json!({"extracted": {"promo": {"code": "HERBST10-ABC", "coupon_id": "HERBST10"}}}),
    );
    let refund = "chargebee/payment-refunded-partial";
    ignored(refund, &json!({format!("{transaction}/status"): "in_progress"}), "refund_not_final");
    expect(
        refund,
        &json!({format!("{transaction}/refunded_txn_id"): null, format!("{transaction}/reference_transaction_id"): null}),
        &json!({"refund": {"payment_id": "1042"}}),
    );
}

#[test]
fn chargebees_login() {
    let mut vector = Vector::load("chargebee/payment-succeeded-subscription");
    let good =
        vector.json["headers"]["Authorization"].as_str().expect("a header")["Basic ".len()..].to_owned();
    for scheme in ["basic", "BASIC"] {
        vector.header("Authorization", &format!("{scheme} {good}"));
        assert_eq!(vector.outcome().0, "conversion", "{scheme}");
    }
    for bad in ["Basic", "Basic ", &good, &format!("Basic {good}x"), "Basic Y2JfaG9vaw==", "Basic Og=="] {
        vector.header("Authorization", bad);
        assert_eq!(vector.outcome().0, "rejected", "{bad}");
    }
    vector.json["secrets"] = json!([{"username": "", "password": ""}]);
    vector.stops("rejected", "bad_signature");
}

#[test]
fn phonepe() {
    for case in ["phonepe/order-completed", "phonepe/hmac-order-completed"] {
        // The vendor's own fixture has an order that is "completed" and expired.
        for state in ["EXPIRED", "FAILED", "PENDING", "completed"] {
            ignored(case, &json!({"/payload/state": state}), "not_paid");
        }
        ignored(case, &json!({"/payload/amount": 0}), "zero_amount");
        ignored(case, &json!({"/payload/metaInfo": null}), "no_identifier");
        ignored(case, &json!({"/event": "pg.order.failed"}), "not_commercial");
        ignored(case, &json!({"/event": null}), "not_commercial");
        ignored(case, &json!({"/event": "subscription.setup.order.completed"}), "not_commercial");
        expect(
            case,
            &json!({"/event": "pg.order.completed", "/payload/amount": 1, "/payload/currency": null}),
            &json!({"conversion": {"sale_amount": "0.01", "sale_amount_currency": "INR", "is_subscription": false}}),
        );
        expect(
            case,
            &json!({"/event": "subscription.redemption.order.completed"}),
            &json!({"conversion": {"is_subscription": true}}),
        );
    }
    let refund = "phonepe/refund-completed-partial";
    ignored(refund, &json!({"/payload/state": "FAILED"}), "refund_not_final");
    ignored(refund, &json!({"/event": "pg.refund.failed"}), "refund_not_final");
}

#[test]
fn phonepes_two_types_are_kept_apart() {
    let sha = Vector::load("phonepe/order-completed");
    let mut hmac = Vector::load("phonepe/hmac-order-completed");
    // While one type replaces the other, both are configured.
    let both = json!([sha.json["secrets"][0], hmac.json["secrets"][0]]);
    for vector in [&sha, &hmac] {
        let mut vector = Vector { json: vector.json.clone(), body: vector.body.clone() };
        vector.json["secrets"] = both.clone();
        assert_eq!(vector.outcome().0, "conversion");
    }
    hmac.header("x-phonepe-checksum-key-id", "WH000000000000000000");
    hmac.stops("rejected", "bad_signature");
    hmac.remove_header("x-phonepe-checksum-key-id");
    assert_eq!(hmac.outcome().0, "conversion");
    // Anybody knows what an empty login hashes to.
    let mut empty = sha;
    empty.json["secrets"] = json!([{"username": "", "password": ""}]);
    empty.header("Authorization", &hex(&Sha256::digest(":")));
    empty.stops("rejected", "bad_signature");
}
