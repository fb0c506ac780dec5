//! The client: it writes a connection's bytes as they are and reads what comes back.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::case::{Case, End};

/// A connection that is still open then was neither answered nor refused.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the client was told.
pub(crate) struct Told {
    bytes: Vec<u8>,
    is_closed: bool,
}

/// Sends all, some at once; what was told, in the order of `cases`.
pub(crate) async fn send(edge: SocketAddr, cases: &[Case], clients: usize) -> Vec<Told> {
    let (cases, next) = (Arc::new(cases.to_vec()), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..clients)
        .map(|_| {
            let (cases, next) = (Arc::clone(&cases), Arc::clone(&next));
            tokio::spawn(async move {
                let mut told = Vec::new();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(case) = cases.get(number) else { return told };
                    told.push((number, talk(edge, case).await));
                }
            })
        })
        .collect();
    let mut told = Vec::new();
    for client in clients {
        told.extend(client.await.expect("a client ends"));
    }
    told.sort_by_key(|(number, _)| *number);
    told.into_iter().map(|(_, told)| told).collect()
}

async fn talk(edge: SocketAddr, case: &Case) -> Told {
    let mut stream = TcpStream::connect(edge).await.expect("the edge takes connections");
    stream.set_nodelay(true).expect("a socket");
    let (mut from, mut to) = stream.split();
    let mut bytes = Vec::new();
    let writing = async {
        for part in &case.parts {
            // The edge may have refused it already and closed.
            if to.write_all(part).await.is_err() {
                break;
            }
        }
        if case.end == End::HungUp {
            let _ = to.shutdown().await;
        }
    };
    let both = async { tokio::join!(writing, from.read_to_end(&mut bytes)) };
    let is_closed = tokio::time::timeout(PATIENCE, both).await.is_ok();
    Told { bytes, is_closed }
}

impl Told {
    /// Why this is not what the case asks for, if it is not.
    pub(crate) fn contradicts(&self, case: &Case) -> Option<String> {
        // `HTTP/1.1 200`, and so on.
        let is_status = |line: &[u8], first: u8| line.starts_with(b"HTTP/1.") && line[8..] == [b' ', first];
        let count = |first: u8| self.bytes.windows(10).filter(|line| is_status(line, first)).count();
        let (good, refused) = (count(b'2'), count(b'4') + count(b'5'));
        let is_as_asked = match case.end {
            End::Answered => good == case.expected.len() && refused == 0,
            End::Refused => good == case.expected.len() && refused == 1,
            End::HungUp => good <= case.expected.len() && refused <= 1,
        };
        let shown = self.bytes.escape_ascii().to_string();
        match (is_as_asked, self.is_closed) {
            (true, true) => None,
            (_, false) => Some(format!("still open after {shown}")),
            (false, true) => Some(format!("{good} good answers and {refused} others: {shown}")),
        }
    }
}
