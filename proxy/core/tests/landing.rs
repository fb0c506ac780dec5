//! Clicks that need no script: pages and short links as visitors ask for them.

mod support;

use support::{Mood, World};
use usher_core::{
    Visitor,
    capture::{Admission, Landing, Tracked},
};
use usher_model::{AffiliateCode, Attribution, Consent, Site};

async fn land(world: &World, address: &str, visitor: &Visitor) -> Option<Tracked> {
    let landing = Landing::read(&world.site, address)?.on("https://shop.example".to_owned(), address);
    Some(world.core.capture.landed(&world.site, landing, visitor).await)
}

#[tokio::test]
async fn a_page_and_its_script_are_one_click() {
    let world = World::new(|_| {}).await;
    let visitor = Visitor { referer: Some("https://blog.example/post".to_owned()), ..world.visitor() };
    let landed =
        land(&world, "/sale?via=alice&sub1=a&utm_source=b&gclid=c", &visitor).await.expect("a landing");
    let cid = landed.cookie.expect("a cookie");
    let call = world.platform.last_track();
    assert_eq!(call.origin.as_deref(), Some("https://shop.example"), "as if the page's script had told it");
    assert_eq!(
        call.referer.as_deref(),
        Some("https://shop.example/sale?via=alice&sub1=a&utm_source=b&gclid=c")
    );
    let body = call.body;
    for (field, value) in [("trackingId", "alice"), ("sub1", "a"), ("utmSource", "b"), ("gclid", "c")] {
        assert_eq!(body[field], value, "{field}");
    }
    assert_eq!((&body["referrer"], &body["hasConsent"]), (&"https://blog.example/post".into(), &true.into()));
    let script = r#"{"programId":"prog","url":"https://shop.example/sale?via=alice","referrer":"https://blog.example/post"}"#;
    assert_eq!(world.track(script, &world.visitor_with(&cid)).await.cookie.as_ref(), Some(&cid));
    assert_eq!(
        world.track(script, &world.visitor()).await.cookie.as_ref(),
        Some(&cid),
        "before it sees the cookie"
    );
    let again = land(&world, "/?via=alice", &world.visitor_with(&cid)).await.expect("a landing");
    assert_eq!(again.cookie.as_ref(), Some(&cid));
    assert_eq!(world.platform.clicks(), ["alice"]);
}

#[tokio::test]
async fn a_page_and_its_script_at_the_same_moment_are_one_click() {
    let world = World::new(|_| {}).await;
    let visitor = world.visitor();
    let (page, script) = tokio::join!(
        land(&world, "/?via=alice", &visitor),
        world.track(r#"{"url":"https://shop.example/?via=alice"}"#, &visitor)
    );
    assert_eq!(page.expect("a landing").cookie, script.cookie);
    assert_eq!(world.platform.clicks(), ["alice"]);
}

#[tokio::test]
async fn addresses_that_name_nobody_cost_nothing() {
    let world = World::new(|_| {}).await;
    for address in [
        "/",
        "/via=alice",
        "/?viax=alice",
        "/?via=",
        "/?via=al%20ice",
        "/?via=nav-top",
        "/?utm_source=x",
        "*",
    ] {
        assert!(Landing::read(&world.site, address).is_none(), "{address}");
    }
    assert!(world.platform.clicks().is_empty());
}

#[tokio::test]
async fn who_does_not_look_or_was_not_asked_is_no_click() {
    let asking = |site: &mut Site| site.consent = Consent::Required;
    let (open, asking) = (World::new(|_| {}).await, World::new(asking).await);
    let changed = |change: fn(&mut Visitor)| {
        let mut visitor = open.visitor();
        change(&mut visitor);
        visitor
    };
    for (world, visitor, admission) in [
        (&open, changed(|v| v.signals.head = true), Admission::Nobody),
        (&open, changed(|v| v.signals.prefetch = true), Admission::Nobody),
        (&open, changed(|v| v.user_agent = "curl/8.5.0".to_owned()), Admission::Nobody),
        (&open, changed(|v| v.user_agent.clear()), Admission::Nobody),
        (&open, changed(|v| v.signals.gpc = true), Admission::Unasked),
        (&asking, changed(|_| {}), Admission::Unasked),
    ] {
        assert_eq!(Admission::of(&world.site, &visitor), admission);
        let landed = land(world, "/?via=alice", &visitor).await.expect("a landing");
        assert_eq!((landed.cookie, landed.data, landed.proof), (None, None, None));
        assert!(world.platform.clicks().is_empty());
    }
}

#[tokio::test]
async fn links_name_their_affiliate_whatever_their_address_says() {
    let world = World::new(|_| {}).await;
    let alice = AffiliateCode::new("alice").expect("a code");
    let link = |code: &AffiliateCode| {
        Landing::link(&world.site, code, "/spring?via=bob&utm_campaign=x&affonso_id=made_up")
    };
    let landed =
        world.core.capture.landed(&world.site, link(&alice).expect("a link"), &world.visitor()).await;
    assert!(landed.cookie.is_some());
    let body = world.platform.last_track().body;
    assert_eq!((&body["trackingId"], &body["utmCampaign"]), (&"alice".into(), &"x".into()));
    assert!(link(&AffiliateCode::new("nav-top").expect("a code")).is_none());
}

#[tokio::test]
async fn the_first_click_stays_where_it_counts() {
    let world = World::new(|site: &mut Site| site.attribution = Attribution::FirstClick).await;
    let first =
        land(&world, "/?via=alice", &world.visitor()).await.expect("a landing").cookie.expect("a cookie");
    let second = land(&world, "/?via=bob", &world.visitor_with(&first)).await.expect("a landing");
    assert_eq!(second.cookie, Some(first));
}

#[tokio::test]
async fn a_platform_that_does_not_answer_costs_its_budget_and_no_more() {
    let world = World::new(|_| {}).await;
    world.platform.set(Mood::Slow(std::time::Duration::from_secs(5)));
    let began = tokio::time::Instant::now();
    let landed = land(&world, "/?via=alice", &world.visitor()).await.expect("a landing");
    assert!(began.elapsed() <= world.core.capture.patience() + std::time::Duration::from_millis(500));
    assert!(landed.cookie.expect("a cookie").is_minted());
}
