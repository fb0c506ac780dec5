//! The four jobs of Usher. [`capture`]: a request becomes a click. [`codes`]: a code becomes an affiliate.
//! [`conversions`]: a sale is checked, attributed, written down. [`delivery`]: what is written down reaches the platform.
//! No HTTP types, no sockets; time, chance, store and platform come in as parameters.

pub mod capture;
pub mod codes;
pub mod conversions;
pub mod delivery;
mod error;
mod visitor;

pub use error::Refusal;
pub use visitor::{Signals, Visitor};

use std::{sync::Arc, time::Duration};
use usher_model::{Clock, Random};
use usher_store::Store;
use usher_upstream::Platform;

/// What every job works with.
#[derive(Clone)]
pub struct Tools {
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub random: Arc<dyn Random>,
    /// Where things last.
    pub store: Arc<dyn Store>,
    /// Whom to tell.
    pub platform: Arc<dyn Platform>,
    /// How long a visitor may wait for the platform's click id.
    pub click_budget: Duration,
    /// Key of the hash that tells visitors without a cookie apart. Edges that share a store share it.
    pub visitor_key: [u8; 32],
}

/// The jobs, wired together. One for each process; handlers hold it in an `Arc`.
pub struct Core {
    /// A request becomes a click.
    pub capture: capture::Capture,
    /// A code becomes an affiliate.
    pub codes: Arc<codes::Codes>,
    /// A sale or a lead is accepted.
    pub conversions: conversions::Conversions,
    /// What is written down reaches the platform.
    pub delivery: delivery::Handle,
}
