//! Providers' keys that were set by command: sealed in the database, and in force in the place of the configured ones.
//!
//! Owns: their setting (the host that the key is for, then the sealed key), that such a key is used for this host alone, and
//! its change on every node without a restart. Setting and removing one leaves a record. Never shows one.

use crate::app::App;
use crate::ops::trail::{self, Actor};
use crate::ops::{master_key_files, upstreams};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chatward_providers::validate_key;
use chatward_types::{Error, EventName, Kind, Outcome, Result, Secret, Severity};
use serde_json::json;

/// What the settings' names begin with; the provider's name follows.
pub const PREFIX: &str = "provider_key.";

/// Puts a key in the place of a provider's, on every node within a second, also after a restart.
///
/// # Errors
/// [`Kind::NotFound`] for a provider that is not configured, [`Kind::Invalid`] for one that takes no key and for a key of
/// the wrong form; else when the store, the vault or the trail fails: nothing is changed then.
pub async fn set(app: &App, provider: &str, secret: &Secret<String>, by: &Actor) -> Result<()> {
    let configured = app.config.providers.iter().find(|set| set.name == provider).ok_or_else(|| unknown(app))?;
    let host = app.credentials.host(provider);
    let host = host.ok_or_else(|| Error::invalid("This provider takes no key."))?;
    validate_key(upstreams::kind_of(configured.kind), secret.expose())
        .map_err(|problem| Error::invalid(format!("The key will not do: {problem}. The one before stays.")))?;
    let name = format!("{PREFIX}{provider}");
    let sealed = app.vault.seal(&purpose(provider, &host), secret.expose().as_bytes())?;
    let under = app.vault.wrapper_of_sealed(&sealed)?;
    let value = format!("{host} {}", STANDARD.encode(sealed));
    put(app, provider, &name, Some((&value, &under)), by).await.map(|_| ())
}

/// Goes back to the configured key. `false` when none was set.
///
/// # Errors
/// When the store or the trail fails: nothing is changed then.
pub async fn unset(app: &App, provider: &str, by: &Actor) -> Result<bool> {
    // Also for a provider that is configured no more: what is stored of it can be removed.
    put(app, provider, &format!("{PREFIX}{provider}"), None, by).await
}

/// Takes over the keys that are set, and tells of those that are others now.
///
/// # Errors
/// When the store fails.
pub async fn reload(app: &App) -> Result<()> {
    for name in load(app).await? {
        let event = app.event(EventName::ConfigurationChanged, Severity::Info, Outcome::Success);
        event.detail(format!("the key of provider {name} is another one now")).emit();
    }
    Ok(())
}

/// Takes over the keys that are set; returns the names of the providers that have another key now. One that cannot be
/// opened, or is for another host than the provider's, is told and not used; the one in force stays.
///
/// # Errors
/// When the store fails.
pub async fn load(app: &App) -> Result<Vec<String>> {
    let mut changed = Vec::new();
    let stored = app.store.settings_of(PREFIX).await?;
    for set in &app.config.providers {
        let Some(host) = app.credentials.host(&set.name) else { continue };
        let name = format!("{PREFIX}{}", set.name);
        let secret = match stored.iter().find(|(stored, _)| *stored == name) {
            None => None,
            Some((_, value)) => match open(app, &set.name, &host, value).await {
                Ok(secret) => Some(secret),
                Err(error) => {
                    tracing::error!(
                        provider = set.name,
                        source = error.source_line(),
                        "the provider's set key is not used"
                    );
                    let event = app.event(EventName::ConfigurationChanged, Severity::Error, Outcome::Failure);
                    event
                        .detail(format!("the key that was set for provider {} is not used; see the log", set.name))
                        .emit();
                    continue;
                }
            },
        };
        if app.credentials.set(&set.name, secret) {
            changed.push(set.name.clone());
        }
    }
    Ok(changed)
}

/// What the key in a setting of this name and value is sealed for; a rotation of the master key seals it anew.
///
/// # Errors
/// When it is not such a setting.
pub fn purpose_of(name: &str, value: &str) -> Result<String> {
    let parts = name.strip_prefix(PREFIX).zip(value.split_once(' '));
    let (provider, (host, _)) =
        parts.ok_or_else(|| Error::internal("a provider's key is stored in an unknown form"))?;
    Ok(purpose(provider, host))
}

fn purpose(provider: &str, host: &str) -> String {
    // Neither has a space.
    format!("provider {provider} {host}")
}

async fn open(app: &App, provider: &str, host: &str, value: &str) -> Result<Secret<String>> {
    let (of, sealed) = value.split_once(' ').unwrap_or_default();
    if of != host {
        return Err(Error::internal(format!(
            "it was set for the host {of}, and the provider's is {host}; set it anew"
        )));
    }
    let sealed = STANDARD.decode(sealed).map_err(Error::internal)?;
    if !app.vault.wrapper_of_sealed(&sealed).is_ok_and(|id| app.vault.ring().holds(&id)) {
        master_key_files::look_again(app).await;
    }
    let bytes = app.vault.open(&purpose(provider, host), &sealed)?;
    String::from_utf8(bytes).map(Secret::new).map_err(|_| Error::internal("a provider's key is not a text"))
}

async fn put(app: &App, provider: &str, name: &str, value: Option<(&str, &str)>, by: &Actor) -> Result<bool> {
    let what = if value.is_some() { "provider key set" } else { "provider key unset" };
    let detail = json!({ "what": what });
    let entry = trail::entry(app, EventName::ConfigurationChanged, by, None, provider, &detail)?;
    let mut store = trail::audited(app, entry);
    if let Some((_, under)) = value {
        store = store.sealed_under(under);
    }
    let done = store.put_provider_key(name, value.map(|(value, _)| value), app.clock.now()).await?;
    reload(app).await?;
    Ok(done)
}

fn unknown(app: &App) -> Error {
    let names: Vec<&str> = app.config.providers.iter().map(|set| set.name.as_str()).collect();
    Error::new(
        Kind::NotFound,
        "provider_unknown",
        format!("There is no such provider. Name one of {}.", names.join(", ")),
    )
}
