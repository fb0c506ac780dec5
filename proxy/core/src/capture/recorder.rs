//! Writes clicks behind the visitor's back: batched, and kept in memory while the store is away.

use crate::Tools;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::{mpsc, oneshot};
use usher_model::{Click, ClickId, SiteName, limits};
use usher_store::{PendingClick, Store, StoreError};

type Item = (Click, Option<PendingClick>, oneshot::Sender<()>);

/// Takes clicks and returns at once.
#[derive(Clone)]
pub(super) struct Recorder {
    queue: mpsc::Sender<Item>,
    unwritten: Unwritten,
}

/// The clicks of this edge that are still to be written: as many as wait, and the batch that is being written.
#[derive(Clone, Default)]
pub(crate) struct Unwritten(Arc<Mutex<Waiting>>);

/// By site and id: the click as it was queued last, and how many times it waits.
type Waiting = HashMap<(SiteName, ClickId), (Click, usize)>;

impl Unwritten {
    /// Whether there are any: then a click that the store does not know may be one of them.
    pub(crate) fn any(&self) -> bool {
        !self.waiting().is_empty()
    }

    /// The click of that id, if it is one of them. Who finds none here finds it in the store, if it was written: it goes from
    /// here after that.
    pub(crate) fn click(&self, site: &SiteName, id: &ClickId) -> Option<Click> {
        Some(self.waiting().get(&(site.clone(), id.clone()))?.0.clone())
    }

    fn add(&self, click: &Click) {
        let mut waiting = self.waiting();
        let known = waiting.entry(key(click)).or_insert_with(|| (click.clone(), 0));
        *known = (click.clone(), known.1 + 1);
    }

    fn remove(&self, key: &(SiteName, ClickId)) {
        let mut waiting = self.waiting();
        match waiting.get_mut(key) {
            Some((_, times)) if *times > 1 => *times -= 1,
            _ => drop(waiting.remove(key)),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(click: &Click) -> (SiteName, ClickId) {
    (click.site.clone(), click.id.clone())
}

impl Recorder {
    /// Starts the writing task. It ends, with everything written, when the last `Recorder` is gone.
    pub(super) fn start(tools: &Tools) -> (Self, tokio::task::JoinHandle<()>) {
        let (queue, items) = mpsc::channel(limits::CLICKS_QUEUED);
        let unwritten = Unwritten::default();
        let writing = tokio::spawn(write(Arc::clone(&tools.store), items, unwritten.clone()));
        (Self { queue, unwritten }, writing)
    }

    /// Its clicks that are still to be written.
    pub(super) fn unwritten(&self) -> Unwritten {
        self.unwritten.clone()
    }

    /// Queues a click. What comes back resolves once the click is written, and fails when it was dropped because too
    /// many wait already.
    pub(super) fn record(&self, click: Click, pending: Option<PendingClick>) -> oneshot::Receiver<()> {
        let (written, done) = oneshot::channel();
        // Before it is queued, for then it may be written at once.
        self.unwritten.add(&click);
        if let Err(unqueued) = self.queue.try_send((click, pending, written)) {
            let (click, ..) = unqueued.into_inner();
            self.unwritten.remove(&key(&click));
            tracing::error!(
                queued = limits::CLICKS_QUEUED,
                "a click was not recorded: too many wait for the store"
            );
        }
        done
    }
}

async fn write(store: Arc<dyn Store>, mut items: mpsc::Receiver<Item>, unwritten: Unwritten) {
    let mut batch = Vec::new();
    while items.recv_many(&mut batch, limits::CLICKS_BATCHED).await > 0 {
        let (clicks, written): (Vec<_>, Vec<_>) = batch
            .drain(..)
            .map(|(click, pending, written)| {
                let key = key(&click);
                ((click, pending), (key, written))
            })
            .unzip();
        write_down(store.as_ref(), clicks).await;
        for (key, written) in written {
            unwritten.remove(&key);
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
