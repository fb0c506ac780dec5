//! The platform's routes below `/v1`: who may call what, and which must be signed.

use http::{Method, StatusCode, header};

use super::ledger::Ledger;
use super::wire::{Call, Failure, Fields};
use super::{Settings, sales, signature, visits};
use crate::demo::http::Reply;

/// A row of the contract.
enum Route<'a> {
    Track,
    Clicks,
    Signups,
    Conversions,
    Refund(&'a str),
    Events,
    Segment,
}

/// Answers a request, and says whether it was signed.
pub(super) fn answer(settings: &Settings, ledger: &mut Ledger, call: &Call) -> (Reply, Option<bool>) {
    let signed = signature::check(settings.signing_secret.as_deref(), call);
    let shown = signed.as_ref().map_or(Some(false), |signed| *signed);
    let reply = signed.and_then(|signed| act(settings, ledger, call, signed));
    (reply.unwrap_or_else(|failure| failure.reply(None)), shown)
}

fn act(
    settings: &Settings,
    ledger: &mut Ledger,
    call: &Call,
    signed: Option<bool>,
) -> Result<Reply, Failure> {
    let route = route(&call.path).ok_or_else(|| Failure::not_found("no such endpoint"))?;
    if call.method != Method::POST {
        return Err(Failure::plain(StatusCode::METHOD_NOT_ALLOWED, "only POST"));
    }
    let needs_signature =
        matches!(route, Route::Conversions | Route::Refund(_) | Route::Events | Route::Segment);
    match route {
        Route::Track => {}
        Route::Signups if from_pixel(call) => {}
        _ => authorize(settings, call)?,
    }
    if needs_signature && settings.signing_secret.is_some() && signed.is_none() {
        return Err(Failure::unauthorized("X-Affonso-Signature is missing"));
    }
    match route {
        Route::Track => visits::track(settings, ledger, call),
        Route::Clicks => visits::click(settings, ledger, call),
        Route::Signups => visits::signup(ledger, call),
        Route::Conversions => sales::convert(ledger, call, signed),
        Route::Refund(id) => sales::refund(ledger, call, id),
        Route::Events => sales::event(ledger, call, signed),
        Route::Segment => sales::segment(ledger, call, signed),
    }
}

fn route(path: &str) -> Option<Route<'_>> {
    let rest = path.strip_prefix("/v1/")?;
    Some(match rest {
        "track" => Route::Track,
        "clicks" => Route::Clicks,
        "signups" => Route::Signups,
        "conversions" => Route::Conversions,
        "events" => Route::Events,
        "sources/segment/events" => Route::Segment,
        _ => {
            let id = rest.strip_prefix("conversions/")?.strip_suffix("/refund")?;
            Route::Refund(Some(id).filter(|id| !id.is_empty() && !id.contains('/'))?)
        }
    })
}

/// The pixel has no key: it posts what it knows with its program id. Backends post the documented form, which has none.
fn from_pixel(call: &Call) -> bool {
    let names_program = || Fields::parse(&call.body).is_ok_and(|fields| fields.raw("programId").is_some());
    !call.headers.contains_key(header::AUTHORIZATION) && names_program()
}

fn authorize(settings: &Settings, call: &Call) -> Result<(), Failure> {
    let given = call.header("authorization").and_then(|value| value.strip_prefix("Bearer ")).map(str::trim);
    match (given, &settings.api_key) {
        (None | Some(""), _) => Err(Failure::unauthorized("a bearer token is required")),
        (Some(given), Some(ours)) if given != ours => Err(Failure::unauthorized("the API key is not valid")),
        _ => Ok(()),
    }
}
