//! The first steps of every start: the vault, the store, the check that they belong together, the default owner.

use crate::app::setting_error;
use crate::config::Config;
use chatward_egress::{Resolve, is_private};
use chatward_store::{MASTER_KEY_CURRENT, Store, StoreConfig};
use chatward_types::{Clock, Entropy, Environment, Error, OwnerId, Result};
use chatward_vault::{KeyRing, MasterKeyFile, Vault};
use std::sync::Arc;
use std::time::Duration;

/// A database's name is looked up for at most this long.
const LOOK_UP_DEADLINE: Duration = Duration::from_secs(5);
/// The setting of what only the right master key opens; also what it is sealed for.
pub const PROOF: &str = "vault.proof";
const PROOF_TEXT: &[u8] = b"this master key opens this installation";

/// Opens the vault with the configured master keys; makes their file on the first start.
///
/// # Errors
/// With the setting's name: a file that others can read, a key of the wrong form, or none.
pub fn open_vault(config: &Config, entropy: &Arc<dyn Entropy>) -> Result<Vault> {
    let ring = match (&config.vault.key, &config.vault.key_file) {
        (Some(text), _) => KeyRing::from_text(text)?,
        (None, Some(path)) => MasterKeyFile::load_or_create(path, entropy.as_ref())?.ring().clone(),
        (None, None) => return Err(setting_error("vault.key_file", "name the master key's file, outside data_dir")),
    };
    Ok(Vault::with_ring(ring, Arc::clone(entropy)))
}

/// Connects to the store and brings its schema up to date.
///
/// # Errors
/// When it does not answer, is newer than this program, or stands in public although this is production.
pub async fn open_store(config: &Config, resolver: &dyn Resolve) -> Result<Store> {
    if config.environment == Environment::Production {
        refuse_public_databases(config, resolver).await?;
    }
    std::fs::create_dir_all(&config.data_dir).map_err(|error| {
        setting_error("data_dir", "cannot be created; choose a folder that can be").with_source(error)
    })?;
    let store = Store::connect(&StoreConfig {
        url: config.database.url.clone(),
        migrate_url: config.database.migrate_url.clone(),
        admin_url: config.database.admin_url.clone(),
        allow_set_role: config.environment == Environment::Development,
        pool_size: config.database.pool_size,
        acquire_deadline: config.database.acquire_deadline,
    })
    .await?;
    store.migrate().await?;
    Ok(store)
}

/// DATA-09 for what the configuration's own rules cannot see: where a database's name leads. A name that does not
/// resolve is left to the connection, which says so in its own words.
async fn refuse_public_databases(config: &Config, resolver: &dyn Resolve) -> Result<()> {
    for (setting, name) in config.database_names() {
        let found = tokio::time::timeout(LOOK_UP_DEADLINE, resolver.resolve(name)).await;
        if let Ok(Ok(addresses)) = found
            && !addresses.into_iter().all(is_private)
        {
            return Err(setting_error(
                setting,
                "leads to a public address in production; put the database on loopback, a socket or a private address",
            ));
        }
    }
    Ok(())
}

/// Lets the master key wrap that the database names, and refuses keys without the one that this installation's values were
/// wrapped with: a new one would make every stored conversation unreadable, silently.
///
/// # Errors
/// [`chatward_types::Kind::Invalid`] with what to do.
pub async fn check_master_key(store: &Store, vault: &Vault) -> Result<()> {
    use base64::Engine as _;
    let encoding = base64::engine::general_purpose::STANDARD;
    let stored = match store.get_setting(PROOF).await? {
        Some(stored) => stored,
        None => {
            let proof = encoding.encode(vault.seal(PROOF, PROOF_TEXT)?);
            store.set_setting_if_absent(PROOF, &proof).await?
        }
    };
    let sealed = encoding.decode(&stored).unwrap_or_default();
    let Ok(sealer) = vault.wrapper_of_sealed(&sealed) else { return Err(wrong_key(vault, "one that is not known")) };
    if !vault.open(PROOF, &sealed).is_ok_and(|text| text == PROOF_TEXT) {
        return Err(wrong_key(vault, &sealer));
    }
    let current = store.set_setting_if_absent(MASTER_KEY_CURRENT, &sealer).await?;
    match vault.ring().wrapping_with(&current) {
        Some(ring) => {
            vault.replace_ring(ring);
            Ok(())
        }
        None => Err(wrong_key(vault, &current)),
    }
}

fn wrong_key(vault: &Vault, needed: &str) -> Error {
    let held = vault.ring().ids().join(", ");
    let text = format!(
        "this is not the master key that the database was sealed with: it needs {needed}, and this is {held}; copy the key \
         file from a server that runs, or restore the right one from your backup"
    );
    setting_error("vault.key_file", &text)
}

/// The setting that says since when a master key wraps, in microseconds.
pub fn master_key_setting(id: &str) -> String {
    format!("master_key.seen.{id}")
}

/// Notes when the master key that wraps was first seen; its age counts from then.
///
/// # Errors
/// When the store fails.
pub async fn note_master_key(store: &Store, vault: &Vault, clock: &dyn Clock) -> Result<()> {
    let setting = master_key_setting(&vault.master_key_id());
    if store.get_setting(&setting).await?.is_none() {
        store.set_setting_if_absent(&setting, &clock.now().to_string()).await?;
    }
    Ok(())
}

/// The tenant of everything that is made until accounts exist.
///
/// # Errors
/// When the store fails.
pub async fn default_owner(store: &Store, clock: &dyn Clock, entropy: &dyn Entropy) -> Result<OwnerId> {
    const SETTING: &str = "owner.default";
    let id = match store.get_setting(SETTING).await? {
        Some(id) => id,
        None => {
            // The owner first, its name as the default after: whoever reads the setting finds the row.
            let id = OwnerId::generate(clock, entropy)?;
            store.insert_owner(id, "default", clock.now()).await?;
            store.set_setting_if_absent(SETTING, &id.to_string()).await?
        }
    };
    id.parse::<OwnerId>().map_err(Error::internal)
}
