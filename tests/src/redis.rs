//! A real `redis-server` in a directory of its own.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::Command;

use tempfile::TempDir;

use crate::process::Process;

/// A running Redis that keeps its data as well as Redis can (`appendfsync always`).
pub struct RedisServer {
    process: Process,
    port: u16,
    directory: TempDir,
}

impl RedisServer {
    /// Starts one and waits until it takes connections.
    ///
    /// # Panics
    /// When there is no `redis-server` or it does not start.
    pub async fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory for Redis");
        // Redis cannot say which port the kernel gave it, so one that was free a moment ago is handed to it.
        let probe = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("the kernel has a port");
        let port = probe.local_addr().expect("it is bound").port();
        drop(probe);
        let process = launch(port, &directory);
        process
            .said("that it is ready", |line| line.contains("Ready to accept connections").then_some(()))
            .await;
        Self { process, port, directory }
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
        self.process = launch(self.port, &self.directory);
        let ready = |line: &str| line.contains("Ready to accept connections").then_some(());
        self.process.said("that it is ready", ready).await;
    }
}

fn launch(port: u16, directory: &TempDir) -> Process {
    let mut command = Command::new("redis-server");
    command.current_dir(directory.path()).args(["--bind", "127.0.0.1", "--port", &port.to_string()]);
    command.args(["--save", "", "--appendonly", "yes", "--appendfsync", "always", "--daemonize", "no"]);
    Process::start("redis-server", &mut command)
}
