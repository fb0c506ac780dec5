//! Which certificate each configured host has.

use crate::certificate::Certificate;
use std::{collections::HashMap, net::IpAddr, sync::Arc};
use usher_model::UnixMs;

/// The certificates by host; built when something changes, read by every handshake.
#[derive(Debug, Default)]
pub(crate) struct Table {
    hosts: HashMap<String, Arc<Certificate>>,
    /// For clients that name no host, as those do that were given an address: the certificate of a configured address, else
    /// of the first host that has one.
    unnamed: Option<Arc<Certificate>>,
    /// When a certificate begins or ends to be valid, so that another choice may be better.
    stale_at: Option<UnixMs>,
}

impl Table {
    /// Chooses for every one of `hosts` from `certificates`. Where none of them is valid, a host keeps the one that it has
    /// in `before`.
    pub(crate) fn choose(
        hosts: &[String],
        certificates: &[Arc<Certificate>],
        before: &Self,
        now: UnixMs,
    ) -> Self {
        let (mut table, mut has_address) = (Self::default(), false);
        for host in hosts {
            let fitting = certificates.iter().filter(|one| one.subject.covers(host));
            let best = fitting.max_by_key(|one| one.rank(now));
            let kept = before.hosts.get(host);
            let is_better = |kept: &&Arc<Certificate>| {
                best.is_none_or(|best| kept.subject.is_valid(now) && !best.subject.is_valid(now))
            };
            let best = kept.filter(is_better).or(best);
            let Some(best) = best else { continue };
            let is_address = host.parse::<IpAddr>().is_ok();
            if table.unnamed.is_none() || (is_address && !has_address) {
                table.unnamed = Some(Arc::clone(best));
                has_address = is_address;
            }
            table.hosts.insert(host.clone(), Arc::clone(best));
        }
        let ends = certificates.iter().flat_map(|one| [one.subject.not_before, one.subject.not_after]);
        table.stale_at = ends.filter(|end| *end > now).min();
        table
    }

    /// The certificate of `host`, when it has one.
    pub(crate) fn get(&self, host: &str) -> Option<&Arc<Certificate>> {
        self.hosts.get(host)
    }

    /// The certificate for those who name no host.
    pub(crate) fn unnamed(&self) -> Option<&Arc<Certificate>> {
        self.unnamed.as_ref()
    }

    /// Whether the choice may have become another since.
    pub(crate) fn is_stale(&self, now: UnixMs) -> bool {
        self.stale_at.is_some_and(|at| at <= now)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&String, &Arc<Certificate>)> {
        self.hosts.iter()
    }
}
