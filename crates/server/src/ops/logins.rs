//! Logins: how users come in, go on and leave.
//!
//! An access token is short, signed, and proves a login; the login and its user are read from the store with every
//! request, so that an end, a new role or a disabled user holds at once on every node. A refresh token is opaque and goes on
//! once; one that was spent before ends its whole login, whoever has it, but for two of one client at once (see
//! [`refresh`]). Every refusal of a password is told alike.

use crate::app::App;
use crate::client::Client;
use crate::ops::sessions::network_of;
use crate::ops::signing::{self, ISSUER};
use crate::ops::trail::{self, Actor};
use crate::ops::{backoff, opaque, passwords, second_factor, users, verified};
use chatward_store::{LoginRow, Rotation, Store, UserRow, UserState};
use chatward_types::{
    DAY, Error, EventName, Kind, LoginId, MINUTE, Outcome, OwnerId, Result, Role, SECOND, Scope, Secret, Severity,
    Timestamp, UserId,
};
use chatward_vault::digest;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::net::IpAddr;

/// Logins of a user that are kept; the oldest goes.
const MOST: u32 = 50;
/// How long a token that was traded is taken for the other half of a race.
const MOMENT: Timestamp = 10 * SECOND;

/// Who a valid access token speaks for; a request extension.
#[derive(Debug, Clone)]
pub struct Person {
    /// Whose user.
    pub owner: OwnerId,
    /// The user.
    pub user: UserId,
    /// The login; none for whoever comes by a token of an outside issuer.
    pub login: Option<LoginId>,
    /// What they may do, as the store says now.
    pub role: Role,
    /// Their address.
    pub email: String,
    /// Their full name.
    pub name: String,
    /// When the token ends, in microseconds.
    pub expires_at: Timestamp,
    /// Whether they have a second factor; this login has proven it then.
    pub has_second_factor: bool,
    /// Whether they must have one and have none: until then they reach what makes one, and nothing else.
    pub must_enrol: bool,
}

impl Person {
    /// The login of ours, for what belongs to one.
    ///
    /// # Errors
    /// [`Kind::Conflict`], `no_login`, for whoever comes by a token of an outside issuer.
    pub fn own_login(&self) -> Result<LoginId> {
        let text =
            "This token is an outside issuer's and belongs to no login here. Log in here with a password for that.";
        self.login.ok_or_else(|| Error::new(Kind::Conflict, "no_login", text))
    }
}

/// What a login is continued with.
pub struct Issued {
    /// Proves the login with each request.
    pub access_token: String,
    /// When it ends, in seconds since 1970 (UTC).
    pub access_expires_at: i64,
    /// Trades for the next two tokens, once.
    pub refresh_token: String,
    /// When it ends unless it is used, in seconds since 1970 (UTC).
    pub refresh_expires_at: i64,
}

impl std::fmt::Debug for Issued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issued").finish_non_exhaustive()
    }
}

/// What an access token says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessClaims {
    iss: String,
    aud: String,
    sub: UserId,
    own: OwnerId,
    lgn: LoginId,
    iat: i64,
    exp: i64,
}

/// Logs a user in by address and password, and by a code where they have a second factor.
///
/// # Errors
/// [`Kind::Unauthenticated`], `login_failed`, alike for an unknown address, a wrong password and a disabled user, after the
/// same work; behind a right password as [`second_factor::at_login`]; [`Kind::Limited`] after too many attempts;
/// [`Kind::Unavailable`] when too many passwords are checked.
pub async fn log_in(
    app: &App,
    email: &str,
    password: &Secret<String>,
    code: Option<&Secret<String>>,
    client: &Client,
) -> Result<Issued> {
    let email = users::normal_email(email)?;
    if password.expose().len() > passwords::LONGEST {
        return Err(Error::invalid("Field `password` takes at most 256 bytes."));
    }
    let lookup = app.account_keys.lookup(&email);
    backoff::count(app, &lookup, client).await?;
    let known = match app.store.find_user(&lookup).await? {
        Some((owner, id)) => app.store.get_user(&Scope::of(owner), id).await?.map(|row| (Scope::of(owner), row)),
        None => None,
    };
    let proof = known.as_ref().map(|(_, row)| row.password.as_str());
    let verdict = passwords::verify(app, password, proof).await?;
    let whose = known.as_ref().map(|(scope, _)| scope.owner());
    let Some((scope, user)) = known.filter(|(_, user)| verdict.right && user.state == UserState::Active) else {
        return Err(fail(app, whose, client));
    };
    let factor_since = second_factor::at_login(app, &scope, user.id, code, client).await?;
    backoff::succeed(app, &lookup, client).await?;
    let user = if verdict.outdated { upgrade(app, &scope, user, password).await? } else { user };
    begin_with(app, &scope, &user, factor_since, client).await
}

/// Proves the password in our own form from now on. If too many are hashed at the moment, or the trail cannot be written,
/// another login does it.
async fn upgrade(app: &App, scope: &Scope, user: UserRow, password: &Secret<String>) -> Result<UserRow> {
    let made = match passwords::hash(app, password).await {
        Ok(made) => made,
        Err(error) if error.kind() == Kind::Unavailable => return Ok(user),
        Err(error) => return Err(error),
    };
    let detail = json!({ "what": "proof of the password upgraded" });
    let store = users::audited(app, scope, &Actor::Server, user.id, &detail)?;
    match store.upgrade_user_password(scope, user.id, &user.password, &made, app.clock.now()).await {
        Ok(true) => Ok(UserRow { password: made, ..user }),
        Ok(false) => Ok(user),
        Err(error) => {
            tracing::warn!(source = error.source_line(), "the proof of a password stays as it was made elsewhere");
            Ok(user)
        }
    }
}

/// Begins a login for a user who has proved who they are, by something that is no second factor.
///
/// # Errors
/// [`Kind::Unauthenticated`] when that is no longer so, and `second_factor_needed` for a user who has one: they log in with
/// it; else when the store, the signing or the entropy source fails.
pub async fn begin(app: &App, scope: &Scope, user: &UserRow, client: &Client) -> Result<Issued> {
    begin_with(app, scope, user, None, client).await
}

/// The same with the second factor that was proven, known by its beginning. The store compares it with the one that the user
/// has when the login is made.
async fn begin_with(
    app: &App,
    scope: &Scope,
    user: &UserRow,
    factor_since: Option<Timestamp>,
    client: &Client,
) -> Result<Issued> {
    let now = app.clock.now();
    let id = LoginId::generate(app.clock.as_ref(), app.entropy.as_ref())?;
    let (refresh, hash) =
        app.account_keys.mint(opaque::Kind::Refresh, scope.owner(), id.as_bytes(), app.entropy.as_ref())?;
    let row = LoginRow {
        id,
        user: user.id,
        hash: hash.to_vec(),
        user_agent: client.user_agent.as_deref().unwrap_or_default().to_owned(),
        network: network_of(client.address),
        created_at: now,
        last_used_at: now,
        expires_at: end(app, now),
        ended_at: None,
        spent: None,
        proven_at: factor_since.map(|_| now),
        factor_since,
    };
    let issued = issue(app, scope, user.id, &row, &refresh)?;
    if !app.store.insert_login(scope, &row, &user.password, MOST).await? {
        let factor = app.store.get_second_factor(scope, user.id).await?;
        let asked = factor_since.is_none() && factor.is_some_and(|row| row.confirmed_at.is_some());
        return Err(if asked { second_factor::needed() } else { fail(app, Some(scope.owner()), client) });
    }
    let how = if factor_since.is_some() { ", with a second factor" } else { "" };
    app.event(EventName::LoginSucceeded, Severity::Info, Outcome::Success)
        .of(client)
        .owner(scope.owner())
        .detail(format!("user {}, login {id}{how}", user.id))
        .emit();
    Ok(issued)
}

/// Trades a refresh token for the next two tokens.
///
/// A spent token ends its login, since nobody can tell which of the two who had it is the thief (RFC 9700, 4.14.2). Two
/// tabs of a browser that refresh at once look the same: one of them is second. So a token that was traded less than ten
/// seconds ago is answered `refresh_traded` and ends nothing, if it is the one traded last, its successor was not traded
/// yet, and it comes from the address and the program that traded it. Others give such a request tokens (a "reuse interval"
/// or "grace period" of up to a minute), and so to a thief who is quick; here it gets none. An honest second tab has the
/// successor already, because tabs share their cookies. Whoever was robbed of it has not: they send the spent token again,
/// and that ends the login as ever, at most ten seconds later than without this.
///
/// # Errors
/// [`Kind::Unauthenticated`], alike for one that is none of ours, spent, ended or run out, or of a disabled user;
/// [`Kind::Conflict`], `refresh_traded`, for the second of two at once.
pub async fn refresh(app: &App, token: &str, client: &Client) -> Result<Issued> {
    let Some(token) = app.account_keys.parse(opaque::Kind::Refresh, token) else {
        return Err(refuse(app, None, client, "a refresh token that is none of ours"));
    };
    let (scope, id, now) = (Scope::of(token.owner), LoginId::from_bytes(token.id), app.clock.now());
    let Some(row) = app.store.get_login(&scope, id).await? else {
        return Err(refuse(app, Some(token.owner), client, "a refresh token of a login that is gone"));
    };
    let user = app.store.get_user(&scope, row.user).await?;
    if user.is_none_or(|user| user.state != UserState::Active) || !stands(&row, now) {
        return Err(refuse(app, Some(token.owner), client, "a refresh token of a login that has ended"));
    }
    let (refresh, hash) = app.account_keys.mint(opaque::Kind::Refresh, token.owner, &token.id, app.entropy.as_ref())?;
    let row = LoginRow { expires_at: end(app, now), ..row };
    let issued = issue(app, &scope, row.user, &row, &refresh)?;
    let network = network_of(client.address);
    let spent = spent_by(&token.hash, client);
    let expires_at = row.expires_at;
    let rotation = Rotation { from: &token.hash, to: &hash, spent: &spent, network: &network, now, expires_at };
    if app.store.rotate_login(&scope, id, rotation).await? {
        let event = app.event(EventName::LoginContinued, Severity::Info, Outcome::Success).of(client);
        event.owner(scope.owner()).detail(format!("user {}, login {id}", row.user)).emit();
        return Ok(issued);
    }
    match app.store.get_login(&scope, id).await? {
        Some(held) if !stands(&held, now) => {
            return Err(refuse(app, Some(token.owner), client, "a refresh token of a login that has ended"));
        }
        Some(held) if was_just_traded(&held, &spent, now) => return Err(second_of_two(app, &scope, client)),
        _ => {}
    }
    // We issued it, and it is not the one that goes on: somebody has used it before. Which of the two is the thief, nobody
    // can tell, so neither goes on.
    end_login(app, &scope, &Actor::Server, row.user, id).await?;
    app.event(EventName::RefreshReused, Severity::Error, Outcome::Refused)
        .of(client)
        .owner(scope.owner())
        .detail(format!("login {id} of user {} was ended", row.user))
        .emit();
    Err(refuse(app, Some(token.owner), client, "a refresh token that was spent"))
}

/// What is kept of a token that was traded and of who did it. The token's own secret keeps the address from being guessed.
fn spent_by(hash: &[u8; 32], client: &Client) -> [u8; 32] {
    let address = match client.address.to_canonical() {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    };
    let agent = client.user_agent.as_deref().unwrap_or_default();
    digest(&[hash.as_slice(), address.as_slice(), agent.as_bytes()].concat())
}

/// Whether this is what a login was continued with last, a moment ago by our clock or that of another node.
fn was_just_traded(row: &LoginRow, spent: &[u8; 32], now: Timestamp) -> bool {
    row.spent.as_deref() == Some(spent.as_slice()) && (now - row.last_used_at).abs() < MOMENT
}

fn second_of_two(app: &App, scope: &Scope, client: &Client) -> Error {
    let event = app.event(EventName::TokenRefused, Severity::Info, Outcome::Refused).of(client).owner(scope.owner());
    event.detail("a refresh token that its own client traded a moment ago").emit();
    Error::new(
        Kind::Conflict,
        "refresh_traded",
        "This refresh token was traded a moment ago, by you. Go on with what that answer brought; a browser has it in its \
         cookies. Sent again later, the token ends the login.",
    )
}

/// Who an access token speaks for, as the store says now; for one that does not hold, whose it was, if we signed it.
///
/// # Errors
/// When the store fails.
pub async fn recognise(app: &App, token: &str) -> Result<Result<Person, Option<OwnerId>>> {
    let now = app.clock.now();
    let Some(found) = verified::user(app, token) else { return Ok(Err(None)) };
    let (claims, _) = found.as_ref();
    let Some(expires_at) = signing::end_of(claims.iat, claims.exp, now) else { return Ok(Err(Some(claims.own))) };
    let person = standing(app, &Scope::of(claims.own), claims.sub, claims.lgn, expires_at).await?;
    Ok(person.ok_or(Some(claims.own)))
}

/// The user of a login, if both hold as the store says now; for a token that ends then.
///
/// # Errors
/// When the store fails.
pub async fn standing(
    app: &App,
    scope: &Scope,
    user: UserId,
    login: LoginId,
    expires_at: Timestamp,
) -> Result<Option<Person>> {
    let now = app.clock.now();
    let held = app.store.get_login(scope, login).await?;
    let Some(held) = held.filter(|row| row.user == user && stands(row, now)) else { return Ok(None) };
    let has_second_factor = held.factor_since.is_some();
    let user = app.store.get_user(scope, user).await?.filter(|user| user.state == UserState::Active);
    Ok(user.map(|user| Person {
        owner: scope.owner(),
        user: user.id,
        login: Some(login),
        role: user.role,
        email: user.email,
        name: user.name,
        expires_at,
        has_second_factor,
        must_enrol: !has_second_factor && second_factor::is_required(app, user.role),
    }))
}

/// Whether a login holds: neither ended nor run out, and not made past a second factor that its user has.
fn stands(row: &LoginRow, now: Timestamp) -> bool {
    row.ended_at.is_none() && row.expires_at > now && (row.factor_since.is_none() || row.proven_at.is_some())
}

/// A user's logins that hold, the last used first.
///
/// # Errors
/// When the store fails.
pub async fn list(app: &App, scope: &Scope, user: UserId) -> Result<Vec<LoginRow>> {
    app.store.list_logins(scope, user, app.clock.now()).await
}

/// Ends one login of a user, with every token of it.
///
/// # Errors
/// [`Kind::NotFound`] when the user has none of this id that holds.
pub async fn end_one(app: &App, scope: &Scope, user: UserId, id: LoginId, client: Option<&Client>) -> Result<()> {
    let own = app.store.get_login(scope, id).await?.is_some_and(|row| row.user == user);
    let by = if client.is_some() { Actor::User(user) } else { Actor::Operator };
    if !own || !end_login(app, scope, &by, user, id).await? {
        return Err(Error::not_found());
    }
    let event = app.event(EventName::LoginEnded, Severity::Info, Outcome::Success);
    let event = event.owner(scope.owner()).detail(format!("login {id} of user {user}"));
    match client {
        Some(client) => event.of(client).emit(),
        None => event.emit(),
    }
    Ok(())
}

/// Ends a login, whether or not that can be recorded now.
async fn end_login(app: &App, scope: &Scope, by: &Actor, user: UserId, id: LoginId) -> Result<bool> {
    let detail = json!({ "what": "login ended", "user": user });
    let entry = trail::entry(app, EventName::LoginEnded, by, Some(scope.owner()), &id.to_string(), &detail)?;
    let now = app.clock.now();
    trail::always(app, entry, |store: Store| async move { store.end_login(scope, id, now).await }).await
}

fn issue(app: &App, scope: &Scope, user: UserId, row: &LoginRow, refresh: &Secret<String>) -> Result<Issued> {
    let now = app.clock.now();
    let expires_at = (now + i64::from(app.config.accounts.access_minutes) * MINUTE).min(row.expires_at) / SECOND;
    let ring = &app.tokens.users;
    let claims = AccessClaims {
        iss: ISSUER.to_owned(),
        aud: ring.audience(),
        sub: user,
        own: scope.owner(),
        lgn: row.id,
        iat: now / SECOND,
        exp: expires_at,
    };
    Ok(Issued {
        access_token: ring.sign(&claims)?,
        access_expires_at: expires_at,
        refresh_token: refresh.expose().clone(),
        refresh_expires_at: row.expires_at / SECOND,
    })
}

fn end(app: &App, now: Timestamp) -> Timestamp {
    now + i64::from(app.config.accounts.login_days) * DAY
}

/// The refusal of an address or a password, one for all. Whose account it was, if there is one, the log alone is told.
pub(super) fn fail(app: &App, whose: Option<OwnerId>, client: &Client) -> Error {
    let event = app.event(EventName::LoginFailed, Severity::Warning, Outcome::Refused);
    event.of(client).owner_if_known(whose).emit();
    Error::new(Kind::Unauthenticated, "login_failed", "No account that may log in has this address and password.")
}

fn refuse(app: &App, whose: Option<OwnerId>, client: &Client, why: &'static str) -> Error {
    let event = app.event(EventName::TokenRefused, Severity::Warning, Outcome::Refused);
    event.of(client).owner_if_known(whose).detail(why).emit();
    refresh_invalid()
}

/// The answer to every refresh that is refused.
pub fn refresh_invalid() -> Error {
    Error::new(Kind::Unauthenticated, "refresh_invalid", "This refresh token does not hold. Log in again.")
}
