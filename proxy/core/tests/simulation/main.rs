//! The deterministic simulation: whole histories of clicks, sales and refunds on one thread and in virtual time, with the
//! real jobs over the real SQL, and a platform, a store, a clock and a process that fail as a seed decides. After each the
//! promise is checked. `--seed N` plays one aloud; the same seed always plays the same history.
#![expect(clippy::print_stdout, reason = "a program of its own: what it prints is its result")]

mod books;
mod callers;
mod checks;
mod credit;
mod dice;
mod duplicates;
mod faulty;
mod history;
mod hooks;
mod life;
mod network;
mod orders;
mod outage;
mod plan;
mod platform;
mod refunds;
mod time;
mod trace;
mod world;

use history::Which;
use life::Death;
use std::process::ExitCode;

/// Histories of the ordinary test run.
const ORDINARY: u64 = 300;
/// Histories with seeds that nobody has chosen, for each that is asked for: one in so many.
const CHANCE: u64 = 10;

/// Histories with a death at every call of the store, likewise.
const EVERY_DEATH: u64 = 500;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |name: &str| {
        let place = arguments.iter().position(|argument| argument == name)?;
        arguments.get(place + 1)?.parse::<u64>().ok()
    };
    history::hear_panics();
    let held = match arguments.first().map(String::as_str) {
        Some("histories") => match number("--seed") {
            Some(seed) => {
                let death = |name, done| number(name).map(|calls| Death { calls, done });
                let death = death("--dies-before", false).or_else(|| death("--dies-after", true));
                history::replay(Which { seed, death })
            }
            None => {
                let seeds = number("--seeds").unwrap_or(10_000);
                history::many(number("--first").unwrap_or(0), seeds)
                    && history::many(history::by_chance(), seeds / CHANCE)
                    && history::every_death(seeds / EVERY_DEATH)
            }
        },
        Some("outage") => outage::run(number("--per-minute").and_then(|rate| u32::try_from(rate).ok())),
        Some("duplicates") => duplicates::run(number("--seed").unwrap_or(1)),
        // What the test runner asks of its own kind: a list, or tests of that name.
        Some("--list") => true,
        Some(name) if !name.starts_with('-') && !"simulation".contains(name) => true,
        _ => history::many(0, ORDINARY) && history::every_death(1),
    };
    if held { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
