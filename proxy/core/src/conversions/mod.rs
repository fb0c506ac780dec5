//! Conversions: a sale is checked, attributed, written down, and only then answered.

mod request;
mod rules;
mod signup;

use crate::{
    Refusal, Tools, Visitor,
    capture::late_click,
    codes::Codes,
    delivery::{Handle, News},
};
use request::{ConversionRequest, raw};
use rules::{BoundCustomer, Rule, SeenClick, SeenCode, Signals, choose, credited_code};
use serde_json::{Value, json};
use signup::SignupRequest;
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;
use usher_model::{
    Acceptance, AffiliateCode, Answer, Click, ClickId, Code, CodeUse, Entry, EntryState, Job, RecordId, Send,
    Site, Source, UnixMs, Upstream, Validity, limits,
};

/// Accepts sales and leads.
pub struct Conversions {
    tools: Tools,
    codes: Arc<Codes>,
    delivery: Handle,
}

/// How a click stands, for a sale that names it.
enum Standing {
    /// The platform takes this id.
    Usable(ClickId),
    /// The platform will have an id for it.
    Awaited,
    /// It is no click, or none that the platform takes; for this reason.
    Unusable(String),
}

/// An order as it stands before a rule is chosen.
struct Seen {
    signals: Signals,
    /// How the click that the sale names stands.
    click: Standing,
    /// The same of the click that its customer is bound to.
    customer: Standing,
}

impl Conversions {
    pub(crate) const fn new(tools: Tools, codes: Arc<Codes>, delivery: Handle) -> Self {
        Self { tools, codes, delivery }
    }

    /// A server's report of a sale (`POST /v1/conversions`). The answer is the platform's own when it comes in time, else
    /// `202`; either way the sale is on stable storage by then. Run it detached from the request that brings it.
    ///
    /// # Errors
    /// A [`Refusal`]; nothing was written then.
    pub async fn convert(&self, site: &Arc<Site>, body: &[u8]) -> Result<Answer, Refusal> {
        let request = ConversionRequest::read(body)?;
        match self.attribute(site, &request).await {
            Err(refusal @ (Refusal::NotFound { .. } | Refusal::Invalid { .. })) => {
                // What was accepted stays accepted, also when its code or its click counts no longer.
                let (source, key) = (Source::api(), &request.event_id);
                let earlier = self.earlier(site, &source, Job::Conversion, key, &request.fingerprint);
                earlier.await?.ok_or(refusal)
            }
            outcome => outcome,
        }
    }

    /// Finds whom to credit, writes that down, and answers.
    async fn attribute(&self, site: &Site, request: &ConversionRequest) -> Result<Answer, Refusal> {
        let now = self.tools.clock.now();
        let mut seen = self.seen(site, request, now).await?;
        loop {
            let rule = choose(&seen.signals, site.code_or_click);
            let entry = self.entry(site, request, &seen, &rule, now)?;
            let counted = entry.code.is_some();
            match self.write(entry).await? {
                // The last use went to another order between our look and our write.
                None if counted => seen.signals.code = None,
                None => return Err(nobody(request, &seen.click)),
                Some(answer) => return Ok(answer),
            }
        }
    }

    /// A page's report of a lead (`POST /signups`).
    ///
    /// # Errors
    /// A [`Refusal`]; nothing was written then.
    pub async fn signup(&self, site: &Arc<Site>, body: &[u8], visitor: &Visitor) -> Result<Answer, Refusal> {
        let request = SignupRequest::read(body, visitor)?;
        let now = self.tools.clock.now();
        let mut fields = request.fields;
        let needs = match self.standing(site, &request.click).await?.1 {
            Standing::Usable(id) => {
                fields.insert("click_id".to_owned(), id.as_str().into());
                None
            }
            Standing::Awaited => Some(request.click.clone()),
            Standing::Unusable(why) => {
                let earlier = self
                    .earlier(site, &Source::browser(), Job::Signup, &request.key, &request.fingerprint)
                    .await?;
                return earlier.ok_or(Refusal::NotFound { field: Some("click_id"), message: why });
            }
        };
        let entry = Entry {
            id: RecordId::mint("lead", now, self.tools.random.as_ref()),
            site: site.name.clone(),
            job: Job::Signup,
            key: request.key,
            fingerprint: request.fingerprint,
            body: Value::Object(fields).to_string(),
            needs,
            source: Source::browser(),
            click: Some(request.click.clone()),
            mint: None,
            code: None,
            names: Vec::new(),
            paid: None,
            refund: None,
            send: Send::Now,
            bind: (!request.customers.is_empty()).then(|| (request.click.clone(), request.customers)),
            trace: json!({"rule": "signup", "click": request.click}).to_string(),
            now,
        };
        self.write(entry).await?.ok_or_else(|| Refusal::invalid("click_id", "this lead cannot be written"))
    }

    /// A server's report of money that went back (`POST /v1/conversions/{id}/refund`); the body may be empty.
    ///
    /// # Errors
    /// A [`Refusal`]; nothing was written then.
    pub async fn refund(
        &self,
        site: &Arc<Site>,
        conversion: &str,
        body: &[u8],
        idempotency_key: Option<&str>,
    ) -> Result<Answer, Refusal> {
        let _ = (site, body, idempotency_key);
        Err(Refusal::NotFound { field: None, message: format!("{conversion} is not known") })
    }

    /// A server's report of an event (`POST /v1/events`).
    ///
    /// # Errors
    /// A [`Refusal`]; nothing was written then.
    pub async fn event(&self, site: &Arc<Site>, body: &[u8]) -> Result<Answer, Refusal> {
        let _ = (site, body);
        Err(Refusal::NotFound { field: None, message: "not served".to_owned() })
    }

    /// What Segment says (`POST /v1/sources/segment/events`).
    ///
    /// # Errors
    /// A [`Refusal`]; nothing was written then.
    pub async fn segment(&self, site: &Arc<Site>, body: &[u8]) -> Result<Answer, Refusal> {
        let _ = (site, body);
        Err(Refusal::NotFound { field: None, message: "not served".to_owned() })
    }

    /// A server's report of a click (`POST /v1/clicks`).
    ///
    /// # Errors
    /// A [`Refusal`]; nothing was written then.
    pub async fn click(
        &self,
        site: &Arc<Site>,
        body: &[u8],
        idempotency_key: Option<&str>,
    ) -> Result<Answer, Refusal> {
        let _ = (site, body, idempotency_key);
        Err(Refusal::NotFound { field: None, message: "not served".to_owned() })
    }

    /// A server's report of a lead (`POST /v1/signups`).
    ///
    /// # Errors
    /// A [`Refusal`]; nothing was written then.
    pub async fn lead(&self, site: &Arc<Site>, body: &[u8]) -> Result<Answer, Refusal> {
        let _ = (site, body);
        Err(Refusal::NotFound { field: None, message: "not served".to_owned() })
    }

    /// A page ties an order to its visitor's click (`POST /bind`).
    ///
    /// # Errors
    /// A [`Refusal`]; nothing was written then.
    pub async fn bind(&self, site: &Arc<Site>, body: &[u8], visitor: &Visitor) -> Result<(), Refusal> {
        let _ = (site, body, visitor);
        Err(Refusal::NotFound { field: None, message: "not served".to_owned() })
    }

    /// The answer to a request whose key was accepted before.
    async fn earlier(
        &self,
        site: &Site,
        source: &Source,
        job: Job,
        key: &str,
        fingerprint: &[u8; 32],
    ) -> Result<Option<Answer>, Refusal> {
        match self.tools.store.accepted(&site.name, source, job, key).await? {
            None => Ok(None),
            Some((same, state)) if same == fingerprint => Ok(Some(replayed(state, key))),
            Some((_, state)) => Err(conflict(key, &state.id)),
        }
    }

    /// What is seen of an order.
    async fn seen(&self, site: &Site, request: &ConversionRequest, now: UnixMs) -> Result<Seen, Refusal> {
        let mut signals = Signals { unknown_customer: !request.customers.is_empty(), ..Signals::default() };
        let mut click = Standing::Unusable("the sale names no referral".to_owned());
        if let Some((_, id)) = &request.referral {
            let (affiliate, stands) = self.standing(site, id).await?;
            if !matches!(stands, Standing::Unusable(_)) {
                signals.click = Some(SeenClick { id: id.clone(), affiliate });
            }
            click = stands;
        }
        if let Some((code, _)) = &request.promo_code
            && let Some(found) = self.codes.surely_find(site, code)?
            && found.validity(now) == Validity::Valid
        {
            let Code { affiliate, max_uses, .. } = found;
            signals.code = Some(SeenCode { code: code.clone(), affiliate, max_uses });
        }
        let mut customer = Standing::Unusable("the sale names no customer".to_owned());
        for named in &request.customers {
            let bound = || self.tools.store.click_of_customer(&site.name, &named.key);
            let Some(id) = patiently(bound).await? else { continue };
            let (_, stands) = self.standing(site, &id).await?;
            // The platform never learned of this customer through a click that it refused.
            if matches!(stands, Standing::Unusable(_)) {
                continue;
            }
            if signals.customers.is_empty() {
                customer = stands;
            }
            signals.customers.push(BoundCustomer { field: named.field, click: id });
        }
        Ok(Seen { signals, click, customer })
    }

    /// Whose click it is, where we know, and how it stands with the platform.
    async fn standing(
        &self,
        site: &Site,
        id: &ClickId,
    ) -> Result<(Option<AffiliateCode>, Standing), Refusal> {
        let Some(click) = self.written_click(site, id).await? else {
            let standing = match id.is_minted() {
                true => Standing::Unusable(format!("{id} is not a click of this site")),
                // The platform's own, from before Usher or from another edge's store: the platform knows.
                false => Standing::Usable(id.clone()),
            };
            return Ok((None, standing));
        };
        let standing = match (&click.upstream, click.upstream_id()) {
            (_, Some(upstream)) => Standing::Usable(upstream.clone()),
            (Upstream::Refused(why), _) => {
                Standing::Unusable(format!("the platform refused the click {id}: {why}"))
            }
            _ => Standing::Awaited,
        };
        Ok((Some(click.affiliate), standing))
    }

    /// The click, as it was written. Clicks are written behind the visitor's back, so one that an edge has just minted may
    /// take a moment to be found; others are there or are none of ours.
    async fn written_click(&self, site: &Site, id: &ClickId) -> Result<Option<Click>, Refusal> {
        let patience = Instant::now() + Duration::from_millis(limits::STORE_PATIENCE_MS);
        loop {
            let click = patiently(|| self.tools.store.click(&site.name, id)).await?;
            if click.is_some() || !id.is_minted() || Instant::now() > patience {
                return Ok(click);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// What is to be written, by the rule that won.
    fn entry(
        &self,
        site: &Site,
        request: &ConversionRequest,
        seen: &Seen,
        rule: &Rule,
        now: UnixMs,
    ) -> Result<Entry, Refusal> {
        let signals = &seen.signals;
        let mut fields = request.fields.clone();
        let mut mint = None;
        let (click, needs) = match rule {
            Rule::Click { id } => (Some(id.clone()), referred(&mut fields, id, &seen.click)?),
            Rule::Customer { id } => (Some(id.clone()), referred(&mut fields, id, &seen.customer)?),
            Rule::Code { affiliate } => {
                let click = self.minted(site, affiliate, now);
                let id = click.id.clone();
                let body = Value::Object(late_click(site, &click)).to_string();
                mint = Some((click, body));
                (Some(id.clone()), Some(id))
            }
            Rule::PlatformKnowsCustomer => (None, None),
            Rule::Nobody => return Err(nobody(request, &seen.click)),
        };
        // Identifiers that resolve to different referrals are an error upstream: a customer of another click is left out.
        for customer in &signals.customers {
            if click.as_ref() != Some(&customer.click) {
                fields.remove(customer.field);
            }
        }
        let code = credited_code(signals, rule);
        let customers: Vec<_> = request.customers.iter().map(|customer| customer.key.clone()).collect();
        Ok(Entry {
            id: RecordId::mint("conv", now, self.tools.random.as_ref()),
            site: site.name.clone(),
            job: Job::Conversion,
            key: request.event_id.clone(),
            fingerprint: request.fingerprint,
            body: raw(&fields)?.get().to_owned(),
            source: Source::api(),
            click: click.clone(),
            needs,
            mint,
            names: Vec::new(),
            paid: Some(request.amount),
            refund: None,
            send: Send::Now,
            code: code.map(|seen| CodeUse { code: seen.code.clone(), max_uses: seen.max_uses }),
            bind: click.filter(|_| !customers.is_empty()).map(|click| (click, customers)),
            trace: trace(request, signals, rule),
            now,
        })
    }

    /// A click for the affiliate of a code, since the platform takes no codes.
    fn minted(&self, site: &Site, affiliate: &AffiliateCode, now: UnixMs) -> Click {
        Click {
            id: ClickId::mint(now, self.tools.random.as_ref()),
            site: site.name.clone(),
            affiliate: affiliate.clone(),
            visitor: None,
            created_at: now,
            upstream: Upstream::Pending,
        }
    }

    /// Writes an entry and answers; `None` when its code is used up.
    async fn write(&self, entry: Entry) -> Result<Option<Answer>, Refusal> {
        let (id, job, key) = (entry.id.clone(), entry.job, entry.key.clone());
        let news = self.delivery.news_of(&id);
        let accepted = self.tools.store.accept(entry).await;
        if !matches!(accepted, Ok(Acceptance::New(_) | Acceptance::Waiting)) {
            self.delivery.forget(&id);
        }
        match accepted? {
            Acceptance::New(deliveries) => self.delivery.hand_over(deliveries).await,
            Acceptance::Waiting => {}
            Acceptance::Same(state) => return Ok(Some(replayed(state, &key))),
            Acceptance::Conflict(held) => return Err(conflict(&key, &held)),
            Acceptance::UsedUp => return Ok(None),
        }
        let waited = tokio::time::timeout(Duration::from_millis(limits::UPSTREAM_WAIT_MS), news).await;
        self.delivery.forget(&id);
        Ok(Some(match waited {
            Ok(Ok(News::Answered(answer))) => spoken(answer, &id, &key),
            _ => {
                tracing::debug!(%id, job = job.word(), "queued");
                queued(&id, &key)
            }
        }))
    }
}

/// A read that a sale depends on. The store gives up early on reads, for a visitor's sake; a server can wait a little.
async fn patiently<T, F>(read: impl Fn() -> F) -> usher_store::Result<T>
where
    F: Future<Output = usher_store::Result<T>>,
{
    let patience = Instant::now() + Duration::from_millis(limits::STORE_PATIENCE_MS);
    let mut pause = Duration::from_millis(10);
    loop {
        match read().await {
            Err(usher_store::StoreError::Unavailable(_)) if Instant::now() + pause < patience => {
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
            read => return read,
        }
    }
}

/// Names a click's referral in the body, or says that the delivery has to wait for its id.
fn referred(
    fields: &mut request::Fields,
    id: &ClickId,
    standing: &Standing,
) -> Result<Option<ClickId>, Refusal> {
    match standing {
        Standing::Usable(upstream) => {
            fields.insert("referral_id".to_owned(), raw(upstream)?);
            Ok(None)
        }
        Standing::Awaited => Ok(Some(id.clone())),
        Standing::Unusable(why) => {
            Err(Refusal::NotFound { field: Some("referral_id"), message: why.clone() })
        }
    }
}

fn conflict(key: &str, held: &RecordId) -> Refusal {
    let message =
        format!("{key} was reported before with other content (as {held}); a new event needs a new id");
    Refusal::Conflict { message }
}

/// Nobody can be credited: says what was looked at.
fn nobody(request: &ConversionRequest, standing: &Standing) -> Refusal {
    match (&request.referral, standing, &request.promo_code) {
        (Some((name, _)), Standing::Unusable(why), _) => {
            Refusal::NotFound { field: Some(name), message: why.clone() }
        }
        (None, _, Some((_, typed))) => Refusal::NotFound {
            field: Some("promo_code"),
            message: format!(
                "{typed:?} is no promo code of an affiliate that counts now, and the sale names no other referral"
            ),
        },
        _ => Refusal::invalid(
            "referral_id",
            "one of referral_id, promo_code, customer_id or external_user_id is required",
        ),
    }
}

fn trace(request: &ConversionRequest, signals: &Signals, rule: &Rule) -> String {
    json!({
        "signals": signals,
        "decision": rule,
        "amount": request.amount.to_string(),
        "promo_code_typed": request.promo_code.as_ref().map(|(_, typed)| typed),
    })
    .to_string()
}

/// The platform's own answer; its `409` says that it has the record, which is what the caller wanted.
fn spoken(answer: Answer, id: &RecordId, key: &str) -> Answer {
    match answer.status {
        409 => envelope(200, id, key, "delivered"),
        _ => answer,
    }
}

/// The answer to a request that was answered before: `200` where the first got `201`.
fn replayed(state: EntryState, key: &str) -> Answer {
    match state.answer {
        Some(answer) if answer.status == 201 => Answer { status: 200, ..answer },
        Some(answer) => spoken(answer, &state.id, key),
        None => queued(&state.id, key),
    }
}

fn queued(id: &RecordId, key: &str) -> Answer {
    envelope(202, id, key, "queued")
}

fn envelope(status: u16, id: &RecordId, key: &str, word: &str) -> Answer {
    let body = json!({"success": true, "data": {"id": id, "status": word, "external_event_id": key}});
    Answer { status, body: body.to_string() }
}
