//! What each command does. Results go to standard output, everything else to standard error.

mod check;
mod codes;
mod columns;
mod doctor;
mod erase;
mod outbox;
mod progress;
mod record;
mod snippet;
mod trace;
mod view;
mod webhook;
mod words;

use crate::{
    cli::{Cli, Command, Demo, Webhook},
    config::{self, Config, ProcessEnv},
    demo, serve,
    system::SystemClock,
};
use anyhow::{Context, anyhow, bail};
use std::{
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};
use usher_model::{Site, SiteName};
use usher_store::{Role, Store};

/// Where the configuration is looked for when it is not named.
const PLACES: [&str; 2] = ["usher.toml", "/etc/usher/usher.toml"];

/// Does what the command line says.
pub(crate) fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let given = cli.config;
    let mut out = BufWriter::new(io::stdout());
    let code = match cli.command {
        Command::Demo(options) => demo(&options)?,
        Command::Serve => {
            let path = locate(given)?;
            let config = load(&path)?;
            config.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
            runtime()?.block_on(async {
                let store = config.store_url.clone();
                // Beside the start, which must not wait for a Redis that is away.
                tokio::spawn(async move { warn_of_store(&store).await });
                Box::pin(serve::run(&path, config)).await
            })?;
            ExitCode::SUCCESS
        }
        Command::Check => runtime()?.block_on(check::run(&locate(given)?, &ProcessEnv, &mut out))?,
        Command::Codes(options) => {
            let config = load_for_store(&locate(given)?)?;
            runtime()?.block_on(codes::run(&config, options, &SystemClock, &mut out))?
        }
        Command::Outbox(options) => {
            let config = load_for_store(&locate(given)?)?;
            runtime()?.block_on(outbox::run(&config, options, &SystemClock, &mut out))?
        }
        Command::Trace(options) => {
            let config = load_for_store(&locate(given)?)?;
            runtime()?.block_on(trace::run(&config, &options, &SystemClock, &mut out))?
        }
        Command::Erase(options) => {
            let config = load_for_store(&locate(given)?)?;
            runtime()?.block_on(erase::run(&config, &options, &SystemClock, &mut out))?
        }
        Command::Webhook(Webhook::Explain { files }) => {
            webhook::explain(&files, given.as_deref(), &SystemClock, &mut out)?
        }
        Command::Webhook(Webhook::Send { file, to, host }) => {
            runtime()?.block_on(webhook::send(&file, &to, host.as_deref(), &mut out))?
        }
        Command::Doctor(options) => {
            runtime()?.block_on(doctor::run(&options, given.as_deref(), &SystemClock, &mut out))?
        }
        Command::Snippet(options) => snippet::run(&load(&locate(given)?)?, &options, &mut out)?,
    };
    out.flush()?;
    Ok(code)
}

/// Whether whoever read the results has gone, which is no fault of this process (`usher codes list | head`).
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let broken = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
    error.chain().any(|cause| {
        cause.downcast_ref::<io::Error>().is_some_and(broken)
            || cause
                .downcast_ref::<csv::Error>()
                .is_some_and(|error| matches!(error.kind(), csv::ErrorKind::Io(error) if broken(error)))
    })
}

/// Writes a line for the person at the terminal, who may have closed it.
pub(crate) fn complain(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

fn demo(options: &Demo) -> anyhow::Result<ExitCode> {
    let runtime = runtime()?;
    match options.upstream_only {
        true => runtime.block_on(demo::upstream_only(options.listen, Arc::new(SystemClock)))?,
        false => runtime.block_on(demo::run(options.port, options.store.as_deref()))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the runtime")
}

/// The configuration file that was named, or the first that is there.
fn locate(given: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    let found = given.or_else(|| PLACES.iter().map(PathBuf::from).find(|path| path.exists()));
    found.ok_or_else(|| {
        let [here, system] = PLACES;
        anyhow!("there is no ./{here} and no {system}; name a file with --config, or try `usher demo`, which needs none")
    })
}

/// A configuration that can be served; its errors go to standard error.
fn load(path: &Path) -> anyhow::Result<Config> {
    config::load(path, &ProcessEnv).map_err(|findings| refused(path, &findings))
}

/// A configuration for a command that needs the store and no secret but its address.
fn load_for_store(path: &Path) -> anyhow::Result<Config> {
    config::load_for_store(path, &ProcessEnv).map_err(|findings| refused(path, &findings))
}

/// The store, for a command beside the service.
async fn open(config: &Config) -> anyhow::Result<Arc<dyn Store>> {
    let sites: Vec<SiteName> = config.sites.iter().map(|site| site.name.clone()).collect();
    let store = usher_store::open(config.store_url.expose(), &sites, Role::Tool).await;
    store.with_context(|| format!("cannot open the store {}", config.store_url))
}

/// The same for a command that only looks after what is in it: an empty one would tell that nothing is there.
async fn open_filled(config: &Config) -> anyhow::Result<Arc<dyn Store>> {
    if let Some(file) = config.store_url.file()
        && !file.exists()
    {
        bail!(
            "the store {} is not there; `usher serve` makes it, beside the configuration file when its path is relative",
            config.store_url
        );
    }
    open(config).await
}

/// What can be lost is said once, when the service begins. Whether the store answers is said by the one who waits for it.
async fn warn_of_store(store: &config::StoreUrl) {
    for weak in usher_store::weaknesses(store.expose()).await.unwrap_or_default() {
        tracing::warn!("store.url {}; {}", weak.what, weak.mend);
    }
}

fn refused(path: &Path, findings: &[config::Finding]) -> anyhow::Error {
    findings.iter().filter(|finding| finding.is_error()).for_each(|finding| complain(&finding.to_string()));
    anyhow!("{} cannot be used: {}", path.display(), check::count(findings))
}

/// The site that was named, or all of them.
fn chosen(config: &Config, named: Option<&str>) -> anyhow::Result<Vec<SiteName>> {
    match named {
        Some(_) => Ok(vec![choose(&config.sites, named)?.name.clone()]),
        None => Ok(config.sites.iter().map(|site| site.name.clone()).collect()),
    }
}

/// The site that was named, or the only one.
fn choose<'a>(sites: &'a [Site], named: Option<&str>) -> anyhow::Result<&'a Site> {
    let names = || sites.iter().map(|site| site.name.as_str()).collect::<Vec<_>>().join(", ");
    match (named, sites) {
        (None, [only]) => Ok(only),
        (None, _) => bail!("there are several sites; choose one with --site: {}", names()),
        (Some(name), _) => sites
            .iter()
            .find(|site| site.name.as_str() == name)
            .ok_or_else(|| anyhow!("there is no site {name:?}; the configuration has: {}", names())),
    }
}
