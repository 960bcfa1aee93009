//! The audit trail's records: who did what to whom, signed by a key that the database does not hold in clear.
//!
//! Owns: the ring `trail`, the making and checking of a record's keyed hash (HMAC-SHA-256), and the two ways to act: a
//! change of identities, keys, sites or settings is made through [`audited`] and does not happen without its record; what
//! ends an incident (revoking, blocking, lockdown) acts through [`always`], and a record that cannot be written then
//! waits in a bounded reserve. What happens often stays in the security log alone.

use crate::app::App;
use crate::ops::signing_keys::Source;
use arc_swap::ArcSwap;
use chatward_store::{Store, TrailEntry, TrailRow};
use chatward_types::{Error, EventName, Kind, OwnerId, Result, Secret, UserId};
use chatward_vault::hmac_sha256;
use serde_json::Value;
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The purpose of the ring.
pub const PURPOSE: &str = "trail";
/// Records that wait for a trail that can be written again.
const RESERVE: usize = 256;

/// Who acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// A person at this machine's command line.
    Operator,
    /// A program with this secret key; the public id.
    Key(Box<str>),
    /// A user who is logged in.
    User(UserId),
    /// The server by its own rules.
    Server,
}

impl Actor {
    /// The text in a record.
    pub fn text(&self) -> String {
        match self {
            Self::Operator => "operator".to_owned(),
            Self::Key(id) => format!("key:{id}"),
            Self::User(id) => format!("user:{id}"),
            Self::Server => "server".to_owned(),
        }
    }
}

type TrailKeys = Vec<(String, Arc<Secret<[u8; 32]>>)>;

/// The keys of the trail, and the records that wait.
pub struct Trail {
    /// The one that signs is the first.
    keys: ArcSwap<TrailKeys>,
    reserve: Mutex<VecDeque<Arc<TrailEntry>>>,
    lost: AtomicU64,
}

impl std::fmt::Debug for Trail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trail").field("keys", &self.keys.load().len()).field("waiting", &self.waiting()).finish()
    }
}

impl Trail {
    /// Loads the ring, and makes its first key on the first start of an installation.
    ///
    /// # Errors
    /// When the store or the vault fails.
    pub async fn load(source: Source<'_>) -> Result<Self> {
        let keys = ArcSwap::from_pointee(read_keys(source).await?);
        Ok(Self { keys, reserve: Mutex::default(), lost: AtomicU64::new(0) })
    }

    /// Reads the ring again, after a rotation.
    ///
    /// # Errors
    /// When the store or the vault fails; the ring stays as it is.
    pub async fn reload(&self, source: Source<'_>) -> Result<()> {
        self.keys.store(Arc::new(read_keys(source).await?));
        Ok(())
    }

    /// The id and the key that sign.
    fn active(&self) -> Result<(String, Arc<Secret<[u8; 32]>>)> {
        self.keys.load().first().cloned().ok_or_else(|| Error::internal("the ring of the audit trail is empty"))
    }

    /// Whether a key of the ring signed this record as it is.
    pub fn holds(&self, row: &TrailRow) -> bool {
        row.signed_text().is_ok_and(|text| self.signed(&row.key_id, &text, &row.hash))
    }

    /// Signs a text of another kind than a record: its beginning must say which.
    ///
    /// # Errors
    /// [`Kind::Internal`] when the ring is empty.
    pub fn sign(&self, text: &str) -> Result<(String, String)> {
        let (id, key) = self.active()?;
        let code = hex(&hmac_sha256(&key, text.as_bytes()));
        Ok((id, code))
    }

    /// Whether the key of this id signed the text.
    pub fn signed(&self, key_id: &str, text: &str, hash: &str) -> bool {
        let keys = self.keys.load();
        let key = keys.iter().find(|(id, _)| id == key_id);
        key.is_some_and(|(_, key)| same(&hex(&hmac_sha256(key, text.as_bytes())), hash))
    }

    /// Records that wait.
    pub fn waiting(&self) -> usize {
        self.reserve().len()
    }

    /// Records that found no place in the reserve.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    fn reserve(&self) -> MutexGuard<'_, VecDeque<Arc<TrailEntry>>> {
        self.reserve.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, entry: Arc<TrailEntry>) {
        let mut reserve = self.reserve();
        if reserve.len() >= RESERVE {
            // The first ones say how it began; what comes now is counted.
            self.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        reserve.push_back(entry);
    }
}

/// A record to be written. `detail` holds our own words, ids and numbers; never content, a token or a key.
///
/// # Errors
/// [`Kind::Internal`] when the ring is empty.
pub fn entry(
    app: &App,
    name: EventName,
    by: &Actor,
    owner: Option<OwnerId>,
    subject: &str,
    detail: &Value,
) -> Result<Arc<TrailEntry>> {
    let (key_id, key) = app.trail.active()?;
    Ok(Arc::new(TrailEntry {
        name: name.as_str(),
        at: app.clock.now(),
        owner,
        actor: by.text(),
        subject: subject.to_owned(),
        detail: detail.to_string(),
        key_id,
        sign: Arc::new(move |text| hex(&hmac_sha256(&key, text.as_bytes()))),
    }))
}

/// The store for one change that happens with this record or not at all.
pub fn audited(app: &App, entry: Arc<TrailEntry>) -> Store {
    app.store.audited(entry)
}

/// Acts with a record if it can be written, and without where it cannot: then the record waits. `act` says whether it
/// changed anything; it is called a second time where the first failed.
///
/// # Errors
/// What `act` fails with when it fails without a record too.
pub async fn always<F>(app: &App, entry: Arc<TrailEntry>, act: impl Fn(Store) -> F) -> Result<bool>
where
    F: Future<Output = Result<bool>>,
{
    always_of(app, entry, |changed| *changed, act).await
}

/// The same for what comes to more than yes or no; `changed` says of it whether anything was changed.
///
/// # Errors
/// As [`always`].
pub async fn always_of<T, F>(
    app: &App,
    entry: Arc<TrailEntry>,
    changed: fn(&T) -> bool,
    act: impl Fn(Store) -> F,
) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    match act(app.store.audited(Arc::clone(&entry))).await {
        Err(error) if matches!(error.kind(), Kind::Internal | Kind::Unavailable) => {
            let outcome = act(app.store.clone()).await?;
            if changed(&outcome) {
                tracing::error!(source = error.source_line(), "the audit trail cannot be written; a record waits");
                app.trail.keep(entry);
            }
            Ok(outcome)
        }
        outcome => outcome,
    }
}

/// Writes the records that wait, oldest first.
///
/// # Errors
/// When the store fails; they wait on.
pub async fn flush_reserve(app: &App) -> Result<()> {
    loop {
        let Some(entry) = app.trail.reserve().front().cloned() else { return Ok(()) };
        app.store.append_trail(Arc::clone(&entry)).await?;
        let mut reserve = app.trail.reserve();
        // Another turn may have written it meanwhile; only what is still first is taken away.
        if reserve.front().is_some_and(|first| Arc::ptr_eq(first, &entry)) {
            reserve.pop_front();
        }
    }
}

async fn read_keys(source: Source<'_>) -> Result<TrailKeys> {
    let keys = source.secrets(PURPOSE).await?;
    Ok(keys.into_iter().map(|(id, key)| (id, Arc::new(key))).collect())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing into a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Compares without telling by its time where the first difference is.
fn same(one: &str, other: &str) -> bool {
    one.len() == other.len() && one.bytes().zip(other.bytes()).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
}
