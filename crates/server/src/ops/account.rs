//! What users do to their own account: another name, another password, leaving.
//!
//! A new password and leaving need the current password, counted like an attempt to log in, so that a stolen token alone
//! neither takes an account over nor removes it. A new password ends every other login. Never touches another user.

use crate::app::App;
use crate::client::Client;
use crate::ops::logins::Person;
use crate::ops::trail::Actor;
use crate::ops::users::{self, audited};
use crate::ops::{backoff, passwords, second_factor};
use chatward_store::{Changed, UserChange, UserRow};
use chatward_types::{Error, EventName, Kind, Outcome, Result, Scope, Secret, Severity};
use serde_json::json;

/// Changes the person's own name.
///
/// # Errors
/// [`Kind::Invalid`] for what is no name.
pub async fn rename(app: &App, person: &Person, name: &str, client: &Client) -> Result<String> {
    let name = users::normal_name(name)?.to_owned();
    let wish = UserChange { name: Some(name.clone()), ..UserChange::default() };
    let by = Actor::User(person.user);
    users::change(app, &Scope::of(person.owner), &by, person.user, &wish, None, Some(client)).await?;
    Ok(name)
}

/// Puts another password in the place of the current one and ends every other login.
///
/// # Errors
/// [`Kind::Forbidden`], `password_wrong`, for a wrong current one; [`Kind::Limited`] after too many attempts;
/// [`Kind::Invalid`] for a new one that is refused; [`Kind::Unavailable`] when too many passwords are checked.
pub async fn change_password(
    app: &App,
    person: &Person,
    (current, new): (&Secret<String>, &Secret<String>),
    client: &Client,
) -> Result<()> {
    passwords::check(app, new, &[&person.email, &person.name])?;
    if current.expose().len() > passwords::LONGEST {
        return Err(Error::invalid("Field `current_password` takes at most 256 bytes."));
    }
    let login = person.own_login()?;
    let (scope, lookup) = (Scope::of(person.owner), app.account_keys.lookup(&person.email));
    let user = prove(app, person, current, client).await?;
    backoff::succeed(app, &lookup, client).await?;
    let proof = passwords::hash(app, new).await?;
    let detail = json!({ "what": "password changed" });
    let store = audited(app, &scope, &Actor::User(person.user), person.user, &detail)?;
    let change = (user.password.as_str(), proof.as_str());
    if !store.change_user_password(&scope, person.user, change, login, app.clock.now()).await? {
        // Another request was first, and with it this password is not the current one any more.
        return Err(refuse(app, &scope, client));
    }
    users::tell(app, &scope, Some(client), format!("user {} changed their password; other logins ended", person.user));
    Ok(())
}

/// Removes the person's own account, once they have proved that it is theirs as at a login: by the password, and by a code
/// where they have a second factor.
///
/// Nobody leaves by the token of an outside issuer alone: it is no proof that its bearer is there at this moment, and
/// whoever was made a user by one has a password that nobody has seen. An administrator removes them, or makes a recovery
/// link, by which they set one.
///
/// # Errors
/// [`Kind::Forbidden`]: `password_wrong`, and behind a right password `second_factor_needed` or `second_factor_refused`;
/// [`Kind::Conflict`]: `last_owner`, and `no_login` for a token of an outside issuer; [`Kind::Limited`] after too many
/// attempts; [`Kind::Unavailable`] when too many passwords are checked.
pub async fn leave(
    app: &App,
    person: &Person,
    (password, code): (&Secret<String>, Option<&Secret<String>>),
    client: &Client,
) -> Result<()> {
    person.own_login()?;
    if password.expose().len() > passwords::LONGEST {
        return Err(Error::invalid("Field `password` takes at most 256 bytes."));
    }
    let (scope, lookup) = (Scope::of(person.owner), app.account_keys.lookup(&person.email));
    let user = prove(app, person, password, client).await?;
    let factor_since = second_factor::at_login(app, &scope, person.user, code, client).await.map_err(here)?;
    backoff::succeed(app, &lookup, client).await?;
    let store = audited(app, &scope, &Actor::User(person.user), person.user, &json!({ "what": "user left" }))?;
    match store.delete_own_user(&scope, person.user, (&user.password, factor_since), app.clock.now()).await? {
        // Another request was first, and with it what was proved is not what is asked for any more.
        Changed::Forbidden => return Err(refuse(app, &scope, client)),
        changed => users::settle(changed)?,
    }
    users::tell(app, &scope, Some(client), format!("user {} left", person.user));
    Ok(())
}

/// The person's row, if this is their password; the attempt is counted first and stays so.
async fn prove(app: &App, person: &Person, password: &Secret<String>, client: &Client) -> Result<UserRow> {
    let (scope, lookup) = (Scope::of(person.owner), app.account_keys.lookup(&person.email));
    backoff::count(app, &lookup, client).await?;
    let user = app.store.get_user(&scope, person.user).await?.ok_or_else(Error::not_found)?;
    if !passwords::verify(app, password, Some(&user.password)).await?.right {
        return Err(refuse(app, &scope, client));
    }
    Ok(user)
}

/// A refusal of a login, for somebody whose login holds: another one would not help.
fn here(error: Error) -> Error {
    if error.kind() != Kind::Unauthenticated {
        return error;
    }
    Error::new(Kind::Forbidden, error.code(), error.public().to_owned())
}

fn refuse(app: &App, scope: &Scope, client: &Client) -> Error {
    let event = app.event(EventName::LoginFailed, Severity::Warning, Outcome::Refused).of(client);
    event.owner(scope.owner()).detail("a current password that is wrong").emit();
    Error::new(Kind::Forbidden, "password_wrong", "The current password is not this one. Nothing was changed.")
}
