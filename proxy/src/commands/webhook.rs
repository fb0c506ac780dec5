//! `usher webhook explain`: what a recorded webhook would do.

use anyhow::{Context, bail};
use std::{
    io::{Read, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};
use usher_model::limits;

/// Prints one JSON line for each file, in their order; a file that cannot be judged fails the command, the others are
/// judged all the same.
pub(super) fn explain(files: &[PathBuf], out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let mut failed = false;
    for file in files {
        match one(file) {
            Ok(line) => writeln!(out, "{line}")?,
            Err(error) => {
                failed = true;
                super::complain(&format!("usher: {}: {error:#}", file.display()));
            }
        }
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn one(file: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    let source: Box<dyn Read> = match file.to_str() {
        Some("-") => Box::new(std::io::stdin()),
        _ => Box::new(std::fs::File::open(file).context("cannot be opened")?),
    };
    source
        .take(limits::RECORDED_WEBHOOK_BYTES + 1)
        .read_to_string(&mut text)
        .context("cannot be read as text")?;
    if text.len() as u64 > limits::RECORDED_WEBHOOK_BYTES {
        bail!("is longer than {} bytes", limits::RECORDED_WEBHOOK_BYTES);
    }
    Ok(usher_providers::explain(&text)?)
}
