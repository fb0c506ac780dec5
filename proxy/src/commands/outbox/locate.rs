//! Which record a person means.

use crate::commands::record::{state, what};
use anyhow::bail;
use usher_model::{Record, SiteName};
use usher_store::Store;

/// The record of that id; else the only one that goes by that name and `fits`; else the only one that goes by it.
///
/// # Errors
/// When there is none, or more than one.
pub(super) async fn locate(
    store: &dyn Store,
    sites: &[SiteName],
    name: &str,
    fits: fn(&Record) -> bool,
) -> anyhow::Result<Record> {
    let mut found = Vec::new();
    for site in sites {
        found.extend(store.find(site, name).await?);
    }
    if let Some(at) = found.iter().position(|record| record.id == name) {
        return Ok(found.swap_remove(at));
    }
    if found.iter().any(fits) {
        found.retain(fits);
    }
    match (found.pop(), found.len()) {
        (Some(only), 0) => Ok(only),
        (None, _) => {
            let sites = sites.iter().map(SiteName::as_str).collect::<Vec<_>>().join(", ");
            bail!(
                "there is no sale, lead, event, refund or waiting click {name:?} (sites: {sites}); \
                 `usher outbox list` shows what there is to do, `usher trace` looks further"
            )
        }
        (Some(last), _) => {
            found.push(last);
            let all: Vec<String> = found
                .iter()
                .map(|record| format!("{} ({}, {})", record.id, what(record), state(record)))
                .collect();
            bail!("{} records go by the name {name:?}; name one by its id: {}", all.len(), all.join("; "))
        }
    }
}
