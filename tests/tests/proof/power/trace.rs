//! What strace wrote down of an edge (`strace -f -xx`), as the events that matter: what went to the store's files and when
//! that was synced, and what was answered to whom.

use std::collections::HashMap;
use std::path::Path;

/// The system calls to be recorded.
pub(super) const CALLS: &[&str] = &[
    "openat",
    "close",
    "pwrite64",
    "write",
    "ftruncate",
    "fallocate",
    "unlink",
    "unlinkat",
    "rename",
    "renameat",
    "renameat2",
    "fsync",
    "fdatasync",
    "msync",
    "recvfrom",
    "read",
    "lseek",
    "writev",
    "sendto",
];

/// Something that happened, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A file came to be, or one that was there was opened.
    Open(String),
    Write {
        file: String,
        at: usize,
        bytes: Vec<u8>,
    },
    Truncate {
        file: String,
        length: usize,
    },
    /// What was written to the file before is on the medium.
    Sync(String),
    /// The medium failed, and said so.
    SyncFailed(String),
    /// The names of the folder's files are on the medium.
    SyncFolder,
    Unlink(String),
    /// A report with that event id was answered with a 2xx. The answer begins to leave now.
    Acknowledge(String),
}

/// Reads a trace of an edge whose store is the file `database`.
///
/// # Panics
/// When the trace holds something about the store's files that is not understood: a proof must not overlook a write.
pub(super) fn read(text: &str, database: &Path) -> Vec<Event> {
    let folder = database.parent().expect("a file stands in a folder").display().to_string();
    let mut reader = Reader { folder, ..Reader::default() };
    for line in text.lines() {
        reader.line(line);
    }
    reader.events
}

#[derive(Default)]
struct Reader {
    folder: String,
    /// What each descriptor of a file in the folder stands for; an empty name is the folder.
    open: HashMap<String, String>,
    /// Where reading and writing goes on, by descriptor.
    places: HashMap<String, usize>,
    /// What came over each descriptor of a connection since its last request began.
    requests: HashMap<String, Vec<u8>>,
    /// Calls that are under way, by thread: all but their result.
    begun: HashMap<String, String>,
    events: Vec<Event>,
}

impl Reader {
    fn line(&mut self, line: &str) {
        let Some((thread, rest)) = line.trim_start().split_once(' ') else { return };
        let rest = rest.trim_start();
        if let Some(begun) = rest.strip_suffix(" <unfinished ...>") {
            self.entered(begun);
            self.begun.insert(thread.to_owned(), begun.to_owned());
        } else if let Some(resumed) = rest.strip_prefix("<... ") {
            let Some((_, tail)) = resumed.split_once(" resumed>") else { return };
            let begun = self.begun.remove(thread).unwrap_or_default();
            self.left(&format!("{begun}{tail}"));
        } else if rest.contains('(') {
            self.entered(rest);
            self.left(rest);
        }
    }

    /// A call begins: from now on a write may be seen, and an answer may be read.
    fn entered(&mut self, call: &str) {
        let Some((name, arguments)) = call.split_once('(') else { return };
        let mut words = arguments.split(", ");
        let descriptor = words.next().unwrap_or_default();
        match (name, self.open.get(descriptor).filter(|file| !file.is_empty()).cloned()) {
            ("pwrite64", Some(file)) => {
                let at =
                    arguments.rsplit_once(", ").and_then(|(_, at)| number(at)).expect("where it is written");
                self.events.push(Event::Write { file, at, bytes: bytes(arguments) });
            }
            ("ftruncate", Some(file)) => {
                let length = words.next().and_then(number).expect("a length");
                self.events.push(Event::Truncate { file, length });
            }
            ("write", Some(file)) => {
                let at = self.places.get(descriptor).copied().unwrap_or(0);
                self.events.push(Event::Write { file, at, bytes: bytes(arguments) });
            }
            ("writev" | "fallocate" | "msync", Some(_)) => {
                panic!("the store writes its files with {name}, which is not replayed: {call:.200}");
            }
            ("write" | "writev" | "sendto", None) => self.answered(descriptor, &bytes(arguments)),
            _ => {}
        }
    }

    /// A call has ended.
    fn left(&mut self, call: &str) {
        let Some((name, rest)) = call.split_once('(') else { return };
        let Some((arguments, result)) = rest.rsplit_once(" = ") else { return };
        let arguments = arguments.trim_end().trim_end_matches(')');
        let descriptor = arguments.split(", ").next().unwrap_or_default();
        let failed = result.starts_with('-');
        match name {
            "openat" if !failed => {
                self.opened(&bytes(arguments), result);
            }
            "close" => {
                self.open.remove(descriptor);
            }
            "fsync" | "fdatasync" => self.synced(descriptor, failed),
            "unlink" | "unlinkat" if !failed => {
                if let Some(file) = self.own(&bytes(arguments)) {
                    self.events.push(Event::Unlink(file));
                }
            }
            "rename" | "renameat" | "renameat2" if self.own(&bytes(arguments)).is_some() => {
                panic!("the store renames its files, which is not replayed: {call:.200}");
            }
            "pwrite64" | "ftruncate" if self.open.contains_key(descriptor) => {
                assert!(!failed, "a write that failed is not replayed: {call:.100} {result}");
            }
            "read" | "write" if !failed && self.open.contains_key(descriptor) => {
                *self.places.entry(descriptor.to_owned()).or_default() += number(result).unwrap_or(0);
            }
            "lseek" if !failed => {
                self.places.insert(descriptor.to_owned(), number(result).unwrap_or(0));
            }
            "recvfrom" | "read" if !failed => self.requested(descriptor, bytes(arguments)),
            _ => {}
        }
    }

    fn opened(&mut self, path: &[u8], result: &str) {
        let Some(file) = self.own(path) else { return };
        let descriptor = result.split_whitespace().next().unwrap_or_default();
        self.places.insert(descriptor.to_owned(), 0);
        self.open.insert(descriptor.to_owned(), file.clone());
        if !file.is_empty() {
            self.events.push(Event::Open(file));
        }
    }

    fn synced(&mut self, descriptor: &str, failed: bool) {
        let Some(file) = self.open.get(descriptor) else { return };
        self.events.push(match (file.is_empty(), failed) {
            (true, _) => Event::SyncFolder,
            (false, false) => Event::Sync(file.clone()),
            (false, true) => Event::SyncFailed(file.clone()),
        });
    }

    fn requested(&mut self, descriptor: &str, bytes: Vec<u8>) {
        let request = self.requests.entry(descriptor.to_owned()).or_default();
        if bytes.starts_with(b"POST ") || bytes.starts_with(b"GET ") {
            request.clear();
        }
        request.extend(bytes);
    }

    fn answered(&mut self, descriptor: &str, answer: &[u8]) {
        let is_good = answer.starts_with(b"HTTP/1.1 20");
        let request = self.requests.get(descriptor).filter(|_| is_good);
        let event = request.and_then(|request| {
            let text = String::from_utf8_lossy(request).into_owned();
            let (_, value) = text.split_once("\"external_event_id\":\"")?;
            Some(value.split_once('"')?.0.to_owned())
        });
        self.events.extend(event.map(Event::Acknowledge));
    }

    /// The name of a file of the store, empty for its folder; `None` when it is another's.
    fn own(&self, path: &[u8]) -> Option<String> {
        let path = std::str::from_utf8(path).ok()?;
        let rest = path.strip_prefix(&self.folder)?;
        let name = rest.trim_start_matches('/');
        let is_own = name.is_empty() || name.starts_with("usher.db");
        // Its index in shared memory is built anew after a crash, whatever is in it; a lock file holds nothing.
        (is_own && !name.ends_with("-shm") && !name.ends_with(".lock")).then(|| name.to_owned())
    }
}

fn number(word: &str) -> Option<usize> {
    word.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// The bytes of every string in there, one after the other.
fn bytes(arguments: &str) -> Vec<u8> {
    let strings = arguments.split('"').skip(1).step_by(2);
    let digit = |byte: u8| (byte as char).to_digit(16).expect("strace -xx writes hexadecimal") as u8;
    let mut bytes = Vec::new();
    for string in strings {
        bytes.extend(string.as_bytes().chunks_exact(4).map(|x| digit(x[2]) * 16 + digit(x[3])));
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> String {
        text.bytes().map(|byte| format!("\\x{byte:02x}")).collect()
    }

    #[test]
    fn calls_are_understood_also_when_others_come_between() {
        let (file, log) = (hex("/d/usher.db"), hex("/d/usher.db-wal"));
        let (request, answer) =
            (hex("POST /x HTTP/1.1\r\n\r\n{\"external_event_id\":\"e1\"}"), hex("HTTP/1.1 202 Accepted"));
        let trace = [
            format!("7  openat(AT_FDCWD, \"{file}\", O_RDWR|O_CREAT|O_CLOEXEC, 0600) = 3"),
            format!("7  openat(AT_FDCWD, \"{log}\", O_RDWR|O_CREAT, 0600 <unfinished ...>"),
            "8  pwrite64(3, \"\\x41\\x42\", 2, 4096) = 2".to_owned(),
            "7  <... openat resumed>)             = 4".to_owned(),
            "7  lseek(4, 24, SEEK_SET)           = 24".to_owned(),
            "7  write(4, \"\\x43\", 1 <unfinished ...>".to_owned(),
            "9  recvfrom(5,  <unfinished ...>".to_owned(),
            "7  <... write resumed>)              = 1".to_owned(),
            format!("9  <... recvfrom resumed>\"{request}\", 8192, 0, NULL, NULL) = 45"),
            "7  fsync(4)                         = -1 EIO (Input/output error) (INJECTED)".to_owned(),
            "7  fdatasync(4)                     = 0".to_owned(),
            format!("9  writev(5, [{{iov_base=\"{answer}\", iov_len=21}}], 1) = 21"),
            format!("7  unlink(\"{log}\")  = 0"),
        ];
        let name = |name: &str| name.to_owned();
        let expected = [
            Event::Open(name("usher.db")),
            Event::Write { file: name("usher.db"), at: 4096, bytes: b"AB".to_vec() },
            Event::Open(name("usher.db-wal")),
            Event::Write { file: name("usher.db-wal"), at: 24, bytes: b"C".to_vec() },
            Event::SyncFailed(name("usher.db-wal")),
            Event::Sync(name("usher.db-wal")),
            Event::Acknowledge(name("e1")),
            Event::Unlink(name("usher.db-wal")),
        ];
        assert_eq!(read(&trace.join("\n"), Path::new("/d/usher.db")), expected);
    }

    #[test]
    #[should_panic(expected = "not replayed")]
    fn a_write_of_a_kind_that_is_not_replayed_is_not_overlooked() {
        let file = hex("/d/usher.db");
        let trace = format!("7 openat(AT_FDCWD, \"{file}\", O_RDWR) = 3\n7 writev(3, [], 0) = 0\n");
        read(&trace, Path::new("/d/usher.db"));
    }
}
