//! The rings of signing keys: one for each purpose, each with its own keys, type and audience.
//!
//! Owns: the only signing and checking of tokens that we issue. The algorithm belongs to the key, the type, issuer and
//! audience to the purpose, all constant; the header may name a key of the ring and nothing else (`jku`, `jwk`, `x5u`,
//! `crit` and every other member are refused); over 8 KB is refused unread. A ring is replaced whole, and read without a
//! lock. Never knows what the claims mean: whoever owns them compares them with the clock.

use crate::config::TokenAlgorithm;
use arc_swap::ArcSwap;
use chatward_types::{Error, Result, SECOND, Secret, Timestamp};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The issuer of every token of ours.
pub const ISSUER: &str = "chatward";
const LONGEST: usize = 8 * 1024;
/// No two lists of keys share a number, not even of two that replace one another at once.
static GENERATIONS: AtomicU64 = AtomicU64::new(1);
/// How far another node's clock may be ahead.
pub const SKEW: Timestamp = 60 * SECOND;

/// What the keys of a ring sign. A token of one purpose is refused by every other ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Purpose {
    /// The name in the store.
    pub name: &'static str,
    /// The `typ` of its tokens.
    pub kind: &'static str,
    /// The `aud` of its tokens.
    pub audience: &'static str,
    /// How long its tokens may hold.
    pub life: Life,
}

/// The longest life of a purpose's tokens: how long a key that signs no more goes on checking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// So many seconds.
    Seconds(i64),
    /// `accounts.access_minutes`.
    Access,
    /// `sessions.idle_hours`.
    Idle,
    /// For ever: it is evidence and admits nobody.
    Evidence,
}

/// A visitor's bearer token.
pub const VISITOR: Purpose =
    Purpose { name: "visitor", kind: "visitor+jwt", audience: "chatward:visitor", life: Life::Idle };
/// A user's access token.
pub const USER: Purpose = Purpose { name: "user", kind: "user+jwt", audience: "chatward:user", life: Life::Access };
/// A device's token; `ops::devices` issues none that holds longer.
pub const DEVICE: Purpose =
    Purpose { name: "device", kind: "device+jwt", audience: "chatward:device", life: Life::Seconds(90 * 86_400) };
/// What the loader gets on a site's page and the frame trades.
pub const TICKET: Purpose =
    Purpose { name: "ticket", kind: "ticket+jwt", audience: "chatward:ticket", life: Life::Seconds(30) };
/// What brings a visitor back to a session, together with a ticket.
pub const RESUME: Purpose =
    Purpose { name: "resume", kind: "resume+jwt", audience: "chatward:resume", life: Life::Idle };
/// That something was erased or handed out.
pub const RECEIPT: Purpose =
    Purpose { name: "receipt", kind: "receipt+jwt", audience: "chatward:receipt", life: Life::Evidence };

/// Every purpose. What walks them (rotation, ages, the tests that try each ring's tokens on each other) finds a new one here.
pub const PURPOSES: [Purpose; 6] = [VISITOR, USER, DEVICE, TICKET, RESUME, RECEIPT];

/// The keys of one purpose; the first signs, all check until their end.
pub struct Ring {
    purpose: Purpose,
    keys: ArcSwap<Keys>,
}

struct Keys {
    /// Changes with every replacement.
    generation: u64,
    list: Vec<Key>,
}

/// A key with everything that its tokens are pinned to.
pub struct Key {
    id: String,
    algorithm: TokenAlgorithm,
    until: Timestamp,
    /// Of Ed25519.
    public: Option<[u8; 32]>,
    header: Header,
    validation: Validation,
    encoding: EncodingKey,
    decoding: DecodingKey,
}

/// The only members that a token's header may have.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StrictHeader {
    alg: String,
    typ: String,
    kid: String,
}

impl std::fmt::Debug for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let keys = self.keys.load();
        f.debug_struct("Ring").field("purpose", &self.purpose.name).field("keys", &keys.list.len()).finish()
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Ring {
    /// A ring of these keys; the first signs.
    ///
    /// # Errors
    /// [`chatward_types::Kind::Internal`] without a key.
    pub fn of(purpose: Purpose, list: Vec<Key>) -> Result<Self> {
        refuse_empty(&list)?;
        Ok(Self { purpose, keys: ArcSwap::from_pointee(Keys { generation: 0, list }) })
    }

    /// Puts these keys in the place of all; whoever checks a token sees the ones or the others.
    ///
    /// # Errors
    /// [`chatward_types::Kind::Internal`] without a key; the ring stays as it is.
    pub fn replace(&self, list: Vec<Key>) -> Result<()> {
        refuse_empty(&list)?;
        let generation = GENERATIONS.fetch_add(1, Ordering::Relaxed);
        self.keys.store(Arc::new(Keys { generation, list }));
        Ok(())
    }

    /// What its keys sign.
    pub fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// Another number after every replacement: what was checked under an earlier one is checked again.
    pub fn generation(&self) -> u64 {
        self.keys.load().generation
    }

    /// The `aud` that claims must carry.
    pub fn audience(&self) -> String {
        self.purpose.audience.to_owned()
    }

    /// Signs claims; they carry [`ISSUER`] as `iss` and [`Ring::audience`] as `aud`.
    ///
    /// # Errors
    /// [`chatward_types::Kind::Internal`] when signing fails.
    pub fn sign(&self, claims: &impl Serialize) -> Result<String> {
        let keys = self.keys.load();
        let key = keys.list.first().ok_or_else(|| Error::internal("a ring of signing keys is empty"))?;
        jsonwebtoken::encode(&key.header, claims, &key.encoding).map_err(Error::internal)
    }

    /// The claims of a token that a key of this ring signed which checks now, and until when it does. `T` must demand `iss`
    /// and `aud`; the token's own times are the caller's to compare.
    pub fn check<T: DeserializeOwned>(&self, token: &str, now: Timestamp) -> Option<(T, Timestamp)> {
        if token.len() > LONGEST {
            return None;
        }
        let header: StrictHeader = read_header(token)?;
        let keys = self.keys.load();
        let key = keys.named(&header, self.purpose, now)?;
        // The key says the algorithm, and the token must say the same: a public key is never a shared secret.
        if header.alg != key.algorithm.as_str() {
            return None;
        }
        let data = jsonwebtoken::decode::<T>(token, &key.decoding, &key.validation).ok()?;
        Some((data.claims, key.until))
    }

    /// The claims alone, as [`Ring::check`].
    pub fn verify<T: DeserializeOwned>(&self, token: &str, now: Timestamp) -> Option<T> {
        self.check(token, now).map(|(claims, _)| claims)
    }

    /// Whether the key that a token names still checks; of a token that was checked before.
    pub fn still_names_a_key(&self, token: &str, now: Timestamp) -> bool {
        read_header::<StrictHeader>(token).is_some_and(|header| {
            let keys = self.keys.load();
            keys.named(&header, self.purpose, now).is_some()
        })
    }

    /// The id of the key that a token names; of a token that was checked before.
    pub fn key_of(token: &str) -> Option<String> {
        read_header::<StrictHeader>(token).map(|header| header.kid)
    }

    /// Whether the key of this id still checks.
    pub fn has_key(&self, id: &str, now: Timestamp) -> bool {
        self.keys.load().list.iter().any(|key| key.id == id && key.until > now)
    }

    /// The public keys with which others may check this ring's tokens: name and 32 bytes of Ed25519 each.
    pub fn public_keys(&self, now: Timestamp) -> Vec<(String, [u8; 32])> {
        let keys = self.keys.load();
        let public = |key: &Key| Some((key.id.clone(), key.public?));
        keys.list.iter().filter(|key| key.until > now).filter_map(public).collect()
    }

    /// A ring for tests: key `a` of ones, key `b` of twos.
    #[cfg(test)]
    pub(crate) fn sample(purpose: Purpose) -> Self {
        let key = |id: &str, byte: u8| {
            Key::new(purpose, id.to_owned(), TokenAlgorithm::Hs256, &Secret::new([byte; 32]), None).expect("a key")
        };
        Self::of(purpose, vec![key("a", 1), key("b", 2)]).expect("keys")
    }
}

impl Keys {
    fn named(&self, header: &StrictHeader, purpose: Purpose, now: Timestamp) -> Option<&Key> {
        (header.typ == purpose.kind)
            .then(|| self.list.iter().find(|key| key.id == header.kid && key.until > now))
            .flatten()
    }
}

impl Key {
    /// A key of a purpose from its 32 secret bytes; it checks until `until`, or for ever.
    ///
    /// # Errors
    /// When the cryptography refuses it, which does not happen for 32 bytes.
    pub fn new(
        purpose: Purpose,
        id: String,
        algorithm: TokenAlgorithm,
        secret: &Secret<[u8; 32]>,
        until: Option<Timestamp>,
    ) -> Result<Self> {
        let (used, encoding, decoding, public) = match algorithm {
            TokenAlgorithm::Hs256 => {
                let bytes = secret.expose();
                (Algorithm::HS256, EncodingKey::from_secret(bytes), DecodingKey::from_secret(bytes), None)
            }
            TokenAlgorithm::EdDsa => {
                let public = chatward_vault::ed25519_public(secret)?;
                let private = chatward_vault::ed25519_pkcs8(secret);
                let encoding = EncodingKey::from_ed_der(private.expose());
                (Algorithm::EdDSA, encoding, DecodingKey::from_ed_der(&public), Some(public))
            }
        };
        let mut header = Header::new(used);
        header.typ = Some(purpose.kind.to_owned());
        header.kid = Some(id.clone());
        let until = until.unwrap_or(Timestamp::MAX);
        let validation = validation(purpose, used);
        Ok(Self { id, algorithm, until, public, header, validation, encoding, decoding })
    }
}

fn refuse_empty(list: &[Key]) -> Result<()> {
    if list.is_empty() { Err(Error::internal("a ring of signing keys is empty")) } else { Ok(()) }
}

/// A token's header as a strict type; nothing of it is verified yet.
pub fn read_header<T: DeserializeOwned>(token: &str) -> Option<T> {
    use base64::Engine as _;
    let (head, _) = token.split_once('.')?;
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(head).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// When a token ends, in microseconds, if it holds now: not run out, and not from the future. Both in seconds.
pub fn end_of(issued: i64, ends: i64, now: Timestamp) -> Option<Timestamp> {
    let ends = ends.checked_mul(SECOND)?;
    (ends > now && issued.checked_mul(SECOND)? <= now.saturating_add(SKEW)).then_some(ends)
}

/// Time is checked against our own clock and claims are strict structs, so the library checks the rest.
fn validation(purpose: Purpose, algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.validate_exp = false;
    validation.required_spec_claims.clear();
    validation.set_audience(&[purpose.audience]);
    validation.set_issuer(&[ISSUER]);
    validation
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Claims {
        iss: String,
        aud: String,
        jti: String,
    }

    fn token(ring: &Ring) -> String {
        let claims = Claims { iss: ISSUER.to_owned(), aud: ring.audience(), jti: "x".to_owned() };
        ring.sign(&claims).expect("a token")
    }

    #[test]
    fn a_token_of_one_purpose_is_none_of_another() {
        let rings: Vec<Ring> = PURPOSES.into_iter().map(Ring::sample).collect();
        for (at, signing) in rings.iter().enumerate() {
            for (other, checking) in rings.iter().enumerate() {
                // All have the same keys here, so only type and audience can tell them apart.
                assert_eq!(checking.verify::<Claims>(&token(signing), 0).is_some(), at == other);
            }
        }
        for (ring, other) in rings.iter().zip(PURPOSES.iter().cycle().skip(1)) {
            let wrong = Claims { iss: ISSUER.to_owned(), aud: other.audience.to_owned(), jti: "x".to_owned() };
            let signed = ring.sign(&wrong).expect("a token");
            assert_eq!(ring.verify::<Claims>(&signed, 0), None, "the right type, the wrong audience");
        }
        let mut names: Vec<&str> = PURPOSES.iter().flat_map(|it| [it.name, it.kind, it.audience]).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 3 * PURPOSES.len(), "no two purposes share a name, a type or an audience");
    }

    fn key(id: &str, algorithm: TokenAlgorithm, byte: u8, until: Option<Timestamp>) -> Key {
        Key::new(USER, id.to_owned(), algorithm, &Secret::new([byte; 32]), until).expect("a key")
    }

    #[test]
    fn the_first_key_signs_and_an_earlier_one_checks_until_its_end() {
        use TokenAlgorithm::{EdDsa, Hs256};
        for (before, after) in [(Hs256, Hs256), (Hs256, EdDsa), (EdDsa, Hs256), (EdDsa, EdDsa)] {
            let ring = Ring::of(USER, vec![key("old", before, 1, None)]).expect("a ring");
            let old = token(&ring);
            let generation = ring.generation();
            ring.replace(vec![key("new", after, 2, None), key("old", before, 1, Some(100))]).expect("keys");
            assert_ne!(ring.generation(), generation);
            let new = token(&ring);
            for (text, now, holds) in [(&old, 99, true), (&old, 100, false), (&new, 100, true)] {
                assert_eq!(ring.verify::<Claims>(text, now).is_some(), holds);
                assert_eq!(ring.still_names_a_key(text, now), holds);
            }
            assert_eq!(ring.check::<Claims>(&old, 0).expect("claims").1, 100);
            ring.replace(vec![key("new", after, 2, None)]).expect("keys");
            assert!(ring.verify::<Claims>(&old, 0).is_none() && !ring.still_names_a_key(&old, 0), "cut off");
            assert!(ring.replace(Vec::new()).is_err() && ring.verify::<Claims>(&new, 0).is_some(), "never empty");
        }
    }

    #[test]
    fn a_public_key_is_no_secret_and_a_secret_no_private_key() {
        use base64::Engine as _;
        use base64::engine::general_purpose::URL_SAFE_NO_PAD;
        let ring = Ring::of(USER, vec![key("k", TokenAlgorithm::EdDsa, 7, None)]).expect("a ring");
        let (id, public) = ring.public_keys(0).remove(0);
        assert_eq!(id, "k");
        let good = token(&ring);
        assert!(ring.verify::<Claims>(&good, 0).is_some());
        let claims = good.split('.').nth(1).expect("claims");
        let forge = |alg: &str, secret: &[u8]| {
            let header = URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"{alg}","typ":"user+jwt","kid":"k"}}"#));
            let message = format!("{header}.{claims}");
            let code = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret);
            let code = aws_lc_rs::hmac::sign(&code, message.as_bytes());
            format!("{message}.{}", URL_SAFE_NO_PAD.encode(code.as_ref()))
        };
        let text = URL_SAFE_NO_PAD.encode(public);
        for alg in ["HS256", "EdDSA", "none", "hs256"] {
            for secret in [&public[..], text.as_bytes(), &[7; 32], b""] {
                assert!(ring.verify::<Claims>(&forge(alg, secret), 0).is_none(), "{alg}");
            }
        }
        // The same bytes in the other kind of ring: its own token is none of this one's.
        let shared = Ring::of(USER, vec![key("k", TokenAlgorithm::Hs256, 7, None)]).expect("a ring");
        assert!(shared.verify::<Claims>(&good, 0).is_none() && ring.verify::<Claims>(&token(&shared), 0).is_none());
        assert!(shared.public_keys(0).is_empty(), "a secret is never published");
    }

    #[test]
    fn a_token_ends_at_its_end_and_does_not_come_from_the_future() {
        let now = 1_000 * SECOND;
        assert_eq!(end_of(1_000, 1_030, now), Some(1_030 * SECOND));
        for (issued, ends) in [(1_000, 1_000), (900, 999), (1_061, 2_000), (0, i64::MAX), (i64::MAX, 2_000)] {
            assert_eq!(end_of(issued, ends, now), None, "{issued} {ends}");
        }
    }
}
