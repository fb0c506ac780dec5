//! The connection that all calls share, with a deadline on each call and a breaker on all of them.
//!
//! The crate's own `ConnectionManager` reconnects when a connection breaks, but one to a frozen server does not break.
//! So the connection is kept here: after a call that was not answered in time, reads fail at once until a ping in the
//! background is answered. That ping goes over a new connection, for the old one may lead nowhere, or to a server that
//! is the primary no longer.

use super::fault;
use crate::contract::{Result, StoreError};
use redis::{AsyncConnectionConfig, Client, RedisError, RedisResult, aio::MultiplexedConnection};
use std::{future::Future, io, time::Duration};
use tokio::{
    sync::watch,
    task::AbortHandle,
    time::{sleep, timeout},
};
use usher_model::limits;

/// Connecting, logging in and a ping.
const CONNECT: Duration = Duration::from_millis(1_000);
/// Between two tries to connect.
const PAUSE: Duration = Duration::from_millis(100);
/// Calls that wait to be sent; the crate's default of 50 makes them wait for each other under load.
const SENT_AHEAD: usize = 1_024;

/// A connection that is known to answer.
#[derive(Clone)]
struct Live {
    /// Counts connections, so that a late failure of an old one is not blamed on the new one.
    number: u64,
    connection: MultiplexedConnection,
}

/// The link to Redis.
pub(super) struct Link {
    live: watch::Sender<Option<Live>>,
    prober: AbortHandle,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.prober.abort();
    }
}

impl Link {
    /// Begins with `first`, and connects anew in the background whenever that is needed.
    pub(super) fn start(client: Client, first: Option<MultiplexedConnection>) -> Self {
        let (live, _) = watch::channel(first.map(|connection| Live { number: 0, connection }));
        let prober = tokio::spawn(probe(client, live.clone())).abort_handle();
        Self { live, prober }
    }

    /// A read on a visitor's time: within [`limits::STORE_READ_MS`], or at once when Redis is known not to answer.
    pub(super) async fn read<T, F>(&self, call: impl FnOnce(MultiplexedConnection) -> F) -> Result<T>
    where
        F: Future<Output = RedisResult<T>>,
    {
        self.call_now(limits::STORE_READ_MS, call).await
    }

    /// Whatever may take longer: within [`limits::STORE_WRITE_MS`], part of which may be spent on waiting for Redis.
    pub(super) async fn work<T, F>(&self, call: impl FnOnce(MultiplexedConnection) -> F) -> Result<T>
    where
        F: Future<Output = RedisResult<T>>,
    {
        let mut live = self.live.subscribe();
        let mut number = None;
        let work = async {
            let found = live.wait_for(Option::is_some).await.ok().and_then(|found| (*found).clone());
            let found =
                found.ok_or_else(|| RedisError::from(io::Error::from(io::ErrorKind::NotConnected)))?;
            number = Some(found.number);
            call(found.connection).await
        };
        let outcome = timeout(Duration::from_millis(limits::STORE_WRITE_MS), work).await;
        self.judge(outcome.unwrap_or_else(|_| Err(late())), number)
    }

    /// Whether Redis takes a write now; at once an error when it is known not to answer.
    pub(super) async fn probe_write<F>(&self, call: impl FnOnce(MultiplexedConnection) -> F) -> Result<()>
    where
        F: Future<Output = RedisResult<()>>,
    {
        self.call_now(limits::STORE_WRITE_MS, call).await
    }

    async fn call_now<T, F>(&self, ms: u64, call: impl FnOnce(MultiplexedConnection) -> F) -> Result<T>
    where
        F: Future<Output = RedisResult<T>>,
    {
        let found = self.live.borrow().clone();
        let found = found.ok_or_else(|| StoreError::Unavailable("Redis is being waited for".to_owned()))?;
        let outcome = timeout(Duration::from_millis(ms), call(found.connection)).await;
        self.judge(outcome.unwrap_or_else(|_| Err(late())), Some(found.number))
    }

    fn judge<T>(&self, outcome: RedisResult<T>, number: Option<u64>) -> Result<T> {
        outcome.map_err(|why| {
            if fault::is_lost(&why) {
                self.live.send_if_modified(|live| {
                    let same = live.as_ref().is_some_and(|live| Some(live.number) == number);
                    if same {
                        *live = None;
                    }
                    same
                });
            }
            fault::of(&why)
        })
    }
}

/// Connects, logs in and asks for a sign of life.
pub(super) async fn connect(
    client: &Client,
    config: AsyncConnectionConfig,
) -> RedisResult<MultiplexedConnection> {
    // The callers' total deadlines are the ones that count; the crate's own would be half a second.
    let config = config
        .set_connection_timeout(Some(CONNECT))
        .set_response_timeout(Some(Duration::from_millis(limits::STORE_WRITE_MS)))
        .set_pipeline_buffer_size(SENT_AHEAD);
    let connect = async {
        let connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        ping(connection.clone()).await?;
        Ok(connection)
    };
    timeout(CONNECT, connect).await.unwrap_or_else(|_| Err(late()))
}

/// Asks for a sign of life.
pub(super) async fn ping(mut connection: MultiplexedConnection) -> RedisResult<()> {
    redis::cmd("PING").query_async(&mut connection).await
}

fn late() -> RedisError {
    RedisError::from(io::Error::new(io::ErrorKind::TimedOut, "Redis gave no answer in time"))
}

async fn probe(client: Client, live: watch::Sender<Option<Live>>) {
    let mut state = live.subscribe();
    let mut number = 0;
    while state.wait_for(Option::is_none).await.is_ok() {
        number += 1;
        let connection = reconnect(&client).await;
        live.send_replace(Some(Live { number, connection }));
    }
}

async fn reconnect(client: &Client) -> MultiplexedConnection {
    let mut told = false;
    loop {
        match connect(client, AsyncConnectionConfig::new()).await {
            Ok(connection) => {
                if told {
                    tracing::info!("Redis answers again");
                }
                return connection;
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
