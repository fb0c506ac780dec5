//! From rows to nouns.

use super::fault::unreadable;
use crate::{
    contract::{Result, StoreError},
    resolution,
};
use rusqlite::{Row, types::FromSql};
use usher_model::{Answer, Click, Delivery, Job, UnixMs, VisitorKey};

/// The columns that [`delivery`] reads, in its order.
macro_rules! delivery_columns {
    () => {
        "id, site, job, body, needs, attempts, created_at"
    };
}
/// The columns that [`click`] reads, in its order.
macro_rules! click_columns {
    () => {
        "id, site, affiliate, visitor, created_at, upstream, value"
    };
}
pub(super) use {click_columns, delivery_columns};

pub(super) fn delivery(row: &Row<'_>) -> Result<Delivery> {
    let job: String = get(row, 2)?;
    Ok(Delivery {
        id: get(row, 0)?,
        site: parsed(row, 1)?,
        job: Job::from_word(&job).ok_or_else(|| unreadable("a delivery's job", job))?,
        body: get(row, 3)?,
        needs: optional(row, 4)?.map(usher_model::Needs::Click),
        refund: None,
        log: Vec::new(),
        attempts: get(row, 5)?,
        created_at: UnixMs(get(row, 6)?),
    })
}

pub(super) fn click(row: &Row<'_>) -> Result<Click> {
    let visitor: Option<[u8; 16]> = get(row, 3)?;
    let word: String = get(row, 5)?;
    let upstream = resolution::upstream_of_words(&word, get(row, 6)?);
    Ok(Click {
        id: parsed(row, 0)?,
        site: parsed(row, 1)?,
        affiliate: parsed(row, 2)?,
        visitor: visitor.map(|bytes| VisitorKey(u128::from_be_bytes(bytes))),
        created_at: UnixMs(get(row, 4)?),
        upstream: upstream.ok_or_else(|| unreadable("a click's upstream", word))?,
    })
}

/// Two columns beginning with `status`.
pub(super) fn answer(row: &Row<'_>, status: usize) -> Result<Option<Answer>> {
    let code: Option<u16> = get(row, status)?;
    let body: Option<String> = get(row, status + 1)?;
    Ok(code.map(|status| Answer { status, body: body.unwrap_or_default() }))
}

/// A column as SQLite gives it.
pub(super) fn get<T: FromSql>(row: &Row<'_>, column: usize) -> Result<T> {
    row.get(column).map_err(StoreError::from)
}

/// A text column that keeps to a grammar.
pub(super) fn parsed<T: Identifier>(row: &Row<'_>, column: usize) -> Result<T> {
    T::parse(get(row, column)?)
}

/// The same where there may be nothing.
pub(super) fn optional<T: Identifier>(row: &Row<'_>, column: usize) -> Result<Option<T>> {
    get::<Option<String>>(row, column)?.map(T::parse).transpose()
}

/// What is read from text columns.
pub(super) trait Identifier: Sized {
    /// Reads it.
    fn parse(text: String) -> Result<Self>;
}

macro_rules! identifiers {
    ($($name:ident)*) => {
        $(impl Identifier for usher_model::$name {
            fn parse(text: String) -> Result<Self> {
                Self::new(text).map_err(|why| unreadable("a column", why))
            }
        })*
    };
}
identifiers!(SiteName AffiliateCode ClickId RecordId);
