//! The servers behind the edge.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;
use usher_tests::{Process, eventually, repository};

use super::Seen;
use super::case::Expected;
use super::recorder::Recorder;

/// Whose reader it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A socket that takes the strictest view.
    Recorder,
    /// nginx, before such a socket: what it has read is seen there.
    Nginx,
    /// `node:http`.
    Node,
    /// `http.server`, with methods that leave bodies unread that they do not expect.
    Python,
}

impl Kind {
    /// What it tells of a request that it got whole.
    pub(crate) fn view(self, request: &Expected) -> Expected {
        let mut seen = request.clone();
        if self == Self::Python && matches!(seen.method.as_str(), "GET" | "HEAD" | "DELETE" | "OPTIONS") {
            seen.body.clear();
        }
        seen
    }
}

/// A server.
pub(crate) struct Origin {
    address: SocketAddr,
    process: Option<Process>,
    recorder: Option<Recorder>,
    directory: TempDir,
}

impl Origin {
    pub(crate) async fn start(kind: Kind) -> Self {
        let directory = tempfile::tempdir().expect("a directory for the origin");
        let script = |program: &str, name: &str| {
            let mut command = Command::new(program);
            command.arg(repository().join("tests/tests/proof/hostile").join(name));
            command.arg(directory.path().join("seen"));
            Process::start(program, &mut command)
        };
        let (address, process, recorder) = match kind {
            Kind::Recorder => {
                let recorder = Recorder::start().await;
                (recorder.address(), None, Some(recorder))
            }
            Kind::Nginx => {
                let recorder = Recorder::start().await;
                let (process, address) = nginx(directory.path(), recorder.address()).await;
                (address, Some(process), Some(recorder))
            }
            Kind::Node | Kind::Python => {
                let process = match kind {
                    Kind::Node => script("node", "origin.mjs"),
                    _ => script("python3", "origin.py"),
                };
                let port = |line: &str| line.strip_prefix("port ")?.trim().parse::<u16>().ok();
                let port = process.said("its port", port).await;
                ((Ipv4Addr::LOCALHOST, port).into(), Some(process), None)
            }
        };
        Self { address, process, recorder, directory }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// All that it got. The edge must be gone, so that nothing is under way.
    pub(crate) async fn seen(mut self) -> Seen {
        if let Some(process) = &self.process {
            process.signal("TERM");
            process.silent().await;
        }
        self.process = None;
        let mut seen = match self.recorder {
            Some(recorder) => recorder.seen().await,
            None => Seen::default(),
        };
        // As against requests that were broken off, which are none.
        let errors = fs::read_to_string(self.directory.path().join("errors")).unwrap_or_default();
        let is_refused = |line: &&str| line.contains(" client sent ") || line.contains(" client intended ");
        seen.malformed.extend(errors.lines().filter(is_refused).map(str::to_owned));
        let written = fs::read_to_string(self.directory.path().join("seen")).unwrap_or_default();
        for line in written.lines() {
            let told: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            let text = |name: &str| told[name].as_str().map(str::to_owned);
            match text("malformed") {
                Some(malformed) => seen.malformed.push(malformed),
                None => seen.requests.push(Expected {
                    case: text("case").unwrap_or_default(),
                    method: text("method").unwrap_or_default(),
                    target: text("target").unwrap_or_default(),
                    body: text("body").unwrap_or_default().chars().map(|c| c as u8).collect(),
                }),
            }
        }
        seen
    }
}

/// nginx as it comes, but for limits that let pass what the edge lets pass.
async fn nginx(directory: &Path, behind: SocketAddr) -> (Process, SocketAddr) {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    let address = free.expect("a free port");
    let folder = directory.display();
    let config = format!(
        "daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/errors info; user root;
        events {{}}
        http {{
          client_body_temp_path {folder}/1; proxy_temp_path {folder}/2; fastcgi_temp_path {folder}/3;
          uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5;
          access_log off;
          large_client_header_buffers 8 64k; client_max_body_size 0; client_body_buffer_size 1m;
          server {{
            listen {address};
            location / {{ proxy_pass http://{behind}; proxy_http_version 1.1; proxy_set_header Connection \"\"; }}
          }}
        }}"
    );
    let file = directory.join("nginx.conf");
    fs::write(&file, config).expect("its configuration is written");
    let mut command = Command::new("nginx");
    command.arg("-p").arg(directory).arg("-c").arg(&file).arg("-e").arg(directory.join("errors"));
    let process = Process::start("nginx", &mut command);
    eventually("nginx listens", async || tokio::net::TcpStream::connect(address).await.ok().map(drop)).await;
    (process, address)
}
