//! `outage`: the platform is away for a day while the sales go on. Afterwards everything has to arrive within its rate limit,
//! after few attempts, and to have taken little disk meanwhile.

use super::{
    network,
    plan::Plan,
    platform::Rate,
    trace::Loudness,
    world::{Alive, World},
};
use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};
use usher_model::{Acceptance, ClickId, Entry, Listing, Record, Send, Settlement, State};
use usher_store::{Role, Store};

const SALES: u64 = 100_000;
const DAY_MS: u64 = 24 * 60 * 60 * 1000;
/// What the promise allows.
const ATTEMPTS: u32 = 12;
const DISK_BYTES: u64 = 1024;

/// Plays the days of both ends of the platform's plans (<https://docs.affonso.io/api/rate-limits>), or of one of them.
pub(crate) fn run(per_minute: Option<u32>) -> bool {
    let plans = [(3_000, 100), (300, 10)];
    let chosen = |(minute, _): &&(u32, u32)| per_minute.is_none_or(|only| only == *minute);
    plans.iter().filter(chosen).all(|(minute, second)| day(*minute, *second))
}

/// Plays it with that many calls a minute allowed; whether the promise held.
fn day(per_minute: u32, per_second: u32) -> bool {
    let plan = Plan { rate: Rate { per_minute, per_second }, steps: Vec::new(), ..Plan::of(0) };
    let world = World::new(plan, Loudness::Mute);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    let (refused, queued, drained_ms) = runtime.block_on(history(&world));
    drop(runtime);
    let disk = disk(&queued);
    let held = report(&world, refused, drained_ms, disk);
    println!("outage: the promise {}", if held { "held" } else { "is broken" });
    held
}

/// The day and what follows it: sales that were not acknowledged, what was queued at its end, and how long it took until
/// everything was delivered.
async fn history(world: &Arc<World>) -> (u64, Vec<Record>, i64) {
    world.time.begin();
    let alive = Arc::new(Alive::start(world).await);
    let click = world.platform.add_click("alice");
    world.platform.set(network::Mood::Silent);
    let mut refused = 0;
    let mut told = tokio::task::JoinSet::new();
    for number in 0..SALES {
        let (alive, site, body) = (Arc::clone(&alive), Arc::clone(&world.site), sale(number, &click));
        told.spawn(async move { alive.core.conversions.convert(&site, body.as_bytes()).await.is_ok() });
        tokio::time::sleep(Duration::from_millis(DAY_MS / SALES)).await;
        while let Some(acknowledged) = told.try_join_next() {
            refused += u64::from(!acknowledged.is_ok_and(|yes| yes));
        }
    }
    while let Some(acknowledged) = told.join_next().await {
        refused += u64::from(!acknowledged.is_ok_and(|yes| yes));
    }
    let queued = waiting(world).await;
    world.platform.set(network::Mood::Well);
    let back = world.time.true_now();
    while world.store.backlog().await.expect("a backlog").waiting > 0 {
        assert!(world.time.true_now().since(back) < 7 * 86_400_000, "it does not drain");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let drained_ms = world.time.true_now().since(back);
    world.time.end();
    (refused, queued, drained_ms)
}

fn sale(number: u64, click: &ClickId) -> String {
    format!(
        r#"{{"external_event_id":"pi_3PqR{number:018}","referral_id":"{click}","sale_amount":129.90,"sale_amount_currency":"EUR","customer_id":"cus_Q{number:014}","is_subscription":true,"interval":"monthly","product_ids":["prod_Q1w2e3r4t5y6"],"metadata":{{"provider":"stripe","provider_order_id":"cs_live_{number:032}","marker":"{number}"}}}}"#
    )
}

/// All that waits, page by page.
async fn waiting(world: &World) -> Vec<Record> {
    let states = vec![State::Due, State::Blocked];
    let mut listing = Listing { site: None, states, after: None, limit: 1_000 };
    let mut all = Vec::new();
    loop {
        let page = world.store.list(&listing).await.expect("a page");
        let Some(last) = page.last() else { return all };
        listing.after = Some((last.created_at, last.id.clone()));
        all.extend(page);
    }
}

/// What the queue takes in the embedded store's file, with what was noted of each attempt: in bytes while it is open.
fn disk(queued: &[Record]) -> u64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("usher.db");
        let url = format!("sqlite:{}", path.display());
        let store = usher_store::open(&url, &[], Role::Service).await.expect("a store");
        for some in queued.chunks(1_000) {
            let mut written = tokio::task::JoinSet::new();
            for record in some {
                let (store, record) = (Arc::clone(&store), record.clone());
                written.spawn(async move { write(store.as_ref(), record).await });
            }
            while let Some(done) = written.join_next().await {
                done.expect("no panic");
            }
        }
        let open = size(folder.path());
        drop(store);
        println!(
            "outage: {} rows on disk: {} bytes while open, {} closed",
            queued.len(),
            open,
            size(folder.path())
        );
        open
    })
}

fn size(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).expect("a folder");
    // Not the shared index of the log, which is memory.
    let counts = |entry: &std::fs::DirEntry| !entry.file_name().to_string_lossy().ends_with("-shm");
    entries.filter_map(Result::ok).filter(counts).map(|entry| entry.metadata().expect("a file").len()).sum()
}

/// Writes a record as it was queued, and what was noted of its attempts.
async fn write(store: &dyn Store, record: Record) {
    let (log, due_at, error) = (record.log.clone(), record.due_at, record.error.clone());
    let entry = Entry {
        id: usher_model::RecordId::new(record.id).expect("an id"),
        site: record.site,
        source: record.source.expect("a source"),
        job: record.job,
        key: record.key.expect("a key"),
        fingerprint: [7; 32],
        body: record.body,
        click: record.click,
        needs: record.needs,
        mint: None,
        code: None,
        bind: None,
        names: record.names,
        paid: record.paid,
        refund: None,
        send: Send::Now,
        trace: record.trace.expect("a trace"),
        now: record.created_at,
    };
    let Acceptance::New(mut deliveries) = store.accept(entry).await.expect("accepted") else { return };
    for mut delivery in deliveries.drain(..) {
        delivery.log.clone_from(&log);
        let settlement = match &error {
            Some(error) => Settlement::Retry { due_at, error: error.clone() },
            None => Settlement::Release { due_at },
        };
        store.settle(&delivery, settlement, record.created_at).await.expect("settled");
    }
}

/// Prints what came of it; whether the promise held.
fn report(world: &World, unacknowledged: u64, drained_ms: i64, disk: u64) -> bool {
    world.platform.look(|books, counted| {
        let mut attempts: BTreeMap<u32, u32> = BTreeMap::new();
        counted.calls.values().for_each(|calls| *attempts.entry(*calls).or_default() += 1);
        let most = attempts.last_key_value().map_or(0, |(most, _)| *most);
        let per_minute = counted.minutes.values().map(|(calls, _)| *calls).max().unwrap_or(0);
        let refused: u32 = counted.minutes.values().map(|(_, refused)| *refused).sum();
        let sales = u64::try_from(books.sales.len()).expect("a number");
        println!(
            "outage: {SALES} sales over 24 h without the platform, {unacknowledged} not acknowledged, {sales} delivered within \
             {:.1} min of its return at up to {per_minute} calls a minute ({} allowed), {refused} calls were too many",
            drained_ms as f64 / 60_000.0,
            world.plan.rate.per_minute,
        );
        println!("outage: attempts and how many needed so many: {attempts:?}");
        println!("outage: {} bytes of disk for each, at most {DISK_BYTES}", disk / SALES);
        books.faults.iter().take(5).for_each(|fault| println!("outage: {fault}"));
        sales == SALES && unacknowledged == 0 && most <= ATTEMPTS && disk / SALES <= DISK_BYTES && books.faults.is_empty()
    })
}
