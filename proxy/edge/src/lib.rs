//! The public HTTP face of Usher: listeners, the visitor's address, one file a route.
//!
//! A request's life is a fixed row of phases over one context: admit, route, identify, act, decorate, log. They stand in
//! `edge.rs`; the jobs they call are in `usher-core`.

mod answer;
mod assets;
mod auth;
mod body;
mod call;
mod client;
mod cookie;
mod cors;
mod edge;
mod fault;
mod host;
mod jobs;
mod landing;
mod links;
mod listener;
mod metrics;
pub mod names;
mod navigation;
mod negotiate;
mod rescue;
mod routes;
mod table;
mod tag;
mod validation;
mod visitor;

#[cfg(test)]
mod fixture;

pub use edge::Edge;
pub use listener::Listener;
pub use metrics::Metrics;
pub use names::Names;
pub use table::Settings;
pub use tag::tag;
pub use usher_page::Tag;
