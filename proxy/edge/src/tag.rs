//! A site's tag, as the platform's own guide writes it (<https://affonso.io/help/faq/troubleshooting-tracking>), with the site's
//! names.

use crate::names::Names;
use usher_model::{Consent, Site};
use usher_page::Tag;

/// The tag of `site` for pages that reach its prefix under `base`: the prefix alone on its own hosts, or a whole URL. The
/// attributes need no escaping: the configuration lets no other characters in.
#[must_use]
pub fn tag(site: &Site, base: &str) -> Tag {
    let names = Names::derive(site.names_secret.as_ref(), &site.name);
    let mut data = vec![
        ("data-affonso", site.program.clone()),
        ("data-cookie_duration", site.cookie_days.to_string()),
        ("data-api-base", base.to_owned()),
    ];
    if site.consent == Consent::Required {
        data.push(("data-requires-consent", "true".to_owned()));
    }
    let at = |name: &str| format!("{base}/{name}");
    let also = [names.script.as_str(), "pixel.js", "pixel.min.js", "js/pixel.min.js"].map(at);
    Tag { src: at(&names.script), also: also.into(), data }
}
