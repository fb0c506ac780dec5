//! `cargo xtask prove`: the commands that try to break what the README promises, each at its full size. Each prints its number
//! and fails when the promise does not hold.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, ensure};

use crate::test::{cargo, root, say, tools};

/// Options of `cargo xtask prove`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Which promise; all of them, one after the other, when it is left out
    #[arg(value_enum)]
    promise: Option<Promise>,
    /// Histories of the simulation
    #[arg(long, default_value_t = 10_000)]
    seeds: u64,
    /// One history of the simulation alone, told aloud
    #[arg(long)]
    seed: Option<u64>,
}

/// What is promised.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Promise {
    /// Killed at any moment, and at every write and sync: nothing acknowledged is lost
    Killed,
    /// Power cut at every point: nothing acknowledged is lost, nothing corrupt delivered
    Power,
    /// Syncs and writes that fail: every answer is honest
    Disk,
    /// Redis killed, frozen, read-only, full, failing over: nothing is lost, clicks stay quick
    Redis,
    /// The same event many times at once, under kills: one effect
    Once,
    /// The shop behind the edge: large bodies, WebSockets, sides that stand still or die
    Origin,
    /// Durable acknowledgements a second, beside the raw log on the same disk
    Speed,
    /// The configuration is read again and processes take each other's place under load: no request fails
    Reload,
    /// Certificates from a real ACME directory that behaves badly, renewed under handshakes
    Acme,
    /// Protocols, ciphers and known weaknesses, as testssl and sslyze see them
    Tls,
    /// A million entries wait when the edge starts
    Start,
    /// Requests made to be read in two ways, over raw TCP, before four readers: nothing but valid ones comes through
    Hostile,
    /// Floods of HTTP/2 frames: each is closed before it has cost much
    Floods,
    /// Thousands of clients that send or read slowly: all are closed in time, and nobody else notices
    Slow,
    /// Every scenario in Chromium, Firefox, and Firefox with uBlock Origin
    Browsers,
    /// A page's own metrics with the tag and without, also with an edge that stands still
    PageSpeed,
    /// Whole histories under faults, from seeds
    Simulation,
    /// A platform that is away for a day of virtual time
    Outage,
    /// Duplicates over thirty days of virtual time
    Duplicates,
    /// Streams that no browser would send through the gate, and requests that no payment provider would, for eleven minutes
    Fuzz,
}

/// Runs what was asked for.
///
/// # Errors
/// When a promise does not hold, or cannot be tried.
pub(crate) fn run(options: &Options) -> Result<()> {
    let root = root()?;
    let chosen = match options.promise {
        Some(one) => vec![one],
        None => <Promise as clap::ValueEnum>::value_variants().to_vec(),
    };
    let mut broken = Vec::new();
    for promise in chosen {
        let name = name(promise);
        say(&format!("prove {name}"))?;
        let held = match promise {
            Promise::Simulation => simulate(&root, &histories(options))?,
            Promise::Outage | Promise::Duplicates => simulate(&root, std::slice::from_ref(&name))?,
            Promise::Fuzz => fuzz(&root)?,
            Promise::Browsers => in_browsers(&root, "matrix.test.mjs")?,
            Promise::PageSpeed => in_browsers(&root, "page-speed.mjs")?,
            _ => with_processes(&root, &name)?,
        };
        if !held {
            broken.push(name);
        }
    }
    ensure!(broken.is_empty(), "broken: {}", broken.join(", "));
    Ok(())
}

fn name(promise: Promise) -> String {
    clap::ValueEnum::to_possible_value(&promise).map(|value| value.get_name().to_owned()).unwrap_or_default()
}

fn histories(options: &Options) -> Vec<String> {
    let (flag, number) = match options.seed {
        Some(seed) => ("--seed", seed),
        None => ("--seeds", options.seeds),
    };
    ["histories", flag, &number.to_string()].map(str::to_owned).to_vec()
}

/// The simulation needs no process but its own.
fn simulate(root: &Path, arguments: &[String]) -> Result<bool> {
    let mut run =
        vec!["test", "--release", "--locked", "--package", "usher-core", "--test", "simulation", "--"];
    run.extend(arguments.iter().map(String::as_str));
    Ok(cargo(root, &run).status()?.success())
}

/// HTTP/1.1, changed at random; then recorded webhooks, changed and where it can be done signed anew.
fn fuzz(root: &Path) -> Result<bool> {
    for (package, example) in [("usher-front", "gate_fuzz"), ("usher-providers", "fuzz")] {
        let run = ["run", "--release", "--locked", "--package", package, "--example", example];
        if !cargo(root, &run).status()?.success() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A file of tests in real browsers, at its full size.
fn in_browsers(root: &Path, file: &str) -> Result<bool> {
    tools::prepare_browsers(root)?;
    let usher = release(root)?;
    let mut node = Command::new("node");
    node.args(["--test", "--test-reporter=spec", file]).current_dir(root.join("tests/browser"));
    Ok(node.env("USHER_PROOF", "full").env("USHER_BIN", usher).status()?.success())
}

/// The binary under test.
fn release(root: &Path) -> Result<PathBuf> {
    let build = ["build", "--release", "--locked", "--package", "usher"];
    ensure!(cargo(root, &build).status()?.success(), "the release does not build");
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    Ok(root.join(target).join("release/usher"))
}

/// Real processes in release, under what breaks them.
fn with_processes(root: &Path, name: &str) -> Result<bool> {
    let needed = [
        ("strace", "strace"),
        ("redis-server", "redis-server"),
        ("pebble", "pebble"),
        ("testssl", "testssl.sh"),
        ("nginx", "nginx-light"),
        ("node", "nodejs"),
        ("python3", "python3"),
    ];
    for (program, package) in needed {
        if Command::new(program).arg("--version").output().is_err() {
            say(&format!("installing {package}"))?;
            tools::install(&[package])?;
        }
    }
    let usher = release(root)?;
    let test = format!("{name}::proof");
    let run = [
        "test",
        "--release",
        "--locked",
        "--package",
        "usher-tests",
        "--test",
        "proof",
        "--",
        "--exact",
        "--nocapture",
        &test,
    ];
    let mut prove = cargo(root, &run);
    prove.env("USHER_PROOF", "full").env("USHER_BIN", usher);
    if name == "tls" {
        prove.env("USHER_SSLYZE", tools::install_sslyze(root)?);
    }
    Ok(prove.status()?.success())
}
