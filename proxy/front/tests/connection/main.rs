//! Connections over the real stacks of hyper, on streams in memory.

mod http1;
mod support;
