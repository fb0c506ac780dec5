//! One connection: what is sent, and what is to become of it.

use std::fmt;

use usher_tests::HOST;

use super::origins::Kind;
use crate::chance::Chance;

/// A request as an origin is to see it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Expected {
    /// The field `X-Case`.
    pub(crate) case: String,
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) body: Vec<u8>,
}

/// A connection.
#[derive(Clone)]
pub(crate) struct Case {
    /// What was done to it.
    pub(crate) family: &'static str,
    /// One after the other, each in a packet of its own where the system lets that be.
    pub(crate) parts: Vec<Vec<u8>>,
    /// The requests in it that are to be forwarded.
    pub(crate) expected: Vec<Expected>,
    pub(crate) end: End,
    /// Whether only the recording socket takes all of it.
    pub(crate) is_rare: bool,
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The edge closes it after the last answer.
    Answered,
    /// The edge refuses something, and closes it.
    Refused,
    /// The client goes away in the middle.
    HungUp,
}

impl Case {
    /// Whether that origin can take its valid requests.
    pub(crate) fn suits(&self, kind: Kind) -> bool {
        kind == Kind::Recorder || !self.is_rare
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:?})", self.family, self.end)?;
        self.parts.iter().try_for_each(|part| write!(f, " [{}]", part.escape_ascii()))
    }
}

/// How the bytes of a connection are cut up.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cut {
    Not,
    /// In so many parts.
    In(usize),
    Everywhere,
}

impl Cut {
    pub(crate) fn apply(self, bytes: &[u8], chance: &mut Chance) -> Vec<Vec<u8>> {
        let mut places = match self {
            Self::Not => Vec::new(),
            Self::In(parts) => (1..parts).map(|_| chance.below(bytes.len() + 1)).collect(),
            // Longer ones in packets of some bytes: it is the ends of lines that matter.
            Self::Everywhere => (1..bytes.len()).step_by(bytes.len() / 1_000 + 1).collect(),
        };
        places.extend([0, bytes.len()]);
        places.sort_unstable();
        places.windows(2).map(|ends| bytes[ends[0]..ends[1]].to_vec()).collect()
    }
}

/// A plain request, and what it is to arrive as.
pub(crate) fn plain(case: &str, path: &str, more: &str) -> (Vec<u8>, Expected) {
    let bytes = format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\nX-Case: {case}\r\n{more}\r\n");
    let expected = Expected {
        case: case.to_owned(),
        method: "GET".to_owned(),
        target: path.to_owned(),
        body: Vec::new(),
    };
    (bytes.into_bytes(), expected)
}
