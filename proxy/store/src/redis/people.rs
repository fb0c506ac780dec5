//! What people ask about records, and what they decide.

use super::{fault, keys, link::Link, links::Links, record::Fields, scripts};
use crate::contract::Result;
use redis::aio::MultiplexedConnection;
use usher_model::{Job, Listing, Record, SiteName, State, UnixMs, limits};

/// Records read at once.
const PAGE: usize = 200;
/// Ids read at once.
const PAGE_MOST: usize = 10_000;

/// See [`crate::Store::find`].
pub(super) async fn find(links: &Links, site: &SiteName, name: &str) -> Result<Vec<Record>> {
    let link = links.of(site);
    let mut script = scripts::FIND.key(keys::outbox(site));
    script.arg(name).arg(limits::RECORDS_FOUND).arg(Job::ALL.map(Job::word).as_slice());
    let ids: Vec<String> = link.run(&script).await?;
    let mut found = read(&link, site, &ids).await?;
    found.sort_unstable_by(|a, b| (a.1, &a.0).cmp(&(b.1, &b.0)));
    found.truncate(limits::RECORDS_FOUND);
    found.into_iter().map(|(id, _, fields)| fields.record(site, &id)).collect()
}

/// See [`crate::Store::list`].
pub(super) async fn list(links: &Links, listing: &Listing) -> Result<Vec<Record>> {
    let sites = listing.site.as_ref().map_or(links.sites.as_slice(), std::slice::from_ref);
    let mut listed = Vec::new();
    for site in sites {
        let link = links.of(site);
        let mut ids = Vec::new();
        for state in State::ALL.into_iter().filter(|state| listing.states.contains(state)) {
            ids.extend(ids_in(&link, site, state, listing).await?);
        }
        ids.sort_unstable();
        ids.truncate(listing.limit);
        let ids: Vec<String> = ids.into_iter().map(|(_, id)| id).collect();
        for (id, came_in, fields) in read(&link, site, &ids).await? {
            match fields.record(site, &id) {
                Ok(record) if listing.states.contains(&record.state) => listed.push((came_in, id, record)),
                // It changed its state meanwhile.
                Ok(_) => {}
                // One that cannot be read must not stand in the way of the others.
                Err(why) => tracing::error!(%site, id, %why, "a record cannot be read and is left out"),
            }
        }
    }
    listed.sort_unstable_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    listed.truncate(listing.limit);
    Ok(listed.into_iter().map(|(_, _, record)| record).collect())
}

/// The ids of a state behind the listing's cursor, the oldest first. Those of one moment stand in the order of their ids.
async fn ids_in(
    link: &Link,
    site: &SiteName,
    state: State,
    listing: &Listing,
) -> Result<Vec<(UnixMs, String)>> {
    let mut found = Vec::new();
    let from = listing.after.as_ref().map_or_else(|| "-inf".to_owned(), |(at, _)| at.0.to_string());
    let mut passed = 0;
    while found.len() < listing.limit {
        let mut page = redis::cmd("ZRANGEBYSCORE");
        page.arg(keys::state(site, state)).arg(&from).arg("+inf").arg("WITHSCORES");
        page.arg("LIMIT").arg(passed).arg(listing.limit.clamp(PAGE, PAGE_MOST));
        let run =
            |mut connection: MultiplexedConnection| async move { page.query_async(&mut connection).await };
        let some: Vec<(String, f64)> = link.work(run).await?;
        if some.is_empty() {
            break;
        }
        passed += some.len();
        let some = some.into_iter().map(|(id, at)| (UnixMs(at as i64), id));
        found.extend(some.filter(|entry| listing.after.as_ref().is_none_or(|after| entry > after)));
    }
    Ok(found)
}

/// Records by their ids, as far as they are there: id, when it came in, its fields.
async fn read(link: &Link, site: &SiteName, ids: &[String]) -> Result<Vec<(String, UnixMs, Fields)>> {
    let mut all = Vec::with_capacity(ids.len());
    for page in ids.chunks(PAGE) {
        let mut read = redis::pipe();
        for id in page {
            read.cmd("HGETALL").arg(keys::delivery(site, id));
        }
        let run =
            |mut connection: MultiplexedConnection| async move { read.query_async(&mut connection).await };
        let found: Vec<Fields> = link.work(run).await?;
        for (id, fields) in page.iter().zip(found).filter(|(_, fields)| !fields.is_empty()) {
            let came_in = fields.came_in();
            let came_in =
                came_in.ok_or_else(|| fault::unreadable("a record", site, &format_args!("age of {id}")))?;
            all.push((id.clone(), came_in, fields));
        }
    }
    Ok(all)
}

/// See [`crate::Store::retry`].
pub(super) async fn retry(links: &Links, site: &SiteName, id: &str, now: UnixMs) -> Result<bool> {
    let mut script = scripts::RETRY.key(keys::outbox(site));
    links.of(site).run_promise(script.arg(id).arg(now.0)).await
}

/// See [`crate::Store::discard`].
pub(super) async fn discard(
    links: &Links,
    site: &SiteName,
    id: &str,
    why: &str,
    now: UnixMs,
) -> Result<bool> {
    let mut script = scripts::DISCARD.key(keys::outbox(site));
    script.arg(id).arg(why).arg(now.0).arg(now.plus(limits::LEASE_MS).0);
    links.of(site).run_promise(&script).await
}
