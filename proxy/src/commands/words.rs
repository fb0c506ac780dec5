//! Words for people: moments, spans of time, and texts that came over the wire.

use usher_model::UnixMs;

/// A moment to the second, as the log has it: `2026-11-21T07:32:56Z`.
pub(super) fn when(at: UnixMs) -> String {
    UnixMs(at.seconds().saturating_mul(1_000)).rfc3339()
}

/// A span of time in its largest unit: `40 s`, `12 min`, `3 h`, `9 d`. What is less than nothing is nothing: clocks step back.
pub(super) fn span(ms: i64) -> String {
    let seconds = ms.max(0) / 1_000;
    match seconds {
        0..100 => format!("{seconds} s"),
        100..6_000 => format!("{} min", seconds / 60),
        6_000..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// One line of text that others wrote. It cannot move the cursor, colour the terminal or turn the line around.
pub(super) fn plain(text: &str) -> String {
    let shown = |c: char| match c {
        c if c.is_whitespace() => ' ',
        c if c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}') =>
        {
            char::REPLACEMENT_CHARACTER
        }
        c => c,
    };
    text.trim().chars().map(shown).collect()
}

/// The beginning of a text, with a sign that there is more.
pub(super) fn cut(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        Some((end, _)) => format!("{}…", text[..end].trim_end()),
        None => text.to_owned(),
    }
}

/// A number and its noun.
pub(super) fn plural(count: u64, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// The same with the word that follows it.
pub(super) const fn verb(count: u64, one: &'static str, many: &'static str) -> &'static str {
    if count == 1 { one } else { many }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_keep_about_two_digits() {
        for (ms, shown) in [
            (-5, "0 s"),
            (999, "0 s"),
            (99_999, "99 s"),
            (100_000, "1 min"),
            (5_999_999, "99 min"),
            (6_000_000, "1 h"),
            (172_799_999, "47 h"),
            (172_800_000, "2 d"),
            (i64::MAX, "106751991167 d"),
        ] {
            assert_eq!(span(ms), shown, "{ms}");
        }
    }

    #[test]
    fn what_others_wrote_stays_one_plain_line() {
        assert_eq!(plain(" a\r\nb\t\u{1b}[31mc\u{202e}d\u{9b}é "), "a  b \u{fffd}[31mc\u{fffd}d\u{fffd}é");
        assert_eq!(when(UnixMs(1_764_000_000_999)), "2025-11-24T16:00:00Z");
        assert_eq!((cut("äöü", 3).as_str(), cut("äö üx", 3).as_str()), ("äöü", "äö…"));
    }
}
