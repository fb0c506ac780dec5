//! How the store and the outbox stand, looked at when somebody asks.

use crate::State;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{family::Family, gauge::Gauge},
    registry::Registry,
};
use serde::Serialize;
use usher_core::delivery;
use usher_model::{SiteName, limits};

/// The answer of `/readyz`.
#[derive(Serialize)]
pub(crate) struct Readiness {
    /// Whether what is taken can be written down.
    pub(crate) ready: bool,
    /// Why not.
    reasons: Vec<String>,
    /// What is wrong but keeps nobody from being served.
    warnings: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outbox: Option<Outbox>,
}

#[derive(Serialize)]
struct Outbox {
    waiting: u64,
    dead: u64,
    orphans: u64,
    oldest_age_ms: Option<i64>,
}

impl Readiness {
    /// Asks the store and the deliverer.
    pub(crate) async fn of(state: &State) -> Self {
        let mut reasons = Vec::new();
        if let Err(error) = state.store.ready().await {
            reasons.push(error.to_string());
        }
        let (mut warnings, mut outbox) = (Vec::new(), None);
        match state.delivery.status().await {
            Ok(status) => {
                for (site, said) in &status.paused {
                    warnings
                        .push(format!("site {site}: the platform refuses its key, deliveries rest ({said})"));
                }
                for (site, since) in &status.unanswered {
                    warnings.push(format!(
                        "site {site}: the platform has not answered since {}, deliveries wait",
                        since.rfc3339()
                    ));
                }
                warnings.extend(late(status.waiting, status.oldest_age_ms));
                if status.dead > 0 {
                    let noun = if status.dead == 1 { "delivery" } else { "deliveries" };
                    let dead = status.dead;
                    warnings.push(format!("{dead} {noun} failed for good: `usher outbox list --state dead`"));
                }
                let delivery::Status { waiting, dead, orphans, oldest_age_ms, .. } = status;
                outbox = Some(Outbox { waiting, dead, orphans, oldest_age_ms });
            }
            Err(error) => warnings.push(format!("the outbox cannot be looked at: {error}")),
        }
        Self { ready: reasons.is_empty(), reasons, warnings, outbox }
    }
}

/// That the platform takes nothing, or too little, when deliveries wait that long.
fn late(waiting: u64, oldest_age_ms: Option<i64>) -> Option<String> {
    let oldest = oldest_age_ms.filter(|age| *age >= limits::OUTBOX_LATE_MS)?;
    Some(format!(
        "{waiting} deliveries wait, the oldest for {} s: `usher outbox list` says why",
        oldest / 1_000
    ))
}

/// The outbox in the metrics.
pub(crate) struct Gauges {
    store_ready: Gauge,
    waiting: Gauge,
    dead: Gauge,
    orphans: Gauge,
    oldest_age_seconds: Gauge,
    paused: Family<SiteLabel, Gauge>,
    unanswered: Family<SiteLabel, Gauge>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SiteLabel {
    site: String,
}

impl Gauges {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let gauges = Self {
            store_ready: Gauge::default(),
            waiting: Gauge::default(),
            dead: Gauge::default(),
            orphans: Gauge::default(),
            oldest_age_seconds: Gauge::default(),
            paused: Family::default(),
            unanswered: Family::default(),
        };
        registry.register("usher_store_ready", "1 when the store can write", gauges.store_ready.clone());
        registry.register("usher_outbox_waiting", "Deliveries that wait", gauges.waiting.clone());
        registry.register("usher_outbox_dead", "Deliveries that failed for good", gauges.dead.clone());
        let orphans = "Refunds of payments that nobody has reported";
        registry.register("usher_outbox_orphans", orphans, gauges.orphans.clone());
        let oldest = "Age of the oldest delivery that waits, in seconds; 0 when none does";
        registry.register("usher_outbox_oldest_age_seconds", oldest, gauges.oldest_age_seconds.clone());
        let paused = "1 for a site whose key the platform refuses";
        registry.register("usher_site_paused", paused, gauges.paused.clone());
        let unanswered = "1 for a site whose calls the platform does not answer";
        registry.register("usher_site_unanswered", unanswered, gauges.unanswered.clone());
        gauges
    }

    /// Brings the gauges up to date. What cannot be looked at keeps its value; `usher_store_ready` says so.
    pub(crate) async fn refresh(&self, state: &State) {
        self.store_ready.set(i64::from(state.store.ready().await.is_ok()));
        if let Ok(status) = state.delivery.status().await {
            self.waiting.set(i64::try_from(status.waiting).unwrap_or(i64::MAX));
            self.dead.set(i64::try_from(status.dead).unwrap_or(i64::MAX));
            self.orphans.set(i64::try_from(status.orphans).unwrap_or(i64::MAX));
            self.oldest_age_seconds.set(status.oldest_age_ms.unwrap_or(0) / 1_000);
            mark(&self.paused, status.paused.iter().map(|(site, _)| site));
            mark(&self.unanswered, status.unanswered.iter().map(|(site, _)| site));
        }
    }
}

/// These sites, and no others.
fn mark<'a>(family: &Family<SiteLabel, Gauge>, sites: impl Iterator<Item = &'a SiteName>) {
    family.clear();
    for site in sites {
        family.get_or_create(&SiteLabel { site: site.to_string() }).set(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deliveries_that_wait_too_long_are_told() {
        assert_eq!(late(0, None), None);
        assert_eq!(late(7, Some(limits::OUTBOX_LATE_MS - 1)), None);
        let told = late(7, Some(limits::OUTBOX_LATE_MS)).expect("late");
        assert_eq!(told, "7 deliveries wait, the oldest for 60 s: `usher outbox list` says why");
    }
}
