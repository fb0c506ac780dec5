//! What the ledger holds, as JSON for programs. Moments are RFC 3339, amounts are decimal texts in major units.

use super::record::tries;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use usher_model::{
    Answer, Attempt, Click, ClickId, Currency, Job, Money, OrderBinding, Payment, Record, SiteName, Source,
    State, UnixMs, Upstream,
};

/// A record. What it does not have is left out.
#[derive(Serialize)]
pub(super) struct RecordView<'a> {
    id: &'a str,
    site: &'a SiteName,
    job: Job,
    state: State,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'a Source>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    names: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    click: Option<&'a ClickId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    waits_for_click: Option<&'a ClickId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payment: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    waits_for_payment: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    paid: Option<Amount>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refund: Option<Asked>,
    accepted_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_try_at: Option<String>,
    attempts: u32,
    log: Vec<Line<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    settled_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<Said>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    body: Json,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace: Option<Json>,
}

#[derive(Serialize)]
struct Amount {
    amount: String,
    currency: Currency,
}

/// What was asked to go back: `rest`, `part` or `total`, and what went back.
#[derive(Serialize)]
struct Asked {
    asked: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    amount: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refunded: Option<String>,
}

#[derive(Serialize)]
struct Line<'a> {
    first_at: String,
    last_at: String,
    times: u32,
    said: &'a str,
}

#[derive(Serialize)]
struct Said {
    status: u16,
    body: Json,
}

impl<'a> From<&'a Record> for RecordView<'a> {
    fn from(record: &'a Record) -> Self {
        Self {
            id: &record.id,
            site: &record.site,
            job: record.job,
            state: record.state,
            source: record.source.as_ref(),
            key: record.key.as_deref(),
            names: &record.names,
            click: record.click.as_ref(),
            waits_for_click: record.needs.as_ref().filter(|_| record.state == State::Blocked),
            payment: record.payment.as_deref(),
            waits_for_payment: &record.awaits,
            paid: record.paid.as_ref().map(amount),
            refund: record.refund.map(|(asked, refunded)| {
                let (asked, amount) = asked.words();
                Asked {
                    asked,
                    amount: amount.map(|amount| amount.to_string()),
                    refunded: refunded.map(|amount| amount.to_string()),
                }
            }),
            accepted_at: record.created_at.rfc3339(),
            next_try_at: (record.state == State::Due).then(|| record.due_at.rfc3339()),
            attempts: tries(record),
            log: record.log.iter().map(line).collect(),
            settled_at: record.settled_at.map(UnixMs::rfc3339),
            answer: record.answer.as_ref().map(said),
            upstream_id: record.upstream_id.as_deref(),
            error: record.error.as_deref(),
            body: Json::of(&record.body),
            trace: record.trace.as_deref().map(Json::of),
        }
    }
}

fn amount(money: &Money) -> Amount {
    Amount { amount: money.amount().to_string(), currency: money.currency() }
}

fn line(attempt: &Attempt) -> Line<'_> {
    let Attempt { at, last, times, said } = attempt;
    Line { first_at: at.rfc3339(), last_at: last.rfc3339(), times: *times, said }
}

fn said(answer: &Answer) -> Said {
    Said { status: answer.status, body: Json::of(&answer.body) }
}

/// A click. The visitor's key is left out.
#[derive(Serialize)]
pub(super) struct ClickView<'a> {
    id: &'a ClickId,
    site: &'a SiteName,
    affiliate: &'a str,
    at: String,
    /// `same` (the platform gave the id itself), `pending`, `known` or `refused`.
    upstream: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream_id: Option<&'a ClickId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<&'a str>,
}

impl<'a> From<&'a Click> for ClickView<'a> {
    fn from(click: &'a Click) -> Self {
        let (upstream, refused) = match &click.upstream {
            Upstream::Same => ("same", None),
            Upstream::Pending => ("pending", None),
            Upstream::Untold => ("untold", None),
            Upstream::Known(_) => ("known", None),
            Upstream::Refused(why) => ("refused", Some(why.as_str())),
        };
        Self {
            id: &click.id,
            site: &click.site,
            affiliate: click.affiliate.as_str(),
            at: click.created_at.rfc3339(),
            upstream,
            upstream_id: click.upstream_id(),
            refused,
        }
    }
}

/// What was paid, what went back of it, and what is left.
#[derive(Serialize)]
pub(super) struct PaymentView {
    paid: Amount,
    refunded: String,
    left: String,
}

impl From<&Payment> for PaymentView {
    fn from(payment: &Payment) -> Self {
        Self {
            paid: amount(&payment.paid),
            refunded: payment.refunded().normalize().to_string(),
            left: payment.left().normalize().to_string(),
        }
    }
}

/// An order, and the click that it was tied to.
#[derive(Serialize)]
pub(super) struct OrderView<'a> {
    order: &'a str,
    click: &'a ClickId,
    at: String,
    contested: bool,
}

impl<'a> OrderView<'a> {
    pub(super) fn new(order: &'a str, bound: &'a OrderBinding) -> Self {
        Self { order, click: &bound.click, at: bound.at.rfc3339(), contested: bound.contested }
    }
}

/// JSON as it was written, on one line; what is none stands there as a text.
#[derive(Serialize)]
#[serde(transparent)]
struct Json(Box<RawValue>);

impl Json {
    fn of(text: &str) -> Self {
        // Within JSON's strings they are escaped; between its tokens they mean nothing.
        let line = text.replace(['\n', '\r'], " ");
        let written = RawValue::from_string(line).or_else(|_| to_raw_value(text));
        Self(written.unwrap_or_else(|_| RawValue::NULL.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_json_keeps_its_digits_and_what_is_none_is_a_text() {
        let json = |text| serde_json::to_string(&Json::of(text)).expect("JSON");
        assert_eq!(json("{\n \"a\": 12345678901234567.890}\n"), "{  \"a\": 12345678901234567.890}");
        assert_eq!(json("<html>\n"), r#""<html>\n""#);
        assert_eq!(json(""), r#""""#);
    }
}
