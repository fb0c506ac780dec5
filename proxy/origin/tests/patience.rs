//! How long each side waits for the other. While there is nothing to do but wait, time is the tests' own.

mod support;

use std::time::Duration;
use support::{Forwarding, Scripted, Wire, get};
use tokio::{
    io::AsyncReadExt,
    time::{Instant, pause, resume, sleep},
};
use usher_model::limits::{ORIGIN_HEAD_MS, ORIGIN_KEPT_MS, ORIGIN_SILENCE_MS, TUNNEL_SILENCE_MS};

async fn pair() -> (Scripted, Forwarding) {
    let origin = Scripted::start().await;
    let forwarding = Forwarding::to(origin.at).await;
    (origin, forwarding)
}

/// Lets time pass in which nothing is under way.
async fn pass(time: Duration) {
    pause();
    sleep(time).await;
    resume();
}

/// Everything until the other side closes, however long that takes, and how long it took.
async fn all(wire: &mut Wire) -> (String, Duration) {
    pause();
    let (began, mut read) = (Instant::now(), Vec::new());
    let _ = wire.0.read_to_end(&mut read).await;
    resume();
    (String::from_utf8_lossy(&read).into_owned(), began.elapsed())
}

fn closing(path: &str) -> String {
    get(path).replace("Host", "Connection: close\r\nHost")
}

/// At the limit, and not much later.
fn took(took: Duration, limit_ms: u64) {
    let limit = Duration::from_millis(limit_ms);
    assert!(
        took + Duration::from_secs(1) >= limit && took <= limit + limit / 4 + Duration::from_secs(1),
        "{took:?}, not {limit:?}"
    );
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_not_waited_for_forever() {
    let (mut origin, forwarding) = pair().await;
    let mut visitor = forwarding.ask(closing("/")).await;
    let mut wire = origin.connection().await;
    wire.head().await;
    let (told, waited) = all(&mut visitor).await;
    assert!(told.ends_with("slow"), "{told}");
    took(waited, ORIGIN_HEAD_MS);
    wire.ends().await;
}

#[tokio::test]
async fn one_that_comes_letter_by_letter_is_no_better() {
    let (mut origin, forwarding) = pair().await;
    let mut visitor = forwarding.ask(closing("/")).await;
    let mut wire = origin.connection().await;
    wire.head().await;
    let letters = tokio::spawn(async move {
        for letter in "HTTP/1.1 200 OK\r\nX: aaaaaaaaaaaaaaa".bytes() {
            wire.say([letter]).await;
            sleep(Duration::from_secs(5)).await;
        }
    });
    let (told, waited) = all(&mut visitor).await;
    assert!(told.ends_with("slow"), "{told}");
    took(waited, ORIGIN_HEAD_MS);
    letters.abort();
}

#[tokio::test]
async fn a_visitor_may_take_longer_than_an_origin() {
    let (mut origin, forwarding) = pair().await;
    let mut visitor = forwarding.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n").await;
    let mut wire = origin.connection().await;
    wire.head().await;
    for _ in 0..5 {
        pass(Duration::from_millis(ORIGIN_HEAD_MS) * 2).await;
        visitor.say("x").await;
    }
    wire.until("xxxxx").await;
    pass(Duration::from_millis(ORIGIN_HEAD_MS / 2)).await;
    wire.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    visitor.until("ok").await;
}

#[tokio::test]
async fn a_stream_may_pause_but_not_fall_silent() {
    let (mut origin, forwarding) = pair().await;
    let mut visitor = forwarding.ask(get("/events")).await;
    let mut wire = origin.connection().await;
    wire.head().await;
    wire.say("HTTP/1.1 200 OK\r\n\r\n").await;
    visitor.head().await;
    for _ in 0..3 {
        pass(Duration::from_millis(ORIGIN_SILENCE_MS) * 9 / 10).await;
        wire.say("x").await;
        visitor.until("x\r\n").await;
    }
    let (told, waited) = all(&mut visitor).await;
    assert_eq!(told, "", "it does not look complete");
    took(waited, ORIGIN_SILENCE_MS);
}

#[tokio::test]
async fn an_alarm_of_an_earlier_wait_does_not_ring_in_a_later_one() {
    let (mut origin, forwarding) = pair().await;
    let mut visitor = forwarding.ask(get("/")).await;
    let mut wire = origin.connection().await;
    for _ in 0..40 {
        wire.head().await;
        pass(Duration::from_secs(2)).await;
        wire.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
        pass(Duration::from_secs(2)).await;
        wire.say("0\r\n\r\n").await;
        visitor.until("0\r\n\r\n").await;
        visitor.say(get("/")).await;
    }
    assert!(!origin.has_another());
}

#[tokio::test]
async fn a_connection_that_nobody_uses_is_closed() {
    let (mut origin, forwarding) = pair().await;
    let mut visitor = forwarding.ask(get("/")).await;
    let mut wire = origin.connection().await;
    wire.head().await;
    wire.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    visitor.until("ok").await;
    let (told, waited) = all(&mut wire).await;
    assert_eq!(told, "");
    took(waited, ORIGIN_KEPT_MS);
}

#[tokio::test]
async fn a_tunnel_lives_while_anything_moves() {
    let (mut origin, forwarding) = pair().await;
    let mut visitor = forwarding
        .ask("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        .await;
    let mut wire = origin.connection().await;
    wire.head().await;
    wire.say("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n").await;
    visitor.head().await;
    for _ in 0..5 {
        pass(Duration::from_millis(TUNNEL_SILENCE_MS) * 7 / 10).await;
        visitor.say("ping").await;
        wire.until("ping").await;
    }
    let (told, waited) = all(&mut visitor).await;
    assert_eq!(told, "");
    took(waited, TUNNEL_SILENCE_MS);
}
