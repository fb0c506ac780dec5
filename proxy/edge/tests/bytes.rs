//! Every byte at every place of a request: the answer is ours or none, and nothing of the request stands in its header.

mod support;

use support::{BROWSER, World};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const PROGRAM: &str = "prog";

/// What comes back for `request`, until the connection closes.
async fn exchange(world: &World, request: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(world.at).await.expect("a connection");
    // The edge may have refused, and closed, before all of it was sent.
    let _ = stream.write_all(request).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    answer
}

/// `before`, `byte`, `after`: in the method, target, names, values, cookie and body.
fn requests(byte: u8) -> Vec<Vec<u8>> {
    let track = |field: &[u8], inside: &[u8]| {
        let mut body = format!("{{\"programId\":\"{PROGRAM}\",\"trackingId\":\"ali").into_bytes();
        body.extend([inside, b"ce\"}"].concat());
        let head = format!(
            "POST /r/track HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\nUser-Agent: {BROWSER}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n",
            body.len()
        );
        [head.as_bytes(), field, b"\r\n", &body].concat()
    };
    let get = |line: [&[u8]; 3]| {
        [&line.concat()[..], b" HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n"].concat()
    };
    let refund = |id: &[u8], field: &[u8]| {
        let head = b"/refund HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\nAuthorization: Bearer shop-key\r\n";
        [b"POST /r/v1/conversions/injected", id, head, field, b"Content-Length: 2\r\n\r\n{}"].concat()
    };
    let one = &[byte][..];
    let escaped = format!("%{byte:02x}");
    vec![
        get([b"GE", one, b"T /r/pixel.js"]),
        get([b"GET /r/pix", one, b"el.js"]),
        get([b"GET /r/codes/injected", one, b"code"]),
        get([b"GET /r/codes/injected", escaped.as_bytes(), b"code"]),
        track(b"", one),
        track(&[b"X", one, b"Injected: v\r\n"].concat(), b""),
        track(&[b"X-A: ", one, b"injected\r\n"].concat(), b""),
        track(&[b"X-Forwarded-For: 203.0.113.", one, b"7\r\n"].concat(), b""),
        track(&[b"Origin: https://shop.example", one, b"\r\n"].concat(), b""),
        track(&[b"Cookie: affonso_referral=injected", one, b"cid\r\n"].concat(), b""),
        refund(one, b""),
        refund(escaped.as_bytes(), b""),
        refund(b"", &[b"Idempotency-Key: injected", one, b"\r\n"].concat()),
        track(&[b"Cookie: affonso_referral=injected", escaped.as_bytes(), b"cid\r\n"].concat(), b""),
    ]
}

#[tokio::test]
async fn no_byte_breaks_the_edge_or_its_answers() {
    let world = World::new().await;
    let mut answered = 0;
    for byte in 0..=u8::MAX {
        for request in requests(byte) {
            let answer = exchange(&world, &request).await;
            let asked = String::from_utf8_lossy(&request).into_owned();
            let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or(answer.len());
            let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
            // A method that is not one of HTTP's is answered with 501.
            assert!(
                !head.starts_with("http/1.1 5") || head.starts_with("http/1.1 501 "),
                "{asked} got {head}"
            );
            assert!(!head.contains("injected"), "{asked} got {head}");
            let cookies = head.matches("\r\nset-cookie:").count();
            assert!(cookies <= 2, "{asked} got {head}");
            assert!(cookies == 0 || head.contains("\r\ncache-control: no-store"), "{asked} got {head}");
            answered += usize::from(head.starts_with("http/1.1 200"));
        }
    }
    assert!(answered > 500, "many requests are fine: {answered}");
    assert_eq!(world.ask("GET", "/r/pixel.js").send().await.status, 200, "and it still serves");
}
