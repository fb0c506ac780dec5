//! What `[tls]` may say, and what it comes to.

use super::{
    Config,
    tests::{errors, good, site},
};
use std::path::Path;

const HTTPS: &str = "[server]\nhttp = \"0.0.0.0:80\"\nhttps = [\"0.0.0.0:443\", \"[::1]:8443\"]\n";

fn with(tls: &str) -> String {
    format!("{HTTPS}{tls}\n{}", site(""))
}

fn warned(config: &Config, says: &str) -> bool {
    config.warnings.iter().any(|warning| warning.to_string().contains(says))
}

#[test]
fn a_folder_lies_beside_the_file() {
    let config = good(&with("[tls]\ncertificates = \"certs/\""));
    let tls = config.tls.expect("it is served");
    assert_eq!(tls.certificates.as_deref(), Some(Path::new("dir/certs/")));
    assert!(tls.acme.is_none());
    assert_eq!(config.https, ["0.0.0.0:443", "[::1]:8443"].map(|at| at.parse().expect("an address")));
}

#[test]
fn orders_have_defaults_and_all_that_is_written_arrives() {
    let config = good(&with("[tls.acme]"));
    let acme = config.tls.clone().and_then(|tls| tls.acme).expect("orders");
    assert_eq!(acme.directory, "https://acme-v02.api.letsencrypt.org/directory");
    assert_eq!((acme.storage.as_path(), acme.ask, acme.ca), (Path::new("dir/acme"), None, None));
    assert!(acme.contact.is_empty() && acme.hosts.is_empty());
    assert!(warned(&config, "cannot issue for \"shop.example\", which is no name of the public DNS"));

    let elsewhere = format!("[store]\nurl = \"sqlite:/var/lib/usher/usher.db\"\n{}", with("[tls.acme]"));
    let acme = good(&elsewhere).tls.and_then(|tls| tls.acme).expect("orders");
    assert_eq!(acme.storage, Path::new("/var/lib/usher/acme"));

    let config = good(&with(
        "[tls.acme]\ndirectory = \"https://localhost:14000/dir\"\nask = \"http://127.0.0.1:1/may\"\n\
         storage = \"state\"\ncontact = [\"mailto:a@shop.example\", \"mailto:b@shop.example\"]",
    ));
    let acme = config.tls.clone().and_then(|tls| tls.acme).expect("orders");
    assert_eq!(acme.directory, "https://localhost:14000/dir");
    assert_eq!(acme.ask.as_deref(), Some("http://127.0.0.1:1/may"));
    assert_eq!((acme.storage.as_path(), acme.contact.len()), (Path::new("dir/state"), 2));
    assert_eq!(acme.hosts, ["shop.example"], "a directory of one's own may issue for any name");
    assert!(!warned(&config, "cannot issue"));
}

#[test]
fn what_a_public_directory_can_issue_for() {
    let text = with("[tls.acme]").replace(
        "\"shop.example\"",
        "\"shop.com\", \"go.shop.co.uk\", \"localhost\", \"shop.local\", \"shop.test\", \"127.0.0.1\", \"::1\", \"com\"",
    );
    let config = good(&text);
    let acme = config.tls.clone().and_then(|tls| tls.acme).expect("orders");
    assert_eq!(acme.hosts, ["go.shop.co.uk", "shop.com"]);
    for host in ["localhost", "shop.local", "shop.test", "127.0.0.1", "::1", "com"] {
        assert!(warned(&config, &format!("cannot issue for {host:?}")), "{host}");
    }
}

#[test]
fn what_is_wrong_is_said_with_its_mend() {
    for (text, says) in [
        (with(""), "server.https has no certificates to serve with; add [tls] with certificates"),
        (with("[tls]"), "tls says nothing of where certificates come from; add"),
        (with("[tls]\ncertificates = \"\""), "tls.certificates is empty; name a folder"),
        (with("[tls]\ncertificates = \"~/certs\""), "begins with '~'"),
        (with("[tls.acme]\ndirectory = \"http://ca.example/dir\""), "write a whole https address"),
        (with("[tls.acme]\nask = \"ca.example\""), "write a whole https or http address"),
        (with("[tls.acme]\ncontact = \"ops@shop.example\""), "write mailto: and one address"),
        (with("[tls.acme]\nca = \"none.pem\""), "cannot be read"),
        (with("[tls.acme]\nca = \"key\""), "holds no certificate in PEM"),
        (with("[tls.acme]\nemail = \"x\""), "tls.acme.email is not a known key"),
        (
            with("[tls]\ncertificates = \"certs\"").replace("0.0.0.0:443", "127.0.0.1:80"),
            "server.https names 127.0.0.1:80, where server.http 0.0.0.0:80 is as well",
        ),
        (
            with("[tls]\ncertificates = \"certs\"").replace("[tls]", "admin = \"127.0.0.1:443\"\n[tls]"),
            "server.admin is 127.0.0.1:443, where the public listener 0.0.0.0:443 is as well",
        ),
    ] {
        let errors = errors(&text);
        assert_eq!(errors.len(), 1, "{text}\n{errors:#?}");
        assert!(errors[0].contains(says), "{says:?} is not in {errors:#?}");
    }
}

#[test]
fn certificates_that_nobody_asks_for_are_said() {
    let config = good(&format!("[tls]\ncertificates = \"certs/\"\n{}", site("")));
    assert!(config.tls.is_none());
    assert!(warned(&config, "tls changes nothing: server.https names no address; add https"));
}
