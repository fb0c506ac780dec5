//! What the platform knows: clicks and who they became, signups, conversions, refunds, events, and the requests that told it.

use std::collections::{BTreeMap, HashMap, VecDeque};

use serde::Serialize;
use serde_json::value::RawValue;
use usher_model::UnixMs;

use super::amount::Amount;
use super::wire::Failure;
use crate::demo::limits::REQUEST_LOG_MAX_COUNT;

/// A click, which is also the referral that it may become. Field names as the tests read them.
#[derive(Debug, Serialize)]
pub(super) struct Click {
    pub(super) id: String,
    #[serde(rename = "trackingId")]
    pub(super) tracking_id: String,
    #[serde(rename = "programId")]
    pub(super) program_id: String,
    /// `track` or `clicks`.
    pub(super) via: &'static str,
    pub(super) consent: bool,
    /// What the platform would store. `None` before consent; what was sent all the same shows in `headers`.
    pub(super) ip: Option<String>,
    #[serde(rename = "userAgent")]
    pub(super) user_agent: Option<String>,
    pub(super) referrer: Option<String>,
    /// `visited`, `lead` or `customer`.
    pub(super) status: &'static str,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Box<RawValue>,
    pub(super) at: UnixMs,
}

/// A lead.
#[derive(Debug, Serialize)]
pub(super) struct Signup {
    pub(super) click_id: String,
    pub(super) affiliate: String,
    pub(super) program_id: String,
    pub(super) email: Option<String>,
    pub(super) external_user_id: Option<String>,
    pub(super) name: Option<String>,
    pub(super) replays: u32,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Box<RawValue>,
    pub(super) at: UnixMs,
}

/// A conversion.
#[derive(Debug, Serialize)]
pub(super) struct Conversion {
    pub(super) id: String,
    pub(super) referral_id: String,
    /// The tracking id of that click.
    pub(super) affiliate: String,
    pub(super) program_id: String,
    /// The number exactly as it was received.
    pub(super) sale_amount: Box<RawValue>,
    /// The same as a string, for readers whose numbers are floats.
    pub(super) sale_amount_text: String,
    #[serde(skip)]
    pub(super) amount: Amount,
    #[serde(serialize_with = "as_text")]
    pub(super) refunded: Amount,
    pub(super) sale_amount_currency: String,
    pub(super) external_event_id: String,
    pub(super) customer_id: Option<String>,
    pub(super) external_user_id: Option<String>,
    pub(super) status: String,
    pub(super) sales_status: String,
    /// How often the same event id came again.
    pub(super) replays: u32,
    /// `conversions`, `events` or `segment`.
    pub(super) via: &'static str,
    /// Whether the first request was signed, `null` when it was not or no secret is set.
    pub(super) signed: Option<bool>,
    pub(super) body: Box<RawValue>,
    pub(super) at: UnixMs,
    pub(super) created_at: String,
}

/// A refund.
#[derive(Debug, Serialize)]
pub(super) struct Refund {
    pub(super) conversion_id: String,
    #[serde(serialize_with = "as_text")]
    pub(super) amount: Amount,
    pub(super) external_event_id: Option<String>,
    pub(super) reason: Option<String>,
    pub(super) replays: u32,
    pub(super) body: Box<RawValue>,
    pub(super) at: UnixMs,
}

/// An event that is no conversion.
#[derive(Debug, Serialize)]
pub(super) struct Event {
    pub(super) id: String,
    pub(super) referral_id: String,
    pub(super) affiliate: String,
    pub(super) event_name: String,
    pub(super) event_type: String,
    pub(super) external_event_id: Option<String>,
    pub(super) replays: u32,
    pub(super) via: &'static str,
    pub(super) body: Box<RawValue>,
    pub(super) at: UnixMs,
}

/// A line of the request log.
#[derive(Debug, Serialize)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    /// `null` when the connection was closed without an answer.
    pub(super) status: Option<u16>,
    pub(super) signed: Option<bool>,
    /// The fault that was applied.
    pub(super) mode: Option<super::faults::Mode>,
    pub(super) at: UnixMs,
}

/// Everything, with what is needed to find it again.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) clicks: Vec<Click>,
    pub(super) signups: Vec<Signup>,
    pub(super) conversions: Vec<Conversion>,
    pub(super) refunds: Vec<Refund>,
    pub(super) events: Vec<Event>,
    pub(super) requests: VecDeque<Request>,
    pub(super) requests_total: u64,
    click_by_id: HashMap<String, usize>,
    signup_by_click: HashMap<String, usize>,
    conversion_by_id: HashMap<String, usize>,
    conversion_by_event: HashMap<String, usize>,
    refund_by_event: HashMap<String, usize>,
    event_by_event: HashMap<String, usize>,
    click_of_customer: HashMap<String, usize>,
    click_of_user: HashMap<String, usize>,
}

/// Who a request says it is about.
#[derive(Debug, Default)]
pub(super) struct Identifiers {
    /// Field and value of each click or referral id, under whichever of its names.
    pub(super) clicks: Vec<(&'static str, String)>,
    pub(super) customer: Option<String>,
    pub(super) user: Option<String>,
}

impl Ledger {
    /// Files a click and answers its place.
    pub(super) fn add_click(&mut self, click: Click) -> usize {
        self.click_by_id.insert(click.id.clone(), self.clicks.len());
        self.clicks.push(click);
        self.clicks.len() - 1
    }

    /// A click's place.
    pub(super) fn click(&self, id: &str) -> Option<usize> {
        self.click_by_id.get(id).copied()
    }

    /// Files a signup.
    pub(super) fn add_signup(&mut self, signup: Signup) {
        self.signup_by_click.insert(signup.click_id.clone(), self.signups.len());
        self.signups.push(signup);
    }

    /// The signup of a click.
    pub(super) fn signup_mut(&mut self, click_id: &str) -> Option<&mut Signup> {
        self.signups.get_mut(*self.signup_by_click.get(click_id)?)
    }

    /// Files a conversion and answers its place.
    pub(super) fn add_conversion(&mut self, conversion: Conversion) -> usize {
        let place = self.conversions.len();
        self.conversion_by_id.insert(conversion.id.clone(), place);
        self.conversion_by_event.insert(conversion.external_event_id.clone(), place);
        self.conversions.push(conversion);
        place
    }

    /// A conversion's place by its id.
    pub(super) fn conversion(&self, id: &str) -> Option<usize> {
        self.conversion_by_id.get(id).copied()
    }

    /// A conversion's place by the event id of whoever reported it.
    pub(super) fn conversion_of_event(&self, external_event_id: &str) -> Option<usize> {
        self.conversion_by_event.get(external_event_id).copied()
    }

    /// Files a refund.
    pub(super) fn add_refund(&mut self, refund: Refund) {
        if let Some(id) = &refund.external_event_id {
            self.refund_by_event.insert(id.clone(), self.refunds.len());
        }
        self.refunds.push(refund);
    }

    /// A refund by its event id.
    pub(super) fn refund_mut(&mut self, external_event_id: &str) -> Option<&mut Refund> {
        self.refunds.get_mut(*self.refund_by_event.get(external_event_id)?)
    }

    /// Files an event and answers its place.
    pub(super) fn add_event(&mut self, event: Event) -> usize {
        let place = self.events.len();
        if let Some(id) = &event.external_event_id {
            self.event_by_event.insert(id.clone(), place);
        }
        self.events.push(event);
        place
    }

    /// An event's place by its event id.
    pub(super) fn event_of_event(&self, external_event_id: &str) -> Option<usize> {
        self.event_by_event.get(external_event_id).copied()
    }

    /// Notes a request; the oldest gives way.
    pub(super) fn log(&mut self, request: Request) {
        self.requests_total += 1;
        if self.requests.len() == REQUEST_LOG_MAX_COUNT {
            self.requests.pop_front();
        }
        self.requests.push_back(request);
    }

    /// The one referral that all identifiers mean. A customer or user nobody has seen yet says nothing as long as another
    /// identifier does.
    ///
    /// # Errors
    /// 404 when none is known or a click id is unknown, 400 when they mean different referrals.
    pub(super) fn resolve(&self, who: &Identifiers) -> Result<usize, Failure> {
        let mut found: Option<usize> = None;
        let mut agree = |field: &str, place: usize| match found.replace(place) {
            Some(other) if other != place => {
                Err(Failure::invalid(field, "the identifiers belong to different referrals"))
            }
            _ => Ok(()),
        };
        for (field, id) in &who.clicks {
            let place =
                self.click(id).ok_or_else(|| Failure::not_found(format!("no referral for {field}")))?;
            agree(field, place)?;
        }
        if let Some(&place) = who.customer.as_ref().and_then(|id| self.click_of_customer.get(id)) {
            agree("customer_id", place)?;
        }
        if let Some(&place) = who.user.as_ref().and_then(|id| self.click_of_user.get(id)) {
            agree("external_user_id", place)?;
        }
        found.ok_or_else(|| Failure::not_found("no referral for these identifiers"))
    }

    /// From now on the customer and the user mean this referral.
    pub(super) fn bind(&mut self, place: usize, customer: Option<&str>, user: Option<&str>) {
        if let Some(id) = customer {
            self.click_of_customer.entry(id.to_owned()).or_insert(place);
        }
        if let Some(id) = user {
            self.click_of_user.entry(id.to_owned()).or_insert(place);
        }
    }
}

fn as_text<S: serde::Serializer>(amount: &Amount, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&amount.text())
}
