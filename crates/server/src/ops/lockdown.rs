//! The lockdown: while it is on, nobody is served but probes, the command line, and administrators with an access token.
//!
//! Owns: the switch, which survives a restart and acts even where it cannot be recorded, and who is an administrator then:
//! a user of the installation's own owner, at least `admin`, by a token that holds. Nobody logs in meanwhile unless whoever
//! switched it on said so: a leaked password is the likely reason. What a refusal looks like is the middleware's.

use crate::app::App;
use crate::ops::trail::{self, Actor};
use crate::ops::{blocks, logins};
use chatward_store::{LockdownRow, Store};
use chatward_types::{EventName, Outcome, Result, Role, Severity};
use serde_json::json;

/// Switches it on, or changes whether people may log in meanwhile. `false` when it was so already.
///
/// # Errors
/// [`chatward_types::Kind::Invalid`] for a reason that is too long; else when the store fails.
pub async fn begin(app: &App, reason: &str, allow_sign_in: bool, by: &Actor) -> Result<bool> {
    blocks::check_reason(reason)?;
    let row =
        LockdownRow { reason: reason.to_owned(), created_by: by.text(), created_at: app.clock.now(), allow_sign_in };
    let act = |store: Store| {
        let row = &row;
        async move { store.set_lockdown(row).await }
    };
    switch(app, if allow_sign_in { "on, with logging in" } else { "on" }, reason, by, act).await
}

/// Whether an access token is one of an administrator, who is served in a lockdown too.
///
/// # Errors
/// When the store fails.
pub async fn serves(app: &App, token: &str) -> Result<bool> {
    let person = logins::recognise(app, token).await?;
    let administers = |person: &logins::Person| person.owner == app.owner && person.role >= Role::Admin;
    // Whoever must prove a second factor first has not proved yet who they are.
    Ok(person.is_ok_and(|person| administers(&person) && !person.must_enrol))
}

/// Switches it off. `false` when it was not on.
///
/// # Errors
/// When the store fails.
pub async fn end(app: &App, reason: &str, by: &Actor) -> Result<bool> {
    blocks::check_reason(reason)?;
    let now = app.clock.now();
    switch(app, "off", reason, by, |store: Store| async move { store.lift_lockdown(now).await }).await
}

async fn switch<F>(app: &App, to: &'static str, reason: &str, by: &Actor, act: impl Fn(Store) -> F) -> Result<bool>
where
    F: Future<Output = Result<bool>>,
{
    let name = EventName::LockdownChanged;
    let entry = trail::entry(app, name, by, None, "lockdown", &json!({ "what": to, "reason": reason }))?;
    let changed = trail::always(app, entry, act).await?;
    if changed {
        app.event(name, Severity::Error, Outcome::Success).detail(format!("switched {to} by {}", by.text())).emit();
    }
    blocks::refresh(app).await?;
    Ok(changed)
}
