//! Hyper reads what the gate lets through, and reads the same.

use super::{
    oracle::{self, Request},
    pass,
    streams::streams,
};
use http_body_util::BodyExt;
use hyper::{Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use std::{convert::Infallible, sync::Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use usher_model::limits;

/// The requests that hyper finds in a stream.
async fn read(stream: &[u8]) -> Vec<Request> {
    let found = Mutex::new(Vec::new());
    let (mut client, server) = tokio::io::duplex(stream.len() + 1);
    let service = service_fn(async |request: hyper::Request<Incoming>| {
        let (head, body) = request.into_parts();
        let collected = body.collect().await;
        let fields = |map: &hyper::HeaderMap| {
            map.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect::<Vec<_>>()
        };
        let (body, trailers) = match collected {
            Ok(collected) => {
                let trailers = collected.trailers().map(fields).unwrap_or_default();
                (collected.to_bytes().to_vec(), trailers)
            }
            Err(_) => return Ok(Response::new(String::new())),
        };
        found.lock().expect("no panic").push(Request {
            method: head.method.to_string(),
            target: head.uri.to_string(),
            version: format!("{:?}", head.version),
            fields: fields(&head.headers),
            body,
            trailers,
        });
        Ok::<_, Infallible>(Response::new(String::new()))
    });
    let mut protocol = http1::Builder::new();
    protocol.half_close(true).max_headers(limits::REQUEST_FIELDS).max_buf_size(limits::REQUEST_HEAD_BYTES);
    let connection = protocol.serve_connection(TokioIo::new(server), service);
    let sending = async {
        client.write_all(stream).await.expect("room for all of it");
        client.shutdown().await.expect("memory");
        let _ = client.read_to_end(&mut Vec::new()).await;
    };
    let _ = tokio::join!(connection, sending);
    found.into_inner().expect("no panic")
}

/// Names in order: hyper's map has its own.
fn sorted(mut requests: Vec<Request>) -> Vec<Request> {
    for request in &mut requests {
        request.fields.sort();
        request.trailers.sort();
    }
    requests
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn hyper_reads_the_same_requests(stream in streams()) {
        let out = pass(stream.chunks(1), false).out;
        let (mut requests, is_cut_off) = oracle::read(&out).map_err(TestCaseError::fail)?;
        if is_cut_off {
            requests.pop();
        }
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let found = runtime.block_on(read(&out));
        prop_assert_eq!(sorted(requests), sorted(found));
    }
}
