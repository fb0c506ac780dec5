//! The operator's HTTP face: health, readiness, metrics. It belongs on a loopback or private address, never on the public
//! one; what it shows in this version needs no token.

mod answers;
mod listener;
mod outbox;

pub use listener::serve;

use outbox::Gauges;
use prometheus_client::registry::Registry;
use std::sync::Arc;
use usher_core::delivery;
use usher_store::Store;

/// What the operator is shown.
pub struct State {
    store: Arc<dyn Store>,
    delivery: delivery::Handle,
    registry: Registry,
    gauges: Gauges,
    hosts: Vec<String>,
}

impl State {
    /// Takes the process's metrics and adds the outbox's to them.
    ///
    /// `hosts` are the names (without port) under which the admin address may be asked for, beside IP addresses and
    /// `localhost`: a page that makes some other name resolve to this address is turned away.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        delivery: delivery::Handle,
        mut registry: Registry,
        hosts: Vec<String>,
    ) -> Self {
        let gauges = Gauges::register(&mut registry);
        Self { store, delivery, registry, gauges, hosts }
    }
}
