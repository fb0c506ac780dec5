//! Bodies go through as they come, and what is cut off stays cut off.

mod support;

use support::{Forwarding, Scripted, Wire, get};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

async fn pair() -> (Scripted, Forwarding) {
    let origin = Scripted::start().await;
    let forwarding = Forwarding::to(origin.at).await;
    (origin, forwarding)
}

#[tokio::test]
async fn a_connection_serves_one_request_after_the_other() {
    let (mut origin, forwarding) = pair().await;
    let mut visitor = forwarding.ask(get("/1")).await;
    let mut wire = origin.connection().await;
    assert!(wire.head().await.starts_with("GET /1 HTTP/1.1\r\n"));
    wire.say(
        "HTTP/1.1 200 Fine\r\nServer: shop\r\nDate: today\r\nContent-Length: 5\r\nSet-Cookie: a=b\r\n\
              Set-Cookie: affonso_referral=x; Path=/\r\nSet-Cookie: c=d\r\n\r\nhello",
    )
    .await;
    let head = visitor.until("\r\n\r\nhello").await;
    assert!(
        head.starts_with("HTTP/1.1 200 OK\r\n")
            && head.contains("server: shop\r\n")
            && head.contains("date: today\r\n"),
        "{head}"
    );
    assert!(
        head.contains("set-cookie: a=b\r\n")
            && head.contains("set-cookie: c=d\r\n")
            && !head.contains("affonso"),
        "{head}"
    );
    for path in ["/2", "/3"] {
        visitor.say(get(path)).await;
        assert!(wire.head().await.starts_with(&format!("GET {path} ")));
        wire.say(OK).await;
        visitor.until("ok").await;
    }
    assert!(!origin.has_another());
}

#[tokio::test]
async fn each_piece_of_an_answer_is_passed_on_at_once() {
    let (mut origin, forwarding) = pair().await;
    let mut visitor = forwarding.ask("GET /events HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n\r\n").await;
    let mut wire = origin.connection().await;
    assert!(wire.head().await.contains("te: trailers\r\n"));
    wire.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n").await;
    let head = visitor.head().await;
    assert!(head.contains("transfer-encoding: chunked\r\n"), "{head}");
    for event in ["data: 1", "data: 2"] {
        wire.say(format!("7\r\n{event}\r\n")).await;
        visitor.until(&format!("7\r\n{event}\r\n")).await;
    }
    wire.say("0\r\nX-Sum: 9\r\nContent-Length: 5\r\n\r\n").await;
    assert_eq!(visitor.until("\r\n\r\n").await, "0\r\nx-sum: 9\r\n\r\n");
    visitor.say(get("/next")).await;
    assert!(wire.head().await.starts_with("GET /next"), "the same connection is used again");
}

#[tokio::test]
async fn a_body_goes_up_as_it_comes_with_its_trailers() {
    let (mut origin, forwarding) = pair().await;
    let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n";
    let mut visitor = forwarding.ask(head).await;
    let mut wire = origin.connection().await;
    let head = wire.head().await;
    assert!(head.contains("transfer-encoding: chunked\r\n") && !head.contains("content-length"), "{head}");
    visitor.say("3\r\nabc\r\n").await;
    wire.until("3\r\nabc\r\n").await;
    visitor.say("0\r\nX-Sum: 1\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n").await;
    assert_eq!(wire.until("\r\n\r\n").await, "0\r\nx-sum: 1\r\n\r\n");
    wire.say(OK).await;
    visitor.until("ok").await;
}

#[tokio::test]
async fn lengths_are_kept_and_bodies_that_are_none_have_none() {
    let (mut origin, forwarding) = pair().await;
    let mut visitor = forwarding.ask("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut wire = origin.connection().await;
    wire.head().await;
    wire.say("HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n").await;
    assert!(visitor.head().await.contains("content-length: 1234\r\n"));
    for (said, told) in [
        ("304 Not Modified\r\nETag: \"1\"\r\nContent-Length: 7", "etag: \"1\"\r\n"),
        ("204 No Content\r\nX: 1", "x: 1\r\n"),
        ("200 OK\r\nX: 2\r\nContent-Length: 0", "content-length: 0\r\n"),
    ] {
        visitor.say(get("/")).await;
        wire.head().await;
        wire.say(format!("HTTP/1.1 {said}\r\n\r\n")).await;
        let head = visitor.head().await;
        assert!(head.contains(told), "{head}");
    }
    assert!(!origin.has_another());
}

#[tokio::test]
async fn a_body_that_the_connection_ends_is_passed_on_whole() {
    let (mut origin, forwarding) = pair().await;
    let mut visitor = forwarding.ask(get("/")).await;
    let mut wire = origin.connection().await;
    wire.head().await;
    wire.say("HTTP/1.0 200 OK\r\n\r\nold").await;
    visitor.head().await;
    visitor.until("3\r\nold\r\n").await;
    drop(wire);
    visitor.until("0\r\n\r\n").await;
    visitor.say(get("/")).await;
    origin.connection().await.head().await;
}

#[tokio::test]
async fn an_origin_that_dies_within_its_answer_is_not_made_to_look_complete() {
    for head in ["Content-Length: 10", "Transfer-Encoding: chunked"] {
        let (mut origin, forwarding) = pair().await;
        let mut visitor = forwarding.ask(get("/")).await;
        let mut wire = origin.connection().await;
        wire.head().await;
        wire.say(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n5\r\nhello")).await;
        visitor.until("hello").await;
        drop(wire);
        let (rest, _) = visitor.rest().await;
        assert!(!rest.contains("0\r\n"), "{head}: {rest:?}");
    }
}

#[tokio::test]
async fn a_malformed_chunk_cuts_the_answer_off() {
    let (mut origin, forwarding) = pair().await;
    let mut visitor = forwarding.ask(get("/")).await;
    let mut wire = origin.connection().await;
    wire.head().await;
    wire.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n").await;
    visitor.until("hello\r\n").await;
    wire.say("zz\r\nevil\r\n0\r\n\r\n").await;
    let (rest, _) = visitor.rest().await;
    assert!(!rest.contains("evil") && !rest.contains("0\r\n"), "{rest:?}");
    wire.ends().await;
}

#[tokio::test]
async fn an_answer_before_the_bodys_end_arrives_and_its_connection_is_not_used_again() {
    for body in ["Content-Length: 4\r\n\r\nnot!", "Transfer-Encoding: chunked\r\n\r\n4\r\nnot!\r\n0\r\n\r\n"]
    {
        let (mut origin, forwarding) = pair().await;
        let mut visitor =
            forwarding.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nbegin").await;
        let mut wire = origin.connection().await;
        wire.until("begin").await;
        wire.say(format!("HTTP/1.1 413 Too Large\r\n{body}")).await;
        assert!(visitor.until("not!").await.starts_with("HTTP/1.1 413 "));
        visitor.rest().await;
        let mut other = forwarding.ask(get("/other")).await;
        let mut fresh = origin.connection().await;
        assert!(
            fresh.head().await.starts_with("GET /other "),
            "the rest of a body is never taken for a request"
        );
        fresh.say(OK).await;
        other.until("ok").await;
        wire.ends().await;
    }
}

#[tokio::test]
async fn both_bodies_flow_at_the_same_time() {
    let (mut origin, forwarding) = pair().await;
    let mut visitor =
        forwarding.ask("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    let mut wire = origin.connection().await;
    assert!(wire.head().await.contains("connection: close\r\n"));
    wire.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    visitor.head().await;
    for piece in ["1\r\na\r\n", "1\r\nb\r\n", "0\r\n\r\n"] {
        visitor.say(piece).await;
        wire.until(piece).await;
        wire.say(piece).await;
        visitor.until(piece).await;
    }
    visitor.say(get("/next")).await;
    let mut fresh = origin.connection().await;
    assert!(fresh.head().await.starts_with("GET /next"), "servers may not have read the body");
    wire.ends().await;
}

#[tokio::test]
async fn a_visitor_who_leaves_takes_the_request_along() {
    let (mut origin, forwarding) = pair().await;
    for request in [get("/"), "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc".to_owned()] {
        let visitor = forwarding.ask(&request).await;
        let mut wire = origin.connection().await;
        wire.head().await;
        drop(visitor);
        let (rest, _) = wire.rest().await;
        assert!(rest.is_empty() || rest == "abc", "{rest:?}");
    }
}

#[tokio::test]
async fn what_nobody_reads_is_not_fetched() {
    let (mut origin, forwarding) = pair().await;
    let _visitor = forwarding.ask(get("/")).await;
    let Wire(stream) = &mut {
        let mut wire = origin.connection().await;
        wire.head().await;
        wire.say("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n").await;
        wire
    };
    let mut taken = 0;
    let piece = vec![b'x'; 64 * 1024];
    // When all buffers on the way are full, nothing moves: a second without a byte.
    loop {
        let writable = tokio::time::timeout(std::time::Duration::from_secs(1), stream.writable()).await;
        match writable.map(|_| stream.try_write(&piece)) {
            Ok(Ok(count)) => taken += count,
            Ok(Err(_)) => {}
            Err(_) => break,
        }
    }
    assert!(taken < 64 << 20, "{taken} bytes were taken");
}
