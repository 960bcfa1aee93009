//! What tests share: databases, a clock, randomness, fake providers and issuers. Development only.
//!
//! Owns: set-up that several crates' tests need. Never does: anything that a release links.

mod db;
mod fake;
pub mod issuer;
pub mod provider;

pub use db::TestDb;
pub use fake::{FakeClock, FakeEntropy};
