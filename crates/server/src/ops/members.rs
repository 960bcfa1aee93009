//! What users do to the other users of their owner: see them, change them, remove them, let them in again.
//!
//! Owns the one rule of rank: whoever acts is at least an administrator, nobody touches a user above their own role or
//! gives a role above it, so that owners alone make and unmake owners. It is judged inside the transaction, as both of them
//! are then. Another owner's users are not there.

use crate::app::App;
use crate::client::Client;
use crate::ops::logins::Person;
use crate::ops::trail::Actor;
use crate::ops::users::{self, audited};
use chatward_store::{Judge, UserChange, UserRow};
use chatward_types::{Error, Kind, Result, Role, Scope, UserId};
use serde_json::json;

/// The most users of a page.
pub const PAGE: u32 = 100;

/// A page of users.
#[derive(Debug)]
pub struct Page {
    /// In the order of their ids, which is that of their making.
    pub users: Vec<UserRow>,
    /// Behind whom the next page begins, if there is one.
    pub next: Option<UserId>,
}

/// Whether one user may do something to another, who would have this role then.
pub(super) fn may(acting: &UserRow, target: &UserRow, role: Role) -> bool {
    acting.role >= Role::Admin && acting.role >= target.role && acting.role >= role
}

/// The judge of what a person does.
pub(super) fn judge(by: &Person) -> Option<Judge> {
    Some(Judge { by: by.user, may })
}

/// A page of the owner's users.
///
/// # Errors
/// [`Kind::Invalid`] for a page of none or more than a hundred.
pub async fn list(app: &App, scope: &Scope, after: Option<UserId>, limit: u32) -> Result<Page> {
    if !(1..=PAGE).contains(&limit) {
        return Err(Error::invalid("Parameter `limit` takes 1 to 100."));
    }
    let mut users = app.store.page_users(scope, after, limit + 1).await?;
    let more = users.len() > limit as usize;
    users.truncate(limit as usize);
    let next = users.last().filter(|_| more).map(|row| row.id);
    Ok(Page { users, next })
}

/// One user of the owner.
///
/// # Errors
/// [`Kind::NotFound`] without such a user.
pub async fn get(app: &App, scope: &Scope, id: UserId) -> Result<UserRow> {
    app.store.get_user(scope, id).await?.ok_or_else(Error::not_found)
}

/// Changes a user and returns them as they are then.
///
/// # Errors
/// [`Kind::Forbidden`] against the rule of rank; [`Kind::Conflict`] for the last owner; [`Kind::NotFound`] without such a
/// user; [`Kind::Invalid`] for a name that is none, nothing at all, or a disabling beside something else.
pub async fn change(app: &App, by: &Person, id: UserId, wish: UserChange, client: &Client) -> Result<UserRow> {
    let scope = Scope::of(by.owner);
    let name = wish.name.as_deref().map(users::normal_name).transpose()?.map(str::to_owned);
    let wish = UserChange { name, ..wish };
    if wish == UserChange::default() {
        return Err(Error::invalid("Send at least one of `full_name`, `role` and `state`."));
    }
    users::change(app, &scope, &Actor::User(by.user), id, &wish, judge(by), Some(client)).await?;
    get(app, &scope, id).await
}

/// Removes a user, with their logins and open invitations. The audit trail keeps the id alone.
///
/// # Errors
/// As [`change`].
pub async fn remove(app: &App, by: &Person, id: UserId, client: &Client) -> Result<()> {
    let scope = Scope::of(by.owner);
    let store = audited(app, &scope, &Actor::User(by.user), id, &json!({ "what": "user removed" }))?;
    users::settle(store.delete_user(&scope, id, judge(by), app.clock.now()).await?)?;
    users::tell(app, &scope, Some(client), format!("user {id} was removed, by user {}", by.user));
    Ok(())
}

/// Lets attempts on a user's account begin anew.
///
/// # Errors
/// [`Kind::Forbidden`] against the rule of rank; [`Kind::NotFound`] without such a user.
pub async fn unlock(app: &App, by: &Person, id: UserId, client: &Client) -> Result<()> {
    let scope = Scope::of(by.owner);
    let user = get(app, &scope, id).await?;
    if by.role < user.role {
        return Err(Error::new(Kind::Forbidden, "role_too_high", "Nobody unlocks a user above their own role."));
    }
    users::forget_attempts(app, &scope, &Actor::User(by.user), &user, Some(client)).await.map(|_| ())
}
