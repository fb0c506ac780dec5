//! Clicks, and what the platform calls them.

use super::row::{self, get};
use crate::{
    contract::{PendingClick, Result},
    resolution,
};
use rusqlite::{Connection, OptionalExtension as _};
use usher_model::{Click, ClickId, Job, SiteName, UnixMs, Upstream, VisitorKey};

pub(super) const FIND: &str =
    concat!("SELECT ", row::click_columns!(), " FROM click WHERE site = ?1 AND id = ?2");
pub(super) const NEWEST: &str = concat!(
    "SELECT ",
    row::click_columns!(),
    " FROM click WHERE site = ?1 AND visitor = ?2 AND created_at >= ?3 ORDER BY created_at DESC, id DESC LIMIT 1"
);
const ADD: &str = "INSERT INTO click (site, id, affiliate, visitor, created_at, upstream, value)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (site, id) DO UPDATE SET visitor = excluded.visitor
    WHERE click.visitor IS NULL AND excluded.visitor IS NOT NULL";
const ADD_DELIVERY: &str = "INSERT INTO delivery (id, site, job, body, state, due_at, created_at)
    SELECT ?1, ?2, ?3, ?4, 'due', ?5, ?6
    WHERE EXISTS (SELECT 1 FROM click WHERE site = ?2 AND id = ?1 AND upstream = 'pending')
    ON CONFLICT (site, id) DO NOTHING";

pub(super) const SET_FREE: &str = "UPDATE delivery SET state = 'due', due_at = ?3
    WHERE site = ?1 AND needs = ?2 AND state = 'blocked'";

/// See [`crate::Store::record_clicks`].
pub(super) fn record(connection: &Connection, clicks: &[(Click, Option<PendingClick>)]) -> Result<()> {
    for (click, pending) in clicks {
        add(connection, click)?;
        if let Some(pending) = pending {
            add_delivery(connection, click, &pending.body, pending.due_at)?;
        }
    }
    Ok(())
}

/// Adds a click unless it is there; a visitor is added to one that is there without. Its delivery may have been settled
/// before it was written down (a live call was answered late, yet earlier than the batch was written): then it is resolved
/// from the start.
pub(super) fn add(connection: &Connection, click: &Click) -> Result<()> {
    let early = if click.upstream.is_pending() { settled_early(connection, click)? } else { None };
    let (word, value) = resolution::upstream_words(early.as_ref().unwrap_or(&click.upstream));
    let visitor = click.visitor.map(|VisitorKey(key)| key.to_be_bytes());
    connection.prepare_cached(ADD)?.execute((
        click.site.as_str(),
        click.id.as_str(),
        click.affiliate.as_str(),
        visitor,
        click.created_at.0,
        word,
        value,
    ))?;
    Ok(())
}

/// Adds a click's delivery, unless it is there or the click needs none any more. Its row when it was added.
pub(super) fn add_delivery(
    connection: &Connection,
    click: &Click,
    body: &str,
    due_at: UnixMs,
) -> Result<Option<i64>> {
    let added = connection.prepare_cached(ADD_DELIVERY)?.execute((
        click.id.as_str(),
        click.site.as_str(),
        Job::Click.word(),
        body,
        due_at.0,
        click.created_at.0,
    ))?;
    Ok((added > 0).then(|| connection.last_insert_rowid()))
}

fn settled_early(connection: &Connection, click: &Click) -> Result<Option<Upstream>> {
    let mut statement = connection.prepare_cached(
        "SELECT upstream_id, error FROM delivery WHERE site = ?1 AND id = ?2 AND settled_at IS NOT NULL",
    )?;
    let mut rows = statement.query((click.site.as_str(), click.id.as_str()))?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let (id, error): (Option<String>, Option<String>) = (get(row, 0)?, get(row, 1)?);
    Ok(Some(resolution::resolved(id.as_deref(), error.as_deref())))
}

/// See [`crate::Store::click`].
pub(super) fn find(connection: &Connection, site: &SiteName, id: &ClickId) -> Result<Option<Click>> {
    let mut statement = connection.prepare_cached(FIND)?;
    let mut rows = statement.query((site.as_str(), id.as_str()))?;
    rows.next()?.map(row::click).transpose()
}

/// See [`crate::Store::click_of_visitor`].
pub(super) fn newest(
    connection: &Connection,
    site: &SiteName,
    visitor: VisitorKey,
    since: UnixMs,
) -> Result<Option<Click>> {
    let mut statement = connection.prepare_cached(NEWEST)?;
    let mut rows = statement.query((site.as_str(), visitor.0.to_be_bytes(), since.0))?;
    rows.next()?.map(row::click).transpose()
}

/// Whether the platform has yet to say what it calls this click.
pub(super) fn is_pending(connection: &Connection, site: &SiteName, id: &str) -> Result<bool> {
    let word: Option<String> = connection
        .prepare_cached("SELECT upstream FROM click WHERE site = ?1 AND id = ?2")?
        .query_row((site.as_str(), id), |row| row.get(0))
        .optional()?;
    Ok(word.as_deref() == Some("pending"))
}

/// Writes down what the platform calls a click, once, and sets free what waits for that.
pub(super) fn resolve(
    connection: &Connection,
    site: &SiteName,
    id: &str,
    upstream: &Upstream,
    now: UnixMs,
) -> Result<()> {
    let (word, value) = resolution::upstream_words(upstream);
    connection
        .prepare_cached(
            "UPDATE click SET upstream = ?3, value = ?4 WHERE site = ?1 AND id = ?2 AND upstream = 'pending'",
        )?
        .execute((site.as_str(), id, word, value))?;
    connection.prepare_cached(SET_FREE)?.execute((site.as_str(), id, now.0))?;
    Ok(())
}

/// A click that was refused for that reason is pending again.
pub(super) fn reopen(connection: &Connection, site: &SiteName, id: &str, error: Option<&str>) -> Result<()> {
    connection
        .prepare_cached(
            "UPDATE click SET upstream = 'pending', value = NULL
             WHERE site = ?1 AND id = ?2 AND upstream = 'refused' AND value = ?3",
        )?
        .execute((site.as_str(), id, error))?;
    Ok(())
}
