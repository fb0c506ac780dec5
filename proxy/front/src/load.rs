//! What is turned away when there is too much: clicks first, pages next, money last.

use std::{
    sync::{
        Weak,
        atomic::{
            AtomicU64, AtomicUsize,
            Ordering::{AcqRel, Acquire, Release},
        },
    },
    time::Duration,
};
use tokio::time::{Instant, sleep};
use usher_model::limits::{
    LAG_LOOK_MS, LAG_LOOKS, LAG_SHEDS_CLICKS_MS, LAG_SHEDS_PAGES_MS, REQUESTS_SHED_CLICKS,
    REQUESTS_SHED_MONEY, REQUESTS_SHED_PAGES,
};

/// What a request is worth when not all can be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Worth {
    /// A click that is lost, a code that is not shown.
    Click,
    /// A page of the shop, or what ties an order to its click.
    Page,
    /// Money that moved, or somebody who signed up.
    Money,
    /// A file of ours: refusing costs as much as serving.
    Trifle,
}

impl Worth {
    /// A word for metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Click => "shed_click",
            Self::Page => "shed_page",
            Self::Money => "shed_money",
            Self::Trifle => "shed_trifle",
        }
    }
}

/// How much there is to do: requests that wait for their answers, and how long a task that is ready waits for its turn.
#[derive(Debug, Default)]
pub struct Load {
    requests: AtomicUsize,
    lag_ms: AtomicU64,
}

/// A request that is being served.
#[derive(Debug)]
pub struct Served<'l>(&'l Load);

impl Load {
    /// Takes a request on. `None`: it is to be turned away.
    pub fn enter(&self, worth: Worth) -> Option<Served<'_>> {
        let (most, longest_ms) = match worth {
            Worth::Click => (REQUESTS_SHED_CLICKS, LAG_SHEDS_CLICKS_MS),
            Worth::Page => (REQUESTS_SHED_PAGES, LAG_SHEDS_PAGES_MS),
            Worth::Money => (REQUESTS_SHED_MONEY, u64::MAX),
            Worth::Trifle => (usize::MAX, u64::MAX),
        };
        let before = self.requests.fetch_add(1, AcqRel);
        let served = Served(self);
        (before < most && self.lag_ms.load(Acquire) < longest_ms).then_some(served)
    }

    /// Watches how long ready tasks wait, until the load is dropped. What they wait at least for some time counts: a moment's
    /// rush ends by itself.
    pub async fn watch(load: Weak<Self>) {
        let look = Duration::from_millis(LAG_LOOK_MS);
        let mut latest = [Duration::ZERO; LAG_LOOKS];
        for at in (0..LAG_LOOKS).cycle() {
            let due = Instant::now() + look;
            sleep(look).await;
            latest[at] = due.elapsed();
            let least = latest.iter().min().copied().unwrap_or_default();
            let Some(load) = load.upgrade() else { return };
            load.lag_ms.store(u64::try_from(least.as_millis()).unwrap_or(u64::MAX), Release);
        }
    }
}

impl Drop for Served<'_> {
    fn drop(&mut self) {
        self.0.requests.fetch_sub(1, AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn takes(load: &Load) -> [bool; 4] {
        [Worth::Click, Worth::Page, Worth::Money, Worth::Trifle].map(|worth| load.enter(worth).is_some())
    }

    #[test]
    fn clicks_go_first_and_money_last() {
        let load = Load::default();
        let mut served = Vec::new();
        for (requests, taken) in [
            (REQUESTS_SHED_CLICKS - 1, [true, true, true, true]),
            (REQUESTS_SHED_CLICKS, [false, true, true, true]),
            (REQUESTS_SHED_PAGES - 1, [false, true, true, true]),
            (REQUESTS_SHED_PAGES, [false, false, true, true]),
            (REQUESTS_SHED_MONEY - 1, [false, false, true, true]),
            (REQUESTS_SHED_MONEY, [false, false, false, true]),
        ] {
            while served.len() < requests {
                served.push(load.enter(Worth::Trifle).expect("always"));
            }
            assert_eq!(takes(&load), taken, "{requests}");
        }
        drop(served);
        assert_eq!((takes(&load), load.requests.load(Acquire)), ([true; 4], 0));
    }

    #[tokio::test]
    #[expect(clippy::disallowed_methods, reason = "the thread that does nothing else is what is tested")]
    async fn a_standing_queue_sheds_clicks_and_a_rush_does_not() {
        let load = Arc::new(Load::default());
        let watch = tokio::spawn(Load::watch(Arc::downgrade(&load)));
        // The only thread does nothing else for a while, again and again: whoever is ready waits for it.
        let busy = |rounds: usize, each_ms: u64| async move {
            for _ in 0..rounds {
                std::thread::sleep(Duration::from_millis(each_ms));
                tokio::task::yield_now().await;
            }
        };
        busy(1, 3 * LAG_SHEDS_CLICKS_MS).await;
        sleep(Duration::from_millis(2 * LAG_LOOK_MS)).await;
        assert_eq!(takes(&load), [true; 4], "one rush");
        busy(2 * LAG_LOOKS, LAG_LOOK_MS + 2 * LAG_SHEDS_CLICKS_MS).await;
        assert!(!takes(&load)[0], "{load:?}");
        assert!(takes(&load)[2]);
        sleep(Duration::from_millis(20 * LAG_LOOK_MS)).await;
        assert_eq!(takes(&load), [true; 4], "it is over");
        drop(load);
        watch.await.expect("it ends with the load");
    }
}
