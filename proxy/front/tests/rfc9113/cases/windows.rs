//! Sections 5.2 and 6.9: flow control.

use crate::{
    client::*,
    table::{Case, Code, Expect, case, then},
};

pub(crate) fn cases() -> Vec<Case> {
    const MOST: u32 = 0x7fff_ffff;
    vec![
        case("6.9", "WINDOW_UPDATE of 0 on the connection", Expect::Gone(Code::Protocol), |s| s.update(0, 0)),
        case("6.9", "WINDOW_UPDATE of 0 on a stream", Expect::Reset(1, Code::Protocol), |s| {
            s.post(1).update(1, 0)
        }),
        case("6.9", "WINDOW_UPDATE of another length than 4", Expect::Gone(Code::FrameSize), |s| {
            s.frame(WINDOW_UPDATE, 0, 0, &[0, 0, 1])
        }),
        case(
            "6.9",
            "WINDOW_UPDATE of a stream of another length than 4",
            Expect::Gone(Code::FrameSize),
            |s| s.post(1).frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 0, 1]),
        ),
        case("6.9.1", "a window of 1", Expect::Content(1, &[1]), |s| s.setting(4, 1).get(1)),
        case("6.9.1", "a window of 0", Expect::Content(1, &[]), |s| s.setting(4, 0).get(1)),
        case("6.9.1", "the connection's window beyond 2^31-1", Expect::Gone(Code::FlowControl), |s| {
            s.update(0, MOST).update(0, MOST)
        }),
        case("6.9.1", "a stream's window beyond 2^31-1", Expect::Reset(1, Code::FlowControl), |s| {
            s.post(1).update(1, MOST).update(1, MOST)
        }),
        case("6.9.1", "the connection's window of 2^31-1", Expect::Lives, |s| s.update(0, MOST - 65_535)),
        case("6.9.1", "a body as large as a stream's window", Expect::Status(1, 200), |s| {
            let s = (0..3).fold(s.post(1), |s, _| s.frame(DATA, 0, 1, &[0; 16_384]));
            s.frame(DATA, END_STREAM, 1, &[0; 16_383])
        }),
        then(
            case("6.9.2", "the window grows by SETTINGS", Expect::Content(1, &[1, 2]), |s| {
                s.setting(4, 1).get(1)
            }),
            |s| s.setting(4, 3),
        ),
        then(
            case("6.9.2", "the window grows by WINDOW_UPDATE", Expect::Content(1, &[3, 7]), |s| {
                s.setting(4, 3).get(1)
            }),
            |s| s.update(1, 100),
        ),
        then(case("6.9.2", "a window below 0", Expect::Content(1, &[3]), |s| s.setting(4, 3).get(1)), |s| {
            s.setting(4, 0).update(1, 3)
        }),
        then(
            case("6.9.2", "a window that was below 0", Expect::Content(1, &[3, 1]), |s| {
                s.setting(4, 3).get(1)
            }),
            |s| s.setting(4, 0).update(1, 4),
        ),
        case("6.9.2", "a window beyond 2^31-1 by SETTINGS", Expect::Gone(Code::FlowControl), |s| {
            s.post(1).update(1, MOST - 65_535).setting(4, MOST)
        }),
    ]
}
