//! Outside issuers: whose tokens speak for users of ours, and for whom.
//!
//! Owns the one way in, [`recognise`]: the issuer is the one whose exact `iss` the operator wrote down, the algorithm one of
//! those pinned for it, the key one of its own (`key_set`, `key_source`) or its shared secret, the claims its and recent
//! (`token`), and the person the user who is linked to its subject (`links`). Role and state are the store's of this moment.
//! Whoever has a second factor here, or must have one, comes in by a login of ours alone. Every
//! refusal is alike for the caller; why it was, in constant words, is for the one event that tells of it. Never keeps a
//! token, and never believes a token about roles.

mod key_set;
mod key_source;
pub mod links;
#[cfg(test)]
mod tests;
mod token;

use crate::app::App;
use crate::client::Client;
use crate::config::{IssuerAlgorithm, IssuerConfig};
use crate::ops::logins::Person;
use crate::ops::second_factor;
use chatward_store::UserState;
use chatward_types::{OwnerId, Result, Scope};
use jsonwebtoken::DecodingKey;
use key_source::KeySource;
use std::sync::Arc;
use token::Parsed;

/// The configured issuers, with their keys as they are known here.
pub struct Issuers(Vec<Arc<Issuer>>);

struct Issuer {
    config: IssuerConfig,
    keys: Keys,
}

enum Keys {
    /// Public ones, at an address.
    Published(KeySource),
    /// The issuer's shared secret.
    Shared(DecodingKey),
}

impl std::fmt::Debug for Issuers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|issuer| &issuer.config.name)).finish()
    }
}

impl Issuers {
    /// The issuers of a configuration that was checked; nothing is fetched before it is needed.
    pub fn new(configs: &[IssuerConfig]) -> Self {
        let issuer = |config: &IssuerConfig| {
            let keys = match &config.secret {
                Some(secret) => Keys::Shared(DecodingKey::from_secret(secret.expose().as_bytes())),
                None => Keys::Published(KeySource::default()),
            };
            Arc::new(Issuer { config: config.clone(), keys })
        };
        Self(configs.iter().map(issuer).collect())
    }

    fn named(&self, name: &str) -> Option<&IssuerConfig> {
        self.0.iter().map(|issuer| &issuer.config).find(|config| config.name.eq_ignore_ascii_case(name))
    }
}

/// Why a token is not one of an outside issuer that holds. For the log alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// In constant words; none where no issuer is configured.
    pub why: Option<&'static str>,
    /// Whose user it would speak for, where that is known.
    pub owner: Option<OwnerId>,
}

/// Who a token of an outside issuer speaks for, as the store says now; or why it speaks for nobody.
///
/// # Errors
/// When the store fails.
pub async fn recognise(app: &App, token: &str, client: &Client) -> Result<Result<Person, Refusal>> {
    if app.issuers.0.is_empty() {
        return Ok(Err(Refusal { why: None, owner: None }));
    }
    let found = match check(app, token).await {
        Ok((issuer, claims)) => links::user_of(app, &issuer.config, &claims, client).await?,
        Err(why) => Err(why),
    };
    let (owner, user) = match found {
        Ok(found) => found,
        Err(why) => return Ok(Err(Refusal { why: Some(why), owner: None })),
    };
    let refused = |why: &'static str| Ok(Err(Refusal { why: Some(why), owner: Some(owner) }));
    let scope = Scope::of(owner);
    let Some(user) = app.store.get_user(&scope, user).await?.filter(|user| user.state == UserState::Active) else {
        return refused("its user may not log in");
    };
    // Whether the issuer asked for a factor is its own affair; what a user has here, its token does not prove.
    if second_factor::is_needed_of(app, &scope, user.id, user.role).await? {
        return refused("its user needs a second factor, which it does not prove");
    }
    Ok(Ok(Person {
        owner,
        user: user.id,
        login: None,
        // Nothing stays open on it; each request checks it anew.
        expires_at: app.clock.now(),
        role: user.role,
        email: user.email,
        name: user.name,
        has_second_factor: false,
        must_enrol: false,
    }))
}

/// The issuer and the claims of a token that holds now, or why it does not.
async fn check(app: &App, token: &str) -> Result<(Arc<Issuer>, token::Claims), &'static str> {
    let parsed = Parsed::read(token)?;
    let issuer =
        app.issuers.0.iter().find(|issuer| issuer.config.issuer == parsed.issuer()).ok_or("an unknown issuer")?;
    let pinned = issuer.config.algorithms.iter().find(|algorithm| algorithm.as_str() == parsed.algorithm());
    let algorithm = *pinned.ok_or("an algorithm that is not pinned")?;
    let genuine = match &issuer.keys {
        Keys::Shared(key) => algorithm == IssuerAlgorithm::Hs256 && parsed.is_signed_by(key, algorithm),
        Keys::Published(source) => {
            let kid = parsed.key_id().ok_or("no key is named")?;
            let known = key_source::find(app, issuer, source, kid, algorithm).await;
            parsed.is_signed_by(known.ok_or("a key that is not known")?.key(), algorithm)
        }
    };
    if !genuine {
        return Err("a wrong signature");
    }
    Ok((Arc::clone(issuer), parsed.claims(&issuer.config, app.clock.now())?))
}
