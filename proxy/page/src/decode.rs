//! Takes an encoded page apart, a bounded piece at a time, however much a few bytes of it may stand for.

use crate::coding::{Broken, Coding};
use brotli::{BrotliDecompressStream, BrotliResult, BrotliState, HeapAlloc, HuffmanCode};
use bytes::{Buf, Bytes};
use flate2::write::GzDecoder;
use std::io::Write;
use usher_model::limits::PAGE_STEP_BYTES;
use zstd::stream::raw::{DParameter, Decoder as RawZstd, InBuffer, Operation, OutBuffer};

/// Windows that browsers take (RFC 9659): 8 MiB.
const ZSTD_WINDOW_LOG: u32 = 23;

type Brotli = BrotliState<HeapAlloc<u8>, HeapAlloc<u32>, HeapAlloc<HuffmanCode>>;

/// Decodes one page.
pub(crate) enum Decoder {
    Identity,
    /// `None` between members.
    Gzip {
        member: Option<Box<GzDecoder<Vec<u8>>>>,
        members: usize,
    },
    Brotli {
        state: Box<Brotli>,
        done: bool,
    },
    Zstd {
        raw: RawZstd<'static>,
        in_frame: bool,
    },
}

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// There is more to be had without more input.
    More,
    /// All input is used up.
    Hungry,
}

impl Decoder {
    pub(crate) fn new(coding: Coding) -> Result<Self, Broken> {
        Ok(match coding {
            Coding::Identity => Self::Identity,
            Coding::Gzip => Self::Gzip { member: None, members: 0 },
            Coding::Brotli => Self::Brotli { state: Box::new(brotli()), done: false },
            Coding::Zstd => {
                let mut raw = RawZstd::new().map_err(|_| Broken)?;
                raw.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG)).map_err(|_| Broken)?;
                Self::Zstd { raw, in_frame: false }
            }
        })
    }

    /// Adds a few times [`PAGE_STEP_BYTES`] to `plain` at most, and takes what that needed from `input`.
    pub(crate) fn step(&mut self, input: &mut Bytes, plain: &mut Vec<u8>) -> Result<Step, Broken> {
        match self {
            Self::Identity => {
                let piece = input.split_to(input.len().min(PAGE_STEP_BYTES));
                plain.extend_from_slice(&piece);
                Ok(if input.is_empty() { Step::Hungry } else { Step::More })
            }
            Self::Gzip { member, members } => gunzip(member, members, input, plain),
            Self::Brotli { state, done } => unbrotli(state, done, input, plain),
            Self::Zstd { raw, in_frame } => unzstd(raw, in_frame, input, plain),
        }
    }

    /// Whether what has been decoded is all of it.
    pub(crate) fn is_complete(&mut self) -> bool {
        match self {
            Self::Identity => true,
            Self::Gzip { member: None, members } => *members > 0,
            Self::Gzip { member: Some(member), .. } => member.try_finish().is_ok(),
            Self::Brotli { done, .. } => *done,
            Self::Zstd { in_frame, .. } => !*in_frame,
        }
    }
}

/// A file may hold several members, one after another (RFC 1952 section 2.2). What follows them and is none is ignored, as
/// browsers do.
fn gunzip(
    member: &mut Option<Box<GzDecoder<Vec<u8>>>>,
    members: &mut usize,
    input: &mut Bytes,
    plain: &mut Vec<u8>,
) -> Result<Step, Broken> {
    if input.is_empty() {
        return Ok(Step::Hungry);
    }
    if member.is_none() && *members > 0 && input[0] != 0x1f {
        input.clear();
        return Ok(Step::Hungry);
    }
    let decoder = member.get_or_insert_with(|| Box::new(GzDecoder::new(Vec::new())));
    let taken = decoder.write(input).map_err(|_| Broken)?;
    input.advance(taken);
    if taken == 0 {
        decoder.try_finish().map_err(|_| Broken)?;
    } else if input.is_empty() {
        decoder.flush().map_err(|_| Broken)?;
    }
    plain.append(decoder.get_mut());
    if taken == 0 {
        *member = None;
        *members += 1;
    }
    Ok(if input.is_empty() { Step::Hungry } else { Step::More })
}

fn brotli() -> Brotli {
    // Strict: windows of more than 16 MiB are no content coding (RFC 7932 section 9.1).
    BrotliState::new_strict(HeapAlloc::default(), HeapAlloc::default(), HeapAlloc::default())
}

fn unbrotli(
    state: &mut Brotli,
    done: &mut bool,
    input: &mut Bytes,
    plain: &mut Vec<u8>,
) -> Result<Step, Broken> {
    if *done {
        input.clear();
        return Ok(Step::Hungry);
    }
    let (before, mut total) = (plain.len(), 0);
    plain.resize(before + PAGE_STEP_BYTES, 0);
    let (mut left, mut read) = (input.len(), 0);
    let (mut room, mut written) = (PAGE_STEP_BYTES, before);
    let result = BrotliDecompressStream(
        &mut left,
        &mut read,
        input,
        &mut room,
        &mut written,
        plain,
        &mut total,
        state,
    );
    plain.truncate(written);
    input.advance(read);
    match result {
        BrotliResult::ResultFailure => Err(Broken),
        BrotliResult::NeedsMoreOutput => Ok(Step::More),
        BrotliResult::NeedsMoreInput => Ok(Step::Hungry),
        BrotliResult::ResultSuccess => {
            *done = true;
            input.clear();
            Ok(Step::Hungry)
        }
    }
}

/// Frames may follow one another (RFC 8878 section 3.1).
fn unzstd(
    raw: &mut RawZstd<'static>,
    in_frame: &mut bool,
    input: &mut Bytes,
    plain: &mut Vec<u8>,
) -> Result<Step, Broken> {
    if input.is_empty() && !*in_frame {
        return Ok(Step::Hungry);
    }
    if !*in_frame {
        raw.reinit().map_err(|_| Broken)?;
        *in_frame = true;
    }
    let before = plain.len();
    plain.resize(before + PAGE_STEP_BYTES, 0);
    let mut from = InBuffer::around(input);
    let mut to = OutBuffer::around(&mut plain[before..]);
    let ran = raw.run(&mut from, &mut to);
    let (read, written) = (from.pos(), to.pos());
    plain.truncate(before + if ran.is_ok() { written } else { 0 });
    input.advance(read);
    *in_frame = ran.map_err(|_| Broken)? != 0;
    Ok(if written == PAGE_STEP_BYTES || !input.is_empty() { Step::More } else { Step::Hungry })
}
