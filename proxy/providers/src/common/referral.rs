//! Where the referral is looked for, and small things about ids.

use super::json::Json;

/// The name under which merchants hand the click to a provider.
pub(crate) const KEY: &str = "affonso_referral";

/// The referral in the first of these metadata objects that has one.
pub(crate) fn in_metadata(event: &Json, objects: &[&str]) -> Option<String> {
    objects.iter().find_map(|path| click(event.get(path).member(KEY)))
}

/// The referral in a list of `{name, value}`; `name` and `value` are what the provider calls the two.
pub(crate) fn in_pairs(event: &Json, list: &str, name: &str, value: &str) -> Option<String> {
    event.list(list).iter().filter(|pair| pair.says(name, KEY)).find_map(|pair| click(pair.member(value)))
}

/// A value that can be a click's id. Reference fields hold other things too; the platform would refuse those.
pub(crate) fn click(value: &Json) -> Option<String> {
    value.as_text().filter(|text| referral::is_click_id(text))
}

/// The ids that are there, each once, in this order.
pub(crate) fn ids(all: impl IntoIterator<Item = Option<String>>) -> Vec<String> {
    let mut kept = Vec::new();
    for id in all.into_iter().flatten() {
        if !kept.contains(&id) {
            kept.push(id);
        }
    }
    kept
}
