//! Pages on their way, as an origin sends them and a browser gets them.

mod codings;
mod documents;
mod memory;
mod streams;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, response};
use http_body::{Body, Frame};
use std::{
    cell::Cell,
    collections::VecDeque,
    io::{Read, Write},
    pin::Pin,
    task::{Context, Poll, Waker},
};
use usher_page::{BoxError, Tag, Tagged, Tagger};

const HTML: &str = r#"<script async defer src="/r/k3f9.js" data-affonso="prog" data-api-base="/r"></script>"#;
const WHOLE: &str = "<!doctype html><html><head><title>Shop</title></head><body><p>Welcome</p></body></html>";

/// What an origin does next.
enum Act {
    Send(Bytes),
    Wait,
    /// Waits until that many gates are open.
    Gate(usize),
    Trail(HeaderMap),
    Fail,
}

thread_local! {
    /// Gates that are open.
    static OPEN: Cell<usize> = const { Cell::new(0) };
}

/// An origin's body.
struct Origin(VecDeque<Act>);

impl Origin {
    fn sends(pieces: impl IntoIterator<Item = impl Into<Bytes>>) -> Self {
        Self(pieces.into_iter().map(|piece| Act::Send(piece.into())).collect())
    }
}

impl Body for Origin {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        while matches!(self.0.front(), Some(Act::Gate(number)) if *number <= OPEN.get()) {
            self.0.pop_front();
        }
        match self.0.pop_front() {
            Some(Act::Send(data)) => Poll::Ready(Some(Ok(Frame::data(data)))),
            Some(Act::Wait) => Poll::Pending,
            Some(gate @ Act::Gate(_)) => {
                self.0.push_front(gate);
                Poll::Pending
            }
            Some(Act::Trail(trailers)) => Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
            Some(Act::Fail) => Poll::Ready(Some(Err("the origin died".into()))),
            None => Poll::Ready(None),
        }
    }
}

/// What a client got.
#[derive(Default)]
struct Got {
    frames: Vec<Bytes>,
    trailers: Option<HeaderMap>,
    failed: bool,
}

impl Got {
    fn bytes(&self) -> Vec<u8> {
        self.frames.concat()
    }
}

fn tagger() -> Tagger {
    Tagger::new(Tag {
        src: "/r/k3f9.js".to_owned(),
        also: vec!["/r/pixel.js".to_owned()],
        data: vec![("data-affonso", "prog".to_owned()), ("data-api-base", "/r".to_owned())],
    })
}

fn decorated(
    method: &str,
    fields: &[(&str, &str)],
    origin: Origin,
) -> (response::Parts, Pin<Box<Tagged<Origin>>>) {
    let request = Request::builder().method(method).uri("/").header("host", "shop.example").body(());
    let mut response = Response::builder().header("content-type", "text/html; charset=utf-8");
    for (name, value) in fields {
        response = response.header(*name, *value);
    }
    let head = request.expect("a request").into_parts().0;
    let decorated = tagger().decorate(&head, response.body(origin).expect("an answer"));
    let (parts, body) = decorated.into_parts();
    (parts, Box::pin(body))
}

/// What becomes of a page that is here whole.
fn whole(page: &[u8], fields: &[(&str, &str)]) -> (response::Parts, Vec<u8>) {
    let request = Request::builder().uri("/").header("host", "shop.example").body(());
    let mut response = Response::builder().header("content-type", "text/html");
    for (name, value) in fields {
        response = response.header(*name, *value);
    }
    let head = request.expect("a request").into_parts().0;
    let mut answer = response.body(()).expect("an answer").into_parts().0;
    let page = Bytes::copy_from_slice(page);
    let done = tagger().decorate_whole(&head, &mut answer, &page);
    (answer, done.expect("it is not encoded").to_vec())
}

/// Reads until the origin waits (`true`) or the page has ended.
fn read(body: &mut Pin<Box<Tagged<Origin>>>, got: &mut Got) -> bool {
    let mut cx = Context::from_waker(Waker::noop());
    loop {
        match body.as_mut().poll_frame(&mut cx) {
            Poll::Pending => return true,
            Poll::Ready(None) => return false,
            Poll::Ready(Some(Err(_))) => got.failed = true,
            Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) => got.frames.push(data),
                Err(frame) => got.trailers = frame.into_trailers().ok(),
            },
        }
    }
}

fn through(fields: &[(&str, &str)], origin: Origin) -> Got {
    let (mut got, (_, mut body)) = (Got::default(), decorated("GET", fields, origin));
    while read(&mut body, &mut got) {}
    assert!(got.frames.iter().all(|frame| !frame.is_empty()), "no frame is empty");
    got
}

/// A page as text, with `¤` where the tag went in.
fn put_into(page: &str, fields: &[(&str, &str)]) -> String {
    let got = through(fields, Origin::sends([page.as_bytes().to_vec()])).bytes();
    String::from_utf8(got).expect("text").replace(HTML, "¤")
}

const CODINGS: [&str; 4] = ["identity", "gzip", "br", "zstd"];

fn encode(coding: &str, plain: &[u8]) -> Vec<u8> {
    encode_all(coding, plain)
}

fn encode_all(coding: &str, mut plain: impl Read) -> Vec<u8> {
    let encoded = match coding {
        "gzip" => {
            let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            std::io::copy(&mut plain, &mut writer).and_then(|_| writer.finish())
        }
        "br" => {
            let mut writer = brotli::CompressorWriter::new(Vec::new(), 4096, 5, 22);
            std::io::copy(&mut plain, &mut writer).map(|_| writer.into_inner())
        }
        "zstd" => zstd::encode_all(plain, 1),
        _ => {
            let mut all = Vec::new();
            plain.read_to_end(&mut all).map(|_| all)
        }
    };
    encoded.expect("memory")
}

/// What can be decoded of a page, and whether that is all of it.
fn read_encoded(coding: &str, encoded: &[u8]) -> (Vec<u8>, bool) {
    let mut plain = Vec::new();
    let read = match coding {
        "identity" => plain.write(encoded),
        "gzip" => flate2::read::GzDecoder::new(encoded).read_to_end(&mut plain),
        "br" => brotli::Decompressor::new(encoded, 4096).read_to_end(&mut plain),
        _ => zstd::Decoder::new(encoded).and_then(|mut reader| reader.read_to_end(&mut plain)),
    };
    (plain, read.is_ok())
}

fn decode(coding: &str, encoded: &[u8]) -> Vec<u8> {
    read_encoded(coding, encoded).0
}

fn is_whole(coding: &str, encoded: &[u8]) -> bool {
    read_encoded(coding, encoded).1
}

fn decode_whole(coding: &str, encoded: &[u8]) -> Vec<u8> {
    let (plain, whole) = read_encoded(coding, encoded);
    assert!(whole, "{coding} is cut off or broken");
    plain
}
