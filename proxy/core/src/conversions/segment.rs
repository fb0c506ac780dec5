//! What Segment says with `POST /v1/sources/segment/events`
//! (<https://segment.com/docs/connections/spec/track/>, <https://docs.affonso.io/api/segment-track-events>).

use super::{
    fields::{
        Fields, Named, REFERRAL_NAMES, TEXT_LONGEST, fingerprint, identifier, is_texts, moment, object, raw,
        settle_names, shape, text,
    },
    sale::{INTERVALS, SALE_FIELDS, Sale, take_money},
};
use crate::Refusal;
use serde_json::{Value, value::RawValue};
use usher_model::{ClickId, Job, PromoCode, Source};

/// Where the platform looks for the amount, the first one first.
const AMOUNTS: [&str; 4] = ["revenue", "amount", "value", "total"];
const USER: Named = ("external_user_id", "externalUserId");

/// What an event of that name counts as.
pub(super) fn kind_of(event: &str) -> &'static str {
    match event {
        "Order Completed" | "Completed Order" | "purchase" => "conversion",
        "qualified_lead" | "demo_booked" => "lead",
        "trial_started" => "trial",
        _ => "milestone",
    }
}

impl Sale {
    /// Reads a `track` call. The idempotency key is its `messageId`, which is also the event's id upstream.
    ///
    /// Segment's own form has no place for a referral. So what is credited to a click of ours is told in the form of
    /// `/conversions` or `/events`, under the same id; what only the platform can credit is handed over byte for byte.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] names the field and the mend.
    pub(super) fn of_segment(body: &[u8]) -> Result<Self, Refusal> {
        let mut sent = object(body)?;
        settle_names(&mut sent, &[("messageId", "message_id"), ("userId", "user_id")])?;
        if text(&sent, "type", TEXT_LONGEST)?.is_some_and(|kind| kind != "track") {
            return Err(Refusal::invalid("type", "Only Segment track payloads are supported"));
        }
        let required = |name| {
            text(&sent, name, TEXT_LONGEST)?
                .ok_or_else(|| Refusal::invalid(name, format!("{name} is required")))
        };
        let (event, key) = (required("event")?, required("messageId")?);
        let made_at = moment(&sent, "timestamp")?;
        let mut properties = inner(&sent, "properties")?;
        settle_names(&mut properties, SALE_FIELDS)?;
        let kind = kind_of(&event);

        let mut fields = identified(&sent, &properties)?;
        fields.insert("external_event_id".to_owned(), raw(&key)?);
        carry_over(&properties, &mut fields);
        let paid = if kind == "conversion" {
            money(&properties, &mut fields)?;
            Some(take_money(&mut fields)?)
        } else {
            fields.insert("event_name".to_owned(), raw(&event)?);
            fields.insert("event_type".to_owned(), raw(&kind)?);
            None
        };
        let stamp = if paid.is_some() { "created_at" } else { "occurred_at" };
        if let Some(at) = sent.get("timestamp").filter(|_| made_at.is_some()) {
            fields.insert(stamp.to_owned(), at.clone());
        }
        let job = if paid.is_some() { Job::Conversion } else { Job::Event };
        let mut sale = Self::reported(Source::segment(), job, key, fields, paid, made_at)?;
        if sale.hints.clicks.is_empty()
            && sale.hints.promo_code.is_none()
            && sale.hints.orders.is_empty()
            && sale.hints.customers.is_empty()
        {
            let message = "userId is required, or external_user_id among the properties or traits";
            return Err(Refusal::invalid("userId", message));
        }
        // Libraries send a message again with another `sentAt` and context; what happened is the rest.
        sale.fingerprint = fingerprint(&properties, &[Some(&event), Some(&content_of(&sale))]);
        if is_in_the_platforms_form(body, sale.paid.is_some())? {
            sale.as_it_came = Some((Job::Segment, String::from_utf8_lossy(body).into_owned()));
        }
        Ok(sale)
    }
}

/// An object inside another; `null` is as good as absent.
fn inner(fields: &Fields, name: &'static str) -> Result<Fields, Refusal> {
    let Some(value) = fields.get(name) else { return Ok(Fields::new()) };
    let read: Result<Option<Fields>, _> = serde_json::from_str(value.get());
    read.map(Option::unwrap_or_default)
        .map_err(|_| Refusal::invalid(name, format!("{name} must be an object")))
}

/// Fields that say who it was: the click, the code and the order as the properties name them, `userId` as the customer, and
/// the explicit mapping of the user.
fn identified(sent: &Fields, properties: &Fields) -> Result<Fields, Refusal> {
    let mut fields = Fields::new();
    // Properties are the shop's own: one that only looks like a referral is no mistake.
    let is_click = |name: &&'static str| {
        text(properties, name, TEXT_LONGEST).is_ok_and(|id| id.is_some_and(|id| ClickId::new(id).is_ok()))
    };
    let referral = REFERRAL_NAMES.into_iter().find(is_click).map(|name| (name, "referral_id"));
    // The code of an `Order Completed` (https://segment.com/docs/connections/spec/ecommerce/v2/#order-completed).
    let is_code = |name: &&'static str| {
        text(properties, name, TEXT_LONGEST)
            .is_ok_and(|typed| typed.is_some_and(|typed| PromoCode::fold(&typed).is_some()))
    };
    let code = ["promo_code", "coupon"].into_iter().find(is_code).map(|name| (name, "promo_code"));
    let rest = [("order_id", "order_id"), (USER.0, USER.0)];
    for (name, field) in referral.into_iter().chain(code).chain(rest) {
        if let Some(value) = properties.get(name) {
            fields.insert(field.to_owned(), value.clone());
        }
    }
    let mut traits = inner(&inner(sent, "context")?, "traits")?;
    settle_names(&mut traits, &[USER])?;
    if let (None, Some(user)) = (identifier(&mut fields, USER.0)?, identifier(&mut traits, USER.0)?) {
        fields.insert(USER.0.to_owned(), raw(&user)?);
    }
    if let Some(user) = text(sent, "userId", TEXT_LONGEST)? {
        fields.insert("customer_id".to_owned(), raw(&user)?);
    }
    Ok(fields)
}

/// Properties that have a meaning upstream, where they have the platform's form; all of them as its metadata.
fn carry_over(properties: &Fields, fields: &mut Fields) {
    let is_interval = |value: &Value| value.as_str().is_some_and(|interval| INTERVALS.contains(&interval));
    let is_fit = |name| match name {
        "is_subscription" => shape(properties, name, "", Value::is_boolean).is_ok(),
        "interval" => shape(properties, name, "", is_interval).is_ok(),
        _ => shape(properties, name, "", is_texts).is_ok(),
    };
    for name in ["product_ids", "price_ids", "is_subscription", "interval"] {
        if let Some(value) = properties.get(name).filter(|_| is_fit(name)) {
            fields.insert(name.to_owned(), value.clone());
        }
    }
    if let Ok(all) = raw(properties)
        && !properties.is_empty()
    {
        fields.insert("metadata".to_owned(), all);
    }
}

/// Whether the platform reads it as we do. We take ids that are numbers, amounts that are texts, and names in both casings;
/// it may not, and what it refuses is lost.
fn is_in_the_platforms_form(body: &[u8], is_sale: bool) -> Result<bool, Refusal> {
    let sent = object(body)?;
    let (properties, traits) = (inner(&sent, "properties")?, inner(&inner(&sent, "context")?, "traits")?);
    let texts = |fields: &Fields, names: &[&'static str]| {
        names.iter().all(|name| shape(fields, name, "", Value::is_string).is_ok())
    };
    let amount =
        AMOUNTS.into_iter().find_map(|name| properties.get(name).filter(|value| value.get() != "null"));
    let is_plain = |amount: &RawValue| amount.get().bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let currency = ["currency", "sale_amount_currency"].iter().any(|name| properties.contains_key(*name));
    Ok(texts(&sent, &["event", "messageId", "userId"])
        && sent.contains_key("messageId")
        && !sent.contains_key("user_id")
        && texts(&properties, &[USER.0, USER.1])
        && texts(&traits, &[USER.0, USER.1])
        && (!is_sale || currency && amount.is_some_and(|amount| is_plain(amount))))
}

/// Amount and currency under the names of `/conversions`.
fn money(properties: &Fields, fields: &mut Fields) -> Result<(), Refusal> {
    let amount = AMOUNTS.into_iter().find_map(|name| properties.get(name)).ok_or_else(|| {
        Refusal::invalid(
            "properties.revenue",
            "properties.revenue is required: what was paid, in major units",
        )
    })?;
    let currency =
        ["currency", "sale_amount_currency"].into_iter().find_map(|name| properties.get(name)).ok_or_else(
            || Refusal::invalid("properties.currency", "properties.currency is required: three letters"),
        )?;
    fields.insert("sale_amount".to_owned(), amount.clone());
    fields.insert("sale_amount_currency".to_owned(), currency.clone());
    Ok(())
}

/// Who it was, for the fingerprint.
fn content_of(sale: &Sale) -> String {
    sale.hints.customers.iter().map(|customer| format!("{}\n", customer.key)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// As `@segment/analytics-node` sends it.
    const TRACK: &str = r#"{"type":"track","event":"Order Completed","messageId":"node-next-1","userId":"u1","properties":{"revenue":39.5,"currency":"usd","order_id":"o1","coupon":"spring","products":[{"sku":"a"}],"is_subscription":"no"},"timestamp":"2026-11-21T10:00:00.000Z","sentAt":"2026-11-21T10:00:01.000Z","context":{"library":{"name":"@segment/analytics-node","version":"2.1.0"}},"integrations":{}}"#;

    fn read(body: &str) -> Result<Sale, Refusal> {
        Sale::of_segment(body.as_bytes())
    }

    #[test]
    fn an_order_is_a_sale_in_the_platforms_words() {
        let sale = read(TRACK).expect("a sale");
        assert_eq!(
            (sale.key.as_str(), sale.job, &sale.source),
            ("node-next-1", Job::Conversion, &Source::segment())
        );
        assert_eq!(sale.paid.expect("money").to_string(), "39.5 USD");
        assert_eq!(sale.fields["customer_id"].get(), "\"u1\"");
        assert_eq!(sale.fields["created_at"].get(), "\"2026-11-21T10:00:00.000Z\"");
        assert!(!sale.fields.contains_key("is_subscription"), "not in the platform's form");
        assert!(sale.fields["metadata"].get().contains(r#"[{"sku":"a"}]"#));
        assert_eq!(sale.hints.promo_code.expect("a code").as_str(), "SPRING");
        assert_eq!(sale.names, ["o1"]);
        assert_eq!(sale.as_it_came, Some((Job::Segment, TRACK.to_owned())), "byte for byte");
    }

    #[test]
    fn what_the_platform_may_not_read_goes_on_in_its_own_words() {
        for (from, to) in [
            ("\"node-next-1\"", "7"),
            ("\"u1\"", "7"),
            ("39.5", "\"39.5\""),
            ("39.5", "3.95e1"),
            ("messageId", "message_id"),
            ("userId", "user_id"),
            ("\"currency\"", "\"saleAmountCurrency\""),
            ("\"coupon\":\"spring\"", "\"externalUserId\":7"),
            ("\"context\":{", "\"context\":{\"traits\":{\"external_user_id\":7},"),
        ] {
            let sale = read(&TRACK.replace(from, to)).expect(to);
            assert_eq!(sale.as_it_came, None, "{to}");
            assert_eq!(sale.paid.expect("money").to_string(), "39.5 USD", "{to}");
        }
        let nulls = TRACK.replace("\"context\":{", "\"anonymousId\":null,\"context\":{\"traits\":null,");
        assert!(read(&nulls).expect("a sale").as_it_came.is_some(), "a null is as good as absent");
        let demo = TRACK.replace("Order Completed", "demo_booked").replace("39.5", "\"39.5\"");
        assert!(read(&demo).expect("an event").as_it_came.is_some(), "its revenue is nobody's business");
    }

    #[test]
    fn a_message_that_is_sent_again_is_the_same() {
        let first = read(TRACK).expect("a sale").fingerprint;
        let again = TRACK.replace("10:00:01", "10:09:09").replace("2.1.0", "2.1.1");
        assert_eq!(read(&again).expect("a sale").fingerprint, first);
        for (from, to) in [("39.5", "39.6"), ("u1", "u2"), ("Order Completed", "purchase")] {
            assert_ne!(read(&TRACK.replace(from, to)).expect("a sale").fingerprint, first, "{to}");
        }
    }

    #[test]
    fn names_of_events_say_what_they_count_as() {
        for (event, kind) in
            [("demo_booked", "lead"), ("trial_started", "trial"), ("order completed", "milestone")]
        {
            let sale = read(&TRACK.replace("Order Completed", event)).expect("an event");
            assert_eq!((sale.job, sale.paid), (Job::Event, None));
            assert_eq!(sale.fields["event_type"].get(), format!("\"{kind}\""));
            assert_eq!(sale.fields["event_name"].get(), format!("\"{event}\""));
            assert!(sale.fields.contains_key("occurred_at"));
        }
    }

    #[test]
    fn the_amount_and_the_user_are_found_where_the_platform_looks() {
        let of = |properties: &str, context: &str| {
            read(&format!(
                r#"{{"event":"purchase","messageId":"m","properties":{{"currency":"EUR",{properties}}},"context":{context}}}"#
            ))
        };
        for (properties, amount) in [
            (r#""total":4,"value":3,"amount":2,"revenue":1,"externalUserId":"u""#, "1 EUR"),
            (r#""total":4,"value":3,"external_user_id":"u""#, "3 EUR"),
            (r#""total":"4.00","external_user_id":"u""#, "4 EUR"),
        ] {
            assert_eq!(of(properties, "{}").expect(properties).paid.expect("money").to_string(), amount);
        }
        let by_traits = of(r#""total":4"#, r#"{"traits":{"externalUserId":"t"}}"#).expect("a sale");
        assert_eq!(by_traits.fields["external_user_id"].get(), "\"t\"");
        let explicit = of(r#""total":4,"externalUserId":"p""#, r#"{"traits":{"externalUserId":"t"}}"#);
        assert_eq!(explicit.expect("a sale").fields["external_user_id"].get(), "\"p\"");
        let by_click = of(r#""total":4,"affonso_referral":"cmd1","click_id":"a.b","coupon":"\u0000""#, "{}");
        let by_click = by_click.expect("a sale");
        assert_eq!(by_click.hints.clicks[0].2.as_str(), "cmd1");
        for (wrong, field) in [
            (of(r#""total":4"#, "{}"), "userId"),
            (of(r#""total":0,"externalUserId":"u""#, "{}"), "sale_amount"),
            (of(r#""externalUserId":"u""#, "{}"), "properties.revenue"),
            (of(r#""total":4,"externalUserId":"u""#, "7"), "context"),
            (read(&TRACK.replace("\"track\"", "\"identify\"")), "type"),
            (read(&TRACK.replace("messageId", "id")), "messageId"),
            (read(&TRACK.replace("\"event\"", "\"name\"")), "event"),
            (read(&TRACK.replace("2026-11-21T10:00:00.000Z", "now")), "timestamp"),
        ] {
            match wrong {
                Err(Refusal::Invalid { field: named, .. }) => assert_eq!(named, Some(field)),
                other => panic!("{field}: {other:?}"),
            }
        }
    }

    proptest! {
        #[test]
        fn no_body_panics(body in proptest::collection::vec(any::<u8>(), 0..200), text in "\\PC{0,60}") {
            let _ = Sale::of_segment(&body);
            let _ = read(&format!(r#"{{"event":"purchase","messageId":{text:?},"properties":{{{text}}}}}"#));
        }
    }
}
