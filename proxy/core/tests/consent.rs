//! Clicks that were made without consent: whose they are, and for how long.

mod support;

use serde_json::{Value, json};
use support::{Mood, World, eventually};
use usher_core::{Core, SignedClick, Visitor, capture::Tracked};
use usher_model::{Click, ClickId, Consent, Secret, Site};

const ALICE: &str = r#"{"programId":"prog","trackingId":"alice"}"#;
const HOUR_MS: i64 = 60 * 60 * 1000;
const WEEK_MS: i64 = 7 * 24 * HOUR_MS;

/// A site that asks for consent.
async fn asking() -> World {
    World::new(|site: &mut Site| site.consent = Consent::Required).await
}

/// The id of alice's click, whose visitor was not asked yet.
async fn held_click(world: &World) -> ClickId {
    let held = world.track(ALICE, &world.visitor()).await;
    assert_eq!(held.cookie, None);
    let id = ClickId::new(held.answer["cid"].as_str().expect("text")).expect("an id");
    eventually("it is written", || async { world.knows(&id).await }).await;
    id
}

/// What a page says whose address names the click, once its visitor consents.
fn consent(id: &ClickId, more: &Value) -> String {
    let mut body = json!({"programId": "prog", "hasConsent": true, "upgradeClickId": id});
    body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    body.to_string()
}

async fn stored(world: &World, id: &ClickId) -> Click {
    world.tools.store.click(&world.site.name, id).await.expect("read").expect("there")
}

async fn is_somebodys(world: &World, id: &ClickId) {
    eventually("the click has a visitor", || async { stored(world, id).await.visitor.is_some() }).await;
}

/// Another visitor by all that can be seen: as the same one is on another domain a week later.
fn elsewhere(world: &World) -> Visitor {
    Visitor { address: "203.0.113.9".parse().expect("an address"), ..world.visitor() }
}

async fn at(core: &Core, world: &World, body: &str, visitor: &Visitor) -> Tracked {
    core.capture.track(&world.site, body.as_bytes(), visitor).await.expect("a report")
}

#[tokio::test]
async fn consent_within_a_day_is_to_the_same_click_and_later_to_a_new_one() {
    for (hours, more, expected) in [
        (23, json!({}), Some(true)),
        (23, json!({"trackingId": "alice"}), Some(true)),
        (25, json!({}), None),
        (25, json!({"trackingId": "alice"}), Some(false)),
    ] {
        let world = asking().await;
        let held = held_click(&world).await;
        world.clock.pass_ms(hours * HOUR_MS);
        let granted = world.track(&consent(&held, &more), &elsewhere(&world)).await;
        assert_eq!(granted.cookie.as_ref().map(|id| *id == held), expected, "{hours} h, {more}");
        let call = world.platform.last_track();
        let upgrades = call.body.get("upgradeClickId").is_some();
        assert_eq!(upgrades, expected == Some(true), "{hours} h, {more}");
        if expected == Some(true) {
            is_somebodys(&world, &held).await;
        } else {
            assert_eq!(stored(&world, &held).await.visitor, None);
        }
    }
}

#[tokio::test]
async fn a_held_click_that_is_not_decided_on_lapses_for_everybody_but_who_has_it_in_a_cookie() {
    let world = World::new(|site: &mut Site| {
        site.consent = Consent::Required;
        site.click_signing_key = Some(Secret::new("k"));
    })
    .await;
    let held = held_click(&world).await;
    let click = stored(&world, &held).await;
    world.clock.pass_ms(25 * HOUR_MS);
    let undecided = json!({"programId": "prog", "affonsoId": held}).to_string();
    assert_eq!(world.track(&undecided, &world.visitor()).await.answer["cid"], "");

    let proof = SignedClick::sign(&world.site, &click).expect("a key");
    let signed = SignedClick::verify(&world.site, &proof);
    for keeps in [world.visitor_with(&held), Visitor { signed, ..world.visitor() }] {
        let known = world.track(&undecided, &keeps).await;
        assert_eq!(known.answer["cid"], held.as_str());
    }
}

#[tokio::test]
async fn a_click_that_was_consented_to_is_handed_to_another_domain_a_week_later() {
    let world = asking().await;
    let held = held_click(&world).await;
    // Another edge remembers it as it was.
    let other = Core::start(&world.tools, std::slice::from_ref(&world.site.name)).await;
    let undecided = json!({"programId": "prog", "affonsoId": held}).to_string();
    assert_eq!(at(&other, &world, &undecided, &world.visitor()).await.answer["cid"], held.as_str());

    world.track(&consent(&held, &json!({})), &world.visitor()).await.cookie.expect("a cookie");
    is_somebodys(&world, &held).await;
    let visitor = stored(&world, &held).await.visitor;
    world.clock.pass_ms(WEEK_MS);
    let fresh = Core::start(&world.tools, std::slice::from_ref(&world.site.name)).await;
    for core in [&world.core, &other, &fresh] {
        let handed = at(core, &world, &consent(&held, &json!({})), &elsewhere(&world)).await;
        assert_eq!(handed.cookie.as_ref(), Some(&held));
    }
    assert_eq!(stored(&world, &held).await.visitor, visitor, "it stays whose it is");
}

#[tokio::test]
async fn who_consented_is_known_without_a_cookie() {
    let world = asking().await;
    let held = held_click(&world).await;
    world.track(&consent(&held, &json!({})), &world.visitor()).await.cookie.expect("a cookie");
    let returns = json!({"programId": "prog", "trackingId": "alice", "hasConsent": true}).to_string();
    assert_eq!(world.track(&returns, &world.visitor()).await.cookie.as_ref(), Some(&held), "at once");
    is_somebodys(&world, &held).await;
    let fresh = Core::start(&world.tools, std::slice::from_ref(&world.site.name)).await;
    let known = at(&fresh, &world, &returns, &world.visitor()).await;
    assert_eq!(known.cookie.as_ref(), Some(&held), "by the store");
    assert_ne!(world.track(&returns, &elsewhere(&world)).await.cookie.as_ref(), Some(&held), "a stranger");
}

#[tokio::test]
async fn a_click_that_the_platform_has_not_heard_of_is_the_visitors_too() {
    let world = asking().await;
    world.platform.set(Mood::Down);
    let held = held_click(&world).await;
    assert!(held.is_minted());
    let granted = world.track(&consent(&held, &json!({})), &world.visitor()).await;
    assert_eq!(granted.cookie.as_ref(), Some(&held));
    is_somebodys(&world, &held).await;
    assert!(world.platform.created().is_empty());
    world.platform.set(Mood::Well);
    world.core.platform_changed();
    eventually("the platform is told", || async { world.upstream_id(&held).await.is_some() }).await;
    assert_eq!(world.platform.created(), ["alice"], "once");
    world.clock.pass_ms(WEEK_MS);
    let handed = world.track(&consent(&held, &json!({})), &elsewhere(&world)).await;
    assert_eq!(handed.cookie, Some(held));
}

#[tokio::test]
async fn who_opts_out_gets_no_key_whatever_their_page_says() {
    let world = asking().await;
    let held = held_click(&world).await;
    let mut visitor = world.visitor();
    visitor.signals.gpc = true;
    let tracked = world.track(&consent(&held, &json!({})), &visitor).await;
    assert_eq!((tracked.cookie, &tracked.answer["cid"]), (None, &held.as_str().into()));
    let consents = json!({"programId": "prog", "trackingId": "alice", "hasConsent": true}).to_string();
    let next = world.track(&consents, &elsewhere(&world)).await.cookie.expect("a cookie");
    eventually("all before it is written", || async { world.knows(&next).await }).await;
    assert_eq!(stored(&world, &held).await.visitor, None);
}

#[tokio::test]
async fn a_click_that_a_server_reported_does_not_lapse() {
    let world = World::new(|_| {}).await;
    let answer = world.click(ALICE, None).await.expect("taken");
    let body: Value = serde_json::from_str(&answer.body).expect("JSON");
    let id = ClickId::new(body["data"]["id"].as_str().expect("text")).expect("an id");
    assert!(!id.is_minted(), "the platform's own");
    world.clock.pass_ms(WEEK_MS);
    let handed = json!({"programId": "prog", "affonsoId": id, "trackingId": "alice"}).to_string();
    assert_eq!(world.track(&handed, &world.visitor()).await.cookie.as_ref(), Some(&id));

    world.platform.set(Mood::Down);
    let answer = world.click(ALICE, None).await.expect("taken");
    let body: Value = serde_json::from_str(&answer.body).expect("JSON");
    let id = ClickId::new(body["data"]["id"].as_str().expect("text")).expect("an id");
    assert!(id.is_minted(), "ours");
    world.clock.pass_ms(WEEK_MS);
    let handed = json!({"programId": "prog", "affonsoId": id, "trackingId": "alice"}).to_string();
    assert_eq!(world.track(&handed, &elsewhere(&world)).await.cookie, Some(id));
}
