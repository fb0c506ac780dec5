//! The body of an answer (RFC 9112 sections 6 and 7).

use super::{
    Framing, Malformed,
    fields::{end, field, lines},
};
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use usher_model::limits::{ORIGIN_CHUNK_LINE_BYTES, ORIGIN_FIELDS};

/// Takes a body's bytes out of what has been received.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decoder {
    /// So many bytes follow.
    Length(u64),
    /// A chunk's size follows.
    Size,
    /// So many bytes of a chunk follow.
    Chunk(u64),
    /// The end of a chunk's line follows.
    ChunkEnd,
    /// Trailers follow; so far has their end been looked for.
    Trailers(usize),
    /// Everything until the connection ends.
    UntilClose,
    /// Nothing more.
    Done,
}

/// What came next.
#[derive(Debug, PartialEq)]
pub(crate) enum Step {
    Data(Bytes),
    Trailers(HeaderMap),
    Done,
    /// More has to come.
    More,
}

impl Decoder {
    pub(crate) const fn new(framing: Framing) -> Self {
        match framing {
            Framing::None | Framing::Length(0) => Self::Done,
            Framing::Length(length) => Self::Length(length),
            Framing::Chunked => Self::Size,
            Framing::UntilClose => Self::UntilClose,
        }
    }

    /// Takes the next piece out of `input`.
    pub(crate) fn next(&mut self, input: &mut BytesMut) -> Result<Step, Malformed> {
        loop {
            match self {
                Self::Done => return Ok(Step::Done),
                _ if input.is_empty() => return Ok(Step::More),
                Self::UntilClose => return Ok(Step::Data(input.split().freeze())),
                Self::Length(left) => {
                    let data = take(input, left);
                    if *left == 0 {
                        *self = Self::Done;
                    }
                    return Ok(Step::Data(data));
                }
                Self::Chunk(left) => {
                    let data = take(input, left);
                    if *left == 0 {
                        *self = Self::ChunkEnd;
                    }
                    return Ok(Step::Data(data));
                }
                Self::ChunkEnd => match input.get(..2) {
                    Some(b"\r\n") => {
                        drop(input.split_to(2));
                        *self = Self::Size;
                    }
                    None if input.first() == Some(&b'\r') => return Ok(Step::More),
                    _ => return Err(Malformed("a chunk is longer than it says")),
                },
                Self::Size => match size(input)? {
                    None => return Ok(Step::More),
                    Some(0) => *self = Self::Trailers(0),
                    Some(size) => *self = Self::Chunk(size),
                },
                Self::Trailers(looked) => {
                    let Some(end) = end(input, *looked)? else {
                        *looked = input.len();
                        return Ok(Step::More);
                    };
                    *self = Self::Done;
                    let trailers = trailers(&input.split_to(end).freeze())?;
                    return Ok(if trailers.is_empty() { Step::Done } else { Step::Trailers(trailers) });
                }
            }
        }
    }

    /// What the end of the connection means for it.
    pub(crate) fn end(&mut self) -> bool {
        if *self == Self::UntilClose {
            *self = Self::Done;
        }
        *self == Self::Done
    }

    pub(crate) fn is_done(&self) -> bool {
        *self == Self::Done
    }

    /// How many bytes follow, where that is known.
    pub(crate) const fn left(&self) -> Option<u64> {
        match self {
            Self::Done => Some(0),
            Self::Length(left) => Some(*left),
            _ => None,
        }
    }
}

fn take(input: &mut BytesMut, left: &mut u64) -> Bytes {
    let count = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
    *left -= count as u64;
    input.split_to(count).freeze()
}

/// The line before a chunk. Extensions have no meaning here and are left out.
fn size(input: &mut BytesMut) -> Result<Option<u64>, Malformed> {
    const WRONG: Malformed = Malformed("a chunk's size is none");
    let looked = &input[..input.len().min(ORIGIN_CHUNK_LINE_BYTES)];
    let Some(newline) = looked.iter().position(|b| *b == b'\n') else {
        let full = looked.len() == ORIGIN_CHUNK_LINE_BYTES;
        return if full { Err(Malformed("the line before a chunk is too long")) } else { Ok(None) };
    };
    let line = looked[..newline].strip_suffix(b"\r").ok_or(WRONG)?;
    let digits = line.iter().take_while(|b| b.is_ascii_hexdigit()).count();
    let (number, extension) = line.split_at(digits);
    let plain = extension.iter().all(|b| *b == b'\t' || (*b >= b' ' && *b != 0x7f));
    let begins = matches!(extension.trim_ascii_start().first(), None | Some(b';'));
    if !plain || !begins {
        return Err(WRONG);
    }
    let number = std::str::from_utf8(number).map_err(|_| WRONG)?;
    let size = u64::from_str_radix(number, 16).map_err(|_| WRONG)?;
    drop(input.split_to(newline + 1));
    Ok(Some(size))
}

fn trailers(block: &Bytes) -> Result<HeaderMap, Malformed> {
    let mut trailers = HeaderMap::new();
    for (count, line) in lines(block).enumerate() {
        if count == ORIGIN_FIELDS {
            return Err(Malformed("it has too many trailer fields"));
        }
        let (name, value) = field(&line)?;
        trailers.append(name, value);
    }
    Ok(trailers)
}
