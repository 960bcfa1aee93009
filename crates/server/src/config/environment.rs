//! The environment layer: `CHATWARD_SECTION_KEY` for every setting, and the names that the security guides use.
//!
//! Owns: the one place that reads the process's environment, and which variable means which setting.
//! Never does: guess. A `CHATWARD_` variable that names no setting is an error, except those that Kubernetes sets.
//! One underscore joins section and key (`CHATWARD_SERVER_LISTEN`); a test shows that no two settings share a name.

use super::error::{ConfigError, nearest};
use super::layers::{Layers, Origin, join};
use super::section::Setting;
use super::shape::{Raw, Secrecy};
use std::collections::BTreeMap;

const PREFIX: &str = "CHATWARD_";
/// `CHATWARD_PROVIDER_<NAME>_API_KEY`; belongs to `providers.rs`.
pub(super) const PROVIDER_PREFIX: &str = "CHATWARD_PROVIDER_";
/// Variables that complete the list of providers; read by `providers.rs`.
pub(super) const PROVIDER_NAMES: [&str; 6] =
    ["OLLAMA_BASE_URL", "OLLAMA_MODEL", "OPENAI_API_KEY", "OPENAI_API_KEY_FILE", "OPENAI_BASE_URL", "OPENAI_MODEL"];

/// The process's environment, reduced to the variables that Chatward knows. The only reader of it.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the process's environment")]
pub fn process_environment() -> BTreeMap<String, String> {
    let mut wanted: Vec<String> = PROVIDER_NAMES.map(str::to_owned).to_vec();
    wanted.push("PORT".to_owned());
    for (_, _, names) in variables() {
        wanted.extend(names);
    }
    // `vars` would panic on a variable that is not Unicode, ours or not.
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned())))
        .filter(|(name, _)| name.starts_with(PREFIX) || wanted.contains(name))
        .collect()
}

/// Puts the variables into the layers.
pub(super) fn add(environment: &BTreeMap<String, String>, layers: &mut Layers) -> Result<(), ConfigError> {
    let known = variables();
    for name in environment.keys().filter(|name| name.starts_with(PREFIX)) {
        let is_setting = known.iter().any(|(_, _, names)| names.contains(name));
        if !is_setting && !name.starts_with(PROVIDER_PREFIX) && !set_by_kubernetes(name) {
            return Err(unknown(name, &known));
        }
    }
    for (section, setting, names) in &known {
        let name = join(section, setting);
        // Our own name first, then the guides' in order.
        let Some((variable, text)) = names.iter().find_map(|variable| Some((variable, environment.get(variable)?)))
        else {
            continue;
        };
        let origin = Origin::Environment(variable.clone());
        if variable == "NODE_ENV" {
            add_node_env(text, layers)?;
        } else {
            layers.put(name, Raw::Words(text.clone()), origin);
        }
    }
    add_port(environment, layers)
}

/// NODE_ENV can switch production on, never off.
fn add_node_env(text: &str, layers: &mut Layers) -> Result<(), ConfigError> {
    let origin = Origin::Environment("NODE_ENV".to_owned());
    let word = match text.trim() {
        "production" => "production",
        "staging" => "staging",
        "development" | "test" | "" => "development",
        _ => {
            return Err(ConfigError::new(
                "environment",
                origin,
                "is not one of its words",
                "write \"development\", \"staging\" or \"production\"",
            ));
        }
    };
    let strictness = |word: &str| match word {
        "production" => 2,
        "staging" => 1,
        _ => 0,
    };
    let stricter = layers.given("environment").and_then(|(raw, _)| raw.as_text());
    if stricter.is_some_and(|there| strictness(there) > strictness(word)) {
        layers.warn("NODE_ENV is ignored, because the configuration file names a stricter environment".to_owned());
        return Ok(());
    }
    layers.put("environment".to_owned(), Raw::Words(word.to_owned()), origin);
    Ok(())
}

/// PORT changes the port of `server.listen` and leaves its address.
fn add_port(environment: &BTreeMap<String, String>, layers: &mut Layers) -> Result<(), ConfigError> {
    let Some(text) = environment.get("PORT") else { return Ok(()) };
    if environment.contains_key("CHATWARD_SERVER_LISTEN") {
        return Ok(());
    }
    let origin = Origin::Environment("PORT".to_owned());
    let Ok(port) = text.trim().parse::<u16>() else {
        return Err(ConfigError::new("PORT", origin, "is not a port", "write a number from 0 to 65535"));
    };
    let there = layers.given("server.listen").and_then(|(raw, _)| raw.as_text());
    let address = match there {
        None => Some(std::net::SocketAddr::from(([127, 0, 0, 1], port))),
        // A malformed address of the file is refused when it is read.
        Some(text) => text.parse().ok().map(|mut address: std::net::SocketAddr| {
            address.set_port(port);
            address
        }),
    };
    if let Some(address) = address {
        layers.put("server.listen".to_owned(), Raw::Words(address.to_string()), origin);
    }
    Ok(())
}

/// `vault.key` and `vault.key_file`: one of them, the higher layer's.
pub(super) fn settle_vault(layers: &mut Layers) -> Result<(), ConfigError> {
    let (Some((_, key)), Some((_, file))) = (layers.given("vault.key"), layers.given("vault.key_file")) else {
        return Ok(());
    };
    let same_layer = std::mem::discriminant(key) == std::mem::discriminant(file);
    if same_layer {
        return Err(ConfigError::new("vault.key_file", file.clone(), "stands beside vault.key", "keep one of the two"));
    }
    let lower = if key > file { "vault.key_file" } else { "vault.key" };
    layers.remove(lower);
    Ok(())
}

/// Each setting outside the lists of tables (and each secret's file): section, key, its variables, the best first.
pub(super) fn variables() -> Vec<(&'static str, String, Vec<String>)> {
    let mut known = Vec::new();
    for section in super::sections().into_iter().filter(|s| !super::is_list(s.name)) {
        for setting in &section.settings {
            known.push((section.name, setting.key.to_owned(), names_of(section.name, setting, "")));
            if setting.secrecy == Secrecy::SecretOrFile {
                let key = format!("{}_file", setting.key);
                known.push((section.name, key, names_of(section.name, setting, "_FILE")));
            }
        }
    }
    known
}

/// `CHATWARD_SECTION_KEY`, then the guides' names.
pub(super) fn names_of(section: &str, setting: &Setting, suffix: &str) -> Vec<String> {
    let own = join(section, setting.key).replace('.', "_").to_ascii_uppercase();
    std::iter::once(format!("{PREFIX}{own}{suffix}"))
        .chain(setting.also.iter().map(|name| format!("{name}{suffix}")))
        .collect()
}

fn unknown(name: &str, known: &[(&str, String, Vec<String>)]) -> ConfigError {
    let own = known.iter().filter_map(|(_, _, names)| names.first().map(String::as_str));
    let fix = match nearest(&name.replace("__", "_"), own) {
        Some(near) => format!("did you mean {near}?"),
        None => "unset it, or see: chatward config reference".to_owned(),
    };
    let shown = if super::file::looks_like_a_name(&name.to_ascii_lowercase().replace("__", "_")) {
        name
    } else {
        "(a CHATWARD_ variable)"
    };
    ConfigError::new(shown, Origin::Environment(shown.to_owned()), "is not a setting", fix)
}

/// Whether Kubernetes (or a container link) sets this for a service whose name begins with `chatward`.
fn set_by_kubernetes(name: &str) -> bool {
    let after_port = name.rsplit_once("_PORT_").map(|(_, rest)| rest);
    name.ends_with("_SERVICE_HOST")
        || name.ends_with("_SERVICE_PORT")
        || name.contains("_SERVICE_PORT_")
        || name.ends_with("_PORT")
        || after_port.is_some_and(|rest| {
            rest.split('_').next().is_some_and(|port| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()))
        })
}
