//! The merchant's own server behind the edge.
