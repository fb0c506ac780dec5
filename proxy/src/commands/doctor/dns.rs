//! Where names lie. The system's resolver does not tell aliases, so DNS is asked by ourselves.

use super::safari::Resolved;
use anyhow::{Context, anyhow};
use hickory_resolver::{
    Resolver, ResolverBuilder, TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig},
    net::runtime::TokioRuntimeProvider,
    proto::rr::{RData, Record, RecordType},
};
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};
use usher_model::limits::{DOCTOR_ALIASES, DOCTOR_STEP_MS};

/// What answers for names.
pub(super) struct Dns {
    /// Or why there is none; whoever is told all addresses needs none.
    resolver: Result<TokioResolver, String>,
}

impl Dns {
    /// Asks this server, or those that the system asks.
    pub(super) fn new(server: Option<SocketAddr>) -> Self {
        let resolver = match server {
            Some(server) => at(server),
            None => system().context("cannot read the system's resolver settings; give --dns ADDRESS:PORT"),
        };
        Self { resolver: resolver.map_err(|error| format!("{error:#}")) }
    }

    /// The aliases and addresses of a name.
    pub(super) async fn resolve(&self, host: &str) -> anyhow::Result<Resolved> {
        if let Some(address) = own_address(host) {
            return Ok(Resolved { host: host.to_owned(), aliases: Vec::new(), addresses: vec![address] });
        }
        let resolver = self.resolver.as_ref().map_err(|why| anyhow!("{why}"))?;
        let name = format!("{}.", host.trim_end_matches('.'));
        let asked = async {
            let ask = |kind| resolver.lookup(name.as_str(), kind);
            let (v4, v6) = tokio::join!(ask(RecordType::A), ask(RecordType::AAAA));
            if v4.is_err() && v6.is_err() {
                // An alias of nothing is still an alias.
                return (ask(RecordType::CNAME).await, v4);
            }
            (v4, v6)
        };
        let within = tokio::time::timeout(Duration::from_millis(DOCTOR_STEP_MS), asked).await;
        let (one, two) =
            within.map_err(|_| anyhow!("DNS did not answer within {} s", DOCTOR_STEP_MS / 1_000))?;
        if let (Err(error), Err(_)) = (&one, &two) {
            let is_unknown = error.is_no_records_found() || error.is_nx_domain();
            return Err(if is_unknown { anyhow!("DNS knows no such name") } else { anyhow!("{error}") });
        }
        let answers = [one, two].into_iter().flatten();
        let records: Vec<Record> = answers.flat_map(|answer| answer.answers().to_vec()).collect();
        Ok(follow(host, &records))
    }
}

/// Asks one server, which need not be on the usual port. What this machine's hosts file says is then of no interest.
fn at(server: SocketAddr) -> anyhow::Result<TokioResolver> {
    let on_port = |mut connection: ConnectionConfig| {
        connection.port = server.port();
        connection
    };
    let connections = vec![on_port(ConnectionConfig::udp()), on_port(ConnectionConfig::tcp())];
    let server = NameServerConfig::new(server.ip(), true, connections);
    let config = ResolverConfig::from_name_servers(vec![server]);
    let mut builder = Resolver::builder_with_config(config, TokioRuntimeProvider::default());
    builder.options_mut().use_hosts_file = ResolveHosts::Never;
    build(builder)
}

fn system() -> anyhow::Result<TokioResolver> {
    build(Resolver::builder_tokio()?)
}

fn build(mut builder: ResolverBuilder<TokioRuntimeProvider>) -> anyhow::Result<TokioResolver> {
    builder.options_mut().attempts = 2;
    builder.options_mut().timeout = Duration::from_millis(DOCTOR_STEP_MS / 4);
    Ok(builder.build()?)
}

/// What needs no DNS: addresses, and names that mean this machine (RFC 6761 section 6.3).
fn own_address(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    let local = host == "localhost" || host.ends_with(".localhost");
    bare.parse().ok().or_else(|| local.then_some(IpAddr::V4(Ipv4Addr::LOCALHOST)))
}

/// Walks from alias to alias, and collects the addresses.
fn follow(host: &str, records: &[Record]) -> Resolved {
    let plain =
        |name: &hickory_resolver::proto::rr::Name| name.to_ascii().trim_end_matches('.').to_ascii_lowercase();
    let mut next: HashMap<String, String> = HashMap::new();
    let mut resolved = Resolved { host: host.to_owned(), ..Resolved::default() };
    for record in records {
        let address = match &record.data {
            RData::CNAME(alias) => {
                next.insert(plain(&record.name), plain(&alias.0));
                continue;
            }
            RData::A(address) => IpAddr::V4(address.0),
            RData::AAAA(address) => IpAddr::V6(address.0),
            _ => continue,
        };
        if !resolved.addresses.contains(&address) {
            resolved.addresses.push(address);
        }
    }
    let mut at = host.trim_end_matches('.').to_ascii_lowercase();
    while let Some(alias) = next.remove(&at)
        && resolved.aliases.len() < DOCTOR_ALIASES
    {
        resolved.aliases.push(alias.clone());
        at = alias;
    }
    resolved.addresses.sort_by_key(|address| address.is_ipv6());
    resolved
}
