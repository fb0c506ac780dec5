//! What is sent for a delivery: its body, with what had to be looked up first.

use super::outcome::{hopeless, nothing_left, pause_ms};
use crate::Tools;
use rust_decimal::Decimal;
use serde_json::value::{RawValue, to_raw_value};
use usher_model::{
    Click, Currency, Delivery, Job, Needs, Payment, PaymentRef, RefundAmount, Settlement, Source, State,
    UnixMs, Upstream,
};
use usher_store::StoreError;

/// A call as it is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) body: String,
    /// What the platform calls the conversion that a refund is of.
    pub(super) conversion: Option<String>,
    /// What goes back by it, as far as that is known.
    pub(super) refunded: Option<Decimal>,
}

/// The call to make, or what to do when there is none.
pub(super) async fn prepare(tools: &Tools, delivery: &Delivery) -> Result<Request, Settlement> {
    let later = tools.clock.now().plus(pause_ms(delivery.attempts, tools.random.as_ref()));
    match (&delivery.needs, delivery.job) {
        (Some(Needs::Click(id)), _) => {
            let click = tools.store.click(&delivery.site, id).await;
            let click = click.map_err(|error| unread(delivery, &error, later))?;
            let click = click.ok_or_else(|| hopeless(format!("its click {id} is not known")))?;
            Ok(Request { body: of_click(delivery, &click, later)?, conversion: None, refunded: None })
        }
        (Some(Needs::Payment(id)), _) => {
            let of = PaymentRef::Record(id.clone());
            let payment = tools.store.payment(&delivery.site, &Source::api(), &of).await;
            let payment = payment.map_err(|error| unread(delivery, &error, later))?;
            let payment = payment.ok_or_else(|| hopeless(format!("its payment {id} is not known")))?;
            of_payment(delivery, &payment, later)
        }
        (Some(Needs::Upstream(id)), _) => of_conversion(delivery, id),
        (None, Job::Refund) => Err(hopeless("it says of no payment that it is a refund of it".to_owned())),
        (None, _) => Ok(Request { body: delivery.body.clone(), conversion: None, refunded: None }),
    }
}

/// The body with the platform's id of the click that it needs.
fn of_click(delivery: &Delivery, click: &Click, later: UnixMs) -> Result<String, Settlement> {
    match (&click.upstream, click.upstream_id()) {
        (_, Some(id)) => {
            let field = if delivery.job == Job::Signup { "click_id" } else { "referral_id" };
            with_field(&delivery.body, field, to_raw_value(id.as_str()))
        }
        (Upstream::Refused(why), _) => Err(hopeless(format!("the platform refused its click: {why}"))),
        _ => Err(Settlement::Release { due_at: later }),
    }
}

/// A refund of a payment that is written down here: of what is left of it.
fn of_payment(delivery: &Delivery, payment: &Payment, later: UnixMs) -> Result<Request, Settlement> {
    match payment.state {
        State::Delivered => {}
        State::Closed => return Err(nothing_left("its payment was never sent")),
        State::Dead => return Err(hopeless(format!("its payment {} could not be delivered", payment.id))),
        _ => return Err(Settlement::Release { due_at: later }),
    }
    let Some(conversion) = payment.upstream_id.clone().filter(|id| !id.is_empty()) else {
        let words = "the platform has its payment, but has not said under which id";
        return Err(hopeless(format!("{words}: it has to be refunded there, by hand")));
    };
    let (amount, currency) = asked(delivery)?;
    let paid = payment.paid.currency();
    if let Some(currency) = currency.filter(|currency| *currency != paid) {
        return Err(hopeless(format!("a refund in {currency} of a payment in {paid}")));
    }
    let Some(refunded) = payment.comes_to(amount) else {
        return Err(nothing_left("nothing is left to refund"));
    };
    let body = match amount {
        RefundAmount::Rest => delivery.body.clone(),
        RefundAmount::Part(_) | RefundAmount::Total(_) => with_amount(&delivery.body, refunded)?,
    };
    Ok(Request { body, conversion: Some(conversion), refunded: Some(refunded) })
}

/// A refund of a conversion that only the platform knows: it decides.
fn of_conversion(delivery: &Delivery, conversion: &str) -> Result<Request, Settlement> {
    let (body, refunded) = match asked(delivery)?.0 {
        RefundAmount::Rest => (delivery.body.clone(), None),
        RefundAmount::Part(part) => (with_amount(&delivery.body, part)?, Some(part)),
        RefundAmount::Total(_) => {
            let words = "what went back in all is known, but not what went back before";
            return Err(hopeless(words.to_owned()));
        }
    };
    Ok(Request { body, conversion: Some(conversion.to_owned()), refunded })
}

fn asked(delivery: &Delivery) -> Result<(RefundAmount, Option<Currency>), Settlement> {
    delivery.refund.ok_or_else(|| hopeless("it does not say what goes back".to_owned()))
}

/// Adds an amount as the very digits that it has.
fn with_amount(body: &str, amount: Decimal) -> Result<String, Settlement> {
    with_field(body, "amount", RawValue::from_string(amount.to_string()))
}

/// Adds a field to a JSON object, leaving every other byte of its values as it is.
fn with_field(
    body: &str,
    field: &str,
    value: serde_json::Result<Box<RawValue>>,
) -> Result<String, Settlement> {
    let added = || -> serde_json::Result<String> {
        let mut object: std::collections::BTreeMap<String, Box<RawValue>> = serde_json::from_str(body)?;
        object.insert(field.to_owned(), value?);
        serde_json::to_string(&object)
    };
    added().map_err(|error| hopeless(format!("its body cannot be read: {error}")))
}

/// The platform was not asked, so it counts as no attempt.
fn unread(delivery: &Delivery, error: &StoreError, later: UnixMs) -> Settlement {
    tracing::debug!(id = delivery.id, %error, "what it needs was not read");
    Settlement::Release { due_at: later }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::delivery;
    use usher_model::{Money, PaymentRefund, RecordId};

    fn euros(cents: i64) -> Decimal {
        Decimal::new(cents, 2)
    }

    /// 100 EUR, of which 25.00 went back.
    fn payment() -> Payment {
        let refund = PaymentRefund {
            id: RecordId::new("refund_1").expect("an id"),
            state: State::Delivered,
            amount: RefundAmount::Part(euros(2_500)),
            refunded: Some(euros(2_500)),
        };
        Payment {
            id: RecordId::new("conv_1").expect("an id"),
            paid: Money::parse("100", "EUR".parse().expect("a currency")).expect("money"),
            state: State::Delivered,
            upstream_id: Some("com_1".to_owned()),
            refunds: vec![refund],
        }
    }

    fn refund(amount: RefundAmount, currency: Option<&str>) -> Delivery {
        let currency = currency.map(|code| code.parse().expect("a currency"));
        let body = r#"{"reason":"late"}"#.to_owned();
        Delivery { refund: Some((amount, currency)), body, ..delivery(Job::Refund) }
    }

    #[test]
    fn a_refund_says_what_it_comes_to_and_never_more_than_is_left() {
        use RefundAmount::{Part, Rest, Total};
        for (amount, body, refunded) in [
            (Rest, r#"{"reason":"late"}"#, 7_500),
            (Part(euros(1_050)), r#"{"amount":10.50,"reason":"late"}"#, 1_050),
            (Part(euros(9_000)), r#"{"amount":75.00,"reason":"late"}"#, 7_500),
            (Total(euros(4_000)), r#"{"amount":15.00,"reason":"late"}"#, 1_500),
        ] {
            let request = of_payment(&refund(amount, Some("EUR")), &payment(), UnixMs(9)).expect("a request");
            assert_eq!((&*request.body, request.refunded), (body, Some(euros(refunded))));
            assert_eq!(request.conversion.as_deref(), Some("com_1"));
        }
    }

    #[test]
    fn what_cannot_go_back_is_closed_or_kept_for_a_person() {
        let of = |delivery: &Delivery, payment: &Payment| of_payment(delivery, payment, UnixMs(9));
        let rest = refund(RefundAmount::Rest, None);
        let taken = of(&refund(RefundAmount::Total(euros(2_500)), None), &payment());
        assert!(
            matches!(taken, Err(Settlement::Closed { answer: Some(answer), .. }) if answer.status == 400)
        );
        let closed = Payment { state: State::Closed, ..payment() };
        assert!(matches!(of(&rest, &closed), Err(Settlement::Closed { .. })));
        let dollars = of(&refund(RefundAmount::Rest, Some("USD")), &payment());
        assert!(
            matches!(dollars, Err(Settlement::Dead { error, .. }) if error.contains("in USD of a payment in EUR"))
        );
        for nameless in [None, Some(String::new())] {
            let payment = Payment { upstream_id: nameless, ..payment() };
            assert!(matches!(of(&rest, &payment), Err(Settlement::Dead { .. })));
        }
        let early = Payment { state: State::Due, ..payment() };
        assert!(matches!(of(&rest, &early), Err(Settlement::Release { due_at: UnixMs(9) })));
        let bodiless = Delivery { body: "[]".to_owned(), ..refund(RefundAmount::Part(euros(1)), None) };
        assert!(matches!(of(&bodiless, &payment()), Err(Settlement::Dead { .. })));
    }

    #[test]
    fn of_a_conversion_that_only_the_platform_knows_it_decides() {
        let rest = of_conversion(&refund(RefundAmount::Rest, None), "txn/1").expect("a request");
        assert_eq!((rest.conversion.as_deref(), rest.refunded), (Some("txn/1"), None));
        let part =
            of_conversion(&refund(RefundAmount::Part(euros(150)), Some("USD")), "txn_1").expect("a request");
        assert_eq!((&*part.body, part.refunded), (r#"{"amount":1.50,"reason":"late"}"#, Some(euros(150))));
        let total = of_conversion(&refund(RefundAmount::Total(euros(150)), None), "txn_1");
        assert!(matches!(total, Err(Settlement::Dead { .. })));
    }

    #[test]
    fn a_field_is_added_and_numbers_keep_their_digits() {
        let body = r#"{"sale_amount":12345678901234567.89,"metadata":{"b":1.0,"a":2}}"#;
        assert_eq!(
            with_field(body, "referral_id", to_raw_value("cmd1")).expect("an object"),
            r#"{"metadata":{"b":1.0,"a":2},"referral_id":"cmd1","sale_amount":12345678901234567.89}"#
        );
    }
}
