//! Values on their way from defaults, file, environment and command line to a typed setting.
//!
//! Owns: which layer wins, `x` against `x_file`, and where each value came from. Never does: know a setting by name.

use super::error::ConfigError;
use super::shape::{Raw, Secrecy, Shape};
use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::path::Path;

/// A secret's file is read up to here; a longer one is a mistake.
const SECRET_FILE_BYTES: u64 = 64 * 1024;

/// Where a setting's value came from. A later layer wins over an earlier one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Chatward's own default.
    Default,
    /// A line of the configuration file, counted from 1.
    File {
        /// The line.
        line: usize,
    },
    /// The environment variable of this name.
    Environment(String),
    /// The command line's option of this name.
    CommandLine(String),
}

impl Origin {
    fn rank(&self) -> u8 {
        match self {
            Self::Default => 0,
            Self::File { .. } => 1,
            Self::Environment(_) => 2,
            Self::CommandLine(_) => 3,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { line } => write!(f, "line {line} of the configuration file"),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::CommandLine(name) => write!(f, "command line {name}"),
        }
    }
}

/// What a setting is when no layer gives it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fallback {
    /// This text, written as in the environment.
    Text(&'static str),
    /// Made from other settings; the text says how.
    Derived(&'static str),
    /// Nothing; the text says what that means.
    Unset(&'static str),
    /// It must be given.
    Required,
}

/// All values found so far, by full name such as `server.listen` or `providers[0].model`.
#[derive(Default)]
pub(super) struct Layers {
    values: BTreeMap<String, (Raw, Origin)>,
    derived: BTreeMap<String, Raw>,
    origins: BTreeMap<String, Origin>,
    warnings: Vec<String>,
}

impl Layers {
    /// Puts a value in; one of an equal or higher layer that is there already stays only if it is higher.
    pub(super) fn put(&mut self, name: String, raw: Raw, origin: Origin) {
        let higher = self.values.get(&name).is_some_and(|(_, there)| there.rank() > origin.rank());
        if !higher {
            self.values.insert(name, (raw, origin));
        }
    }

    /// Puts a default in that depends on other settings.
    pub(super) fn derive(&mut self, name: &str, raw: Raw) {
        self.derived.insert(name.to_owned(), raw);
    }

    pub(super) fn given(&self, name: &str) -> Option<&(Raw, Origin)> {
        self.values.get(name)
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.values.remove(name);
    }

    pub(super) fn warn(&mut self, warning: String) {
        self.warnings.push(warning);
    }

    /// The typed value of one setting.
    pub(super) fn take<S: Shape>(
        &mut self,
        section: &str,
        key: &str,
        shape: &S,
        fallback: Fallback,
    ) -> Result<S::Out, ConfigError> {
        let name = join(section, key);
        let file = join(section, &format!("{key}_file"));
        if shape.secrecy() == Secrecy::SecretOrFile && self.values.contains_key(&file) {
            self.read_secret_file(&name, &file)?;
        }
        let (raw, origin) = match self.values.get(&name) {
            Some((raw, origin)) => (raw, origin.clone()),
            None => match (self.derived.get(&name), fallback) {
                (Some(raw), _) => (raw, Origin::Default),
                (None, Fallback::Text(text)) => (&Raw::Words(text.to_owned()), Origin::Default),
                (None, _) => {
                    return shape.absent().ok_or_else(|| {
                        let fix = format!("set it to {}", shape.expects());
                        ConfigError::new(name, Origin::Default, "is missing", fix)
                    });
                }
            },
        };
        let value =
            shape.read(raw).map_err(|wrong| ConfigError::new(&*name, origin.clone(), wrong.problem, wrong.fix))?;
        self.origins.insert(name, origin);
        Ok(value)
    }

    /// Where every value came from, and what deserves a warning.
    pub(super) fn finish(self) -> (BTreeMap<String, Origin>, Vec<String>) {
        (self.origins, self.warnings)
    }

    /// Replaces `x_file` by the `x` that it holds, unless a higher layer gives `x` itself.
    fn read_secret_file(&mut self, name: &str, file: &str) -> Result<(), ConfigError> {
        let Some((raw, origin)) = self.values.remove(file) else { return Ok(()) };
        if let Some((_, there)) = self.values.get(name) {
            if there.rank() > origin.rank() {
                return Ok(());
            }
            if there.rank() == origin.rank() {
                return Err(ConfigError::new(file, origin, format!("stands beside {name}"), "keep one of the two"));
            }
        }
        let (Raw::Text(path) | Raw::Words(path)) = &raw else {
            return Err(ConfigError::new(file, origin, "is not a path", "write the path as a text"));
        };
        let wrong = |problem: String, fix: &'static str| ConfigError::new(file, origin.clone(), problem, fix);
        let mut text = String::new();
        std::fs::File::open(path)
            .and_then(|opened| opened.take(SECRET_FILE_BYTES + 1).read_to_string(&mut text))
            .map_err(|error| {
                // The kind alone: the path may be a secret that was put into the wrong setting.
                wrong(
                    format!("names a file that cannot be read ({})", error.kind()),
                    "name a readable text file that holds nothing but the secret",
                )
            })?;
        if text.len() as u64 > SECRET_FILE_BYTES {
            return Err(wrong(
                "names a file of more than 64 KiB".to_owned(),
                "name a text file that holds nothing but the secret",
            ));
        }
        if text.trim().is_empty() {
            return Err(wrong("names an empty file".to_owned(), "write the secret into it"));
        }
        if readable_by_others(Path::new(path)) {
            self.warn(format!("{file} names a file that other users of this machine can read; run chmod 600 on it"));
        }
        let secret = text.trim_end_matches(['\r', '\n']).to_owned();
        self.values.insert(name.to_owned(), (Raw::Words(secret), origin));
        Ok(())
    }
}

/// Whether the file's mode lets users other than its owner read it.
pub(super) fn readable_by_others(path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0)
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        false
    }
}

/// The full name of a setting.
pub(super) fn join(section: &str, key: &str) -> String {
    if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") }
}
