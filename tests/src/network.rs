//! A TCP proxy between two of our processes that breaks on command.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What the network does with what passes through it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    /// Hands it on.
    Clear,
    /// Hands each piece on after this long.
    Delay(Duration),
    /// Takes connections and bytes, and hands nothing on until the weather changes.
    BlackHole,
    /// Breaks every connection and takes no new one.
    Cut,
}

/// A way to an address that breaks on command. Closed when dropped.
pub struct Network {
    address: SocketAddr,
    weather: watch::Sender<Weather>,
    accepting: JoinHandle<()>,
}

impl Network {
    /// A clear way to `to`.
    ///
    /// # Panics
    /// When no port can be had.
    pub async fn between(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("the kernel has a port");
        let address = listener.local_addr().expect("it is bound");
        let (weather, seen) = watch::channel(Weather::Clear);
        let accepting = tokio::spawn(accept(listener, to, seen));
        Self { address, weather, accepting }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes the weather, for open connections as well.
    pub fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.set(Weather::Cut);
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, to: SocketAddr, weather: watch::Receiver<Weather>) {
    while let Ok((near, _)) = listener.accept().await {
        if *weather.borrow() == Weather::Cut {
            continue;
        }
        let weather = weather.clone();
        tokio::spawn(async move {
            // A broken connection is what this proxy is for.
            let _ = connect(near, to, weather).await;
        });
    }
}

async fn connect(near: TcpStream, to: SocketAddr, weather: watch::Receiver<Weather>) -> io::Result<()> {
    let far = TcpStream::connect(to).await?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let (near_read, near_write) = near.into_split();
    let (far_read, far_write) = far.into_split();
    let out = pump(near_read, far_write, weather.clone());
    let back = pump(far_read, near_write, weather);
    tokio::try_join!(out, back).map(|_| ())
}

/// Hands bytes on one way until the end of the stream; an error when the weather cuts it.
async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut weather: watch::Receiver<Weather>,
) -> io::Result<()> {
    let mut piece = vec![0; 16 * 1024];
    loop {
        let length = tokio::select! {
            length = from.read(&mut piece) => length?,
            cut = weather.wait_for(|weather| *weather == Weather::Cut) => return Err(broken(cut.is_ok())),
        };
        let now =
            *weather.wait_for(|weather| *weather != Weather::BlackHole).await.map_err(|_| broken(false))?;
        match now {
            Weather::Cut => return Err(broken(true)),
            Weather::Delay(time) => tokio::time::sleep(time).await,
            Weather::Clear | Weather::BlackHole => {}
        }
        if length == 0 {
            return to.shutdown().await;
        }
        to.write_all(&piece[..length]).await?;
    }
}

fn broken(on_purpose: bool) -> io::Error {
    let why = if on_purpose { "cut on purpose" } else { "the network is gone" };
    io::Error::new(io::ErrorKind::ConnectionAborted, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut read, mut write) = stream.split();
                    let _ = tokio::io::copy(&mut read, &mut write).await;
                });
            }
        });
        address
    }

    async fn ping(stream: &mut TcpStream) -> io::Result<u8> {
        stream.write_all(b"x").await?;
        stream.read_u8().await
    }

    #[tokio::test]
    async fn every_weather_does_what_it_says() {
        let network = Network::between(echo().await).await;
        let mut stream = TcpStream::connect(network.address()).await.unwrap();
        assert_eq!(ping(&mut stream).await.unwrap(), b'x');

        network.set(Weather::Delay(Duration::from_millis(30)));
        let start = std::time::Instant::now();
        ping(&mut stream).await.unwrap();
        assert!(start.elapsed() >= Duration::from_millis(60), "both ways wait");

        network.set(Weather::BlackHole);
        let waited = tokio::time::timeout(Duration::from_millis(100), ping(&mut stream)).await;
        assert!(waited.is_err(), "nothing comes through");
        network.set(Weather::Clear);
        assert_eq!(stream.read_u8().await.unwrap(), b'x', "what was held comes late");

        network.set(Weather::Cut);
        assert!(stream.read_u8().await.is_err(), "the open connection breaks");
        let mut stream = TcpStream::connect(network.address()).await.unwrap();
        assert!(ping(&mut stream).await.is_err(), "a new one as well");
    }
}
