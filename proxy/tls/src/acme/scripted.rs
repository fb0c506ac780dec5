//! A directory that answers as it is told, for what Debian's has not: ARI and rate limits.

use crate::{Acme, Settings, certificate::Certificate, folder};
use bytes::Bytes;
use http::{Request, Response};
use instant_acme::{BodyWrapper, BytesResponse, HttpClient};
use std::{
    collections::VecDeque,
    path::Path,
    pin::Pin,
    sync::{Arc, Mutex},
};
use usher_model::Random;

/// Answers one after the other, whatever is asked; and what was asked.
#[derive(Default)]
pub(crate) struct Scripted {
    answers: Mutex<VecDeque<Response<Bytes>>>,
    pub(crate) asked: Mutex<Vec<String>>,
}

impl Scripted {
    pub(crate) fn then(self, status: u16, fields: &[(&str, &str)], body: &str) -> Self {
        let mut answer = Response::builder().status(status);
        for (name, value) in fields {
            answer = answer.header(*name, *value);
        }
        let answer = answer.body(Bytes::from(body.to_owned())).expect("an answer");
        self.answers.lock().expect("nobody panicked").push_back(answer);
        self
    }
}

impl HttpClient for Scripted {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, instant_acme::Error>> + Send>> {
        self.asked.lock().expect("nobody panicked").push(format!("{} {}", request.method(), request.uri()));
        let answer = self.answers.lock().expect("nobody panicked").pop_front();
        Box::pin(async move {
            let (parts, body) = answer.ok_or(instant_acme::Error::Str("nothing more"))?.into_parts();
            Ok(BytesResponse { parts, body: Box::new(body) })
        })
    }
}

/// A certificate for `host` of those seconds since 1970, as it is read from `folder`.
pub(crate) fn certificate(folder: &Path, host: &str, from_s: i64, to_s: i64) -> Arc<Certificate> {
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut params = rcgen::CertificateParams::new([host.to_owned()]).expect("a name");
    params.use_authority_key_identifier_extension = true;
    let at = |seconds| time::OffsetDateTime::from_unix_timestamp(seconds).expect("a moment");
    (params.not_before, params.not_after) = (at(from_s), at(to_s));
    let issuer =
        rcgen::Issuer::new(rcgen::CertificateParams::default(), rcgen::KeyPair::generate().expect("a key"));
    let made = params.signed_by(&key, &issuer).expect("a certificate");
    let file = folder.join(format!("{host}.pem"));
    std::fs::write(&file, format!("{}{}", made.pem(), key.serialize_pem())).expect("it is written");
    let read = folder::read(folder).expect("it can be listed").certificates;
    read.into_iter().find(|one| one.file == file).expect("it is there")
}

/// Always the same, at one end of what is asked for.
#[derive(Clone, Copy)]
pub(crate) struct Always(pub(crate) End);

#[derive(Clone, Copy)]
pub(crate) enum End {
    Low,
    High,
}

impl Random for Always {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(0);
    }

    fn below(&self, end: u64) -> u64 {
        match self.0 {
            End::Low => 0,
            End::High => end - 1,
        }
    }
}

/// A directory with ARI.
pub(crate) const DIRECTORY: &str = r#"{"newNonce":"https://ca.example/nonce","newAccount":"https://ca.example/account",
    "newOrder":"https://ca.example/order","renewalInfo":"https://ca.example/renewal"}"#;

/// Orders of `hosts` from it.
pub(crate) fn settings(storage: &Path, hosts: &[&str], http: Arc<Scripted>) -> Settings {
    let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let acme = Acme {
        directory: "https://ca.example/dir".to_owned(),
        contact: Vec::new(),
        hosts: hosts.clone(),
        ask: None,
        storage: storage.to_owned(),
        http,
    };
    Settings { hosts, certificates: None, acme: Some(acme) }
}
