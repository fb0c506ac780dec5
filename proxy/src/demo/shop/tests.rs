//! The shop over real HTTP, in front of an edge that is played here.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use usher_model::{Clock, UnixMs};

use super::ShopSettings;
use crate::demo::http::{read_body, reply, serve};

struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> UnixMs {
        UnixMs(1_700_000_000_000)
    }
}

/// What the edge was asked: method, path with query, headers, body.
type Seen = (Method, String, HeaderMap, Bytes);

struct Street {
    shop: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Street {
    /// A shop whose edge answers with these statuses in turn, and with 200 after them.
    async fn open(statuses: &[u16]) -> Self {
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let statuses: Arc<Mutex<VecDeque<u16>>> = Arc::new(Mutex::new(statuses.iter().copied().collect()));
        let edge = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let edge_address = edge.local_addr().unwrap();
        let noted = Arc::clone(&seen);
        tokio::spawn(serve(edge, std::future::pending(), move |request: Request<_>, _| {
            let (noted, statuses) = (Arc::clone(&noted), Arc::clone(&statuses));
            async move {
                let (head, body) = request.into_parts();
                let body = read_body(body, 1 << 20).await.unwrap();
                noted.lock().unwrap().push((head.method, head.uri.to_string(), head.headers, body));
                let status = statuses.lock().unwrap().pop_front().unwrap_or(200);
                let mut answer = reply(StatusCode::from_u16(status).unwrap(), "application/json", "{}");
                for cookie in ["affonso_referral=c1; Path=/", "twin=2; HttpOnly"] {
                    answer.headers_mut().append("set-cookie", cookie.parse().unwrap());
                }
                Ok(answer)
            }
        }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let shop = format!("http://{}", listener.local_addr().unwrap());
        let settings = ShopSettings {
            program: "prog\"<".into(),
            prefix: "/r".into(),
            edge: edge_address,
            edge_host: "shop.test".into(),
            api_key: "key".into(),
            clock: Arc::new(Stopped),
        };
        tokio::spawn(super::serve(settings, listener, std::future::pending()));
        Self { shop, seen, client: Client::builder(TokioExecutor::new()).build_http() }
    }

    async fn ask(&self, method: Method, path: &str, cookie: &str, body: &str) -> (u16, HeaderMap, String) {
        let request =
            Request::builder().method(method).uri(format!("{}{path}", self.shop)).header("cookie", cookie);
        let answer = self.client.request(request.body(Full::from(body.to_owned())).unwrap()).await.unwrap();
        let (head, body) = answer.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (head.status.as_u16(), head.headers, String::from_utf8(body.to_vec()).unwrap())
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

#[tokio::test]
async fn what_is_below_the_prefix_is_handed_over_whole() {
    let street = Street::open(&[]).await;
    let (status, headers, body) = street.ask(Method::POST, "/r/track?x=%2F1", "a=b", "hello").await;
    assert_eq!((status, body.as_str()), (200, "{}"));
    let cookies: Vec<_> = headers.get_all("set-cookie").iter().collect();
    assert_eq!(cookies, ["affonso_referral=c1; Path=/", "twin=2; HttpOnly"]);
    let (method, path, headers, body) = street.seen().remove(0);
    assert_eq!((method, path.as_str(), &body[..]), (Method::POST, "/r/track?x=%2F1", &b"hello"[..]));
    assert_eq!(headers["x-forwarded-for"], "127.0.0.1");
    assert_eq!(headers["host"], street.shop.trim_start_matches("http://"));
    assert_eq!(headers["cookie"], "a=b");

    assert_eq!(street.ask(Method::GET, "/rest", "", "").await.0, 404);
    assert_eq!(street.ask(Method::POST, "/r/track", "", &"x".repeat(300_000)).await.0, 413);
    assert_eq!(street.seen().len(), 1, "neither reaches the edge");
}

#[tokio::test]
async fn every_page_keeps_to_its_policy() {
    let street = Street::open(&[]).await;
    for path in ["/", "/product/mug", "/checkout", "/thanks?order=none"] {
        for (cookie, policy) in [
            ("bag=mug.1", ""),
            ("bag=mug.1; demo_csp=strict", "default-src 'self'"),
            ("bag=mug.1; demo_csp=strict; demo_tag=manager", "default-src 'self'"),
            ("bag=mug.1; demo_csp=nonce", "'strict-dynamic'"),
            ("bag=mug.1; demo_csp=nonce; demo_tag=manager", "'strict-dynamic'"),
        ] {
            let (_, headers, html) = street.ask(Method::GET, path, cookie, "").await;
            let given = headers.get("content-security-policy").map_or("", |policy| policy.to_str().unwrap());
            assert!(
                given.contains(policy) && given.is_empty() == policy.is_empty(),
                "{path} {cookie}: {given}"
            );
            assert!(!html.contains("style=") && !html.contains(" on"), "nothing inline on {path}");
            assert_eq!(html.matches("<script").count(), html.matches("></script>").count(), "{path}");
            let nonce = given.split("'nonce-").nth(1).and_then(|rest| rest.split('\'').next());
            if let Some(nonce) = nonce {
                assert_eq!(html.matches(&format!(r#" nonce="{nonce}""#)).count(), 2, "{path} {cookie}");
            }
            let by_manager = cookie.contains("manager");
            assert_eq!(html.contains(r#"src="/tagmanager.js""#), by_manager, "{path} {cookie}");
            let tag = r#"<script async defer src="/r/pixel.js" data-affonso="prog&quot;&lt;" data-cookie_duration="30" data-api-base="/r""#;
            assert_eq!(html.contains(tag), !by_manager, "{path} {cookie}");
        }
    }
    let (_, _, script) = street.ask(Method::GET, "/tagmanager.js", "", "").await;
    assert!(script.contains(r#"setAttribute("data-affonso", "prog\"<")"#), "{script}");
}

#[tokio::test]
async fn the_bag_is_kept_in_a_cookie() {
    let street = Street::open(&[]).await;
    let set = async |bag: &str, form: &str| {
        let (status, headers, _) = street.ask(Method::POST, "/cart", &format!("bag={bag}"), form).await;
        assert_eq!((status, &headers["location"]), (303, &"/checkout".parse().unwrap()));
        let cookie = headers["set-cookie"].to_str().unwrap().to_owned();
        cookie.trim_start_matches("bag=").split(';').next().unwrap().to_owned()
    };
    assert_eq!(set("", "id=mug&quantity=2").await, "mug.2");
    assert_eq!(set("mug.2", "id=mug&quantity=98").await, "mug.99");
    assert_eq!(set("mug.2|yacht.1|mug.3|lamp.x", "id=tote").await, "mug.2|tote.1");
    assert_eq!(set("mug.2|tote.1", "id=mug&quantity=0").await, "tote.1");
    let (_, _, html) = street.ask(Method::GET, "/checkout", "bag=mug.2|lamp.1", "").await;
    assert!(html.contains(r#"id="total">€137.95<"#), "{html}");
}

#[tokio::test]
async fn an_order_is_reported_until_it_is_heard_under_one_event_id() {
    let street = Street::open(&[503, 202]).await;
    let order = json!({"items":[{"id":"mug","quantity":2}],"promo_code":"alice10","affonso_referral":"c1","email":"A@example.com "});
    let (status, headers, body) = street.ask(Method::POST, "/api/orders", "", &order.to_string()).await;
    let placed: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(status, 200, "{body}");
    assert_eq!(
        (&placed["total"], &placed["currency"], &placed["conversion_status"]),
        (&json!(4320), &json!("EUR"), &json!("queued"))
    );
    assert!(headers["set-cookie"].to_str().unwrap().starts_with("bag=;"), "the bag is empty again");

    let seen = street.seen();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0].3, seen[1].3, "the same body each time");
    let (_, path, headers, body) = &seen[0];
    assert_eq!(
        (path.as_str(), &headers["host"], &headers["authorization"]),
        ("/r/v1/conversions", &"shop.test".parse().unwrap(), &"Bearer key".parse().unwrap())
    );
    let sent: Value = serde_json::from_slice(body).unwrap();
    assert_eq!(
        (&sent["external_event_id"], &sent["referral_id"], &sent["promo_code"]),
        (&placed["order_id"], &json!("c1"), &json!("alice10"))
    );
    assert!(String::from_utf8_lossy(body).contains(r#""sale_amount":43.20,"#));

    let path = format!("/api/orders/{}", placed["order_id"].as_str().unwrap());
    let kept: Value = serde_json::from_str(&street.ask(Method::GET, &path, "", "").await.2).unwrap();
    assert_eq!(kept, placed);
}

#[tokio::test]
async fn bad_orders_go_nowhere() {
    let street = Street::open(&[]).await;
    for order in [
        json!({"items":[],"email":"a@example.com"}),
        json!({"items":[{"id":"mug","quantity":0}],"email":"a@example.com"}),
        json!({"items":[{"id":"mug"}],"email":"nobody"}),
        json!("order"),
    ] {
        let (status, _, body) = street.ask(Method::POST, "/api/orders", "", &order.to_string()).await;
        assert!(status == 400 && body.contains("error"), "{order}: {status} {body}");
    }
    assert_eq!(street.ask(Method::POST, "/api/elsewhere", "", "{}").await.0, 405);
    assert!(street.seen().is_empty());
}
