//! The public HTTP face of Usher: listeners, the visitor's address, one file a route.

pub mod names;
