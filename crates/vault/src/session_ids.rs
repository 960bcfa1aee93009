//! The names of visitors' sessions: unguessable, and recognisable as ours without a look-up (SESS-01).
//!
//! Owns the format `session_`, 22 characters of 128 random bits, 22 characters of a MAC over them (HMAC-SHA-256, cut
//! to 128 bits). A forged or mistyped name is refused before the store hears of it. Never says why a name was
//! refused, and never whether a session exists.

use crate::base62::{LONG, base62_decode, base62_encode};
use crate::hashing::equal_constant_time;
use aws_lc_rs::hmac;
use chatward_types::{Entropy, Result, Secret, SessionId};
use std::fmt;

const PREFIX: &str = "session_";

/// Makes and checks session names under one key.
#[derive(Clone)]
pub struct SessionIds {
    key: hmac::Key,
}

impl SessionIds {
    /// Names under this key; it serves no other purpose.
    pub fn new(key: &Secret<[u8; 32]>) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, key.expose()) }
    }

    /// A new name: `session_` and 44 characters of `[0-9A-Za-z]`.
    ///
    /// # Errors
    /// When the entropy source fails.
    pub fn generate(&self, entropy: &dyn Entropy) -> Result<SessionId> {
        let mut random = [0_u8; 16];
        entropy.fill(&mut random)?;
        let mut text = String::with_capacity(PREFIX.len() + 2 * LONG);
        text.push_str(PREFIX);
        text.push_str(&base62_encode(random));
        text.push_str(&base62_encode(self.mac(random)));
        Ok(SessionId::from_verified(text))
    }

    /// The session id, if this installation made it.
    pub fn verify(&self, text: &str) -> Option<SessionId> {
        let (random, mac) = text.strip_prefix(PREFIX)?.split_at_checked(LONG)?;
        let random = base62_decode(random)?;
        let mac = base62_decode(mac)?;
        equal_constant_time(&mac, &self.mac(random)).then(|| SessionId::from_verified(text))
    }

    fn mac(&self, random: [u8; 16]) -> [u8; 16] {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(b"chatward session id v1");
        context.update(&random);
        let mut mac = [0; 16];
        mac.copy_from_slice(&context.sign().as_ref()[..16]);
        mac
    }
}

impl fmt::Debug for SessionIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionIds([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SystemEntropy, random_secret};
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn ids() -> SessionIds {
        SessionIds::new(&random_secret(&SystemEntropy).unwrap())
    }

    #[test]
    fn names_have_the_promised_form_and_verify() {
        let ids = ids();
        let mut seen = HashSet::new();
        for _ in 0..10_000 {
            let id = ids.generate(&SystemEntropy).unwrap();
            let rest = id.as_str().strip_prefix("session_").unwrap();
            assert_eq!(rest.len(), 44);
            assert!(rest.bytes().all(|byte| byte.is_ascii_alphanumeric()));
            assert_eq!(ids.verify(id.as_str()), Some(id.clone()));
            assert!(seen.insert(id), "a name came twice");
        }
    }

    #[test]
    fn every_changed_character_is_refused() {
        let ids = ids();
        let id = ids.generate(&SystemEntropy).unwrap();
        for i in 0..id.as_str().len() {
            for replacement in ['0', 'Z', 'a', '_', '-'] {
                let mut text = id.as_str().to_owned();
                text.replace_range(i..=i, &replacement.to_string());
                if text != id.as_str() {
                    assert_eq!(ids.verify(&text), None, "character {i} is not covered");
                }
            }
        }
    }

    #[test]
    fn forgeries_are_refused() {
        let (ours, theirs) = (ids(), ids());
        let foreign = theirs.generate(&SystemEntropy).unwrap();
        assert_eq!(ours.verify(foreign.as_str()), None, "made under another key");

        let (first, second) = (ours.generate(&SystemEntropy).unwrap(), ours.generate(&SystemEntropy).unwrap());
        let spliced = [&first.as_str()[..30], &second.as_str()[30..]].concat();
        assert_eq!(ours.verify(&spliced), None, "one's random bits with another's MAC");

        let good = first.as_str();
        for text in [
            "",
            "session_",
            &good[8..],
            &good[..good.len() - 1],
            &[good, "0"].concat(),
            &[good, " "].concat(),
            &["Session_", &good[8..]].concat(),
            &["session_", &"0".repeat(44)].concat(),
            &["session_", &"z".repeat(44)].concat(),
            &["session_", &"é".repeat(22)].concat(),
        ] {
            assert_eq!(ours.verify(text), None, "{text:?}");
        }
    }

    #[test]
    fn debug_output_is_redacted() {
        assert_eq!(format!("{:?}", ids()), "SessionIds([redacted])");
    }

    proptest! {
        #[test]
        fn no_text_verifies_by_chance_or_panics(text in "(session_)?.{0,60}") {
            prop_assert_eq!(ids().verify(&text), None);
        }

        #[test]
        fn no_well_formed_text_verifies_by_chance(text in "session_[0-9A-Za-z]{44}") {
            prop_assert_eq!(ids().verify(&text), None);
        }
    }
}
