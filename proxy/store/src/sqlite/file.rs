//! The database file: made private, opened with the settings that the promise needs, held by one service.

use super::{schema, wal};
use crate::{
    Role,
    contract::{Result, StoreError},
};
use rusqlite::{Connection, OpenFlags, config::DbConfig};
use std::{
    ffi::OsString,
    fs::{File, OpenOptions, TryLockError},
    io::{Read, Write},
    path::{Path, PathBuf},
    time::Duration,
};

/// How long a connection waits for the lock of another process, which holds it for one transaction.
const BUSY: Duration = Duration::from_millis(2_000);
/// Statements that a connection keeps prepared; more than there are.
const STATEMENTS: usize = 128;

/// `synchronous=FULL` in WAL mode syncs the log at every commit; `fullfsync` makes that reach the medium on macOS too.
/// A checkpoint costs syncs of its own, so they are made seldomer than by default: each 2,000 pages, 8 MB.
/// `secure_delete` writes zeros over what is removed or moved, so that an erased person is not left in a page's free space.
const SETTINGS: &str = "
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA fullfsync = ON;
PRAGMA checkpoint_fullfsync = ON;
PRAGMA foreign_keys = OFF;
PRAGMA secure_delete = ON;
PRAGMA temp_store = MEMORY;
PRAGMA wal_autocheckpoint = 2000;
PRAGMA journal_size_limit = 67108864;
";
/// Pages that the writer keeps in memory, in KiB, so that looking up a key seldom reads the disk.
const WRITER_CACHE: i32 = -65_536;

/// Reads the part of the URL behind `sqlite:`.
pub(super) fn path(text: &str) -> Result<PathBuf> {
    let path = text.strip_prefix("//").unwrap_or(text);
    if path.is_empty() || path == ":memory:" {
        return Err(StoreError::Settings("store url: sqlite: needs the path of a file".to_owned()));
    }
    Ok(PathBuf::from(path))
}

/// Creates the file if need be, readable by its owner alone, and brings its schema up to date.
pub(super) fn prepare(path: &Path) -> Result<()> {
    // SQLite gives the files beside it (-wal, -shm) the same permissions.
    private().open(path).map_err(|why| settings(path, why))?;
    wal::make_durable(path)?;
    let mut connection = writer(path)?;
    let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    if mode != "wal" {
        return Err(settings(
            path,
            format_args!("its file system cannot share memory (journal mode {mode})"),
        ));
    }
    schema::migrate(&mut connection)
}

/// Opens or creates a file that its owner alone may read.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// A connection that writes.
pub(super) fn writer(path: &Path) -> Result<Connection> {
    let connection = connect(path)?;
    connection.pragma_update(None, "cache_size", WRITER_CACHE)?;
    Ok(connection)
}

/// A connection that does nothing but be there: while it is, the log's index stays in memory, and nobody recovers from the
/// log what could not be committed (see [`wal`]). It keeps no lock that anybody waits for.
pub(super) fn anchor(path: &Path) -> Result<Connection> {
    let connection = reader(path)?;
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))?;
    Ok(connection)
}

/// A connection that only reads. It is opened for writing since a reader of a WAL file shares its index.
pub(super) fn reader(path: &Path) -> Result<Connection> {
    let connection = connect(path)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

fn connect(path: &Path) -> Result<Connection> {
    // No SQLITE_OPEN_URI: a path with a question mark is a path. No SQLITE_OPEN_CREATE: a file that vanished under
    // the service must not be replaced by an empty one.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    settle_in(&connection)?;
    connection.execute_batch(SETTINGS)?;
    Ok(connection)
}

/// Settings that every connection takes, whatever it stands on.
pub(super) fn settle_in(connection: &Connection) -> Result<()> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // Else a prepared query that compares a range is parsed and planned again for each new value
    // (https://sqlite.org/queryplanner-ng.html#qpstab); all of ours have one good plan.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

/// Keeps other services away from the file until it is dropped or the process ends, however it ends.
pub(super) struct Lock(#[expect(dead_code, reason = "held, not read")] File);

/// Takes the lock that a service holds (an advisory lock on a file beside the database); a tool needs none.
pub(super) fn lock(path: &Path, role: Role) -> Result<Option<Lock>> {
    if role == Role::Tool {
        return Ok(None);
    }
    let mut name = OsString::from(path);
    name.push(".lock");
    let name = PathBuf::from(name);
    let mut file = private().open(&name).map_err(|why| settings(&name, why))?;
    match file.try_lock() {
        Ok(()) => {
            // Only for the other's message: the lock is what counts.
            let _ = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
            Ok(Some(Lock(file)))
        }
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let _ = file.read_to_string(&mut holder);
            Err(StoreError::Settings(format!(
                "store url: {} is held by another usher (process {}); one service writes to it at a time: stop that \
                 one, or share a Redis",
                path.display(),
                if holder.is_empty() { "unknown" } else { &holder },
            )))
        }
        Err(TryLockError::Error(why)) => Err(settings(&name, why)),
    }
}

fn settings(path: &Path, why: impl std::fmt::Display) -> StoreError {
    StoreError::Settings(format!("store url: cannot open {}: {why}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::super::{clicks, outbox};
    use super::*;
    use rusqlite::StatementStatus;

    #[test]
    fn prepared_queries_stay_prepared_whatever_the_values() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("usher.db");
        prepare(&path).expect("a file");
        let connection = reader(&path).expect("a reader");
        for sql in [clicks::NEWEST, outbox::DUE] {
            let mut statement = connection.prepare(sql).expect(sql);
            for value in 1..=3 {
                for parameter in 1..=statement.parameter_count() {
                    statement.raw_bind_parameter(parameter, value).expect(sql);
                }
                while statement.raw_query().next().expect(sql).is_some() {}
            }
            assert_eq!(statement.get_status(StatementStatus::RePrepare), 0, "{sql}");
        }
    }
}
