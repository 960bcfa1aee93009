//! The rings of signing keys: one for each purpose, each with its own keys, type and audience.
//!
//! Owns: the only signing and checking of tokens that we issue. The algorithm, type, issuer and audience are ours and
//! constant; the header may name a key of the ring and nothing else (`jku`, `jwk`, `x5u`, `crit` and every other member
//! are refused); over 8 KB is refused unread. Never knows what the claims mean, nor the time: whoever owns the claims
//! compares them with the clock.

use chatward_store::{SigningKeyRow, Store};
use chatward_types::{Clock, Entropy, Error, Result, SECOND, Secret, Timestamp};
use chatward_vault::Vault;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The issuer of every token of ours.
pub const ISSUER: &str = "chatward";
const LONGEST: usize = 8 * 1024;
/// How far another node's clock may be ahead.
const SKEW: Timestamp = 60 * SECOND;

/// What the keys of a ring sign. A token of one purpose is refused by every other ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Purpose {
    /// The name in the store.
    pub name: &'static str,
    /// The `typ` of its tokens.
    pub kind: &'static str,
    /// The `aud` of its tokens.
    pub audience: &'static str,
}

/// A visitor's bearer token.
pub const VISITOR: Purpose = Purpose { name: "visitor", kind: "visitor+jwt", audience: "chatward:visitor" };
/// A user's access token.
pub const USER: Purpose = Purpose { name: "user", kind: "user+jwt", audience: "chatward:user" };
/// A device's token.
pub const DEVICE: Purpose = Purpose { name: "device", kind: "device+jwt", audience: "chatward:device" };
/// What the loader gets on a site's page and the frame trades.
pub const TICKET: Purpose = Purpose { name: "ticket", kind: "ticket+jwt", audience: "chatward:ticket" };
/// What brings a visitor back to a session, together with a ticket.
pub const RESUME: Purpose = Purpose { name: "resume", kind: "resume+jwt", audience: "chatward:resume" };
/// That something was erased or handed out.
pub const RECEIPT: Purpose = Purpose { name: "receipt", kind: "receipt+jwt", audience: "chatward:receipt" };

/// The keys of one purpose; the first signs, all check.
pub struct Ring {
    purpose: Purpose,
    keys: Vec<Key>,
    header: Header,
    validation: Validation,
}

struct Key {
    id: String,
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
        f.debug_struct("Ring").field("purpose", &self.purpose.name).field("keys", &self.keys.len()).finish()
    }
}

impl Ring {
    /// Loads the ring of a purpose, and makes its first key on the first start of an installation.
    ///
    /// # Errors
    /// When the store or the vault fails, for example because the master key is another one.
    pub async fn load(
        store: &Store,
        vault: &Vault,
        clock: &dyn Clock,
        entropy: &dyn Entropy,
        purpose: Purpose,
    ) -> Result<Self> {
        active_key(store, vault, clock, entropy, purpose.name).await?;
        let active = store.get_setting(&setting(purpose.name)).await?.unwrap_or_default();
        let mut keys = Vec::new();
        for row in store.signing_keys(purpose.name).await? {
            let secret = open(vault, &row)?;
            let key = Key::new(row.kid, &secret);
            if key.id == active { keys.insert(0, key) } else { keys.push(key) }
        }
        Self::of(purpose, keys)
    }

    fn of(purpose: Purpose, keys: Vec<Key>) -> Result<Self> {
        let Some(first) = keys.first() else {
            return Err(Error::internal("a ring of signing keys is empty"));
        };
        let mut header = Header::new(Algorithm::HS256);
        header.typ = Some(purpose.kind.to_owned());
        header.kid = Some(first.id.clone());
        Ok(Self { header, keys, validation: validation(purpose), purpose })
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
        let Some(key) = self.keys.first() else {
            return Err(Error::internal("a ring of signing keys is empty"));
        };
        jsonwebtoken::encode(&self.header, claims, &key.encoding).map_err(Error::internal)
    }

    /// The claims of a token that this ring signed, whatever the time. `T` must demand `iss` and `aud`.
    pub fn verify<T: DeserializeOwned>(&self, token: &str) -> Option<T> {
        if token.len() > LONGEST {
            return None;
        }
        let key_id = self.strict_key_id(token)?;
        let key = self.keys.iter().find(|key| key.id == key_id)?;
        jsonwebtoken::decode::<T>(token, &key.decoding, &self.validation).ok().map(|data| data.claims)
    }

    fn strict_key_id(&self, token: &str) -> Option<String> {
        let header: StrictHeader = read_header(token)?;
        (header.alg == "HS256" && header.typ == self.purpose.kind).then_some(header.kid)
    }

    /// A ring for tests: key `a` of ones, key `b` of twos.
    #[cfg(test)]
    pub(crate) fn sample(purpose: Purpose) -> Self {
        let key = |id: &str, byte: u8| Key::new(id.to_owned(), &Secret::new([byte; 32]));
        Self::of(purpose, vec![key("a", 1), key("b", 2)]).expect("keys")
    }
}

impl Key {
    fn new(id: String, secret: &Secret<[u8; 32]>) -> Self {
        Self {
            id,
            encoding: EncodingKey::from_secret(secret.expose()),
            decoding: DecodingKey::from_secret(secret.expose()),
        }
    }
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
fn validation(purpose: Purpose) -> Validation {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.validate_exp = false;
    validation.required_spec_claims.clear();
    validation.set_audience(&[purpose.audience]);
    validation.set_issuer(&[ISSUER]);
    validation
}

/// The active key of a purpose, made on first use. Two nodes that start at once agree on the one that the settings row
/// names.
///
/// # Errors
/// When the store or the vault fails, for example because the master key is another one.
pub async fn active_key(
    store: &Store,
    vault: &Vault,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
    purpose: &str,
) -> Result<Secret<[u8; 32]>> {
    let setting = setting(purpose);
    if store.get_setting(&setting).await?.is_none() {
        let secret = chatward_vault::random_secret(entropy)?;
        let mut id = [0_u8; 8];
        entropy.fill(&mut id)?;
        let kid = id.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let row = SigningKeyRow {
            sealed: vault.seal(&label(purpose, &kid), secret.expose())?,
            kid,
            purpose: purpose.to_owned(),
            state: "active".to_owned(),
            created_at: clock.now(),
            until_at: None,
        };
        store.insert_signing_key(&row).await?;
        store.set_setting_if_absent(&setting, &row.kid).await?;
    }
    let active = store.get_setting(&setting).await?.unwrap_or_default();
    let rows = store.signing_keys(purpose).await?;
    let row = rows
        .iter()
        .find(|row| row.kid == active)
        .ok_or_else(|| Error::internal("the active signing key is not in the ring"))?;
    open(vault, row)
}

/// The keys of a purpose that signs no tokens, the one that signs first; made on first use.
///
/// # Errors
/// As [`active_key`].
pub async fn ring_of(
    store: &Store,
    vault: &Vault,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
    purpose: &str,
) -> Result<Vec<(String, Secret<[u8; 32]>)>> {
    active_key(store, vault, clock, entropy, purpose).await?;
    let active = store.get_setting(&setting(purpose)).await?.unwrap_or_default();
    let mut keys = Vec::new();
    for row in store.signing_keys(purpose).await? {
        let key = open(vault, &row)?;
        if row.kid == active { keys.insert(0, (row.kid, key)) } else { keys.push((row.kid, key)) }
    }
    Ok(keys)
}

fn open(vault: &Vault, row: &SigningKeyRow) -> Result<Secret<[u8; 32]>> {
    let bytes = Secret::new(vault.open(&label(&row.purpose, &row.kid), &row.sealed)?);
    let array: [u8; 32] =
        bytes.expose().as_slice().try_into().map_err(|_| Error::internal("a signing key of the wrong length"))?;
    Ok(Secret::new(array))
}

fn setting(purpose: &str) -> String {
    format!("signing.{purpose}")
}

fn label(purpose: &str, kid: &str) -> String {
    format!("signing:{purpose}:{kid}")
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
        let rings: Vec<Ring> = [VISITOR, TICKET, RESUME, RECEIPT, USER, DEVICE].into_iter().map(Ring::sample).collect();
        for (at, signing) in rings.iter().enumerate() {
            for (other, checking) in rings.iter().enumerate() {
                // All six have the same keys here, so only type and audience can tell them apart.
                assert_eq!(checking.verify::<Claims>(&token(signing)).is_some(), at == other);
            }
        }
        let wrong = Claims { iss: ISSUER.to_owned(), aud: VISITOR.audience.to_owned(), jti: "x".to_owned() };
        let signed = rings[1].sign(&wrong).expect("a token");
        assert_eq!(rings[1].verify::<Claims>(&signed), None, "the right type, the wrong audience");
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
