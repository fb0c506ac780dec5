//! Attribution: who is credited with a sale, a lead or an event, and why.

mod trace;

pub use trace::{By, Policy, Rule, Seen, Trace, WhyNot};
