//! Who is shown what, and how.

use crate::support::{Client, pair, shown, start};
use rustls::ProtocolVersion;

#[tokio::test]
async fn only_configured_hosts_have_certificates() {
    let folder = tempfile::tempdir().expect("a folder");
    let both = pair(&["shop.example", "other.example", "*.shop.example"], -1, 90);
    both.write(folder.path(), "both");
    let tls = start(folder.path(), &["shop.example", "bare.example"]).await;
    assert_eq!(shown(&tls, "shop.example").await.as_ref(), Some(&both.der));
    // By address a client names nobody: it is shown the first host's, and may judge for itself.
    let judged = Client::new(&["h2"]).greet(&tls, "127.0.0.1").await.expect_err("it is for names");
    assert!(judged.to_string().contains("invalid peer certificate"), "{judged}");
    for host in ["other.example", "a.shop.example", "bare.example", "unknown.example"] {
        let refused = Client::new(&["h2"]).greet(&tls, host).await.expect_err("no certificate");
        assert!(refused.to_string().contains("UnrecognisedName"), "{host}: {refused}");
    }
}

#[tokio::test]
async fn the_client_is_told_which_protocol() {
    let folder = tempfile::tempdir().expect("a folder");
    pair(&["shop.example"], -1, 90).write(folder.path(), "shop");
    let tls = start(folder.path(), &["shop.example"]).await;
    for (offered, chosen) in [
        (&["h2", "http/1.1"][..], Some("h2")),
        (&["http/1.1", "h2"], Some("h2")),
        (&["http/1.1"], Some("http/1.1")),
        (&["http/1.0", "http/1.1"], Some("http/1.1")),
        (&[], None),
    ] {
        let seen = Client::new(offered).greet(&tls, "shop.example").await.expect("a handshake");
        assert_eq!(seen.protocol.as_deref(), chosen.map(str::as_bytes), "{offered:?}");
    }
    // Protocols that are not spoken, and validations that nobody asked for.
    for offered in [&["spdy/3"][..], &["acme-tls/1"], &["acme-tls/1", "h2"], &["spdy/3", "acme-tls/1"]] {
        assert!(Client::new(offered).greet(&tls, "shop.example").await.is_err(), "{offered:?}");
    }
}

#[tokio::test]
async fn both_versions_are_spoken_and_no_early_data() {
    let folder = tempfile::tempdir().expect("a folder");
    pair(&["shop.example"], -1, 90).write(folder.path(), "shop");
    let tls = start(folder.path(), &["shop.example"]).await;
    assert_eq!(tls.server_config().max_early_data_size, 0);
    assert!(tls.server_config().ticketer.enabled());
    let seen = Client::new(&["h2"]).greet(&tls, "shop.example").await.expect("a handshake");
    assert_eq!(seen.version, ProtocolVersion::TLSv1_3);
    let old = Client::of(&["h2"], &[&rustls::version::TLS12]);
    let seen = old.greet(&tls, "shop.example").await.expect("a handshake");
    assert_eq!(seen.version, ProtocolVersion::TLSv1_2);
}
