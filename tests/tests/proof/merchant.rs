//! A shop that sells while everything around it breaks, and remembers what it was promised: sales by click and by promo
//! code, sales to people who clicked while the platform was down, partial refunds, and the same report again.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use usher_tests::{Answer, Edge, HOST, KEY, PROGRAM, Request, Sale, eventually, post};

/// The code that is worth a sale to [`CODE_AFFILIATE`].
pub(crate) const CODE: &str = "SPRING10";
const CODE_AFFILIATE: &str = "bob";
const LINK_AFFILIATE: &str = "alice";
const LATE_AFFILIATE: &str = "carol";
/// How long a killed edge may be away.
const RESTARTED_WITHIN: Duration = Duration::from_secs(20);
/// How long a load may take to get its next acknowledgement.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(60);

/// The shop.
pub(crate) struct Merchant {
    name: String,
    has_codes: bool,
    /// A click of [`LINK_AFFILIATE`] that the platform knows.
    referral: String,
    books: Mutex<Books>,
    acknowledged: AtomicUsize,
    refused: AtomicUsize,
    /// When the last acknowledgement came, and the longest time between two.
    heard: Mutex<(Instant, Duration)>,
    more: Notify,
    next: AtomicUsize,
    over: AtomicBool,
}

/// What was answered with a 2xx.
#[derive(Clone, Default)]
pub(crate) struct Books {
    /// By their event ids.
    pub(crate) sales: BTreeMap<String, Sold>,
    pub(crate) refunds: BTreeMap<String, Refunded>,
}

/// A sale that was acknowledged.
#[derive(Clone)]
pub(crate) struct Sold {
    pub(crate) cents: u64,
    pub(crate) affiliate: &'static str,
    /// What the edge calls it, or the platform when it has spoken in time.
    pub(crate) id: String,
    /// What was asked back of it, acknowledged or not.
    asked_back: u64,
}

/// A refund that was acknowledged.
#[derive(Clone)]
pub(crate) struct Refunded {
    /// The event of its sale.
    pub(crate) of: String,
    pub(crate) cents: u64,
}

impl Books {
    /// How many records.
    pub(crate) fn len(&self) -> usize {
        self.sales.len() + self.refunds.len()
    }
}

impl Merchant {
    /// A shop before that edge; the platform must be well. The names of its events begin with `name`.
    pub(crate) async fn open(name: &str, edge: &Edge) -> Arc<Self> {
        Self::found(name, edge, true).await
    }

    /// The same for a shop without promo codes.
    pub(crate) async fn open_without_codes(name: &str, edge: &Edge) -> Arc<Self> {
        Self::found(name, edge, false).await
    }

    async fn found(name: &str, edge: &Edge, has_codes: bool) -> Arc<Self> {
        let click = edge.track(LINK_AFFILIATE).await.json();
        let referral = click["cid"].as_str().filter(|id| !id.is_empty()).expect("a click's id").to_owned();
        Arc::new(Self {
            name: name.to_owned(),
            has_codes,
            referral,
            books: Mutex::default(),
            acknowledged: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
            heard: Mutex::new((Instant::now(), Duration::ZERO)),
            more: Notify::new(),
            next: AtomicUsize::new(0),
            over: AtomicBool::new(false),
        })
    }

    /// Writes the promo code into an embedded store, beside its edge, and waits until the edge knows it.
    pub(crate) async fn print_code(edge: &Edge) {
        let added = edge.usher(&["codes", "add", CODE, "--affiliate", CODE_AFFILIATE]).await;
        assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
        eventually("the edge knows the code", async || {
            (edge.code_call(CODE).send().await.status == 200).then_some(())
        })
        .await;
    }

    /// Does business with whatever edge stands in `edge`, one call after the other, until the shop closes.
    pub(crate) fn work(self: &Arc<Self>, edge: &watch::Receiver<SocketAddr>) -> JoinHandle<()> {
        let (shop, mut edge) = (Arc::clone(self), edge.clone());
        tokio::spawn(async move {
            while !shop.over.load(Ordering::SeqCst) {
                shop.deal(&mut edge).await;
            }
        })
    }

    /// One deal: it is over when it was acknowledged.
    pub(crate) async fn deal(&self, edge: &mut watch::Receiver<SocketAddr>) {
        let number = self.next.fetch_add(1, Ordering::SeqCst);
        match number % 8 {
            0..=2 => drop(self.sell_by_link(edge, number).await),
            3 | 4 => drop(self.sell_by_code(edge, number).await),
            5 => self.sell_late(edge, number).await,
            6 => self.give_back(edge, number).await,
            _ => self.say_again(edge, number).await,
        }
    }

    /// Reports the sale of that number, by link or code, and then that a part of it went back: the same from every caller.
    pub(crate) async fn report(&self, edge: &mut watch::Receiver<SocketAddr>, number: usize) {
        let id = match number % 4 {
            3 => self.sell_by_code(edge, number).await,
            _ => self.sell_by_link(edge, number).await,
        };
        if let Some(id) = id.filter(|_| number.is_multiple_of(5)) {
            let event = format!("{}-back-{number}", self.name);
            self.refund(edge, event, self.event(number), &id, 100 + number as u64 % 50).await;
        }
    }

    /// Waits until so many records were acknowledged in all.
    pub(crate) async fn until(&self, count: usize) {
        let enough = async {
            loop {
                let more = self.more.notified();
                let mut more = std::pin::pin!(more);
                more.as_mut().enable();
                if self.acknowledged.load(Ordering::SeqCst) >= count {
                    return;
                }
                more.await;
            }
        };
        tokio::time::timeout(ACKNOWLEDGED_WITHIN, enough).await.expect("records are acknowledged under load");
    }

    /// How many records were acknowledged so far.
    pub(crate) fn acknowledged(&self) -> usize {
        self.acknowledged.load(Ordering::SeqCst)
    }

    /// Whether everybody goes home.
    pub(crate) fn is_closed(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// The longest time from one acknowledgement to the next.
    pub(crate) fn longest_silence(&self) -> Duration {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).1
    }

    /// How often it was told to come again.
    pub(crate) fn refused(&self) -> usize {
        self.refused.load(Ordering::SeqCst)
    }

    /// Lets everybody go home.
    pub(crate) fn close(&self) {
        self.over.store(true, Ordering::SeqCst);
    }

    /// The books as they stood when the store was copied that is put back now.
    pub(crate) fn reopen(&self, books: Books) {
        *self.lock() = books;
    }

    /// A copy of the books.
    pub(crate) fn books(&self) -> Books {
        self.lock().clone()
    }

    async fn sell_by_link(&self, edge: &mut watch::Receiver<SocketAddr>, number: usize) -> Option<String> {
        self.sell(edge, number, LINK_AFFILIATE, |sale| sale.referral(&self.referral)).await
    }

    async fn sell_by_code(&self, edge: &mut watch::Receiver<SocketAddr>, number: usize) -> Option<String> {
        match self.has_codes {
            true => self.sell(edge, number, CODE_AFFILIATE, |sale| sale.promo_code(CODE)).await,
            false => self.sell_by_link(edge, number).await,
        }
    }

    /// Reports a sale until it is acknowledged; what it is called then.
    async fn sell(
        &self,
        edge: &mut watch::Receiver<SocketAddr>,
        number: usize,
        affiliate: &'static str,
        by: impl FnOnce(Sale) -> Sale,
    ) -> Option<String> {
        let event = self.event(number);
        let cents = 1_000 + number as u64 * 100 + number as u64 % 100;
        let mark = json!({"mark": event}).to_string();
        let body = by(Sale::new(&event, &money(cents))).raw("metadata", &mark).json();
        let call =
            |to| post(to, "/r/v1/conversions").host(HOST).bearer(KEY).body("application/json", body.clone());
        let answer = self.answered(edge, call).await?;
        // Clicks are written behind the visitor's back: one that died with its edge was never promised.
        if affiliate == LATE_AFFILIATE && answer.status == 404 {
            return None;
        }
        let id = good(&answer)["data"]["id"].as_str().expect("every record has an id").to_owned();
        // A sale that is reported for the second time keeps its line.
        self.lock().sales.entry(event).or_insert(Sold { cents, affiliate, id: id.clone(), asked_back: 0 });
        self.tell();
        Some(id)
    }

    /// Somebody clicks, whether or not the platform is there, and buys.
    async fn sell_late(&self, edge: &mut watch::Receiver<SocketAddr>, number: usize) {
        let visitor = format!("198.{}.{}.{}", 18 + number / 65_536 % 2, number / 256 % 256, number % 256);
        let body = json!({"programId": PROGRAM, "trackingId": LATE_AFFILIATE, "userAgent": "Mozilla/5.0 Firefox/140.0"});
        let call = |to| {
            let track =
                post(to, "/r/track").host(HOST).visitor(&visitor).header("origin", "http://shop.example");
            track.header("user-agent", "Mozilla/5.0 (X11) Gecko Firefox/140.0").json(&body)
        };
        let Some(click) = self.answered(edge, call).await else { return };
        let click = good(&click)["cid"].as_str().expect("a click's id").to_owned();
        self.sell(edge, number, LATE_AFFILIATE, |sale| sale.referral(&click)).await;
    }

    async fn give_back(&self, edge: &mut watch::Receiver<SocketAddr>, number: usize) {
        let cents = 100 + number as u64 % 50;
        if let Some((of, id)) = self.reserve(number, cents) {
            self.refund(edge, format!("{}-back-{number}", self.name), of, &id, cents).await;
        }
    }

    /// Reports a refund until it is acknowledged.
    async fn refund(
        &self,
        edge: &mut watch::Receiver<SocketAddr>,
        event: String,
        of: String,
        id: &str,
        cents: u64,
    ) {
        let (path, amount) = (format!("/r/v1/conversions/{id}/refund"), money(cents));
        let body = format!(
            r#"{{"amount":{amount},"currency":"USD","external_event_id":{event:?},"reason":{event:?}}}"#
        );
        let call = |to| post(to, &path).host(HOST).bearer(KEY).body("application/json", body.clone());
        let Some(answer) = self.answered(edge, call).await else { return };
        good(&answer);
        self.lock().refunds.insert(event, Refunded { of, cents });
        self.tell();
    }

    /// A sale that has so much left, which is asked back of it from now on.
    fn reserve(&self, number: usize, cents: u64) -> Option<(String, String)> {
        let mut books = self.lock();
        let chosen = number.wrapping_mul(7_919) % books.sales.len().max(1);
        let (event, sale) = books.sales.iter_mut().nth(chosen)?;
        (sale.asked_back + cents <= sale.cents).then(|| {
            sale.asked_back += cents;
            (event.clone(), sale.id.clone())
        })
    }

    /// Reports a sale by link or code for the second time: it stays one sale.
    async fn say_again(&self, edge: &mut watch::Receiver<SocketAddr>, number: usize) {
        let earlier = number - 7 + number / 8 % 5;
        if !self.lock().sales.contains_key(&self.event(earlier)) {
            return;
        }
        match earlier % 8 {
            0..=2 => self.sell_by_link(edge, earlier).await,
            _ => self.sell_by_code(edge, earlier).await,
        };
    }

    fn event(&self, number: usize) -> String {
        format!("{}-{number}", self.name)
    }

    /// Calls until somebody answers for good; `None` when the shop closed first, or the edge ended and no other follows.
    async fn answered(
        &self,
        edge: &mut watch::Receiver<SocketAddr>,
        call: impl Fn(SocketAddr) -> Request,
    ) -> Option<Answer> {
        while !self.over.load(Ordering::SeqCst) {
            let to = *edge.borrow_and_update();
            match call(to).try_send().await {
                Ok(answer) if matches!(answer.status, 429 | 503) => {
                    self.refused.fetch_add(1, Ordering::SeqCst);
                    assert!(answer.header("retry-after").is_some(), "{}", answer.text());
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Ok(answer) => return Some(answer),
                // The edge was killed: the next one listens elsewhere, if there is to be one.
                Err(_) => {
                    if let Ok(Err(_)) = tokio::time::timeout(RESTARTED_WITHIN, edge.changed()).await {
                        return None;
                    }
                }
            }
        }
        None
    }

    fn tell(&self) {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        *heard = (Instant::now(), heard.1.max(heard.0.elapsed()));
        drop(heard);
        self.acknowledged.fetch_add(1, Ordering::SeqCst);
        self.more.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The body of an answer that must be a good one.
fn good(answer: &Answer) -> serde_json::Value {
    assert!(matches!(answer.status, 200..=202), "{}: {}", answer.status, answer.text());
    answer.json()
}

/// Cents as the text of a number of major units.
pub(crate) fn money(cents: u64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}
