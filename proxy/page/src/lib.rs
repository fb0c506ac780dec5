//! The tag, put into HTML while it streams.
//!
//! Nothing but the tag is ever added, and nothing is taken away: a page goes through byte by byte, decoded and encoded again
//! where it is compressed, and no more of it is held than the place for the tag takes to find. What is no whole page, or
//! cannot be read, passes as it came.

mod body;
mod coding;
mod decode;
mod encode;
mod find;
mod insert;
mod page;
mod policy;
mod tag;

pub use body::{BoxError, Tagged};
pub use tag::{Tag, Tagger};
