//! What people look at, and what they decide. A command does it in a process of its own while the service runs, so
//! nothing here may depend on who holds what: that is known to the service alone. What it settles later changes nothing.

use super::{
    clicks, hash, lanes, names,
    row::{self, get},
};
use crate::contract::Result;
use rusqlite::Connection;
use usher_model::{Job, Listing, Record, SiteName, State, UnixMs, Upstream, limits};

pub(super) const FIND: &str = concat!(
    "SELECT ",
    row::record_columns!(),
    " FROM delivery WHERE seq IN (
       SELECT seq FROM delivery WHERE site = ?1 AND id = ?2
       UNION SELECT seq FROM delivery WHERE site = ?1 AND key = ?2
       UNION SELECT n.seq FROM name n CROSS JOIN delivery d ON d.seq = n.seq
         WHERE n.hash = ?3 AND d.site = ?1 AND EXISTS (SELECT 1 FROM json_each(d.names) WHERE value = ?2)
       UNION SELECT seq FROM orphan WHERE site = ?1 AND name = ?2
       UNION SELECT seq FROM delivery WHERE site = ?1 AND upstream_id = ?2 AND paid IS NOT NULL
       UNION SELECT seq FROM delivery
         WHERE substr(click, -8) = substr(?2, -8) AND site = ?1 AND click = ?2)
     ORDER BY created_at, id LIMIT ?4"
);
pub(super) const LIST: &str = concat!(
    "SELECT ",
    row::record_columns!(),
    " FROM delivery WHERE state = ?1 AND created_at >= ?2 AND (created_at, id) > (?2, ?3)
       AND (?4 IS NULL OR site = ?4) ORDER BY created_at, id LIMIT ?5"
);

/// See [`crate::Store::find`].
pub(super) fn find(connection: &Connection, site: &SiteName, name: &str) -> Result<Vec<Record>> {
    let mut statement = connection.prepare_cached(FIND)?;
    let mut rows = statement.query((site.as_str(), name, hash::of(name), limits::RECORDS_FOUND as i64))?;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        records.push(row::record(row)?);
    }
    Ok(records)
}

/// See [`crate::Store::list`].
pub(super) fn list(connection: &Connection, listing: &Listing) -> Result<Vec<Record>> {
    let (after, id) = match &listing.after {
        Some((at, id)) => (at.0, id.as_str()),
        None => (i64::MIN, ""),
    };
    let site = listing.site.as_ref().map(SiteName::as_str);
    let limit = i64::try_from(listing.limit).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(LIST)?;
    let mut records = Vec::new();
    // Each state is in order by its index; a statement over several would sort them all.
    for state in State::ALL.into_iter().filter(|state| listing.states.contains(state)) {
        let mut rows = statement.query((state.word(), after, id, site, limit))?;
        while let Some(row) = rows.next()? {
            records.push(row::record(row)?);
        }
    }
    records.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
    records.truncate(listing.limit);
    Ok(records)
}

/// A record that somebody decides about.
struct Case {
    seq: i64,
    state: State,
    job: Option<Job>,
    is_payment: bool,
    went_back: bool,
    needs: Option<String>,
    lane: Option<String>,
    awaits: Option<String>,
    error: Option<String>,
}

fn case(connection: &Connection, site: &SiteName, id: &str) -> Result<Option<Case>> {
    let mut statement = connection.prepare_cached(
        "SELECT seq, state, job, paid IS NOT NULL, needs, lane, awaits, error, refunded IS NOT NULL
         FROM delivery WHERE site = ?1 AND id = ?2",
    )?;
    let mut rows = statement.query((site.as_str(), id))?;
    let Some(row) = rows.next()? else { return Ok(None) };
    Ok(Some(Case {
        seq: get(row, 0)?,
        state: row::state(row, 1)?,
        job: Job::from_word(&get::<String>(row, 2)?),
        is_payment: get(row, 3)?,
        needs: get(row, 4)?,
        lane: get(row, 5)?,
        awaits: get(row, 6)?,
        error: get(row, 7)?,
        went_back: get(row, 8)?,
    }))
}

/// See [`crate::Store::retry`].
pub(super) fn retry(connection: &Connection, site: &SiteName, id: &str, now: UnixMs) -> Result<bool> {
    let again = |case: &Case| case.state == State::Dead && !case.went_back;
    let Some(case) = case(connection, site, id)?.filter(again) else {
        return Ok(false);
    };
    let state = match (&case.lane, &case.needs) {
        (Some(lane), _) => lanes::place_again(connection, site, lane)?,
        (None, Some(click)) if clicks::is_pending(connection, site, click)? => State::Blocked,
        _ => State::Due,
    };
    if case.job == Some(Job::Click) {
        clicks::reopen(connection, site, id, case.error.as_deref())?;
    }
    connection
        .prepare_cached(
            "UPDATE delivery SET state = ?2, due_at = ?3, attempts = 0, status = NULL, answer = NULL, error = NULL,
               settled_at = NULL WHERE seq = ?1",
        )?
        .execute((case.seq, state.word(), now.0))?;
    Ok(true)
}

/// See [`crate::Store::discard`].
pub(super) fn discard(
    connection: &Connection,
    site: &SiteName,
    id: &str,
    why: &str,
    now: UnixMs,
) -> Result<bool> {
    let settled = |case: &Case| matches!(case.state, State::Delivered | State::Closed);
    let Some(case) = case(connection, site, id)?.filter(|case| !settled(case)) else { return Ok(false) };
    connection
        .prepare_cached(
            "UPDATE delivery SET state = 'closed', error = ?2, settled_at = ?3, awaits = NULL WHERE seq = ?1",
        )?
        .execute((case.seq, why, now.0))?;
    names::wait_no_more(connection, site.as_str(), case.awaits.as_deref(), case.seq)?;
    if case.job == Some(Job::Click) {
        clicks::resolve(connection, site, id, &Upstream::Refused(why.to_owned()), now)?;
    }
    if case.is_payment {
        lanes::close(connection, site, id, why, now)?;
    }
    if let Some(lane) = &case.lane {
        // It may be under way. What it gives back is written when it returns, and the next one has to know that.
        let due_at = if case.state == State::Due { now.plus(limits::LEASE_MS) } else { now };
        lanes::advance(connection, site, lane, due_at)?;
    }
    Ok(true)
}
