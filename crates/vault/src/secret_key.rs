//! The key of an owner's own programs: `cw_sk_{live|test|dev}_`, 22 characters of public id, `_`, 44 characters of a
//! 256-bit secret, 6 of check.
//!
//! Owns its shape, its check and its hash. The id finds the key's row and may be seen; the whole text is the credential,
//! held in a [`Secret`] and shown once. What is stored is the SHA-256 of the whole text: the secret has 256 random bits,
//! so a slow hash would protect nothing more. Never prints itself.

use crate::base62::{LONG, SHORT, base62_encode, is_base62};
use crate::hashing::{digest, equal_constant_time};
use crate::key_check::{environment_of, has_check, push_check};
use chatward_types::{Entropy, Environment, Result, Secret};
use std::fmt;

const PREFIX: &str = "cw_sk_";
const BODY: usize = LONG + 1 + 2 * LONG + SHORT;

/// A secret key of the right shape; whether an owner has it is the store's knowledge.
pub struct SecretKey {
    text: Secret<String>,
    id: Box<str>,
    environment: Environment,
}

impl SecretKey {
    /// A new key for an installation of this environment.
    ///
    /// # Errors
    /// When the entropy source fails.
    pub fn generate(environment: Environment, entropy: &dyn Entropy) -> Result<Self> {
        let mut random = [0_u8; 48];
        entropy.fill(&mut random)?;
        let part = |at: usize| {
            let mut bytes = [0_u8; 16];
            bytes.copy_from_slice(&random[at..at + 16]);
            base62_encode(bytes)
        };
        let id = part(0);
        let mut text = format!("{PREFIX}{}_{id}_{}{}", environment.key_word(), part(16), part(32));
        push_check(&mut text);
        zeroize::Zeroize::zeroize(&mut random);
        Ok(Self { text: Secret::new(text), id: id.into(), environment })
    }

    /// The key that a client sent, if its shape and check are right.
    pub fn parse(text: &str) -> Option<Self> {
        let (word, body) = text.strip_prefix(PREFIX)?.split_once('_')?;
        let environment = environment_of(word)?;
        let (id, secret) = body.split_once('_')?;
        let fits = body.len() == BODY && id.len() == LONG && is_base62(id) && is_base62(secret) && has_check(text);
        fits.then(|| Self { text: Secret::new(text.to_owned()), id: id.into(), environment })
    }

    /// Whether a text begins like a secret key, whatever the rest is.
    pub fn is_like(text: &str) -> bool {
        text.starts_with(PREFIX)
    }

    /// The public part of a text that begins like a secret key, mistyped or cut short as the rest may be: enough to
    /// revoke it.
    pub fn public_part(text: &str) -> Option<&str> {
        let (word, body) = text.strip_prefix(PREFIX)?.split_once('_')?;
        environment_of(word)?;
        let id = body.get(..LONG)?;
        let whole = body.as_bytes().get(LONG).is_none_or(|next| *next == b'_');
        (whole && is_base62(id)).then_some(id)
    }

    /// Which environment it is made for; another one refuses it.
    pub fn environment(&self) -> Environment {
        self.environment
    }

    /// The public part, by which its row is found.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What is stored of it.
    pub fn hash(&self) -> [u8; 32] {
        digest(self.text.expose().as_bytes())
    }

    /// Whether it is the key that a stored hash was made of, in a time that says nothing about the hash.
    pub fn is_of(&self, hash: &[u8]) -> bool {
        equal_constant_time(&self.hash(), hash)
    }

    /// The whole key, to be shown once.
    pub fn reveal(&self) -> &Secret<String> {
        &self.text
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretKey").field("id", &self.id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SystemEntropy;
    use proptest::prelude::*;

    #[test]
    fn a_generated_key_parses_to_itself_and_prints_nothing() {
        for (environment, word) in
            [(Environment::Development, "dev"), (Environment::Staging, "test"), (Environment::Production, "live")]
        {
            let key = SecretKey::generate(environment, &SystemEntropy).unwrap();
            let text = key.reveal().expose();
            assert!(text.starts_with(&format!("{PREFIX}{word}_{}_", key.id())), "the form is the promised one");
            assert_eq!(text.len(), PREFIX.len() + word.len() + 1 + BODY);
            let parsed = SecretKey::parse(text).expect("its own text");
            assert_eq!((parsed.id(), parsed.environment()), (key.id(), environment));
            assert!(parsed.is_of(&key.hash()) && SecretKey::is_like(text));
            let another = SecretKey::generate(environment, &SystemEntropy).unwrap();
            assert!(!another.is_of(&key.hash()) && !key.is_of(&[]));
            let secret = text.rsplit('_').next().expect("the secret");
            assert!(!format!("{key:?}").contains(&secret[..8]));
        }
    }

    #[test]
    fn every_change_of_one_character_is_caught() {
        let key = SecretKey::generate(Environment::Staging, &SystemEntropy).unwrap();
        let text = key.reveal().expose().clone();
        for at in 0..text.len() {
            for replacement in ['0', 'z', '_', '-', ' '] {
                let mut other = text.clone();
                other.replace_range(at..=at, &replacement.to_string());
                assert!(other == text || SecretKey::parse(&other).is_none(), "character {at}");
            }
            let mut dropped = text.clone();
            dropped.remove(at);
            assert!(SecretKey::parse(&dropped).is_none(), "character {at} dropped");
        }
    }

    #[test]
    fn the_public_part_is_found_in_what_is_left_of_a_key() {
        let key = SecretKey::generate(Environment::Production, &SystemEntropy).unwrap();
        let text = key.reveal().expose();
        let head = PREFIX.len() + "live_".len() + LONG;
        for left in [text, &text[..text.len() - 9], &text[..=head], &text[..head]] {
            assert_eq!(SecretKey::public_part(left), Some(key.id()));
        }
        for bad in ["", &text[..head - 1], &text[3..], &text.replace("live", "prod"), &format!("{}x", &text[..head])] {
            assert_eq!(SecretKey::public_part(bad), None);
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "(cw_sk_(live_)?)?.{0,90}") {
            let _ = (SecretKey::parse(&text).is_some(), SecretKey::public_part(&text));
        }
    }
}
