//! Consent, Global Privacy Control, and cookies that are mended.

mod support;

use support::{Ask, World};
use usher_model::{Consent, Secret};

const PAGE: &str = "https://shop.example";

fn post(world: &World, path: &str, body: &str) -> Ask {
    let ask = world.ask("POST", path).header("Origin", PAGE).header("Content-Type", "application/json");
    ask.body(body)
}

/// The `name=value` of the cookies that an answer sets; one that it clears has no value.
fn pairs(cookies: &[&str]) -> Vec<String> {
    cookies.iter().filter_map(|field| field.split(';').next()).map(str::to_owned).collect()
}

#[tokio::test]
async fn consent_makes_the_click_whole_and_is_withdrawn() {
    let world = World::with(|site| {
        site.consent = Consent::Required;
        site.click_signing_key = Some(Secret::new("key"));
    })
    .await;
    let bare = world.report().send().await;
    assert_eq!((bare.status, bare.json()["cid"].as_str()), (200, Some("cid-1")));
    assert!(bare.all("set-cookie").is_empty());
    let told = &world.platform.tracks()[0];
    assert_eq!((told.address, told.user_agent.as_deref()), (None, None));

    let neutral = format!("/r/{}", world.names().consent);
    for path in ["/r/consent", &neutral] {
        let given = post(&world, path, r#"{"granted":true,"upgradeClickId":"cid-1"}"#).send().await;
        assert_eq!((given.status, given.body.len()), (204, 0), "{path}");
        let set = pairs(&given.all("set-cookie"));
        assert_eq!(set[0], "affonso_referral=cid-1");
        assert!(set[1].contains("=cid-1.alice."), "{set:?}");

        let gone = post(&world, path, r#"{"granted":false}"#).header("Cookie", &set.join("; ")).send().await;
        assert_eq!((gone.status, gone.body.len()), (204, 0), "{path}");
        let cleared = gone.all("set-cookie");
        assert_eq!(cleared.len(), 3);
        for field in cleared {
            for part in ["=; ", "Max-Age=0", "Domain=shop.example", "Path=/"] {
                assert!(field.contains(part), "{part} in {field}");
            }
        }
    }

    let unknown =
        post(&world, "/r/consent", r#"{"granted":true,"upgradeClickId":"ush_01arz3ndektsv4rrffq69g5fav"}"#);
    let unknown = unknown.send().await;
    assert_eq!((unknown.status, unknown.all("set-cookie").len()), (204, 0), "nobody knows that click");
    let gpc =
        post(&world, "/r/consent", r#"{"granted":true,"upgradeClickId":"cid-1"}"#).header("Sec-GPC", "1");
    let gpc = gpc.send().await;
    assert_eq!((gpc.status, gpc.all("set-cookie").len()), (204, 0), "the browser objects");
    for wrong in ["", "[]", "{}", r#"{"granted":"no"}"#] {
        assert_eq!(post(&world, "/r/consent", wrong).send().await.status, 400, "{wrong}");
    }
    let foreign = world.ask("POST", "/r/consent").header("Origin", "https://evil.example");
    let foreign = foreign.body(r#"{"granted":false}"#).send().await;
    assert_eq!((foreign.status, foreign.all("set-cookie").len()), (403, 0));
}

#[tokio::test]
async fn the_script_brings_back_the_cookie_that_is_proved() {
    let world = World::with(|site| site.click_signing_key = Some(Secret::new("key"))).await;
    let set = pairs(&world.report().send().await.all("set-cookie"));
    let proof = set.iter().find(|pair| pair.contains(".alice.")).expect("a proof").clone();
    let script = |cookies: &str| world.ask("GET", "/r/pixel.js").header("Cookie", cookies);

    for cookies in [proof.clone(), format!("affonso_referral=forged; {proof}"), set.join("; ")] {
        let reply = script(&cookies).send().await;
        assert_eq!(reply.status, 200);
        assert_eq!(reply.header("cache-control"), Some("private, max-age=3600"));
        let fields = reply.all("set-cookie");
        assert_eq!(pairs(&fields), ["affonso_referral=cid-1".to_owned(), proof.clone()]);
        for field in fields {
            let life = field.split("; ").find_map(|part| part.strip_prefix("Max-Age=")).expect("a life");
            let life: i64 = life.parse().expect("seconds");
            assert!((2_591_000..=2_592_000).contains(&life), "what is left of thirty days: {life}");
        }
    }
    let tag = script("").send().await.header("etag").expect("a tag").to_owned();
    let unchanged = script(&proof).header("If-None-Match", &tag).send().await;
    assert_eq!((unchanged.status, unchanged.all("set-cookie").len()), (304, 2));

    let forged = proof.replace("cid-1", "cid-2");
    let plain = [
        script("affonso_referral=cid-1"),
        script(&forged),
        script(&proof).header("Sec-GPC", "1"),
        script(&proof).header("Sec-Purpose", "prefetch"),
        script(&proof).header("Origin", "https://evil.example"),
    ];
    for ask in plain {
        let reply = ask.send().await;
        assert_eq!((reply.status, reply.all("set-cookie").len()), (200, 0));
    }
}

#[tokio::test]
async fn hosts_say_that_they_honour_global_privacy_control() {
    const PATH: &str = "/.well-known/gpc.json";
    let reply = World::new().await.ask("GET", PATH).send().await;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
    assert_eq!(reply.json()["gpc"], true);
    let world = World::with(|site| site.honour_gpc = false).await;
    assert_eq!(world.ask("GET", PATH).send().await.status, 404);
}
