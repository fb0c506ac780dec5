//! How a page is encoded on its way.

use http::{HeaderMap, header::CONTENT_ENCODING};

/// A content coding that we can take apart and put together (RFC 9110 section 8.4.1, RFC 7932, RFC 8878).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    Identity,
    Gzip,
    Brotli,
    Zstd,
}

impl Coding {
    /// What `headers` say; `None` when it is another one, or several.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut fields = headers.get_all(CONTENT_ENCODING).iter();
        let (first, None) = (fields.next(), fields.next()) else { return None };
        let Some(field) = first else { return Some(Self::Identity) };
        let word = field.as_bytes().trim_ascii().to_ascii_lowercase();
        match word.as_slice() {
            b"" | b"identity" => Some(Self::Identity),
            b"gzip" | b"x-gzip" => Some(Self::Gzip),
            b"br" => Some(Self::Brotli),
            b"zstd" => Some(Self::Zstd),
            _ => None,
        }
    }
}

/// The page does not hold what its `Content-Encoding` says.
#[derive(Debug, thiserror::Error)]
#[error("the page is not encoded as it says")]
pub(crate) struct Broken;
