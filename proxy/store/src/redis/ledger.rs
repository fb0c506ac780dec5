//! Entries: written once per key, with all that belongs to them.

use super::{clicks::visitor_word, fault, keys, link::Link, scripts};
use crate::{
    contract::{Result, StoreError},
    delivery, resolution,
};
use redis::{ScriptInvocation, aio::MultiplexedConnection};
use std::time::{Duration, Instant};
use usher_model::{
    Acceptance, Answer, ClickId, Entry, EntryState, Job, RecordId, SiteName, State, UnixMs, limits,
};

/// What is looked at by one call of the script.
const FORGOTTEN_AT_ONCE: u64 = 200;

/// See [`crate::Store::accept`].
pub(super) async fn accept(link: &Link, entry: Entry) -> Result<Acceptance> {
    let script = arguments(&entry);
    let said: Vec<String> =
        link.work(|mut connection| async move { script.invoke_async(&mut connection).await }).await?;
    let said: Vec<&str> = said.iter().map(String::as_str).collect();
    match said.as_slice() {
        ["conflict", id] => Ok(Acceptance::Conflict(record_id(&entry.site, id)?)),
        ["used_up"] => Ok(Acceptance::UsedUp),
        ["same", id] => Ok(Acceptance::Same(EntryState {
            id: record_id(&entry.site, id)?,
            state: State::Due,
            answer: None,
        })),
        ["same", id, status, body] => {
            let status = status.parse().map_err(|why| unreadable(&entry.site, &why))?;
            let answer = Some(Answer { status, body: (*body).to_owned() });
            Ok(Acceptance::Same(EntryState { id: record_id(&entry.site, id)?, state: State::Due, answer }))
        }
        ["new", minted, due] => Ok(written(entry, *minted == "1", *due == "1")),
        other => Err(unreadable(&entry.site, &format!("the script said {other:?}"))),
    }
}

fn arguments(entry: &Entry) -> ScriptInvocation<'static> {
    let mut script = scripts::ACCEPT.key(keys::outbox(&entry.site));
    script.arg(entry.id.as_str()).arg(entry.job.word()).arg(&entry.key).arg(&entry.fingerprint[..]);
    script.arg(&entry.body).arg(entry.needs.as_ref().map_or("", ClickId::as_str)).arg(&entry.trace);
    script.arg(entry.now.0).arg(entry.now.plus(limits::LEASE_MS).0).arg(limits::CLICKS_KEPT_MS);
    match &entry.code {
        Some(code) => {
            let max_uses = code.max_uses.map_or_else(String::new, |max| max.to_string());
            script.arg(code.code.as_str()).arg(max_uses);
        }
        None => {
            script.arg(&["", ""]);
        }
    }
    match &entry.mint {
        Some((click, body)) => {
            let (word, value) = resolution::upstream_words(&click.upstream);
            script.arg(click.id.as_str()).arg(click.affiliate.as_str()).arg(visitor_word(click.visitor));
            script.arg(click.created_at.0).arg(word).arg(value.unwrap_or_default()).arg(body);
        }
        None => {
            script.arg(&[""; 7]);
        }
    }
    match &entry.bind {
        Some((click, customers)) => script.arg(click.as_str()).arg(customers),
        None => script.arg(""),
    };
    script
}

fn written(entry: Entry, minted: bool, due: bool) -> Acceptance {
    let of_click =
        entry.mint.as_ref().filter(|_| minted).map(|(click, body)| delivery::of_click(click, body));
    let deliveries: Vec<_> = of_click.into_iter().chain(due.then(|| delivery::of_entry(entry))).collect();
    if deliveries.is_empty() { Acceptance::Waiting } else { Acceptance::New(deliveries) }
}

/// See [`crate::Store::accepted`].
pub(super) async fn accepted(
    link: &Link,
    site: &SiteName,
    job: Job,
    key: &str,
) -> Result<Option<(Vec<u8>, EntryState)>> {
    let find = |mut connection: MultiplexedConnection| async move {
        let mut get = redis::cmd("GET");
        let id: Option<String> = get.arg(keys::taken(site, job, key)).query_async(&mut connection).await?;
        let Some(id) = id else { return Ok(None) };
        let mut get = redis::cmd("HMGET");
        get.arg(keys::delivery(site, &id)).arg(&["fingerprint", "status", "answer"]);
        let found: (Option<Vec<u8>>, Option<u16>, Option<String>) = get.query_async(&mut connection).await?;
        Ok(Some((id, found)))
    };
    let Some((id, (fingerprint, status, body))) = link.work(find).await? else { return Ok(None) };
    let answer = status.map(|status| Answer { status, body: body.unwrap_or_default() });
    let state = EntryState { id: record_id(site, &id)?, state: State::Due, answer };
    Ok(Some((fingerprint.unwrap_or_default(), state)))
}

/// See [`crate::Store::click_of_customer`].
pub(super) async fn click_of_customer(
    link: &Link,
    site: &SiteName,
    customer: &str,
) -> Result<Option<ClickId>> {
    let mut get = redis::cmd("GET");
    get.arg(keys::customer(site, customer));
    let found: Option<String> =
        link.read(|mut connection| async move { get.query_async(&mut connection).await }).await?;
    found.map(|id| ClickId::new(id).map_err(|why| unreadable(site, &why))).transpose()
}

/// See [`crate::Store::forget`].
pub(super) async fn forget(link: &Link, sites: &[SiteName], before: UnixMs) -> Result<u64> {
    let began = Instant::now();
    let deadline = Duration::from_millis(limits::STORE_WRITE_MS);
    let mut forgotten = 0;
    for site in sites {
        for what in ["settled", "clicks", "customers"] {
            let mut kept = 0;
            // What the deadline leaves over is left to the next call.
            while began.elapsed() < deadline {
                let mut script = scripts::FORGET.key(keys::outbox(site));
                script.arg(what).arg(before.0).arg(kept).arg(FORGOTTEN_AT_ONCE);
                let run = |mut connection: MultiplexedConnection| async move {
                    script.invoke_async(&mut connection).await
                };
                let (removed, stay): (u64, u64) = link.work(run).await?;
                forgotten += removed;
                kept += stay;
                if removed + stay == 0 {
                    break;
                }
            }
        }
    }
    Ok(forgotten)
}

fn record_id(site: &SiteName, id: &str) -> Result<RecordId> {
    RecordId::new(id).map_err(|why| unreadable(site, &why))
}

fn unreadable(site: &SiteName, why: &dyn std::fmt::Display) -> StoreError {
    fault::unreadable("an entry", site, why)
}
