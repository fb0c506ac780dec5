//! What an address says about who sent the visitor.

use alloc::{
    string::{String, ToString},
    vec::Vec,
};

use crate::{
    MAX_AD_CLICK_BYTES, MAX_PAIRS, MAX_PARAMETER_BYTES, MAX_TEXT_UTF16, Parameters,
    address::queries,
    codes::{is_click_id, is_code},
    urlencoded::{decode, raw_pairs},
};

/// The code of the platform's test affiliate.
const TEST_CODE: &str = "test";
/// The parameter that hands a click id over, between pages before consent and between domains.
const AFFONSO_ID: &str = "affonso_id";
const SUBS: [(&str, &str); 5] =
    [("sub1", "sub1"), ("sub2", "sub2"), ("sub3", "sub3"), ("sub4", "sub4"), ("sub5", "sub5")];
const UTMS: [(&str, &str); 5] = [
    ("utm_source", "utmSource"),
    ("utm_medium", "utmMedium"),
    ("utm_campaign", "utmCampaign"),
    ("utm_term", "utmTerm"),
    ("utm_content", "utmContent"),
];
/// The click ids of advertising networks: the parameter and the field of the platform's `/track` that takes it.
const AD_CLICKS: [(&str, &str); 18] = [
    ("gclid", "gclid"),
    ("gbraid", "gbraid"),
    ("wbraid", "wbraid"),
    ("gad_source", "gadSource"),
    ("gad_campaignid", "gadCampaignid"),
    ("utm_agid", "utmAgid"),
    ("utm_adid", "utmAdid"),
    ("fbclid", "fbclid"),
    ("fbadid", "fbadid"),
    ("fbgid", "fbgid"),
    ("igshid", "igshid"),
    ("msclkid", "msclkid"),
    ("ttclid", "ttclid"),
    ("li_fat_id", "li_fat_id"),
    ("twclid", "twclid"),
    ("epik", "epik"),
    ("ScCid", "ScCid"),
    ("rdt_cid", "rdt_cid"),
];
/// Bytes of an encoded name that are looked at: each byte can take three.
const MAX_RAW_NAME_BYTES: usize = 3 * MAX_PARAMETER_BYTES;
/// Bytes of an encoded value that are looked at: a UTF-16 code unit takes at most nine (three bytes, each as `%XX`). What
/// is cut off here is past every limit below.
const MAX_RAW_VALUE_BYTES: usize = 9 * (MAX_TEXT_UTF16 + 1);

/// What an address says about who sent the visitor.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Referral {
    /// The affiliate's code.
    pub affiliate: Option<String>,
    /// The code is that of the platform's test affiliate, `test`.
    pub is_test: bool,
    /// The click id that another page or domain handed over (`affonso_id`).
    pub affonso_id: Option<String>,
    /// `sub1` to `sub5`.
    pub sub: [Option<String>; 5],
    /// The campaign.
    pub utm: Utm,
    /// Click ids of advertising networks: the field's name in the platform's `/track`, and the id. Each field once, in the
    /// order of the address.
    pub ad_clicks: Vec<(&'static str, String)>,
}

/// The campaign parameters (<https://support.google.com/analytics/answer/10917952>).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Utm {
    /// `utm_source`
    pub source: Option<String>,
    /// `utm_medium`
    pub medium: Option<String>,
    /// `utm_campaign`
    pub campaign: Option<String>,
    /// `utm_term`
    pub term: Option<String>,
    /// `utm_content`
    pub content: Option<String>,
}

/// Reads an address: a whole URL, or one that begins with `/`, `?` or `#`.
///
/// - The pairs are those of the query, then those of the fragment when it is read as a query: after its first `?`
///   (`#/cart?via=x`), else whole when it holds a `=` and no `/` before it (`#via=x`). They are decoded as the URL standard
///   decodes `application/x-www-form-urlencoded`. Names match exactly.
/// - Of a repeated parameter the first valid value counts; an empty one, or one outside its grammar, is skipped. Of
///   different parameters that name an affiliate the site's order decides, but anything in the query counts before anything
///   in the fragment.
/// - Codes are checked with [`is_code`](crate::is_code) and `affonso_id` with [`is_click_id`](crate::is_click_id).
/// - Sub ids and utm values lose their control characters and what is past [`MAX_TEXT_UTF16`]: a cut label still tells the
///   campaign. The id of an advertising network that is longer than [`MAX_AD_CLICK_BYTES`], or not visible ASCII, is left
///   out: half an id matches nothing.
/// - Of the query and of the fragment the first [`MAX_PAIRS`](crate::MAX_PAIRS) pairs are looked at.
#[must_use]
pub fn parse(url: &str, parameters: &Parameters) -> Referral {
    let mut referral = Referral::default();
    for query in queries(url) {
        let mut best: Option<(usize, String)> = None;
        for (name, value) in raw_pairs(query.as_bytes()).take(MAX_PAIRS) {
            if name.len() > MAX_RAW_NAME_BYTES {
                continue;
            }
            let name = decode(name);
            let value = decode(value.get(..MAX_RAW_VALUE_BYTES).unwrap_or(value));
            match parameters.rank(&name) {
                Some(rank) if is_code(&value) && best.as_ref().is_none_or(|(known, _)| rank < *known) => {
                    best = Some((rank, value.into_owned()));
                }
                Some(_) => {}
                None => referral.take(&name, &value),
            }
        }
        if referral.affiliate.is_none() {
            referral.affiliate = best.map(|(_, code)| code);
        }
    }
    referral.is_test = referral.affiliate.as_deref() == Some(TEST_CODE);
    referral
}

impl Referral {
    /// Whether the address names an affiliate or hands over a click. Without either the rest means nothing to us.
    #[must_use]
    pub fn is_present(&self) -> bool {
        self.affiliate.is_some() || self.affonso_id.is_some()
    }

    /// What is known as fields of the platform's `/track` (camelCase), and `affonsoId`, which is ours.
    pub fn track_fields(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let ids = [("trackingId", &self.affiliate), ("affonsoId", &self.affonso_id)];
        let subs = SUBS.iter().map(|(_, field)| *field).zip(&self.sub);
        let Utm { source, medium, campaign, term, content } = &self.utm;
        let utms = UTMS.iter().map(|(_, field)| *field).zip([source, medium, campaign, term, content]);
        let ads = self.ad_clicks.iter().map(|(field, id)| (*field, id.as_str()));
        let texts = ids.into_iter().chain(subs).chain(utms);
        texts.filter_map(|(field, value)| value.as_deref().map(|value| (field, value))).chain(ads)
    }

    /// Takes a pair that does not name an affiliate.
    fn take(&mut self, name: &str, value: &str) {
        if name == AFFONSO_ID {
            if self.affonso_id.is_none() && is_click_id(value) {
                self.affonso_id = Some(value.to_string());
            }
        } else if let Some(slot) = self.text_slot(name) {
            if slot.is_none() {
                *slot = text(value);
            }
        } else if let Some((_, field)) = AD_CLICKS.iter().find(|(known, _)| *known == name)
            && is_ad_click(value)
            && self.ad_clicks.iter().all(|(known, _)| known != field)
        {
            self.ad_clicks.push((field, value.to_string()));
        }
    }

    fn text_slot(&mut self, name: &str) -> Option<&mut Option<String>> {
        if let Some(i) = SUBS.iter().position(|(known, _)| *known == name) {
            return self.sub.get_mut(i);
        }
        let Utm { source, medium, campaign, term, content } = &mut self.utm;
        let slots = [source, medium, campaign, term, content];
        UTMS.iter().zip(slots).find(|((known, _), _)| *known == name).map(|(_, slot)| slot)
    }
}

/// Whether a parameter already means something that is not an affiliate.
pub(crate) fn is_reserved(name: &str) -> bool {
    name == AFFONSO_ID || SUBS.iter().chain(&UTMS).chain(&AD_CLICKS).any(|(known, _)| *known == name)
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
