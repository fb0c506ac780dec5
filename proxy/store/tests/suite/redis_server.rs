//! A real redis-server of one's own: on a loopback address and port that nobody else has, in a folder of its own.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU8, Ordering},
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// Killed when it is dropped.
pub(crate) struct RedisServer {
    address: SocketAddr,
    folder: TempDir,
    arguments: Vec<String>,
    process: Child,
}

impl RedisServer {
    /// Starts one with these settings beside its own, and waits until it answers.
    pub(crate) async fn start(settings: &[&str]) -> Self {
        let (address, folder) = place();
        let mut arguments = on_disk(address, &folder);
        arguments.extend(settings.iter().map(|&setting| setting.to_owned()));
        Self::run(address, folder, arguments).await
    }

    /// A replica of `primary`, and waits until it follows.
    pub(crate) async fn replica_of(primary: &Self) -> Self {
        let (ip, port) = (primary.address.ip().to_string(), primary.address.port().to_string());
        let (address, folder) = place();
        let mut arguments = on_disk(address, &folder);
        // Its primary would tell Sentinels the address that the connection came from.
        let own =
            ["--replicaof", &format!("{ip} {port}"), "--replica-announce-ip", &address.ip().to_string()];
        arguments.extend(own.map(str::to_owned));
        let replica = Self::run(address, folder, arguments).await;
        replica.says(&["INFO", "replication"], "master_link_status:up").await;
        replica
    }

    /// A server of a cluster that does not know the others yet.
    pub(crate) async fn node() -> Self {
        let (address, folder) = place();
        let mut arguments = on_disk(address, &folder);
        let (ip, bus) = (address.ip().to_string(), free_address().port().to_string());
        let cluster = ["--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--cluster-port", &bus];
        // The others would take the address that its connections come from.
        arguments.extend(cluster.into_iter().chain(["--cluster-announce-ip", &ip]).map(str::to_owned));
        Self::run(address, folder, arguments).await
    }

    /// A Sentinel that watches `primary` under the name `name` and gives it up after half a second.
    pub(crate) async fn sentinel(name: &str, primary: &Self, quorum: u8) -> Self {
        let (address, folder) = place();
        let (ip, port) = (address.ip(), address.port());
        let lines = [
            format!("bind {ip}"),
            format!("port {port}"),
            format!("sentinel announce-ip {ip}"),
            format!("sentinel announce-port {port}"),
            format!("sentinel monitor {name} {} {} {quorum}", primary.address.ip(), primary.address.port()),
            format!("sentinel down-after-milliseconds {name} 500"),
            format!("sentinel failover-timeout {name} 3000"),
        ];
        let file = folder.path().join("sentinel.conf");
        std::fs::write(&file, lines.join("\n")).expect("written");
        let arguments = vec![file.display().to_string(), "--sentinel".to_owned()];
        Self::run(address, folder, arguments).await
    }

    /// All that it holds, as it writes it to the disk.
    pub(crate) async fn bytes(&self) -> Vec<u8> {
        self.command(&["CONFIG", "SET", "rdbcompression", "no"]).await;
        self.command(&["SAVE"]).await;
        std::fs::read(self.folder.path().join("dump.rdb")).expect("a snapshot")
    }

    async fn run(address: SocketAddr, folder: TempDir, arguments: Vec<String>) -> Self {
        let process = spawn(&arguments);
        let mut server = Self { address, folder, arguments, process };
        server.answers().await;
        server
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// Sends one command as redis-cli would, over a connection of its own; the reply as it came.
    pub(crate) async fn command(&self, words: &[&str]) -> String {
        ask(self.address, words).await.expect("a reply")
    }

    /// The same where the server may close the connection, as one does that changes its role; empty then.
    pub(crate) async fn tried(&self, words: &[&str]) -> String {
        ask(self.address, words).await.unwrap_or_default()
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.process.kill().expect("killed");
        self.process.wait().expect("reaped");
    }

    /// Starts it again where it was, with what it had on disk.
    pub(crate) async fn restart(&mut self) {
        assert!(self.folder.path().is_dir(), "its data is there");
        self.process = spawn(&self.arguments);
        self.answers().await;
    }

    /// Waits until it answers a command with something that holds these words.
    pub(crate) async fn says(&self, command: &[&str], words: &str) {
        let mut last = String::new();
        for _ in 0..2_000 {
            last = ask(self.address, command).await.unwrap_or_default();
            if last.contains(words) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{} answers {command:?} without {words:?}: {last}", self.address);
    }

    /// Stops (`STOP`) or continues (`CONT`) it.
    pub(crate) fn signal(&self, name: &str) {
        let status =
            Command::new("kill").args([&format!("-{name}"), &self.process.id().to_string()]).status();
        assert!(status.expect("kill runs").success());
    }

    async fn answers(&mut self) {
        for _ in 0..1_000 {
            if ask(self.address, &["PING"]).await.is_ok_and(|reply| reply.starts_with("+PONG")) {
                return;
            }
            if let Some(status) = self.process.try_wait().expect("its state") {
                panic!("redis-server ended: {status}");
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("redis-server does not answer on {}", self.address);
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// As durable as a Redis can be.
fn on_disk(address: SocketAddr, folder: &TempDir) -> Vec<String> {
    let (ip, port) = (address.ip().to_string(), address.port().to_string());
    let folder = folder.path().display().to_string();
    let arguments = ["--bind", &ip, "--port", &port, "--dir", &folder, "--daemonize", "no"].into_iter();
    let durable = ["--save", "", "--appendonly", "yes", "--appendfsync", "always"];
    arguments.chain(durable).map(str::to_owned).collect()
}

fn spawn(arguments: &[String]) -> Child {
    let mut command = Command::new("redis-server");
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap_or_else(|why| panic!("install redis-server: `cargo xtask test` does it ({why})"))
}

fn place() -> (SocketAddr, TempDir) {
    (free_address(), tempfile::tempdir().expect("a folder"))
}

/// A loopback address that no other test uses, where the system has more than one: clients that try to reconnect to a
/// closed port of 127.0.0.1 could be given that very port as their own and answer themselves.
fn free_address() -> SocketAddr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let own = Ipv4Addr::new(127, high.max(1), low, NEXT.fetch_add(1, Ordering::Relaxed));
    let listener = TcpListener::bind((IpAddr::V4(own), 0)).or_else(|_| TcpListener::bind("127.0.0.1:0"));
    listener.and_then(|listener| listener.local_addr()).expect("an address")
}

async fn ask(address: SocketAddr, words: &[&str]) -> std::io::Result<String> {
    let mut request = format!("*{}\r\n", words.len());
    for word in words {
        request.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut reply = vec![0; 64 * 1024];
    let read = stream.read(&mut reply).await?;
    Ok(String::from_utf8_lossy(&reply[..read]).into_owned())
}
