//! A click that the page brings along: handed over by another domain, or recorded before consent.

use super::{Capture, memory::Remembered, visit::Visit};
use usher_model::{Attribution, Click, ClickId, Upstream, limits};

impl Capture {
    /// The click of that id, if it is still this visitor's. Who consents makes it theirs for good, here and at the platform.
    pub(super) async fn earlier(&self, visit: &Visit<'_>, id: &ClickId) -> Option<Remembered> {
        let cookie = visit.visitor.cookie.as_ref();
        if visit.site.attribution == Attribution::FirstClick && cookie.is_some_and(|cookie| cookie != id) {
            return None;
        }
        let known = match self.memory.click(visit.site, id).await.found() {
            Some(known) if known.click().is_some_and(|click| self.has_lapsed(visit, click)) => return None,
            known => known.map(|known| self.claimed(visit, known)),
        };
        let upstream = match known.as_ref().and_then(Remembered::click) {
            // The platform does not know it yet: there is nothing to upgrade there.
            Some(click) if click.upstream.is_pending() => return known,
            Some(click) => click.upstream_id()?.clone(),
            None if id.is_minted() => return None, // ours, but never written: somebody made it up
            None => id.clone(),
        };
        if !visit.consents || (known.is_some() && cookie == Some(id)) || self.leaving.is_cancelled() {
            return known;
        }
        // A page may make up as many ids as it likes.
        if !self.floods.admits(&visit.site.name, visit.visitor.address, None, self.tools.clock.now()) {
            return known;
        }
        let budget = self.tools.policy.now().click_budget;
        let mut call = visit.call();
        call.body.insert("upgradeClickId".to_owned(), upstream.as_str().into());
        match tokio::time::timeout(budget, self.tools.platform.track(call, budget)).await {
            Ok(Ok(answer)) if answer.cid.is_some() => {
                Some(known.unwrap_or_else(|| Remembered::unknown(id)).with(&answer))
            }
            _ => known,
        }
    }

    /// Whether a click without a visitor is too old to be whoever's address names it. Who has it in a cookie may keep it.
    fn has_lapsed(&self, visit: &Visit<'_>, click: &Click) -> bool {
        let (cookie, signed) = (visit.visitor.cookie.as_ref(), visit.visitor.signed.as_ref());
        let is_kept = cookie == Some(&click.id) || signed.is_some_and(|signed| *signed.id() == click.id);
        let age_ms = self.tools.clock.now().since(click.created_at);
        click.visitor.is_none() && !is_kept && age_ms > limits::HELD_CLICK_MS
    }

    /// The click with its visitor, once they consent: it lapses no more, and they are known without a cookie.
    fn claimed(&self, visit: &Visit<'_>, known: Remembered) -> Remembered {
        let (Some(visitor), Some(click)) = (visit.key(&self.tools), known.click()) else { return known };
        if click.visitor.is_some() || matches!(click.upstream, Upstream::Refused(_)) {
            return known;
        }
        let click = Click { visitor: Some(visitor), ..click.clone() };
        let queued = self.unwritten().click(&click.site, &click.id);
        if queued.is_none_or(|queued| queued.visitor.is_none()) {
            // Should it never have been written, a sale that needs it would wait for a delivery that is not there.
            let pending = (click.upstream == Upstream::Pending).then(|| self.pending(visit, &click));
            self.recorder.record(click.clone(), pending);
        }
        self.memory.remember_visitor(visitor, click, known)
    }
}
