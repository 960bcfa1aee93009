//! The second factor: begun, confirmed, asked for, renewed, removed; and who must have one.
//!
//! A factor is a secret that the user's program computes codes from (`totp`) and ten recovery codes for the day when it is
//! lost. The secret is sealed under the owner's key for its user. A code is taken once, by one statement in the store. Every
//! attempt is counted with the wrong passwords of the account and the address (`backoff`) before it is looked at, and only
//! what proves password and factor together forgets them. Every change is made with its record of the audit trail.

use crate::app::App;
use crate::client::Client;
use crate::config::SecondFactorDemand;
use crate::ops::logins::Person;
use crate::ops::trail::{self, Actor};
use crate::ops::{backoff, data_keys, passwords, recovery_codes, totp, users};
use chatward_store::{Activation, SecondFactorRow, TrailEntry, UserRow};
use chatward_types::{
    Error, EventName, Kind, MINUTE, Outcome, OwnerId, Result, Role, Scope, Secret, Severity, Timestamp, UserId,
};
use serde_json::json;
use std::sync::Arc;

/// How long what was begun can be confirmed.
const LIFE: Timestamp = 15 * MINUTE;
/// The longest text that is looked at as a code.
const LONGEST: usize = 64;

/// A secret for the user's program, shown this once.
#[derive(Debug)]
pub struct Begun {
    /// For typing in.
    pub secret: Secret<String>,
    /// For a QR code.
    pub address: Secret<String>,
}

/// Whether a user of this role must have a second factor.
pub fn is_required(app: &App, role: Role) -> bool {
    match app.config.accounts.second_factor {
        SecondFactorDemand::Optional => false,
        SecondFactorDemand::Admins => role >= Role::Admin,
        SecondFactorDemand::Everyone => true,
    }
}

/// Whether proving no second factor is too little for this user: they have one, or must have one.
///
/// # Errors
/// When the store fails.
pub async fn is_needed_of(app: &App, scope: &Scope, user: UserId, role: Role) -> Result<bool> {
    Ok(is_required(app, role) || active(app, scope, user).await?.is_some())
}

/// What a right password needs beside it: nothing, or a code that holds, which is taken by it. Returns since when the user
/// has the factor that was proven.
///
/// # Errors
/// [`Kind::Unauthenticated`]: `second_factor_needed` without a code where one is needed, `second_factor_refused` with one
/// that does not hold. Both stay counted.
pub async fn at_login(
    app: &App,
    scope: &Scope,
    user: UserId,
    code: Option<&Secret<String>>,
    client: &Client,
) -> Result<Option<Timestamp>> {
    let Some((factor, since)) = active(app, scope, user).await? else { return Ok(None) };
    let Some(code) = code else {
        backoff::spare_address(app, client);
        return Err(needed());
    };
    if !take(app, scope, &factor, since, code, client).await? {
        tell_failure(app, scope.owner(), user, client);
        return Err(Error::new(
            Kind::Unauthenticated,
            "second_factor_refused",
            "This code does not hold. Each holds once: wait for the program's next one, or send a recovery code.",
        ));
    }
    Ok(Some(since))
}

/// The refusal of a right password without a code.
pub fn needed() -> Error {
    Error::new(
        Kind::Unauthenticated,
        "second_factor_needed",
        "This account has a second factor. Send `code` too: the program's current six digits, or a recovery code.",
    )
}

/// Begins a second factor: makes its secret, in the place of one that was begun and never confirmed.
///
/// # Errors
/// [`Kind::Conflict`] when the user has one; [`Kind::Forbidden`] for a wrong password; [`Kind::Limited`] after too many.
pub async fn begin(app: &App, person: &Person, password: &Secret<String>, client: &Client) -> Result<Begun> {
    let (scope, login) = (Scope::of(person.owner), person.own_login()?);
    // Asked before the password, which must never forget attempts to guess the code of a factor that is active.
    if active(app, &scope, person.user).await?.is_some() {
        return Err(has_one());
    }
    let lookup = app.account_keys.lookup(&person.email);
    backoff::count(app, &lookup, client).await?;
    if !is_password(app, &scope, person.user, password).await? {
        return Err(refuse(app, person, client));
    }
    backoff::succeed(app, &lookup, client).await?;
    let key = totp::generate(app.entropy.as_ref())?;
    let sealed = data_keys::of(app, &scope).await?.seal(&label(person.user), key.expose())?;
    let row =
        SecondFactorRow { user: person.user, sealed, begun_by: login, begun_at: app.clock.now(), confirmed_at: None };
    if !app.store.begin_second_factor(&scope, &row).await? {
        return Err(has_one());
    }
    tell(app, person.owner, Some(client), Severity::Info, format!("user {} has begun a second factor", person.user));
    let server = format!("Chatward {}", app.config.public_url.host_str().unwrap_or_default());
    Ok(Begun { secret: totp::base32(&key), address: totp::address(&key, &server, &person.email) })
}

/// Activates what this login has begun, with a code of it: the login counts as proven, every other one of the user ends, and
/// the recovery codes are shown this once.
///
/// # Errors
/// [`Kind::Conflict`] when this login has begun nothing lately; [`Kind::Forbidden`] for a wrong code; [`Kind::Limited`]
/// after too many.
pub async fn confirm(
    app: &App,
    person: &Person,
    code: &Secret<String>,
    client: &Client,
) -> Result<Vec<Secret<String>>> {
    let (scope, now, login) = (Scope::of(person.owner), app.clock.now(), person.own_login()?);
    let begun = app.store.get_second_factor(&scope, person.user).await?;
    let holds =
        |row: &SecondFactorRow| row.confirmed_at.is_none() && row.begun_by == login && now < row.begun_at + LIFE;
    let begun = begun.filter(holds).ok_or_else(nothing_begun)?;
    let lookup = app.account_keys.lookup(&person.email);
    backoff::count(app, &lookup, client).await?;
    let key = open(app, &scope, &begun).await?;
    let Some(step) = totp::step_of(&key, &plain(code), now) else {
        return Err(refuse(app, person, client));
    };
    // Nothing that can fail comes after the change, or its codes would be shown to nobody.
    backoff::succeed(app, &lookup, client).await?;
    let fresh = recovery_codes::generate(app, person.owner, person.user)?;
    let activation = Activation { login, sealed: &begun.sealed, step, codes: &fresh.hashes, now };
    let entry = record(app, person.owner, person.user, &Actor::User(person.user), "second factor activated")?;
    if !trail::audited(app, entry).activate_second_factor(&scope, person.user, activation).await? {
        return Err(nothing_begun());
    }
    tell(app, person.owner, Some(client), Severity::Info, format!("user {} has a second factor now", person.user));
    Ok(fresh.codes)
}

/// Puts new recovery codes in the place of all; they are shown this once.
///
/// # Errors
/// [`Kind::Conflict`] without a second factor; [`Kind::Forbidden`] unless password and code are right; [`Kind::Limited`]
/// after too many attempts.
pub async fn renew_codes(
    app: &App,
    person: &Person,
    password: &Secret<String>,
    code: &Secret<String>,
    client: &Client,
) -> Result<Vec<Secret<String>>> {
    let scope = Scope::of(person.owner);
    let since = prove(app, person, password, code, client).await?;
    let fresh = recovery_codes::generate(app, person.owner, person.user)?;
    let entry = record(app, person.owner, person.user, &Actor::User(person.user), "recovery codes renewed")?;
    if !trail::audited(app, entry).replace_recovery_codes(&scope, person.user, since, &fresh.hashes).await? {
        return Err(has_none());
    }
    tell(app, person.owner, Some(client), Severity::Info, format!("user {} has new recovery codes", person.user));
    Ok(fresh.codes)
}

/// Removes the second factor and its recovery codes. The user's logins stay; where a factor is required they reach what
/// makes another one, and nothing else.
///
/// # Errors
/// As [`renew_codes`].
pub async fn remove(
    app: &App,
    person: &Person,
    password: &Secret<String>,
    code: &Secret<String>,
    client: &Client,
) -> Result<()> {
    let scope = Scope::of(person.owner);
    let since = prove(app, person, password, code, client).await?;
    let entry = record(app, person.owner, person.user, &Actor::User(person.user), "second factor removed")?;
    if !trail::audited(app, entry).remove_second_factor(&scope, person.user, since).await? {
        return Err(has_none());
    }
    tell(
        app,
        person.owner,
        Some(client),
        Severity::Warning,
        format!("user {} has no second factor any more", person.user),
    );
    Ok(())
}

/// Removes a user's second factor at the operator's wish, and ends every login of theirs. `false` when they have none.
///
/// # Errors
/// When the store fails.
pub async fn reset(app: &App, scope: &Scope, user: &UserRow) -> Result<bool> {
    let entry = record(app, scope.owner(), user.id, &Actor::Operator, "second factor reset")?;
    let done = trail::audited(app, entry).reset_second_factor(scope, user.id, app.clock.now()).await?;
    if done {
        tell(app, scope.owner(), None, Severity::Warning, format!("the second factor of user {} was reset", user.id));
    }
    users::unlock(app, scope, user).await?;
    Ok(done)
}

/// A user's active factor, and since when it is that.
async fn active(app: &App, scope: &Scope, user: UserId) -> Result<Option<(SecondFactorRow, Timestamp)>> {
    let factor = app.store.get_second_factor(scope, user).await?;
    Ok(factor.and_then(|row| row.confirmed_at.map(|since| (row, since))))
}

/// Proves password and factor of whoever is logged in; since when they have that factor.
async fn prove(
    app: &App,
    person: &Person,
    password: &Secret<String>,
    code: &Secret<String>,
    client: &Client,
) -> Result<Timestamp> {
    let scope = Scope::of(person.owner);
    let (factor, since) = active(app, &scope, person.user).await?.ok_or_else(has_none)?;
    let lookup = app.account_keys.lookup(&person.email);
    backoff::count(app, &lookup, client).await?;
    // A code is looked at, and taken, behind a right password alone; which of the two was wrong is not told.
    let right = is_password(app, &scope, person.user, password).await?
        && take(app, &scope, &factor, since, code, client).await?;
    if !right {
        return Err(refuse(app, person, client));
    }
    backoff::succeed(app, &lookup, client).await?;
    Ok(since)
}

async fn is_password(app: &App, scope: &Scope, user: UserId, password: &Secret<String>) -> Result<bool> {
    if password.expose().len() > passwords::LONGEST {
        return Err(Error::invalid("Field `password` takes at most 256 bytes."));
    }
    let row = app.store.get_user(scope, user).await?;
    let verdict = passwords::verify(app, password, row.as_ref().map(|row| row.password.as_str())).await?;
    Ok(verdict.right)
}

/// Takes a code of the factor, or a recovery code. `false` for one that is wrong or was taken before.
async fn take(
    app: &App,
    scope: &Scope,
    factor: &SecondFactorRow,
    since: Timestamp,
    code: &Secret<String>,
    client: &Client,
) -> Result<bool> {
    let (text, user) = (plain(code), factor.user);
    let key = open(app, scope, factor).await?;
    if let Some(step) = totp::step_of(&key, &text, app.clock.now()) {
        return app.store.take_second_factor_step(scope, user, since, step).await;
    }
    let Some(hash) = recovery_codes::hash(app, scope.owner(), user, &text) else { return Ok(false) };
    let entry = record(app, scope.owner(), user, &Actor::User(user), "recovery code used")?;
    if !trail::audited(app, entry).take_recovery_code(scope, user, &hash).await? {
        return Ok(false);
    }
    // It is taken, whether or not the rest can be counted.
    let left = app.store.count_recovery_codes(scope, user).await.map_or("some".to_owned(), |left| left.to_string());
    tell(
        app,
        scope.owner(),
        Some(client),
        Severity::Warning,
        format!("a recovery code of user {user} was used; {left} are left"),
    );
    Ok(true)
}

/// A code without the spaces and hyphens that people write into it; what is too long is no code.
fn plain(code: &Secret<String>) -> String {
    let text = code.expose();
    if text.len() > LONGEST {
        return String::new();
    }
    text.chars().filter(|c| !c.is_whitespace() && *c != '-').collect()
}

async fn open(app: &App, scope: &Scope, factor: &SecondFactorRow) -> Result<totp::Key> {
    let plain = Secret::new(data_keys::of(app, scope).await?.open(&label(factor.user), &factor.sealed)?);
    let bytes = <[u8; 20]>::try_from(plain.expose().as_slice());
    bytes.map(Secret::new).map_err(Error::internal)
}

/// What the sealed secret is bound to: it opens in no other user's row.
fn label(user: UserId) -> String {
    format!("totp:{user}")
}

fn record(app: &App, owner: OwnerId, user: UserId, by: &Actor, what: &str) -> Result<Arc<TrailEntry>> {
    let detail = json!({ "what": what });
    trail::entry(app, EventName::SecondFactorChanged, by, Some(owner), &user.to_string(), &detail)
}

fn tell(app: &App, owner: OwnerId, client: Option<&Client>, severity: Severity, what: String) {
    let event = app.event(EventName::SecondFactorChanged, severity, Outcome::Success).owner(owner).detail(what);
    match client {
        Some(client) => event.of(client).emit(),
        None => event.emit(),
    }
}

fn tell_failure(app: &App, owner: OwnerId, user: UserId, client: &Client) {
    let event = app.event(EventName::SecondFactorFailed, Severity::Warning, Outcome::Refused);
    event.of(client).owner(owner).detail(format!("user {user}")).emit();
}

fn refuse(app: &App, person: &Person, client: &Client) -> Error {
    tell_failure(app, person.owner, person.user, client);
    Error::new(
        Kind::Forbidden,
        "proof_refused",
        "What proves that it is you does not hold. Send the right password, and a code that was not used yet.",
    )
}

fn has_one() -> Error {
    Error::new(
        Kind::Conflict,
        "second_factor_active",
        "This account has a second factor. Remove it with DELETE /api/v1/account/totp before beginning another.",
    )
}

fn has_none() -> Error {
    Error::new(
        Kind::Conflict,
        "no_second_factor",
        "This account has no second factor. Begin one with POST /api/v1/account/totp.",
    )
}

fn nothing_begun() -> Error {
    Error::new(
        Kind::Conflict,
        "no_second_factor",
        "This login has begun no second factor in the last quarter of an hour. Begin one with POST /api/v1/account/totp.",
    )
}
