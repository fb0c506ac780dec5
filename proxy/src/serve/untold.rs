//! How many clicks the platform was not told of.

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter},
    registry::Registry,
};
use std::fmt;
use usher_core::Core;

/// Asks the jobs each time.
struct Untold<F>(F);

impl<F> fmt::Debug for Untold<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Untold")
    }
}

impl<F: Fn() -> u64 + Send + Sync + 'static> Collector for Untold<F> {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let help =
            "Clicks that the platform is told of only when a sale names them: too many came from one network";
        let count = ConstCounter::new((self.0)());
        count.encode(encoder.encode_descriptor("usher_clicks_untold", help, None, MetricType::Counter)?)
    }
}

/// Adds the metric to `registry`.
pub(super) fn register(registry: &mut Registry, core: &Core) {
    registry.register_collector(Box::new(Untold(core.capture.untold())));
}
