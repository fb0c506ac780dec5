//! Who the platform knows as an affiliate, and what their visitors are offered.

use serde::Serialize;

/// An offer, as `/track` answers it to the snippet.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Offer {
    coupon_id: String,
    promo_code: &'static str,
    amount: u32,
    #[serde(rename = "type")]
    kind: &'static str,
    max_duration: Option<u32>,
}

/// The code that is nobody's, even when every code is an affiliate's.
const NOBODY: &str = "nobody";

/// Whether a code is an affiliate's: one of `listed`, or without a list every code but `nobody`.
pub(super) fn known(listed: Option<&[String]>, tracking_id: &str) -> bool {
    match listed {
        Some(listed) => listed.iter().any(|code| code == tracking_id),
        None => tracking_id != NOBODY && !tracking_id.chars().any(|c| c.is_whitespace() || c.is_control()),
    }
}

/// The platform's own id of an affiliate, made from the tracking id so that it stays the same.
pub(super) fn id_of(tracking_id: &str) -> String {
    format!("aff_{tracking_id}")
}

/// What the affiliate's visitors get off, if anything.
pub(super) fn offer_of(tracking_id: &str) -> Option<Offer> {
    let (promo_code, amount) = match tracking_id {
        "alice" => ("ALICE10", 10),
        "bob" => ("BOB15", 15),
        _ => return None,
    };
    Some(Offer {
        coupon_id: format!("coupon_{tracking_id}"),
        promo_code,
        amount,
        kind: "percentage",
        max_duration: None,
    })
}
