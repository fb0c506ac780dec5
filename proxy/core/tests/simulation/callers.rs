//! Whoever asks something of the process: what they ask, what they hear, and whether they ask again.

use super::{
    hooks::{self, Sender},
    plan::AFFILIATES,
    trace::say,
    world::{Alive, World},
};
use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, Weak},
    time::Duration,
};
use usher_core::{Refusal, Signals, Visitor, conversions::Heard};
use usher_model::{Answer, ClickId, Job, UnixMs};

/// What is asked, frozen: whoever asks again asks for exactly this.
#[derive(Clone, Debug)]
pub(crate) enum Request {
    Track {
        visitor: u8,
        affiliate: u8,
        body: String,
    },
    Apply {
        visitor: u8,
        code: &'static str,
    },
    Lead {
        visitor: u8,
        body: String,
    },
    Bind {
        visitor: u8,
        body: String,
    },
    Sale {
        body: String,
    },
    Refund {
        of: String,
        body: String,
    },
    Event {
        body: String,
    },
    Segment {
        body: String,
    },
    /// What a payment provider says; of a payment, with the click that it names.
    Hook {
        sender: Sender,
        click: Option<String>,
        body: String,
    },
}

/// What somebody heard.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Reply {
    /// `2xx`: it is on stable storage.
    Acknowledged(Answer),
    /// `4xx` of our own: nothing was written.
    Refused(String),
    /// The platform's refusal.
    PlatformRefused(u16),
    /// `503`.
    Unavailable,
    /// The connection broke: the process died.
    Nothing,
}

/// Somebody, and what they heard each time they asked.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// What kind of record it makes, and its natural key; nothing that is counted when `None`.
    pub(crate) job: Option<Job>,
    pub(crate) key: String,
    pub(crate) request: Request,
    /// Whether they ask until they are told yes or no.
    pub(crate) patient: bool,
    pub(crate) asked_at: UnixMs,
    pub(crate) heard: Vec<(UnixMs, Reply)>,
    /// Whether they wait for an answer now.
    pub(crate) waits: bool,
}

impl Caller {
    pub(crate) fn new(job: Option<Job>, key: String, request: Request, patient: bool, now: UnixMs) -> Self {
        Self { job, key, request, patient, asked_at: now, heard: Vec::new(), waits: false }
    }

    /// The acknowledgement, and when it came.
    pub(crate) fn acknowledged(&self) -> Option<(UnixMs, &Answer)> {
        self.heard.iter().find_map(|(at, heard)| match heard {
            Reply::Acknowledged(answer) => Some((*at, answer)),
            _ => None,
        })
    }

    /// Whether every answer was a refusal of ours: then nothing of it may exist.
    pub(crate) fn refused_throughout(&self) -> bool {
        !self.heard.is_empty() && self.heard.iter().all(|(_, heard)| matches!(heard, Reply::Refused(_)))
    }

    /// Whether they will ask (again).
    pub(crate) fn is_open(&self) -> bool {
        match self.heard.last() {
            None => true,
            Some((_, Reply::Unavailable | Reply::Nothing)) => self.patient,
            Some(_) => false,
        }
    }

    /// The process died: what they waited for does not come.
    pub(crate) fn hang_up(&mut self, now: UnixMs) {
        if std::mem::take(&mut self.waits) {
            self.heard.push((now, Reply::Nothing));
        }
    }
}

/// A visitor as their browser shows itself.
pub(crate) fn visitor(number: u8, cookie: Option<ClickId>) -> Visitor {
    Visitor {
        address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, number)),
        user_agent: "Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0".to_owned(),
        referer: None,
        origin: None,
        cookie,
        signed: None,
        signals: Signals::default(),
    }
}

/// Asks until there is no reason to ask again.
pub(crate) async fn ask(world: Arc<World>, alive: Weak<Alive>, index: usize) {
    let mut pause_ms = 200;
    loop {
        let Some(alive) = alive.upgrade() else { return };
        let Some(request) = world.facts().begin_asking(index) else { return };
        let heard = put(&world, &alive, request).await;
        let again = world.heard(index, heard);
        drop(alive);
        if !again {
            return;
        }
        tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        pause_ms = (pause_ms * 2).min(20_000);
    }
}

/// Puts a request to the process.
async fn put(world: &World, alive: &Alive, request: Request) -> Reply {
    let site = &world.site;
    let conversions = &alive.core.conversions;
    match request {
        Request::Track { visitor: number, affiliate, body } => {
            let visitor = visitor(number, world.facts().cookies[usize::from(number)].clone());
            match alive.core.capture.track(site, body.as_bytes(), &visitor).await {
                Ok(tracked) => {
                    world.keep_cookie(number, AFFILIATES[usize::from(affiliate)], tracked.cookie);
                    yes()
                }
                Err(refusal) => no(&refusal),
            }
        }
        Request::Apply { visitor: number, code } => {
            let visitor = visitor(number, world.facts().cookies[usize::from(number)].clone());
            match alive.core.codes.resolve(site, code, &visitor, &alive.core.capture).await {
                Ok(resolved) => {
                    world.keep_cookie(number, super::orders::affiliate_of(code), resolved.cookie);
                    yes()
                }
                Err(refusal) => no(&refusal),
            }
        }
        Request::Lead { visitor: number, body } => {
            said(conversions.signup(site, body.as_bytes(), &visitor(number, None)).await)
        }
        Request::Bind { visitor: number, body } => {
            let cookie = world.facts().cookies[usize::from(number)].clone();
            match conversions.bind(site, body.as_bytes(), &visitor(number, cookie)).await {
                Ok(()) => yes(),
                Err(refusal) => no(&refusal),
            }
        }
        Request::Sale { body } => said(conversions.convert(site, body.as_bytes()).await),
        Request::Refund { of, body } => said(conversions.refund(site, &of, body.as_bytes(), None).await),
        Request::Event { body } => said(conversions.event(site, body.as_bytes()).await),
        Request::Segment { body } => said(conversions.segment(site, body.as_bytes()).await),
        Request::Hook { sender, body, .. } => match hooks::send(world, conversions, sender, &body).await {
            Ok(Heard::Taken) => yes(),
            Ok(other) => Reply::Refused(format!("{other:?}")),
            Err(refusal) => no(&refusal),
        },
    }
}

fn yes() -> Reply {
    Reply::Acknowledged(Answer { status: 200, body: String::new() })
}

fn no(refusal: &Refusal) -> Reply {
    match refusal {
        Refusal::Unavailable(_) => Reply::Unavailable,
        refusal => Reply::Refused(refusal.to_string()),
    }
}

fn said(outcome: Result<Answer, Refusal>) -> Reply {
    match outcome {
        Ok(answer) if answer.status < 300 => Reply::Acknowledged(answer),
        // It was written down and sent, and the platform did not want it.
        Ok(answer) => Reply::PlatformRefused(answer.status),
        Err(refusal) => no(&refusal),
    }
}

impl World {
    /// Writes down what a caller heard; whether they ask again.
    fn heard(&self, index: usize, heard: Reply) -> bool {
        let now = self.time.true_now();
        let mut facts = self.facts();
        let caller = &mut facts.callers[index];
        say!(self.trace, "caller {index} {} hears {heard:?}", caller.key);
        caller.waits = false;
        caller.heard.push((now, heard));
        caller.is_open()
    }

    /// The visitor's browser keeps the cookie, and the history knows whose click it is.
    fn keep_cookie(&self, number: u8, affiliate: &'static str, cookie: Option<ClickId>) {
        let Some(cookie) = cookie else { return };
        let mut facts = self.facts();
        facts.clicks.entry(cookie.as_str().to_owned()).or_insert(affiliate);
        facts.cookies[usize::from(number)] = Some(cookie);
    }
}
