//! Loads whole configurations from literal files and environments.

mod issuers;
mod layering;
mod refusals;
mod secrecy;

use super::{Config, ConfigError, Overrides};
use std::collections::BTreeMap;
use std::io::Write as _;

/// A literal environment.
fn environment(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Loads a file's text with an environment.
fn load(file: &str, pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let mut opened = tempfile::NamedTempFile::new().expect("a file");
    opened.write_all(file.as_bytes()).expect("written");
    Config::load(Some(opened.path()), &environment(pairs), &Overrides::default())
}

/// A production configuration that starts, to break one thing at a time.
const PRODUCTION: &str = r#"
environment = "production"
public_url = "https://chat.example.com"
data_dir = "/srv/chatward"
[vault]
key_file = "/etc/chatward/master.key"
"#;

/// Text that no scanner takes for a secret, made at run time.
fn canary(name: &str) -> String {
    ["canary", "Qz81", name, "Xw27Lp93Vt64Rm58Jk"].join("-")
}
