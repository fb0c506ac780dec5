//! What an address says about who sent the visitor.

use alloc::{string::String, vec::Vec};

use crate::{
    Parameters,
    fields::{AFFONSO_ID, TRACKING_ID, track_fields},
};

/// The code of the platform's test affiliate.
const TEST_CODE: &str = "test";

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
/// - Values lose the ASCII white space around them. What [`is_internal`](crate::is_internal) names no affiliate, and is skipped
///   as well.
/// - Codes are checked with [`is_code`](crate::is_code) and `affonso_id` with [`is_click_id`](crate::is_click_id).
/// - Sub ids and utm values lose their control characters and what is past
///   [`MAX_TEXT_UTF16`](crate::MAX_TEXT_UTF16): a cut label still tells the campaign. The id of an advertising network that
///   is longer than [`MAX_AD_CLICK_BYTES`](crate::MAX_AD_CLICK_BYTES), or not visible ASCII, is left out: half an id matches
///   nothing.
/// - Of the query and of the fragment the first [`MAX_PAIRS`](crate::MAX_PAIRS) pairs are looked at.
#[must_use]
pub fn parse(url: &str, parameters: &Parameters) -> Referral {
    let mut referral = Referral::default();
    for (field, value) in track_fields(url, parameters.names()) {
        match referral.slot(field) {
            Some(slot) => *slot = Some(value),
            None => referral.ad_clicks.push((field, value)),
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

    /// Where a field of `/track` belongs that is not an advertising network's.
    fn slot(&mut self, field: &str) -> Option<&mut Option<String>> {
        let [sub1, sub2, sub3, sub4, sub5] = &mut self.sub;
        Some(match field {
            TRACKING_ID => &mut self.affiliate,
            AFFONSO_ID => &mut self.affonso_id,
            "sub1" => sub1,
            "sub2" => sub2,
            "sub3" => sub3,
            "sub4" => sub4,
            "sub5" => sub5,
            "utmSource" => &mut self.utm.source,
            "utmMedium" => &mut self.utm.medium,
            "utmCampaign" => &mut self.utm.campaign,
            "utmTerm" => &mut self.utm.term,
            "utmContent" => &mut self.utm.content,
            _ => return None,
        })
    }
}
