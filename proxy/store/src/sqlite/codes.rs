//! Promo codes.

use super::row::get;
use crate::contract::Result;
use rusqlite::Connection;
use usher_model::{Code, CodeUse, PromoCode, SiteName};

/// See [`crate::Store::codes`].
pub(super) fn all(connection: &Connection, site: &SiteName) -> Result<Vec<(PromoCode, Code)>> {
    let mut statement = connection.prepare_cached(
        "SELECT code, value, coalesce(uses, 0) FROM code LEFT JOIN code_use USING (site, code) WHERE site = ?1",
    )?;
    let mut rows = statement.query([site.as_str()])?;
    let mut codes = Vec::new();
    while let Some(row) = rows.next()? {
        let (name, value): (String, String) = (get(row, 0)?, get(row, 1)?);
        let uses = get::<i64>(row, 2)?.try_into().unwrap_or(0);
        match (PromoCode::fold(&name), Code::from_json(&value)) {
            (Some(folded), Ok(code)) => codes.push((folded, Code { uses, ..code })),
            (None, _) => tracing::warn!(%site, code = %name, "a promo code is left out: its name is no code"),
            (_, Err(why)) => tracing::warn!(%site, code = %name, %why, "a promo code is left out"),
        }
    }
    Ok(codes)
}

/// See [`crate::Store::put_codes`].
pub(super) fn put(connection: &Connection, site: &SiteName, codes: &[(PromoCode, Code)]) -> Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO code (site, code, value) VALUES (?1, ?2, ?3)
         ON CONFLICT (site, code) DO UPDATE SET value = excluded.value",
    )?;
    for (name, code) in codes {
        statement.execute((site.as_str(), name.as_str(), code.to_json()))?;
    }
    Ok(())
}

/// See [`crate::Store::remove_code`].
pub(super) fn remove(connection: &Connection, site: &SiteName, code: &PromoCode) -> Result<bool> {
    let which = (site.as_str(), code.as_str());
    let removed =
        connection.prepare_cached("DELETE FROM code WHERE site = ?1 AND code = ?2")?.execute(which)?;
    connection.prepare_cached("DELETE FROM code_use WHERE site = ?1 AND code = ?2")?.execute(which)?;
    Ok(removed > 0)
}

/// Counts a use; false when none is left.
pub(super) fn count_use(connection: &Connection, site: &SiteName, code_use: &CodeUse) -> Result<bool> {
    let Some(most) = code_use.max_uses else { return Ok(true) };
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let counted = connection
        .prepare_cached(
            "INSERT INTO code_use (site, code, uses) SELECT ?1, ?2, 1 WHERE ?3 > 0
             ON CONFLICT (site, code) DO UPDATE SET uses = uses + 1 WHERE uses < ?3",
        )?
        .execute((site.as_str(), code_use.code.as_str(), most))?;
    Ok(counted > 0)
}

/// A number that grows with every change of codes or uses, whichever process made it.
pub(super) fn revision(connection: &Connection) -> Result<i64> {
    Ok(connection.prepare_cached("SELECT revision FROM code_revision")?.query_row([], |row| row.get(0))?)
}
