//! `POST /v1/clicks`: a server reports a click that its own pages or links saw.

use super::{
    Conversions,
    answers::{Told, readable},
    fields::{Fields, Named, TEXT_LONGEST, moment, object, raw, settle_names, text, text_of},
};
use crate::{
    Refusal,
    capture::{VisitorKeyParts, visitor_key},
    delivery::News,
};
use quick_cache::sync::Cache;
use serde_json::json;
use std::{sync::Arc, time::Duration};
use tokio::sync::Mutex;
use usher_model::{
    AffiliateCode, Answer, Click, ClickId, Delivery, Job, RecordId, Send, Site, UnixMs, Upstream, VisitorKey,
    limits,
};
use usher_store::PendingClick;

/// The fields of a click under the platform's names, which are in camel case here alone, and in the other casing
/// (<https://docs.affonso.io/api-reference/endpoint/clicks/create>).
const CLICK_FIELDS: &[Named] = &[
    ("programId", "program_id"),
    ("trackingId", "tracking_id"),
    ("createdAt", "created_at"),
    ("userAgent", "user_agent"),
    ("utmSource", "utm_source"),
    ("utmMedium", "utm_medium"),
    ("utmCampaign", "utm_campaign"),
    ("utmTerm", "utm_term"),
    ("utmContent", "utm_content"),
];
/// How many characters a field may have.
const LONGEST: [(&str, usize); 17] = [
    ("sub1", TEXT_LONGEST),
    ("sub2", TEXT_LONGEST),
    ("sub3", TEXT_LONGEST),
    ("sub4", TEXT_LONGEST),
    ("sub5", TEXT_LONGEST),
    ("referrer", limits::REFERRER_BYTES),
    ("ip", 45),
    ("userAgent", limits::USER_AGENT_BYTES),
    ("utmSource", TEXT_LONGEST),
    ("utmMedium", TEXT_LONGEST),
    ("utmCampaign", TEXT_LONGEST),
    ("utmTerm", TEXT_LONGEST),
    ("utmContent", TEXT_LONGEST),
    ("gclid", TEXT_LONGEST),
    ("fbclid", TEXT_LONGEST),
    ("msclkid", TEXT_LONGEST),
    ("ttclid", TEXT_LONGEST),
];
/// Reports that are looked at one after the other, if they may be the same click.
const DOORS: usize = 10_000;

/// Reports of what may be one click go through one door, one by one.
pub(super) struct Doors(Cache<VisitorKey, Arc<Mutex<()>>>);

impl Doors {
    pub(super) fn new() -> Self {
        Self(Cache::new(DOORS))
    }

    fn of(&self, key: VisitorKey) -> Arc<Mutex<()>> {
        let made: Result<_, std::convert::Infallible> =
            self.0.get_or_insert_with(&key, || Ok(Arc::new(Mutex::new(()))));
        made.unwrap_or_else(|never| match never {})
    }
}

/// A click as it was reported, checked.
#[derive(Debug)]
struct ClickRequest {
    affiliate: AffiliateCode,
    created_at: Option<UnixMs>,
    /// The visitor's address and user agent, when both are told.
    visitor: Option<(String, String)>,
    /// What goes to the platform.
    fields: Fields,
}

/// Why two reports may be one click, and for how long.
#[derive(Clone, Copy)]
enum Sameness {
    Key(VisitorKey),
    Visitor(VisitorKey),
}

impl ClickRequest {
    fn read(site: &Site, body: &[u8]) -> Result<Self, Refusal> {
        let mut fields = object(body)?;
        settle_names(&mut fields, CLICK_FIELDS)?;
        let program = text(&fields, "programId", TEXT_LONGEST)?
            .ok_or_else(|| Refusal::invalid("programId", "programId is required"))?;
        if program != site.program {
            let message = "programId is not the program of this site".to_owned();
            return Err(Refusal::NotFound { field: Some("programId"), message });
        }
        let affiliate = text(&fields, "trackingId", TEXT_LONGEST)?
            .ok_or_else(|| Refusal::invalid("trackingId", "trackingId is required: the affiliate's code"))?;
        let affiliate = AffiliateCode::new(affiliate)
            .map_err(|error| Refusal::invalid("trackingId", format!("trackingId: {error}")))?;
        for (name, longest) in LONGEST {
            text(&fields, name, longest)?;
        }
        let created_at = moment(&fields, "createdAt")?;
        let address = text(&fields, "ip", TEXT_LONGEST)?;
        let user_agent = text(&fields, "userAgent", limits::USER_AGENT_BYTES)?;
        Ok(Self { affiliate, created_at, visitor: address.zip(user_agent), fields })
    }

    /// When it happened; a click never lies ahead.
    fn happened_at(&self, now: UnixMs) -> UnixMs {
        self.created_at.map_or(now, |at| at.min(now))
    }
}

impl Conversions {
    /// A server's report of a click. It is on stable storage before the platform is asked. The answer is the platform's own,
    /// with its id, when it comes in time; else `202` with an id of ours that is as good everywhere here.
    ///
    /// The same `Idempotency-Key` within a day is the same click, and so is, without one, the same `ip`, `userAgent` and
    /// `trackingId` within an hour. A report that says neither is a click of its own: different visitors may look alike.
    ///
    /// # Errors
    /// A [`Refusal`]; nothing was written then.
    pub async fn click(
        &self,
        site: &Site,
        body: &[u8],
        idempotency_key: Option<&str>,
    ) -> Result<Answer, Refusal> {
        let request = ClickRequest::read(site, body)?;
        let sameness = self.sameness(site, &request, super::idempotency_key(idempotency_key)?);
        let door = sameness.map(|sameness| self.doors.of(sameness.key()));
        let entered = match &door {
            Some(door) => Some(door.lock().await),
            None => None,
        };
        if let Some(sameness) = sameness
            && let Some(known) = self.reported_before(site, &request, sameness).await?
        {
            return Ok(told(&known, site, 200));
        }
        let (click, delivery) = self.record(site, request, sameness).await?;
        drop(entered);
        let Some(delivery) = delivery else { return Ok(told(&click, site, 201)) };
        match self.delivered(delivery).await {
            Some(answer) => {
                self.know_by_its_other_id(site, &click, &answer).await;
                Ok(answer)
            }
            None => Ok(told(&click, site, 201)),
        }
    }

    fn sameness(&self, site: &Site, request: &ClickRequest, key: Option<&str>) -> Option<Sameness> {
        let of = |parts| visitor_key(&self.tools.policy.now().visitor_key, site, parts);
        match (key, &request.visitor) {
            (Some(key), _) => Some(Sameness::Key(of(VisitorKeyParts::Key(key)))),
            (None, Some((address, user_agent))) => {
                let address = address.parse().ok()?;
                Some(Sameness::Visitor(of(VisitorKeyParts::Visitor(address, user_agent))))
            }
            (None, None) => None,
        }
    }

    /// The click that was reported before, unless it credits nobody.
    async fn reported_before(
        &self,
        site: &Site,
        request: &ClickRequest,
        sameness: Sameness,
    ) -> Result<Option<Click>, Refusal> {
        // Of clicks that are reported late it counts when they happened, not when they are told.
        let (at, lasts_ms) = (request.happened_at(self.tools.clock.now()), sameness.lasts_ms());
        let found = self.tools.store.click_of_visitor(&site.name, sameness.key(), at.plus(-lasts_ms)).await?;
        let is_close = |click: &Click| click.created_at.since(at) <= lasts_ms;
        let found = found.filter(|click| is_close(click) && !matches!(click.upstream, Upstream::Refused(_)));
        match (found, sameness) {
            (Some(click), _) if click.affiliate == request.affiliate => Ok(Some(click)),
            (Some(click), Sameness::Key(_)) => Err(Refusal::Conflict {
                message: format!(
                    "this Idempotency-Key was used for the click {} of another affiliate",
                    click.id
                ),
            }),
            _ => Ok(None),
        }
    }

    /// Writes the click down, with what the platform is to be told. What is to be sent at once comes back; should this edge
    /// die over it, it is due by itself after the lease.
    async fn record(
        &self,
        site: &Site,
        request: ClickRequest,
        sameness: Option<Sameness>,
    ) -> Result<(Click, Option<Delivery>), Refusal> {
        let now = self.tools.clock.now();
        let happened_at = request.happened_at(now);
        let click = Click {
            id: ClickId::mint(now, self.tools.random.as_ref()),
            site: site.name.clone(),
            affiliate: request.affiliate,
            visitor: sameness.map(Sameness::key),
            created_at: happened_at,
            upstream: Upstream::Pending,
        };
        let click = self.of_somebody(site, click);
        let mut fields = request.fields;
        // It may be told later than it happened.
        if !fields.contains_key("createdAt") {
            fields.insert("createdAt".to_owned(), raw(&click.created_at.rfc3339())?);
        }
        let body = text_of(&fields)?;
        // Half an address would be a wrong one to the platform, so where whole ones may not rest on disk there is none.
        if self.tools.policy.now().truncate_addresses {
            fields.remove("ip");
        }
        let send = self.delivery.when(&site.name, Job::Click);
        let due_at = match send {
            Send::From(at) => at,
            Send::Now | Send::Never(_) => now.plus(limits::LEASE_MS),
        };
        let pending = PendingClick { body: text_of(&fields)?, due_at };
        self.tools.store.record_clicks(vec![(click.clone(), Some(pending))]).await?;
        let delivery = Delivery {
            id: click.id.as_str().to_owned(),
            site: site.name.clone(),
            job: Job::Click,
            body,
            needs: None,
            refund: None,
            attempts: 0,
            log: Vec::new(),
            created_at: now,
        };
        Ok((click, (send == Send::Now).then_some(delivery)))
    }

    /// What the platform answers, if it does in time.
    async fn delivered(&self, delivery: Delivery) -> Option<Answer> {
        let id = RecordId::new(delivery.id.as_str()).ok()?;
        let news = self.delivery.news_of(&id);
        self.delivery.hand_over(vec![delivery]).await;
        let waited = tokio::time::timeout(Duration::from_millis(limits::UPSTREAM_WAIT_MS), news).await;
        self.delivery.forget(&id);
        match waited {
            Ok(Ok(News::Answered(answer))) => Some(readable(answer, &id, Told::new())),
            _ => None,
        }
    }

    /// The click with a visitor of its own where the report names none: only clicks that wait for consent have none.
    fn of_somebody(&self, site: &Site, click: Click) -> Click {
        let own = VisitorKeyParts::Click(click.id.as_str());
        let own = visitor_key(&self.tools.policy.now().visitor_key, site, own);
        Click { visitor: click.visitor.or(Some(own)), ..click }
    }

    /// The caller will name the click by the platform's id: whose it is and when it was made should be known by that, too.
    async fn know_by_its_other_id(&self, site: &Site, click: &Click, answer: &Answer) {
        let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap_or_default();
        let Some(Ok(id)) = body["data"]["id"].as_str().map(ClickId::new) else { return };
        let same = Click { id, visitor: None, upstream: Upstream::Same, ..click.clone() };
        let same = self.of_somebody(site, same);
        if let Err(error) = self.tools.store.record_clicks(vec![(same, None)]).await {
            tracing::warn!(click = %click.id, %error, "a click will not be known by the platform's id");
        }
    }
}

impl Sameness {
    const fn key(self) -> VisitorKey {
        match self {
            Self::Key(key) | Self::Visitor(key) => key,
        }
    }

    const fn lasts_ms(self) -> i64 {
        match self {
            Self::Key(_) => limits::CLICK_KEY_MS,
            Self::Visitor(_) => limits::SAME_VISITOR_MS,
        }
    }
}

/// A click in the platform's form; `202` while only we know it.
fn told(click: &Click, site: &Site, status: u16) -> Answer {
    let mut data = json!({
        "id": click.upstream_id().unwrap_or(&click.id),
        "tracking_id": click.affiliate,
        "program_id": site.program,
        "created_at": click.created_at.rfc3339(),
    });
    let is_known = click.upstream_id().is_some();
    if !is_known {
        data["status"] = "queued".into();
    }
    let body = json!({"success": true, "data": data}).to_string();
    Answer { status: if is_known { status } else { 202 }, body }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::site;
    use proptest::prelude::*;

    const CLICK: &str = r#""programId":"prog","trackingId":"alice""#;

    fn read(more: &str) -> Result<ClickRequest, Refusal> {
        ClickRequest::read(&site(), format!("{{{CLICK}{more}}}").as_bytes())
    }

    #[test]
    fn both_casings_are_taken_and_the_platforms_is_sent() {
        let body = r#"{"program_id":"prog","tracking_id":"alice","user_agent":"UA","utm_source":"x","sub1":"s","other":1.0,"ip":"192.0.2.7"}"#;
        let click = ClickRequest::read(&site(), body.as_bytes()).expect("a click");
        let names: Vec<_> = click.fields.keys().map(String::as_str).collect();
        assert_eq!(names, ["ip", "other", "programId", "sub1", "trackingId", "userAgent", "utmSource"]);
        assert_eq!(click.visitor, Some(("192.0.2.7".to_owned(), "UA".to_owned())));
        assert_eq!(read(r#","ip":"192.0.2.7""#).expect("a click").visitor, None);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let long =
            |name: &str, length: usize| format!(r#"{{{CLICK},"{name}":"{}"}}"#, "x".repeat(length + 1));
        for (body, expected) in [
            (r#"{"trackingId":"alice"}"#.to_owned(), "programId"),
            (r#"{"programId":"other","trackingId":"alice"}"#.to_owned(), "programId"),
            (r#"{"programId":"prog"}"#.to_owned(), "trackingId"),
            (r#"{"programId":"prog","trackingId":"al ice"}"#.to_owned(), "trackingId"),
            (format!(r#"{{{CLICK},"createdAt":"now"}}"#), "createdAt"),
            (format!(r#"{{{CLICK},"tracking_id":"bob"}}"#), "tracking_id"),
            (long("ip", 45), "ip"),
            (long("referrer", 2_000), "referrer"),
            (long("userAgent", 1_000), "userAgent"),
            (long("utm_term", 255), "utmTerm"),
        ] {
            match ClickRequest::read(&site(), body.as_bytes()) {
                Err(Refusal::Invalid { field, .. } | Refusal::NotFound { field, .. }) => {
                    assert_eq!(field, Some(expected), "{body}");
                }
                other => panic!("{body}: {other:?}"),
            }
        }
    }

    proptest! {
        #[test]
        fn no_body_panics(body in proptest::collection::vec(any::<u8>(), 0..200), text in "\\PC{0,60}") {
            let _ = ClickRequest::read(&site(), &body);
            let _ = read(&format!(r#","ip":{text:?},{text}"#));
        }
    }
}
