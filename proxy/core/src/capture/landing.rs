//! A page or a short link that a visitor asks for, as the edge sees it go by: a click without any script.

use super::{Capture, Tracked, bots, request::TrackRequest, visit};
use crate::Visitor;
use std::{sync::Arc, time::Duration};
use usher_model::{AffiliateCode, Site, limits};

/// What the address of a request says of who sent the visitor.
#[derive(Debug)]
pub struct Landing {
    request: TrackRequest,
    /// The scheme and host, and the whole address.
    page: Option<(String, String)>,
}

/// Whether a visitor who lands may become a click.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// They may.
    Welcome,
    /// They have not consented, as far as a request can tell; the page's script may know better.
    Unasked,
    /// Nobody looks: a bot, a prefetch, `HEAD`.
    Nobody,
}

impl Landing {
    /// Reads the path and query of a page that is asked for, by the rules of the browser's own parser. `None` when they name
    /// nobody, as most do: nothing is looked up for those.
    #[must_use]
    pub fn read(site: &Site, address: &str) -> Option<Self> {
        let request = TrackRequest::of_address(site, address);
        (request.affiliate.is_some() || request.earlier.is_some()).then_some(Self { request, page: None })
    }

    /// A link of `affiliate`, asked for by `address`, whose query may say more of the campaign. `None` when the code is the
    /// site's own and no affiliate's.
    #[must_use]
    pub fn link(site: &Site, affiliate: &AffiliateCode, address: &str) -> Option<Self> {
        if referral::is_internal(affiliate.as_str()) {
            return None;
        }
        let request = TrackRequest::of_address(site, address);
        let request = TrackRequest { affiliate: Some(affiliate.clone()), earlier: None, ..request };
        Some(Self { request, page: None })
    }

    /// The page's scheme and host, and the path and query below them: what a report of its script would come with as `Origin` and
    /// `Referer`, and the platform is told.
    #[must_use]
    pub fn on(mut self, origin: String, address: &str) -> Self {
        let whole = format!("{origin}{address}");
        let page = if whole.len() > limits::REFERRER_BYTES { format!("{origin}/") } else { whole };
        self.page = Some((origin, page));
        self
    }
}

impl Admission {
    /// That of `visitor`. A site that requires consent cannot see in a request whether it was given.
    #[must_use]
    pub fn of(site: &Site, visitor: &Visitor) -> Self {
        if visitor.signals.head || visitor.signals.prefetch || bots::is_bot(&visitor.user_agent) {
            Self::Nobody
        } else if visit::consents(site, None, visitor) {
            Self::Welcome
        } else {
            Self::Unasked
        }
    }
}

impl Capture {
    /// A visitor lands: the click is the same that the page's script would report, so that both together are one. Who is not
    /// [`Admission::Welcome`] is none.
    pub async fn landed(&self, site: &Arc<Site>, landing: Landing, visitor: &Visitor) -> Tracked {
        if Admission::of(site, visitor) != Admission::Welcome {
            return Tracked::nothing();
        }
        let Landing { mut request, page } = landing;
        if let Some(referer) = &visitor.referer {
            request.referred_by(referer);
        }
        let Some((origin, page)) = page else { return self.arrived(site, request, true, visitor).await };
        let visitor = Visitor { origin: Some(origin), referer: Some(page), ..visitor.clone() };
        self.arrived(site, request, true, &visitor).await
    }

    /// How long a page waits for [`Capture::landed`], beside what it waits for its origin: the platform's budget, and the two
    /// looks into the store before it.
    #[must_use]
    pub fn patience(&self) -> Duration {
        self.tools.policy.now().click_budget + Duration::from_millis(2 * limits::STORE_READ_MS)
    }
}
