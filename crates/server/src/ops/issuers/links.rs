//! Links: which user an outside issuer's subject is. Made and ended by an operator; or, where the settings say so, made with
//! a new user who may look.
//!
//! A new user takes an e-mail address that the issuer says it has verified, and one that has no account here: a token never
//! joins an account by its address, because an issuer's word that somebody reads a mailbox today is not the word of the
//! person who made the account. Owns that rule and the records of it. Never looks at a signature.

use super::token::Claims;
use crate::app::App;
use crate::client::Client;
use crate::config::{IssuerConfig, NewUsers};
use crate::ops::trail::{self, Actor};
use crate::ops::{passwords, users};
use chatward_store::{MOST_LINKS, UserLinkRow, UserRow, UserState};
use chatward_types::{Error, EventName, Kind, Outcome, OwnerId, Result, Role, Scope, Secret, Severity, UserId};
use chatward_vault::base62_encode;
use serde_json::json;

/// Users of an owner, beyond whom nobody becomes one by a token.
const MOST_USERS: u32 = 1000;

/// Links a user to a subject of an issuer: from now on its tokens speak for them.
///
/// # Errors
/// [`Kind::NotFound`] without such an issuer; [`Kind::Invalid`] for what is no subject; [`Kind::Conflict`] when it is
/// somebody's already, or the user has too many links.
pub async fn link(app: &App, scope: &Scope, user: &UserRow, issuer: &str, subject: &str, by: &Actor) -> Result<()> {
    let config = named(app, issuer)?;
    if subject.trim().is_empty() || subject.chars().count() > 255 || subject.chars().any(char::is_control) {
        return Err(Error::invalid(
            "A subject takes 1 to 255 characters on one line: the `sub` of the issuer's tokens.",
        ));
    }
    let row = row(app, config, subject, user.id);
    let detail = json!({ "what": "linked", "issuer": config.name });
    let entry = trail::entry(app, EventName::UserChanged, by, Some(scope.owner()), &user.id.to_string(), &detail)?;
    let done = trail::audited(app, entry).insert_user_link(scope, &row).await.map_err(|error| match error.kind() {
        Kind::Conflict => {
            Error::new(Kind::Conflict, "conflict", "This subject of the issuer is linked to a user already.")
        }
        _ => error,
    })?;
    if !done {
        let text = format!("A user has at most {MOST_LINKS} links. `chatward user unlink` ends one.");
        return Err(Error::new(Kind::Conflict, "too_many_links", text));
    }
    users::tell(app, scope, None, format!("user {} was linked to a subject of issuer {}", user.id, config.name));
    Ok(())
}

/// Ends a user's links to an issuer, or the one to this subject; its tokens speak for them no more. Returns how many.
///
/// # Errors
/// [`Kind::NotFound`] without such an issuer or link.
pub async fn unlink(
    app: &App,
    scope: &Scope,
    user: &UserRow,
    issuer: &str,
    subject: Option<&str>,
    by: &Actor,
) -> Result<usize> {
    // By the issuer's own name too: its entry in the file may be gone.
    let known = app.issuers.named(issuer).map_or(issuer, |config| config.issuer.as_str());
    let links = app.store.list_user_links(scope, user.id).await?;
    let mut ended = 0;
    for link in links.iter().filter(|link| link.issuer == known && subject.is_none_or(|named| named == link.subject)) {
        let detail = json!({ "what": "unlinked", "issuer": issuer });
        let entry = trail::entry(app, EventName::UserChanged, by, Some(scope.owner()), &user.id.to_string(), &detail)?;
        // What shuts somebody out is done even where it cannot be recorded yet.
        let end = async |store: chatward_store::Store| store.delete_user_link(scope, user.id, &link.lookup).await;
        ended += usize::from(trail::always(app, entry, end).await?);
    }
    if ended == 0 {
        return Err(Error::new(
            Kind::NotFound,
            "not_found",
            "The user has no such link. `chatward user links` shows them.",
        ));
    }
    users::tell(app, scope, None, format!("user {} was unlinked from issuer {issuer}", user.id));
    Ok(ended)
}

/// The user whom a token's claims mean, or why they mean nobody. The state of the user is the caller's to look at.
///
/// # Errors
/// When the store fails.
pub(super) async fn user_of(
    app: &App,
    config: &IssuerConfig,
    claims: &Claims,
    client: &Client,
) -> Result<Result<(OwnerId, UserId), &'static str>> {
    let lookup = app.account_keys.link_lookup(&config.issuer, &claims.subject);
    if let Some(found) = app.store.find_user_link(&lookup).await? {
        return Ok(Ok(found));
    }
    if config.new_users == NewUsers::None {
        return Ok(Err("nobody is linked to its subject"));
    }
    make(app, config, claims, client).await
}

async fn make(
    app: &App,
    config: &IssuerConfig,
    claims: &Claims,
    client: &Client,
) -> Result<Result<(OwnerId, UserId), &'static str>> {
    let Some(email) = claims.email.as_deref().and_then(|email| users::normal_email(email).ok()) else {
        return Ok(Err("nobody is linked to its subject, and it has no verified e-mail address"));
    };
    let user_lookup = app.account_keys.lookup(&email);
    // Before a password is computed, and again in the transaction.
    if app.store.find_user(&user_lookup).await?.is_some() {
        return taken(app, config, claims).await;
    }
    let (scope, now) = (Scope::of(app.owner), app.clock.now());
    let random = chatward_vault::random_secret(app.entropy.as_ref())?;
    let (left, right) = random.expose().split_at(16);
    let half = |bytes: &[u8]| <[u8; 16]>::try_from(bytes).map(base62_encode).map_err(Error::internal);
    // A password that nobody has seen: they come in by the issuer alone.
    let password = passwords::hash(app, &Secret::new(format!("{}{}", half(left)?, half(right)?))).await?;
    let user = UserRow {
        id: UserId::generate(app.clock.as_ref(), app.entropy.as_ref())?,
        name: claims.name.clone().unwrap_or_else(|| email.clone()),
        email,
        role: Role::Viewer,
        password,
        state: UserState::Active,
        created_at: now,
        updated_at: now,
    };
    let link = row(app, config, &claims.subject, user.id);
    let detail = json!({ "what": "made by a token", "issuer": config.name, "role": user.role.as_str() });
    let (owner, subject) = (Some(app.owner), user.id.to_string());
    let entry = trail::entry(app, EventName::UserChanged, &Actor::Server, owner, &subject, &detail)?;
    match trail::audited(app, entry).insert_linked_user(&scope, &user, &user_lookup, &link, MOST_USERS).await {
        Ok(true) => {
            let event = app.event(EventName::UserChanged, Severity::Info, Outcome::Success).of(client);
            let what = format!("user {} was made by a token of issuer {}", user.id, config.name);
            event.owner(app.owner).detail(what).emit();
            Ok(Ok((app.owner, user.id)))
        }
        Ok(false) => Ok(Err("there are too many users for another to be made")),
        Err(error) if error.kind() == Kind::Conflict => taken(app, config, claims).await,
        Err(error) => Err(error),
    }
}

/// The address has an account: another request of the same person was faster, or it is somebody else's.
async fn taken(app: &App, config: &IssuerConfig, claims: &Claims) -> Result<Result<(OwnerId, UserId), &'static str>> {
    let lookup = app.account_keys.link_lookup(&config.issuer, &claims.subject);
    let found = app.store.find_user_link(&lookup).await?;
    Ok(found.ok_or("its e-mail address has an account that is not linked to it"))
}

fn row(app: &App, config: &IssuerConfig, subject: &str, user: UserId) -> UserLinkRow {
    UserLinkRow {
        lookup: app.account_keys.link_lookup(&config.issuer, subject),
        user,
        issuer: config.issuer.clone(),
        subject: subject.to_owned(),
        created_at: app.clock.now(),
    }
}

fn named<'a>(app: &'a App, issuer: &str) -> Result<&'a IssuerConfig> {
    app.issuers.named(issuer).ok_or_else(|| {
        Error::new(Kind::NotFound, "not_found", "There is no such issuer. Name an [[issuer]] of the configuration.")
    })
}
