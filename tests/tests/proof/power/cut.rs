//! A recorded life, cut off at every point of it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::disk::{Disk, Unsynced};
use super::records::Accepted;
use super::trace::Event;
use super::workbench;
use crate::chance::Chance;
use crate::merchant::Books;
use crate::shelf;

/// How many lanes cut at the same time.
const LANES: usize = 2;

/// A life of an edge.
#[derive(Clone)]
pub(super) struct Life {
    /// The store's files at its beginning.
    pub(super) found: BTreeMap<String, Vec<u8>>,
    pub(super) events: Vec<Event>,
    /// What had been acknowledged before it.
    pub(super) before: Books,
    /// What was acknowledged in the end.
    pub(super) books: Books,
    /// All records in the end.
    pub(super) accepted: Accepted,
}

/// What came of cuts.
#[derive(Default)]
pub(super) struct Cuts {
    points: usize,
    images: usize,
    /// Acknowledged and not there, or not as they were.
    lost: Vec<String>,
    /// Stores that do not open, and what they hold that nobody accepted.
    corrupt: Vec<String>,
    /// Reports that were refused and are there, once, so that their repeat will be known.
    refused: usize,
}

impl Cuts {
    pub(super) fn add(&mut self, other: Self) {
        self.points += other.points;
        self.images += other.images;
        self.lost.extend(other.lost);
        self.corrupt.extend(other.corrupt);
        self.refused += other.refused;
    }

    /// Whether something was tried, and nothing was found.
    pub(super) fn are_good(&self) -> bool {
        self.images > 0 && self.lost.is_empty() && self.corrupt.is_empty()
    }

    /// Whether something was lost.
    pub(super) fn has_losses(&self) -> bool {
        !self.lost.is_empty()
    }
}

impl fmt::Display for Cuts {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { points, images, lost, corrupt, refused } = self;
        write!(out, "{images} cuts at {points} points: {} lost, {} corrupt", lost.len(), corrupt.len())?;
        if *refused > 0 {
            write!(out, ", {refused} with a report that was refused, there once and known when repeated")?;
        }
        for found in lost.first().into_iter().chain(corrupt.first()) {
            write!(out, " ({found:.200})")?;
        }
        Ok(())
    }
}

impl Life {
    /// The same life on a disk that says that it synced and did not; not so while the store came to be, since what was
    /// lost then would hide everything that was lost later.
    pub(super) fn without_syncs(&self) -> Self {
        let first = self.events.iter().position(|event| matches!(event, Event::Acknowledge(_))).unwrap_or(0);
        let is_kept =
            |at: usize, event: &Event| at < first || !matches!(event, Event::Sync(_) | Event::SyncFolder);
        let events = self.events.iter().enumerate().filter(|(at, event)| is_kept(*at, event));
        Self { events: events.map(|(_, event)| event.clone()).collect(), ..self.clone() }
    }

    /// Cuts the power at every `stride`th point: with nothing of what was not synced, with all of it, and with `random`
    /// parts of it.
    pub(super) async fn cut_everywhere(&self, stride: usize, random: usize) -> Cuts {
        let lanes = (0..LANES).map(|lane| {
            let life = self.clone();
            tokio::spawn(async move { life.lane(lane, stride, random).await })
        });
        let mut cuts = Cuts::default();
        for lane in lanes.collect::<Vec<_>>() {
            cuts.add(lane.await.expect("a lane ends"));
        }
        cuts
    }

    async fn lane(self, lane: usize, stride: usize, random: usize) -> Cuts {
        let mut disk = Disk::with(self.found.clone());
        let mut known = self.before.clone();
        let mut cuts = Cuts::default();
        // Both lanes must see the same disk, also where chance decides what a failed sync left.
        let (mut world, mut chance) = (Chance::from_seed(7), Chance::from_seed(lane as u64));
        for (at, event) in self.events.iter().enumerate() {
            disk.apply(event, &mut world);
            self.learn(&mut known, event);
            if at % LANES != lane || !(at / LANES).is_multiple_of(stride) {
                continue;
            }
            cuts.points += 1;
            let kinds: Vec<Unsynced> = match disk.is_settled() {
                true => vec![Unsynced::There],
                false => [Unsynced::Gone, Unsynced::There]
                    .into_iter()
                    .chain(std::iter::repeat_n(Unsynced::Any, random))
                    .collect(),
            };
            for kind in kinds {
                let folder = workbench();
                disk.after_the_cut(folder.path(), kind, &mut chance);
                cuts.images += 1;
                let when = format!("after event {at} of {}, {kind:?}", self.events.len());
                self.inspect(folder.path(), &known, &when, &mut cuts).await;
            }
        }
        cuts
    }

    /// An acknowledgement leaves: from now on it must hold.
    fn learn(&self, known: &mut Books, event: &Event) {
        let Event::Acknowledge(event) = event else { return };
        if let Some(sold) = self.books.sales.get(event) {
            known.sales.insert(event.clone(), sold.clone());
        } else if let Some(refunded) = self.books.refunds.get(event) {
            known.refunds.insert(event.clone(), refunded.clone());
        }
    }

    async fn inspect(&self, folder: &Path, known: &Books, when: &str, cuts: &mut Cuts) {
        let database = folder.join("usher.db");
        let store = match shelf::open(&database).await {
            Ok(store) => store,
            Err(why) => return cuts.corrupt.push(format!("{when}: {why}")),
        };
        let missing = shelf::missing(store.as_ref(), known).await;
        cuts.lost.extend(missing.into_iter().map(|what| format!("{when}: {what}")));
        match self.accepted.compare(store.as_ref(), known, self.has_failed_sync()).await {
            Ok(found) => {
                cuts.refused += found.refused;
                cuts.corrupt.extend(found.invented.into_iter().map(|what| format!("{when}: {what}")));
            }
            Err(why) => cuts.corrupt.push(format!("{when}: {why}")),
        }
        drop(store);
        if let Err(why) = integrity(&database) {
            cuts.corrupt.push(format!("{when}: {why}"));
        }
    }

    fn has_failed_sync(&self) -> bool {
        self.events.iter().any(|event| matches!(event, Event::SyncFailed(_)))
    }
}

/// SQLite's own look at every page (<https://sqlite.org/pragma.html#pragma_integrity_check>).
fn integrity(database: &Path) -> Result<(), String> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
    let said = Connection::open_with_flags(database, flags).and_then(|connection| {
        connection.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0))
    });
    match said {
        Ok(said) if said == "ok" => Ok(()),
        Ok(said) => Err(said),
        Err(why) => Err(why.to_string()),
    }
}
