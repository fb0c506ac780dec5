//! A platform that records what it is told and answers when it may.

use async_trait::async_trait;
use serde_json::json;
use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::watch;
use usher_model::{ClickId, Job};
use usher_upstream::{CallError, Platform, Reply, TrackAnswer, TrackCall};

pub(crate) struct Scripted {
    tracks: Mutex<Vec<TrackCall>>,
    delivered: Mutex<Vec<(Job, String)>>,
    refunded: Mutex<Vec<(String, String)>>,
    open: watch::Sender<bool>,
    calls: watch::Sender<usize>,
}

impl Default for Scripted {
    fn default() -> Self {
        Self {
            tracks: Mutex::default(),
            delivered: Mutex::default(),
            refunded: Mutex::default(),
            open: watch::Sender::new(true),
            calls: watch::Sender::new(0),
        }
    }
}

impl Scripted {
    /// From now on calls wait until [`Scripted::open`].
    pub(crate) fn hold(&self) {
        self.open.send_replace(false);
    }

    pub(crate) fn open(&self) {
        self.open.send_replace(true);
    }

    /// Waits until so many calls have come in.
    pub(crate) async fn called(&self, times: usize) {
        self.calls.subscribe().wait_for(|calls| *calls >= times).await.expect("a platform");
    }

    pub(crate) fn tracks(&self) -> Vec<TrackCall> {
        self.tracks.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn delivered(&self) -> Vec<(Job, String)> {
        self.delivered.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Refunds: of which conversion, and the body.
    pub(crate) fn refunded(&self) -> Vec<(String, String)> {
        self.refunded.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn admit(&self) {
        self.calls.send_modify(|calls| *calls += 1);
        self.open.subscribe().wait_for(|open| *open).await.expect("a platform");
    }
}

#[async_trait]
impl Platform for Scripted {
    async fn track(&self, call: TrackCall, _: Duration) -> Result<TrackAnswer, CallError> {
        self.admit().await;
        let mut tracks = self.tracks.lock().unwrap_or_else(PoisonError::into_inner);
        tracks.push(call);
        let discount = json!({"discount": {"amount": 10, "type": "percentage"}, "affiliateCoupons": []});
        let rest = serde_json::Map::from_iter([("data".to_owned(), discount)]);
        Ok(TrackAnswer { cid: ClickId::new(format!("cid-{}", tracks.len())).ok(), rest })
    }

    async fn deliver(
        &self,
        job: Job,
        conversion: Option<&str>,
        body: &str,
        _: Duration,
    ) -> Result<Reply, CallError> {
        self.admit().await;
        if let Some(conversion) = conversion {
            let mut refunded = self.refunded.lock().unwrap_or_else(PoisonError::into_inner);
            refunded.push((conversion.to_owned(), body.to_owned()));
        }
        let mut delivered = self.delivered.lock().unwrap_or_else(PoisonError::into_inner);
        delivered.push((job, body.to_owned()));
        let id = format!("up-{}", delivered.len());
        let body = json!({"success": true, "data": {"id": id}}).to_string();
        Ok(Reply { status: 201, body, id: Some(id), ..Reply::default() })
    }
}
