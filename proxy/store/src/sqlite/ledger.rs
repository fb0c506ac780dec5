//! Entries: written once per key, with all that belongs to them.

use super::{
    clicks, codes,
    held::Held,
    row::{self, get},
};
use crate::{contract::Result, delivery};
use rusqlite::Connection;
use usher_model::{Acceptance, ClickId, Entry, EntryState, Job, SiteName, State, UnixMs, limits};

pub(super) const FIND_KEY: &str =
    "SELECT id, fingerprint, status, answer FROM delivery WHERE site = ?1 AND job = ?2 AND key = ?3";
pub(super) const FIND_CUSTOMER: &str = "SELECT click FROM customer WHERE site = ?1 AND customer = ?2";
const ADD: &str = "INSERT INTO delivery
    (id, site, job, key, fingerprint, body, needs, trace, state, due_at, created_at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10)";
const BIND: &str = "INSERT INTO customer (site, customer, click, created_at) VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT (site, customer) DO NOTHING";

/// See [`crate::Store::accept`].
pub(super) fn accept(connection: &Connection, held: &mut Held, entry: Entry) -> Result<Acceptance> {
    if let Some((fingerprint, state)) = accepted(connection, &entry.site, entry.job, &entry.key)? {
        let same = fingerprint == entry.fingerprint;
        return Ok(if same { Acceptance::Same(state) } else { Acceptance::Conflict(state.id) });
    }
    // Counting comes first: when it says no, nothing has been written yet.
    if let Some(code_use) = &entry.code
        && !codes::count_use(connection, &entry.site, code_use)?
    {
        return Ok(Acceptance::UsedUp);
    }
    let until = entry.now.plus(limits::LEASE_MS);
    let mut rows = Vec::with_capacity(2);
    let mut deliveries = Vec::with_capacity(2);
    if let Some((click, body)) = &entry.mint {
        clicks::add(connection, click)?;
        if let Some(row) = clicks::add_delivery(connection, click, body, entry.now)? {
            rows.push(row);
            deliveries.push(delivery::of_click(click, body));
        }
    }
    let blocked = match &entry.needs {
        Some(click) => clicks::is_pending(connection, &entry.site, click)?,
        None => false,
    };
    let row = add(connection, &entry, blocked)?;
    bind(connection, &entry)?;
    if !blocked {
        rows.push(row);
        deliveries.push(delivery::of_entry(entry));
    }
    for row in rows {
        held.take(row, until);
    }
    Ok(if deliveries.is_empty() { Acceptance::Waiting } else { Acceptance::New(deliveries) })
}

/// See [`crate::Store::accepted`].
pub(super) fn accepted(
    connection: &Connection,
    site: &SiteName,
    job: Job,
    key: &str,
) -> Result<Option<(Vec<u8>, EntryState)>> {
    let mut statement = connection.prepare_cached(FIND_KEY)?;
    let mut rows = statement.query((site.as_str(), job.word(), key))?;
    let Some(row) = rows.next()? else { return Ok(None) };
    Ok(Some((
        get(row, 1)?,
        EntryState { id: row::parsed(row, 0)?, state: State::Due, answer: row::answer(row, 2)? },
    )))
}

fn add(connection: &Connection, entry: &Entry, blocked: bool) -> Result<i64> {
    connection.prepare_cached(ADD)?.execute((
        entry.id.as_str(),
        entry.site.as_str(),
        entry.job.word(),
        &entry.key,
        entry.fingerprint,
        &entry.body,
        entry.needs.as_ref().map(ClickId::as_str),
        &entry.trace,
        if blocked { "blocked" } else { "due" },
        entry.now.0,
    ))?;
    Ok(connection.last_insert_rowid())
}

fn bind(connection: &Connection, entry: &Entry) -> Result<()> {
    let Some((click, customers)) = &entry.bind else { return Ok(()) };
    let mut statement = connection.prepare_cached(BIND)?;
    for customer in customers {
        statement.execute((entry.site.as_str(), customer, click.as_str(), entry.now.0))?;
    }
    Ok(())
}

/// See [`crate::Store::click_of_customer`].
pub(super) fn click_of_customer(
    connection: &Connection,
    site: &SiteName,
    customer: &str,
) -> Result<Option<ClickId>> {
    let mut statement = connection.prepare_cached(FIND_CUSTOMER)?;
    let mut rows = statement.query((site.as_str(), customer))?;
    rows.next()?.map(|row| row::parsed(row, 0)).transpose()
}

/// Removes up to `most` of each kind; how many of any kind.
pub(super) fn forget(connection: &Connection, before: UnixMs, most: u32) -> Result<usize> {
    let entries = connection
        .prepare_cached(
            "DELETE FROM delivery WHERE seq IN (SELECT seq FROM delivery
               WHERE created_at < ?1 AND settled_at < ?1 AND state = 'delivered' LIMIT ?2)",
        )?
        .execute((before.0, most))?;
    let clicks = connection
        .prepare_cached(
            "DELETE FROM click WHERE (site, id) IN (SELECT c.site, c.id FROM click c WHERE c.created_at < ?1
               AND NOT EXISTS (SELECT 1 FROM delivery d
                 WHERE d.site = c.site AND d.id = c.id AND d.state <> 'delivered')
               AND NOT EXISTS (SELECT 1 FROM delivery d
                 WHERE d.site = c.site AND d.needs = c.id AND d.state <> 'delivered')
               LIMIT ?2)",
        )?
        .execute((before.0, most))?;
    let customers = connection
        .prepare_cached(
            "DELETE FROM customer WHERE (site, customer) IN
               (SELECT site, customer FROM customer WHERE created_at < ?1 LIMIT ?2)",
        )?
        .execute((before.0, most))?;
    Ok(entries + clicks + customers)
}

/// Finds out whether writing works.
pub(super) fn probe(connection: &Connection) -> Result<()> {
    connection.prepare_cached("UPDATE probe SET count = count + 1")?.execute([])?;
    Ok(())
}
