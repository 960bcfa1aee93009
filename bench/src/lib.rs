//! What the load program is made of: a bare HTTP/1.1 client, numbers, and the process table.
//!
//! Owns: measuring from outside. Never does: share code with the product; a mistake there must not hide here.

pub mod client;
pub mod options;
pub mod process;
pub mod statistics;
pub mod widget;

/// What a run can fail with; shown and fatal.
pub type Failure = Box<dyn std::error::Error>;
