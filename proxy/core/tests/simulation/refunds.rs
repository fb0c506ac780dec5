//! What has to go back, worked out anew from what was asked for.

use super::{
    books::{Back, Sale},
    callers::{Caller, Request},
    checks::{Findings, Seen, sent_as, was_given_up},
    hooks::{self, Sender},
};
use rust_decimal::Decimal;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use usher_model::{Job, Record, RefundAmount, State};

/// Each refund that the platform took is what it had to be at its turn, and they came in their order.
pub(crate) fn check(seen: &Seen<'_>, findings: &mut Findings) {
    for (key, sale) in &seen.books.sales {
        let refunds: Vec<_> = seen.books.refunds.iter().filter(|back| back.sale == sale.id).collect();
        amounts(seen, key, sale, &refunds, findings);
        order(seen, key, &refunds, findings);
        ledger(seen, key, sale, findings);
    }
}

fn amounts(seen: &Seen<'_>, key: &str, sale: &Sale, refunds: &[&Back], findings: &mut Findings) {
    let mut back = Decimal::ZERO;
    for refund in refunds {
        let name = refund.key.as_deref().unwrap_or_default();
        let right: Vec<_> =
            asked(seen, name).into_iter().map(|amount| comes_to(amount, sale.amount, back)).collect();
        if !right.contains(&refund.amount) {
            let paid = sale.amount;
            findings.add(format!(
                "{name} gives back {} of {key} ({paid}, {back} is back), not {right:?}",
                refund.amount
            ));
        }
        back += refund.amount;
    }
    if back > sale.amount {
        findings.add(format!("{back} of {} went back of {key}", sale.amount));
    }
}

/// What an amount comes to when so much of what was paid is back. Written down anew, rather than asked of the model.
fn comes_to(amount: RefundAmount, paid: Decimal, back: Decimal) -> Decimal {
    let left = paid - back;
    match amount {
        RefundAmount::Rest => left,
        RefundAmount::Part(part) => part.min(left),
        RefundAmount::Total(total) => (total - back).min(left),
    }
}

/// What was asked for under that key. Several, when other content was tried under it and may be what was written.
fn asked(seen: &Seen<'_>, key: &str) -> Vec<RefundAmount> {
    let same = |of: &&Caller| of.job == Some(Job::Refund) && of.key == key && of.may_have_been_written();
    seen.facts.callers.iter().filter(same).map(amount).collect()
}

fn amount(caller: &Caller) -> RefundAmount {
    match &caller.request {
        Request::Hook { sender, body, .. } => {
            let cents = Decimal::new(hooks::cents(body).expect("minor units").cast_signed(), 2);
            match sender {
                Sender::Stripe => RefundAmount::Part(cents),
                Sender::LemonSqueezy => RefundAmount::Total(cents),
            }
        }
        _ => {
            let fields: BTreeMap<String, Box<RawValue>> =
                serde_json::from_str(&caller.body()).expect("an object");
            let part = fields.get("amount").map(|amount| amount.get().parse().expect("an amount"));
            part.map_or(RefundAmount::Rest, RefundAmount::Part)
        }
    }
}

/// Of two refunds of which one was acknowledged before the other was asked for, that one comes first.
fn order(seen: &Seen<'_>, key: &str, refunds: &[&Back], findings: &mut Findings) {
    let of = |back: &Back| {
        let same = |of: &&Caller| of.job == Some(Job::Refund) && Some(&of.key) == back.key.as_ref();
        seen.facts.callers.iter().filter(same).collect::<Vec<_>>()
    };
    for (place, later) in refunds.iter().enumerate() {
        for earlier in &refunds[..place] {
            let acknowledged = of(later).iter().filter_map(|of| of.acknowledged()).map(|(at, _)| at).min();
            let asked = of(earlier).iter().map(|of| of.asked_at).min();
            let joined_at_once = |of: &&&Caller| matches!(of.request, Request::Refund { .. });
            let simple = of(later).iter().all(|of| joined_at_once(&of))
                && of(earlier).iter().all(|of| joined_at_once(&of));
            // The ledger orders them by when they came in: by a clock that was set back in between, they came the other way.
            if simple
                && !seen.facts.jumped
                && !touched(seen, later)
                && acknowledged.zip(asked).is_some_and(|(one, other)| one < other)
            {
                findings
                    .add(format!("{:?} of {key} came after {:?}, which is younger", later.key, earlier.key));
            }
        }
    }
}

/// Whether somebody may have sent it again, which puts it last.
fn touched(seen: &Seen<'_>, back: &Back) -> bool {
    let record = back.key.as_ref().and_then(|key| seen.record(Job::Refund, key));
    record.is_none_or(|record| seen.facts.retried.contains(&record.id))
}

/// What the ledger says went back is what the platform says.
fn ledger(seen: &Seen<'_>, key: &str, sale: &Sale, findings: &mut Findings) {
    let Some(payment) = seen.record(Job::Conversion, key) else { return };
    let of = seen.records.values().filter(|record| record.payment.as_ref() == Some(&payment.id));
    let written: Decimal = of.filter_map(|record| record.refund.and_then(|(_, refunded)| refunded)).sum();
    if written != sale.back && !seen.long() && seen.facts.discarded.is_empty() {
        findings.add(format!("of {key} went back {}, and the ledger says {written}", sale.back));
    }
}

/// Whether nobody has told of the payment that a provider's refund is of, or of the second name under which it goes.
pub(crate) fn has_no_payment(seen: &Seen<'_>, key: &str) -> bool {
    let told = |of: &&Caller| of.job == Some(Job::Refund) && of.key == key;
    let payments = seen.facts.callers.iter().filter(told).filter_map(|caller| match &caller.request {
        Request::Hook { sender, body, .. } => {
            hooks::payment_of(*sender, body).map(|payment| (*sender, payment))
        }
        _ => None,
    });
    let is_known = |(sender, payment): (Sender, u16)| {
        let linked = |of: &Caller| of.key == hooks::link_key(payment) && of.acknowledged().is_some();
        let is_named = sender == Sender::LemonSqueezy || seen.facts.callers.iter().any(linked);
        is_named && seen.record(Job::Conversion, &hooks::payment_key(payment)).is_some()
    };
    seen.long() || !payments.into_iter().any(is_known)
}

/// Whether a refund is blocked behind a payment that waits for a person.
pub(crate) fn waits_for_a_person(seen: &Seen<'_>, record: &Record) -> bool {
    let payment = record.payment.as_ref().and_then(|id| seen.records.values().find(|of| of.id == *id));
    record.job == Job::Refund && payment.is_some_and(|payment| payment.state == State::Dead)
}

/// Whether a refund is not sent, or not taken, with reason.
pub(crate) fn excused(seen: &Seen<'_>, record: &Record, why: &str) -> bool {
    let payment = record.payment.as_ref().and_then(|id| seen.records.values().find(|of| of.id == *id));
    match payment {
        // With its payment, of which it keeps the reason.
        Some(payment) if payment.state == State::Closed => true,
        Some(payment) => {
            let sale = sent_as(payment).and_then(|key| seen.books.sales.get(key));
            let asked = record.refund.map(|(amount, _)| amount);
            let nothing = |sale: &Sale| {
                asked.is_some_and(|asked| comes_to(asked, sale.amount, sale.back) <= Decimal::ZERO)
            };
            record.state == State::Closed && sale.is_some_and(nothing)
        }
        // Of a conversion that is not in the ledger: the platform decides.
        None => {
            let of = |sale: &Sale| record.payment.as_ref() == Some(&sale.id);
            let mut sales = seen.books.sales.iter();
            let is_weighed_there = sales.any(|(key, sale)| of(sale) && was_given_up(seen, key));
            let too_much = why.contains("more than is left") && is_weighed_there;
            why.contains("no such conversion") || too_much || seen.long()
        }
    }
}
