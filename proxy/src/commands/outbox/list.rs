//! `usher outbox list`

use super::pages::Pages;
use crate::{
    cli::Standing,
    commands::{
        columns::Columns,
        complain,
        record::{last_words, next_try, state, tries},
        view::RecordView,
        words::{cut, plural, span, verb},
    },
};
use std::io::Write;
use usher_model::{Clock, Record, SiteName, State, UnixMs};
use usher_store::Store;

const TITLES: [&str; 8] = ["ID", "SITE", "JOB", "STATE", "AGE", "ATTEMPTS", "NEXT TRY", "LAST WORDS"];
/// How much of the last words a row shows.
const WORDS_CHARS: usize = 100;

/// What to list, and how.
pub(super) struct Wanted {
    pub(super) site: Option<SiteName>,
    pub(super) state: Option<Standing>,
    pub(super) limit: usize,
    pub(super) json: bool,
}

/// Prints records while they are read. Columns are as wide as the first page needs.
pub(super) async fn run(
    store: &dyn Store,
    wanted: &Wanted,
    clock: &dyn Clock,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let groups: &[Standing] = match &wanted.state {
        Some(state) => std::slice::from_ref(state),
        None => &[Standing::Dead, Standing::Waiting],
    };
    let mut left = wanted.limit;
    let mut columns = None;
    for group in groups {
        let mut pages = Pages::new(store, wanted.site.clone(), group.states());
        while left > 0 {
            let mut page = pages.next().await?;
            if page.is_empty() {
                break;
            }
            page.truncate(left);
            left -= page.len();
            match wanted.json {
                true => json(&page, out)?,
                false => table(&page, &mut columns, clock.now(), out)?,
            }
        }
    }
    if !wanted.json {
        if left == wanted.limit && wanted.limit > 0 {
            writeln!(out, "{}", nothing(wanted.state))?;
        }
        out.flush()?;
        hint(store, wanted).await;
    }
    Ok(())
}

fn json(page: &[Record], out: &mut dyn Write) -> anyhow::Result<()> {
    for record in page {
        serde_json::to_writer(&mut *out, &RecordView::from(record))?;
        writeln!(out)?;
    }
    Ok(())
}

fn table(
    page: &[Record],
    columns: &mut Option<Columns<8>>,
    now: UnixMs,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    let mut rows: Vec<_> = page.iter().map(|record| row(record, now)).collect();
    let columns = columns.get_or_insert_with(|| {
        rows.insert(0, TITLES.map(str::to_owned));
        Columns::fit(&rows)
    });
    rows.iter().try_for_each(|row| columns.write(row, out))
}

fn row(record: &Record, now: UnixMs) -> [String; 8] {
    [
        record.id.clone(),
        record.site.to_string(),
        record.job.word().to_owned(),
        state(record).to_owned(),
        span(now.since(record.created_at)),
        tries(record).to_string(),
        if record.state == State::Due { next_try(record, now) } else { "-".to_owned() },
        cut(&last_words(record, now), WORDS_CHARS),
    ]
}

const fn nothing(state: Option<Standing>) -> &'static str {
    match state {
        None => "The outbox is empty: nothing failed for good, and nothing waits.",
        Some(Standing::Dead) => "Nothing failed for good.",
        Some(Standing::Waiting) => "Nothing waits.",
        Some(Standing::Orphan) => "No refund lacks its payment.",
        Some(Standing::Closed) => "Nothing is closed.",
        Some(Standing::Delivered) => "Nothing has been delivered yet.",
        Some(Standing::All) => "There is nothing at all: no sale, lead, event or refund has been taken yet.",
    }
}

/// What the list does not show but somebody should know; for the person, not for a program that reads the list.
async fn hint(store: &dyn Store, wanted: &Wanted) {
    if wanted.state.is_some() {
        return;
    }
    let orphans = store.backlog().await.map_or(0, |backlog| backlog.orphans);
    if orphans > 0 {
        complain(&format!(
            "{} {} for a payment that nobody has reported: usher outbox list --state orphan",
            plural(orphans, "refund"),
            verb(orphans, "waits", "wait")
        ));
    }
}
