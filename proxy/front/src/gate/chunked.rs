//! A chunked body (RFC 9112 section 7.1): sizes, data, trailers. Written anew without extensions.

use super::{
    field::Field,
    name::{Name, is_protected},
    octets::is_token_char,
    offence::Offence,
};
use bytes::{BufMut, BytesMut};
use std::fmt::Write as _;
use usher_model::limits::{
    CHUNK_EXTENSIONS_BYTES, CHUNK_EXTENSIONS_PART, CHUNK_LINE_BYTES, TRAILER_BYTES, TRAILER_FIELDS,
};

/// Where in a chunked body the connection stands.
#[derive(Debug, Default)]
pub(super) struct Chunked {
    step: Step,
    /// The begin of a line whose end has not come.
    held: Vec<u8>,
    /// Trailers, written anew.
    trailers: Vec<u8>,
    trailer_lines: usize,
    trailer_bytes: usize,
    /// Bytes of data and of extensions so far.
    data: u64,
    extensions: u64,
}

#[derive(Clone, Copy, Debug, Default)]
enum Step {
    #[default]
    Size,
    /// So many bytes, at least one.
    Data(u64),
    /// The CRLF behind them.
    DataCr,
    DataLf,
    Trailers,
}

impl Chunked {
    /// Takes what of `rest` belongs to the body; whether that is over.
    pub(super) fn read(&mut self, rest: &mut &[u8], out: &mut BytesMut) -> Result<bool, Offence> {
        while let Some(first) = rest.first() {
            match self.step {
                Step::Size => self.read_size(rest, out)?,
                Step::Data(left) => self.read_data(left, rest, out),
                Step::DataCr | Step::DataLf => {
                    let (wanted, next) = match self.step {
                        Step::DataCr => (b'\r', Step::DataLf),
                        _ => (b'\n', Step::Size),
                    };
                    if *first != wanted {
                        return Err(Offence::Chunk);
                    }
                    out.put_u8(wanted);
                    *rest = &rest[1..];
                    self.step = next;
                }
                Step::Trailers => {
                    if self.read_trailer(rest, out)? {
                        return Ok(true);
                    }
                }
            }
        }
        Ok(false)
    }

    fn read_data(&mut self, left: u64, rest: &mut &[u8], out: &mut BytesMut) {
        let length = rest.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let (data, behind) = rest.split_at(length);
        out.put_slice(data);
        *rest = behind;
        self.data += length as u64;
        self.step = match left - length as u64 {
            0 => Step::DataCr,
            left => Step::Data(left),
        };
    }

    fn read_size(&mut self, rest: &mut &[u8], out: &mut BytesMut) -> Result<(), Offence> {
        let Some(line) = line(&mut self.held, rest, CHUNK_LINE_BYTES, Offence::Chunk)? else { return Ok(()) };
        let (size, extensions) = parse_size(line)?;
        self.held.clear();
        self.extensions += extensions as u64;
        if self.extensions > CHUNK_EXTENSIONS_BYTES + self.data / CHUNK_EXTENSIONS_PART {
            return Err(Offence::Chunk);
        }
        self.step = match size {
            0 => Step::Trailers,
            size => {
                // Writing to memory does not fail.
                let _ = write!(out, "{size:x}\r\n");
                Step::Data(size)
            }
        };
        Ok(())
    }

    /// Takes one line behind the last chunk; whether it was the end. Nothing of the end is written before it is whole.
    fn read_trailer(&mut self, rest: &mut &[u8], out: &mut BytesMut) -> Result<bool, Offence> {
        let limit = TRAILER_BYTES - self.trailer_bytes;
        let Some(line) = line(&mut self.held, rest, limit, Offence::Trailer)? else { return Ok(false) };
        if line.is_empty() {
            out.put_slice(b"0\r\n");
            out.put_slice(&self.trailers);
            out.put_slice(b"\r\n");
            return Ok(true);
        }
        let field = Field::parse(line).map_err(|_| Offence::Trailer)?;
        let name = field.name(line);
        self.trailer_lines += 1;
        self.trailer_bytes += line.len() + 2;
        match field.name {
            _ if self.trailer_lines > TRAILER_FIELDS || is_protected(name) => return Err(Offence::Trailer),
            Name::Dropped => {}
            Name::Other => {
                for part in [name, b":", field.value(line), b"\r\n"] {
                    self.trailers.put_slice(part);
                }
            }
            _ => return Err(Offence::Trailer),
        }
        self.held.clear();
        Ok(false)
    }
}

/// The next line without its CRLF, when it is whole. It may lie in `held`, which is to be cleared then.
fn line<'l, 'r: 'l>(
    held: &'l mut Vec<u8>,
    rest: &mut &'r [u8],
    limit: usize,
    offence: Offence,
) -> Result<Option<&'l [u8]>, Offence> {
    let end = memchr::memchr(b'\n', rest).map(|at| at + 1);
    let (part, behind) = rest.split_at(end.unwrap_or(rest.len()));
    if held.len() + part.len() > limit {
        return Err(offence);
    }
    *rest = behind;
    let line = match (end, held.is_empty()) {
        (Some(_), true) => part,
        _ => {
            held.extend_from_slice(part);
            held.as_slice()
        }
    };
    match end {
        Some(_) => line.strip_suffix(b"\r\n").map(Some).ok_or(Offence::LineEnd),
        None => Ok(None),
    }
}

/// `chunk-size [chunk-ext]`: the size, and how many bytes the extensions have.
fn parse_size(line: &[u8]) -> Result<(u64, usize), Offence> {
    let digits = line.iter().take_while(|octet| octet.is_ascii_hexdigit()).count();
    let (size, extensions) = line.split_at(digits);
    if !(1..=16).contains(&digits) || !are_extensions(extensions) {
        return Err(Offence::Chunk);
    }
    let size = size.iter().fold(0_u64, |size, digit| {
        size << 4 | u64::from(char::from(*digit).to_digit(16).unwrap_or_default())
    });
    // Many origins count with signed numbers.
    if i64::try_from(size).is_err() {
        return Err(Offence::BodyTooLarge);
    }
    Ok((size, extensions.len()))
}

/// `*( ";" name [ "=" ( token / quoted-string ) ] )` (RFC 9112 section 7.1.1), without white space, which no one may send.
fn are_extensions(mut rest: &[u8]) -> bool {
    fn token(text: &[u8]) -> Option<&[u8]> {
        let length = text.iter().take_while(|octet| is_token_char(**octet)).count();
        (length > 0).then(|| &text[length..])
    }
    while let Some(extension) = rest.strip_prefix(b";") {
        let Some(behind) = token(extension) else { return false };
        rest = match behind.strip_prefix(b"=") {
            None => behind,
            Some(value) => match value.strip_prefix(b"\"").map_or_else(|| token(value), quoted) {
                Some(behind) => behind,
                None => return false,
            },
        };
    }
    rest.is_empty()
}

/// What stands behind a quoted string whose first quote is gone (RFC 9110 section 5.6.4).
fn quoted(text: &[u8]) -> Option<&[u8]> {
    let mut at = 0;
    loop {
        match text.get(at)? {
            b'"' => return Some(&text[at + 1..]),
            b'\\' if text.get(at + 1).is_some_and(|octet| is_quotable(*octet)) => at += 2,
            b'\\' => return None,
            octet if is_quotable(*octet) => at += 1,
            _ => return None,
        }
    }
}

fn is_quotable(octet: u8) -> bool {
    octet == b'\t' || (octet >= b' ' && octet != 0x7f)
}
