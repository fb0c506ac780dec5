//! The parts of `usher demo` that are not the edge: a stand-in for the upstream platform and a small shop.
//!
//! [`standin`] keeps to the platform's contract and can be told to misbehave, so it is also what the tests run against.
//! [`shop`] is a merchant's site as merchants write them, with nothing in it that knows the edge but its tag's address and its
//! backend's call.

mod run;
pub(crate) mod shop;
pub(crate) mod standin;

pub(crate) use run::run;

mod http;
mod ids;
mod limits;

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use tokio::net::TcpListener;
use usher_model::Clock;

/// Runs the stand-in alone: `usher demo --upstream-only --listen ADDR`. Prints its address and serves until SIGINT or SIGTERM.
///
/// # Errors
/// When the address cannot be bound, standard output cannot be written or no signal can be listened for.
pub(crate) async fn upstream_only(listen: SocketAddr, clock: Arc<dyn Clock>) -> anyhow::Result<()> {
    let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    let bound = listener.local_addr()?;
    let stop = crate::serve::stop_signal()?;
    let mut out = std::io::stdout();
    writeln!(out, "upstream stand-in on http://{bound}")?;
    out.flush()?;
    standin::Standin::new(standin::Settings::open(clock)).serve(listener, stop).await?;
    Ok(())
}
