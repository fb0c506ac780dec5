//! What clients are shown: real handshakes with certificates made for the test, from folders as people leave them.

mod changes;
mod files;
mod handshakes;
mod support;
