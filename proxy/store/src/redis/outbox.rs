//! The outbox: a sorted set a site, by when each delivery may be claimed; those that are held are in another, by when the
//! lease ends.

use super::{keys, link::Link, links::Links, record::Fields, scripts};
use crate::{
    contract::{Backlog, Result},
    delivery, resolution,
};
use redis::aio::MultiplexedConnection;
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;
use usher_model::{Delivery, Settlement, SiteName, State, UnixMs, limits};

/// Other edges may take all that was seen before it can be claimed; then one looks again.
const ROUNDS: usize = 3;
/// What is looked at by one call of a script, which nobody else can interrupt.
const AT_ONCE: usize = 500;

/// A site, and the way to its server.
type Place<'a> = (Arc<Link>, &'a SiteName);
/// What is due somewhere: when, its id, and the place in the list of places.
type Candidate = (i64, String, usize);
/// For a site, how many leases are over, and what is due with its time.
type Seen = (u64, Vec<(String, f64)>);

/// See [`crate::Store::claim`].
pub(super) async fn claim(links: &Links, now: UnixMs, lease_ms: i64, limit: usize) -> Result<Vec<Delivery>> {
    let mut claimed: Vec<(Candidate, Delivery)> = Vec::new();
    for _ in 0..ROUNDS {
        let (places, candidates) = look_everywhere(links, now, limit).await?;
        for (number, place) in places.iter().enumerate() {
            let here: Vec<&Candidate> = candidates.iter().filter(|candidate| candidate.2 == number).collect();
            let taken = match take(place, &here, now, now.plus(lease_ms)).await {
                // What other sites gave is held from here on: it is worked on rather than left until the lease is over.
                Err(why) if !claimed.is_empty() => {
                    tracing::warn!(%why, site = %place.1, "part of the outbox waits for its server");
                    continue;
                }
                taken => taken?,
            };
            for delivery in taken {
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

/// The oldest due of all sites, at most `limit`. In a cluster, a server that is away holds up its own sites alone.
async fn look_everywhere(
    links: &Links,
    now: UnixMs,
    limit: usize,
) -> Result<(Vec<Place<'_>>, Vec<Candidate>)> {
    let groups = links.groups();
    let (mut places, mut candidates, mut failure) = (Vec::new(), Vec::new(), None);
    for (link, sites) in &groups {
        match look(link, sites, now, limit, groups.len() == 1).await {
            Ok(here) => {
                for (site, due) in sites.iter().zip(here) {
                    let number = places.len();
                    candidates.extend(due.into_iter().map(|(id, at)| (at as i64, id, number)));
                    places.push((Arc::clone(link), *site));
                }
            }
            Err(why) => failure = Some(why),
        }
    }
    match failure {
        Some(why) if places.is_empty() => return Err(why),
        Some(why) => tracing::warn!(%why, "part of the outbox waits for its server"),
        None => {}
    }
    candidates.sort_unstable();
    candidates.truncate(limit);
    Ok((places, candidates))
}

/// What is due at some sites of one server, after those have let go of what was held until now.
async fn look(
    link: &Link,
    sites: &[&SiteName],
    now: UnixMs,
    limit: usize,
    patiently: bool,
) -> Result<Vec<Vec<(String, f64)>>> {
    let mut look = redis::pipe();
    for site in sites {
        look.cmd("ZCOUNT").arg(keys::held(site)).arg("-inf").arg(now.0);
        let due = look.cmd("ZRANGEBYSCORE").arg(keys::outbox(site)).arg("-inf").arg(now.0);
        due.arg("WITHSCORES").arg("LIMIT").arg(0).arg(i64::try_from(limit).unwrap_or(i64::MAX));
    }
    loop {
        let look = &look;
        let run = |mut connection: MultiplexedConnection| async move {
            let said: Vec<redis::Value> = look.query_async(&mut connection).await?;
            let read =
                said.chunks_exact(2).map(|both| redis::from_redis_value(redis::Value::Array(both.to_vec())));
            Ok(read.collect::<std::result::Result<Vec<Seen>, _>>()?)
        };
        let seen = if patiently { link.work(run).await? } else { link.look(run).await? };
        if seen.iter().all(|(over, _)| *over == 0) {
            return Ok(seen.into_iter().map(|(_, due)| due).collect());
        }
        for (site, _) in sites.iter().zip(&seen).filter(|(_, (over, _))| *over > 0) {
            let _: u64 = link.run(scripts::LET_GO.key(keys::outbox(site)).arg(now.0).arg(AT_ONCE)).await?;
        }
    }
}

async fn take(
    (link, site): &Place<'_>,
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
    let rows: Vec<(String, Fields)> = link.run(&script).await?;
    // One that cannot be read is held as well, and left to a person: it must not stand in the way of the others.
    let readable = |(id, fields): (String, Fields)| {
        let read = fields.delivery(site, &id);
        read.map_err(|why| tracing::error!(%site, id, %why, "a delivery cannot be read and is passed over"))
            .ok()
    };
    Ok(rows.into_iter().filter_map(readable).collect())
}

/// See [`crate::Store::settle`].
pub(super) async fn settle(
    links: &Links,
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
    let refunded = verdict.as_ref().and_then(|verdict| verdict.refunded);
    let mut script = scripts::SETTLE.key(keys::outbox(&delivery.site));
    script.arg(&delivery.id).arg(delivery.job.word()).arg(word).arg(now.0).arg(due_at.0);
    script.arg(answer.map_or_else(String::new, |answer| answer.status.to_string()));
    script.arg(answer.map_or("", |answer| &answer.body));
    script.arg(verdict.as_ref().and_then(|verdict| verdict.upstream_id).unwrap_or_default()).arg(error);
    script.arg(refunded.map_or_else(String::new, |amount| amount.to_string()));
    script.arg(delivery::log_words(&delivery.log).unwrap_or_default());
    script.arg(&delivery.body).arg(delivery.created_at.0);
    links.of(&delivery.site).run(&script).await
}

/// See [`crate::Store::hasten`]. In a cluster, a server that is away holds up its own sites alone.
pub(super) async fn hasten(links: &Links, now: UnixMs) -> Result<u64> {
    let deadline = Instant::now() + Duration::from_millis(limits::STORE_WRITE_MS);
    let (mut hastened, mut failure) = (0, None);
    for (link, sites) in &links.groups() {
        match hasten_some(link, sites, now, deadline).await {
            Ok(some) => hastened += some,
            Err(why) => failure = Some(why),
        }
    }
    match failure {
        Some(why) if hastened == 0 => Err(why),
        _ => Ok(hastened),
    }
}

async fn hasten_some(link: &Link, sites: &[&SiteName], now: UnixMs, deadline: Instant) -> Result<u64> {
    let mut all = 0;
    for site in sites {
        let mut kept = 0;
        // What the deadline leaves over is left to the next call.
        while Instant::now() < deadline {
            let mut script = scripts::HASTEN.key(keys::outbox(site));
            script.arg(now.0).arg(kept).arg(AT_ONCE);
            let run = |mut connection: MultiplexedConnection| async move {
                script.invoke_async(&mut connection).await
            };
            let (hastened, keep): (u64, u64) = link.look(run).await?;
            all += hastened;
            kept += keep;
            if hastened + keep == 0 {
                break;
            }
        }
    }
    Ok(all)
}

/// See [`crate::Store::backlog`].
pub(super) async fn backlog(links: &Links) -> Result<Backlog> {
    const STATES: [State; 4] = [State::Due, State::Blocked, State::Dead, State::Orphan];
    let mut backlog = Backlog::default();
    for site in &links.sites {
        let mut count = redis::pipe();
        for state in STATES {
            count.cmd("ZCARD").arg(keys::state(site, state));
        }
        for state in [State::Due, State::Blocked] {
            count.cmd("ZRANGE").arg(keys::state(site, state)).arg(0).arg(0).arg("WITHSCORES");
        }
        type First = Vec<(String, f64)>;
        type Counts = (u64, u64, u64, u64, First, First);
        let run =
            |mut connection: MultiplexedConnection| async move { count.query_async(&mut connection).await };
        let (due, blocked, dead, orphans, first, other): Counts = links.of(site).work(run).await?;
        backlog.waiting += due + blocked;
        backlog.dead += dead;
        backlog.orphans += orphans;
        let oldest = first.iter().chain(&other).map(|(_, score)| UnixMs(*score as i64)).min();
        backlog.oldest = [backlog.oldest, oldest].into_iter().flatten().min();
    }
    Ok(backlog)
}
