//! What is wrong with a configuration, where, and how it is mended.

use std::fmt;

/// Whether a finding stops the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Severity {
    /// The configuration is refused whole.
    Error,
    /// A secret that is kept outside the file is not there: an error for whoever needs it.
    Absent,
    /// It works, but not as well as it could.
    Warning,
}

/// One thing that is wrong with a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// The file, as it was named.
    pub(crate) file: String,
    /// Line and column (in characters), both counted from 1; `None` when the file cannot be read at all.
    pub(crate) at: Option<(usize, usize)>,
    /// Whether it stops the service.
    pub(crate) severity: Severity,
    /// The key, with the tables above it (`site.cookie_days`); empty when it is about the file.
    pub(crate) key: String,
    /// What is wrong. Read after the key it makes a sentence.
    pub(crate) what: String,
    /// What to do about it; may be empty when `what` says it.
    pub(crate) mend: String,
}

impl Finding {
    /// Whether it stops the service.
    #[must_use]
    pub(crate) fn is_error(&self) -> bool {
        self.severity != Severity::Warning
    }
}

/// In the manner of compilers: `usher.toml:12:1: error: site.cookie_day is not a known key; did you mean cookie_days?`
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some((line, column)) = self.at {
            write!(f, ":{line}:{column}")?;
        }
        f.write_str(match self.severity {
            Severity::Error | Severity::Absent => ": error: ",
            Severity::Warning => ": warning: ",
        })?;
        if !self.key.is_empty() {
            write!(f, "{} ", self.key)?;
        }
        f.write_str(&self.what)?;
        if self.mend.is_empty() { Ok(()) } else { write!(f, "; {}", self.mend) }
    }
}
