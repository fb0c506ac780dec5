//! The connection that all calls share, with a deadline on each call and a breaker on all of them.
//!
//! The crate's own `ConnectionManager` reconnects when a connection breaks, but one to a frozen server does not break.
//! So the connection is kept here: after a call that was not answered in time, reads fail at once until a ping in the
//! background is answered. That ping goes over a new connection, for the old one may lead nowhere, or to a server that
//! is the primary no longer; where to connect is asked anew each time.

use super::{
    fault,
    replicas::Replicas,
    servers::{self, Servers},
};
use crate::contract::{Result, StoreError};
use redis::{
    AsyncConnectionConfig, FromRedisValue, RedisError, RedisResult, ScriptInvocation,
    aio::MultiplexedConnection,
};
use std::{future::Future, io, sync::Arc, time::Duration};
use tokio::{
    sync::watch,
    task::AbortHandle,
    time::{sleep, timeout},
};
use usher_model::limits;

/// Between two tries to connect.
const PAUSE: Duration = Duration::from_millis(100);
/// How often the server is asked for a sign of life, and how long it may take: writes alone would learn only from their
/// deadline that it is frozen. Sentinels are asked as often whether the primary is another one by now: one that was cut
/// off from them may still answer us, and forget all that it took.
const LOOK: Duration = Duration::from_millis(1_000);

/// A connection that is known to answer.
#[derive(Clone)]
pub(super) struct Live {
    /// Counts connections, so that a late failure of an old one is not blamed on the new one.
    number: u64,
    connection: MultiplexedConnection,
    /// For writes that replicas must have, when some must.
    replicas: Option<Replicas>,
    address: String,
}

impl Live {
    /// Whether it answers, and is the primary still as far as Sentinels know.
    async fn is_well(&self, goal: &Goal) -> bool {
        if !matches!(timeout(LOOK, servers::ping(self.connection.clone())).await, Ok(Ok(()))) {
            return false;
        }
        let now = goal.servers.whereabouts().await.filter(|now| *now != self.address);
        if let Some(now) = &now {
            tracing::warn!(from = self.address, to = now, "Sentinels name another primary");
        }
        now.is_none()
    }
}

/// What a link leads to: the primary that keeps a key.
pub(super) struct Goal {
    pub(super) servers: Arc<Servers>,
    pub(super) key: String,
    /// A key on the same server that may be overwritten.
    pub(super) probe: String,
}

impl Goal {
    /// Connects to the primary as it is now.
    pub(super) async fn reach(&self) -> RedisResult<Live> {
        let client = self.servers.primary(&self.key).await?;
        let connection = servers::connect(&client, AsyncConnectionConfig::new()).await?;
        let replicas = match self.servers.replicas {
            0 => None,
            count => {
                let own = servers::connect(&client, AsyncConnectionConfig::new()).await?;
                Some(Replicas::follow(own, count, self.probe.clone()))
            }
        };
        Ok(Live { number: 0, connection, replicas, address: servers::address(&client) })
    }
}

/// The link to Redis.
pub(super) struct Link {
    live: watch::Sender<Option<Live>>,
    prober: AbortHandle,
    /// A key on the same server that may be overwritten.
    probe: String,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.prober.abort();
    }
}

impl Link {
    /// Begins with `first`, and connects anew in the background whenever that is needed.
    pub(super) fn start(goal: Goal, first: Option<Live>) -> Self {
        let (live, _) = watch::channel(first);
        let probe = goal.probe.clone();
        let prober = tokio::spawn(keep(goal, live.clone())).abort_handle();
        Self { live, prober, probe }
    }

    /// A read on a visitor's time: within [`limits::STORE_READ_MS`], or at once when Redis is known not to answer.
    pub(super) async fn read<T, F>(&self, call: impl FnOnce(MultiplexedConnection) -> F) -> Result<T>
    where
        F: Future<Output = RedisResult<T>>,
    {
        self.call_now(Duration::from_millis(limits::STORE_READ_MS), call).await
    }

    /// Whatever may take longer: within [`limits::STORE_WRITE_MS`], part of which may be spent on waiting for Redis.
    pub(super) async fn work<T, F>(&self, call: impl FnOnce(MultiplexedConnection) -> F) -> Result<T>
    where
        F: Future<Output = RedisResult<T>>,
    {
        self.call_patiently(|live| call(live.connection)).await
    }

    /// A look at what should be there at once: within [`LOOK`], or at once an error when Redis is known not to answer.
    pub(super) async fn look<T, F>(&self, call: impl FnOnce(MultiplexedConnection) -> F) -> Result<T>
    where
        F: Future<Output = RedisResult<T>>,
    {
        self.call_now(LOOK, call).await
    }

    /// The same as [`Link::work`] for what somebody relies on afterwards: returns when as
    /// many replicas have it as the URL asks for.
    pub(super) async fn promise<T, F>(&self, call: impl FnOnce(MultiplexedConnection) -> F) -> Result<T>
    where
        F: Future<Output = RedisResult<T>>,
    {
        let call = |live: Live| async move {
            let Some(replicas) = live.replicas else { return call(live.connection).await };
            let done = call(replicas.connection()).await?;
            replicas.have_it().await?;
            Ok(done)
        };
        self.call_patiently(call).await
    }

    /// Runs a script as [`Link::work`] does.
    pub(super) async fn run<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>) -> Result<T> {
        self.work(|mut connection| async move { script.invoke_async(&mut connection).await }).await
    }

    /// Runs a script as [`Link::promise`] does.
    pub(super) async fn run_promise<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>) -> Result<T> {
        self.promise(|mut connection| async move { script.invoke_async(&mut connection).await }).await
    }

    /// Whether Redis takes a write now; at once an error when it is known not to answer.
    pub(super) async fn takes_writes(&self) -> Result<()> {
        let mut probe = redis::cmd("SET");
        probe.arg(&self.probe).arg(1);
        let run =
            |mut connection: MultiplexedConnection| async move { probe.query_async(&mut connection).await };
        self.call_now(Duration::from_millis(limits::STORE_WRITE_MS), run).await
    }

    async fn call_patiently<T, F>(&self, call: impl FnOnce(Live) -> F) -> Result<T>
    where
        F: Future<Output = RedisResult<T>>,
    {
        let mut state = self.live.subscribe();
        let mut number = None;
        let work = async {
            let found = state.wait_for(Option::is_some).await.ok().and_then(|found| (*found).clone());
            let found =
                found.ok_or_else(|| RedisError::from(io::Error::from(io::ErrorKind::NotConnected)))?;
            number = Some(found.number);
            let address = found.address.clone();
            tokio::select! {
                outcome = call(found) => outcome,
                () = elsewhere(&mut state, &address) => Err(servers::late()),
            }
        };
        let outcome = timeout(Duration::from_millis(limits::STORE_WRITE_MS), work).await;
        self.judge(outcome.unwrap_or_else(|_| Err(servers::late())), number)
    }

    async fn call_now<T, F>(
        &self,
        deadline: Duration,
        call: impl FnOnce(MultiplexedConnection) -> F,
    ) -> Result<T>
    where
        F: Future<Output = RedisResult<T>>,
    {
        let found = self.live.borrow().as_ref().map(|live| (live.number, live.connection.clone()));
        let (number, connection) =
            found.ok_or_else(|| StoreError::Unavailable("Redis is being waited for".to_owned()))?;
        let outcome = timeout(deadline, call(connection)).await;
        self.judge(outcome.unwrap_or_else(|_| Err(servers::late())), Some(number))
    }

    fn judge<T>(&self, outcome: RedisResult<T>, number: Option<u64>) -> Result<T> {
        outcome.map_err(|why| {
            if fault::is_lost(&why) {
                give_up(&self.live, number);
            }
            fault::of(&why)
        })
    }
}

/// The connection of that number is of no use any more.
fn give_up(live: &watch::Sender<Option<Live>>, number: Option<u64>) {
    live.send_if_modified(|live| {
        let same = live.as_ref().is_some_and(|live| Some(live.number) == number);
        if same {
            *live = None;
        }
        same
    });
}

/// Returns when the link leads to another server: a call to the former primary is not answered any more, or ought not to be.
/// One to a server that was slow once, and is the primary still, may be.
async fn elsewhere(state: &mut watch::Receiver<Option<Live>>, address: &str) {
    let moved = |live: &Option<Live>| live.as_ref().is_some_and(|live| live.address != address);
    if state.wait_for(moved).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Connects whenever there is no connection that is known to answer.
async fn keep(goal: Goal, live: watch::Sender<Option<Live>>) {
    let mut state = live.subscribe();
    let mut number = 0;
    loop {
        let current = state.borrow_and_update().clone();
        if let Some(current) = current {
            let lost = async { state.wait_for(Option::is_none).await.is_ok() };
            match timeout(LOOK, lost).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(_) if current.is_well(&goal).await => continue,
                Err(_) => give_up(&live, Some(current.number)),
            }
        }
        number += 1;
        let reached = reconnect(&goal).await;
        live.send_replace(Some(Live { number, ..reached }));
    }
}

async fn reconnect(goal: &Goal) -> Live {
    let mut told = false;
    loop {
        match goal.reach().await {
            Ok(live) => {
                if told {
                    tracing::info!("Redis answers again");
                }
                return live;
            }
            Err(why) if !told => {
                tracing::warn!(%why, "Redis does not answer; it is waited for");
                told = true;
            }
            Err(_) => {}
        }
        sleep(PAUSE).await;
    }
}
