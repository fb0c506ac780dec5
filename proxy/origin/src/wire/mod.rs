//! What an origin sends, read byte by byte without any I/O: RFC 9112, and of what it leaves open the strictest reading.

mod body;
mod fields;
mod head;

pub(crate) use body::{Decoder, Step};
pub(crate) use head::{Framing, Head, Reader};

/// What is wrong with an answer. The text holds nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub(crate) &'static str);

#[cfg(test)]
mod tests;
