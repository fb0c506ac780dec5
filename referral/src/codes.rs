//! The grammars of codes and ids.

use alloc::string::String;

use crate::{MAX_CLICK_ID_BYTES, MAX_CODE_BYTES, MAX_PROMO_CODE_CHARS};

/// Whether `s` can be an affiliate's code: `[A-Za-z0-9_-]{1,64}`.
#[must_use]
pub fn is_code(s: &str) -> bool {
    is_word(s, MAX_CODE_BYTES)
}

/// Whether a code is a site's own and no affiliate's: it begins with `nav-`, in whatever case. Sites mark their own links so
/// (`?ref=nav-footer`), in parameters that name affiliates elsewhere; without such names each of these links would make a
/// click, and take the sale from whoever brought the visitor.
#[must_use]
pub fn is_internal(code: &str) -> bool {
    code.as_bytes().get(..4).is_some_and(|start| start.eq_ignore_ascii_case(b"nav-"))
}

/// Whether `s` can be a click id: `[A-Za-z0-9_-]{1,200}`, what every payment provider carries unchanged and what needs no
/// escaping in a cookie or a URL.
#[must_use]
pub fn is_click_id(s: &str) -> bool {
    is_word(s, MAX_CLICK_ID_BYTES)
}

/// A promo code as it is looked up: without what is invisible at its ends, in upper case.
///
/// Upper case is Unicode's default mapping without a locale, the same as `toUpperCase()` in JavaScript and `upper()` in
/// Python, because other programs write folded codes too. Nothing is normalised: a composed and a decomposed `é` differ.
///
/// `None` when nothing is left, when the folded code is longer than [`MAX_PROMO_CODE_CHARS`], or when it holds a control
/// character.
#[must_use]
pub fn fold_promo_code(s: &str) -> Option<String> {
    let trimmed = s.trim_matches(is_invisible);
    if trimmed.is_empty() || trimmed.chars().any(char::is_control) {
        return None;
    }
    let mut folded = String::new();
    for (i, c) in trimmed.chars().flat_map(char::to_uppercase).enumerate() {
        if i == MAX_PROMO_CODE_CHARS {
            return None;
        }
        folded.push(c);
    }
    Some(folded)
}

fn is_word(s: &str, max_bytes: usize) -> bool {
    (1..=max_bytes).contains(&s.len())
        && s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// White space (no-break space among it) and the zero-width characters that come along when a code is copied from a chat,
/// an e-mail or a spreadsheet.
fn is_invisible(c: char) -> bool {
    c.is_whitespace()
        || matches!(c, '\u{ad}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_one_alphabet_and_a_length() {
        let long = "a".repeat(MAX_CODE_BYTES);
        for good in ["a", "alice", "Al-1_ce", long.as_str()] {
            assert!(is_code(good), "{good}");
        }
        let too_long = "a".repeat(MAX_CODE_BYTES + 1);
        for bad in ["", " alice", "al ice", "al.ice", "älice", "a\0", "<b>", too_long.as_str()] {
            assert!(!is_code(bad), "{bad}");
        }
        assert!(is_click_id(&"a".repeat(MAX_CLICK_ID_BYTES)));
        assert!(!is_click_id(&"a".repeat(MAX_CLICK_ID_BYTES + 1)));
    }

    #[test]
    fn a_sites_own_names_begin_alike() {
        for own in ["nav-", "nav-footer", "NAV-Footer", "Nav-1"] {
            assert!(is_internal(own), "{own}");
        }
        for affiliates in ["", "nav", "navy", "nav_footer", "my-nav-", "alice"] {
            assert!(!is_internal(affiliates), "{affiliates}");
        }
    }

    #[test]
    fn promo_codes_fold() {
        for (written, folded) in [
            ("save10", Some("SAVE10")),
            ("  Save10\t\r\n", Some("SAVE10")),
            ("\u{feff}\u{a0}\u{200b}save10\u{200d}\u{2060}", Some("SAVE10")),
            ("\u{202e}save10\u{202c}", Some("SAVE10")),
            ("summer sale", Some("SUMMER SALE")),
            ("straße", Some("STRASSE")),
            ("été", Some("ÉTÉ")),
            ("ıi", Some("II")),
            ("", None),
            (" \u{200b}\u{feff}", None),
            ("sa\u{0}ve", None),
            ("sa\nve", None),
            ("\u{85}save", Some("SAVE")),
            ("save\u{7f}", None),
        ] {
            assert_eq!(fold_promo_code(written).as_deref(), folded, "{written:?}");
        }
    }

    #[test]
    fn promo_codes_are_counted_folded() {
        assert!(fold_promo_code(&"a".repeat(64)).is_some());
        assert!(fold_promo_code(&"a".repeat(65)).is_none());
        assert!(fold_promo_code(&"é".repeat(64)).is_some());
        assert!(fold_promo_code(&"ß".repeat(33)).is_none());
    }
}
