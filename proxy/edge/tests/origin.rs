//! What lies outside of the prefix is the origin's, and nothing else is.

mod support;

use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use std::{
    convert::Infallible,
    fmt::Write as _,
    net::SocketAddr,
    sync::{Arc, Mutex},
};
use support::World;
use tokio::net::{TcpListener, TcpSocket};
use usher_model::{OriginAddress, Secret};

/// An origin that answers with what it was asked, and remembers where.
#[derive(Clone, Default)]
struct Shop(Arc<Mutex<Vec<String>>>);

impl Shop {
    async fn start(&self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let at = listener.local_addr().expect("an address");
        let shop = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shop = shop.clone();
                let service = service_fn(move |request| {
                    let shop = shop.clone();
                    async move { Ok::<_, Infallible>(shop.serve(request).await) }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        at
    }

    async fn serve(&self, request: Request<Incoming>) -> Response<Full<bytes::Bytes>> {
        let (head, body) = request.into_parts();
        let mut told = format!("{} {}\n", head.method, head.uri);
        self.0.lock().expect("a lock").push(head.uri.path().to_owned());
        for (name, value) in &head.headers {
            let _ = writeln!(told, "{name}: {}", value.to_str().expect("text"));
        }
        let body = body.collect().await.expect("a body").to_bytes();
        told += std::str::from_utf8(&body).expect("text");
        Response::builder()
            .header("server", "shop")
            .header("x-frame-options", "DENY")
            .body(told.into())
            .expect("one")
    }
}

fn address(at: SocketAddr) -> Option<OriginAddress> {
    Some(OriginAddress { https: false, host: at.ip().to_string(), port: at.port() })
}

#[tokio::test]
async fn everything_outside_of_the_prefix_is_the_origins() {
    let shop = Shop::default();
    let at = shop.start().await;
    let world = World::with(|site| site.origin = address(at)).await;
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"] {
        let reply = world.ask(method, "/cart?x=1").body("a=b").send().await;
        assert_eq!(reply.status, 200, "{method}: {}", reply.text());
        assert!(reply.text().starts_with(&format!("{method} /cart?x=1\n")), "{}", reply.text());
        assert!(reply.text().ends_with("a=b"));
    }
    let reply = world.ask("GET", "/").send().await;
    assert_eq!(reply.header("server"), Some("shop"));
    assert_eq!(reply.header("x-frame-options"), Some("DENY"));
    for ours in ["cross-origin-resource-policy", "x-content-type-options", "access-control-allow-origin"] {
        assert_eq!(reply.header(ours), None, "{ours}");
    }
    assert!(matches!(world.ask("TRACE", "/").send().await.status, 405 | 501));
    assert!(
        world.metrics().contains(r#"usher_http_requests_total{site="shop",route="outside",status="2xx"} 8"#)
    );
}

#[tokio::test]
async fn nothing_below_the_prefix_is() {
    let shop = Shop::default();
    let at = shop.start().await;
    let world = World::with(|site| site.origin = address(at)).await;
    for path in ["/r", "/r/", "/r/x", "/r/../x", "/r//x", "/r/pixel.js", "/r/.env", "/r?x", "/r/%2e%2e/x"] {
        world.ask("GET", path).send().await;
    }
    world.report().send().await;
    assert_eq!(shop.0.lock().expect("a lock").join(" "), "");
}

#[tokio::test]
async fn the_origin_hears_of_the_visitor_from_us_alone() {
    let shop = Shop::default();
    let at = shop.start().await;
    let world = World::with(|site| {
        site.origin = address(at);
        site.click_signing_key = Some(Secret::new("clicks"));
    })
    .await;
    let granted = world.report().send().await;
    let mut cookies: Vec<&str> =
        granted.all("set-cookie").iter().filter_map(|c| c.split(';').next()).collect();
    assert_eq!(cookies.len(), 3, "{cookies:?}");
    cookies.push("session=s1");
    let asked = || {
        world
            .ask("GET", "/")
            .header("X-Forwarded-For", "6.6.6.6, 198.51.100.7")
            .header("X-Forwarded-Proto", "https")
            .header("X-Forwarded-Host", "evil.example")
            .header("Forwarded", "for=6.6.6.6")
            .header("Cookie", &cookies.join("; "))
    };
    let told = asked().send().await.text().to_owned();
    for line in [
        "\nhost: shop.example\n",
        "\nx-forwarded-for: 198.51.100.7\n",
        "\nx-real-ip: 198.51.100.7\n",
        "\nx-forwarded-proto: https\n",
        "\nx-forwarded-host: shop.example\n",
        "\nforwarded: for=198.51.100.7;proto=https;host=\"shop.example\"\n",
        "\ncookie: session=s1\n",
    ] {
        assert!(told.contains(line), "{line:?} in {told}");
    }
    assert!(!told.contains("6.6.6.6") && !told.contains("evil.example"), "{told}");

    let world = World::with(|site| {
        site.origin = address(at);
        site.origin_cookies = true;
    })
    .await;
    let told = world.ask("GET", "/").header("Cookie", "affonso_referral=c1; a=b").send().await;
    assert!(told.text().contains("\ncookie: affonso_referral=c1; a=b\n"), "{}", told.text());
}

#[tokio::test]
async fn an_origin_that_is_down_is_a_plain_page_and_tracking_goes_on() {
    // Bound and not listening: nobody answers there.
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(([127, 0, 0, 1], 0).into()).expect("a port");
    let at = socket.local_addr().expect("an address");
    let world = World::with(|site| site.origin = address(at)).await;
    let reply = world.ask("GET", "/").send().await;
    assert_eq!(reply.status, 502);
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert_eq!(reply.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(
        reply.text().contains("does not answer") && !reply.text().contains("127.0.0.1"),
        "{}",
        reply.text()
    );
    assert_eq!(world.report().send().await.status, 200);
    assert_eq!(world.ask("GET", "/r/pixel.js").send().await.status, 200);
    assert!(world.metrics().contains(r#"usher_origin_failures_total{site="shop",cause="connect"} 1"#));
    assert!(world.metrics().contains("usher_tunnels 0"));
}
