//! An address as the fields of the platform's `/track`.

use alloc::{string::String, vec::Vec};

use crate::{
    MAX_AD_CLICK_BYTES, MAX_PAIRS, MAX_PARAMETER_BYTES, MAX_TEXT_UTF16,
    address::queries,
    codes::{is_click_id, is_code, is_internal},
    urlencoded::{decode, raw_pairs},
};

/// The field that names the affiliate.
pub(crate) const TRACKING_ID: &str = "trackingId";
/// The field for a click that was handed over; ours, not the platform's.
pub(crate) const AFFONSO_ID: &str = "affonsoId";
/// Bytes of an encoded name that are looked at: each byte can take three.
const MAX_RAW_NAME_BYTES: usize = 3 * MAX_PARAMETER_BYTES;
/// Bytes of an encoded value that are looked at: a UTF-16 code unit takes at most nine (three bytes, each as `%XX`), so what
/// is cut off is past every limit.
const MAX_RAW_VALUE_BYTES: usize = 9 * (MAX_TEXT_UTF16 + 1);

/// What a parameter holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    ClickId,
    Text,
    AdClick,
}

/// Parameters that mean the same on every site: the parameter, the field, and what it holds.
const KNOWN: [(&str, &str, Kind); 29] = [
    ("affonso_id", AFFONSO_ID, Kind::ClickId),
    ("sub1", "sub1", Kind::Text),
    ("sub2", "sub2", Kind::Text),
    ("sub3", "sub3", Kind::Text),
    ("sub4", "sub4", Kind::Text),
    ("sub5", "sub5", Kind::Text),
    ("utm_source", "utmSource", Kind::Text),
    ("utm_medium", "utmMedium", Kind::Text),
    ("utm_campaign", "utmCampaign", Kind::Text),
    ("utm_term", "utmTerm", Kind::Text),
    ("utm_content", "utmContent", Kind::Text),
    ("gclid", "gclid", Kind::AdClick),
    ("gbraid", "gbraid", Kind::AdClick),
    ("wbraid", "wbraid", Kind::AdClick),
    ("gad_source", "gadSource", Kind::AdClick),
    ("gad_campaignid", "gadCampaignid", Kind::AdClick),
    ("utm_agid", "utmAgid", Kind::AdClick),
    ("utm_adid", "utmAdid", Kind::AdClick),
    ("fbclid", "fbclid", Kind::AdClick),
    ("fbadid", "fbadid", Kind::AdClick),
    ("fbgid", "fbgid", Kind::AdClick),
    ("igshid", "igshid", Kind::AdClick),
    ("msclkid", "msclkid", Kind::AdClick),
    ("ttclid", "ttclid", Kind::AdClick),
    ("li_fat_id", "li_fat_id", Kind::AdClick),
    ("twclid", "twclid", Kind::AdClick),
    ("epik", "epik", Kind::AdClick),
    ("ScCid", "ScCid", Kind::AdClick),
    ("rdt_cid", "rdt_cid", Kind::AdClick),
];

/// Reads an address by the rules of [`parse`](crate::parse) and gives the fields of `/track`, each once: those that mean the
/// same on every site, as they stand in the address, and `trackingId`.
///
/// `parameters` are not checked: use [`Parameters`](crate::Parameters) for what a person wrote.
#[must_use]
pub fn track_fields<S: AsRef<[u8]>>(url: &str, parameters: &[S]) -> Vec<(&'static str, String)> {
    let mut fields = Vec::new();
    for query in queries(url) {
        let mut best_rank = parameters.len();
        let mut affiliate = None;
        for (name, value) in raw_pairs(query).take(MAX_PAIRS) {
            if name.len() > MAX_RAW_NAME_BYTES {
                continue;
            }
            let name = decode(name);
            let value = decode(value.get(..MAX_RAW_VALUE_BYTES).unwrap_or(value));
            // A link that was copied with the space behind it.
            let value = String::from(value.trim_ascii());
            if let Some(rank) = parameters.iter().position(|known| known.as_ref() == name.as_bytes()) {
                if rank < best_rank && is_code(&value) && !is_internal(&value) {
                    best_rank = rank;
                    affiliate = Some(value);
                }
            } else if let Some((_, field, kind)) = known(&name) {
                add(&mut fields, field, kind.checked(value));
            }
        }
        add(&mut fields, TRACKING_ID, affiliate);
    }
    fields
}

/// Whether a parameter already means something on every site.
pub(crate) fn is_reserved(name: &str) -> bool {
    known(name).is_some()
}

fn known(name: &str) -> Option<&'static (&'static str, &'static str, Kind)> {
    KNOWN.iter().find(|(parameter, ..)| *parameter == name)
}

/// The first value of a field stays.
fn add(fields: &mut Vec<(&'static str, String)>, field: &'static str, value: Option<String>) {
    if let Some(value) = value
        && fields.iter().all(|(taken, _)| *taken != field)
    {
        fields.push((field, value));
    }
}

impl Kind {
    fn checked(self, value: String) -> Option<String> {
        match self {
            Self::ClickId => is_click_id(&value).then_some(value),
            Self::Text => text(&value),
            Self::AdClick => is_ad_click(&value).then_some(value),
        }
    }
}

/// The value without control characters, cut to [`MAX_TEXT_UTF16`]; `None` when nothing is left.
fn text(value: &str) -> Option<String> {
    let mut kept = String::new();
    let mut units = 0;
    for c in value.chars().filter(|c| !c.is_control()) {
        units += c.len_utf16();
        if units > MAX_TEXT_UTF16 {
            break;
        }
        kept.push(c);
    }
    (!kept.is_empty()).then_some(kept)
}

fn is_ad_click(value: &str) -> bool {
    (1..=MAX_AD_CLICK_BYTES).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_graphic())
}
