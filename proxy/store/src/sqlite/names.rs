//! What a payment is called: its key, its other names, names that are linked to these, and what the platform calls it.

use super::{
    hash, lanes,
    row::{self, get},
};
use crate::{contract::Result, delivery};
use rusqlite::{Connection, OptionalExtension as _, Row};
use usher_model::{Money, PaymentRef, RecordId, SiteName, Source, State, UnixMs, limits};

/// The columns that [`Found`] is read from, in its order.
macro_rules! found_columns {
    () => {
        "d.id, d.state, d.error, d.paid, d.currency, d.upstream_id"
    };
}
pub(super) const FIND_RECORD: &str =
    concat!("SELECT ", found_columns!(), " FROM delivery d WHERE site = ?1 AND id = ?2 AND paid IS NOT NULL");
pub(super) const FIND_UPSTREAM: &str = concat!(
    "SELECT ",
    found_columns!(),
    " FROM delivery d WHERE site = ?1 AND upstream_id = ?2 AND paid IS NOT NULL ORDER BY seq LIMIT 1"
);
pub(super) const FIND_KEYED: &str = concat!(
    "SELECT ",
    found_columns!(),
    ", d.created_at FROM delivery d WHERE site = ?1 AND key = ?2 AND source = ?3 AND paid IS NOT NULL AND ?4 = ?4"
);
pub(super) const FIND_NAMED: &str = concat!(
    "SELECT ",
    found_columns!(),
    ", d.created_at FROM name n CROSS JOIN delivery d ON d.seq = n.seq
     WHERE n.hash = ?4 AND d.site = ?1 AND d.source = ?3 AND d.paid IS NOT NULL
       AND EXISTS (SELECT 1 FROM json_each(d.names) WHERE value = ?2)
     ORDER BY d.created_at, d.id LIMIT 1"
);
pub(super) const LINKED_TO: &str =
    "SELECT alias_of, source, created_at FROM link WHERE site = ?1 AND name = ?2";
pub(super) const LINKED_FROM: &str =
    "SELECT name, source, created_at FROM link INDEXED BY link_alias WHERE site = ?1 AND alias_of = ?2";
pub(super) const ORPHANS: &str = "SELECT seq FROM orphan WHERE site = ?1 AND name = ?2";

/// A payment that was found.
pub(super) struct Found {
    pub(super) id: RecordId,
    pub(super) state: State,
    pub(super) error: Option<String>,
    pub(super) paid: Money,
    pub(super) upstream_id: Option<String>,
}

/// The payment that is named so; see [`crate::Store::payment`].
pub(super) fn find(
    connection: &Connection,
    site: &SiteName,
    source: &Source,
    of: &PaymentRef,
) -> Result<Option<Found>> {
    match of {
        PaymentRef::Record(id) => one(connection, FIND_RECORD, site, id.as_str()),
        PaymentRef::Upstream(id) => one(connection, FIND_UPSTREAM, site, id),
        PaymentRef::Named(names) => named(connection, site, source, names),
    }
}

fn one(connection: &Connection, sql: &str, site: &SiteName, name: &str) -> Result<Option<Found>> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query((site.as_str(), name))?;
    rows.next()?.map(found).transpose()
}

fn named(
    connection: &Connection,
    site: &SiteName,
    source: &Source,
    names: &[String],
) -> Result<Option<Found>> {
    let all = linked(connection, site, Some(source), names)?;
    let api = Source::api();
    for source in [Some(source), Some(&api).filter(|api| *api != source)].into_iter().flatten() {
        for name in &all {
            if let Some(found) = of_name(connection, site, source, name)? {
                return Ok(Some(found));
            }
        }
    }
    Ok(None)
}

/// The payment of that source with that key, whatever job it is.
pub(super) fn payment_of_key(
    connection: &Connection,
    site: &SiteName,
    source: &Source,
    key: &str,
) -> Result<Option<RecordId>> {
    let mut statement = connection.prepare_cached(FIND_KEYED)?;
    let mut rows = statement.query((site.as_str(), key, source.as_str(), 0))?;
    rows.next()?.map(|row| row::parsed(row, 0)).transpose()
}

/// The oldest payment of that source with that key or name.
fn of_name(connection: &Connection, site: &SiteName, source: &Source, name: &str) -> Result<Option<Found>> {
    let mut oldest: Option<((i64, RecordId), Found)> = None;
    for sql in [FIND_KEYED, FIND_NAMED] {
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query((site.as_str(), name, source.as_str(), hash::of(name)))?;
        while let Some(row) = rows.next()? {
            let found = found(row)?;
            let age = (get(row, 6)?, found.id.clone());
            if oldest.as_ref().is_none_or(|(other, _)| age < *other) {
                oldest = Some((age, found));
            }
        }
    }
    Ok(oldest.map(|(_, found)| found))
}

fn found(row: &Row<'_>) -> Result<Found> {
    Ok(Found {
        id: row::parsed(row, 0)?,
        state: row::state(row, 1)?,
        error: get(row, 2)?,
        paid: row::money(row, 3)?.ok_or_else(|| super::fault::unreadable("a payment", "nothing was paid"))?,
        upstream_id: get(row, 5)?,
    })
}

/// The names and all that they are linked to, nearest first; through links of `source`, or of anybody.
fn linked(
    connection: &Connection,
    site: &SiteName,
    source: Option<&Source>,
    names: &[String],
) -> Result<Vec<String>> {
    let mut all: Vec<String> = Vec::with_capacity(names.len());
    for name in names {
        add(&mut all, name.clone());
    }
    let mut next = 0;
    while let Some(name) = all.get(next).cloned()
        && all.len() < limits::NAMES_FOLLOWED
    {
        let mut others: Vec<(i64, String)> = Vec::new();
        for sql in [LINKED_TO, LINKED_FROM] {
            let mut statement = connection.prepare_cached(sql)?;
            let mut rows = statement.query((site.as_str(), &name))?;
            while let Some(row) = rows.next()? {
                let of: String = get(row, 1)?;
                if source.is_none_or(|source| source.as_str() == of) {
                    others.push((get(row, 2)?, get(row, 0)?));
                }
            }
        }
        others.sort_unstable();
        others.into_iter().for_each(|(_, other)| add(&mut all, other));
        next += 1;
    }
    Ok(all)
}

fn add(all: &mut Vec<String>, name: String) {
    if all.len() < limits::NAMES_FOLLOWED && !all.contains(&name) {
        all.push(name);
    }
}

/// See [`crate::Store::link`].
pub(super) fn link(
    connection: &Connection,
    site: &SiteName,
    source: &Source,
    name: &str,
    alias_of: &str,
    now: UnixMs,
) -> Result<()> {
    if name == alias_of {
        return Ok(());
    }
    let added = connection
        .prepare_cached(
            "INSERT INTO link (site, name, source, alias_of, created_at) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (site, name, source, alias_of) DO NOTHING",
        )?
        .execute((site.as_str(), name, source.as_str(), alias_of, now.0))?;
    if added > 0 {
        take_in(connection, site, &[name.to_owned(), alias_of.to_owned()], now)?;
    }
    Ok(())
}

/// Lets a record be found by other names.
pub(super) fn give(connection: &Connection, names: &[String], seq: i64) -> Result<()> {
    let mut statement =
        connection.prepare_cached("INSERT INTO name (hash, seq) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?;
    for name in names {
        statement.execute((hash::of(name), seq))?;
    }
    Ok(())
}

/// The reverse of [`give`]; `names` is the column.
pub(super) fn take(connection: &Connection, names: Option<&str>, seq: i64) -> Result<()> {
    let mut statement = connection.prepare_cached("DELETE FROM name WHERE hash = ?1 AND seq = ?2")?;
    for name in names.and_then(delivery::names_of_words).unwrap_or_default() {
        statement.execute((hash::of(&name), seq))?;
    }
    Ok(())
}

/// Lets an orphan be found by what its payment may be called.
pub(super) fn wait_for(connection: &Connection, site: &SiteName, names: &[String], seq: i64) -> Result<()> {
    let mut statement = connection
        .prepare_cached("INSERT INTO orphan (site, name, seq) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING")?;
    for name in names {
        statement.execute((site.as_str(), name, seq))?;
    }
    Ok(())
}

/// The reverse of [`wait_for`]; `awaits` is the column.
pub(super) fn wait_no_more(
    connection: &Connection,
    site: &str,
    awaits: Option<&str>,
    seq: i64,
) -> Result<()> {
    let mut statement =
        connection.prepare_cached("DELETE FROM orphan WHERE site = ?1 AND name = ?2 AND seq = ?3")?;
    for name in awaits.and_then(delivery::names_of_words).unwrap_or_default() {
        statement.execute((site, &name, seq))?;
    }
    Ok(())
}

/// Joins those orphans to their payments which find them, now that something is known of `names`.
pub(super) fn take_in(connection: &Connection, site: &SiteName, names: &[String], now: UnixMs) -> Result<()> {
    let mut orphans: Vec<i64> = Vec::new();
    {
        let mut statement = connection.prepare_cached(ORPHANS)?;
        for name in linked(connection, site, None, names)? {
            let mut rows = statement.query((site.as_str(), &name))?;
            while let Some(row) = rows.next()? {
                orphans.push(get(row, 0)?);
            }
        }
    }
    orphans.sort_unstable();
    orphans.dedup();
    for seq in orphans {
        let asked: Option<(String, Option<String>)> = connection
            .prepare_cached("SELECT source, awaits FROM delivery WHERE seq = ?1 AND state = 'orphan'")?
            .query_row([seq], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((source, awaits)) = asked else { continue };
        let source =
            Source::new(source).map_err(|why| super::fault::unreadable("an orphan's source", why))?;
        let wanted = awaits.as_deref().and_then(delivery::names_of_words).unwrap_or_default();
        if let Some(payment) = named(connection, site, &source, &wanted)? {
            wait_no_more(connection, site.as_str(), awaits.as_deref(), seq)?;
            lanes::adopt(connection, site, &payment, seq, now)?;
        }
    }
    Ok(())
}
