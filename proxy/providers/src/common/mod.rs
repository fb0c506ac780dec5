//! What providers share: each part once.

pub(crate) mod certificate;
pub(crate) mod form;
pub(crate) mod json;
pub(crate) mod money;
pub(crate) mod referral;
pub(crate) mod signature;
pub(crate) mod standard_webhooks;
pub(crate) mod timed;
pub(crate) mod timestamp;

use crate::{
    Context, Conversion, Extracted, Ignored, Interval, Link, Outcome, Proof, Refund, Rejection, Request,
    TestMode, Verdict,
};
pub use json::Fault;
use json::Json;

/// Why a translation ends without a payment or refund.
#[derive(Debug)]
pub(crate) enum Stop {
    /// There is nothing to do.
    Ignored(Ignored),
    /// The payload is not what the provider documents.
    Unreadable(Fault),
}

impl From<Ignored> for Stop {
    fn from(reason: Ignored) -> Self {
        Self::Ignored(reason)
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Unreadable(fault)
    }
}

/// What a translation looks at: an authentic delivery.
pub(crate) struct Delivery<'a> {
    pub(crate) request: &'a Request<'a>,
    pub(crate) context: &'a Context<'a>,
    pub(crate) event: &'a Json,
}

/// The way of every provider that sends JSON: `verify` the raw bytes, parse, `translate`. What a translation finds on the way
/// it notes down, so that it is known also when it stops.
pub(crate) fn judge_json(
    request: &Request<'_>,
    context: &Context<'_>,
    verify: impl FnOnce(&Request<'_>, &Context<'_>) -> Result<Proof, Rejection>,
    translate: impl FnOnce(&Delivery<'_>, &mut Extracted) -> Result<Verdict, Stop>,
) -> Outcome {
    let proof = match verify(request, context) {
        Ok(proof) => proof,
        Err(rejection) => return rejected(rejection),
    };
    match Json::parse(request.body) {
        Ok(event) => translated(&Delivery { request, context, event: &event }, proof, translate),
        Err(fault) => Outcome { proof: Some(proof), ..rejected(fault.into()) },
    }
}

/// The last step alone, for bodies that are not plain JSON.
pub(crate) fn translated(
    delivery: &Delivery<'_>,
    proof: Proof,
    translate: impl FnOnce(&Delivery<'_>, &mut Extracted) -> Result<Verdict, Stop>,
) -> Outcome {
    let mut extracted = Extracted::default();
    let verdict = match translate(delivery, &mut extracted) {
        Ok(verdict) => verdict,
        Err(Stop::Ignored(reason)) => Verdict::Ignored(reason),
        Err(Stop::Unreadable(fault)) => Verdict::Rejected(fault.into()),
    };
    Outcome { verdict, extracted, proof: Some(proof) }
}

/// A request that nobody known sent.
pub(crate) fn rejected(rejection: Rejection) -> Outcome {
    Outcome { verdict: Verdict::Rejected(rejection), extracted: Extracted::default(), proof: None }
}

/// Notes whether the money is real; ends the translation when it is not and tests do not count.
pub(crate) fn note_livemode(
    livemode: Option<bool>,
    context: &Context<'_>,
    found: &mut Extracted,
) -> Result<(), Stop> {
    found.livemode = livemode;
    match (livemode, context.test_mode) {
        (Some(false), TestMode::Ignore) => Err(Ignored::TestMode.into()),
        _ => Ok(()),
    }
}

/// A payment: identified when it names a referral, a customer or a promo.
pub(crate) fn conversion(conversion: Conversion, found: &Extracted) -> Verdict {
    let named = conversion.referral_id.is_some() || conversion.customer_id.is_some() || found.promo.is_some();
    if named { Verdict::Conversion(conversion) } else { Verdict::Unidentified(conversion) }
}

/// A refund that is one event of its own.
pub(crate) fn refund(refund: Refund, found: &mut Extracted) -> Verdict {
    if found.payment_ids.is_empty() {
        found.payment_ids.push(refund.payment_id.clone());
    }
    Verdict::Refund(refund)
}

/// What the platform calls an interval of `count` times `unit` (`month`, `year`).
pub(crate) fn interval(unit: &str, count: &str) -> Option<Interval> {
    match (unit.to_ascii_lowercase().as_str(), count) {
        ("month", "1") => Some(Interval::Monthly),
        ("year", "1") => Some(Interval::Yearly),
        _ => None,
    }
}

/// Two names of one payment.
pub(crate) fn link(link: Link, found: &mut Extracted) -> Verdict {
    found.link = Some(link.clone());
    Verdict::Link(link)
}
