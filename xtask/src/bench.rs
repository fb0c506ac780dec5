//! `cargo xtask bench`: Usher beside nginx and a bare hyper. `benches/README.md` says what is measured.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};

use crate::test::{cargo, root, say, tools};

/// Options of `cargo xtask bench`.
#[derive(clap::Args)]
pub(crate) struct Options {
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

/// Installs what is missing, builds in release, and compares.
///
/// # Errors
/// When a contestant is missing, does not start, or does not answer as the others do.
pub(crate) fn run(options: &Options) -> Result<()> {
    let nginx = installed("nginx", "nginx-light")?;
    let haproxy = installed("haproxy", "haproxy")?;
    installed("wrk", "wrk")?;
    let root = root()?;
    say("building usher and the comparison in release")?;
    let build = ["build", "--release", "--locked", "--package", "usher", "--package", "usher-benches"];
    ensure!(cargo(&root, &build).status()?.success(), "the release does not build");
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let built = root.join(target).join("release");

    let mut compare = std::process::Command::new(built.join("usher-benches"));
    compare.arg("--usher").arg(built.join("usher")).arg("--hello").arg(built.join("hello"));
    compare.arg("--nginx").arg(nginx).arg("--haproxy").arg(haproxy).args(["--only", &options.only]);
    compare.args(["--rounds", &options.rounds.to_string(), "--seconds", &options.seconds.to_string()]);
    ensure!(compare.status().context("the comparison does not start")?.success(), "the comparison failed");
    Ok(())
}

/// Where a program is; it is installed first when it is nowhere.
fn installed(program: &str, package: &str) -> Result<PathBuf> {
    if let Some(found) = find(program) {
        return Ok(found);
    }
    say(&format!("installing {package}"))?;
    tools::install(&[package])?;
    find(program).with_context(|| format!("{package} was installed and {program} still is not found"))
}

/// Looks where the shell would, and where Debian puts servers.
fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    folders.map(|folder| Path::new(&folder).join(program)).find(|file| file.is_file())
}
