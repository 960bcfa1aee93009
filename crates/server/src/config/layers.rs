//! Values on their way from defaults, file, environment and command line to a typed setting.
//!
//! Owns: which layer wins, `x` against `x_file`, and where each value came from. Never does: know a setting by name.

use super::error::ConfigError;
use super::secret_files;
use super::shape::{Raw, Secrecy, Shape};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

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
    secret_files: BTreeMap<String, PathBuf>,
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

    /// Where every value came from, what deserves a warning, and the files of secrets.
    pub(super) fn finish(self) -> (BTreeMap<String, Origin>, Vec<String>, BTreeMap<String, PathBuf>) {
        (self.origins, self.warnings, self.secret_files)
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
        let path = PathBuf::from(path);
        let secret = secret_files::read(&path)
            .map_err(|wrong| ConfigError::new(file, origin.clone(), wrong.problem, wrong.fix))?;
        if readable_by_others(&path) {
            self.warn(format!("{file} names a file that other users of this machine can read; run chmod 600 on it"));
        }
        self.secret_files.insert(name.to_owned(), path);
        self.values.insert(name.to_owned(), (Raw::Words(secret.expose().clone()), origin));
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
