//! The deliveries that an entry brings along, as the deliverer gets them.

use usher_model::{Click, Delivery, Entry, Job, Needs};

/// The delivery of a click that an entry mints.
pub(crate) fn of_click(click: &Click, body: &str) -> Delivery {
    Delivery {
        id: click.id.as_str().to_owned(),
        site: click.site.clone(),
        job: Job::Click,
        body: body.to_owned(),
        needs: None,
        refund: None,
        attempts: 0,
        log: Vec::new(),
        created_at: click.created_at,
    }
}

/// The delivery of the entry itself.
pub(crate) fn of_entry(entry: Entry) -> Delivery {
    Delivery {
        id: entry.id.as_str().to_owned(),
        site: entry.site,
        job: entry.job,
        body: entry.body,
        needs: entry.needs.map(Needs::Click),
        refund: None,
        attempts: 0,
        log: Vec::new(),
        created_at: entry.now,
    }
}
