//! Users: made and changed by the operator, and what every way to a user has in common.
//!
//! Owns what an address, a name and a new account must look like, and that a change of a user is made with its record of
//! the audit trail. Whatever shuts a user out ends their logins in the same transaction, and every request reads role and
//! state from the store, so that it holds at once on every node. What users do to one another is `members`.

use crate::app::App;
use crate::client::Client;
use crate::ops::passwords;
use crate::ops::trail::{self, Actor};
use chatward_store::{Changed, Judge, Store, TrailEntry, UserChange, UserRow, UserState};
use chatward_types::{Error, EventName, Kind, Outcome, Result, Role, Scope, Secret, Severity, UserId};
use serde_json::{Value, json};
use std::sync::Arc;
use unicode_normalization::UnicodeNormalization as _;

/// Whoever is to become a user.
#[derive(Debug)]
pub struct NewUser {
    /// The e-mail address, as it was written.
    pub email: String,
    /// The full name.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// The password.
    pub password: Secret<String>,
}

/// An address in the form in which it is compared: lower case, one spelling.
///
/// # Errors
/// [`Kind::Invalid`] for what is no address.
pub fn normal_email(text: &str) -> Result<String> {
    let normal: String = text.trim().nfkc().collect::<String>().to_lowercase();
    let fine = normal.len() <= 254
        && normal
            .split_once('@')
            .is_some_and(|(local, host)| !local.is_empty() && !host.is_empty() && !host.contains('@'))
        && !normal.chars().any(|c| c.is_control() || c.is_whitespace());
    if fine { Ok(normal) } else { Err(Error::invalid("Field `email` takes an e-mail address of at most 254 bytes.")) }
}

/// Checks everything about a new user, at no cost.
///
/// # Errors
/// [`Kind::Invalid`] with what to do.
pub(super) fn check(app: &App, new: &NewUser) -> Result<()> {
    let (email, name) = (normal_email(&new.email)?, normal_name(&new.name)?);
    passwords::check(app, &new.password, &[&email, name])
}

/// Checks everything about a new user and hashes the password.
///
/// # Errors
/// [`Kind::Invalid`] with what to do; [`Kind::Unavailable`] when too many passwords are hashed already.
pub async fn prepare(app: &App, new: &NewUser) -> Result<UserRow> {
    check(app, new)?;
    let proof = passwords::hash(app, &new.password).await?;
    row(app, normal_email(&new.email)?, normal_name(&new.name)?, new.role, proof)
}

/// A full name without what surrounds it.
///
/// # Errors
/// [`Kind::Invalid`] for none, a long one, or one with control characters.
pub(super) fn normal_name(text: &str) -> Result<&str> {
    let name = text.trim();
    if name.is_empty() || name.chars().count() > 200 || name.chars().any(char::is_control) {
        return Err(Error::invalid("Field `full_name` takes 1 to 200 characters on one line."));
    }
    Ok(name)
}

fn row(app: &App, email: String, name: &str, role: Role, proof: String) -> Result<UserRow> {
    let now = app.clock.now();
    Ok(UserRow {
        id: UserId::generate(app.clock.as_ref(), app.entropy.as_ref())?,
        email,
        name: name.to_owned(),
        role,
        password: proof,
        state: UserState::Active,
        created_at: now,
        updated_at: now,
    })
}

/// Adds a user, at the operator's wish.
///
/// # Errors
/// As [`prepare`]; [`Kind::Conflict`] when the address has an account.
pub async fn add(app: &App, scope: &Scope, new: &NewUser) -> Result<UserRow> {
    let row = prepare(app, new).await?;
    insert(app, scope, &row, "user added").await?;
    Ok(row)
}

/// Adds a user from elsewhere, whose password nobody here knows; the next login upgrades what proves it.
///
/// # Errors
/// [`Kind::Invalid`] for a proof of another form than argon2id or bcrypt; [`Kind::Conflict`] as [`add`].
pub async fn import(app: &App, scope: &Scope, email: &str, name: &str, role: Role, proof: &str) -> Result<UserRow> {
    if !passwords::is_proof(proof) {
        return Err(Error::invalid(
            "The hash takes the form of bcrypt ($2b$, cost 4 to 14) or argon2id (at least 19 MiB and two passes).",
        ));
    }
    let row = row(app, normal_email(email)?, normal_name(name)?, role, proof.to_owned())?;
    insert(app, scope, &row, "user imported").await?;
    Ok(row)
}

async fn insert(app: &App, scope: &Scope, row: &UserRow, what: &str) -> Result<()> {
    let detail = json!({ "what": what, "role": row.role.as_str() });
    let store = audited(app, scope, &Actor::Operator, row.id, &detail)?;
    let added = store.insert_user(scope, row, &app.account_keys.lookup(&row.email)).await;
    added.map_err(|error| match error.kind() {
        Kind::Conflict => Error::new(Kind::Conflict, "conflict", "This address has an account already."),
        _ => error,
    })?;
    tell(app, scope, None, format!("user {} was added as {}", row.id, row.role.as_str()));
    Ok(())
}

/// The user of an owner that an address or an id names.
///
/// # Errors
/// [`Kind::NotFound`] when there is none.
pub async fn named(app: &App, scope: &Scope, text: &str) -> Result<UserRow> {
    let id = match text.parse::<UserId>() {
        Ok(id) => Some(id),
        Err(_) => {
            let found = app.store.find_user(&app.account_keys.lookup(&normal_email(text)?)).await?;
            found.filter(|(owner, _)| *owner == scope.owner()).map(|(_, id)| id)
        }
    };
    let row = match id {
        Some(id) => app.store.get_user(scope, id).await?,
        None => None,
    };
    row.ok_or_else(|| {
        Error::new(Kind::NotFound, "not_found", "There is no such user. `chatward user list` shows them.")
    })
}

/// Lets a user in or shuts them out, at the operator's wish; whoever is shut out loses every login at once.
///
/// # Errors
/// [`Kind::Conflict`] for the last owner; [`Kind::NotFound`] without such a user.
pub async fn set_state(app: &App, scope: &Scope, id: UserId, state: UserState) -> Result<()> {
    let wish = UserChange { state: Some(state), ..UserChange::default() };
    change(app, scope, &Actor::Operator, id, &wish, None, None).await
}

/// Gives a user another role, at the operator's wish.
///
/// # Errors
/// As [`set_state`].
pub async fn set_role(app: &App, scope: &Scope, id: UserId, role: Role) -> Result<()> {
    let wish = UserChange { role: Some(role), ..UserChange::default() };
    change(app, scope, &Actor::Operator, id, &wish, None, None).await
}

/// Sets another password at the operator's wish, ends every login and lets attempts begin anew.
///
/// # Errors
/// [`Kind::Invalid`] for a password that is refused; [`Kind::NotFound`] without such a user.
pub async fn reset_password(app: &App, scope: &Scope, user: &UserRow, password: &Secret<String>) -> Result<()> {
    passwords::check(app, password, &[&user.email, &user.name])?;
    let proof = passwords::hash(app, password).await?;
    let store = audited(app, scope, &Actor::Operator, user.id, &json!({ "what": "password set" }))?;
    if !store.reset_user_password(scope, user.id, &proof, app.clock.now()).await? {
        return Err(Error::not_found());
    }
    app.store.forget_login_attempts(&app.account_keys.lookup(&user.email)).await?;
    tell(app, scope, None, format!("the password of user {} was set anew", user.id));
    Ok(())
}

/// Lets attempts begin anew, at the operator's wish. `false` when none were counted.
///
/// # Errors
/// When the store fails.
pub async fn unlock(app: &App, scope: &Scope, user: &UserRow) -> Result<bool> {
    forget_attempts(app, scope, &Actor::Operator, user, None).await
}

/// Lets attempts on a user's account begin anew.
pub(super) async fn forget_attempts(
    app: &App,
    scope: &Scope,
    by: &Actor,
    user: &UserRow,
    client: Option<&Client>,
) -> Result<bool> {
    let store = audited(app, scope, by, user.id, &json!({ "what": "attempts forgotten" }))?;
    let forgotten = store.forget_login_attempts(&app.account_keys.lookup(&user.email)).await?;
    if forgotten {
        tell(app, scope, client, format!("user {} may try again to log in, by {}", user.id, by.text()));
    }
    Ok(forgotten)
}

/// Changes a user with a record of the audit trail, or not at all; only shutting somebody out does not wait for it.
pub(super) async fn change(
    app: &App,
    scope: &Scope,
    by: &Actor,
    id: UserId,
    wish: &UserChange,
    judge: Option<Judge>,
    client: Option<&Client>,
) -> Result<()> {
    let (role, state) = (wish.role.map(Role::as_str), wish.state.map(UserState::as_str));
    // A name is somebody's; the trail keeps for good what is in it.
    let detail = json!({ "what": "user changed", "role": role, "state": state, "name": wish.name.is_some() });
    let entry = record(app, scope, by, id, &detail)?;
    let now = app.clock.now();
    let changed = if wish.state == Some(UserState::Disabled) {
        if wish.role.is_some() || wish.name.is_some() {
            return Err(Error::invalid(
                "Disable a user in a request of its own: it holds even where nothing else can be changed.",
            ));
        }
        let act = |store: Store| async move { store.change_user(scope, id, wish, judge, now).await };
        trail::always_of(app, entry, |changed| *changed == Changed::Done, act).await?
    } else {
        trail::audited(app, entry).change_user(scope, id, wish, judge, now).await?
    };
    settle(changed)?;
    let what: Vec<&str> = [role, state, wish.name.as_ref().map(|_| "called otherwise")].into_iter().flatten().collect();
    tell(app, scope, client, format!("user {id} is {} now, by {}", what.join(" and "), by.text()));
    Ok(())
}

/// What a change came to, as whoever asked for it is told.
pub(super) fn settle(changed: Changed) -> Result<()> {
    match changed {
        Changed::Done => Ok(()),
        Changed::Missing => Err(Error::not_found()),
        Changed::LastOwner => Err(Error::new(
            Kind::Conflict,
            "last_owner",
            "Nobody who may do everything would be left. Make another user an owner first.",
        )),
        Changed::Forbidden => Err(Error::new(
            Kind::Forbidden,
            "role_too_high",
            "Nobody changes a user above their own role, or gives a role above it.",
        )),
    }
}

/// The store for one change of a user, which happens with this record or not at all.
pub(super) fn audited(app: &App, scope: &Scope, by: &Actor, id: UserId, detail: &Value) -> Result<Store> {
    Ok(trail::audited(app, record(app, scope, by, id, detail)?))
}

fn record(app: &App, scope: &Scope, by: &Actor, id: UserId, detail: &Value) -> Result<Arc<TrailEntry>> {
    trail::entry(app, EventName::UserChanged, by, Some(scope.owner()), &id.to_string(), detail)
}

/// Tells that something about users changed.
pub(super) fn tell(app: &App, scope: &Scope, client: Option<&Client>, what: String) {
    let event = app.event(EventName::UserChanged, Severity::Info, Outcome::Success).owner(scope.owner()).detail(what);
    match client {
        Some(client) => event.of(client).emit(),
        None => event.emit(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_one_form() {
        for same in ["Ann@Example.test", " ann@example.TEST ", "\u{ff41}nn@example.test"] {
            assert_eq!(normal_email(same).ok().as_deref(), Some("ann@example.test"), "{same}");
        }
        for bad in ["", "ann", "@x", "ann@", "a@b@c", "a b@c", "a\n@c", &format!("{}@x.test", "a".repeat(250))] {
            assert!(normal_email(bad).is_err(), "{bad:?}");
        }
    }
}
