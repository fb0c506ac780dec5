//! The strict front: what a connection may send, how fast, and how much.
