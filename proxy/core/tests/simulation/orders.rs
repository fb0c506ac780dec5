//! What a step asks for, word for word.

use super::{
    callers::{Caller, Request},
    hooks,
    plan::{AFFILIATES, CODES, Refund, Sale, What},
    world::{Facts, World},
};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use usher_model::Job;

/// Whose code that is.
pub(crate) fn affiliate_of(code: &str) -> &'static str {
    CODES.iter().find(|(name, ..)| *name == code).expect("a code").1
}

pub(crate) fn money(cents: u32) -> Decimal {
    Decimal::new(cents.into(), 2)
}

pub(crate) fn currency(payment: u16) -> &'static str {
    if payment.is_multiple_of(3) { "USD" } else { "EUR" }
}

/// What a step makes somebody ask; `None` when there is nothing to ask (there is no such payment yet).
pub(crate) fn caller(world: &World, what: What) -> Option<Caller> {
    let now = world.time.true_now();
    let facts = world.facts();
    let (job, key, request, patient) =
        visitors(&facts, what).or_else(|| shops(&facts, what)).or_else(|| providers(&facts, what))?;
    Some(Caller::new(job, key, request, patient, now))
}

/// What is asked for under which key, and whether they ask until they are told yes or no.
type Asked = (Option<Job>, String, Request, bool);

/// What a visitor's page asks.
fn visitors(facts: &Facts, what: What) -> Option<Asked> {
    match what {
        What::Visit { visitor, affiliate } => {
            let name = AFFILIATES[usize::from(affiliate)];
            let body = json!({"programId": "prog", "trackingId": name}).to_string();
            Some((None, format!("visit by {name}"), Request::Track { visitor, affiliate, body }, false))
        }
        What::Apply { visitor, code } => {
            let code = CODES[usize::from(code)].0;
            Some((None, format!("types {code}"), Request::Apply { visitor, code }, false))
        }
        What::Lead { visitor, user } => {
            let click = facts.cookies[usize::from(visitor)].clone()?;
            let body = json!({"click_id": click, "external_user_id": format!("u{user}")}).to_string();
            let key = format!("lead {click} u{user}");
            Some((Some(Job::Signup), key, Request::Lead { visitor, body }, true))
        }
        What::Bind { visitor, order } => {
            let body = json!({"order_id": format!("o{order}")}).to_string();
            Some((None, format!("binds o{order}"), Request::Bind { visitor, body }, false))
        }
        _ => None,
    }
}

/// What the shop's server asks, or Segment.
fn shops(facts: &Facts, what: What) -> Option<Asked> {
    match what {
        What::Sale(sale) => {
            let request = Request::Sale { body: sale_body(facts, sale) };
            Some((Some(Job::Conversion), sale_key(sale.payment), request, sale.patient))
        }
        What::Again { payment, changed, patient } => {
            let key = sale_key(payment);
            let Request::Sale { body } = facts.first_request(Job::Conversion, &key)? else { return None };
            let body = if changed { with_another_amount(&body) } else { body };
            Some((Some(Job::Conversion), key, Request::Sale { body }, patient))
        }
        What::Refund(refund) => {
            let of = facts.id_of_sale(&sale_key(refund.payment))?;
            let request = Request::Refund { of, body: refund_body(refund) };
            Some((Some(Job::Refund), refund_key(refund.refund), request, refund.patient))
        }
        What::RefundAgain { refund } => again(facts, Job::Refund, refund_key(refund)),
        What::EventAgain { event } => again(facts, Job::Event, format!("evt-{event}")),
        What::Event { event, visitor, patient } => {
            let body = event_body(facts, event, visitor)?;
            Some((Some(Job::Event), format!("evt-{event}"), Request::Event { body }, patient))
        }
        What::Segment { event, user, patient } => {
            let body = json!({
                "type": "track", "event": "demo_booked", "messageId": format!("seg-{event}"),
                "userId": format!("c{user}"), "properties": {"marker": format!("s{event}")},
            });
            let request = Request::Segment { body: body.to_string() };
            Some((Some(Job::Segment), format!("seg-{event}"), request, patient))
        }
        _ => None,
    }
}

/// What a payment provider tells of.
fn providers(facts: &Facts, what: What) -> Option<Asked> {
    match what {
        What::Paid { payment, visitor, cents } => {
            let click = facts.cookies[usize::from(visitor)].as_ref().map(|click| click.as_str().to_owned());
            let (key, request) = hooks::paid(payment, click, cents);
            Some((Some(Job::Conversion), key, request, true))
        }
        What::PaidBack { refund, payment, cents } => {
            let paid = hooks::told_paid(&facts.callers, payment);
            let (key, request) = hooks::paid_back(refund, payment, cents, paid);
            Some((Some(Job::Refund), key, request, true))
        }
        What::HookAgain { nth } => {
            let hook = |of: &&Caller| matches!(of.request, Request::Hook { .. });
            let told: Vec<_> = facts.callers.iter().filter(hook).collect();
            let hook = told.get(usize::from(nth).checked_rem(told.len())?)?;
            Some((hook.job, hook.key.clone(), hook.request.clone(), true))
        }
        What::Link { payment } => {
            let payment = payment / 2 * 2;
            Some((None, hooks::link_key(payment), hooks::link(payment), true))
        }
        _ => None,
    }
}

/// What was asked first under that key.
fn again(facts: &Facts, job: Job, key: String) -> Option<Asked> {
    let request = facts.first_request(job, &key)?;
    Some((Some(job), key, request, true))
}

pub(crate) fn sale_key(payment: u16) -> String {
    format!("pay-{payment}")
}

pub(crate) fn refund_key(refund: u16) -> String {
    format!("back-{refund}")
}

fn sale_body(facts: &Facts, sale: Sale) -> String {
    let mut body = json!({
        "external_event_id": sale_key(sale.payment),
        "sale_amount": null,
        "sale_amount_currency": currency(sale.payment),
        "metadata": {"marker": format!("p{}", sale.payment)},
    });
    if let Some(click) = sale.visitor.and_then(|visitor| facts.cookies[usize::from(visitor)].clone()) {
        body["referral_id"] = click.as_str().into();
    }
    if let Some(code) = sale.code {
        body["promo_code"] = CODES[usize::from(code)].0.into();
    }
    if let Some(customer) = sale.customer {
        body["customer_id"] = format!("c{customer}").into();
    }
    if let Some(order) = sale.order {
        body["order_id"] = format!("o{order}").into();
    }
    body.to_string().replace("\"sale_amount\":null", &format!("\"sale_amount\":{}", money(sale.cents)))
}

fn with_another_amount(body: &str) -> String {
    body.replace("\"sale_amount\":", "\"sale_amount\":1")
}

fn refund_body(refund: Refund) -> String {
    let mut body = json!({"external_event_id": refund_key(refund.refund), "reason": "requested_by_customer"});
    if refund.cents.is_some() {
        body["amount"] = Value::Null;
    }
    let amount = refund.cents.map(money).unwrap_or_default();
    body.to_string().replace("\"amount\":null", &format!("\"amount\":{amount}"))
}

fn event_body(facts: &Facts, event: u16, visitor: u8) -> Option<String> {
    let click = facts.cookies[usize::from(visitor)].as_ref()?;
    let body = json!({
        "event_name": "demo", "event_type": "milestone", "external_event_id": format!("evt-{event}"),
        "referral_id": click, "metadata": {"marker": format!("e{event}")},
    });
    Some(body.to_string())
}
