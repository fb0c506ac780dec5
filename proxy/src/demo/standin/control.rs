//! What tests and people use: what has been received, and how to behave.

use std::collections::BTreeMap;

use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};

use super::State;
use super::amount::Amount;
use super::ledger::{Click, Conversion, Event, Ledger, Refund, Request, Signup};
use super::rate::Rate;
use super::wire::{Call, Failure};
use crate::demo::http::{Reply, json, query_value, reply};

const PAGE: &str = include_str!("page.html");

/// Answers a request that is not below `/v1`.
pub(super) fn answer(state: &mut State, call: &Call, query: Option<&str>) -> Reply {
    act(state, call, query).unwrap_or_else(|failure| failure.reply(None))
}

fn act(state: &mut State, call: &Call, query: Option<&str>) -> Result<Reply, Failure> {
    let done = || Ok(reply(StatusCode::NO_CONTENT, "text/plain; charset=utf-8", ""));
    match (&call.method, call.path.as_str()) {
        (&Method::GET | &Method::HEAD, "/") => Ok(reply(StatusCode::OK, "text/html; charset=utf-8", PAGE)),
        (&Method::GET, "/_received") if query_value(query, "summary").is_some() => {
            Ok(json(StatusCode::OK, &summary(&state.ledger)))
        }
        (&Method::GET, "/_received") => {
            let limit = query_value(query, "limit").and_then(|limit| limit.parse().ok());
            Ok(json(StatusCode::OK, &received(&state.ledger, limit.unwrap_or(usize::MAX))))
        }
        (&Method::DELETE, "/_received") => {
            state.ledger = Ledger::default();
            done()
        }
        (&Method::GET, "/_behaviour") => Ok(json(StatusCode::OK, &state.faults)),
        (&Method::POST, "/_behaviour") => {
            state.faults.add(&call.body)?;
            Ok(json(StatusCode::OK, &state.faults))
        }
        (&Method::DELETE, "/_behaviour") => {
            state.faults.clear();
            done()
        }
        (&Method::POST, "/_settings") => {
            change_settings(state, &call.body)?;
            done()
        }
        (_, "/" | "/_received" | "/_behaviour" | "/_settings") => {
            Err(Failure::plain(StatusCode::METHOD_NOT_ALLOWED, "not with this method"))
        }
        _ => Err(Failure::not_found("no such endpoint")),
    }
}

/// Takes over the settings that are named; `null` lifts one.
fn change_settings(state: &mut State, json: &[u8]) -> Result<(), Failure> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Change {
        #[serde(default, deserialize_with = "named")]
        api_key: Option<Option<String>>,
        #[serde(default, deserialize_with = "named")]
        signing_secret: Option<Option<String>>,
        #[serde(default, deserialize_with = "named")]
        program: Option<Option<String>>,
        #[serde(default, deserialize_with = "named")]
        affiliates: Option<Option<Vec<String>>>,
        #[serde(default, deserialize_with = "named")]
        rate_limit: Option<Option<u32>>,
    }
    /// Tells a key that is `null` from one that is not there.
    fn named<'de, T: Deserialize<'de>, D: serde::Deserializer<'de>>(from: D) -> Result<Option<T>, D::Error> {
        T::deserialize(from).map(Some)
    }
    let change: Change =
        serde_json::from_slice(json).map_err(|error| Failure::invalid("", error.to_string()))?;
    let settings = &mut state.settings;
    settings.api_key = change.api_key.unwrap_or(settings.api_key.take());
    settings.signing_secret = change.signing_secret.unwrap_or(settings.signing_secret.take());
    settings.program = change.program.unwrap_or(settings.program.take());
    settings.affiliates = change.affiliates.unwrap_or(settings.affiliates.take());
    if let Some(limit) = change.rate_limit {
        settings.rate = limit.map_or(Rate::Lifted, Rate::kept);
    }
    Ok(())
}

/// Everything, or the newest `limit` of each kind with the oldest of them first.
fn received(ledger: &Ledger, limit: usize) -> impl Serialize + use<'_> {
    #[derive(Serialize)]
    struct Totals {
        clicks: usize,
        signups: usize,
        conversions: usize,
        refunds: usize,
        events: usize,
        requests: u64,
    }
    #[derive(Serialize)]
    struct Received<'a> {
        totals: Totals,
        clicks: &'a [Click],
        signups: &'a [Signup],
        conversions: &'a [Conversion],
        refunds: &'a [Refund],
        events: &'a [Event],
        requests: Vec<&'a Request>,
    }
    fn newest<T>(all: &[T], limit: usize) -> &[T] {
        &all[all.len().saturating_sub(limit)..]
    }
    Received {
        totals: Totals {
            clicks: ledger.clicks.len(),
            signups: ledger.signups.len(),
            conversions: ledger.conversions.len(),
            refunds: ledger.refunds.len(),
            events: ledger.events.len(),
            requests: ledger.requests_total,
        },
        clicks: newest(&ledger.clicks, limit),
        signups: newest(&ledger.signups, limit),
        conversions: newest(&ledger.conversions, limit),
        refunds: newest(&ledger.refunds, limit),
        events: newest(&ledger.events, limit),
        requests: ledger.requests.iter().skip(ledger.requests.len().saturating_sub(limit)).collect(),
    }
}

/// For big runs: counts, and every conversion's event id with how often it came again.
fn summary(ledger: &Ledger) -> impl Serialize + use<'_> {
    #[derive(Serialize)]
    struct Conversions<'a> {
        total: usize,
        /// Requests that repeated an event id.
        replays: u64,
        by_affiliate: BTreeMap<&'a str, usize>,
        /// The exact sum of all amounts of a currency.
        amounts: BTreeMap<&'a str, String>,
        /// Event id to replays.
        event_ids: BTreeMap<&'a str, u32>,
    }
    #[derive(Serialize)]
    struct Summary<'a> {
        clicks: usize,
        clicks_by_affiliate: BTreeMap<&'a str, usize>,
        signups: usize,
        refunds: usize,
        events: usize,
        requests: u64,
        conversions: Conversions<'a>,
    }
    let mut amounts: BTreeMap<&str, Amount> = BTreeMap::new();
    for sale in &ledger.conversions {
        let sum = amounts.entry(&sale.sale_amount_currency).or_insert(Amount::ZERO);
        *sum = sum.plus(sale.amount);
    }
    Summary {
        clicks: ledger.clicks.len(),
        clicks_by_affiliate: counts(ledger.clicks.iter().map(|click| click.tracking_id.as_str())),
        signups: ledger.signups.len(),
        refunds: ledger.refunds.len(),
        events: ledger.events.len(),
        requests: ledger.requests_total,
        conversions: Conversions {
            total: ledger.conversions.len(),
            replays: ledger.conversions.iter().map(|sale| u64::from(sale.replays)).sum(),
            by_affiliate: counts(ledger.conversions.iter().map(|sale| sale.affiliate.as_str())),
            amounts: amounts.into_iter().map(|(currency, sum)| (currency, sum.text())).collect(),
            event_ids: ledger
                .conversions
                .iter()
                .map(|sale| (sale.external_event_id.as_str(), sale.replays))
                .collect(),
        },
    }
}

fn counts<'a>(names: impl Iterator<Item = &'a str>) -> BTreeMap<&'a str, usize> {
    let mut counts = BTreeMap::new();
    for name in names {
        *counts.entry(name).or_insert(0) += 1;
    }
    counts
}
