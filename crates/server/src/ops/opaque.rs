//! Opaque tokens: an owner, an id, a 256-bit secret and a code of ours over all of it, in base62.
//!
//! Owns their shape and making. The code tells what we issued from what somebody made up before the store is asked; it is
//! what makes a spent refresh token recognisable however long ago it was spent. Whether a token holds, the hash in the
//! store says. Never stores one.

use crate::ops::signing_keys::Source;
use chatward_types::{Entropy, Error, OwnerId, Result, Secret, UserId};
use chatward_vault::{base62_decode, base62_encode, derive, digest, equal_constant_time, hmac_sha256};
use std::fmt;

const PART: usize = 22;

/// The keys of everything about accounts that is not a signed token.
pub struct AccountKeys {
    lookup: Secret<[u8; 32]>,
    link: Secret<[u8; 32]>,
    refresh: Secret<[u8; 32]>,
    invitation: Secret<[u8; 32]>,
    recovery: Secret<[u8; 32]>,
    recovery_code: Secret<[u8; 32]>,
}

/// What a token is for; one of a kind is none of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Continues a login.
    Refresh,
    /// Makes somebody a user.
    Invitation,
    /// Sets a password anew; its id is the user's.
    Recovery,
}

/// A token of ours.
#[derive(Debug)]
pub struct Opaque {
    /// Whose row it names.
    pub owner: OwnerId,
    /// The row's id.
    pub id: [u8; 16],
    /// What the store holds of it.
    pub hash: [u8; 32],
}

impl fmt::Debug for AccountKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountKeys").finish_non_exhaustive()
    }
}

impl AccountKeys {
    /// Loads the keys, and makes them on the first start of an installation.
    ///
    /// # Errors
    /// When the store or the vault fails, for example because the master key is another one.
    pub async fn load(source: Source<'_>) -> Result<Self> {
        source.secret("account").await.map(|key| Self::of(&key))
    }

    fn of(key: &Secret<[u8; 32]>) -> Self {
        Self {
            lookup: derive(key, "account lookup"),
            link: derive(key, "issuer link"),
            refresh: derive(key, "refresh token"),
            invitation: derive(key, "invitation"),
            recovery: derive(key, "recovery"),
            recovery_code: derive(key, "recovery code"),
        }
    }

    /// What an address is found by. It says nothing about the address to whoever lacks the key.
    pub fn lookup(&self, email: &str) -> String {
        hmac_sha256(&self.lookup, email.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// What an outside issuer's subject is found by.
    pub fn link_lookup(&self, issuer: &str, subject: &str) -> String {
        // The length says where the one ends, so that no two pairs are one text.
        let text = format!("{}:{issuer}{subject}", issuer.len());
        hmac_sha256(&self.link, text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// What the store holds of a recovery code: worth nothing without the key, nor with another user.
    pub fn recovery_code(&self, owner: OwnerId, user: UserId, code: &Secret<[u8; 10]>) -> [u8; 32] {
        let message = Secret::new([owner.as_bytes(), user.as_bytes(), code.expose().as_slice()].concat());
        hmac_sha256(&self.recovery_code, message.expose())
    }

    /// A new token, and the hash to store.
    ///
    /// # Errors
    /// When the entropy source fails.
    pub fn mint(
        &self,
        kind: Kind,
        owner: OwnerId,
        id: &[u8; 16],
        entropy: &dyn Entropy,
    ) -> Result<(Secret<String>, [u8; 32])> {
        let secret = chatward_vault::random_secret(entropy)?;
        let half = |at: usize| <[u8; 16]>::try_from(&secret.expose()[at..at + 16]).map_err(Error::internal);
        let mut text = String::from(prefix(kind));
        for part in [*owner.as_bytes(), *id, half(0)?, half(16)?] {
            text.push_str(&base62_encode(part));
        }
        let code = base62_encode(self.code(kind, &text));
        text.push_str(&code);
        let hash = digest(text.as_bytes());
        Ok((Secret::new(text), hash))
    }

    /// The token that a text is, if we issued it.
    pub fn parse(&self, kind: Kind, text: &str) -> Option<Opaque> {
        let body = text.strip_prefix(prefix(kind)).filter(|body| body.len() == 5 * PART && body.is_ascii())?;
        let part = |at: usize| base62_decode(&body[at * PART..(at + 1) * PART]);
        let covered = &text[..text.len() - PART];
        let issued = equal_constant_time(&self.code(kind, covered), &part(4)?);
        let (owner, id) = (OwnerId::from_bytes(part(0)?), part(1)?);
        issued.then(|| Opaque { owner, id, hash: digest(text.as_bytes()) })
    }

    fn code(&self, kind: Kind, covered: &str) -> [u8; 16] {
        let key = match kind {
            Kind::Refresh => &self.refresh,
            Kind::Invitation => &self.invitation,
            Kind::Recovery => &self.recovery,
        };
        let mut code = [0_u8; 16];
        code.copy_from_slice(&hmac_sha256(key, covered.as_bytes())[..16]);
        code
    }
}

fn prefix(kind: Kind) -> &'static str {
    match kind {
        Kind::Refresh => "cw_rt_",
        Kind::Invitation => "cw_iv_",
        Kind::Recovery => "cw_rc_",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chatward_vault::SystemEntropy;

    #[test]
    fn only_what_we_issued_is_a_token_and_only_of_its_kind() {
        let keys = AccountKeys::of(&Secret::new([1; 32]));
        let owner = OwnerId::from_bytes([5; 16]);
        let (text, hash) = keys.mint(Kind::Refresh, owner, &[9; 16], &SystemEntropy).expect("a token");
        let text = text.expose();
        let token = keys.parse(Kind::Refresh, text).expect("its own text");
        assert_eq!((token.owner, token.id, token.hash), (owner, [9; 16], hash));
        assert_ne!(keys.refresh.expose(), keys.invitation.expose(), "each kind has a key of its own");
        assert!(keys.parse(Kind::Invitation, text).is_none());
        assert!(keys.parse(Kind::Invitation, &text.replace("cw_rt_", "cw_iv_")).is_none());
        assert!(keys.parse(Kind::Recovery, &text.replace("cw_rt_", "cw_rc_")).is_none());
        assert!(AccountKeys::of(&Secret::new([2; 32])).parse(Kind::Refresh, text).is_none());
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            assert!(keys.parse(Kind::Refresh, &String::from_utf8(bytes).expect("ascii")).is_none(), "at {at}");
        }
        for bad in ["", "cw_rt_", &"ä".repeat(58), &format!("{text}0"), &text[..text.len() - 1]] {
            assert!(keys.parse(Kind::Refresh, bad).is_none());
        }
    }
}
