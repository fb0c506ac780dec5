//! HTTP over TLS: certificates from a folder, by the name that the client asks for.

use std::net::SocketAddr;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use serde_json::json;
use tempfile::TempDir;
use usher_tests::{Authority, Browser, Edge, HOST, PROGRAM, Standin, eventually};

/// An edge with a certificate for its host and none for the other hosts that it has, and the folder.
async fn edge(standin: &Standin, authority: &Authority) -> (Edge, TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    authority.issue(&[HOST, "other.example"], 30, folder.path(), "shop");
    let edge = Edge::builder(standin).tls(&format!("certificates = {:?}", folder.path())).start().await;
    (edge, folder)
}

fn click() -> Request<Full<Bytes>> {
    let body =
        json!({"programId": PROGRAM, "trackingId": "alice", "userAgent": "Mozilla/5.0", "referrer": ""});
    Request::post(format!("https://{HOST}/r/track"))
        .header("content-type", "application/json")
        .header("user-agent", "Mozilla/5.0 (X11; Linux x86_64) Chrome/140.0.0.0")
        .body(Full::new(body.to_string().into()))
        .expect("a request")
}

#[tokio::test]
async fn both_protocols_are_served_and_cookies_are_for_tls_alone() {
    let (standin, authority) = (Standin::start().await, Authority::new());
    let (edge, _folder) = edge(&standin, &authority).await;
    let browser = Browser::trusting(authority.pem());
    for protocol in ["http/1.1", "h2"] {
        let script = format!("https://{HOST}/r/pixel.js");
        let answer = browser.get(edge.https(), protocol, &script).await.expect("an answer").expect(200);
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{protocol}");

        let answer = browser.send(edge.https(), protocol, click()).await.expect("an answer").expect(200);
        let cookie = answer.cookie("affonso_referral").expect("a cookie");
        assert_eq!(cookie.attribute("secure"), Some(""), "{protocol}: {cookie:?}");
    }
    let plain = edge.track("alice").await.cookie("affonso_referral").expect("a cookie");
    assert_eq!(plain.attribute("secure"), None, "plain HTTP stays as it was");
    let elsewhere = browser.get(edge.https(), "h2", "https://other.example/").await;
    assert!(elsewhere.is_err(), "no site has that host, though the certificate has");
}

#[tokio::test]
async fn a_name_that_is_not_served_gets_no_certificate() {
    let (standin, authority) = (Standin::start().await, Authority::new());
    let (edge, _folder) = edge(&standin, &authority).await;
    let browser = Browser::trusting(authority.pem());
    assert!(browser.certificate(edge.https(), HOST).await.is_ok());
    assert!(
        browser.certificate(edge.https(), "127.0.0.1").await.is_err(),
        "it is for a name, not for the address"
    );
    // Configured without a certificate, not configured, and a validation that nobody asked for.
    for host in ["localhost", "www.shop.example", "other.example", "unknown.example"] {
        let refused = browser.certificate(edge.https(), host).await.expect_err("no certificate");
        assert!(refused.to_string().contains("alert"), "{host}: {refused}");
    }
    assert!(browser.greet(edge.https(), HOST, &["acme-tls/1"]).await.is_err());
    assert_eq!(edge.get("/.well-known/acme-challenge/token").send().await.status, 404);
}

#[tokio::test]
async fn a_new_certificate_is_served_within_seconds_and_another_folder_by_a_reload() {
    let (standin, authority) = (Standin::start().await, Authority::new());
    let (edge, folder) = edge(&standin, &authority).await;
    let browser = Browser::trusting(authority.pem());
    let at: SocketAddr = edge.https();
    let first = browser.certificate(at, HOST).await.expect("a certificate");
    authority.issue(&[HOST, "localhost"], 60, folder.path(), "shop");
    eventually("the new certificate is served", async || {
        let shown = browser.certificate(at, HOST).await.expect("no handshake fails meanwhile");
        (shown != first).then_some(())
    })
    .await;
    assert!(browser.certificate(at, "localhost").await.is_ok(), "it covers another host of the site");

    // Another folder, by SIGHUP.
    let other = folder.path().join("other");
    let later = Authority::new();
    later.issue(&[HOST], 10, &other, "later");
    let text = std::fs::read_to_string(edge.config()).expect("it is there");
    let text = text.replace(&format!("{:?}", folder.path()), &format!("{other:?}"));
    std::fs::write(edge.config(), text).expect("it is written");
    edge.process().signal("HUP");
    let browser = Browser::trusting(later.pem());
    eventually("the other folder is served", async || browser.certificate(at, HOST).await.ok().map(|_| ()))
        .await;
}

#[tokio::test]
async fn check_reads_the_certificates_as_serve_would() {
    let (standin, authority) = (Standin::start().await, Authority::new());
    let (edge, folder) = edge(&standin, &authority).await;
    let check = async || {
        let output = edge.usher(&["check"]).await;
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (code, said) = check().await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("warning: tls.certificates has no certificate for localhost"), "{said}");

    authority.issue(&["foreign.example"], 30, folder.path(), "foreign");
    let (code, said) = check().await;
    assert!(
        code == Some(0) && said.contains("and no site has such a host; add the host to a site"),
        "{said}"
    );

    authority.issue(&[HOST], 30, folder.path(), "spoilt");
    std::fs::copy(folder.path().join("shop.key"), folder.path().join("spoilt.key")).expect("it is copied");
    let (code, said) = check().await;
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("error: tls.certificates holds ") && said.contains("spoilt.crt, which does not fit"),
        "{said}"
    );

    std::fs::remove_dir_all(folder.path()).expect("it is removed");
    let (code, said) = check().await;
    assert!(
        code == Some(1) && said.contains("error: tls.certificates cannot be used: cannot read"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hand_over_fails_no_handshake_and_the_heir_keeps_the_certificates() {
    let (standin, authority) = (Standin::start().await, Authority::new());
    let (mut edge, folder) = edge(&standin, &authority).await;
    let (browser, at) = (Browser::trusting(authority.pem()), edge.https());
    let first = browser.certificate(at, HOST).await.expect("a certificate");
    let (over, mut asked) = tokio::sync::oneshot::channel::<()>();
    let client = tokio::spawn({
        let browser = browser.clone();
        async move {
            let (mut all, mut failed) = (0, Vec::new());
            while asked.try_recv().is_err() {
                all += 1;
                failed.extend(browser.certificate(at, HOST).await.err());
            }
            (all, failed)
        }
    });

    let before = edge.process().said_so_far();
    edge.process().signal("USR2");
    let words = " handed over to=";
    let heir = |line: &str| line.rsplit_once(words)?.1.trim().parse::<u32>().ok();
    let heir = edge.process().said_after(before, words, heir).await;
    edge.process_mut().succeeded_by(heir);
    authority.issue(&[HOST], 60, folder.path(), "shop");
    eventually("the heir serves the new certificate", async || {
        (browser.certificate(at, HOST).await.ok()? != first).then_some(())
    })
    .await;
    over.send(()).expect("the client runs");
    let (all, failed) = client.await.expect("it does not panic");
    assert!(failed.is_empty() && all > 20, "of {all}: {failed:?}");
}
