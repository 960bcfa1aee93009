//! The configured providers, with their keys bound to their hosts.

use crate::app::setting_error;
use crate::config::{self, Config};
use chatward_egress::{Credential, Egress, Reach};
use chatward_providers::{Deadlines, Price, Provider, ProviderKind, ProviderSet, ProviderSettings, validate_key};
use chatward_types::{Clock, Result, Secret};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The providers' keys by provider name. The only place that holds them after the start.
#[derive(Debug, Default)]
pub struct Credentials(BTreeMap<String, (Secret<String>, String)>);

impl Credentials {
    /// The key of a provider, bound to its host.
    pub fn of(&self, provider: &str) -> Option<Credential> {
        let (secret, host) = self.0.get(provider)?;
        Some(Credential { secret: secret.clone(), host: host.clone() })
    }
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
    let mut credentials = Credentials::default();
    for set in &config.providers {
        let setting = |member: &str| format!("providers.{}.{member}", set.name);
        let kind = match set.kind {
            config::ProviderKind::Extractive => ProviderKind::Extractive,
            config::ProviderKind::OpenAi => ProviderKind::OpenAi,
            config::ProviderKind::OpenAiCompatible => ProviderKind::OpenAiCompatible,
            config::ProviderKind::Ollama => ProviderKind::Ollama,
        };
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
                credentials.0.insert(set.name.clone(), (secret.clone(), host.to_owned()));
            }
        }
        providers.push(provider);
    }
    Ok((ProviderSet::new(providers, egress.clone(), Arc::clone(clock)), credentials))
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
