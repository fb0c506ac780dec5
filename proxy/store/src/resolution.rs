//! What a settlement says about the click that was delivered: the same rule for every make of the store.

use rust_decimal::Decimal;
use usher_model::{Answer, ClickId, Job, Settlement, Upstream};

/// The last word on a delivery, as it is kept.
#[derive(Debug, PartialEq)]
pub(crate) struct Verdict<'a> {
    /// `delivered`, `dead` or `closed`.
    pub(crate) state: &'static str,
    /// What the platform said.
    pub(crate) answer: Option<&'a Answer>,
    /// What the platform calls it.
    pub(crate) upstream_id: Option<&'a str>,
    /// Why it failed or was closed.
    pub(crate) error: Option<&'a str>,
    /// What went back.
    pub(crate) refunded: Option<Decimal>,
}

const UNTOLD: &str = "untold";
const NO_ID: &str = "the platform took the click and gave no usable id for it";

/// What is final about `settlement`; `None` when the delivery is to be tried again.
pub(crate) fn verdict(job: Job, settlement: &Settlement) -> Option<Verdict<'_>> {
    match settlement {
        Settlement::Delivered { answer, upstream_id, refunded } => {
            let usable = |id: &&str| job != Job::Click || ClickId::new(*id).is_ok();
            let upstream_id = upstream_id.as_deref().filter(usable);
            let error = (job == Job::Click && upstream_id.is_none()).then_some(NO_ID);
            let answer = Some(answer);
            Some(Verdict { state: "delivered", answer, upstream_id, error, refunded: *refunded })
        }
        Settlement::Dead { answer, error } => Some(unsent("dead", answer.as_ref(), error)),
        Settlement::Closed { answer, why } => Some(unsent("closed", answer.as_ref(), why)),
        Settlement::Retry { .. } | Settlement::Release { .. } => None,
    }
}

const fn unsent<'a>(state: &'static str, answer: Option<&'a Answer>, why: &'a str) -> Verdict<'a> {
    Verdict { state, answer, upstream_id: None, error: Some(why), refunded: None }
}

/// What became of a click whose delivery was settled with this id or this error.
pub(crate) fn resolved(upstream_id: Option<&str>, error: Option<&str>) -> Upstream {
    match upstream_id.map(ClickId::new) {
        Some(Ok(id)) => Upstream::Known(id),
        Some(Err(_)) | None => Upstream::Refused(error.unwrap_or(NO_ID).to_owned()),
    }
}

/// The word and the value that stand for what the platform calls a click.
pub(crate) fn upstream_words(upstream: &Upstream) -> (&'static str, Option<&str>) {
    match upstream {
        Upstream::Same => ("same", None),
        Upstream::Pending => ("pending", None),
        // What it becomes and what waits for it is the same.
        Upstream::Untold => ("pending", Some(UNTOLD)),
        Upstream::Known(id) => ("known", Some(id.as_str())),
        Upstream::Refused(why) => ("refused", Some(why)),
    }
}

/// The reverse of [`upstream_words`].
pub(crate) fn upstream_of_words(word: &str, value: Option<String>) -> Option<Upstream> {
    match (word, value) {
        ("same", _) => Some(Upstream::Same),
        ("pending", Some(word)) if word == UNTOLD => Some(Upstream::Untold),
        ("pending", _) => Some(Upstream::Pending),
        ("known", Some(id)) => ClickId::new(id).ok().map(Upstream::Known),
        ("refused", why) => Some(Upstream::Refused(why.unwrap_or_default())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_click_without_a_usable_id_is_refused_so_that_nothing_waits_for_it() {
        let answer = Answer { status: 200, body: "{}".to_owned() };
        for (given, expected) in [
            (Some("cm1"), Upstream::Known(ClickId::new("cm1").expect("an id"))),
            (Some("not an id"), Upstream::Refused(NO_ID.to_owned())),
            (None, Upstream::Refused(NO_ID.to_owned())),
        ] {
            let settlement = Settlement::Delivered {
                answer: answer.clone(),
                upstream_id: given.map(str::to_owned),
                refunded: None,
            };
            let verdict = verdict(Job::Click, &settlement).expect("final");
            assert_eq!(resolved(verdict.upstream_id, verdict.error), expected);
        }
        let sale = Settlement::Delivered { answer, upstream_id: None, refunded: None };
        assert_eq!(verdict(Job::Conversion, &sale).expect("final").error, None);
    }
}
