//! Reads TOML tables key by key and writes down everything that is wrong with them, not just the first thing.

use super::{
    finding::{Finding, Severity},
    keys,
};
use std::{cell::RefCell, ops::Range};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// The findings about one file.
pub(super) struct Report<'a> {
    file: String,
    text: &'a str,
    found: RefCell<Vec<(usize, Finding)>>,
}

/// A key in the file.
#[derive(Clone)]
pub(super) struct Place<'a> {
    report: &'a Report<'a>,
    key: String,
    span: Range<usize>,
}

/// A text in the file.
#[derive(Clone)]
pub(super) struct Text<'a> {
    /// What it says.
    pub(super) text: &'a str,
    /// Where it stands.
    pub(super) place: Place<'a>,
}

/// A table in the file, whose unknown keys have been reported.
pub(super) struct Section<'a> {
    place: Place<'a>,
    table: &'a DeTable<'a>,
    known: &'static [&'static str],
}

impl<'a> Report<'a> {
    pub(super) fn new(file: String, text: &'a str) -> Self {
        Self { file, text, found: RefCell::default() }
    }

    /// Writes a finding down.
    pub(super) fn note(&self, severity: Severity, key: &str, offset: usize, what: String, mend: String) {
        let finding = Finding {
            file: self.file.clone(),
            at: Some(position(self.text, offset)),
            severity,
            key: key.to_owned(),
            what,
            mend,
        };
        self.found.borrow_mut().push((offset, finding));
    }

    /// The findings in the order of the file.
    pub(super) fn finish(self) -> Vec<Finding> {
        let mut found = self.found.into_inner();
        found.sort_by_key(|(offset, _)| *offset);
        found.into_iter().map(|(_, finding)| finding).collect()
    }
}

impl<'a> Place<'a> {
    /// Writes an error down. The `None` stands for the value that there is none of.
    pub(super) fn refuse<T>(&self, what: impl Into<String>, mend: impl Into<String>) -> Option<T> {
        self.report.note(Severity::Error, &self.key, self.span.start, what.into(), mend.into());
        None
    }

    /// Writes down that what is kept outside the file is not there.
    pub(super) fn absent<T>(&self, what: impl Into<String>, mend: impl Into<String>) -> Option<T> {
        self.report.note(Severity::Absent, &self.key, self.span.start, what.into(), mend.into());
        None
    }

    /// Writes a warning down.
    pub(super) fn warn(&self, what: impl Into<String>, mend: impl Into<String>) {
        self.report.note(Severity::Warning, &self.key, self.span.start, what.into(), mend.into());
    }

    /// Writes a warning down about `key`, which is not there.
    pub(super) fn warn_below(&self, key: &str, what: impl Into<String>, mend: impl Into<String>) {
        let full = if self.key.is_empty() { key.to_owned() } else { format!("{}.{key}", self.key) };
        self.report.note(Severity::Warning, &full, self.span.start, what.into(), mend.into());
    }

    /// Another place of the same key.
    pub(super) fn at(&self, span: Range<usize>) -> Self {
        Self { span, ..self.clone() }
    }

    fn below(&self, key: &str, span: Range<usize>) -> Self {
        let key = if self.key.is_empty() { shown(key) } else { format!("{}.{}", self.key, shown(key)) };
        Self { report: self.report, key, span }
    }
}

impl<'a> Section<'a> {
    /// The whole file.
    pub(super) fn root(
        report: &'a Report<'a>,
        table: &'a DeTable<'a>,
        known: &'static [&'static str],
    ) -> Self {
        Self::new(Place { report, key: String::new(), span: 0..0 }, table, known)
    }

    /// Takes a table and reports the keys that it does not know.
    pub(super) fn new(place: Place<'a>, table: &'a DeTable<'a>, known: &'static [&'static str]) -> Self {
        for key in table.keys() {
            let name: &str = key.get_ref();
            if !known.contains(&name) {
                place.below(name, key.span()).refuse::<()>("is not a known key", keys::meant(name, known));
            }
        }
        Self { place, table, known }
    }

    /// Where the table begins.
    pub(super) fn place(&self) -> &Place<'a> {
        &self.place
    }

    /// The value of `key` and its place; `None` when it is not there.
    pub(super) fn get(&self, key: &str) -> Option<(Place<'a>, &'a Spanned<DeValue<'a>>)> {
        debug_assert!(self.known.contains(&key), "{key} is read, so it is known");
        let value = self.table.get(key)?;
        Some((self.place.below(key, value.span()), value))
    }

    /// Where the value of `key` stands, or where it would.
    pub(super) fn place_of(&self, key: &str) -> Place<'a> {
        self.get(key).map_or_else(|| self.place.below(key, self.place.span.clone()), |(place, _)| place)
    }

    /// Whether it holds nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Whether `key` is a list with nothing in it.
    pub(super) fn is_empty_list(&self, key: &str) -> bool {
        self.get(key)
            .is_some_and(|(_, value)| matches!(value.get_ref(), DeValue::Array(list) if list.is_empty()))
    }

    /// Reports that `key` has to be there.
    pub(super) fn missing<T>(&self, key: &str, mend: &str) -> Option<T> {
        self.place_of(key).refuse("is missing", mend)
    }

    /// A text.
    pub(super) fn text(&self, key: &str) -> Option<Text<'a>> {
        let (place, value) = self.get(key)?;
        text(&place, value)
    }

    /// A text, or a list of texts.
    pub(super) fn texts(&self, key: &str) -> Option<Vec<Text<'a>>> {
        let (place, value) = self.get(key)?;
        match value.get_ref() {
            DeValue::Array(list) => {
                Some(list.iter().filter_map(|item| text(&place.at(item.span()), item)).collect())
            }
            DeValue::String(_) => text(&place, value).map(|one| vec![one]),
            other => place.refuse(format!("is {}", kind(other)), "write a text in quotes, or a list of them"),
        }
    }

    /// A whole number of `allowed`.
    pub(super) fn whole(&self, key: &str, allowed: std::ops::RangeInclusive<u16>) -> Option<u16> {
        let (place, value) = self.get(key)?;
        let mend = || format!("write a whole number from {} to {}", allowed.start(), allowed.end());
        let DeValue::Integer(number) = value.get_ref() else {
            return place.refuse(format!("is {}", kind(value.get_ref())), mend());
        };
        match u16::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) if allowed.contains(&number) => Some(number),
            _ => place.refuse(format!("is {}", cut(number.as_str())), mend()),
        }
    }

    /// `true` or `false`.
    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        let (place, value) = self.get(key)?;
        match value.get_ref() {
            DeValue::Boolean(flag) => Some(*flag),
            other => place.refuse(format!("is {}", kind(other)), "write true or false, without quotes"),
        }
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&self, key: &str, allowed: &[(&str, T)]) -> Option<T> {
        let written = self.text(key)?;
        let found = allowed.iter().find(|(word, _)| *word == written.text);
        found.map(|(_, meaning)| *meaning).or_else(|| {
            let words: Vec<String> = allowed.iter().map(|(word, _)| format!("{word:?}")).collect();
            written
                .place
                .refuse(format!("is {}", quoted(written.text)), format!("write one of {}", words.join(", ")))
        })
    }

    /// A table below this one.
    pub(super) fn section(&self, key: &str, known: &'static [&'static str]) -> Option<Section<'a>> {
        let (place, value) = self.get(key)?;
        match value.get_ref() {
            DeValue::Table(table) => Some(Section::new(place, table, known)),
            other => {
                let mend = format!("write it as a table: [{}]", place.key);
                place.refuse(format!("is {}", kind(other)), mend)
            }
        }
    }

    /// A list of tables below this one; empty when it is not there.
    pub(super) fn sections(&self, key: &str, known: &'static [&'static str]) -> Vec<Section<'a>> {
        let Some((place, value)) = self.get(key) else { return Vec::new() };
        let mend = format!("write each as [[{}]]", place.key);
        let DeValue::Array(list) = value.get_ref() else {
            place.refuse::<()>(format!("is {}", kind(value.get_ref())), mend);
            return Vec::new();
        };
        let table = |item: &'a Spanned<DeValue<'a>>| match item.get_ref() {
            DeValue::Table(table) => Some(Section::new(place.at(item.span()), table, known)),
            other => place.at(item.span()).refuse(format!("holds {}", kind(other)), mend.clone()),
        };
        list.iter().filter_map(table).collect()
    }
}

/// A value that must be a text.
pub(super) fn text<'a>(place: &Place<'a>, value: &'a Spanned<DeValue<'a>>) -> Option<Text<'a>> {
    match value.get_ref() {
        DeValue::String(text) => Some(Text { text, place: place.at(value.span()) }),
        other => place.at(value.span()).refuse(format!("is {}", kind(other)), "write a text in quotes"),
    }
}

/// What sort of value it is, in words.
pub(super) fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// What was written, in quotes, with what a terminal would act on escaped, and not too much of it.
pub(super) fn quoted(text: &str) -> String {
    format!("{:?}", cut(text))
}

fn cut(text: &str) -> String {
    const SHOWN_CHARS: usize = 80;
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// A key as TOML writes it: bare when it can be.
fn shown(key: &str) -> String {
    let bare = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if bare { cut(key) } else { quoted(key) }
}

/// Line and column of a byte, both from 1, columns in characters.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[start..].chars().count() + 1)
}
