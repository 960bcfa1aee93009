//! Envelope encryption: the master key wraps data keys, data keys seal rows.
//!
//! Owns the two sealed formats: rows of an owner (format 1, under that owner's [`DataKey`] of some version) and the
//! installation's own secrets (format 2, each under a key of its own). What a value belongs to is authenticated
//! with it, so a row copied to another owner, record or key version does not open (SEC-06). When the master key is rotated,
//! data keys are wrapped anew and the installation's secrets sealed anew; rows stay as they are.
//! Never stores anything: the store keeps what comes out, and cannot read it.

use crate::entropy::random_secret;
use crate::key_ring::KeyRing;
use crate::master_key::{MasterKey, local_wrapper};
use crate::sealing::SealingKey;
use chatward_types::{Entropy, Error, OwnerId, Result};
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use zeroize::Zeroizing;

/// A data key as the store keeps it: only the master key that wrapped it can open it.
pub type WrappedKey = Vec<u8>;

const ROW_FORMAT: u8 = 1;
const ROW_HEADER: usize = 1 + 4;
const INSTALLATION_FORMAT: u8 = 2;
const INSTALLATION_HEADER: usize = 1 + 2;

const ROW_DOMAIN: &[u8] = b"chatward row v1";
const DATA_KEY_DOMAIN: &[u8] = b"chatward data key v1";
const INSTALLATION_DOMAIN: &[u8] = b"chatward installation v1";

/// The master keys and the entropy that every new key and nonce comes from. Clones share the keys, also when they change.
#[derive(Debug, Clone)]
pub struct Vault {
    ring: Arc<RwLock<Arc<KeyRing>>>,
    entropy: Arc<dyn Entropy>,
}

impl Vault {
    /// A vault under one master key.
    pub fn new(master: Arc<dyn MasterKey>, entropy: Arc<dyn Entropy>) -> Self {
        Self::with_ring(KeyRing::of(master), entropy)
    }

    /// A vault under several, of which one wraps.
    pub fn with_ring(ring: KeyRing, entropy: Arc<dyn Entropy>) -> Self {
        Self { ring: Arc::new(RwLock::new(Arc::new(ring))), entropy }
    }

    /// The master keys as they are now.
    pub fn ring(&self) -> Arc<KeyRing> {
        Arc::clone(&self.ring.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts these master keys in the place of all; what was opened stays open.
    pub fn replace_ring(&self, ring: KeyRing) {
        *self.ring.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(ring);
    }

    /// The public name of the master key that wraps.
    pub fn master_key_id(&self) -> String {
        self.ring().id().to_owned()
    }

    /// A new data key for an owner, wrapped. Versions start at 1 and grow by rotation.
    ///
    /// # Errors
    /// When the entropy source or the key service fails.
    pub fn new_data_key(&self, owner: &OwnerId, version: u32) -> Result<WrappedKey> {
        let key = random_secret(&*self.entropy)?;
        self.ring().wrap(&key, &data_key_context(owner, version), &*self.entropy)
    }

    /// The data key that [`Vault::new_data_key`] made for this owner and version.
    ///
    /// # Errors
    /// When it was made for another owner or version, under a master key that is not here, or was changed.
    pub fn open_data_key(&self, owner: &OwnerId, version: u32, wrapped: &[u8]) -> Result<DataKey> {
        let key = self.ring().unwrap(wrapped, &data_key_context(owner, version))?;
        Ok(DataKey(Arc::new(OpenedKey {
            owner: *owner,
            version,
            key: SealingKey::new(&key)?,
            entropy: self.entropy.clone(),
        })))
    }

    /// The same data key, wrapped by the master key that wraps now. It seals and opens what it did before.
    ///
    /// # Errors
    /// As [`Vault::open_data_key`], and when the entropy source or the key service fails.
    pub fn rewrap_data_key(&self, owner: &OwnerId, version: u32, wrapped: &[u8]) -> Result<WrappedKey> {
        let (ring, context) = (self.ring(), data_key_context(owner, version));
        ring.wrap(&ring.unwrap(wrapped, &context)?, &context, &*self.entropy)
    }

    /// Seals a secret of the installation itself, such as a signing key. `purpose` names what it is for.
    ///
    /// Whoever stores one has it sealed anew by a rotation of the master key, or it would be lost with the old key.
    ///
    /// # Errors
    /// When the entropy source or the key service fails.
    pub fn seal(&self, purpose: &str, plain: &[u8]) -> Result<Vec<u8>> {
        let key = random_secret(&*self.entropy)?;
        let wrapped = self.ring().wrap(&key, &installation_context(purpose), &*self.entropy)?;
        let length =
            u16::try_from(wrapped.len()).map_err(|_| Error::internal("the key service's wrapped key is too long"))?;
        let mut header = Vec::with_capacity(INSTALLATION_HEADER + wrapped.len());
        header.push(INSTALLATION_FORMAT);
        header.extend_from_slice(&length.to_be_bytes());
        header.extend_from_slice(&wrapped);
        let fields = [INSTALLATION_DOMAIN, purpose.as_bytes()];
        SealingKey::new(&key)?.seal(&header, &fields, plain, &*self.entropy)
    }

    /// The secret that [`Vault::seal`] sealed for the same purpose. Put it into a `Secret` at once.
    ///
    /// # Errors
    /// When it was sealed for another purpose, under a master key that is not here, or was changed.
    pub fn open(&self, purpose: &str, sealed: &[u8]) -> Result<Vec<u8>> {
        let (header, rest) = split_sealed(sealed)?;
        let key = self.ring().unwrap(&header[INSTALLATION_HEADER..], &installation_context(purpose))?;
        let fields = [INSTALLATION_DOMAIN, purpose.as_bytes()];
        SealingKey::new(&key)?.open(header, &fields, rest)
    }

    /// The same secret, sealed anew under the master key that wraps now.
    ///
    /// # Errors
    /// As [`Vault::open`] and [`Vault::seal`].
    pub fn reseal(&self, purpose: &str, sealed: &[u8]) -> Result<Vec<u8>> {
        let plain = Zeroizing::new(self.open(purpose, sealed)?);
        self.seal(purpose, &plain)
    }

    /// The public name of the master key that wrapped a data key, whether it is here or not.
    ///
    /// # Errors
    /// When no master key did.
    pub fn wrapper_of_data_key(&self, wrapped: &[u8]) -> Result<String> {
        let name = self.ring().wrapper(wrapped).or_else(|| local_wrapper(wrapped));
        name.ok_or_else(|| Error::internal("a wrapped key has an unknown format"))
    }

    /// The public name of the master key that a sealed secret needs, whether it is here or not.
    ///
    /// # Errors
    /// When it is no sealed secret.
    pub fn wrapper_of_sealed(&self, sealed: &[u8]) -> Result<String> {
        let (header, _) = split_sealed(sealed)?;
        self.wrapper_of_data_key(&header[INSTALLATION_HEADER..])
    }
}

fn split_sealed(sealed: &[u8]) -> Result<(&[u8], &[u8])> {
    let misshapen = || Error::internal("a sealed secret has an unknown format or is cut short");
    let &[INSTALLATION_FORMAT, high, low, ..] = sealed else {
        return Err(misshapen());
    };
    let length = INSTALLATION_HEADER + usize::from(u16::from_be_bytes([high, low]));
    sealed.split_at_checked(length).ok_or_else(misshapen)
}

/// An owner's data key of one version, ready for use. Cheap to clone; wiped when the last clone goes.
#[derive(Clone)]
pub struct DataKey(Arc<OpenedKey>);

struct OpenedKey {
    owner: OwnerId,
    version: u32,
    key: SealingKey,
    entropy: Arc<dyn Entropy>,
}

impl DataKey {
    /// Which of the owner's keys this is.
    pub fn version(&self) -> u32 {
        self.0.version
    }

    /// Whose key this is.
    pub fn owner(&self) -> OwnerId {
        self.0.owner
    }

    /// Seals the content of a row. `record` is the row's id; the result is 33 bytes longer than `plain`: format (1),
    /// key version (4, big-endian), nonce (12), ciphertext, tag (16).
    ///
    /// # Errors
    /// When the entropy source fails.
    pub fn seal(&self, record: &str, plain: &[u8]) -> Result<Vec<u8>> {
        let opened = &*self.0;
        opened.key.seal(&opened.header(), &opened.fields(record), plain, &*opened.entropy)
    }

    /// The content that [`DataKey::seal`] sealed for the same record. It may be anything the visitor wrote.
    ///
    /// # Errors
    /// When it belongs to another record, owner or key version, or was changed or cut.
    pub fn open(&self, record: &str, sealed: &[u8]) -> Result<Vec<u8>> {
        let opened = &*self.0;
        match sealed_key_version(sealed) {
            None => Err(Error::internal("a sealed row has an unknown format or is cut short")),
            Some(version) if version != opened.version => Err(Error::internal(format!(
                "a row sealed under key version {version} was opened with version {}",
                opened.version
            ))),
            Some(_) => opened.key.open(&opened.header(), &opened.fields(record), &sealed[ROW_HEADER..]),
        }
    }
}

impl OpenedKey {
    fn header(&self) -> [u8; ROW_HEADER] {
        let [a, b, c, d] = self.version.to_be_bytes();
        [ROW_FORMAT, a, b, c, d]
    }

    fn fields<'a>(&'a self, record: &'a str) -> [&'a [u8]; 3] {
        [ROW_DOMAIN, self.owner.as_bytes(), record.as_bytes()]
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataKey")
            .field("owner", &self.0.owner)
            .field("version", &self.0.version)
            .finish_non_exhaustive()
    }
}

/// The version of the data key that a sealed row needs; `None` if it is not a sealed row.
pub fn sealed_key_version(sealed: &[u8]) -> Option<u32> {
    match sealed {
        &[ROW_FORMAT, a, b, c, d, ..] => Some(u32::from_be_bytes([a, b, c, d])),
        _ => None,
    }
}

fn data_key_context(owner: &OwnerId, version: u32) -> Vec<u8> {
    // Every part but the last has a fixed length, so the concatenation has one reading.
    [DATA_KEY_DOMAIN, owner.as_bytes(), &version.to_be_bytes()].concat()
}

fn installation_context(purpose: &str) -> Vec<u8> {
    [INSTALLATION_DOMAIN, purpose.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LocalMasterKey, SystemEntropy};
    use chatward_types::SystemClock;
    use proptest::prelude::*;

    const RECORD: &str = "msg_0190000000007000a000000000000001";

    fn vault() -> Vault {
        let entropy = Arc::new(SystemEntropy);
        let master = LocalMasterKey::from_bytes(&random_secret(&*entropy).unwrap()).unwrap();
        Vault::new(Arc::new(master), entropy)
    }

    fn owner() -> OwnerId {
        OwnerId::generate(&SystemClock, &SystemEntropy).unwrap()
    }

    fn data_key(vault: &Vault, owner: &OwnerId, version: u32) -> DataKey {
        let wrapped = vault.new_data_key(owner, version).unwrap();
        vault.open_data_key(owner, version, &wrapped).unwrap()
    }

    #[test]
    fn a_row_opens_for_its_record_alone() {
        let key = data_key(&vault(), &owner(), 1);
        let sealed = key.seal(RECORD, b"hello").unwrap();
        assert_eq!(sealed.len(), 33 + 5);
        assert!(!sealed.windows(5).any(|window| window == b"hello"));
        assert_eq!(key.open(RECORD, &sealed).unwrap(), b"hello");
        assert!(key.open("msg_0190000000007000a000000000000002", &sealed).is_err());
        assert!(key.open("", &sealed).is_err());
    }

    #[test]
    fn a_data_key_opens_for_its_owner_and_version_alone() {
        let (vault, alice, bob) = (vault(), owner(), owner());
        let wrapped = vault.new_data_key(&alice, 1).unwrap();
        assert!(vault.open_data_key(&alice, 1, &wrapped).is_ok());
        assert!(vault.open_data_key(&bob, 1, &wrapped).is_err());
        assert!(vault.open_data_key(&alice, 2, &wrapped).is_err());
        assert!(self::vault().open_data_key(&alice, 1, &wrapped).is_err(), "another master key");
    }

    /// The same raw key under another owner or version, which no caller can make: the row's own binding must hold.
    fn rebound(key: &DataKey, owner: OwnerId, version: u32) -> DataKey {
        DataKey(Arc::new(OpenedKey {
            owner,
            version,
            key: SealingKey::new(&chatward_types::Secret::new([5; 32])).unwrap(),
            entropy: key.0.entropy.clone(),
        }))
    }

    #[test]
    fn a_row_is_bound_to_owner_and_version_even_under_the_same_raw_key() {
        let (alice, bob) = (owner(), owner());
        let base = data_key(&vault(), &alice, 1);
        let key = rebound(&base, alice, 1);
        let sealed = key.seal(RECORD, b"hello").unwrap();
        assert!(rebound(&base, alice, 1).open(RECORD, &sealed).is_ok());
        assert!(rebound(&base, bob, 1).open(RECORD, &sealed).is_err());
        assert!(rebound(&base, alice, 2).open(RECORD, &sealed).is_err());
        // Nor does rewriting the version in the header help.
        let mut relabelled = sealed.clone();
        relabelled[4] = 2;
        assert!(rebound(&base, alice, 2).open(RECORD, &relabelled).is_err());
    }

    #[test]
    fn a_flipped_bit_or_a_cut_anywhere_is_refused() {
        let (vault, owner) = (vault(), owner());
        let key = data_key(&vault, &owner, 7);
        let row = key.seal(RECORD, b"a message").unwrap();
        let secret = vault.seal("visitor-token", b"a signing key").unwrap();
        for i in 0..row.len() {
            for bit in 0..8 {
                let mut changed = row.clone();
                changed[i] ^= 1 << bit;
                assert!(key.open(RECORD, &changed).is_err(), "row byte {i} bit {bit}");
            }
            assert!(key.open(RECORD, &row[..i]).is_err(), "row cut at {i}");
        }
        for i in 0..secret.len() {
            let mut changed = secret.clone();
            changed[i] ^= 1;
            assert!(vault.open("visitor-token", &changed).is_err(), "secret byte {i}");
            assert!(vault.open("visitor-token", &secret[..i]).is_err(), "secret cut at {i}");
        }
        let mut longer = row;
        longer.push(0);
        assert!(key.open(RECORD, &longer).is_err());
    }

    #[test]
    fn an_installation_secret_opens_for_its_purpose_alone() {
        let vault = vault();
        let sealed = vault.seal("visitor-token", b"a signing key").unwrap();
        assert_eq!(vault.open("visitor-token", &sealed).unwrap(), b"a signing key");
        assert!(vault.open("device-token", &sealed).is_err());
        assert!(self::vault().open("visitor-token", &sealed).is_err(), "another master key");
    }

    #[test]
    fn a_row_and_a_secret_are_not_taken_for_one_another() {
        let (vault, owner) = (vault(), owner());
        let key = data_key(&vault, &owner, 1);
        assert!(vault.open(RECORD, &key.seal(RECORD, b"x").unwrap()).is_err());
        assert!(key.open(RECORD, &vault.seal(RECORD, b"x").unwrap()).is_err());
    }

    #[test]
    fn the_key_version_is_readable_without_a_key() {
        let key = data_key(&vault(), &owner(), 70_000);
        let sealed = key.seal(RECORD, b"").unwrap();
        assert_eq!(sealed_key_version(&sealed), Some(70_000));
        assert_eq!(sealed_key_version(&sealed[..4]), None);
        assert_eq!(sealed_key_version(b""), None);
        assert_eq!(sealed_key_version(&[9; 40]), None);
    }

    #[test]
    fn debug_output_holds_no_key() {
        let shown = format!("{:?}", data_key(&vault(), &owner(), 1));
        assert!(shown.starts_with("DataKey { owner: own_") && shown.len() < 90, "{shown}");
    }

    proptest! {
        #[test]
        fn any_content_round_trips(plain in prop::collection::vec(any::<u8>(), 0..2000), record in ".{0,50}") {
            let key = data_key(&vault(), &owner(), 3);
            prop_assert_eq!(key.open(&record, &key.seal(&record, &plain).unwrap()).unwrap(), plain);
        }

        #[test]
        fn no_bytes_make_opening_panic(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
            let vault = vault();
            prop_assert!(vault.open("p", &bytes).is_err());
            prop_assert!(data_key(&vault, &owner(), 1).open(RECORD, &bytes).is_err());
            let _ = sealed_key_version(&bytes);
        }
    }
}
