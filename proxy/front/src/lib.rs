//! The strict front: what a connection may send, how fast, and how much.

mod caps;
mod connection;
pub mod gate;
mod inbound;
mod load;

pub use caps::{Caps, Crowded, Place};
pub use connection::{End, Flow, Protocol, serve};
pub use inbound::{Inbound, InboundError};
pub use load::{Load, Served, Worth};
