//! `[server]`: where Usher listens, and whom it believes.

use super::{
    keys,
    reader::{Section, Text, quoted},
    secrets::{Secrets, Use},
};
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// What a Caddy or nginx user would expect of a service that was given no address: every address of the machine.
const HTTP: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 8080);

/// Where health and metrics are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admin {
    /// Nowhere.
    Off,
    /// Where the file says.
    At(SocketAddr),
    /// The file does not say: at [`Admin::USUAL`], unless something else has that port, such as another edge.
    Usual,
}

impl Admin {
    /// Where it is looked for.
    pub(crate) const USUAL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9090);
}

/// What `[server]` says.
pub(super) struct Server {
    pub(super) http: Vec<SocketAddr>,
    pub(super) https: Vec<SocketAddr>,
    pub(super) admin: Admin,
    pub(super) trusted_proxies: Vec<IpNet>,
}

pub(super) fn read(root: &Section<'_>, secrets: &Secrets<'_>) -> Server {
    let Some(section) = root.section("server", keys::SERVER) else {
        return Server {
            http: vec![HTTP],
            https: Vec::new(),
            admin: Admin::Usual,
            trusted_proxies: Vec::new(),
        };
    };
    let http = listeners(&section, "http").unwrap_or_else(|| vec![HTTP]);
    let https = listeners(&section, "https").unwrap_or_default();
    for (at, clash) in https.iter().filter_map(|at| Some((at, http.iter().find(|http| same(**http, *at))?))) {
        section.place_of("https").refuse::<()>(
            format!("names {at}, where server.http {clash} is as well"),
            "give it a port of its own",
        );
    }
    if !https.is_empty() && root.get("tls").is_none() {
        section.place_of("https").refuse::<()>("has no certificates to serve with", super::tls::MEND);
    }
    let public: Vec<SocketAddr> = http.iter().chain(&https).copied().collect();
    let admin = admin(&section);
    // It guards the dashboard's API, which is not there yet; health and metrics ask for none.
    secrets.one(&section, "admin_token", Use::Bearer);
    super::unserved::warn(&section, "admin_token");
    if let Admin::At(address) = admin {
        check_admin(&section, address, &public);
    }
    let trusted_proxies: Vec<IpNet> =
        section.texts("trusted_proxies").unwrap_or_default().iter().filter_map(network).collect();
    advise(&section, &public, &trusted_proxies);
    Server { http, https, admin, trusted_proxies }
}

fn check_admin(section: &Section<'_>, address: SocketAddr, public: &[SocketAddr]) {
    let place = section.place_of("admin");
    if let Some(clash) = public.iter().find(|public| same(**public, address)) {
        place.refuse::<()>(
            format!("is {address}, where the public listener {clash} is as well"),
            "give it a port of its own",
        );
    }
    if !address.ip().is_loopback() {
        place.warn(
            "shows health and metrics to every machine that reaches it",
            "listen on 127.0.0.1, or keep others away from that port",
        );
    }
}

/// About whom it believes: too few, and every visitor has the proxy's address; too many, and visitors choose their own.
fn advise(section: &Section<'_>, public: &[SocketAddr], trusted: &[IpNet]) {
    let place = section.place_of("trusted_proxies");
    if let Some(all) = trusted.iter().find(|network| network.prefix_len() == 0) {
        place.warn(
            format!("holds {all}, so every visitor may say what their address is"),
            "name the proxies alone",
        );
    }
    if section.get("trusted_proxies").is_none() && public.iter().all(|at| at.ip().is_loopback()) {
        place.warn(
            "is missing, and only this machine reaches the public listeners: every visitor will have the proxy's address",
            "add trusted_proxies = [\"127.0.0.0/8\"]",
        );
    }
}

fn listeners(section: &Section<'_>, key: &str) -> Option<Vec<SocketAddr>> {
    let written = section.texts(key)?;
    if written.is_empty() && section.is_empty_list(key) {
        return section.place_of(key).refuse("names no address", "write one, such as \"0.0.0.0:8080\"");
    }
    let mut all: Vec<SocketAddr> = Vec::new();
    for text in &written {
        let Some(address) = address(text) else { continue };
        if let Some(earlier) = all.iter().find(|earlier| same(**earlier, address)) {
            text.place.refuse::<()>(
                format!("names {address}, where {earlier} listens as well"),
                "keep one of them",
            );
        }
        all.push(address);
    }
    Some(all)
}

fn admin(section: &Section<'_>) -> Admin {
    match section.text("admin") {
        None => Admin::Usual,
        Some(written) if written.text == "off" => Admin::Off,
        // What cannot be read has been reported.
        Some(written) => address(&written).map_or(Admin::Off, Admin::At),
    }
}

/// `ADDRESS:PORT`. Names are not looked up, but for `localhost`: what they mean may change after the check.
fn address(written: &Text<'_>) -> Option<SocketAddr> {
    let mend = "write an address and a port, such as \"127.0.0.1:8080\" or \"[::]:8080\"";
    let numeric = match written.text.strip_prefix("localhost:") {
        Some(port) => format!("{}:{port}", Ipv4Addr::LOCALHOST),
        None => written.text.to_owned(),
    };
    numeric.parse().ok().or_else(|| written.place.refuse(format!("is {}", quoted(written.text)), mend))
}

/// Whether two listeners would get in each other's way.
fn same(a: SocketAddr, b: SocketAddr) -> bool {
    let every = |address: SocketAddr| address.ip().is_unspecified();
    a.port() != 0 && a.port() == b.port() && (a.ip() == b.ip() || every(a) || every(b))
}

/// A network (`10.0.0.0/8`), or one address.
fn network(written: &Text<'_>) -> Option<IpNet> {
    let network = written.text.parse().or_else(|_| written.text.parse::<IpAddr>().map(IpNet::from));
    network.map(|network| network.trunc()).ok().or_else(|| {
        let mend = "write an address or a network, such as \"10.0.0.0/8\"";
        written.place.refuse(format!("holds {}", quoted(written.text)), mend)
    })
}
