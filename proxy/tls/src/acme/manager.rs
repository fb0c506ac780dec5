//! Orders what is missing or ends soon: one order a host, a few at once, one begun a second.

use super::{
    backoff::Backoff,
    call,
    desk::{Clerk, Desk, Next},
    order::Issued,
    renewal::Answer,
};
use crate::{
    Error,
    certificate::Subject,
    pem,
    shelf::Need,
    tls::{State, refresh},
};
use std::{collections::HashSet, sync::Arc, time::Duration};
use tokio::{
    task::{JoinSet, spawn_blocking},
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use usher_model::{UnixMs, limits};

/// How long it sleeps at most: clocks are set, and machines sleep.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);
const SHORTEST_SLEEP: Duration = Duration::from_millis(50);

/// Orders until `stop`. Orders under way are dropped then; that they began is on disk.
pub(crate) async fn run(state: Arc<State>, stop: CancellationToken) {
    let (jobs, busy) = (JoinSet::new(), HashSet::new());
    let mut manager = Manager { state, desk: None, jobs, busy, begin_at: Instant::now() };
    loop {
        let rest = manager.step().unwrap_or_else(|error| {
            tracing::warn!("no certificates can be ordered: {error}");
            LONGEST_SLEEP
        });
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = manager.state.changed.notified() => {}
            Some(ended) = manager.jobs.join_next() => match ended {
                Ok(job) => manager.end(job).await,
                // Its host stays busy: whatever it was would come again.
                Err(error) => tracing::error!(%error, "an order ended badly"),
            },
            () = sleep(rest) => {}
        }
    }
}

struct Manager {
    state: Arc<State>,
    desk: Option<Desk>,
    jobs: JoinSet<Job>,
    /// Hosts with a job.
    busy: HashSet<String>,
    /// No job begins earlier.
    begin_at: Instant,
}

/// A job that has ended.
struct Job {
    host: String,
    clerk: Arc<Clerk>,
    result: Result<Done, Error>,
    /// How many seconds the directory asked to wait.
    wait_s: Option<i64>,
}

enum Done {
    Issued(Box<Issued>),
    Told(Answer),
}

impl Manager {
    /// Begins at most one job, and says how long to rest unless something happens.
    fn step(&mut self) -> Result<Duration, Error> {
        self.open_desk()?;
        let Some(desk) = &mut self.desk else { return Ok(LONGEST_SLEEP) };
        if !desk.is_ours()? {
            return Ok(Duration::from_millis(limits::TLS_LOOK_MS));
        }
        if self.jobs.len() >= limits::ACME_ORDERS {
            return Ok(LONGEST_SLEEP); // the end of one wakes us
        }
        let paced = self.begin_at.saturating_duration_since(Instant::now());
        if !paced.is_zero() {
            return Ok(paced);
        }
        let (now, table) = (self.state.tools.clock.now(), self.state.resolver.table.load_full());
        match desk.next(|host| self.busy.contains(host), |host| table.get(host), now) {
            (Some(host), next) => {
                self.begin(host, next, now);
                self.begin_at = Instant::now() + Duration::from_millis(limits::ACME_PACE_MS);
                Ok(Duration::from_millis(limits::ACME_PACE_MS))
            }
            (None, Next::At(moment)) => {
                let rest = Duration::from_millis(u64::try_from(moment.since(now)).unwrap_or(0));
                Ok(rest.clamp(SHORTEST_SLEEP, LONGEST_SLEEP))
            }
            (None, _) => Ok(LONGEST_SLEEP),
        }
    }

    /// Follows the settings: other ones have a desk of their own. Jobs of the old one end as they would have.
    fn open_desk(&mut self) -> Result<(), Error> {
        let settings = self.state.settings.load_full();
        let Some(acme) = &settings.acme else {
            self.desk = None;
            return Ok(());
        };
        if self.desk.as_ref().is_none_or(|desk| !Arc::ptr_eq(&desk.settings, &settings)) {
            self.desk = Some(Desk::open(&settings, acme, self.desk.take())?);
        }
        Ok(())
    }

    fn begin(&mut self, host: String, next: Next, now: UnixMs) {
        let Some(desk) = &mut self.desk else { return };
        let (clerk, owner) = (Arc::clone(&desk.clerk), host.clone());
        match next {
            Next::At(_) => return,
            Next::Ask(certificate) => {
                self.jobs.spawn(async move {
                    let result = Ok(Done::Told(clerk.ask(&certificate).await));
                    Job { host, clerk, result, wait_s: None }
                });
            }
            Next::Order => {
                let backoff = desk.backoffs.entry(host.clone()).or_default();
                let proof = backoff.next_proof();
                backoff.begin(now, &*self.state.tools.random);
                let backoff = backoff.clone();
                let replaced = desk.replaced(&host, self.state.resolver.table.load().get(&host));
                let challenges = self.state.resolver.challenges.clone();
                tracing::info!(host, ?proof, "ordering a certificate");
                self.jobs.spawn(async move {
                    let ordering = async {
                        // What cannot be remembered is not begun: it would begin again at every start.
                        keep_backoff(&clerk, &host, backoff).await?;
                        clerk.order(&host, proof, &challenges, replaced).await
                    };
                    let limit = Duration::from_millis(limits::ACME_ORDER_MS);
                    let (result, wait_s) = call::with_wait(timeout(limit, ordering)).await;
                    let late = || Err(Error::Directory("the order did not end in time".to_owned()));
                    let result = result.unwrap_or_else(|_| late());
                    Job { host, clerk, result: result.map(|issued| Done::Issued(Box::new(issued))), wait_s }
                });
            }
        }
        self.busy.insert(owner);
    }

    /// Takes in what a job came to.
    async fn end(&mut self, job: Job) {
        let Job { host, clerk, result, wait_s } = job;
        self.busy.remove(&host);
        match result {
            Ok(Done::Told(answer)) => self.plan(&host, &answer),
            Ok(Done::Issued(issued)) => match self.keep(&host, &clerk, *issued).await {
                Ok(()) => self.state.tools.metrics.count_order("issued"),
                Err(error) => self.fail(&host, &clerk, &error, None).await,
            },
            Err(error) => self.fail(&host, &clerk, &error, wait_s).await,
        }
    }

    fn plan(&mut self, host: &str, answer: &Answer) {
        let (table, tools) = (self.state.resolver.table.load(), &self.state.tools);
        let plan = self.desk.as_mut().and_then(|desk| desk.plans.get_mut(host));
        if let (Some(plan), Some(certificate)) = (plan, table.get(host))
            && plan.is_about(certificate)
        {
            plan.follow(answer, &certificate.subject, tools.clock.now(), &*tools.random);
        }
    }

    /// Writes a certificate down and serves it.
    async fn keep(&mut self, host: &str, clerk: &Arc<Clerk>, issued: Issued) -> Result<(), Error> {
        let wrong =
            || Error::Refused("the directory issued a certificate that is not for the host".to_owned());
        let chain = pem::parse(issued.chain.as_bytes()).map_err(|_| wrong())?;
        let subject = chain.certificates.first().and_then(Subject::read).filter(|one| one.covers(host));
        let subject = subject.ok_or_else(wrong)?;
        let backoff = Backoff::succeed(self.state.tools.clock.now(), subject.life_ms(), issued.proof);
        let (storage, named) = (clerk.storage.clone(), host.to_owned());
        on_disk(move || storage.keep_certificate(&named, &issued.chain, &issued.key)).await?;
        tracing::info!(host, until = subject.not_after.rfc3339(), "a certificate was issued");
        self.remember(host, clerk, backoff).await;
        refresh(&self.state, Need::None).await
    }

    async fn fail(&mut self, host: &str, clerk: &Arc<Clerk>, error: &Error, wait_s: Option<i64>) {
        let (now, random) = (self.state.tools.clock.now(), &*self.state.tools.random);
        let known = self.desk.as_ref().and_then(|desk| desk.backoffs.get(host).cloned());
        let mut backoff = known.unwrap_or_default();
        let outcome = match error {
            Error::Refused(_) => {
                backoff.refuse(now, random);
                "refused"
            }
            Error::Denied(_) => {
                backoff.deny(now, random);
                "denied"
            }
            Error::TooMany(_) => {
                backoff.limit(now, random);
                "limited"
            }
            _ => "failed", // it rests as it was written down when it began
        };
        if let Some(seconds) = wait_s {
            backoff.wait(now, seconds);
        }
        if let (Error::Account(_), Some(desk)) = (error, &mut self.desk) {
            desk.forget_account();
        }
        backoff.error = Some(error.to_string());
        self.state.tools.metrics.count_order(outcome);
        tracing::warn!(host, outcome, next = backoff.not_before.rfc3339(), "no certificate: {error}");
        self.remember(host, clerk, backoff).await;
    }

    async fn remember(&mut self, host: &str, clerk: &Arc<Clerk>, backoff: Backoff) {
        if let Some(desk) = &mut self.desk {
            desk.backoffs.insert(host.to_owned(), backoff.clone());
        }
        if let Err(error) = keep_backoff(clerk, host, backoff).await {
            tracing::warn!(host, "{error}");
        }
    }
}

async fn keep_backoff(clerk: &Clerk, host: &str, backoff: Backoff) -> Result<(), Error> {
    let (storage, host) = (clerk.storage.clone(), host.to_owned());
    on_disk(move || storage.keep_backoff(&host, &backoff)).await
}

/// On a thread that may wait for the disk.
async fn on_disk(write: impl FnOnce() -> Result<(), Error> + Send + 'static) -> Result<(), Error> {
    let gone = |error| Err(Error::Directory(format!("writing it down ended badly: {error}")));
    spawn_blocking(write).await.unwrap_or_else(gone)
}
