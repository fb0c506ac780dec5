//! A visit under way: what the platform is told of it, and what its page is answered.

use super::{
    Tracked,
    memory::{Remembered, VisitorKeyParts, visitor_key},
    request::cut,
};
use crate::{SignedClick, Tools, Visitor};
use serde_json::{Map, Value, json};
use std::{net::IpAddr, sync::Arc};
use usher_model::{Click, Consent, Site, limits};
use usher_upstream::TrackCall;

/// Whether this visitor may be told apart and remembered.
pub(super) fn consents(site: &Site, said: Option<bool>, visitor: &Visitor) -> bool {
    let opted_out = site.honour_gpc && visitor.signals.gpc;
    let consents = match site.consent {
        Consent::Granted => said != Some(false),
        Consent::Required => said == Some(true),
    };
    consents && !opted_out
}

/// A visit under way.
pub(super) struct Visit<'a> {
    pub(super) site: &'a Arc<Site>,
    pub(super) visitor: &'a Visitor,
    pub(super) consents: bool,
    pub(super) details: &'a Map<String, Value>,
}

impl Visit<'_> {
    /// How long a click counts.
    pub(super) fn window_ms(&self) -> i64 {
        const DAY_MS: i64 = 24 * 60 * 60 * 1000;
        i64::from(self.site.cookie_days) * DAY_MS
    }

    pub(super) fn key(&self, tools: &Tools) -> Option<usher_model::VisitorKey> {
        let Visitor { address, user_agent, .. } = self.visitor;
        let parts = VisitorKeyParts::Visitor(*address, user_agent);
        self.consents.then(|| visitor_key(&tools.policy.now().visitor_key, self.site, parts))
    }

    /// What the platform is told; without consent neither address nor user agent.
    pub(super) fn call(&self) -> TrackCall {
        let mut body = self.details.clone();
        body.insert("programId".to_owned(), self.site.program.as_str().into());
        body.insert("hasConsent".to_owned(), self.consents.into());
        let mut call = TrackCall { body, ..TrackCall::default() };
        if self.consents {
            let user_agent = cut(&self.visitor.user_agent, limits::USER_AGENT_BYTES);
            call.body.insert("userAgent".to_owned(), user_agent.as_str().into());
            call.user_agent = Some(user_agent);
            call.address = Some(self.visitor.address);
            call.referer.clone_from(&self.visitor.referer);
            call.origin.clone_from(&self.visitor.origin);
        }
        call
    }

    /// What the platform is told of this click later, by `POST /clicks`. It rests on disk until then.
    pub(super) fn late_body(&self, click: &Click, address: Option<IpAddr>) -> String {
        let mut body = late_click(self.site, click);
        for field in [
            "sub1",
            "sub2",
            "sub3",
            "sub4",
            "sub5",
            "referrer",
            "utmSource",
            "utmMedium",
            "utmCampaign",
            "utmTerm",
        ]
        .into_iter()
        .chain(["utmContent", "gclid", "fbclid", "msclkid", "ttclid"])
        {
            if let Some(value) = self.details.get(field) {
                body.insert(field.to_owned(), value.clone());
            }
        }
        if self.consents {
            if let Some(address) = address {
                body.insert("ip".to_owned(), address.to_string().into());
            }
            body.insert(
                "userAgent".to_owned(),
                cut(&self.visitor.user_agent, limits::USER_AGENT_BYTES).into(),
            );
        }
        Value::Object(body).to_string()
    }

    pub(super) fn tracked(&self, known: &Remembered) -> Tracked {
        let mut answer = known.rest.as_ref().clone();
        answer.insert("cid".to_owned(), known.id.as_str().into());
        let data = answer.entry("data").or_insert_with(|| json!({"discount": null, "affiliateCoupons": []}));
        let offers = data["discount"].is_object()
            || data["affiliateCoupons"].as_array().is_some_and(|all| !all.is_empty());
        let data = (self.consents && offers).then(|| data.to_string());
        let cookie = self.consents.then(|| known.id.clone());
        let proof =
            known.click().filter(|_| self.consents).and_then(|click| SignedClick::sign(self.site, click));
        Tracked { answer, cookie, proof, data }
    }
}

/// The body of `POST /clicks` for a click that the platform has not seen.
pub(crate) fn late_click(site: &Site, click: &Click) -> Map<String, Value> {
    let mut body = Map::new();
    body.insert("programId".to_owned(), site.program.as_str().into());
    body.insert("trackingId".to_owned(), click.affiliate.as_str().into());
    body.insert("createdAt".to_owned(), click.created_at.rfc3339().into());
    body
}
