//! Who holds which delivery. One process serves from the file, so a lease lives in memory: taking one costs no write.

use std::collections::HashMap;
use usher_model::{UnixMs, limits};

/// Leases by row, with what the transaction under way changes about them.
#[derive(Debug, Default)]
pub(super) struct Held {
    until: HashMap<i64, UnixMs>,
    taken: Vec<i64>,
    let_go: Vec<i64>,
}

impl Held {
    /// Forgets leases that have run out: their holders may never come back.
    pub(super) fn purge(&mut self, now: UnixMs) {
        self.until.retain(|_, until| lasts(*until, now));
    }

    /// Whether somebody holds it at `now`.
    pub(super) fn is_held(&self, row: i64, now: UnixMs) -> bool {
        self.until.get(&row).is_some_and(|until| lasts(*until, now))
    }

    /// Holds it until `until`; undone when the transaction fails.
    pub(super) fn take(&mut self, row: i64, until: UnixMs) {
        self.until.insert(row, until);
        self.taken.push(row);
    }

    /// Lets go of it when the transaction succeeds, and not before: until then the row may become due again.
    pub(super) fn let_go(&mut self, row: i64) {
        self.let_go.push(row);
    }

    /// The transaction succeeded.
    pub(super) fn commit(&mut self) {
        self.taken.clear();
        for row in self.let_go.drain(..) {
            self.until.remove(&row);
        }
    }

    /// The transaction failed.
    pub(super) fn roll_back(&mut self) {
        self.let_go.clear();
        for row in self.taken.drain(..) {
            self.until.remove(&row);
        }
    }
}

/// Whether a lease that ends then lasts still. One that seems to be far longer than any is was taken before the clock stepped
/// back, and would last for as long as that was.
fn lasts(until: UnixMs, now: UnixMs) -> bool {
    (1..=5 * limits::LEASE_MS).contains(&until.since(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_transaction_leaves_leases_as_they_were() {
        let mut held = Held::default();
        held.take(1, UnixMs(100));
        held.commit();
        held.let_go(1);
        held.take(2, UnixMs(100));
        held.roll_back();
        assert!(held.is_held(1, UnixMs(99)) && !held.is_held(2, UnixMs(0)));
        held.let_go(1);
        assert!(held.is_held(1, UnixMs(99)), "not before the commit");
        held.commit();
        assert!(!held.is_held(1, UnixMs(0)));
    }

    #[test]
    fn a_lease_runs_out() {
        let mut held = Held::default();
        held.take(1, UnixMs(100));
        assert!(held.is_held(1, UnixMs(99)) && !held.is_held(1, UnixMs(100)));
        assert!(!held.is_held(1, UnixMs(99 - 5 * limits::LEASE_MS)), "the clock stepped back");
        held.purge(UnixMs(99));
        assert!(held.is_held(1, UnixMs(99)));
        held.purge(UnixMs(100));
        assert!(held.until.is_empty());
    }
}
