//! How much of the disk a conversion takes while it waits.

use super::{file, held::Held, ledger, outbox};
use rusqlite::Connection;
use std::{
    hash::{BuildHasher as _, RandomState},
    path::Path,
};
use usher_model::{
    Acceptance, ClickId, Delivery, Entry, Job, Money, RecordId, Send, Settlement, SiteName, Source, UnixMs,
    delivery::note,
};

const ENTRIES: usize = 100_000;
const MOST_BYTES_EACH: u64 = 1024;

/// Letters and digits of chance, as ids of other programs have them.
fn random(length: usize, seed: &RandomState, i: usize) -> String {
    (0..length)
        .map(|at| {
            char::from(b"0123456789abcdefghjkmnpqrstvwxyz"[(seed.hash_one((i, at, length)) % 32) as usize])
        })
        .collect()
}

/// A sale as a payment provider reports it: a body of about 220 bytes, a trace of 250, a key of 20, one name more.
fn sale(i: usize, seed: &RandomState) -> Entry {
    let now = UnixMs(1_795_000_000_000 + i as i64);
    let mut fingerprint = [0; 32];
    for (at, part) in fingerprint.chunks_mut(8).enumerate() {
        part.copy_from_slice(&seed.hash_one((i, at)).to_le_bytes());
    }
    Entry {
        id: RecordId::new(format!("conv_{:010x}{}", now.0, random(16, seed, i))).expect("an id"),
        site: SiteName::new("shop").expect("a site"),
        source: Source::new("stripe").expect("a source"),
        job: Job::Conversion,
        key: format!("evt_{}", random(16, seed, i + ENTRIES)),
        fingerprint,
        body: format!(r#"{{"amount":99.90,"note":"{}"}}"#, "b".repeat(163 + seed.hash_one(i) as usize % 60)),
        click: ClickId::new(random(25, seed, i)).ok(),
        needs: None,
        mint: None,
        code: None,
        bind: None,
        names: vec![format!("pi_{}", random(24, seed, i))],
        paid: Some(Money::parse("99.90", "USD".parse().expect("a currency")).expect("money")),
        refund: None,
        send: Send::Now,
        trace: format!(r#"{{"rule":"{}"}}"#, "t".repeat(239)),
        now,
    }
}

fn bytes_each(connection: &Connection, path: &Path) -> u64 {
    connection
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0))
        .expect("a checkpoint");
    std::fs::metadata(path).expect("a file").len() / ENTRIES as u64
}

#[test]
fn a_conversion_that_waits_takes_at_most_1_kib() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("usher.db");
    file::prepare(&path).expect("a file");
    let connection = file::writer(&path).expect("a writer");
    let (mut held, seed) = (Held::default(), RandomState::new());
    let mut waiting: Vec<Delivery> = Vec::with_capacity(ENTRIES);
    connection.execute_batch("BEGIN").expect("begun");
    for i in 0..ENTRIES {
        match ledger::accept(&connection, &mut held, sale(i, &seed)).expect("accepted") {
            Acceptance::New(deliveries) => waiting.extend(deliveries),
            other => panic!("{other:?}"),
        }
        if i % 1_000 == 999 {
            connection.execute_batch("COMMIT; BEGIN").expect("written");
        }
    }
    connection.execute_batch("COMMIT").expect("written");
    let fresh = bytes_each(&connection, &path);

    connection.execute_batch("BEGIN").expect("begun");
    for delivery in &mut waiting {
        let at = delivery.created_at.plus(60_000);
        note(&mut delivery.log, at, "503: the platform is not there");
        let retry = Settlement::Retry { due_at: at, error: "503: the platform is not there".to_owned() };
        outbox::settle(&connection, &mut held, delivery, &retry, at).expect("settled");
    }
    connection.execute_batch("COMMIT").expect("written");
    let tried = bytes_each(&connection, &path);
    println!("{fresh} bytes of disk a conversion that waits, {tried} when it was tried");
    assert!(fresh <= MOST_BYTES_EACH, "{fresh} bytes");
}
