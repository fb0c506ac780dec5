//! The strict front: what a connection may send, how fast, and how much.

mod connection;
pub mod gate;
mod inbound;

pub use connection::{End, Flow, Protocol, serve};
pub use inbound::{Inbound, InboundError};
