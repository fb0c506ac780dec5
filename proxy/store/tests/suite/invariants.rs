//! What is true of a ledger at any moment, whatever happened before.

use crate::{bed, sample::site};
use proptest::prelude::*;
use std::collections::HashMap;
use usher_model::{Entry, Job, PaymentRef, Record, RecordId, State, Upstream};
use usher_store::Store;

/// Fails when something is true of `records`, which are all that there are, that never may be. `entries` are all that ever
/// were reported.
pub(crate) async fn check(
    store: &dyn Store,
    records: &[Record],
    entries: &HashMap<String, Entry>,
) -> Result<(), TestCaseError> {
    let by_id: HashMap<&str, &Record> = records.iter().map(|record| (record.id.as_str(), record)).collect();
    lanes(records, &by_id)?;
    for record in records {
        if record.paid.is_some() {
            money(store, record).await?;
        }
        match record.state {
            State::Orphan => still_unknown(store, record, &entries[&record.id]).await?,
            State::Blocked if record.job != Job::Refund => {
                let click = record.needs.as_ref().expect("it waits for something");
                let click = bed::click(store, &site(), click.as_str()).await;
                let upstream = click.map(|click| click.upstream);
                prop_assert_eq!(upstream, Some(Upstream::Pending), "{} is stuck", &record.id);
            }
            _ => {}
        }
    }
    Ok(())
}

/// At most one refund of a payment is due, none before the payment is delivered, and one whenever one can be.
fn lanes(records: &[Record], by_id: &HashMap<&str, &Record>) -> Result<(), TestCaseError> {
    let mut lanes: HashMap<&str, (usize, usize)> = HashMap::new();
    for refund in records.iter().filter(|record| record.job == Job::Refund) {
        let Some(payment) = refund.payment.as_deref() else {
            prop_assert!(matches!(refund.state, State::Orphan | State::Closed), "{:?}", refund);
            continue;
        };
        let (due, blocked) = lanes.entry(payment).or_default();
        *due += usize::from(refund.state == State::Due);
        *blocked += usize::from(refund.state == State::Blocked);
    }
    for (payment, (due, blocked)) in lanes {
        prop_assert!(due <= 1, "{due} refunds of {payment} are due");
        let is_open = by_id.get(payment).is_none_or(|payment| payment.state == State::Delivered);
        prop_assert!(is_open || due == 0, "a refund of {payment} is due");
        prop_assert!(!is_open || blocked == 0 || due == 1, "the refunds of {payment} are stuck");
    }
    Ok(())
}

/// No more goes back than was paid, and a payment counts all that went back.
async fn money(store: &dyn Store, record: &Record) -> Result<(), TestCaseError> {
    let of = PaymentRef::Record(RecordId::new(record.id.as_str()).expect("an id"));
    let source = record.source.as_ref().expect("somebody reported it");
    let payment = store.payment(&site(), source, &of).await.expect("a look").expect("a payment");
    prop_assert!(payment.refunded() <= payment.paid.amount(), "{:?}", payment);
    prop_assert_eq!(payment.state, record.state);
    if record.state == State::Closed {
        let open =
            payment.refunds.iter().find(|refund| !matches!(refund.state, State::Closed | State::Delivered));
        prop_assert_eq!(open, None, "a refund of {} is not closed", &record.id);
    }
    Ok(())
}

/// An orphan is one for as long as its payment is not known, and no longer.
async fn still_unknown(store: &dyn Store, record: &Record, entry: &Entry) -> Result<(), TestCaseError> {
    let refund = entry.refund.as_ref().expect("an orphan is a refund");
    let payment = store.payment(&site(), &entry.source, &refund.of).await.expect("a look");
    prop_assert_eq!(payment, None, "{} has a payment", &record.id);
    Ok(())
}
