//! What the unit tests share.

use crate::{metrics::Metrics, table::Face};
use prometheus_client::registry::Registry;
use referral::Parameters;
use usher_model::{Secret, Site, SiteName};

pub(crate) fn site() -> Site {
    let name = SiteName::new("shop").expect("a name");
    Site {
        names_secret: Some(Secret::new("names")),
        parameters: Parameters::new(["via"]).expect("parameters"),
        api_keys: vec![Secret::new("key")],
        ..Site::new(name, vec!["shop.example".to_owned()], "prog".to_owned())
    }
}

pub(crate) fn face(site: Site) -> Face {
    Face::new(site, Vec::new(), &Metrics::register(&mut Registry::default()))
}
