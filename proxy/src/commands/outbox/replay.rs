//! `usher outbox retry` and `usher outbox discard`

use super::pages::Pages;
use crate::commands::{
    progress::Progress,
    record::{standing, what},
};
use anyhow::{Context, bail};
use serde_json::{Value, json};
use std::{
    io::{self, Write},
    sync::Arc,
};
use tokio::task::JoinSet;
use usher_model::{Clock, Record, SiteName, State, UnixMs};
use usher_store::Store;

/// Whether it can be sent again.
pub(super) fn can_be_retried(record: &Record) -> bool {
    record.state == State::Dead
}

/// Whether it can be closed.
pub(super) fn can_be_discarded(record: &Record) -> bool {
    matches!(record.state, State::Due | State::Blocked | State::Orphan | State::Dead)
}

/// Sends one dead delivery again.
pub(super) async fn retry(
    store: &dyn Store,
    record: &Record,
    now: UnixMs,
    as_json: bool,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let id = &record.id;
    if !can_be_retried(record) || !store.retry(&record.site, id, now).await? {
        let stands = standing(record, now);
        match record.state {
            State::Dead => {
                bail!(
                    "{id} cannot be sent again: it changed a moment ago; look with `usher outbox show {id}`"
                )
            }
            State::Due | State::Blocked => bail!("{id} {stands}; there is nothing to do"),
            State::Orphan => bail!("{id} {stands}; report the payment, and it is sent by itself"),
            State::Delivered => bail!("{id} {stands} already"),
            State::Closed => bail!("{id} {stands}; report it again with an id of its own if it should be"),
        }
    }
    let words =
        format!("{id} ({}) is set going again; a running service sends it within a second", what(record));
    tell(out, as_json, &json!({"retried": 1, "id": id, "site": record.site}), &words)?;
    Ok(())
}

/// Sends everything again that failed for good, page by page, and shows how far it is.
pub(super) async fn retry_all(
    store: &Arc<dyn Store>,
    site: Option<SiteName>,
    clock: &dyn Clock,
    as_json: bool,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    // The store counts all sites together, so for one site there is no total to fill a bar.
    let total = if site.is_none() { Some(store.backlog().await?.dead) } else { None };
    let progress = (total != Some(0)).then(|| Progress::new(total, "set going again"));
    let mut pages = Pages::new(&**store, site, &[State::Dead]);
    let mut going = 0;
    loop {
        let page = pages.next().await.map_err(|error| so_far(going, error.into()))?;
        if page.is_empty() {
            break;
        }
        // At once, so that a store which gathers what is written in one commit has something to gather.
        let mut calls = JoinSet::new();
        for record in page {
            let (store, now) = (Arc::clone(store), clock.now());
            calls.spawn(async move { store.retry(&record.site, &record.id, now).await });
        }
        while let Some(done) = calls.join_next().await {
            let retried = done.context("a task ended badly").and_then(|retried| Ok(retried?));
            going += u64::from(retried.map_err(|error| so_far(going, error))?);
        }
        if let Some(progress) = &progress {
            progress.at(going);
        }
    }
    drop(progress);
    let words = match going {
        0 => "Nothing failed for good, so nothing was set going again.".to_owned(),
        _ => format!(
            "Set going again: {going}. A running service sends them as fast as the platform takes them."
        ),
    };
    tell(out, as_json, &json!({"retried": going}), &words)?;
    Ok(())
}

/// What was done stays done.
fn so_far(going: u64, error: anyhow::Error) -> anyhow::Error {
    match going {
        0 => error,
        _ => error.context(format!("{going} were set going again before this; run it again for the others")),
    }
}

/// Closes one record for good.
pub(super) async fn discard(
    store: &dyn Store,
    record: &Record,
    why: &str,
    now: UnixMs,
    as_json: bool,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let id = &record.id;
    if why.trim().is_empty() {
        bail!("--reason is empty; say why, for whoever asks later");
    }
    if !can_be_discarded(record) || !store.discard(&record.site, id, why.trim(), now).await? {
        let stands = standing(record, now);
        match record.state {
            State::Delivered => {
                bail!("{id} {stands}; what was sold and given back is taken back by reporting a refund")
            }
            State::Closed => bail!("{id} {stands}; there is nothing to discard"),
            _ => bail!("{id} changed a moment ago; look with `usher outbox show {id}`"),
        }
    }
    let with_refunds = if record.paid.is_some() { ", nor will its refunds" } else { "" };
    let words = format!("{id} ({}) is discarded: it will not be sent{with_refunds}", what(record));
    tell(out, as_json, &json!({"discarded": id, "site": record.site, "reason": why.trim()}), &words)?;
    Ok(())
}

fn tell(out: &mut dyn Write, as_json: bool, json: &Value, words: &str) -> io::Result<()> {
    if as_json { writeln!(out, "{json}") } else { writeln!(out, "{words}") }
}
