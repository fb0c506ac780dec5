//! Delivery while the platform, the store or the clock misbehaves.

mod support;

use std::{sync::atomic::Ordering::Relaxed, time::Duration};
use support::{Mood, World, eventually, faults::Faults, sale};
use usher_model::{AffiliateCode, Click, ClickId, UnixMs, Upstream, limits};
use usher_store::PendingClick;

async fn all_delivered(world: &World) {
    eventually("all is delivered", || async {
        world.core.delivery.status().await.expect("a status").waiting == 0
    })
    .await;
}

fn click(n: usize) -> (Click, Option<PendingClick>) {
    let click = Click {
        id: ClickId::new(format!("ush_{n}")).expect("an id"),
        site: usher_model::SiteName::new("shop").expect("a name"),
        affiliate: AffiliateCode::new("alice").expect("an affiliate"),
        visitor: None,
        created_at: UnixMs(0),
        upstream: Upstream::Pending,
    };
    let pending = PendingClick { body: r#"{"trackingId":"alice"}"#.to_owned(), due_at: UnixMs(0) };
    (click, Some(pending))
}

#[tokio::test]
async fn a_clock_that_steps_forward_ends_leases_and_still_nothing_is_told_twice() {
    let world = World::new(|_| {}).await;
    world.put_code("SPRING", r#"{"affiliate":"alice"}"#).await;
    world.platform.set(Mood::Slow(Duration::from_millis(1_500)));
    let body = sale("pay_1", r#","promo_code":"SPRING""#);
    let convert = world.convert(&body);
    let step = async {
        eventually("the click is under way", || async { world.platform.created().len() == 1 }).await;
        world.clock.pass_ms(limits::LEASE_MS + 1);
        let claims = world.faults.claimed.load(Relaxed);
        eventually("it is claimed again", || async { world.faults.claimed.load(Relaxed) >= claims + 2 })
            .await;
    };
    let (answer, ()) = tokio::join!(convert, step);
    assert_eq!(answer.expect("accepted").status, 202);
    world.platform.set(Mood::Well);
    eventually("the sale arrives", || async { world.platform.sales().len() == 1 }).await;
    assert_eq!(world.platform.created(), ["alice"], "a click has no key: told twice it counts twice");
}

#[tokio::test]
async fn a_clock_that_steps_back_does_not_put_retries_off() {
    let world = World::new(|_| {}).await;
    world.platform.set(Mood::Down);
    let answer = world.convert(&sale("pay_1", r#","referral_id":"cmd1""#)).await;
    assert_eq!(answer.expect("accepted").status, 202);
    world.platform.set(Mood::Well);
    world.clock.pass_ms(-24 * 60 * 60 * 1000);
    eventually("it is tried again soon", || async { world.platform.sales().len() == 1 }).await;
}

#[tokio::test]
async fn an_outcome_that_the_store_does_not_take_is_written_as_soon_as_it_does() {
    let world = World::new(|_| {}).await;
    world.put_code("SPRING", r#"{"affiliate":"alice"}"#).await;
    world.faults.settlements.store(3, Relaxed);
    world.convert(&sale("pay_1", r#","promo_code":"SPRING""#)).await.expect("accepted");
    all_delivered(&world).await;
    assert_eq!((world.platform.created().len(), world.platform.sales().len()), (1, 1));
}

#[tokio::test]
async fn while_the_platform_asks_for_time_nothing_is_sent_and_nothing_is_written() {
    let world = World::new(|_| {}).await;
    world.platform.set(Mood::TooMany(600_000));
    world.tools.store.record_clicks((0..30).map(click).collect()).await.expect("written");
    eventually("it is told", || async { world.platform.asked() > 0 }).await;
    // What was under way when the first was told may still come back.
    let patience = Duration::from_millis(limits::OUTBOX_POLL_MS * 3);
    tokio::time::sleep(patience).await;
    let (asked, settled) = (world.platform.asked(), world.faults.settled.load(Relaxed));
    assert!(asked <= limits::RATE_FIRST_CALLS && settled <= limits::RATE_FIRST_CALLS, "{asked} {settled}");
    tokio::time::sleep(patience).await;
    assert_eq!((world.platform.asked(), world.faults.settled.load(Relaxed)), (asked, settled));
    world.platform.set(Mood::Well);
    world.pass_ms(600_001).await;
    all_delivered(&world).await;
    assert_eq!(world.platform.created().len(), 30);
}

#[tokio::test]
async fn a_key_that_may_not_tell_of_clicks_still_tells_of_sales() {
    let world = World::new(|_| {}).await;
    world.platform.set(Mood::ForbidsClicks);
    world.tools.store.record_clicks(vec![click(1)]).await.expect("written");
    eventually("it is refused", || async {
        !world.core.delivery.status().await.expect("a status").paused.is_empty()
    })
    .await;
    let answer = world.convert(&sale("pay_1", r#","referral_id":"cmd1""#)).await.expect("accepted");
    assert_eq!(answer.status, 201);
    assert_eq!(
        world.core.delivery.status().await.expect("a status").paused.len(),
        1,
        "and it is still shown"
    );
}

#[tokio::test]
async fn a_click_whose_writing_waits_for_the_store_is_not_told_again_after_a_late_answer() {
    let faults = Faults::default();
    faults.no_clicks.store(true, Relaxed);
    let world = World::with_faults(faults, |_| {}).await;
    world.platform.set(Mood::Slow(world.tools.policy.now().click_budget * 2));
    let alice = r#"{"programId":"prog","trackingId":"alice"}"#;
    let cid = world.track(alice, &world.visitor()).await.cookie.expect("a cookie");
    assert!(cid.is_minted());
    eventually("the late answer is kept", || async { world.faults.settled.load(Relaxed) > 0 }).await;
    // Longer than the live call could take: the delivery is due when the click is written.
    world.clock.pass_ms(60_000);
    world.platform.set(Mood::Well);
    world.faults.no_clicks.store(false, Relaxed);
    eventually("its id is known", || async { world.upstream_id(&cid).await.is_some() }).await;
    all_delivered(&world).await;
    assert_eq!((world.platform.clicks().len(), world.platform.created().len()), (1, 0));
}

#[tokio::test]
async fn a_click_that_can_never_be_written_does_not_stop_those_after_it() {
    let world = World::new(|_| {}).await;
    *world.faults.poison.lock().expect("whole") = Some("mallory");
    for affiliate in ["mallory", "alice"] {
        let body = format!(r#"{{"programId":"prog","trackingId":"{affiliate}"}}"#);
        let cid = world.track(&body, &world.visitor()).await.cookie.expect("a cookie");
        if affiliate == "alice" {
            eventually("it is written", || async { world.knows(&cid).await }).await;
        }
    }
}
