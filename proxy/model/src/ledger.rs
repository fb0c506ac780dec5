//! What is written down before an answer, and what becomes of it: entries, their deliveries, their settlement.

use crate::{
    click::Click,
    code::PromoCode,
    id::{ClickId, RecordId, SiteName},
    time::UnixMs,
};
use serde::{Deserialize, Serialize};

/// What kind of work a delivery is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Job {
    /// Tell the platform of a click that was minted at the edge.
    Click,
    /// Tell it of a lead.
    Signup,
    /// Tell it of a sale.
    Conversion,
}

impl Job {
    /// The word for logs, metrics and keys.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Click => "click",
            Self::Signup => "signup",
            Self::Conversion => "conversion",
        }
    }

    /// The job of that word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Click, Self::Signup, Self::Conversion].into_iter().find(|job| job.word() == word)
    }
}

/// A sale or a lead, ready to be written down with everything that belongs to it in one transaction.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Our id of it, and of its delivery.
    pub id: RecordId,
    /// Where it belongs.
    pub site: SiteName,
    /// Conversion or signup.
    pub job: Job,
    /// The idempotency key: unique for the site and the job.
    pub key: String,
    /// SHA-256 of the content: the same key with other content is a conflict.
    pub fingerprint: [u8; 32],
    /// The JSON object to deliver. When `needs` names a click, the deliverer adds that click's upstream id to it.
    pub body: String,
    /// A click minted at the edge whose upstream id the delivery must wait for.
    pub needs: Option<ClickId>,
    /// A click to be written in the same transaction (a promo code won): its delivery body is the second field.
    pub mint: Option<(Click, String)>,
    /// The promo code that won, to be counted in the same transaction.
    pub code: Option<CodeUse>,
    /// Customers that this referral belongs to from now on; a customer that is bound already stays as it is.
    pub bind: Option<(ClickId, Vec<String>)>,
    /// Why it was attributed as it was, as JSON, for whoever asks later.
    pub trace: String,
    /// When it was accepted.
    pub now: UnixMs,
}

/// A promo code that is to be counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeUse {
    /// Which.
    pub code: PromoCode,
    /// How many uses it allows; `None` is not counted.
    pub max_uses: Option<u64>,
}

/// What the platform said of a delivery: HTTP status and body, as they came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The body, cut to what [`crate::limits::ANSWER_KEPT_BYTES`] allows.
    pub body: String,
}

/// An entry that was already there.
#[derive(Clone, Debug, PartialEq)]
pub struct EntryState {
    /// Its id.
    pub id: RecordId,
    /// What the platform said, when it has spoken.
    pub answer: Option<Answer>,
}

/// What became of writing an entry. Every variant but `Conflict` and `UsedUp` means: it is on stable storage.
#[derive(Clone, Debug, PartialEq)]
pub enum Acceptance {
    /// Written. The caller holds its delivery under a lease and should hand it to the deliverer;
    /// the click's delivery comes first when one was minted.
    New(Vec<Delivery>),
    /// Written, and it waits for the upstream id of the click that it needs.
    Waiting,
    /// It was there already, with the same content.
    Same(EntryState),
    /// The key is taken by other content.
    Conflict(RecordId),
    /// Nothing was written: the promo code has no use left.
    UsedUp,
}

/// One piece of work for the deliverer. Its id is the id of the entry or click that it is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// The entry's or the click's id.
    pub id: String,
    /// Whose.
    pub site: SiteName,
    /// What to do.
    pub job: Job,
    /// The JSON object to send.
    pub body: String,
    /// The click whose upstream id has to be added as `referral_id` (or `click_id` for a signup).
    pub needs: Option<ClickId>,
    /// How many attempts have failed.
    pub attempts: u32,
    /// When the work came in.
    pub created_at: UnixMs,
}

/// What became of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// The platform has it. For a click, `upstream_id` resolves the click and sets free what waits for it.
    Delivered {
        /// What it said.
        answer: Answer,
        /// What it calls it.
        upstream_id: Option<String>,
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
    /// It failed for good and is kept for a person to decide. For a click, what waits for it is set free.
    Dead {
        /// What the platform said, if it did.
        answer: Option<Answer>,
        /// Why.
        error: String,
    },
}
