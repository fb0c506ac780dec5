//! `usher doctor`: a live set-up, seen as a browser and a blocker see it.
//!
//! The rules (`safari`, `csp` and `policy`, `set_cookie` and `cookies`, `address`, `lists`, `names`) know no network; what asks
//! the network (`dns`, `tls`, `fetch`) knows no rules. `target` finds out what there is, `hosts`, `files` and `visit` look at it.

mod address;
mod cookies;
mod csp;
mod dns;
mod fetch;
mod files;
mod hosts;
mod lists;
mod names;
mod page;
mod policy;
mod safari;
mod script;
mod set_cookie;
mod target;
mod tls;
mod verdict;
mod visit;

use crate::{
    cli,
    config::{self, Env, ProcessEnv},
};
use anyhow::Context;
use dns::Dns;
use fetch::Net;
use lists::Lists;
use std::{
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};
use target::Target;
use tls::Trust;
use usher_model::{Clock, Secret, Site};

/// Looks at everything and prints a verdict a line; fails when something will not hold.
pub(super) async fn run(
    options: &cli::Doctor,
    given: Option<&Path>,
    clock: &dyn Clock,
    out: &mut dyn Write,
) -> anyhow::Result<ExitCode> {
    let net = Net {
        dns: Dns::new(options.dns),
        is_dns_told: options.dns.is_some(),
        trust: Trust::new(options.ca.as_deref(), options.insecure)?,
        places: options.resolve.iter().map(|to| ((to.host.clone(), to.port), to.address)).collect(),
    };
    let lists = if options.lists.is_empty() { None } else { Some(Lists::load(&options.lists)?) };
    let site = site(given, &fetch::host_of(&options.url)?)?;
    let key = key(options, site.as_ref())?;

    let (target, mut verdicts) = Target::find(&net, options, site).await?;
    let hosts = hosts::look(&net, &target, clock).await;
    verdicts.extend(hosts.verdicts);
    let files = files::look(&net, &target).await;
    verdicts.extend(files.verdicts);
    verdicts.extend(visit::policies(&target, files.names.as_ref()));
    verdicts.extend(visit::caching(&target));
    let click =
        visit::Click { options, names: files.names.as_ref(), safari: &hosts.safari, now: clock.now() };
    verdicts.extend(click.look(&net, &target).await);
    verdicts.extend(visit::address(&net, &target, key.as_ref()).await);
    verdicts.extend(names::look(&target, files.names.as_ref(), &hosts.aliases, lists.as_ref()));

    match options.json {
        true => verdict::write_json(&verdicts, out)?,
        false => verdict::write_lines(options.url.host_str().unwrap_or_default(), &verdicts, out)?,
    }
    Ok(if verdict::any_fails(&verdicts) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The site that has this host: of the configuration that was named, or of one in the usual places. The secrets that only the
/// service needs may be missing.
fn site(given: Option<&Path>, host: &str) -> anyhow::Result<Option<Site>> {
    let config = match given {
        Some(path) => super::load_for_store(path)?,
        None => {
            let Some(path) = super::PLACES.iter().map(PathBuf::from).find(|path| path.exists()) else {
                return Ok(None);
            };
            // Nobody asked for this one: if it cannot be read, it is none of our business.
            let Ok(config) = config::load_for_store(&path, &ProcessEnv) else { return Ok(None) };
            config
        }
    };
    let mut sites = config.sites.into_iter();
    let found = sites.find(|site| site.hosts.iter().any(|known| known == host));
    anyhow::ensure!(found.is_some() || given.is_none(), "no site of the configuration has the host {host}");
    Ok(found)
}

fn key(options: &cli::Doctor, site: Option<&Site>) -> anyhow::Result<Option<Secret>> {
    match &options.api_key_env {
        Some(name) => {
            let value = ProcessEnv.var(name).filter(|value| !value.is_empty());
            Ok(Some(Secret::new(value.with_context(|| format!("the environment has no {name}"))?)))
        }
        None => Ok(site.and_then(|site| site.api_keys.first().cloned())),
    }
}
