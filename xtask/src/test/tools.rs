//! What the tests need of the machine: found, or installed.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail, ensure};

use super::say;

/// Debian's Chromium itself: its wrapper turns features off that shoppers have on.
pub(super) const CHROMIUM: &str = "/usr/lib/chromium/chromium";

/// Something to look for, and Debian's packages that bring it.
struct Tool {
    name: &'static str,
    there: fn() -> bool,
    packages: &'static [&'static str],
}

const EVERY_RUN: &[Tool] = &[
    Tool { name: "Redis", there: || answers("redis-server"), packages: &["redis-server", "redis-tools"] },
    Tool { name: "Node", there: || answers("node") && answers("npm"), packages: &["nodejs", "npm"] },
    Tool { name: "git", there: || answers("git"), packages: &["git"] },
];
const BROWSER: &[Tool] =
    &[Tool { name: "Chromium", there: || Path::new(CHROMIUM).is_file(), packages: &["chromium"] }];

/// Finds or installs everything.
///
/// # Errors
/// When something is missing and cannot be installed; the error names the command that would.
pub(super) fn prepare(root: &Path, browser: bool) -> Result<()> {
    for component in ["fmt", "clippy"] {
        let there = Command::new("cargo").args([component, "--version"]).stdout(Stdio::null()).status();
        ensure!(
            there.is_ok_and(|status| status.success()),
            "cargo {component} is missing: rustup component add rustfmt clippy"
        );
    }
    let full = if browser { BROWSER } else { &[] };
    let missing: Vec<&Tool> = EVERY_RUN.iter().chain(full).filter(|tool| !(tool.there)()).collect();
    if !missing.is_empty() {
        let names: Vec<&str> = missing.iter().map(|tool| tool.name).collect();
        say(&format!("installing {}", names.join(", ")))?;
        install(&missing.iter().flat_map(|tool| tool.packages).copied().collect::<Vec<_>>())?;
    }
    if let Some(tool) = missing.iter().find(|tool| !(tool.there)()) {
        bail!("{} was installed ({}) and still is not found", tool.name, tool.packages.join(" "));
    }
    if browser { npm(&root.join("tests/browser")) } else { Ok(()) }
}

fn answers(program: &str) -> bool {
    let asked = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    asked.is_ok_and(|status| status.success())
}

/// Installs Debian's packages, as root or through sudo.
pub(crate) fn install(packages: &[&str]) -> Result<()> {
    let list = packages.join(" ");
    let by_hand = format!("apt-get update && apt-get install --yes --no-install-recommends {list}");
    ensure!(
        answers("apt-get"),
        "this machine has no apt-get; install what these packages of Debian bring: {list}"
    );
    let apt = |arguments: &[&str]| {
        let mut command = if is_root() { Command::new("apt-get") } else { Command::new("sudo") };
        if !is_root() {
            command.args(["--non-interactive", "apt-get"]);
        }
        command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null()).status()
    };
    let update = ["update", "--quiet"];
    let mut install = vec!["install", "--quiet", "--yes", "--no-install-recommends"];
    install.extend(packages);
    for arguments in [&update[..], &install] {
        let done = apt(arguments).is_ok_and(|status| status.success());
        ensure!(done, "packages are missing and could not be installed; run as root: {by_hand}");
    }
    Ok(())
}

fn is_root() -> bool {
    let asked = Command::new("id").arg("-u").output();
    asked.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// Installs the browser driver as its lock file has it. No script of a package is run.
fn npm(folder: &Path) -> Result<()> {
    say("npm ci in tests/browser")?;
    let arguments = ["ci", "--ignore-scripts", "--no-audit", "--no-fund"];
    let installed = Command::new("npm").args(arguments).current_dir(folder).stdin(Stdio::null()).status();
    let installed = installed.context("npm does not start")?;
    ensure!(installed.success(), "npm {} in {} failed", arguments.join(" "), folder.display());
    Ok(())
}
