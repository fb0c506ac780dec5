//! `[tls]`: certificates from a folder, or by ACME.

use super::{
    StoreUrl, keys,
    reader::{Section, Text, quoted},
    secrets::Secrets,
};
use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
};
use url::Url;
use usher_model::{Site, limits};

const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";
/// What somebody may do who has no certificates.
pub(super) const MEND: &str =
    "add [tls] with certificates = \"certs/\", or [tls.acme] with contact = \"mailto:you@shop.example\"";

/// Where certificates come from; at least one of the two is there.
#[derive(Clone, Debug)]
pub(crate) struct Tls {
    /// A folder of certificates and keys.
    pub(crate) certificates: Option<PathBuf>,
    /// Orders for hosts without one.
    pub(crate) acme: Option<Acme>,
}

/// How certificates are ordered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Acme {
    /// An https URL.
    pub(crate) directory: String,
    /// `mailto:` URLs.
    pub(crate) contact: Vec<String>,
    /// Asked before each order; an http or https URL.
    pub(crate) ask: Option<String>,
    /// PEM of the authorities that the directory's own certificate comes from, beside the machine's and the public ones.
    pub(crate) ca: Option<String>,
    /// Where account and certificates are kept.
    pub(crate) storage: PathBuf,
    /// The hosts that the directory can issue for.
    pub(crate) hosts: Vec<String>,
}

/// `None` when nothing is served by TLS; `https` is where it would be.
pub(super) fn read(
    root: &Section<'_>,
    secrets: &Secrets<'_>,
    https: &[SocketAddr],
    sites: &[Site],
    store: Option<&StoreUrl>,
) -> Option<Tls> {
    let section = root.section("tls", keys::TLS)?;
    let certificates = section.text("certificates").and_then(|written| folder(&written, secrets.folder));
    let acme = section.section("acme", keys::ACME).and_then(|acme| self::acme(&acme, secrets, sites, store));
    if section.get("certificates").is_none() && section.get("acme").is_none() {
        return section.place().refuse("says nothing of where certificates come from", MEND);
    }
    if https.is_empty() {
        section.place().warn(
            "changes nothing: server.https names no address",
            "add https = \"0.0.0.0:443\" below [server]",
        );
        return None;
    }
    Some(Tls { certificates, acme })
}

fn acme(
    section: &Section<'_>,
    secrets: &Secrets<'_>,
    sites: &[Site],
    store: Option<&StoreUrl>,
) -> Option<Acme> {
    let directory = match section.text("directory") {
        Some(written) => address(&written, &["https"])?,
        None => LETS_ENCRYPT.parse().ok()?,
    };
    let contact = section.texts("contact").unwrap_or_default().iter().filter_map(contact).collect();
    let ask = match section.text("ask") {
        Some(written) => Some(address(&written, &["https", "http"])?.to_string()),
        None => None,
    };
    let ca = match section.text("ca") {
        Some(written) => Some(authorities(&written, secrets)?),
        None => None,
    };
    let storage = match section.text("storage") {
        Some(written) => folder(&written, secrets.folder)?,
        None => beside(store, secrets.folder),
    };
    let is_private = ca.is_some() || !directory.host_str().is_some_and(is_public);
    // Several sites may share a host.
    let all: BTreeSet<&String> = sites.iter().flat_map(|site| &site.hosts).collect();
    let (hosts, others): (Vec<&String>, Vec<&String>) =
        all.into_iter().partition(|host| is_private || is_public(host));
    for host in others {
        section.place_of("directory").warn(
            format!("cannot issue for {host:?}, which is no name of the public DNS"),
            "put a certificate for it into the folder that tls.certificates names, or use a directory of your own",
        );
    }
    let hosts = hosts.into_iter().cloned().collect();
    Some(Acme { directory: directory.to_string(), contact, ask, ca, storage, hosts })
}

/// Whether it is a name below a suffix that the public DNS has.
fn is_public(name: &str) -> bool {
    name.parse::<IpAddr>().is_err()
        && psl::domain(name.as_bytes()).is_some_and(|domain| domain.suffix().is_known())
}

/// Relative paths begin at the configuration file's folder.
fn folder(written: &Text<'_>, base: &Path) -> Option<PathBuf> {
    match written.text {
        "" => written.place.refuse("is empty", "name a folder, such as \"certs/\""),
        text if text.starts_with('~') => {
            written.place.refuse("begins with '~', which is not looked up here", "write the whole path")
        }
        text => Some(base.join(text)),
    }
}

/// What has to outlive a restart lies together.
fn beside(store: Option<&StoreUrl>, folder: &Path) -> PathBuf {
    store.and_then(StoreUrl::file).and_then(Path::parent).unwrap_or(folder).join("acme")
}

fn address(written: &Text<'_>, schemes: &[&str]) -> Option<Url> {
    let url = Url::parse(written.text).ok().filter(|url| schemes.contains(&url.scheme()) && url.has_host());
    url.or_else(|| {
        let mend = format!("write a whole {} address", schemes.join(" or "));
        written.place.refuse(format!("is {}", quoted(written.text)), mend)
    })
}

/// RFC 8555 section 7.3; directories take no other scheme than `mailto`.
fn contact(written: &Text<'_>) -> Option<String> {
    let text = written.text;
    if text.strip_prefix("mailto:").is_some_and(|to| to.contains('@') && !to.contains([',', '?', ' '])) {
        return Some(text.to_owned());
    }
    written.place.refuse(
        format!("is {}", quoted(text)),
        "write mailto: and one address, such as \"mailto:ops@shop.example\"",
    )
}

fn authorities(written: &Text<'_>, secrets: &Secrets<'_>) -> Option<String> {
    let path = secrets.folder.join(written.text);
    let refuse = |what: String| written.place.refuse(format!("names the file {path:?}, which {what}"), "");
    match secrets.env.read(&path, limits::SECRET_BYTES) {
        Ok(text) if usher_tls::authorities(&text).is_empty() => {
            refuse("holds no certificate in PEM".to_owned())
        }
        Ok(text) => Some(text),
        Err(error) => refuse(format!("cannot be read: {error}")),
    }
}
