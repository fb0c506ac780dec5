//! The command line and the life of the process.

use std::process::{Command, Output};
use std::time::Duration;

use serde_json::json;
use usher_tests::{Edge, HOST, PROGRAM, Process, Sale, Standin, eventually, get, raw, usher};

fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output: Output = Command::new(usher()).args(arguments).output().expect("the binary runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn help_is_a_result_and_wrong_usage_is_not() {
    for command in ["serve", "check", "codes", "doctor", "snippet", "demo"] {
        let (code, out, _) = run(&[command, "--help"]);
        assert_eq!(code, Some(0), "{command}");
        assert!(out.contains("Usage"), "{command}: {out}");
    }
    for wrong in [&["no-such-command"][..], &["serve", "--no-such-option"], &["codes", "add"]] {
        let (code, out, err) = run(wrong);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{wrong:?}: {err}");
        assert!(!err.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn check_says_where_what_and_how_to_mend_it() {
    let standin = Standin::start().await;
    let edge = Edge::builder(&standin).start().await;
    let good = edge.usher(&["check"]).await;
    assert_eq!(good.status.code(), Some(0), "{}", String::from_utf8_lossy(&good.stderr));

    let text = std::fs::read_to_string(edge.config()).expect("the configuration is there");
    let bad = edge.config().with_file_name("bad.toml");
    std::fs::write(&bad, text.replace("api_keys", "api_kyes")).expect("it is written");
    let path = bad.display().to_string();
    for command in ["check", "serve"] {
        let (code, out, err) = run(&[command, "--config", &path]);
        let said = format!("{out}{err}");
        assert_eq!(code, Some(1), "{command}: {said}");
        let line = 1 + text.lines().position(|line| line.starts_with("api_keys")).expect("it has keys");
        for part in ["bad.toml", &format!(":{line}"), "api_kyes", "api_keys"] {
            assert!(said.contains(part), "{command} does not say {part}: {said}");
        }
    }
    let (code, out, err) = run(&["check", "--config", "/no/such/usher.toml"]);
    assert_eq!(code, Some(1));
    assert!(format!("{out}{err}").contains("/no/such/usher.toml"), "{out}{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tag_is_printed_for_the_site() {
    let standin = Standin::start().await;
    let edge = Edge::builder(&standin).start().await;
    let output = edge.usher(&["snippet", "--site", "shop"]).await;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for part in [PROGRAM, "data-affonso", "<script", "Next", "Tag Manager"] {
        assert!(text.contains(part), "no {part} in {text}");
    }
    assert_eq!(edge.usher(&["snippet", "--site", "other"]).await.status.code(), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_metrics_are_the_operators_alone() {
    let standin = Standin::start().await;
    let edge = Edge::builder(&standin).start().await;
    edge.track("alice").await;
    for path in ["/healthz", "/readyz"] {
        get(edge.admin(), path).send().await.expect(200);
    }
    let metrics = get(edge.admin(), "/metrics").bearer("operator").send().await.expect(200).text();
    assert!(metrics.contains("# TYPE") && metrics.contains("usher"), "{metrics}");
    for path in ["/healthz", "/readyz", "/metrics", "/api/codes"] {
        assert_eq!(edge.get(path).send().await.status, 404, "{path} on the public listener");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_term_signal_ends_it_in_order_and_nothing_is_lost() {
    let standin = Standin::start().await;
    let mut edge = Edge::builder(&standin).start().await;
    let referral = edge.track("alice").await.json()["cid"].as_str().expect("a click's id").to_owned();
    standin.behave(json!({"path": "/v1/conversions", "mode": "slow", "delay_ms": 1000, "times": 1})).await;
    let sale = Sale::new("order-1", "10").referral(&referral);
    let open = tokio::spawn(edge.sale_call(&sale).send());
    standin.shows("the sale is under way", |received| received.conversions().first().cloned()).await;
    edge.process().signal("TERM");
    let answer = open.await.expect("it is not cancelled");
    assert!(answer.status <= 202, "an open request is answered: {}", answer.text());
    eventually("the edge has ended", async || edge.ended()).await;
    edge.restart().await;
    assert!(edge.sell(&sale).await.json()["data"]["id"].is_string());
    assert_eq!(standin.received().await.conversions().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_in_no_log() {
    let standin = Standin::start().await;
    let edge = Edge::builder(&standin)
        .upstream("api_key", "\"sk_live_never_shown\"")
        .upstream("signing_secret", "\"whsec_never_shown\"")
        .start()
        .await;
    let referral = edge.track("alice").await.json()["cid"].as_str().expect("a click's id").to_owned();
    standin.behave(json!({"mode": "status", "status": 500, "times": 2})).await;
    edge.sell(&Sale::new("order-1", "10").referral(&referral)).await;
    standin.conversion("order-1").await;
    let said = edge.process().transcript();
    for secret in ["never_shown", usher_tests::KEY, "names of the shop"] {
        assert!(!said.contains(secret), "{secret} in {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rubbish_on_the_wire_harms_nobody() {
    let standin = Standin::start().await;
    let edge = Edge::builder(&standin).start().await;
    let long = format!("GET / HTTP/1.1\r\nhost: {HOST}\r\nx: {}\r\n\r\n", "y".repeat(200_000));
    let many = format!("GET / HTTP/1.1\r\nhost: {HOST}\r\n{}\r\n", "x: y\r\n".repeat(500));
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"GET\r\n\r\n",
        b"\r\n\r\n\r\n",
        b"GET /r/pixel.js HTTP/1.1\r\n\r\n",
        b"GET /r/pixel.js HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
        b"POST /r/track HTTP/1.1\r\nhost: shop.example\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /r/track HTTP/1.1\r\nhost: shop.example\r\ncontent-length: -1\r\n\r\n",
        b"GET /r/codes/%zz HTTP/1.1\r\nhost: shop.example\r\n\r\n",
        b"GET /r/codes/\xff HTTP/1.1\r\nhost: shop.example\r\n\r\n",
        b"GET http://evil.example/r/pixel.js HTTP/1.1\r\nhost: shop.example\r\n\r\n",
        long.as_bytes(),
        many.as_bytes(),
    ] {
        let answer = raw(edge.http(), bytes).await.unwrap_or_default();
        let status = String::from_utf8_lossy(&answer).split(' ').nth(1).map(str::to_owned);
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]);
        assert!(status.as_deref().is_none_or(|status| status.starts_with('4')), "{shown:?}: {status:?}");
    }
    edge.track("alice").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_prints_three_addresses_and_serves() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut command = Command::new(usher());
    command.args(["demo", "--port", "0"]).current_dir(directory.path());
    let demo = Process::start("the demo", &mut command);
    let mut addresses = Vec::new();
    for name in ["shop", "edge", "platform"] {
        let address = demo.said(name, |line| {
            let rest = line.trim().strip_prefix(name)?.trim().strip_prefix("http://")?;
            let end = rest.find(|c: char| c.is_whitespace() || c == '/').unwrap_or(rest.len());
            Some(rest[..end].to_owned())
        });
        addresses.push(address.await);
    }
    let port =
        |address: &str| address.rsplit(':').next().and_then(|port| port.parse::<u16>().ok()).expect("a port");
    let shop = std::net::SocketAddr::from(([127, 0, 0, 1], port(&addresses[0])));
    let page = get(shop, "/").header("host", &addresses[0]).send().await.expect(200);
    assert!(page.text().contains("data-affonso"), "{}", page.text());
    demo.signal("TERM");
    let mut demo = demo;
    let gone = async {
        while demo.runs() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), gone).await.expect("it ends when it is told");
}
