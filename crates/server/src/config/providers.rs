//! The ordered list of providers: the file's, completed or extended by the environment, `extractive` last.
//!
//! Owns: the defaults of each kind and the environment's names for keys. Never does: judge a key's format;
//! the providers crate does that before it is used.

use super::environment::PROVIDER_PREFIX;
use super::error::{ConfigError, nearest};
use super::file::looks_like_a_name;
use super::layers::{Layers, Origin};
use super::sections_answers::{ProviderConfig, ProviderKind};
use super::shape::Raw;
use std::collections::BTreeMap;

/// Reads all providers and appends `extractive`.
pub(super) fn read(
    layers: &mut Layers,
    environment: &BTreeMap<String, String>,
) -> Result<Vec<ProviderConfig>, ConfigError> {
    let mut kinds = Vec::new();
    while let Some(kind) = kind_at(layers, kinds.len()) {
        kinds.push(kind);
    }
    add_keys_by_name(layers, environment, kinds.len())?;
    complete(
        layers,
        environment,
        &mut kinds,
        "ollama",
        &[("OLLAMA_BASE_URL", "base_url")],
        &[("OLLAMA_MODEL", "model")],
    );
    complete(
        layers,
        environment,
        &mut kinds,
        "openai",
        &[("OPENAI_API_KEY", "api_key"), ("OPENAI_API_KEY_FILE", "api_key_file")],
        &[("OPENAI_MODEL", "model"), ("OPENAI_BASE_URL", "base_url")],
    );
    if kinds.last().map(String::as_str) != Some("extractive") {
        let at = format!("{}[{}]", ProviderConfig::TABLE, kinds.len());
        let origin = Origin::Default;
        layers.put(format!("{at}.name"), Raw::Words("extractive".to_owned()), origin.clone());
        layers.put(format!("{at}.kind"), Raw::Words("extractive".to_owned()), origin);
        kinds.push("extractive".to_owned());
    }
    let mut providers = Vec::with_capacity(kinds.len());
    for (index, kind) in kinds.iter().enumerate() {
        let at = format!("{}[{index}]", ProviderConfig::TABLE);
        let (base_url, model) = match kind.as_str() {
            "openai" => (Some("https://api.openai.com/v1"), Some("gpt-4o-mini")),
            "ollama" => (Some("http://127.0.0.1:11434"), Some("llama3.2")),
            "extractive" => (None, Some("extractive")),
            _ => (None, None),
        };
        if let Some(base_url) = base_url {
            layers.derive(&format!("{at}.base_url"), Raw::Words(base_url.to_owned()));
        }
        if let Some(model) = model {
            layers.derive(&format!("{at}.model"), Raw::Words(model.to_owned()));
        }
        let provider = ProviderConfig::read(layers, &at)?;
        check(&provider, &at, layers)?;
        providers.push(provider);
    }
    Ok(providers)
}

/// What stands under `kind` of the entry, if there is such an entry. A wrong word is refused when it is read.
fn kind_at(layers: &Layers, index: usize) -> Option<String> {
    let at = format!("{}[{index}]", ProviderConfig::TABLE);
    let kind = layers.given(&format!("{at}.kind")).and_then(|(raw, _)| raw.as_text());
    match kind {
        Some(kind) => Some(kind.to_owned()),
        None => ProviderConfig::section()
            .settings
            .iter()
            .any(|setting| layers.given(&format!("{at}.{}", setting.key)).is_some())
            .then(String::new),
    }
}

/// `CHATWARD_PROVIDER_<NAME>_API_KEY` and `…_API_KEY_FILE` for the providers of the file.
fn add_keys_by_name(
    layers: &mut Layers,
    environment: &BTreeMap<String, String>,
    count: usize,
) -> Result<(), ConfigError> {
    let mut known = BTreeMap::new();
    for index in 0..count {
        let at = format!("{}[{index}]", ProviderConfig::TABLE);
        let name = layers.given(&format!("{at}.name")).and_then(|(raw, _)| raw.as_text());
        if let Some(name) = name {
            let name = name.to_ascii_uppercase().replace('-', "_");
            known.insert(format!("{PROVIDER_PREFIX}{name}_API_KEY"), format!("{at}.api_key"));
            known.insert(format!("{PROVIDER_PREFIX}{name}_API_KEY_FILE"), format!("{at}.api_key_file"));
        }
    }
    for (variable, text) in environment.iter().filter(|(name, _)| name.starts_with(PROVIDER_PREFIX)) {
        let tame = looks_like_a_name(&variable.to_ascii_lowercase());
        let origin = Origin::Environment(if tame { variable.clone() } else { format!("{PROVIDER_PREFIX}…") });
        match known.get(variable) {
            Some(name) => layers.put(name.clone(), Raw::Words(text.clone()), origin),
            None => {
                let fix = match nearest(variable, known.keys().map(String::as_str)) {
                    Some(near) => format!("did you mean {near}?"),
                    None => "unset it, or add a [[providers]] entry of that name to the file".to_owned(),
                };
                return Err(ConfigError::new(
                    "CHATWARD_PROVIDER_…_API_KEY",
                    origin,
                    "names no provider of the configuration file",
                    fix,
                ));
            }
        }
    }
    Ok(())
}

/// Completes the first provider of this kind, or adds one if a variable of `adding` is there.
fn complete(
    layers: &mut Layers,
    environment: &BTreeMap<String, String>,
    kinds: &mut Vec<String>,
    kind: &str,
    adding: &[(&str, &str)],
    refining: &[(&str, &str)],
) {
    let index = match kinds.iter().position(|there| there == kind) {
        Some(index) => index,
        None if adding.iter().any(|(variable, _)| environment.contains_key(*variable)) => {
            // Before a trailing `extractive`, which has no settings that would have to move along.
            let origin = Origin::Default;
            let last = kinds.last().is_some_and(|last| last == "extractive");
            let index = if last { kinds.len() - 1 } else { kinds.len() };
            let at = format!("{}[{index}]", ProviderConfig::TABLE);
            for key in ProviderConfig::section().settings.iter().map(|setting| setting.key) {
                layers.remove(&format!("{at}.{key}"));
            }
            layers.put(format!("{at}.name"), Raw::Words(kind.to_owned()), origin.clone());
            layers.put(format!("{at}.kind"), Raw::Words(kind.to_owned()), origin);
            kinds.truncate(index);
            kinds.push(kind.to_owned());
            index
        }
        None => return,
    };
    for (variable, key) in adding.iter().chain(refining) {
        if let Some(text) = environment.get(*variable) {
            let name = format!("{}[{index}].{key}", ProviderConfig::TABLE);
            // A variable of our own naming wins over a guide's.
            if matches!(layers.given(&name), Some((_, Origin::Environment(_)))) {
                continue;
            }
            layers.put(name, Raw::Words(text.clone()), Origin::Environment((*variable).to_owned()));
        }
    }
}

/// What a provider of each kind needs.
fn check(provider: &ProviderConfig, at: &str, layers: &Layers) -> Result<(), ConfigError> {
    let origin = |key: &str| layers.given(&format!("{at}.{key}")).map_or(Origin::Default, |(_, origin)| origin.clone());
    let refuse = |key: &str, problem: &'static str, fix: &'static str| {
        Err(ConfigError::new(format!("{at}.{key}"), origin(key), problem, fix))
    };
    match provider.kind {
        ProviderKind::OpenAi if provider.api_key.is_none() => refuse(
            "api_key",
            "is missing",
            "set OPENAI_API_KEY, or api_key_file to a file with the key, or remove the provider",
        ),
        ProviderKind::OpenAiCompatible if provider.base_url.is_none() => {
            refuse("base_url", "is missing", "set it to the service's address such as \"https://llm.example.com/v1\"")
        }
        ProviderKind::Extractive if provider.api_key.is_some() => {
            refuse("api_key", "is given to a provider that takes none", "remove it")
        }
        _ if provider.input_usd_per_million.is_some() != provider.output_usd_per_million.is_some() => refuse(
            "input_usd_per_million",
            "and output_usd_per_million are not both set",
            "set both prices, or neither to use the built-in table",
        ),
        ProviderKind::Extractive if provider.base_url.is_some() => {
            refuse("base_url", "is given to a provider that takes none", "remove it")
        }
        _ => Ok(()),
    }
}
