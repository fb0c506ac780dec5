//! Sections 3.4 to 4.3: preface, frame format and size, field blocks.

use crate::{
    client::*,
    table::{Case, Code, Expect, case, raw, then},
};

pub(crate) fn cases() -> Vec<Case> {
    [preface_and_size(), blocks()].into_iter().flatten().collect()
}

fn preface_and_size() -> Vec<Case> {
    let big = [0; 16_385];
    vec![
        raw("3.4", "another preface", Expect::Closed, b"INVALID CONNECTION PREFACE\r\n\r\n".to_vec()),
        raw(
            "3.4",
            "HTTP/1.1 where HTTP/2 was agreed",
            Expect::Closed,
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
        ),
        raw("3.4", "no SETTINGS after the preface", Expect::Gone(Code::Protocol), {
            Script(PREFACE.to_vec()).frame(PING, 0, 0, &[0; 8]).0
        }),
        raw("3.4", "a request at once after the settings", Expect::Status(1, 200), Script::begun().get(1).0),
        raw("3.4", "half a preface", Expect::Waits, PREFACE[..12].to_vec()),
        case("3.4", "preface and settings", Expect::Settled, |s| s),
        case("4.1", "a frame of an unknown type", Expect::Pong(b"unknown?"), |s| {
            s.frame(0x16, 0, 0, &[0; 8]).frame(PING, 0, 0, b"unknown?")
        }),
        case("4.1", "undefined flags", Expect::Pong(b"flagged!"), |s| s.frame(PING, 0x16, 0, b"flagged!")),
        case("4.1", "the reserved bit of a stream's number", Expect::Pong(b"reserved"), |s| {
            s.frame(PING, 0, 0x8000_0000, b"reserved")
        }),
        case("4.2", "a DATA frame of 2^14 bytes", Expect::Status(1, 200), |s| {
            s.post(1).frame(DATA, END_STREAM, 1, &big[..16_384])
        }),
        case("4.2", "a DATA frame that is too large", Expect::Gone(Code::FrameSize), |s| {
            s.post(1).frame(DATA, END_STREAM, 1, &big)
        }),
        case("4.2", "a HEADERS frame that is too large", Expect::Gone(Code::FrameSize), |s| {
            s.frame(HEADERS, WHOLE, 1, &big)
        }),
        case("4.2", "an unknown frame that is too large", Expect::Gone(Code::FrameSize), |s| {
            s.frame(0x16, 0, 0, &big)
        }),
        case("4.2", "a frame that is announced too large", Expect::Gone(Code::FrameSize), |s| {
            s.announced(0x00ff_ffff, PING, 0, 0, &[0; 8])
        }),
    ]
}

fn blocks() -> Vec<Case> {
    vec![
        case("4.3", "a field block that cannot be decoded", Expect::Gone(Code::Compression), |s| {
            s.frame(HEADERS, WHOLE, 1, b"\x82\x87\x84\x40")
        }),
        case("4.3", "PRIORITY in the middle of a field block", Expect::Gone(Code::Protocol), |s| {
            s.frame(HEADERS, END_STREAM, 1, &get()).frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 255]).frame(
                CONTINUATION,
                END_HEADERS,
                1,
                &field("x-a", "b"),
            )
        }),
        case(
            "4.3",
            "another stream's HEADERS in the middle of a field block",
            Expect::Gone(Code::Protocol),
            |s| s.frame(HEADERS, END_STREAM, 1, &get()).get(3),
        ),
        case("4.3", "PING in the middle of a field block", Expect::Gone(Code::Protocol), |s| {
            s.frame(HEADERS, END_STREAM, 1, &get()).frame(PING, 0, 0, &[0; 8])
        }),
        case("4.3", "an unknown frame in the middle of a field block", Expect::Gone(Code::Protocol), |s| {
            s.frame(HEADERS, END_STREAM, 1, &get()).frame(0x16, 0, 0, &[0; 8])
        }),
        case("4.3", "a field block in three pieces", Expect::Status(1, 200), |s| {
            let block = get();
            s.frame(HEADERS, END_STREAM, 1, &block[..1]).frame(CONTINUATION, 0, 1, &block[1..5]).frame(
                CONTINUATION,
                END_HEADERS,
                1,
                &block[5..],
            )
        }),
        then(
            case("4.3", "a field block whose end comes later", Expect::Status(1, 200), |s| {
                s.frame(HEADERS, END_STREAM, 1, &get()[..3])
            }),
            |s| s.frame(CONTINUATION, END_HEADERS, 1, &get()[3..]),
        ),
        case("4.3", "a padded and prioritised request", Expect::Status(1, 200), |s| {
            let payload = [vec![4, 0, 0, 0, 0, 15], get(), vec![0; 4]].concat();
            s.frame(HEADERS, WHOLE | PADDED | PRIORITIZED, 1, &payload)
        }),
        case("5.5", "an unknown frame on a stream", Expect::Status(1, 200), |s| {
            s.post(1).frame(0x16, 0xff, 1, b"anything").frame(DATA, END_STREAM, 1, b"x")
        }),
        case("5.5", "an unknown setting", Expect::Settled, |s| s.setting(0xff, 1)),
        case("5.4.1", "after an error nothing is answered", Expect::Gone(Code::Protocol), |s| {
            s.frame(DATA, END_STREAM, 0, b"x").get(1)
        }),
    ]
}
