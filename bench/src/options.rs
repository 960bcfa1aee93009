//! `--name value` pairs of a command line.

use crate::Failure;
use std::collections::BTreeMap;
use std::str::FromStr;

/// The options given.
#[derive(Debug)]
pub struct Options(BTreeMap<String, String>);

impl Options {
    /// Reads pairs; a name without its value, or a word without a name, is an error.
    pub fn read(arguments: impl Iterator<Item = String>) -> Result<Self, Failure> {
        let mut options = BTreeMap::new();
        let mut arguments = arguments;
        while let Some(name) = arguments.next() {
            let name = name.strip_prefix("--").ok_or_else(|| format!("expected an option, not `{name}`"))?.to_owned();
            let value = arguments.next().ok_or_else(|| format!("--{name} has no value"))?;
            options.insert(name, value);
        }
        Ok(Self(options))
    }

    /// The text of an option that must be there.
    pub fn text(&self, name: &str) -> Result<&str, Failure> {
        Ok(self.0.get(name).ok_or_else(|| format!("--{name} is missing"))?)
    }

    /// A number, or its default.
    pub fn number<T: FromStr>(&self, name: &str, default: T) -> Result<T, Failure> {
        match self.0.get(name) {
            None => Ok(default),
            Some(text) => text.parse().map_err(|_| format!("--{name} must be a number, not `{text}`").into()),
        }
    }

    /// Whether an option says `yes`.
    pub fn is_yes(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|text| text == "yes")
    }
}
