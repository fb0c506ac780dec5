//! What is written down before an answer: entries, the payments among them, and how they are read again.

use crate::{
    click::Click,
    code::PromoCode,
    delivery::{Answer, Attempt, Delivery, Job},
    id::{ClickId, RecordId, SiteName, Source},
    money::{Currency, Money},
    time::UnixMs,
};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// A sale, a lead, an event or a refund, ready to be written down with everything that belongs to it in one transaction.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Our id of it, and of its delivery.
    pub id: RecordId,
    /// Where it belongs.
    pub site: SiteName,
    /// Who reported it.
    pub source: Source,
    /// What it is.
    pub job: Job,
    /// The idempotency key: unique for the site, the source and the job. A payment may be named by it as well.
    pub key: String,
    /// SHA-256 of the content: the same key with other content is a conflict.
    pub fingerprint: [u8; 32],
    /// The JSON object to deliver. The deliverer adds the upstream id of the click that it `needs`, and a refund's amount.
    pub body: String,
    /// The click that is credited, for whoever asks later.
    pub click: Option<ClickId>,
    /// A click minted at the edge whose upstream id the delivery must wait for.
    pub needs: Option<ClickId>,
    /// A click to be written in the same transaction (a promo code won): its delivery body is the second field.
    pub mint: Option<(Click, String)>,
    /// The promo code that won, to be counted in the same transaction.
    pub code: Option<CodeUse>,
    /// Customers that this referral belongs to from now on; a customer that is bound already stays as it is.
    pub bind: Option<(ClickId, Vec<String>)>,
    /// Other names that its source has for it: the payment's ids, the order. A refund finds the payment by any of them,
    /// and so does whoever asks.
    pub names: Vec<String>,
    /// What was paid, when it is a payment: what a refund may give back.
    pub paid: Option<Money>,
    /// What goes back, when it is a refund.
    pub refund: Option<Refund>,
    /// When to deliver it.
    pub send: Send,
    /// Why it was attributed as it was, as JSON, for whoever asks later.
    pub trace: String,
    /// When it was accepted.
    pub now: UnixMs,
}

/// When an entry is to be delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Send {
    /// At once, by the caller, who holds it under a lease from the start.
    Now,
    /// When the deliverer claims it, not before that moment: the platform rests, and nobody waits for its answer.
    From(UnixMs),
    /// Never, for this reason: it is written down closed (nobody is to be credited with the sale).
    Never(String),
}

/// A promo code that is to be counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeUse {
    /// Which.
    pub code: PromoCode,
    /// How many uses it allows; `None` is not counted.
    pub max_uses: Option<u64>,
}

/// Money that goes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refund {
    /// Of which payment.
    pub of: PaymentRef,
    /// How much.
    pub amount: RefundAmount,
    /// In which currency; `None` is the payment's own.
    pub currency: Option<Currency>,
}

/// How a payment is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PaymentRef {
    /// By our id of it.
    Record(RecordId),
    /// By what the platform calls the conversion. When nothing is known of it here, the platform decides.
    Upstream(String),
    /// By any of its source's names for it, or by one that the merchant's servers (`api`) gave it. When nothing is known of
    /// it yet, the refund waits for the payment.
    Named(Vec<String>),
}

/// How much goes back. What it comes to is decided when it is sent, for it depends on what went back before; refunds of one
/// payment are sent one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefundAmount {
    /// All that is left.
    Rest,
    /// That much, in major units.
    Part(Decimal),
    /// So much that this is all that ever went back.
    Total(Decimal),
}

impl RefundAmount {
    /// The word and the number that stand for it in a store.
    #[must_use]
    pub const fn words(self) -> (&'static str, Option<Decimal>) {
        match self {
            Self::Rest => ("rest", None),
            Self::Part(part) => ("part", Some(part)),
            Self::Total(total) => ("total", Some(total)),
        }
    }

    /// The reverse of [`RefundAmount::words`].
    #[must_use]
    pub fn from_words(word: &str, amount: Option<Decimal>) -> Option<Self> {
        match (word, amount) {
            ("rest", None) => Some(Self::Rest),
            ("part", Some(part)) => Some(Self::Part(part)),
            ("total", Some(total)) => Some(Self::Total(total)),
            _ => None,
        }
    }
}

/// How a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// To be sent when its time comes.
    Due,
    /// Waits for a click's id, for its payment, or for an earlier refund of it.
    Blocked,
    /// A refund of a payment that nobody has reported yet.
    Orphan,
    /// The platform has it.
    Delivered,
    /// It failed for good and is kept for a person to decide.
    Dead,
    /// There is nothing to send, or nothing any more; the reason stands beside it.
    Closed,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Due, Self::Blocked, Self::Orphan, Self::Delivered, Self::Dead, Self::Closed];

    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::Blocked => "blocked",
            Self::Orphan => "orphan",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
            Self::Closed => "closed",
        }
    }

    /// The state of that word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }
}

/// An entry that was already there.
#[derive(Clone, Debug, PartialEq)]
pub struct EntryState {
    /// Its id.
    pub id: RecordId,
    /// How it stands.
    pub state: State,
    /// What the platform said, when it has spoken.
    pub answer: Option<Answer>,
}

/// What became of writing an entry. Every variant but `Conflict` and `UsedUp` means: it is on stable storage.
#[derive(Clone, Debug, PartialEq)]
pub enum Acceptance {
    /// Written. The caller holds its delivery under a lease and should hand it to the deliverer;
    /// the click's delivery comes first when one was minted.
    New(Vec<Delivery>),
    /// Written, and there is nothing for the caller to send: it waits for its turn, or it is closed.
    Waiting,
    /// It was there already, with the same content.
    Same(EntryState),
    /// The key is taken by other content.
    Conflict(RecordId),
    /// Nothing was written: the promo code has no use left.
    UsedUp,
}

/// A payment, and what went back of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Payment {
    /// Our id of it.
    pub id: RecordId,
    /// What was paid.
    pub paid: Money,
    /// How its own delivery stands.
    pub state: State,
    /// What the platform calls it, once it has it.
    pub upstream_id: Option<String>,
    /// Its refunds, in the order in which they are sent; orphans are none of them.
    pub refunds: Vec<PaymentRefund>,
}

/// A refund, as its payment knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct PaymentRefund {
    /// Our id of it.
    pub id: RecordId,
    /// How it stands.
    pub state: State,
    /// What was asked for.
    pub amount: RefundAmount,
    /// What went back, once it did.
    pub refunded: Option<Decimal>,
}

impl Payment {
    /// What went back so far, in major units: what the platform has taken.
    #[must_use]
    pub fn refunded(&self) -> Decimal {
        self.refunds.iter().filter_map(|refund| refund.refunded).sum()
    }

    /// What is left, in major units.
    #[must_use]
    pub fn left(&self) -> Decimal {
        (self.paid.amount() - self.refunded()).max(Decimal::ZERO)
    }

    /// What is left when everything that waits has gone back as well.
    #[must_use]
    pub fn left_after_all(&self) -> Decimal {
        let waiting = |refund: &&PaymentRefund| matches!(refund.state, State::Due | State::Blocked);
        self.refunds.iter().filter(waiting).fold(self.left(), |left, refund| match refund.amount {
            RefundAmount::Rest => Decimal::ZERO,
            RefundAmount::Part(part) => (left - part).max(Decimal::ZERO),
            RefundAmount::Total(total) => left.min((self.paid.amount() - total).max(Decimal::ZERO)),
        })
    }

    /// What `amount` comes to now: more than nothing, and never more than is left. `None` when there is nothing to give back.
    #[must_use]
    pub fn comes_to(&self, amount: RefundAmount) -> Option<Decimal> {
        let asked = match amount {
            RefundAmount::Rest => self.left(),
            RefundAmount::Part(part) => part,
            RefundAmount::Total(total) => total - self.refunded(),
        };
        Some(asked.min(self.left())).filter(|amount| *amount > Decimal::ZERO)
    }
}

/// An order that a visitor's page tied to a click before the checkout left the browser.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OrderBinding {
    /// The click that bound it first.
    pub click: ClickId,
    /// When.
    pub at: UnixMs,
    /// Whether another click bound the same order: then neither is to be believed.
    pub contested: bool,
}

/// What became of binding an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// It is bound, now or since before, or it is contested now.
    Bound,
    /// The click has bound as many orders as one visitor ever places.
    TooMany,
}

/// A record as it is read again, by people.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Its id; for a click's delivery, the click's.
    pub id: String,
    /// Where it belongs.
    pub site: SiteName,
    /// Who reported it; nobody did a click that the edge minted.
    pub source: Option<Source>,
    /// What it is.
    pub job: Job,
    /// The idempotency key.
    pub key: Option<String>,
    /// How it stands.
    pub state: State,
    /// What is sent, but for what the deliverer adds.
    pub body: String,
    /// The click that is credited.
    pub click: Option<ClickId>,
    /// The click that it waits for.
    pub needs: Option<ClickId>,
    /// The payment that it is a refund of: our id of it, or what the platform calls it.
    pub payment: Option<String>,
    /// What an orphan's payment may be called.
    pub awaits: Vec<String>,
    /// Other names for it.
    pub names: Vec<String>,
    /// What was paid.
    pub paid: Option<Money>,
    /// What was asked for, and what went back.
    pub refund: Option<(RefundAmount, Option<Decimal>)>,
    /// Why it was attributed as it was, as JSON.
    pub trace: Option<String>,
    /// When it is to be tried (again).
    pub due_at: UnixMs,
    /// How many attempts have failed.
    pub attempts: u32,
    /// Attempts with what came of them, the oldest first.
    pub log: Vec<Attempt>,
    /// When it was accepted.
    pub created_at: UnixMs,
    /// When the last word on it was written.
    pub settled_at: Option<UnixMs>,
    /// What the platform said last.
    pub answer: Option<Answer>,
    /// What the platform calls it.
    pub upstream_id: Option<String>,
    /// Why it failed or was closed.
    pub error: Option<String>,
}

/// Which records to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Of this site; of all when `None`.
    pub site: Option<SiteName>,
    /// In these states.
    pub states: Vec<State>,
    /// Those after this one, in the order of the list (when it came in, then its id).
    pub after: Option<(UnixMs, String)>,
    /// At most so many.
    pub limit: usize,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn payment(refunds: &[(State, RefundAmount, Option<i64>)]) -> Payment {
        let refund = |&(state, amount, cents): &(State, RefundAmount, Option<i64>)| PaymentRefund {
            id: RecordId::new("refund_1").expect("an id"),
            state,
            amount,
            refunded: cents.map(|cents| Decimal::new(cents, 2)),
        };
        Payment {
            id: RecordId::new("conv_1").expect("an id"),
            paid: Money::parse("100", "EUR".parse().expect("a currency")).expect("money"),
            state: State::Delivered,
            upstream_id: Some("com_1".to_owned()),
            refunds: refunds.iter().map(refund).collect(),
        }
    }

    fn euros(cents: i64) -> Decimal {
        Decimal::new(cents, 2)
    }

    #[test]
    fn what_goes_back_is_never_more_than_is_left() {
        use RefundAmount::{Part, Rest, Total};
        let done = State::Delivered;
        for (before, asked, expected) in [
            (vec![], Rest, Some(10_000)),
            (vec![], Part(euros(2_500)), Some(2_500)),
            (vec![], Part(euros(10_001)), Some(10_000)),
            (vec![(done, Part(euros(2_500)), Some(2_500))], Rest, Some(7_500)),
            (vec![(done, Part(euros(2_500)), Some(2_500))], Total(euros(4_000)), Some(1_500)),
            (vec![(done, Part(euros(2_500)), Some(2_500))], Total(euros(2_500)), None),
            (vec![(done, Part(euros(2_500)), Some(2_500))], Total(euros(1_000)), None),
            (vec![(done, Rest, Some(10_000))], Part(euros(1)), None),
            (vec![(State::Dead, Part(euros(9_000)), None)], Rest, Some(10_000)),
        ] {
            assert_eq!(payment(&before).comes_to(asked), expected.map(euros), "{before:?} {asked:?}");
        }
    }

    #[test]
    fn what_waits_is_promised_already() {
        use RefundAmount::{Part, Rest, Total};
        let waits = State::Blocked;
        for (before, expected) in [
            (vec![(waits, Part(euros(2_500)), None)], 7_500),
            (vec![(waits, Part(euros(2_500)), None), (waits, Total(euros(6_000)), None)], 4_000),
            (vec![(waits, Total(euros(6_000)), None), (waits, Part(euros(9_000)), None)], 0),
            (vec![(waits, Rest, None)], 0),
            (vec![(State::Closed, Rest, None), (State::Delivered, Part(euros(100)), Some(100))], 9_900),
        ] {
            assert_eq!(payment(&before).left_after_all(), euros(expected), "{before:?}");
        }
    }

    proptest! {
        #[test]
        fn any_row_of_refunds_ends_at_or_below_what_was_paid(asked in proptest::collection::vec((0..3_u8, 1..20_000_i64), 0..12)) {
            let mut payment = payment(&[]);
            for (basis, cents) in asked {
                let amount = match basis {
                    0 => RefundAmount::Rest,
                    1 => RefundAmount::Part(euros(cents)),
                    _ => RefundAmount::Total(euros(cents)),
                };
                if let Some(refunded) = payment.comes_to(amount) {
                    prop_assert!(refunded > Decimal::ZERO && refunded <= payment.left());
                    let id = RecordId::new("refund_1").expect("an id");
                    payment.refunds.push(PaymentRefund { id, state: State::Delivered, amount, refunded: Some(refunded) });
                }
                prop_assert!(payment.refunded() <= payment.paid.amount());
            }
        }
    }
}
