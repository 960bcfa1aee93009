//! The master key: it wraps other keys and nothing else.
//!
//! Owns the [`MasterKey`] trait, behind which an external key service fits, and the local key that a file or the
//! environment gives. A wrapped key names the master key that wrapped it, so that a wrong one is told from damage.
//! Never encrypts content, never leaves this crate, and never accepts a key that a person made up.

use crate::hashing::derive;
use crate::sealing::SealingKey;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use chatward_types::{Entropy, Error, Kind, Result, Secret};
use std::fmt;
use zeroize::{Zeroize, Zeroizing};

/// What wraps and unwraps 256-bit keys.
pub trait MasterKey: Send + Sync + fmt::Debug {
    /// A short public name, equal for equal keys; it says nothing about the key.
    fn id(&self) -> &str;

    /// What everything begins with that this key wrapped, and nothing that another did.
    fn mark(&self) -> &[u8];

    /// Wraps `key`; the same `context` must be given to unwrap it.
    ///
    /// # Errors
    /// When the entropy source or the key service fails.
    fn wrap(&self, key: &Secret<[u8; 32]>, context: &[u8], entropy: &dyn Entropy) -> Result<Vec<u8>>;

    /// The key that [`MasterKey::wrap`] wrapped.
    ///
    /// # Errors
    /// When another master key wrapped it, the context differs, or a bit was changed.
    fn unwrap(&self, wrapped: &[u8], context: &[u8]) -> Result<Secret<[u8; 32]>>;
}

const FORMAT: u8 = 1;
const ID_BYTES: usize = 8;
const HEADER: usize = 1 + ID_BYTES;

/// A master key held in this process's memory.
pub struct LocalMasterKey {
    id: String,
    header: [u8; HEADER],
    key: SealingKey,
}

impl LocalMasterKey {
    /// The key of 32 bytes from a random source.
    ///
    /// # Errors
    /// When the cipher refuses it, which does not happen for 32 bytes.
    pub fn from_bytes(bytes: &Secret<[u8; 32]>) -> Result<Self> {
        let name = derive(bytes, "chatward master key id v1");
        let mut header = [FORMAT; HEADER];
        header[1..].copy_from_slice(&name.expose()[..ID_BYTES]);
        Ok(Self { id: local_id(&header), header, key: SealingKey::new(&derive(bytes, "chatward master key wrap v1"))? })
    }

    /// The key written as 64 hexadecimal digits or as base64 of 32 bytes, as `openssl rand -base64 32` prints it.
    ///
    /// # Errors
    /// [`Kind::Invalid`] when it is not 32 bytes, or when they are too regular to have come from a random source.
    pub(crate) fn from_text(text: &str) -> Result<Self> {
        Self::from_bytes(&parse_key(text)?)
    }
}

impl MasterKey for LocalMasterKey {
    fn id(&self) -> &str {
        &self.id
    }

    fn mark(&self) -> &[u8] {
        &self.header
    }

    fn wrap(&self, key: &Secret<[u8; 32]>, context: &[u8], entropy: &dyn Entropy) -> Result<Vec<u8>> {
        self.key.seal(&self.header, &[context], key.expose(), entropy)
    }

    fn unwrap(&self, wrapped: &[u8], context: &[u8]) -> Result<Secret<[u8; 32]>> {
        let Some((header, rest)) = wrapped.split_at_checked(HEADER) else {
            return Err(Error::internal("a wrapped key is cut short"));
        };
        if header[0] != FORMAT {
            return Err(Error::internal("a wrapped key has an unknown format"));
        }
        if header != self.header {
            return Err(Error::internal(format!(
                "a key was wrapped by another master key than {}; give the one this data was made with",
                self.id
            )));
        }
        let plain = Zeroizing::new(self.key.open(header, &[context], rest)?);
        let mut bytes =
            <[u8; 32]>::try_from(plain.as_slice()).map_err(|_| Error::internal("a wrapped key has not 32 bytes"))?;
        let key = Secret::new(bytes);
        bytes.zeroize();
        Ok(key)
    }
}

impl fmt::Debug for LocalMasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalMasterKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The name of the local key that wrapped something, told from how it begins; `None` if no local key did.
pub(crate) fn local_wrapper(wrapped: &[u8]) -> Option<String> {
    let header = wrapped.first_chunk::<HEADER>()?;
    (header[0] == FORMAT).then(|| local_id(header))
}

/// What everything begins with that the local key of this name wrapped; `None` if it is no local key's name.
pub(crate) fn local_mark(id: &str) -> Option<Vec<u8>> {
    let bytes = from_hex(id.strip_prefix("local-")?)?;
    (bytes.len() == ID_BYTES).then(|| [&[FORMAT], bytes.as_slice()].concat())
}

fn local_id(header: &[u8; HEADER]) -> String {
    let digits: String = header[1..].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("local-{digits}")
}

/// 32 random bytes from hexadecimal digits or base64; whitespace around them is ignored.
pub(crate) fn parse_key(text: &str) -> Result<Secret<[u8; 32]>> {
    let text = text.trim();
    let decoded = if text.len() == 64 { from_hex(text) } else { from_base64(text) };
    let decoded = Zeroizing::new(decoded.unwrap_or_default());
    let Ok(mut bytes) = <[u8; 32]>::try_from(decoded.as_slice()) else {
        return Err(refused(
            "The master key must be 32 bytes, as 64 hexadecimal digits or as base64. \
             Make one with: openssl rand -base64 32",
        ));
    };
    let key = Secret::new(bytes);
    bytes.zeroize();
    if looks_made_up(key.expose()) {
        return Err(refused("The master key is too regular to be random. Make one with: openssl rand -base64 32"));
    }
    Ok(key)
}

/// The text of a key for a file: base64 with padding.
pub(crate) fn key_text(key: &Secret<[u8; 32]>) -> Zeroizing<String> {
    Zeroizing::new(STANDARD.encode(key.expose()))
}

fn from_base64(text: &str) -> Option<Vec<u8>> {
    [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD].into_iter().find_map(|engine| engine.decode(text).ok())
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    text.as_bytes()
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => {
                let high = char::from(*high).to_digit(16)?;
                let low = char::from(*low).to_digit(16)?;
                u8::try_from(high * 16 + low).ok()
            }
            _ => None,
        })
        .collect()
}

/// Few distinct bytes (a repeated pattern) or nothing but printable ones (a passphrase). A random key is mistaken
/// for one less than once in 10^12 times.
fn looks_made_up(bytes: &[u8; 32]) -> bool {
    let mut seen = [false; 256];
    for byte in bytes {
        seen[usize::from(*byte)] = true;
    }
    let distinct = seen.iter().filter(|seen| **seen).count();
    let ascending = bytes.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1));
    distinct < 16 || ascending || bytes.iter().all(|byte| (b' '..=b'~').contains(byte))
}

fn refused(public: &'static str) -> Error {
    Error::new(Kind::Invalid, "master_key_refused", public)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SystemEntropy, random_secret};
    use proptest::prelude::*;

    fn master() -> LocalMasterKey {
        LocalMasterKey::from_bytes(&random_secret(&SystemEntropy).unwrap()).unwrap()
    }

    #[test]
    fn a_wrapped_key_comes_back_under_its_context_alone() {
        let (master, key) = (master(), random_secret(&SystemEntropy).unwrap());
        let wrapped = master.wrap(&key, b"owner 1", &SystemEntropy).unwrap();
        assert_eq!(master.unwrap(&wrapped, b"owner 1").unwrap().expose(), key.expose());
        assert!(master.unwrap(&wrapped, b"owner 2").is_err());
        for i in 0..wrapped.len() {
            let mut changed = wrapped.clone();
            changed[i] ^= 1;
            assert!(master.unwrap(&changed, b"owner 1").is_err(), "byte {i} is not covered");
            assert!(master.unwrap(&wrapped[..i], b"owner 1").is_err(), "cut at {i} opens");
        }
    }

    #[test]
    fn another_master_key_is_named_as_the_reason() {
        let wrapped = master().wrap(&Secret::new([1; 32]), b"c", &SystemEntropy).unwrap();
        let other = master();
        let error = other.unwrap(&wrapped, b"c").unwrap_err();
        assert!(error.source_line().unwrap().contains(other.id()), "{error}");
    }

    #[test]
    fn text_is_read_as_hexadecimal_and_as_every_base64() {
        let key = random_secret(&SystemEntropy).unwrap();
        let hex: String = key.expose().iter().map(|byte| format!("{byte:02X}")).collect();
        let id = LocalMasterKey::from_bytes(&key).unwrap().id().to_owned();
        for text in [
            hex.to_lowercase(),
            hex,
            STANDARD.encode(key.expose()),
            URL_SAFE_NO_PAD.encode(key.expose()),
            format!("{}\n", *key_text(&key)),
        ] {
            let read = LocalMasterKey::from_text(&text).unwrap();
            assert_eq!(read.id(), id);
        }
    }

    #[test]
    fn weak_and_misshapen_keys_are_refused_without_being_repeated() {
        let passphrase = STANDARD.encode(b"correct horse battery staple 123");
        let ascending: Vec<u8> = (0..32).collect();
        for text in [
            String::new(),
            "changeme".into(),
            "0".repeat(64),
            "0123456789abcdef".repeat(4),
            "g".repeat(64),
            STANDARD.encode([7; 32]),
            STANDARD.encode(ascending),
            STANDARD.encode([1; 31]),
            STANDARD.encode([1; 33]),
            passphrase,
        ] {
            let error = LocalMasterKey::from_text(&text).unwrap_err();
            assert_eq!(error.kind(), Kind::Invalid, "{text:?}");
            assert!(text.is_empty() || !error.to_string().contains(&text));
        }
    }

    #[test]
    fn debug_output_shows_the_name_alone() {
        let master = LocalMasterKey::from_bytes(&Secret::new([0xab; 32])).unwrap();
        let shown = format!("{master:?}");
        assert!(shown.contains(master.id()));
        assert!(!shown.contains("abab") && !shown.contains("171"));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,100}") {
            let _ = parse_key(&text);
        }
    }
}
