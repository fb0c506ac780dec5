//! What the unit tests share.

use crate::{Signals, Visitor};
use usher_model::{Delivery, Job, Random, Site, SiteName, UnixMs};

/// Chance that repeats.
pub(crate) struct Dice;

impl Random for Dice {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(0x5a);
    }
}

pub(crate) fn site() -> Site {
    Site::new(SiteName::new("shop").expect("a name"), vec!["shop.example".to_owned()], "prog".to_owned())
}

pub(crate) fn visitor() -> Visitor {
    Visitor {
        address: "192.0.2.7".parse().expect("an address"),
        user_agent: "Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0".to_owned(),
        referer: None,
        origin: None,
        cookie: None,
        signed: None,
        signals: Signals::default(),
    }
}

pub(crate) fn delivery(job: Job) -> Delivery {
    Delivery {
        id: "conv_1".to_owned(),
        site: site().name,
        job,
        body: "{}".to_owned(),
        needs: None,
        refund: None,
        attempts: 0,
        log: Vec::new(),
        created_at: UnixMs(0),
    }
}
