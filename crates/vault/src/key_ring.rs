//! The master keys of an installation: one wraps, all unwrap.
//!
//! Owns: the choice of the key by the name in what was wrapped. There is more than one while a master key is rotated, and
//! as long as its predecessor is kept. Never decides which one wraps: the database names it, so that all nodes agree.

use crate::master_key::{LocalMasterKey, MasterKey, local_mark, local_wrapper};
use chatward_types::{Entropy, Error, Kind, Result, Secret};
use std::sync::Arc;

/// At least one master key, and which of them wraps.
#[derive(Debug, Clone)]
pub struct KeyRing {
    keys: Vec<Arc<dyn MasterKey>>,
    wraps: usize,
}

impl KeyRing {
    /// As many as one ring holds: the one in use, one that takes its place, and some that backups may need.
    pub const MOST: usize = 8;

    /// A ring of one key.
    pub fn of(key: Arc<dyn MasterKey>) -> Self {
        Self { keys: vec![key], wraps: 0 }
    }

    /// A ring of several; the first wraps. One that is given twice counts once.
    ///
    /// # Errors
    /// [`Kind::Invalid`] when there is none, or more than [`KeyRing::MOST`].
    pub fn new(given: Vec<Arc<dyn MasterKey>>) -> Result<Self> {
        let mut keys: Vec<Arc<dyn MasterKey>> = Vec::with_capacity(given.len().min(Self::MOST));
        for key in given {
            if !keys.iter().any(|known| known.id() == key.id()) {
                keys.push(key);
            }
        }
        match keys.len() {
            1..=Self::MOST => Ok(Self { keys, wraps: 0 }),
            0 => Err(Error::new(Kind::Invalid, "master_key_refused", "There is no master key.")),
            _ => Err(Error::new(
                Kind::Invalid,
                "master_key_refused",
                "There are more than 8 master keys. Remove those that nothing needs any more.",
            )),
        }
    }

    /// The keys of a text, one a line, or several with commas; the first wraps. Empty lines and such that begin with `#` are
    /// left out.
    ///
    /// # Errors
    /// [`Kind::Invalid`] when one of them is no key, or there are too few or too many.
    pub fn from_text(text: &Secret<String>) -> Result<Self> {
        let mut keys: Vec<Arc<dyn MasterKey>> = Vec::new();
        for line in key_lines(text.expose()).take(Self::MOST + 1) {
            keys.push(Arc::new(LocalMasterKey::from_text(line)?));
        }
        if keys.is_empty() {
            // The parser's own words for an empty text say how to make one.
            LocalMasterKey::from_text("")?;
        }
        Self::new(keys)
    }

    /// The same keys with this one wrapping; `None` when it is not among them.
    #[must_use]
    pub fn wrapping_with(&self, id: &str) -> Option<Self> {
        let wraps = self.keys.iter().position(|key| key.id() == id)?;
        Some(Self { keys: self.keys.clone(), wraps })
    }

    /// The name of the key that wraps.
    pub fn id(&self) -> &str {
        self.wrapping().id()
    }

    /// The names of all, in the order in which they were given.
    pub fn ids(&self) -> Vec<&str> {
        self.keys.iter().map(|key| key.id()).collect()
    }

    /// Whether the key of this name is here.
    pub fn holds(&self, id: &str) -> bool {
        self.keys.iter().any(|key| key.id() == id)
    }

    /// What everything begins with that the key of this name wrapped, also where a local key is not here; `None` when its
    /// name says nothing.
    pub fn mark(&self, id: &str) -> Option<Vec<u8>> {
        let here = self.keys.iter().find(|key| key.id() == id);
        here.map(|key| key.mark().to_vec()).or_else(|| local_mark(id))
    }

    pub(crate) fn wrap(&self, key: &Secret<[u8; 32]>, context: &[u8], entropy: &dyn Entropy) -> Result<Vec<u8>> {
        self.wrapping().wrap(key, context, entropy)
    }

    pub(crate) fn unwrap(&self, wrapped: &[u8], context: &[u8]) -> Result<Secret<[u8; 32]>> {
        match self.keys.iter().find(|key| wrapped.starts_with(key.mark())) {
            Some(key) => key.unwrap(wrapped, context),
            None => Err(self.unknown(wrapped)),
        }
    }

    pub(crate) fn wrapper(&self, wrapped: &[u8]) -> Option<String> {
        self.keys.iter().find(|key| wrapped.starts_with(key.mark())).map(|key| key.id().to_owned())
    }

    fn wrapping(&self) -> &dyn MasterKey {
        // Never empty, and the index is one of its own; `new`, `of` and `wrapping_with` are the only makers.
        self.keys[self.wraps].as_ref()
    }

    fn unknown(&self, wrapped: &[u8]) -> Error {
        let here = self.ids().join(", ");
        match local_wrapper(wrapped) {
            Some(name) => Error::internal(format!(
                "a key was wrapped by the master key {name}, and this server holds {here}; copy the key file from a server \
                 that holds it, or add it to this one's as a line of its own from a backup"
            )),
            None => Error::internal("a wrapped key has an unknown format or is cut short"),
        }
    }
}

/// What may be a key in a text.
pub(crate) fn key_lines(text: &str) -> impl Iterator<Item = &str> {
    text.split(['\n', ',']).map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::master_key::key_text;
    use crate::{SystemEntropy, Vault, random_secret};
    use chatward_types::{OwnerId, SystemClock};
    use proptest::prelude::*;

    fn key() -> Arc<dyn MasterKey> {
        Arc::new(LocalMasterKey::from_bytes(&random_secret(&SystemEntropy).unwrap()).unwrap())
    }

    fn vault(ring: KeyRing) -> Vault {
        Vault::with_ring(ring, Arc::new(SystemEntropy))
    }

    #[test]
    fn one_key_wraps_and_all_unwrap() {
        let (old, new) = (key(), key());
        let before = vault(KeyRing::of(Arc::clone(&old)));
        let owner = OwnerId::generate(&SystemClock, &SystemEntropy).unwrap();
        let (wrapped, sealed) = (before.new_data_key(&owner, 1).unwrap(), before.seal("p", b"secret").unwrap());
        let row = before.open_data_key(&owner, 1, &wrapped).unwrap().seal("record", b"hello").unwrap();

        let both = vault(KeyRing::new(vec![Arc::clone(&new), Arc::clone(&old)]).unwrap());
        assert_eq!(both.master_key_id(), new.id());
        assert_eq!(both.open("p", &sealed).unwrap(), b"secret");
        assert_eq!(both.open_data_key(&owner, 1, &wrapped).unwrap().open("record", &row).unwrap(), b"hello");
        assert_eq!(both.wrapper_of_data_key(&wrapped).unwrap(), old.id());
        assert_eq!(both.wrapper_of_sealed(&sealed).unwrap(), old.id());
        assert_eq!(both.wrapper_of_sealed(&both.seal("p", b"x").unwrap()).unwrap(), new.id());

        let (rewrapped, resealed) =
            (both.rewrap_data_key(&owner, 1, &wrapped).unwrap(), both.reseal("p", &sealed).unwrap());
        let after = vault(KeyRing::of(Arc::clone(&new)));
        assert!(after.open_data_key(&owner, 1, &wrapped).is_err() && after.open("p", &sealed).is_err());
        assert_eq!(after.open("p", &resealed).unwrap(), b"secret");
        let opened = after.open_data_key(&owner, 1, &rewrapped).unwrap();
        assert_eq!(opened.open("record", &row).unwrap(), b"hello", "the same data key opens the same rows");
        assert!(before.open_data_key(&owner, 1, &rewrapped).is_err());
        assert!(rewrapped.starts_with(new.mark()) && !rewrapped.starts_with(old.mark()));
        let other = OwnerId::generate(&SystemClock, &SystemEntropy).unwrap();
        assert!(both.rewrap_data_key(&other, 1, &wrapped).is_err(), "no key changes its owner");
        assert!(both.reseal("q", &sealed).is_err(), "nor its purpose");
    }

    #[test]
    fn which_one_wraps_is_said_by_name() {
        let (old, new) = (key(), key());
        let shared = vault(KeyRing::new(vec![Arc::clone(&new), Arc::clone(&old)]).unwrap());
        let clone = shared.clone();
        shared.replace_ring(shared.ring().wrapping_with(old.id()).unwrap());
        assert_eq!((clone.master_key_id().as_str(), clone.ring().ids()), (old.id(), vec![new.id(), old.id()]));
        assert!(shared.ring().wrapping_with("local-0000000000000000").is_none());
        assert!(shared.ring().holds(new.id()) && !shared.ring().holds(key().id()));
        assert_eq!(shared.ring().mark(new.id()).unwrap(), new.mark());
        let absent = key();
        assert_eq!(shared.ring().mark(absent.id()).unwrap(), absent.mark(), "told from the name");
        for name in ["", "local-", "local-00", "local-zz00000000000000", "local-äääääääää", "arn:aws:kms"] {
            assert_eq!(shared.ring().mark(name), None, "{name}");
        }
    }

    #[test]
    fn a_key_that_is_not_here_is_named_with_what_to_do() {
        let (here, other) = (key(), vault(KeyRing::of(key())));
        let sealed = other.seal("p", b"x").unwrap();
        let error = vault(KeyRing::of(Arc::clone(&here))).open("p", &sealed).unwrap_err();
        let line = error.source_line().unwrap();
        assert!(line.contains(&other.master_key_id()) && line.contains(here.id()) && line.contains("copy"), "{line}");
        assert_eq!(error.public(), Error::internal("x").public(), "strangers read nothing of it");
    }

    #[test]
    fn a_ring_has_one_to_eight_different_keys() {
        assert!(KeyRing::new(Vec::new()).is_err());
        assert!(KeyRing::new((0..=KeyRing::MOST).map(|_| key()).collect()).is_err());
        let one = key();
        let ring = KeyRing::new(vec![Arc::clone(&one), Arc::clone(&one)]).unwrap();
        assert_eq!(ring.ids(), [one.id()]);
    }

    #[test]
    fn a_text_may_hold_several_keys_with_comments() {
        let texts: Vec<String> =
            (0..3).map(|_| key_text(&random_secret(&SystemEntropy).unwrap()).to_string()).collect();
        let ids: Vec<String> =
            texts.iter().map(|text| KeyRing::from_text(&Secret::new(text.clone())).unwrap().id().to_owned()).collect();
        let lines = format!("# new\n{}\n\n  {}  \n# old\n{}\n", texts[0], texts[1], texts[2]);
        for text in [lines, texts.join(","), texts.join(" , ")] {
            assert_eq!(KeyRing::from_text(&Secret::new(text)).unwrap().ids(), ids);
        }
        for bad in [String::new(), "# nothing".to_owned(), format!("{}\nchangeme", texts[0])] {
            let error = KeyRing::from_text(&Secret::new(bad)).unwrap_err();
            assert_eq!(error.kind(), Kind::Invalid);
            assert!(!error.to_string().contains("changeme"));
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_a_ring_panic(text in "[ -~\n]{0,120}") {
            let _ = KeyRing::from_text(&Secret::new(text));
        }
    }
}
