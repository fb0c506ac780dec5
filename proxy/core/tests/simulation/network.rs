//! The ways in which a call to the platform goes wrong.

use super::dice::Dice;
use usher_model::Job;

/// How the platform is for a while.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mood {
    /// All is well.
    #[default]
    Well,
    /// Nobody answers the connection.
    Down,
    /// Calls hang until their deadline.
    Silent,
    /// Errors of its own, with or without a word on when to come back.
    Failing,
    /// So many calls in a hundred go wrong, each in another way.
    Flaky(u8),
    /// Every answer is late, some by more than anybody waits.
    Slow,
    /// It takes everything and drops every answer.
    Drops,
    /// It does not know the key.
    KeyUnknown,
    /// It does not let the key do this.
    Forbids(Job),
    /// Something else answers in its place.
    Rubbish,
}

/// What happens to one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is answered after a while.
    Answered,
    /// It never arrives.
    Unreachable,
    /// It never arrives, and nothing says so.
    Lost,
    /// It is taken, and the answer is lost.
    Dropped,
    /// It is taken when nobody waits any more.
    Late,
    /// The platform fails before it acts, or after.
    Error {
        /// What it says.
        status: u16,
        /// Whether it acted.
        acted: bool,
    },
    /// Somebody else answers.
    Rubbish,
    /// The key is refused.
    Refused(u16),
}

impl Mood {
    /// What happens to a call.
    pub(crate) fn fate(self, job: Job, dice: &Dice) -> Fate {
        match self {
            Self::Well => Fate::Answered,
            Self::Down => Fate::Unreachable,
            Self::Silent => dice.pick(&[Fate::Lost, Fate::Lost, Fate::Late]),
            Self::Failing => error(dice),
            Self::Flaky(percent) if dice.percent(percent.into()) => any(dice),
            Self::Flaky(_) => Fate::Answered,
            Self::Slow => dice.pick(&[Fate::Answered, Fate::Answered, Fate::Late, Fate::Dropped]),
            Self::Drops => Fate::Dropped,
            Self::KeyUnknown => Fate::Refused(401),
            Self::Forbids(forbidden) if forbidden == job => Fate::Refused(403),
            Self::Forbids(_) => Fate::Answered,
            Self::Rubbish => Fate::Rubbish,
        }
    }

    /// From when on an answer is given, in milliseconds.
    pub(crate) fn latency(self) -> (u64, u64) {
        if self == Self::Slow { (300, 19_000) } else { (3, 90) }
    }
}

fn error(dice: &Dice) -> Fate {
    Fate::Error { status: dice.pick(&[500, 502, 503, 504, 408, 425]), acted: dice.percent(30) }
}

fn any(dice: &Dice) -> Fate {
    match dice.next() % 6 {
        0 => Fate::Unreachable,
        1 => Fate::Lost,
        2 => Fate::Dropped,
        3 => Fate::Late,
        4 => Fate::Rubbish,
        _ => error(dice),
    }
}
