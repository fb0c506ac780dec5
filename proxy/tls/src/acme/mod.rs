//! Certificates ordered from a directory (RFC 8555): for configured hosts alone, on our own initiative alone.

mod backoff;
mod call;
mod challenges;
mod desk;
mod manager;
mod order;
mod renewal;
#[cfg(test)]
mod scripted;
mod storage;
#[cfg(test)]
mod tests;

pub use challenges::Challenges;
pub(crate) use manager::run;

use crate::{Acme, Error, Settings};
use std::path::PathBuf;
use storage::Storage;

/// Where the certificates of a directory are kept.
pub(crate) fn folder(acme: &Acme) -> PathBuf {
    Storage::folder(&acme.storage, &acme.directory)
}

/// Makes the folders, so that what is wrong with them shows at the start.
///
/// # Errors
/// When they cannot be made.
pub(crate) fn prepare(settings: &Settings) -> Result<(), Error> {
    settings.acme.as_ref().map_or(Ok(()), |acme| Storage::open(&acme.storage, &acme.directory).map(|_| ()))
}
