//! The one line that stops a start: which setting, what is wrong with it, how to put it right.
//!
//! Owns: the shape of that line. Never does: repeat a value. A setting may hold a secret, and a secret pasted into the
//! wrong setting is still one, so no value, path or unknown text of the operator's is ever part of a message.

use super::Origin;
use std::borrow::Cow;
use std::fmt;

/// A setting that is missing or wrong. Programs exit with 2 on it. Displays as exactly one line:
/// `server.listen (line 3 of the configuration file): is not an address and port; write one such as "127.0.0.1:3001"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    setting: String,
    origin: Origin,
    problem: Cow<'static, str>,
    fix: Cow<'static, str>,
}

impl ConfigError {
    /// `problem` follows the setting's name in a sentence; `fix` is an instruction.
    pub(super) fn new(
        setting: impl Into<String>,
        origin: Origin,
        problem: impl Into<Cow<'static, str>>,
        fix: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { setting: setting.into(), origin, problem: problem.into(), fix: fix.into() }
    }

    /// The setting's full name, such as `server.listen` or `providers[0].api_key`.
    pub fn setting(&self) -> &str {
        &self.setting
    }

    /// Where the value came from.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// What is wrong.
    pub fn problem(&self) -> &str {
        &self.problem
    }

    /// What to do about it.
    pub fn fix(&self) -> &str {
        &self.fix
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Origin::Default => write!(f, "{}: {}; {}", self.setting, self.problem, self.fix),
            // A variable's own name is what the operator typed, so it need not be said twice.
            Origin::Environment(name) if *name == self.setting => {
                write!(f, "{name}: {}; {}", self.problem, self.fix)
            }
            Origin::File { line } if self.setting == super::file::FILE => {
                write!(f, "{}, line {line}: {}; {}", self.setting, self.problem, self.fix)
            }
            origin => write!(f, "{} ({origin}): {}; {}", self.setting, self.problem, self.fix),
        }
    }
}

impl std::error::Error for ConfigError {}

/// The nearest of `known` to `text`, if it is near enough to be what was meant.
pub(super) fn nearest<'a>(text: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let text: Vec<char> = text.chars().take(80).collect();
    known
        .into_iter()
        .map(|name| (distance(&text, name), name))
        .filter(|(steps, name)| *steps <= name.len().div_ceil(3).max(1))
        .min_by_key(|(steps, _)| *steps)
        .map(|(_, name)| name)
}

/// Insertions, deletions, replacements and swaps of neighbours between two names.
fn distance(left: &[char], right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.iter().enumerate() {
        let mut next = vec![i + 1];
        for (j, b) in right.iter().enumerate() {
            let mut steps = (row[j] + usize::from(a != b)).min(row[j + 1] + 1).min(next[j] + 1);
            if i > 0 && j > 0 && *a == right[j - 1] && left[i - 1] == *b {
                steps = steps.min(before[j - 1] + 1);
            }
            next.push(steps);
        }
        before = std::mem::replace(&mut row, next);
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_only_when_it_is_near() {
        let known = ["listen", "hosts", "trusted_proxies", "max_body_bytes"];
        assert_eq!(nearest("lisen", known), Some("listen"));
        assert_eq!(nearest("lsiten", known), Some("listen"));
        assert_eq!(nearest("trusted_proxy", known), Some("trusted_proxies"));
        assert_eq!(nearest("max_body_size", known), Some("max_body_bytes"));
        assert_eq!(nearest("completely_else", known), None);
    }
}
