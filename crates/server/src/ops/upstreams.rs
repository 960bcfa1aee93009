//! The configured providers, with their keys bound to their hosts.
//!
//! Owns: the keys after the start, and that one which stands in a file of its own is read again on demand: a new key is put
//! in the place of the old one between two calls, and one that will not do changes nothing. Never shows one.

use crate::app::{App, setting_error};
use crate::config::{self, Config};
use crate::ops::trail::{self, Actor};
use chatward_egress::{Credential, Egress, Reach};
use chatward_providers::{Deadlines, Price, Provider, ProviderKind, ProviderSet, ProviderSettings, validate_key};
use chatward_store::change;
use chatward_types::{Clock, EventName, Outcome, Result, Secret, Severity};
use chatward_vault::{equal_constant_time, hmac_sha256};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

/// How long the files may take to answer.
const READING: Duration = Duration::from_secs(5);

/// The providers' keys by provider name. The only place that holds them after the start.
#[derive(Debug, Default)]
pub struct Credentials(RwLock<BTreeMap<String, Keys>>);

/// What is known of one provider's keys.
#[derive(Debug)]
struct Keys {
    /// Where they are sent, and nowhere else.
    host: String,
    /// From the configuration.
    configured: Option<Secret<String>>,
    /// Set by command, in the place of the configured one.
    set: Option<Secret<String>>,
}

impl Keys {
    fn in_force(&self) -> Option<&Secret<String>> {
        self.set.as_ref().or(self.configured.as_ref())
    }
}

impl Credentials {
    /// The key of a provider, bound to its host.
    pub fn of(&self, provider: &str) -> Option<Credential> {
        let keys = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let keys = keys.get(provider)?;
        Some(Credential { secret: keys.in_force()?.clone(), host: keys.host.clone() })
    }

    /// A keyed hash of each provider's key, by which its age is known.
    pub fn fingerprints(&self, key: &Secret<[u8; 32]>) -> Vec<(String, [u8; 32])> {
        let keys = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let print = |(name, keys): (&String, &Keys)| {
            Some((name.clone(), hmac_sha256(key, keys.in_force()?.expose().as_bytes())))
        };
        keys.iter().filter_map(print).collect()
    }

    /// Where a provider's key is sent; `None` for one that takes no key.
    pub fn host(&self, provider: &str) -> Option<String> {
        let keys = self.0.read().unwrap_or_else(PoisonError::into_inner);
        keys.get(provider).map(|keys| keys.host.clone())
    }

    /// Whether a provider's key was set by command.
    pub fn is_set(&self, provider: &str) -> bool {
        let keys = self.0.read().unwrap_or_else(PoisonError::into_inner);
        keys.get(provider).is_some_and(|keys| keys.set.is_some())
    }

    /// Puts a key in the place of the configured one, or goes back to that. Says whether another key is in force than before.
    pub(crate) fn set(&self, provider: &str, secret: Option<Secret<String>>) -> bool {
        let mut keys = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let Some(keys) = keys.get_mut(provider) else { return false };
        let before = keys.in_force().cloned();
        keys.set = secret;
        !is_same(before.as_ref(), keys.in_force())
    }

    /// Puts another key in the place of a provider's configured one. `false` when it is the same, or the provider has none.
    fn replace(&self, provider: &str, secret: Secret<String>) -> bool {
        let mut keys = self.0.write().unwrap_or_else(PoisonError::into_inner);
        match keys.get_mut(provider) {
            Some(keys) if !is_same(keys.configured.as_ref(), Some(&secret)) => {
                keys.configured = Some(secret);
                true
            }
            _ => false,
        }
    }
}

fn is_same(one: Option<&Secret<String>>, other: Option<&Secret<String>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => equal_constant_time(one.expose().as_bytes(), other.expose().as_bytes()),
        (one, other) => one.is_none() && other.is_none(),
    }
}

/// Reads the providers' keys that stand in files again; returns the names of the providers that have another key now. A
/// file that cannot be read, or holds what is no key, is told and changes nothing.
pub async fn reread(app: &App) -> Vec<String> {
    let reading = app.clone();
    let replacing = tokio::task::spawn_blocking(move || {
        let mut replaced = Vec::new();
        for (index, set) in reading.config.providers.iter().enumerate() {
            let Some(read) = reading.config.reread_secret(&format!("providers[{index}].api_key")) else { continue };
            let fine = read.map_err(|error| error.to_string()).and_then(|secret| {
                validate_key(kind_of(set.kind), secret.expose()).map_err(|problem| problem.to_string())?;
                Ok(secret)
            });
            match fine {
                Ok(secret) => {
                    if reading.credentials.replace(&set.name, secret) {
                        replaced.push(set.name.clone());
                    }
                }
                Err(problem) => {
                    tracing::error!(provider = set.name, problem, "the provider's key stays the one before");
                    let event = reading.event(EventName::ConfigurationChanged, Severity::Error, Outcome::Failure);
                    event.detail(format!("the key of provider {} was not replaced; see the log", set.name)).emit();
                }
            }
        }
        replaced
    });
    let replaced = match tokio::time::timeout(READING, replacing).await {
        Ok(Ok(replaced)) => replaced,
        _ => {
            tracing::error!("the files of the providers' keys did not answer; the keys stay those before");
            Vec::new()
        }
    };
    for name in &replaced {
        let event = app.event(EventName::ConfigurationChanged, Severity::Info, Outcome::Success);
        event.detail(format!("the key of provider {name} was replaced")).emit();
    }
    replaced
}

/// Has every node read the files of the providers' keys again, within a second.
///
/// # Errors
/// When the store fails.
pub async fn announce(app: &App, by: &Actor) -> Result<()> {
    let detail = serde_json::json!({ "what": "provider keys read again" });
    let entry = trail::entry(app, EventName::ConfigurationChanged, by, None, "providers", &detail)?;
    trail::audited(app, entry).announce_change(change::PROVIDER_KEYS_CHANGED, None, "", app.clock.now()).await
}

/// Checks the providers' settings without making anything.
///
/// # Errors
/// As [`build`].
pub fn check(config: &Config) -> Result<()> {
    let egress = Egress::builder().build()?;
    let clock: Arc<dyn Clock> = Arc::new(chatward_types::SystemClock);
    build(config, &egress, &clock).map(|_| ())
}

/// Builds the set in the configured order; `extractive` is always last.
///
/// # Errors
/// One line that names the setting: a key of the wrong form or a placeholder, an address that will not do.
pub fn build(config: &Config, egress: &Egress, clock: &Arc<dyn Clock>) -> Result<(ProviderSet, Credentials)> {
    let mut providers = Vec::new();
    let mut credentials = BTreeMap::new();
    for set in &config.providers {
        let setting = |member: &str| format!("providers.{}.{member}", set.name);
        let kind = kind_of(set.kind);
        let provider = Provider::new(ProviderSettings {
            name: set.name.clone(),
            kind,
            base_url: set.base_url.clone(),
            model: set.model.clone(),
            price: price(set),
            deadlines: Deadlines {
                connect: set.connect_deadline,
                first_byte: set.first_byte_deadline,
                first_piece: set.first_byte_deadline.max(Deadlines::default().first_piece),
                between_bytes: set.between_bytes_deadline,
                total: set.total_deadline,
            },
            reach: Reach::Operator,
        })
        .map_err(|error| setting_error(&format!("providers.{}", set.name), &error.to_string()))?;
        if let Some(secret) = &set.api_key {
            validate_key(kind, secret.expose())
                .map_err(|problem| setting_error(&setting("api_key"), &problem.to_string()))?;
        }
        if let Some(host) = provider.host() {
            let keys = Keys { host: host.to_owned(), configured: set.api_key.clone(), set: None };
            credentials.insert(set.name.clone(), keys);
        }
        providers.push(provider);
    }
    let credentials = Credentials(RwLock::new(credentials));
    Ok((ProviderSet::new(providers, egress.clone(), Arc::clone(clock)), credentials))
}

pub(crate) fn kind_of(kind: config::ProviderKind) -> ProviderKind {
    match kind {
        config::ProviderKind::Extractive => ProviderKind::Extractive,
        config::ProviderKind::OpenAi => ProviderKind::OpenAi,
        config::ProviderKind::OpenAiCompatible => ProviderKind::OpenAiCompatible,
        config::ProviderKind::Ollama => ProviderKind::Ollama,
    }
}

fn price(set: &config::ProviderConfig) -> Option<Price> {
    let micro = |dollars: f64| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the configuration bounds it to 0..=100000 dollars"
        )]
        let micro = (dollars * 1e6).round() as u64;
        micro
    };
    match (set.input_usd_per_million, set.output_usd_per_million) {
        (None, None) => None,
        (input, output) => Some(Price {
            input_micro_usd_per_million_tokens: micro(input.unwrap_or(0.0)),
            output_micro_usd_per_million_tokens: micro(output.unwrap_or(0.0)),
        }),
    }
}
