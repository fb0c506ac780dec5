//! Listening sockets: bound here, or handed to this process by systemd or by the process before it.

use crate::config::{Admin, Config};
use anyhow::{Context, bail};
use std::net::{SocketAddr, TcpListener};

/// What a socket is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// `server.http`
    Http,
    /// `server.https`
    Https,
    /// `server.admin`
    Admin,
}

impl Use {
    const ALL: [Self; 3] = [Self::Http, Self::Https, Self::Admin];

    /// The name under which it is handed over, and systemd's `FileDescriptorName=`.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Admin => "admin",
        }
    }

    pub(super) fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|usage| usage.word() == word)
    }
}

/// A socket that listens.
#[derive(Debug)]
pub(super) struct Socket {
    pub(super) usage: Use,
    /// Where it listens.
    pub(super) at: SocketAddr,
    pub(super) listener: TcpListener,
}

impl Socket {
    /// Another handle of the same socket. Connections that nobody accepts meanwhile wait in it.
    pub(super) fn again(&self) -> std::io::Result<Self> {
        Ok(Self { listener: self.listener.try_clone()?, ..*self })
    }

    /// For the runtime.
    pub(super) fn accepting(&self) -> std::io::Result<tokio::net::TcpListener> {
        let listener = self.listener.try_clone()?;
        listener.set_nonblocking(true)?;
        tokio::net::TcpListener::from_std(listener)
    }
}

/// Sockets that were handed to this process and are not in use yet.
#[derive(Debug, Default)]
pub(super) struct Pool(Vec<Found>);

#[derive(Debug)]
struct Found {
    usage: Option<Use>,
    at: SocketAddr,
    listener: TcpListener,
}

impl Pool {
    /// What systemd has opened for this process (`LISTEN_FDS`, sd_listen_fds(3)).
    ///
    /// # Errors
    /// When one of them is no listening TCP socket.
    pub(super) fn of_systemd() -> anyhow::Result<Self> {
        let mut passed = listenfd::ListenFd::from_env();
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':');
        let mut pool = Self::default();
        for number in 0..passed.len() {
            let name = names.next().unwrap_or_default();
            let listener = passed.take_tcp_listener(number);
            let listener = listener.with_context(|| format!("systemd passed {name:?}, no TCP socket"))?;
            if let Some(listener) = listener {
                pool.add(Use::named(name), listener)?;
            }
        }
        Ok(pool)
    }

    pub(super) fn add(&mut self, usage: Option<Use>, listener: TcpListener) -> anyhow::Result<()> {
        let is_listening = rustix::net::sockopt::socket_acceptconn(&listener).unwrap_or(false);
        let at = listener.local_addr().context("a socket that was handed over is no TCP socket")?;
        if !is_listening {
            bail!("a socket that was handed over ({at}) does not listen");
        }
        self.0.push(Found { usage, at, listener });
        Ok(())
    }

    /// The one that listens where the configuration says.
    fn take(&mut self, usage: Use, wanted: SocketAddr) -> Option<Socket> {
        let fits = |found: &Found| found.usage.is_none_or(|its| its == usage) && is_meant(wanted, found.at);
        let number = self.0.iter().position(fits)?;
        let Found { at, listener, .. } = self.0.remove(number);
        Some(Socket { usage, at, listener })
    }

    /// Fails when something is left: connections to it would wait for ever.
    ///
    /// # Errors
    /// It names the address.
    pub(super) fn check_all_used(&self) -> anyhow::Result<()> {
        match self.0.first() {
            None => Ok(()),
            Some(Found { usage, at, .. }) => {
                let key = usage.map_or("server.http, server.https and server.admin", |usage| usage.word());
                bail!("systemd listens on {at}, and {key} does not name it: write that address there")
            }
        }
    }
}

/// A socket for every address of the configuration, from `pool` where that has it.
///
/// # Errors
/// When an address cannot be bound; nothing stays bound then but what was handed over.
pub(super) async fn open(config: &Config, pool: &mut Pool) -> anyhow::Result<Vec<Socket>> {
    let mut sockets = Vec::new();
    for (usage, wanted) in wanted(config) {
        match pool.take(usage, wanted) {
            Some(socket) => sockets.push(socket),
            None => sockets.push(bind(usage, wanted).await?),
        }
    }
    if config.admin == Admin::Usual {
        match pool.take(Use::Admin, Admin::USUAL) {
            Some(socket) => sockets.push(socket),
            // Nobody asked for this port, so that it is taken stops nothing.
            None => match bind(Use::Admin, Admin::USUAL).await {
                Ok(socket) => sockets.push(socket),
                Err(error) => {
                    tracing::warn!(
                        error = format!("{error:#}"),
                        "health and metrics are off: set server.admin to another address"
                    );
                }
            },
        }
    }
    Ok(sockets)
}

/// The sockets of a running service that the new configuration names as well, as a pool.
///
/// # Errors
/// When there are no more file descriptors.
pub(super) fn in_use<'a>(sockets: impl IntoIterator<Item = &'a Socket>) -> anyhow::Result<Pool> {
    let found = |socket: &Socket| {
        let Socket { usage, at, listener, .. } = socket.again()?;
        Ok(Found { usage: Some(usage), at, listener })
    };
    Ok(Pool(sockets.into_iter().map(found).collect::<anyhow::Result<_>>()?))
}

fn wanted(config: &Config) -> Vec<(Use, SocketAddr)> {
    let http = config.http.iter().map(|address| (Use::Http, *address));
    let https = config.https.iter().map(|address| (Use::Https, *address));
    let admin = match config.admin {
        Admin::At(address) => Some((Use::Admin, address)),
        Admin::Off | Admin::Usual => None,
    };
    http.chain(https).chain(admin).collect()
}

/// Whether a socket that listens at `at` is what `wanted` means: the system chooses for port 0, and `[::]` takes what comes to
/// `0.0.0.0` as well.
fn is_meant(wanted: SocketAddr, at: SocketAddr) -> bool {
    let everywhere =
        wanted.ip().is_unspecified() && at.ip().is_unspecified() && (at.is_ipv6() || wanted.is_ipv4());
    (wanted.port() == 0 || wanted.port() == at.port()) && (wanted.ip() == at.ip() || everywhere)
}

async fn bind(usage: Use, wanted: SocketAddr) -> anyhow::Result<Socket> {
    let why = || format!("cannot listen on {wanted} (server.{})", usage.word());
    let listener = tokio::net::TcpListener::bind(wanted).await.with_context(why)?;
    let listener = listener.into_std().with_context(why)?;
    Ok(Socket { usage, at: listener.local_addr().with_context(why)?, listener })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_what_the_configuration_means() {
        let meant = |wanted: &str, at: &str| {
            is_meant(wanted.parse().expect("an address"), at.parse().expect("an address"))
        };
        assert!(meant("127.0.0.1:80", "127.0.0.1:80") && meant("127.0.0.1:0", "127.0.0.1:4711"));
        assert!(meant("0.0.0.0:80", "[::]:80") && meant("0.0.0.0:80", "0.0.0.0:80"));
        assert!(!meant("[::]:80", "0.0.0.0:80"), "it would miss IPv6");
        assert!(!meant("127.0.0.1:80", "127.0.0.1:81") && !meant("127.0.0.1:80", "0.0.0.0:80"));
        assert!(!meant("0.0.0.0:80", "127.0.0.1:80"));
    }

    #[test]
    fn what_is_left_of_systemds_sockets_is_named() {
        let mut pool = Pool::default();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let at = listener.local_addr().expect("an address");
        pool.add(Some(Use::Http), listener).expect("it listens");
        assert!(pool.take(Use::Admin, at).is_none());
        assert!(pool.check_all_used().is_err_and(|error| error.to_string().contains(&at.to_string())));
        assert!(pool.take(Use::Http, at).is_some_and(|socket| socket.at == at));
        assert!(pool.check_all_used().is_ok());
    }
}
