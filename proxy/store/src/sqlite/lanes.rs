//! Lanes: the refunds of one payment, sent one after the other. What decides about money is the state of the rows alone,
//! so that it holds whoever writes them: at most one refund of a lane is due, and none before its payment is delivered.

use super::{
    names::{self, Found},
    row::{self, get},
};
use crate::{contract::Result, delivery};
use rusqlite::Connection;
use usher_model::{Payment, PaymentRef, PaymentRefund, Refund, SiteName, Source, State, UnixMs};

pub(super) const HAS_DUE: &str =
    "SELECT 1 FROM delivery WHERE site = ?1 AND lane = ?2 AND state = 'due' LIMIT 1";
pub(super) const OLDEST_BLOCKED: &str = "SELECT seq FROM delivery
    WHERE site = ?1 AND lane = ?2 AND state = 'blocked' ORDER BY created_at, id LIMIT 1";
const REFUNDS: &str = "SELECT id, state, basis, amount, currency, refunded FROM delivery
    WHERE site = ?1 AND lane = ?2 ORDER BY state = 'blocked', created_at, id";

/// Where a refund stands.
pub(super) struct Place {
    pub(super) state: State,
    pub(super) lane: Option<String>,
    /// Why it is closed.
    pub(super) error: Option<String>,
}

/// Where a new refund belongs; see [`crate::Store::accept`].
pub(super) fn place(
    connection: &Connection,
    site: &SiteName,
    source: &Source,
    refund: &Refund,
) -> Result<Place> {
    if let Some(payment) = names::find(connection, site, source, &refund.of)? {
        return behind(connection, site, &payment);
    }
    match &refund.of {
        PaymentRef::Upstream(id) => {
            let lane = delivery::upstream_lane(id);
            let state = next(connection, site, &lane)?;
            Ok(Place { state, lane: Some(lane), error: None })
        }
        PaymentRef::Record(_) | PaymentRef::Named(_) => {
            Ok(Place { state: State::Orphan, lane: None, error: None })
        }
    }
}

/// Where a dead refund of that lane belongs when it is to be sent again.
pub(super) fn place_again(connection: &Connection, site: &SiteName, lane: &str) -> Result<State> {
    let payment = match usher_model::RecordId::new(lane) {
        Ok(id) => names::find(connection, site, &Source::api(), &PaymentRef::Record(id))?,
        Err(_) => None,
    };
    match payment {
        Some(payment) if payment.state != State::Delivered => Ok(State::Blocked),
        _ => next(connection, site, lane),
    }
}

fn behind(connection: &Connection, site: &SiteName, payment: &Found) -> Result<Place> {
    let lane = payment.id.as_str();
    let (state, error) = match payment.state {
        State::Closed => (State::Closed, payment.error.clone()),
        State::Delivered => (next(connection, site, lane)?, None),
        State::Due | State::Blocked | State::Orphan | State::Dead => (State::Blocked, None),
    };
    Ok(Place { state, lane: Some(lane.to_owned()), error })
}

fn next(connection: &Connection, site: &SiteName, lane: &str) -> Result<State> {
    let has_due = connection.prepare_cached(HAS_DUE)?.exists((site.as_str(), lane))?;
    Ok(if has_due { State::Blocked } else { State::Due })
}

/// An orphan has found its payment.
pub(super) fn adopt(
    connection: &Connection,
    site: &SiteName,
    payment: &Found,
    seq: i64,
    now: UnixMs,
) -> Result<()> {
    let closed = payment.state == State::Closed;
    connection
        .prepare_cached(
            "UPDATE delivery SET lane = ?2, awaits = NULL, state = ?3, error = ?4, settled_at = ?5 WHERE seq = ?1",
        )?
        .execute((
            seq,
            payment.id.as_str(),
            if closed { State::Closed } else { State::Blocked }.word(),
            payment.error.as_ref().filter(|_| closed),
            closed.then_some(now.0),
        ))?;
    if payment.state == State::Delivered {
        advance(connection, site, payment.id.as_str(), now)
    } else {
        Ok(())
    }
}

/// A payment has reached the platform: refunds that name what the platform calls it join it, and the first is due.
pub(super) fn open(
    connection: &Connection,
    site: &SiteName,
    payment: &str,
    upstream_id: Option<&str>,
    now: UnixMs,
) -> Result<()> {
    if let Some(id) = upstream_id {
        let theirs = delivery::upstream_lane(id);
        connection
            .prepare_cached("UPDATE delivery SET lane = ?3 WHERE site = ?1 AND lane = ?2")?
            .execute((site.as_str(), theirs, payment))?;
    }
    advance(connection, site, payment, now)
}

/// A payment is closed: nothing is to be given back of it.
pub(super) fn close(
    connection: &Connection,
    site: &SiteName,
    payment: &str,
    why: &str,
    now: UnixMs,
) -> Result<()> {
    connection
        .prepare_cached(
            "UPDATE delivery SET state = 'closed', error = ?3, settled_at = ?4
             WHERE site = ?1 AND lane = ?2 AND state IN ('due', 'blocked', 'dead')",
        )?
        .execute((site.as_str(), payment, why, now.0))?;
    Ok(())
}

/// Makes the oldest blocked refund of an open lane due at `due_at`, unless one is due already.
pub(super) fn advance(connection: &Connection, site: &SiteName, lane: &str, due_at: UnixMs) -> Result<()> {
    if next(connection, site, lane)? != State::Due || !is_open(connection, site, lane)? {
        return Ok(());
    }
    let mut oldest = connection.prepare_cached(OLDEST_BLOCKED)?;
    let mut rows = oldest.query((site.as_str(), lane))?;
    let Some(row) = rows.next()? else { return Ok(()) };
    let seq: i64 = get(row, 0)?;
    connection
        .prepare_cached("UPDATE delivery SET state = 'due', due_at = ?2 WHERE seq = ?1")?
        .execute((seq, due_at.0))?;
    Ok(())
}

fn is_open(connection: &Connection, site: &SiteName, lane: &str) -> Result<bool> {
    if delivery::is_upstream_lane(lane) {
        return Ok(true);
    }
    let mut delivered = connection
        .prepare_cached("SELECT 1 FROM delivery WHERE site = ?1 AND id = ?2 AND state = 'delivered'")?;
    Ok(delivered.exists((site.as_str(), lane))?)
}

/// See [`crate::Store::payment`].
pub(super) fn payment(
    connection: &Connection,
    site: &SiteName,
    source: &Source,
    of: &PaymentRef,
) -> Result<Option<Payment>> {
    let Some(found) = names::find(connection, site, source, of)? else { return Ok(None) };
    let mut statement = connection.prepare_cached(REFUNDS)?;
    let mut rows = statement.query((site.as_str(), found.id.as_str()))?;
    let mut refunds = Vec::new();
    while let Some(row) = rows.next()? {
        let Some((amount, _)) = row::refund(row, 2, 4)? else { continue };
        refunds.push(PaymentRefund {
            id: row::parsed(row, 0)?,
            state: row::state(row, 1)?,
            amount,
            refunded: row::decimal(row, 5)?,
        });
    }
    let Found { id, state, paid, upstream_id, .. } = found;
    Ok(Some(Payment { id, paid, state, upstream_id, refunds }))
}
