//! Attribution: who is credited with a sale, a lead or an event, and why.
//!
//! # Which signal wins
//!
//! 1. A signal counts when it leads to a click or an affiliate that can be credited at the time of the sale. A click of ours
//!    that is older than the site's cookie lives does not; neither does an order that two clicks bound, or that was bound
//!    long before or after its payment. A customer who was seen before counts however long ago: their renewals belong to
//!    whoever brought them. So do payments of a subscription that name its click.
//! 2. Of the clicks that the report itself names the strongest counts: the id that the caller wrote, then a signed one, then
//!    the plain cookie. With `first_click` an older click of the same visitor, order or customer takes its place, while its
//!    own cookie would live.
//! 3. A click and a promo code of different affiliates: `code_or_click` decides. `latest` is the code, for a code is applied
//!    at the checkout, after every click. Of the same affiliate they are one thing: the click, since it is there already.
//! 4. Without such a click the code wins; then the order that a page bound; then the customer. An order's binding is anybody's
//!    word (`docs/decisions/0005-order-bindings.md`), so it never wins over what the report itself carries.
//! 5. Else the platform may know a customer whom the report names.

mod evidence;
mod trace;

pub(crate) use evidence::{Evidence, Hints, NamedCustomer, Signal, Standing, patiently};
pub use trace::{By, Doubt, Policy, Proved, Rule, Seen, Trace, WhyNot};

use usher_model::{Attribution, CodeOrClick, Site, UnixMs, limits};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// What a site has decided.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    attribution: Attribution,
    code_or_click: CodeOrClick,
    window_ms: i64,
}

impl Rules {
    /// The same without a window: renewals belong to whoever brought the subscription, however long ago that was.
    pub(crate) const fn for_subscriptions(self) -> Self {
        Self { window_ms: i64::MAX, ..self }
    }
}

impl From<&Site> for Rules {
    fn from(site: &Site) -> Self {
        Self {
            attribution: site.attribution,
            code_or_click: site.code_or_click,
            window_ms: i64::from(site.cookie_days) * DAY_MS,
        }
    }
}

/// What was chosen. Numbers are places in the list of signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    /// The rule.
    pub(crate) rule: Rule,
    /// The signal whose click is credited; a code that won alone has none yet.
    pub(crate) winner: Option<usize>,
    /// The promo code that is credited as well: whoever applies a code at the shop has a click of its affiliate by the time
    /// they pay.
    pub(crate) code: Option<usize>,
    /// What decided between affiliates.
    pub(crate) policy: Option<Policy>,
}

/// Chooses by the rules above for a sale that was made at `made_at`, and says of each signal why it was not credited.
pub(crate) fn choose(signals: &mut [Signal], rules: Rules, made_at: UnixMs) -> Choice {
    for signal in signals.iter_mut() {
        signal.judge(rules, made_at);
    }
    let choice = Weighing { signals, rules, made_at }.choose();
    if let Some(winner) = choice.winner.and_then(|at| signals.get(at)).cloned() {
        for signal in signals.iter_mut().filter(|signal| signal.counts() && !signal.agrees_with(&winner)) {
            signal.seen.why_not = Some(WhyNot::Outranked);
        }
    }
    choice
}

impl Signal {
    fn counts(&self) -> bool {
        self.seen.why_not.is_none()
    }

    /// Whether both speak for one affiliate.
    fn agrees_with(&self, other: &Self) -> bool {
        self.leads_to_click_of(other)
            || self.seen.affiliate.is_some() && self.seen.affiliate == other.seen.affiliate
    }

    /// Judges it by itself.
    fn judge(&mut self, rules: Rules, made_at: UnixMs) {
        if self.seen.why_not == Some(WhyNot::Outranked) {
            self.seen.why_not = None;
        }
        if !self.counts() || matches!(self.seen.by, By::Code | By::Customer) {
            return;
        }
        self.seen.why_not = match self.bound.as_ref() {
            Some(bound) if bound.contested => Some(WhyNot::Contested),
            Some(bound) if made_at.since(bound.at) > limits::ORDER_BOUND_MS => Some(WhyNot::BoundEarly),
            Some(bound) if bound.at.since(made_at) > limits::ORDER_BOUND_LATE_MS => Some(WhyNot::BoundLate),
            _ if !self.is_young(rules, made_at) => Some(WhyNot::TooOld),
            _ => None,
        };
    }

    /// Whether the cookie of its click would still live; we do not know the age of the platform's own.
    fn is_young(&self, rules: Rules, made_at: UnixMs) -> bool {
        self.seen.at.is_none_or(|at| made_at.since(at) <= rules.window_ms)
    }
}

struct Weighing<'a> {
    signals: &'a [Signal],
    rules: Rules,
    made_at: UnixMs,
}

impl Weighing<'_> {
    fn choose(&self) -> Choice {
        let (named, code) = (self.named_click(), self.strongest(|by| by == By::Code));
        match (named, code) {
            (Some((click, policy)), None) => self.won(click, None, policy),
            (Some((click, policy)), Some(code)) if self.agree(click, code) => {
                self.won(click, Some(code), policy)
            }
            (Some((click, _)), Some(code)) => match self.rules.code_or_click {
                CodeOrClick::Click => self.won(click, None, Some(Policy::Click)),
                CodeOrClick::Code => self.code(code, Some(Policy::Code)),
                CodeOrClick::Latest => self.code(code, Some(Policy::Latest)),
            },
            (None, Some(code)) => self.code(code, None),
            (None, None) => match self.strongest(|by| by > By::Code) {
                Some(known) => {
                    let (known, policy) = self.first_of(known);
                    self.won(known, None, policy)
                }
                None => {
                    let is_named = self.signals.iter().any(|signal| signal.seen.by == By::Customer);
                    let rule = if is_named { Rule::Platform } else { Rule::Nobody };
                    Choice { rule, winner: None, code: None, policy: None }
                }
            },
        }
    }

    /// The click that speaks for all that the report names.
    fn named_click(&self) -> Option<(usize, Option<Policy>)> {
        Some(self.first_of(self.strongest(|by| by < By::Code)?))
    }

    /// With `first_click` the oldest click of all that are known; nothing is older than one whose age is not.
    fn first_of(&self, strongest: usize) -> (usize, Option<Policy>) {
        let at = |place: usize| self.signals.get(place).and_then(|signal| signal.seen.at);
        let (Attribution::FirstClick, Some(_)) = (self.rules.attribution, at(strongest)) else {
            return (strongest, None);
        };
        let known =
            self.places(|signal| signal.seen.at.is_some() && signal.is_young(self.rules, self.made_at));
        let oldest = known.min_by_key(|place| (at(*place), *place != strongest)).unwrap_or(strongest);
        let policy = (!self.agree(oldest, strongest)).then_some(Policy::FirstClick);
        (oldest, policy)
    }

    /// A code won. A click of its affiliate is credited where there is one; else one has to be minted.
    fn code(&self, code: usize, policy: Option<Policy>) -> Choice {
        let winner = self.places(|signal| signal.seen.by != By::Code).find(|click| self.agree(*click, code));
        Choice { rule: Rule::Code, winner: winner.or(Some(code)), code: Some(code), policy }
    }

    fn won(&self, winner: usize, code: Option<usize>, policy: Option<Policy>) -> Choice {
        let rule = match self.signals.get(winner).map(|signal| signal.seen.by) {
            Some(By::Named) => Rule::Named,
            Some(By::Signed) => Rule::Signed,
            Some(By::Cookie) => Rule::Cookie,
            Some(By::Code) => Rule::Code,
            Some(By::Order) => Rule::Order,
            Some(By::Customer) => Rule::Customer,
            None => Rule::Nobody,
        };
        Choice { rule, winner: Some(winner), code, policy }
    }

    /// The strongest signal that counts, of some kinds. Signals stand in the order of their strength.
    fn strongest(&self, of: impl Fn(By) -> bool) -> Option<usize> {
        self.places(|signal| of(signal.seen.by))
            .min_by_key(|place| self.signals.get(*place).map(|s| s.seen.by))
    }

    fn places(&self, of: impl Fn(&Signal) -> bool) -> impl Iterator<Item = usize> {
        let counting =
            self.signals.iter().enumerate().filter(move |(_, signal)| signal.counts() && of(signal));
        counting.map(|(place, _)| place)
    }

    fn agree(&self, one: usize, other: usize) -> bool {
        match (self.signals.get(one), self.signals.get(other)) {
            (Some(one), Some(other)) => one.agrees_with(other),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests;
