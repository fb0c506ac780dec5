//! What can go wrong, and whose fault it is.

use std::{io, path::PathBuf};

/// What goes wrong with certificates and orders for them.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operator's: a folder of certificates cannot be read.
    #[error("cannot read the certificates in {}: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The operator's: where certificates are kept cannot be written.
    #[error("cannot keep certificates in {}: {source}", path.display())]
    Storage {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Ours: the TLS library refuses what we tell it.
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] rustls::Error),
    /// The directory's, or the way to it: it did not do what it was asked to. Worth another try.
    #[error("{0}")]
    Directory(String),
    /// The directory looked at the host and refused it. Another try soon costs a part of its rate limits.
    #[error("{0}")]
    Refused(String),
    /// The directory says that this is too much. Another try before it says so makes it worse.
    #[error("{0}")]
    TooMany(String),
    /// The directory does not know our account, which has to be made anew.
    #[error("the directory does not know the account: {0}")]
    Account(String),
    /// Whoever is asked before an order said no.
    #[error("{0}")]
    Denied(String),
}

impl From<instant_acme::Error> for Error {
    fn from(error: instant_acme::Error) -> Self {
        let instant_acme::Error::Api(problem) = &error else { return Self::Directory(error.to_string()) };
        let told = told(problem);
        let kind = problem.r#type.as_deref().and_then(|kind| kind.rsplit(':').next()).unwrap_or_default();
        match kind {
            "rateLimited" => Self::TooMany(told),
            "accountDoesNotExist" => Self::Account(told),
            "badNonce" | "serverInternal" => Self::Directory(told),
            _ if problem.status.is_some_and(|status| status >= 500) => Self::Directory(told),
            _ => Self::Refused(told),
        }
    }
}

/// A problem document in words (RFC 8555 section 6.7).
pub(crate) fn told(problem: &instant_acme::Problem) -> String {
    let kind = problem.r#type.as_deref().and_then(|kind| kind.rsplit(':').next()).unwrap_or("problem");
    let detail = problem.detail.as_deref().unwrap_or("without a reason");
    let more: Vec<&str> = problem.subproblems.iter().filter_map(|sub| sub.detail.as_deref()).collect();
    let more = if more.is_empty() { String::new() } else { format!(" ({})", more.join("; ")) };
    format!("{kind}: {detail}{more}")
}
