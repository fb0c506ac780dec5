//! Section 6, but for windows: each frame's own rules.

use crate::{
    client::*,
    table::{Case, Code, Expect, case},
};

pub(crate) fn cases() -> Vec<Case> {
    [data(), headers(), small(), settings(), rest()].into_iter().flatten().collect()
}

fn data() -> Vec<Case> {
    vec![
        case("6.1", "DATA on stream 0", Expect::Gone(Code::Protocol), |s| s.frame(DATA, 0, 0, b"test")),
        case("6.1", "DATA with padding as long as the payload", Expect::Gone(Code::Protocol), |s| {
            s.post(1).frame(DATA, END_STREAM | PADDED, 1, b"\x06test")
        }),
        case("6.1", "DATA with padding that leaves nothing", Expect::Status(1, 200), |s| {
            s.post(1).frame(DATA, END_STREAM | PADDED, 1, b"\x04\0\0\0\0")
        }),
        case("6.1", "DATA with padding and content", Expect::Status(1, 200), |s| {
            s.post(1).frame(DATA, END_STREAM | PADDED, 1, b"\x02test\0\0")
        }),
        case("6.1", "padded DATA without a length", Expect::Gone(Code::Protocol), |s| {
            s.post(1).frame(DATA, END_STREAM | PADDED, 1, &[])
        }),
        case("6.1", "empty DATA that ends a body", Expect::Status(1, 200), |s| {
            s.post(1).frame(DATA, END_STREAM, 1, &[])
        }),
        case("6.1", "a body in several frames", Expect::Status(1, 200), |s| {
            s.post(1).frame(DATA, 0, 1, b"a").frame(DATA, 0, 1, &[]).frame(DATA, END_STREAM, 1, b"b")
        }),
    ]
}

fn headers() -> Vec<Case> {
    vec![
        case("6.2", "HEADERS on stream 0", Expect::Gone(Code::Protocol), |s| s.get(0)),
        case("6.2", "HEADERS with padding as long as the payload", Expect::Gone(Code::Protocol), |s| {
            let payload = [vec![200], get()].concat();
            s.frame(HEADERS, WHOLE | PADDED, 1, &payload)
        }),
        case("6.2", "padded HEADERS without a length", Expect::Gone(Code::Protocol), |s| {
            s.frame(HEADERS, WHOLE | PADDED, 1, &[])
        }),
        case("6.2", "prioritised HEADERS that are too short", Expect::Gone(Code::Protocol), |s| {
            s.frame(HEADERS, WHOLE | PRIORITIZED, 1, &[0, 0])
        }),
        case("6.2", "HEADERS that end the header and not the request", Expect::Waits, |s| s.post(1)),
        case("6.10", "CONTINUATION after CONTINUATION", Expect::Status(1, 200), |s| {
            s.frame(HEADERS, END_STREAM, 1, &get()).frame(CONTINUATION, 0, 1, &field("x-a", "b")).frame(
                CONTINUATION,
                END_HEADERS,
                1,
                &field("x-c", "d"),
            )
        }),
        case("6.10", "CONTINUATION and then anything else", Expect::Gone(Code::Protocol), |s| {
            s.frame(HEADERS, END_STREAM, 1, &get())
                .frame(CONTINUATION, 0, 1, &field("x-a", "b"))
                .frame(DATA, END_STREAM, 1, b"test")
        }),
        case("6.10", "CONTINUATION on stream 0", Expect::Gone(Code::Protocol), |s| {
            s.frame(HEADERS, END_STREAM, 1, &get()).frame(CONTINUATION, END_HEADERS, 0, &field("x-a", "b"))
        }),
        case("6.10", "CONTINUATION on another stream", Expect::Gone(Code::Protocol), |s| {
            s.frame(HEADERS, END_STREAM, 1, &get()).frame(CONTINUATION, END_HEADERS, 3, &field("x-a", "b"))
        }),
        case("6.10", "CONTINUATION after a whole header", Expect::Gone(Code::Protocol), |s| {
            s.post(1).frame(CONTINUATION, END_HEADERS, 1, &field("x-a", "b"))
        }),
        case("6.10", "CONTINUATION after a whole CONTINUATION", Expect::Gone(Code::Protocol), |s| {
            s.frame(HEADERS, 0, 1, &post()).frame(CONTINUATION, END_HEADERS, 1, &field("x-a", "b")).frame(
                CONTINUATION,
                END_HEADERS,
                1,
                &field("x-a", "b"),
            )
        }),
        case("6.10", "CONTINUATION after DATA", Expect::Gone(Code::Protocol), |s| {
            s.post(1).frame(DATA, 0, 1, b"test").frame(CONTINUATION, END_HEADERS, 1, &field("x-a", "b"))
        }),
    ]
}

fn small() -> Vec<Case> {
    vec![
        case("6.3", "PRIORITY on stream 0", Expect::Gone(Code::Protocol), |s| {
            s.frame(PRIORITY, 0, 0, &[0, 0, 0, 0, 255])
        }),
        case("6.3", "PRIORITY of another length than 5", Expect::Gone(Code::FrameSize), |s| {
            s.post(1).frame(PRIORITY, 0, 1, &[0x80, 0, 0, 1])
        }),
        case("6.4", "RST_STREAM on stream 0", Expect::Gone(Code::Protocol), |s| {
            s.frame(RST_STREAM, 0, 0, &[0, 0, 0, 8])
        }),
        case("6.4", "RST_STREAM of another length than 4", Expect::Gone(Code::FrameSize), |s| {
            s.post(1).frame(RST_STREAM, 0, 1, &[0, 0, 0])
        }),
        case("6.4", "RST_STREAM with an unknown code", Expect::Lives, |s| {
            s.post(1).frame(RST_STREAM, 0, 1, &[0, 0, 0, 0xff])
        }),
        case("6.7", "PING", Expect::Pong(b"h2spec!!"), |s| s.frame(PING, 0, 0, b"h2spec!!")),
        case("6.7", "PING with ACK is not answered", Expect::Pong(b"2nd ping"), |s| {
            s.frame(PING, ACK, 0, b"1st ping").frame(PING, 0, 0, b"2nd ping")
        }),
        case("6.7", "PING on a stream", Expect::Gone(Code::Protocol), |s| s.frame(PING, 0, 1, &[0; 8])),
        case("6.7", "PING that is too short", Expect::Gone(Code::FrameSize), |s| {
            s.frame(PING, 0, 0, &[0; 6])
        }),
        case("6.7", "PING that is too long", Expect::Gone(Code::FrameSize), |s| s.frame(PING, 0, 0, &[0; 9])),
    ]
}

fn settings() -> Vec<Case> {
    let (frame_size, flow) = (Expect::Gone(Code::FrameSize), Expect::Gone(Code::FlowControl));
    let protocol = Expect::Gone(Code::Protocol);
    vec![
        case("6.5", "SETTINGS", Expect::Settled, |s| s.frame(SETTINGS, 0, 0, &[])),
        case("6.5", "SETTINGS with ACK", Expect::Lives, |s| s.frame(SETTINGS, ACK, 0, &[])),
        case("6.5", "SETTINGS with ACK and content", frame_size.clone(), |s| {
            s.frame(SETTINGS, ACK, 0, &[0; 6])
        }),
        case("6.5", "SETTINGS on a stream", protocol.clone(), |s| {
            s.frame(SETTINGS, 0, 1, &[0, 3, 0, 0, 0, 100])
        }),
        case("6.5", "SETTINGS of a length that is no multiple of 6", frame_size, |s| {
            s.frame(SETTINGS, 0, 0, &[0, 3, 0])
        }),
        case("6.5.2", "ENABLE_PUSH of 2", protocol.clone(), |s| s.setting(2, 2)),
        case("6.5.2", "ENABLE_PUSH of 0", Expect::Settled, |s| s.setting(2, 0)),
        case("6.5.2", "INITIAL_WINDOW_SIZE beyond 2^31-1", flow, |s| s.setting(4, 0x8000_0000)),
        case("6.5.2", "INITIAL_WINDOW_SIZE of 2^31-1", Expect::Settled, |s| s.setting(4, 0x7fff_ffff)),
        case("6.5.2", "MAX_FRAME_SIZE below 2^14", protocol.clone(), |s| s.setting(5, 16_383)),
        case("6.5.2", "MAX_FRAME_SIZE beyond 2^24-1", protocol, |s| s.setting(5, 1 << 24)),
        case("6.5.2", "MAX_FRAME_SIZE of 2^24-1", Expect::Settled, |s| s.setting(5, (1 << 24) - 1)),
        case("6.5.2", "HEADER_TABLE_SIZE of 0", Expect::Status(1, 200), |s| s.setting(1, 0).get(1)),
        case("6.5.2", "MAX_CONCURRENT_STREAMS of 0", Expect::Status(1, 200), |s| s.setting(3, 0).get(1)),
        case("6.5.2", "MAX_HEADER_LIST_SIZE", Expect::Status(1, 200), |s| s.setting(6, 100).get(1)),
        case("6.5.3", "the last value of a setting counts", Expect::Content(1, &[1]), |s| {
            s.frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 100, 0, 4, 0, 0, 0, 1]).get(1)
        }),
        case("6.5.3", "SETTINGS are acknowledged each", Expect::Settled, |s| s.setting(3, 10).setting(3, 20)),
        case("8.4", "ENABLE_CONNECT_PROTOCOL", Expect::Lives, |s| s.setting(8, 1)),
    ]
}

fn rest() -> Vec<Case> {
    vec![
        case("6.6", "PUSH_PROMISE of a client", Expect::Gone(Code::Protocol), |s| {
            s.get(1).frame(PUSH_PROMISE, END_HEADERS, 1, &[vec![0, 0, 0, 3], get()].concat())
        }),
        case("6.8", "GOAWAY on a stream", Expect::Gone(Code::Protocol), |s| s.frame(GOAWAY, 0, 1, &[0; 8])),
        case("6.8", "GOAWAY that is too short", Expect::Gone(Code::FrameSize), |s| {
            s.frame(GOAWAY, 0, 0, &[0; 4])
        }),
        case("7", "GOAWAY with an unknown code", Expect::Closed, |s| {
            s.frame(GOAWAY, 0, 0, &[0, 0, 0, 0, 0, 0, 0, 0xff])
        }),
        case("7", "GOAWAY of a client that is done", Expect::Closed, |s| s.frame(GOAWAY, 0, 0, &[0; 8])),
    ]
}
