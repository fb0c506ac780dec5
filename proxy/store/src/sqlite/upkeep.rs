//! What is past its retention goes.

use super::{names, row::get};
use crate::contract::Result;
use rusqlite::Connection;
use usher_model::UnixMs;

/// Records that may go by themselves: nothing about them waits, and they are no refund of a payment that is kept here.
/// `?2` is their state. A payment needs all its refunds to be done and old as well.
pub(super) const RECORDS: &str = "SELECT seq, id, site, names, awaits, paid IS NOT NULL FROM delivery d
    WHERE state = ?2 AND created_at < ?1 AND coalesce(settled_at, created_at) < ?1
      AND (state <> 'dead' OR job = 'click')
      AND NOT EXISTS (SELECT 1 FROM delivery p WHERE p.site = d.site AND p.id = d.lane)
      AND NOT EXISTS (SELECT 1 FROM delivery r WHERE r.site = d.site AND r.lane = d.id AND d.paid IS NOT NULL
        AND NOT (r.state IN ('delivered', 'closed') AND r.created_at < ?1 AND r.settled_at < ?1))
      AND NOT (state = 'dead' AND EXISTS (SELECT 1 FROM delivery n
        WHERE n.site = d.site AND n.needs = d.id AND n.state NOT IN ('delivered', 'closed')))
    LIMIT ?3";
pub(super) const REFUNDS: &str =
    "SELECT seq, id, site, names, awaits, 0 FROM delivery WHERE site = ?1 AND lane = ?2";
pub(super) const CLICKS: &str = "DELETE FROM click WHERE (site, id) IN (SELECT c.site, c.id FROM click c
    WHERE c.created_at < ?1
      AND NOT EXISTS (SELECT 1 FROM delivery d
        WHERE d.site = c.site AND d.id = c.id AND d.state NOT IN ('delivered', 'closed'))
      AND NOT EXISTS (SELECT 1 FROM delivery d
        WHERE d.site = c.site AND d.needs = c.id AND d.state NOT IN ('delivered', 'closed'))
    LIMIT ?2)";
pub(super) const ORDERS: &str = "DELETE FROM order_binding WHERE (site, order_id) IN
    (SELECT site, order_id FROM order_binding WHERE created_at < ?1 LIMIT ?2)";
pub(super) const LINKS: &str = "DELETE FROM link WHERE (site, name, source, alias_of) IN
    (SELECT site, name, source, alias_of FROM link WHERE created_at < ?1 LIMIT ?2)";

/// Removes about `most` of each kind; how many of any kind.
pub(super) fn forget(connection: &Connection, before: UnixMs, most: usize) -> Result<usize> {
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let mut forgotten = 0;
    for state in ["delivered", "closed", "orphan", "dead"] {
        for gone in records(connection, RECORDS, (before.0, state, most))? {
            if gone.is_payment {
                for refund in records(connection, REFUNDS, (&gone.site, &gone.id))? {
                    forgotten += refund.remove(connection)?;
                }
            }
            forgotten += gone.remove(connection)?;
        }
    }
    forgotten += customers(connection, before, most)?;
    for sql in [CLICKS, ORDERS, LINKS] {
        forgotten += connection.prepare_cached(sql)?.execute((before.0, most))?;
    }
    Ok(forgotten)
}

/// Customers have no index by age: the oldest come first, for they are never moved.
fn customers(connection: &Connection, before: UnixMs, most: i64) -> Result<usize> {
    let mut oldest =
        connection.prepare_cached("SELECT seq, created_at FROM customer ORDER BY seq LIMIT ?1")?;
    let mut remove = connection.prepare_cached("DELETE FROM customer WHERE seq = ?1")?;
    let mut rows = oldest.query([most])?;
    let mut gone: Vec<i64> = Vec::new();
    while let Some(row) = rows.next()?
        && get::<i64>(row, 1)? < before.0
    {
        gone.push(get(row, 0)?);
    }
    for seq in &gone {
        remove.execute([seq])?;
    }
    Ok(gone.len())
}

struct Gone {
    seq: i64,
    id: String,
    site: String,
    names: Option<String>,
    awaits: Option<String>,
    is_payment: bool,
}

fn records(connection: &Connection, sql: &str, parameters: impl rusqlite::Params) -> Result<Vec<Gone>> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(parameters)?;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        let (seq, id, site) = (get(row, 0)?, get(row, 1)?, get(row, 2)?);
        let (names, awaits, is_payment) = (get(row, 3)?, get(row, 4)?, get(row, 5)?);
        records.push(Gone { seq, id, site, names, awaits, is_payment });
    }
    Ok(records)
}

impl Gone {
    fn remove(&self, connection: &Connection) -> Result<usize> {
        names::take(connection, self.names.as_deref(), self.seq)?;
        names::wait_no_more(connection, &self.site, self.awaits.as_deref(), self.seq)?;
        Ok(connection.prepare_cached("DELETE FROM delivery WHERE seq = ?1")?.execute([self.seq])?)
    }
}

/// Finds out whether writing works.
pub(super) fn probe(connection: &Connection) -> Result<()> {
    connection.prepare_cached("UPDATE probe SET count = count + 1")?.execute([])?;
    Ok(())
}
