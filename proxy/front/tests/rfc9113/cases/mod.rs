//! The cases, by section.

mod frames;
mod framing;
mod hpack;
mod messages;
mod streams;
mod windows;

use crate::table::Case;

pub(crate) fn all() -> Vec<Case> {
    [framing::cases(), streams::cases(), frames::cases(), windows::cases(), messages::cases(), hpack::cases()]
        .into_iter()
        .flatten()
        .collect()
}
