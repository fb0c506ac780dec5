//! Puts a page together again as it came.

use crate::coding::{Broken, Coding};
use brotli::CompressorWriter;
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use std::io::Write;
use zstd::stream::write::Encoder as ZstdWriter;

/// What pages are compressed with on the way, where a page waits for it: about as well as servers do that compress while they
/// answer.
const GZIP_LEVEL: u32 = 5;
const BROTLI_QUALITY: u32 = 4;
const ZSTD_LEVEL: i32 = 3;
/// How far back it looks, as a power of two: what keeps memory low and loses little on pages.
const WINDOW_LOG: u32 = 18;
const BROTLI_BUFFER_BYTES: usize = 4096;

/// Encodes one page.
pub(crate) enum Encoder {
    Identity(Vec<u8>),
    Gzip(Box<GzEncoder<Vec<u8>>>),
    Brotli(Box<CompressorWriter<Vec<u8>>>),
    Zstd(Box<ZstdWriter<'static, Vec<u8>>>),
    /// All of it has been taken.
    Ended,
}

impl Encoder {
    pub(crate) fn new(coding: Coding) -> Result<Self, Broken> {
        let out = Vec::new();
        Ok(match coding {
            Coding::Identity => Self::Identity(out),
            Coding::Gzip => Self::Gzip(Box::new(GzEncoder::new(out, Compression::new(GZIP_LEVEL)))),
            Coding::Brotli => Self::Brotli(Box::new(CompressorWriter::new(
                out,
                BROTLI_BUFFER_BYTES,
                BROTLI_QUALITY,
                WINDOW_LOG,
            ))),
            Coding::Zstd => {
                let mut writer = ZstdWriter::new(out, ZSTD_LEVEL).map_err(|_| Broken)?;
                writer.window_log(WINDOW_LOG).map_err(|_| Broken)?;
                Self::Zstd(Box::new(writer))
            }
        })
    }

    pub(crate) fn write(&mut self, plain: &[u8]) {
        // Writing into memory does not fail.
        let _ = match self {
            Self::Identity(out) => out.write_all(plain),
            Self::Gzip(writer) => writer.write_all(plain),
            Self::Brotli(writer) => writer.write_all(plain),
            Self::Zstd(writer) => writer.write_all(plain),
            Self::Ended => Ok(()),
        };
    }

    /// Makes everything that was written come out: the client waits for it.
    pub(crate) fn flush(&mut self) {
        let _ = match self {
            Self::Identity(_) | Self::Ended => Ok(()),
            Self::Gzip(writer) => writer.flush(),
            Self::Brotli(writer) => writer.flush(),
            Self::Zstd(writer) => writer.flush(),
        };
    }

    /// How much has come out and was not taken yet.
    pub(crate) fn ready(&self) -> usize {
        match self {
            Self::Identity(out) => out.len(),
            Self::Gzip(writer) => writer.get_ref().len(),
            Self::Brotli(writer) => writer.get_ref().len(),
            Self::Zstd(writer) => writer.get_ref().len(),
            Self::Ended => 0,
        }
    }

    /// Takes what has come out.
    pub(crate) fn take(&mut self) -> Bytes {
        let out = match self {
            Self::Identity(out) => out,
            Self::Gzip(writer) => writer.get_mut(),
            Self::Brotli(writer) => writer.get_mut(),
            Self::Zstd(writer) => writer.get_mut(),
            Self::Ended => return Bytes::new(),
        };
        std::mem::take(out).into()
    }

    /// Ends the page and gives the rest of it.
    pub(crate) fn finish(&mut self) -> Bytes {
        let out = match std::mem::replace(self, Self::Ended) {
            Self::Identity(out) => out,
            Self::Gzip(writer) => writer.finish().unwrap_or_default(),
            Self::Brotli(writer) => writer.into_inner(),
            Self::Zstd(writer) => writer.finish().unwrap_or_default(),
            Self::Ended => Vec::new(),
        };
        out.into()
    }
}
