//! The outbox: what is due, who takes it, what became of it.

use super::{
    clicks,
    held::Held,
    row::{self, get},
};
use crate::{
    contract::{Backlog, Result},
    resolution::{self, Verdict},
};
use rusqlite::{Connection, OptionalExtension as _};
use usher_model::{Delivery, Job, Settlement, UnixMs};

pub(super) const DUE: &str =
    "SELECT seq FROM delivery WHERE state = 'due' AND due_at <= ?1 ORDER BY due_at, seq";
pub(super) const FIND: &str = "SELECT seq, state FROM delivery WHERE site = ?1 AND id = ?2";
/// `state <> 'delivered'` says nothing more than `state = 'blocked'`; it is what lets the partial index be used.
pub(super) const SET_FREE: &str = "UPDATE delivery SET state = 'due', due_at = ?3
    WHERE site = ?1 AND needs = ?2 AND state = 'blocked' AND state <> 'delivered'";
const READ: &str = concat!("SELECT ", row::delivery_columns!(), " FROM delivery WHERE seq = ?1");
const SETTLE: &str = "UPDATE delivery SET state = ?2, status = ?3, answer = ?4, upstream_id = ?5, error = ?6,
    settled_at = ?7 WHERE seq = ?1";
const ADD_SETTLED: &str = "INSERT INTO delivery
    (id, site, job, body, due_at, created_at, state, status, answer, upstream_id, error, settled_at)
    VALUES (?1, ?2, ?3, ?4, ?11, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";

/// See [`crate::Store::claim`]. It runs where writes run, so that no claim is made from an older state than the last
/// settlement left.
pub(super) fn claim(
    connection: &Connection,
    held: &mut Held,
    now: UnixMs,
    lease_ms: i64,
    limit: usize,
) -> Result<Vec<Delivery>> {
    let mut due = connection.prepare_cached(DUE)?;
    let mut read = connection.prepare_cached(READ)?;
    let mut rows = due.query([now.0])?;
    let mut claimed = Vec::new();
    let mut deliveries = Vec::new();
    while deliveries.len() < limit
        && let Some(row) = rows.next()?
    {
        let seq: i64 = get(row, 0)?;
        if !held.is_held(seq, now) {
            let mut found = read.query([seq])?;
            if let Some(row) = found.next()? {
                claimed.push(seq);
                match row::delivery(row) {
                    Ok(delivery) => deliveries.push(delivery),
                    // It is held as well, and left to a person: it must not stand in the way of the others.
                    Err(why) => tracing::error!(seq, %why, "a delivery cannot be read and is passed over"),
                }
            }
        }
    }
    for seq in claimed {
        held.take(seq, now.plus(lease_ms));
    }
    Ok(deliveries)
}

/// See [`crate::Store::settle`].
pub(super) fn settle(
    connection: &Connection,
    held: &mut Held,
    delivery: &Delivery,
    settlement: &Settlement,
    now: UnixMs,
) -> Result<()> {
    let found: Option<(i64, String)> = connection
        .prepare_cached(FIND)?
        .query_row((delivery.site.as_str(), &delivery.id), |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let seq = found.as_ref().map(|(seq, _)| *seq);
    let is_settled = found.is_some_and(|(_, state)| state == "delivered" || state == "dead");
    match (resolution::verdict(delivery.job, settlement), seq) {
        _ if is_settled => {}
        (Some(verdict), seq) => finish(connection, delivery, &verdict, seq, now)?,
        (None, Some(seq)) => try_again(connection, seq, settlement)?,
        (None, None) => {}
    }
    // Last: who could not write the outcome still holds it, else it would be claimed and sent again at once.
    if let Some(seq) = seq {
        held.let_go(seq);
    }
    Ok(())
}

fn finish(
    connection: &Connection,
    delivery: &Delivery,
    verdict: &Verdict<'_>,
    row: Option<i64>,
    now: UnixMs,
) -> Result<()> {
    let status = verdict.answer.map(|answer| answer.status);
    let body = verdict.answer.map(|answer| answer.body.as_str());
    let (id, error) = (verdict.upstream_id, verdict.error);
    match row {
        Some(seq) => {
            let values = (seq, verdict.state, status, body, id, error, now.0);
            connection.prepare_cached(SETTLE)?.execute(values)?;
        }
        // The answer to a live call can come before the click is written down: it is kept until then.
        None if delivery.job == Job::Click => {
            connection.prepare_cached(ADD_SETTLED)?.execute((
                &delivery.id,
                delivery.site.as_str(),
                delivery.job.word(),
                &delivery.body,
                delivery.created_at.0,
                verdict.state,
                status,
                body,
                id,
                error,
                now.0,
            ))?;
        }
        None => return Ok(()),
    }
    if delivery.job == Job::Click {
        clicks::resolve(connection, &delivery.site, &delivery.id, &resolution::resolved(id, error))?;
        connection.prepare_cached(SET_FREE)?.execute((delivery.site.as_str(), &delivery.id, now.0))?;
    }
    Ok(())
}

fn try_again(connection: &Connection, seq: i64, settlement: &Settlement) -> Result<()> {
    match settlement {
        Settlement::Retry { due_at, error } => connection
            .prepare_cached(
                "UPDATE delivery SET due_at = ?2, error = ?3, attempts = attempts + 1 WHERE seq = ?1",
            )?
            .execute((seq, due_at.0, error))?,
        Settlement::Release { due_at } => connection
            .prepare_cached("UPDATE delivery SET due_at = ?2 WHERE seq = ?1")?
            .execute((seq, due_at.0))?,
        Settlement::Delivered { .. } | Settlement::Dead { .. } | Settlement::Closed { .. } => 0,
    };
    Ok(())
}

/// See [`crate::Store::backlog`].
pub(super) fn backlog(connection: &Connection) -> Result<Backlog> {
    let mut statement = connection.prepare_cached(
        "SELECT state, count(*), min(created_at) FROM delivery WHERE state <> 'delivered' GROUP BY state",
    )?;
    let mut rows = statement.query([])?;
    let mut backlog = Backlog::default();
    while let Some(row) = rows.next()? {
        let (state, count): (String, i64) = (get(row, 0)?, get(row, 1)?);
        let count = u64::try_from(count).unwrap_or(0);
        if state == "dead" {
            backlog.dead += count;
        } else {
            let oldest = UnixMs(get(row, 2)?);
            backlog.waiting += count;
            backlog.oldest = Some(backlog.oldest.map_or(oldest, |other| other.min(oldest)));
        }
    }
    Ok(backlog)
}
