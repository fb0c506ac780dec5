//! The harness: the real binary, the stand-in for the platform, a real Redis, a network that breaks on command.
//!
//! ```no_run
//! # async fn example() {
//! use usher_tests::{Edge, Standin, Store};
//! let standin = Standin::start().await;
//! let edge = Edge::builder(&standin).store(Store::sqlite()).site("attribution", "\"first_click\"").start().await;
//! let click = edge.track("alice").await.json();
//! assert_eq!(standin.received().await.clicks()[0]["id"], click["cid"]);
//! # }
//! ```
//!
//! Everything listens on loopback on a port that the kernel picks. Every process that is started ends with the value that
//! stands for it, and with the test process however that ends. A test that fails prints what its processes last said.

mod binary;
mod calls;
mod edge;
mod http;
mod network;
mod pebble;
mod process;
mod redis;
mod shop;
mod standin;
pub mod strace;
mod tls;
mod wait;
mod watchdog;

pub use binary::{repository, usher};
pub use calls::{Sale, hmac_hex};
pub use edge::{Builder, Edge, HOST, KEY, PROGRAM, Store};
pub use http::{Answer, Request, SetCookie, get, post, raw, request};
pub use network::{Network, Weather};
pub use pebble::{Pebble, Validation};
pub use process::Process;
pub use redis::{RedisGroup, RedisServer};
pub use shop::{Shop, page};
pub use standin::{Received, Standin};
pub use tls::{Authority, Browser};
pub use wait::{eventually, eventually_within, report};
