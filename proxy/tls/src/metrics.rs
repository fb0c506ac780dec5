//! What is counted.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

/// The metrics of certificates.
#[derive(Clone, Default)]
pub struct Metrics {
    ends: Family<HostLabels, Gauge>,
    orders: Family<OrderLabels, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HostLabels {
    host: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OrderLabels {
    outcome: &'static str,
}

impl Metrics {
    /// Adds them to `registry`, once for a process; their names begin with `usher_certificate`.
    pub fn register(&self, registry: &mut Registry) {
        let ends = "When the certificate of a host ends, seconds since 1970; 0 when it has none";
        registry.register("usher_certificate_expiry_timestamp_seconds", ends, self.ends.clone());
        let orders = "Certificates ordered: 'issued', 'failed' (directory not reached), 'refused' (by the directory), \
                      'limited' (too many for it) or 'denied' (by whoever is asked first)";
        registry.register("usher_certificate_orders", orders, self.orders.clone());
    }

    /// Every host with the second that its certificate ends.
    pub(crate) fn set_ends<'h>(&self, ends: impl Iterator<Item = (&'h str, i64)>) {
        self.ends.clear();
        for (host, seconds) in ends {
            self.ends.get_or_create(&HostLabels { host: host.to_owned() }).set(seconds);
        }
    }

    pub(crate) fn count_order(&self, outcome: &'static str) {
        self.orders.get_or_create(&OrderLabels { outcome }).inc();
    }
}
