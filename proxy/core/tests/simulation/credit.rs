//! Who has to be credited with what, worked out anew from what the visitors did.

use super::{
    callers::{Caller, Request},
    checks::{Findings, Seen, sent_as},
    orders::affiliate_of,
    plan::AFFILIATES,
};
use std::collections::BTreeSet;
use usher_model::{Job, Record};

/// The affiliate that the platform does not know.
const UNKNOWN: &str = AFFILIATES[4];

/// Every sale that the platform holds is credited to whom the rules say.
pub(crate) fn check(seen: &Seen<'_>, findings: &mut Findings) {
    for (key, sale) in &seen.books.sales {
        let Some(credited) = seen.books.clicks.get(&sale.click) else { continue };
        let callers =
            seen.facts.callers.iter().filter(|of| of.job == Some(Job::Conversion) && of.key == *key);
        let right: BTreeSet<_> = callers.flat_map(|caller| candidates(seen, caller, true)).collect();
        if !right.contains(credited.as_str()) {
            findings.add(format!("{key} is credited to {credited}, by the rules to {right:?}"));
        }
    }
}

/// Whoever may be credited with that sale. One, but where several are at it at once, or something is used up or lost.
fn candidates(seen: &Seen<'_>, caller: &Caller, by_customer: bool) -> BTreeSet<&'static str> {
    let click = match &caller.request {
        Request::Hook { click, .. } => click.clone(),
        _ => caller.field("referral_id"),
    };
    let lost = click.as_deref().is_some_and(|id| may_be_lost(seen, id));
    let click = click.and_then(|id| seen.facts.clicks.get(&id).copied());
    let code = caller.field("promo_code").filter(|code| code != "PAST");
    let of_code = code.as_deref().map(affiliate_of);
    let mut all = BTreeSet::new();
    match (click, of_code) {
        (Some(click), Some(of_code)) if click != of_code && !seen.world.plan.click_wins => {
            all.insert(of_code);
            if code.as_deref() == Some("FEW") {
                all.insert(click);
            }
        }
        (Some(click), _) => _ = all.insert(click),
        (None, Some(of_code)) => _ = all.insert(of_code),
        (None, None) => {}
    }
    // Where the first click counts, an older one of the same order or customer takes the place of the one that is named.
    let older = seen.world.plan.first_click
        && (caller.field("order_id").is_some() || caller.field("customer_id").is_some());
    let certain =
        !all.is_empty() && !lost && !older && code.as_deref() != Some("FEW") && click != Some(UNKNOWN);
    if !certain {
        all.extend(of_code);
        all.extend(caller.field("order_id").iter().flat_map(|order| binders(seen, order)));
        let customer = caller.field("customer_id").or_else(|| caller.field("userId"));
        if let (Some(customer), true) = (customer, by_customer) {
            let same = |of: &&Caller| of.field("customer_id").as_ref() == Some(&customer);
            all.extend(seen.facts.callers.iter().filter(same).flat_map(|of| candidates(seen, of, false)));
        }
    }
    all
}

/// Whether a payment names a click that may be lost.
fn has_lost_click(seen: &Seen<'_>, caller: &Caller) -> bool {
    matches!(&caller.request, Request::Hook { click: Some(click), .. } if may_be_lost(seen, click))
}

/// Whether that click may have died with the process before it was written, or been forgotten, or lies too far back.
fn may_be_lost(seen: &Seen<'_>, click: &str) -> bool {
    (click.starts_with("ush_") && seen.facts.deaths > 0) || seen.facts.skipped > 0 || seen.facts.jumped
}

/// Affiliates of the visitors who bound that order.
fn binders(seen: &Seen<'_>, order: &str) -> BTreeSet<&'static str> {
    let binds = |caller: &&Caller| caller.field("order_id").as_deref() == Some(order);
    let visitors = seen.facts.callers.iter().filter(binds).filter_map(|caller| match caller.request {
        Request::Bind { visitor, .. } => Some(visitor),
        _ => None,
    });
    visitors.flat_map(|visitor| brought(seen, visitor)).collect()
}

/// Affiliates that ever brought a visitor.
fn brought(seen: &Seen<'_>, number: u8) -> BTreeSet<&'static str> {
    let affiliates = seen.facts.callers.iter().filter_map(|caller| match &caller.request {
        Request::Track { visitor, affiliate, .. } if *visitor == number => {
            Some(AFFILIATES[usize::from(*affiliate)])
        }
        Request::Apply { visitor, code } if *visitor == number => Some(affiliate_of(code)),
        _ => None,
    });
    affiliates.collect()
}

/// Whether a click is refused for its affiliate.
pub(crate) fn is_refused_rightly(seen: &Seen<'_>, click: &str, why: &str) -> bool {
    let given_up = why.starts_with("given up") || why == "nobody wants it";
    seen.facts.clicks.get(click).copied() == Some(UNKNOWN) || given_up
}

/// Whether the platform refuses a sale, a lead or an event with reason.
pub(crate) fn excused(seen: &Seen<'_>, record: &Record, why: &str) -> bool {
    let callers = || {
        // What Segment says is sent as an event where we know the click.
        let same_job = |of: &Caller| of.job.is_some_and(|job| job == record.job || job == Job::Segment);
        let same = move |of: &&Caller| same_job(of) && Some(&*of.key) == sent_as(record);
        seen.facts.callers.iter().filter(same)
    };
    if record.job == Job::Signup {
        return why.contains("refused") || why.contains("404");
    }
    if why.contains("no affiliate brought") {
        let uncertain = |of: &Caller| candidates(seen, of, true).is_empty() || has_lost_click(seen, of);
        let unknown = callers().any(|of| candidates(seen, of, true).contains(UNKNOWN));
        // What nobody wanted may have been the click.
        return unknown || callers().any(uncertain) || !seen.facts.discarded.is_empty();
    }
    let nobody = why.contains("no referral") || why.contains("identifier") || why.contains("nobody");
    let by_customer = |of: &Caller| of.field("customer_id").is_some() || of.field("userId").is_some();
    if nobody && callers().any(|of| by_customer(of) || matches!(of.request, Request::Hook { .. })) {
        return true;
    }
    // A click or a code of an affiliate whom the platform does not know, or a click that was given up.
    let unknown = callers().any(|of| candidates(seen, of, true).contains(UNKNOWN));
    let gone = why.contains("is not known") && (seen.facts.deaths > 0 || seen.long());
    let given_up = why.contains("given up") || why.contains("nobody wants it");
    (why.contains("refused its click") && (unknown || given_up)) || gone
}
