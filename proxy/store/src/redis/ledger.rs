//! Entries: written once per key, with all that belongs to them.

use super::{clicks::visitor_word, fault, keys, links::Links, record, scripts};
use crate::{
    contract::{Result, StoreError},
    delivery, resolution,
};
use redis::{ScriptInvocation, aio::MultiplexedConnection};
use usher_model::{
    Acceptance, ClickId, Entry, EntryState, Job, PaymentRef, RecordId, Send, SiteName, Source, State, limits,
};

/// See [`crate::Store::accept`].
pub(super) async fn accept(links: &Links, entry: Entry) -> Result<Acceptance> {
    let said: Vec<String> = links.of(&entry.site).run_promise(&arguments(&entry)).await?;
    let said: Vec<&str> = said.iter().map(String::as_str).collect();
    match said.as_slice() {
        ["conflict", id] => Ok(Acceptance::Conflict(record_id(&entry.site, id)?)),
        ["used_up"] => Ok(Acceptance::UsedUp),
        ["same", id, state, status, body] => {
            entry_state(&entry.site, id, state, status, body).map(Acceptance::Same)
        }
        ["new", minted, due, lane] => Ok(written(entry, *minted == "1", *due == "1", lane)),
        other => Err(unreadable(&entry.site, &format!("the script said {other:?}"))),
    }
}

/// In the order in which the script reads them.
fn arguments(entry: &Entry) -> ScriptInvocation<'static> {
    let mut script = scripts::ACCEPT.key(keys::outbox(&entry.site));
    let (send, due_at, why) = match &entry.send {
        Send::Now => ("now", entry.now, ""),
        Send::From(moment) => ("from", *moment, ""),
        Send::Never(why) => ("never", entry.now, why.as_str()),
    };
    script.arg(entry.id.as_str()).arg(entry.source.as_str()).arg(entry.job.word()).arg(&entry.key);
    script.arg(&entry.fingerprint[..]).arg(entry.now.0).arg(send).arg(due_at.0);
    script.arg(entry.now.plus(limits::LEASE_MS).0).arg(why);
    // A refund waits for its payment alone.
    let needs = entry.needs.as_ref().filter(|_| entry.refund.is_none());
    script.arg(needs.map_or("", ClickId::as_str));
    script.arg(entry.click.as_ref().map_or("", ClickId::as_str)).arg(u8::from(entry.paid.is_some()));
    let (kind, of) = entry.refund.as_ref().map_or(("", Vec::new()), |refund| reference(&refund.of));
    script.arg(kind).arg(limits::CLICKS_KEPT_MS).arg(limits::NAMES_FOLLOWED);
    match &entry.code {
        Some(code) => {
            let max_uses = code.max_uses.map_or_else(String::new, |max| max.to_string());
            script.arg(code.code.as_str()).arg(max_uses);
        }
        None => {
            script.arg(&["", ""]);
        }
    }
    let (bound, customers) =
        entry.bind.as_ref().map_or(("", &[][..]), |(id, all)| (id.as_str(), all.as_slice()));
    script.arg(bound);
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
    script.arg(entry.names.len()).arg(&entry.names).arg(of.len()).arg(of).arg(customers.len()).arg(customers);
    for (field, value) in fields(entry) {
        script.arg(field).arg(value);
    }
    script.arg("fingerprint").arg(&entry.fingerprint[..]);
    script
}

/// What the script keeps and does not look at.
fn fields(entry: &Entry) -> impl Iterator<Item = (&'static str, String)> {
    let words = entry.refund.as_ref().map(|refund| refund.amount.words());
    let currency = match (&entry.paid, &entry.refund) {
        (Some(paid), _) => Some(paid.currency()),
        (None, refund) => refund.as_ref().and_then(|refund| refund.currency),
    };
    [
        ("source", Some(entry.source.as_str().to_owned())),
        ("job", Some(entry.job.word().to_owned())),
        ("key", Some(entry.key.clone())),
        ("body", Some(entry.body.clone())),
        ("trace", Some(entry.trace.clone())),
        ("created_at", Some(entry.now.0.to_string())),
        ("names", delivery::names_words(&entry.names)),
        ("click", entry.click.as_ref().map(|click| click.as_str().to_owned())),
        ("paid", entry.paid.map(|paid| paid.amount().to_string())),
        ("currency", currency.map(|currency| currency.to_string())),
        ("basis", words.map(|(basis, _)| basis.to_owned())),
        ("amount", words.and_then(|(_, amount)| amount).map(|amount| amount.to_string())),
    ]
    .into_iter()
    .filter_map(|(field, value)| value.map(|value| (field, value)))
}

/// The word for a way of naming a payment, and the names.
pub(super) fn reference(of: &PaymentRef) -> (&'static str, Vec<&str>) {
    match of {
        PaymentRef::Record(id) => ("record", vec![id.as_str()]),
        PaymentRef::Upstream(id) => ("upstream", vec![id]),
        PaymentRef::Named(names) => ("named", names.iter().map(String::as_str).collect()),
    }
}

fn written(entry: Entry, minted: bool, due: bool, lane: &str) -> Acceptance {
    let of_click =
        entry.mint.as_ref().filter(|_| minted).map(|(click, body)| delivery::of_click(click, body));
    let own = due.then(|| match lane {
        "" => delivery::of_entry(entry),
        lane => delivery::in_lane(delivery::of_entry(entry), lane),
    });
    let deliveries: Vec<_> = of_click.into_iter().chain(own).collect();
    if deliveries.is_empty() { Acceptance::Waiting } else { Acceptance::New(deliveries) }
}

/// See [`crate::Store::accepted`]. Whoever asks may answer that it is accepted, so replicas must have it as well.
pub(super) async fn accepted(
    links: &Links,
    site: &SiteName,
    source: &Source,
    job: Job,
    key: &str,
) -> Result<Option<(Vec<u8>, EntryState)>> {
    let find = |mut connection: MultiplexedConnection| async move {
        let mut get = redis::cmd("GET");
        get.arg(keys::taken(site, source, job, key));
        let id: Option<String> = get.query_async(&mut connection).await?;
        let Some(id) = id else { return Ok(None) };
        let mut get = redis::cmd("HMGET");
        get.arg(keys::delivery(site, &id)).arg(&["fingerprint", "state", "status", "answer"]);
        let found: (Option<Vec<u8>>, Option<String>, Option<String>, Option<String>) =
            get.query_async(&mut connection).await?;
        Ok(Some((id, found)))
    };
    let Some((id, (fingerprint, state, status, body))) = links.of(site).promise(find).await? else {
        return Ok(None);
    };
    let or_empty = Option::unwrap_or_default;
    let state = entry_state(site, &id, &or_empty(state), &or_empty(status), &or_empty(body))?;
    Ok(Some((fingerprint.unwrap_or_default(), state)))
}

fn entry_state(site: &SiteName, id: &str, state: &str, status: &str, body: &str) -> Result<EntryState> {
    Ok(EntryState {
        id: record_id(site, id)?,
        state: State::from_word(state).ok_or_else(|| unreadable(site, &format_args!("state of {id}")))?,
        answer: record::answer(status, body).map_err(|why| unreadable(site, &why))?,
    })
}

pub(super) fn record_id(site: &SiteName, id: &str) -> Result<RecordId> {
    RecordId::new(id).map_err(|why| unreadable(site, &why))
}

fn unreadable(site: &SiteName, why: &dyn std::fmt::Display) -> StoreError {
    fault::unreadable("an entry", site, why)
}
