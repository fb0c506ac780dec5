//! `POST /v1/conversions/{id}/refund`: money that went back.

use super::{
    Conversions, answers,
    correct::{Key, beside},
    fields::{
        Fields, Named, TEXT_LONGEST, fingerprint, identifier, moment, object, raw, settle_names, text,
        text_of,
    },
    write::Written,
};
use crate::{
    Refusal,
    attribution::{Rule, Trace, patiently},
};
use rust_decimal::Decimal;
use usher_model::{
    Answer, Currency, Entry, Job, Money, MoneyError, Payment, PaymentRef, RecordId, Refund, RefundAmount,
    Send, Site, Source, State,
};

const REFUND_FIELDS: &[Named] = &[("external_event_id", "externalEventId"), ("refunded_at", "refundedAt")];
const REASON_LONGEST: usize = 1_000;

/// A refund, checked as far as it can be without its payment.
#[derive(Debug)]
pub(super) struct RefundRequest {
    /// How much; `None` is all that is left.
    amount: Option<Decimal>,
    currency: Option<Currency>,
    /// The refund's own id, as the caller knows it.
    event_id: Option<String>,
    /// What goes to the platform, without amount and currency.
    fields: Fields,
}

impl RefundRequest {
    /// Reads a body; an empty one refunds all that is left.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] names the field and the mend.
    pub(super) fn read(body: &[u8]) -> Result<Self, Refusal> {
        let is_empty = body.trim_ascii().is_empty();
        let mut fields = if is_empty { Fields::new() } else { object(body)? };
        settle_names(&mut fields, REFUND_FIELDS)?;
        let currency = text(&fields, "currency", TEXT_LONGEST)?
            .map(|letters| letters.parse())
            .transpose()
            .map_err(|error: MoneyError| Refusal::invalid("currency", format!("currency {error}")))?;
        let amount = fields.get("amount").map(|raw| amount(raw)).transpose()?;
        let event_id = identifier(&mut fields, "external_event_id")?;
        text(&fields, "reason", REASON_LONGEST)?;
        moment(&fields, "refunded_at")?;
        fields.remove("amount");
        fields.remove("currency");
        Ok(Self { amount, currency, event_id, fields })
    }
}

/// An amount without its currency, exactly.
fn amount(raw: &serde_json::value::RawValue) -> Result<Decimal, Refusal> {
    // Which currency makes no difference to how the number is read.
    let any: Currency =
        "XXX".parse().map_err(|error: MoneyError| Refusal::invalid("currency", error.to_string()))?;
    Money::from_json(raw, any)
        .map(|money| money.amount())
        .map_err(|error| Refusal::invalid("amount", format!("amount {error}")))
}

impl Conversions {
    /// A server's report of money that went back. `conversion` is the id of a sale, ours or the platform's.
    ///
    /// The idempotency key is the body's `external_event_id`, else the `Idempotency-Key`; a full refund without either has a
    /// fixed one, for there is but one; a partial one gets a new one each time, for there may be several alike. The platform
    /// is always given it as `external_event_id`, so that our own retries are one refund.
    ///
    /// # Errors
    /// A [`Refusal`]; nothing was written then.
    pub async fn refund(
        &self,
        site: &Site,
        conversion: &str,
        body: &[u8],
        idempotency_key: Option<&str>,
    ) -> Result<Answer, Refusal> {
        let request = RefundRequest::read(body)?;
        let conversion = path_id(conversion)?;
        let (of, payment) = self.payment(site, conversion).await?;
        let payment_id = payment.as_ref().map_or(conversion, |payment| payment.id.as_str());
        let key = self.refund_key(&request, payment_id, idempotency_key)?;
        let amount = request.amount.map(|amount| amount.to_string());
        let currency = request.currency.map(|currency| currency.to_string());
        let fingerprint =
            fingerprint(&request.fields, &[Some(payment_id), amount.as_deref(), currency.as_deref()]);
        let mut told = answers::told(&key);
        told.insert("conversion_id".to_owned(), conversion.into());
        // A refund that was taken before is not weighed against what is left after it.
        let source = Source::api();
        let kept_as = match self.key(site, (&source, Job::Refund), &key, &fingerprint).await? {
            Key::Holds(known) => return Ok(answers::replayed(known, told)),
            Key::Free(kept_as) => kept_as,
        };
        payment.as_ref().map_or(Ok(()), |payment| weigh(&request, payment))?;
        let entry = self.refund_entry(site, request, (of, payment.as_ref()), (key, kept_as), fingerprint)?;
        match self.write(entry).await? {
            Some(Written::New(mut receipt)) => {
                let said = self.said(&mut receipt).await;
                Ok(answers::written(&receipt, said, told))
            }
            Some(Written::Known(known)) => Ok(answers::replayed(known, told)),
            // Only codes are used up.
            None => Err(Refusal::NotFound { field: None, message: "this refund names a code".to_owned() }),
        }
    }

    /// The payment of that id: ours, the platform's, or the one that the shop gave the sale. One that is neither known here nor of our making is the platform's to know.
    async fn payment(&self, site: &Site, id: &str) -> Result<(PaymentRef, Option<Payment>), Refusal> {
        let unknown = || Refusal::NotFound { field: None, message: format!("{id} is no sale of this site") };
        let ours = RecordId::new(id).ok().filter(|id| id.minted_kind().is_some());
        let theirs = PaymentRef::Upstream(id.to_owned());
        let source = Source::api();
        // The platform's ids are its own business, and may look like ours.
        // Of a sale that was corrected the last one counts.
        let own = PaymentRef::Named(beside(id).rev().chain([id.to_owned()]).collect());
        for of in ours.iter().cloned().map(PaymentRef::Record).chain([theirs.clone(), own]) {
            let found = patiently(|| self.tools.store.payment(&site.name, &source, &of)).await?;
            if let Some(payment) = found {
                // Under its own id, so that it joins its lane whatever it was named by.
                return Ok((PaymentRef::Record(payment.id.clone()), Some(payment)));
            }
        }
        if ours.is_some() { Err(unknown()) } else { Ok((theirs, None)) }
    }

    fn refund_key(
        &self,
        request: &RefundRequest,
        payment: &str,
        idempotency_key: Option<&str>,
    ) -> Result<String, Refusal> {
        let header = super::idempotency_key(idempotency_key)?;
        Ok(match (&request.event_id, header, request.amount) {
            (Some(event_id), _, _) => event_id.clone(),
            (None, Some(header), _) => header.to_owned(),
            (None, None, None) => format!("refund:{payment}"),
            (None, None, Some(_)) => self.mint("refund").as_str().to_owned(),
        })
    }

    fn refund_entry(
        &self,
        site: &Site,
        request: RefundRequest,
        (of, payment): (PaymentRef, Option<&Payment>),
        (key, kept_as): (String, String),
        fingerprint: [u8; 32],
    ) -> Result<Entry, Refusal> {
        let RefundRequest { amount, currency, mut fields, .. } = request;
        fields.insert("external_event_id".to_owned(), raw(&key)?);
        if let (None, Some(currency)) = (payment, currency) {
            // Nobody here knows what was paid, so the platform has to compare.
            fields.insert("currency".to_owned(), raw(&currency)?);
        }
        // One that waits for its payment is not sent by us, and its answer not waited for.
        let now = self.tools.clock.now();
        let is_delivered = payment.is_none_or(|payment| payment.state == State::Delivered);
        let send = if is_delivered { self.delivery.when(&site.name, Job::Refund) } else { Send::From(now) };
        Ok(Entry {
            id: self.mint("refund"),
            site: site.name.clone(),
            source: Source::api(),
            job: Job::Refund,
            key: kept_as,
            fingerprint,
            body: text_of(&fields)?,
            click: None,
            needs: None,
            mint: None,
            code: None,
            bind: None,
            names: Vec::new(),
            paid: None,
            refund: Some(Refund {
                of,
                amount: amount.map_or(RefundAmount::Rest, RefundAmount::Part),
                currency,
            }),
            send,
            trace: Trace::of(Rule::Payment).to_json(),
            now,
        })
    }
}

/// Whether so much can go back. What waits is promised already.
fn weigh(request: &RefundRequest, payment: &Payment) -> Result<(), Refusal> {
    if payment.state == State::Closed {
        let message = format!("{} was not credited to anybody, so there is nothing to take back", payment.id);
        return Err(Refusal::NotFound { field: None, message });
    }
    let currency = payment.paid.currency();
    if request.currency.is_some_and(|said| said != currency) {
        return Err(Refusal::invalid("currency", format!("currency is not that of the sale, {currency}")));
    }
    let left = payment.left_after_all().normalize();
    if left <= Decimal::ZERO {
        return Err(Refusal::invalid("amount", "amount: nothing is left to refund"));
    }
    if request.amount.is_some_and(|amount| amount > left) {
        return Err(Refusal::invalid("amount", format!("amount: only {left} {currency} is left to refund")));
    }
    Ok(())
}

/// The id in the path: anything that can be one.
fn path_id(id: &str) -> Result<&str, Refusal> {
    let is_one = !id.is_empty() && id.chars().count() <= TEXT_LONGEST && !id.chars().any(char::is_control);
    let unknown = || Refusal::NotFound { field: None, message: "this is no sale's id".to_owned() };
    is_one.then_some(id).ok_or_else(unknown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(body: &str) -> Result<RefundRequest, Refusal> {
        RefundRequest::read(body.as_bytes())
    }

    #[test]
    fn amounts_are_read_exactly_and_taken_out() {
        for (body, amount) in [
            ("", None),
            (" \n", None),
            ("{}", None),
            (r#"{"amount":null}"#, None),
            (r#"{"amount":0.10}"#, Some("0.1")),
            (r#"{"amount":"12.340"}"#, Some("12.34")),
        ] {
            let request = read(body).expect(body);
            assert_eq!(request.amount.map(|amount| amount.to_string()).as_deref(), amount, "{body}");
        }
        let request = read(r#"{"amount":1,"currency":"usd","refundedAt":"2026-11-21","x":1.0,"reason":"r"}"#)
            .expect("a refund");
        assert_eq!(request.currency.expect("a currency").to_string(), "USD");
        let names: Vec<_> = request.fields.keys().map(String::as_str).collect();
        assert_eq!(names, ["reason", "refunded_at", "x"]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (body, expected) in [
            (r#"{"amount":0}"#, Some("amount")),
            (r#"{"amount":-1}"#, Some("amount")),
            (r#"{"amount":"all"}"#, Some("amount")),
            (r#"{"amount":[]}"#, Some("amount")),
            (r#"{"currency":"EURO"}"#, Some("currency")),
            (r#"{"refunded_at":"today"}"#, Some("refunded_at")),
            (r#"{"reason":1.5}"#, Some("reason")),
            (r#"{"external_event_id":"a","externalEventId":"b"}"#, Some("externalEventId")),
            ("[]", None),
            ("{", None),
        ] {
            match read(body) {
                Err(Refusal::Invalid { field, .. }) => assert_eq!(field, expected, "{body}"),
                other => panic!("{body}: {other:?}"),
            }
        }
    }

    proptest! {
        #[test]
        fn no_body_panics(body in proptest::collection::vec(any::<u8>(), 0..200), text in "\\PC{0,60}") {
            let _ = RefundRequest::read(&body);
            let _ = read(&format!(r#"{{"amount":{text},"reason":{text:?}}}"#));
        }

        #[test]
        fn money_is_exact(minor in 1_i64..1_000_000_000_000_000, scale in 0_u32..4) {
            let amount = Decimal::new(minor, scale);
            prop_assert_eq!(read(&format!(r#"{{"amount":{amount}}}"#)).expect("a refund").amount, Some(amount));
            prop_assert_eq!(read(&format!(r#"{{"amount":"{amount}"}}"#)).expect("a refund").amount, Some(amount));
        }
    }
}
