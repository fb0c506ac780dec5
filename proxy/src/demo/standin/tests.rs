//! The stand-in over real HTTP: what it takes, refuses, repeats and drops.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use usher_model::{Clock, UnixMs};

use super::signature::sign;
use super::{Settings, Standin};

const NOW_SECONDS: i64 = 1_700_000_000;

struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> UnixMs {
        UnixMs(NOW_SECONDS * 1000)
    }
}

struct Platform {
    base: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

struct Answer {
    status: u16,
    headers: http::HeaderMap,
    body: Bytes,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a JSON answer")
    }

    fn error(&self) -> String {
        let error = &self.json()["error"];
        format!("{} {}", self.status, error["code"].as_str().expect("a code"))
    }
}

impl Platform {
    async fn start(change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings::open(Arc::new(Stopped));
        change(&mut settings);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let base = format!("http://{}", listener.local_addr().expect("bound"));
        tokio::spawn(Standin::new(settings).serve(listener, std::future::pending()));
        Self { base, client: Client::builder(TokioExecutor::new()).build_http() }
    }

    /// `None` when the connection was closed without an answer.
    async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Option<Answer> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::from(body.to_owned())).expect("a request");
        let (head, body) = self.client.request(request).await.ok()?.into_parts();
        let body = body.collect().await.expect("a whole body").to_bytes();
        Some(Answer { status: head.status.as_u16(), headers: head.headers, body })
    }

    async fn post(&self, path: &str, body: &str) -> Answer {
        let headers = [("authorization", "Bearer key"), ("content-type", "application/json")];
        self.send(Method::POST, path, &headers, body).await.expect("an answer")
    }

    async fn behave(&self, fault: &Value) {
        assert_eq!(self.post("/_behaviour", &fault.to_string()).await.status, 200);
    }

    async fn received(&self) -> Value {
        self.send(Method::GET, "/_received", &[], "").await.expect("an answer").json()
    }

    async fn click(&self, affiliate: &str) -> String {
        let body = json!({"programId": "p", "trackingId": affiliate}).to_string();
        let answer = self.post("/v1/track", &body).await.json();
        answer["cid"].as_str().expect("a cid").to_owned()
    }
}

fn sale(referral: &str, event: &str) -> String {
    format!(
        r#"{{"referral_id":"{referral}","customer_id":"cus_{event}","sale_amount":99.90,"sale_amount_currency":"EUR","external_event_id":"{event}"}}"#
    )
}

#[tokio::test]
async fn track_answers_without_an_envelope() {
    let platform = Platform::start(|_| ()).await;
    let body = r#"{"programId":"p","trackingId":"alice"}"#;
    let headers = [("x-real-ip", "203.0.113.9"), ("user-agent", "Browser/1")];
    let answer = platform.send(Method::POST, "/v1/track", &headers, body).await.unwrap();
    assert_eq!(answer.status, 200);
    assert!(answer.headers.contains_key("x-ratelimit-remaining"));
    let answer = answer.json();
    assert_eq!(answer["data"]["discount"]["promoCode"], "ALICE10");
    let click = &platform.received().await["clicks"][0];
    assert_eq!(click["id"], answer["cid"]);
    assert_eq!((&click["ip"], &click["userAgent"]), (&json!("203.0.113.9"), &json!("Browser/1")));

    let unknown = platform.post("/v1/track", r#"{"programId":"p","trackingId":"nobody"}"#).await;
    assert_eq!((unknown.status, &unknown.json()["cid"]), (200, &json!("")));
    assert_eq!(platform.post("/v1/track", r#"{"trackingId":"alice"}"#).await.error(), "400 VALIDATION_ERROR");
}

#[tokio::test]
async fn a_click_without_consent_holds_nothing_until_it_is_upgraded() {
    let platform = Platform::start(|_| ()).await;
    let without = r#"{"programId":"p","trackingId":"bob","hasConsent":false,"userAgent":"B"}"#;
    let cid = platform.post("/v1/track", without).await.json()["cid"].as_str().unwrap().to_owned();
    let click = &platform.received().await["clicks"][0];
    assert_eq!(
        (&click["ip"], &click["userAgent"], &click["consent"]),
        (&Value::Null, &Value::Null, &json!(false))
    );
    let upgrade = json!({"programId":"p","upgradeClickId":cid,"hasConsent":true,"userAgent":"B"}).to_string();
    assert_eq!(platform.post("/v1/track", &upgrade).await.json()["cid"], cid.as_str());
    let received = platform.received().await;
    assert_eq!(received["clicks"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&received["clicks"][0]["userAgent"], &received["clicks"][0]["consent"]),
        (&json!("B"), &json!(true))
    );
}

#[tokio::test]
async fn clicks_and_signups() {
    let platform = Platform::start(|settings| settings.api_key = Some("key".into())).await;
    let body = r#"{"programId":"p","trackingId":"alice","ip":"2001:db8::1"}"#;
    let refused =
        platform.send(Method::POST, "/v1/clicks", &[("authorization", "Bearer no")], body).await.unwrap();
    assert_eq!(refused.error(), "401 UNAUTHORIZED");
    let click = platform.post("/v1/clicks", body).await;
    assert_eq!((click.status, &click.json()["data"]["tracking_id"]), (201, &json!("alice")));
    let unknown = platform.post("/v1/clicks", r#"{"programId":"p","trackingId":"nobody"}"#).await;
    assert_eq!(unknown.error(), "404 NOT_FOUND");

    let id = click.json()["data"]["id"].as_str().unwrap().to_owned();
    let lead = json!({"click_id": id, "email": "a@example.com"}).to_string();
    assert_eq!(platform.post("/v1/signups", &lead).await.status, 201);
    assert_eq!(platform.post("/v1/signups", &lead).await.status, 200);
    assert_eq!(platform.received().await["signups"][0]["replays"], 1);
    for (body, error) in [
        (json!({"click_id": id}), "400 VALIDATION_ERROR"),
        (json!({"click_id": "cnot", "email": "a@example.com"}), "404 NOT_FOUND"),
    ] {
        assert_eq!(platform.post("/v1/signups", &body.to_string()).await.error(), error);
    }
    let bare = platform.send(Method::POST, "/v1/signups", &[], &lead).await.unwrap();
    assert_eq!(bare.error(), "401 UNAUTHORIZED");
}

#[tokio::test]
async fn conversions_are_checked() {
    let platform = Platform::start(|_| ()).await;
    let (alice, bob) = (platform.click("alice").await, platform.click("bob").await);
    let good: Value = serde_json::from_str(&sale(&alice, "order-1")).unwrap();
    let with = |change: Value| {
        let mut body = good.clone();
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        body.to_string()
    };
    for (change, field) in [
        (json!({"sale_amount": 0}), "sale_amount"),
        (json!({"sale_amount": "99.90"}), "sale_amount"),
        (json!({"sale_amount": -1}), "sale_amount"),
        (json!({"sale_amount": null}), "sale_amount"),
        (json!({"sale_amount_currency": "EURO"}), "sale_amount_currency"),
        (json!({"sale_amount_currency": null}), "sale_amount_currency"),
        (json!({"external_event_id": ""}), "external_event_id"),
        (json!({"referral_id": null, "customer_id": null}), "referral_id"),
        (json!({"click_id": bob}), "click_id"),
        (json!({"status": "lost"}), "status"),
        (json!({"created_at": "yesterday"}), "created_at"),
        (json!({"metadata": []}), "metadata"),
    ] {
        let answer = platform.post("/v1/conversions", &with(change.clone())).await;
        assert_eq!(answer.error(), "400 VALIDATION_ERROR", "{change}");
        assert_eq!(answer.json()["error"]["field"], field, "{change}");
    }
    for change in [json!({"referral_id": "cunknown"}), json!({"referral_id": null})] {
        let answer = platform.post("/v1/conversions", &with(change)).await;
        assert_eq!(answer.error(), "404 NOT_FOUND");
    }
    assert_eq!(platform.post("/v1/conversions", "nonsense").await.error(), "400 VALIDATION_ERROR");
    assert_eq!(platform.received().await["totals"]["conversions"], 0);
}

#[tokio::test]
async fn conversions_are_kept_once_and_to_the_letter() {
    let platform = Platform::start(|_| ()).await;
    let (alice, bob) = (platform.click("alice").await, platform.click("bob").await);
    let first = platform.post("/v1/conversions", &sale(&alice, "order-1")).await;
    assert_eq!((first.status, &first.json()["data"]["replayed"]), (201, &json!(false)));
    let again = platform.post("/v1/conversions", &sale(&alice, "order-1")).await;
    assert_eq!((again.status, &again.json()["data"]["replayed"]), (200, &json!(true)));
    assert_eq!(first.json()["data"]["id"], again.json()["data"]["id"]);

    let answer = platform.send(Method::GET, "/_received", &[], "").await.unwrap();
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    assert!(text.contains(r#""sale_amount":99.90,"sale_amount_text":"99.90""#), "{text}");
    let conversion = &answer.json()["conversions"][0];
    assert_eq!((&conversion["affiliate"], &conversion["replays"]), (&json!("alice"), &json!(1)));

    // The customer is bound now: alone it is enough, beside another referral it is a conflict.
    let later = r#"{"customer_id":"cus_order-1","sale_amount":1,"sale_amount_currency":"EUR","external_event_id":"order-2"}"#;
    assert_eq!(platform.post("/v1/conversions", later).await.json()["data"]["referral_id"], alice.as_str());
    let conflict = sale(&bob, "order-3").replace("cus_order-3", "cus_order-1");
    assert_eq!(platform.post("/v1/conversions", &conflict).await.error(), "400 VALIDATION_ERROR");

    let summary = platform.send(Method::GET, "/_received?summary=1", &[], "").await.unwrap().json();
    assert_eq!(summary["conversions"]["amounts"]["EUR"], "100.9");
    assert_eq!(summary["conversions"]["event_ids"], json!({"order-1": 1, "order-2": 0}));
}

#[tokio::test]
async fn refunds_never_exceed_what_is_left() {
    let platform = Platform::start(|_| ()).await;
    let alice = platform.click("alice").await;
    let sold = platform.post("/v1/conversions", &sale(&alice, "order-1")).await.json();
    let path = format!("/v1/conversions/{}/refund", sold["data"]["id"].as_str().unwrap());
    let part = r#"{"amount":9.90,"external_event_id":"re_1"}"#;
    for replayed in [false, true] {
        let answer = platform.post(&path, part).await;
        assert_eq!((answer.status, &answer.json()["data"]["replayed"]), (200, &json!(replayed)));
        assert_eq!(answer.json()["data"]["sales_status"], "partial_refunded");
    }
    assert_eq!(platform.post(&path, r#"{"amount":90.01}"#).await.error(), "400 VALIDATION_ERROR");
    assert_eq!(platform.post(&path, r#"{"currency":"USD"}"#).await.error(), "400 VALIDATION_ERROR");
    assert_eq!(platform.post(&path, "").await.json()["data"]["sales_status"], "refunded");
    assert_eq!(platform.post(&path, "").await.error(), "400 VALIDATION_ERROR");
    assert_eq!(platform.post("/v1/conversions/com_no/refund", "").await.error(), "404 NOT_FOUND");
    let refunds = platform.received().await["refunds"].clone();
    assert_eq!((&refunds[0]["amount"], &refunds[1]["amount"]), (&json!("9.9"), &json!("90")));
}

#[tokio::test]
async fn events_and_segment() {
    let platform = Platform::start(|_| ()).await;
    let alice = platform.click("alice").await;
    let trial = json!({"event_name":"Trial","event_type":"trial","click_id":alice,"external_event_id":"t1"})
        .to_string();
    let answer = platform.post("/v1/events", &trial).await;
    assert_eq!((answer.status, &answer.json()["data"]["referral_status"]), (201, &json!("lead")));
    assert_eq!(platform.post("/v1/events", &trial).await.status, 200);

    let order = json!({"event":"Order Completed","messageId":"m1","userId":"u1",
        "properties":{"referral_id":alice,"revenue":12.5,"currency":"USD"}})
    .to_string();
    let answer = platform.post("/v1/sources/segment/events", &order).await;
    assert_eq!((answer.status, &answer.json()["data"]["external_event_id"]), (201, &json!("m1")));
    assert_eq!(platform.received().await["conversions"][0]["customer_id"], "u1");
    for (body, field) in [
        (json!({"type":"identify","event":"x","messageId":"m","userId":"u"}), "type"),
        (json!({"event":"purchase","messageId":"m2"}), "userId"),
        (
            json!({"event":"purchase","messageId":"m2","userId":"u1","properties":{"currency":"USD"}}),
            "properties.revenue",
        ),
    ] {
        let answer = platform.post("/v1/sources/segment/events", &body.to_string()).await;
        assert_eq!((answer.status, &answer.json()["error"]["field"]), (400, &json!(field)));
    }
}

#[tokio::test]
async fn signatures_are_required_once_there_is_a_secret() {
    let platform = Platform::start(|settings| settings.signing_secret = Some("whsec_test".into())).await;
    let body = sale(&platform.click("alice").await, "order-1");
    let now = NOW_SECONDS.to_string();
    let old = (NOW_SECONDS - 301).to_string();
    let edge = (NOW_SECONDS - 300).to_string();
    let attempt = async |timestamp: &str, signature: String| {
        let headers = [
            ("authorization", "Bearer key"),
            ("x-affonso-timestamp", timestamp),
            ("x-affonso-signature", signature.as_str()),
        ];
        platform.send(Method::POST, "/v1/conversions", &headers, &body).await.unwrap().status
    };
    assert_eq!(platform.post("/v1/conversions", &body).await.error(), "401 UNAUTHORIZED");
    assert_eq!(attempt(&now, sign("whsec_other", &now, body.as_bytes())).await, 401);
    assert_eq!(attempt(&now, sign("whsec_test", &now, b"{}")).await, 401);
    assert_eq!(attempt(&old, sign("whsec_test", &old, body.as_bytes())).await, 401);
    assert_eq!(attempt("soon", sign("whsec_test", "soon", body.as_bytes())).await, 401);
    assert_eq!(attempt(&now, sign("whsec_test", &now, body.as_bytes()).to_uppercase()).await, 401);
    assert_eq!(attempt(&edge, sign("whsec_test", &edge, body.as_bytes())).await, 201);
    let received = platform.received().await;
    assert_eq!(received["conversions"][0]["signed"], true);
    let signed: Vec<&Value> = received["requests"].as_array().unwrap().iter().map(|r| &r["signed"]).collect();
    assert_eq!(json!(signed), json!([null, null, false, false, false, false, false, true]));
}

#[tokio::test]
async fn faults_over_the_wire() {
    let platform = Platform::start(|_| ()).await;
    let alice = platform.click("alice").await;
    let body = sale(&alice, "order-1");
    let headers = [("authorization", "Bearer key")];
    for mode in ["down", "drop", "commit_and_drop"] {
        platform.behave(&json!({"path":"/v1/conversions","times":1,"mode":mode})).await;
        let answer = platform.send(Method::POST, "/v1/conversions", &headers, &body).await;
        assert!(answer.is_none(), "{mode}");
        let done = u64::from(mode == "commit_and_drop");
        assert_eq!(platform.received().await["totals"]["conversions"], done, "{mode}");
    }
    assert_eq!(platform.post("/v1/conversions", &body).await.json()["data"]["replayed"], true);

    platform.behave(&json!([{"times":1,"mode":"rate_limit","retry_after":7},{"times":1,"mode":"status","status":502}])).await;
    let limited = platform.post("/v1/conversions", &body).await;
    assert_eq!(
        (limited.error().as_str(), &limited.headers["retry-after"]),
        ("429 RATE_LIMIT_EXCEEDED", &"7".parse().unwrap())
    );
    assert_eq!(limited.headers["x-ratelimit-remaining"], "0");
    assert_eq!(limited.json()["error"]["retryAfter"], 7);
    assert_eq!(platform.post("/v1/conversions", &body).await.error(), "502 INTERNAL_ERROR");
    platform.behave(&json!({"times":1,"mode":"unauthorized"})).await;
    assert_eq!(platform.post("/v1/conversions", &body).await.error(), "401 UNAUTHORIZED");
    platform.behave(&json!({"times":1,"mode":"rubbish"})).await;
    let rubbish = platform.post("/v1/track", "{}").await;
    assert_eq!(rubbish.status, 200);
    assert!(std::str::from_utf8(&rubbish.body).is_err());
    platform.behave(&json!({"times":1,"mode":"slow","delay_ms":1})).await;
    assert_eq!(platform.post("/v1/conversions", &sale(&alice, "order-2")).await.status, 201);

    let behaviours = platform.send(Method::GET, "/_behaviour", &[], "").await.unwrap().json();
    let applied: Vec<&Value> =
        behaviours["behaviours"].as_array().unwrap().iter().map(|b| &b["applied"]).collect();
    assert_eq!(json!(applied), json!([1, 1, 1, 1, 1, 1, 1, 1]));
    assert_eq!(platform.send(Method::DELETE, "/_received", &[], "").await.unwrap().status, 204);
    assert_eq!(platform.received().await["totals"]["requests"], 0);
}

#[tokio::test]
async fn the_rest_of_the_face() {
    let platform = Platform::start(|_| ()).await;
    assert_eq!(platform.post("/v1/elsewhere", "{}").await.error(), "404 NOT_FOUND");
    let get = platform.send(Method::GET, "/v1/track", &[], "").await.unwrap();
    assert_eq!(get.error(), "405 METHOD_NOT_ALLOWED");
    assert_eq!(platform.post("/v1/track", &"x".repeat(300_000)).await.status, 413);
    assert_eq!(
        platform.send(Method::GET, "/", &[], "").await.unwrap().headers["content-type"],
        "text/html; charset=utf-8"
    );
    assert_eq!(platform.post("/_settings", r#"{"api_key":"other"}"#).await.status, 204);
    assert_eq!(platform.post("/v1/clicks", "{}").await.error(), "401 UNAUTHORIZED");
    assert_eq!(platform.post("/_settings", r#"{"api_key":null,"affiliates":["carol"]}"#).await.status, 204);
    assert_eq!(
        platform.post("/v1/clicks", r#"{"programId":"p","trackingId":"alice"}"#).await.error(),
        "404 NOT_FOUND"
    );
    assert_eq!(platform.post("/v1/clicks", r#"{"programId":"p","trackingId":"carol"}"#).await.status, 201);
}
