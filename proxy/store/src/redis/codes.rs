//! Promo codes: a hash that other programs read and write as well, and our counts in a hash beside it.

use super::{keys, links::Links};
use crate::contract::Result;
use redis::{RedisResult, aio::MultiplexedConnection};
use std::collections::HashMap;
use usher_model::{Code, PromoCode, SiteName};

/// Fields read at once: a million codes are read in pages, so that other calls are answered in between.
const PAGE: usize = 1_000;

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// See [`crate::Store::codes`].
pub(super) async fn all(links: &Links, site: &SiteName) -> Result<Vec<(PromoCode, Code)>> {
    let values = links.of_codes(site).work(|connection| fields(connection, keys::codes(site))).await?;
    let uses = links.of(site).work(|connection| fields(connection, keys::code_uses(site))).await?;
    let uses: HashMap<PromoCode, u64> =
        uses.iter().filter_map(|(name, count)| counted(name, count)).collect();
    let mut codes: HashMap<PromoCode, (bool, Code)> = HashMap::with_capacity(values.len());
    for (name, value) in &values {
        match readable(name, value) {
            Ok((folded, exact, code)) => {
                // Two fields may fold to one code; the one that is written as documented counts.
                if exact || codes.get(&folded).is_none_or(|(other_is_exact, _)| !other_is_exact) {
                    codes.insert(folded, (exact, code));
                }
            }
            Err(why) => {
                let name = String::from_utf8_lossy(name);
                tracing::warn!(%site, code = %name, why, "a promo code is left out");
            }
        }
    }
    let counted = |(name, (_, code)): (PromoCode, (bool, Code))| {
        let uses = uses.get(&name).copied().unwrap_or(0);
        (name, Code { uses, ..code })
    };
    Ok(codes.into_iter().map(counted).collect())
}

/// See [`crate::Store::put_codes`].
pub(super) async fn put(links: &Links, site: &SiteName, codes: &[(PromoCode, Code)]) -> Result<()> {
    if codes.is_empty() {
        return Ok(());
    }
    // One command, so that all are written or none.
    let mut put = redis::cmd("HSET");
    put.arg(keys::codes(site));
    for (name, code) in codes {
        put.arg(name.as_str()).arg(code.to_json());
    }
    links.of_codes(site).promise(|mut connection| async move { put.query_async(&mut connection).await }).await
}

/// See [`crate::Store::remove_code`]. Every field that folds to the code goes, however others wrote it.
pub(super) async fn remove(links: &Links, site: &SiteName, code: &PromoCode) -> Result<bool> {
    let remove = |mut connection: MultiplexedConnection| async move {
        let all = fields(connection.clone(), keys::codes(site)).await?;
        let same =
            |name: &Vec<u8>| std::str::from_utf8(name).ok().and_then(PromoCode::fold).as_ref() == Some(code);
        let names: Vec<_> = all.into_iter().map(|(name, _)| name).filter(same).collect();
        let found = !names.is_empty();
        if found {
            let mut delete = redis::cmd("HDEL");
            let () = delete.arg(keys::codes(site)).arg(names).query_async(&mut connection).await?;
        }
        Ok(found)
    };
    let found = links.of_codes(site).promise(remove).await?;
    let mut delete = redis::cmd("HDEL");
    delete.arg(keys::code_uses(site)).arg(code.as_str());
    let () = links
        .of(site)
        .promise(|mut connection| async move { delete.query_async(&mut connection).await })
        .await?;
    Ok(found)
}

async fn fields(mut connection: MultiplexedConnection, key: String) -> RedisResult<Fields> {
    let mut all = Fields::new();
    let mut cursor = 0_u64;
    loop {
        let mut scan = redis::cmd("HSCAN");
        scan.arg(&key).arg(cursor).arg("COUNT").arg(PAGE);
        let (next, page): (u64, Fields) = scan.query_async(&mut connection).await?;
        all.extend(page);
        if next == 0 {
            return Ok(all);
        }
        cursor = next;
    }
}

fn readable(name: &[u8], value: &[u8]) -> std::result::Result<(PromoCode, bool, Code), String> {
    let name = std::str::from_utf8(name).map_err(|_| "its name is not UTF-8")?;
    let folded = PromoCode::fold(name).ok_or("its name is no code")?;
    let value = std::str::from_utf8(value).map_err(|_| "its value is not UTF-8")?;
    let code = Code::from_json(value).map_err(|why| why.to_string())?;
    let exact = folded.as_str() == name;
    Ok((folded, exact, code))
}

fn counted(name: &[u8], count: &[u8]) -> Option<(PromoCode, u64)> {
    let name = PromoCode::fold(std::str::from_utf8(name).ok()?)?;
    Some((name, std::str::from_utf8(count).ok()?.parse().ok()?))
}
