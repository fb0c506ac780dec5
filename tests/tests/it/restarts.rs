//! Reload, hand-over, and what the service manager is told.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::json;
use usher_tests::{Edge, HOST, KEY, Process, Sale, Standin, eventually, get, raw, usher};

/// Writes a change into an edge's configuration and has it read.
async fn reload(edge: &Edge, change: impl Fn(&str) -> String) {
    let text = fs::read_to_string(edge.config()).expect("the configuration");
    fs::write(edge.config(), change(&text)).expect("it is written");
    said_after(edge, "HUP", " reloaded ").await;
}

/// Sends a signal and waits for what is said then.
async fn said_after(edge: &Edge, signal: &str, words: &str) -> String {
    let before = edge.process().said_so_far();
    edge.process().signal(signal);
    let is_it = |line: &str| line.contains(words).then(|| line.to_owned());
    edge.process().said_after(before, words, is_it).await
}

/// Has an edge hand over, and follows.
async fn hand_over(edge: &mut Edge) {
    let said = said_after(edge, "USR2", " handed over to=").await;
    let heir = said.rsplit_once('=').and_then(|(_, process)| process.trim().parse().ok());
    edge.process_mut().succeeded_by(heir.expect("a process"));
}

async fn snippet_at(address: SocketAddr, host: &str) -> u16 {
    get(address, "/r/pixel.js").host(host).send().await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_adds_a_site_with_its_codes_and_takes_one_away() {
    let standin = Standin::start().await;
    let edge = Edge::builder(&standin).start().await;
    let other = "\n[[site]]\nname = \"other\"\nhosts = [\"other.example\"]\nprogram = \"other\"\n\
                 names_secret = \"others\"\napi_keys = [\"others\"]\n";
    assert_eq!(snippet_at(edge.http(), "other.example").await, 421);
    let with_both = fs::read_to_string(edge.config()).expect("the configuration") + other;
    fs::write(edge.config(), &with_both).expect("it is written");
    let added = edge.usher(&["codes", "--site", "other", "add", "FIRST", "--affiliate", "carol"]).await;
    assert!(added.status.success(), "{added:?}");

    reload(&edge, str::to_owned).await;
    assert_eq!(snippet_at(edge.http(), "other.example").await, 200);
    let code = get(edge.http(), "/r/codes/FIRST").host("other.example").header("user-agent", "Mozilla/5.0");
    code.visitor("198.51.100.8").send().await.expect(200);
    let added = edge.usher(&["codes", "--site", "other", "add", "SECOND", "--affiliate", "carol"]).await;
    assert!(added.status.success(), "{added:?}");
    eventually("a code that came after the reload", async || {
        let code =
            get(edge.http(), "/r/codes/SECOND").host("other.example").header("user-agent", "Mozilla/5.0");
        (code.visitor("198.51.100.9").send().await.status == 200).then_some(())
    })
    .await;

    reload(&edge, |text| text.replace(HOST, "new.example").replace(other, "")).await;
    let [old, new, gone] = [HOST, "new.example", "other.example"].map(|host| snippet_at(edge.http(), host));
    assert_eq!((old.await, new.await, gone.await), (421, 200, 421));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_was_refused_is_mended_by_a_reload() {
    let standin = Standin::start().await;
    standin.settings(json!({"api_key": "the-right-key"})).await;
    let edge = Edge::builder(&standin).upstream("api_key", "\"a-wrong-key\"").start().await;
    let click = edge.track("alice").await.json();
    let click = click["cid"].as_str().expect("a click");
    edge.sell(&Sale::new("order-1", "10").referral(click)).await;
    edge.process()
        .said("that the key is refused", |line| line.contains("refuses upstream.api_key").then_some(()))
        .await;
    reload(&edge, |text| text.replace("a-wrong-key", "the-right-key")).await;
    // By itself it would be tried again after a minute.
    let start = Instant::now();
    standin.conversion("order-1").await;
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_moves_listeners_and_keeps_those_that_stay() {
    let standin = Standin::start().await;
    let edge = Edge::builder(&standin).start().await;
    let free = TcpListener::bind("127.0.0.1:0").expect("a port");
    let second = free.local_addr().expect("an address");

    // The address is taken: nothing of the file takes effect.
    let before = fs::read_to_string(edge.config()).expect("the configuration");
    let both = format!("http = [\"{}\", \"{second}\"]", edge.http());
    let moved = before.replace("http = \"127.0.0.1:0\"", &both).replace(HOST, "new.example");
    fs::write(edge.config(), &moved).expect("it is written");
    let refused = said_after(&edge, "HUP", " not reloaded; ").await;
    assert!(refused.contains(&second.to_string()) && refused.contains("server.http"), "{refused}");
    assert_eq!(snippet_at(edge.http(), HOST).await, 200);

    drop(free);
    said_after(&edge, "HUP", " reloaded ").await;
    assert_eq!(snippet_at(edge.http(), "new.example").await, 200);
    assert_eq!(snippet_at(second, "new.example").await, 200);

    let first = format!("\"{}\", ", edge.http());
    reload(&edge, |text| text.replace(&first, "")).await;
    assert_eq!(snippet_at(second, "new.example").await, 200);
    eventually("nobody listens where the file does not say so", async || {
        raw(edge.http(), b"").await.is_err().then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_change_while_it_runs_refuses_the_whole_file() {
    let standin = Standin::start().await;
    let edge = Edge::builder(&standin).start().await;
    let text = fs::read_to_string(edge.config()).expect("the configuration");
    let database = edge.database().display().to_string();
    fs::write(edge.config(), text.replace(&database, "elsewhere.db").replace(HOST, "new.example"))
        .expect("written");
    let refused = said_after(&edge, "HUP", " not reloaded; ").await;
    assert!(refused.contains("store.url cannot change while the service runs: restart it"), "{refused}");
    assert_eq!(
        (snippet_at(edge.http(), HOST).await, snippet_at(edge.http(), "new.example").await),
        (200, 421)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_successor_that_cannot_start_changes_nothing() {
    let standin = Standin::start().await;
    let edge = Edge::builder(&standin).start().await;
    let good = fs::read_to_string(edge.config()).expect("the configuration");
    fs::write(edge.config(), format!("{good}\nunheard_of = 1\n")).expect("it is written");
    said_after(&edge, "USR2", " not handed over; this process goes on").await;
    assert_eq!(snippet_at(edge.http(), HOST).await, 200);
    assert!(edge.process().transcript().contains("unheard_of"), "the reason stands in the log");
}

/// Takes the sockets, says that it is ready, and dies when it shall serve.
const DIES: &str = "#!/bin/sh\nread greeting\nprintf r >&0\nhead -c 1 > /dev/null\nexit 1\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_successor_that_fails_late_gives_back() {
    let standin = Standin::start().await;
    let mut edge = Edge::builder(&standin).start().await;
    edge.kill9();
    let folder = tempfile::tempdir().expect("a folder");
    let program = folder.path().join("usher");
    symlink(usher(), &program).expect("a link");
    let mut process = serve(Command::new(&program), edge.config());
    let address = listens(&process).await;

    fs::remove_file(&program).expect("removed");
    fs::write(&program, DIES).expect("written");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("executable");
    process.signal("USR2");
    process.said("that the other failed", |line| line.contains("the new process failed").then_some(())).await;
    assert_eq!(
        snippet_at(address, HOST).await,
        200,
        "it serves again, or keeps clients waiting until it does"
    );
    assert!(process.runs());

    // And the next one takes over.
    fs::remove_file(&program).expect("removed");
    symlink(usher(), &program).expect("a link");
    let before = process.said_so_far();
    process.signal("USR2");
    let heir = |line: &str| line.split_once(" handed over to=")?.1.trim().parse().ok();
    let heir = process.said_after(before, "that it has handed over", heir).await;
    process.succeeded_by(heir);
    assert_eq!(snippet_at(address, HOST).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hand_over_waits_for_no_download_and_cuts_none() {
    let standin = Standin::start().await;
    let (origin, rest) = slow_origin();
    let mut edge = Edge::builder(&standin).site("origin", &format!("\"http://{origin}\"")).start().await;
    let address = edge.http();
    let download = tokio::spawn(async move { get(address, "/film").host(HOST).try_send().await });
    let mut go_on = tokio::task::spawn_blocking(move || {
        rest.recv_timeout(Duration::from_secs(20)).expect("the download began")
    })
    .await
    .expect("it is not cancelled");

    let start = Instant::now();
    hand_over(&mut edge).await;
    assert_eq!(snippet_at(address, HOST).await, 200);
    assert!(start.elapsed() < Duration::from_secs(5), "it waited for the download: {:?}", start.elapsed());
    go_on.write_all(b"end").expect("written");
    drop(go_on);
    let film = download.await.expect("it ends").expect("an answer").expect(200);
    assert_eq!(&film.body[..], b"beginend");
}

/// Begins an answer; whoever receives its connection may end it.
fn slow_origin() -> (SocketAddr, mpsc::Receiver<std::net::TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let (tell, rest) = mpsc::channel();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        read_head(&mut stream);
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\nContent-Length: 8\r\n\r\nbegin")
            .expect("written");
        tell.send(stream).expect("the test waits");
    });
    (address, rest)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tunnel_outlives_a_hand_over() {
    let standin = Standin::start().await;
    let origin = TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = origin.local_addr().expect("an address");
    std::thread::spawn(move || {
        let (mut stream, _) = origin.accept().expect("a connection");
        read_head(&mut stream);
        let switch = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
        stream.write_all(switch.as_bytes()).expect("written");
        let mut word = [0; 4];
        while stream.read_exact(&mut word).is_ok() {
            stream.write_all(&word).expect("written");
        }
    });
    let mut edge = Edge::builder(&standin).site("origin", &format!("\"http://{at}\"")).start().await;
    let mut tunnel = std::net::TcpStream::connect(edge.http()).expect("a connection");
    tunnel.set_read_timeout(Some(Duration::from_secs(10))).expect("a limit");
    let ask = format!(
        "GET /chat HTTP/1.1\r\nHost: {HOST}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    tunnel.write_all(ask.as_bytes()).expect("written");
    assert!(read_head(&mut tunnel).starts_with(b"HTTP/1.1 101 "));

    let start = Instant::now();
    hand_over(&mut edge).await;
    assert!(start.elapsed() < Duration::from_secs(5), "it waited for the tunnel: {:?}", start.elapsed());
    let mut echo = [0; 4];
    tunnel.write_all(b"ping").expect("written");
    tunnel.read_exact(&mut echo).expect("the old process carries it still");
    assert_eq!(&echo, b"ping");
}

/// Reads up to the empty line.
fn read_head(stream: &mut std::net::TcpStream) -> Vec<u8> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("a head");
        head.push(byte[0]);
    }
    head
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_come_from_systemd() {
    let standin = Standin::start().await;
    let mut edge = Edge::builder(&standin).start().await;
    edge.kill9();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let text = fs::read_to_string(edge.config()).expect("the configuration");
    fs::write(edge.config(), text.replace("http = \"127.0.0.1:0\"", &format!("http = \"{address}\"")))
        .expect("written");
    let activate = |listener: TcpListener| {
        // What systemd does: the sockets from descriptor 3 on, for this process and no other.
        let script =
            "exec 3<&0 </dev/null; export LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=http; exec \"$@\"";
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh"]).arg(usher()).arg("serve").arg("--config").arg(edge.config());
        Process::start_on("the edge", &mut command, OwnedFd::from(listener))
    };
    let process = activate(listener.try_clone().expect("another handle"));
    assert_eq!(listens(&process).await, address);
    assert_eq!(snippet_at(address, HOST).await, 200);
    drop(process);

    // An address that the configuration does not name is said, rather than left to hang.
    let text = fs::read_to_string(edge.config()).expect("the configuration");
    fs::write(edge.config(), text.replace(&format!("\"{address}\""), "\"127.0.0.1:0\"")).expect("written");
    let other = TcpListener::bind("127.0.0.2:0").expect("a port");
    let at = other.local_addr().expect("an address");
    let process = activate(other);
    let said = process
        .said("why it does not start", |line| line.contains("systemd listens on").then(|| line.to_owned()));
    assert!(said.await.contains(&at.to_string()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_manager_is_told() {
    let standin = Standin::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("notify");
    let manager = UnixDatagram::bind(&path).expect("a socket");
    manager.set_read_timeout(Some(Duration::from_secs(20))).expect("a limit");
    let told = || {
        let mut bytes = [0; 4096];
        let length = manager.recv(&mut bytes).expect("a message");
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    };
    let environment = vec!["env".to_owned(), format!("NOTIFY_SOCKET={}", path.display())];
    let mut edge = Edge::builder(&standin).under(environment).start().await;
    assert_eq!(told(), "READY=1\n");
    reload(&edge, str::to_owned).await;
    let reloading = told();
    assert!(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{reloading}");
    assert_eq!(told(), "READY=1\n");
    hand_over(&mut edge).await;
    assert_eq!(told(), format!("MAINPID={}\nREADY=1\n", edge.process().pid()));
    edge.process().signal("TERM");
    assert_eq!(told(), "STOPPING=1\n");
    edge.process().silent().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_before_a_hand_over_is_delivered_after_it() {
    let standin = Standin::start().await;
    let mut edge = Edge::builder(&standin).start().await;
    let click = edge.track("alice").await.json();
    let click = click["cid"].as_str().expect("a click");
    standin.behave(json!({"path": "/v1/conversions", "mode": "slow", "delay_ms": 1_000, "times": 1})).await;
    let call = edge.server_call("conversions", &json!({
        "external_event_id": "order-1", "sale_amount": 10, "sale_amount_currency": "USD", "referral_id": click,
    }));
    let slow = tokio::spawn(call.bearer(KEY).send());
    eventually("the platform is asked", async || {
        (!standin.received().await.requests("/v1/conversions").is_empty()).then_some(())
    })
    .await;
    hand_over(&mut edge).await;
    let status = slow.await.expect("it ends").status;
    assert!(matches!(status, 200..=202), "{status}");
    standin.conversion("order-1").await;
    let replays = standin.received().await.conversions()[0]["replays"].as_u64();
    assert_eq!(replays.unwrap_or(0), 0, "a planned hand-over repeats nothing");
}

fn serve(mut command: Command, config: &Path) -> Process {
    command.arg("serve").arg("--config").arg(config);
    Process::start("the edge", &mut command)
}

async fn listens(process: &Process) -> SocketAddr {
    process
        .said("where it listens", |line| {
            let (_, rest) = line.split_once("listening http=")?;
            rest.split(' ').next()?.parse().ok()
        })
        .await
}
