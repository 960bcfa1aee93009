//! The knowledge crate against real servers.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod answers;
mod crawl;
mod site;
