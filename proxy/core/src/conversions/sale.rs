//! A sale as any source reports it, and what a server says with `POST /v1/conversions`.

use super::fields::{
    Fields, Named, TEXT_LONGEST, fingerprint, identifier, is_texts, moment, object, object_shape, raw,
    settle_names, shape, take_referral, text, word,
};
use crate::{
    Refusal,
    attribution::{By, Hints, NamedCustomer, Proved},
};
use usher_model::{Currency, Job, Money, MoneyError, PromoCode, Source, UnixMs};

/// A sale, or an event or a lead without money, checked: what every source makes of what it hears.
#[derive(Clone, Debug)]
pub(crate) struct Sale {
    /// Who reports it.
    pub(crate) source: Source,
    /// What the platform is told.
    pub(crate) job: Job,
    /// The idempotency key: the event's id, unique for the source.
    pub(crate) key: String,
    /// SHA-256 of the content.
    pub(crate) fingerprint: [u8; 32],
    /// What it says of who brought it.
    pub(crate) hints: Hints,
    /// Customers that belong to the click from now on, in keys of our own.
    pub(crate) bind: Vec<String>,
    /// What was paid, when it is a payment.
    pub(crate) paid: Option<Money>,
    /// Other names of it: the order, the payment's ids.
    pub(crate) names: Vec<String>,
    /// What goes to the platform, but for the click.
    pub(crate) fields: Fields,
    /// The field in which the platform takes the click.
    pub(crate) click_field: &'static str,
    /// When it was made by its own word.
    pub(crate) made_at: Option<UnixMs>,
    /// What to hand over instead when nobody of ours is credited and the report names no click either.
    pub(crate) as_it_came: Option<(Job, String)>,
    /// Why a sale that nobody brought is written down closed; without a reason it is refused, and nothing is written. A
    /// server can mend its report; a payment provider would only send it again.
    pub(crate) close_unbrought: Option<String>,
    /// What the report proved, where that is less than all of it.
    pub(crate) proof: Option<Proved>,
}

/// The fields of a sale, under the platform's names and in the other casing.
pub(super) const SALE_FIELDS: &[Named] = &[
    ("external_event_id", "externalEventId"),
    ("sale_amount", "saleAmount"),
    ("sale_amount_currency", "saleAmountCurrency"),
    ("customer_id", "customerId"),
    ("external_user_id", "externalUserId"),
    ("product_ids", "productIds"),
    ("price_ids", "priceIds"),
    ("is_subscription", "isSubscription"),
    ("sales_status", "salesStatus"),
    ("created_at", "createdAt"),
    ("promo_code", "promoCode"),
    ("order_id", "orderId"),
];
const STATUSES: [&str; 8] = [
    "pending",
    "pending_manual_approval",
    "ready_for_payment",
    "processing_payout",
    "paid",
    "declined",
    "refunded",
    "dispute",
];
const SALES_STATUSES: [&str; 6] = ["open", "complete", "trialing", "failed", "refunded", "partial_refunded"];
pub(super) const INTERVALS: [&str; 2] = ["monthly", "yearly"];

impl Sale {
    /// Reads the body of `POST /v1/conversions`. The idempotency key is its `external_event_id`.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] names the field and the mend.
    pub(super) fn of_conversion(body: &[u8]) -> Result<Self, Refusal> {
        let mut fields = object(body)?;
        settle_names(&mut fields, SALE_FIELDS)?;
        let key = event_id(&mut fields)?;
        let paid = take_money(&mut fields)?;
        check(&fields)?;
        let made_at = moment(&fields, "created_at")?;
        Self::reported(Source::api(), Job::Conversion, key, fields, Some(paid), made_at)
    }

    /// Whether a subscription was paid.
    pub(super) fn is_subscription(&self) -> bool {
        self.fields.get("is_subscription").is_some_and(|flag| flag.get() == "true")
    }

    /// A sale or an event out of fields that have been checked, but for those that say who brought it.
    pub(super) fn reported(
        source: Source,
        job: Job,
        key: String,
        mut fields: Fields,
        paid: Option<Money>,
        made_at: Option<UnixMs>,
    ) -> Result<Self, Refusal> {
        let (hints, names) = take_hints(&mut fields, paid.is_some())?;
        let click = hints.clicks.first().map(|(_, _, id)| id.as_str());
        let promo_code = hints.promo_code.as_ref().map(PromoCode::as_str);
        let fingerprint = fingerprint(&fields, &[click, promo_code, names.first().map(String::as_str)]);
        Ok(Self {
            source,
            job,
            key,
            fingerprint,
            bind: hints.customers.iter().map(|customer| customer.key.clone()).collect(),
            hints,
            paid,
            names,
            fields,
            click_field: "referral_id",
            made_at,
            as_it_came: None,
            close_unbrought: None,
            proof: None,
        })
    }
}

/// The key that a sale must have.
pub(super) fn event_id(fields: &mut Fields) -> Result<String, Refusal> {
    identifier(fields, "external_event_id")?.ok_or_else(|| {
        let message = "external_event_id is required: the stable id of the payment, not of the request";
        Refusal::invalid("external_event_id", message)
    })
}

/// What was paid; amount and currency are written back as the platform takes them: 10, 10.00 and "10" are one amount.
pub(super) fn take_money(fields: &mut Fields) -> Result<Money, Refusal> {
    let currency = text(fields, "sale_amount_currency", TEXT_LONGEST)?.ok_or_else(|| {
        let message = "sale_amount_currency is required: three letters, such as USD";
        Refusal::invalid("sale_amount_currency", message)
    })?;
    let currency: Currency = currency.parse().map_err(|error: MoneyError| {
        Refusal::invalid("sale_amount_currency", format!("sale_amount_currency {error}"))
    })?;
    let amount = fields.get("sale_amount").ok_or_else(|| {
        let message = "sale_amount is required: what was paid, in major units, such as 99.90";
        Refusal::invalid("sale_amount", message)
    })?;
    let paid = Money::from_json(amount, currency)
        .map_err(|error| Refusal::invalid("sale_amount", format!("sale_amount {error}")))?;
    fields.insert("sale_amount".to_owned(), paid.json_number());
    fields.insert("sale_amount_currency".to_owned(), raw(&currency)?);
    Ok(paid)
}

/// Checks what the platform would refuse for good.
pub(super) fn check(fields: &Fields) -> Result<(), Refusal> {
    word(fields, "status", &STATUSES)?;
    word(fields, "sales_status", &SALES_STATUSES)?;
    word(fields, "interval", &INTERVALS)?;
    shape(fields, "is_subscription", "true or false", serde_json::Value::is_boolean)?;
    for name in ["product_ids", "price_ids"] {
        shape(fields, name, "a list of strings", is_texts)?;
    }
    object_shape(fields, "metadata")
}

/// Takes out what says who brought it. Codes and orders speak for sales only.
fn take_hints(fields: &mut Fields, is_sale: bool) -> Result<(Hints, Vec<String>), Refusal> {
    let mut hints = Hints::default();
    hints.clicks.extend(take_referral(fields)?.map(|(field, id)| (By::Named, field, id)));
    let typed = text(fields, "promo_code", TEXT_LONGEST)?;
    let order = text(fields, "order_id", TEXT_LONGEST)?;
    fields.remove("promo_code");
    fields.remove("order_id");
    let promo_code = typed.map(|typed| {
        let message = "promo_code must be 1 to 64 characters without controls";
        PromoCode::fold(&typed).ok_or_else(|| Refusal::invalid("promo_code", message))
    });
    if is_sale {
        hints.promo_code = promo_code.transpose()?;
        hints.orders.extend(order.clone());
    }
    for (field, kind) in [("customer_id", "customer"), ("external_user_id", "user")] {
        let id = identifier(fields, field)?;
        hints.customers.extend(id.map(|id| NamedCustomer { field, key: format!("{kind}:{id}") }));
    }
    Ok((hints, order.into_iter().collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rust_decimal::Decimal;

    const SALE: &str = r#""external_event_id":"pay_1","sale_amount":99.90,"sale_amount_currency":"usd""#;

    fn read(more: &str) -> Result<Sale, Refusal> {
        Sale::of_conversion(format!("{{{SALE}{more}}}").as_bytes())
    }

    fn refused_at(body: &str) -> Option<&'static str> {
        match Sale::of_conversion(body.as_bytes()) {
            Err(Refusal::Invalid { field, .. }) => field,
            other => panic!("{body}: {other:?}"),
        }
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        for (body, field) in [
            (r#"{"sale_amount":1,"sale_amount_currency":"USD"}"#.to_owned(), Some("external_event_id")),
            (r#"{"external_event_id":"a","sale_amount_currency":"USD"}"#.to_owned(), Some("sale_amount")),
            (r#"{"external_event_id":"a","sale_amount":1}"#.to_owned(), Some("sale_amount_currency")),
            (
                r#"{"external_event_id":"a","sale_amount":-1,"sale_amount_currency":"USD"}"#.to_owned(),
                Some("sale_amount"),
            ),
            (format!(r#"{{{SALE},"customer_id":{{}}}}"#), Some("customer_id")),
            (format!(r#"{{{SALE},"externalUserId":"{}"}}"#, "x".repeat(256)), Some("external_user_id")),
            (format!(r#"{{{SALE},"referral_id":"a b"}}"#), Some("referral_id")),
            (format!(r#"{{{SALE},"status":"sold"}}"#), Some("status")),
            (format!(r#"{{{SALE},"salesStatus":"done"}}"#), Some("sales_status")),
            (format!(r#"{{{SALE},"interval":"weekly"}}"#), Some("interval")),
            (format!(r#"{{{SALE},"is_subscription":"yes"}}"#), Some("is_subscription")),
            (format!(r#"{{{SALE},"product_ids":"p1"}}"#), Some("product_ids")),
            (format!(r#"{{{SALE},"priceIds":[1]}}"#), Some("price_ids")),
            (format!(r#"{{{SALE},"metadata":[]}}"#), Some("metadata")),
            (format!(r#"{{{SALE},"created_at":"soon"}}"#), Some("created_at")),
            (format!(r#"{{{SALE},"saleAmount":1}}"#), Some("saleAmount")),
            ("[]".to_owned(), None),
        ] {
            assert_eq!(refused_at(&body), field, "{body}");
        }
    }

    #[test]
    fn other_fields_go_through_byte_for_byte() {
        let sale = read(
            r#","metadata":{"z":1.10,"a":[12345678901234567890]},"hold_period_days":3.0,"orderId":"o1","promoCode":" Spring ""#,
        )
        .expect("a sale");
        assert_eq!(sale.fields["metadata"].get(), r#"{"z":1.10,"a":[12345678901234567890]}"#);
        assert_eq!(sale.fields["hold_period_days"].get(), "3.0");
        let half = r#"{"note":"\ud83d","n":1}"#;
        let cut =
            read(&format!(r#","metadata":{half}"#)).expect("half of a character is the caller's business");
        assert_eq!(cut.fields["metadata"].get(), half);
        assert_eq!(sale.fields["sale_amount"].get(), "99.9");
        assert_eq!(sale.fields["sale_amount_currency"].get(), "\"USD\"");
        assert!(
            ["order_id", "orderId", "promo_code", "promoCode"].iter().all(|n| !sale.fields.contains_key(*n))
        );
        assert_eq!(sale.hints.promo_code.expect("a code").as_str(), "SPRING");
        assert_eq!((sale.hints.orders, sale.names), (vec!["o1".to_owned()], vec!["o1".to_owned()]));
    }

    #[test]
    fn the_fingerprint_sees_content_and_not_spelling() {
        let of = |body: &str| Sale::of_conversion(body.as_bytes()).expect(body).fingerprint;
        let one = of(&format!(r#"{{{SALE},"metadata":{{"a":1,"b":2}}}}"#));
        assert_eq!(one, of(&format!(r#"{{ "metadata": {{ "b": 2, "a": 1 }}, {SALE} }}"#)));
        assert_ne!(one, of(&format!(r#"{{{SALE},"metadata":{{"a":1,"b":3}}}}"#)));
        let plain = of(&format!("{{{SALE}}}"));
        for (from, to) in [
            ("99.90", "99.9"),
            ("99.90", "\"99.900\""),
            ("99.90", "9.99e1"),
            ("usd", "USD"),
            ("sale_amount_currency", "saleAmountCurrency"),
        ] {
            assert_eq!(plain, of(&format!("{{{}}}", SALE.replace(from, to))), "{to}");
        }
        assert_ne!(plain, of(&format!("{{{}}}", SALE.replace("99.90", "99.91"))));
        let with = |more: &str| of(&format!("{{{SALE},{more}}}"));
        assert_eq!(with(r#""referral_id":"a""#), with(r#""affonsoReferral":"a""#));
        let all = [plain, with(r#""click_id":"a""#), with(r#""promo_code":"a""#), with(r#""order_id":"a""#)];
        let different: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(different.len(), all.len());
    }

    proptest! {
        #[test]
        fn no_body_panics(body in proptest::collection::vec(any::<u8>(), 0..200), text in "\\PC{0,60}") {
            let _ = Sale::of_conversion(&body);
            let _ = Sale::of_conversion(format!(r#"{{{SALE},"customer_id":{text:?},{text}}}"#).as_bytes());
        }

        #[test]
        fn money_is_exact(minor in 1_i64..1_000_000_000_000_000, scale in 0_u32..4, quoted in any::<bool>()) {
            let amount = Decimal::new(minor, scale);
            let written = if quoted { format!("\"{amount}\"") } else { amount.to_string() };
            let body = SALE.replace("99.90", &written);
            let sale = Sale::of_conversion(format!("{{{body}}}").as_bytes()).expect("a sale");
            prop_assert_eq!(sale.paid.expect("money").amount(), amount);
            let sent: Decimal = sale.fields["sale_amount"].get().parse().expect("a number");
            prop_assert_eq!(sent, amount);
        }
    }
}
