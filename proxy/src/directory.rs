//! The way to an ACME directory.

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use rustls::{ClientConfig, RootCertStore, crypto::ring::default_provider};
use std::{pin::Pin, sync::Arc};
use usher_model::limits;
use usher_tls::{BodyWrapper, BytesResponse, ClientError, HttpClient};

/// Over HTTPS, or plain HTTP to whoever is asked before an order; redirects are not followed.
pub(crate) struct ToDirectory {
    client: Client<HttpsConnector<HttpConnector>, BodyWrapper<Bytes>>,
}

impl ToDirectory {
    /// Connects to nothing yet. Directories are believed whose certificates come from the public authorities, from the
    /// machine's own (`SSL_CERT_FILE` names others), or from those in `ca`, PEM.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub(crate) fn new(ca: Option<&str>) -> anyhow::Result<Self> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        // A machine without any is no worse off than with the public ones alone.
        let own = rustls_native_certs::load_native_certs().certs;
        let named = ca.map(usher_tls::authorities).unwrap_or_default();
        roots.add_parsable_certificates(own.into_iter().chain(named));
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(config).https_or_http().enable_http1().build();
        // Directories are called a few times in months: a connection is kept for one order.
        Ok(Self { client: Client::builder(TokioExecutor::new()).pool_max_idle_per_host(1).build(connector) })
    }
}

impl HttpClient for ToDirectory {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, ClientError>> + Send>> {
        let answering = self.client.request(request);
        Box::pin(async move {
            let (parts, body) = answering.await.map_err(|error| failed(&error))?.into_parts();
            let body =
                Limited::new(body, limits::ACME_BODY_BYTES).collect().await.map_err(ClientError::Other)?;
            Ok(BytesResponse { parts, body: Box::new(body.to_bytes()) })
        })
    }
}

/// The client's own words are "client error (Connect)"; what happened stands in its sources.
fn failed(error: &(dyn std::error::Error + 'static)) -> ClientError {
    let words: Vec<String> =
        std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect();
    ClientError::Other(words.join(": ").into())
}
