//! RFC 7541: what a field block may hold.

use crate::{
    client::*,
    table::{Case, Code, Expect, case},
};

/// A request with these bytes in its field block as well.
fn with(section: &'static str, what: &'static str, expect: Expect, bytes: &[u8]) -> Case {
    case(section, what, expect, |s| s.frame(HEADERS, WHOLE, 1, &[&get()[..], bytes].concat()))
}

fn bad(section: &'static str, what: &'static str, bytes: &[u8]) -> Case {
    with(section, what, Expect::Gone(Code::Compression), bytes)
}

pub(crate) fn cases() -> Vec<Case> {
    let good = |section, what, bytes| with(section, what, Expect::Status(1, 200), bytes);
    vec![
        bad("hpack 2.3.3", "an index beyond the tables", &[0xbe]),
        bad("hpack 2.3.3", "a literal's index beyond the tables", &[0x7e, 1, b'x']),
        bad("hpack 6.1", "index 0", &[0x80]),
        bad("hpack 4.2", "a change of the table's size in the middle", &[0x20]),
        bad(
            "hpack 5.1",
            "an integer that never ends",
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        ),
        bad("hpack 5.1", "an integer that is cut off", &[0xff, 0x80]),
        bad("hpack 5.2", "a string that is cut off", &[0, 5, b'x', b'-']),
        bad(
            "hpack 5.2",
            "padding of a Huffman code of more than 7 bits",
            &[0, 0x85, 0xf2, 0xb2, 0x4a, 0x84, 0xff, 0x84, 0x49, 0x50, 0x9f, 0xff],
        ),
        bad(
            "hpack 5.2",
            "padding of a Huffman code with zeros",
            &[0, 0x85, 0xf2, 0xb2, 0x4a, 0x84, 0xff, 0x83, 0x49, 0x50, 0x90],
        ),
        bad(
            "hpack 5.2",
            "the end of a string within a Huffman code",
            &[0, 0x85, 0xf2, 0xb2, 0x4a, 0x84, 0xff, 0x87, 0x49, 0x51, 0xff, 0xff, 0xff, 0xfa, 0x7f],
        ),
        case("hpack 6.3", "a table larger than allowed", Expect::Gone(Code::Compression), |s| {
            s.frame(HEADERS, WHOLE, 1, &[&[0x3f, 0xe2, 0x1f][..], &get()].concat())
        }),
        case("hpack 6.3", "a table as large as allowed", Expect::Status(1, 200), |s| {
            s.frame(HEADERS, WHOLE, 1, &[&[0x3f, 0xe1, 0x1f][..], &get()].concat())
        }),
        case("hpack 4.2", "two changes of the table's size at the start", Expect::Status(1, 200), |s| {
            s.frame(HEADERS, WHOLE, 1, &[&[0x20, 0x3f, 0xe1, 0x1f][..], &get()].concat())
        }),
        good("hpack 6.1", "a field of the static table", &[0x90]),
        good(
            "hpack 6.2.1",
            "a field that is indexed, and then its index",
            &[0x40, 3, b'x', b'-', b'a', 1, b'b', 0xbe],
        ),
        good("hpack 6.2.2", "a name of the static table", &[0x0f, 0x2b, 1, b'x']),
        good("hpack 6.2.3", "a field that is never indexed", &[0x10, 3, b'x', b'-', b'a', 1, b'b']),
        good("hpack 5.2", "a Huffman code", &[0, 0x85, 0xf2, 0xb2, 0x4a, 0x84, 0xff, 0x83, 0x49, 0x50, 0x9f]),
    ]
}
