//! The edge: `usher serve` with a configuration of its own, in a directory of its own.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use tempfile::TempDir;

use crate::http::{self, Request};
use crate::process::Process;
use crate::redis::RedisServer;
use crate::standin::Standin;
use crate::{binary, wait};

/// The host of the site that every edge has.
pub const HOST: &str = "shop.example";
/// The key for its server-to-server API.
pub const KEY: &str = "key-of-the-shop";
/// Its program.
pub const PROGRAM: &str = "cm4ya9sik0009l9fbcvl9m05z";
/// How long an edge may take from being able to answer to being ready.
const READY_WITHIN: Duration = Duration::from_secs(20);

/// Where an edge keeps things.
#[derive(Clone, Debug)]
pub enum Store {
    /// The embedded store, in the edge's own directory.
    Sqlite,
    /// The store at this URL.
    Url(String),
}

impl Store {
    /// The embedded store.
    #[must_use]
    pub fn sqlite() -> Self {
        Self::Sqlite
    }

    /// A Redis of ours.
    #[must_use]
    pub fn redis(server: &RedisServer) -> Self {
        Self::Url(server.url())
    }
}

/// What an edge is to be like. The values of settings are TOML, as they stand behind the `=`.
#[must_use]
#[derive(Clone)]
pub struct Builder {
    server: BTreeMap<String, String>,
    upstream: BTreeMap<String, String>,
    site: BTreeMap<String, String>,
    store: Store,
    under: Vec<String>,
    tls: Option<String>,
}

impl Builder {
    /// Where it keeps things; the embedded store unless said otherwise.
    pub fn store(mut self, store: Store) -> Self {
        self.store = store;
        self
    }

    /// A setting of `[server]`.
    pub fn server(mut self, key: &str, toml: &str) -> Self {
        self.server.insert(key.to_owned(), toml.to_owned());
        self
    }

    /// A setting of `[upstream]`.
    pub fn upstream(mut self, key: &str, toml: &str) -> Self {
        self.upstream.insert(key.to_owned(), toml.to_owned());
        self
    }

    /// Where the platform is, when something stands between.
    pub fn platform_at(self, address: SocketAddr) -> Self {
        self.upstream("base_url", &format!("\"http://{address}/v1\""))
    }

    /// A setting of the site.
    pub fn site(mut self, key: &str, toml: &str) -> Self {
        self.site.insert(key.to_owned(), toml.to_owned());
        self
    }

    /// Serves https too; `toml` is what stands in `[tls]`, and behind it.
    pub fn tls(mut self, toml: &str) -> Self {
        self.tls = Some(toml.to_owned());
        self.server("https", "\"127.0.0.1:0\"")
    }

    /// Runs it under another program: that program with its arguments. It must become the edge, as `strace -D` does.
    pub fn under(mut self, wrapper: Vec<String>) -> Self {
        self.under = wrapper;
        self
    }

    /// Starts it and waits until it can take traffic.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start(self) -> Edge {
        let edge = self.listen().await;
        edge.ready().await;
        edge
    }

    /// Starts it and waits until it listens, ready or not.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn listen(self) -> Edge {
        let directory = tempfile::tempdir().expect("a directory for the edge");
        let config = directory.path().join("usher.toml");
        std::fs::write(&config, self.toml(directory.path())).expect("its configuration is written");
        let process = launch(&config, &self.under);
        let (http, admin) = addresses(&process).await.expect("the edge ended before it listened");
        Edge { process, http, admin, config, directory }
    }

    fn toml(&self, directory: &Path) -> String {
        let store = match &self.store {
            Store::Sqlite => format!("sqlite:{}", database(directory).display()),
            Store::Url(url) => url.clone(),
        };
        let store = BTreeMap::from([("url".to_owned(), format!("{store:?}"))]);
        let mut text = String::new();
        let tables = [
            ("[server]", &self.server),
            ("[store]", &store),
            ("[upstream]", &self.upstream),
            ("[[site]]", &self.site),
        ];
        for (name, settings) in tables {
            let _ = writeln!(text, "{name}");
            for (key, value) in settings {
                let _ = writeln!(text, "{key} = {value}");
            }
        }
        if let Some(tls) = &self.tls {
            let _ = writeln!(text, "[tls]\n{tls}");
        }
        text
    }
}

/// A running edge.
pub struct Edge {
    process: Process,
    http: SocketAddr,
    admin: SocketAddr,
    config: PathBuf,
    directory: TempDir,
}

impl Edge {
    /// An edge with one site before a stand-in.
    pub fn builder(standin: &Standin) -> Builder {
        let table = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        let builder = Builder {
            server: table(&[
                ("http", "\"127.0.0.1:0\""),
                ("admin", "\"127.0.0.1:0\""),
                ("admin_token", "\"operator\""),
                ("trusted_proxies", "[\"127.0.0.0/8\"]"),
            ]),
            upstream: table(&[("api_key", "\"sk_live_stand_in\"")]),
            site: table(&[
                ("name", "\"shop\""),
                ("prefix", "\"/r\""),
                ("names_secret", "\"names of the shop\""),
            ]),
            store: Store::Sqlite,
            under: Vec::new(),
            tls: None,
        };
        builder
            .platform_at(standin.address())
            .site("hosts", &format!("[{HOST:?}, \"www.{HOST}\", \"localhost\"]"))
            .site("program", &format!("{PROGRAM:?}"))
            .site("api_keys", &format!("[{KEY:?}]"))
    }

    /// Where visitors reach it.
    #[must_use]
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// Where visitors reach it by TLS.
    ///
    /// # Panics
    /// When it does not serve any.
    #[must_use]
    pub fn https(&self) -> SocketAddr {
        let said = self.process.transcript();
        let line = said.lines().rfind(|line| line.contains("listening"));
        line.and_then(|line| field(line, "https")).expect("it serves https")
    }

    /// Its directory, where its relative paths begin.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Where its operator reaches it.
    #[must_use]
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// A `GET` on the site's host.
    pub fn get(&self, path: &str) -> Request {
        http::get(self.http, path).host(HOST)
    }

    /// A `POST` on the site's host.
    pub fn post(&self, path: &str) -> Request {
        http::post(self.http, path).host(HOST)
    }

    /// Kills it as `kill -9` does.
    pub fn kill9(&mut self) {
        self.process.kill();
    }

    /// Whether the process has ended; for waiting.
    pub fn ended(&mut self) -> Option<()> {
        (!self.process.runs()).then_some(())
    }

    /// Kills it if it still runs, and starts it again with what it had. Its addresses are new.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn restart(&mut self) {
        assert!(self.relaunch(&[]).await, "the edge ended before it listened");
        self.ready().await;
    }

    /// Kills it if it still runs and starts it again under another program, as [`Builder::under`] says; an empty list is
    /// none. Answers whether it came so far as to listen.
    ///
    /// # Panics
    /// When it neither listens nor ends.
    pub async fn relaunch(&mut self, under: &[String]) -> bool {
        self.process.kill();
        self.process = launch(&self.config, under);
        let addresses = addresses(&self.process).await;
        (self.http, self.admin) = addresses.unwrap_or((self.http, self.admin));
        addresses.is_some()
    }

    /// The file of the embedded store.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        database(self.directory.path())
    }

    /// Runs another `usher` command with the edge's configuration.
    ///
    /// # Panics
    /// When it cannot be run.
    pub async fn usher(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(binary::usher());
        command.args(arguments).arg("--config").arg(&self.config);
        let ran = tokio::task::spawn_blocking(move || command.output()).await.expect("it is not cancelled");
        ran.expect("the binary runs")
    }

    /// The configuration file.
    #[must_use]
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// Its process, for signals and what it has said.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// The same, for its end.
    pub fn process_mut(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Waits until it can take traffic.
    ///
    /// # Panics
    /// When it does not become ready in time.
    pub async fn ready(&self) {
        wait::eventually_within(READY_WITHIN, "the edge's /readyz", async || {
            let answer = http::get(self.admin, "/readyz").try_send().await;
            answer.is_ok_and(|answer| answer.status == 200).then_some(())
        })
        .await;
    }
}

fn database(directory: &Path) -> PathBuf {
    directory.join("usher.db")
}

fn launch(config: &Path, under: &[String]) -> Process {
    let mut words = under.iter().map(OsStr::new).chain([binary::usher().as_os_str()]);
    let mut command = Command::new(words.next().expect("at least the binary"));
    command.args(words).arg("serve").arg("--config").arg(config);
    Process::start("the edge", &mut command)
}

/// The public and the operator's address, from the line that says `listening`; `None` when it ended first.
async fn addresses(process: &Process) -> Option<(SocketAddr, SocketAddr)> {
    process
        .said_or_ended("where it listens", |line| {
            line.contains("listening").then(|| Some((field(line, "http")?, field(line, "admin")?))).flatten()
        })
        .await
}

fn field(line: &str, name: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once(&format!("{name}="))?;
    let value = rest.split(|c: char| c.is_whitespace() || c == ',').next()?;
    value.trim_matches(|c: char| matches!(c, '"' | '[' | ']')).parse().ok()
}
