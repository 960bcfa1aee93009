//! Printing: the one place that writes to standard output and standard error.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is where a program that people run prints")]

use super::Failure;
use serde::Serialize;
use std::borrow::Cow;
use std::process::ExitCode;

/// A line for people. Pages, origins and settings are strangers' words: what would move the cursor, change the terminal or
/// turn the reading direction is shown as what it is.
pub(super) fn line(text: &str) {
    println!("{}", shown(text));
}

fn shown(text: &str) -> Cow<'_, str> {
    let is_unsafe = |c: char| (c.is_control() && !matches!(c, '\n' | '\t')) || is_bidi(c);
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let escape = |c: char| if is_unsafe(c) { c.escape_unicode().to_string() } else { c.to_string() };
    Cow::Owned(text.chars().map(escape).collect())
}

fn is_bidi(c: char) -> bool {
    matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
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

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn what_would_act_on_the_terminal_is_shown() {
        assert_eq!(shown("plain ü\n\tlines"), "plain ü\n\tlines");
        assert_eq!(shown("a\u{1b}[2Jb\u{9b}c\u{202e}d"), "a\\u{1b}[2Jb\\u{9b}c\\u{202e}d");
    }
}
