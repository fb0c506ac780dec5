//! What a request's phases know of it, and what comes of it.

use crate::{
    answer::{self, Answer},
    client::Peer,
    cookie::Grant,
    cors::{self, Caller},
    fault::Fault,
    jobs::Jobs,
    table::Face,
};
use http::{HeaderMap, StatusCode, header::CONTENT_TYPE, request::Parts};
use std::{
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;
use usher_core::{Core, Keyring};
use usher_model::UnixMs;

/// A request that has been admitted and routed.
pub(crate) struct Call<'r> {
    pub(crate) jobs: &'r Jobs,
    pub(crate) keyring: &'r Arc<Keyring>,
    pub(crate) face: &'r Arc<Face>,
    pub(crate) head: &'r Parts,
    /// The site's host that was asked for.
    pub(crate) host: &'r str,
    pub(crate) caller: Caller<'r>,
    /// Who opened the connection.
    pub(crate) peer: Peer,
    /// The visitor's address.
    pub(crate) address: IpAddr,
    pub(crate) now: UnixMs,
    pub(crate) tasks: &'r TaskTracker,
}

/// What an action came to.
pub(crate) struct Outcome {
    pub(crate) answer: Answer,
    /// What the visitor is given to keep.
    pub(crate) grant: Option<Grant>,
}

/// What a body says that it is.
#[derive(PartialEq, Eq)]
enum Media {
    Json,
    /// `text/plain` or nothing at all: any page can have a browser send that without asking first.
    Simple,
    Unnamed,
    Other,
}

impl Call<'_> {
    /// The jobs. Ask for them when the body has been read, since they are not let go of before.
    pub(crate) fn core(&self) -> Result<Arc<Core>, Fault> {
        self.jobs.get()
    }

    /// Runs `work` to its end whether or not the client waits for it.
    pub(crate) fn detached<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Detached<T> {
        Detached(self.tasks.spawn(work))
    }

    /// Lets only the site's own pages through, and bodies that no other page can send without a preflight.
    pub(crate) fn check_page(&self) -> Result<(), Fault> {
        if self.caller == Caller::Foreign {
            return Err(Fault::Foreign);
        }
        match media(&self.head.headers) {
            Media::Json => Ok(()),
            Media::Simple | Media::Unnamed if cors::crosses_sites(&self.head.headers) => Err(Fault::Foreign),
            Media::Simple | Media::Unnamed => Ok(()),
            Media::Other => Err(Fault::MediaType),
        }
    }

    /// Lets only JSON through, which a server need not name.
    pub(crate) fn check_json(&self) -> Result<(), Fault> {
        match media(&self.head.headers) {
            Media::Json | Media::Unnamed => Ok(()),
            Media::Simple | Media::Other => Err(Fault::MediaType),
        }
    }
}

/// Work that goes on by itself. Its own future is not part of this one: a request whose body is yet to come takes no room for it.
pub(crate) struct Detached<T>(JoinHandle<T>);

impl<T> Future for Detached<T> {
    type Output = Result<T, Fault>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map_err(|_| Fault::Lost)
    }
}

impl Outcome {
    /// What a job says in the platform's words.
    pub(crate) fn said(said: usher_model::Answer) -> Self {
        let status = StatusCode::from_u16(said.status).ok();
        let usual = status
            .filter(|status| !status.is_informational() && !status.is_redirection() && said.status < 600);
        answer::json_text(usual.unwrap_or(StatusCode::BAD_GATEWAY), said.body.into()).into()
    }
}

impl From<Answer> for Outcome {
    fn from(answer: Answer) -> Self {
        Self { answer, grant: None }
    }
}

fn media(headers: &HeaderMap) -> Media {
    let Some(kind) = headers.get(CONTENT_TYPE) else { return Media::Unnamed };
    let essence = kind.as_bytes().split(|b| *b == b';').next().unwrap_or_default().trim_ascii();
    if essence.eq_ignore_ascii_case(b"application/json") {
        Media::Json
    } else if essence.eq_ignore_ascii_case(b"text/plain") {
        Media::Simple
    } else {
        Media::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_usual_statuses_are_passed_on() {
        for (status, told) in [
            (200, 200),
            (201, 201),
            (202, 202),
            (409, 409),
            (503, 503),
            (0, 502),
            (101, 502),
            (302, 502),
            (999, 502),
        ] {
            let said = usher_model::Answer { status, body: "{}".to_owned() };
            assert_eq!(Outcome::said(said).answer.status().as_u16(), told, "{status}");
        }
    }
}
