use super::{Decoder, Framing, Head, Malformed, Reader, Step};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, StatusCode, header::CONTENT_LENGTH};
use proptest::prelude::*;

/// Reads a whole answer whose bytes come in pieces of `sizes`, as its body's reader would.
fn read(bytes: &[u8], method: &Method, sizes: &[usize]) -> Result<(Head, Vec<u8>, HeaderMap), Malformed> {
    let mut pieces = pieces(bytes, sizes);
    let (mut input, mut reader) = (BytesMut::new(), Reader::default());
    let head = loop {
        match reader.read(&mut input, method)? {
            Some(head) => break head,
            None => input.extend_from_slice(pieces.next().ok_or(SHORT)?),
        }
    };
    let (mut decoder, mut body, mut trailers) = (Decoder::new(head.framing), Vec::new(), HeaderMap::new());
    loop {
        match decoder.next(&mut input)? {
            Step::Data(data) => body.extend_from_slice(&data),
            Step::Trailers(fields) => trailers = fields,
            Step::Done => return Ok((head, body, trailers)),
            Step::More => match pieces.next() {
                Some(piece) => input.extend_from_slice(piece),
                None if decoder.end() => return Ok((head, body, trailers)),
                None => return Err(SHORT),
            },
        }
    }
}

const SHORT: Malformed = Malformed("it ends early");

fn pieces<'b>(bytes: &'b [u8], sizes: &'b [usize]) -> impl Iterator<Item = &'b [u8]> {
    let (mut rest, mut sizes) = (bytes, sizes.iter().cycle());
    std::iter::from_fn(move || {
        let size = sizes.next().copied().unwrap_or(usize::MAX).clamp(1, rest.len().max(1));
        let (piece, left) = rest.split_at_checked(size)?;
        rest = left;
        Some(piece)
    })
}

fn whole(text: &str) -> Result<(Head, Vec<u8>, HeaderMap), Malformed> {
    read(text.as_bytes(), &Method::GET, &[usize::MAX])
}

#[test]
fn bodies_end_where_their_framing_says() {
    let long = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    let (head, body, _) = whole(long).expect("an answer");
    assert_eq!((head.status, head.keeps, &body[..]), (StatusCode::OK, true, &b"hello"[..]));
    assert_eq!(head.headers[CONTENT_LENGTH], "5");

    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\nTrailer: x-sum\r\n\r\n\
                   5\r\nhello\r\n00a;name=\"v\"\r\n, world...\r\n0\r\nX-Sum: 1\r\n\r\n";
    let (head, body, trailers) = whole(chunked).expect("an answer");
    assert_eq!((&body[..], head.keeps), (&b"hello, world..."[..], true));
    assert_eq!(trailers["x-sum"], "1");
    assert!(!head.headers.contains_key("transfer-encoding") && head.headers.contains_key("trailer"));

    let (head, body, _) = whole("HTTP/1.0 200\r\nA: b\r\n\r\nrest").expect("an answer");
    assert_eq!((&body[..], head.keeps, head.framing), (&b"rest"[..], false, Framing::UntilClose));
    assert!(
        !whole("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: foo, Close\r\n\r\n")
            .expect("one")
            .0
            .keeps
    );
    assert!(
        !whole("HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n")
            .expect("one")
            .0
            .keeps
    );
}

#[test]
fn some_answers_have_no_body_whatever_they_say() {
    let said = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    let (head, body, _) = read(said, &Method::HEAD, &[usize::MAX]).expect("an answer");
    assert_eq!((head.framing, body.len(), head.keeps), (Framing::None, 0, true));
    assert_eq!(head.headers[CONTENT_LENGTH], "5", "it says what a GET would have got");
    let (head, ..) = whole("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n").expect("an answer");
    assert_eq!((head.framing, &head.headers[CONTENT_LENGTH]), (Framing::None, &"5".parse().expect("5")));
    let (head, ..) = whole("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n").expect("an answer");
    assert_eq!((head.framing, head.headers.contains_key(CONTENT_LENGTH)), (Framing::None, false));
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(read(chunked, &Method::HEAD, &[9]).expect("an answer").0.framing, Framing::None);
}

#[test]
fn what_belongs_to_the_connection_stays_there() {
    let (head, ..) = whole(
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive, X-Own , close\r\nKeep-Alive: timeout=5\r\n\
         Proxy-Authenticate: x\r\nProxy-Connection: x\r\nTE: x\r\nUpgrade: h2c\r\nX-Own: 1\r\nX-Kept: 2\r\n\r\n",
    )
    .expect("an answer");
    let names: Vec<&str> = head.headers.keys().map(http::HeaderName::as_str).collect();
    assert_eq!(names, ["x-kept", "content-length"]);
    assert_eq!(head.upgrade.expect("it was there"), "h2c");
}

#[test]
fn values_keep_their_bytes_and_lose_their_margins() {
    let text = b"HTTP/1.1 200 OK\r\nContent-Length:\t0 \r\nX:  a\tb \xe9 \r\nX:\r\nX: \t c\r\n\r\n";
    let (head, ..) = read(text, &Method::GET, &[usize::MAX]).expect("an answer");
    let values: Vec<&[u8]> = head.headers.get_all("x").iter().map(|value| value.as_bytes()).collect();
    assert_eq!(values, [&b"a\tb \xe9"[..], b"", b"c"]);
}

/// None of these is passed on, and none of them is taken for something that it is not.
#[test]
fn hostile_answers_are_refused() {
    let hostile: Vec<String> =
        hostile_heads().into_iter().chain(hostile_fields()).chain(hostile_chunks()).collect();
    assert!(hostile.len() > 60);
    for text in &hostile {
        for sizes in [&[usize::MAX][..], &[1]] {
            match read(text.as_bytes(), &Method::GET, sizes) {
                Err(error) => assert_ne!(error, SHORT, "{text:?} would be waited for"),
                Ok(read) => panic!("{text:?} was taken for {read:?}"),
            }
        }
    }
}

fn hostile_heads() -> Vec<String> {
    let heads = [
        "garbage",
        "\r\nHTTP/1.1 200 OK\r\n\r\n",
        "SSH-2.0-OpenSSH_9.2\r\n",
        "<html>HTTP/0.9</html>",
        "HTTP/2 200 OK\r\n\r\n",
        "HTTP/1.2 200 OK\r\n\r\n",
        "HTTP/1.1  200 OK\r\n\r\n",
        "http/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 +20 OK\r\n\r\n",
        "HTTP/1.1 099 X\r\n\r\n",
        "HTTP/1.1 200\tOK\r\n\r\n",
        "HTTP/1.1 200 O\0K\r\n\r\n",
        "HTTP/1.1 200 OK\n\n",
        "HTTP/1.1 200 OK\r\nA: b\n\r\n",
        "HTTP/1.1 200 OK\r\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\rX: y\r\n\r\n",
    ];
    heads.map(str::to_owned).into()
}

fn hostile_fields() -> Vec<String> {
    let fields = |lines: &str| format!("HTTP/1.1 200 OK\r\n{lines}\r\n\r\nhello");
    vec![
        fields("no colon"),
        fields("A : b"),
        fields(" A: b"),
        fields("A: b\r\n folded"),
        fields("A: b\r\n\tfolded"),
        fields(": b"),
        fields("A(: b"),
        fields("A\u{e9}: b"),
        fields("A: \0"),
        fields("A: \u{7f}"),
        fields("A: \u{b}"),
        fields("Content-Length: -1"),
        fields("Content-Length: +5"),
        fields("Content-Length: 5, 5"),
        fields("Content-Length: 5\r\nContent-Length: 5"),
        fields("Content-Length: 5\r\nContent-Length: 6"),
        fields("Content-Length: 0x5"),
        fields("Content-Length: 5 5"),
        fields("Content-Length:"),
        fields("Content-Length: 99999999999999999999"),
        fields("Content-Length: \u{665}"),
        fields("Content-Length: 5\r\nTransfer-Encoding: chunked"),
        fields("Transfer-Encoding: gzip"),
        fields("Transfer-Encoding: gzip, chunked"),
        fields("Transfer-Encoding: chunked, chunked"),
        fields("Transfer-Encoding: xchunked"),
        fields("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
        fields("Transfer-Encoding:"),
        fields("Transfer-Encoding: identity"),
        fields("Transfer-Encoding: \"chunked\""),
        fields("Connection: a b"),
        fields(&"A: b\r\n".repeat(101)),
        fields(&format!("A: {}", "b".repeat(65_536))),
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(),
    ]
}

fn hostile_chunks() -> Vec<String> {
    let chunks = |body: &str| format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
    vec![
        chunks("\r\n"),
        chunks("x\r\n"),
        chunks("-1\r\n"),
        chunks("0x5\r\nhello\r\n0\r\n\r\n"),
        chunks(" 5\r\nhello\r\n"),
        chunks("5 x\r\nhello\r\n"),
        chunks("5\nhello\r\n"),
        chunks("5\r\nhello!\r\n"),
        chunks("5\r\nhello\n0\r\n\r\n"),
        chunks("5\r\nhello\r0\r\n\r\n"),
        chunks("5;a=\n\r\nhello\r\n"),
        chunks("5;a=\0\r\nhello\r\n0\r\n\r\n"),
        chunks("10000000000000000\r\nhello"),
        chunks(&format!("5;{}", "a".repeat(2_000))),
        chunks("0\r\nA : b\r\n\r\n"),
        chunks("0\r\nA: b\n\r\n"),
        chunks("0\r\n folded\r\n\r\n"),
        chunks(&format!("0\r\n{}\r\n", "A: b\r\n".repeat(101))),
        chunks(&format!("0\r\nA: {}", "b".repeat(70_000))),
    ]
}

#[test]
fn answers_that_end_early_are_never_complete() {
    for text in [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n",
    ] {
        assert_eq!(whole(text).map(|(_, body, _)| body), Err(SHORT), "{text:?}");
    }
}

#[test]
fn interim_answers_come_one_by_one() {
    let mut input = BytesMut::from(
        &b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"[..],
    );
    let mut reader = Reader::default();
    let mut next =
        || reader.read(&mut input, &Method::GET).expect("an answer").map(|head| head.status.as_u16());
    assert_eq!([next(), next(), next(), next()], [Some(100), Some(103), Some(200), None]);
}

fn chunked(body: &[Vec<u8>]) -> Vec<u8> {
    let mut text = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for chunk in body.iter().filter(|chunk| !chunk.is_empty()) {
        text.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        text.extend_from_slice(chunk);
        text.extend_from_slice(b"\r\n");
    }
    text.extend_from_slice(b"0\r\n\r\n");
    text
}

proptest! {
    #[test]
    fn however_it_arrives_it_is_the_same(
        body in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..6),
        sizes in prop::collection::vec(1_usize..50, 1..6),
    ) {
        let text = chunked(&body);
        let (_, read, _) = read(&text, &Method::GET, &sizes).expect("an answer");
        prop_assert_eq!(read, body.concat());
    }

    #[test]
    fn no_bytes_make_it_panic(
        tail in prop::collection::vec(any::<u8>(), 0..200),
        begin in prop::sample::select(vec![
            "", "HTTP/1.1 ", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
        ]),
        sizes in prop::collection::vec(1_usize..50, 1..6),
    ) {
        let text = Bytes::from([begin.as_bytes(), &tail[..]].concat());
        let whole = read(&text, &Method::GET, &[usize::MAX]).map(|(head, body, _)| (head.status, body));
        let split = read(&text, &Method::GET, &sizes).map(|(head, body, _)| (head.status, body));
        prop_assert_eq!(whole.is_ok(), split.is_ok(), "{:?} {:?}", whole, split);
    }
}
