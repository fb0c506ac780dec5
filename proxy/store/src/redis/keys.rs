//! The names of keys. Only that of the promo codes is documented for other programs.
//!
//! All others carry the site in braces, so that Redis Cluster keeps a site's keys in one slot and a script may touch
//! several of them (<https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#hash-tags>).
//! The scripts build the rest of the names from that of the outbox; `scripts/common.lua` lists them.

use usher_model::{ClickId, Job, SiteName, Source, State};

/// Promo codes: a hash, field = folded code, value = JSON.
pub(super) fn codes(site: &SiteName) -> String {
    format!("usher:{site}:codes")
}

/// How often each code was used: a hash.
pub(super) fn code_uses(site: &SiteName) -> String {
    own(site, "code_uses")
}

/// Deliveries that are due and that nobody holds: a sorted set, score = when it may be claimed.
pub(super) fn outbox(site: &SiteName) -> String {
    own(site, "outbox")
}

/// Deliveries that somebody holds: a sorted set, score = when the lease ends.
pub(super) fn held(site: &SiteName) -> String {
    own(site, "held")
}

/// Records in that state: a sorted set, score = when it came in.
pub(super) fn state(site: &SiteName, state: State) -> String {
    own(site, &format!("state:{}", state.word()))
}

/// A click: a hash.
pub(super) fn click(site: &SiteName, id: &ClickId) -> String {
    own(site, &format!("click:{id}"))
}

/// An entry or a click's delivery: a hash.
pub(super) fn delivery(site: &SiteName, id: &str) -> String {
    own(site, &format!("delivery:{id}"))
}

/// The id of the entry that took a key.
pub(super) fn taken(site: &SiteName, source: &Source, job: Job, key: &str) -> String {
    own(site, &format!("key:{source}:{}:{key}", job.word()))
}

/// The click that a customer is bound to.
pub(super) fn customer(site: &SiteName, customer: &str) -> String {
    own(site, &format!("customer:{customer}"))
}

/// The click that bound an order: a hash.
pub(super) fn order(site: &SiteName, order: &str) -> String {
    own(site, &format!("order:{order}"))
}

/// How often somebody was erased.
pub(super) fn erasures(site: &SiteName) -> String {
    own(site, "erasures")
}

/// All customers that are bound: a sorted set, score = when that was.
pub(super) fn customers(site: &SiteName) -> String {
    own(site, "customers")
}

/// Written to find out whether writing works, and whether replicas follow.
pub(super) fn probe(site: &SiteName) -> String {
    own(site, "probe")
}

/// The same beside the promo codes: in their slot.
pub(super) fn codes_probe(site: &SiteName) -> String {
    format!("usher:{{{}}}:probe", codes(site))
}

fn own(site: &SiteName, rest: &str) -> String {
    format!("usher:{{{site}}}:{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_key_has_no_braces_and_our_own_have() {
        let site = SiteName::new("shop").expect("a site");
        assert_eq!(codes(&site), "usher:shop:codes");
        assert_eq!(outbox(&site), "usher:{shop}:outbox");
    }
}
