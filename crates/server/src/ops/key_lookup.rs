//! Secret keys on the way in: recognised, remembered for a moment, and held on to while a request of theirs runs.
//!
//! A key is read for its shape, found by its public id and compared as a hash in constant time; what comes of it is
//! remembered by the digest of the whole text, which only that text has, together with its owner. What is remembered is
//! bounded, is read again after a minute, and is dropped when `changes` says so; that a text is no key is never
//! remembered. Owns that order, the requests that run on a key, and when each key was used.

use crate::app::App;
use crate::limits::{KeyRules, KeyWindows};
use chatward_store::IssuedKeyRow;
use chatward_types::{Error, KeyScopes, MINUTE, OwnerId, Result, Scope, SiteId, Timestamp};
use chatward_vault::SecretKey;
use quick_cache::sync::Cache;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio_util::sync::CancellationToken;

/// Keys that are remembered.
const KEPT: usize = 10_000;
/// How long what is remembered is believed where no change is heard of.
const FRESH: Timestamp = MINUTE;
/// A key's use is noted in the store at most this often.
const NOTED_EVERY: Timestamp = MINUTE;
/// Uses that wait to be noted; the next use of a key that found no place is noted instead.
const WAITING: usize = 4096;
/// No key of ours is longer.
const LONGEST: usize = 128;
/// How often a request looks again because some key was changed meanwhile.
const LOOKS: usize = 8;

/// Whom a key speaks for, and what it may do.
#[derive(Debug)]
pub struct Holder {
    /// The owner.
    pub owner: OwnerId,
    /// The key's public id.
    pub id: Box<str>,
    /// What the key may do.
    pub scopes: KeyScopes,
    /// The sites that it reaches; all of the owner's where there is none.
    pub sites: Arc<[SiteId]>,
    /// What it may ask in how long.
    pub rules: KeyRules,
    /// The first key of its chain of rotations, by which it is counted.
    pub lineage: Box<str>,
    ends_at: Option<Timestamp>,
    read_at: Timestamp,
    noted_at: AtomicI64,
}

/// A request that runs on a key, or what it left open. Dropped with it.
pub struct Entered {
    /// Whose it is.
    pub holder: Arc<Holder>,
    /// Cancelled when the key has ended.
    pub ended: CancellationToken,
    app: App,
    number: u64,
}

/// What this node knows of issued keys.
pub struct IssuedKeys {
    known: Cache<[u8; 32], Arc<Holder>>,
    /// Counts what was forgotten, so that a copy which was read before is not kept after.
    forgotten: AtomicU64,
    windows: KeyWindows,
    open: Mutex<HashMap<u64, Open>>,
    numbers: AtomicU64,
    used: Mutex<HashMap<(OwnerId, Box<str>), Timestamp>>,
}

struct Open {
    id: Box<str>,
    ends_at: Option<Timestamp>,
    ended: CancellationToken,
}

impl Default for IssuedKeys {
    fn default() -> Self {
        Self {
            known: Cache::new(KEPT),
            forgotten: AtomicU64::new(0),
            windows: KeyWindows::default(),
            open: Mutex::default(),
            numbers: AtomicU64::new(0),
            used: Mutex::default(),
        }
    }
}

impl fmt::Debug for IssuedKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuedKeys").field("known", &self.known.len()).field("open", &self.open().len()).finish()
    }
}

impl fmt::Debug for Entered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entered").field("id", &self.holder.id).finish_non_exhaustive()
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.app.issued.open().remove(&self.number);
    }
}

impl Holder {
    fn of(owner: OwnerId, row: IssuedKeyRow, now: Timestamp) -> Self {
        let bound = |limit: Option<i64>| limit.map(|limit| u32::try_from(limit).unwrap_or(u32::MAX));
        Self {
            owner,
            ends_at: end_of(&row),
            id: row.id.into(),
            scopes: row.scopes,
            sites: row.sites.into(),
            rules: KeyRules { per_minute: bound(row.per_minute), per_hour: bound(row.per_hour) },
            lineage: row.lineage.into(),
            read_at: now,
            noted_at: AtomicI64::new(row.last_used_at.unwrap_or(i64::MIN)),
        }
    }

    fn holds(&self, now: Timestamp) -> bool {
        self.ends_at.is_none_or(|end| end > now)
    }
}

impl IssuedKeys {
    /// How many keys are remembered, for tests and metrics.
    pub fn remembered(&self) -> usize {
        self.known.len()
    }

    /// Requests that run on a key.
    pub fn running(&self) -> usize {
        self.open().len()
    }

    /// Counts a request of this key; the seconds to wait where it is one too many.
    ///
    /// # Errors
    /// As [`KeyWindows::check`].
    pub fn count(&self, holder: &Holder, now: Timestamp) -> Result<(), u32> {
        self.windows.check(&holder.lineage, holder.rules, now)
    }

    /// Forgets windows that are over.
    pub fn sweep(&self, now: Timestamp) {
        self.windows.sweep(now);
    }

    /// Ends at once what runs on this key, and forgets it.
    pub fn end(&self, id: &str) {
        self.forget(id);
        self.open().values().filter(|open| *open.id == *id).for_each(|open| open.ended.cancel());
    }

    /// Ends what runs on keys whose time is over.
    pub fn end_due(&self, now: Timestamp) {
        let is_over = |open: &&Open| open.ends_at.is_some_and(|end| end <= now);
        self.open().values().filter(is_over).for_each(|open| open.ended.cancel());
    }

    fn forget(&self, id: &str) {
        self.forgotten.fetch_add(1, Ordering::AcqRel);
        self.known.retain(|_, holder| *holder.id != *id);
    }

    fn open(&self) -> MutexGuard<'_, HashMap<u64, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When a key ends as it is now, in microseconds: by its age, or because another has taken its place.
pub fn end_of(row: &IssuedKeyRow) -> Option<Timestamp> {
    row.revoked_at.into_iter().chain(row.expires_at).chain(row.honoured_until).min()
}

/// Whom a key speaks for, or nothing for one that is unknown, revoked, replaced, run out or of another environment.
///
/// # Errors
/// When the store fails.
pub async fn recognise(app: &App, text: &str) -> Result<Option<Arc<Holder>>> {
    if text.len() > LONGEST || !SecretKey::is_like(text) {
        return Ok(None);
    }
    let now = app.clock.now();
    let digest = chatward_vault::digest(text.as_bytes());
    if let Some(known) = app.issued.known.get(&digest)
        && (0..FRESH).contains(&now.saturating_sub(known.read_at))
    {
        return Ok(known.holds(now).then_some(known));
    }
    let Some(key) = SecretKey::parse(text).filter(|key| key.environment() == app.config.environment) else {
        return Ok(None);
    };
    let forgotten = app.issued.forgotten.load(Ordering::Acquire);
    let Some(owner) = app.store.find_key_owner(key.id()).await? else { return Ok(None) };
    let Some(row) = app.store.get_issued_key(&Scope::of(owner), key.id()).await? else { return Ok(None) };
    if !key.is_of(&row.hash) {
        return Ok(None);
    }
    let holder = Arc::new(Holder::of(owner, row, now));
    if !holder.holds(now) {
        app.issued.known.remove(&digest);
        return Ok(None);
    }
    app.issued.known.insert(digest, Arc::clone(&holder));
    if app.issued.forgotten.load(Ordering::Acquire) != forgotten {
        // Some key was changed while this was read; it may have been this one.
        app.issued.known.remove(&digest);
    }
    Ok(Some(holder))
}

/// The same, for a request that runs from here on and ends when its key does.
///
/// # Errors
/// When the store fails, or keys change faster than they can be read.
pub async fn enter(app: &App, text: &str) -> Result<Option<Entered>> {
    for _ in 0..LOOKS {
        let forgotten = app.issued.forgotten.load(Ordering::Acquire);
        let Some(holder) = recognise(app, text).await? else { return Ok(None) };
        let ended = CancellationToken::new();
        let number = app.issued.numbers.fetch_add(1, Ordering::Relaxed);
        let open = Open { id: holder.id.clone(), ends_at: holder.ends_at, ended: ended.clone() };
        app.issued.open().insert(number, open);
        let entered = Entered { holder, ended, app: app.clone(), number };
        // Whoever ends the key from now on finds this request; whoever did before it could be found is noticed here.
        if app.issued.forgotten.load(Ordering::Acquire) == forgotten {
            note_use(app, &entered.holder);
            return Ok(Some(entered));
        }
    }
    Err(Error::unavailable("issued keys change faster than they can be read"))
}

/// A key was changed, here or elsewhere: what is remembered of it is dropped, and what runs on it ends if it has ended.
///
/// # Errors
/// When the store fails.
pub async fn changed(app: &App, owner: Option<OwnerId>, id: &str) -> Result<()> {
    app.issued.forget(id);
    if app.issued.open().values().all(|open| *open.id != *id) {
        return Ok(());
    }
    let row = match owner {
        Some(owner) => app.store.get_issued_key(&Scope::of(owner), id).await?,
        None => None,
    };
    let now = app.clock.now();
    match row.map(|row| end_of(&row)) {
        Some(ends_at) if ends_at.is_none_or(|end| end > now) => {
            app.issued.open().values_mut().filter(|open| *open.id == *id).for_each(|open| open.ends_at = ends_at);
        }
        _ => app.issued.end(id),
    }
    Ok(())
}

/// An owner with when each of its keys was used.
type Uses = (OwnerId, Vec<(String, Timestamp)>);

/// Writes down when keys were used.
///
/// # Errors
/// When the store fails; what waited is lost, and noted at the key's next use.
pub async fn flush_uses(app: &App) -> Result<()> {
    let used = std::mem::take(&mut *app.issued.used.lock().unwrap_or_else(PoisonError::into_inner));
    let mut owners: BTreeMap<[u8; 16], Uses> = BTreeMap::new();
    for ((owner, id), at) in used {
        owners.entry(*owner.as_bytes()).or_insert_with(|| (owner, Vec::new())).1.push((id.into(), at));
    }
    for (owner, used) in owners.into_values() {
        app.store.touch_issued_keys(&Scope::of(owner), &used, NOTED_EVERY).await?;
    }
    Ok(())
}

fn note_use(app: &App, holder: &Holder) {
    let now = app.clock.now();
    let noted = holder.noted_at.load(Ordering::Relaxed);
    if now.saturating_sub(noted) < NOTED_EVERY
        || holder.noted_at.compare_exchange(noted, now, Ordering::Relaxed, Ordering::Relaxed).is_err()
    {
        return;
    }
    let mut used = app.issued.used.lock().unwrap_or_else(PoisonError::into_inner);
    let name = (holder.owner, holder.id.clone());
    if used.len() < WAITING || used.contains_key(&name) {
        used.insert(name, now);
    }
}
