//! From a record's hash to nouns.

use super::fault;
use crate::{
    contract::{Result, StoreError},
    delivery,
};
use redis::{FromRedisValue, ParsingError, Value};
use rust_decimal::Decimal;
use std::{collections::HashMap, fmt::Display};
use usher_model::{
    Answer, Attempt, ClickId, Delivery, Job, Money, Needs, Record, RefundAmount, SiteName, Source, State,
    UnixMs,
};

/// A record's fields, as `HGETALL` gives them; not each of them is a text.
#[derive(Default)]
pub(super) struct Fields(HashMap<String, Vec<u8>>);

impl FromRedisValue for Fields {
    fn from_redis_value(value: Value) -> std::result::Result<Self, ParsingError> {
        HashMap::from_redis_value(value).map(Self)
    }
}

impl Fields {
    /// Whether there is no such record.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What the deliverer gets.
    pub(super) fn delivery(&self, site: &SiteName, id: &str) -> Result<Delivery> {
        let read = Reader { fields: self, site, id };
        let refund = read.basis()?;
        let needs = match read.text("lane")? {
            Some(lane) => Some(delivery::needs_of_lane(lane).ok_or_else(|| read.unreadable("lane"))?),
            None => read.click("needs")?.filter(|_| refund.is_none()).map(Needs::Click),
        };
        Ok(Delivery {
            id: id.to_owned(),
            site: site.clone(),
            job: read.job()?,
            body: read.text("body")?.ok_or_else(|| read.unreadable("body"))?.to_owned(),
            needs,
            refund,
            attempts: read.number("attempts")?.unwrap_or(0),
            log: read.log()?,
            created_at: read.moment("created_at")?,
        })
    }

    /// What people get.
    pub(super) fn record(&self, site: &SiteName, id: &str) -> Result<Record> {
        let read = Reader { fields: self, site, id };
        let owned = |field| Ok::<_, StoreError>(read.text(field)?.map(str::to_owned));
        let refunded = read.decimal("refunded")?;
        Ok(Record {
            id: id.to_owned(),
            site: site.clone(),
            source: read.parsed("source", |text| Source::new(text).ok())?,
            job: read.job()?,
            key: owned("key")?,
            state: read.state()?,
            body: owned("body")?.unwrap_or_default(),
            click: read.click("click")?,
            needs: read.click("needs")?,
            payment: read.text("lane")?.map(|lane| delivery::payment_of_lane(lane).to_owned()),
            awaits: read.parsed("awaits", delivery::names_of_words)?.unwrap_or_default(),
            names: read.parsed("names", delivery::names_of_words)?.unwrap_or_default(),
            paid: read.paid()?,
            refund: read.basis()?.map(|(amount, _)| (amount, refunded)),
            trace: owned("trace")?,
            due_at: read.moment("due_at")?,
            attempts: read.number("attempts")?.unwrap_or(0),
            log: read.log()?,
            created_at: read.moment("created_at")?,
            settled_at: read.number("settled_at")?.map(UnixMs),
            answer: read.answer()?,
            upstream_id: owned("upstream_id")?,
            error: owned("error")?,
        })
    }

    /// When it came in; for putting records in order.
    pub(super) fn came_in(&self) -> Option<UnixMs> {
        std::str::from_utf8(self.0.get("created_at")?).ok()?.parse().ok().map(UnixMs)
    }
}

/// What the platform said, from its two fields.
pub(super) fn answer(
    status: &str,
    body: &str,
) -> std::result::Result<Option<Answer>, std::num::ParseIntError> {
    if status.is_empty() {
        return Ok(None);
    }
    Ok(Some(Answer { status: status.parse()?, body: body.to_owned() }))
}

struct Reader<'a> {
    fields: &'a Fields,
    site: &'a SiteName,
    id: &'a str,
}

impl<'a> Reader<'a> {
    fn text(&self, field: &str) -> Result<Option<&'a str>> {
        let Some(bytes) = self.fields.0.get(field) else { return Ok(None) };
        std::str::from_utf8(bytes).map(Some).map_err(|_| self.unreadable(field))
    }

    fn parsed<T>(&self, field: &str, read: impl FnOnce(&'a str) -> Option<T>) -> Result<Option<T>> {
        self.text(field)?.map(|text| read(text).ok_or_else(|| self.unreadable(field))).transpose()
    }

    fn number<T: std::str::FromStr>(&self, field: &str) -> Result<Option<T>> {
        self.parsed(field, |text| text.parse().ok())
    }

    fn moment(&self, field: &str) -> Result<UnixMs> {
        self.number(field)?.map(UnixMs).ok_or_else(|| self.unreadable(field))
    }

    fn decimal(&self, field: &str) -> Result<Option<Decimal>> {
        self.parsed(field, |text| Decimal::from_str_exact(text).ok())
    }

    fn click(&self, field: &str) -> Result<Option<ClickId>> {
        self.parsed(field, |text| ClickId::new(text).ok())
    }

    fn job(&self) -> Result<Job> {
        self.parsed("job", Job::from_word)?.ok_or_else(|| self.unreadable("job"))
    }

    fn state(&self) -> Result<State> {
        self.parsed("state", State::from_word)?.ok_or_else(|| self.unreadable("state"))
    }

    fn log(&self) -> Result<Vec<Attempt>> {
        let words = self.text("log")?.filter(|words| !words.is_empty());
        let read = |words| delivery::log_of_words(words).ok_or_else(|| self.unreadable("log"));
        words.map_or_else(|| Ok(Vec::new()), read)
    }

    fn paid(&self) -> Result<Option<Money>> {
        let currency = self.text("currency")?.unwrap_or_default();
        self.parsed("paid", |amount| delivery::money_of_words(amount, currency))
    }

    fn basis(&self) -> Result<Option<(RefundAmount, Option<usher_model::Currency>)>> {
        let (amount, currency) = (self.text("amount")?, self.text("currency")?);
        self.parsed("basis", |basis| delivery::refund_of_words(basis, amount, currency))
    }

    fn answer(&self) -> Result<Option<Answer>> {
        let (status, body) =
            (self.text("status")?.unwrap_or_default(), self.text("answer")?.unwrap_or_default());
        answer(status, body).map_err(|_| self.unreadable("status"))
    }

    fn unreadable(&self, field: &str) -> StoreError {
        let why: &dyn Display = &format_args!("{field} of {}", self.id);
        fault::unreadable("a record", self.site, why)
    }
}
