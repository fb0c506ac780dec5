//! Other programs, run with a clean environment.

use std::{env, ffi::OsStr, process::Command};

use anyhow::{Context, Result, ensure};

/// Tells what is going on.
pub(super) fn say(what: &str) {
    eprintln!(">> {what}");
}

/// A command without what an outer cargo or a developer's shell would change a build with, so that every machine builds the
/// same.
pub(super) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in env::vars_os() {
        let bytes = name.as_encoded_bytes();
        let alters_builds = bytes.starts_with(b"CARGO_PROFILE_")
            || bytes.starts_with(b"CARGO_TARGET_")
            || matches!(
                bytes,
                b"RUSTC"
                    | b"RUSTFLAGS"
                    | b"CARGO_ENCODED_RUSTFLAGS"
                    | b"RUSTC_WRAPPER"
                    | b"RUSTC_WORKSPACE_WRAPPER"
                    | b"RUSTC_BOOTSTRAP"
                    | b"CARGO_BUILD_TARGET"
                    | b"CARGO_BUILD_RUSTFLAGS"
            );
        if alters_builds {
            command.env_remove(name);
        }
    }
    // A build does not change a developer's toolchain.
    command.env("RUSTUP_AUTO_INSTALL", "0");
    command
}

/// Runs it; an error when it fails.
pub(super) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {}", name(command)))?;
    ensure!(status.success(), "{} failed ({status})", name(command));
    Ok(())
}

/// Runs it and gives its standard output.
pub(super) fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot start {}", name(command)))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{} failed ({}): {}", name(command), output.status, said.trim());
    String::from_utf8(output.stdout).context("output is not UTF-8")
}

/// Runs it and gives its standard output in lines.
pub(super) fn lines(command: &mut Command) -> Result<Vec<String>> {
    Ok(output(command)?.lines().map(str::to_owned).collect())
}

fn name(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}
