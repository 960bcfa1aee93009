//! The house rules, held by tests: they read the repository as text and ask cargo what is really compiled.
//!
//! Owns: layering, banned dependencies, style, records of changes, what must never be committed, the papers at the root, and the
//! catalogue of controls with the tests that prove it.
//! Never does: run Chatward or name anything of it.
//! Each rule is one test with a message that says what to do, and is itself fed a bad sample that it must find.

#![expect(clippy::expect_used, reason = "a rule that cannot read what it judges must fail loudly")]

mod catalogue;
mod code;
mod controls;
mod dependencies;
mod fences;
mod layering;
mod leaks;
mod papers;
mod paths;
mod records;
mod style;
mod tree;

/// Fails with one line a finding and, above them, what to do about it.
#[track_caller]
fn demand_none(findings: &[String], what_to_do: &str) {
    assert!(findings.is_empty(), "{} finding(s). {what_to_do}\n  {}", findings.len(), findings.join("\n  "));
}
