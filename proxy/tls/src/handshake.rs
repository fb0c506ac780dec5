//! A handshake from the server's side.

use rustls::{
    ServerConfig,
    server::{Acceptor, ClientHello},
};
use std::{io, sync::Arc};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio_rustls::{LazyConfigAcceptor, StartHandshake, server::TlsStream};

/// A fatal alert `unrecognized_name` (RFC 8446 sections 5.1 and 6, RFC 6066 section 3), as it is before any key is agreed on.
const UNRECOGNIZED_NAME: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];

/// Shakes hands over `io`. A client that asks for a name without a certificate, or for none, is told so; the library itself
/// would tell it "access denied", which programs that look at servers take for a broken one.
///
/// It waits for as long as the client takes: the caller has the deadline.
///
/// # Errors
/// When the client goes away, does not speak TLS as we do, or gets no certificate.
pub async fn accept<I>(config: Arc<ServerConfig>, io: I) -> io::Result<TlsStream<I>>
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let start = LazyConfigAcceptor::new(Acceptor::default(), io).await?;
    if is_served(&config, start.client_hello()) {
        return start.into_stream(config).await;
    }
    let StartHandshake { mut io, .. } = start;
    io.write_all(&UNRECOGNIZED_NAME).await?;
    io.shutdown().await?;
    Err(io::Error::new(io::ErrorKind::NotFound, "no certificate for that name"))
}

fn is_served(config: &ServerConfig, hello: ClientHello<'_>) -> bool {
    config.cert_resolver.resolve(hello).is_some()
}
