//! Why a connection ended before its time.

use super::BoxError;
use crate::gate::Offence;
use std::{error::Error, io};

/// Why a connection was ended, or ended itself, early.
#[derive(Debug, thiserror::Error)]
pub enum End {
    /// The client's: a request that breaks HTTP/1.
    #[error("a request was refused: {0}")]
    Offence(Offence),
    /// The client's: no whole header in time.
    #[error("a header did not arrive in time")]
    SlowHeader,
    /// The client's: it does not take what is there for it.
    #[error("the client does not read")]
    SlowReader,
    /// The client's: too many frames that ask for nothing.
    #[error("too many frames that ask for nothing")]
    Flood,
    /// The connection broke, or its client broke HTTP/2.
    #[error("the connection broke")]
    Broken(#[source] BoxError),
}

impl End {
    /// A word for metrics.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Offence(offence) => offence.name(),
            Self::SlowHeader => "slow_header",
            Self::SlowReader => "slow_reader",
            Self::Flood => "flood",
            Self::Broken(_) => "broken",
        }
    }

    pub(super) fn of(error: impl Into<BoxError>) -> Self {
        let error = error.into();
        let mut cause: Option<&(dyn Error + 'static)> = Some(&*error);
        while let Some(inner) = cause {
            if inner.downcast_ref::<io::Error>().is_some_and(|io| io.kind() == io::ErrorKind::TimedOut) {
                return Self::SlowReader;
            }
            cause = inner.source();
        }
        Self::Broken(error)
    }
}
