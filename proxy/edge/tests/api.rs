//! What stands before each route of the server-to-server API, and before `bind`: who may call, how, with what.

mod support;

use support::{Ask, NOW_S, World};
use usher_model::Secret;

const CLICKS: &str = "/r/v1/clicks";
const LEADS: &str = "/r/v1/signups";
const CONVERSIONS: &str = "/r/v1/conversions";
const REFUND: &str = "/r/v1/conversions/com_1/refund";
const EVENTS: &str = "/r/v1/events";
const SEGMENT: &str = "/r/v1/sources/segment/events";
const ALL: [&str; 6] = [CLICKS, LEADS, CONVERSIONS, REFUND, EVENTS, SEGMENT];
/// Too little for any of them, so that nothing is written.
const NOTHING: &str = "[]";

fn with_key(world: &World, path: &str) -> Ask {
    world.ask("POST", path).header("Authorization", "Bearer shop-key")
}

#[tokio::test]
async fn every_route_needs_the_sites_key() {
    let world = World::new().await;
    for path in ALL {
        for key in [None, Some("Bearer wrong"), Some("Basic d3Jvbmc6"), Some("shop-key"), Some("Bearer ")] {
            let ask = key.iter().fold(world.ask("POST", path), |ask, key| ask.header("Authorization", key));
            let reply = ask.body(NOTHING).send().await;
            assert_eq!(reply.status, 401, "{path} {key:?}");
            assert_eq!(reply.json()["error"]["code"], "UNAUTHORIZED", "{path} {key:?}");
            assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
        }
        let reply = with_key(&world, path).body(NOTHING).send().await;
        assert_eq!(reply.status, 400, "{path}: {}", reply.text());
        assert_eq!(reply.json()["error"]["code"], "VALIDATION_ERROR", "{path}: {}", reply.text());
        assert_eq!((reply.header("cache-control"), reply.header("vary")), (Some("no-store"), None), "{path}");
    }
}

#[tokio::test]
async fn the_key_as_a_user_name_is_for_segment_alone() {
    let world = World::new().await;
    for path in ALL {
        // "shop-key:"
        let ask = world.ask("POST", path).header("Authorization", "Basic c2hvcC1rZXk6");
        let reply = ask.body(NOTHING).send().await;
        assert_eq!(reply.status, if path == SEGMENT { 400 } else { 401 }, "{path}: {}", reply.text());
    }
}

#[tokio::test]
async fn every_route_takes_posts_alone() {
    let world = World::new().await;
    for path in ALL {
        for method in ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE"] {
            let reply = world.ask(method, path).header("Origin", "https://shop.example").send().await;
            assert_eq!((reply.status, reply.header("allow")), (405, Some("POST")), "{method} {path}");
            assert_eq!(reply.header("access-control-allow-origin"), None, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn bodies_are_json_and_bounded() {
    let world = World::new().await;
    for path in ALL {
        for kind in ["text/plain", "application/x-www-form-urlencoded", "application/xml", ""] {
            let reply = with_key(&world, path).header("Content-Type", kind).body(NOTHING).send().await;
            assert_eq!(reply.status, 415, "{path} {kind}: {}", reply.text());
        }
        for kind in ["application/json", "application/json; charset=utf-8", "Application/JSON"] {
            let reply = with_key(&world, path).header("Content-Type", kind).body(NOTHING).send().await;
            assert_eq!(reply.status, 400, "{path} {kind}: {}", reply.text());
        }
        let reply = with_key(&world, path).header("Content-Length", "262145").send().await;
        assert_eq!((reply.status, reply.header("connection")), (413, Some("close")), "{path}");
        for body in ["{", "null", "\"x\"", "7", "{}{}", "\u{0}"] {
            let reply = with_key(&world, path).body(body).send().await;
            assert_eq!(reply.status, 400, "{path} {body:?}: {}", reply.text());
            assert_eq!(reply.json()["success"], false, "{path} {body:?}");
        }
        // A refund alone may say nothing at all.
        let reply = with_key(&world, path).body("").send().await;
        assert_eq!(reply.status, if path == REFUND { 201 } else { 400 }, "{path}: {}", reply.text());
    }
}

#[tokio::test]
async fn what_moves_money_is_signed_where_the_site_asks_for_it() {
    let world = World::with(|site| site.signing_secrets = vec![Secret::new("whsec_test")]).await;
    let signature = support::signature("whsec_test", NOW_S, NOTHING);
    for path in ALL {
        let needs = ![CLICKS, LEADS].contains(&path);
        let plain = with_key(&world, path).body(NOTHING).send().await;
        assert_eq!(plain.status, if needs { 401 } else { 400 }, "{path}: {}", plain.text());
        for (timestamp, signature, status) in [
            (NOW_S, signature.as_str(), 400),
            (NOW_S - 1, &signature, 401),
            (NOW_S - 301, &support::signature("whsec_test", NOW_S - 301, NOTHING), 401),
            (NOW_S, &support::signature("test", NOW_S, NOTHING), 401),
            (NOW_S, &support::signature("whsec_test", NOW_S, "{}"), 401),
            (NOW_S, &format!("sha256={signature}"), 401),
        ] {
            let signed = with_key(&world, path)
                .header("X-Affonso-Timestamp", &timestamp.to_string())
                .header("X-Affonso-Signature", signature);
            let reply = signed.body(NOTHING).send().await;
            assert_eq!(reply.status, if needs { status } else { 400 }, "{path}: {}", reply.text());
        }
    }
    let nobody = world.ask("POST", SEGMENT).header("X-Affonso-Timestamp", "0").body(NOTHING).send().await;
    assert_eq!(nobody.status, 401, "a signature is no key");
}

#[tokio::test]
async fn an_idempotency_key_is_short_and_printable() {
    let world = World::new().await;
    for path in [CLICKS, REFUND] {
        for key in ["", "a\tb", "schl\u{fc}ssel", &"k".repeat(256)] {
            let reply = with_key(&world, path).header("Idempotency-Key", key).body("{}").send().await;
            assert_eq!(reply.status, 400, "{path} {key:?}: {}", reply.text());
            assert_eq!(reply.json()["error"]["field"], "Idempotency-Key", "{path} {key:?}");
        }
        let twice = with_key(&world, path).header("Idempotency-Key", "a").header("Idempotency-Key", "a");
        assert_eq!(twice.body("{}").send().await.status, 400, "{path}");
        for key in ["k", "\"quoted key\"", &"k".repeat(255)] {
            let reply = with_key(&world, path).header("Idempotency-Key", key).body("{}").send().await;
            assert_ne!(reply.json()["error"]["field"], "Idempotency-Key", "{path} {key:?}: {}", reply.text());
        }
    }
}

#[tokio::test]
async fn only_the_sites_own_pages_bind() {
    let world = World::new().await;
    let neutral = format!("/r/{}", world.names().bind);
    for path in ["/r/bind", &neutral] {
        let ask = |origin: &str| world.ask("POST", path).header("Origin", origin);
        let foreign = ask("https://evil.example").body(r#"{"order_id":"1"}"#).send().await;
        assert_eq!(
            (foreign.status, foreign.json()["error"]["code"].as_str()),
            (403, Some("FORBIDDEN")),
            "{path}"
        );
        let own = ask("https://shop.example").body(NOTHING).send().await;
        assert_eq!(own.status, 400, "{path}: {}", own.text());
        assert_eq!(own.header("access-control-allow-origin"), Some("https://shop.example"), "{path}");
        let form = ask("https://shop.example").header("Content-Type", "application/x-www-form-urlencoded");
        assert_eq!(form.body("order_id=1").send().await.status, 415, "{path}");
        let large = ask("https://shop.example").header("Content-Length", "16385").send().await;
        assert_eq!(large.status, 413, "{path}");
        let preflight = world.ask("OPTIONS", path).header("Origin", "https://shop.example").send().await;
        assert_eq!((preflight.status, preflight.header("allow")), (204, Some("POST, OPTIONS")), "{path}");
        assert_eq!(world.ask("GET", path).send().await.status, 405, "{path}");
    }
}
