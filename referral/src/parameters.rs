//! Which parameters of an address name an affiliate.

use alloc::{
    string::{String, ToString},
    vec::Vec,
};
use core::fmt;

use crate::{MAX_PARAMETER_BYTES, MAX_PARAMETERS, fields::is_reserved};

/// The parameters of a site that name an affiliate, in order of precedence.
///
/// The default is what the platform detects: `atp`, `via`, `affonso`, `aff`, `ref`
/// (<https://affonso.io/help/faq/custom-referral-parameters>).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameters {
    names: Vec<String>,
}

impl Parameters {
    /// Takes the names in order of precedence.
    ///
    /// # Errors
    /// When there are none or more than [`MAX_PARAMETERS`], or one is not `[A-Za-z0-9._~-]{1,64}`, stands there twice, or
    /// already means something else (`affonso_id`, `sub1`, `utm_source`, `gclid`, …).
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, ParameterError> {
        let mut checked: Vec<String> = Vec::new();
        for name in names {
            if checked.len() == MAX_PARAMETERS {
                return Err(ParameterError::TooMany);
            }
            if !is_name(name) {
                return Err(ParameterError::Invalid(name.chars().take(MAX_PARAMETER_BYTES).collect()));
            }
            if is_reserved(name) {
                return Err(ParameterError::Reserved(name.to_string()));
            }
            if checked.iter().any(|known| known == name) {
                return Err(ParameterError::Repeated(name.to_string()));
            }
            checked.push(name.to_string());
        }
        if checked.is_empty() { Err(ParameterError::None) } else { Ok(Self { names: checked }) }
    }

    /// The names, the one with the highest precedence first.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }
}

impl Default for Parameters {
    fn default() -> Self {
        Self { names: ["atp", "via", "affonso", "aff", "ref"].map(String::from).into() }
    }
}

/// Why a site's parameters were refused. Whoever wrote the configuration is to blame; a retry does not help.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParameterError {
    /// No name at all: no link could ever name an affiliate.
    None,
    /// More than [`MAX_PARAMETERS`].
    TooMany,
    /// Not `[A-Za-z0-9._~-]{1,64}`: it would need escaping in a link.
    Invalid(String),
    /// It already means something else.
    Reserved(String),
    /// It stands there twice.
    Repeated(String),
}

impl fmt::Display for ParameterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => write!(f, "no parameter is named; a link could never name an affiliate"),
            Self::TooMany => write!(f, "more than {MAX_PARAMETERS} parameters"),
            Self::Invalid(name) => {
                write!(
                    f,
                    "parameter {name:?} is not 1 to {MAX_PARAMETER_BYTES} letters, digits, '.', '_', '~' or '-'"
                )
            }
            Self::Reserved(name) => write!(f, "parameter {name:?} already has another meaning"),
            Self::Repeated(name) => write!(f, "parameter {name:?} is named twice"),
        }
    }
}

impl core::error::Error for ParameterError {}

/// The characters that need no escaping in a URL (RFC 3986 section 2.3).
fn is_name(name: &str) -> bool {
    (1..=MAX_PARAMETER_BYTES).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'~' | b'-'))
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    #[test]
    fn default_is_the_platforms() {
        let parameters = Parameters::default();
        assert_eq!(parameters.names(), ["atp", "via", "affonso", "aff", "ref"]);
        assert_eq!(Parameters::new(parameters.names().iter().map(String::as_str)), Ok(parameters));
    }

    #[test]
    fn refuses_what_could_not_work() {
        assert_eq!(Parameters::new([]), Err(ParameterError::None));
        assert_eq!(Parameters::new([""]), Err(ParameterError::Invalid("".into())));
        assert_eq!(Parameters::new(["a,b"]), Err(ParameterError::Invalid("a,b".into())));
        assert_eq!(Parameters::new(["via", "via"]), Err(ParameterError::Repeated("via".into())));
        for reserved in ["affonso_id", "sub1", "sub5", "utm_term", "gclid", "ScCid"] {
            assert_eq!(Parameters::new([reserved]), Err(ParameterError::Reserved(reserved.into())));
        }
        assert!(Parameters::new(["sub6", "Via", "partner.id", "~"]).is_ok());
        let many: Vec<String> = (0..=MAX_PARAMETERS).map(|i| format!("p{i}")).collect();
        assert_eq!(Parameters::new(many.iter().map(String::as_str)), Err(ParameterError::TooMany));
        assert!(Parameters::new(many[1..].iter().map(String::as_str)).is_ok());
    }
}
