//! A real `redis-server` in a directory of its own.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::Command;

use tempfile::TempDir;

use crate::process::Process;
use crate::wait::eventually;

/// A running Redis that keeps its data as well as Redis can (`appendfsync always`).
pub struct RedisServer {
    process: Process,
    port: u16,
    directory: TempDir,
    arguments: Vec<String>,
}

impl RedisServer {
    /// Starts one and waits until it takes connections.
    ///
    /// # Panics
    /// When there is no `redis-server` or it does not start.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// A replica of `primary`, once it has all of its data.
    ///
    /// # Panics
    /// When it does not start or follow.
    pub async fn replica_of(primary: &Self) -> Self {
        let port = primary.port.to_string();
        let replica = Self::start_with(&["--replicaof", &format!("127.0.0.1 {port}")]).await;
        eventually("the replica follows", async || {
            replica.cli(&["INFO", "replication"]).await.contains("master_link_status:up").then_some(())
        })
        .await;
        replica
    }

    async fn start_with(more: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a directory for Redis");
        let port = free_port();
        let mut arguments: Vec<String> = ["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", ""]
            .into_iter()
            .chain(["--appendonly", "yes", "--appendfsync", "always", "--daemonize", "no"])
            .map(str::to_owned)
            .collect();
        arguments.extend(more.iter().map(|&word| word.to_owned()));
        let process = launch(&arguments, &directory);
        ready(&process).await;
        Self { process, port, directory, arguments }
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Its address as a store's URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://{}", self.address())
    }

    /// Runs `redis-cli` with these arguments and answers what it printed.
    ///
    /// # Panics
    /// When it fails.
    pub async fn cli(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("redis-cli");
        command.args(["-e", "-p", &self.port.to_string()]).args(arguments);
        let ran = tokio::task::spawn_blocking(move || command.output()).await.expect("it is not cancelled");
        let output = ran.expect("redis-cli is installed with redis-server");
        let text = String::from_utf8_lossy(&output.stdout).trim_end().to_owned();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "redis-cli {arguments:?}: {text} {complaint}");
        text
    }

    /// Writes a promo code as any other program would.
    ///
    /// # Panics
    /// When Redis refuses it.
    pub async fn put_code(&self, site: &str, code: &str, json: &str) {
        self.cli(&["HSET", &format!("usher:{site}:codes"), code, json]).await;
    }

    /// Stops it in its tracks: connections stay open and nothing answers.
    pub fn freeze(&self) {
        self.process.signal("STOP");
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.process.signal("CONT");
    }

    /// Lets it take no more data.
    pub async fn fill(&self) {
        self.cli(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]).await;
        self.cli(&["CONFIG", "SET", "maxmemory", "1"]).await;
    }

    /// Kills it as `kill -9` does.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again, with the data it had, on the port it had.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn restart(&mut self) {
        self.kill();
        self.process = launch(&self.arguments, &self.directory);
        ready(&self.process).await;
    }
}

/// A primary with two replicas, and three Sentinels that watch over them and give a primary up after half a second.
pub struct RedisGroup {
    /// The primary first.
    pub servers: Vec<RedisServer>,
    sentinels: Vec<RedisServer>,
}

impl RedisGroup {
    /// The name under which the Sentinels know the primary.
    const NAME: &str = "shop-primary";

    /// Starts them all and waits until they know of each other.
    ///
    /// # Panics
    /// When they do not.
    pub async fn start() -> Self {
        let primary = RedisServer::start().await;
        let replicas = [RedisServer::replica_of(&primary).await, RedisServer::replica_of(&primary).await];
        let mut sentinels = Vec::new();
        for _ in 0..3 {
            sentinels.push(sentinel(Self::NAME, primary.port).await);
        }
        for sentinel in &sentinels {
            eventually("the Sentinel knows everybody", async || {
                let known = sentinel.cli(&["SENTINEL", "MASTER", Self::NAME]).await;
                let knows = |what: &str| known.contains(&format!("{what}\n2\n"));
                (knows("num-slaves") && knows("num-other-sentinels")).then_some(())
            })
            .await;
        }
        let servers = [primary].into_iter().chain(replicas).collect();
        Self { servers, sentinels }
    }

    /// Its address as a store's URL: what is acknowledged is on one replica at least.
    #[must_use]
    pub fn url(&self) -> String {
        let hosts: Vec<_> = self.sentinels.iter().map(|sentinel| sentinel.address().to_string()).collect();
        format!("redis+sentinel://{}/{}?wait=1", hosts.join(","), Self::NAME)
    }
}

async fn sentinel(name: &str, primary: u16) -> RedisServer {
    let directory = tempfile::tempdir().expect("a directory for a Sentinel");
    let port = free_port();
    let settings = format!(
        "bind 127.0.0.1\nport {port}\nsentinel monitor {name} 127.0.0.1 {primary} 2\n\
         sentinel down-after-milliseconds {name} 500\nsentinel failover-timeout {name} 3000\n"
    );
    let file = directory.path().join("sentinel.conf");
    std::fs::write(&file, settings).expect("its settings are written");
    let arguments = vec![file.display().to_string(), "--sentinel".to_owned()];
    let process = launch(&arguments, &directory);
    process.said("that it watches", |line| line.contains("+monitor master").then_some(())).await;
    RedisServer { process, port, directory, arguments }
}

/// Redis cannot say which port the kernel gave it, so one that was free a moment ago is handed to it.
/// A port that was free a moment ago, for programs that cannot say which one they took.
pub(crate) fn free_port() -> u16 {
    let probe = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("the kernel has a port");
    probe.local_addr().expect("it is bound").port()
}

async fn ready(process: &Process) {
    let ready = |line: &str| line.contains("Ready to accept connections").then_some(());
    process.said("that it is ready", ready).await;
}

fn launch(arguments: &[String], directory: &TempDir) -> Process {
    let mut command = Command::new("redis-server");
    command.current_dir(directory.path()).args(arguments);
    Process::start("redis-server", &mut command)
}
