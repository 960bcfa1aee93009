//! The configuration in words: the reference, the example file, and the values in force without secrets.
//!
//! Owns: three texts made from the one table of settings. Never does: print a secret, or a setting that is not in the
//! table. docs/configuration.md and chatward.example.toml are these texts; a test compares them.

use super::environment::names_of;
use super::layers::join;
use super::section::{Section, Setting};
use super::shape::Secrecy;
use super::{
    Accounts, Admin, Audit, Blocks, Budgets, Config, Cors, Crawl, Database, Feeds, Front, Headers, Installation,
    IssuerConfig, Keys, Limits, Logging, Messages, Origin, ProviderConfig, Server, Sessions, Sockets, Tokens, Vault,
    is_list, sections,
};
use std::fmt::Write as _;

/// docs/configuration.md: every setting with its meaning, bounds, default and variables.
pub fn reference() -> String {
    let mut out = String::from(REFERENCE_HEAD);
    let mut top = false;
    for section in sections() {
        // The top of the file is documented once, whatever structs it fills.
        if !(section.name.is_empty() && top) {
            let _ = match section.name {
                "" => writeln!(out, "\n## Top of the file\n"),
                name if is_list(name) => writeln!(out, "\n## `[[{name}]]`\n"),
                name => writeln!(out, "\n## `[{name}]`\n"),
            };
            if !section.name.is_empty() {
                let about = section.about.join("\n");
                let _ = writeln!(out, "{about}\n");
            }
        }
        top |= section.name.is_empty();
        for setting in &section.settings {
            reference_row(&mut out, &section, setting);
        }
    }
    out
}

const REFERENCE_HEAD: &str = "\
# Configuration

<!-- Generated from crates/server/src/config: chatward config reference > docs/configuration.md -->

Values come from four layers, a later one winning over an earlier one:

1. the defaults below;
2. the file that `--config` names (`chatward config example` prints one);
3. the environment: `CHATWARD_`, the section, the setting, joined by single underscores, as in
   `CHATWARD_SERVER_LISTEN`; some settings also answer to the names that well-known guides use;
4. the command line.

An unknown setting, or an unknown variable that begins with `CHATWARD_`, stops the start with one line that names it and
the nearest known name (variables that Kubernetes sets for services are passed over). So does a value that is wrong: the
line names the setting and the fix, never the value. The exit code is then 2.

- A secret `x` can stand in a file of its own instead, named by `x_file`; its variables end in `_FILE`.
- Spans of time are texts such as `\"10s\"`, with `ms`, `s`, `m`, `h` or `d`.
- Lists are lists in the file; in the environment they are JSON (`[\"a\", \"b\"]`) or comma-separated (`a,b`).
- `chatward config check` tells whether a configuration would start, `chatward config print` what is in force and why,
  without secrets.
";

fn reference_row(out: &mut String, section: &Section, setting: &Setting) {
    let _ = writeln!(out, "- **`{}`**: {}", setting.key, setting.about.join(" "));
    let default = match (&setting.default, setting.otherwise) {
        (Some(default), _) => format!("default `{default}`"),
        (None, Some("must be set")) => "must be set".to_owned(),
        (None, Some(otherwise)) => format!("default: {otherwise}"),
        (None, None) => String::new(),
    };
    let mut line = format!("  {}; {default}.", capital(&setting.expects));
    if is_list(section.name) {
        if setting.secrecy == Secrecy::SecretOrFile {
            let _ = write!(line, " Or `{}_file`.", setting.key);
        }
    } else {
        let names = names_of(section.name, setting, "");
        let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        if setting.secrecy == Secrecy::SecretOrFile {
            let _ = write!(line, " Or `{}_file`.", setting.key);
        }
        let _ = write!(line, " Environment: {}.", names.join(", "));
    }
    let _ = writeln!(out, "{line}");
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// chatward.example.toml: every setting, commented out, with its default.
pub fn example() -> String {
    let mut out = String::from(EXAMPLE_HEAD);
    for section in sections() {
        if !section.name.is_empty() {
            let _ = writeln!(out);
            for line in &section.about {
                let _ = writeln!(out, "{}", format!("# {line}").trim_end());
            }
            let _ = match section.name {
                // Commented, because an entry without a name would be refused.
                name if is_list(name) => writeln!(out, "# [[{name}]]"),
                name => writeln!(out, "[{name}]"),
            };
        }
        for setting in &section.settings {
            for line in &setting.about {
                let _ = writeln!(out, "# {line}");
            }
            let _ = match (&setting.default, setting.otherwise) {
                (Some(default), _) => writeln!(out, "# {} = {default}", setting.key),
                (None, otherwise) => {
                    let (key, expects) = match setting.secrecy {
                        Secrecy::SecretOrFile => {
                            (format!("{}_file", setting.key), format!("a file with {}", setting.expects))
                        }
                        Secrecy::Secret | Secrecy::Open => (setting.key.to_owned(), setting.expects.clone()),
                    };
                    match otherwise {
                        Some("must be set") | None => writeln!(out, "# {key} =   # {expects}; must be set"),
                        Some(otherwise) => writeln!(out, "# {key} =   # {expects}; default: {otherwise}"),
                    }
                }
            };
        }
    }
    out
}

const EXAMPLE_HEAD: &str = "\
# Chatward's configuration. Every line is a comment with the default: uncomment what you change.
# Keys and passwords do not belong here: use the environment, or a file of their own (x_file).
# Generated by: chatward config example > chatward.example.toml

";

/// The values in force as TOML, each with its origin.
pub(super) fn redacted(config: &Config) -> String {
    let installation = Installation { environment: config.environment, data_dir: config.data_dir.clone() };
    let front = Front { public_url: config.public_url.clone() };
    let mut out = String::new();
    let mut print = |header: &str, at: &str, values: Vec<(&'static str, Option<String>)>| {
        if !header.is_empty() {
            let _ = writeln!(out, "\n{header}");
        }
        for (key, value) in values {
            let origin = config.origin(&join(at, key));
            let _ = match (value, origin) {
                (Some(value), Origin::Default) => writeln!(out, "{key} = {value}"),
                (Some(value), origin) => writeln!(out, "{key} = {value} # {origin}"),
                (None, _) => writeln!(out, "# {key} is not set"),
            };
        }
    };
    print("", "", installation.show());
    print("", "", front.show());
    print("[server]", Server::TABLE, config.server.show());
    print("[admin]", Admin::TABLE, config.admin.show());
    print("[database]", Database::TABLE, config.database.show());
    print("[vault]", Vault::TABLE, config.vault.show());
    print("[keys]", Keys::TABLE, config.keys.show());
    print("[cors]", Cors::TABLE, config.cors.show());
    print("[limits]", Limits::TABLE, config.limits.show());
    print("[sessions]", Sessions::TABLE, config.sessions.show());
    print("[accounts]", Accounts::TABLE, config.accounts.show());
    print("[tokens]", Tokens::TABLE, config.tokens.show());
    for (index, issuer) in config.issuers.iter().enumerate() {
        print("[[issuer]]", &format!("{}[{index}]", IssuerConfig::TABLE), issuer.show());
    }
    print("[budgets]", Budgets::TABLE, config.budgets.show());
    print("[messages]", Messages::TABLE, config.messages.show());
    for (index, provider) in config.providers.iter().enumerate() {
        print("[[providers]]", &format!("{}[{index}]", ProviderConfig::TABLE), provider.show());
    }
    print("[crawl]", Crawl::TABLE, config.crawl.show());
    print("[logging]", Logging::TABLE, config.logging.show());
    print("[audit]", Audit::TABLE, config.audit.show());
    print("[blocks]", Blocks::TABLE, config.blocks.show());
    print("[sockets]", Sockets::TABLE, config.sockets.show());
    print("[headers]", Headers::TABLE, config.headers.show());
    print("[feeds]", Feeds::TABLE, config.feeds.show());
    out
}
