//! The outbox: what is due, who takes it, what became of it.

use super::{
    clicks,
    held::Held,
    lanes,
    row::{self, get},
};
use crate::{
    contract::{Backlog, Result},
    delivery,
    resolution::{self, Verdict},
};
use rusqlite::{Connection, OptionalExtension as _};
use usher_model::{Delivery, Job, Settlement, State, UnixMs};

pub(super) const DUE: &str = "SELECT seq FROM delivery INDEXED BY delivery_due
    WHERE state = 'due' AND due_at <= ?1 ORDER BY due_at, seq";
pub(super) const FIND: &str =
    "SELECT seq, state, paid IS NOT NULL, lane FROM delivery WHERE site = ?1 AND id = ?2";
pub(super) const LATER: &str = "SELECT seq FROM delivery INDEXED BY delivery_due
    WHERE state = 'due' AND due_at > ?1
    AND (attempts > 0 OR job NOT IN ('click', 'refund')) ORDER BY due_at, seq";
pub(super) const OLDEST: &str =
    "SELECT created_at FROM delivery WHERE state = ?1 ORDER BY created_at LIMIT 1";
const READ: &str = concat!("SELECT ", row::delivery_columns!(), " FROM delivery WHERE seq = ?1");
const SETTLE: &str = "UPDATE delivery SET state = ?2, status = ?3, answer = ?4, upstream_id = ?5, error = ?6,
    refunded = ?7, log = ?8, settled_at = ?9 WHERE seq = ?1";
const ADD_SETTLED: &str = "INSERT INTO delivery
    (id, site, job, body, due_at, created_at, state, status, answer, upstream_id, error, log, settled_at)
    VALUES (?1, ?2, ?3, ?4, ?12, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";

/// See [`crate::Store::claim`]. It runs where writes run, so that no claim is made from an older state than the last
/// settlement left.
pub(super) fn claim(
    connection: &Connection,
    held: &mut Held,
    now: UnixMs,
    lease_ms: i64,
    limit: usize,
) -> Result<Vec<Delivery>> {
    held.purge(now);
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

/// What is settled.
struct Found {
    seq: i64,
    state: State,
    is_payment: bool,
    lane: Option<String>,
}

/// See [`crate::Store::settle`].
pub(super) fn settle(
    connection: &Connection,
    held: &mut Held,
    delivery: &Delivery,
    settlement: &Settlement,
    now: UnixMs,
) -> Result<()> {
    let found = find(connection, delivery)?;
    match (resolution::verdict(delivery.job, settlement), &found) {
        (Some(verdict), Some(found)) => match found.state {
            State::Due | State::Blocked => finish(connection, delivery, &verdict, found, now)?,
            State::Delivered | State::Dead | State::Closed => too_late(connection, &verdict, found.seq)?,
            State::Orphan => {}
        },
        // The answer to a live call can come before the click is written down: it is kept until then.
        (Some(verdict), None) if delivery.job == Job::Click => {
            add_settled(connection, delivery, &verdict, now)?;
        }
        (None, Some(found)) if matches!(found.state, State::Due | State::Blocked) => {
            try_again(connection, delivery, settlement, found.seq)?;
        }
        (None | Some(_), None) | (None, Some(_)) => {}
    }
    // Last: who could not write the outcome still holds it, else it would be claimed and sent again at once.
    if let Some(found) = found {
        held.let_go(found.seq);
    }
    Ok(())
}

fn find(connection: &Connection, delivery: &Delivery) -> Result<Option<Found>> {
    let mut statement = connection.prepare_cached(FIND)?;
    let mut rows = statement.query((delivery.site.as_str(), &delivery.id))?;
    let Some(row) = rows.next()? else { return Ok(None) };
    Ok(Some(Found {
        seq: get(row, 0)?,
        state: row::state(row, 1)?,
        is_payment: get(row, 2)?,
        lane: get(row, 3)?,
    }))
}

fn finish(
    connection: &Connection,
    delivery: &Delivery,
    verdict: &Verdict<'_>,
    found: &Found,
    now: UnixMs,
) -> Result<()> {
    connection.prepare_cached(SETTLE)?.execute((
        found.seq,
        verdict.state,
        verdict.answer.map(|answer| answer.status),
        verdict.answer.map(|answer| answer.body.as_str()),
        verdict.upstream_id,
        verdict.error,
        verdict.refunded.map(|refunded| refunded.to_string()),
        delivery::log_words(&delivery.log),
        now.0,
    ))?;
    let (site, id) = (&delivery.site, delivery.id.as_str());
    if delivery.job == Job::Click {
        let upstream = resolution::resolved(verdict.upstream_id, verdict.error);
        clicks::resolve(connection, site, id, &upstream, now)?;
    }
    if found.is_payment {
        match verdict.state {
            "delivered" => lanes::open(connection, site, id, verdict.upstream_id, now)?,
            "closed" => lanes::close(connection, site, id, verdict.error.unwrap_or_default(), now)?,
            _ => {}
        }
    }
    match &found.lane {
        Some(lane) => lanes::advance(connection, site, lane, now),
        None => Ok(()),
    }
}

/// It was settled by somebody else meanwhile, and that stays; but money that went back did go back.
fn too_late(connection: &Connection, verdict: &Verdict<'_>, seq: i64) -> Result<()> {
    let Some(refunded) = verdict.refunded else { return Ok(()) };
    connection
        .prepare_cached(
            "UPDATE delivery SET refunded = ?2
             WHERE seq = ?1 AND state <> 'delivered' AND basis IS NOT NULL AND refunded IS NULL",
        )?
        .execute((seq, refunded.to_string()))?;
    Ok(())
}

fn add_settled(
    connection: &Connection,
    delivery: &Delivery,
    verdict: &Verdict<'_>,
    now: UnixMs,
) -> Result<()> {
    connection.prepare_cached(ADD_SETTLED)?.execute((
        &delivery.id,
        delivery.site.as_str(),
        delivery.job.word(),
        &delivery.body,
        delivery.created_at.0,
        verdict.state,
        verdict.answer.map(|answer| answer.status),
        verdict.answer.map(|answer| answer.body.as_str()),
        verdict.upstream_id,
        verdict.error,
        delivery::log_words(&delivery.log),
        now.0,
    ))?;
    let upstream = resolution::resolved(verdict.upstream_id, verdict.error);
    clicks::resolve(connection, &delivery.site, &delivery.id, &upstream, now)
}

fn try_again(connection: &Connection, delivery: &Delivery, settlement: &Settlement, seq: i64) -> Result<()> {
    match settlement {
        Settlement::Retry { due_at, error } => {
            // What the log ends with is not written twice; see `row::record`.
            let said = delivery.log.last().is_some_and(|line| line.said == *error);
            connection
                .prepare_cached(
                    "UPDATE delivery SET due_at = ?2, error = ?3, log = ?4, attempts = attempts + 1 WHERE seq = ?1",
                )?
                .execute((seq, due_at.0, (!said).then_some(error), delivery::log_words(&delivery.log)))?
        }
        Settlement::Release { due_at } => connection
            .prepare_cached("UPDATE delivery SET due_at = ?2 WHERE seq = ?1")?
            .execute((seq, due_at.0))?,
        Settlement::Delivered { .. } | Settlement::Dead { .. } | Settlement::Closed { .. } => 0,
    };
    Ok(())
}

/// See [`crate::Store::hasten`]; up to `most` of them.
pub(super) fn hasten(connection: &Connection, held: &Held, now: UnixMs, most: usize) -> Result<usize> {
    let mut later = Vec::new();
    let mut statement = connection.prepare_cached(LATER)?;
    let mut rows = statement.query([now.0])?;
    while later.len() < most
        && let Some(row) = rows.next()?
    {
        let seq: i64 = get(row, 0)?;
        if !held.is_held(seq, now) {
            later.push(seq);
        }
    }
    let mut hasten = connection.prepare_cached("UPDATE delivery SET due_at = ?2 WHERE seq = ?1")?;
    for seq in &later {
        hasten.execute((seq, now.0))?;
    }
    Ok(later.len())
}

/// See [`crate::Store::backlog`].
pub(super) fn backlog(connection: &Connection) -> Result<Backlog> {
    let mut backlog = Backlog::default();
    let mut tally = connection.prepare_cached("SELECT state, count FROM tally")?;
    let mut oldest = connection.prepare_cached(OLDEST)?;
    let mut rows = tally.query([])?;
    while let Some(row) = rows.next()? {
        let count = u64::try_from(get::<i64>(row, 1)?).unwrap_or(0);
        match row::state(row, 0)? {
            state @ (State::Due | State::Blocked) if count > 0 => {
                backlog.waiting += count;
                let came_in: Option<i64> = oldest.query_row([state.word()], |row| row.get(0)).optional()?;
                backlog.oldest = backlog.oldest.into_iter().chain(came_in.map(UnixMs)).min();
            }
            State::Dead => backlog.dead = count,
            State::Orphan => backlog.orphans = count,
            State::Due | State::Blocked | State::Delivered | State::Closed => {}
        }
    }
    Ok(backlog)
}
