//! How many conversions a store acknowledges in a second: `cargo run --release -p usher-store --example throughput`.
//! Arguments: seconds (5), callers at once (64), store url (a new SQLite file in the working directory's `target`).
#![expect(clippy::print_stdout, reason = "an example's result")]
#![expect(clippy::disallowed_methods, reason = "the real clock, as the binary would use it")]

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use usher_model::{Acceptance, Entry, Job, Random, RecordId, Send, SiteName, Source, UnixMs};
use usher_store::{Role, Store};

struct Hashes(RandomState);

impl Random for Hashes {
    fn fill(&self, bytes: &mut [u8]) {
        for (i, part) in bytes.chunks_mut(8).enumerate() {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let hash = self.0.hash_one((now, std::thread::current().id(), i));
            part.copy_from_slice(&hash.to_le_bytes()[..part.len()]);
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(run())
}

async fn run() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let seconds: u64 = arguments.next().map_or(Ok(5), |text| text.parse())?;
    let callers: usize = arguments.next().map_or(Ok(64), |text| text.parse())?;
    let folder = tempfile::tempdir_in("target")?;
    let url =
        arguments.next().unwrap_or_else(|| format!("sqlite:{}", folder.path().join("usher.db").display()));
    let site = SiteName::new("shop")?;
    let began = Instant::now();
    let store = usher_store::open(&url, std::slice::from_ref(&site), Role::Service).await?;
    let opened = began.elapsed();
    store.accept(entry(&site, &Hashes(RandomState::new()))).await?;
    let first = began.elapsed();
    let counted = Instant::now();
    let waiting = store.backlog().await?.waiting;
    println!(
        "opened in {:.0} ms, first acknowledged after {:.0} ms; {waiting} wait, counted in {:.1} ms",
        opened.as_secs_f64() * 1e3,
        first.as_secs_f64() * 1e3,
        counted.elapsed().as_secs_f64() * 1e3,
    );
    let end = Instant::now() + Duration::from_secs(seconds);
    let tasks: Vec<_> =
        (0..callers).map(|_| tokio::spawn(call(Arc::clone(&store), site.clone(), end))).collect();
    let mut waits = Vec::new();
    for task in tasks {
        waits.extend(task.await?);
    }
    waits.sort_unstable();
    let at = |share: f64| waits.get((waits.len() as f64 * share) as usize).copied().unwrap_or_default();
    println!(
        "{} conversions/s acknowledged, {callers} at once; p50 {:.1} ms, p99 {:.1} ms; {} in all",
        waits.len() as u64 / seconds.max(1),
        at(0.50).as_secs_f64() * 1e3,
        at(0.99).as_secs_f64() * 1e3,
        waits.len(),
    );
    Ok(())
}

async fn call(store: Arc<dyn Store>, site: SiteName, end: Instant) -> Vec<Duration> {
    let random = Hashes(RandomState::new());
    let mut waits = Vec::new();
    while Instant::now() < end {
        let entry = entry(&site, &random);
        let began = Instant::now();
        match store.accept(entry).await {
            Ok(Acceptance::New(_)) => waits.push(began.elapsed()),
            other => println!("not acknowledged: {other:?}"),
        }
    }
    waits
}

fn entry(site: &SiteName, random: &Hashes) -> Entry {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = UnixMs(i64::try_from(since.as_millis()).unwrap_or(0));
    let mut fingerprint = [0; 32];
    random.fill(&mut fingerprint);
    // Payment providers' event ids are random: the worst case for the index of keys.
    let key: String = fingerprint[..12].iter().map(|byte| format!("{byte:02x}")).collect();
    Entry {
        id: RecordId::mint("conv", now, random),
        site: site.clone(),
        job: Job::Conversion,
        key: format!("evt_{key}"),
        fingerprint,
        body: format!(r#"{{"amount":99.90,"currency":"USD","note":"{}"}}"#, "x".repeat(250)),
        source: Source::api(),
        click: None,
        needs: None,
        mint: None,
        code: None,
        names: Vec::new(),
        paid: None,
        refund: None,
        send: Send::Now,
        bind: None,
        trace: r#"{"rule":"referral_id"}"#.to_owned(),
        now,
    }
}
