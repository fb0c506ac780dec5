//! What was found, as one JSON object.

use super::gather::{Found, Order, SeenClick, Story};
use crate::commands::view::{ClickView, OrderView, PaymentView, RecordView};
use serde::Serialize;
use std::io::Write;
use usher_model::{ClickId, SiteName};

#[derive(Serialize)]
struct All<'a> {
    asked: &'a str,
    stories: Vec<One<'a>>,
    clicks: Vec<SeenClickView<'a>>,
    orders: Vec<SiteOrder<'a>>,
}

#[derive(Serialize)]
struct One<'a> {
    record: RecordView<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    click: Option<SeenClickView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payment: Option<PaymentView>,
    refunds: Vec<RecordView<'a>>,
    orders: Vec<OrderView<'a>>,
}

#[derive(Serialize)]
struct SeenClickView<'a> {
    id: &'a ClickId,
    #[serde(skip_serializing_if = "Option::is_none")]
    click: Option<ClickView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delivery: Option<RecordView<'a>>,
}

#[derive(Serialize)]
struct SiteOrder<'a> {
    site: &'a SiteName,
    #[serde(flatten)]
    order: OrderView<'a>,
}

/// Prints it on one line.
pub(super) fn print(asked: &str, found: &Found, out: &mut dyn Write) -> anyhow::Result<()> {
    let all = All {
        asked,
        stories: found.stories.iter().map(one).collect(),
        clicks: found.clicks.iter().map(click).collect(),
        orders: found.orders.iter().map(|(site, bound)| SiteOrder { site, order: order(bound) }).collect(),
    };
    serde_json::to_writer(&mut *out, &all)?;
    writeln!(out)?;
    Ok(())
}

fn one(story: &Story) -> One<'_> {
    One {
        record: (&story.record).into(),
        click: story.click.as_ref().map(click),
        payment: story.payment.as_ref().map(Into::into),
        refunds: story.refunds.iter().map(Into::into).collect(),
        orders: story.orders.iter().map(order).collect(),
    }
}

fn click(seen: &SeenClick) -> SeenClickView<'_> {
    SeenClickView {
        id: &seen.id,
        click: seen.click.as_ref().map(Into::into),
        delivery: seen.delivery.as_ref().map(Into::into),
    }
}

fn order(order: &Order) -> OrderView<'_> {
    OrderView::new(&order.id, &order.bound)
}
