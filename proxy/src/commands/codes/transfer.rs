//! Codes as CSV (RFC 4180), to and from spreadsheets.

use super::{check_span, discount};
use crate::{
    cli::moment,
    commands::{complain, progress::Progress},
};
use anyhow::{Context, anyhow, bail};
use csv::{ReaderBuilder, StringRecord, Trim};
use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read, Write},
    path::Path,
};
use usher_model::{AffiliateCode, Code, PromoCode, SiteName, UnixMs};
use usher_store::Store;

/// The columns; a file may have them in any order and leave all but the first two out.
const COLUMNS: [&str; 7] =
    ["code", "affiliate", "discount", "starts_at", "expires_at", "max_uses", "provider_ids"];
/// Codes written in one transaction.
const WRITTEN_AT_ONCE: usize = 1_000;

/// Reads all rows of a file, or says what is wrong with each.
///
/// # Errors
/// When one row is wrong; the lines have then gone to standard error.
pub(super) fn read(file: &Path) -> anyhow::Result<Vec<(PromoCode, Code)>> {
    let shown = file.display();
    let mut text = String::new();
    let size = match file.to_str() {
        Some("-") => io::stdin().read_to_string(&mut text),
        _ => File::open(file).and_then(|mut file| file.read_to_string(&mut text)),
    };
    if size.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::InvalidData) {
        bail!("{shown} is not UTF-8; save it as \"CSV UTF-8\"");
    }
    size.with_context(|| format!("{shown} cannot be read"))?;
    // Excel begins its files with a byte order mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let (codes, faults) = parse(text).with_context(|| shown.to_string())?;
    if faults.is_empty() {
        return Ok(codes);
    }
    for (line, fault) in &faults {
        complain(&format!("{shown}:{line}: error: {fault}"));
    }
    bail!("{shown}: rows that are wrong: {}; nothing was written", faults.len())
}

/// Writes codes in transactions of a bearable size, and shows on a terminal how far it is.
pub(super) async fn write(
    store: &dyn Store,
    site: &SiteName,
    codes: Vec<(PromoCode, Code)>,
) -> anyhow::Result<()> {
    let total = codes.len();
    let progress = (total > WRITTEN_AT_ONCE).then(|| Progress::new(Some(total as u64), "codes written"));
    let mut written = 0;
    let mut rest = codes.into_iter().peekable();
    while rest.peek().is_some() {
        let batch: Vec<_> = rest.by_ref().take(WRITTEN_AT_ONCE).collect();
        let count = batch.len();
        store
            .put_codes(site, batch)
            .await
            .with_context(|| format!("{written} of {total} codes were written; import the file again"))?;
        written += count;
        if let Some(progress) = &progress {
            progress.at(written as u64);
        }
    }
    Ok(())
}

/// Prints codes as [`read`] takes them.
pub(super) fn export(codes: &[(PromoCode, Code)], out: &mut dyn Write) -> anyhow::Result<()> {
    let mut csv = csv::Writer::from_writer(out);
    csv.write_record(COLUMNS)?;
    for (code, says) in codes {
        let discount = says.discount.as_ref().map(serde_json::to_string).transpose()?.unwrap_or_default();
        let moment = |at: Option<UnixMs>| at.map(UnixMs::rfc3339).unwrap_or_default();
        let max_uses = says.max_uses.map(|max| max.to_string()).unwrap_or_default();
        let affiliate = says.affiliate.as_str();
        let (starts, expires) = (moment(says.starts_at), moment(says.expires_at));
        let ids = says.provider_ids.join(" ");
        csv.write_record([code.as_str(), affiliate, &discount, &starts, &expires, &max_uses, &ids])?;
    }
    csv.flush()?;
    Ok(())
}

/// What a file holds, and by line what is wrong with it.
type Parsed = (Vec<(PromoCode, Code)>, Vec<(u64, String)>);

fn parse(text: &str) -> anyhow::Result<Parsed> {
    let mut csv = ReaderBuilder::new().trim(Trim::All).flexible(true).from_reader(text.as_bytes());
    let columns = columns(&csv.headers()?.clone())?;
    let (mut codes, mut faults) = (Vec::new(), Vec::new());
    let mut seen: HashMap<PromoCode, u64> = HashMap::new();
    for record in csv.records() {
        let record = record?;
        // Spreadsheets leave rows of nothing but commas behind.
        if record.iter().all(str::is_empty) {
            continue;
        }
        let line = line(&record, text);
        match row(&record, &columns) {
            Ok((code, says)) => match seen.insert(code.clone(), line) {
                Some(earlier) => faults.push((line, format!("{code} stands in line {earlier} already"))),
                None => codes.push((code, says)),
            },
            Err(fault) => faults.push((line, fault)),
        }
    }
    Ok((codes, faults))
}

/// The line where a row begins. The reader's position is where it began to look for the row, before any empty lines.
fn line(record: &StringRecord, text: &str) -> u64 {
    let Some(position) = record.position() else { return 0 };
    let from = usize::try_from(position.byte())
        .ok()
        .and_then(|byte| text.as_bytes().get(byte..))
        .unwrap_or_default();
    let empty =
        from.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).filter(|byte| **byte == b'\n').count();
    position.line() + empty as u64
}

/// Which column of the file is which of [`COLUMNS`].
fn columns(header: &StringRecord) -> anyhow::Result<Vec<&'static str>> {
    // Spreadsheets write semicolons and tabs where the comma is the decimal sign.
    if header.len() == 1 && header.iter().any(|all| all.contains([';', '\t'])) {
        bail!(
            "line 1: the columns are not separated by commas; save it with commas, as {}",
            COLUMNS.join(",")
        );
    }
    let name = |written: &str| {
        COLUMNS
            .into_iter()
            .find(|name| name.eq_ignore_ascii_case(written))
            .ok_or_else(|| anyhow!("line 1: {written:?} is no column; write {}", COLUMNS.join(",")))
    };
    let columns: Vec<&'static str> = header.iter().map(name).collect::<Result<_, _>>()?;
    for needed in &COLUMNS[..2] {
        if !columns.contains(needed) {
            bail!("line 1: there is no column {needed:?}; write {}", COLUMNS.join(","));
        }
    }
    match columns.iter().enumerate().find(|(at, name)| columns[..*at].contains(*name)) {
        Some((_, twice)) => bail!("line 1: the column {twice:?} stands there twice"),
        None => Ok(columns),
    }
}

fn row(record: &StringRecord, columns: &[&'static str]) -> Result<(PromoCode, Code), String> {
    if record.len() > columns.len() {
        return Err(format!(
            "has {} cells for {} columns; quote a cell that holds a comma",
            record.len(),
            columns.len()
        ));
    }
    let cell = |name: &str| {
        let at = columns.iter().position(|column| *column == name)?;
        record.get(at).filter(|cell| !cell.is_empty())
    };
    let when =
        |name: &str| cell(name).map(|text| moment(text).map_err(|mend| wrong(name, text, &mend))).transpose();
    let code = cell("code").ok_or("code is empty")?;
    let affiliate = cell("affiliate").ok_or("affiliate is empty")?;
    let max_uses = |text: &str| text.parse().map_err(|_| wrong("max_uses", text, "write a whole number"));
    let says = Code {
        affiliate: AffiliateCode::new(affiliate)
            .map_err(|error| wrong("affiliate", affiliate, &error.to_string()))?,
        discount: cell("discount")
            .map(|text| discount::read(text).map_err(|why| format!("discount {why}")))
            .transpose()?,
        starts_at: when("starts_at")?,
        expires_at: when("expires_at")?,
        max_uses: cell("max_uses").map(max_uses).transpose()?,
        provider_ids: cell("provider_ids")
            .map(|ids| ids.split_whitespace().map(str::to_owned).collect())
            .unwrap_or_default(),
        uses: 0,
    };
    check_span(&says)?;
    let code = PromoCode::fold(code).ok_or_else(|| wrong("code", code, "write 1 to 64 characters"))?;
    Ok((code, says))
}

fn wrong(column: &str, cell: &str, mend: &str) -> String {
    format!("{column} is {cell:?}; {mend}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn faults(csv: &str) -> Vec<(u64, String)> {
        parse(csv).expect("a header").1
    }

    #[test]
    fn every_wrong_row_is_reported_with_its_own_line() {
        let csv = "code,affiliate,discount,max_uses\r\n\r\nok,alice,,\r\n\r\n,alice,,\n\"ok2\",al ice,,\nOK,bob,,\n\
                   d,bob,\"{\n\",\ne,bob,,many\nf,bob,,1,2\n,,,\n";
        let lines: Vec<u64> = faults(csv).iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [5, 6, 7, 8, 10, 11], "{:?}", faults(csv));
        assert_eq!(faults(csv)[2].1, "OK stands in line 3 already");
        assert!(
            faults("code,affiliate,starts_at,expires_at\na,b,2026-01-02,2026-01-01")[0]
                .1
                .contains("never count")
        );
    }

    #[test]
    fn a_header_has_to_name_known_columns_once() {
        for (header, says) in [
            ("code,affiliat", "\"affiliat\" is no column"),
            ("code", "no column \"affiliate\""),
            ("code,affiliate,Code", "stands there twice"),
        ] {
            let error = parse(&format!("{header}\na,b\n")).expect_err(header).to_string();
            assert!(error.contains(says), "{header}: {error}");
        }
        assert!(parse("").expect_err("nothing").to_string().contains("no column \"code\""));
    }

    #[test]
    fn columns_come_in_any_order_and_cells_may_be_left_out() {
        let (codes, faults) =
            parse("Affiliate, code ,max_uses\nalice, spring ,3\nbob,winter\n").expect("a header");
        assert_eq!((codes.len(), faults), (2, Vec::new()));
        assert_eq!(
            (codes[0].0.as_str(), codes[0].1.max_uses, codes[1].1.max_uses),
            ("SPRING", Some(3), None)
        );
    }

    proptest! {
        #[test]
        fn nothing_panics_and_what_is_exported_is_imported(text in "(?s)(code,affiliate,discount\n)?.{0,200}") {
            if let Ok((codes, _)) = parse(&text) {
                let mut out = Vec::new();
                export(&codes, &mut out).expect("written");
                let (again, faults) = parse(std::str::from_utf8(&out).expect("UTF-8")).expect("a header");
                prop_assert_eq!(faults, Vec::new());
                prop_assert_eq!(again, codes);
            }
        }

        #[test]
        fn codes_survive_the_way_there_and_back(
            code in "\\PC{1,20}", affiliate in "[A-Za-z0-9_-]{1,64}", note in "(?s).{0,20}", at in 0..4_000_000_000_000_i64,
            max_uses: Option<u64>,
        ) {
            let Some(code) = PromoCode::fold(&code) else { return Ok(()) };
            let discount = serde_json::json!({"amount": 7.5, "note": note}).as_object().cloned();
            let affiliate = AffiliateCode::new(affiliate).expect("the grammar");
            let says = Code { affiliate, discount, starts_at: Some(UnixMs(at)), expires_at: None, max_uses, provider_ids: vec!["promo_1".to_owned()], uses: 0 };
            let mut out = Vec::new();
            export(&[(code.clone(), says.clone())], &mut out).expect("written");
            let (again, faults) = parse(std::str::from_utf8(&out).expect("UTF-8")).expect("a header");
            prop_assert_eq!(faults, Vec::new());
            prop_assert_eq!(again, vec![(code, says)]);
        }
    }
}
