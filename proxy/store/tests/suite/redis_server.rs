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
    settings: Vec<String>,
    process: Child,
}

impl RedisServer {
    /// Starts one with these settings beside its own, and waits until it answers.
    pub(crate) async fn start(settings: &[&str]) -> Self {
        let settings: Vec<String> = settings.iter().map(|&setting| setting.to_owned()).collect();
        let address = free_address();
        let folder = tempfile::tempdir().expect("a folder");
        let process = spawn(address, &folder, &settings);
        let mut server = Self { address, folder, settings, process };
        server.answers().await;
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// Sends one command as redis-cli would, over a connection of its own; the reply as it came.
    pub(crate) async fn command(&self, words: &[&str]) -> String {
        ask(self.address, words).await.expect("a reply")
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.process.kill().expect("killed");
        self.process.wait().expect("reaped");
    }

    /// Starts it again where it was, with what it had on disk.
    pub(crate) async fn restart(&mut self) {
        self.process = spawn(self.address, &self.folder, &self.settings);
        self.answers().await;
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

fn spawn(address: SocketAddr, folder: &TempDir, settings: &[String]) -> Child {
    let mut command = Command::new("redis-server");
    command
        .args(["--bind", &address.ip().to_string(), "--port", &address.port().to_string()])
        .args(["--save", "", "--appendonly", "yes", "--appendfsync", "always", "--daemonize", "no"])
        .arg("--dir")
        .arg(folder.path())
        .args(settings)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.spawn().unwrap_or_else(|why| panic!("install redis-server: `cargo xtask test` does it ({why})"))
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
