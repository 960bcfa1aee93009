//! The key that stands in a page: `cw_pk_{live|test|dev}_`, 22 characters of id, 6 of check.
//!
//! Owns its shape and its check. The check is CRC-32 and no protection: it lets a mistyped key be told from an
//! unknown one without a look-up, and a scanner recognise a key. Every change of one character, and every exchange
//! of two neighbours, changes it for certain. Never a secret: the key names a site and gives no right but its chat.

use crate::base62::{LONG, SHORT, base62_encode, is_base62};
use crate::key_check::{environment_of, has_check, push_check};
use chatward_types::{Entropy, Environment, Result};
use std::fmt;
use std::str::FromStr;

const PREFIX: &str = "cw_pk_";
const SECRET_PREFIX: &str = "cw_sk_";

/// A publishable key of the right shape; whether a site has it is the store's knowledge.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PublishableKey {
    text: Box<str>,
    environment: Environment,
}

/// Why a text is not a publishable key. The texts are fit for the client and repeat nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyShapeError {
    /// It is a secret key, which has no place in a page. Worth an event.
    SecretKey,
    /// It does not start as a publishable key does.
    NotAKey,
    /// The word after `cw_pk_` is not live, test or dev.
    UnknownEnvironment,
    /// The part after the environment has not 28 characters.
    WrongLength,
    /// A character is outside `[0-9A-Za-z]`.
    WrongCharacter,
    /// The check does not fit the rest: a typing or copying error.
    WrongCheck,
}

impl PublishableKey {
    /// A new key for an installation of this environment.
    ///
    /// # Errors
    /// When the entropy source fails.
    pub fn generate(environment: Environment, entropy: &dyn Entropy) -> Result<Self> {
        let mut random = [0_u8; 16];
        entropy.fill(&mut random)?;
        let mut text = String::with_capacity(PREFIX.len() + 5 + LONG + SHORT);
        text.push_str(PREFIX);
        text.push_str(environment.key_word());
        text.push('_');
        text.push_str(&base62_encode(random));
        push_check(&mut text);
        Ok(Self { text: text.into_boxed_str(), environment })
    }

    /// The key that a client sent, if its shape and check are right.
    ///
    /// # Errors
    /// The reason why it is not one.
    pub fn parse(text: &str) -> Result<Self, KeyShapeError> {
        let Some(rest) = text.strip_prefix(PREFIX) else {
            return Err(if text.starts_with(SECRET_PREFIX) {
                KeyShapeError::SecretKey
            } else {
                KeyShapeError::NotAKey
            });
        };
        let (word, body) = rest.split_once('_').ok_or(KeyShapeError::UnknownEnvironment)?;
        let environment = environment_of(word).ok_or(KeyShapeError::UnknownEnvironment)?;
        if body.len() != LONG + SHORT {
            return Err(KeyShapeError::WrongLength);
        }
        if !is_base62(body) {
            return Err(KeyShapeError::WrongCharacter);
        }
        if !has_check(text) {
            return Err(KeyShapeError::WrongCheck);
        }
        Ok(Self { text: text.into(), environment })
    }

    /// Which environment it is made for; another one refuses it.
    pub fn environment(&self) -> Environment {
        self.environment
    }

    /// The 22 characters that tell it from other keys.
    pub fn id(&self) -> &str {
        let end = self.text.len() - SHORT;
        &self.text[end - LONG..end]
    }

    /// The whole key.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for PublishableKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for PublishableKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for PublishableKey {
    type Err = KeyShapeError;

    fn from_str(text: &str) -> Result<Self, KeyShapeError> {
        Self::parse(text)
    }
}

impl fmt::Display for KeyShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SecretKey => "this is a secret key, which must never be in a page; use the site's publishable key",
            Self::NotAKey => "a publishable key starts with cw_pk_",
            Self::UnknownEnvironment => "cw_pk_ must be followed by live_, test_ or dev_",
            Self::WrongLength => "the key is cut short or too long",
            Self::WrongCharacter => "the key has a character that no key has",
            Self::WrongCheck => "the key is mistyped; copy it again",
        })
    }
}

impl std::error::Error for KeyShapeError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SystemEntropy;
    use proptest::prelude::*;

    const ENVIRONMENTS: [Environment; 3] = [Environment::Development, Environment::Staging, Environment::Production];

    #[test]
    fn a_generated_key_parses_to_itself() {
        for (environment, word) in ENVIRONMENTS.into_iter().zip(["dev", "test", "live"]) {
            let key = PublishableKey::generate(environment, &SystemEntropy).unwrap();
            assert!(key.as_str().starts_with(&format!("cw_pk_{word}_")));
            assert_eq!(key.id().len(), 22);
            let parsed = PublishableKey::parse(key.as_str()).unwrap();
            assert_eq!(parsed, key);
            assert_eq!(parsed.environment(), environment);
            assert_eq!(key.to_string().parse(), Ok(key));
        }
    }

    #[test]
    fn every_typing_error_of_one_character_is_caught() {
        for environment in ENVIRONMENTS {
            let key = PublishableKey::generate(environment, &SystemEntropy).unwrap();
            for i in 0..key.as_str().len() {
                for replacement in (0_u8..128).map(char::from) {
                    let mut text = key.as_str().to_owned();
                    text.replace_range(i..=i, &replacement.to_string());
                    if text != key.as_str() {
                        assert!(PublishableKey::parse(&text).is_err(), "character {i}");
                    }
                }
                let mut dropped = key.as_str().to_owned();
                dropped.remove(i);
                assert!(PublishableKey::parse(&dropped).is_err(), "character {i} dropped");
                let mut doubled = key.as_str().to_owned();
                doubled.insert(i, '7');
                assert!(PublishableKey::parse(&doubled).is_err(), "one more at {i}");
            }
        }
    }

    #[test]
    fn every_exchange_of_neighbours_is_caught() {
        for _ in 0..50 {
            let key = PublishableKey::generate(Environment::Production, &SystemEntropy).unwrap();
            for i in 0..key.as_str().len() - 1 {
                let mut bytes = key.as_str().as_bytes().to_vec();
                bytes.swap(i, i + 1);
                let text = String::from_utf8(bytes).unwrap();
                assert!(text == key.as_str() || PublishableKey::parse(&text).is_err());
            }
        }
    }

    #[test]
    fn each_misshape_has_its_name() {
        let body = "A".repeat(28);
        for (text, error) in [
            (["cw_", "sk_live_", "abc"].concat(), KeyShapeError::SecretKey),
            (["pk_", "live_", &body].concat(), KeyShapeError::NotAKey),
            (String::new(), KeyShapeError::NotAKey),
            (["cw_pk_", "prod_", &body].concat(), KeyShapeError::UnknownEnvironment),
            ("cw_pk_".to_owned(), KeyShapeError::UnknownEnvironment),
            (["cw_pk_", "live_", &body[1..]].concat(), KeyShapeError::WrongLength),
            (["cw_pk_", "live_", &body, &body].concat(), KeyShapeError::WrongLength),
            (["cw_pk_", "live_", &body[1..], "-"].concat(), KeyShapeError::WrongCharacter),
            (["cw_pk_", "live_", &body[2..], "é"].concat(), KeyShapeError::WrongCharacter),
            (["cw_pk_", "live_", &body].concat(), KeyShapeError::WrongCheck),
        ] {
            assert_eq!(PublishableKey::parse(&text), Err(error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "(cw_pk_(live_)?)?.{0,40}") {
            let _ = PublishableKey::parse(&text);
        }

        #[test]
        fn what_parses_is_what_was_sent(text in "cw_pk_(live|test|dev)_[0-9A-Za-z]{28}") {
            if let Ok(key) = PublishableKey::parse(&text) {
                prop_assert_eq!(key.as_str(), text);
            }
        }
    }
}
