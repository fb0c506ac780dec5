//! From rows to nouns.

use super::fault::unreadable;
use crate::{
    contract::{Result, StoreError},
    delivery, resolution,
};
use rusqlite::{Row, types::FromSql};
use rust_decimal::Decimal;
use usher_model::{
    Answer, Attempt, Click, Currency, Delivery, Job, Money, Needs, Record, RefundAmount, State, UnixMs,
    VisitorKey,
};

/// The columns that [`delivery`] reads, in its order.
macro_rules! delivery_columns {
    () => {
        "id, site, job, body, needs, attempts, created_at, lane, basis, amount, currency, log"
    };
}
/// The columns that [`record`] reads, in its order.
macro_rules! record_columns {
    () => {
        "id, site, source, job, key, state, body, click, needs, lane, names, paid, currency, basis, amount, refunded,
         trace, due_at, attempts, log, created_at, settled_at, status, answer, upstream_id, error, awaits"
    };
}
/// The columns that [`click`] reads, in its order.
macro_rules! click_columns {
    () => {
        "id, site, affiliate, visitor, created_at, upstream, value"
    };
}
pub(super) use {click_columns, delivery_columns, record_columns};

pub(super) fn delivery(row: &Row<'_>) -> Result<Delivery> {
    let lane: Option<String> = get(row, 7)?;
    let refund = refund(row, 8, 10)?;
    let needs = match &lane {
        Some(lane) => Some(delivery::needs_of_lane(lane).ok_or_else(|| unreadable("a lane", lane))?),
        None => optional(row, 4)?.filter(|_| refund.is_none()).map(Needs::Click),
    };
    Ok(Delivery {
        id: get(row, 0)?,
        site: parsed(row, 1)?,
        job: job(row, 2)?,
        body: get(row, 3)?,
        needs,
        refund,
        attempts: get(row, 5)?,
        log: log(row, 11)?,
        created_at: UnixMs(get(row, 6)?),
    })
}

pub(super) fn record(row: &Row<'_>) -> Result<Record> {
    let lane: Option<String> = get(row, 9)?;
    let asked = match refund(row, 13, 12)? {
        Some((amount, _)) => Some((amount, decimal(row, 15)?)),
        None => None,
    };
    let (attempts, log, settled_at) = (get(row, 18)?, log(row, 19)?, get::<Option<i64>>(row, 21)?);
    // What is to be tried again failed of what its log ends with, unless something else was written.
    let failed = log.last().filter(|_| attempts > 0 && settled_at.is_none()).map(|line| line.said.clone());
    Ok(Record {
        id: get(row, 0)?,
        site: parsed(row, 1)?,
        source: optional(row, 2)?,
        job: job(row, 3)?,
        key: get(row, 4)?,
        state: state(row, 5)?,
        body: get(row, 6)?,
        click: optional(row, 7)?,
        needs: optional(row, 8)?,
        payment: lane.map(|lane| delivery::payment_of_lane(&lane).to_owned()),
        awaits: names(row, 26)?,
        names: names(row, 10)?,
        paid: money(row, 11)?,
        refund: asked,
        trace: get(row, 16)?,
        due_at: UnixMs(get(row, 17)?),
        attempts,
        log,
        created_at: UnixMs(get(row, 20)?),
        settled_at: settled_at.map(UnixMs),
        answer: answer(row, 22)?,
        upstream_id: get(row, 24)?,
        error: get::<Option<String>>(row, 25)?.or(failed),
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

fn names(row: &Row<'_>, column: usize) -> Result<Vec<String>> {
    let Some(words) = get::<Option<String>>(row, column)? else { return Ok(Vec::new()) };
    delivery::names_of_words(&words).ok_or_else(|| unreadable("a record's names", words))
}

/// The word for a state.
pub(super) fn state(row: &Row<'_>, column: usize) -> Result<State> {
    let word: String = get(row, column)?;
    State::from_word(&word).ok_or_else(|| unreadable("a delivery's state", word))
}

fn job(row: &Row<'_>, column: usize) -> Result<Job> {
    let word: String = get(row, column)?;
    Job::from_word(&word).ok_or_else(|| unreadable("a delivery's job", word))
}

/// Two columns: an amount that was paid, and its currency.
pub(super) fn money(row: &Row<'_>, column: usize) -> Result<Option<Money>> {
    let (Some(amount), currency) = (get::<Option<String>>(row, column)?, get(row, column + 1)?) else {
        return Ok(None);
    };
    let currency: Option<String> = currency;
    let paid = delivery::money_of_words(&amount, currency.as_deref().unwrap_or_default());
    paid.map(Some).ok_or_else(|| unreadable("what was paid", amount))
}

/// What a refund asks for: two columns beginning with `basis`, and its currency.
pub(super) fn refund(
    row: &Row<'_>,
    basis: usize,
    currency: usize,
) -> Result<Option<(RefundAmount, Option<Currency>)>> {
    let Some(word) = get::<Option<String>>(row, basis)? else { return Ok(None) };
    let (amount, currency): (Option<String>, Option<String>) = (get(row, basis + 1)?, get(row, currency)?);
    delivery::refund_of_words(&word, amount.as_deref(), currency.as_deref())
        .map(Some)
        .ok_or_else(|| unreadable("what a refund asks for", format_args!("{word} {amount:?} {currency:?}")))
}

/// An exact decimal text.
pub(super) fn decimal(row: &Row<'_>, column: usize) -> Result<Option<Decimal>> {
    let text: Option<String> = get(row, column)?;
    text.map(|text| Decimal::from_str_exact(&text).map_err(|why| unreadable("an amount", why))).transpose()
}

fn log(row: &Row<'_>, column: usize) -> Result<Vec<Attempt>> {
    let words: Option<String> = get(row, column)?;
    let read = |words: String| delivery::log_of_words(&words).ok_or_else(|| unreadable("a log", words));
    words.map_or_else(|| Ok(Vec::new()), read)
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
identifiers!(SiteName AffiliateCode ClickId RecordId Source);
