//! The affiliate platform's client: wire types, signing, how each answer is classified.

mod classify;
mod client;
mod contract;
mod current;
pub mod sign;

pub use classify::{Verdict, classify, knows_nobody};
pub use client::{Client, ClientError, Settings};
pub use contract::{CallError, Platform, RateWindow, Reply, TrackAnswer, TrackCall};
pub use current::Current;
