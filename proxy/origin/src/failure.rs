//! Why there is no answer.

use crate::{BoxError, wire::Malformed};
use std::io;

/// A failure. Its text is for the log: it holds nothing that the visitor or the origin sent.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The origin's, or the configuration's: nothing takes connections there.
    #[error("cannot connect: {0}")]
    Connect(#[source] io::Error),
    /// The origin's, or the network's: it does not take the connection in time.
    #[error("no connection in time")]
    ConnectSlow,
    /// The origin's: it went away before it answered. Whether it did what was asked is unknown.
    #[error("the connection ended before the answer: {0}")]
    Gone(#[source] io::Error),
    /// The origin's: it does not answer in time. Whether it did what was asked is unknown.
    #[error("no answer in time")]
    Slow,
    /// The origin's: it does not keep to HTTP.
    #[error("the answer is malformed: {0}")]
    Malformed(#[from] Malformed),
    /// The visitor's: the request's body did not come to its end.
    #[error("the request's body ended early")]
    Visitor(#[source] BoxError),
    /// Nobody's: as many connections are open as there may be. Nothing was sent.
    #[error("too many connections are open")]
    Busy,
    /// The configuration's: the origin leads back here.
    #[error("the request goes in a circle")]
    Circle,
}

impl Failure {
    /// A word for metrics.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Connect(_) => "connect",
            Self::ConnectSlow => "connect_slow",
            Self::Gone(_) => "gone",
            Self::Slow => "slow",
            Self::Malformed(_) => "malformed",
            Self::Visitor(_) => "visitor",
            Self::Busy => "busy",
            Self::Circle => "circle",
        }
    }
}
