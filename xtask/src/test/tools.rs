//! What the tests need of the machine: found, or installed.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail, ensure};

use super::{say, target};

/// Debian's Chromium itself: its wrapper turns features off that shoppers have on.
pub(super) const CHROMIUM: &str = "/usr/lib/chromium/chromium";
const FIREFOX: &str = "/usr/lib/firefox-esr/firefox-esr";
/// Where its package puts it for every profile of Firefox.
const UBLOCK: &str =
    "/usr/share/mozilla/extensions/{ec8030f7-c20a-464f-9b0e-13a3a9e97384}/uBlock0@raymondhill.net";

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
/// What the recipes of docs/deploy are tried with.
const TEST: &[Tool] = &[
    Tool { name: "nginx", there: || runs("nginx", "-v"), packages: &["nginx-light"] },
    Tool { name: "Caddy", there: || runs("caddy", "version"), packages: &["caddy"] },
    Tool { name: "HAProxy", there: || runs("haproxy", "-v"), packages: &["haproxy"] },
    Tool { name: "Apache httpd", there: || runs("apache2", "-v"), packages: &["apache2"] },
    Tool { name: "systemd-analyze", there: || answers("systemd-analyze"), packages: &["systemd"] },
];
const BROWSER: &[Tool] = &[
    Tool { name: "Chromium", there: || Path::new(CHROMIUM).is_file(), packages: &["chromium"] },
    Tool { name: "Firefox", there: || Path::new(FIREFOX).is_file(), packages: &["firefox-esr"] },
    Tool {
        name: "uBlock Origin",
        there: || Path::new(UBLOCK).is_dir(),
        packages: &["webext-ublock-origin-firefox"],
    },
    Tool { name: "openssl", there: || runs("openssl", "version"), packages: &["openssl"] },
];

const API: &[Tool] =
    &[Tool { name: "Python with venv", there: has_venv, packages: &["python3", "python3-venv"] }];
const PROOF: &[Tool] = &[
    Tool { name: "strace", there: || answers("strace"), packages: &["strace"] },
    Tool { name: "Pebble", there: has_pebble, packages: &["pebble"] },
    Tool { name: "testssl", there: || answers("testssl"), packages: &["testssl.sh"] },
    Tool { name: "nginx", there: || runs("nginx", "-v"), packages: &["nginx-light"] },
    Tool { name: "Python", there: || answers("python3"), packages: &["python3"] },
];

/// Finds or installs everything that the browsers' proofs need.
///
/// # Errors
/// When something is missing and cannot be installed; the error names the command that would.
pub(crate) fn prepare_browsers(root: &Path) -> Result<()> {
    prepare(root, |step| step == "browser")
}

/// Finds or installs everything that the wanted steps need.
///
/// # Errors
/// When something is missing and cannot be installed; the error names the command that would.
pub(super) fn prepare(root: &Path, wants: impl Fn(&str) -> bool) -> Result<()> {
    for component in ["fmt", "clippy"] {
        let there = Command::new("cargo").args([component, "--version"]).stdout(Stdio::null()).status();
        ensure!(
            there.is_ok_and(|status| status.success()),
            "cargo {component} is missing: rustup component add rustfmt clippy"
        );
    }
    let of_step = |step, tools: &'static [Tool]| if wants(step) { tools } else { &[] };
    let steps =
        [of_step("test", TEST), of_step("browser", BROWSER), of_step("api", API), of_step("proof", PROOF)];
    let needed = EVERY_RUN.iter().chain(steps.into_iter().flatten());
    let missing: Vec<&Tool> = needed.filter(|tool| !(tool.there)()).collect();
    if !missing.is_empty() {
        let names: Vec<&str> = missing.iter().map(|tool| tool.name).collect();
        say(&format!("installing {}", names.join(", ")))?;
        install(&missing.iter().flat_map(|tool| tool.packages).copied().collect::<Vec<_>>())?;
    }
    if let Some(tool) = missing.iter().find(|tool| !(tool.there)()) {
        bail!("{} was installed ({}) and still is not found", tool.name, tool.packages.join(" "));
    }
    if wants("browser") {
        npm(root, "tests/browser")?;
    }
    if wants("api") {
        npm(root, "tests/api")?;
        install_schemathesis(root)?;
    }
    Ok(())
}

fn has_venv() -> bool {
    let asked = Command::new("python3").args(["-c", "import venv, ensurepip"]).stderr(Stdio::null()).status();
    asked.is_ok_and(|status| status.success())
}

/// Neither of the two programs has a version to tell.
fn has_pebble() -> bool {
    ["pebble", "pebble-challtestsrv"].iter().all(|program| is_there(program))
}

fn is_there(program: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths).any(|path| path.join(program).is_file())
}

fn answers(program: impl AsRef<std::ffi::OsStr>) -> bool {
    runs(program, "--version")
}

fn runs(program: impl AsRef<std::ffi::OsStr>, argument: &str) -> bool {
    let asked = Command::new(program).arg(argument).stdout(Stdio::null()).stderr(Stdio::null()).status();
    asked.is_ok_and(|status| status.success())
}

/// While this stands there, Debian's packages start no daemon when they are installed
/// (<https://people.debian.org/~hmh/invokerc.d-policyrc.d-specification.txt>). One that is there already stays.
const POLICY: &str = "/usr/sbin/policy-rc.d";
const NO_DAEMONS: &str =
    "test -e \"$0\" || { printf '#!/bin/sh\\nexit 101 # usher\\n' > \"$0\" && chmod 755 \"$0\"; }";
const DAEMONS_AGAIN: &str = "if grep -q '# usher' \"$0\"; then rm \"$0\"; fi";

/// Installs Debian's packages, as root or through sudo. No daemon of theirs is started.
pub(crate) fn install(packages: &[&str]) -> Result<()> {
    let list = packages.join(" ");
    let by_hand = format!("apt-get update && apt-get install --yes --no-install-recommends {list}");
    ensure!(
        answers("apt-get"),
        "this machine has no apt-get; install what these packages of Debian bring: {list}"
    );
    let as_root = |arguments: &[&str]| {
        let mut command = if is_root() { Command::new("env") } else { Command::new("sudo") };
        if !is_root() {
            command.args(["--non-interactive", "env"]);
        }
        command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null()).status()
    };
    let update = ["apt-get", "update", "--quiet"];
    let mut install = vec!["apt-get", "install", "--quiet", "--yes", "--no-install-recommends"];
    install.extend(packages);
    let policy = ["sh", "-c", NO_DAEMONS, POLICY];
    let mut steps = [&policy[..], &update, &install].into_iter();
    let done = steps.all(|step| as_root(step).is_ok_and(|status| status.success()));
    // It does not matter whether it is there, nor whether that went well, when the rest did not.
    let _ = as_root(&["sh", "-c", DAEMONS_AGAIN, POLICY]);
    ensure!(done, "packages are missing and could not be installed; run as root: {by_hand}");
    Ok(())
}

fn is_root() -> bool {
    let asked = Command::new("id").arg("-u").output();
    asked.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// Installs a folder's packages as its lock file has them. No script of a package is run.
fn npm(root: &Path, folder: &str) -> Result<()> {
    say(&format!("npm ci in {folder}"))?;
    run(Command::new("npm")
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
        .current_dir(root.join(folder)))
}

/// Where schemathesis is, once it is installed.
pub(super) fn schemathesis(root: &Path) -> PathBuf {
    target(root).join("schemathesis/bin/schemathesis")
}

fn install_schemathesis(root: &Path) -> Result<()> {
    install_python(root, &root.join("tests/api/requirements.txt"), "schemathesis").map(|_| ())
}

/// Installs sslyze; answers where it is.
///
/// # Errors
/// When it cannot be installed.
pub(crate) fn install_sslyze(root: &Path) -> Result<PathBuf> {
    install_python(root, &root.join("tests/tls/requirements.txt"), "sslyze")
}

/// Installs what `list` names in the versions that are written down there, unless those are there. Answers where the program
/// is.
fn install_python(root: &Path, list: &Path, program: &str) -> Result<PathBuf> {
    let folder = target(root).join(program);
    let installed_program = folder.join("bin").join(program);
    let wanted = fs::read(list).with_context(|| format!("{} can be read", list.display()))?;
    let installed = folder.join("requirements.txt");
    if fs::read(&installed).is_ok_and(|there| there == wanted) && installed_program.is_file() {
        return Ok(installed_program);
    }
    say(&format!("installing {program} into {}", folder.display()))?;
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    let pip = ["install", "--quiet", "--disable-pip-version-check", "--requirement"];
    run(Command::new(folder.join("bin/pip")).args(pip).arg(list))?;
    fs::write(&installed, wanted).with_context(|| format!("{} can be written", installed.display()))?;
    Ok(installed_program)
}

fn run(command: &mut Command) -> Result<()> {
    let ran = command.stdin(Stdio::null()).status().with_context(|| format!("{command:?} does not start"))?;
    ensure!(ran.success(), "{command:?} failed");
    Ok(())
}
