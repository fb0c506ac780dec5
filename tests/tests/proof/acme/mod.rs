//! Certificates from a real directory (Debian's `pebble`), which rejects every other nonce and cannot validate every other
//! host the first time: every host gets its certificate. They live a minute: renewed ones take their place while clients
//! shake hands without a pause, and none fails. And whatever names clients ask for, none of them starts an order.

mod clients;
mod door;

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use usher_tests::{Browser, Edge, Pebble, Standin, Validation, eventually_within};

use crate::size::{SIZE, verdict};
use clients::{Clients, Strangers};
use door::Door;

/// Every host has its certificate. The second try of a host comes ten seconds after the first.
const ISSUED_WITHIN: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proof() {
    let start = Instant::now();
    let (issued, strangers) = tokio::join!(issue_and_renew(), meet_strangers());
    let line = format!(
        "{} hosts issued with {REJECTED} % of the nonces rejected and {} validations failing, {} renewals with {} failed of \
         {} handshakes; {} of {} unknown names got a certificate, {} orders for them; {} s",
        issued.hosts,
        issued.failed_validations,
        issued.renewals,
        issued.failed_handshakes,
        issued.handshakes,
        strangers.served,
        strangers.asked,
        strangers.orders,
        start.elapsed().as_secs()
    );
    let holds = issued.failed_validations >= SIZE.acme.hosts / 2
        && issued.renewals >= SIZE.acme.renewals
        && issued.failed_handshakes == 0
        && strangers.served == 0
        && strangers.orders == 0;
    verdict("acme", holds, &line);
}

/// Of a hundred nonces.
const REJECTED: u8 = 50;

struct Issued {
    hosts: usize,
    failed_validations: usize,
    renewals: usize,
    handshakes: usize,
    failed_handshakes: usize,
}

async fn issue_and_renew() -> Issued {
    // The second address takes plain HTTP alone: there a validation by handshake finds nobody.
    let (by_tls, by_http) =
        (Door::at(&[Ipv4Addr::LOCALHOST]).await, Door::at(&[Ipv4Addr::LOCALHOST, ELSEWHERE]).await);
    let validation = Validation {
        http_port: by_http.port(),
        tls_port: by_tls.port(),
        nonces_rejected: REJECTED,
        life_s: SIZE.acme.life_s,
    };
    let pebble = Pebble::start(validation).await;
    let hosts: Vec<String> = (0..SIZE.acme.hosts).map(|number| format!("shop{number}.example")).collect();
    for host in hosts.iter().skip(1).step_by(2) {
        pebble.locate(host, ELSEWHERE).await;
    }
    let standin = Standin::start().await;
    let edge = serve(&standin, &pebble, &hosts).await;
    by_tls.lead_to(edge.https());
    by_http.lead_to(edge.http());

    let browser = pebble.browser().await;
    let clients = Clients::start(&browser, edge.https());
    for host in &hosts {
        issued(&browser, &edge, host).await;
        clients.visit(host);
    }
    clients.until_renewed(SIZE.acme.renewals).await;
    let (handshakes, failed_handshakes, renewals) = clients.end().await;
    let refused = counted(&edge, "refused").await;
    Issued { hosts: hosts.len(), failed_validations: refused, renewals, handshakes, failed_handshakes }
}

const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// Handshakes as anybody may make them, with names that no site has.
async fn meet_strangers() -> Strangers {
    let (by_tls, by_http) = (Door::at(&[Ipv4Addr::LOCALHOST]).await, Door::at(&[Ipv4Addr::LOCALHOST]).await);
    let (http_port, tls_port) = (by_http.port(), by_tls.port());
    let month_s = 30 * 24 * 60 * 60;
    let pebble = Pebble::start(Validation { http_port, tls_port, nonces_rejected: 0, life_s: month_s }).await;
    let standin = Standin::start().await;
    let host = "shop.example".to_owned();
    let edge = serve(&standin, &pebble, std::slice::from_ref(&host)).await;
    by_tls.lead_to(edge.https());
    by_http.lead_to(edge.http());
    let browser = pebble.browser().await;
    issued(&browser, &edge, &host).await;

    let before = pebble.orders();
    assert!(before >= 1, "Pebble says how many orders it has");
    let strangers = clients::strangers(&browser, edge.https(), SIZE.acme.strangers).await;
    // What somebody had asked for would have been ordered by now: an order takes less than a second here.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let known = browser.certificate(edge.https(), &host).await;
    assert!(known.is_ok(), "the host is served on: {known:?}");
    Strangers { orders: pebble.orders() - before, ..strangers }
}

async fn serve(standin: &Standin, pebble: &Pebble, hosts: &[String]) -> Edge {
    let acme = format!(
        "[tls.acme]\ndirectory = {:?}\ncontact = \"mailto:ops@shop.example\"\nca = {:?}",
        pebble.directory(),
        pebble.authority()
    );
    Edge::builder(standin).site("hosts", &format!("{hosts:?}")).tls(&acme).start().await
}

async fn issued(browser: &Browser, edge: &Edge, host: &str) {
    eventually_within(ISSUED_WITHIN, "the host has a certificate", async || {
        browser.certificate(edge.https(), host).await.ok()
    })
    .await;
}

/// How many orders came to that, as the edge counts them.
async fn counted(edge: &Edge, outcome: &str) -> usize {
    let metrics = usher_tests::get(edge.admin(), "/metrics").send().await.expect(200).text();
    let name = format!("usher_certificate_orders_total{{outcome=\"{outcome}\"}} ");
    metrics.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok()).unwrap_or(0)
}
