//! The configuration file: read whole, checked whole, every finding with its line.

pub(crate) mod advice;
mod described;
mod environment;
mod finding;
mod hosts;
mod keys;
mod links;
mod origin;
mod reader;
mod secrets;
mod server;
mod site;
mod sites;
mod store_url;
mod tls;
mod unserved;
mod upstream;
mod webhook;

pub(crate) use environment::{Env, ProcessEnv};
pub(crate) use finding::{Finding, Severity};
pub(crate) use server::Admin;
pub(crate) use store_url::StoreUrl;
pub(crate) use tls::Tls;

use ipnet::IpNet;
use reader::{Report, Section};
use secrets::Secrets;
use std::{net::SocketAddr, path::Path};
use toml::de::DeTable;
use usher_model::{Secret, Site, limits};
use usher_providers::Webhook;

/// A configuration that can be served: checked, with its secrets in it.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// Where plain HTTP is served; never empty. Port 0 lets the system choose.
    pub(crate) http: Vec<SocketAddr>,
    /// Where HTTP over TLS is served.
    pub(crate) https: Vec<SocketAddr>,
    /// Where its certificates come from; always there when it is served.
    pub(crate) tls: Option<Tls>,
    /// Where health and metrics are served.
    pub(crate) admin: Admin,
    /// Who may say what the visitor's address is.
    pub(crate) trusted_proxies: Vec<IpNet>,
    /// Where codes, clicks and conversions last.
    pub(crate) store_url: StoreUrl,
    /// The affiliate platform.
    pub(crate) upstream: Upstream,
    /// At least one; no two share a name, nor a host together with a prefix.
    pub(crate) sites: Vec<Site>,
    /// Each site's webhooks, in the order of the sites.
    pub(crate) webhooks: Vec<Vec<Webhook>>,
    /// What is kept of visitors.
    pub(crate) privacy: Privacy,
    /// What works, but not as well as it could.
    pub(crate) warnings: Vec<Finding>,
}

/// The affiliate platform.
#[derive(Clone, Debug)]
pub(crate) struct Upstream {
    /// An http or https URL without a slash at its end, such as `https://api.affonso.io/v1`.
    pub(crate) base_url: String,
    /// What it knows the merchant by.
    pub(crate) api_key: Option<Secret>,
    /// What requests to it are signed with.
    pub(crate) signing_secret: Option<Secret>,
    /// How long a visitor may wait for its click id before the edge mints one, in milliseconds: 0 to 5,000.
    pub(crate) click_budget_ms: u16,
}

/// What is kept of visitors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Privacy {
    /// Whether addresses are cut to /24 and /48 before they are written.
    pub(crate) truncate_addresses: bool,
    /// How many days clicks and traces are kept, at least 35.
    pub(crate) retention_days: u16,
}

/// Reads and checks the configuration file at `path`.
///
/// # Errors
/// Every finding in the order of the file, when at least one of them is an error.
pub(crate) fn load(path: &Path, env: &dyn Env) -> Result<Config, Vec<Finding>> {
    load_as(path, env, Finding::is_error)
}

/// The same for a command that needs the store and no secret but its address: whoever looks after promo codes has no business
/// with the keys that only the service needs. Secrets that are not there are left out.
///
/// # Errors
/// As [`load`], also when the store's own address is not there.
pub(crate) fn load_for_store(path: &Path, env: &dyn Env) -> Result<Config, Vec<Finding>> {
    load_as(path, env, |finding| finding.severity == Severity::Error)
}

fn load_as(path: &Path, env: &dyn Env, stops: fn(&Finding) -> bool) -> Result<Config, Vec<Finding>> {
    let file = path.display().to_string();
    let text = env.read(path, limits::CONFIG_BYTES).map_err(|error| vec![unreadable(&file, &error)])?;
    let (table, faults) = DeTable::parse_recoverable(&text);
    let report = Report::new(file, &text);
    for fault in &faults {
        let offset = fault.span().map_or(0, |span| span.start);
        let (what, mend) = syntax(fault.message(), fault.span().and_then(|span| text.get(span)));
        report.note(Severity::Error, "", offset, what, mend);
    }
    let secrets = Secrets { env, folder: path.parent().unwrap_or(Path::new("")) };
    let config = read(&report, table.get_ref(), &secrets);
    let findings = report.finish();
    match config {
        Some(config) if !findings.iter().any(stops) => Ok(Config { warnings: findings, ..config }),
        _ => Err(findings),
    }
}

/// `None` when a required part is missing or wrong, which has then been reported.
fn read<'a>(report: &'a Report<'a>, table: &'a DeTable<'a>, secrets: &Secrets<'_>) -> Option<Config> {
    let root = Section::root(report, table, keys::ROOT);
    let server = server::read(&root, secrets);
    let store_url = store_url::read(&root, secrets);
    let upstream = upstream::read(&root, secrets);
    let sites = sites::read(&root, secrets);
    let privacy = privacy(&root);
    let (sites, webhooks): (Vec<Site>, _) = sites?.into_iter().unzip();
    let tls = tls::read(&root, secrets, &server.https, &sites, store_url.as_ref());
    Some(Config {
        http: server.http,
        https: server.https,
        tls,
        admin: server.admin,
        trusted_proxies: server.trusted_proxies,
        store_url: store_url?,
        upstream: upstream?,
        sites,
        webhooks,
        privacy,
        warnings: Vec::new(),
    })
}

/// What the TOML reader says, with the key that it leaves out.
fn syntax(message: &str, at: Option<&str>) -> (String, String) {
    match (message, at) {
        ("duplicate key", Some(key)) => {
            (format!("{} stands there twice", reader::quoted(key)), "keep one of them".to_owned())
        }
        _ => (message.to_owned(), String::new()),
    }
}

fn privacy(root: &Section<'_>) -> Privacy {
    const DAYS: std::ops::RangeInclusive<u16> = 35..=3650;
    let section = root.section("privacy", keys::PRIVACY);
    Privacy {
        truncate_addresses: section.as_ref().and_then(|s| s.flag("truncate_addresses")).unwrap_or(true),
        retention_days: section.as_ref().and_then(|s| s.whole("retention_days", DAYS)).unwrap_or(395),
    }
}

fn unreadable(file: &str, error: &std::io::Error) -> Finding {
    Finding {
        file: file.to_owned(),
        at: None,
        severity: Severity::Error,
        key: String::new(),
        what: format!("the file cannot be read: {error}"),
        mend: String::new(),
    }
}

#[cfg(test)]
mod links_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tls_tests;
#[cfg(test)]
mod webhook_tests;
