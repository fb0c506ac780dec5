//! What holds for every address, and a slow, obvious reading of the rules to compare with.

use proptest::prelude::*;
use referral::{
    MAX_AD_CLICK_BYTES, MAX_PAIRS, MAX_PROMO_CODE_CHARS, MAX_TEXT_UTF16, Parameters, fold_promo_code,
    is_click_id, is_code, is_internal, parse, track_fields, urlencoded::pairs,
};

/// Strings that look enough like addresses to reach every branch.
fn address() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        Just("via"),
        Just("ref"),
        Just("%76ia"),
        Just("affonso_id"),
        Just("sub1"),
        Just("utm_source"),
        Just("gclid"),
        Just("x"),
        Just("")
    ];
    let value = prop_oneof![
        "[a-zA-Z0-9_-]{0,70}",
        "(%20|[+]){0,2}([nN]av-)?[a-c]{0,2}(%09|[+]){0,2}",
        "[a%+&=#?/;\u{e9}\u{1f600} ]{0,9}",
        "(%[0-9a-fA-F]{2}){0,6}",
        any::<String>()
    ];
    let delimiter = prop_oneof![
        8 => Just("&"), 1 => Just("?"), 1 => Just("#"), 1 => Just("#/a?"), 1 => Just(";"), 1 => Just("&&")
    ];
    let pair = (delimiter, name, prop_oneof![5 => Just("="), 1 => Just("")], value);
    (prop_oneof![Just("https://shop.example/"), Just("/"), Just("")], prop::collection::vec(pair, 0..12))
        .prop_map(|(start, parts)| {
            let pairs = parts.into_iter().map(|(d, n, eq, v)| format!("{d}{n}{eq}{v}"));
            format!("{start}?{}", pairs.collect::<String>())
        })
}

/// The rules once more, without a thought to speed or size.
fn naive_affiliate(url: &str, parameters: &Parameters) -> Option<String> {
    let (before, fragment) = url.split_once('#').unwrap_or((url, ""));
    let query = before.split_once('?').map(|(_, query)| query).unwrap_or_default();
    let in_fragment = if let Some(at) = fragment.find('?') {
        &fragment[at + 1..]
    } else if fragment.find('=').is_some_and(|eq| fragment.find('/').is_none_or(|slash| slash > eq)) {
        fragment
    } else {
        ""
    };
    for part in [query, in_fragment] {
        let pairs: Vec<(String, String)> = part
            .split('&')
            .filter(|s| !s.is_empty())
            .take(MAX_PAIRS)
            .map(|s| s.split_once('=').unwrap_or((s, "")))
            .map(|(n, v)| (naive_decode(n), naive_decode(v)))
            .collect();
        for parameter in parameters.names() {
            let codes = pairs.iter().filter(|(n, _)| n == parameter).map(|(_, v)| v.trim_ascii());
            let own = |code: &&str| code.to_lowercase().starts_with("nav-");
            if let Some(code) = codes.filter(|code| is_code(code)).find(|code| !own(code)) {
                return Some(code.to_owned());
            }
        }
    }
    None
}

fn naive_decode(s: &str) -> String {
    let bytes = s.replace('+', " ").into_bytes();
    let mut out = Vec::new();
    let mut i = 0;
    while i < bytes.len() {
        let hex = bytes.get(i + 1..i + 3).filter(|h| h.iter().all(u8::is_ascii_hexdigit));
        match (bytes[i], hex) {
            (b'%', Some(hex)) => {
                out.push(
                    (hex[0] as char)
                        .to_digit(16)
                        .zip((hex[1] as char).to_digit(16))
                        .map_or(0, |(h, l)| (h * 16 + l) as u8),
                );
                i += 3;
            }
            (other, _) => {
                out.push(other);
                i += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn percent(s: &str) -> String {
    s.bytes().map(|b| format!("%{b:02x}")).collect()
}

fn assert_valid(url: &str) {
    let referral = parse(url, &Parameters::default());
    assert!(referral.affiliate.as_deref().is_none_or(is_code));
    assert!(referral.affonso_id.as_deref().is_none_or(is_click_id));
    for (field, value) in track_fields(url, Parameters::default().names()) {
        assert!(!value.is_empty() && !value.chars().any(char::is_control), "{field}");
        assert!(value.encode_utf16().count() <= MAX_TEXT_UTF16.max(MAX_AD_CLICK_BYTES), "{field}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_string_gives_something_valid(url in any::<String>()) {
        assert_valid(&url);
        assert_valid(&format!("?{url}"));
    }

    #[test]
    fn any_bytes_give_something_valid(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        assert_valid(&format!("?via=a&sub1={}", String::from_utf8_lossy(&bytes)));
        let escaped: String = bytes.iter().map(|b| format!("%{b:02X}")).collect();
        assert_valid(&format!("?utm_source={escaped}&gclid={escaped}#/{escaped}?via={escaped}"));
        prop_assert!(pairs(&bytes).all(|(name, value)| name.len() + value.len() <= 3 * bytes.len()));
    }

    #[test]
    fn the_affiliate_is_the_naive_models(url in address()) {
        assert_valid(&url);
        for parameters in [Parameters::default(), Parameters::new(["ref", "x", "via"]).unwrap()] {
            prop_assert_eq!(parse(&url, &parameters).affiliate, naive_affiliate(&url, &parameters));
        }
    }

    #[test]
    fn decoding_undoes_percent_encoding(name in "\\PC{1,20}", value in any::<String>()) {
        let encoded = format!("{}={}", percent(&name), percent(&value));
        let read: Vec<_> = pairs(encoded.as_bytes()).collect();
        prop_assert_eq!(read, vec![(name.into(), value.into())]);
    }

    #[test]
    fn decoding_is_the_naive_models(raw in "[a-f0-9%+=\u{e9}]{0,20}") {
        let read: Vec<_> = pairs(raw.as_bytes()).map(|(n, v)| (n.into_owned(), v.into_owned())).collect();
        let expected = raw.split_once('=').unwrap_or((&raw, ""));
        let expected = (naive_decode(expected.0), naive_decode(expected.1));
        prop_assert_eq!(read, if raw.is_empty() { vec![] } else { vec![expected] });
    }

    #[test]
    fn encoding_a_code_changes_nothing(code in "[A-Za-z0-9_-]{1,64}") {
        prop_assume!(!is_internal(&code));
        let plain = parse(&format!("https://shop.example/?via={code}"), &Parameters::default());
        let encoded = parse(&format!("https://shop.example/?via={}", percent(&code)), &Parameters::default());
        prop_assert_eq!(plain.affiliate.as_deref(), Some(code.as_str()));
        prop_assert_eq!(plain, encoded);
    }

    #[test]
    fn folding_a_folded_code_changes_nothing(code in any::<String>()) {
        if let Some(folded) = fold_promo_code(&code) {
            prop_assert!(folded.chars().count() <= MAX_PROMO_CODE_CHARS);
            prop_assert_eq!(fold_promo_code(&folded), Some(folded.clone()));
            prop_assert_eq!(fold_promo_code(&format!(" \u{feff}{code}\u{a0}")), Some(folded));
        }
    }
}

#[test]
fn a_huge_address_is_read_quickly_and_keeps_little() {
    let huge = "%41".repeat(1_000_000);
    let url = format!("?via={huge}&{huge}=x&sub1={huge}&gclid={huge}&via=alice");
    let referral = parse(&url, &Parameters::default());
    assert_eq!(referral.affiliate.as_deref(), Some("alice"));
    assert_eq!(referral.sub[0].as_ref().map(String::len), Some(MAX_TEXT_UTF16));
    assert!(referral.ad_clicks.is_empty());
}
