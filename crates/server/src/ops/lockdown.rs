//! The lockdown: while it is on, nobody is served but probes and the command line, on any node.
//!
//! Owns: the switch, which survives a restart and acts even where it cannot be recorded. What a refusal looks like is
//! the middleware's.

use crate::app::App;
use crate::ops::blocks;
use crate::ops::trail::{self, Actor};
use chatward_store::{LockdownRow, Store};
use chatward_types::{EventName, Outcome, Result, Severity};
use serde_json::json;

/// Switches it on. `false` when it was on already.
///
/// # Errors
/// [`chatward_types::Kind::Invalid`] for a reason that is too long; else when the store fails.
pub async fn begin(app: &App, reason: &str, by: &Actor) -> Result<bool> {
    blocks::check_reason(reason)?;
    let row = LockdownRow { reason: reason.to_owned(), created_by: by.text(), created_at: app.clock.now() };
    let act = |store: Store| {
        let row = &row;
        async move { store.set_lockdown(row).await }
    };
    switch(app, "on", reason, by, act).await
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
