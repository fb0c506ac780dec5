//! What of a person rests on disk, and for how long; and what an edge remembers of somebody who was erased.

mod support;

use std::time::Duration;
use support::{Mood, World, eventually, sale};
use usher_core::capture::Landing;
use usher_model::{AffiliateCode, UnixMs};
use usher_store::{Person, Waiting, erase};

const ALICE: &str = r#"{"programId":"prog","trackingId":"alice"}"#;
const ADDRESS: &str = "192.0.2.7";
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

fn holds(world: &World, text: &str) -> bool {
    let files = std::fs::read_dir(world._folder.path()).expect("a folder");
    let bytes = files.map(|file| std::fs::read(file.expect("a file").path()).expect("its bytes"));
    bytes.into_iter().any(|bytes| bytes.windows(text.len()).any(|window| window == text.as_bytes()))
}

/// Comes by every way in while the platform is away, so that all of it rests on disk.
async fn comes_by_every_way(world: &World) {
    world.platform.set(Mood::Down);
    let seen = |number: usize| usher_core::Visitor {
        user_agent: format!("{} way{number}", world.visitor().user_agent),
        ..world.visitor()
    };
    let capture = &world.core.capture;
    let tracked = world.track(ALICE, &seen(1)).await.cookie.expect("a click");
    let page = Landing::read(&world.site, "/?via=bob&utm_source=way2").expect("a landing");
    capture.landed(&world.site, page.on("https://shop.example".to_owned(), "/?via=bob"), &seen(2)).await;
    let carol = AffiliateCode::new("carol").expect("a code");
    let link = Landing::link(&world.site, &carol, "/spring").expect("a link");
    capture.landed(&world.site, link, &seen(3)).await;
    world.put_code("SPRING", r#"{"affiliate":"dave"}"#).await;
    world.resolve("SPRING", &seen(4)).await.expect("a code");
    let server = format!(r#"{{"programId":"prog","trackingId":"eve","ip":"{ADDRESS}","userAgent":"way5"}}"#);
    world.click(&server, None).await.expect("a click");
    eventually("it is written", || world.knows(&tracked)).await;
    world.bind("order-1", &world.visitor_with(&tracked)).await.expect("bound");
    let lead = format!(r#"{{"click_id":"{tracked}","email":"jane@people.example"}}"#);
    world.lead(&lead).await.expect("a lead");
    world.convert(&sale("pay_1", &format!(r#","referral_id":"{tracked}""#))).await.expect("a sale");
    eventually("all is written", || async {
        world.core.delivery.status().await.expect("a status").waiting >= 7
    })
    .await;
}

/// The platform is back, and time passes until it knows all. Time that passes is no patience that runs out.
async fn all_is_told(world: &World) {
    for _ in 0..500 {
        world.pass_ms(DAY_MS / 24).await;
        world.core.platform_changed();
        world.tools.store.hasten(UnixMs(world.clock.now_ms())).await.expect("hastened");
        tokio::time::sleep(Duration::from_millis(5)).await;
        if world.core.delivery.status().await.expect("a status").waiting == 0 {
            return;
        }
    }
    panic!("not told: {:?}", world.core.delivery.status().await);
}

#[tokio::test]
async fn no_whole_address_rests_on_disk_whatever_way_somebody_comes() {
    let world = World::new(|_| {}).await;
    comes_by_every_way(&world).await;
    assert!(holds(&world, "way1") && holds(&world, "way5") && holds(&world, "jane@people.example"));
    assert!(!holds(&world, ADDRESS));
}

#[tokio::test]
async fn after_four_hundred_days_nothing_is_left_of_anybody() {
    let world = World::new(|_| {}).await;
    comes_by_every_way(&world).await;
    world.platform.set(Mood::Well);
    all_is_told(&world).await;
    let late = UnixMs(world.clock.now_ms()).plus((400 - 395) * DAY_MS);
    world.tools.store.forget(late).await.expect("forgotten");
    world.tools.store.wipe().await.expect("wiped");
    for text in ["way1", "way2", "way3", "way4", "way5", "jane@people.example", "order-1", "ush_", "pay_1"] {
        assert!(!holds(&world, text), "{text}");
    }
}

#[tokio::test]
async fn who_is_erased_is_forgotten_by_the_edge_too() {
    let world = World::new(|_| {}).await;
    let first = world.track(ALICE, &world.visitor()).await.cookie.expect("a click");
    eventually("it is written", || world.knows(&first)).await;
    let again = world.track(ALICE, &world.visitor_with(&first)).await.cookie.expect("the same");
    assert_eq!(again, first);
    let person = Person::Click(first.clone());
    let now = UnixMs(world.clock.now_ms());
    let gone =
        erase(&*world.tools.store, &world.site.name, &person, Waiting::Stays, now).await.expect("erased");
    assert_eq!(gone.clicks, 1);
    eventually("it is another click", || async {
        world.track(ALICE, &world.visitor_with(&first)).await.cookie.expect("a click") != first
    })
    .await;
    assert!(!world.knows(&first).await, "nor does it come back");
}
