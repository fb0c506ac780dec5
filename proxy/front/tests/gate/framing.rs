//! Where a body ends: lengths, codings, chunks and trailers.

use super::rules::{get, is_refused, passes, passes_unchanged, request};
use usher_front::gate::Offence;

/// A chunked body behind its head.
pub(crate) fn chunked(body: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n{body}")
}

#[test]
fn framing_is_told_once_and_in_one_way() {
    let post = |fields: &[&str], body: &str| request("POST / HTTP/1.1", fields) + body;
    passes_unchanged(post(&["Content-Length: 3"], "abc"));
    passes_unchanged(post(&["Content-Length: 0"], ""));
    assert_eq!(passes(post(&["Content-Length: 0003"], "abc")), post(&["Content-Length:3"], "abc"));
    assert_eq!(passes(post(&["Content-Length:  000"], "")), post(&["Content-Length:0"], ""));
    for length in
        ["", "-1", "+1", "1 ,1", "1, 1", "1 1", "0x1", "1e1", "1.0", "a", "\u{663}", "1;", "\"1\"", "1_0"]
    {
        is_refused(post(&[&format!("Content-Length: {length}")], "a"), Offence::ContentLength);
    }
    is_refused(post(&["Content-Length: 1", "Content-Length: 1"], "a"), Offence::ContentLength);
    is_refused(post(&["Content-Length: 1", "content-length: 2"], "ab"), Offence::ContentLength);
    for coding in ["Chunked", "CHUNKED", " \t chunked \t"] {
        let field = format!("Transfer-Encoding:{coding}");
        assert_eq!(passes(post(&[&field], "0\r\n\r\n")), post(&["Transfer-Encoding:chunked"], "0\r\n\r\n"));
    }
    for length in ["9223372036854775808", "18446744073709551616", "99999999999999999999999"] {
        is_refused(post(&[&format!("Content-Length: {length}")], ""), Offence::BodyTooLarge);
    }
    for coding in [
        "",
        "gzip",
        "identity",
        "gzip, chunked",
        "chunked, gzip",
        "chunked, chunked",
        ",chunked",
        "chunked,",
        "chunked;a=b",
        "xchunked",
        "chunkedx",
        "\"chunked\"",
        "cow, chunked",
        "chunked chunked",
        "chunk\u{131}d",
    ] {
        is_refused(post(&[&format!("Transfer-Encoding: {coding}")], "0\r\n\r\n"), Offence::TransferEncoding);
    }
    for field in ["Transfer-Encoding: chunked", "transfer-encoding: identity"] {
        is_refused(post(&["Transfer-Encoding: chunked", field], "0\r\n\r\n"), Offence::TransferEncoding);
    }
    is_refused(post(&["Transfer-Encoding: chunked", "Content-Length: 0"], "0\r\n\r\n"), Offence::Framing);
    is_refused(post(&["Content-Length: 5", "Transfer-Encoding: chunked"], "0\r\n\r\n"), Offence::Framing);
    is_refused(chunked("0\r\n\r\n").replace("HTTP/1.1", "HTTP/1.0"), Offence::TransferEncoding);
    is_refused(get(&["Transfer-Encoding : chunked"]), Offence::FieldName);
    is_refused(get(&["Transfer-Encoding\u{b}: chunked"]), Offence::FieldName);
    is_refused(get(&["Transfer-Encoding: \u{b}chunked"]), Offence::FieldValue);
}

#[test]
fn chunks_are_written_anew() {
    passes_unchanged(chunked("0\r\n\r\n"));
    passes_unchanged(chunked("5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n"));
    for (body, written) in [
        ("00005\r\nhello\r\n000\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n"),
        ("A\r\n0123456789\r\n0\r\n\r\n", "a\r\n0123456789\r\n0\r\n\r\n"),
        ("1;a\r\nx\r\n0;b=c;d=\"e;\\\"\r\"\r\n\r\n", ""),
        ("1;a;b=c;d=\"e; \\\" f\"\r\nx\r\n0;z\r\n\r\n", "1\r\nx\r\n0\r\n\r\n"),
        ("0\r\nX-Sum: \t 1 \r\nx_y: 2\r\n\r\n", "0\r\nX-Sum:1\r\n\r\n"),
    ] {
        match written {
            "" => is_refused(chunked(body), Offence::Chunk),
            _ => assert_eq!(passes(chunked(body)), chunked(written), "{body:?}"),
        }
    }
    for body in [
        "\r\n",
        "g\r\n",
        "-1\r\n",
        "+1\r\nx\r\n",
        "0x1\r\nx\r\n",
        " 1\r\nx\r\n",
        "1 \r\nx\r\n",
        "1\t\r\nx\r\n",
        "1;\r\nx\r\n",
        "1; a\r\nx\r\n",
        "1 ;a\r\nx\r\n",
        "1;a=\r\nx\r\n",
        "1;a=\"b\r\nx\r\n",
        "1;=b\r\nx\r\n",
        "1,a\r\nx\r\n",
        "1;a\u{0}\r\n",
        "1;a\rb\r\nx\r\n",
        "1\r\nxx\r\n",
        "1\r\nx0\r\n",
        "1\r\nx\n0\r\n\r\n",
        "1\r\nx\r\r\n",
        "2\r\nx\r\n0\r\n\r\n",
        "00000000000000001\r\nx\r\n",
    ] {
        is_refused(chunked(body), Offence::Chunk);
    }
    for body in ["1\nx\r\n0\r\n\r\n", "0\n\n", "0\r\n\n", "1;a\nx\r\n", "0\r\nX: a\n\r\n"] {
        is_refused(chunked(body), Offence::LineEnd);
    }
    for size in ["8000000000000000", "ffffffffffffffff"] {
        is_refused(chunked(&format!("{size}\r\n")), Offence::BodyTooLarge);
    }
    is_refused(chunked(&format!("1;a={}\r\n", "b".repeat(600))), Offence::Chunk);
    is_refused(chunked(&format!("1;a={}\r\nx\r\n", "b".repeat(400)).repeat(12)), Offence::Chunk);
}

#[test]
fn trailers_frame_route_and_authorise_nothing() {
    passes_unchanged(chunked("0\r\nServer-Timing:a\r\nX-Checksum:b\r\n\r\n"));
    for name in [
        "Host",
        "Content-Length",
        "Transfer-Encoding",
        "Trailer-Encoding ",
        "Connection",
        "Upgrade",
        "TE",
        "Cookie",
        "Authorization",
        "Content-Type",
        "Expect",
        "X-Forwarded-For",
        "Forwarded",
        "Range",
        "Keep-Alive ",
        "Set-Cookie",
    ] {
        is_refused(chunked(&format!("0\r\n{name}: 1\r\n\r\n")), Offence::Trailer);
    }
    for line in ["X", "X : a", " X: a", ": a", "X: \u{0}", "X: a\rb"] {
        is_refused(chunked(&format!("0\r\n{line}\r\n\r\n")), Offence::Trailer);
    }
    is_refused(chunked(&format!("0\r\n{}\r\n", "X: a\r\n".repeat(33))), Offence::Trailer);
    is_refused(chunked(&format!("0\r\nX: {}\r\n\r\n", "a".repeat(9_000))), Offence::Trailer);
    is_refused(
        chunked(&format!("0\r\n{}\r\n", format!("X: {}\r\n", "a".repeat(400)).repeat(30))),
        Offence::Trailer,
    );
}
