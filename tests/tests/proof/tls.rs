//! What is served by TLS, as two programs see it that look for what is wrong with servers: `testssl` (Debian), and at full size
//! `sslyze` (PyPI) with Mozilla's "intermediate" profile, <https://wiki.mozilla.org/Security/Server_Side_TLS>.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Instant;

use serde_json::Value;
use usher_tests::{Authority, Edge, Standin};

use crate::size::{SIZE, verdict};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proof() {
    let start = Instant::now();
    let (standin, authority) = (Standin::start().await, Authority::new());
    let folder = tempfile::tempdir().expect("a folder");
    authority.issue(&["localhost"], 90, folder.path(), "localhost");
    let root = folder.path().join("root");
    std::fs::write(&root, authority.pem()).expect("it is written");
    let edge = Edge::builder(&standin).tls(&format!("certificates = {:?}", folder.path())).start().await;
    let to = format!("localhost:{}", edge.https().port());

    let (findings, looked) = testssl(&to, folder.path()).await;
    let (mut holds, mut line) = (findings.is_empty() && looked > 0, String::new());
    let _ = write!(line, "testssl looked at {looked} things, {} findings {findings:?}", findings.len());
    if SIZE.is_timed {
        let judged = sslyze(&to, &root).await;
        holds &= judged.ends_with("OK - Compliant.");
        let _ = write!(line, "; sslyze, Mozilla intermediate: {judged}");
    }
    let _ = write!(line, "; {} s", start.elapsed().as_secs());
    verdict("tls", holds, &line);
}

/// What testssl finds, and how many things it looked at. Protocols and ciphers; at full size forward secrecy and known
/// vulnerabilities too.
async fn testssl(to: &str, folder: &Path) -> (Vec<String>, usize) {
    let told = folder.join("testssl.json");
    let mut command = Command::new("testssl");
    command
        .args(["--quiet", "--color", "0", "--warnings", "off", "--jsonfile"])
        .arg(&told)
        .args(["-p", "-s"]);
    if SIZE.is_timed {
        command.args(["-f", "-U"]);
    }
    let ran = run(command.arg(to)).await;
    let text = std::fs::read(&told).unwrap_or_default();
    let told: Vec<Value> = serde_json::from_slice(&text).unwrap_or_else(|error| {
        panic!("testssl says no JSON ({error}): {}", String::from_utf8_lossy(&ran.stdout))
    });
    let of = |one: &Value, key: &str| one[key].as_str().unwrap_or_default().to_owned();
    // What it warns of is what it could not look at on this machine: both are known, and neither is the server's.
    let (good, bad): (Vec<&Value>, Vec<&Value>) =
        told.iter().partition(|one| match of(one, "severity").as_str() {
            "OK" | "INFO" => true,
            "WARN" => matches!(of(one, "id").as_str(), "engine_problem" | "secure_renego"),
            _ => false,
        });
    (bad.into_iter().map(|one| format!("{}: {}", of(one, "id"), of(one, "finding"))).collect(), good.len())
}

/// The last word of sslyze.
async fn sslyze(to: &str, root: &Path) -> String {
    let program = std::env::var_os("USHER_SSLYZE").map(PathBuf::from);
    let program = program.expect("USHER_SSLYZE names sslyze; cargo xtask prove tls sets it");
    let mut command = Command::new(program);
    let ran =
        run(command.arg("--mozilla_config=intermediate").arg("--certinfo_ca_file").arg(root).arg(to)).await;
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    let (_, judged) =
        said.rsplit_once(&format!("{to}: ")).unwrap_or_else(|| panic!("sslyze has no verdict:\n{said}"));
    judged.split_whitespace().collect::<Vec<_>>().join(" ")
}

async fn run(command: &mut Command) -> Output {
    let mut own = Command::new(command.get_program());
    own.args(command.get_args());
    let ran = tokio::task::spawn_blocking(move || own.output()).await.expect("it is not cancelled");
    ran.unwrap_or_else(|error| panic!("{:?}: {error}", command.get_program()))
}
