//! `usher outbox show`

use crate::commands::{
    record::{advice, attempts, standing, what},
    view::RecordView,
    words::{plain, span, when},
};
use std::io::Write;
use usher_model::{Record, UnixMs};

/// Prints all that is known of one record.
pub(super) fn print(record: &Record, now: UnixMs, json: bool, out: &mut dyn Write) -> anyhow::Result<()> {
    if json {
        serde_json::to_writer(&mut *out, &RecordView::from(record))?;
        writeln!(out)?;
        return Ok(());
    }
    writeln!(out, "{}, {}, site {}", record.id, what(record), record.site)?;
    writeln!(out, "It {}.", standing(record, now))?;
    if let Some(advice) = advice(record) {
        writeln!(out, "{advice}")?;
    }
    writeln!(out)?;
    let mut fact = |name: &str, value: &str| writeln!(out, "{name:<10}  {}", plain(value));
    let (came, ago) = (when(record.created_at), span(now.since(record.created_at)));
    fact("accepted", &format!("{came}, {ago} ago"))?;
    if let Some(source) = &record.source {
        fact("source", source.as_str())?;
    }
    if let Some(key) = &record.key {
        fact("key", key)?;
    }
    if !record.names.is_empty() {
        fact("names", &record.names.join(", "))?;
    }
    if let Some(click) = &record.click {
        fact("click", click.as_str())?;
    }
    if let Some(payment) = &record.payment {
        fact("payment", payment)?;
    }
    for line in attempts(record) {
        fact("tried", &line)?;
    }
    if let Some(at) = record.settled_at {
        fact("settled", &when(at))?;
    }
    if let Some(id) = &record.upstream_id {
        fact("platform", &format!("calls it {id}"))?;
    }
    fact("body", &record.body)?;
    if let Some(answer) = &record.answer {
        fact("answer", &format!("{} {}", answer.status, answer.body))?;
    }
    Ok(())
}
