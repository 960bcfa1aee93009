//! The master keys of this process: read again when the file has changed, and rid of what nothing needs any more.
//!
//! Owns: that a value under a key that is not held makes the file be read once more, at most once a second; that every node
//! says in the store which keys it holds; and the way to the file for whoever changes it. The file is read and written by
//! blocking threads, within a deadline. A key in a variable cannot be read again. Never decides which key wraps.

use crate::app::App;
use crate::ops::{master_key, master_key_values};
use chatward_store::MASTER_KEY_CURRENT;
use chatward_types::{DAY, Error, Kind, Result};
use chatward_vault::{FileChange, MasterKeyFile};
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long the file may take to answer.
const READING: Duration = Duration::from_secs(5);
/// How long another process may keep the file locked.
const LOCKED: Duration = Duration::from_secs(5);
/// How long nobody looks again after a look.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);

/// When this process looked into the file for a key that it lacked, and when it last told that it cannot change the file.
#[derive(Debug, Default)]
pub struct Looks {
    looked: Mutex<Option<Instant>>,
    told: AtomicI64,
}

/// Reads the keys again, lets the one wrap that the database names, and says so to the other nodes.
///
/// # Errors
/// When the store fails, the file cannot be read, or it lacks the key that wraps; the keys stay as they are then.
pub async fn read_again(app: &App) -> Result<()> {
    let read = match file(app) {
        Ok(path) => {
            let path = path.to_owned();
            blocking(move || MasterKeyFile::load(&path)).await?.ring().clone()
        }
        Err(_) => app.vault.ring().as_ref().clone(),
    };
    let current = app.store.get_setting(MASTER_KEY_CURRENT).await?;
    let current = current.unwrap_or_else(|| app.vault.master_key_id());
    let Some(ring) = read.wrapping_with(&current) else {
        // Something reads on that was read before; what is sealed anew is refused by the store's fence.
        return Err(Error::internal(format!(
            "the master key {current} wraps now, and this server holds {}; copy the key file from a server that holds it",
            read.ids().join(", ")
        )));
    };
    app.vault.replace_ring(ring);
    tell(app).await
}

/// Says in the store which keys this node holds, if it is a node.
///
/// # Errors
/// When the store fails.
pub async fn tell(app: &App) -> Result<()> {
    app.store.set_node_master_keys(app.node, &app.vault.ring().ids()).await
}

/// Reads the keys again because a value needs one that is not held; at most once a second, since whoever asks for such a
/// value may ask often.
pub async fn look_again(app: &App) {
    {
        let mut looked = app.master_key_looks.looked.lock().unwrap_or_else(PoisonError::into_inner);
        if looked.is_some_and(|looked| looked.elapsed() < BETWEEN_LOOKS) {
            return;
        }
        *looked = Some(Instant::now());
    }
    if let Err(error) = read_again(app).await {
        tracing::error!(source = error.source_line(), reason = error.public(), "the master keys stay those before");
    }
}

/// The file of the master keys.
///
/// # Errors
/// [`Kind::Conflict`] with the way out when the key stands in a variable.
pub fn file(app: &App) -> Result<&Path> {
    match (&app.config.vault.key, &app.config.vault.key_file) {
        (None, Some(path)) => Ok(path),
        _ => Err(Error::new(
            Kind::Conflict,
            "master_key_in_variable",
            "The master key stands in vault.key (CHATWARD_VAULT_KEY), which a running server cannot read again, so nothing \
             was changed. Write it into a file with `chatward secret rotate master --to-file PATH`, set vault.key_file to \
             it, remove vault.key and restart; from then on it rotates without a restart.",
        )),
    }
}

/// Locks the file for a change, and waits a while for another process that changes it.
///
/// # Errors
/// When it stays locked or cannot be read; as [`file()`].
pub async fn change(app: &App) -> Result<FileChange> {
    let began = Instant::now();
    loop {
        let path = file(app)?.to_owned();
        match blocking(move || FileChange::begin(&path)).await {
            Err(error) if error.code() == "master_key_busy" && began.elapsed() < LOCKED => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            change => return change,
        }
    }
}

/// Takes keys out of the file whose rotation is over, if the database holds nothing under them. What stands in the way is
/// told once a day, and returned.
///
/// # Errors
/// When the store fails.
pub async fn tidy(app: &App) -> Result<Option<String>> {
    let mut over = Vec::new();
    for id in app.vault.ring().ids() {
        if id != app.vault.master_key_id() && app.store.get_setting(&master_key::retired_setting(id)).await?.is_some() {
            over.push(id.to_owned());
        }
    }
    let mut in_the_way = None;
    for id in over {
        // Looked at again each time: the database may be an older one, put back from a backup.
        if master_key_values::is_needed(app, &id).await? {
            in_the_way = Some(format!("something is under the master key {id} yet, so it stays in the file"));
        } else if let Err(error) = take_out(app, &id).await {
            in_the_way = Some(format!(
                "nothing needs the master key {id} any more; take it out of the key file yourself ({})",
                error.public()
            ));
        }
    }
    if let Some(reason) = &in_the_way {
        let today = app.clock.now().div_euclid(DAY);
        if app.master_key_looks.told.swap(today, Ordering::Relaxed) != today {
            tracing::warn!(reason = reason.as_str(), "an earlier master key is kept");
        }
    }
    Ok(in_the_way)
}

async fn take_out(app: &App, id: &str) -> Result<()> {
    let mut change = change(app).await?;
    let (entropy, id) = (app.entropy.clone(), id.to_owned());
    blocking(move || if change.remove(&id)? { change.draft(entropy.as_ref())?.put() } else { Ok(()) }).await?;
    read_again(app).await?;
    master_key::announce(app).await
}

/// Runs what reads or writes the file apart from the threads that answer requests.
///
/// # Errors
/// What `work` fails with; [`Kind::Unavailable`] when the file does not answer.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::time::timeout(READING, tokio::task::spawn_blocking(work)).await {
        Ok(done) => done.map_err(Error::internal)?,
        Err(_) => Err(Error::unavailable("the master key file did not answer in time")),
    }
}
