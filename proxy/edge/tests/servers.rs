//! What servers call, and what survives whoever called.

mod support;

use std::time::Duration;
use support::{NOW_S, Reply, World, sale};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use usher_model::{Job, Secret};

#[tokio::test]
async fn a_sale_needs_the_sites_key() {
    let world = World::new().await;
    for key in [None, Some("Bearer wrong"), Some("Basic shop-key"), Some("shop-key")] {
        let ask = world.ask("POST", "/r/v1/conversions").body(&sale("e1"));
        let reply = key.iter().fold(ask, |ask, key| ask.header("Authorization", key)).send().await;
        assert_eq!(
            (reply.status, reply.json()["error"]["code"].as_str()),
            (401, Some("UNAUTHORIZED")),
            "{key:?}"
        );
        assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
    }
    assert!(world.platform.delivered().is_empty());
    let reply = world.sale("e1").send().await;
    assert_eq!((reply.status, reply.json()["data"]["id"].as_str()), (201, Some("up-1")), "{}", reply.text());
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert_eq!(reply.header("access-control-allow-origin"), None);
    let closed = World::with(|site| site.api_keys.clear()).await;
    assert_eq!(closed.sale("e1").send().await.status, 401);
}

#[tokio::test]
async fn a_site_with_signing_secrets_takes_only_signed_sales() {
    let world =
        World::with(|site| site.signing_secrets = vec![Secret::new("old"), Secret::new("whsec_new")]).await;
    let signed = |secret: &str, timestamp: i64, body: &str| {
        world
            .sale("e1")
            .header("X-Affonso-Timestamp", &timestamp.to_string())
            .header("X-Affonso-Signature", &support::signature(secret, timestamp, body))
            .send()
    };
    assert_eq!(world.sale("e1").send().await.status, 401);
    assert_eq!(signed("other", NOW_S, &sale("e1")).await.status, 401);
    assert_eq!(signed("whsec_new", NOW_S, &sale("e2")).await.status, 401);
    assert_eq!(signed("whsec_new", NOW_S - 301, &sale("e1")).await.status, 401);
    assert!(world.platform.delivered().is_empty());
    assert_eq!(signed("whsec_new", NOW_S - 299, &sale("e1")).await.status, 201);
    let again = signed("old", NOW_S, &sale("e1")).await;
    assert!((200..300).contains(&again.status), "{}", again.status);
    assert_eq!(world.platform.delivered().len(), 1);
}

#[tokio::test]
async fn what_is_too_large_is_refused_before_it_is_sent() {
    let world = World::new().await;
    let ask = |length: &str| {
        world
            .ask("POST", "/r/v1/conversions")
            .header("Authorization", "Bearer shop-key")
            .header("Expect", "100-continue")
            .header("Content-Length", length)
    };
    assert_eq!(Reply::of(ask("262145").start().await).await.status, 413, "no 100 comes first");
    assert_eq!(Reply::of(ask("99999999999").start().await).await.status, 413);
    let unauthorized = world.ask("POST", "/r/v1/conversions").header("Content-Length", "1000").start().await;
    assert_eq!(Reply::of(unauthorized).await.status, 401, "nothing is read for a stranger");
    let mut welcome = ask(&sale("e1").len().to_string()).start().await;
    let mut interim = [0; 25];
    welcome.read_exact(&mut interim).await.expect("an interim answer");
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    welcome.write_all(sale("e1").as_bytes()).await.expect("sent");
    assert_eq!(Reply::of(welcome).await.status, 201);
}

#[tokio::test]
async fn a_sale_survives_a_client_that_hangs_up() {
    let world = World::new().await;
    world.platform.hold();
    let stream = world.sale("e1").start().await;
    world.platform.called(1).await;
    drop(stream);
    world.platform.open();
    let second = world.sale("e1").send().await;
    assert!((200..300).contains(&second.status), "{} {}", second.status, second.text());
    let delivered = world.platform.delivered();
    assert_eq!(delivered.iter().filter(|(job, _)| *job == Job::Conversion).count(), 1, "{delivered:?}");
}

#[tokio::test]
async fn a_client_that_hung_up_is_counted_all_the_same() {
    let world = World::new().await;
    world.platform.hold();
    let stream = world.report().start().await;
    world.platform.called(1).await;
    drop(stream);
    while !world.metrics().contains(r#"usher_http_requests_total{site="shop",route="track",status="gone"} 1"#)
    {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    world.platform.open();
}

#[tokio::test]
async fn shutting_down_waits_for_requests_under_way() {
    let world = World::new().await;
    world.platform.hold();
    let under_way = world.sale("e1").start().await;
    let mut idle = tokio::net::TcpStream::connect(world.at).await.expect("a connection");
    idle.write_all(b"HEAD /r/pixel.js HTTP/1.1\r\nHost: shop.example\r\n\r\n").await.expect("sent");
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(idle.read_u8().await.expect("an answer"));
    }
    world.platform.called(1).await;
    world.shutdown.cancel();
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest).await.expect("closed");
    assert!(rest.is_empty() && !world.served.is_finished(), "idle connections close at once, others do not");
    world.platform.open();
    assert_eq!(Reply::of(under_way).await.status, 201);
    world.served.await.expect("it ends");
    assert!(tokio::net::TcpStream::connect(world.at).await.is_err());
}

/// Time stands still but for the waits that would otherwise take it.
#[tokio::test]
async fn slow_heads_and_bodies_are_cut_off() {
    let world = World::new().await;
    tokio::time::pause();
    let slow = world
        .ask("POST", "/r/v1/conversions")
        .header("Authorization", "Bearer shop-key")
        .header("Content-Length", "100")
        .start()
        .await;
    let reply = Reply::of(slow).await;
    assert_eq!((reply.status, reply.header("connection")), (408, Some("close")));
    let mut head = tokio::net::TcpStream::connect(world.at).await.expect("a connection");
    head.write_all(b"GET /r/pixel.js HTTP/1.1\r\nHost: shop").await.expect("sent");
    let mut rest = String::new();
    head.read_to_string(&mut rest).await.expect("closed");
    assert!(!rest.contains("200 OK"));
}

#[tokio::test]
async fn how_a_request_arrives_is_told_to_the_sites_own_servers_alone() {
    let world = World::new().await;
    let ask = || {
        let ask = world.ask("GET", "/r/v1/arrival").header("X-Forwarded-Proto", "https");
        ask.header("X-Forwarded-For", "198.51.100.7, x").header("X-Forwarded-For", "203.0.113.9,10.0.0.1")
    };
    for key in [None, Some("Bearer wrong")] {
        let reply = key.iter().fold(ask(), |ask, key| ask.header("Authorization", key)).send().await;
        assert_eq!(reply.status, 401, "{key:?}");
        assert!(!reply.text().contains("10.0.0.1"), "{}", reply.text());
    }
    let reply = ask().header("Authorization", "Bearer shop-key").send().await;
    assert_eq!((reply.status, reply.header("cache-control")), (200, Some("no-store")));
    let told = serde_json::json!({"success": true, "data": {
        "address": "10.0.0.1", "https": true, "host": "shop.example", "peer": "127.0.0.1", "trusted": true,
        "forwarded_for": ["198.51.100.7", "x", "203.0.113.9", "10.0.0.1"],
    }});
    assert_eq!(reply.json(), told);
    let long = world.ask("GET", "/r/v1/arrival").header("Authorization", "Bearer shop-key");
    let reply = long.header("X-Forwarded-For", &"1.1.1.1,".repeat(1_000)).send().await;
    assert_eq!(reply.json()["data"]["forwarded_for"].as_array().map(Vec::len), Some(50));
    assert_eq!(world.ask("POST", "/r/v1/arrival").send().await.status, 405);
}
