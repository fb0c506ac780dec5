//! What is counted, and the end of every request: one event for log and metrics alike.

use crate::{fault::Fault, routes::Route};
use http::StatusCode;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric},
    metrics::{
        MetricType,
        counter::Counter,
        family::Family,
        gauge::{ConstGauge, Gauge},
        histogram::Histogram,
    },
    registry::Registry,
};
use std::{fmt, sync::OnceLock, time::Duration};
use usher_model::{ClickId, OriginAddress};
use usher_origin::{Failure, Tunnels};

/// The edge's metrics, registered once for a process.
#[derive(Clone)]
pub struct Metrics {
    requests: Family<RequestLabels, Counter>,
    seconds: Family<RouteLabels, Histogram, fn() -> Histogram>,
    tracked: Family<TrackedLabels, Counter>,
    landed: Family<LandedLabels, Counter>,
    pub(crate) connections: Gauge,
    unanswered: Family<UnansweredLabels, Counter>,
    refused: Family<RefusedLabels, Counter>,
    /// Those that origins have agreed to, which outlive their requests.
    pub(crate) tunnels: Tunnels,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    site: String,
    route: &'static str,
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    site: String,
    route: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TrackedLabels {
    site: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LandedLabels {
    site: String,
    ground: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct UnansweredLabels {
    site: String,
    cause: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusedLabels {
    reason: &'static str,
}

/// How many tunnels are open.
#[derive(Debug)]
struct OpenTunnels(Tunnels);

impl Collector for OpenTunnels {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let open = ConstGauge::new(i64::try_from(self.0.len()).unwrap_or(i64::MAX));
        let help = "WebSockets and other upgraded connections to origins that are open";
        open.encode(encoder.encode_descriptor("usher_tunnels", help, None, MetricType::Gauge)?)
    }
}

impl Metrics {
    /// Adds the edge's metrics to `registry`; their names begin with `usher_`.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            requests: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(SECONDS)),
            tracked: Family::default(),
            landed: Family::default(),
            connections: Gauge::default(),
            unanswered: Family::default(),
            refused: Family::default(),
            tunnels: Tunnels::default(),
        };
        let requests = "Requests by site, route and class of status; 'gone' when the client hung up first";
        registry.register("usher_http_requests", requests, metrics.requests.clone());
        let seconds = "Seconds from a request's header to its answer";
        registry.register("usher_http_request_seconds", seconds, metrics.seconds.clone());
        let tracked =
            "Page reports answered with the platform's click id, with one minted here, or with none";
        registry.register("usher_tracked", tracked, metrics.tracked.clone());
        let landed =
            "Pages with a referral and short links that were asked for, and the click that came of it";
        registry.register("usher_landed", landed, metrics.landed.clone());
        let unanswered = "Requests that an origin did not answer, by cause";
        registry.register("usher_origin_failures", unanswered, metrics.unanswered.clone());
        let refused = "Connections and requests that were refused, cut off or turned away, by reason";
        registry.register("usher_refused", refused, metrics.refused.clone());
        registry.register_collector(Box::new(OpenTunnels(metrics.tunnels.clone())));
        registry.register("usher_http_connections", "Connections open", metrics.connections.clone());
        metrics
    }

    /// Counts a connection that was refused or cut off, and says why.
    pub(crate) fn refused(&self, reason: &'static str, cause: &dyn fmt::Display) {
        self.refused.get_or_create(&RefusedLabels { reason }).inc();
        tracing::debug!(reason, %cause, "refused");
    }

    /// The same of a request that is turned away because there is too much to do.
    pub(crate) fn shed(&self, route: Route) -> Fault {
        self.refused(route.worth().name(), &Fault::Shed);
        match route {
            Route::Outside => Fault::Origin(Failure::Busy), // who waits for a page is told so in one
            _ => Fault::Shed,
        }
    }
}

/// Upper bounds: what memory answers, what a store's read may take, and what the platform may.
const SECONDS: [f64; 10] = [0.000_5, 0.002_5, 0.01, 0.025, 0.1, 0.3, 1.0, 2.5, 5.0, 20.0];

const CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "gone"];

/// The metrics of one site, looked up once, so that counting takes no lock over all sites.
pub(crate) struct Meters {
    site: String,
    metrics: Metrics,
    routes: [Meter; Route::COUNT],
}

#[derive(Default)]
struct Meter {
    requests: [OnceLock<Counter>; CLASSES.len()],
    seconds: OnceLock<Histogram>,
}

impl Meters {
    /// For the site of that name; `-` stands for requests that belong to none.
    pub(crate) fn new(site: &str, metrics: &Metrics) -> Self {
        Self { site: site.to_owned(), metrics: metrics.clone(), routes: Default::default() }
    }

    /// Phase `log`: counts the request and writes its line. Without a status the client hung up first.
    ///
    /// The line holds nothing that the client sent: no path, query, cookie, code or address.
    pub(crate) fn record(&self, route: Route, status: Option<StatusCode>, took: Duration) {
        let class =
            status.map_or(CLASSES.len() - 1, |status| usize::from(status.as_u16() / 100).clamp(1, 5) - 1);
        let meter = &self.routes[route as usize];
        meter.requests[class].get_or_init(|| self.counter(route, CLASSES[class])).inc();
        meter.seconds.get_or_init(|| self.histogram(route)).observe(took.as_secs_f64());

        let told = route.writes();
        let (site, route, us) =
            (self.site.as_str(), route.word(), u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        let code = status.map_or(499, |status| status.as_u16());
        if code >= 500 {
            tracing::warn!(site, route, status = code, us, "request");
        } else if told {
            tracing::info!(site, route, status = code, us, "request");
        } else {
            tracing::debug!(site, route, status = code, us, "request");
        }
    }

    /// Counts the answer to a page's report.
    pub(crate) fn tracked(&self, click: Option<&ClickId>) {
        let outcome = match click {
            None => "none",
            Some(id) if id.is_minted() => "minted",
            Some(_) => "platform",
        };
        self.metrics.tracked.get_or_create(&TrackedLabels { site: self.site.clone(), outcome }).inc();
    }

    /// Counts a page with a referral or a link that was asked for.
    pub(crate) fn landed(&self, ground: &'static str, outcome: &'static str) {
        let labels = LandedLabels { site: self.site.clone(), ground, outcome };
        self.metrics.landed.get_or_create(&labels).inc();
    }

    /// Counts a request that the origin did not answer, and says why.
    pub(crate) fn unanswered(&self, failure: &Failure, origin: &OriginAddress) {
        let (site, cause) = (self.site.as_str(), failure.word());
        self.metrics.unanswered.get_or_create(&UnansweredLabels { site: site.to_owned(), cause }).inc();
        if matches!(failure, Failure::Visitor(_)) {
            tracing::debug!(site, %origin, cause, "{failure}");
        } else {
            tracing::warn!(site, %origin, cause, "{failure}");
        }
    }

    fn counter(&self, route: Route, status: &'static str) -> Counter {
        let labels = RequestLabels { site: self.site.clone(), route: route.word(), status };
        self.metrics.requests.get_or_create_owned(&labels)
    }

    fn histogram(&self, route: Route) -> Histogram {
        let labels = RouteLabels { site: self.site.clone(), route: route.word() };
        self.metrics.seconds.get_or_create_owned(&labels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_route_and_class() {
        let mut registry = Registry::default();
        let meters = Meters::new("shop", &Metrics::register(&mut registry));
        meters.record(Route::Track, Some(StatusCode::OK), Duration::from_millis(3));
        meters.record(Route::Track, Some(StatusCode::NO_CONTENT), Duration::from_millis(3));
        meters.record(Route::Track, None, Duration::from_millis(3));
        meters.record(Route::Codes, StatusCode::from_u16(999).ok(), Duration::ZERO);
        meters.tracked(None);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).expect("text");
        for line in [
            r#"usher_http_requests_total{site="shop",route="track",status="2xx"} 2"#,
            r#"usher_http_requests_total{site="shop",route="track",status="gone"} 1"#,
            r#"usher_http_requests_total{site="shop",route="codes",status="5xx"} 1"#,
            r#"usher_http_request_seconds_bucket{le="0.01",site="shop",route="track"} 3"#,
            r#"usher_tracked_total{site="shop",outcome="none"} 1"#,
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }
}
