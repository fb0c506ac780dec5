//! All sites together: no two may claim the same requests.

use super::{keys, links::is_below, reader::Section, secrets::Secrets, site};
use usher_model::Site;
use usher_providers::Webhook;

/// `None` when there is none, or something about one is wrong, which has then been reported.
pub(super) fn read(root: &Section<'_>, secrets: &Secrets<'_>) -> Option<Vec<(Site, Vec<Webhook>)>> {
    let sections = root.sections("site", keys::SITE);
    if sections.is_empty() {
        if root.get("site").is_none() {
            root.missing::<()>("site", "add [[site]] with name, hosts and program");
        } else if root.is_empty_list("site") {
            root.place_of("site").refuse::<()>("is empty", "add [[site]] with name, hosts and program");
        }
        return None;
    }
    let read: Vec<Option<(Site, Vec<Webhook>)>> =
        sections.iter().map(|section| site::read(section, secrets)).collect();
    for (at, later) in read.iter().enumerate() {
        let Some((later, _)) = later else { continue };
        for (earlier, _) in read[..at].iter().flatten() {
            clash(&sections[at], later, earlier);
        }
    }
    read.into_iter().collect()
}

fn clash(section: &Section<'_>, later: &Site, earlier: &Site) {
    if later.name == earlier.name {
        section.place_of("name").refuse::<()>(
            format!("is {:?}, as an earlier site's is", later.name.as_str()),
            "give each site its own",
        );
    }
    clashing_links(section, later, earlier);
    let Some(host) = later.hosts.iter().find(|host| earlier.hosts.contains(host)) else { return };
    // Prefixes that lie in each other are no clash: the longer one wins.
    if later.prefix == earlier.prefix {
        section.place_of("hosts").refuse::<()>(
            format!(
                "holds {host:?}, which site {:?} has with the same prefix {:?}",
                earlier.name.as_str(),
                later.prefix
            ),
            "give one of them another prefix",
        );
    }
}

/// A path of a host that both have leads to one place.
fn clashing_links(section: &Section<'_>, later: &Site, earlier: &Site) {
    if !later.hosts.iter().any(|host| earlier.hosts.contains(host)) {
        return;
    }
    let name = earlier.name.as_str();
    for link in &later.links {
        let what = if earlier.links.iter().any(|other| other.path == link.path) {
            format!("has {:?}, as site {name:?} has on a host of both", link.path)
        } else if is_below(&link.path, &earlier.prefix) {
            format!("has {:?}, which lies below the prefix {:?} of site {name:?}", link.path, earlier.prefix)
        } else {
            continue;
        };
        section.place_of("links").refuse::<()>(what, "choose another path");
    }
    for link in earlier.links.iter().filter(|link| is_below(&link.path, &later.prefix)) {
        let what = format!("is {:?}, below which site {name:?} has the link {:?}", later.prefix, link.path);
        section.place_of("prefix").refuse::<()>(what, "choose another prefix, or another path for the link");
    }
}
