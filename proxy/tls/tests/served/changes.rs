//! Files change while clients come: none of them notices.

use crate::support::{pair, put, settings, shown, start, start_with};
use rustls::pki_types::CertificateDer;
use std::{
    fs,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use usher_tls::{Acme, BodyWrapper, BytesResponse, ClientError, HttpClient, Settings, Tls};

const SOON: Duration = Duration::from_secs(20);

/// Looks until `host` is shown `wanted`.
async fn until(tls: &Tls, host: &str, wanted: &CertificateDer<'static>) {
    let begin = Instant::now();
    while shown(tls, host).await.as_ref() != Some(wanted) {
        assert!(begin.elapsed() < SOON, "{host} is still shown another certificate");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_are_replaced_with_no_failed_handshake() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let first = pair(&["shop.example"], -1, 30);
    first.write(at, "shop");
    let tls = Arc::new(start(at, &["shop.example"]).await);
    let (over, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let client = tokio::spawn({
        let (tls, over, done) = (Arc::clone(&tls), Arc::clone(&over), Arc::clone(&done));
        async move {
            let mut failed = 0;
            while !over.load(Ordering::SeqCst) {
                failed += usize::from(shown(&tls, "shop.example").await.is_none());
                done.fetch_add(1, Ordering::SeqCst);
            }
            failed
        }
    });
    // Slowly, and the key first, as somebody who copies by hand, so that each step is looked at; and at once.
    for (to, pause_ms) in [(40, 2_300), (50, 0)] {
        let next = pair(&["shop.example"], -1, to);
        put(at, "shop.key", &next.key[..40]);
        tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        put(at, "shop.key", &next.key);
        tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        put(at, "shop.crt", &next.certificate);
        until(&tls, "shop.example", &next.der).await;
    }
    over.store(true, Ordering::SeqCst);
    let failed = client.await.expect("it does not panic");
    assert_eq!(failed, 0, "of {}", done.load(Ordering::SeqCst));
    assert!(done.load(Ordering::SeqCst) > 100);
}

#[tokio::test]
async fn what_is_spoilt_or_gone_is_served_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path().join("certs");
    let (kept, mark) = (pair(&["kept.example"], -1, 30), pair(&["mark.example"], -1, 30));
    kept.write(&at, "kept");
    // An older one that must not come back while the newer one is spoilt.
    pair(&["kept.example"], -30, 2).write(&at, "older");
    mark.write(&at, "mark");
    let tls = start(&at, &["kept.example", "mark.example"]).await;

    put(&at, "kept.crt", &kept.certificate[..100]);
    let next = pair(&["mark.example"], -1, 40);
    next.write(&at, "mark");
    until(&tls, "mark.example", &next.der).await;
    assert_eq!(shown(&tls, "kept.example").await.as_ref(), Some(&kept.der), "it is half written");

    kept.write(&at, "kept");
    tls.reload(settings(&at, &["kept.example", "mark.example"])).await.expect("it is read");
    for name in ["kept.crt", "kept.key", "older.crt", "older.key"] {
        fs::remove_file(at.join(name)).expect("it is there");
    }
    tls.reload(settings(&at, &["kept.example", "mark.example"])).await.expect("it is read");
    assert_eq!(shown(&tls, "kept.example").await.as_ref(), Some(&kept.der), "nothing else covers it");

    fs::rename(&at, folder.path().join("away")).expect("it is moved");
    assert!(tls.reload(settings(&at, &["mark.example"])).await.is_err());
    assert_eq!(shown(&tls, "kept.example").await.as_ref(), Some(&kept.der), "all stays");
    assert_eq!(shown(&tls, "mark.example").await.as_ref(), Some(&next.der));

    // Another folder in its place, as deployments do it.
    let last = pair(&["mark.example"], -1, 50);
    last.write(&folder.path().join("new"), "any");
    fs::rename(folder.path().join("new"), &at).expect("it is moved");
    until(&tls, "mark.example", &last.der).await;
    assert_eq!(shown(&tls, "kept.example").await.as_ref(), Some(&kept.der), "the hosts are those of before");
}

/// A directory that nobody has to ask.
struct Nobody;

impl HttpClient for Nobody {
    fn request(
        &self,
        _: http::Request<BodyWrapper<bytes::Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, ClientError>> + Send>> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test]
async fn a_folder_that_is_gone_keeps_no_renewal_from_being_served() {
    let (folder, storage) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let at = folder.path().join("certs");
    let own = pair(&["own.example"], -1, 30);
    own.write(&at, "own");
    let acme = Acme {
        directory: "https://ca.example/dir".to_owned(),
        contact: Vec::new(),
        hosts: Vec::new(),
        ask: None,
        storage: storage.path().to_owned(),
        http: Arc::new(Nobody),
    };
    let settings = Settings { acme: Some(acme), ..settings(&at, &["own.example", "ordered.example"]) };
    let tls = start_with(settings).await;
    fs::remove_dir_all(&at).expect("it is removed");
    let ordered = pair(&["ordered.example"], -1, 30);
    ordered.write(&storage.path().join("ca.example_dir"), "ordered");
    until(&tls, "ordered.example", &ordered.der).await;
    assert_eq!(shown(&tls, "own.example").await.as_ref(), Some(&own.der));
}

#[tokio::test]
async fn other_hosts_are_served_from_the_next_settings_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let both = pair(&["a.example", "b.example"], -1, 30);
    both.write(folder.path(), "both");
    let tls = start(folder.path(), &["a.example"]).await;
    let config = tls.server_config();
    tls.reload(settings(folder.path(), &["b.example"])).await.expect("it is read");
    assert!(Arc::ptr_eq(&config, &tls.server_config()), "listeners keep what they have");
    assert_eq!(shown(&tls, "b.example").await.as_ref(), Some(&both.der));
    assert_eq!(shown(&tls, "a.example").await, None);
    tls.stop().await;
}
