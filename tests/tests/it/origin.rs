//! The shop's own server behind the edge, and what stays between the two and the visitor.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use usher_tests::{Edge, Sale, Standin, eventually};

/// A server that answers everything alike, and keeps what it was sent.
async fn recorder(answer: &'static str) -> (SocketAddr, Arc<Mutex<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let at = listener.local_addr().expect("an address");
    let kept = Arc::new(Mutex::new(String::new()));
    let sent = Arc::clone(&kept);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let sent = Arc::clone(&sent);
            tokio::spawn(async move {
                let mut piece = [0; 64 * 1024];
                while let Ok(count @ 1..) = stream.read(&mut piece).await {
                    sent.lock().expect("a lock").push_str(&String::from_utf8_lossy(&piece[..count]));
                    let _ = stream.write_all(answer.as_bytes()).await;
                }
            });
        }
    });
    (at, kept)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shops_cookies_go_to_the_shop_alone_and_ours_to_us() {
    let standin = Standin::start().await;
    let (shop, asked) =
        recorder("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 15\r\n\r\n<!doctype html>")
            .await;
    let (platform, told) = recorder(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 60\r\n\r\n\
         {\"cid\":\"cm0123456789\",\"success\":true,\"data\":{\"id\":\"com_12\"}}",
    )
    .await;
    let edge = Edge::builder(&standin)
        .platform_at(platform)
        .site("origin", &format!("\"http://{shop}\""))
        .start()
        .await;
    let cookie = "session=canary-of-the-shop; affonso_referral=ush_0123456789";
    let landed =
        edge.get("/?via=alice").header("cookie", cookie).header("user-agent", "Mozilla/5.0 Firefox/140.0");
    landed.header("sec-fetch-mode", "navigate").header("sec-fetch-dest", "document").send().await.expect(200);
    let click = edge.track_call("bob").header("cookie", cookie).send().await.expect(200).json();
    let sale = Sale::new("order-1", "10").referral(click["cid"].as_str().expect("a click's id"));
    edge.sale_call(&sale).header("cookie", cookie).send().await;
    eventually("the platform hears of all of it", async || {
        let told = told.lock().expect("a lock");
        ["/v1/track", "/v1/conversions"].iter().all(|path| told.contains(path)).then_some(())
    })
    .await;
    let told = told.lock().expect("a lock").to_lowercase();
    assert!(!told.contains("canary-of-the-shop") && !told.contains("cookie:"), "{told}");
    let asked = asked.lock().expect("a lock").to_lowercase();
    assert!(asked.contains("cookie: session=canary-of-the-shop\r\n"), "{asked}");
    assert!(!asked.contains("affonso_referral"), "{asked}");
}
