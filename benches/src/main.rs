//! Usher beside nginx serving the same bytes and a bare hyper, on loopback, driven by the same wrk in turns.
//!
//! `cargo xtask bench` builds what this needs and runs it. What is measured, and how fair it is, stands in README.md.

mod ask;
mod child;
mod contestants;
mod drive;
mod platform;
mod proxied;
mod scenario;
mod table;

use std::{io::Write as _, path::PathBuf};

use anyhow::Context as _;
use clap::Parser;

use contestants::Contestant;
use drive::{Load, Measured};
use scenario::Scenario;
use table::Row;

/// Compares Usher with nginx and a bare hyper.
#[derive(Parser)]
struct Options {
    /// The usher binary
    #[arg(long)]
    usher: PathBuf,
    /// The bare hyper
    #[arg(long)]
    hello: PathBuf,
    /// The nginx binary
    #[arg(long, default_value = "nginx")]
    nginx: PathBuf,
    /// The HAProxy binary
    #[arg(long, default_value = "haproxy")]
    haproxy: PathBuf,
    /// How often each contestant has its turn; medians are taken over them
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=15))]
    rounds: u32,
    /// How long a turn takes
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=15))]
    seconds: u32,
    /// Only the scenarios whose name holds this
    #[arg(long, default_value = "")]
    only: String,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let folder = tempfile::tempdir()?;
    let platform = platform::start()?;
    let shop = proxied::Shop::start(&options.nginx, folder.path())?;
    let usher = contestants::Usher::start(&options.usher, folder.path(), platform.address, shop.address)?;
    let script = drive::script(folder.path())?;
    let scenarios: Vec<Scenario> = scenario::all(usher.address)?
        .into_iter()
        .chain(proxied::scenarios(&shop)?)
        .filter(|scenario| scenario.name.contains(&options.only))
        .collect();
    let nginx =
        contestants::Nginx::start(&options.nginx, folder.path(), platform.address, shop.address, &scenarios)?;
    let haproxy = proxied::Haproxy::start(&options.haproxy, folder.path(), &shop)?;

    let mut rows = Vec::new();
    for scenario in &scenarios {
        let hello = contestants::Hello::start(&options.hello, scenario)?;
        let contestants = if scenario.proxied {
            proxied::contestants(scenario, &shop, &usher, &nginx, &haproxy)?
        } else {
            contestants::of(scenario, &usher, &nginx, &hello)?
        };
        let calls_before = platform.calls();
        let turns = take_turns(&options, &script, scenario, &contestants)?;
        check_calls(scenario, &contestants, &turns, platform.calls() - calls_before)?;
        for (contestant, measured) in contestants.iter().zip(turns) {
            rows.push(Row { scenario: scenario.name, contestant: contestant.name, measured });
        }
    }
    let warnings = usher.warnings();
    let mut out = std::io::stdout();
    out.write_all(table::print(&rows).as_bytes())?;
    if warnings > 0 {
        writeln!(out, "\nUsher logged {warnings} warnings.")?;
    }
    Ok(())
}

/// Whether the scenario was what it says: every new visitor cost a call to the platform, and a known one none.
fn check_calls(
    scenario: &Scenario,
    contestants: &[Contestant<'_>],
    turns: &[Vec<Measured>],
    calls: u64,
) -> anyhow::Result<()> {
    let through = contestants.iter().zip(turns).filter(|(contestant, _)| contestant.asks_platform);
    let visits: u64 = through.flat_map(|(_, turns)| turns).map(|turn| turn.requests).sum();
    // Rounds that warm up, and requests that wrk did not wait for, are not among the visits.
    anyhow::ensure!(
        if scenario.new_visitors { calls >= visits } else { calls == 0 },
        "{}: {visits} visits and {calls} calls to the platform",
        scenario.name
    );
    Ok(())
}

/// One list of measurements for each contestant. They take turns, so that what else the machine does hits all of them.
fn take_turns(
    options: &Options,
    script: &std::path::Path,
    scenario: &Scenario,
    contestants: &[Contestant<'_>],
) -> anyhow::Result<Vec<Vec<Measured>>> {
    let mut turns = vec![Vec::new(); contestants.len()];
    // Round 0 warms up, and is not counted.
    for round in 0..=options.rounds {
        for (contestant, turns) in contestants.iter().zip(&mut turns) {
            let seconds = if round == 0 { 1 } else { options.seconds };
            let load = Load { script, scenario, round, seconds };
            let measured =
                load.on(contestant).with_context(|| format!("{}, {}", scenario.name, contestant.name))?;
            if round > 0 {
                writeln!(
                    std::io::stderr(),
                    "{}, round {round} of {}: {} {:.0} req/s",
                    scenario.name,
                    options.rounds,
                    contestant.name,
                    measured.per_second
                )?;
                turns.push(measured);
            }
        }
    }
    Ok(turns)
}
