//! `usher check`

use crate::{
    config::{self, Config, Env, Finding, Severity, StoreUrl},
    serve::wiring,
    system::SystemClock,
};
use std::{
    io::{self, Write},
    path::Path,
    process::ExitCode,
};
use usher_model::Clock;

/// Prints every finding and a line that sums them up; fails when one is an error.
pub(super) async fn run(path: &Path, env: &dyn Env, out: &mut dyn Write) -> io::Result<ExitCode> {
    let (mut findings, store) = match config::load(path, env) {
        Ok(config) => {
            let about_tls = about_tls(path, &config);
            let findings = config.warnings.into_iter().chain(about_tls).collect();
            (findings, Some((config.sites.len(), config.store_url)))
        }
        Err(findings) => (findings, None),
    };
    if let Some((_, store)) = &store {
        findings.extend(about_store(path, store).await);
    }
    for finding in &findings {
        writeln!(out, "{finding}")?;
    }
    let (verdict, code) = match store {
        Some((sites, store)) if !findings.iter().any(Finding::is_error) => {
            (format!("ok, {}, store {store}", plural(sites, "site")), ExitCode::SUCCESS)
        }
        _ => ("refused".to_owned(), ExitCode::FAILURE),
    };
    writeln!(out, "{}: {verdict}: {}", path.display(), count(&findings))?;
    Ok(code)
}

/// Looks at the store without opening it: a check creates no file. A Redis that does not answer stops nobody, as `serve` would
/// wait for it.
async fn about_store(path: &Path, store: &StoreUrl) -> Vec<Finding> {
    let finding = |severity, what: String, mend: &str| Finding {
        file: path.display().to_string(),
        at: None,
        severity,
        key: "store.url".to_owned(),
        what,
        mend: mend.to_owned(),
    };
    if let Some(folder) = store.file().and_then(Path::parent)
        && !folder.as_os_str().is_empty()
        && !folder.is_dir()
    {
        let what = format!("lies in the folder {}, which is not there", folder.display());
        return vec![finding(Severity::Error, what, "make it, for the user that usher runs as")];
    }
    match usher_store::weaknesses(store.expose()).await {
        Ok(found) => found.into_iter().map(|weak| finding(Severity::Warning, weak.what, weak.mend)).collect(),
        Err(error) => {
            let what = format!("names {store}, which cannot be used now: {error}");
            vec![finding(Severity::Warning, what, "")]
        }
    }
}

/// Reads the certificates as `serve` would.
fn about_tls(path: &Path, config: &Config) -> Vec<Finding> {
    let key = if config.tls.as_ref().is_some_and(|tls| tls.certificates.is_some()) {
        "tls.certificates"
    } else {
        "tls"
    };
    let finding = |is_error, what: String, mend: String| Finding {
        file: path.display().to_string(),
        at: None,
        severity: if is_error { Severity::Error } else { Severity::Warning },
        key: key.to_owned(),
        what,
        mend,
    };
    let settings = match wiring::tls(config) {
        Ok(None) => return Vec::new(),
        Ok(Some(settings)) => settings,
        Err(error) => return vec![finding(true, format!("cannot be used: {error:#}"), String::new())],
    };
    match usher_tls::inspect(&settings, SystemClock.now()) {
        Ok(notes) => notes.into_iter().map(|note| finding(note.is_error, note.what, note.mend)).collect(),
        Err(error) => vec![finding(
            true,
            format!("cannot be used: {error}"),
            "make it, readable for usher's user".to_owned(),
        )],
    }
}

/// How many errors and warnings there are, in words.
pub(super) fn count(findings: &[Finding]) -> String {
    let errors = findings.iter().filter(|finding| finding.is_error()).count();
    format!("{}, {}", plural(errors, "error"), plural(findings.len() - errors, "warning"))
}

fn plural(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}
