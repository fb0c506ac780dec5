//! A real ACME directory: Debian's `pebble`, with a name server that says of every host that it is here.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http::post;
use crate::process::Process;
use crate::redis::free_port;
use crate::tls::{Authority, Browser};
use crate::wait::eventually;

/// A running directory. It forgets everything when it ends.
pub struct Pebble {
    process: Process,
    _dns: Process,
    directory: TempDir,
    browser: Browser,
    api: SocketAddr,
    management: SocketAddr,
    dns_management: SocketAddr,
}

/// How it validates, and how well it behaves.
#[derive(Clone, Copy, Debug)]
pub struct Validation {
    /// The port that it validates plain HTTP at.
    pub http_port: u16,
    /// The port that it validates handshakes at.
    pub tls_port: u16,
    /// Of a hundred good nonces it rejects so many.
    pub nonces_rejected: u8,
    /// How long its certificates live.
    pub life_s: u64,
}

impl Pebble {
    /// Starts it.
    ///
    /// # Panics
    /// When there is no `pebble` or it does not start.
    pub async fn start(validation: Validation) -> Self {
        let directory = tempfile::tempdir().expect("a directory for Pebble");
        let authority = Authority::new();
        authority.issue(&["localhost", "127.0.0.1"], 30, directory.path(), "api");
        std::fs::write(directory.path().join("ca.pem"), authority.pem()).expect("it is written");
        let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let [api, management, dns, dns_management] = [(); 4].map(|()| local(free_port()));
        let config = json!({"pebble": {
            "listenAddress": api.to_string(),
            "managementListenAddress": management.to_string(),
            "certificate": directory.path().join("api.crt"),
            "privateKey": directory.path().join("api.key"),
            "httpPort": validation.http_port,
            "tlsPort": validation.tls_port,
            "ocspResponderURL": "",
            "certificateValidityPeriod": validation.life_s,
        }});
        let file = directory.path().join("pebble.json");
        std::fs::write(&file, config.to_string()).expect("it is written");
        let names = Process::start(
            "the name server",
            Command::new("pebble-challtestsrv")
                .args([
                    "-defaultIPv4",
                    "127.0.0.1",
                    "-defaultIPv6",
                    "",
                    "-http01",
                    "",
                    "-https01",
                    "",
                    "-tlsalpn01",
                    "",
                ])
                .args(["-dns01", &dns.to_string(), "-management", &dns_management.to_string()]),
        );
        let process = Process::start(
            "Pebble",
            Command::new("pebble")
                .args(["-config", &file.display().to_string(), "-dnsserver", &dns.to_string()])
                .env("PEBBLE_VA_NOSLEEP", "1")
                .env("PEBBLE_WFE_NONCEREJECT", validation.nonces_rejected.to_string()),
        );
        let browser = Browser::trusting(authority.pem());
        let pebble = Self { process, _dns: names, directory, browser, api, management, dns_management };
        eventually("Pebble and its name server answer", async || {
            let names = tokio::net::TcpStream::connect(dns_management).await.is_ok();
            (names && pebble.root().await.is_some()).then_some(())
        })
        .await;
        pebble
    }

    /// URL of the directory.
    #[must_use]
    pub fn directory(&self) -> String {
        format!("https://localhost:{}/dir", self.api.port())
    }

    /// The file with the authority that its own certificate comes from.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    /// A browser that takes the certificates that it issues.
    ///
    /// # Panics
    /// When it does not answer.
    pub async fn browser(&self) -> Browser {
        Browser::trusting(&self.root().await.expect("Pebble answers"))
    }

    async fn root(&self) -> Option<String> {
        let url = format!("https://localhost:{}/roots/0", self.management.port());
        let answer = self.browser.get(self.management, "http/1.1", &url).await.ok()?;
        (answer.status == 200).then(|| answer.text())
    }

    /// Says that `host` is at `address`.
    ///
    /// # Panics
    /// When the name server does not take it.
    pub async fn locate(&self, host: &str, address: Ipv4Addr) {
        let record: Value = json!({"host": host, "addresses": [address.to_string()]});
        post(self.dns_management, "/add-a").json(&record).send().await.expect(200);
    }

    /// How many orders it has been given, as far as it has said so lately.
    #[must_use]
    pub fn orders(&self) -> usize {
        let said = self.process.transcript();
        let count =
            |line: &str| line.split_once("There are now ")?.1.strip_suffix(" orders in the db")?.parse().ok();
        said.lines().filter_map(count).next_back().unwrap_or(0)
    }
}
