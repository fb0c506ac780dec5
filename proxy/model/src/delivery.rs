//! What reaches the platform: deliveries, attempts, and what becomes of them.

use crate::{
    id::{ClickId, RecordId, SiteName},
    ledger::RefundAmount,
    money::Currency,
    time::UnixMs,
};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// What kind of work a delivery is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Job {
    /// Tell the platform of a click that was minted at the edge.
    Click,
    /// Tell it of a lead.
    Signup,
    /// Tell it of a sale.
    Conversion,
    /// Tell it of money that went back.
    Refund,
    /// Tell it of an event.
    Event,
    /// Hand it what Segment said.
    Segment,
}

impl Job {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Click, Self::Signup, Self::Conversion, Self::Refund, Self::Event, Self::Segment];

    /// The word for logs, metrics and keys.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Click => "click",
            Self::Signup => "signup",
            Self::Conversion => "conversion",
            Self::Refund => "refund",
            Self::Event => "event",
            Self::Segment => "segment",
        }
    }

    /// The job of that word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|job| job.word() == word)
    }
}

/// What the platform said of a delivery: HTTP status and body, as they came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The body, cut to what [`crate::limits::ANSWER_KEPT_BYTES`] allows.
    pub body: String,
}

/// One piece of work for the deliverer. Its id is the id of the entry or click that it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The entry's or the click's id.
    pub id: String,
    /// Whose.
    pub site: SiteName,
    /// What to do.
    pub job: Job,
    /// The JSON object to send.
    pub body: String,
    /// What has to be looked up before it can be sent.
    pub needs: Option<Needs>,
    /// What a refund asks for, and in which currency.
    pub refund: Option<(RefundAmount, Option<Currency>)>,
    /// How many attempts have failed.
    pub attempts: u32,
    /// Attempts with what came of them, the oldest first. Whoever settles the delivery writes it back as it is then.
    pub log: Vec<Attempt>,
    /// When the work came in.
    pub created_at: UnixMs,
}

/// What a delivery has to be told before it can be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Needs {
    /// The upstream id of this click: to be added as `referral_id`, or `click_id` for a signup.
    Click(ClickId),
    /// The upstream id of this payment, and what is left of it: a refund goes to it.
    Payment(RecordId),
    /// Nothing: the refund goes to the conversion that the platform calls so.
    Upstream(String),
}

/// Attempts that ended alike, one after the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// When the first of them was made.
    pub at: UnixMs,
    /// When the last of them was made.
    pub last: UnixMs,
    /// How many.
    pub times: u32,
    /// What came of them: the platform's status and words, or why it could not be asked.
    pub said: String,
}

/// Adds an attempt to a log. The log keeps its beginning and its end: what lies between is dropped beyond
/// [`crate::limits::ATTEMPTS_LOGGED`].
pub fn note(log: &mut Vec<Attempt>, at: UnixMs, said: &str) {
    match log.last_mut() {
        Some(last) if last.said == said => {
            last.last = at;
            last.times = last.times.saturating_add(1);
        }
        _ => {
            if log.len() >= crate::limits::ATTEMPTS_LOGGED {
                log.remove(crate::limits::ATTEMPTS_LOGGED / 2);
            }
            log.push(Attempt { at, last: at, times: 1, said: said.to_owned() });
        }
    }
}

/// What became of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// The platform has it. For a click, `upstream_id` resolves the click and sets free what waits for it; for a payment,
    /// its refunds are set free, one after the other.
    Delivered {
        /// What it said.
        answer: Answer,
        /// What it calls it.
        upstream_id: Option<String>,
        /// What went back, when it is a refund and the payment is known.
        refunded: Option<Decimal>,
    },
    /// It failed and is to be tried again.
    Retry {
        /// Not before.
        due_at: UnixMs,
        /// What went wrong, for whoever looks.
        error: String,
    },
    /// It was not tried (the site is paused, the process stops); it counts as no attempt.
    Release {
        /// Not before.
        due_at: UnixMs,
    },
    /// It failed for good and is kept for a person to decide. For a click, what waits for it is set free; for a payment,
    /// its refunds go on waiting; for a refund, the next one is set free.
    Dead {
        /// What the platform said, if it did.
        answer: Option<Answer>,
        /// Why.
        error: String,
    },
    /// There is nothing to do after all, and nobody has to look: the platform knows of nobody to credit, or nothing is left
    /// to refund. For a payment, its refunds are closed as well.
    Closed {
        /// What the platform said, or what whoever asks again is told in its stead.
        answer: Option<Answer>,
        /// Why.
        why: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::ATTEMPTS_LOGGED;

    #[test]
    fn attempts_that_end_alike_are_one_line() {
        let mut log = Vec::new();
        for (at, said) in [(1, "503"), (2, "503"), (3, "timed out"), (4, "503")] {
            note(&mut log, UnixMs(at), said);
        }
        let lines: Vec<_> =
            log.iter().map(|line| (line.at.0, line.last.0, line.times, &*line.said)).collect();
        assert_eq!(lines, [(1, 2, 2, "503"), (3, 3, 1, "timed out"), (4, 4, 1, "503")]);
    }

    #[test]
    fn a_long_log_keeps_its_beginning_and_its_end() {
        let mut log = Vec::new();
        for at in 0..100 {
            note(&mut log, UnixMs(at), &at.to_string());
        }
        assert_eq!(log.len(), ATTEMPTS_LOGGED);
        assert_eq!((&*log[0].said, &*log[ATTEMPTS_LOGGED - 1].said), ("0", "99"));
    }
}
