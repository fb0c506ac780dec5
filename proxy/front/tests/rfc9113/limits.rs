//! What a client may ask of a connection and how long it may take, in virtual time.

use crate::client::*;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use usher_front::End as Ended;
use usher_model::limits;

const CALM: Option<u32> = Some(0xb);
const LONG: Duration = Duration::from_secs(10_000);

/// All frames until the connection is closed, and when that was, in seconds.
async fn rest(client: &mut Client) -> (Seen, f64) {
    let (start, mut frames) = (Instant::now(), Vec::new());
    let end = loop {
        match client.next(LONG).await {
            // Whether the client is there is asked now and then.
            Ok(Frame { kind: PING, flags: 0, payload, .. }) => {
                client.send(Script::default().frame(PING, ACK, 0, &payload)).await;
            }
            Ok(frame) => frames.push(frame),
            Err(end) => break end,
        }
    };
    let after = start.elapsed().as_secs_f64();
    (Seen { frames, is_closed: end == End::Closed }, after)
}

fn is_about(seconds: f64, wanted: f64) -> bool {
    (wanted - 0.1..wanted + 0.1).contains(&seconds)
}

async fn flood(script: Script) -> Seen {
    let (mut client, _, served) = Client::answered(Reply::Content);
    client.send(script).await;
    let (seen, _) = rest(&mut client).await;
    drop(client);
    assert!(matches!(served.await.expect("no panic"), Err(Ended::Flood)));
    seen
}

#[tokio::test(start_paused = true)]
async fn frames_that_ask_for_nothing_are_counted() {
    type Again = fn(Script) -> Script;
    let kinds: [(&str, Again); 5] = [
        ("PING", |s| s.frame(PING, 0, 0, &[0; 8])),
        ("SETTINGS", |s| s.frame(SETTINGS, 0, 0, &[])),
        ("PRIORITY", |s| s.frame(PRIORITY, 0, 9, &[0, 0, 0, 0, 1])),
        ("WINDOW_UPDATE", |s| s.update(0, 1)),
        ("unknown", |s| s.frame(0x99, 0, 0, &[])),
    ];
    for (name, again) in kinds {
        let few = (0..900).fold(Script::begun().post(1), |s, _| again(s));
        let mut client = Client::open();
        client.send(few).await;
        assert!(!client.watch().await.is_closed, "{name}");
        let seen = flood((0..1_100).fold(Script::begun().post(1), |s, _| again(s))).await;
        assert_eq!((seen.goaway(), seen.is_closed), (CALM, true), "{name}");
    }
}

/// Hyper counts these itself, and sooner.
#[tokio::test(start_paused = true)]
async fn empty_data_and_endless_headers_are_counted() {
    let data = (0..1_100).fold(Script::begun().post(1), |s, _| s.frame(DATA, 0, 1, &[]));
    let begun = || Script::begun().frame(HEADERS, END_STREAM, 1, &get());
    let headers = (0..50).fold(begun(), |s, _| s.frame(CONTINUATION, 0, 1, &field("x-a", "b")));
    let nothing = (0..50).fold(begun(), |s, _| s.frame(CONTINUATION, 0, 1, &[]));
    for script in [data, headers, nothing] {
        let mut client = Client::open();
        client.send(script).await;
        let (seen, after) = rest(&mut client).await;
        assert!(seen.is_closed && seen.goaway() == CALM && after < 3.0, "{after} {:?}", seen.goaway());
    }
}

#[tokio::test(start_paused = true)]
async fn the_allowance_refills() {
    let mut client = Client::open();
    client.send(Script::begun()).await;
    client.send(Script::default().get(1)).await;
    for _ in 0..20 {
        client.send((0..90).fold(Script::default(), |s, _| s.frame(PING, 0, 0, &[0; 8]))).await;
        assert!(!client.watch().await.is_closed);
        sleep(Duration::from_secs(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn requests_that_come_to_nothing_are_counted() {
    let lost = (0..250).fold(Script::begun(), |s, n| {
        s.frame(HEADERS, WHOLE, 2 * n + 1, &[get(), field("te", "gzip")].concat())
    });
    let mut client = Client::open();
    client.send(lost).await;
    let (seen, _) = rest(&mut client).await;
    assert!(seen.is_closed && seen.frames.len() < 230, "{}", seen.frames.len());
}

#[tokio::test(start_paused = true)]
async fn requests_with_too_large_a_header_are_counted() {
    // A field of 4,000 bytes goes into the table, and then many times into each header (RFC 7541 section 5.1).
    let length = [0x7f, (3_873 % 128) as u8 | 0x80, (3_873 / 128) as u8];
    let planted = [&get()[..], &[0x40, 1, b'x'], &length, &[b'a'; 4_000]].concat();
    let begun = Script::begun().frame(HEADERS, WHOLE, 1, &planted);
    let bombs = |from: u32, to: u32| {
        (from..to).fold(Script::default(), |s, n| {
            s.frame(HEADERS, WHOLE, 2 * n + 1, &[&get()[..], &[0xbe; 10]].concat())
        })
    };
    let (mut client, _, served) = Client::answered(Reply::Content);
    client.send(begun).await;
    client.send(bombs(1, 51)).await;
    let seen = client.watch().await;
    assert!(!seen.is_closed && seen.frames.iter().any(|frame| frame.stream == 101), "some are let pass");
    for script in [bombs(51, 151), bombs(151, 300), Script::default().get(601)] {
        client.send(script).await;
        sleep(Duration::from_secs(1)).await;
    }
    let (seen, _) = rest(&mut client).await;
    assert_eq!((seen.goaway(), seen.is_closed), (CALM, true));
    drop(client);
    assert!(matches!(served.await.expect("no panic"), Err(Ended::Flood)));
}

#[tokio::test(start_paused = true)]
async fn a_download_may_update_its_windows() {
    let (mut client, ..) = Client::answered(Reply::Long(40_000_000));
    client.send(Script::begun().get(1)).await;
    let (mut taken, mut updates) = (0, 0);
    while taken < 40_000_000 {
        let frame = client.next(LONG).await.expect("a frame");
        if frame.kind == DATA {
            let by = frame.payload.len() as u32;
            (taken, updates) = (taken + frame.payload.len(), updates + 2);
            client.send(Script::default().update(0, by).update(1, by)).await;
        }
    }
    assert!(updates > 4_000, "{updates}");
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_a_request_is_closed() {
    for script in [Script::default(), Script(PREFACE[..10].to_vec()), Script::begun()] {
        let mut client = Client::open();
        client.send(script).await;
        let (seen, after) = rest(&mut client).await;
        assert!(seen.is_closed && is_about(after, 10.0), "{after}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_header_has_to_come_to_its_end() {
    let mut client = Client::open();
    client.send(Script::begun().get(1)).await;
    client.watch().await;
    client.send(Script::default().frame(HEADERS, END_STREAM, 3, &get())).await;
    let start = Instant::now();
    for _ in 0..3 {
        sleep(Duration::from_secs(3)).await;
        client.send(Script::default().frame(CONTINUATION, 0, 3, &field("x-a", "b"))).await;
    }
    let (seen, _) = rest(&mut client).await;
    let after = start.elapsed().as_secs_f64();
    assert!(seen.is_closed && is_about(after, 10.0), "{after}");
}

#[tokio::test(start_paused = true)]
async fn a_frame_has_to_come_to_its_end() {
    let mut client = Client::open();
    client.send(Script::begun().get(1)).await;
    client.watch().await;
    client.send(Script::default().announced(100, HEADERS, WHOLE, 3, b"not all of it")).await;
    let (seen, after) = rest(&mut client).await;
    assert!(seen.is_closed && is_about(after, 10.0), "{after}");
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_told_to_end() {
    let (mut client, _, served) = Client::answered(Reply::Content);
    client.send(Script::begun().get(1)).await;
    let (seen, after) = rest(&mut client).await;
    assert_eq!((seen.status(1), seen.goaway(), seen.is_closed), (Some(200), Some(0), true));
    assert!((75.0..86.0).contains(&after), "{after}");
    drop(client);
    served.await.expect("no panic").expect("that is no fault");
}

#[tokio::test(start_paused = true)]
async fn an_answer_may_take_its_time() {
    let (mut client, ..) = Client::answered(Reply::Late(Duration::from_secs(600)));
    client.send(Script::begun().get(1)).await;
    let (seen, after) = rest(&mut client).await;
    assert_eq!(seen.status(1), Some(200));
    assert!(after > 600.0, "{after}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_opens_no_window_is_cut_off() {
    let (mut client, _, served) = Client::answered(Reply::Long(200_000));
    client.send(Script::begun().get(1).get(3)).await;
    let (seen, after) = rest(&mut client).await;
    assert!(seen.is_closed && (30.0..36.0).contains(&after), "{after}");
    drop(client);
    assert!(matches!(served.await.expect("no panic"), Err(Ended::SlowReader)));
}

#[tokio::test(start_paused = true)]
async fn a_slow_body_is_cut_off() {
    let mut client = Client::open();
    client.send(Script::begun().post(1)).await;
    let start = Instant::now();
    loop {
        client.send(Script::default().frame(DATA, 0, 1, &[b'x'; 100])).await;
        match client.next(Duration::from_secs(1)).await {
            Ok(frame) if frame.kind == HEADERS => break,
            Ok(_) | Err(End::Silent) => {}
            Err(End::Closed) => panic!("the others live"),
        }
    }
    let after = start.elapsed().as_secs_f64();
    assert!((5.5..7.5).contains(&after), "{after}");
}

#[tokio::test(start_paused = true)]
async fn a_connection_has_so_many_requests() {
    let mut client = Client::open();
    client.send(Script::begun()).await;
    let mut answered = 0;
    let mut seen = Vec::new();
    for n in 0..limits::CONNECTION_REQUESTS as u32 + 50 {
        client.send(Script::default().update(0, CONTENT.len() as u32).get(2 * n + 1)).await;
        loop {
            match client.next(Duration::from_secs(1)).await {
                Ok(frame) if frame.kind == DATA => break answered += 1,
                Ok(frame) => seen.push(frame),
                Err(_) => break,
            }
        }
        if seen.iter().any(|frame| frame.kind == GOAWAY) {
            break;
        }
    }
    let (rest, _) = rest(&mut client).await;
    assert!(rest.is_closed);
    assert!((limits::CONNECTION_REQUESTS..limits::CONNECTION_REQUESTS + 2).contains(&answered), "{answered}");
}

#[tokio::test(start_paused = true)]
async fn at_the_end_requests_under_way_are_answered() {
    let (mut client, drain, served) = Client::answered(Reply::Late(Duration::from_secs(5)));
    client.send(Script::begun().get(1)).await;
    sleep(Duration::from_secs(1)).await;
    drain.cancel();
    let (seen, after) = rest(&mut client).await;
    assert_eq!((seen.status(1), seen.goaway(), seen.is_closed), (Some(200), Some(0), true));
    assert!(is_about(after, 4.0), "{after}");
    drop(client);
    served.await.expect("no panic").expect("no fault");
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_head_has_no_content() {
    let mut client = Client::open();
    let block = [field(":method", "HEAD"), vec![0x87, 0x84], field(":authority", "a")].concat();
    client.send(Script::begun().frame(HEADERS, WHOLE, 1, &block)).await;
    let seen = client.watch().await;
    let head = seen.frames.iter().find(|frame| frame.kind == HEADERS).expect("an answer");
    assert_eq!((head.flags, seen.data(1)), (WHOLE, Vec::new()));
}
