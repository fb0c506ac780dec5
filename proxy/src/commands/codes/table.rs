//! Codes for people, in columns, and for programs, one JSON object a line.

use super::discount;
use crate::commands::columns::Columns;
use serde::Serialize;
use std::io::{self, Write};
use usher_model::{Code, PromoCode, UnixMs};

const TITLES: [&str; 8] =
    ["CODE", "AFFILIATE", "DISCOUNT", "USES", "STARTS", "EXPIRES", "STATE", "PROVIDER IDS"];

/// The JSON of a code in the store, and what is known beside it.
#[derive(Serialize)]
struct Line<'a> {
    code: &'a PromoCode,
    #[serde(flatten)]
    says: &'a Code,
    uses: u64,
    state: &'static str,
}

/// Prints codes and whether they count at `now`.
pub(super) fn list(
    codes: &[(PromoCode, Code)],
    now: UnixMs,
    json: bool,
    out: &mut dyn Write,
) -> io::Result<()> {
    if !json {
        return table(codes, now, out);
    }
    for (code, says) in codes {
        let line = Line { code, says, uses: says.uses, state: says.validity(now).word() };
        serde_json::to_writer(&mut *out, &line)?;
        writeln!(out)?;
    }
    Ok(())
}

fn table(codes: &[(PromoCode, Code)], now: UnixMs, out: &mut dyn Write) -> io::Result<()> {
    let mut rows = vec![TITLES.map(str::to_owned)];
    rows.extend(codes.iter().map(|(code, says)| row(code, says, now)));
    let columns = Columns::fit(&rows);
    rows.iter().try_for_each(|row| columns.write(row, out))
}

fn row(code: &PromoCode, says: &Code, now: UnixMs) -> [String; TITLES.len()] {
    let moment = |at: Option<UnixMs>| at.map_or_else(|| "-".to_owned(), UnixMs::rfc3339);
    [
        code.to_string(),
        says.affiliate.to_string(),
        says.discount.as_ref().map_or_else(|| "-".to_owned(), discount::show),
        says.max_uses.map_or_else(|| says.uses.to_string(), |max| format!("{}/{max}", says.uses)),
        moment(says.starts_at),
        moment(says.expires_at),
        says.validity(now).word().to_owned(),
        if says.provider_ids.is_empty() { "-".to_owned() } else { says.provider_ids.join(" ") },
    ]
}
