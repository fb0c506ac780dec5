//! What a server says with `POST /v1/events`: a sale under a name of its own, or a step on the way to one.

use super::{
    fields::{Named, TEXT_LONGEST, identifier, moment, object, raw, settle_names, text, word},
    sale::{SALE_FIELDS, Sale, check, event_id, take_money},
    segment::kind_of,
};
use crate::Refusal;
use usher_model::{Job, Source};

/// What the platform counts an event as (<https://docs.affonso.io/api/endpoint/events/create>).
const TYPES: [&str; 4] = ["conversion", "lead", "trial", "milestone"];
const EVENT_FIELDS: &[Named] =
    &[("event_name", "eventName"), ("event_type", "eventType"), ("occurred_at", "occurredAt")];

impl Sale {
    /// Reads the body of `POST /v1/events`. The idempotency key is its `external_event_id`. An event that is no conversion
    /// may lack one: it gets `mint()`, so that trying it again is no second one upstream; but each such report is an event
    /// of its own.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] names the field and the mend.
    pub(super) fn of_event(body: &[u8], mint: impl FnOnce() -> String) -> Result<Self, Refusal> {
        let mut fields = object(body)?;
        settle_names(&mut fields, EVENT_FIELDS)?;
        settle_names(&mut fields, SALE_FIELDS)?;
        let name = text(&fields, "event_name", TEXT_LONGEST)?
            .ok_or_else(|| Refusal::invalid("event_name", "event_name is required"))?;
        let kind = match word(&fields, "event_type", &TYPES)? {
            Some(kind) => kind,
            // The platform's SDK lets it be left out. Then the name decides, as for Segment; the platform is told how we
            // take it, so that both books agree on what is money.
            None => {
                let kind = kind_of(&name);
                fields.insert("event_type".to_owned(), raw(&kind)?);
                kind.to_owned()
            }
        };
        let occurred_at = moment(&fields, "occurred_at")?;
        let made_at = occurred_at.or(moment(&fields, "created_at")?);
        check(&fields)?;
        let (key, paid) = if kind == "conversion" {
            (event_id(&mut fields)?, Some(take_money(&mut fields)?))
        } else {
            let given = identifier(&mut fields, "external_event_id")?;
            let key = given.unwrap_or_else(mint);
            fields.insert("external_event_id".to_owned(), raw(&key)?);
            (key, None)
        };
        Self::reported(Source::api(), Job::Event, key, fields, paid, made_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(body: &str) -> Result<Sale, Refusal> {
        Sale::of_event(body.as_bytes(), || "minted".to_owned())
    }

    #[test]
    fn a_conversion_is_a_payment_and_anything_else_is_not() {
        let sale =
            r#""externalEventId":"e1","saleAmount":"10.50","saleAmountCurrency":"eur","customerId":"c""#;
        let read = |kind: &str| read(&format!(r#"{{"eventName":"Paid","eventType":"{kind}",{sale}}}"#));
        let conversion = read("conversion").expect("a sale");
        assert_eq!(conversion.paid.expect("money").to_string(), "10.5 EUR");
        assert_eq!((conversion.key.as_str(), conversion.job), ("e1", Job::Event));
        assert_eq!(conversion.fields["event_name"].get(), "\"Paid\"");
        let at = |more: &str| {
            let event = format!(r#"{{"event_name":"Paid","event_type":"conversion",{sale}{more}}}"#);
            self::read(&event).expect("a sale").made_at.map(|at| at.0)
        };
        let created = r#","created_at":"1970-01-01T00:00:01Z""#;
        assert_eq!((at(""), at(created)), (None, Some(1_000)));
        assert_eq!(at(&format!(r#"{created},"occurredAt":"1970-01-01T00:00:02Z""#)), Some(2_000));
        let lead = read("lead").expect("an event");
        assert!(lead.paid.is_none());
        assert_eq!(lead.fields["sale_amount"].get(), "\"10.50\"", "not ours to judge");
    }

    #[test]
    fn what_has_no_id_gets_one_unless_it_is_a_conversion() {
        let lead = read(r#"{"event_name":"Demo","event_type":"lead","customer_id":"c"}"#).expect("an event");
        assert_eq!((lead.key.as_str(), lead.fields["external_event_id"].get()), ("minted", "\"minted\""));
        let untyped = read(r#"{"event_name":"demo_booked","customer_id":"c"}"#).expect("an event");
        assert_eq!(untyped.fields["event_type"].get(), "\"lead\"");
        for (body, expected) in [
            (
                r#"{"event_name":"Paid","event_type":"conversion","sale_amount":1,"sale_amount_currency":"EUR"}"#,
                "external_event_id",
            ),
            (r#"{"event_name":"Paid","event_type":"sale"}"#, "event_type"),
            (r#"{"event_name":"purchase"}"#, "external_event_id"),
            (r#"{"event_type":"lead"}"#, "event_name"),
            (r#"{"event_type":"lead","event_name":"x","occurred_at":"now"}"#, "occurred_at"),
        ] {
            match read(body) {
                Err(Refusal::Invalid { field, .. }) => assert_eq!(field, Some(expected), "{body}"),
                other => panic!("{body}: {other:?}"),
            }
        }
    }

    proptest! {
        #[test]
        fn no_body_panics(body in proptest::collection::vec(any::<u8>(), 0..200), text in "\\PC{0,60}") {
            let _ = Sale::of_event(&body, String::new);
            let _ = read(&format!(r#"{{"event_name":{text:?},"event_type":"lead",{text}}}"#));
        }
    }
}
