//! Recoveries: how somebody who forgot a password comes in again, by a link that another hands them.
//!
//! No mail is sent yet, so the operator or an administrator makes the link and hands it on. It holds an hour and once, ends
//! with every change of role, state or password, and with the rank of whoever made it. It sets a password and logs nobody
//! in: whatever else a login demands, it still does. Every fault of a token is refused alike.

use crate::app::App;
use crate::client::Client;
use crate::ops::logins::Person;
use crate::ops::members::{judge, may};
use crate::ops::trail::Actor;
use crate::ops::users::{self, audited};
use crate::ops::{links, opaque, passwords};
use chatward_store::{Judge, RecoveryRow, UserRow, UserState};
use chatward_types::{
    Error, EventName, HOUR, Kind, Outcome, OwnerId, Result, Scope, Secret, Severity, Timestamp, UserId,
};
use serde_json::json;

/// How long a link holds.
const LIFE: Timestamp = HOUR;

/// A new recovery; the token is told this once.
#[derive(Debug)]
pub struct Recovery {
    /// The token.
    pub token: Secret<String>,
    /// The page that takes it, with the token behind the `#`.
    pub url: Secret<String>,
    /// When it ends, in microseconds.
    pub expires_at: Timestamp,
}

/// Makes a link for a user, in the place of the one before, at the operator's wish.
///
/// # Errors
/// [`Kind::NotFound`] without such a user.
pub async fn make(app: &App, scope: &Scope, id: UserId) -> Result<Recovery> {
    make_by(app, scope, &Actor::Operator, None, id, None).await
}

/// Makes a link for a user, at the wish of another. Nobody makes one for themselves: whoever stole a token would need no
/// password to take the account over.
///
/// # Errors
/// [`Kind::Forbidden`] for oneself and for a user above the other's role; [`Kind::NotFound`] without such a user.
pub async fn make_for(app: &App, by: &Person, id: UserId, client: &Client) -> Result<Recovery> {
    if id == by.user {
        return Err(Error::new(
            Kind::Forbidden,
            "own_account",
            "Change your own password with POST /api/v1/account/password, which takes the current one.",
        ));
    }
    make_by(app, &Scope::of(by.owner), &Actor::User(by.user), judge(by), id, Some(client)).await
}

async fn make_by(
    app: &App,
    scope: &Scope,
    by: &Actor,
    judge: Option<Judge>,
    id: UserId,
    client: Option<&Client>,
) -> Result<Recovery> {
    let kind = opaque::Kind::Recovery;
    let (token, hash) = app.account_keys.mint(kind, scope.owner(), id.as_bytes(), app.entropy.as_ref())?;
    let now = app.clock.now();
    let made_by = judge.map(|judge| judge.by);
    let row = RecoveryRow { user: id, hash: hash.to_vec(), made_by, created_at: now, expires_at: now + LIFE };
    let store = audited(app, scope, by, id, &json!({ "what": "recovery made" }))?;
    users::settle(store.insert_recovery(scope, &row, judge).await?)?;
    users::tell(app, scope, client, format!("{} made a recovery for user {id}", by.text()));
    Ok(Recovery { url: links::with_token(app, links::RECOVER, &token)?, token, expires_at: row.expires_at })
}

/// Sets a password anew, ends every login of the user and lets attempts begin anew.
///
/// # Errors
/// [`Kind::Unauthenticated`], alike for every fault of the token; [`Kind::Invalid`] for a password that is refused, which
/// does not use the token up; [`Kind::Unavailable`] when too many passwords are hashed.
pub async fn complete(app: &App, token: &str, password: &Secret<String>, client: &Client) -> Result<()> {
    let whose = app.account_keys.parse(opaque::Kind::Recovery, token).map(|token| token.owner);
    let Some((scope, user, hash)) = open(app, token).await? else { return Err(refuse(app, whose, client)) };
    passwords::check(app, password, &[&user.email, &user.name])?;
    let proof = passwords::hash(app, password).await?;
    let store = audited(app, &scope, &Actor::User(user.id), user.id, &json!({ "what": "password recovered" }))?;
    if !store.recover_user(&scope, (user.id, &hash), &proof, may, app.clock.now()).await? {
        return Err(refuse(app, whose, client));
    }
    app.store.forget_login_attempts(&app.account_keys.lookup(&user.email)).await?;
    users::tell(app, &scope, Some(client), format!("user {} set a password by a recovery; every login ended", user.id));
    Ok(())
}

/// The user whose recovery a token is, if it holds as far as can be seen before it is claimed.
async fn open(app: &App, token: &str) -> Result<Option<(Scope, UserRow, [u8; 32])>> {
    let Some(token) = app.account_keys.parse(opaque::Kind::Recovery, token) else { return Ok(None) };
    let (scope, id) = (Scope::of(token.owner), UserId::from_bytes(token.id));
    let Some(row) = app.store.get_recovery(&scope, id).await? else { return Ok(None) };
    let holds = chatward_vault::equal_constant_time(&token.hash, &row.hash) && row.expires_at > app.clock.now();
    let user = app.store.get_user(&scope, id).await?.filter(|user| user.state == UserState::Active);
    Ok(user.filter(|_| holds).map(|user| (scope, user, token.hash)))
}

fn refuse(app: &App, whose: Option<OwnerId>, client: &Client) -> Error {
    let event = app.event(EventName::TokenRefused, Severity::Warning, Outcome::Refused);
    event.of(client).owner_if_known(whose).detail("a recovery that does not hold").emit();
    Error::new(
        Kind::Unauthenticated,
        "recovery_invalid",
        "This link does not hold. It is used once, within an hour; ask whoever sent it for another.",
    )
}
