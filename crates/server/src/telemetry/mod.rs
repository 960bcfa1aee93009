//! What the server says about itself: its log on standard error, and its counters.
//!
//! Owns: the form of the log, the names of the metrics and their labels. Never does: log or label with anything that a
//! stranger wrote; labels are route patterns, status classes and names of the configuration.

mod log;
mod metrics;

pub use log::{filter, flush, start};
pub use metrics::Metrics;
