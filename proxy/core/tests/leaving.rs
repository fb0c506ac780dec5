//! A process that another one is about to follow: it serves to its last moment, and what it leaves undone the other one does.

mod support;

use std::time::Duration;
use support::{Mood, World, eventually, sale};
use tokio::time::timeout;
use usher_core::Core;

const REPORT: &str = r#"{"programId":"prog","trackingId":"alice"}"#;

#[tokio::test]
async fn calls_under_way_end_and_no_new_ones_begin() {
    let world = World::new(|_| {}).await;
    world.platform.set(Mood::Slow(Duration::from_millis(400)));
    let under_way = sale("pay_1", r#","referral_id":"cmd1""#);
    let (first, ()) = tokio::join!(world.convert(&under_way), async {
        eventually("the call has begun", || async { world.platform.asked() == 1 }).await;
        world.core.leave_to_others().await;
        assert_eq!(world.platform.sales().len(), 1, "its outcome is known");
    });
    assert_eq!(first.expect("accepted").status, 201, "its caller hears the platform's own answer");

    let asked = world.platform.asked();
    let tracked = world.track(REPORT, &world.visitor()).await;
    let id = tracked.cookie.expect("a click");
    assert!(id.is_minted(), "{id}");
    let later = sale("pay_2", r#","referral_id":"cmd1""#);
    let second = timeout(Duration::from_secs(1), world.convert(&later));
    assert_eq!(
        second.await.expect("nobody waits for an answer that does not come").expect("accepted").status,
        202
    );
    assert_eq!(world.platform.asked(), asked, "the platform is left alone");

    world.platform.set(Mood::Well);
    let tools = world.tools.clone();
    let site = world.site.name.clone();
    let World { core, platform, _folder: _kept, .. } = world;
    core.finish(Duration::from_secs(5)).await;
    let next = Core::start(&tools, std::slice::from_ref(&site)).await;
    eventually("the next one tells the platform", || async {
        platform.sales().len() == 2 && platform.created().len() == 1
    })
    .await;
    next.finish(Duration::from_secs(5)).await;
    assert_eq!((platform.sales().len(), platform.created().len()), (2, 1), "of each once");
}
