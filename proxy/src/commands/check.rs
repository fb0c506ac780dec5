//! `usher check`

use crate::config::{self, Env, Finding};
use std::{
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

/// Prints every finding and a line that sums them up; fails when one is an error.
pub(super) fn run(path: &Path, env: &dyn Env, out: &mut dyn Write) -> io::Result<ExitCode> {
    let (findings, verdict, code) = match config::load(path, env) {
        Ok(config) => {
            let sites = plural(config.sites.len(), "site");
            (config.warnings, format!("ok, {sites}, store {}", config.store_url), ExitCode::SUCCESS)
        }
        Err(findings) => (findings, "refused".to_owned(), ExitCode::FAILURE),
    };
    for finding in &findings {
        writeln!(out, "{finding}")?;
    }
    writeln!(out, "{}: {verdict}: {}", path.display(), count(&findings))?;
    Ok(code)
}

/// How many errors and warnings there are, in words.
pub(super) fn count(findings: &[Finding]) -> String {
    let errors = findings.iter().filter(|finding| finding.is_error()).count();
    format!("{}, {}", plural(errors, "error"), plural(findings.len() - errors, "warning"))
}

fn plural(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}
