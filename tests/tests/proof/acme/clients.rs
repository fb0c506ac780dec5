//! Visitors who come without a pause, and strangers who ask for names that are nobody's.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::{JoinHandle, JoinSet};
use usher_tests::{Browser, eventually_within};

/// Longer than all certificates of the proof live together.
const RENEWED_WITHIN: Duration = Duration::from_secs(300);
/// Handshakes under way at once.
const AT_ONCE: usize = 16;

/// Visitors of every host, one after the other.
pub(crate) struct Clients {
    state: Arc<State>,
    visiting: JoinHandle<(usize, usize)>,
}

#[derive(Default)]
struct State {
    hosts: Mutex<Vec<String>>,
    renewals: AtomicUsize,
    over: AtomicBool,
}

impl Clients {
    pub(crate) fn start(browser: &Browser, to: SocketAddr) -> Self {
        let state = Arc::new(State::default());
        let visiting = tokio::spawn(visit(browser.clone(), to, Arc::clone(&state)));
        Self { state, visiting }
    }

    /// This host too, from now on.
    pub(crate) fn visit(&self, host: &str) {
        self.state.hosts.lock().expect("nobody panicked").push(host.to_owned());
    }

    /// Until they have seen so many certificates that took another's place.
    pub(crate) async fn until_renewed(&self, times: usize) {
        eventually_within(RENEWED_WITHIN, "certificates are renewed", async || {
            (self.state.renewals.load(Ordering::SeqCst) >= times).then_some(())
        })
        .await;
    }

    /// How many handshakes there were, how many failed, and how many certificates took another's place.
    pub(crate) async fn end(self) -> (usize, usize, usize) {
        self.state.over.store(true, Ordering::SeqCst);
        let (handshakes, failed) = self.visiting.await.expect("visitors do not panic");
        (handshakes, failed, self.state.renewals.load(Ordering::SeqCst))
    }
}

async fn visit(browser: Browser, to: SocketAddr, state: Arc<State>) -> (usize, usize) {
    let (mut shown, mut handshakes, mut failed) = (HashMap::new(), 0, 0);
    while !state.over.load(Ordering::SeqCst) {
        let hosts = state.hosts.lock().expect("nobody panicked").clone();
        tokio::task::yield_now().await; // while there are none yet
        for host in hosts {
            handshakes += 1;
            let Ok(certificate) = browser.certificate(to, &host).await else {
                failed += 1;
                continue;
            };
            match shown.insert(host, certificate.clone()) {
                Some(before) if before != certificate => drop(state.renewals.fetch_add(1, Ordering::SeqCst)),
                _ => {}
            }
        }
    }
    (handshakes, failed)
}

/// What became of those who asked for names that are nobody's.
#[derive(Default)]
pub(crate) struct Strangers {
    pub(crate) asked: usize,
    /// Who got a certificate.
    pub(crate) served: usize,
    /// That the directory was given meanwhile.
    pub(crate) orders: usize,
}

/// So many handshakes, each with a name of its own, every other one as a validation does it.
pub(crate) async fn strangers(browser: &Browser, to: SocketAddr, asked: usize) -> Strangers {
    let (mut served, mut asking) = (0, JoinSet::new());
    for number in 0..asked {
        let (browser, host) = (browser.clone(), format!("n{number}.shop.example"));
        asking.spawn(async move {
            let protocols: &[&str] = if number % 2 == 0 { &["h2", "http/1.1"] } else { &["acme-tls/1"] };
            match browser.greet(to, &host, protocols).await {
                Ok(_) => true,
                Err(error) => {
                    assert!(
                        error.to_string().contains("alert"),
                        "the edge refuses, it does not break: {error}"
                    );
                    false
                }
            }
        });
        if asking.len() >= AT_ONCE
            && let Some(ended) = asking.join_next().await
        {
            served += usize::from(ended.expect("strangers do not panic"));
        }
    }
    served += asking.join_all().await.into_iter().filter(|served| *served).count();
    Strangers { asked, served, orders: 0 }
}
