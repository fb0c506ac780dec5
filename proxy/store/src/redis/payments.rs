//! Payments with their refunds, and the names that lead to them.

use super::{fault, keys, ledger, links::Links, scripts};
use crate::{
    contract::{Result, StoreError},
    delivery,
};
use rust_decimal::Decimal;
use usher_model::{Payment, PaymentRef, PaymentRefund, SiteName, Source, State, UnixMs, limits};

/// Four fields of a hash.
type Four = (Option<String>, Option<String>, Option<String>, Option<String>);

/// See [`crate::Store::payment`].
pub(super) async fn payment(
    links: &Links,
    site: &SiteName,
    source: &Source,
    of: &PaymentRef,
) -> Result<Option<Payment>> {
    let (kind, names) = ledger::reference(of);
    if names.is_empty() {
        return Ok(None);
    }
    let mut script = scripts::PAYMENT.key(keys::outbox(site));
    script.arg(kind).arg(source.as_str()).arg(limits::NAMES_FOLLOWED).arg(names);
    let rows: Vec<(String, Four)> = links.of(site).run(&script).await?;
    let mut rows = rows.into_iter();
    let Some((id, own)) = rows.next() else { return Ok(None) };
    let (Some(amount), currency, Some(state), upstream_id) = own else {
        return Err(unreadable(site, &format_args!("fields of {id}")));
    };
    let paid = delivery::money_of_words(&amount, currency.as_deref().unwrap_or_default());
    let mut refunds = rows.map(|row| refund(site, row)).collect::<Result<Vec<_>>>()?;
    // They came by age; those that wait are sent after all others.
    refunds.sort_by_key(|refund| refund.state == State::Blocked);
    Ok(Some(Payment {
        paid: paid.ok_or_else(|| unreadable(site, &format_args!("what was paid with {id}")))?,
        state: State::from_word(&state).ok_or_else(|| unreadable(site, &state))?,
        id: ledger::record_id(site, &id)?,
        upstream_id,
        refunds,
    }))
}

fn refund(site: &SiteName, (id, (state, basis, amount, refunded)): (String, Four)) -> Result<PaymentRefund> {
    let wrong = || unreadable(site, &format_args!("fields of the refund {id}"));
    let asked = delivery::refund_of_words(basis.as_deref().unwrap_or_default(), amount.as_deref(), None);
    let refunded = refunded.as_deref().map(Decimal::from_str_exact).transpose();
    Ok(PaymentRefund {
        id: ledger::record_id(site, &id)?,
        state: state.as_deref().and_then(State::from_word).ok_or_else(wrong)?,
        amount: asked.ok_or_else(wrong)?.0,
        refunded: refunded.map_err(|_| wrong())?,
    })
}

/// See [`crate::Store::link`].
pub(super) async fn link(
    links: &Links,
    site: &SiteName,
    source: &Source,
    name: &str,
    alias_of: &str,
    now: UnixMs,
) -> Result<()> {
    let mut script = scripts::LINK.key(keys::outbox(site));
    script.arg(source.as_str()).arg(name).arg(alias_of).arg(now.0).arg(limits::NAMES_FOLLOWED);
    links.of(site).run_promise(&script).await
}

fn unreadable(site: &SiteName, why: &dyn std::fmt::Display) -> StoreError {
    fault::unreadable("a payment", site, why)
}
