//! Clicks.

use super::{fault, keys, links::Links, scripts};
use crate::{
    contract::{PendingClick, Result, StoreError},
    resolution,
};
use redis::aio::MultiplexedConnection;
use std::collections::HashMap;
use usher_model::{AffiliateCode, Click, ClickId, SiteName, UnixMs, VisitorKey, limits};

/// Clicks written by one call of the script, which nobody else can interrupt: a visitor's read waits no longer than that.
const AT_ONCE: usize = 100;

/// A click's fields as the scripts give and take them, in their order.
type Fields = (String, String, String, String, String);

/// See [`crate::Store::record_clicks`].
pub(super) async fn record(links: &Links, clicks: &[(Click, Option<PendingClick>)]) -> Result<()> {
    let mut sites: HashMap<&SiteName, Vec<&(Click, Option<PendingClick>)>> = HashMap::new();
    for click in clicks {
        sites.entry(&click.0.site).or_default().push(click);
    }
    for (site, clicks) in sites {
        for some in clicks.chunks(AT_ONCE) {
            let mut script = scripts::RECORD_CLICKS.key(keys::outbox(site));
            script.arg(limits::CLICKS_KEPT_MS);
            for (click, pending) in some {
                let (word, value) = resolution::upstream_words(&click.upstream);
                script.arg(click.id.as_str()).arg(click.affiliate.as_str()).arg(visitor_word(click.visitor));
                script.arg(click.created_at.0).arg(word).arg(value.unwrap_or_default());
                script.arg(u8::from(pending.is_some()));
                script.arg(pending.as_ref().map_or("", |pending| &pending.body));
                script.arg(pending.as_ref().map_or(0, |pending| pending.due_at.0));
            }
            let () = links.of(site).run_promise(&script).await?;
        }
    }
    Ok(())
}

/// See [`crate::Store::click`].
pub(super) async fn find(links: &Links, site: &SiteName, id: &ClickId) -> Result<Option<Click>> {
    let mut get = redis::cmd("HMGET");
    get.arg(keys::click(site, id)).arg(&["affiliate", "visitor", "created_at", "upstream", "value"]);
    type Found = (Option<String>, Option<String>, Option<String>, Option<String>, Option<String>);
    let found: Found =
        links.of(site).read(|mut connection| async move { get.query_async(&mut connection).await }).await?;
    let (Some(affiliate), visitor, created_at, upstream, value) = found else { return Ok(None) };
    let or_empty = Option::unwrap_or_default;
    let fields = (affiliate, or_empty(visitor), or_empty(created_at), or_empty(upstream), or_empty(value));
    click(site, id.clone(), fields).map(Some)
}

/// See [`crate::Store::click_of_visitor`].
pub(super) async fn newest(
    links: &Links,
    site: &SiteName,
    visitor: VisitorKey,
    since: UnixMs,
) -> Result<Option<Click>> {
    let mut script = scripts::NEWEST_CLICK.key(keys::outbox(site));
    script.arg(visitor_word(Some(visitor))).arg(since.0);
    let run =
        |mut connection: MultiplexedConnection| async move { script.invoke_async(&mut connection).await };
    let found: Vec<String> = links.of(site).read(run).await?;
    let Ok([id, affiliate, visitor, created_at, upstream, value]) = <[String; 6]>::try_from(found) else {
        return Ok(None);
    };
    let id = ClickId::new(id).map_err(|why| unreadable(site, &why))?;
    click(site, id, (affiliate, visitor, created_at, upstream, value)).map(Some)
}

/// A visitor's key as it stands in the names of keys; nothing for nobody.
pub(super) fn visitor_word(visitor: Option<VisitorKey>) -> String {
    visitor.map_or_else(String::new, |VisitorKey(key)| format!("{key:032x}"))
}

fn click(site: &SiteName, id: ClickId, fields: Fields) -> Result<Click> {
    let (affiliate, visitor, created_at, upstream, value) = fields;
    let visitor = match visitor.as_str() {
        "" => None,
        hex => Some(VisitorKey(u128::from_str_radix(hex, 16).map_err(|why| unreadable(site, &why))?)),
    };
    let upstream = resolution::upstream_of_words(&upstream, Some(value));
    Ok(Click {
        id,
        site: site.clone(),
        affiliate: AffiliateCode::new(affiliate).map_err(|why| unreadable(site, &why))?,
        visitor,
        created_at: UnixMs(created_at.parse().map_err(|why| unreadable(site, &why))?),
        upstream: upstream.ok_or_else(|| unreadable(site, &"what the platform calls it"))?,
    })
}

fn unreadable(site: &SiteName, why: &dyn std::fmt::Display) -> StoreError {
    fault::unreadable("a click", site, why)
}
