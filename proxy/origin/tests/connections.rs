//! Connections: when they are used again, what a request is worth that met a dead one, and tunnels.

mod support;

use support::{Forwarding, OWN_COOKIE, Scripted, Wire, get};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpSocket},
};
use usher_model::OriginAddress;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

async fn pair() -> (Scripted, Forwarding) {
    let origin = Scripted::start().await;
    let forwarding = Forwarding::to(origin.at).await;
    (origin, forwarding)
}

/// A connection that has served one request and is kept.
async fn kept(origin: &mut Scripted, forwarding: &Forwarding) -> Wire {
    let mut visitor = forwarding.ask(get("/")).await;
    let mut wire = origin.connection().await;
    wire.head().await;
    wire.say(OK).await;
    visitor.until("ok").await;
    wire
}

fn post(body: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn one_that_the_origin_has_closed_is_not_used() {
    let (mut origin, forwarding) = pair().await;
    for request in [get("/"), post("order")] {
        drop(kept(&mut origin, &forwarding).await);
        let mut visitor = forwarding.ask(&request).await;
        let mut wire = origin.connection().await;
        wire.head().await;
        wire.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok").await;
        visitor.until("ok").await;
    }
}

#[tokio::test]
async fn one_on_which_the_origin_spoke_unasked_is_not_used() {
    let (mut origin, forwarding) = pair().await;
    let mut wire = kept(&mut origin, &forwarding).await;
    wire.say("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil").await;
    let mut visitor = forwarding.ask(get("/")).await;
    let mut fresh = origin.connection().await;
    fresh.head().await;
    fresh.say(OK).await;
    assert!(!visitor.until("ok").await.contains("evil"));
}

#[tokio::test]
async fn bytes_behind_an_answer_are_nobodys_answer() {
    for answer in [OK, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"] {
        let (mut origin, forwarding) = pair().await;
        let mut visitor = forwarding.ask(get("/")).await;
        let mut wire = origin.connection().await;
        wire.head().await;
        wire.say(format!("{answer}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")).await;
        visitor.until(if answer == OK { "ok" } else { "0\r\n\r\n" }).await;
        let mut other = forwarding.ask(get("/")).await;
        let mut fresh = origin.connection().await;
        fresh.head().await;
        fresh.say(OK).await;
        assert!(!other.until("ok").await.contains("evil"));
        wire.ends().await;
    }
}

#[tokio::test]
async fn a_page_that_met_a_dying_connection_is_asked_for_again_and_an_order_is_not() {
    let (mut origin, forwarding) = pair().await;
    let mut wire = kept(&mut origin, &forwarding).await;
    let mut visitor = forwarding.ask(get("/page")).await;
    assert!(wire.head().await.starts_with("GET /page "));
    drop(wire);
    let mut wire = origin.connection().await;
    assert!(wire.head().await.starts_with("GET /page "));
    wire.say(OK).await;
    visitor.until("ok").await;

    // The same connection again, now kept.
    let mut visitor = forwarding.ask(post("order")).await;
    wire.until("order").await;
    drop(wire);
    assert!(visitor.until("gone").await.starts_with("HTTP/1.1 599 "));
    assert!(!origin.has_another(), "an order is never sent twice");
}

#[tokio::test]
async fn a_fresh_connection_that_dies_is_a_failure() {
    let (mut origin, forwarding) = pair().await;
    let mut visitor = forwarding.ask(get("/")).await;
    origin.connection().await.head().await;
    visitor.until("gone").await;
    assert!(!origin.has_another());
}

#[tokio::test]
async fn nobody_there_is_a_failure_at_once() {
    // Bound and not listening: nobody else gets the port, and nobody answers there.
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(([127, 0, 0, 1], 0).into()).expect("a port");
    let at = socket.local_addr().expect("an address");
    let forwarding = Forwarding::to(at).await;
    forwarding.ask(get("/")).await.until("connect").await;
    let address = OriginAddress { https: true, host: "127.0.0.1".to_owned(), port: at.port() };
    Forwarding::to_address(address).await.ask(get("/")).await.until("connect").await;
}

#[tokio::test]
async fn names_are_looked_up() {
    let mut origin = Scripted::start().await;
    let address = OriginAddress { https: false, host: "localhost".to_owned(), port: origin.at.port() };
    let forwarding = Forwarding::to_address(address).await;
    kept(&mut origin, &forwarding).await;
}

#[tokio::test]
async fn a_server_without_a_certificate_for_its_name_gets_nothing() {
    let mut origin = Scripted::start().await;
    let address = OriginAddress { https: true, host: "127.0.0.1".to_owned(), port: origin.at.port() };
    let forwarding = Forwarding::to_address(address).await;
    let mut visitor = forwarding.ask(get("/secret")).await;
    let mut wire = origin.connection().await;
    wire.say("HTTP/1.1 200 OK\r\n\r\n").await;
    visitor.until("connect").await;
    assert!(!wire.rest().await.0.contains("secret"));
}

#[tokio::test]
async fn interim_answers_are_bounded_and_end_here() {
    let (mut origin, forwarding) = pair().await;
    let mut visitor = forwarding.ask(get("/")).await;
    let mut wire = origin.connection().await;
    wire.head().await;
    wire.say("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n".repeat(16)).await;
    wire.say(OK).await;
    assert!(visitor.until("ok").await.starts_with("HTTP/1.1 200 "));
    visitor.say(get("/")).await;
    wire.head().await;
    wire.say("HTTP/1.1 102 Processing\r\n\r\n".repeat(17)).await;
    visitor.until("malformed").await;
    wire.ends().await;
}

#[tokio::test]
async fn a_body_waits_for_the_origin_that_is_to_ask_for_it() {
    let (mut origin, forwarding) = pair().await;
    let head = "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n";
    let mut visitor = forwarding.ask(head).await;
    let mut wire = origin.connection().await;
    assert!(wire.head().await.contains("expect: 100-continue\r\n"));
    wire.say("HTTP/1.1 100 Continue\r\n\r\n").await;
    assert_eq!(visitor.head().await, "HTTP/1.1 100 Continue\r\n\r\n");
    visitor.say("body").await;
    wire.until("body").await;
    wire.say(OK).await;
    visitor.until("ok").await;
    wire.ends().await;

    visitor.say(head).await;
    let mut wire = origin.connection().await;
    wire.head().await;
    wire.say("HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\nno").await;
    assert!(visitor.until("no").await.starts_with("HTTP/1.1 401 "), "the body is never asked for");
    wire.ends().await;
}

#[tokio::test]
async fn an_origin_that_does_not_know_expectations_gets_the_body_after_a_second() {
    let (mut origin, forwarding) = pair().await;
    let mut visitor = forwarding
        .ask("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
        .await;
    let mut wire = origin.connection().await;
    wire.head().await;
    visitor.head().await;
    visitor.say("body").await;
    wire.until("body").await;
}

const UPGRADE: &str = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\
                       Sec-WebSocket-Version: 13\r\nCookie: a=b\r\n\r\n";
const SWITCHED: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: y\r\n\r\n";

#[tokio::test]
async fn an_upgrade_joins_both_sides_until_each_has_had_enough() {
    let (mut origin, forwarding) = pair().await;
    let mut visitor = forwarding.ask(UPGRADE).await;
    let mut wire = origin.connection().await;
    let head = wire.head().await;
    for line in
        ["connection: upgrade\r\n", "upgrade: websocket\r\n", "sec-websocket-key: x\r\n", "cookie: a=b\r\n"]
    {
        assert!(head.contains(line), "{line} in {head}");
    }
    wire.say(format!("{SWITCHED}first")).await;
    let head = visitor.until("first").await;
    assert!(head.starts_with("HTTP/1.1 101 ") && head.contains("sec-websocket-accept: y\r\n"), "{head}");
    for _ in 0..3 {
        visitor.say("ping").await;
        wire.until("ping").await;
        wire.say("pong").await;
        visitor.until("pong").await;
    }
    assert_eq!(forwarding.tunnels.len(), 1);
    wire.0.shutdown().await.expect("half of it is closed");
    visitor.ends().await;
    visitor.say("bye").await;
    wire.until("bye").await;
    drop(visitor);
    wire.ends().await;
    while !forwarding.tunnels.is_empty() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn tunnels_end_when_they_are_told_to() {
    let (mut origin, forwarding) = pair().await;
    let mut visitor = forwarding.ask(UPGRADE).await;
    let mut wire = origin.connection().await;
    wire.head().await;
    wire.say(SWITCHED).await;
    visitor.head().await;
    forwarding.tunnels.end();
    visitor.ends().await;
    wire.ends().await;
}

#[tokio::test]
async fn an_upgrade_that_is_refused_is_an_answer_like_any_other() {
    let (mut origin, forwarding) = pair().await;
    let mut visitor = forwarding.ask(UPGRADE).await;
    let mut wire = origin.connection().await;
    wire.head().await;
    wire.say("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno").await;
    visitor.until("no").await;
    visitor.say(get("/")).await;
    assert!(wire.head().await.starts_with("GET / "), "what follows is a request, not a tunnel");
}

#[tokio::test]
async fn nobody_is_switched_unasked() {
    let (mut origin, forwarding) = pair().await;
    for request in [get("/"), UPGRADE.replace("websocket", "h2c"), post("a")] {
        let mut visitor = forwarding.ask(&request).await;
        let mut wire = origin.connection().await;
        wire.head().await;
        wire.say(SWITCHED).await;
        visitor.until("malformed").await;
    }
}

#[tokio::test]
async fn our_cookie_is_kept_from_the_origin() {
    let (mut origin, forwarding) = pair().await;
    let _visitor =
        forwarding.ask(format!("GET / HTTP/1.1\r\nHost: a\r\nCookie: a=1; {OWN_COOKIE}=2\r\n\r\n")).await;
    let head = origin.connection().await.head().await;
    assert!(head.contains("cookie: a=1\r\n") && !head.contains(OWN_COOKIE), "{head}");
}

#[tokio::test]
async fn an_origin_that_leads_back_here_ends_in_a_failure() {
    // Something in between that sends everything back to where it came from.
    let between = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let forwarding = Forwarding::to(between.local_addr().expect("an address")).await;
    let at = forwarding.at;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = between.accept().await {
            tokio::spawn(async move {
                let mut back = Wire::connect(at).await;
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut back.0).await;
            });
        }
    });
    let told = forwarding.ask(get("/")).await.until("circle").await;
    assert!(told.contains("599"), "{told}");
}
