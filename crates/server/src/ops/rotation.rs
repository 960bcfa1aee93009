//! Rotation of signing keys: a new one signs, the old ones check until what they signed has ended, or not at all any more.
//!
//! Owns: how long a key goes on checking (the longest life of its purpose's tokens by the settings of this moment, and a
//! minute for clocks that differ), what a cut ends beside the tokens, and the ages. A rotation commits with its record of
//! the audit trail; a cut, which ends an incident, happens without one if need be. Keys that make names rather than tokens
//! (`session`, `account`) are not rotated: what they made would be found no more. Never signs.

use crate::app::App;
use crate::config::Config;
use crate::ops::signing::{self, Life, PURPOSES, SKEW};
use crate::ops::trail::{self, Actor};
use crate::ops::{installation, master_key, master_key_files};
use chatward_store::KeyEnd;
use chatward_types::{DAY, Error, EventName, HOUR, Kind, MINUTE, Outcome, Result, SECOND, Severity, Timestamp};
use serde_json::json;
use std::sync::atomic::{AtomicU64, Ordering};

/// Keys of one purpose that are kept; what is evidence keeps its keys for ever.
const MOST: usize = 500;
/// What the master key is called among the ages.
pub const MASTER: &str = "master key";
/// The setting that says on which day the last warning was given.
const WARNED: &str = "signing.warned";

/// A rotation that is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotated {
    /// What the keys sign.
    pub purpose: &'static str,
    /// The new key's public name.
    pub kid: String,
    /// What it signs by.
    pub algorithm: &'static str,
    /// How the keys before it end.
    pub before: Before,
    /// Logins that were ended.
    pub logins_ended: u64,
}

/// What became of the keys before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    /// They check until then.
    Until(Timestamp),
    /// They check for ever, since what they signed is evidence.
    Kept,
    /// Whatever they signed has ended.
    Cut,
}

/// A key and its age.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Age {
    /// What it is for.
    pub purpose: String,
    /// Its public name.
    pub id: String,
    /// What it signs by, if it signs tokens.
    pub algorithm: Option<String>,
    /// `signs`, `checks`, `wraps` or `held` of a master key, or `in use` for a key that is not rotated.
    pub state: &'static str,
    /// When it was made or first seen, in microseconds.
    pub since: Timestamp,
    /// Until when it checks.
    pub until: Option<Timestamp>,
    /// Whether it signs longer than the rotation period already.
    pub overdue: bool,
}

/// Every name that [`rotate`] takes.
pub fn names() -> Vec<&'static str> {
    PURPOSES.iter().map(|purpose| purpose.name).chain([trail::PURPOSE]).collect()
}

/// Rotates the ring of one purpose; `cut` ends at once whatever its keys have signed, and for users every login, open
/// invitation and recovery of every owner too.
///
/// # Errors
/// [`Kind::Invalid`] for a name that is none, or a cut of the trail's keys; [`Kind::Conflict`] when too many keys check
/// still; else when the store, the vault or the entropy source fails.
pub async fn rotate(app: &App, name: &str, cut: bool, by: &Actor) -> Result<Rotated> {
    let Some(purpose) = names().into_iter().find(|known| *known == name) else {
        return Err(Error::invalid(format!("There is no such ring. Name one of {}, or all.", names().join(", "))));
    };
    if cut && purpose == trail::PURPOSE {
        return Err(Error::invalid(
            "The trail's earlier keys cannot be cut off: its records would no longer be shown to be true. Rotate without --now.",
        ));
    }
    if !cut && app.store.signing_keys(purpose).await?.len() >= MOST {
        return Err(Error::new(
            Kind::Conflict,
            "too_many_keys",
            "Too many earlier keys of this ring check still. Wait until some have ended, or cut them off with --now.",
        ));
    }
    let now = app.clock.now();
    let row = app.signing_source().make(purpose)?;
    let under = app.vault.wrapper_of_sealed(&row.sealed)?;
    let before = match (cut, life(purpose)) {
        (true, _) => Before::Cut,
        (false, Life::Evidence) => Before::Kept,
        (false, life) => Before::Until(now + longest(&app.config, life) + SKEW),
    };
    let end = match before {
        Before::Until(until) => KeyEnd::Checks(Some(until)),
        Before::Kept => KeyEnd::Checks(None),
        Before::Cut => KeyEnd::Cut { people: purpose == signing::USER.name },
    };
    let detail = json!({ "kid": row.kid, "algorithm": row.algorithm, "cut": cut });
    let entry = trail::entry(app, EventName::SigningKeyRotated, by, None, purpose, &detail)?;
    let ended = AtomicU64::new(0);
    let act = async |store: chatward_store::Store| {
        ended.store(store.sealed_under(&under).rotate_signing_key(&row, end, now).await?, Ordering::Relaxed);
        Ok(true)
    };
    if cut {
        trail::always(app, entry, act).await?;
    } else {
        act(trail::audited(app, entry)).await?;
    }
    reload(app, Some(purpose)).await?;
    let severity = if cut { Severity::Warning } else { Severity::Info };
    let how = if cut { "cut off" } else { "rotated" };
    let event = app.event(EventName::SigningKeyRotated, severity, Outcome::Success);
    event.detail(format!("the ring of {purpose} was {how}; {} signs by {}", row.kid, row.algorithm)).emit();
    let algorithm = app.signing_source().algorithm(purpose).as_str();
    Ok(Rotated { purpose, kid: row.kid, algorithm, before, logins_ended: ended.into_inner() })
}

/// Rotates every ring. A cut leaves what is evidence to be checked: it admits nobody.
///
/// # Errors
/// As [`rotate`]; the rings before the one that failed are rotated.
pub async fn rotate_all(app: &App, cut: bool, by: &Actor) -> Result<Vec<Rotated>> {
    let mut done = Vec::new();
    for name in names() {
        done.push(rotate(app, name, cut && life(name) != Life::Evidence, by).await?);
    }
    Ok(done)
}

/// Reads the rings again: one purpose's, or all.
///
/// # Errors
/// When the store or the vault fails; what could not be read stays as it is.
pub async fn reload(app: &App, purpose: Option<&str>) -> Result<()> {
    if load(app, purpose).await.is_err() {
        // The key may be sealed under a master key that was put into the file since it was read.
        master_key_files::look_again(app).await;
        load(app, purpose).await?;
    }
    app.sockets.wake_all();
    Ok(())
}

async fn load(app: &App, purpose: Option<&str>) -> Result<()> {
    if purpose.is_none_or(|name| name == trail::PURPOSE) {
        app.trail.reload(app.signing_source()).await?;
    }
    app.tokens.reload(app.signing_source(), purpose).await
}

/// Every signing key with its age, and the master keys that are held: the one that wraps since it was first seen.
///
/// # Errors
/// When the store fails.
pub async fn ages(app: &App) -> Result<Vec<Age>> {
    let now = app.clock.now();
    let period = i64::from(app.config.keys.rotation_days) * DAY;
    let mut ages = Vec::new();
    let ring = app.vault.ring();
    let until = master_key::overlap_end(app).await?;
    for id in ring.ids() {
        // One that never wrapped is as young as can be: it was prepared, and nothing is under it.
        let since = app.store.get_setting(&installation::master_key_setting(id)).await?;
        let since = since.map_or(Ok(now), |since| since.parse()).map_err(Error::internal)?;
        let wraps = ring.id() == id;
        ages.push(Age {
            purpose: MASTER.to_owned(),
            id: id.to_owned(),
            algorithm: None,
            state: if wraps { "wraps" } else { "held" },
            since,
            until: if wraps { None } else { until },
            overdue: wraps && now - since >= period,
        });
    }
    for row in app.store.all_signing_keys().await? {
        let is_rotated = names().contains(&row.purpose.as_str());
        let signs = row.state == "active" && row.until_at.is_none();
        ages.push(Age {
            overdue: is_rotated && signs && now - row.created_at >= period,
            algorithm: PURPOSES.iter().any(|purpose| purpose.name == row.purpose).then_some(row.algorithm),
            purpose: row.purpose,
            id: row.kid,
            state: match (is_rotated, signs) {
                (false, _) => "in use",
                (true, true) => "signs",
                (true, false) => "checks",
            },
            since: row.created_at,
            until: row.until_at,
        });
    }
    Ok(ages)
}

/// Which rings are overdue, in words; nothing when none is. The master key is told with the keys that are rotated one by one.
///
/// # Errors
/// When the store fails.
pub async fn overdue(app: &App) -> Result<Option<String>> {
    let late = ages(app).await?.into_iter().filter(|age| age.overdue && age.purpose != MASTER);
    let mut late: Vec<String> = late.map(|age| age.purpose).collect();
    late.dedup();
    Ok((!late.is_empty()).then(|| late.join(", ")))
}

/// Tells once a day, on whichever node is first, which rings are overdue.
///
/// # Errors
/// When the store fails; the next turn does it.
pub async fn remind(app: &App) -> Result<()> {
    let day = app.clock.now().div_euclid(DAY).to_string();
    if app.store.get_setting(WARNED).await?.is_some_and(|last| last == day) {
        return Ok(());
    }
    if let Some(late) = overdue(app).await?
        && app.store.advance_setting(WARNED, &day).await?
    {
        let days = app.config.keys.rotation_days;
        let event = app.event(EventName::KeyOverdue, Severity::Warning, Outcome::Failure);
        event.detail(format!("older than {days} days: the signing keys of {late}; chatward secret rotate")).emit();
    }
    Ok(())
}

/// Removes keys that check no more.
///
/// # Errors
/// When the store fails; the next turn does it.
pub async fn sweep(app: &App, now: Timestamp) -> Result<u64> {
    app.store.prune_signing_keys(now).await
}

/// How long the tokens of a purpose live; the trail's records live for ever.
fn life(name: &str) -> Life {
    PURPOSES.iter().find(|purpose| purpose.name == name).map_or(Life::Evidence, |purpose| purpose.life)
}

fn longest(config: &Config, life: Life) -> Timestamp {
    match life {
        Life::Seconds(seconds) => seconds * SECOND,
        Life::Access => i64::from(config.accounts.access_minutes) * MINUTE,
        Life::Idle => i64::from(config.sessions.idle_hours) * HOUR,
        Life::Evidence => 0,
    }
}
