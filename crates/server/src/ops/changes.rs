//! What other nodes and the command line have changed: polled from the `changes` table and applied to caches.
//!
//! A row names what changed, never what it changed to; a cache drops its copy and reads again.

use crate::app::App;
use chatward_store::change;
use chatward_types::{Result, SessionId, SiteId};

/// How many rows one poll reads.
const PAGE: u32 = 500;

/// Applies everything after `seq` and returns the new place to continue from.
///
/// # Errors
/// When the store fails; nothing is lost, the next poll reads the same rows.
pub async fn apply_since(app: &App, mut seq: i64) -> Result<i64> {
    loop {
        let rows = app.store.changes_after(seq, PAGE).await?;
        let Some(last) = rows.last() else { return Ok(seq) };
        seq = last.seq;
        let full = rows.len() >= PAGE as usize;
        let (mut sites_changed, mut gate_changed) = (false, false);
        let (mut provider_keys_changed, mut master_keys_changed) = (false, false);
        let mut signing_changed: Vec<String> = Vec::new();
        for row in rows {
            match row.kind.as_str() {
                change::SITE_ADDED | change::SITE_CHANGED | change::SITE_REMOVED | change::INDEX_SWAPPED => {
                    sites_changed = true;
                    if let Ok(site) = row.subject.parse::<SiteId>() {
                        app.sites.forget(site);
                    }
                }
                change::SESSION_ERASED => app.sessions.forget(&SessionId::from_verified(row.subject)),
                change::SIGNING_CHANGED => signing_changed.push(row.subject),
                change::ISSUED_KEY_CHANGED => super::key_lookup::changed(app, row.owner, &row.subject).await?,
                change::PROVIDER_KEYS_CHANGED => provider_keys_changed = true,
                change::MASTER_KEYS_CHANGED => master_keys_changed = true,
                change::BLOCKS_CHANGED | change::LOCKDOWN_CHANGED => gate_changed = true,
                change::DEVICE_REVOKED | change::LOGIN_ENDED | change::USER_CHANGED => app.sockets.wake(&row.subject),
                other => tracing::warn!(kind = other, "a change of a kind that this version does not know"),
            }
        }
        // First: what else has changed may be sealed under the new one.
        if master_keys_changed {
            super::master_key_files::read_again(app).await?;
        }
        signing_changed.sort();
        signing_changed.dedup();
        for purpose in signing_changed {
            super::rotation::reload(app, Some(&purpose)).await?;
        }
        if provider_keys_changed {
            super::upstreams::reread(app).await;
            super::provider_keys::reload(app).await?;
            super::key_ages::sight(app).await?;
        }
        if gate_changed {
            super::blocks::refresh(app).await?;
        }
        if sites_changed {
            super::sites::refresh_origins(app).await?;
        }
        if !full {
            return Ok(seq);
        }
    }
}
