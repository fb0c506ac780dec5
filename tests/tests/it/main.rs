//! Usher from outside its process, one module a topic, in one binary.

mod assets;
mod backing;
mod clicks;
mod codes;
mod command;
mod conversions;
mod doctor;
mod erase;
mod links;
mod origin;
mod outage;
mod outbox;
mod pages;
mod recipes;
mod restarts;
mod server_api;
mod server_api_refunds;
mod server_api_segment;
mod tidy;
mod tls;
mod trace;
mod webhooks;
