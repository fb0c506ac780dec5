//! Whatever stands in the headers of a payment provider's delivery, and wherever its body ends: the provider is thanked or turned
//! away, and what is not authentic is never written down.

mod support;

use std::{collections::BTreeMap, fs, path::PathBuf, sync::Arc, time::Duration};
use support::World;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use usher_core::{Certificates, FetchError, Keyring};
use usher_model::{Clock, UnixMs};
use usher_providers::{Credential, PROVIDERS, Proof, Provider, Recorded, Verdict};

/// No answer may take longer.
const LONGEST: Duration = Duration::from_secs(5);

struct At(UnixMs);

impl Clock for At {
    fn now(&self) -> UnixMs {
        self.0
    }
}

/// PayPal serves these certificates and no others.
struct Chest(BTreeMap<String, String>);

#[async_trait::async_trait]
impl Certificates for Chest {
    async fn fetch(&self, address: &str, _: Duration) -> Result<String, FetchError> {
        self.0.get(address).cloned().ok_or_else(|| FetchError("status 404".to_owned()))
    }
}

/// A recorded payment or refund of each scheme of a provider: those whose headers have different names.
fn authentic(provider: &Provider) -> Vec<Recorded> {
    let folder =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/webhooks").join(provider.name);
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).expect("vectors").map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    let mut schemes: BTreeMap<Vec<String>, Recorded> = BTreeMap::new();
    for file in files {
        let recorded = Recorded::read(&fs::read_to_string(file).expect("a vector")).expect("a record");
        let outcome = recorded.judge(&recorded.webhook().expect("a webhook"), recorded.now.expect("a time"));
        let moves_money = matches!(outcome.verdict, Verdict::Conversion(_) | Verdict::Refund(_));
        let names = recorded.headers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
        if moves_money {
            schemes.entry(names).or_insert(recorded);
        }
    }
    schemes.into_values().collect()
}

async fn world(recorded: &mut Recorded) -> World {
    let mut certificates = BTreeMap::new();
    for credential in &mut recorded.credentials {
        if let Credential::PayPal { certificates: known, .. } = credential {
            certificates.append(known);
        }
    }
    let clock = Arc::new(At(recorded.now.expect("a time")));
    let webhooks = vec![recorded.webhook().expect("a webhook")];
    World::build(support::site(), webhooks, Keyring::new(Chest(certificates)), clock).await
}

/// The request as it was recorded, with the value of the header at `place` replaced.
fn request(recorded: &Recorded, place: usize, value: &[u8], body: &[u8]) -> Vec<u8> {
    let query = recorded.url.split_once('?').map_or(String::new(), |(_, query)| format!("?{query}"));
    let mut bytes = format!(
        "POST /r/hooks/{}{query} HTTP/1.1\r\nHost: shop.example\r\n\
         Connection: close\r\nContent-Length: {}\r\n",
        recorded.provider,
        body.len()
    )
    .into_bytes();
    let own = ["host", "content-length", "connection"];
    for (n, (name, recorded)) in recorded.headers.iter().enumerate() {
        if !own.contains(&name.to_ascii_lowercase().as_str()) {
            let value = if n == place { value } else { recorded.as_bytes() };
            bytes.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
    }
    bytes.extend([b"\r\n", body].concat());
    bytes
}

/// The status of the answer; `None` when the connection was closed without one.
async fn status(world: &World, request: &[u8], case: &str) -> Option<u16> {
    let exchange = async {
        let mut stream = TcpStream::connect(world.at).await.expect("a connection");
        let _ = stream.write_all(request).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        answer
    };
    let answer = tokio::time::timeout(LONGEST, exchange).await.unwrap_or_else(|_| panic!("{case} hangs"));
    let status = answer.strip_prefix(b"HTTP/1.1 ")?.get(..3)?;
    String::from_utf8_lossy(status).parse().ok()
}

const NONE: usize = usize::MAX;

#[tokio::test]
async fn every_byte_in_every_header() {
    for provider in PROVIDERS {
        for mut recorded in authentic(provider) {
            let world = world(&mut recorded).await;
            let body = recorded.body.as_bytes().to_vec();
            for (place, (name, value)) in recorded.headers.iter().enumerate() {
                for byte in 0..=u8::MAX {
                    let middle = value.len() / 2;
                    let inside = [&value.as_bytes()[..middle], &[byte], &value.as_bytes()[middle..]].concat();
                    for value in [&[byte][..], &inside] {
                        let case = format!("{} {name}: {}", provider.name, value.escape_ascii());
                        let status = status(&world, &request(&recorded, place, value, &body), &case).await;
                        let is_fine = status.is_none_or(|status| (200..500).contains(&status));
                        assert!(is_fine, "{case}: {status:?}");
                    }
                }
            }
            let case = format!("{}, unchanged", provider.name);
            assert_eq!(
                status(&world, &request(&recorded, NONE, b"", &body), &case).await,
                Some(200),
                "{case}"
            );
        }
    }
}

#[tokio::test]
async fn a_body_that_ends_early() {
    for provider in PROVIDERS {
        for mut recorded in authentic(provider) {
            let world = world(&mut recorded).await;
            let body = recorded.body.as_bytes().to_vec();
            let proof = recorded.judge(&recorded.webhook().expect("a webhook"), UnixMs(0)).proof;
            let step = if body.len() > 600 { 11 } else { 1 };
            for end in (0..body.len()).step_by(step) {
                let case = format!("{} {end} of {}", provider.name, body.len());
                let whole = request(&recorded, NONE, b"", &body[..end]);
                let status = status(&world, &whole, &case).await.expect(&case);
                let allowed = if proof == Some(Proof::Token) { 200..500 } else { 400..500 };
                assert!(allowed.contains(&status), "{case}: {status}");
            }
            // One that is announced longer than it is when the sender goes away.
            let before = world.platform.delivered();
            let cut = request(&recorded, NONE, b"", &body);
            let mut stream = TcpStream::connect(world.at).await.expect("a connection");
            stream.write_all(&cut[..cut.len() - 1]).await.expect("sent");
            stream.shutdown().await.expect("shut");
            let mut answer = Vec::new();
            let _ = tokio::time::timeout(LONGEST, stream.read_to_end(&mut answer)).await.expect("an end");
            let answer = String::from_utf8_lossy(&answer).into_owned();
            assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{}: {answer}", provider.name);
            assert_eq!(world.platform.delivered(), before, "{}", provider.name);
            // A token proves no body; what is proved by a signature is whole or nothing.
            assert!(proof == Some(Proof::Token) || before.is_empty(), "{}: {before:?}", provider.name);
        }
    }
}
