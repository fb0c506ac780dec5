//! `usher outbox`: what waits, what failed for good, and what a person decides about it.

mod list;
mod locate;
mod pages;
mod replay;
mod show;

use crate::{
    cli::{Outbox, OutboxAction},
    config::Config,
};
use list::Wanted;
use locate::locate;
use std::{io::Write, process::ExitCode};
use usher_model::Clock;

/// Opens the store and does it.
pub(super) async fn run(
    config: &Config,
    options: Outbox,
    clock: &dyn Clock,
    out: &mut dyn Write,
) -> anyhow::Result<ExitCode> {
    let sites = super::chosen(config, options.site.as_deref())?;
    let store = super::open_filled(config).await?;
    let only = options.site.as_ref().and_then(|_| sites.first().cloned());
    match options.action {
        OutboxAction::List { state, limit } => {
            let wanted = Wanted { site: only, state, limit: limit.unwrap_or(usize::MAX), json: options.json };
            list::run(&*store, &wanted, clock, out).await?;
        }
        OutboxAction::Show { id } => {
            let record = locate(&*store, &sites, &id, |_| true).await?;
            show::print(&record, clock.now(), options.json, out)?;
        }
        OutboxAction::Retry { id: Some(id), .. } => {
            let record = locate(&*store, &sites, &id, replay::can_be_retried).await?;
            replay::retry(&*store, &record, clock.now(), options.json, out).await?;
        }
        OutboxAction::Retry { id: None, .. } => {
            replay::retry_all(&store, only, clock, options.json, out).await?;
        }
        OutboxAction::Discard { id, reason } => {
            let record = locate(&*store, &sites, &id, replay::can_be_discarded).await?;
            replay::discard(&*store, &record, &reason, clock.now(), options.json, out).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
