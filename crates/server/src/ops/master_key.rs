//! Rotation of the master key, in steps that may each be the last before a crash: whoever comes next goes on from there.
//!
//! Owns: the order. The new key is written beside its file, the rotation is recorded in the audit trail, the file is replaced,
//! every running node says that it holds the new key, the new key wraps, every value is wrapped anew, and when the overlap is
//! over and nothing names the old key any more it is retired, with a record, and leaves the file. No value is ever under a key
//! that some node lacks, or that is in no file. Rows stay as they are: their data keys are only wrapped anew.

use crate::app::App;
use crate::ops::installation;
use crate::ops::master_key_files;
use crate::ops::master_key_values::{is_needed, rewrap};
use crate::ops::trail::{self, Actor};
use chatward_store::change;
use chatward_types::{DAY, Error, EventName, Kind, NodeId, Outcome, Result, SECOND, Severity, Timestamp};
use chatward_vault::{Draft, FileChange};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::time::{Duration, Instant};

/// How long the old key is kept in the file unless something else is said.
pub const OVERLAP: Timestamp = DAY;
/// How long running servers may take to say that they hold the new key.
const NODES_ANSWER: Duration = Duration::from_secs(10);
/// How old a rotation is whose file was never written when another process takes it for given up.
const GIVEN_UP: Timestamp = 15 * SECOND;
/// How long a command waits for what another process has begun.
const OTHERS_WRITE: Duration = Duration::from_secs(20);
/// How long a command waits before it looks once more.
const BETWEEN_TRIES: Duration = Duration::from_millis(50);

/// A rotation under way, as it stands in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotation {
    /// The name of the key before.
    pub from: String,
    /// The name of the new key.
    pub to: String,
    /// When it began, in microseconds.
    pub begun: Timestamp,
    /// Whether the new key is in a file.
    pub written: bool,
    /// How long the old key is kept, in microseconds.
    pub overlap: Timestamp,
    /// Until when; not known before the new key wraps.
    pub until: Option<Timestamp>,
}

/// How far a rotation is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// The new key is in no file yet.
    Begun(Rotation),
    /// These running servers do not hold the new key, so it does not wrap yet.
    Waiting(Rotation, Vec<NodeId>),
    /// Everything is under the new key; the old one is kept until the overlap ends.
    Kept(Rotation, Timestamp),
    /// The old key is needed no more; what keeps it from leaving the file, if anything does.
    Over(Rotation, Option<String>),
}

/// A new key that is on the disk, and in no file that counts.
#[derive(Debug)]
pub struct Prepared {
    rotation: Rotation,
    /// Nothing where the operator has put the key into the file.
    draft: Option<Draft>,
    /// Held until the file is replaced.
    _change: Option<FileChange>,
}

/// The setting that says that a master key is needed no more.
pub fn retired_setting(id: &str) -> String {
    format!("master_key.retired.{id}")
}

/// The rotation under way, if there is one.
///
/// # Errors
/// When the store fails.
pub async fn under_way(app: &App) -> Result<Option<Rotation>> {
    let state = app.store.master_key_rotation().await?;
    state.map(|state| serde_json::from_str(&state).map_err(Error::internal)).transpose()
}

/// When the overlap of the rotation under way ends, if the new key wraps already.
///
/// # Errors
/// When the store fails.
pub async fn overlap_end(app: &App) -> Result<Option<Timestamp>> {
    Ok(under_way(app).await?.and_then(|rotation| rotation.until))
}

/// Rotates the master key, or goes on with a rotation that was left; with no overlap the old key is given up as soon as
/// nothing is under it. `is_prepared` takes the key that was put on the file's first line by other means.
///
/// # Errors
/// [`Kind::Conflict`] when the key was rotated and its overlap runs, when the key stands in a variable, or when another
/// process rotates; [`Kind::Invalid`] when the file cannot be written. Nothing is changed then.
pub async fn rotate(app: &App, overlap: Timestamp, is_prepared: bool, by: &Actor) -> Result<Progress> {
    let began = Instant::now();
    loop {
        master_key_files::read_again(app).await?;
        match under_way(app).await? {
            Some(rotation) if rotation.written => break shorten(app, rotation, overlap, by).await?,
            Some(_) if began.elapsed() > OTHERS_WRITE => return Err(busy()),
            Some(rotation) => {
                resume(app, rotation).await?;
                tokio::time::sleep(BETWEEN_TRIES).await;
            }
            None => break begin(app, overlap, is_prepared, by).await?,
        }
    }
    let (began, rotation) = (Instant::now(), under_way(app).await?);
    loop {
        match advance(app).await? {
            Some(Progress::Waiting(..)) if began.elapsed() < NODES_ANSWER => tokio::time::sleep(BETWEEN_TRIES).await,
            Some(progress) => return Ok(progress),
            // A server was faster.
            None => return rotation.map(|rotation| Progress::Over(rotation, None)).ok_or_else(busy),
        }
    }
}

async fn begin(app: &App, overlap: Timestamp, is_prepared: bool, by: &Actor) -> Result<()> {
    let prepared = if is_prepared { take_first(app, overlap).await? } else { prepare(app, overlap).await? };
    record(app, &prepared, by).await?;
    let prepared = put(app, prepared).await?;
    set_written(app, prepared).await
}

/// Writes a new key beside the file, which is locked until the rotation has begun.
///
/// # Errors
/// As [`rotate`]; nothing is changed.
pub async fn prepare(app: &App, overlap: Timestamp) -> Result<Prepared> {
    let mut change = master_key_files::change(app).await?;
    let entropy = app.entropy.clone();
    let written = master_key_files::blocking(move || {
        let to = change.add(entropy.as_ref())?;
        let draft = change.draft(entropy.as_ref())?;
        Ok((change, to, draft))
    });
    let (change, to, draft) = written.await.map_err(|error| how_without_writing(app, error))?;
    let rotation = new_rotation(app, to, overlap, false);
    Ok(Prepared { rotation, draft: Some(draft), _change: Some(change) })
}

/// The first line of the file (or of the variable), where it is a key that never wrapped.
async fn take_first(app: &App, overlap: Timestamp) -> Result<Prepared> {
    let ring = app.vault.ring();
    let first = ring.ids().into_iter().next().unwrap_or_default().to_owned();
    if first == ring.id() || app.store.get_setting(&installation::master_key_setting(&first)).await?.is_some() {
        return Err(Error::new(
            Kind::Conflict,
            "master_key_not_prepared",
            "The first line of the key file is a key that was in use before, so nothing was changed. Put a new one above it: \
             openssl rand -base64 32",
        ));
    }
    Ok(Prepared { rotation: new_rotation(app, first, overlap, true), draft: None, _change: None })
}

/// Begins the rotation, with its record or not at all.
///
/// # Errors
/// [`Kind::Conflict`] when another one is under way; else when the store or the trail fails. The file is as it was.
pub async fn record(app: &App, prepared: &Prepared, by: &Actor) -> Result<()> {
    let rotation = &prepared.rotation;
    let detail = json!({ "from": rotation.from, "to": rotation.to, "overlap_seconds": rotation.overlap / SECOND });
    let entry = trail::entry(app, EventName::MasterKeyRotated, by, None, &rotation.to, &detail)?;
    if trail::audited(app, entry).begin_master_key_rotation(&text(rotation)?, &rotation.from).await? {
        Ok(())
    } else {
        Err(busy())
    }
}

/// Puts the new key into the file.
///
/// # Errors
/// When the file cannot be replaced: the rotation is given up then, and nothing is changed.
pub async fn put(app: &App, mut prepared: Prepared) -> Result<Prepared> {
    if let Some(draft) = prepared.draft.take()
        && let Err(error) = master_key_files::blocking(move || draft.put()).await
    {
        give_up(app, &prepared.rotation).await?;
        return Err(how_without_writing(app, error));
    }
    Ok(prepared)
}

/// Notes that the new key is in the file, and has every node read it.
///
/// # Errors
/// When the store fails, or another process has given the rotation up meanwhile.
pub async fn set_written(app: &App, prepared: Prepared) -> Result<()> {
    let Prepared { rotation, _change: change, .. } = prepared;
    if rotation.written {
        announce(app).await?
    } else {
        note_written(app, &rotation).await?
    }
    drop(change);
    master_key_files::read_again(app).await?;
    let event = app.event(EventName::MasterKeyRotated, Severity::Info, Outcome::Success);
    event.detail(format!("the master key {} takes the place of {}", rotation.to, rotation.from)).emit();
    Ok(())
}

/// Goes one step on with the rotation under way, or takes out of the file what is needed no more; nothing where there is
/// nothing to do. Called by every server each minute and at its start.
///
/// # Errors
/// When the store, the vault or the trail fails; the next turn goes on from there.
pub async fn advance(app: &App) -> Result<Option<Progress>> {
    let Some(mut rotation) = under_way(app).await? else {
        master_key_files::tidy(app).await?;
        return Ok(None);
    };
    if !app.vault.ring().holds(&rotation.to) {
        // Another server's file has it; ours may have got it since.
        master_key_files::read_again(app).await?;
    }
    if !rotation.written {
        resume(app, rotation.clone()).await?;
        match under_way(app).await? {
            Some(found) if found.written => rotation = found,
            found => return Ok(found.map(Progress::Begun)),
        }
    }
    if rotation.until.is_none() {
        let mut without = app.store.live_nodes_without(&rotation.to, app.clock.now()).await?;
        if !app.vault.ring().holds(&rotation.to) && !without.contains(&app.node) {
            without.push(app.node);
        }
        if !without.is_empty() {
            return Ok(Some(Progress::Waiting(rotation, without)));
        }
        promote(app, &rotation).await?;
        match under_way(app).await? {
            Some(found) => rotation = found,
            None => return Ok(None),
        }
    }
    let Some(until) = rotation.until else { return Ok(Some(Progress::Begun(rotation))) };
    if app.vault.master_key_id() != rotation.to {
        master_key_files::read_again(app).await?;
    }
    rewrap(app, &rotation).await?;
    if app.clock.now() < until || is_needed(app, &rotation.from).await? {
        return Ok(Some(Progress::Kept(rotation, until)));
    }
    retire(app, &rotation).await?;
    let in_the_way = master_key_files::tidy(app).await?;
    Ok(Some(Progress::Over(rotation, in_the_way)))
}

/// Lets the new key wrap, on every node at once.
///
/// # Errors
/// When the store fails.
pub async fn promote(app: &App, rotation: &Rotation) -> Result<()> {
    let now = app.clock.now();
    let next = Rotation { until: Some(now.saturating_add(rotation.overlap)), ..rotation.clone() };
    let (states, keys) = ((text(rotation)?, text(&next)?), (rotation.from.as_str(), rotation.to.as_str()));
    let since = installation::master_key_setting(&rotation.to);
    app.store.replace_master_key((&states.0, &states.1), keys, &since, now).await?;
    // Also where another process was faster.
    master_key_files::read_again(app).await
}

/// Has every node read the keys again.
///
/// # Errors
/// When the store fails.
pub async fn announce(app: &App) -> Result<()> {
    app.store.announce_change(change::MASTER_KEYS_CHANGED, None, "", app.clock.now()).await
}

/// The old key is given up: with its record, or not yet.
///
/// # Errors
/// When the store or the trail fails.
pub async fn retire(app: &App, rotation: &Rotation) -> Result<()> {
    let detail = json!({ "retired": rotation.from, "in_use": rotation.to });
    let entry = trail::entry(app, EventName::MasterKeyRotated, &Actor::Server, None, &rotation.from, &detail)?;
    let store = trail::audited(app, entry);
    let now = app.clock.now();
    if store.end_master_key_rotation(&text(rotation)?, &retired_setting(&rotation.from), now).await? {
        let event = app.event(EventName::MasterKeyRotated, Severity::Info, Outcome::Success);
        event.detail(format!("nothing is under the master key {} any more; it is given up", rotation.from)).emit();
    }
    Ok(())
}

/// A rotation whose file was not seen to be written: it was, or nobody writes it any more, or somebody is about to.
async fn resume(app: &App, rotation: Rotation) -> Result<()> {
    if app.vault.ring().holds(&rotation.to) {
        return note_written(app, &rotation).await;
    }
    // Whoever writes this file has it locked.
    let nobody_writes_ours = master_key_files::change(app).await.is_ok_and(|_change| true);
    if nobody_writes_ours && app.clock.now() - rotation.begun >= GIVEN_UP {
        return give_up(app, &rotation).await;
    }
    Ok(())
}

async fn give_up(app: &App, rotation: &Rotation) -> Result<()> {
    // Nothing was ever under the new key; where it is in a file after all, it is taken out.
    let (state, retired) = (text(rotation)?, retired_setting(&rotation.to));
    if app.store.end_master_key_rotation(&state, &retired, app.clock.now()).await? {
        let event = app.event(EventName::MasterKeyRotated, Severity::Warning, Outcome::Failure);
        event.detail(format!("the rotation to {} was given up before its key was in a file", rotation.to)).emit();
    }
    Ok(())
}

async fn note_written(app: &App, rotation: &Rotation) -> Result<()> {
    let next = Rotation { written: true, ..rotation.clone() };
    if app.store.advance_master_key_rotation(&text(rotation)?, &text(&next)?, app.clock.now()).await? {
        return Ok(());
    }
    match under_way(app).await? {
        Some(found) if found.to == rotation.to => Ok(()),
        _ => Err(busy()),
    }
}

/// A second command ends the overlap earlier, and never later.
async fn shorten(app: &App, rotation: Rotation, overlap: Timestamp, by: &Actor) -> Result<()> {
    let now = app.clock.now();
    let next = match rotation.until {
        Some(until) if overlap == 0 && until > now => Rotation { until: Some(now), overlap: 0, ..rotation.clone() },
        None if overlap < rotation.overlap => Rotation { overlap, ..rotation.clone() },
        Some(until) if until > now && !is_needed(app, &rotation.from).await? => {
            return Err(Error::new(
                Kind::Conflict,
                "master_key_rotated",
                "The master key was rotated, and the one before is kept until its overlap ends. End that with --at-once; then \
                 it can be rotated again.",
            ));
        }
        _ => return Ok(()),
    };
    let detail = json!({ "from": next.from, "to": next.to, "overlap_seconds": next.overlap / SECOND });
    let entry = trail::entry(app, EventName::MasterKeyRotated, by, None, &next.to, &detail)?;
    let store = trail::audited(app, entry);
    store.advance_master_key_rotation(&text(&rotation)?, &text(&next)?, now).await.map(|_| ())
}

fn new_rotation(app: &App, to: String, overlap: Timestamp, written: bool) -> Rotation {
    Rotation { from: app.vault.master_key_id(), to, begun: app.clock.now(), written, overlap, until: None }
}

fn text(rotation: &Rotation) -> Result<String> {
    serde_json::to_string(rotation).map_err(Error::internal)
}

fn busy() -> Error {
    Error::new(
        Kind::Conflict,
        "master_key_busy",
        "Another process rotates the master key at this moment. Wait a minute and look with `chatward secret ages`.",
    )
}

/// What to do where the file comes from elsewhere, as a secret that is mounted does.
fn how_without_writing(app: &App, error: Error) -> Error {
    if error.code() != "master_key_unwritable" {
        return error;
    }
    let file = app.config.vault.key_file.as_deref().map(|path| path.display().to_string()).unwrap_or_default();
    Error::new(
        Kind::Invalid,
        "master_key_unwritable",
        format!(
            "{} Nothing was changed. Where {file} is mounted from elsewhere, put a new key (openssl rand -base64 32) on a line \
             above the present one there, on every server, and run: chatward secret rotate master --prepared",
            error.public()
        ),
    )
}
