//! How fast the platform wants to be asked, and what it does not let this key do.

use std::collections::HashMap;
use usher_model::{Delivery, Job, SiteName, UnixMs};

/// What an attempt has told beyond its own outcome.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Heard {
    /// The platform looked at the work, so it takes the key.
    pub(super) key_taken: bool,
    /// Deliveries should rest.
    pub(super) pace: Option<Pace>,
}

/// Deliveries rest from one moment until another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pace {
    pub(super) since: UnixMs,
    pub(super) until: UnixMs,
    pub(super) why: Why,
}

/// Why they rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// The platform is asked too often. One key serves all sites, and limits are the key's.
    TooFast,
    /// It does not know the key (`401`): a person has to act.
    KeyUnknown(String),
    /// It does not let the key do this (`403`), which says nothing of other work: a person has to act.
    Forbidden(String),
}

impl Pace {
    /// A clock that stepped back ends a rest, rather than making it as long as the step.
    fn rests(&self, now: UnixMs) -> bool {
        self.since <= now && now < self.until
    }

    pub(super) fn words(&self) -> Option<&String> {
        match &self.why {
            Why::TooFast => None,
            Why::KeyUnknown(words) | Why::Forbidden(words) => Some(words),
        }
    }
}

/// What rests now.
#[derive(Debug, Default)]
pub(super) struct Paces {
    slow: Option<Pace>,
    unknown: Option<(SiteName, Pace)>,
    forbidden: HashMap<(SiteName, Job), Pace>,
}

impl Paces {
    /// Until when nothing at all should be sent.
    pub(super) fn all_rest_until(&self, now: UnixMs) -> Option<UnixMs> {
        let all = self.slow.iter().chain(self.unknown.as_ref().map(|(_, pace)| pace));
        all.filter(|pace| pace.rests(now)).map(|pace| pace.until).max()
    }

    /// Until when this site's work of this kind should rest.
    pub(super) fn rests_until(&self, site: &SiteName, job: Job, now: UnixMs) -> Option<UnixMs> {
        let own = self.forbidden.get(&(site.clone(), job));
        let own = own.filter(|pace| pace.rests(now)).map(|pace| pace.until);
        own.into_iter().chain(self.all_rest_until(now)).max()
    }

    /// Takes in what an attempt has told. A success ends a refusal, but not a rest that another attempt was told to take
    /// while this one was under way.
    pub(super) fn hear(&mut self, delivery: &Delivery, heard: Heard, now: UnixMs) {
        let key = (delivery.site.clone(), delivery.job);
        if heard.key_taken {
            self.unknown.take_if(|(_, pace)| !pace.rests(now));
            if self.forbidden.get(&key).is_some_and(|pace| !pace.rests(now)) {
                self.forbidden.remove(&key);
            }
        }
        match heard.pace {
            None => {}
            Some(pace) if pace.why == Why::TooFast => {
                let longer =
                    self.slow.as_ref().is_some_and(|now_at| now_at.rests(now) && now_at.until > pace.until);
                if !longer {
                    self.slow = Some(pace);
                }
            }
            Some(pace @ Pace { why: Why::Forbidden(_), .. }) => {
                self.forbidden.insert(key, pace);
            }
            Some(pace) => self.unknown = Some((key.0, pace)),
        }
    }

    /// Sites whose work the platform refuses, with its words.
    pub(super) fn refused(&self) -> Vec<(SiteName, String)> {
        let unknown = self.unknown.iter().map(|(site, pace)| (site, pace));
        let forbidden = self.forbidden.iter().map(|((site, _), pace)| (site, pace));
        unknown
            .chain(forbidden)
            .filter_map(|(site, pace)| Some((site.clone(), pace.words()?.clone())))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{delivery, site};

    fn pace(since: i64, until: i64, why: Why) -> Heard {
        Heard { key_taken: false, pace: Some(Pace { since: UnixMs(since), until: UnixMs(until), why }) }
    }

    const TAKEN: Heard = Heard { key_taken: true, pace: None };

    #[test]
    fn a_rest_holds_whatever_comes_back_from_before_it() {
        let (mut paces, sale) = (Paces::default(), delivery(Job::Conversion));
        paces.hear(&sale, pace(10, 100, Why::TooFast), UnixMs(10));
        paces.hear(&sale, TAKEN, UnixMs(20));
        paces.hear(&sale, Heard::default(), UnixMs(21));
        paces.hear(&sale, pace(22, 50, Why::TooFast), UnixMs(22));
        assert_eq!(paces.all_rest_until(UnixMs(99)), Some(UnixMs(100)));
        assert_eq!(paces.all_rest_until(UnixMs(100)), None);
        assert_eq!(paces.all_rest_until(UnixMs(9)), None, "the clock stepped back");
        assert!(paces.refused().is_empty());
    }

    #[test]
    fn a_refusal_is_shown_until_the_key_is_taken() {
        let (mut paces, sale) = (Paces::default(), delivery(Job::Conversion));
        paces.hear(&sale, pace(10, 100, Why::KeyUnknown("401".to_owned())), UnixMs(10));
        paces.hear(&sale, TAKEN, UnixMs(50));
        paces.hear(&sale, Heard::default(), UnixMs(150));
        assert_eq!(paces.refused().len(), 1, "no answer says nothing about the key");
        paces.hear(&sale, TAKEN, UnixMs(150));
        assert!(paces.refused().is_empty());
    }

    #[test]
    fn what_is_forbidden_holds_up_nothing_else() {
        let mut paces = Paces::default();
        paces.hear(&delivery(Job::Click), pace(10, 100, Why::Forbidden("403".to_owned())), UnixMs(10));
        assert_eq!(paces.rests_until(&site().name, Job::Click, UnixMs(50)), Some(UnixMs(100)));
        assert_eq!(paces.rests_until(&site().name, Job::Conversion, UnixMs(50)), None);
        assert_eq!(paces.refused().len(), 1);
        paces.hear(&delivery(Job::Conversion), TAKEN, UnixMs(150));
        assert_eq!(paces.refused().len(), 1, "other work proves nothing");
        paces.hear(&delivery(Job::Click), TAKEN, UnixMs(150));
        assert!(paces.refused().is_empty());
    }
}
