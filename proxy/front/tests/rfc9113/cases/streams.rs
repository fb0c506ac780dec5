//! Section 5: states, numbers, how many, dependencies.

use crate::{
    client::*,
    table::{Case, Code, Expect, case, then},
};

pub(crate) fn cases() -> Vec<Case> {
    [idle(), half_closed(), closed(), numbers()].into_iter().flatten().collect()
}

fn idle() -> Vec<Case> {
    vec![
        case("5.1", "idle: DATA", Expect::Gone(Code::Protocol), |s| s.frame(DATA, END_STREAM, 1, b"test")),
        case("5.1", "idle: RST_STREAM", Expect::Gone(Code::Protocol), |s| {
            s.frame(RST_STREAM, 0, 1, &[0, 0, 0, 8])
        }),
        case("5.1", "idle: WINDOW_UPDATE", Expect::Gone(Code::Protocol), |s| s.update(1, 100)),
        case("5.1", "idle: CONTINUATION", Expect::Gone(Code::Protocol), |s| {
            s.frame(CONTINUATION, END_HEADERS, 1, &get())
        }),
        case("5.1", "idle: PRIORITY", Expect::Lives, |s| s.frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 255])),
        case("5.1", "idle: PRIORITY and then a request", Expect::Status(3, 200), |s| {
            s.frame(PRIORITY, 0, 3, &[0, 0, 0, 0, 255]).get(3)
        }),
        case("5.1", "idle: a skipped stream's RST_STREAM", Expect::Lives, |s| {
            s.get(5).frame(RST_STREAM, 0, 3, &[0, 0, 0, 8])
        }),
    ]
}

fn half_closed() -> Vec<Case> {
    vec![
        case("5.1", "half closed: DATA", Expect::Reset(1, Code::StreamClosed), |s| {
            s.get(1).frame(DATA, END_STREAM, 1, b"test")
        }),
        case("5.1", "half closed: HEADERS", Expect::Gone(Code::Protocol), |s| s.get(1).get(1)),
        case("5.1", "half closed: CONTINUATION", Expect::Gone(Code::Protocol), |s| {
            s.get(1).frame(CONTINUATION, END_HEADERS, 1, &get())
        }),
        case("5.1", "half closed: WINDOW_UPDATE", Expect::Status(1, 200), |s| s.get(1).update(1, 1)),
        case("5.1", "half closed: PRIORITY", Expect::Status(1, 200), |s| {
            s.get(1).frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 255])
        }),
        case("5.1", "half closed: RST_STREAM", Expect::Lives, |s| {
            s.get(1).frame(RST_STREAM, 0, 1, &[0, 0, 0, 8])
        }),
    ]
}

fn closed() -> Vec<Case> {
    let reset = |s: Script| s.post(1).frame(RST_STREAM, 0, 1, &[0, 0, 0, 8]);
    vec![
        case("5.1", "closed by RST_STREAM: DATA", Expect::Reset(1, Code::StreamClosed), |s| {
            reset(s).frame(DATA, END_STREAM, 1, b"test")
        }),
        case("5.1", "closed by RST_STREAM: HEADERS", Expect::Gone(Code::StreamClosed), |s| reset(s).get(1)),
        case("5.1", "closed by RST_STREAM: CONTINUATION", Expect::Gone(Code::Protocol), |s| {
            reset(s).frame(CONTINUATION, END_HEADERS, 1, &get())
        }),
        case("5.1", "closed by RST_STREAM: WINDOW_UPDATE", Expect::Lives, |s| reset(s).update(1, 1)),
        case("5.1", "closed by RST_STREAM: PRIORITY", Expect::Lives, |s| {
            reset(s).frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 255])
        }),
        case("5.1", "closed by RST_STREAM: RST_STREAM", Expect::Lives, |s| {
            reset(s).frame(RST_STREAM, 0, 1, &[0, 0, 0, 8])
        }),
        then(case("5.1", "closed: DATA", Expect::Reset(1, Code::StreamClosed), |s| s.get(1)), |s| {
            s.frame(DATA, END_STREAM, 1, b"test")
        }),
        then(case("5.1", "closed: HEADERS", Expect::Gone(Code::StreamClosed), |s| s.get(1)), |s| s.get(1)),
        then(case("5.1", "closed: CONTINUATION", Expect::Gone(Code::Protocol), |s| s.get(1)), |s| {
            s.frame(CONTINUATION, END_HEADERS, 1, &get())
        }),
        then(case("5.1", "closed: WINDOW_UPDATE", Expect::Lives, |s| s.get(1)), |s| s.update(1, 1)),
        then(case("5.1", "closed: RST_STREAM", Expect::Lives, |s| s.get(1)), |s| {
            s.frame(RST_STREAM, 0, 1, &[0, 0, 0, 8])
        }),
        then(case("5.1", "closed: PRIORITY", Expect::Lives, |s| s.get(1)), |s| {
            s.frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 255])
        }),
    ]
}

fn numbers() -> Vec<Case> {
    vec![
        case("5.1.1", "a stream with an even number", Expect::Gone(Code::Protocol), |s| s.get(2)),
        case("5.1.1", "a stream with a smaller number than before", Expect::Gone(Code::Protocol), |s| {
            s.post(5).get(3)
        }),
        case("5.1.1", "streams may be skipped", Expect::Status(9, 200), |s| s.get(1).get(9)),
        case("5.1.1", "the last stream there can be", Expect::Status(0x7fff_ffff, 200), |s| {
            s.get(0x7fff_ffff)
        }),
        case("5.1.2", "more streams than may be open", Expect::Reset(201, Code::RefusedStream), |s| {
            (0..101).fold(s, |s, n| s.post(2 * n + 1))
        }),
        case("5.1.2", "as many as may be open", Expect::Status(199, 200), |s| {
            let s = (0..100).fold(s, |s, n| s.post(2 * n + 1));
            s.frame(DATA, END_STREAM, 199, b"x")
        }),
        case("5.3.1", "HEADERS: a stream that depends on itself", Expect::Reset(1, Code::Protocol), |s| {
            s.frame(HEADERS, WHOLE | PRIORITIZED, 1, &[vec![0, 0, 0, 1, 15], get()].concat())
        }),
        case("5.3.1", "PRIORITY: a stream that depends on itself", Expect::Reset(3, Code::Protocol), |s| {
            s.post(3).frame(PRIORITY, 0, 3, &[0, 0, 0, 3, 15])
        }),
    ]
}
