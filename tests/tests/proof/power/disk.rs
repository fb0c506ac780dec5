//! A disk that loses power: what was synced is on it; of what was not, nothing, everything, or any part in any order, torn
//! at the sectors that a medium writes whole.

use std::collections::BTreeMap;
use std::path::Path;

use super::trace::Event;
use crate::chance::Chance;

const SECTOR: usize = 512;
/// What a system writes back together, and what it believes to be clean together.
const PAGE: usize = 4_096;

/// What becomes of what was not synced.
#[derive(Clone, Copy, Debug)]
pub(super) enum Unsynced {
    /// It is gone.
    Gone,
    /// All of it had reached the medium.
    There,
    /// Any of it.
    Any,
}

/// The disk's folder.
#[derive(Clone, Default)]
pub(super) struct Disk {
    files: Vec<File>,
    /// Which file has which name, for programs that run.
    names: BTreeMap<String, usize>,
    /// The same on the medium.
    lasting: BTreeMap<String, usize>,
    /// What happened to names since, in order.
    renamed: Vec<(String, Option<usize>)>,
}

/// A file's content.
#[derive(Clone, Default)]
struct File {
    /// What is on the medium.
    lasting: Vec<u8>,
    /// What programs read.
    seen: Vec<u8>,
    /// What was written since the last sync, in order.
    pending: Vec<Piece>,
    /// A sync of it failed: pages that hold other bytes than the medium may count as clean from then on.
    has_failed: bool,
}

#[derive(Clone)]
struct Piece {
    at: usize,
    bytes: Vec<u8>,
    /// How long the file is with it.
    length: usize,
}

impl Disk {
    /// A disk with the files of a store that were synced long ago.
    pub(super) fn with(files: BTreeMap<String, Vec<u8>>) -> Self {
        let mut disk = Self::default();
        for (name, content) in files {
            disk.names.insert(name, disk.files.len());
            disk.files.push(File { lasting: content.clone(), seen: content, ..File::default() });
        }
        disk.lasting = disk.names.clone();
        disk
    }

    /// Whether anything could be lost now.
    pub(super) fn is_settled(&self) -> bool {
        self.renamed.is_empty() && self.names.values().all(|&file| self.files[file].pending.is_empty())
    }

    /// Something happens on it.
    pub(super) fn apply(&mut self, event: &Event, chance: &mut Chance) {
        match event {
            Event::Open(name) => {
                if !self.names.contains_key(name) {
                    self.files.push(File::default());
                    self.rename(name, Some(self.files.len() - 1));
                }
            }
            Event::Write { file, at, bytes } => self.file(file).write(*at, bytes),
            Event::Truncate { file, length } => self.file(file).truncate(*length),
            Event::Sync(file) => {
                let file = self.file(file);
                file.lasting = file.after(file.pending.len());
                file.pending.clear();
            }
            Event::SyncFailed(file) => self.file(file).fail(chance),
            Event::SyncFolder => {
                self.lasting = self.names.clone();
                self.renamed.clear();
            }
            Event::Unlink(name) => self.rename(name, None),
            Event::Acknowledge(_) => {}
        }
    }

    /// Puts the files into a folder as they are when the power comes back.
    pub(super) fn after_the_cut(&self, folder: &Path, unsynced: Unsynced, chance: &mut Chance) {
        let renames = match unsynced {
            Unsynced::Gone => 0,
            Unsynced::There => self.renamed.len(),
            // File systems journal names in order.
            Unsynced::Any => chance.below(self.renamed.len() + 1),
        };
        let mut names = self.lasting.clone();
        for (name, file) in &self.renamed[..renames] {
            match file {
                Some(file) => names.insert(name.clone(), *file),
                None => names.remove(name),
            };
        }
        for (name, file) in names {
            let file = &self.files[file];
            let content = match unsynced {
                Unsynced::Gone => file.lasting.clone(),
                Unsynced::There => file.after(file.pending.len()),
                Unsynced::Any => file.torn(chance),
            };
            std::fs::write(folder.join(name), content).expect("an image is written");
        }
    }

    fn rename(&mut self, name: &str, file: Option<usize>) {
        match file {
            Some(file) => self.names.insert(name.to_owned(), file),
            None => self.names.remove(name),
        };
        self.renamed.push((name.to_owned(), file));
    }

    fn file(&mut self, name: &str) -> &mut File {
        let file = *self.names.get(name).unwrap_or_else(|| panic!("{name} is written and was never opened"));
        &mut self.files[file]
    }
}

impl File {
    fn write(&mut self, at: usize, bytes: &[u8]) {
        put(&mut self.seen, at, bytes);
        let length = self.seen.len();
        let piece = match self.has_failed {
            false => Piece { at, bytes: bytes.to_vec(), length },
            // The page goes out whole, with what an earlier write left in it.
            true => {
                let from = at / PAGE * PAGE;
                let to = (at + bytes.len()).div_ceil(PAGE) * PAGE;
                Piece { at: from, bytes: self.seen[from..to.min(length)].to_vec(), length }
            }
        };
        self.pending.push(piece);
    }

    fn truncate(&mut self, length: usize) {
        let gone = self.seen.len().saturating_sub(length);
        self.seen.resize(length, 0);
        self.pending.push(Piece { at: length, bytes: vec![0; gone], length });
    }

    /// Of what was not synced any part reaches the medium, and none of it is tried again.
    fn fail(&mut self, chance: &mut Chance) {
        self.lasting = if chance.coin() { self.torn(chance) } else { self.lasting.clone() };
        self.pending.clear();
        self.has_failed = true;
    }

    /// The medium's content with the first `count` pieces.
    fn after(&self, count: usize) -> Vec<u8> {
        let mut content = self.lasting.clone();
        for piece in &self.pending[..count] {
            put(&mut content, piece.at, &piece.bytes);
            content.resize(piece.length, 0);
        }
        content
    }

    /// The medium's content with each sector as some write left it, or as it was.
    fn torn(&self, chance: &mut Chance) -> Vec<u8> {
        let mut versions: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (at, piece) in self.pending.iter().enumerate() {
            for sector in piece.at / SECTOR..(piece.at + piece.bytes.len()).div_ceil(SECTOR) {
                versions.entry(sector).or_default().push(at);
            }
        }
        let length = match chance.below(self.pending.len() + 1) {
            0 => self.lasting.len(),
            count => self.pending[count - 1].length,
        };
        let mut content = self.lasting.clone();
        // Some cuts lose nearly all, some nearly nothing, and some half of it.
        let written_of_eight = [1, 4, 7][chance.below(3)];
        for (sector, pieces) in versions {
            let newest = match chance.below(8) < written_of_eight {
                true => pieces.len(),
                false => chance.below(pieces.len() + 1),
            };
            for &piece in &pieces[..newest] {
                let Piece { at, bytes, .. } = &self.pending[piece];
                let (from, to) = ((sector * SECTOR).max(*at), ((sector + 1) * SECTOR).min(at + bytes.len()));
                put(&mut content, from, &bytes[from - at..to - at]);
            }
        }
        content.resize(length, 0);
        content
    }
}

/// Writes into a content that grows with zeros where need be.
fn put(content: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let end = at + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[at..end].copy_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(events: &[Event]) -> Disk {
        let mut disk = Disk::default();
        for event in events {
            disk.apply(event, &mut Chance::from_seed(1));
        }
        disk
    }

    fn images(disk: &Disk, unsynced: Unsynced, count: u64) -> Vec<Option<Vec<u8>>> {
        let image = |seed| {
            let folder = tempfile::tempdir().unwrap();
            disk.after_the_cut(folder.path(), unsynced, &mut Chance::from_seed(seed));
            std::fs::read(folder.path().join("f")).ok()
        };
        (0..count).map(image).collect()
    }

    fn write(at: usize, byte: u8, length: usize) -> Event {
        Event::Write { file: "f".to_owned(), at, bytes: vec![byte; length] }
    }

    #[test]
    fn only_what_was_synced_is_sure_to_be_there() {
        let f = || "f".to_owned();
        let disk = run(&[Event::Open(f()), write(0, 1, 1_024), Event::Sync(f())]);
        assert_eq!(images(&disk, Unsynced::Gone, 1), [None], "its name was not synced");
        let disk = run(&[Event::Open(f()), write(0, 1, 1_024), Event::SyncFolder]);
        assert_eq!(images(&disk, Unsynced::Gone, 1), [Some(Vec::new())], "its content was not synced");
        let synced = [Event::Open(f()), write(0, 1, 1_024), Event::Sync(f()), Event::SyncFolder];
        let disk = run(&synced);
        assert!(disk.is_settled());
        assert_eq!(images(&disk, Unsynced::Any, 20), vec![Some(vec![1; 1_024]); 20]);
    }

    #[test]
    fn what_was_not_synced_comes_in_any_order_and_torn_at_sectors() {
        let f = || "f".to_owned();
        let first = [Event::Open(f()), write(0, 1, 1_024), Event::Sync(f()), Event::SyncFolder];
        let mut disk = run(&first);
        for event in [write(0, 2, 1_024), write(512, 3, 512)] {
            disk.apply(&event, &mut Chance::from_seed(1));
        }
        let seen: std::collections::BTreeSet<_> = images(&disk, Unsynced::Any, 300)
            .into_iter()
            .flatten()
            .map(|image| (image[0], image[512]))
            .collect();
        assert_eq!(seen.len(), 6, "two of the first sector, three of the second: {seen:?}");
        assert_eq!(
            images(&disk, Unsynced::There, 1)[0].as_ref().map(|image| (image[511], image[512])),
            Some((2, 3))
        );
    }

    #[test]
    fn what_a_failed_sync_left_behind_is_not_there_after_the_next_one() {
        let f = || "f".to_owned();
        let first =
            [Event::Open(f()), Event::SyncFolder, write(0, 1, 512), Event::SyncFailed(f()), Event::Sync(f())];
        let lost = (0..20).filter(|&seed| {
            let (mut disk, mut chance) = (Disk::default(), Chance::from_seed(seed));
            first.iter().for_each(|event| disk.apply(event, &mut chance));
            images(&disk, Unsynced::There, 1)[0].as_deref() != Some(&[1; 512][..])
        });
        assert!(lost.count() > 5);
    }
}
