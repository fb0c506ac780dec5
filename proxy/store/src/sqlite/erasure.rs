//! A person's data goes, and nothing of it stays in the file or in its log.

use super::{file, names};
use crate::{
    contract::{Result, StoreError},
    erasure::{Erased, Personal, Remains},
};
use rusqlite::{Connection, OptionalExtension as _};
use std::path::Path;
use usher_model::{ClickId, SiteName};

/// Tries to empty the log, each of which waits for readers as long as a connection waits for a lock.
const TRIES: u32 = 4;

/// See [`crate::Store::expunge`].
pub(super) fn expunge(connection: &Connection, site: &SiteName, what: &Personal) -> Result<Erased> {
    match what {
        Personal::Click(click) => remove_click(connection, site, click),
        Personal::Customer(customer) => {
            let sql = "DELETE FROM customer WHERE hash = ?1 AND site = ?2 AND customer = ?3";
            let found = (super::hash::of(customer), site.as_str(), customer);
            let customers = connection.prepare_cached(sql)?.execute(found)? as u64;
            Ok(Erased { customers, ..Erased::default() })
        }
        Personal::Record(remains) => blot(connection, site, remains),
    }
}

fn remove_click(connection: &Connection, site: &SiteName, click: &ClickId) -> Result<Erased> {
    let run = |sql: &str| -> Result<u64> {
        Ok(connection.prepare_cached(sql)?.execute((site.as_str(), click.as_str()))? as u64)
    };
    let row = run("DELETE FROM click WHERE site = ?1 AND id = ?2")?;
    let delivery = run("DELETE FROM delivery WHERE site = ?1 AND id = ?2 AND job = 'click'
        AND state IN ('delivered', 'dead', 'closed')")?;
    run("UPDATE order_binding SET contested_by = '' WHERE site = ?1 AND contested_by = ?2")?;
    Ok(Erased {
        clicks: row.max(delivery),
        orders: run("DELETE FROM order_binding WHERE site = ?1 AND click = ?2")?,
        customers: run("DELETE FROM customer WHERE site = ?1 AND click = ?2")?,
        ..Erased::default()
    })
}

fn blot(connection: &Connection, site: &SiteName, remains: &Remains) -> Result<Erased> {
    let done =
        "SELECT seq, names FROM delivery WHERE site = ?1 AND id = ?2 AND state IN ('delivered', 'closed')";
    let found: Option<(i64, Option<String>)> = connection
        .prepare_cached(done)?
        .query_row((site.as_str(), &remains.id), |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((seq, earlier)) = found else { return Ok(Erased::default()) };
    names::take(connection, earlier.as_deref(), seq)?;
    names::give(connection, &remains.names_kept, seq)?;
    connection
        .prepare_cached(
            "UPDATE delivery SET body = ?2, trace = ?3, answer = ?4, error = ?5, names = ?6,
               click = NULL, needs = NULL, log = NULL WHERE seq = ?1",
        )?
        .execute((
            seq,
            &remains.body,
            &remains.trace,
            &remains.answer,
            &remains.error,
            crate::delivery::names_words(&remains.names_kept),
        ))?;
    Ok(Erased { records: 1, ..Erased::default() })
}

/// Tells every opener; see [`revision`].
pub(super) fn tell(connection: &Connection) -> Result<()> {
    connection.prepare_cached("UPDATE erasure SET revision = revision + 1")?.execute([])?;
    Ok(())
}

/// A number that grows with every erasure, whichever process made it.
pub(super) fn revision(connection: &Connection) -> Result<i64> {
    Ok(connection.prepare_cached("SELECT revision FROM erasure")?.query_row([], |row| row.get(0))?)
}

/// Copies the whole log into the file and cuts it to nothing: its older frames hold pages as they were before. Within the
/// file itself `secure_delete` has overwritten what was removed.
pub(super) fn empty_log(path: &Path) -> Result<()> {
    let connection = file::writer(path)?;
    for _ in 0..TRIES {
        let busy: i64 = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        if busy == 0 {
            return Ok(());
        }
    }
    Err(StoreError::Unavailable(
        "what was erased is still in its log, since others read all the time; erase again when there is less to do".to_owned(),
    ))
}
