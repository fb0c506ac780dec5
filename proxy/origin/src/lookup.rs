//! Where an origin's name leads.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};
use tokio::{net::lookup_host, sync::Mutex, time::Instant};
use usher_model::{OriginAddress, limits::ORIGIN_LOOKUP_MS};

/// Looks a name up, once at a time: each look-up holds a thread of the process for as long as the name server is silent, and
/// others need those threads.
pub(crate) struct Lookup {
    host: String,
    port: u16,
    last: Mutex<Option<(Instant, Vec<SocketAddr>)>>,
}

impl Lookup {
    pub(crate) fn new(address: &OriginAddress) -> Self {
        Self { host: address.host.clone(), port: address.port, last: Mutex::default() }
    }

    /// Its addresses, in the order in which the system would have them tried.
    pub(crate) async fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        if let Ok(address) = self.host.parse::<IpAddr>() {
            return Ok(vec![(address, self.port).into()]);
        }
        let mut last = self.last.lock().await;
        if let Some((when, addresses)) = &*last
            && when.elapsed() < Duration::from_millis(ORIGIN_LOOKUP_MS)
        {
            return Ok(addresses.clone());
        }
        let found: Vec<SocketAddr> = lookup_host((self.host.as_str(), self.port)).await?.collect();
        *last = Some((Instant::now(), found.clone()));
        Ok(found)
    }
}
