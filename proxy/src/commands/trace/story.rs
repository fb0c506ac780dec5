//! What was found, told to a person.

use super::{
    gather::{Found, Order, SeenClick, Story},
    why,
};
use crate::commands::{
    record::{advice, attempts, standing, what},
    words::{plain, span, when},
};
use std::io::{self, Write};
use usher_model::{Payment, Record, Source, State, UnixMs, Upstream};

/// Prints it all.
pub(super) fn print(found: &Found, now: UnixMs, out: &mut dyn Write) -> io::Result<()> {
    let stories = found.stories.iter().map(|story| of_record(story, now));
    let clicks = found.clicks.iter().map(|click| of_click(click, now));
    let orders = found.orders.iter().map(|(site, order)| {
        let bound = bound(order, now);
        vec![
            format!("Order {} on site {site}", plain(&order.id)),
            said(&bound),
            said("No sale of it has been reported."),
        ]
    });
    for (at, lines) in stories.chain(clicks).chain(orders).enumerate() {
        if at > 0 {
            writeln!(out)?;
        }
        for line in lines {
            writeln!(out, "{line}")?;
        }
    }
    Ok(())
}

fn of_record(story: &Story, now: UnixMs) -> Vec<String> {
    let record = &story.record;
    let mut lines = vec![format!("{}: {} on site {}", record.id, what(record), record.site)];
    lines.push(said(&format!("It {}.", standing(record, now))));
    lines.extend(advice(record).map(|advice| said(&advice)));
    let orders: Vec<String> = story.orders.iter().map(|order| bound(order, now)).collect();
    let click = story.click.as_ref().map(|click| clicked(click, now)).unwrap_or_default();
    for (title, told) in [
        ("Who reported it", reported(record, now)),
        ("Who is credited, and why", why::lines(record.trace.as_deref())),
        ("The order", orders),
        ("The click", click),
        ("What was sent", sent(record)),
        ("What went back", went_back(story, now)),
    ] {
        section(&mut lines, title, &told);
    }
    lines
}

fn of_click(click: &SeenClick, now: UnixMs) -> Vec<String> {
    let mut lines = vec![format!("{}: a click", click.id)];
    lines.extend(clicked(click, now).iter().map(|line| said(line)));
    lines.push(said("No sale or lead is credited to it."));
    if let Some(delivery) = &click.delivery {
        section(&mut lines, "What was sent", &sent(delivery));
    }
    lines
}

fn section(lines: &mut Vec<String>, title: &str, told: &[String]) {
    if !told.is_empty() {
        lines.push(String::new());
        lines.push(format!("  {title}"));
        lines.extend(told.iter().map(|line| format!("    {line}")));
    }
}

fn said(line: &str) -> String {
    format!("  {line}")
}

fn ago(at: UnixMs, now: UnixMs) -> String {
    format!("{}, {} ago", when(at), span(now.since(at)))
}

fn reported(record: &Record, now: UnixMs) -> Vec<String> {
    let who = match &record.source {
        Some(source) if *source == Source::api() => "the shop's servers".to_owned(),
        Some(source) if *source == Source::browser() => "a page of the shop".to_owned(),
        Some(source) if *source == Source::segment() => "Segment".to_owned(),
        Some(source) => format!("a webhook of {source}"),
        None => "nobody; the edge wrote it itself".to_owned(),
    };
    let key = record.key.as_deref().map(|key| format!(", as {:?}", plain(key))).unwrap_or_default();
    let mut lines = vec![format!("{who}{key}: {}", ago(record.created_at, now))];
    if !record.names.is_empty() {
        let names: Vec<String> = record.names.iter().map(|name| plain(name)).collect();
        lines.push(format!("it also goes by {}", names.join(", ")));
    }
    lines
}

/// A click in sentences.
fn clicked(seen: &SeenClick, now: UnixMs) -> Vec<String> {
    let id = &seen.id;
    let Some(click) = &seen.click else {
        let why = match id.is_minted() {
            true => {
                "is not here any more (or never was): clicks are removed when they are past their retention"
            }
            false => "was not recorded here: the platform gave that id elsewhere, and knows whose it is",
        };
        return vec![format!("{id} {why}")];
    };
    let mut lines = vec![format!("{id} of {}: {}", click.affiliate, ago(click.created_at, now))];
    lines.push(match &click.upstream {
        Upstream::Same => "the platform gave it that id".to_owned(),
        Upstream::Known(upstream) => format!("the edge minted it; the platform calls it {upstream}"),
        Upstream::Pending => "the edge minted it; the platform has not been told of it yet".to_owned(),
        Upstream::Untold => {
            "the edge minted it when very many came from its network; the platform is told when a sale names it"
                .to_owned()
        }
        Upstream::Refused(why) => {
            format!("the edge minted it; the platform does not take it: {}", plain(why))
        }
    });
    if let Some(delivery) = &seen.delivery {
        lines.extend(attempts(delivery));
        if delivery.state != State::Delivered {
            lines.push(format!("the click {}", standing(delivery, now)));
        }
    }
    lines
}

/// Every attempt, and what came of it.
fn sent(record: &Record) -> Vec<String> {
    let mut lines = attempts(record);
    let status =
        record.answer.as_ref().map(|answer| format!(", answer {}", answer.status)).unwrap_or_default();
    let settled = record.settled_at.map(|at| (at, span(at.since(record.created_at))));
    match (record.state, settled) {
        (State::Delivered, Some((at, after))) => {
            lines.push(format!("delivered at {}{status}, {after} after it was reported", when(at)));
        }
        (State::Dead, Some((at, _))) => lines.push(format!("given up at {}{status}", when(at))),
        (State::Closed, Some((at, _))) => lines.push(format!("closed at {}{status}", when(at))),
        (State::Due | State::Blocked | State::Orphan, _) | (_, None) => {}
    }
    lines.extend(record.upstream_id.as_deref().map(|id| format!("the platform calls it {}", plain(id))));
    lines
}

/// What was paid, each refund, and what is left.
fn went_back(story: &Story, now: UnixMs) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(payment) = story.payment.as_ref().filter(|payment| !payment.refunds.is_empty()) {
        lines.push(balance(payment));
    }
    for refund in &story.refunds {
        let error = if refund.state == State::Delivered {
            String::new()
        } else {
            format!(": it {}", standing(refund, now))
        };
        lines.push(format!("{}: {}{error}", refund.id, what(refund)));
        lines.extend(reported(refund, now).iter().map(|line| said(line)));
        lines.extend(sent(refund).iter().map(|line| said(line)));
        lines.extend(advice(refund).map(|advice| said(&advice)));
    }
    lines
}

fn balance(payment: &Payment) -> String {
    let (paid, back, left) = (&payment.paid, payment.refunded().normalize(), payment.left().normalize());
    format!("of {paid} went back {back}, {left} is left")
}

fn bound(order: &Order, now: UnixMs) -> String {
    let Order { id, bound } = order;
    let contested = match bound.contested {
        true => "; another click claimed the same order, so neither is believed",
        false => "",
    };
    format!(
        "{} was tied to the click {} by a page: {}{contested}",
        plain(id),
        bound.click,
        ago(bound.at, now)
    )
}
