//! Who a visitor is by the word of the site's owner: a JWT that the owner's server signs with the site's own secret.
//!
//! The algorithm is pinned, the header may say `alg` and `typ` and nothing else, the audience is the site's key, and a
//! token holds for a day at most; every fault is refused alike. The secret is shown once, when it is made, and kept
//! sealed; so is what the token said, with its session. A session belongs to one person: another `sub` is refused.

use crate::app::App;
use crate::client::Client;
use crate::ops::sites::Site;
use crate::ops::trail::{self, Actor};
use crate::ops::{data_keys, signing};
use chatward_types::{
    DAY, Error, EventName, Kind, Outcome, Result, SECOND, Scope, Secret, SessionId, Severity, SiteId, Timestamp,
};
use chatward_vault::base62_encode;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

const LONGEST: usize = 8 * 1024;
const LONGEST_LIFE: Timestamp = DAY;

/// Who the owner says the visitor is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Identity {
    /// The owner's own name for the person; 1 to 200 characters.
    pub sub: String,
    /// The person's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The person's e-mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StrictHeader {
    alg: String,
    #[serde(default)]
    typ: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    sub: String,
    aud: String,
    exp: i64,
    #[serde(default)]
    iat: Option<i64>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    email: Option<String>,
}

/// Makes a new secret for a site and returns it, this once. What was signed with the one before no longer holds.
///
/// # Errors
/// [`Kind::NotFound`] without such a site; else when the store, the vault or the entropy source fails.
pub async fn rotate_secret(app: &App, scope: &Scope, site: SiteId) -> Result<Secret<String>> {
    let random = chatward_vault::random_secret(app.entropy.as_ref())?;
    let (left, right) = random.expose().split_at(16);
    let half = |bytes: &[u8]| <[u8; 16]>::try_from(bytes).map(base62_encode).map_err(Error::internal);
    let text = Secret::new(format!("{}{}", half(left)?, half(right)?));
    let sealed = data_keys::of(app, scope).await?.seal(&secret_label(site), text.expose().as_bytes())?;
    let detail = serde_json::json!({ "what": "identity secret made" });
    let name = EventName::ConfigurationChanged;
    let entry = trail::entry(app, name, &Actor::Operator, Some(scope.owner()), &site.to_string(), &detail)?;
    if !trail::audited(app, entry).set_identity_secret(scope, site, &sealed).await? {
        return Err(Error::not_found());
    }
    app.event(EventName::ConfigurationChanged, Severity::Info, Outcome::Success)
        .site(scope.owner(), site)
        .detail("a new identity secret was made")
        .emit();
    Ok(text)
}

/// Who a token says the visitor is.
///
/// # Errors
/// [`Kind::Invalid`], `identity_invalid`, alike for every fault of the token and for a site without a secret; else when
/// the store or the vault fails.
pub async fn verify(app: &App, site: &Site, token: &str, client: &Client) -> Result<Identity> {
    let secret = match app.store.identity_secret(&site.scope(), site.id).await? {
        Some(sealed) => {
            Some(Secret::new(data_keys::of(app, &site.scope()).await?.open(&secret_label(site.id), &sealed)?))
        }
        None => None,
    };
    let now = app.clock.now();
    // While a key is being rotated, the owner's server may still write the one before.
    let found = secret.and_then(|secret| site.honoured(now).find_map(|key| read(token, secret.expose(), key, now)));
    found.ok_or_else(|| refuse(app, site, client))
}

/// Keeps an identity with a session.
///
/// # Errors
/// [`Kind::Invalid`], as [`verify`], when the session is another person's; [`Kind::NotFound`] when it is gone.
pub async fn keep(app: &App, site: &Site, session: &SessionId, identity: &Identity, client: &Client) -> Result<()> {
    let scope = site.scope();
    if of(app, &scope, session).await?.is_some_and(|known| known.sub != identity.sub) {
        return Err(refuse(app, site, client));
    }
    let bytes = serde_json::to_vec(identity).map_err(Error::internal)?;
    let sealed = data_keys::of(app, &scope).await?.seal(&label(session), &bytes)?;
    if app.store.set_session_identity(&scope, session, &sealed).await? { Ok(()) } else { Err(Error::not_found()) }
}

/// Who a session's visitor is, where the owner has said so.
///
/// # Errors
/// When the store or the vault fails.
pub async fn of(app: &App, scope: &Scope, session: &SessionId) -> Result<Option<Identity>> {
    let Some(sealed) = app.store.session_identity(scope, session).await? else { return Ok(None) };
    let bytes = data_keys::of(app, scope).await?.open(&label(session), &sealed)?;
    serde_json::from_slice(&bytes).map(Some).map_err(Error::internal)
}

fn refuse(app: &App, site: &Site, client: &Client) -> Error {
    let event = app.event(EventName::IdentityRefused, Severity::Warning, Outcome::Refused);
    event.of(client).site(site.owner, site.id).emit();
    Error::new(
        Kind::Invalid,
        "identity_invalid",
        "This identity does not hold. The site's server signs it: HS256 with the site's identity secret, `aud` the \
         site's key, `exp` at most 24 hours ahead, `sub` the same person as before in this conversation.",
    )
}

/// Reads a token; the secret is the text that the owner was shown.
fn read(token: &str, secret: &[u8], audience: &str, now: Timestamp) -> Option<Identity> {
    if token.len() > LONGEST {
        return None;
    }
    let header: StrictHeader = signing::read_header(token)?;
    if header.alg != "HS256" || header.typ.is_some_and(|typ| !typ.eq_ignore_ascii_case("jwt")) {
        return None;
    }
    let mut validation = Validation::new(Algorithm::HS256);
    // Time and audience are compared below, against our clock and the one site.
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    let key = DecodingKey::from_secret(secret);
    let claims = jsonwebtoken::decode::<Claims>(token, &key, &validation).ok()?.claims;
    if claims.aud != audience {
        return None;
    }
    let ends_at = signing::end_of(claims.iat.unwrap_or(now / SECOND), claims.exp, now)?;
    let bounded = |text: &Option<String>, most: usize| text.as_ref().is_none_or(|text| is_name(text, most));
    let fine = ends_at - now <= LONGEST_LIFE
        && is_name(&claims.sub, 200)
        && bounded(&claims.name, 200)
        && bounded(&claims.email, 254);
    fine.then_some(Identity { sub: claims.sub, name: claims.name, email: claims.email })
}

fn is_name(text: &str, most: usize) -> bool {
    !text.is_empty() && text.chars().count() <= most && !text.chars().any(char::is_control)
}

fn secret_label(site: SiteId) -> String {
    format!("identity-secret:{site}")
}

fn label(session: &SessionId) -> String {
    format!("identity:{session}")
}
