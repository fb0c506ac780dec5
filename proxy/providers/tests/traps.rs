//! What the recorded requests do not show: each row changes one thing in a recorded request, signs it anew as the provider
//! would, and says what must come of it.

mod support;

use serde_json::{Value, json};
use support::{Vector, expect, ignored, includes};
use usher_providers::{Recorded, TestMode, Webhook};

#[test]
fn stripe() {
    let session = "stripe/checkout-completed-one-time-eur";
    ignored(session, &json!({"/livemode": false}), "test_mode");
    ignored(session, &json!({"/data/object/payment_status": "no_payment_required"}), "zero_amount");
    ignored(session, &json!({"/data/object/amount_total": 0}), "zero_amount");
    ignored(session, &json!({"/type": "checkout.session.expired"}), "not_commercial");
    ignored(
        session,
        &json!({"/data/object/metadata": {}, "/data/object/customer": null, "/data/object/discounts": []}),
        "no_identifier",
    );
    // A reference that cannot be a click is somebody else's.
    ignored(
        session,
        &json!({"/data/object/metadata": {}, "/data/object/client_reference_id": "cart 7/3",
            "/data/object/customer": null, "/data/object/discounts": null}),
        "no_identifier",
    );
    expect(
        session,
        &json!({"/type": "checkout.session.async_payment_succeeded", "/data/object/metadata": {},
            "/data/object/customer": null}),
        &json!({"kind": "conversion", "extracted": {"promo": {"promotion_id": "promo_hRNxO623wdP3oGiJbZWuyOyB"}}}),
    );
    // The session and the invoice of a subscription's first payment carry the same key.
    expect(
        session,
        &json!({"/data/object/mode": "subscription", "/data/object/invoice": "in_1",
            "/data/object/payment_intent": null, "/data/object/subscription": "sub_1"}),
        &json!({"conversion": {"external_event_id": "in_1", "is_subscription": true},
            "extracted": {"payment_ids": ["in_1"], "subscription_id": "sub_1"}}),
    );
    expect(
        session,
        &json!({"/data/object/invoice": "in_2"}),
        &json!({"conversion": {"external_event_id": "in_2", "is_subscription": false},
            "extracted": {"payment_ids": ["in_2", "pi_qsEZERbiWm85K6K1mlf8hPZ0"]}}),
    );
    for (code, minor, amount) in [
        ("kwd", 12_750, "12.75"),
        ("isk", 50_000, "500"),
        ("ugx", 50_000, "500"),
        ("krw", 500, "500"),
        ("huf", 12_345, "123.45"),
        ("usd", 1, "0.01"),
        ("usd", 123_456_789_012_345_i64, "1234567890123.45"),
    ] {
        let changes = json!({"/data/object/currency": code, "/data/object/amount_total": minor});
        let sale = json!({"sale_amount": amount, "sale_amount_currency": code.to_uppercase()});
        expect(session, &changes, &json!({"conversion": sale}));
    }
}

#[test]
fn stripe_invoices_refunds_and_links() {
    let invoice = "stripe/invoice-paid-renewal-basil";
    ignored(invoice, &json!({"/data/object/amount_paid": 0}), "zero_amount");
    ignored(invoice, &json!({"/type": "invoice.payment_succeeded"}), "not_commercial");
    // Before basil.
    expect(
        invoice,
        &json!({"/data/object/parent": null, "/data/object/subscription": "sub_9",
            "/data/object/payment_intent": "pi_9", "/data/object/charge": "ch_9",
            "/data/object/subscription_details": {"metadata": {"affonso_referral": "old"}},
            "/data/object/lines/data": [{"price": {"id": "price_9", "product": "prod_9",
                "recurring": {"interval": "year", "interval_count": 1}}},
                {"price": {"id": "price_9", "product": "prod_9",
                "recurring": {"interval": "year", "interval_count": 1}}}]}),
        &json!({"conversion": {"referral_id": "old", "product_ids": ["prod_9"], "price_ids": ["price_9"],
            "is_subscription": true, "interval": "yearly"},
            "extracted": {"payment_ids": ["in_O7bWLzmmv89RwLBQ9m4V5CHm", "pi_9", "ch_9"]}}),
    );
    expect(
        invoice,
        &json!({"/type": "invoice_payment.paid", "/data/object": {"id": "inpay_1", "invoice": "in_1",
            "payment": {"type": "payment_intent", "payment_intent": "pi_1"}}}),
        &json!({"kind": "ignored", "reason": "link_only",
            "extracted": {"link": {"payment_id": "pi_1", "alias_of": "in_1"}}}),
    );
    let refund = "stripe/refund-created-full";
    for status in ["pending", "requires_action", "failed", "canceled"] {
        ignored(
            refund,
            &json!({"/type": "refund.updated", "/data/object/status": status}),
            "refund_not_final",
        );
    }
    expect(
        refund,
        &json!({"/type": "refund.updated", "/data/object/payment_intent": null, "/data/object/reason": null,
            "/data/object/currency": "jpy"}),
        &json!({"refund": {"payment_id": "ch_qsEZERbiWm85K6K1mlf8hPZ0", "amount": "12900", "reason": null}}),
    );
}

#[test]
fn paddle() {
    let sale = "paddle/transaction-completed-eur";
    ignored(sale, &json!({"/data/details/totals/total": "0"}), "zero_amount");
    ignored(
        sale,
        &json!({"/data/custom_data": null, "/data/customer_id": null, "/data/discount_id": null}),
        "no_identifier",
    );
    ignored(sale, &json!({"/event_type": "transaction.billed"}), "not_commercial");
    for (code, minor, amount) in [("JPY", "4999", "4999"), ("VND", "4999", "4999"), ("HUF", "4999", "49.99")]
    {
        let changes = json!({"/data/currency_code": code, "/data/details/totals/total": minor});
        expect(sale, &changes, &json!({"conversion": {"sale_amount": amount, "sale_amount_currency": code}}));
    }
    let renewal = "paddle/transaction-completed-renewal";
    for (interval, frequency, told) in [
        ("month", 1, json!("monthly")),
        ("month", 3, json!(null)),
        ("year", 2, json!(null)),
        ("week", 1, json!(null)),
    ] {
        let cycle = json!({"interval": interval, "frequency": frequency});
        let changes = json!({"/data/items/0/price/billing_cycle": cycle});
        expect(renewal, &changes, &json!({"conversion": {"interval": told, "is_subscription": true}}));
    }
    let refund = "paddle/adjustment-updated-approved-refund";
    for status in ["rejected", "reversed", "pending_approval"] {
        ignored(refund, &json!({"/data/status": status}), "refund_not_final");
    }
    for action in ["credit", "chargeback", "chargeback_warning", "credit_reverse"] {
        ignored(refund, &json!({"/data/action": action}), "not_commercial");
    }
    expect(
        refund,
        &json!({"/data/type": "partial", "/data/totals/total": "1050", "/event_type": "adjustment.created"}),
        &json!({"kind": "refund", "refund": {"amount": "10.5", "full": null}}),
    );
}

#[test]
fn polar() {
    let sale = "polar/order-paid-one-time";
    ignored(sale, &json!({"/data/total_amount": 0}), "zero_amount");
    ignored(sale, &json!({"/data/paid": false}), "not_paid");
    expect(
        sale,
        &json!({"/data/metadata": {"reference_id": "by-link"}, "/data/currency": "kwd"}),
        &json!({"conversion": {"referral_id": "by-link", "sale_amount": "24.78", "sale_amount_currency": "KWD"}}),
    );
    expect(sale, &json!({"/data/currency": "jpy"}), &json!({"conversion": {"sale_amount": "2478"}}));
    expect(
        sale,
        &json!({"/data/discount/code": null, "/data/items/0/product_price_id": null}),
        &json!({"conversion": {"price_ids": null}, "extracted": {"promo": {"code": null,
            "coupon_id": "76d2b0ff-67cd-46b8-a1c8-d2f222c874a9"}}}),
    );
    expect(
        "polar/order-paid-subscription-cycle",
        &json!({"/data/subscription/recurring_interval_count": 3}),
        &json!({"conversion": {"interval": null, "is_subscription": true}}),
    );
    let refund = "polar/refund-created-succeeded";
    for status in ["pending", "failed", "canceled"] {
        ignored(refund, &json!({"/data/status": status}), "refund_not_final");
    }
    expect(
        refund,
        &json!({"/type": "refund.updated", "/data/amount": 500, "/data/tax_amount": 0}),
        &json!({"refund": {"amount": "5"}}),
    );
}

#[test]
fn dodopayments() {
    let sale = "dodopayments/payment-succeeded-one-time";
    ignored(sale, &json!({"/data/total_amount": 0}), "zero_amount");
    ignored(sale, &json!({"/data/is_update_payment_method": true}), "not_commercial");
    ignored(sale, &json!({"/type": "payment.failed"}), "not_commercial");
    // The state at delivery, not at the event.
    ignored("dodopayments/payment-processing", &json!({"/data/status": "succeeded"}), "not_commercial");
    expect(
        sale,
        &json!({"/data/is_multi_subscription": true, "/data/subscription_ids": ["sub_1", "sub_2"],
            "/data/settlement_amount": 9, "/data/settlement_currency": "EUR", "/data/currency": "JPY",
            "/data/product_cart": null, "/data/discounts": []}),
        &json!({"conversion": {"is_subscription": true, "sale_amount": "4720", "sale_amount_currency": "JPY",
            "product_ids": null}, "extracted": {"subscription_id": null,
            "promo": {"code": null, "coupon_id": "dsc_6boxypQtS03jIs1MtQPu"}}}),
    );
    expect(
        sale,
        &json!({"/data/is_multi_subscription": true}),
        &json!({"conversion": {"is_subscription": true}}),
    );
    let refund = "dodopayments/refund-succeeded-full";
    ignored(refund, &json!({"/type": "refund.failed"}), "not_commercial");
    ignored(
        refund,
        &json!({"/data/amount": null, "/data/is_partial": true}),
        "partial_refund_amount_unknown",
    );
    expect(
        refund,
        &json!({"/data/amount": null, "/data/currency": null}),
        &json!({"kind": "refund", "refund": {"amount": null, "currency": null, "full": true}}),
    );
    expect(
        refund,
        &json!({"/data/amount": 1275, "/data/currency": "BHD", "/data/is_partial": true}),
        &json!({"refund": {"amount": "1.275", "currency": "BHD", "full": null}}),
    );
}

#[test]
fn creem() {
    let sale = "creem/checkout-completed-one-time";
    ignored(sale, &json!({"/object/mode": "sandbox"}), "test_mode");
    ignored(sale, &json!({"/object/order/amount_paid": 0}), "zero_amount");
    ignored(sale, &json!({"/object/order/status": "pending"}), "not_paid");
    ignored(
        sale,
        &json!({"/object/order/type": null, "/object/product/billing_type": "recurring"}),
        "covered_by_subscription_paid",
    );
    expect(
        sale,
        &json!({"/object/customer": "cust_1", "/object/product": "prod_1", "/object/order/amount_paid": null,
            "/object/order/amount": 1999, "/object/discount": null}),
        &json!({"conversion": {"customer_id": "cust_1", "product_ids": ["prod_1"], "sale_amount": "19.99"},
            "extracted": {"customer_email": null, "promo": null}}),
    );
    for (period, told) in [("every-year", json!("yearly")), ("every-three-months", json!(null))] {
        let changes = json!({"/object/product/billing_period": period});
        expect("creem/subscription-paid-monthly", &changes, &json!({"conversion": {"interval": told}}));
    }
    let refund = "creem/refund-created";
    ignored(refund, &json!({"/object/status": "pending"}), "refund_not_final");
    ignored(refund, &json!({"/object/mode": "test"}), "test_mode");
    expect(
        refund,
        &json!({"/object/transaction": "tran_1", "/object/order": {"id": "ord_1"}, "/object/refund_amount": 105}),
        &json!({"refund": {"payment_id": "tran_1", "amount": "1.05"}, "extracted": {"payment_ids": ["tran_1", "ord_1"]}}),
    );
}

#[test]
fn lemonsqueezy() {
    let sale = "lemonsqueezy/order-created-usd";
    ignored(sale, &json!({"/meta/test_mode": true}), "test_mode");
    ignored(sale, &json!({"/data/attributes/test_mode": true}), "test_mode");
    for status in ["pending", "failed"] {
        ignored(sale, &json!({"/data/attributes/status": status}), "not_paid");
    }
    ignored(sale, &json!({"/data/attributes/total": 0}), "zero_amount");
    ignored(sale, &json!({"/meta/custom_data": [], "/data/attributes/customer_id": null}), "no_identifier");
    expect(
        sale,
        &json!({"/data/id": 7, "/meta/custom_data/affonso_referral": 12345}),
        &json!({"conversion": {"external_event_id": "order:7", "referral_id": "12345"}}),
    );
    expect(
        "lemonsqueezy/order-refunded-full",
        &json!({"/data/attributes/refunded_amount": 500, "/data/attributes/status": "partial_refund"}),
        &json!({"refund": {"external_event_id": "order:4411207:refund:500", "amount": "5", "full": null}}),
    );
    for (amount, status) in [(3900, "paid"), (3899, "refunded")] {
        let changes = json!({"/data/attributes/refunded_amount": amount, "/data/attributes/status": status});
        expect("lemonsqueezy/order-refunded-full", &changes, &json!({"refund": {"full": true}}));
    }
    expect(
        "lemonsqueezy/subscription-payment-success-renewal",
        &json!({"/meta/event_name": "subscription_payment_refunded", "/data/attributes/status": "refunded",
            "/data/attributes/refunded_amount": 1250}),
        &json!({"refund": {"payment_id": "subscription-invoice:5521330", "full": true,
            "external_event_id": "subscription-invoice:5521330:refund:1250"}}),
    );
    ignored(
        "lemonsqueezy/subscription-payment-success-renewal",
        &json!({"/meta/event_name": "subscription_payment_failed"}),
        "not_commercial",
    );
}

#[test]
fn shopify() {
    let sale = "shopify/orders-paid-eur";
    ignored(sale, &json!({"/total_price": "0.00"}), "zero_amount");
    ignored(
        sale,
        &json!({"/note_attributes": [], "/customer": null, "/discount_codes": []}),
        "no_identifier",
    );
    // The topic is not signed: an unpaid order replayed as paid is still unpaid.
    ignored(sale, &json!({"/financial_status": "pending"}), "not_paid");
    expect(
        sale,
        &json!({"/customer": null, "/email": "", "/total_price": "1234567.89", "/currency": "JPY",
            "/line_items/1/product_id": null, "/line_items/1/variant_id": null}),
        &json!({"conversion": {"customer_id": null, "sale_amount": "1234567.89", "sale_amount_currency": "JPY",
            "product_ids": ["8110012345604"], "price_ids": ["44120012345605"]}}),
    );
    let refund = "shopify/refunds-create-partial";
    ignored(refund, &json!({"/transactions": []}), "zero_amount");
    ignored(refund, &json!({"/transactions/0/status": "pending"}), "refund_not_final");
    ignored(refund, &json!({"/transactions/0/test": true}), "test_mode");
    let part = |amount: &str, kind: &str, status: &str| json!({"amount": amount, "kind": kind, "status": status, "currency": "EUR"});
    expect(
        refund,
        &json!({"/transactions": [part("0.10", "refund", "success"), part("0.20", "refund", "success"),
            part("5.00", "refund", "failure"), part("7.00", "void", "success")]}),
        &json!({"refund": {"amount": "0.3", "external_event_id": "refund:930012345699"}}),
    );
}

#[test]
fn woocommerce() {
    let sale = "woocommerce/order-updated-processing";
    for status in ["on-hold", "failed", "cancelled", "refunded", "trash"] {
        ignored(sale, &json!({"/status": status}), "not_paid");
    }
    // Cash on delivery.
    ignored(sale, &json!({"/date_paid": null, "/date_paid_gmt": null}), "not_paid");
    ignored(sale, &json!({"/total": "0.00"}), "zero_amount");
    ignored(sale, &json!({"/meta_data": [], "/customer_id": 0, "/coupon_lines": []}), "no_identifier");
    ignored(
        sale,
        &json!({"/meta_data/0/value": {"a": 1}, "/customer_id": 0, "/coupon_lines": []}),
        "no_identifier",
    );
    expect(
        sale,
        &json!({"/status": "completed", "/customer_id": 0, "/transaction_id": "",
            "/refunds": [{"id": 1, "reason": "", "total": "-0.00"}]}),
        &json!({"kind": "conversion", "conversion": {"customer_id": null}, "extracted": {"payment_ids": ["order:1205"]}}),
    );
    expect(
        "woocommerce/order-updated-refunded",
        &json!({"/status": "refunded", "/refunds": [{"id": 2, "reason": "", "total": "-35.00"},
            {"id": 1, "reason": null, "total": "-24.50"}]}),
        &json!({"refund": {"external_event_id": "refund:2", "amount": "35", "full": true, "reason": null},
            "refunds": [{"external_event_id": "refund:2"}, {"external_event_id": "refund:1", "amount": "24.5"}]}),
    );
}

#[test]
fn tests_go_through_marked_as_such_when_that_is_wanted() {
    for case in ["creem/checkout-completed-test-mode", "shopify/orders-paid-test-order"] {
        let record = Recorded::read(&Vector::load(case).json.to_string()).expect("a record");
        let now = record.now.expect("a time");
        let told = |test_mode| {
            let webhook = Webhook { test_mode, ..record.webhook().expect("a webhook") };
            let line = record.explain(&webhook, now);
            serde_json::from_str::<Value>(&line).expect("a line of JSON")
        };
        let forwarded = json!({"kind": "conversion", "extracted": {"livemode": false}});
        assert!(includes(&told(TestMode::Forward), &forwarded), "{case}");
        assert!(includes(&told(TestMode::Ignore), &json!({"reason": "test_mode"})), "{case}");
    }
}

#[test]
fn a_payload_without_its_amount_is_turned_away_by_name() {
    for (case, pointer, path) in [
        ("stripe/checkout-completed-one-time-eur", "/data/object/amount_total", "data.object.amount_total"),
        ("paddle/transaction-completed-eur", "/data/details", "data.details.totals.total"),
        ("shopify/orders-paid-eur", "/total_price", "total_price"),
        ("shopify/refunds-create-partial", "/transactions/0/amount", "transactions[].amount"),
    ] {
        let detail = format!("{path} is missing");
        let expected =
            json!({"verified": true, "kind": "rejected", "reason": "unreadable", "detail": detail});
        expect(case, &json!({pointer: null}), &expected);
    }
}
