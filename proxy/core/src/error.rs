//! Why a job was not done: who is to blame, and whether to try again.

use usher_store::StoreError;

/// A refusal. The edge turns it into a status code, in one place.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Refusal {
    /// The caller's input is wrong; `field` names where.
    #[error("{message}")]
    Invalid {
        /// The field, as the caller wrote it.
        field: Option<&'static str>,
        /// What is wrong and how to mend it.
        message: String,
    },
    /// The caller names something that is not there.
    #[error("{message}")]
    NotFound {
        /// The field, as the caller wrote it.
        field: Option<&'static str>,
        /// What is not there.
        message: String,
    },
    /// The same key came with other content.
    #[error("{message}")]
    Conflict {
        /// Which key, and what holds it.
        message: String,
    },
    /// Too many of these from this caller.
    #[error("too many requests; try again in {} s", retry_after_ms.div_ceil(1000))]
    TooMany {
        /// Milliseconds until one more is let through.
        retry_after_ms: u64,
    },
    /// The store did not write it. Nothing was acknowledged; the caller should try again.
    #[error("it could not be written down; try again")]
    Unavailable(#[source] StoreError),
}

impl Refusal {
    /// Input that is wrong at `field`.
    #[must_use]
    pub fn invalid(field: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid { field: Some(field), message: message.into() }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error)
    }
}
