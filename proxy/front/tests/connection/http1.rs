//! Time limits and ends of HTTP/1 connections, in virtual time.

use crate::support::{Opened, PART_BYTES, Reply, open_http1};
use std::{
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, sleep, timeout},
};
use usher_front::End;

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n";

/// Reads until the connection ends: what came, and when it ended in seconds since `start`.
async fn rest(client: &mut Opened, start: Instant) -> (String, f64) {
    let mut bytes = Vec::new();
    let read = timeout(Duration::from_secs(100_000), client.io.read_to_end(&mut bytes)).await;
    read.expect("the connection ends").expect("it is not reset");
    (String::from_utf8_lossy(&bytes).into_owned(), start.elapsed().as_secs_f64())
}

/// Reads one answer without a body to its end.
async fn answer(client: &mut Opened) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        bytes.push(client.io.read_u8().await.expect("an answer"));
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn is_about(seconds: f64, wanted: f64) -> bool {
    (wanted..wanted + 0.1).contains(&seconds)
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_sends_nothing_is_closed() {
    let mut client = open_http1(Reply::Empty);
    let (said, after) = rest(&mut client, Instant::now()).await;
    assert_eq!(said, "");
    assert!(is_about(after, 10.0), "{after}");
}

#[tokio::test(start_paused = true)]
async fn a_slow_header_is_cut_off() {
    let client = open_http1(Reply::Empty);
    let start = Instant::now();
    let (mut reader, mut writer) = tokio::io::split(client.io);
    let slow = tokio::spawn(async move {
        for byte in GET.iter().cycle() {
            sleep(Duration::from_millis(900)).await;
            if writer.write_all(&[*byte]).await.is_err() {
                return;
            }
            if start.elapsed() > Duration::from_secs(20) {
                return;
            }
        }
    });
    let mut said = String::new();
    reader.read_to_string(&mut said).await.expect("an answer");
    let after = start.elapsed().as_secs_f64();
    assert!(said.starts_with("HTTP/1.1 408 "), "{said}");
    assert!(is_about(after, 10.0), "{after}");
    drop(reader);
    slow.await.expect("done");
    assert!(matches!(client.served.await.expect("no panic"), Err(End::SlowHeader)));
}

#[tokio::test(start_paused = true)]
async fn the_time_of_a_later_header_begins_with_it() {
    let mut client = open_http1(Reply::Empty);
    client.io.write_all(GET).await.expect("sent");
    assert!(answer(&mut client).await.starts_with("HTTP/1.1 204 "));
    sleep(Duration::from_secs(60)).await;
    let start = Instant::now();
    client.io.write_all(&GET[..5]).await.expect("sent");
    let (said, after) = rest(&mut client, start).await;
    assert!(said.starts_with("HTTP/1.1 408 "), "{said}");
    assert!(is_about(after, 10.0), "{after}");
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed_and_one_in_use_is_not() {
    let mut client = open_http1(Reply::Empty);
    for pause in [0, 70, 1, 74, 3] {
        sleep(Duration::from_secs(pause)).await;
        client.io.write_all(GET).await.expect("sent");
        assert!(answer(&mut client).await.starts_with("HTTP/1.1 204 "));
    }
    let (said, after) = rest(&mut client, Instant::now()).await;
    assert_eq!(said, "");
    assert!(is_about(after, 75.0), "{after}");
    client.served.await.expect("no panic").expect("that is no fault");
}

#[tokio::test(start_paused = true)]
async fn requests_one_after_the_other_in_one_go_are_all_answered() {
    let mut client = open_http1(Reply::Late(Duration::from_secs(3)));
    client.io.write_all(&GET.repeat(5)).await.expect("sent");
    for _ in 0..5 {
        assert!(answer(&mut client).await.starts_with("HTTP/1.1 204 "));
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_may_take_its_time() {
    let mut client = open_http1(Reply::Late(Duration::from_secs(600)));
    client.io.write_all(GET).await.expect("sent");
    assert!(answer(&mut client).await.starts_with("HTTP/1.1 204 "));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_hangs_up_is_answered_no_more() {
    let client = open_http1(Reply::Late(Duration::from_secs(600)));
    let start = Instant::now();
    let (mut io, served) = (client.io, client.served);
    io.write_all(GET).await.expect("sent");
    sleep(Duration::from_secs(1)).await;
    drop(io);
    let _ = served.await.expect("no panic");
    assert!(is_about(start.elapsed().as_secs_f64(), 1.0));
}

async fn post(rate: usize, every: Duration, read_after: Duration) -> (String, f64) {
    let mut client = open_http1(Reply::Read { after: read_after });
    let start = Instant::now();
    let head = b"POST / HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 60000\r\n\r\n";
    client.io.write_all(head).await.expect("sent");
    let mut left = 60_000;
    while left > 0 && start.elapsed() < Duration::from_secs(500) {
        let part = rate.min(left);
        let bytes = vec![b'x'; part];
        tokio::select! {
            sent = client.io.write_all(&bytes) => if sent.is_err() { break },
            () = sleep(Duration::from_secs(1_000)) => panic!("it is not read"),
        }
        left -= part;
        if let Ok(said) = timeout(every, answer(&mut client)).await {
            return (said, start.elapsed().as_secs_f64());
        }
    }
    (answer(&mut client).await, start.elapsed().as_secs_f64())
}

#[tokio::test(start_paused = true)]
async fn a_slow_body_is_cut_off() {
    // It has 5 s, and what it sends earns it a fifth of the time that passes.
    let (said, after) = post(100, Duration::from_secs(1), Duration::ZERO).await;
    assert!(said.starts_with("HTTP/1.1 408 "), "{said}");
    assert!((5.5..7.5).contains(&after), "{after}");
}

#[tokio::test(start_paused = true)]
async fn a_body_at_the_lowest_rate_is_taken() {
    let (said, after) = post(600, Duration::from_secs(1), Duration::ZERO).await;
    assert!(said.starts_with("HTTP/1.1 204 "), "{said}");
    assert!(after > 90.0, "{after}");
}

#[tokio::test(start_paused = true)]
async fn a_sender_is_not_blamed_for_a_slow_reader() {
    let (said, _) = post(60_000, Duration::from_secs(1), Duration::from_secs(300)).await;
    assert!(said.starts_with("HTTP/1.1 204 "), "{said}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_nothing_is_cut_off() {
    let mut client = open_http1(Reply::Long(1_000_000));
    let start = Instant::now();
    client.io.write_all(GET).await.expect("sent");
    let ended = client.served.await.expect("no panic");
    assert!(matches!(ended, Err(End::SlowReader)), "{ended:?}");
    let after = start.elapsed().as_secs_f64();
    assert!((30.0..33.0).contains(&after), "{after}");
}

#[tokio::test(start_paused = true)]
async fn no_more_of_an_answer_is_taken_up_than_the_client_takes() {
    let taken: &AtomicUsize = Box::leak(Box::default());
    let mut client = open_http1(Reply::Endless(taken));
    client.io.write_all(GET).await.expect("sent");
    let mut space = vec![0; 100_000];
    let (mut read, mut spare) = (0, 0);
    for _ in 0..1_000 {
        sleep(Duration::from_millis(10)).await;
        spare = (taken.load(SeqCst) * PART_BYTES).saturating_sub(read).max(spare);
        read += client.io.read(&mut space).await.expect("more");
    }
    // The system's buffer, and what hyper takes up before it writes for the first time.
    assert!(read > 1_000_000 && spare < 70_000, "{read} {spare}");
}

#[tokio::test(start_paused = true)]
async fn a_connection_whose_answer_had_to_wait_is_closed_when_it_is_idle() {
    let mut client = open_http1(Reply::Long(50_000));
    client.io.write_all(GET).await.expect("sent");
    let (mut left, mut space) = (50_000_usize, vec![0; 4_096]);
    while left > 0 {
        sleep(Duration::from_millis(100)).await;
        left = left.saturating_sub(client.io.read(&mut space).await.expect("more"));
    }
    let (_, after) = rest(&mut client, Instant::now()).await;
    assert!((74.8..75.2).contains(&after), "{after}");
}

async fn drip(bytes: usize) -> (usize, f64, Result<(), End>) {
    let mut client = open_http1(Reply::Long(200_000));
    let start = Instant::now();
    client.io.write_all(GET).await.expect("sent");
    let (mut taken, mut space) = (0, vec![0; bytes]);
    while taken < 200_000 {
        sleep(Duration::from_secs(1)).await;
        match client.io.read(&mut space).await {
            Ok(read @ 1..) => taken += read,
            _ => break,
        }
    }
    drop(client.io);
    (taken, start.elapsed().as_secs_f64(), client.served.await.expect("no panic"))
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_too_slowly_is_cut_off() {
    let (taken, _, ended) = drip(200).await;
    assert!(taken < 20_000, "{taken}");
    assert!(matches!(ended, Err(End::SlowReader)), "{ended:?}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_slowly_is_served() {
    let (taken, after, _) = drip(1_000).await;
    assert!(taken >= 200_000 && after > 150.0, "{taken} {after}");
}

#[tokio::test(start_paused = true)]
async fn an_old_connection_ends_after_its_next_request() {
    let mut client = open_http1(Reply::Empty);
    let mut asked = 0;
    let start = Instant::now();
    loop {
        client.io.write_all(GET).await.expect("sent");
        asked += 1;
        if answer(&mut client).await.contains("connection: close") {
            break;
        }
        sleep(Duration::from_secs(60)).await;
    }
    assert_eq!((asked, start.elapsed().as_secs() / 60), (61, 60));
    assert_eq!(rest(&mut client, Instant::now()).await.0, "");
}

#[tokio::test(start_paused = true)]
async fn a_connection_has_so_many_requests() {
    let mut client = open_http1(Reply::Empty);
    for asked in 1..=10_000 {
        client.io.write_all(GET).await.expect("sent");
        let closes = answer(&mut client).await.contains("connection: close");
        assert_eq!(closes, asked == 10_000, "{asked}");
    }
    assert_eq!(rest(&mut client, Instant::now()).await.0, "");
}

#[tokio::test(start_paused = true)]
async fn an_offence_is_told_after_the_answers_before_it() {
    let mut client = open_http1(Reply::Late(Duration::from_secs(20)));
    let start = Instant::now();
    client
        .io
        .write_all(&[GET, GET, b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", GET].concat())
        .await
        .expect("sent");
    let (said, after) = rest(&mut client, start).await;
    let statuses: Vec<&str> = said.matches("HTTP/1.1 ").collect();
    assert_eq!(statuses.len(), 3, "{said}");
    assert!(said.starts_with("HTTP/1.1 204 ") && said.contains("HTTP/1.1 400 "), "{said}");
    assert!(is_about(after, 40.0), "{after}");
    drop(client.io);
    assert!(matches!(client.served.await.expect("no panic"), Err(End::Offence(_))));
}

#[tokio::test(start_paused = true)]
async fn an_offence_in_a_body_breaks_the_request_off() {
    let mut client = open_http1(Reply::Read { after: Duration::ZERO });
    let head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n";
    client.io.write_all(head).await.expect("sent");
    sleep(Duration::from_secs(1)).await;
    client.io.write_all(b"nonsense\r\n\r\n").await.expect("sent");
    let (said, _) = rest(&mut client, Instant::now()).await;
    assert!(said.starts_with("HTTP/1.1 400 ") && said.matches("HTTP/1.1").count() == 1, "{said}");
}

#[tokio::test(start_paused = true)]
async fn what_a_client_still_sends_does_not_cost_it_the_answer() {
    // The last words of a connection are read by clients that are still sending.
    let client = open_http1(Reply::Empty);
    let long = [b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n".as_slice(), &[b'x'; 50_000]];
    let start = Instant::now();
    let (mut reader, mut writer) = tokio::io::split(client.io);
    let sender = tokio::spawn(async move { writer.write_all(&long.concat()).await });
    let mut said = String::new();
    reader.read_to_string(&mut said).await.expect("an answer");
    assert!(said.starts_with("HTTP/1.1 204 "), "{said}");
    sender.await.expect("no panic").expect("all of it is taken");
    client.served.await.expect("no panic").expect("no fault");
    assert!(start.elapsed() < Duration::from_secs(3));
}

#[tokio::test(start_paused = true)]
async fn at_the_end_requests_under_way_are_answered() {
    let mut busy = open_http1(Reply::Late(Duration::from_secs(5)));
    let mut used = open_http1(Reply::Empty);
    busy.io.write_all(GET).await.expect("sent");
    used.io.write_all(GET).await.expect("sent");
    answer(&mut used).await;
    sleep(Duration::from_millis(100)).await;
    for client in [&busy, &used] {
        client.drain.cancel();
    }
    let (said, after) = rest(&mut used, Instant::now()).await;
    assert_eq!((said.as_str(), after < 0.1), ("", true));
    assert!(answer(&mut busy).await.starts_with("HTTP/1.1 204 "));
    assert_eq!(rest(&mut busy, Instant::now()).await.0, "");
}

#[tokio::test(start_paused = true)]
async fn at_the_end_a_connection_may_begin_its_first_request_for_a_moment() {
    for (wait, is_answered) in [(0, true), (1_900, true), (2_100, false)] {
        let mut client = open_http1(Reply::Empty);
        sleep(Duration::from_millis(100)).await;
        client.drain.cancel();
        sleep(Duration::from_millis(wait)).await;
        let _ = client.io.write_all(GET).await;
        let (said, after) = rest(&mut client, Instant::now()).await;
        assert_eq!(said.starts_with("HTTP/1.1 204 "), is_answered, "{wait}: {said}");
        assert!(after < 0.1, "{after}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_tunnel_passes_everything_and_has_no_limit_of_ours() {
    let mut client = open_http1(Reply::Switch);
    let ask = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    client.io.write_all(ask).await.expect("sent");
    assert!(answer(&mut client).await.starts_with("HTTP/1.1 101 "));
    for _ in 0..3 {
        sleep(Duration::from_secs(500)).await;
        client.io.write_all(b"\0\xffecho!").await.expect("sent");
        let mut echo = [0; 7];
        client.io.read_exact(&mut echo).await.expect("an echo");
        assert_eq!(&echo, b"\0\xffecho!");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_to_switch_that_is_answered_otherwise_changes_nothing() {
    let mut client = open_http1(Reply::Empty);
    let ask = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    client.io.write_all(&[ask, GET].concat()).await.expect("sent");
    for _ in 0..2 {
        assert!(answer(&mut client).await.starts_with("HTTP/1.1 204 "));
    }
}

#[test]
fn a_connection_takes_little_room() {
    use usher_front::{Flow, Protocol};
    let (_, server) = tokio::io::duplex(1);
    let serve = usher_front::serve(
        Flow::new(server, ()),
        Protocol::Http1 { is_secured: false },
        tokio_util::sync::CancellationToken::new(),
        async |_| http::Response::new(http_body_util::Full::new(bytes::Bytes::new())),
    );
    let size = std::mem::size_of_val(&serve);
    assert!(size < 512, "{size}");
}
