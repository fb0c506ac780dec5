//! Ports that a directory validates at: they are known before the edge that they lead to.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// One port, on some addresses of this machine. Closed when dropped.
pub(crate) struct Door {
    port: u16,
    target: watch::Sender<Option<SocketAddr>>,
    open: Vec<JoinHandle<()>>,
}

impl Door {
    /// On these addresses.
    pub(crate) async fn at(addresses: &[Ipv4Addr]) -> Self {
        let (target, seen) = watch::channel(None);
        let (mut port, mut open) = (0, Vec::new());
        for address in addresses {
            let listener = TcpListener::bind((*address, port)).await.expect("a port");
            port = listener.local_addr().expect("it is bound").port();
            open.push(tokio::spawn(accept(listener, seen.clone())));
        }
        Self { port, target, open }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Whoever has come and comes is led there.
    pub(crate) fn lead_to(&self, target: SocketAddr) {
        self.target.send_replace(Some(target));
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.open.iter().for_each(JoinHandle::abort);
    }
}

async fn accept(listener: TcpListener, mut target: watch::Receiver<Option<SocketAddr>>) {
    let Ok(Some(target)) = target.wait_for(Option::is_some).await.map(|target| *target) else { return };
    while let Ok((mut near, _)) = listener.accept().await {
        tokio::spawn(async move {
            // A validation that breaks is the directory's to tell.
            if let Ok(mut far) = TcpStream::connect(target).await {
                let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
            }
        });
    }
}
