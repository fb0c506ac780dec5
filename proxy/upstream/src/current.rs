//! The platform by settings that may change.

use crate::{CallError, Client, Platform, Reply, TrackAnswer, TrackCall};
use arc_swap::ArcSwap;
use async_trait::async_trait;
use std::{sync::Arc, time::Duration};
use usher_model::Job;

/// Calls the platform by the newest settings; calls under way keep those that they began with.
pub struct Current(ArcSwap<Client>);

impl Current {
    /// Calls through `client`.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self(ArcSwap::from_pointee(client))
    }

    /// Calls that begin from now on go through `client`.
    pub fn replace(&self, client: Client) {
        self.0.store(Arc::new(client));
    }
}

#[async_trait]
impl Platform for Current {
    async fn track(&self, call: TrackCall, deadline: Duration) -> Result<TrackAnswer, CallError> {
        self.0.load_full().track(call, deadline).await
    }

    async fn deliver(
        &self,
        job: Job,
        conversion: Option<&str>,
        body: &str,
        deadline: Duration,
    ) -> Result<Reply, CallError> {
        self.0.load_full().deliver(job, conversion, body, deadline).await
    }
}
