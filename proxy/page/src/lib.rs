//! The tag, put into HTML while it streams.
