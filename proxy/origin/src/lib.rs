//! The merchant's own server behind the edge: requests go up and answers come down as they come, never whole in memory.
//!
//! The edge is that server's only client, so this speaks HTTP/1.1 by itself, on as few allocations and no task of its own: what
//! pumps a connection is whoever waits for the answer. What it reads is allow-listed (RFC 9112), and nothing is passed through
//! as it was written: both heads are put together anew.

mod answer;
mod connection;
mod exchange;
mod failure;
mod flow;
mod lookup;
mod origin;
mod pool;
mod request;
mod stall;
mod tunnel;
mod upload;
mod wire;

pub use failure::Failure;
pub use flow::BodyStream;
pub use origin::{Origin, Settings, Visitor};
pub use tunnel::Tunnels;

/// What can end a stream early.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
