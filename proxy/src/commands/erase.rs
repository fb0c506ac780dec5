//! `usher erase`: a person asks to be forgotten.

use super::words::{plural, verb};
use crate::{cli::Erase, config::Config};
use anyhow::Context as _;
use serde_json::json;
use std::{io::Write, process::ExitCode};
use usher_model::Clock;
use usher_store::{Erased, Waiting, erase};

/// Opens the store and does it, site by site.
pub(super) async fn run(
    config: &Config,
    options: &Erase,
    clock: &dyn Clock,
    out: &mut dyn Write,
) -> anyhow::Result<ExitCode> {
    let person = options.who.person().context("name the person with --click, --email or --customer")?;
    let sites = super::chosen(config, options.site.as_deref())?;
    let store = super::open_filled(config).await?;
    let waiting = if options.now { Waiting::Discarded } else { Waiting::Stays };
    let mut all = Erased::default();
    for site in &sites {
        let erased = erase(&*store, site, &person, waiting, clock.now()).await;
        all.add(
            erased
                .context("not all was removed; what was is gone, and the same command again does the rest")?,
        );
    }
    tell(&all, options.json, out)?;
    let is_done = !all.is_nothing() && all.waiting.is_empty();
    Ok(if is_done { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn tell(all: &Erased, as_json: bool, out: &mut dyn Write) -> std::io::Result<()> {
    let Erased { clicks, orders, customers, records, waiting } = all;
    if as_json {
        let counts = json!({
            "clicks": clicks, "orders": orders, "customers": customers, "records": records, "waiting": waiting
        });
        return writeln!(out, "{counts}");
    }
    if all.is_nothing() {
        return writeln!(out, "There is nothing of that person.");
    }
    let counted = [
        plural(*clicks, "click"),
        plural(*orders, "bound order"),
        plural(*customers, "bound customer"),
        plural(*records, "record"),
    ];
    let [clicks, orders, customers, records] = counted;
    writeln!(
        out,
        "Removed: {clicks}, {orders}, {customers}; and the person from {records} of sales, leads, events or refunds."
    )?;
    if waiting.is_empty() {
        return Ok(());
    }
    let count = waiting.len() as u64;
    writeln!(
        out,
        "{} still {} for the platform and {} what {}: {}. Run it again when that is sent, or with --now to discard it.",
        plural(count, "delivery"),
        verb(count, "waits", "wait"),
        verb(count, "keeps", "keep"),
        verb(count, "it needs", "they need"),
        waiting.join(", ")
    )
}
