//! Lets a page through, with the tag at its place.

use crate::{
    encode::Encoder,
    find::{Finder, Particulars, Place},
    policy::{Policies, Target, Verdict},
    tag::{self, Tag},
};
use bytes::Bytes;
use std::sync::Arc;
use usher_model::limits::PAGE_STEP_BYTES;

/// What is to be put into one page.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) tag: Arc<Tag>,
    /// Those of the answer's headers.
    pub(crate) policies: Policies,
    /// The host that was asked for, with its port; empty when it is not known.
    pub(crate) authority: String,
}

impl Plan {
    /// Whether the answer's own policies leave no way, whatever nonce the page's scripts have.
    pub(crate) fn is_hopeless(&self) -> bool {
        self.judge(&self.policies, None) == Verdict::Forbidden
    }

    /// The tag for a page that says this of itself; `None` when its policy forbids it.
    fn html(&self, page: &Particulars) -> Option<String> {
        let mut policies = self.policies.clone();
        page.policies.iter().for_each(|policy| policies.add(policy));
        let Verdict::Allowed(nonce) = self.judge(&policies, page.nonce.as_deref()) else { return None };
        let authority = page.is_based_elsewhere.then_some(self.authority.as_str());
        let particulars = tag::Particulars {
            nonce: nonce.as_deref(),
            authority: authority.filter(|host| !host.is_empty()),
            has_policy: policies.any(),
        };
        Some(self.tag.html_for(&particulars))
    }

    fn judge(&self, policies: &Policies, nonce: Option<&str>) -> Verdict {
        let path = &self.tag.src;
        policies.judge(Target { authority: &self.authority, path, called: path }, nonce)
    }
}

/// The page with the tag at its place; `None` when it has none.
pub(crate) fn into_whole(plan: &Plan, html: &[u8]) -> Option<Bytes> {
    if plan.is_hopeless() {
        return None;
    }
    let mut finder = Finder::new(Arc::clone(&plan.tag));
    let Place::At(at, page) = html.chunks(PAGE_STEP_BYTES).find_map(|piece| finder.read(piece))? else {
        return None;
    };
    let (before, after) = html.split_at_checked(at)?;
    let tag = plan.html(&page)?;
    let mut whole = Vec::with_capacity(html.len() + tag.len());
    for piece in [before, tag.as_bytes(), after] {
        whole.extend_from_slice(piece);
    }
    Some(whole.into())
}

/// Lets one page through.
pub(crate) struct Inserter {
    /// `None` once there is nothing more to look for.
    finder: Option<Box<Finder>>,
    plan: Plan,
    /// What may still come after the tag.
    held: Vec<u8>,
    /// How many bytes are before it.
    let_through: usize,
}

impl Inserter {
    pub(crate) fn new(plan: Plan) -> Self {
        let finder = Finder::new(Arc::clone(&plan.tag));
        Self { finder: Some(Box::new(finder)), plan, held: Vec::new(), let_through: 0 }
    }

    /// Whether it only lets through.
    pub(crate) fn is_done(&self) -> bool {
        self.finder.is_none()
    }

    /// Takes the page's next bytes.
    pub(crate) fn take(&mut self, html: &[u8], to: &mut Encoder) {
        let Some(finder) = &mut self.finder else { return to.write(html) };
        self.held.extend_from_slice(html);
        match finder.read(html) {
            Some(Place::At(at, page)) => {
                let before = at.saturating_sub(self.let_through).min(self.held.len());
                let html = self.plan.html(&page).unwrap_or_default();
                to.write(&self.held[..before]);
                to.write(html.as_bytes());
                to.write(&self.held[before..]);
                self.forget();
            }
            Some(Place::Nowhere) => self.end(to),
            None => {
                let passed = finder.passed().saturating_sub(self.let_through).min(self.held.len());
                to.write(&self.held[..passed]);
                self.held.drain(..passed);
                self.let_through += passed;
            }
        }
    }

    /// The page has ended, or nothing is put into it: lets the rest through.
    pub(crate) fn end(&mut self, to: &mut Encoder) {
        to.write(&self.held);
        self.forget();
    }

    fn forget(&mut self) {
        self.finder = None;
        self.held = Vec::new();
    }
}
