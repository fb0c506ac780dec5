//! Why a request is not served as it asked.

use usher_core::Refusal;
use usher_front::gate::Offence;

/// A fault. The text is for the log and says nothing of the request's content; what the caller is told is decided in
/// [`crate::rescue`].
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// The caller's: no request that the protocol allows.
    #[error("{0}")]
    Offence(#[from] Offence),
    /// The caller's: no single well-formed host.
    #[error("the host is missing, repeated or malformed")]
    Host,
    /// The caller's, or a host is missing in the configuration.
    #[error("no site has this host")]
    UnknownHost,
    /// The caller's: nothing of ours is at that path.
    #[error("there is nothing at this path")]
    NotFound,
    /// As before, and the path is outside every prefix.
    #[error("the path is outside of every prefix")]
    Outside,
    /// The caller's: another method. The text is what goes into `Allow`.
    #[error("the method is not one of {0}")]
    Method(&'static str),
    /// The caller's: a page of somebody else.
    #[error("a page of another site called")]
    Foreign,
    /// The caller's, or the site's keys are not set; the text says which.
    #[error("{0}")]
    Unauthorized(&'static str),
    /// The caller's: no payment provider that the site knows has sent this.
    #[error("the signature is not one of the provider's")]
    Unsigned,
    /// The caller's: authentic, and not what the provider documents.
    #[error("the delivery cannot be read")]
    Unreadable,
    /// The caller's: this kind of body is not taken.
    #[error("the content type is not taken here")]
    MediaType,
    /// The caller's: more than so many bytes.
    #[error("the body has more than {0} bytes")]
    TooLarge(usize),
    /// The caller's: the body did not arrive in time.
    #[error("the body did not arrive in time")]
    TooSlow,
    /// The caller's: the body ended early or its framing is wrong.
    #[error("the body could not be read")]
    Broken,
    /// Ours: the task that did the work is gone. Whether it was done is unknown; trying again is safe.
    #[error("the task that did the work is gone")]
    Lost,
    /// Nobody's: another process does the work now.
    #[error("another process does the work now")]
    Leaving,
    /// Nobody's: there is more to do than can be done, and other requests are worth more.
    #[error("there is more to do than can be done")]
    Shed,
    /// The origin's, or the visitor's: it says itself whose.
    #[error("{0}")]
    Origin(usher_origin::Failure),
    /// What the job says.
    #[error("the job refused")]
    Refused(#[from] Refusal),
}
