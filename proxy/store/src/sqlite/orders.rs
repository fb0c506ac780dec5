//! Orders that a visitor's page tied to a click before the checkout left the browser.

use super::row::{self, get};
use crate::contract::Result;
use rusqlite::Connection;
use usher_model::{Bound, ClickId, OrderBinding, SiteName, UnixMs, limits};

pub(super) const FIND: &str =
    "SELECT click, created_at, contested_by FROM order_binding WHERE site = ?1 AND order_id = ?2";
/// How many orders a click has a hand in. The limit ends the counting, not only what is told.
const COUNT: &str = "SELECT count(*) FROM (
    SELECT 1 FROM order_binding WHERE site = ?1 AND click = ?2
    UNION ALL SELECT 1 FROM order_binding WHERE site = ?1 AND contested_by = ?2 LIMIT ?3)";

/// See [`crate::Store::bind_order`].
pub(super) fn bind(
    connection: &Connection,
    site: &SiteName,
    order: &str,
    click: &ClickId,
    now: UnixMs,
) -> Result<Bound> {
    let earlier = find(connection, site, order)?;
    if earlier.as_ref().is_some_and(|binding| binding.contested || binding.click == *click) {
        return Ok(Bound::Bound);
    }
    let most = limits::ORDERS_PER_CLICK;
    let count: u32 = connection
        .prepare_cached(COUNT)?
        .query_row((site.as_str(), click.as_str(), most), |row| row.get(0))?;
    if count >= most {
        return Ok(Bound::TooMany);
    }
    let sql = match earlier {
        Some(_) => "UPDATE order_binding SET contested_by = ?3 WHERE site = ?1 AND order_id = ?2",
        None => {
            "INSERT INTO order_binding (site, order_id, click, created_at) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (site, order_id) DO NOTHING"
        }
    };
    let mut statement = connection.prepare_cached(sql)?;
    match earlier {
        Some(_) => statement.execute((site.as_str(), order, click.as_str()))?,
        None => statement.execute((site.as_str(), order, click.as_str(), now.0))?,
    };
    Ok(Bound::Bound)
}

/// See [`crate::Store::order`].
pub(super) fn find(connection: &Connection, site: &SiteName, order: &str) -> Result<Option<OrderBinding>> {
    let mut statement = connection.prepare_cached(FIND)?;
    let mut rows = statement.query((site.as_str(), order))?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let contested = get::<Option<String>>(row, 2)?.is_some();
    Ok(Some(OrderBinding { click: row::parsed(row, 0)?, at: UnixMs(get(row, 1)?), contested }))
}
