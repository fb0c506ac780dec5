//! Conversions: a sale is checked, attributed, written down, and only then answered; so are leads, events, refunds, and
//! clicks that servers report.

mod answers;
mod attribute;
mod click;
mod correct;
mod event;
mod fields;
mod order;
mod refund;
mod sale;
mod segment;
mod signup;
mod webhook;
mod write;

use crate::{
    Refusal, Tools, Visitor, attribution::Evidence, capture::Unwritten, codes::Codes, delivery::Handle,
};
use answers::{Told, told};
use click::Doors;
use sale::Sale;
use std::sync::Arc;
use usher_model::{Answer, Job, RecordId, Site};
use write::Written;

pub use webhook::Heard;

/// Accepts sales, leads, events, refunds and clicks. What one of its calls has answered well is on stable storage; the
/// answer is the platform's own when it comes in time, else `202`. Run calls detached from the request that brings them.
pub struct Conversions {
    tools: Tools,
    codes: Arc<Codes>,
    delivery: Handle,
    unwritten: Unwritten,
    doors: Doors,
}

impl Conversions {
    pub(crate) fn new(tools: Tools, codes: Arc<Codes>, delivery: Handle, unwritten: Unwritten) -> Self {
        Self { tools, codes, delivery, unwritten, doors: Doors::new() }
    }

    fn evidence<'a>(&'a self, site: &'a Site) -> Evidence<'a> {
        Evidence { tools: &self.tools, codes: &self.codes, unwritten: &self.unwritten, site }
    }

    /// A server's report of a sale (`POST /v1/conversions`). Its idempotency key is `external_event_id`.
    ///
    /// # Errors
    /// A [`Refusal`]; nothing was written then.
    pub async fn convert(&self, site: &Arc<Site>, body: &[u8]) -> Result<Answer, Refusal> {
        let sale = Sale::of_conversion(body)?;
        self.answer(site, &sale, told(&sale.key)).await
    }

    /// A server's report of an event (`POST /v1/events`). Its idempotency key is `external_event_id`; without one, which only
    /// events that are no sales may be, each report is an event.
    ///
    /// # Errors
    /// A [`Refusal`]; nothing was written then.
    pub async fn event(&self, site: &Arc<Site>, body: &[u8]) -> Result<Answer, Refusal> {
        let sale = Sale::of_event(body, || self.mint("evt").as_str().to_owned())?;
        if sale.paid.is_some() {
            // Reported as a conversion before, it would be paid twice if the platform keeps the two apart.
            self.check_unused(site, &sale, Job::Conversion).await?;
        }
        self.answer(site, &sale, told(&sale.key)).await
    }

    /// What Segment says (`POST /v1/sources/segment/events`). Its idempotency key is `messageId`.
    ///
    /// # Errors
    /// A [`Refusal`]; nothing was written then.
    pub async fn segment(&self, site: &Arc<Site>, body: &[u8]) -> Result<Answer, Refusal> {
        let sale = Sale::of_segment(body)?;
        // Which of its two forms it takes depends on what was known at the time.
        for job in [Job::Segment, sale.job] {
            let earlier = self.earlier(&site.name, &sale.source, job, &sale.key, &sale.fingerprint);
            if let Some(known) = earlier.await? {
                return Ok(answers::replayed(known, told(&sale.key)));
            }
        }
        self.answer(site, &sale, told(&sale.key)).await
    }

    /// A server's report of a lead (`POST /v1/signups`). The same person through the same click is the same lead.
    ///
    /// # Errors
    /// A [`Refusal`]; nothing was written then.
    pub async fn lead(&self, site: &Arc<Site>, body: &[u8]) -> Result<Answer, Refusal> {
        let lead = Sale::of_signup(body)?;
        self.answer(site, &lead, Told::new()).await
    }

    /// A page's report of a lead (`POST /signups`).
    ///
    /// # Errors
    /// A [`Refusal`]; nothing was written then.
    pub async fn signup(&self, site: &Arc<Site>, body: &[u8], visitor: &Visitor) -> Result<Answer, Refusal> {
        let lead = Sale::of_page_signup(body, visitor)?;
        self.answer(site, &lead, Told::new()).await
    }

    async fn answer(&self, site: &Site, sale: &Sale, told: Told) -> Result<Answer, Refusal> {
        let written = match self.take(site, sale).await {
            Err(Refusal::Conflict { .. }) => self.correct(site, sale).await?,
            written => written?,
        };
        Ok(match written {
            Written::New(mut receipt) => {
                let said = self.said(&mut receipt).await;
                answers::written(&receipt, said, told)
            }
            Written::Known(known) => answers::replayed(known, told),
        })
    }

    /// Refuses a key that other work of this source has taken.
    async fn check_unused(&self, site: &Site, sale: &Sale, job: Job) -> Result<(), Refusal> {
        let earlier = self.earlier(&site.name, &sale.source, job, &sale.key, &sale.fingerprint);
        earlier.await.map(|_| ())
    }

    fn mint(&self, kind: &'static str) -> RecordId {
        RecordId::mint(kind, self.tools.clock.now(), self.tools.random.as_ref())
    }
}

/// The `Idempotency-Key` of a request, checked.
fn idempotency_key(sent: Option<&str>) -> Result<Option<&str>, Refusal> {
    let Some(key) = sent.map(str::trim).filter(|key| !key.is_empty()) else { return Ok(None) };
    if key.chars().count() > fields::TEXT_LONGEST || key.chars().any(char::is_control) {
        return Err(Refusal::invalid("Idempotency-Key", "Idempotency-Key must be at most 255 characters"));
    }
    Ok(Some(key))
}
