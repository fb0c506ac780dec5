//! What a case is.

use crate::client::{ACK, PING, SETTINGS, Script, Seen};

/// What a client does, and what has to come of it.
pub(crate) struct Case {
    pub(crate) section: &'static str,
    pub(crate) what: &'static str,
    /// Sent one after the other, each once the server has nothing more to say.
    pub(crate) steps: Vec<Vec<u8>>,
    pub(crate) expect: Expect,
}

/// RFC 9113 section 7.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Code {
    Protocol = 1,
    FlowControl = 3,
    StreamClosed = 5,
    FrameSize = 6,
    RefusedStream = 7,
    Compression = 9,
}

#[derive(Clone, Debug)]
pub(crate) enum Expect {
    /// The connection ends, with a GOAWAY of this code, or of the general one: hyper has one code for most of what is malformed.
    Gone(Code),
    /// The connection ends; whether anything is said is left to the server.
    Closed,
    /// That stream ends, with a RST_STREAM of this code; or the connection does, which section 5.4 leaves to the server.
    Reset(u32, Code),
    /// That stream is answered with this status.
    Status(u32, u16),
    /// That stream's content comes in frames of these lengths.
    Content(u32, &'static [usize]),
    /// A PING is answered.
    Pong(&'static [u8; 8]),
    /// Settings are acknowledged.
    Settled,
    /// No more than that the connection lives.
    Lives,
    /// Nothing comes of it yet.
    Waits,
}

impl Expect {
    /// Whether the connection is closed; either will do when a stream is to end.
    pub(crate) fn closes(&self) -> Option<bool> {
        match self {
            Self::Reset(..) => None,
            _ => Some(matches!(self, Self::Gone(_) | Self::Closed)),
        }
    }

    /// Whether the server said exactly what the section asks for.
    pub(crate) fn is_exact(&self, seen: &Seen) -> bool {
        match self {
            Self::Gone(code) => seen.goaway() == Some(*code as u32),
            Self::Reset(stream, code) => seen.reset(*stream) == Some(*code as u32) && !seen.is_closed,
            _ => true,
        }
    }

    pub(crate) fn is_met(&self, seen: &Seen) -> bool {
        match self {
            Self::Gone(code) => is_general(seen.goaway(), *code),
            Self::Reset(stream, code) => {
                is_general(seen.reset(*stream), *code) && !seen.is_closed
                    || is_general(seen.goaway(), *code) && seen.is_closed
            }
            Self::Status(stream, status) => seen.status(*stream) == Some(*status),
            Self::Content(stream, lengths) => seen.data(*stream) == *lengths,
            Self::Pong(payload) => seen.has(PING, ACK, *payload),
            Self::Settled => seen.has(SETTINGS, ACK, &[]),
            Self::Lives => seen.goaway().is_none(),
            Self::Closed | Self::Waits => true,
        }
    }
}

fn is_general(told: Option<u32>, code: Code) -> bool {
    told == Some(code as u32) || told == Some(Code::Protocol as u32)
}

/// A case of one step after preface and settings.
pub(crate) fn case(
    section: &'static str,
    what: &'static str,
    expect: Expect,
    script: impl FnOnce(Script) -> Script,
) -> Case {
    Case { section, what, steps: vec![script(Script::begun()).0], expect }
}

/// A case of two.
pub(crate) fn then(mut case: Case, script: impl FnOnce(Script) -> Script) -> Case {
    case.steps.push(script(Script::default()).0);
    case
}

/// A case without preface and settings.
pub(crate) fn raw(section: &'static str, what: &'static str, expect: Expect, bytes: Vec<u8>) -> Case {
    Case { section, what, steps: vec![bytes], expect }
}
