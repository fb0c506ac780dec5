//! The outbox: a sorted set a site, by when each delivery may be claimed; while one is held, that is the lease's end.

use super::{fault, keys, link::Link, scripts};
use crate::{
    contract::{Backlog, Result, StoreError},
    resolution,
};
use redis::aio::MultiplexedConnection;
use usher_model::{ClickId, Delivery, Job, Settlement, SiteName, UnixMs, limits};

/// Other edges may take all that was seen before it can be claimed; then one looks again.
const ROUNDS: usize = 3;

type Row = (String, String, String, String, u32, i64);
/// What is due somewhere: when, its id, the site's place in the list.
type Candidate = (i64, String, usize);

/// See [`crate::Store::claim`].
pub(super) async fn claim(
    link: &Link,
    sites: &[SiteName],
    now: UnixMs,
    lease_ms: i64,
    limit: usize,
) -> Result<Vec<Delivery>> {
    let mut claimed: Vec<(Candidate, Delivery)> = Vec::new();
    for _ in 0..ROUNDS {
        let candidates = look(link, sites, now, limit).await?;
        for (place, site) in sites.iter().enumerate() {
            let here: Vec<&Candidate> = candidates.iter().filter(|candidate| candidate.2 == place).collect();
            for delivery in take(link, site, &here, now, now.plus(lease_ms)).await? {
                let seen = here.iter().find(|candidate| candidate.1 == delivery.id);
                claimed.extend(seen.map(|&seen| (seen.clone(), delivery)));
            }
        }
        if candidates.is_empty() || !claimed.is_empty() {
            break;
        }
    }
    claimed.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    Ok(claimed.into_iter().map(|(_, delivery)| delivery).collect())
}

/// The oldest due of all sites, at most `limit`.
async fn look(link: &Link, sites: &[SiteName], now: UnixMs, limit: usize) -> Result<Vec<Candidate>> {
    let mut look = redis::pipe();
    for site in sites {
        let command = look.cmd("ZRANGEBYSCORE").arg(keys::outbox(site)).arg("-inf").arg(now.0);
        command.arg("WITHSCORES").arg("LIMIT").arg(0).arg(i64::try_from(limit).unwrap_or(i64::MAX));
    }
    let run = |mut connection: MultiplexedConnection| async move { look.query_async(&mut connection).await };
    let found: Vec<Vec<(String, f64)>> = if sites.is_empty() { Vec::new() } else { link.work(run).await? };
    let of_site = |(place, found): (usize, Vec<(String, f64)>)| {
        found.into_iter().map(move |(id, score)| (score as i64, id, place))
    };
    let mut candidates: Vec<Candidate> = found.into_iter().enumerate().flat_map(of_site).collect();
    candidates.sort_unstable();
    candidates.truncate(limit);
    Ok(candidates)
}

async fn take(
    link: &Link,
    site: &SiteName,
    candidates: &[&Candidate],
    now: UnixMs,
    lease_end: UnixMs,
) -> Result<Vec<Delivery>> {
    if candidates.is_empty() {
        return Ok(Vec::new());
    }
    let mut script = scripts::CLAIM.key(keys::outbox(site));
    script.arg(now.0).arg(lease_end.0);
    for (_, id, _) in candidates {
        script.arg(id);
    }
    let run =
        |mut connection: MultiplexedConnection| async move { script.invoke_async(&mut connection).await };
    let rows: Vec<Row> = link.work(run).await?;
    // One that cannot be read is held as well, and left to a person: it must not stand in the way of the others.
    let readable = |row: Row| {
        let id = row.0.clone();
        delivery(site, row)
            .map_err(|why| tracing::error!(%site, id, %why, "a delivery cannot be read and is passed over"))
            .ok()
    };
    Ok(rows.into_iter().filter_map(readable).collect())
}

fn delivery(site: &SiteName, (id, job, body, needs, attempts, created_at): Row) -> Result<Delivery> {
    let needs = if needs.is_empty() {
        None
    } else {
        Some(ClickId::new(needs).map_err(|why| unreadable(site, &why))?)
    };
    Ok(Delivery {
        id,
        site: site.clone(),
        job: Job::from_word(&job).ok_or_else(|| unreadable(site, &job))?,
        body,
        needs: needs.map(usher_model::Needs::Click),
        refund: None,
        attempts,
        log: Vec::new(),
        created_at: UnixMs(created_at),
    })
}

/// See [`crate::Store::settle`].
pub(super) async fn settle(
    link: &Link,
    delivery: &Delivery,
    settlement: &Settlement,
    now: UnixMs,
) -> Result<()> {
    let verdict = resolution::verdict(delivery.job, settlement);
    let (word, due_at, error) = match settlement {
        Settlement::Retry { due_at, error } => ("retry", *due_at, error.as_str()),
        Settlement::Release { due_at } => ("release", *due_at, ""),
        Settlement::Delivered { .. } | Settlement::Dead { .. } | Settlement::Closed { .. } => {
            (verdict.as_ref().map_or("", |verdict| verdict.state), now, "")
        }
    };
    let answer = verdict.as_ref().and_then(|verdict| verdict.answer);
    let error = verdict.as_ref().and_then(|verdict| verdict.error).unwrap_or(error);
    let mut script = scripts::SETTLE.key(keys::outbox(&delivery.site));
    script.arg(&delivery.id).arg(delivery.job.word()).arg(word).arg(now.0).arg(due_at.0);
    script.arg(answer.map_or_else(String::new, |answer| answer.status.to_string()));
    script.arg(answer.map_or("", |answer| &answer.body));
    script.arg(verdict.as_ref().and_then(|verdict| verdict.upstream_id).unwrap_or_default()).arg(error);
    script.arg(&delivery.body).arg(delivery.created_at.0).arg(limits::KEYS_KEPT_MS);
    link.work(|mut connection| async move { script.invoke_async::<()>(&mut connection).await }).await
}

/// See [`crate::Store::backlog`].
pub(super) async fn backlog(link: &Link, sites: &[SiteName]) -> Result<Backlog> {
    let mut backlog = Backlog::default();
    for site in sites {
        let mut count = redis::pipe();
        count.cmd("ZCARD").arg(keys::waiting(site)).cmd("ZCARD").arg(keys::dead(site));
        count.cmd("ZRANGE").arg(keys::waiting(site)).arg(0).arg(0).arg("WITHSCORES");
        let run =
            |mut connection: MultiplexedConnection| async move { count.query_async(&mut connection).await };
        let (waiting, dead, first): (u64, u64, Vec<(String, f64)>) = link.work(run).await?;
        backlog.waiting += waiting;
        backlog.dead += dead;
        let oldest = first.first().map(|(_, score)| UnixMs(*score as i64));
        backlog.oldest = [backlog.oldest, oldest].into_iter().flatten().min();
    }
    Ok(backlog)
}

fn unreadable(site: &SiteName, why: &dyn std::fmt::Display) -> StoreError {
    fault::unreadable("a delivery", site, why)
}
