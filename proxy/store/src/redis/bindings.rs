//! Customers and orders that are bound to clicks.

use super::{fault, keys, links::Links, scripts};
use crate::contract::Result;
use usher_model::{Bound, ClickId, OrderBinding, SiteName, UnixMs, limits};

/// See [`crate::Store::click_of_customer`].
pub(super) async fn click_of_customer(
    links: &Links,
    site: &SiteName,
    customer: &str,
) -> Result<Option<ClickId>> {
    let mut get = redis::cmd("GET");
    get.arg(keys::customer(site, customer));
    let found: Option<String> =
        links.of(site).read(|mut connection| async move { get.query_async(&mut connection).await }).await?;
    let read = |id| ClickId::new(id).map_err(|why| fault::unreadable("a customer", site, &why));
    found.map(read).transpose()
}

/// See [`crate::Store::bind_order`].
pub(super) async fn bind_order(
    links: &Links,
    site: &SiteName,
    order: &str,
    click: &ClickId,
    now: UnixMs,
) -> Result<Bound> {
    let mut script = scripts::BIND_ORDER.key(keys::outbox(site));
    script.arg(order).arg(click.as_str()).arg(now.0);
    script.arg(limits::ORDERS_PER_CLICK).arg(limits::CLICKS_KEPT_MS);
    let bound: bool = links.of(site).run_promise(&script).await?;
    Ok(if bound { Bound::Bound } else { Bound::TooMany })
}

/// See [`crate::Store::order`].
pub(super) async fn order(links: &Links, site: &SiteName, order: &str) -> Result<Option<OrderBinding>> {
    let mut get = redis::cmd("HMGET");
    get.arg(keys::order(site, order)).arg(&["click", "at", "contested_by"]);
    let (click, at, contested_by): (Option<String>, Option<i64>, Option<String>) =
        links.of(site).work(|mut connection| async move { get.query_async(&mut connection).await }).await?;
    let (Some(click), Some(at)) = (click, at) else { return Ok(None) };
    let click = ClickId::new(click).map_err(|why| fault::unreadable("an order", site, &why))?;
    Ok(Some(OrderBinding { click, at: UnixMs(at), contested: contested_by.is_some() }))
}
