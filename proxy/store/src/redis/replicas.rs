//! Replicas that must have what is acknowledged: `WAIT`, <https://redis.io/docs/latest/commands/wait/>.
//!
//! `WAIT` holds its connection up until the replicas have answered. So writes that want it have a connection of their own,
//! and share it as commits share a sync: whoever wrote while the last `WAIT` was under way is covered by the next one.

use redis::{RedisError, RedisResult, aio::MultiplexedConnection};
use tokio::sync::{mpsc, oneshot};

/// How long replicas may take, in ms. Long for a round trip, short enough that a caller is told within its deadline.
const PATIENCE_MS: u64 = 1_000;
/// Callers that one `WAIT` speaks for.
const GROUPED: usize = 1_024;

type Ask = oneshot::Sender<RedisResult<()>>;

/// The connection for writes that replicas must have, and the way to the task that asks for their word.
#[derive(Clone)]
pub(super) struct Replicas {
    connection: MultiplexedConnection,
    asks: mpsc::Sender<Ask>,
}

impl Replicas {
    /// `count` replicas must have each write. `probe` is a key on the same server that may be overwritten.
    pub(super) fn follow(connection: MultiplexedConnection, count: u32, probe: String) -> Self {
        let (asks, receiver) = mpsc::channel(GROUPED);
        tokio::spawn(serve(connection.clone(), count, probe, receiver));
        Self { connection, asks }
    }

    /// Where to write.
    pub(super) fn connection(&self) -> MultiplexedConnection {
        self.connection.clone()
    }

    /// Returns when the replicas have all that was written until now, whoever wrote it.
    pub(super) async fn have_it(&self) -> RedisResult<()> {
        let (ask, answer) = oneshot::channel();
        self.asks.send(ask).await.map_err(|_| unheard(0, 0))?;
        answer.await.unwrap_or_else(|_| Err(unheard(0, 0)))
    }
}

async fn serve(
    mut connection: MultiplexedConnection,
    count: u32,
    probe: String,
    mut asks: mpsc::Receiver<Ask>,
) {
    let mut group = Vec::with_capacity(GROUPED);
    while asks.recv_many(&mut group, GROUPED).await > 0 {
        let mut wait = redis::pipe();
        // WAIT speaks of what its own connection wrote. This write comes after all others, so it covers them too: a record
        // that was there already may have been written over another connection.
        wait.cmd("SET").arg(&probe).arg(1).ignore();
        wait.cmd("WAIT").arg(count).arg(PATIENCE_MS);
        let said: RedisResult<(u32,)> = wait.query_async(&mut connection).await;
        let outcome = said.and_then(|(have,)| if have >= count { Ok(()) } else { Err(unheard(have, count)) });
        for ask in group.drain(..) {
            // Nobody is there any more when the caller's deadline has passed.
            let _ = ask.send(outcome.clone());
        }
    }
}

/// It is Redis's own word for a primary that misses its replicas.
fn unheard(have: u32, wanted: u32) -> RedisError {
    let detail = format!("{have} of {wanted} replicas have it");
    redis::make_extension_error("NOREPLICAS".to_owned(), Some(detail))
}
