//! Writes clicks behind the visitor's back: batched, and kept in memory while the store is away.

use crate::Tools;
use std::{sync::Arc, time::Duration};
use tokio::sync::{mpsc, oneshot};
use usher_model::{Click, limits};
use usher_store::{PendingClick, Store, StoreError};

type Item = (Click, Option<PendingClick>, oneshot::Sender<()>);

/// Takes clicks and returns at once.
#[derive(Clone)]
pub(super) struct Recorder(mpsc::Sender<Item>);

impl Recorder {
    /// Starts the writing task. It ends, with everything written, when the last `Recorder` is gone.
    pub(super) fn start(tools: &Tools) -> (Self, tokio::task::JoinHandle<()>) {
        let (queue, items) = mpsc::channel(limits::CLICKS_QUEUED);
        (Self(queue), tokio::spawn(write(Arc::clone(&tools.store), items)))
    }

    /// Queues a click. What comes back resolves once the click is written, and fails when it was dropped because too
    /// many wait already.
    pub(super) fn record(&self, click: Click, pending: Option<PendingClick>) -> oneshot::Receiver<()> {
        let (written, done) = oneshot::channel();
        if self.0.try_send((click, pending, written)).is_err() {
            tracing::error!(
                queued = limits::CLICKS_QUEUED,
                "a click was not recorded: too many wait for the store"
            );
        }
        done
    }
}

async fn write(store: Arc<dyn Store>, mut items: mpsc::Receiver<Item>) {
    let mut batch = Vec::new();
    while items.recv_many(&mut batch, limits::CLICKS_BATCHED).await > 0 {
        let (clicks, written): (Vec<_>, Vec<_>) =
            batch.drain(..).map(|(click, pending, written)| ((click, pending), written)).unzip();
        write_down(store.as_ref(), clicks).await;
        for written in written {
            // Nobody may be waiting for it.
            let _ = written.send(());
        }
    }
}

/// Writes clicks, however long that takes.
async fn write_down(store: &dyn Store, clicks: Vec<(Click, Option<PendingClick>)>) {
    let mut pause_ms = 50;
    loop {
        match store.record_clicks(clicks.clone()).await {
            Ok(()) => return,
            // Trying again mends nothing: what can be written is written one by one, lest one click stop all after it.
            Err(StoreError::Corrupt(why)) => match clicks.as_slice() {
                [] => return,
                [(click, _)] => {
                    return tracing::error!(click = %click.id, why, "a click was not recorded");
                }
                _ => {
                    for click in clicks {
                        Box::pin(write_down(store, vec![click])).await;
                    }
                    return;
                }
            },
            Err(error) => {
                tracing::warn!(%error, clicks = clicks.len(), "clicks wait for the store");
                tokio::time::sleep(Duration::from_millis(pause_ms)).await;
                pause_ms = (pause_ms * 2).min(limits::CLICKS_RETRY_MS);
            }
        }
    }
}
