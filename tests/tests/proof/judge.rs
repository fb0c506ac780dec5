//! What the platform got, held against what the shop was promised.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;
use usher_tests::{Received, Standin};

use crate::merchant::{Books, money};

/// What came of a shop's records.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    acknowledged: usize,
    /// Found in the store of a killed edge, which was not started again.
    on_disk: usize,
    delivered: usize,
    replays: u64,
    /// Acknowledged, and the platform never heard of it.
    lost: Vec<String>,
    /// Delivered under two ids.
    twice: Vec<String>,
    /// Delivered with another amount or to another affiliate's credit.
    wrong: Vec<String>,
}

impl Outcome {
    /// What came of records whose store was looked into.
    pub(crate) fn of_store(acknowledged: usize, lost: Vec<String>) -> Self {
        let on_disk = acknowledged.saturating_sub(lost.len());
        Self { acknowledged, on_disk, lost, ..Self::default() }
    }

    /// Whether every promise was kept.
    pub(crate) fn is_good(&self) -> bool {
        self.acknowledged > 0 && self.lost.is_empty() && self.twice.is_empty() && self.wrong.is_empty()
    }

    /// Whether the platform heard of something more than once: else nothing was tried.
    pub(crate) fn has_replays(&self) -> bool {
        self.replays > 0
    }

    /// Adds what came of another shop's records.
    pub(crate) fn add(&mut self, other: Self) {
        self.acknowledged += other.acknowledged;
        self.on_disk += other.on_disk;
        self.delivered += other.delivered;
        self.replays += other.replays;
        self.lost.extend(other.lost);
        self.twice.extend(other.twice);
        self.wrong.extend(other.wrong);
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { acknowledged, on_disk, delivered, replays, lost, twice, wrong } = self;
        write!(out, "{acknowledged} records acknowledged, ")?;
        if *on_disk > 0 {
            write!(out, "{on_disk} found on disk, ")?;
        }
        write!(out, "{delivered} delivered, {} lost, ", lost.len())?;
        write!(
            out,
            "{} under two ids, {} wrong, {replays} repeated and recognised",
            twice.len(),
            wrong.len()
        )?;
        for (what, names) in [("lost", lost), ("under two ids", twice), ("wrong", wrong)] {
            if !names.is_empty() {
                let shown: Vec<_> = names.iter().take(5).collect();
                write!(out, "; {what}: {shown:?}")?;
            }
        }
        Ok(())
    }
}

/// How many of the records have reached the platform.
pub(crate) async fn arrived(standin: &Standin, books: &Books) -> usize {
    let received = standin.received().await;
    let refunds: BTreeSet<_> =
        list(&received, "refunds").iter().filter_map(|refund| text(refund, "reason")).collect();
    let sales: BTreeSet<_> = received.conversions().iter().filter_map(mark).collect();
    books.sales.keys().filter(|event| sales.contains(event.as_str())).count()
        + books.refunds.keys().filter(|event| refunds.contains(event.as_str())).count()
}

/// Holds what the platform got against a shop's books.
pub(crate) async fn judge(standin: &Standin, books: &Books) -> Outcome {
    let received = standin.received().await;
    let mut outcome = Outcome { acknowledged: books.len(), ..Outcome::default() };
    let events = sales(&received, books, &mut outcome);
    refunds(&received, books, &events, &mut outcome);
    outcome
}

/// By the mark that the shop put into a sale, which says what sale it is under whatever id it comes. Answers which event
/// each of the platform's ids is.
fn sales(received: &Received, books: &Books, outcome: &mut Outcome) -> BTreeMap<String, String> {
    let mut marked: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for sale in received.conversions() {
        marked.entry(mark(sale).unwrap_or_default()).or_default().push(sale);
        outcome.replays += sale["replays"].as_u64().unwrap_or(0);
    }
    for (event, sold) in &books.sales {
        match marked.get(event.as_str()).map(Vec::as_slice) {
            None => outcome.lost.push(event.clone()),
            Some([sale]) => {
                outcome.delivered += 1;
                let same = same_amount(text(sale, "sale_amount_text"), sold.cents);
                if !same || sale["affiliate"] != sold.affiliate || sale["external_event_id"] != event.as_str()
                {
                    outcome.wrong.push(format!("{event} of {}: {sale}", money(sold.cents)));
                }
            }
            Some(_) => outcome.twice.push(event.clone()),
        }
    }
    let ids = received.conversions().iter();
    ids.filter_map(|sale| Some((text(sale, "id")?.to_owned(), mark(sale)?.to_owned()))).collect()
}

/// By the reason that the shop gave, which is the refund's own name.
fn refunds(received: &Received, books: &Books, events: &BTreeMap<String, String>, outcome: &mut Outcome) {
    let mut named: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for refund in list(received, "refunds") {
        named.entry(text(refund, "reason").unwrap_or_default()).or_default().push(refund);
        outcome.replays += refund["replays"].as_u64().unwrap_or(0);
    }
    for (event, refunded) in &books.refunds {
        match named.get(event.as_str()).map(Vec::as_slice) {
            None => outcome.lost.push(event.clone()),
            Some([refund]) => {
                outcome.delivered += 1;
                let of = text(refund, "conversion_id").and_then(|id| events.get(id));
                if of != Some(&refunded.of) || !same_amount(text(refund, "amount"), refunded.cents) {
                    outcome.wrong.push(format!("{event} of {}: {refund}", money(refunded.cents)));
                }
            }
            Some(_) => outcome.twice.push(event.clone()),
        }
    }
}

fn list<'a>(received: &'a Received, name: &str) -> &'a [Value] {
    received.0[name].as_array().map_or(&[], Vec::as_slice)
}

fn mark(sale: &Value) -> Option<&str> {
    sale["body"]["metadata"]["mark"].as_str()
}

fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value[name].as_str()
}

/// Whether an amount arrived as it was reported, trailing zeros apart.
pub(crate) fn same_amount(received: Option<&str>, cents: u64) -> bool {
    let shortest = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    received.is_some_and(|text| shortest(text) == shortest(&money(cents)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_the_same_but_for_trailing_zeros() {
        for (received, cents, same) in [
            ("10", 1_000, true),
            ("10.00", 1_000, true),
            ("10.5", 1_050, true),
            ("1", 1_000, false),
            ("10.05", 1_050, false),
        ] {
            assert_eq!(same_amount(Some(received), cents), same, "{received} {cents}");
        }
        assert!(!same_amount(None, 0));
    }
}
