//! Nothing that a visitor or merchant sends shows in logs or metrics. Alone in its process: it installs the log.

mod support;

use std::{
    io,
    sync::{Arc, Mutex},
};
use support::{Ask, World};
use tracing_subscriber::fmt::MakeWriter;

const CANARY: &str = "canary7";

#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl io::Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("whole").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Page {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}

fn server(world: &World, path: &str) -> Ask {
    world.ask("POST", path).header("Authorization", "Bearer shop-key")
}

#[tokio::test]
async fn canaries_do_not_sing() {
    let page = Page::default();
    tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(page.clone()).init();
    let world = World::new().await;
    world.put_code("SAVE10").await;
    let report = format!(
        r#"{{"programId":"prog","url":"https://shop.example/?via=alice&sub1={CANARY}","referrer":"https://{CANARY}.example"}}"#
    );
    let asks = [
        world.ask("GET", &format!("/r/pixel.js?{CANARY}")),
        world.ask("GET", &format!("/r/{CANARY}")),
        world.ask("GET", &format!("/{CANARY}")),
        world.ask("GET", &format!("/r/codes/{CANARY}")),
        world.ask("GET", "/r/codes/SAVE10").header("Referer", CANARY),
        world.ask("POST", "/r/track").header("Cookie", &format!("affonso_referral={CANARY}")).body(&report),
        world.ask("POST", "/r/track").header("Origin", &format!("https://{CANARY}.example")).body(&report),
        world
            .ask("POST", "/r/signups")
            .body(&format!(r#"{{"email":"{CANARY}@shop.example","click_id":"{CANARY}"}}"#)),
        world
            .ask("POST", "/r/v1/conversions")
            .header("Authorization", &format!("Bearer {CANARY}"))
            .body("{}"),
        world.sale(CANARY),
        server(&world, &format!("/r/v1/conversions/{CANARY}/refund"))
            .header("Idempotency-Key", CANARY)
            .body("{}"),
        server(&world, &format!("/r/v1/conversions/{CANARY}!/refund")).body("{}"),
        server(&world, "/r/v1/events")
            .body(&format!(r#"{{"event_name":"{CANARY}","referral_id":"{CANARY}"}}"#)),
        server(&world, "/r/v1/clicks").body(&format!(r#"{{"programId":"prog","trackingId":"{CANARY}"}}"#)),
        server(&world, "/r/v1/signups")
            .body(&format!(r#"{{"click_id":"{CANARY}","email":"{CANARY}@b.example"}}"#)),
        server(&world, "/r/v1/sources/segment/events")
            .body(&format!(r#"{{"batch":[{{"type":"track","event":"{CANARY}"}}],"writeKey":"{CANARY}"}}"#)),
        world.ask("POST", "/r/bind").body(&format!(r#"{{"order_id":"{CANARY}"}}"#)),
        world.sale("e2").header("X-Canary", CANARY),
        world.ask("POST", "/r/track").body(&format!("{{{CANARY}")),
        world.ask(CANARY, "/r/track"),
    ];
    for ask in asks {
        ask.header("X-Forwarded-For", "198.51.100.77").send().await;
    }
    let log = String::from_utf8(page.0.lock().expect("whole").clone()).expect("text");
    assert!(log.contains("request") && log.contains("conversions"), "there is a log: {log}");
    for secret in [CANARY, "198.51.100.77", "shop-key"] {
        assert!(!log.contains(secret), "{secret} in the log: {log}");
        assert!(!world.metrics().contains(secret), "{secret} in the metrics: {}", world.metrics());
    }
}
