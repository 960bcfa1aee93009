//! How old keys are, and that somebody is told when one is due for another.
//!
//! An issued key is as old as its making. A key that the configuration brings is as old as the first sight of its
//! fingerprint, a keyed hash under a key of ours that is made for this alone; neither the key nor a plain hash of it is
//! stored. Told once a day by one node. A key that is due goes on working: whoever rotates it decides when.

use crate::app::App;
use crate::ops::installation;
use crate::ops::issued_keys::KeyState;
use chatward_types::{DAY, Error, EventName, Outcome, OwnerId, Result, Scope, Secret, Severity, Timestamp};
use chatward_vault::hmac_sha256;
use serde::Serialize;

/// The purpose of the key that makes fingerprints.
const PURPOSE: &str = "fingerprint";
/// Owners whose keys are looked at together.
const OWNERS_AT_ONCE: u32 = 500;
/// The day that was told last, and by which node.
const TOLD: &str = "keys.ages_told";

/// A key with its age.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Aged {
    /// `secret`, `publishable`, `provider`, `configured` or `master`.
    pub kind: &'static str,
    /// The public id, the publishable key, the provider's name or the setting's.
    pub name: String,
    /// Where it comes from: `database`, `file` or `configuration` (which includes the environment).
    pub source: &'static str,
    /// Whole days.
    pub days: i64,
    /// Whether it is past the rotation period.
    pub due: bool,
    /// What rotates it.
    pub fix: String,
    /// Whose it is, unless it is the installation's.
    #[serde(skip)]
    pub owner: Option<OwnerId>,
}

/// Every key that is issued and holds, and every one that the configuration brings, oldest first.
///
/// # Errors
/// When the store or the vault fails.
pub async fn report(app: &App) -> Result<Vec<Aged>> {
    let now = app.clock.now();
    let mut ages = configured(app, now).await?;
    issued(app, |key| ages.push(key)).await?;
    ages.push(master(app, now).await?);
    ages.sort_by(|one, other| other.days.cmp(&one.days).then_with(|| one.name.cmp(&other.name)));
    Ok(ages)
}

/// Notes the first sight of keys that the configuration brings: at a start, and when one was replaced.
///
/// # Errors
/// When the store or the vault fails; the next look at the ages notes it.
pub async fn sight(app: &App) -> Result<()> {
    configured(app, app.clock.now()).await.map(|_| ())
}

/// Tells of each key that is due, once a day whichever node comes first; returns how many were told.
///
/// # Errors
/// When the store or the vault fails.
pub async fn tell_due(app: &App) -> Result<usize> {
    if !claim_day(app).await? {
        return Ok(0);
    }
    let mut told = 0;
    let mut tell = |key: Aged| {
        if key.due {
            told += 1;
            tell_one(app, &key);
        }
    };
    let now = app.clock.now();
    configured(app, now).await?.into_iter().for_each(&mut tell);
    tell(master(app, now).await?);
    issued(app, tell).await?;
    Ok(told)
}

fn tell_one(app: &App, key: &Aged) {
    let text = format!("the {} key {} is {} days old; rotate it: {}", key.kind, key.name, key.days, key.fix);
    tracing::warn!(key = key.name, days = key.days, "a key is due for rotation");
    let event = app.event(EventName::KeyOverdue, Severity::Warning, Outcome::Success).detail(text);
    match key.owner {
        Some(owner) => event.owner(owner).emit(),
        None => event.emit(),
    }
}

/// Whether this node is the first of today.
async fn claim_day(app: &App) -> Result<bool> {
    let today = app.clock.now().div_euclid(DAY);
    let mine = format!("{today}:{}", app.node);
    match app.store.get_setting(TOLD).await? {
        None => Ok(app.store.set_setting_if_absent(TOLD, &mine).await? == mine),
        Some(last)
            if last.split(':').next().and_then(|day| day.parse::<i64>().ok()).is_some_and(|day| day >= today) =>
        {
            Ok(false)
        }
        Some(last) => app.store.swap_setting(TOLD, &last, &mine).await,
    }
}

/// Gives every issued key that holds to `take`, owner by owner.
async fn issued(app: &App, mut take: impl FnMut(Aged)) -> Result<()> {
    let mut after = None;
    loop {
        let owners = app.store.admin_owners(after, OWNERS_AT_ONCE).await?;
        let Some(last) = owners.last() else { return Ok(()) };
        after = Some(*last);
        for owner in owners {
            issued_of(app, owner, &mut take).await?;
        }
    }
}

async fn issued_of(app: &App, owner: OwnerId, take: &mut impl FnMut(Aged)) -> Result<()> {
    let (scope, now) = (Scope::of(owner), app.clock.now());
    for key in app.store.list_issued_keys(&scope).await? {
        // One with a successor is rotated already, and ends by itself.
        if KeyState::of(&key, now) == KeyState::Holds {
            let fix = format!("chatward key rotate {}", key.id);
            take(aged(app, ("secret", key.id), key.created_at, fix, Some(owner)));
        }
    }
    for site in app.store.list_sites(&scope).await? {
        let keys = app.store.site_keys(&scope, site.id).await?;
        for key in keys.into_iter().filter(|key| key.honoured_until.is_none()) {
            let fix = format!("chatward key rotate {}", key.publishable_key);
            let since = key.made_at.unwrap_or(site.created_at);
            take(aged(app, ("publishable", key.publishable_key), since, fix, Some(owner)));
        }
    }
    Ok(())
}

async fn configured(app: &App, now: Timestamp) -> Result<Vec<Aged>> {
    let ring = app.signing_source().secrets(PURPOSE).await?;
    let mut ages = Vec::new();
    let mut found: Vec<(&'static str, String, Vec<[u8; 32]>)> = Vec::new();
    // A fingerprint by every key of the ring: one that was added later makes no key younger.
    for (_, key) in &ring {
        for (name, print) in prints(app, key) {
            match found.iter_mut().find(|(kind, known, _)| (*kind, known.as_str()) == (name.0, name.1.as_str())) {
                Some((_, _, prints)) => prints.push(print),
                None => found.push((name.0, name.1, vec![print])),
            }
        }
    }
    for (kind, name, prints) in found {
        let mut since = now;
        for print in prints {
            since = since.min(app.store.sight_key(&hex(&print), now).await?);
        }
        let source = source_of(app, kind, &name);
        let fix = match (kind, source) {
            ("provider", "file") => "write the new key into its api_key_file, then chatward key reload".to_owned(),
            ("provider", _) => format!("chatward key set {name}"),
            _ => "set another one and restart".to_owned(),
        };
        ages.push(Aged { source, ..aged(app, (kind, name), since, fix, None) });
    }
    Ok(ages)
}

fn source_of(app: &App, kind: &str, name: &str) -> &'static str {
    if kind == "provider" && app.credentials.is_set(name) {
        return "database";
    }
    let index = app.config.providers.iter().position(|set| kind == "provider" && set.name == name);
    let in_file = index.is_some_and(|index| app.config.has_secret_file(&format!("providers[{index}].api_key")));
    if in_file { "file" } else { "configuration" }
}

/// The master key that wraps. One that is kept beside it ends with its overlap.
async fn master(app: &App, now: Timestamp) -> Result<Aged> {
    let id = app.vault.master_key_id();
    let since = app.store.get_setting(&installation::master_key_setting(&id)).await?;
    let since = since.map_or(Ok(now), |since| since.parse()).map_err(Error::internal)?;
    let source = if app.config.vault.key.is_some() { "configuration" } else { "file" };
    let fix = "chatward secret rotate master".to_owned();
    Ok(Aged { source, ..aged(app, ("master", id), since, fix, None) })
}

type Print = ((&'static str, String), [u8; 32]);

fn prints(app: &App, key: &Secret<[u8; 32]>) -> Vec<Print> {
    let providers = app.credentials.fingerprints(key).into_iter().map(|(name, print)| (("provider", name), print));
    let device =
        app.config.feeds.jwt_secret.iter().map(|secret| {
            (("configured", "feeds.jwt_secret".to_owned()), hmac_sha256(key, secret.expose().as_bytes()))
        });
    providers.chain(device).collect()
}

fn aged(
    app: &App,
    (kind, name): (&'static str, String),
    since: Timestamp,
    fix: String,
    owner: Option<OwnerId>,
) -> Aged {
    let days = app.clock.now().saturating_sub(since).max(0) / DAY;
    Aged { kind, name, source: "database", days, due: days >= i64::from(app.config.keys.rotation_days), fix, owner }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
