//! An outcome in words: what `usher webhook explain` prints.

use crate::{Conversion, Extracted, Interval, Outcome, Refund, Rejection, Verdict};
use serde::Serialize;

/// One line of JSON. Members that have nothing to say are left out.
#[must_use]
pub fn report(provider: &str, case: Option<&str>, outcome: &Outcome) -> String {
    let (kind, reason) = kind(&outcome.verdict);
    let mut line = Line {
        provider,
        case,
        verified: outcome.proof.is_some(),
        kind,
        reason,
        detail: None,
        conversion: None,
        refund: None,
        refunds: None,
        extracted: outcome.extracted.clone(),
    };
    match &outcome.verdict {
        Verdict::Conversion(conversion) => line.conversion = Some(Sale::of(conversion, provider)),
        Verdict::Refund(refund) => line.refund = Some(Back::of(refund)),
        Verdict::Refunds(refunds) => {
            line.refund = refunds.first().map(Back::of);
            line.refunds = Some(refunds.iter().map(Back::of).collect());
        }
        Verdict::Rejected(Rejection::Unreadable(fault)) => line.detail = Some(fault.to_string()),
        Verdict::Unidentified(_) | Verdict::Link(_) | Verdict::Ignored(_) | Verdict::Rejected(_) => {}
    }
    if matches!(kind, "ignored" | "rejected") {
        line.extracted = what_matters(&outcome.extracted);
    }
    // Texts and numbers only: nothing in it can fail to be written.
    serde_json::to_string(&line).unwrap_or_default()
}

fn kind(verdict: &Verdict) -> (&'static str, Option<&'static str>) {
    match verdict {
        Verdict::Conversion(_) => ("conversion", None),
        Verdict::Refund(_) | Verdict::Refunds(_) => ("refund", None),
        Verdict::Unidentified(_) => ("ignored", Some("no_identifier")),
        Verdict::Link(_) => ("ignored", Some("link_only")),
        Verdict::Ignored(reason) => ("ignored", Some(reason.word())),
        Verdict::Rejected(rejection) => ("rejected", Some(rejection.word())),
    }
}

/// Of a delivery that does nothing: which event it is, whether it is a test, and which ids it joins.
fn what_matters(extracted: &Extracted) -> Extracted {
    Extracted {
        event_type: extracted.event_type.clone(),
        livemode: extracted.livemode.filter(|live| !live),
        link: extracted.link.clone(),
        ..Extracted::default()
    }
}

#[derive(Serialize)]
struct Line<'a> {
    provider: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    case: Option<&'a str>,
    verified: bool,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    conversion: Option<Sale<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refund: Option<Back<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refunds: Option<Vec<Back<'a>>>,
    #[serde(skip_serializing_if = "is_empty")]
    extracted: Extracted,
}

fn is_empty(extracted: &Extracted) -> bool {
    *extracted == Extracted::default()
}

#[derive(Serialize)]
struct Sale<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    referral_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    customer_id: Option<&'a str>,
    external_event_id: &'a str,
    sale_amount: String,
    sale_amount_currency: String,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    product_ids: &'a [String],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    price_ids: &'a [String],
    is_subscription: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    interval: Option<Interval>,
    metadata: Metadata<'a>,
}

#[derive(Serialize)]
struct Metadata<'a> {
    provider: &'a str,
    provider_order_id: &'a str,
}

impl<'a> Sale<'a> {
    fn of(conversion: &'a Conversion, provider: &'a str) -> Self {
        Self {
            referral_id: conversion.referral_id.as_deref(),
            customer_id: conversion.customer_id.as_deref(),
            external_event_id: &conversion.external_event_id,
            sale_amount: conversion.amount.amount().to_string(),
            sale_amount_currency: conversion.amount.currency().to_string(),
            product_ids: &conversion.product_ids,
            price_ids: &conversion.price_ids,
            is_subscription: conversion.is_subscription,
            interval: conversion.interval,
            metadata: Metadata { provider, provider_order_id: &conversion.provider_order_id },
        }
    }
}

#[derive(Serialize)]
struct Back<'a> {
    payment_id: &'a str,
    external_event_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    amount: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    currency: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    full: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

impl<'a> Back<'a> {
    fn of(refund: &'a Refund) -> Self {
        Self {
            payment_id: &refund.payment_id,
            external_event_id: &refund.external_event_id,
            amount: refund.amount.map(|amount| amount.normalize().to_string()),
            currency: refund.currency.map(|currency| currency.to_string()),
            full: refund.full,
            reason: refund.reason.as_deref(),
        }
    }
}
