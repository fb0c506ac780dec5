//! Folders as people and programs leave them.

use crate::support::{Client, Machine, common, pair, put, root, settings, shown, start};
use usher_model::Clock;
use usher_tls::inspect;

#[tokio::test]
async fn folders_of_every_make_are_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let (pairs, bundle, certbot, mkcert, wild) = (
        pair(&["pair.example", "www.pair.example"], -1, 90),
        pair(&["bundle.example"], -1, 90),
        pair(&["certbot.example"], -1, 90),
        pair(&["mkcert.example"], -1, 90),
        pair(&["*.wild.example", "127.0.0.1"], -1, 90),
    );
    pairs.write(at, "pair.example");
    put(at, "bundle.pem", &format!("{}{}{}", root(), bundle.certificate, bundle.key));
    put(at, "certbot.example/privkey.pem", &certbot.key);
    put(at, "certbot.example/cert.pem", &certbot.certificate);
    put(at, "certbot.example/chain.pem", root());
    put(at, "certbot.example/fullchain.pem", &format!("{}{}", certbot.certificate, root()));
    put(at, "certbot.example/README", "not a certificate");
    put(at, "mkcert.example+2.pem", &mkcert.certificate);
    put(at, "mkcert.example+2-key.pem", &mkcert.key);
    put(at, "wild/tls.crt", &wild.certificate);
    put(at, "wild/tls.key", &wild.key);
    put(at, ".half.pem", "-----BEGIN CERTIFICATE-----");

    let hosts = [
        "pair.example",
        "www.pair.example",
        "bundle.example",
        "certbot.example",
        "mkcert.example",
        "a.wild.example",
        "127.0.0.1",
    ];
    let tls = start(at, &hosts).await;
    for (host, own) in [
        ("pair.example", &pairs),
        ("WWW.Pair.Example", &pairs),
        ("bundle.example", &bundle),
        ("certbot.example", &certbot),
        ("mkcert.example", &mkcert),
        ("a.wild.example", &wild),
        ("127.0.0.1", &wild),
    ] {
        assert_eq!(shown(&tls, host).await.as_ref(), Some(&own.der), "{host}");
    }
    assert_eq!(inspect(&settings(at, &hosts), Machine.now()).expect("it is read"), []);
}

#[tokio::test]
async fn a_common_name_is_better_than_no_name_and_is_warned_of() {
    let folder = tempfile::tempdir().expect("a folder");
    common("shop.example", -1, 90).write(folder.path(), "shop");
    let tls = start(folder.path(), &["shop.example"]).await;
    let judged = Client::new(&["h2"]).greet(&tls, "shop.example").await.expect_err("as browsers refuse it");
    assert!(judged.to_string().contains("invalid peer certificate"), "{judged}");
    let notes = inspect(&settings(folder.path(), &["shop.example"]), Machine.now()).expect("it is read");
    assert!(notes[0].what.contains("common name") && !notes[0].is_error && notes.len() == 1, "{notes:?}");
}

#[tokio::test]
async fn the_one_that_is_valid_longest_is_served() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let best = pair(&["*.shop.example", "shop.example"], -1, 60);
    pair(&["shop.example", "go.shop.example"], -30, 30).write(at, "short");
    best.write(at, "long");
    pair(&["shop.example", "go.shop.example"], -90, -1).write(at, "over");
    pair(&["shop.example", "go.shop.example"], 10, 900).write(at, "later");
    let ended = pair(&["old.example"], -90, -1);
    ended.write(at, "ended");
    let tls = start(at, &["shop.example", "go.shop.example", "old.example"]).await;
    assert_eq!(shown(&tls, "shop.example").await.as_ref(), Some(&best.der));
    assert_eq!(shown(&tls, "go.shop.example").await.as_ref(), Some(&best.der));
    // Better one that browsers warn of than none that says what is wrong.
    let refused =
        crate::support::Client::new(&[]).greet(&tls, "old.example").await.expect_err("it has ended");
    assert!(refused.to_string().contains("expired"), "{refused}");
}

#[tokio::test]
async fn what_is_of_no_use_is_named_with_its_mend_and_harms_nobody_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let good = pair(&["good.example"], -1, 90);
    good.write(at, "good");
    let (one, other) = (pair(&["mixed.example"], -1, 90), pair(&["mixed.example"], -1, 90));
    put(at, "mixed.crt", &one.certificate);
    put(at, "mixed.key", &other.key);
    let half = &one.certificate[..one.certificate.len() / 2];
    put(at, "half.pem", half);
    put(at, "alone.crt", &pair(&["alone.example"], -1, 90).certificate);
    put(
        at,
        "sealed.key",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
    );
    put(at, "empty.pem", "");
    put(at, "odd.crt", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    put(at, "long.pem", &"x".repeat(300_000));
    pair(&["soon.example"], -80, 5).write(at, "soon");
    pair(&["over.example"], -80, -5).write(at, "over");
    pair(&["foreign.example", "b.example"], -1, 90).write(at, "foreign");

    let hosts = ["good.example", "mixed.example", "soon.example", "over.example", "none.example"];
    let tls = start(at, &hosts).await;
    assert_eq!(shown(&tls, "good.example").await.as_ref(), Some(&good.der));
    assert_eq!(shown(&tls, "mixed.example").await, None);

    let notes = inspect(&settings(at, &hosts), Machine.now()).expect("it is read");
    for (is_error, what, mend) in [
        (true, "mixed.crt, which does not fit the key in", "that it was ordered with"),
        (true, "half.pem, which is cut off or no PEM", "write it anew"),
        (true, "alone.crt, which has no key", "alone.key"),
        (true, "sealed.key, which holds an encrypted key", "openssl pkey"),
        (true, "empty.pem, which holds neither certificate nor key", "write it anew"),
        (true, "odd.crt, which holds a certificate that cannot be read", "write it anew"),
        (true, "long.pem, which cannot be read", ""),
        (true, "over.crt, the certificate of over.example, which ended at", "put a newer one"),
        (false, "soon.crt, the certificate of soon.example, which ends at", "put a newer one"),
        (false, "foreign.crt for foreign.example, b.example, and no site has such a host", "add the host"),
        (false, "has no certificate for none.example", "put one for it into"),
        (false, "has no certificate for mixed.example", "put one for it into"),
    ] {
        let found = notes.iter().find(|note| note.what.contains(what));
        let found = found.unwrap_or_else(|| panic!("{what:?} is not in {notes:#?}"));
        assert!(found.is_error == is_error && found.mend.contains(mend), "{found:?}");
    }
    assert_eq!(notes.len(), 12, "{notes:#?}");
    // Nothing that is said holds anything of a key.
    let said = format!("{notes:?}");
    assert!(!said.contains("PRIVATE") && !said.contains(&other.key[30..60]));
}

#[test]
fn a_folder_that_is_not_there_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let gone = folder.path().join("certs");
    let error = inspect(&settings(&gone, &["shop.example"]), Machine.now()).expect_err("it is not there");
    assert!(error.to_string().contains("certs: No such file"), "{error}");
}
