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

mod authority;
mod chunked;
mod field;
mod head;
mod line;
mod name;
mod octets;
mod offence;
mod parts;

pub use offence::Offence;
pub use parts::check;

use bytes::{BufMut, BytesMut};
use chunked::Chunked;
use head::{Body, Head, Step, Then};

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
    at: At,
    head: Head,
    /// The begin of a head whose end has not come.
    held: Vec<u8>,
    /// What follows the request whose body is read.
    then: Then,
    /// Where in the caller's buffer the head begins that was handed on during this call.
    fresh: Option<usize>,
    requests: u64,
    is_secured: bool,
}

#[derive(Debug)]
enum At {
    /// Before a head. One empty line may come first (RFC 9112 section 2.2).
    Idle {
        has_blank: bool,
    },
    Head,
    /// So many bytes of a body are to come, at least one.
    Sized(u64),
    Chunked(Box<Chunked>),
    Switching,
    Tunnel,
    Closed,
    Refused {
        offence: Offence,
        answer_due: bool,
    },
}

impl Gate {
    /// For a new connection. `is_secured`: over TLS; targets that begin with `https:` are taken only there.
    #[must_use]
    pub fn new(is_secured: bool) -> Self {
        Self {
            at: At::Idle { has_blank: false },
            head: Head::default(),
            held: Vec::new(),
            then: Then::Next,
            fresh: None,
            requests: 0,
            is_secured,
        }
    }

    /// Looks at what came, and appends to `out` what hyper may see of it. Returns how many bytes were taken: all of them, but
    /// in or after [`Phase::Switching`]; what is left is to be fed again then. What is appended is never longer than what was
    /// fed so far, but for `"<>` in queries, which are percent-encoded as browsers do.
    ///
    /// # Errors
    /// What is wrong; afterwards always the same again, without looking at what comes.
    pub fn feed(&mut self, bytes: &[u8], out: &mut BytesMut) -> Result<usize, Offence> {
        self.fresh = None;
        let mut rest = bytes;
        while let Some(first) = rest.first() {
            let read = match &self.at {
                At::Idle { has_blank } => self.begin(*first, *has_blank),
                At::Head => self.read_head(&mut rest, out),
                At::Sized(left) => {
                    self.read_sized(*left, &mut rest, out);
                    Ok(())
                }
                At::Chunked(_) => self.read_chunked(&mut rest, out),
                At::Switching => break,
                At::Tunnel => {
                    out.put_slice(rest);
                    rest = &[];
                    Ok(())
                }
                At::Closed => {
                    rest = &[];
                    Ok(())
                }
                At::Refused { offence, .. } => return Err(*offence),
            };
            if let Err(offence) = read {
                return Err(self.refuse(offence, out));
            }
        }
        Ok(bytes.len() - rest.len())
    }

    /// Where the connection stands.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self.at {
            At::Idle { .. } => Phase::Idle,
            At::Head => Phase::Head,
            At::Sized(_) | At::Chunked(_) => Phase::Body,
            At::Switching => Phase::Switching,
            At::Tunnel => Phase::Tunnel,
            At::Closed => Phase::Closed,
            At::Refused { answer_due, .. } => Phase::Refused { answer_due },
        }
    }

    /// How many requests were handed on so far; those that an offence took back are not among them.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests
    }

    /// The request that asked to switch was answered with 101.
    pub fn tunnel(&mut self) {
        if matches!(self.at, At::Switching) {
            self.at = At::Tunnel;
        }
    }

    /// The request that asked to switch was answered otherwise: HTTP goes on.
    pub fn resume(&mut self) {
        if matches!(self.at, At::Switching) {
            self.at = At::Idle { has_blank: false };
        }
    }

    /// Gives back what memory can be had back; for connections that stay idle.
    pub fn relax(&mut self) {
        if matches!(self.at, At::Idle { .. }) {
            self.head = Head::default();
        }
    }

    /// Every method's name begins with a character of a token, and an empty line with CR: what is not HTTP at all (a TLS
    /// handshake) is told by its first byte.
    fn begin(&mut self, first: u8, has_blank: bool) -> Result<(), Offence> {
        if !octets::is_token_char(first) && (first != b'\r' || has_blank) {
            return Err(Offence::RequestLine);
        }
        self.at = At::Head;
        Ok(())
    }

    fn read_head(&mut self, rest: &mut &[u8], out: &mut BytesMut) -> Result<(), Offence> {
        if !self.held.is_empty() {
            return self.read_held(rest, out);
        }
        // Most heads come whole and are read where they are.
        let input = *rest;
        while let Some(length) = memchr::memchr(b'\n', &input[self.head.at()..]) {
            let end = self.head.at() + length + 1;
            match self.head.take(input, end, self.is_secured)? {
                Step::More => {}
                Step::Blank => {
                    *rest = &input[end..];
                    self.at = At::Idle { has_blank: true };
                    return Ok(());
                }
                Step::Whole => {
                    *rest = &input[end..];
                    self.hand_on(&input[..end], out);
                    return Ok(());
                }
            }
        }
        self.head.check_size(input.len())?;
        self.held.extend_from_slice(input);
        *rest = &[];
        Ok(())
    }

    /// Takes one more line of a head that came in parts, or a part of one.
    fn read_held(&mut self, rest: &mut &[u8], out: &mut BytesMut) -> Result<(), Offence> {
        let end = memchr::memchr(b'\n', rest).map(|at| at + 1);
        let (part, behind) = rest.split_at(end.unwrap_or(rest.len()));
        self.head.check_size(self.held.len() + part.len())?;
        self.held.extend_from_slice(part);
        *rest = behind;
        if end.is_none() {
            return Ok(());
        }
        let held = std::mem::take(&mut self.held);
        match self.head.take(&held, held.len(), self.is_secured)? {
            Step::More => self.held = held,
            Step::Blank => self.at = At::Idle { has_blank: true },
            Step::Whole => self.hand_on(&held, out),
        }
        Ok(())
    }

    /// Hands on a head that is whole.
    fn hand_on(&mut self, head: &[u8], out: &mut BytesMut) {
        self.fresh = Some(out.len());
        self.head.write(head, out);
        self.requests += 1;
        self.then = self.head.then(head);
        match self.head.body() {
            Body::None => self.end(),
            Body::Sized(length) => self.at = At::Sized(length),
            Body::Chunked => self.at = At::Chunked(Box::default()),
        }
        self.head.clear();
    }

    /// A request is over.
    fn end(&mut self) {
        self.at = match self.then {
            Then::Next => At::Idle { has_blank: false },
            Then::Close => At::Closed,
            Then::Switch => At::Switching,
        };
    }

    fn read_sized(&mut self, left: u64, rest: &mut &[u8], out: &mut BytesMut) {
        let length = rest.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let (data, behind) = rest.split_at(length);
        out.put_slice(data);
        *rest = behind;
        match left - length as u64 {
            0 => self.end(),
            left => self.at = At::Sized(left),
        }
    }

    fn read_chunked(&mut self, rest: &mut &[u8], out: &mut BytesMut) -> Result<(), Offence> {
        let At::Chunked(chunked) = &mut self.at else { return Ok(()) };
        if chunked.read(rest, out)? {
            self.end();
        }
        Ok(())
    }

    /// Ends it all. A request that hyper cannot have seen yet is taken back.
    fn refuse(&mut self, offence: Offence, out: &mut BytesMut) -> Offence {
        let is_in_head = matches!(self.at, At::Idle { .. } | At::Head);
        let taken_back = self.fresh.filter(|_| !is_in_head);
        if let Some(begin) = taken_back {
            out.truncate(begin);
            self.requests -= 1;
        }
        self.at = At::Refused { offence, answer_due: is_in_head || taken_back.is_some() };
        (self.held, self.head) = (Vec::new(), Head::default());
        offence
    }
}
