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
pub struct Credentials(RwLock<BTreeMap<String, (Secret<String>, String)>>);

impl Credentials {
    /// The key of a provider, bound to its host.
    pub fn of(&self, provider: &str) -> Option<Credential> {
        let keys = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let (secret, host) = keys.get(provider)?;
        Some(Credential { secret: secret.clone(), host: host.clone() })
    }

    /// A keyed hash of each provider's key, by which its age is known.
    pub fn fingerprints(&self, key: &Secret<[u8; 32]>) -> Vec<(String, [u8; 32])> {
        let keys = self.0.read().unwrap_or_else(PoisonError::into_inner);
        keys.iter().map(|(name, (secret, _))| (name.clone(), hmac_sha256(key, secret.expose().as_bytes()))).collect()
    }

    /// Puts another key in the place of a provider's. `false` when it is the same one, or the provider has none.
    fn replace(&self, provider: &str, secret: Secret<String>) -> bool {
        let mut keys = self.0.write().unwrap_or_else(PoisonError::into_inner);
        match keys.get_mut(provider) {
            Some((known, _)) if !equal_constant_time(known.expose().as_bytes(), secret.expose().as_bytes()) => {
                *known = secret;
                true
            }
            _ => false,
        }
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
            if let Some(host) = provider.host() {
                credentials.insert(set.name.clone(), (secret.clone(), host.to_owned()));
            }
        }
        providers.push(provider);
    }
    let credentials = Credentials(RwLock::new(credentials));
    Ok((ProviderSet::new(providers, egress.clone(), Arc::clone(clock)), credentials))
}

fn kind_of(kind: config::ProviderKind) -> ProviderKind {
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
