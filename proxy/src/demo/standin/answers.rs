//! What the platform answers about conversions and events.

use http::StatusCode;
use serde::Serialize;
use serde_json::value::RawValue;

use super::affiliates;
use super::amount::Amount;
use super::ledger::Ledger;
use super::wire::{Failure, enveloped};
use crate::demo::http::Reply;

/// The answer for a conversion: 201 when it is new, 200 when it was there.
pub(super) fn conversion_answer(ledger: &Ledger, place: usize, replayed: bool) -> Result<Reply, Failure> {
    #[derive(Serialize)]
    struct Data<'a> {
        id: &'a str,
        referral_id: &'a str,
        affiliate_id: String,
        program_id: &'a str,
        sale_amount: &'a RawValue,
        sale_amount_currency: &'a str,
        commission_amount: Box<RawValue>,
        commission_currency: &'a str,
        status: &'a str,
        sales_status: &'a str,
        hold_period_days: u32,
        payment_intent_id: Option<&'a str>,
        invoice_id: Option<&'a str>,
        earning_id: String,
        earning_type: &'a str,
        external_event_id: &'a str,
        calculation_mode: &'a str,
        matched_incentive_id: Option<&'a str>,
        source_event_id: &'a str,
        replayed: bool,
        created_at: &'a str,
        updated_at: &'a str,
    }
    let conversion = &ledger.conversions[place];
    let earning = conversion.amount.minus(conversion.refunded).unwrap_or(Amount::ZERO).fifth();
    let commission = RawValue::from_string(earning.text())
        .map_err(|error| Failure::plain(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    let data = Data {
        id: &conversion.id,
        referral_id: &conversion.referral_id,
        affiliate_id: affiliates::id_of(&conversion.affiliate),
        program_id: &conversion.program_id,
        sale_amount: &conversion.sale_amount,
        sale_amount_currency: &conversion.sale_amount_currency,
        commission_amount: commission,
        commission_currency: &conversion.sale_amount_currency,
        status: &conversion.status,
        sales_status: &conversion.sales_status,
        hold_period_days: 30,
        payment_intent_id: None,
        invoice_id: None,
        earning_id: format!("ern_{}", conversion.id.trim_start_matches("com_")),
        earning_type: "direct_commission",
        external_event_id: &conversion.external_event_id,
        calculation_mode: "auto",
        matched_incentive_id: None,
        source_event_id: &conversion.external_event_id,
        replayed,
        created_at: &conversion.created_at,
        updated_at: &conversion.created_at,
    };
    Ok(enveloped(if replayed { StatusCode::OK } else { StatusCode::CREATED }, &data))
}

/// The answer for an event that is no conversion.
pub(super) fn event_answer(ledger: &Ledger, place: usize, replayed: bool) -> Reply {
    #[derive(Serialize)]
    struct Data<'a> {
        referral_id: &'a str,
        transaction_id: Option<&'a str>,
        event_name: &'a str,
        event_type: &'a str,
        external_event_id: Option<&'a str>,
        action: &'a str,
        referral_status: &'a str,
        replayed: bool,
        source_event_id: &'a str,
    }
    let event = &ledger.events[place];
    let status = ledger.click(&event.referral_id).map_or("lead", |place| ledger.clicks[place].status);
    let data = Data {
        referral_id: &event.referral_id,
        transaction_id: None,
        event_name: &event.event_name,
        event_type: &event.event_type,
        external_event_id: event.external_event_id.as_deref(),
        action: "referral_updated",
        referral_status: status,
        replayed,
        source_event_id: event.external_event_id.as_deref().unwrap_or(&event.id),
    };
    enveloped(if replayed { StatusCode::OK } else { StatusCode::CREATED }, &data)
}
