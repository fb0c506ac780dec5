//! `usher trace`: why something was credited as it was, and what became of it.

mod gather;
mod json;
mod story;
#[cfg(test)]
mod tests;
mod why;

use crate::{cli::Trace, config::Config};
use anyhow::bail;
use gather::gather;
use std::{io::Write, process::ExitCode};
use usher_model::{Clock, SiteName, Source};

/// Looks the id up and tells its story.
pub(super) async fn run(
    config: &Config,
    options: &Trace,
    clock: &dyn Clock,
    out: &mut dyn Write,
) -> anyhow::Result<ExitCode> {
    let sites = super::chosen(config, options.site.as_deref())?;
    let store = super::open_filled(config).await?;
    let id = options.id.trim();
    let found = gather(&*store, &with_sources(config, &sites), id).await?;
    if found.is_empty() {
        let sites = sites.iter().map(SiteName::as_str).collect::<Vec<_>>().join(", ");
        bail!(
            "nothing here goes by {id:?} (sites: {sites}). Looked for: an order's id, a click's id (the cookie affonso_referral), an \
             event's id (external_event_id), a payment's id at its provider, our id of a sale, lead, event or refund, and what the \
             platform calls a sale. What was refused when it was reported is not kept"
        );
    }
    match options.json {
        true => json::print(id, &found, out)?,
        false => story::print(&found, clock.now(), out)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Each of these sites with the sources of its webhooks: what they have linked is known by the source.
fn with_sources(config: &Config, sites: &[SiteName]) -> Vec<(SiteName, Vec<Source>)> {
    let all = config.sites.iter().zip(&config.webhooks);
    all.filter(|(site, _)| sites.contains(&site.name))
        .map(|(site, webhooks)| {
            (site.name.clone(), webhooks.iter().map(|webhook| webhook.name.clone()).collect())
        })
        .collect()
}
