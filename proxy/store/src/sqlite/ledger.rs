//! Entries: written once per key, with all that belongs to them.

use super::{
    clicks, codes, hash,
    held::Held,
    lanes::{self, Place},
    names,
    row::{self, get},
};
use crate::{contract::Result, delivery};
use rusqlite::{Connection, params};
use usher_model::{
    Acceptance, ClickId, Currency, Delivery, Entry, EntryState, Job, Money, PaymentRef, Send, SiteName,
    Source, State, UnixMs, limits,
};

pub(super) const FIND_KEY: &str = "SELECT id, fingerprint, state, status, answer FROM delivery
    WHERE site = ?1 AND key = ?2 AND source = ?3 AND job = ?4";
pub(super) const FIND_CUSTOMER: &str =
    "SELECT click FROM customer WHERE hash = ?3 AND site = ?1 AND customer = ?2";
const ADD: &str = "INSERT INTO delivery
    (id, site, source, job, key, state, due_at, created_at, settled_at, click, needs, lane, names, awaits,
     paid, currency, basis, amount, fingerprint, error, body, trace)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14,
     ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22)";
const BIND: &str =
    "INSERT INTO customer (hash, site, customer, click, created_at) VALUES (?1, ?2, ?3, ?4, ?5)";

/// See [`crate::Store::accept`].
pub(super) fn accept(connection: &Connection, held: &mut Held, entry: Entry) -> Result<Acceptance> {
    if let Some((fingerprint, state)) =
        accepted(connection, &entry.site, &entry.source, entry.job, &entry.key)?
    {
        let same = fingerprint == entry.fingerprint;
        return Ok(if same { Acceptance::Same(state) } else { Acceptance::Conflict(state.id) });
    }
    if entry.paid.is_some()
        && let Some(other) = names::payment_of_key(connection, &entry.site, &entry.source, &entry.key)?
    {
        return Ok(Acceptance::Conflict(other));
    }
    // Counting comes first: when it says no, nothing has been written yet.
    if let Some(code_use) = &entry.code
        && !codes::count_use(connection, &entry.site, code_use)?
    {
        return Ok(Acceptance::UsedUp);
    }
    let minted = mint(connection, &entry)?;
    let place = place(connection, &entry)?;
    let row = add(connection, &entry, &place)?;
    bind(connection, &entry)?;
    if entry.paid.is_some() {
        let called: Vec<String> = std::iter::once(&entry.key).chain(&entry.names).cloned().collect();
        names::take_in(connection, &entry.site, &called, entry.now)?;
    }
    if entry.send != Send::Now {
        return Ok(Acceptance::Waiting);
    }
    let until = entry.now.plus(limits::LEASE_MS);
    let own = (place.state == State::Due).then(|| (row, own_delivery(entry, place.lane.as_deref())));
    let mut deliveries = Vec::with_capacity(2);
    for (row, delivery) in minted.into_iter().chain(own) {
        held.take(row, until);
        deliveries.push(delivery);
    }
    Ok(if deliveries.is_empty() { Acceptance::Waiting } else { Acceptance::New(deliveries) })
}

fn own_delivery(entry: Entry, lane: Option<&str>) -> Delivery {
    let delivery = delivery::of_entry(entry);
    match lane {
        Some(lane) => delivery::in_lane(delivery, lane),
        None => delivery,
    }
}

/// See [`crate::Store::accepted`].
pub(super) fn accepted(
    connection: &Connection,
    site: &SiteName,
    source: &Source,
    job: Job,
    key: &str,
) -> Result<Option<(Vec<u8>, EntryState)>> {
    let mut statement = connection.prepare_cached(FIND_KEY)?;
    let mut rows = statement.query((site.as_str(), key, source.as_str(), job.word()))?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let state =
        EntryState { id: row::parsed(row, 0)?, state: row::state(row, 2)?, answer: row::answer(row, 3)? };
    Ok(Some((get(row, 1)?, state)))
}

fn mint(connection: &Connection, entry: &Entry) -> Result<Option<(i64, Delivery)>> {
    let Some((click, body)) = &entry.mint else { return Ok(None) };
    clicks::add(connection, click)?;
    let row = clicks::add_delivery(connection, click, body, due_at(entry))?;
    Ok(row.map(|row| (row, delivery::of_click(click, body))))
}

const fn due_at(entry: &Entry) -> UnixMs {
    match entry.send {
        Send::From(at) => at,
        Send::Now | Send::Never(_) => entry.now,
    }
}

fn place(connection: &Connection, entry: &Entry) -> Result<Place> {
    let place = match (&entry.refund, &entry.needs) {
        (Some(refund), _) => lanes::place(connection, &entry.site, &entry.source, refund)?,
        (None, Some(click)) if clicks::is_pending(connection, &entry.site, click.as_str())? => {
            Place { state: State::Blocked, lane: None, error: None }
        }
        (None, _) => Place { state: State::Due, lane: None, error: None },
    };
    Ok(match &entry.send {
        Send::Never(why) => Place { state: State::Closed, error: Some(why.clone()), ..place },
        Send::Now | Send::From(_) => place,
    })
}

fn add(connection: &Connection, entry: &Entry, place: &Place) -> Result<i64> {
    let refund = entry.refund.as_ref();
    let (basis, amount) = refund.map(|refund| refund.amount.words()).unzip();
    let currency = entry.paid.as_ref().map(Money::currency);
    let currency = currency.or(refund.and_then(|refund| refund.currency));
    let awaits = match refund.map(|refund| &refund.of) {
        _ if place.state != State::Orphan => Vec::new(),
        Some(PaymentRef::Named(names)) => names.clone(),
        Some(PaymentRef::Record(id)) => vec![id.as_str().to_owned()],
        Some(PaymentRef::Upstream(_)) | None => Vec::new(),
    };
    connection.prepare_cached(ADD)?.execute(params![
        entry.id.as_str(),
        entry.site.as_str(),
        entry.source.as_str(),
        entry.job.word(),
        entry.key,
        place.state.word(),
        due_at(entry).0,
        entry.now.0,
        (place.state == State::Closed).then_some(entry.now.0),
        entry.click.as_ref().map(ClickId::as_str),
        entry.needs.as_ref().filter(|_| refund.is_none()).map(ClickId::as_str),
        place.lane,
        delivery::names_words(&entry.names),
        delivery::names_words(&awaits),
        entry.paid.as_ref().map(|paid| paid.amount().to_string()),
        currency.as_ref().map(Currency::to_string),
        basis,
        amount.flatten().map(|amount| amount.to_string()),
        entry.fingerprint,
        place.error,
        entry.body,
        entry.trace,
    ])?;
    let row = connection.last_insert_rowid();
    names::give(connection, &entry.names, row)?;
    names::wait_for(connection, &entry.site, &awaits, row)?;
    Ok(row)
}

fn bind(connection: &Connection, entry: &Entry) -> Result<()> {
    let Some((click, customers)) = &entry.bind else { return Ok(()) };
    let mut statement = connection.prepare_cached(BIND)?;
    for customer in customers {
        if click_of_customer(connection, &entry.site, customer)?.is_none() {
            let site = entry.site.as_str();
            statement.execute((hash::of(customer), site, customer, click.as_str(), entry.now.0))?;
        }
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
    let mut rows = statement.query((site.as_str(), customer, hash::of(customer)))?;
    rows.next()?.map(|row| row::parsed(row, 0)).transpose()
}
