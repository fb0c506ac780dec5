//! What the file may say already though this version does not act on it: checked, so that it is right when one does.

use super::{
    keys,
    reader::{Place, Section, Text, quoted},
};
use url::Url;
use usher_model::AffiliateCode;

/// Says that `key` changes nothing, when it is there.
pub(super) fn warn(section: &Section<'_>, key: &str) {
    if let Some((place, _)) = section.get(key) {
        not_served(&place);
    }
}

fn not_served(place: &Place<'_>) {
    place.warn("is read but not served by this version", "remove it, or leave it for a version that does");
}

/// `[[site.links]]`
pub(super) fn of_site(site: &Section<'_>) {
    let links = site.sections("links", keys::LINK);
    if let Some(first) = links.first() {
        not_served(first.place());
    }
    links.iter().for_each(link_of);
}

fn link_of(link: &Section<'_>) {
    for (key, mend) in [
        ("path", "add path = \"/spring\""),
        ("affiliate", "add affiliate = \"alice\""),
        ("to", "add to = \"https://shop.example/sale\""),
    ] {
        if link.get(key).is_none() {
            link.missing::<()>(key, mend);
        }
    }
    if let Some(path) = link.text("path").filter(|path| !path.text.starts_with('/')) {
        path.place.refuse::<()>(format!("is {}", quoted(path.text)), "begin it with a slash");
    }
    if let Some(affiliate) = link.text("affiliate")
        && let Err(error) = AffiliateCode::new(affiliate.text)
    {
        affiliate.place.refuse::<()>(format!("is {}", quoted(affiliate.text)), error.to_string());
    }
    if let Some(to) = link.text("to") {
        web_address(&to);
    }
}

fn web_address(written: &Text<'_>) {
    if !Url::parse(written.text).is_ok_and(|url| matches!(url.scheme(), "http" | "https")) {
        written
            .place
            .refuse::<()>(format!("is {}", quoted(written.text)), "write a whole http or https address");
    }
}
