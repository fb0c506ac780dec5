//! The write-ahead log as an earlier process left it.
//!
//! A commit is acknowledged when the log is synced. When that sync fails, the frames of the commit are in the kernel's
//! cache, and it may count them as written although they never reached the disk; no later sync brings them there
//! (<https://wiki.postgresql.org/wiki/Fsync_Errors>). While somebody is connected this does no harm: the log's index is in
//! shared memory, it does not know of frames whose sync failed, and the next commit is written over them. But when the
//! index is gone, because the process died, recovery reads the log and takes such frames for a commit. What they say would
//! be believed ("that key is taken, it is on stable storage") and would be copied into the database before the log itself
//! is safe. So whoever comes first writes the log over itself: all its pages are dirty again, and this sync counts.

use crate::contract::{Result, StoreError};
use rusqlite::{Connection, ErrorCode, OpenFlags, config::DbConfig};
use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::Path,
    time::Duration,
};

/// What is copied at once.
const CHUNK_BYTES: usize = 1024 * 1024;

/// Brings what the log holds to stable storage. False when there was nothing to do: there is no log, or somebody is
/// connected who did it.
pub(super) fn make_durable(database: &Path) -> Result<bool> {
    // SQLite names the log after the file itself, not after a link to it.
    let Ok(database) = database.canonicalize() else { return Ok(false) };
    let mut name = database.clone().into_os_string();
    name.push("-wal");
    let Ok(mut log) = OpenOptions::new().read(true).write(true).open(name) else { return Ok(false) };
    if log.metadata().map_err(|why| failed(&why))?.len() == 0 {
        return Ok(false);
    }
    let Some(_alone) = alone(&database)? else { return Ok(false) };
    rewrite(&mut log).map_err(|why| failed(&why))?;
    Ok(true)
}

/// A connection that keeps all others away; `None` when there are others.
fn alone(database: &Path) -> Result<Option<Connection>> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(database, flags)?;
    connection.busy_timeout(Duration::ZERO)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    // Before the first look at the file, so that the whole file is locked and no shared index is made
    // (https://sqlite.org/wal.html#use_of_wal_without_shared_memory).
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    match connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0)) {
        Ok(_) => Ok(Some(connection)),
        Err(why) => match why.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Ok(None),
            _ => Err(why.into()),
        },
    }
}

fn rewrite(log: &mut File) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut at = 0;
    loop {
        log.seek(SeekFrom::Start(at))?;
        let length = log.read(&mut chunk)?;
        if length == 0 {
            return log.sync_all();
        }
        log.seek(SeekFrom::Start(at))?;
        log.write_all(&chunk[..length])?;
        at += length as u64;
    }
}

fn failed(why: &io::Error) -> StoreError {
    StoreError::Unavailable(format!("its log cannot be brought to the disk: {why}"))
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    fn count(connection: &Connection) -> i64 {
        connection.query_row("SELECT count(*) FROM code", [], |row| row.get(0)).expect("a count")
    }

    #[test]
    fn a_log_that_was_left_behind_is_written_again_and_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let (one, copy) = (folder.path().join("usher.db"), folder.path().join("copy.db"));
        file::prepare(&one).expect("a file");
        let connection = file::writer(&one).expect("a writer");
        // More than one chunk.
        connection
            .execute_batch("INSERT INTO code VALUES ('shop', 'a', hex(zeroblob(1000000)))")
            .expect("written");
        assert!(!make_durable(&one).expect("nothing to do"), "somebody is connected");
        // What a process leaves that is killed.
        for end in ["", "-wal"] {
            let from = format!("{}{end}", one.display());
            std::fs::copy(from, format!("{}{end}", copy.display())).expect("a copy");
        }
        let log = folder.path().join("copy.db-wal");
        let before = std::fs::read(&log).expect("a log");
        assert!(before.len() > CHUNK_BYTES);
        assert!(make_durable(&copy).expect("written again"));
        assert_eq!(std::fs::read(&log).expect("a log"), before);
        assert_eq!(
            count(&file::writer(&copy).expect("a writer")),
            1,
            "nobody is locked out, nothing is lost"
        );

        drop(connection);
        assert!(!make_durable(&one).expect("nothing to do"), "there is no log");
    }
}
