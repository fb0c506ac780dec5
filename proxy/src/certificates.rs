//! Fetches the certificates that a provider signs its webhooks with, from addresses that are the provider's own.

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use std::time::Duration;
use usher_core::{Certificates, FetchError};
use usher_model::limits;

/// Over HTTPS alone, with the public roots; redirects are not followed.
pub(crate) struct OverHttps {
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
}

impl OverHttps {
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub(crate) fn new() -> anyhow::Result<Self> {
        let connector = HttpsConnectorBuilder::new()
            .with_provider_and_webpki_roots(rustls::crypto::ring::default_provider())?
            .https_only()
            .enable_http1()
            .build();
        // One certificate in months: no connection is worth keeping.
        Ok(Self { client: Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector) })
    }

    async fn get(&self, address: Uri) -> Result<String, FetchError> {
        let failed = |why: &dyn std::fmt::Display| FetchError(why.to_string());
        let request = Request::get(address)
            .header(header::ACCEPT, "application/x-pem-file, text/plain, */*")
            .body(Empty::new())
            .map_err(|why| failed(&why))?;
        let answer = self.client.request(request).await.map_err(|why| failed(&why))?;
        if answer.status() != StatusCode::OK {
            return Err(FetchError(format!("status {}", answer.status().as_u16())));
        }
        let body = Limited::new(answer.into_body(), limits::CERTIFICATE_BYTES);
        let body = body.collect().await.map_err(|why| failed(&why))?.to_bytes();
        String::from_utf8(body.into()).map_err(|_| FetchError("it is no text".to_owned()))
    }
}

#[async_trait]
impl Certificates for OverHttps {
    async fn fetch(&self, address: &str, deadline: Duration) -> Result<String, FetchError> {
        let address: Uri = address.parse().map_err(|_| FetchError("the address is none".to_owned()))?;
        tokio::time::timeout(deadline, self.get(address))
            .await
            .unwrap_or_else(|_| Err(FetchError(format!("no answer within {} ms", deadline.as_millis()))))
    }
}
