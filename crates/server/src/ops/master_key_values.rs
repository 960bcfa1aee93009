//! Everything that a master key wraps: the owners' data keys, the signing keys, the providers' keys that were set, and the
//! proof that the key is the right one.
//!
//! Owns: that all of it is wrapped anew, a bounded number in a transaction, and whether a key is needed yet. Whoever stores
//! something else that the vault seals for the installation adds it to both, or it is lost with the old key.

use crate::app::App;
use crate::ops::installation::PROOF;
use crate::ops::master_key::Rotation;
use crate::ops::{provider_keys, signing_keys};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chatward_store::WrappedRow;
use chatward_types::{Error, Result};

/// Values that one transaction exchanges.
const BATCH: u32 = 100;

/// Wraps everything anew that the old key wrapped; a number of values in each transaction. Returns how many.
///
/// # Errors
/// When the store or the vault fails; what is done is done.
pub async fn rewrap(app: &App, rotation: &Rotation) -> Result<u64> {
    let store = app.store.sealed_under(&rotation.to);
    let (mut done, mut before) = (0, Vec::new());
    loop {
        let rows = data_keys_under(app, &rotation.from).await?;
        if rows.is_empty() {
            break;
        }
        // Another process may do the same, but what one of them has done is in no later list.
        if rows == before {
            return Err(Error::internal("data keys could not be wrapped anew"));
        }
        let mut exchanged = Vec::with_capacity(rows.len());
        for row in &rows {
            let wrapped = app.vault.rewrap_data_key(&row.owner, row.version, &row.wrapped)?;
            exchanged.push((row.clone(), wrapped));
        }
        done += store.replace_wrapped(&exchanged).await?;
        before = rows;
    }
    let mut signing = Vec::new();
    for row in app.store.all_signing_keys().await? {
        if app.vault.wrapper_of_sealed(&row.sealed)? == rotation.from {
            let sealed = signing_keys::reseal(&app.vault, &row)?;
            signing.push((row.kid, row.sealed, sealed));
        }
    }
    for some in signing.chunks(BATCH as usize) {
        done += store.replace_sealed(some).await?;
    }
    for (name, value) in sealed_settings(app).await? {
        let sealed = STANDARD.decode(sealed_part(&value)).map_err(Error::internal)?;
        if app.vault.wrapper_of_sealed(&sealed)? != rotation.from {
            continue;
        }
        let resealed = STANDARD.encode(app.vault.reseal(&purpose_of(&name, &value)?, &sealed)?);
        let next = value.replace(sealed_part(&value), &resealed);
        done += u64::from(store.swap_setting(&name, &value, &next).await?);
    }
    if done > 0 {
        tracing::info!(values = done, to = rotation.to, "values were wrapped anew under the new master key");
    }
    Ok(done)
}

/// Whether anything in the database is under the master key of this name.
///
/// # Errors
/// When the store fails, or holds what no master key wrapped.
pub async fn is_needed(app: &App, id: &str) -> Result<bool> {
    if !data_keys_under(app, id).await?.is_empty() {
        return Ok(true);
    }
    for row in app.store.all_signing_keys().await? {
        if app.vault.wrapper_of_sealed(&row.sealed)? == id {
            return Ok(true);
        }
    }
    for (_, value) in sealed_settings(app).await? {
        let sealed = STANDARD.decode(sealed_part(&value)).map_err(Error::internal)?;
        if app.vault.wrapper_of_sealed(&sealed)? == id {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn data_keys_under(app: &App, id: &str) -> Result<Vec<WrappedRow>> {
    let mark = app.vault.ring().mark(id);
    let mark =
        mark.ok_or_else(|| Error::internal(format!("{id} is no master key's name, and values may be under it")))?;
    app.store.admin_data_keys_under(&mark, BATCH).await
}

/// The settings that hold something sealed: what proves the key, and the providers' keys.
async fn sealed_settings(app: &App) -> Result<Vec<(String, String)>> {
    let mut settings = app.store.settings_of(provider_keys::PREFIX).await?;
    settings.extend(app.store.get_setting(PROOF).await?.map(|value| (PROOF.to_owned(), value)));
    Ok(settings)
}

/// What is sealed stands behind the last space of such a value.
fn sealed_part(value: &str) -> &str {
    value.rsplit(' ').next().unwrap_or(value)
}

fn purpose_of(name: &str, value: &str) -> Result<String> {
    if name == PROOF { Ok(PROOF.to_owned()) } else { provider_keys::purpose_of(name, value) }
}
