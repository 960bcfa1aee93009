//! Signing keys between the store and the rings: made on first use, opened, loaded.
//!
//! Owns: what a key is sealed with (its purpose, name and algorithm, so that no row passes for another). Two nodes that
//! start at once agree on the key that the settings row names. Never signs; how a key ends is `rotation`'s.

use crate::config::TokenAlgorithm;
use crate::ops::signing::{Key, Purpose, USER};
use chatward_store::{SigningKeyRow, Store, signer_setting};
use chatward_types::{Clock, Entropy, Error, Result, Secret};
use chatward_vault::Vault;

/// What making and opening keys takes.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// The rows.
    pub store: &'a Store,
    /// What opens them.
    pub vault: &'a Vault,
    /// When a key is made.
    pub clock: &'a dyn Clock,
    /// What it is made of.
    pub entropy: &'a dyn Entropy,
    /// What users' access tokens are signed by, when their next key is made.
    pub users: TokenAlgorithm,
}

impl Source<'_> {
    /// The algorithm of a purpose's next key: what others check is the users' alone.
    pub fn algorithm(&self, purpose: &str) -> TokenAlgorithm {
        if purpose == USER.name { self.users } else { TokenAlgorithm::Hs256 }
    }

    /// A new key of a purpose, not stored yet.
    ///
    /// # Errors
    /// When the vault or the entropy source fails.
    pub fn make(&self, purpose: &str) -> Result<SigningKeyRow> {
        let secret = chatward_vault::random_secret(self.entropy)?;
        let mut id = [0_u8; 8];
        self.entropy.fill(&mut id)?;
        let kid = id.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let algorithm = self.algorithm(purpose);
        Ok(SigningKeyRow {
            sealed: self.vault.seal(&label(purpose, &kid, algorithm), secret.expose())?,
            kid,
            purpose: purpose.to_owned(),
            algorithm: algorithm.as_str().to_owned(),
            state: "active".to_owned(),
            created_at: self.clock.now(),
            until_at: None,
        })
    }

    /// The rows of a purpose, the one that signs first; the first key is made here.
    async fn rows(&self, purpose: &str) -> Result<Vec<SigningKeyRow>> {
        let setting = signer_setting(purpose);
        if self.store.get_setting(&setting).await?.is_none() {
            let row = self.make(purpose)?;
            self.fenced(&row)?.insert_signing_key(&row).await?;
            self.store.set_setting_if_absent(&setting, &row.kid).await?;
        }
        self.store.signing_keys(purpose).await
    }

    /// The store for this row alone: it takes it as long as the master key wraps that the row was sealed under.
    ///
    /// # Errors
    /// When the row holds no sealed key.
    pub fn fenced(&self, row: &SigningKeyRow) -> Result<Store> {
        Ok(self.store.sealed_under(&self.vault.wrapper_of_sealed(&row.sealed)?))
    }

    /// The keys of a purpose that signs tokens, for its ring.
    ///
    /// # Errors
    /// When the store or the vault fails, for example because the master key is another one.
    pub async fn keys(&self, purpose: Purpose) -> Result<Vec<Key>> {
        let mut keys = Vec::new();
        for row in self.rows(purpose.name).await? {
            let (algorithm, secret) = open(self.vault, &row)?;
            keys.push(Key::new(purpose, row.kid, algorithm, &secret, row.until_at)?);
        }
        Ok(keys)
    }

    /// The keys of a purpose that signs no tokens, the one that signs first.
    ///
    /// # Errors
    /// As [`Source::keys`].
    pub async fn secrets(&self, purpose: &str) -> Result<Vec<(String, Secret<[u8; 32]>)>> {
        let rows = self.rows(purpose).await?;
        rows.into_iter().map(|row| open(self.vault, &row).map(|(_, secret)| (row.kid, secret))).collect()
    }

    /// The one key of a purpose that is not rotated.
    ///
    /// # Errors
    /// As [`Source::keys`].
    pub async fn secret(&self, purpose: &str) -> Result<Secret<[u8; 32]>> {
        let first = self.secrets(purpose).await?.into_iter().next();
        first.map(|(_, secret)| secret).ok_or_else(|| Error::internal("the active signing key is not in the ring"))
    }
}

fn open(vault: &Vault, row: &SigningKeyRow) -> Result<(TokenAlgorithm, Secret<[u8; 32]>)> {
    let algorithm = TokenAlgorithm::named(&row.algorithm)
        .ok_or_else(|| Error::internal("a signing key of an algorithm that this version does not know"))?;
    let bytes = Secret::new(vault.open(&label(&row.purpose, &row.kid, algorithm), &row.sealed)?);
    let array: [u8; 32] =
        bytes.expose().as_slice().try_into().map_err(|_| Error::internal("a signing key of the wrong length"))?;
    Ok((algorithm, Secret::new(array)))
}

/// The same row with its key sealed anew, under the master key that wraps now.
///
/// # Errors
/// When the vault cannot open it.
pub fn reseal(vault: &Vault, row: &SigningKeyRow) -> Result<Vec<u8>> {
    let algorithm = TokenAlgorithm::named(&row.algorithm)
        .ok_or_else(|| Error::internal("a signing key of an algorithm that this version does not know"))?;
    vault.reseal(&label(&row.purpose, &row.kid, algorithm), &row.sealed)
}

fn label(purpose: &str, kid: &str, algorithm: TokenAlgorithm) -> String {
    match algorithm {
        // As keys were sealed when there was one algorithm.
        TokenAlgorithm::Hs256 => format!("signing:{purpose}:{kid}"),
        TokenAlgorithm::EdDsa => format!("signing:{purpose}:{kid}:EdDSA"),
    }
}
