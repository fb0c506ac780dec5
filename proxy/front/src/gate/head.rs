//! A request's head: read line by line as it comes, written anew when it is whole.

use super::{
    authority::Authority,
    field::Field,
    line::RequestLine,
    name::{Name, is_protected},
    octets::{decimal, is_token, list},
    offence::Offence,
};
use bytes::{BufMut, BytesMut};
use std::ops::Range;
use usher_model::limits::{CONNECTION_OPTIONS, REQUEST_FIELDS, REQUEST_HEAD_BYTES, REQUEST_LINE_BYTES};

/// A head as far as it was read. All its offsets count from its first byte.
#[derive(Debug, Default)]
pub(super) struct Head {
    /// Where the next line begins.
    at: usize,
    line: Option<RequestLine>,
    line_end: usize,
    lines: Vec<Line>,
    met: Met,
}

/// A field line, and where it begins and ends; with its CRLF.
#[derive(Debug)]
struct Line {
    begin: usize,
    end: usize,
    field: Field,
    is_kept: bool,
}

/// What the fields said so far.
#[derive(Debug, Default)]
struct Met {
    host: Option<Range<usize>>,
    content_length: Option<u64>,
    is_chunked: bool,
    expects_continue: bool,
    takes_trailers: bool,
    wants_websocket: bool,
    says_close: bool,
    says_keep_alive: bool,
    says_upgrade: bool,
    /// How many options `Connection` has.
    options: usize,
    has_nominated: bool,
    /// One bit for each of [`Name::Single`].
    singles: u32,
}

/// What a line was.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// An empty one before the request line.
    Blank,
    /// One of several.
    More,
    /// The last one.
    Whole,
}

/// What follows a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    None,
    /// So many bytes, at least one.
    Sized(u64),
    Chunked,
}

/// What follows a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    Next,
    Close,
    Switch,
}

impl Head {
    /// Where the next line begins.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Checks that a line which has come up to `end` does not make the head too large.
    pub(super) fn check_size(&self, end: usize) -> Result<(), Offence> {
        match () {
            () if self.line.is_none() && end - self.at > REQUEST_LINE_BYTES => Err(Offence::TargetTooLong),
            () if end > REQUEST_HEAD_BYTES => Err(Offence::HeadTooLarge),
            () => Ok(()),
        }
    }

    /// Takes the next line, which ends before `end`.
    pub(super) fn take(&mut self, head: &[u8], end: usize, is_secured: bool) -> Result<Step, Offence> {
        self.check_size(end)?;
        let begin = self.at;
        let line = head[begin..end].strip_suffix(b"\r\n").ok_or(Offence::LineEnd)?;
        let step = match (&self.line, line.is_empty()) {
            (None, true) => return Ok(Step::Blank),
            (None, false) => {
                self.line = Some(RequestLine::parse(line, is_secured)?);
                self.line_end = end;
                Step::More
            }
            (Some(_), false) => {
                self.take_field(line, begin, end)?;
                Step::More
            }
            (Some(_), true) => {
                self.check(head)?;
                Step::Whole
            }
        };
        self.at = end;
        Ok(step)
    }

    fn take_field(&mut self, line: &[u8], begin: usize, end: usize) -> Result<(), Offence> {
        let mut field = Field::parse(line)?;
        if self.lines.len() == REQUEST_FIELDS {
            return Err(Offence::HeadTooLarge);
        }
        let value = field.value(line);
        let met = &mut self.met;
        let is_kept = match field.name {
            Name::Host => {
                let is_first = met.host.replace(begin + field.value_begin..begin + field.value_end).is_none();
                Authority::parse(value).filter(|_| is_first).ok_or(Offence::Host)?;
                true
            }
            Name::ContentLength => {
                let length = decimal(value).filter(|_| met.content_length.is_none());
                let length = length.ok_or(Offence::ContentLength)?.map_err(|()| Offence::BodyTooLarge)?;
                met.content_length = Some(length);
                // Written anew without zeros before it.
                field.is_canonical &= value == b"0" || value[0] != b'0';
                true
            }
            Name::TransferEncoding => {
                let is_first = !std::mem::replace(&mut met.is_chunked, true);
                if !is_first || !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(Offence::TransferEncoding);
                }
                field.is_canonical &= value == b"chunked";
                true
            }
            Name::Single(number) => {
                let bit = 1 << number;
                if met.singles & bit != 0 {
                    return Err(Offence::Repeated);
                }
                met.singles |= bit;
                true
            }
            Name::Expect => {
                let is_first = !std::mem::replace(&mut met.expects_continue, true);
                if !is_first || !value.eq_ignore_ascii_case(b"100-continue") {
                    return Err(Offence::Expect);
                }
                false
            }
            Name::Connection => {
                met.take_options(value)?;
                false
            }
            Name::Upgrade => {
                met.wants_websocket |= list(value).any(|name| name.eq_ignore_ascii_case(b"websocket"));
                false
            }
            Name::Te => {
                met.takes_trailers |= list(value).any(|coding| coding.eq_ignore_ascii_case(b"trailers"));
                false
            }
            Name::Dropped => false,
            Name::Other => true,
        };
        self.lines.push(Line { begin, end, field, is_kept });
        Ok(())
    }

    /// What can be said only of all fields together.
    fn check(&mut self, head: &[u8]) -> Result<(), Offence> {
        let Some(line) = &self.line else { return Err(Offence::RequestLine) };
        let host = self.met.host.clone().ok_or(Offence::Host)?;
        let host = Authority::parse(&head[host]).ok_or(Offence::Host)?;
        if !line.agrees(head, host) {
            return Err(Offence::Disagreement);
        }
        match (self.met.is_chunked, self.met.content_length) {
            (true, Some(_)) => return Err(Offence::Framing),
            (true, None) if !line.is_http_11 => return Err(Offence::TransferEncoding),
            _ => {}
        }
        if self.met.has_nominated { self.drop_nominated(head) } else { Ok(()) }
    }

    /// Drops the fields that `Connection` names (RFC 9110 section 7.6.1).
    fn drop_nominated(&mut self, head: &[u8]) -> Result<(), Offence> {
        let connection = self.lines.iter().filter(|line| line.field.name == Name::Connection);
        let mut nominated: Vec<&[u8]> = Vec::new();
        for line in connection {
            nominated.extend(list(line.value(head)).filter(|option| !is_own_option(option)));
        }
        if nominated.iter().any(|name| is_protected(name)) {
            return Err(Offence::Connection);
        }
        for line in &mut self.lines {
            let name = &head[line.begin..line.begin + line.field.colon];
            line.is_kept &= !nominated.iter().any(|nominated| name.eq_ignore_ascii_case(nominated));
        }
        Ok(())
    }

    /// What follows the head.
    pub(super) fn body(&self) -> Body {
        match self.met.content_length {
            _ if self.met.is_chunked => Body::Chunked,
            None | Some(0) => Body::None,
            Some(length) => Body::Sized(length),
        }
    }

    /// What follows the request.
    pub(super) fn then(&self, head: &[u8]) -> Then {
        match () {
            () if self.switches(head) => Then::Switch,
            () if self.met.says_close => Then::Close,
            () if self.is_http_11() || self.met.says_keep_alive => Then::Next,
            () => Then::Close,
        }
    }

    fn is_http_11(&self) -> bool {
        self.line.as_ref().is_some_and(|line| line.is_http_11)
    }

    /// RFC 6455 section 4.1. Other protocols are not offered, so asking for them is asking in vain, which is allowed.
    fn switches(&self, head: &[u8]) -> bool {
        self.met.wants_websocket
            && self.met.says_upgrade
            && self.body() == Body::None
            && self.line.as_ref().is_some_and(|line| line.is_http_11 && line.method(head) == b"GET")
    }

    /// Writes it anew. It never gets longer, but for what a query has to have encoded.
    pub(super) fn write(&self, head: &[u8], out: &mut BytesMut) {
        out.reserve(self.at);
        let mut run = 0..0;
        if let Some(line) = &self.line {
            if line.is_canonical {
                run = 0..self.line_end;
            } else {
                line.write(head, out);
            }
        }
        for line in self.lines.iter().filter(|line| line.is_kept) {
            if line.field.is_canonical && run.end == line.begin {
                run.end = line.end;
                continue;
            }
            out.put_slice(&head[run]);
            run = line.end..line.end;
            if line.field.is_canonical {
                run.start = line.begin;
            } else {
                self.write_field(line, head, out);
            }
        }
        out.put_slice(&head[run]);
        self.write_own(head, out);
        out.put_slice(b"\r\n");
    }

    fn write_field(&self, line: &Line, head: &[u8], out: &mut BytesMut) {
        out.put_slice(&head[line.begin..line.begin + line.field.colon]);
        out.put_slice(b":");
        match (line.field.name, self.met.content_length) {
            (Name::ContentLength, Some(length)) => out.put_slice(length.to_string().as_bytes()),
            (Name::TransferEncoding, _) => out.put_slice(b"chunked"),
            _ => out.put_slice(line.value(head)),
        }
        out.put_slice(b"\r\n");
    }

    /// What concerns this connection alone, in the one form that hyper gets to see.
    fn write_own(&self, head: &[u8], out: &mut BytesMut) {
        let (met, switches) = (&self.met, self.switches(head));
        // There is nothing to continue with without a body, and HTTP/1.0 has no such answer (RFC 9110 section 10.1.1).
        if met.expects_continue && self.is_http_11() && self.body() != Body::None {
            out.put_slice(b"Expect:100-continue\r\n");
        }
        if met.takes_trailers {
            out.put_slice(b"TE:trailers\r\n");
        }
        if switches {
            out.put_slice(b"Upgrade:websocket\r\n");
        }
        out.put_slice(match (switches, met.says_close, self.is_http_11()) {
            (true, true, _) => b"Connection:upgrade,close\r\n",
            (true, false, _) => b"Connection:upgrade\r\n",
            (false, true, _) => b"Connection:close\r\n",
            (false, false, false) if met.says_keep_alive => b"Connection:keep-alive\r\n",
            (false, false, _) => b"",
        });
    }

    /// Makes it ready for the next one.
    pub(super) fn clear(&mut self) {
        (self.at, self.line, self.met) = (0, None, Met::default());
        self.lines.clear();
    }
}

impl Line {
    fn value<'h>(&self, head: &'h [u8]) -> &'h [u8] {
        self.field.value(&head[self.begin..self.end])
    }
}

impl Met {
    /// Takes the options of one `Connection` line.
    fn take_options(&mut self, value: &[u8]) -> Result<(), Offence> {
        for option in list(value) {
            self.options += 1;
            if self.options > CONNECTION_OPTIONS || !is_token(option) {
                return Err(Offence::Connection);
            }
            self.says_close |= option.eq_ignore_ascii_case(b"close");
            self.says_keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
            self.says_upgrade |= option.eq_ignore_ascii_case(b"upgrade");
            self.has_nominated |= !is_own_option(option);
        }
        Ok(())
    }
}

/// Options that are none of the names of fields which are dropped for it: those, the gate deals with anyhow.
fn is_own_option(option: &[u8]) -> bool {
    const OWN: &[&[u8]] =
        &[b"close", b"keep-alive", b"upgrade", b"te", b"http2-settings", b"proxy-connection"];
    OWN.iter().any(|own| option.eq_ignore_ascii_case(own))
}
