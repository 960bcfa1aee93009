//! The one place that calls the cipher: AES-256-GCM-SIV (RFC 8452), which a repeated nonce does not break.
//!
//! Owns the layout of a sealed value: header, 12-byte nonce, ciphertext, 16-byte tag. The header and the caller's
//! fields are authenticated, each with its length before it, so that no two lists of fields look alike.
//! Never decides what the fields are: that is the envelope's and the master key's part.

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use chatward_types::{Entropy, Error, Result, Secret};
use zeroize::Zeroize;

/// Bytes that sealing adds to header and plain text.
pub(crate) const OVERHEAD: usize = NONCE_LEN + 16;

/// A key ready for use. It has no Debug that could show it, and the library wipes it when it is dropped.
pub(crate) struct SealingKey(LessSafeKey);

impl SealingKey {
    pub(crate) fn new(key: &Secret<[u8; 32]>) -> Result<Self> {
        UnboundKey::new(&AES_256_GCM_SIV, key.expose())
            .map(|key| Self(LessSafeKey::new(key)))
            .map_err(|_| Error::internal("the cipher refused the key"))
    }

    /// `header`, nonce, ciphertext and tag. `fields` must be given again to open it.
    pub(crate) fn seal(&self, header: &[u8], fields: &[&[u8]], plain: &[u8], entropy: &dyn Entropy) -> Result<Vec<u8>> {
        let mut nonce = [0_u8; NONCE_LEN];
        entropy.fill(&mut nonce)?;
        let mut sealed = Vec::with_capacity(header.len() + OVERHEAD + plain.len());
        sealed.extend_from_slice(header);
        sealed.extend_from_slice(&nonce);
        let start = sealed.len();
        sealed.extend_from_slice(plain);
        let tag = self.0.seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(associated_data(header, fields)),
            &mut sealed[start..],
        );
        let Ok(tag) = tag else {
            sealed.zeroize();
            return Err(Error::internal("the cipher refused to seal"));
        };
        sealed.extend_from_slice(tag.as_ref());
        Ok(sealed)
    }

    /// The plain text of `rest` (what follows the header), if nothing in it, the header or the fields was changed.
    pub(crate) fn open(&self, header: &[u8], fields: &[&[u8]], rest: &[u8]) -> Result<Vec<u8>> {
        let changed = || Error::internal("a sealed value was changed, or belongs to another record, owner or key");
        if rest.len() < OVERHEAD {
            return Err(changed());
        }
        let (nonce, body) = rest.split_at(NONCE_LEN);
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| changed())?;
        let mut plain = body.to_vec();
        let aad = Aad::from(associated_data(header, fields));
        match self.0.open_in_place(nonce, aad, &mut plain) {
            Ok(opened) => {
                let length = opened.len();
                plain.truncate(length);
                Ok(plain)
            }
            Err(_) => {
                // What the cipher decrypted before it saw the tag is nobody's business.
                plain.zeroize();
                Err(changed())
            }
        }
    }
}

fn associated_data(header: &[u8], fields: &[&[u8]]) -> Vec<u8> {
    let fields = std::iter::once(header).chain(fields.iter().copied());
    let mut data = Vec::with_capacity(fields.clone().map(|field| field.len() + 8).sum());
    for field in fields {
        data.extend_from_slice(&(field.len() as u64).to_be_bytes());
        data.extend_from_slice(field);
    }
    data
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SystemEntropy;
    use proptest::prelude::*;

    fn key() -> SealingKey {
        SealingKey::new(&Secret::new([9; 32])).unwrap()
    }

    #[test]
    fn fields_cannot_be_shifted_into_one_another() {
        let sealed = key().seal(b"h", &[b"ab", b"c"], b"text", &SystemEntropy).unwrap();
        assert!(key().open(b"h", &[b"ab", b"c"], &sealed[1..]).is_ok());
        for fields in [&[b"a".as_slice(), b"bc"][..], &[b"abc"], &[b"ab", b"c", b""], &[]] {
            assert!(key().open(b"h", fields, &sealed[1..]).is_err());
        }
        assert!(key().open(b"x", &[b"ab", b"c"], &sealed[1..]).is_err());
    }

    #[test]
    fn the_same_text_never_looks_the_same() {
        let first = key().seal(b"", &[], b"text", &SystemEntropy).unwrap();
        let second = key().seal(b"", &[], b"text", &SystemEntropy).unwrap();
        assert_ne!(first, second);
    }

    proptest! {
        #[test]
        fn any_text_round_trips(plain in prop::collection::vec(any::<u8>(), 0..300)) {
            let sealed = key().seal(b"h", &[b"f"], &plain, &SystemEntropy).unwrap();
            prop_assert_eq!(sealed.len(), 1 + OVERHEAD + plain.len());
            prop_assert_eq!(key().open(b"h", &[b"f"], &sealed[1..]).unwrap(), plain);
        }

        #[test]
        fn no_bytes_make_it_panic_or_open(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            prop_assert!(key().open(b"h", &[], &bytes).is_err());
        }
    }
}
