//! The stand-in for the platform: the real binary with `--upstream-only`.

use std::net::SocketAddr;
use std::process::Command;

use serde_json::Value;

use crate::process::Process;
use crate::wait::eventually;
use crate::{binary, http};

/// A running stand-in.
pub struct Standin {
    process: Process,
    address: SocketAddr,
}

impl Standin {
    /// Starts one.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start() -> Self {
        let mut command = Command::new(binary::usher());
        command.args(["demo", "--upstream-only", "--listen", "127.0.0.1:0"]);
        let process = Process::start("the stand-in", &mut command);
        let address = process
            .said("where it listens", |line| {
                let (_, rest) = line.split_once("http://")?;
                rest.split(|c: char| c.is_whitespace() || c == '/').next()?.parse().ok()
            })
            .await;
        Self { process, address }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lines up a fault, or a list of them: `{"path":"/v1/track","mode":"slow","delay_ms":2000,"times":1}`.
    ///
    /// # Panics
    /// When it does not understand.
    pub async fn behave(&self, fault: Value) {
        let answer = http::post(self.address, "/_behaviour").json(&fault).send().await;
        assert!((200..300).contains(&answer.status), "{}", answer.text());
    }

    /// The faults that are lined up, each with how often it was `applied`.
    ///
    /// # Panics
    /// When it does not answer.
    pub async fn faults(&self) -> Vec<Value> {
        let answer = http::get(self.address, "/_behaviour").send().await.expect(200).json();
        answer["behaviours"].as_array().cloned().unwrap_or_default()
    }

    /// Forgets all faults.
    pub async fn behave_well(&self) {
        let answer = http::request(::http::Method::DELETE, self.address, "/_behaviour").send().await;
        assert!((200..300).contains(&answer.status), "{}", answer.text());
    }

    /// Everything it has received.
    ///
    /// # Panics
    /// When it does not answer.
    pub async fn received(&self) -> Received {
        Received(http::get(self.address, "/_received").send().await.expect(200).json())
    }

    /// Counts, sums and event ids of what it has received: cheap also after a long load.
    ///
    /// # Panics
    /// When it does not answer.
    pub async fn summary(&self) -> Value {
        http::get(self.address, "/_received?summary=1").send().await.expect(200).json()
    }

    /// Changes its settings: `api_key`, `signing_secret`, `program`, `affiliates`, `rate_limit`.
    ///
    /// # Panics
    /// When it does not understand.
    pub async fn settings(&self, change: Value) {
        let answer = http::post(self.address, "/_settings").json(&change).send().await;
        assert!((200..300).contains(&answer.status), "{}", answer.text());
    }

    /// Waits until what it has received shows what is looked for.
    ///
    /// # Panics
    /// When it does not show in time.
    pub async fn shows<T>(&self, what: &str, look: impl Fn(&Received) -> Option<T>) -> T {
        eventually(what, async || look(&self.received().await)).await
    }

    /// Waits until it has one conversion of that event, and answers it.
    ///
    /// # Panics
    /// When it does not come in time.
    pub async fn conversion(&self, event: &str) -> Value {
        self.shows(&format!("the conversion {event}"), |received| {
            received.conversions().iter().find(|sale| sale["external_event_id"] == event).cloned()
        })
        .await
    }

    /// Its process, for signals.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }
}

/// What the stand-in has received, as `GET /_received` shows it.
#[derive(Clone, Debug)]
pub struct Received(pub Value);

impl Received {
    /// Clicks, from `track` and `clicks`.
    #[must_use]
    pub fn clicks(&self) -> &[Value] {
        self.list("clicks")
    }

    /// The clicks of one affiliate.
    #[must_use]
    pub fn clicks_of(&self, affiliate: &str) -> Vec<&Value> {
        self.clicks().iter().filter(|click| click["trackingId"] == affiliate).collect()
    }

    /// Conversions, each event once; `replays` counts repetitions.
    #[must_use]
    pub fn conversions(&self) -> &[Value] {
        self.list("conversions")
    }

    /// Refunds.
    #[must_use]
    pub fn refunds(&self) -> &[Value] {
        self.list("refunds")
    }

    /// Events that are no conversions.
    #[must_use]
    pub fn events(&self) -> &[Value] {
        self.list("events")
    }

    /// Leads.
    #[must_use]
    pub fn signups(&self) -> &[Value] {
        self.list("signups")
    }

    /// The log of requests to one path, newest last.
    #[must_use]
    pub fn requests(&self, path: &str) -> Vec<&Value> {
        self.list("requests").iter().filter(|request| request["path"] == path).collect()
    }

    fn list(&self, name: &str) -> &[Value] {
        self.0[name].as_array().map_or(&[], Vec::as_slice)
    }
}
