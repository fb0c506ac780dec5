//! The strict gate: it sees every byte of an HTTP/1 connection before hyper does, and lets through only what RFC 9110 and
//! RFC 9112 allow, written anew. Hyper reads the same requests again and is more lenient, so the two cannot disagree.
//!
//! It does no I/O. Whoever owns the connection works with it so:
//!
//! * What came from the client goes through [`Gate::feed`]; what that appends to `out` is all that hyper may read.
//! * A head is handed on when it is whole and clean, never a part of it. Bodies are handed on as they come.
//! * When `feed` refuses, the client's bytes are over: nothing after the offence is looked at. Requests that stand in `out`
//!   by then are clean and are owed their answers ([`Gate::requests`] counts all that were ever handed on).
//!   - [`Phase::Refused`] with `answer_due`: the offence is in a head that hyper never sees, or in a body whose head came in
//!     the same bytes and was taken out of `out` again. Let hyper read `out`, then let its reads wait (it would cut off what is
//!     under way if it met the end) until all requests are answered; then write [`Offence::answer`], and close.
//!   - without: the offence is in the body of a request that hyper has. End its reads with an error; it breaks off that
//!     request and answers it, or has answered it already. Write nothing. Close.
//! * After a request that may become a tunnel the phase is [`Phase::Switching`], and `feed` takes nothing more until it is told
//!   what became of it: [`Gate::tunnel`] when 101 is answered, [`Gate::resume`] when anything else is.
//! * After a request that ends the connection (`Connection: close`, or HTTP/1.0) the phase is [`Phase::Closed`]; whatever
//!   comes is swallowed.

mod offence;

pub use offence::Offence;

use bytes::BytesMut;

/// Where in a request a connection stands, seen from the client's side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Between requests: the next byte begins one.
    Idle,
    /// In a head.
    Head,
    /// In a body.
    Body,
    /// Behind a head that asks for WebSocket.
    Switching,
    /// Not HTTP any more: everything passes.
    Tunnel,
    /// The last request has been read; what comes is swallowed.
    Closed,
    /// Nothing more is taken, because of an offence.
    Refused {
        /// Whether the raw answer is to be written: the offending request is unknown to hyper.
        answer_due: bool,
    },
}

/// The gate of one connection.
#[derive(Debug)]
pub struct Gate {
    phase: Phase,
    requests: u64,
    is_secured: bool,
}

impl Gate {
    /// For a new connection. `is_secured`: over TLS; targets that begin with `https:` are taken only there.
    #[must_use]
    pub fn new(is_secured: bool) -> Self {
        Self { phase: Phase::Idle, requests: 0, is_secured }
    }

    /// Looks at what came, and appends to `out` what hyper may see of it. Returns how many bytes were taken: all of them, but
    /// in or after [`Phase::Switching`]; what is left is to be fed again then.
    ///
    /// # Errors
    /// What is wrong, once; afterwards the same again, without looking at what comes.
    pub fn feed(&mut self, bytes: &[u8], out: &mut BytesMut) -> Result<usize, Offence> {
        out.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    /// Where the connection stands.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// How many requests were handed on so far; those that an offence took back are not among them.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests
    }

    /// The request that asked to switch was answered with 101.
    pub fn tunnel(&mut self) {
        self.phase = Phase::Tunnel;
    }

    /// The request that asked to switch was answered otherwise: HTTP goes on.
    pub fn resume(&mut self) {
        if self.phase == Phase::Switching {
            self.phase = Phase::Idle;
        }
    }
}
