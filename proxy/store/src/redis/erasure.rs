//! A person's data goes. What Redis has written to its append-only file or to a snapshot goes when it writes those anew.

use super::{keys, link::Link, links::Links, scripts};
use crate::{
    contract::Result,
    delivery,
    erasure::{Erased, Personal, Remains},
};
use redis::aio::MultiplexedConnection;
use usher_model::{ClickId, SiteName};

/// Customers looked at by one call of the script, which nobody else can interrupt.
const AT_ONCE: isize = 500;

/// See [`crate::Store::expunge`].
pub(super) async fn expunge(links: &Links, site: &SiteName, what: &Personal) -> Result<Erased> {
    let link = links.of(site);
    match what {
        Personal::Click(click) => {
            let mut erased = run(&link, site, &["click", click.as_str()]).await?;
            erased.add(customers_of(&link, site, click).await?);
            Ok(erased)
        }
        Personal::Customer(customer) => run(&link, site, &["customers", "", customer]).await,
        Personal::Record(remains) => blot(&link, site, remains).await,
    }
}

/// The customers of a click have no index.
async fn customers_of(link: &Link, site: &SiteName, click: &ClickId) -> Result<Erased> {
    let (mut all, mut from) = (Erased::default(), 0);
    loop {
        let mut page = redis::cmd("ZRANGE");
        page.arg(keys::customers(site)).arg(from).arg(from + AT_ONCE - 1);
        let read =
            |mut connection: MultiplexedConnection| async move { page.query_async(&mut connection).await };
        let customers: Vec<String> = link.work(read).await?;
        if customers.is_empty() {
            return Ok(all);
        }
        let arguments: Vec<&str> =
            ["customers", click.as_str()].into_iter().chain(customers.iter().map(String::as_str)).collect();
        let removed = run(link, site, &arguments).await?;
        from += AT_ONCE - isize::try_from(removed.customers).unwrap_or(0);
        all.add(removed);
    }
}

async fn blot(link: &Link, site: &SiteName, remains: &Remains) -> Result<Erased> {
    let names = delivery::names_words(&remains.names_kept).unwrap_or_default();
    let or_nothing = |text: &Option<String>| text.clone().unwrap_or_default();
    let (trace, answer, error) =
        (or_nothing(&remains.trace), or_nothing(&remains.answer), or_nothing(&remains.error));
    let mut arguments = vec!["record", &remains.id, &remains.body, &trace, &answer, &error, &names];
    arguments.extend(remains.names.iter().map(String::as_str));
    run(link, site, &arguments).await
}

async fn run(link: &Link, site: &SiteName, arguments: &[&str]) -> Result<Erased> {
    let mut script = scripts::ERASE.key(keys::outbox(site));
    for argument in arguments {
        script.arg(argument);
    }
    let (clicks, orders, customers, records) = link.run_promise(&script).await?;
    Ok(Erased { clicks, orders, customers, records, waiting: Vec::new() })
}

/// See [`crate::Store::wipe`].
pub(super) async fn wipe(links: &Links) -> Result<()> {
    for site in &links.sites {
        let mut tell = redis::cmd("INCR");
        tell.arg(keys::erasures(site));
        let run =
            |mut connection: MultiplexedConnection| async move { tell.query_async(&mut connection).await };
        let _: i64 = links.of(site).work(run).await?;
    }
    Ok(())
}
