//! The list of outside issuers: the file's alone.
//!
//! Owns: the defaults that depend on the kind. Never does: judge what goes together; `rules_issuers.rs` does.

use super::error::ConfigError;
use super::layers::Layers;
use super::sections_tokens::IssuerConfig;
use super::shape::Raw;

/// Reads every issuer of the file.
pub(super) fn read(layers: &mut Layers) -> Result<Vec<IssuerConfig>, ConfigError> {
    let mut issuers = Vec::new();
    while is_there(layers, issuers.len()) {
        let at = format!("{}[{}]", IssuerConfig::TABLE, issuers.len());
        let text = |layers: &Layers, key: &str| {
            let given = layers.given(&format!("{at}.{key}"));
            given.and_then(|(raw, _)| raw.as_text()).map(str::to_owned)
        };
        let has = |layers: &Layers, key: &str| layers.given(&format!("{at}.{key}")).is_some();
        let has_secret = has(layers, "secret") || has(layers, "secret_file");
        if text(layers, "kind").as_deref() == Some("supabase") {
            layers.derive(&format!("{at}.audience"), Raw::Words("authenticated".to_owned()));
            if let Some(issuer) = text(layers, "issuer").filter(|_| !has_secret) {
                let address = format!("{}/.well-known/jwks.json", issuer.trim_end_matches('/'));
                layers.derive(&format!("{at}.jwks_url"), Raw::Words(address));
            }
        }
        let algorithms = if has_secret { "HS256" } else { "RS256,ES256" };
        layers.derive(&format!("{at}.algorithms"), Raw::Words(algorithms.to_owned()));
        issuers.push(IssuerConfig::read(layers, &at)?);
    }
    Ok(issuers)
}

fn is_there(layers: &Layers, index: usize) -> bool {
    let at = format!("{}[{index}]", IssuerConfig::TABLE);
    IssuerConfig::section().settings.iter().any(|setting| {
        let name = format!("{at}.{}", setting.key);
        layers.given(&name).is_some() || layers.given(&format!("{name}_file")).is_some()
    })
}
