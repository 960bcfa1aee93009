//! Printing: the one place that writes to standard output and standard error.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is where a program that people run prints")]

use super::Failure;
use serde::Serialize;
use std::process::ExitCode;

/// A line for people.
pub(super) fn line(text: &str) {
    println!("{text}");
}

/// A text that ends its own lines.
pub(super) fn text(text: &str) {
    print!("{text}");
}

/// A remark beside the result.
pub(super) fn note(text: &str) {
    eprintln!("{text}");
}

/// One line of JSON.
pub(super) fn json(value: &impl Serialize) {
    match serde_json::to_string(value) {
        Ok(text) => println!("{text}"),
        Err(error) => eprintln!("error: {error}"),
    }
}

/// The failure on one line, and its exit status.
pub(super) fn failure(as_json: bool, failure: &Failure) -> ExitCode {
    let (text, status) = match failure {
        Failure::Usage(text) => (text, 2),
        Failure::Failed(text) => (text, 1),
        Failure::Told => return ExitCode::from(1),
    };
    let one_line = text.replace(['\n', '\r'], " ");
    if as_json {
        json(&serde_json::json!({ "error": one_line }));
    }
    eprintln!("error: {one_line}");
    ExitCode::from(status)
}
