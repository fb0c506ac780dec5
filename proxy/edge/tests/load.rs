//! When there is too much to do.

mod support;

use std::time::Duration;
use support::World;
use tokio::time::timeout;
use usher_model::limits::REQUESTS_SHED_CLICKS;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clicks_are_turned_away_before_money() {
    let world = World::new().await;
    world.platform.hold();
    let mut waiting = Vec::with_capacity(REQUESTS_SHED_CLICKS);
    for _ in 0..REQUESTS_SHED_CLICKS {
        waiting.push(world.report().start().await);
    }
    // Those that come before all of them are under way wait as well.
    let shed = timeout(Duration::from_secs(20), async {
        loop {
            if let Ok(reply) = timeout(Duration::from_millis(200), world.report().send()).await {
                return reply;
            }
        }
    });
    let shed = shed.await.expect("one of them is turned away");
    assert_eq!((shed.status, shed.header("retry-after")), (503, Some("2")), "{}", shed.text());
    assert_eq!(shed.json()["error"]["code"], "SERVICE_UNAVAILABLE");
    assert_eq!(
        shed.header("access-control-allow-origin"),
        Some("https://shop.example"),
        "the page may read it"
    );
    assert_eq!(world.ask("GET", "/r/pixel.js").send().await.status, 200);
    let sale = world.sale("e1").send().await;
    assert!((200..300).contains(&sale.status), "{} {}", sale.status, sale.text());
    let metrics = world.metrics();
    assert!(metrics.contains(r#"usher_refused_total{reason="shed_click"}"#), "{metrics}");
    assert!(!metrics.contains("shed_money"), "{metrics}");
    drop(waiting);
    world.platform.open();
}
