//! The affiliate platform's client: wire types, signing, how each answer is classified.

mod contract;

pub use contract::{CallError, Platform, Reply, TrackAnswer, TrackCall};
