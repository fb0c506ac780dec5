//! `usher webhook`: what a recorded webhook would do, and sending one.

use super::{load_for_store, locate};
use crate::config::Config;
use anyhow::{Context, anyhow, bail};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use std::{
    cell::OnceCell,
    io::{Read, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};
use usher_model::{Clock, limits};
use usher_providers::{Provider, Recorded, Verdict, Webhook};

/// How long a running edge may take.
const SENDING: Duration = Duration::from_secs(30);

/// Prints one JSON line for each file, in their order; a file that cannot be judged fails the command, the others are
/// judged all the same. What a record does not bring comes from the configuration and the clock.
pub(super) fn explain(
    files: &[PathBuf],
    config: Option<&Path>,
    clock: &dyn Clock,
    out: &mut dyn Write,
) -> anyhow::Result<ExitCode> {
    let read = OnceCell::new();
    let config = || -> anyhow::Result<&Config> {
        if read.get().is_none() {
            let _ = read.set(load_for_store(&locate(config.map(Path::to_owned))?)?);
        }
        read.get().ok_or_else(|| anyhow!("the configuration cannot be read"))
    };
    let mut failed = false;
    for file in files {
        match recorded(file).and_then(|recorded| line(&recorded, &config, clock)) {
            Ok(line) => writeln!(out, "{line}")?,
            Err(error) => {
                failed = true;
                super::complain(&format!("usher: {}: {error:#}", file.display()));
            }
        }
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Sends a record to a running edge, byte for byte, and prints what it answers. `host` is the site's, where `to` has another.
pub(super) async fn send(
    file: &Path,
    to: &str,
    host: Option<&str>,
    out: &mut dyn Write,
) -> anyhow::Result<ExitCode> {
    let recorded = recorded(file)?;
    let request = request(&recorded, to, host)?;
    let exchange = async {
        let answer = client()?.request(request).await.with_context(|| format!("{to} cannot be reached"))?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), limits::UPSTREAM_BODY_BYTES).collect().await;
        let body = body.map_err(|error| anyhow!("the answer cannot be read: {error}"))?.to_bytes();
        anyhow::Ok((status, body))
    };
    let (status, body) = tokio::time::timeout(SENDING, exchange)
        .await
        .map_err(|_| anyhow!("{to} did not answer within {} s", SENDING.as_secs()))??;
    writeln!(out, "{} {}", status.as_u16(), String::from_utf8_lossy(&body).trim_end())?;
    if status == StatusCode::MISDIRECTED_REQUEST && host.is_none() {
        super::complain(
            "usher: an edge tells its sites apart by the host; name the site's: --host shop.example",
        );
    }
    Ok(if status.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn client() -> anyhow::Result<Client<HttpsConnector<HttpConnector>, Full<Bytes>>> {
    let connector = HttpsConnectorBuilder::new()
        .with_provider_and_webpki_roots(rustls::crypto::ring::default_provider())?
        .https_or_http()
        .enable_http1()
        .build();
    Ok(Client::builder(TokioExecutor::new()).build(connector))
}

fn recorded(file: &Path) -> anyhow::Result<Recorded> {
    let mut text = String::new();
    let source: Box<dyn Read> = match file.to_str() {
        Some("-") => Box::new(std::io::stdin()),
        _ => Box::new(std::fs::File::open(file).context("cannot be opened")?),
    };
    source
        .take(limits::RECORDED_WEBHOOK_BYTES + 1)
        .read_to_string(&mut text)
        .context("cannot be read as text")?;
    if text.len() as u64 > limits::RECORDED_WEBHOOK_BYTES {
        bail!("is longer than {} bytes", limits::RECORDED_WEBHOOK_BYTES);
    }
    Ok(Recorded::read(&text)?)
}

fn line<'c>(
    recorded: &Recorded,
    config: &dyn Fn() -> anyhow::Result<&'c Config>,
    clock: &dyn Clock,
) -> anyhow::Result<String> {
    let now = recorded.now.unwrap_or_else(|| clock.now());
    if !recorded.credentials.is_empty() && Provider::find(&recorded.provider).is_some() {
        return Ok(recorded.explain(&recorded.webhook()?, now));
    }
    let config = config().with_context(|| {
        format!(
            "it brings no secrets for {:?}, so they are looked for in the configuration",
            recorded.provider
        )
    })?;
    let name = recorded.provider.as_str();
    let is_meant = |webhook: &&Webhook| webhook.name.as_str() == name || webhook.provider() == name;
    let meant: Vec<&Webhook> = config.webhooks.iter().flatten().filter(is_meant).collect();
    // Several sites may have one: the site that it belongs to is the one whose secrets fit.
    let is_taken =
        |webhook: &&&Webhook| !matches!(recorded.judge(webhook, now).verdict, Verdict::Rejected(_));
    match meant.iter().find(is_taken).or_else(|| meant.first()) {
        Some(webhook) => Ok(recorded.explain(webhook, now)),
        None => bail!("it brings no secrets, and the configuration has no [[site.webhook]] for {name:?}"),
    }
}

/// The request as it was recorded. What belongs to the connection it was recorded on is left out.
fn request(recorded: &Recorded, to: &str, host: Option<&str>) -> anyhow::Result<Request<Full<Bytes>>> {
    let mut address: Uri = to
        .parse()
        .map_err(|_| anyhow!("--to {to:?} is no address; write https://shop.example/r/hooks/stripe"))?;
    if address.host().is_none() || !matches!(address.scheme_str(), Some("http" | "https")) {
        bail!("--to {to:?} is no whole address; write https://shop.example/r/hooks/stripe");
    }
    // A token in the recorded address proves who sent it.
    if let (None, Some((_, query))) = (address.query(), recorded.url.split_once('?')) {
        address = format!("{to}?{query}").parse().context("the recorded address cannot be sent")?;
    }
    let mut request = Request::builder().method(recorded.method.as_str()).uri(address);
    if let Some(host) = host {
        let host = HeaderValue::try_from(host).with_context(|| format!("--host {host:?} is no host"))?;
        request = request.header(header::HOST, host);
    }
    for (name, value) in &recorded.headers {
        let name = HeaderName::try_from(name.as_str())
            .with_context(|| format!("the header {name:?} cannot be sent"))?;
        let own = [
            header::HOST,
            header::CONTENT_LENGTH,
            header::CONNECTION,
            header::TRANSFER_ENCODING,
            header::ACCEPT_ENCODING,
        ];
        if !own.contains(&name) {
            let value = HeaderValue::try_from(value.as_str())
                .with_context(|| format!("the value of the header {name} cannot be sent"))?;
            request = request.header(name, value);
        }
    }
    Ok(request.body(Full::new(Bytes::from(recorded.body.clone())))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_site_is_named_whatever_the_address_is() {
        let record =
            r#"{"provider":"stripe","url":"/k3/hooks/stripe","headers":{"Host":"old.example"},"body":"{}"}"#;
        let recorded = Recorded::read(record).expect("a record");
        let to = "http://127.0.0.1:8080/k3/hooks/stripe";
        let host = |host| {
            let request = request(&recorded, to, host).expect("a request");
            request.headers().get_all(header::HOST).iter().cloned().collect::<Vec<_>>()
        };
        assert_eq!(host(Some("shop.example")), ["shop.example"]);
        assert!(host(None).is_empty(), "the client takes the address's own");
        assert!(request(&recorded, to, Some("a\nb")).is_err());
    }
}
