//! What may be set otherwise while the jobs run.

use arc_swap::ArcSwap;
use std::{sync::Arc, time::Duration};

/// Settings of the jobs that belong to no site.
#[derive(Clone, Copy)]
pub struct Policy {
    /// How long a visitor may wait for the platform's click id.
    pub click_budget: Duration,
    /// Whether whole addresses stay off the disk, with clicks that the platform is told of later.
    pub truncate_addresses: bool,
    /// How long clicks, entries and bindings are kept, in days.
    pub retention_days: u16,
    /// Key of the hash that tells visitors without a cookie apart. Edges that share a store share it.
    pub visitor_key: [u8; 32],
}

/// The policy that holds now; clones of it change together.
#[derive(Clone)]
pub struct Live(Arc<ArcSwap<Policy>>);

impl Live {
    /// What holds now.
    #[must_use]
    pub fn now(&self) -> Policy {
        **self.0.load()
    }

    /// This holds from now on.
    pub fn set(&self, policy: Policy) {
        self.0.store(Arc::new(policy));
    }
}

impl From<Policy> for Live {
    fn from(policy: Policy) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(policy)))
    }
}
