//! What is ordered when, and what is remembered of it.

use super::{
    desk::{Desk, Next},
    folder,
    renewal::Answer,
    scripted::{Always, DIRECTORY, End, Scripted, certificate, settings},
    storage::Storage,
};
use crate::{Challenges, Metrics, Settings, Tls, Tools, certificate::Certificate};
use std::{path::Path, sync::Arc, time::Duration};
use usher_model::{Clock, UnixMs, limits};

const DAY_S: i64 = 24 * 60 * 60;
const NOW: UnixMs = UnixMs(DAY_S * 1000);

/// A desk for one host.
fn desk(storage: &Path, before: Option<Desk>) -> Desk {
    let settings: Arc<Settings> = Arc::new(settings(storage, &["shop.example"], Arc::default()));
    let acme = settings.acme.as_ref().expect("orders");
    let mut desk = Desk::open(&settings, acme, before).expect("it opens");
    assert!(desk.is_ours().expect("it can be asked"));
    desk
}

fn next(desk: &mut Desk, certificate: Option<&Arc<Certificate>>, now: UnixMs) -> Next {
    desk.next(|_| false, |_| certificate, now).1
}

#[test]
fn what_is_missing_is_ordered_and_what_ends_is_renewed() {
    let storage = tempfile::tempdir().expect("a folder");
    let mut desk = desk(storage.path(), None);
    assert!(matches!(next(&mut desk, None, NOW), Next::Order));
    assert!(matches!(desk.next(|_| true, |_| None, NOW), (None, Next::At(UnixMs(i64::MAX)))), "it is busy");

    let inside = folder(desk.settings.acme.as_ref().expect("orders"));
    let own = certificate(&inside, "shop.example", 0, 90 * DAY_S);
    assert!(matches!(next(&mut desk, Some(&own), NOW), Next::Ask(_)));
    let plan = desk.plans.get_mut("shop.example").expect("a plan");
    plan.follow(&Answer::nothing(), &own.subject, NOW, &Always(End::Low));
    let due = UnixMs(60 * DAY_S * 1000);
    assert!(matches!(next(&mut desk, Some(&own), NOW), Next::At(at) if at == due));
    desk.plans.get_mut("shop.example").expect("a plan").ask_at = UnixMs(i64::MAX);
    assert!(matches!(next(&mut desk, Some(&own), due), Next::Order));
    assert!(desk.replaced("shop.example", Some(&own)).is_none(), "the directory has not spoken of it");

    // Somebody else looks after that one, and has nine tenths of its life to do it.
    let elsewhere = tempfile::tempdir().expect("a folder");
    let foreign = certificate(elsewhere.path(), "shop.example", 0, 90 * DAY_S);
    let last = UnixMs(81 * DAY_S * 1000);
    assert!(matches!(next(&mut desk, Some(&foreign), due), Next::At(at) if at == last));
    assert!(matches!(next(&mut desk, Some(&foreign), last), Next::Order));
}

#[test]
fn a_process_that_dies_over_and_over_does_not_order_over_and_over() {
    let storage = tempfile::tempdir().expect("a folder");
    let (mut now, mut orders) = (NOW, 0);
    // It is started every second for an hour, and dies in each order.
    for _ in 0..3_600 {
        let mut desk = desk(storage.path(), None);
        if let Next::Order = next(&mut desk, None, now) {
            orders += 1;
            let mut backoff = desk.backoffs.remove("shop.example").expect("it is remembered");
            backoff.begin(now, &Always(End::High));
            desk.clerk.storage.keep_backoff("shop.example", &backoff).expect("it is written");
        }
        now = now.plus(1_000);
    }
    assert!((5..=10).contains(&orders), "{orders}");
}

#[test]
fn settings_that_are_read_again_keep_the_lock() {
    let storage = tempfile::tempdir().expect("a folder");
    let first = desk(storage.path(), None);
    let acme = first.settings.acme.clone().expect("orders");
    let other = Storage::open(&acme.storage, &acme.directory).expect("it opens");
    let second = desk(storage.path(), Some(first));
    assert!(other.lock().expect("it can be asked").is_none(), "another process waits");
    drop(second);
    assert!(other.lock().expect("it can be asked").is_some());
}

/// The machine's time does not matter here.
struct Noon;
impl Clock for Noon {
    fn now(&self) -> UnixMs {
        NOW
    }
}

/// What is remembered after one order of which the last call is answered so.
async fn remembered(
    status: u16,
    fields: &[(&str, &str)],
    problem: &str,
) -> (super::backoff::Backoff, Vec<String>) {
    let nonce = [("replay-nonce", "n1")];
    let created = [("replay-nonce", "n2"), ("location", "https://ca.example/account/1")];
    let http = Scripted::default()
        .then(200, &[], DIRECTORY)
        .then(200, &nonce, "")
        .then(201, &created, "{}")
        .then(200, &nonce, "")
        .then(status, fields, problem);
    let (http, storage) = (Arc::new(http), tempfile::tempdir().expect("a folder"));
    let settings = settings(storage.path(), &["shop.example"], Arc::clone(&http));
    let kept =
        settings.acme.as_ref().map(|acme| Storage::open(&acme.storage, &acme.directory).expect("it opens"));
    let (clock, random) = (Arc::new(Noon), Arc::new(Always(End::Low)));
    let tools = Tools { clock, random, metrics: Metrics::default(), challenges: Challenges::default() };
    let tls = Tls::start(settings, tools).await.expect("it starts");
    let backoff = loop {
        let backoff = kept.as_ref().map(|kept| kept.backoff("shop.example")).unwrap_or_default();
        if backoff.error.is_some() {
            break backoff;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    tls.stop().await;
    let asked = http.asked.lock().expect("nobody panicked").clone();
    (backoff, asked)
}

#[tokio::test]
async fn a_directory_that_says_no_is_obeyed() {
    let limited = r#"{"type":"urn:ietf:params:acme:error:rateLimited","detail":"too many","status":429}"#;
    let (backoff, asked) = remembered(429, &[("retry-after", "7200")], limited).await;
    assert_eq!((backoff.not_before.since(NOW), backoff.refused), (7_200_000, 0));
    assert_eq!(backoff.error.as_deref(), Some("rateLimited: too many"));
    assert_eq!(asked.last().map(String::as_str), Some("POST https://ca.example/order"));
    assert_eq!(asked.iter().filter(|call| call.contains("/order")).count(), 1);

    let refused = r#"{"type":"urn:ietf:params:acme:error:rejectedIdentifier","detail":"no","status":400}"#;
    let (backoff, _) = remembered(400, &[], refused).await;
    assert_eq!(
        (backoff.not_before.since(NOW), backoff.refused, backoff.unreached),
        (limits::ACME_RETRY_MS, 1, 0)
    );

    let (backoff, _) = remembered(503, &[("retry-after", "60")], "not JSON").await;
    assert_eq!((backoff.not_before.since(NOW), backoff.refused, backoff.unreached), (60_000, 0, 1));
}

#[test]
fn hosts_without_a_certificate_come_before_questions() {
    let storage = tempfile::tempdir().expect("a folder");
    let settings = Arc::new(settings(storage.path(), &["a.example", "b.example"], Arc::default()));
    let acme = settings.acme.as_ref().expect("orders");
    let mut desk = Desk::open(&settings, acme, None).expect("it opens");
    let own = certificate(&folder(acme), "a.example", 0, 90 * DAY_S);
    let held = |host: &str| (host == "a.example").then_some(&own);
    assert!(matches!(desk.next(|_| false, held, NOW), (Some(host), Next::Order) if host == "b.example"));
    assert!(matches!(desk.next(|host| host == "b.example", held, NOW), (Some(_), Next::Ask(_))));
}
