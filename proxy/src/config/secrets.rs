//! Secrets: `"literal"`, `{ env = "NAME" }` or `{ file = "PATH" }`.

use super::{
    environment::Env,
    keys,
    reader::{Place, Section, kind, quoted},
};
use std::path::Path;
use toml::{Spanned, de::DeValue};
use usher_model::{Secret, limits};

const MEND: &str = r#"write { env = "NAME" } or { file = "PATH" }"#;

/// What a secret has to be fit for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// Signing: any bytes.
    Key,
    /// `Authorization: Bearer` (RFC 6750 section 2.1): visible ASCII.
    Bearer,
}

/// Where secrets come from.
pub(super) struct Secrets<'e> {
    /// The surroundings of the file.
    pub(super) env: &'e dyn Env,
    /// The configuration file's folder, where relative paths begin.
    pub(super) folder: &'e Path,
}

impl Secrets<'_> {
    /// One secret.
    pub(super) fn one(&self, section: &Section<'_>, key: &str, fit: Use) -> Option<Secret> {
        let (place, value) = section.get(key)?;
        self.secret(&place, value, fit)
    }

    /// What is kept like a secret and is none: it may be written in clear.
    pub(super) fn open(&self, section: &Section<'_>, key: &str) -> Option<Secret> {
        let (place, value) = section.get(key)?;
        match value.get_ref() {
            DeValue::String(text) if !text.is_empty() && shell_variable(text).is_none() => {
                Some(Secret::new(&**text))
            }
            _ => self.written(&place, value).map(Secret::new),
        }
    }

    /// A list of secrets, or one.
    pub(super) fn list(&self, section: &Section<'_>, key: &str, fit: Use) -> Vec<Secret> {
        let Some((place, value)) = section.get(key) else { return Vec::new() };
        match value.get_ref() {
            DeValue::Array(list) => {
                list.iter().filter_map(|item| self.secret(&place.at(item.span()), item, fit)).collect()
            }
            _ => self.secret(&place, value, fit).into_iter().collect(),
        }
    }

    fn secret<'a>(&self, place: &Place<'a>, value: &'a Spanned<DeValue<'a>>, fit: Use) -> Option<Secret> {
        let text = self.written(place, value)?;
        if fit == Use::Bearer && !text.bytes().all(|b| b.is_ascii_graphic()) {
            return place.refuse(
                "holds white space or other characters that a bearer token cannot have",
                "use visible ASCII only",
            );
        }
        Some(Secret::new(text))
    }

    /// The text of a secret, wherever it is kept.
    pub(super) fn written<'a>(&self, place: &Place<'a>, value: &'a Spanned<DeValue<'a>>) -> Option<String> {
        match value.get_ref() {
            DeValue::String(text) if text.is_empty() => place.refuse("is empty", MEND),
            DeValue::String(text) => {
                if let Some(name) = shell_variable(text) {
                    let mend = format!("write {{ env = {name:?} }}");
                    return place
                        .refuse("is a variable as shells write it, which is not looked up here", mend);
                }
                place.warn("is written in clear", MEND);
                Some(text.to_string())
            }
            DeValue::Table(table) => self.kept(&Section::new(place.clone(), table, keys::SECRET)),
            DeValue::Array(_) => place.refuse("is a list", "it takes one secret"),
            other => place.refuse(format!("is {}", kind(other)), MEND),
        }
    }

    /// The text of a secret that is kept outside the file.
    fn kept(&self, section: &Section<'_>) -> Option<String> {
        match (section.text("env"), section.text("file")) {
            (Some(name), None) => match self.env.var(name.text) {
                Some(text) if text.is_empty() => name
                    .place
                    .absent(format!("names the variable {}, which is empty", quoted(name.text)), "set it"),
                Some(text) => Some(text),
                None => name.place.absent(
                    format!("names the variable {}, which is not set", quoted(name.text)),
                    "set it where usher is started",
                ),
            },
            (None, Some(path)) => {
                let full = self.folder.join(path.text);
                let refuse =
                    |what: String| path.place.absent(format!("names the file {full:?}, which {what}"), "");
                match self.env.read(&full, limits::SECRET_BYTES) {
                    Ok(text) => {
                        match text.strip_suffix('\n').map_or(&*text, |t| t.strip_suffix('\r').unwrap_or(t)) {
                            "" => refuse("is empty".to_owned()),
                            trimmed => Some(trimmed.to_owned()),
                        }
                    }
                    Err(error) => refuse(format!("cannot be read: {error}")),
                }
            }
            (Some(_), Some(_)) => {
                section.place().refuse("names both a variable and a file", "keep one of them")
            }
            (None, None) if section.is_empty() => {
                section.place().refuse("names neither a variable nor a file", MEND)
            }
            // Whatever stands there instead has been reported.
            (None, None) => None,
        }
    }
}

/// The name in `$NAME` or `${NAME}`.
fn shell_variable(text: &str) -> Option<&str> {
    let name = text.strip_prefix('$')?;
    let name = name.strip_prefix('{').and_then(|name| name.strip_suffix('}')).unwrap_or(name);
    let word = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
    (!name.is_empty() && name.bytes().all(word)).then_some(name)
}
