//! Capture: a request becomes a click, or is seen to be none.

mod bots;
mod earlier;
mod floods;
mod landing;
mod memory;
mod recorder;
mod request;
mod visit;

use crate::{Refusal, Tools, Visitor};
use floods::Floods;
pub use landing::{Admission, Landing};
use memory::{Lookup, Memory, Remembered};
pub(crate) use memory::{VisitorKeyParts, visitor_key};
use recorder::Recorder;
pub(crate) use recorder::Unwritten;
use request::TrackRequest;
use serde_json::{Map, Value, json};
use std::{net::IpAddr, sync::Arc, time::Duration};
use tokio::task::JoinHandle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use usher_model::{
    AffiliateCode, Answer, Attribution, Click, ClickId, Code, Delivery, Discount, Job, Settlement, Site,
    UnixMs, Upstream, limits,
};
use usher_store::PendingClick;
use usher_upstream::{CallError, TrackAnswer};
pub(crate) use visit::late_click;
use visit::{Visit, consents};

/// What came of a report.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tracked {
    /// The unwrapped answer for the page: `{cid, data:{discount, affiliateCoupons}, …}`; `cid` is empty when there is none.
    pub answer: Map<String, Value>,
    /// Set the cookie `affonso_referral` to this.
    pub cookie: Option<ClickId>,
    /// Set the signed cookie to this: it proves the same click. Without one the visitor shall keep none of another click.
    pub proof: Option<String>,
    /// Set the cookie `affonso_data` to this JSON.
    pub data: Option<String>,
}

/// Turns requests into clicks.
pub struct Capture {
    tools: Tools,
    memory: Arc<Memory>,
    floods: Arc<Floods>,
    recorder: Recorder,
    late: TaskTracker,
    /// From then on the platform is not asked: whoever comes next tells it.
    leaving: CancellationToken,
}

impl Capture {
    /// Starts the task that writes clicks; it ends when the `Capture` is gone and everything is written.
    /// After `leaving` the platform is not asked any more.
    pub(crate) fn start(tools: Tools, leaving: CancellationToken) -> (Self, JoinHandle<()>) {
        let (recorder, writing) = Recorder::start(&tools);
        let (memory, late) = (Arc::new(Memory::new(&tools)), TaskTracker::new());
        (Self { memory, floods: Arc::new(Floods::new()), tools, recorder, late, leaving }, writing)
    }

    /// Keeps what is remembered true until then: nobody who was erased is remembered.
    pub(crate) fn forget_erased(&self, stop: CancellationToken) -> impl Future<Output = ()> + use<> {
        Arc::clone(&self.memory).forget_erased(stop)
    }

    /// How many clicks the platform was not told of, for too many came from their networks: to be asked again and again.
    pub fn untold(&self) -> impl Fn() -> u64 + Send + Sync + use<> {
        let floods = Arc::clone(&self.floods);
        move || floods.untold()
    }

    /// The clicks of this edge that are still to be written.
    pub(crate) fn unwritten(&self) -> Unwritten {
        self.recorder.unwritten()
    }

    /// Waits until calls that went on behind their answers have ended.
    pub(crate) async fn finish(&self) {
        self.late.close();
        self.late.wait().await;
    }

    /// A page's report (`POST /track`).
    ///
    /// # Errors
    /// [`Refusal::Invalid`] when the body is not a report. Trouble with the store or the platform is none of the page's:
    /// it gets an answer all the same.
    pub async fn track(&self, site: &Arc<Site>, body: &[u8], visitor: &Visitor) -> Result<Tracked, Refusal> {
        let request = TrackRequest::read(site, body)?;
        let user_agent =
            if visitor.user_agent.is_empty() { &request.user_agent } else { &visitor.user_agent };
        if visitor.signals.head || visitor.signals.prefetch || bots::is_bot(user_agent) {
            return Ok(Tracked::nothing());
        }
        let consents = consents(site, request.consent, visitor);
        Ok(self.arrived(site, request, consents, visitor).await)
    }

    /// Somebody who looks has come through `request`.
    async fn arrived(
        &self,
        site: &Arc<Site>,
        request: TrackRequest,
        consents: bool,
        visitor: &Visitor,
    ) -> Tracked {
        let visit = Visit { site, visitor, consents, details: &request.details };
        let earlier = match &request.earlier {
            Some(id) => self.earlier(&visit, id).await,
            None => None,
        };
        match (earlier, request.affiliate) {
            (Some(known), affiliate) if affiliate.as_ref().is_none_or(|a| known.is_of(a)) => {
                visit.tracked(&known)
            }
            (_, Some(affiliate)) => {
                let keeps_first = site.attribution == Attribution::FirstClick;
                self.visit(&visit, &affiliate, keeps_first).await
            }
            (_, None) => Tracked::nothing(),
        }
    }

    /// A visitor applied a promo code. No more than a click through its affiliate's link, and no less; its own discount takes
    /// the place of theirs.
    pub(crate) async fn code_applied(&self, site: &Arc<Site>, code: &Code, visitor: &Visitor) -> Tracked {
        let consents = consents(site, None, visitor);
        if !consents || visitor.signals.prefetch || visitor.signals.head || bots::is_bot(&visitor.user_agent)
        {
            return Tracked::nothing();
        }
        let visit = Visit { site, visitor, consents, details: &Map::new() };
        // That a code counts is the site's policy already: the first click of another affiliate does not stop it.
        let tracked = self.visit(&visit, &code.affiliate, false).await;
        match &code.discount {
            Some(discount) if tracked.cookie.is_some() => tracked.discounted(discount),
            _ => tracked,
        }
    }

    /// A visit through `affiliate`: the same click again, the first click kept, or a new one.
    async fn visit(&self, visit: &Visit<'_>, affiliate: &AffiliateCode, keeps_first: bool) -> Tracked {
        if let Some(known) = self.same_click(visit, affiliate, keeps_first).await {
            return visit.tracked(&known);
        }
        let Some(key) = visit.key(&self.tools) else {
            let new = self.new_click(visit, affiliate).await;
            return new.map_or_else(Tracked::nothing, |new| visit.tracked(&new));
        };
        // One visitor's requests at the same moment (a tag loaded twice, two tabs) wait for the first of them.
        let once = self.memory.once_for_visitor(visit.site, key, affiliate, async {
            match self.memory.stored_click_of_visitor(visit.site, key, affiliate).await {
                Some(known) => Some(known),
                None => self.new_click(visit, affiliate).await,
            }
        });
        once.await.map_or_else(Tracked::nothing, |known| visit.tracked(&known))
    }

    /// The click that the visitor's cookie names, where it is the one that counts.
    async fn same_click(
        &self,
        visit: &Visit<'_>,
        affiliate: &AffiliateCode,
        keeps_first: bool,
    ) -> Option<Remembered> {
        let cookie = visit.visitor.cookie.as_ref()?;
        let signed = visit.visitor.signed.as_ref().filter(|signed| signed.id() == cookie);
        let known = match (self.memory.click(visit.site, cookie).await, signed) {
            (Lookup::Found(known), _) => known,
            (_, Some(signed)) => Remembered::proved(signed.click(visit.site)),
            // A cookie from before Usher, or one that the store cannot tell of right now.
            (Lookup::Absent, None) if keeps_first && !cookie.is_minted() => Remembered::unknown(cookie),
            (Lookup::Silent, None) if keeps_first => Remembered::unknown(cookie),
            (Lookup::Absent | Lookup::Silent, None) => return None,
        };
        let age_ms = known.click().map_or(0, |click| self.tools.clock.now().since(click.created_at));
        // A click that credits nobody, not any more or not at all, stands in nobody's way.
        if known.is_refused() || age_ms > visit.window_ms() {
            return None;
        }
        // Who comes through a link again after a while shall have the whole window again.
        let is_same = known.is_of(affiliate) && age_ms < limits::SAME_CLICK_MS;
        (is_same || keeps_first).then_some(known)
    }

    /// A click that was not there before: the platform's id within the budget, else one of our own. `None` when the
    /// platform answers that it has no click for this affiliate.
    async fn new_click(&self, visit: &Visit<'_>, affiliate: &AffiliateCode) -> Option<Remembered> {
        let now = self.tools.clock.now();
        let mut click = Click {
            id: ClickId::mint(now, self.tools.random.as_ref()),
            site: visit.site.name.clone(),
            affiliate: affiliate.clone(),
            visitor: visit.key(&self.tools),
            created_at: now,
            upstream: Upstream::Pending,
        };
        if !self.floods.admits(&visit.site.name, visit.visitor.address, Some(affiliate), now) {
            click.upstream = Upstream::Untold;
            self.recorder.record(click.clone(), None);
            return Some(self.memory.remember(click, Map::new()));
        }
        if self.leaving.is_cancelled() {
            return Some(self.tell_later(visit, click));
        }
        let mut call = visit.call();
        call.body.insert("trackingId".to_owned(), affiliate.as_str().into());
        let platform = Arc::clone(&self.tools.platform);
        let mut asked =
            tokio::spawn(
                async move { platform.track(call, Duration::from_millis(limits::TRACK_CALL_MS)).await },
            );
        match tokio::time::timeout(self.tools.policy.now().click_budget, &mut asked).await {
            Ok(Ok(Ok(TrackAnswer { cid: Some(id), rest }))) => {
                click = Click { id, upstream: Upstream::Same, ..click };
                self.recorder.record(click.clone(), None);
                Some(self.memory.remember(click, rest))
            }
            Ok(Ok(Ok(TrackAnswer { cid: None, .. }))) => None,
            Ok(_) => Some(self.tell_later(visit, click)),
            Err(_) => {
                self.reconcile_late(visit, click.clone(), asked);
                Some(self.memory.remember(click, Map::new()))
            }
        }
    }

    /// Writes down a click of our own; the outbox tells the platform of it.
    fn tell_later(&self, visit: &Visit<'_>, click: Click) -> Remembered {
        let body = visit.late_body(&click, self.address_at_rest(visit));
        let pending = PendingClick { body, due_at: click.created_at };
        self.recorder.record(click.clone(), Some(pending));
        self.memory.remember(click, Map::new())
    }

    /// The delivery of a click of our own, due when a live call that may be under way for it has ended.
    fn pending(&self, visit: &Visit<'_>, click: &Click) -> PendingClick {
        let after_the_call = i64::try_from(limits::TRACK_CALL_MS + 1_000).unwrap_or(i64::MAX);
        let body = visit.late_body(click, self.address_at_rest(visit));
        PendingClick { body, due_at: click.created_at.plus(after_the_call) }
    }

    /// The address that may rest on disk with a click that is told later. A shortened one would be a wrong one: to the
    /// platform, visitors of one network would be one visitor. So it is all of it or nothing.
    fn address_at_rest(&self, visit: &Visit<'_>) -> Option<IpAddr> {
        (!self.tools.policy.now().truncate_addresses).then_some(visit.visitor.address)
    }

    /// The visitor has an id of ours while the platform is still working on one. Its late answer says what it calls the
    /// click; without one the outbox tells it again.
    fn reconcile_late(
        &self,
        visit: &Visit<'_>,
        click: Click,
        asked: JoinHandle<Result<TrackAnswer, CallError>>,
    ) {
        let pending = self.pending(visit, &click);
        let delivery = Delivery {
            id: click.id.as_str().to_owned(),
            site: click.site.clone(),
            job: Job::Click,
            body: pending.body.clone(),
            needs: None,
            refund: None,
            attempts: 0,
            log: Vec::new(),
            created_at: click.created_at,
        };
        let written = self.recorder.record(click, Some(pending));
        let tools = self.tools.clone();
        self.late.spawn(async move {
            let answer = asked.await;
            let now = tools.clock.now();
            let settlement = late_outcome(answer, now);
            // The store keeps a last word also for a click that is not written yet; so the outbox never finds a click due
            // of which the platform knows already.
            let is_last = matches!(settlement, Settlement::Delivered { .. } | Settlement::Dead { .. });
            if is_last && tools.store.settle(&delivery, settlement.clone(), now).await.is_ok() {
                return;
            }
            if written.await.is_err() {
                return; // dropped, and said so
            }
            // When this cannot be written either, the delivery is due by itself after the call's deadline.
            if let Err(error) = tools.store.settle(&delivery, settlement, now).await {
                tracing::warn!(click = delivery.id, %error, "a late click id was not written; the outbox will ask again");
            }
        });
    }
}

/// What the late answer to a live call means for the click's delivery.
fn late_outcome(
    answer: Result<Result<TrackAnswer, CallError>, tokio::task::JoinError>,
    now: UnixMs,
) -> Settlement {
    match answer {
        Ok(Ok(TrackAnswer { cid: Some(id), .. })) => Settlement::Delivered {
            answer: Answer { status: 200, body: String::new() },
            upstream_id: Some(id.as_str().to_owned()),
            refunded: None,
        },
        Ok(Ok(TrackAnswer { cid: None, .. })) => Settlement::Dead {
            answer: None,
            error: "the platform has no click for this affiliate".to_owned(),
        },
        Ok(Err(error)) => Settlement::Retry { due_at: now, error: error.to_string() },
        Err(ended) => Settlement::Retry { due_at: now, error: ended.to_string() },
    }
}

impl Tracked {
    /// No click, no cookie; the shape that pages expect.
    fn nothing() -> Self {
        let empty = json!({"cid": "", "data": {"discount": null, "affiliateCoupons": []}});
        match empty {
            Value::Object(answer) => Self { answer, cookie: None, proof: None, data: None },
            _ => Self::default(),
        }
    }

    /// The same with this discount. The affiliate's coupons stay.
    fn discounted(mut self, discount: &Discount) -> Self {
        let coupons = self.answer.get_mut("data").and_then(|data| data.get_mut("affiliateCoupons"));
        let coupons = coupons.map(Value::take).filter(Value::is_array);
        let data = json!({"discount": discount, "affiliateCoupons": coupons.unwrap_or_else(|| json!([]))});
        self.data = Some(data.to_string());
        self.answer.insert("data".to_owned(), data);
        self
    }
}
