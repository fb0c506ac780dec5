//! What doctor says: a verdict a line.

use crate::commands::{columns::Columns, words};
use serde_json::json;
use std::io::{self, Write};

/// How bad it is. The order is that of the words, from harmless to harmful.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// It holds.
    Ok,
    /// Worth knowing, or not looked at.
    Info,
    /// It works, but for some visitors or not for long.
    Warn,
    /// It does not hold.
    Fail,
}

impl Level {
    const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) level: Level,
    /// What was looked at, in a word that stays the same.
    pub(super) check: &'static str,
    /// What was found, and why it matters.
    pub(super) what: String,
    /// What to do about it; empty where there is nothing to do.
    pub(super) mend: String,
}

impl Verdict {
    pub(super) fn ok(check: &'static str, what: impl Into<String>) -> Self {
        Self::new(Level::Ok, check, what, "")
    }

    pub(super) fn info(check: &'static str, what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self::new(Level::Info, check, what, mend)
    }

    pub(super) fn warn(check: &'static str, what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self::new(Level::Warn, check, what, mend)
    }

    pub(super) fn fail(check: &'static str, what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self::new(Level::Fail, check, what, mend)
    }

    pub(super) fn new(
        level: Level,
        check: &'static str,
        what: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self { level, check, what: words::plain(&what.into()), mend: words::plain(&mend.into()) }
    }
}

/// One JSON object a line: `level`, `check`, `what`, `mend`.
pub(super) fn write_json(verdicts: &[Verdict], out: &mut dyn Write) -> io::Result<()> {
    for Verdict { level, check, what, mend } in verdicts {
        writeln!(out, "{}", json!({"level": level.word(), "check": check, "what": what, "mend": mend}))?;
    }
    Ok(())
}

/// Columns for people, and a line that sums them up.
pub(super) fn write_lines(host: &str, verdicts: &[Verdict], out: &mut dyn Write) -> io::Result<()> {
    let row = |verdict: &Verdict| {
        let Verdict { level, check, what, mend } = verdict;
        let text = if mend.is_empty() { what.clone() } else { format!("{what}; {mend}") };
        [level.word().to_owned(), (*check).to_owned(), text]
    };
    let rows: Vec<[String; 3]> = verdicts.iter().map(row).collect();
    let columns = Columns::fit(&rows);
    for row in &rows {
        columns.write(row, out)?;
    }
    let count = |level| verdicts.iter().filter(|verdict| verdict.level == level).count();
    writeln!(
        out,
        "{host}: {} will not hold, {} could be better, {} hold",
        count(Level::Fail),
        count(Level::Warn),
        count(Level::Ok)
    )
}

/// Whether anything will not hold.
pub(super) fn any_fails(verdicts: &[Verdict]) -> bool {
    verdicts.iter().any(|verdict| verdict.level == Level::Fail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_are_lines_and_cannot_become_two() {
        let verdicts = [
            Verdict::ok("dns", "a"),
            Verdict::fail("certificate", "expired\non\u{1b}[31m monday", "renew it"),
        ];
        let mut text = Vec::new();
        write_lines("shop.example", &verdicts, &mut text).expect("written");
        assert_eq!(
            String::from_utf8(text).expect("text"),
            "ok    dns          a\nfail  certificate  expired on\u{fffd}[31m monday; renew it\n\
             shop.example: 1 will not hold, 0 could be better, 1 hold\n"
        );
        let mut text = Vec::new();
        write_json(&verdicts, &mut text).expect("written");
        let first = String::from_utf8(text).expect("text");
        assert_eq!(first.lines().next(), Some(r#"{"check":"dns","level":"ok","mend":"","what":"a"}"#));
        assert!(any_fails(&verdicts) && !any_fails(&verdicts[..1]));
    }
}
