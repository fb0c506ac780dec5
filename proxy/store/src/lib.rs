//! Where codes, clicks, conversions and deliveries last: SQLite or Redis behind one trait, one suite for both.

mod contract;

pub use contract::{Backlog, PendingClick, Result, Store, StoreError};
