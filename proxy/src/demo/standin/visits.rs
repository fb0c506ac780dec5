//! Clicks and the leads they become: `/track`, `/clicks`, `/signups`.

use http::StatusCode;
use serde::Serialize;

use super::ledger::{Click, Ledger, Signup};
use super::sales::instant;
use super::wire::{Call, Failure, Fields, enveloped};
use super::{Settings, affiliates};
use crate::demo::http::{Reply, json};
use crate::demo::ids::cuid;

const PROGRAM_MAX_CHARS: usize = 255;
const TRACKING_MAX_CHARS: usize = 255;

/// `POST /track`: the browser's call. The answer is the one that wears no envelope.
pub(super) fn track(settings: &Settings, ledger: &mut Ledger, call: &Call) -> Result<Reply, Failure> {
    let fields = Fields::parse(&call.body)?;
    let program_id = program(settings, &fields)?;
    let tracking_id = fields.text("trackingId", TRACKING_MAX_CHARS)?;
    let consent = fields.get::<bool>("hasConsent", "true or false")?.unwrap_or(true);
    let upgraded = fields.text("upgradeClickId", 255)?.and_then(|id| ledger.click(&id));
    let user_agent = fields.text("userAgent", 1000)?.or_else(|| call.header("user-agent").map(str::to_owned));
    let referrer = fields.text("referrer", 2000)?;
    let affiliate = tracking_id.filter(|id| affiliates::known(settings.affiliates.as_deref(), id));
    let place = match (upgraded, affiliate) {
        (Some(place), _) => Some(place),
        (None, Some(tracking_id)) => Some(ledger.add_click(Click {
            id: cuid(call.now),
            tracking_id,
            program_id,
            via: "track",
            consent: false,
            ip: None,
            user_agent: None,
            referrer: None,
            status: "visited",
            headers: call.headers_shown(),
            body: call.body_shown(),
            at: call.now,
        })),
        (None, None) => None,
    };
    let click = place.map(|place| {
        let click = &mut ledger.clicks[place];
        if consent {
            // Before consent the platform keeps neither address nor browser; an upgrade brings both.
            click.consent = true;
            click.ip = Some(visitor_address(call));
            click.user_agent = user_agent;
            click.referrer = referrer;
        }
        &*click
    });
    Ok(json(StatusCode::OK, &track_answer(click)))
}

/// The unwrapped answer of `/track`; without a click an empty `cid`.
fn track_answer(click: Option<&Click>) -> impl Serialize {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Data {
        discount: Option<affiliates::Offer>,
        affiliate_coupons: Vec<affiliates::Offer>,
    }
    #[derive(Serialize)]
    struct Answer {
        cid: String,
        data: Data,
        append_affonso_id_enabled: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        message: Option<&'static str>,
    }
    let offer = click.and_then(|click| affiliates::offer_of(&click.tracking_id));
    Answer {
        cid: click.map(|click| click.id.clone()).unwrap_or_default(),
        data: Data { discount: offer.clone(), affiliate_coupons: offer.into_iter().collect() },
        append_affonso_id_enabled: false,
        message: click.is_none().then_some("No affiliate for this visit"),
    }
}

/// `POST /clicks`: the same from a backend. Not idempotent.
pub(super) fn click(settings: &Settings, ledger: &mut Ledger, call: &Call) -> Result<Reply, Failure> {
    #[derive(Serialize)]
    struct Data<'a> {
        id: &'a str,
        tracking_id: &'a str,
        program_id: &'a str,
        created_at: String,
    }
    let fields = Fields::parse(&call.body)?;
    let program_id = program(settings, &fields)?;
    let tracking_id = fields.required("trackingId", TRACKING_MAX_CHARS)?;
    let created_at = instant(&fields, "createdAt")?.unwrap_or_else(|| call.now.rfc3339());
    for name in ["sub1", "sub2", "sub3", "sub4", "sub5", "utmSource", "utmMedium", "utmCampaign", "utmTerm"] {
        fields.text(name, 255)?;
    }
    for name in ["utmContent", "gclid", "fbclid", "msclkid", "ttclid"] {
        fields.text(name, 255)?;
    }
    if !affiliates::known(settings.affiliates.as_deref(), &tracking_id) {
        return Err(Failure::not_found("no approved affiliate with this trackingId"));
    }
    let click = Click {
        id: cuid(call.now),
        tracking_id,
        program_id,
        via: "clicks",
        consent: true,
        ip: fields.text("ip", 45)?,
        user_agent: fields.text("userAgent", 1000)?,
        referrer: fields.text("referrer", 2000)?,
        status: "visited",
        headers: call.headers_shown(),
        body: call.body_shown(),
        at: call.now,
    };
    let place = ledger.add_click(click);
    let Click { id, tracking_id, program_id, .. } = &ledger.clicks[place];
    Ok(enveloped(StatusCode::CREATED, &Data { id, tracking_id, program_id, created_at }))
}

/// `POST /signups`: a click becomes a lead; the same click again is answered with the lead that it already is.
pub(super) fn signup(ledger: &mut Ledger, call: &Call) -> Result<Reply, Failure> {
    let fields = Fields::parse(&call.body)?;
    // The second and third names are those of the pixel, whose own body is not documented.
    let click_id = fields
        .first_text(&["click_id", "clickId", "cid"], 255)?
        .ok_or_else(|| Failure::invalid("click_id", "click_id is required"))?;
    let email = fields.text("email", 255)?;
    if email.as_ref().is_some_and(|email| !email.contains('@')) {
        return Err(Failure::invalid("email", "email must be an e-mail address"));
    }
    let external_user_id = fields.first_text(&["external_user_id", "externalUserId"], 255)?;
    if email.is_none() && external_user_id.is_none() {
        return Err(Failure::invalid("email", "email or external_user_id is required"));
    }
    let name = fields.text("name", 255)?;
    if let Some(known) = ledger.signup_mut(&click_id) {
        known.replays += 1;
        let answer = lead(known);
        return Ok(enveloped(StatusCode::OK, &answer));
    }
    let place = ledger.click(&click_id).ok_or_else(|| Failure::not_found("no click with this click_id"))?;
    ledger.bind(place, None, external_user_id.as_deref());
    let click = &mut ledger.clicks[place];
    if click.status == "visited" {
        click.status = "lead";
    }
    let signup = Signup {
        click_id,
        affiliate: click.tracking_id.clone(),
        program_id: click.program_id.clone(),
        email,
        external_user_id,
        name,
        replays: 0,
        headers: call.headers_shown(),
        body: call.body_shown(),
        at: call.now,
    };
    let reply = enveloped(StatusCode::CREATED, &lead(&signup));
    ledger.add_signup(signup);
    Ok(reply)
}

/// A lead as the platform shows it.
fn lead(signup: &Signup) -> impl Serialize + use<'_> {
    #[derive(Serialize)]
    struct Data<'a> {
        id: &'a str,
        affiliate_id: String,
        program_id: &'a str,
        email: Option<&'a str>,
        external_user_id: Option<&'a str>,
        customer_id: Option<&'a str>,
        subscription_id: Option<&'a str>,
        status: &'a str,
        name: Option<&'a str>,
        metadata: Option<&'a str>,
        created_at: String,
        converted_at: Option<&'a str>,
    }
    Data {
        id: &signup.click_id,
        affiliate_id: affiliates::id_of(&signup.affiliate),
        program_id: &signup.program_id,
        email: signup.email.as_deref(),
        external_user_id: signup.external_user_id.as_deref(),
        customer_id: None,
        subscription_id: None,
        status: "lead",
        name: signup.name.as_deref(),
        metadata: None,
        created_at: signup.at.rfc3339(),
        converted_at: None,
    }
}

/// The program of a request, which must be ours when there is one.
fn program(settings: &Settings, fields: &Fields) -> Result<String, Failure> {
    let program_id = fields.required("programId", PROGRAM_MAX_CHARS)?;
    if settings.program.as_ref().is_some_and(|ours| *ours != program_id) {
        return Err(Failure::not_found("no such program"));
    }
    Ok(program_id)
}

/// Whose visit it is: what a proxy says, else who is connected.
fn visitor_address(call: &Call) -> String {
    let forwarded = call.header("x-forwarded-for").and_then(|list| list.split(',').next());
    call.header("x-real-ip")
        .or(forwarded)
        .or_else(|| call.header("cf-connecting-ip"))
        .map_or_else(|| call.peer.ip().to_string(), |address| address.trim().to_owned())
}
