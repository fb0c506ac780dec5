//! One field line: `name ":" OWS value OWS` (RFC 9112 section 5).

use super::{
    name::Name,
    octets::{self, is_value, trim},
    offence::Offence,
};
use usher_model::limits::{FIELD_NAME_BYTES, FIELD_VALUE_BYTES};

/// A field line, told apart; offsets count from its own first byte.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    pub(super) colon: usize,
    pub(super) value_begin: usize,
    pub(super) value_end: usize,
    pub(super) name: Name,
    /// Whether the line goes on as it came.
    pub(super) is_canonical: bool,
}

impl Field {
    /// Reads it from a line without its end.
    pub(super) fn parse(line: &[u8]) -> Result<Self, Offence> {
        if matches!(line.first(), Some(b' ' | b'\t')) {
            return Err(Offence::Folded);
        }
        let colon = memchr::memchr(b':', line).ok_or(Offence::FieldName)?;
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        let is_plain = octets::token(name).ok_or(Offence::FieldName)?;
        if !is_value(value) {
            return Err(Offence::FieldValue);
        }
        let (begin, end) = trim(value);
        if name.len() > FIELD_NAME_BYTES || end - begin > FIELD_VALUE_BYTES {
            return Err(Offence::HeadTooLarge);
        }
        Ok(Self {
            colon,
            value_begin: colon + 1 + begin,
            value_end: colon + 1 + end,
            name: if is_plain { Name::of_plain(name) } else { Name::Dropped },
            is_canonical: end == value.len() && matches!(value[..begin], [] | [b' ']),
        })
    }

    /// The name, as it came.
    pub(super) fn name<'l>(&self, line: &'l [u8]) -> &'l [u8] {
        &line[..self.colon]
    }

    /// The value without the white space around it.
    pub(super) fn value<'l>(&self, line: &'l [u8]) -> &'l [u8] {
        &line[self.value_begin..self.value_end]
    }
}
