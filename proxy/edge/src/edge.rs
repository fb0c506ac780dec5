//! A request's life: admit, route, identify, act, decorate, log.

use crate::{
    answer::{self, Answer},
    call::{Call, Outcome},
    client::{self, Peer},
    cors::Caller,
    fault::Fault,
    host,
    jobs::Jobs,
    metrics::{Meters, Metrics},
    rescue::rescue,
    routes::{self, Route},
    table::{Face, Place, Settings, Table},
    validation,
};
use arc_swap::ArcSwap;
use http::{Request, StatusCode, header::VARY, request::Parts};
use std::{
    borrow::Cow,
    future::poll_fn,
    net::IpAddr,
    pin::{Pin, pin},
    sync::{Arc, atomic::AtomicBool},
};
use tokio::time::Instant;
use tokio_util::task::{TaskTracker, task_tracker::TaskTrackerToken};
use usher_core::{Core, Keyring};
use usher_front::{Caps, Inbound, Load, gate};
use usher_model::{Clock, limits};
use usher_tls::Challenges;

/// The public HTTP face, over the jobs.
pub struct Edge {
    table: ArcSwap<Table>,
    pub(crate) jobs: Jobs,
    keyring: Arc<Keyring>,
    clock: Arc<dyn Clock>,
    pub(crate) metrics: Metrics,
    /// For requests that belong to no site.
    nowhere: Meters,
    /// Work that goes on when its client hangs up.
    pub(crate) tasks: TaskTracker,
    challenges: Challenges,
    pub(crate) caps: Arc<Caps>,
    pub(crate) load: Arc<Load>,
    /// Whether somebody looks how long ready tasks wait.
    pub(crate) is_watched: AtomicBool,
}

impl Edge {
    /// Ready to serve, as [`Self::prepare`] and [`Self::begin`] make it.
    #[must_use]
    pub fn new(
        settings: Settings,
        core: Arc<Core>,
        keyring: Keyring,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
    ) -> Self {
        let edge = Self::prepare(settings, keyring, clock, metrics);
        edge.begin(core);
        edge
    }

    /// Prepares everything that can be prepared without the jobs. Compresses the files, so it takes some dozen milliseconds.
    #[must_use]
    pub fn prepare(settings: Settings, keyring: Keyring, clock: Arc<dyn Clock>, metrics: Metrics) -> Self {
        Self {
            table: ArcSwap::from_pointee(Table::new(settings, &metrics)),
            nowhere: Meters::new("-", &metrics),
            jobs: Jobs::default(),
            keyring: Arc::new(keyring),
            clock,
            metrics,
            tasks: TaskTracker::new(),
            challenges: Challenges::default(),
            caps: Caps::new(limits::CONNECTIONS),
            load: Arc::default(),
            is_watched: AtomicBool::new(false),
        }
    }

    /// Answers validations of certificate orders as well.
    #[must_use]
    pub fn with_challenges(self, challenges: Challenges) -> Self {
        Self { challenges, ..self }
    }

    /// Has these do the jobs. Call it before anything is accepted.
    pub fn begin(&self, core: Arc<Core>) {
        self.jobs.begin(core);
    }

    /// Lets so many connections be open at once.
    #[must_use]
    pub fn with_connections(self, most: usize) -> Self {
        Self { caps: Caps::new(most), ..self }
    }

    /// Serves by other settings from now on. Requests under way keep theirs.
    pub fn reload(&self, settings: Settings) {
        self.table.store(Arc::new(Table::new(settings, &self.metrics)));
    }

    /// Waits until every connection has sent its first request, and every request that may need the jobs is answered. Call it
    /// when nothing new is accepted.
    pub async fn quiet(&self) {
        self.jobs.quiet().await;
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Ends tunnels (WebSockets), which have no end of their own that could be waited for.
    pub fn end_tunnels(&self) {
        self.metrics.tunnels.end();
    }

    /// Waits until all tunnels have ended.
    pub async fn tunnels_ended(&self) {
        self.metrics.tunnels.ended().await;
    }

    /// Lets go of the jobs. What still comes in is asked to try again.
    pub fn release(&self) {
        self.jobs.release();
    }

    /// Answers one request of `peer`, who has been `expected`.
    pub(crate) async fn answer(
        &self,
        request: Request<Inbound>,
        peer: Peer,
        expected: TaskTrackerToken,
    ) -> Answer {
        let mut trail =
            Trail { edge: self, face: None, route: Route::Outside, status: None, began: Instant::now() };
        let table = self.table.load_full();
        let (mut head, body) = request.into_parts();
        let admitted = gate::check(&mut head).map_err(Fault::from);
        let answer = match admitted.and_then(|()| self.route(&table, &head, &mut trail)) {
            Ok((host, place)) => match validation::answer(&self.challenges, &head, &host) {
                Some(answer) => answer,
                None => {
                    let is_outside = place.route == Route::Outside;
                    // Pinned where it is: a future that is handed on is kept twice.
                    let served = pin!(self.serve_place(&table, &head, &host, &place, body, peer));
                    while_expected(expected, is_outside, served).await
                }
            },
            Err(fault) => rescue(&fault),
        };
        trail.status = Some(answer.status());
        answer
    }

    /// Whether this machine carries everybody.
    pub(crate) fn trusts(&self, address: IpAddr) -> bool {
        client::is_trusted(address.to_canonical(), &self.table.load().trusted)
    }

    /// Phase `route`.
    fn route<'r>(
        &self,
        table: &'r Table,
        head: &'r Parts,
        trail: &mut Trail<'_>,
    ) -> Result<(Cow<'r, str>, Place<'r, 'r>), Fault> {
        let host = host::of(head).ok_or(Fault::Host)?;
        let place = table.place(&host, head.uri.path())?;
        trail.face = Some(Arc::clone(place.face));
        trail.route = place.route;
        Ok((host, place))
    }

    /// Phases `identify`, `act` and `decorate`.
    async fn serve_place(
        &self,
        table: &Table,
        head: &Parts,
        host: &str,
        place: &Place<'_, '_>,
        body: Inbound,
        peer: Peer,
    ) -> Answer {
        let Place { face, route, argument } = *place;
        let caller = if route.is_for_browsers() {
            Caller::of(&head.headers, &face.site.hosts)
        } else {
            Caller::Unnamed
        };
        let address = client::address(peer.address, &head.headers, &table.trusted);
        let (jobs, keyring, tasks, now) = (&self.jobs, &self.keyring, &self.tasks, self.clock.now());
        let call = Call { jobs, keyring, face, head, host, caller, peer, address, now, tasks };
        let acted = match self.load.enter(route.worth()) {
            Some(_served) => routes::act(&call, table, route, argument, body).await,
            None => Err(self.metrics.shed(route)),
        };
        let Outcome { mut answer, grant } = acted.unwrap_or_else(|fault| rescue(&fault).into());

        if let Some(grant) = grant.filter(|_| caller != Caller::Foreign) {
            let https = client::is_https(peer, &head.headers, &table.trusted);
            grant.write(answer.headers_mut(), face, host, https);
        }
        if route.is_for_browsers() {
            caller.allow(answer.headers_mut());
            if !answer.headers().contains_key(VARY) {
                answer::vary_by_origin(answer.headers_mut());
            }
        }
        answer
    }
}

/// Serves a request that may need the jobs: all the while, or only as it begins, since what goes to the origin may take as long
/// as it likes.
async fn while_expected(
    expected: TaskTrackerToken,
    only_at_first: bool,
    mut served: Pin<&mut impl Future<Output = Answer>>,
) -> Answer {
    let mut expected = Some(expected);
    poll_fn(|context| {
        let polled = served.as_mut().poll(context);
        if only_at_first {
            expected = None;
        }
        polled
    })
    .await
}

/// Phase `log`. It runs also when the client hangs up and the request's future is dropped where it stands.
struct Trail<'e> {
    edge: &'e Edge,
    face: Option<Arc<Face>>,
    route: Route,
    status: Option<StatusCode>,
    began: Instant,
}

impl Drop for Trail<'_> {
    fn drop(&mut self) {
        let meters = self.face.as_ref().map_or(&self.edge.nowhere, |face| &face.meters);
        meters.record(self.route, self.status, self.began.elapsed());
    }
}
