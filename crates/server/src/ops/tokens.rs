//! Visitor tokens: short JWTs, minted and checked here with the ring of signing keys of their purpose.
//!
//! The algorithm, type, issuer and audience are ours and constant; the header may name a key of the ring and
//! nothing else (`jku`, `jwk`, `x5u`, `crit` and every other member are refused); over 8 KB is refused
//! unread. A token is not a session: the session is looked up as well, so that a deleted one ends at once.

use chatward_store::{SigningKeyRow, Store};
use chatward_types::{Clock, Entropy, Error, OwnerId, Result, SECOND, Secret, SessionId, SiteId, Timestamp};
use chatward_vault::{SessionIds, Vault};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

const ISSUER: &str = "chatward";
const AUDIENCE: &str = "chatward:visitor";
const TYPE: &str = "visitor+jwt";
const LONGEST: usize = 8 * 1024;

/// Who a valid visitor token speaks for; a request extension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visitor {
    /// The tenant of the site.
    pub owner: OwnerId,
    /// The site.
    pub site: SiteId,
    /// The session.
    pub session: SessionId,
    /// The origin that the token was minted for.
    pub origin: Box<str>,
    /// When the token ends.
    pub expires_at: Timestamp,
}

/// The keys that mint and check visitor tokens and session ids.
pub struct Tokens {
    ring: Vec<Key>,
    header: Header,
    validation: Validation,
    sessions: SessionIds,
}

struct Key {
    id: String,
    encoding: EncodingKey,
    decoding: DecodingKey,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    own: OwnerId,
    site: SiteId,
    org: String,
    iat: i64,
    exp: i64,
}

/// The only members that a token's header may have.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StrictHeader<'a> {
    #[serde(borrow)]
    alg: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    typ: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    kid: std::borrow::Cow<'a, str>,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokens").field("keys", &self.ring.len()).finish_non_exhaustive()
    }
}

impl Tokens {
    /// Loads the ring, and makes its first keys on the first start of an installation.
    ///
    /// # Errors
    /// When the store or the vault fails, for example because the master key is another one.
    pub async fn load(store: &Store, vault: &Vault, clock: &dyn Clock, entropy: &dyn Entropy) -> Result<Self> {
        let session_key = active_key(store, vault, clock, entropy, "session").await?;
        active_key(store, vault, clock, entropy, "visitor").await?;
        let active = store.get_setting("signing.visitor").await?.unwrap_or_default();
        let mut ring = Vec::new();
        for row in store.signing_keys("visitor").await? {
            let secret = open(vault, &row)?;
            let key = Key {
                encoding: EncodingKey::from_secret(secret.expose()),
                decoding: DecodingKey::from_secret(secret.expose()),
                id: row.kid,
            };
            if key.id == active { ring.insert(0, key) } else { ring.push(key) }
        }
        let Some(first) = ring.first() else {
            return Err(Error::internal("the ring of visitor keys is empty"));
        };
        let mut header = Header::new(Algorithm::HS256);
        header.typ = Some(TYPE.to_owned());
        header.kid = Some(first.id.clone());
        Ok(Self { header, ring, validation: validation(), sessions: SessionIds::new(&session_key) })
    }

    /// Mints a token for a visitor.
    ///
    /// # Errors
    /// [`chatward_types::Kind::Internal`] when signing fails.
    pub fn mint_visitor(&self, visitor: &Visitor, now: Timestamp) -> Result<String> {
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: visitor.session.as_str().to_owned(),
            own: visitor.owner,
            site: visitor.site,
            org: visitor.origin.to_string(),
            iat: now / SECOND,
            exp: visitor.expires_at / SECOND,
        };
        let Some(key) = self.ring.first() else {
            return Err(Error::internal("the ring of visitor keys is empty"));
        };
        jsonwebtoken::encode(&self.header, &claims, &key.encoding).map_err(Error::internal)
    }

    /// Who the token speaks for, or nothing when it is not one of ours or no longer holds.
    pub fn verify_visitor(&self, token: &str, now: Timestamp) -> Option<Visitor> {
        if token.len() > LONGEST {
            return None;
        }
        let key_id = strict_key_id(token)?;
        let key = self.ring.iter().find(|key| key.id == key_id)?;
        let data = jsonwebtoken::decode::<Claims>(token, &key.decoding, &self.validation).ok()?;
        let claims = data.claims;
        let expires_at = claims.exp.checked_mul(SECOND)?;
        if expires_at <= now || claims.iat.checked_mul(SECOND)? > now + 60 * SECOND {
            return None;
        }
        Some(Visitor {
            owner: claims.own,
            site: claims.site,
            session: self.sessions.verify(&claims.sub)?,
            origin: claims.org.into(),
            expires_at,
        })
    }

    /// A new session id.
    ///
    /// # Errors
    /// When the entropy source fails.
    pub fn new_session_id(&self, entropy: &dyn Entropy) -> Result<SessionId> {
        self.sessions.generate(entropy)
    }
}

/// Time is checked against our own clock and claims are a strict struct, so the library checks the rest.
fn validation() -> Validation {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.validate_exp = false;
    validation.required_spec_claims.clear();
    validation.set_audience(&[AUDIENCE]);
    validation.set_issuer(&[ISSUER]);
    validation
}

fn strict_key_id(token: &str) -> Option<String> {
    use base64::Engine as _;
    let (head, _) = token.split_once('.')?;
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(head).ok()?;
    let header: StrictHeader<'_> = serde_json::from_slice(&bytes).ok()?;
    (header.alg == "HS256" && header.typ == TYPE).then(|| header.kid.into_owned())
}

/// The active key of a purpose. Two nodes that start at once agree on the one that the settings row names.
async fn active_key(
    store: &Store,
    vault: &Vault,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
    purpose: &str,
) -> Result<Secret<[u8; 32]>> {
    let setting = format!("signing.{purpose}");
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

fn open(vault: &Vault, row: &SigningKeyRow) -> Result<Secret<[u8; 32]>> {
    let bytes = Secret::new(vault.open(&label(&row.purpose, &row.kid), &row.sealed)?);
    let array: [u8; 32] =
        bytes.expose().as_slice().try_into().map_err(|_| Error::internal("a signing key of the wrong length"))?;
    Ok(Secret::new(array))
}

fn label(purpose: &str, kid: &str) -> String {
    format!("signing:{purpose}:{kid}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;

    const NOW: Timestamp = 1_800_000_000 * SECOND;

    fn tokens() -> Tokens {
        let secret = Secret::new([7_u8; 32]);
        let key = |id: &str, byte: u8| Key {
            id: id.to_owned(),
            encoding: EncodingKey::from_secret(&[byte; 32]),
            decoding: DecodingKey::from_secret(&[byte; 32]),
        };
        let mut header = Header::new(Algorithm::HS256);
        header.typ = Some(TYPE.to_owned());
        header.kid = Some("a".to_owned());
        Tokens {
            ring: vec![key("a", 1), key("b", 2)],
            header,
            validation: validation(),
            sessions: SessionIds::new(&secret),
        }
    }

    fn visitor(tokens: &Tokens) -> Visitor {
        let entropy = chatward_vault::SystemEntropy;
        Visitor {
            owner: OwnerId::generate(&chatward_types::SystemClock, &entropy).expect("id"),
            site: SiteId::generate(&chatward_types::SystemClock, &entropy).expect("id"),
            session: tokens.new_session_id(&entropy).expect("id"),
            origin: "https://shop.example".into(),
            expires_at: NOW + 3600 * SECOND,
        }
    }

    #[test]
    fn a_token_round_trips_until_it_expires() {
        let tokens = tokens();
        let visitor = visitor(&tokens);
        let token = tokens.mint_visitor(&visitor, NOW).expect("a token");
        assert_eq!(tokens.verify_visitor(&token, NOW), Some(visitor.clone()));
        assert_eq!(tokens.verify_visitor(&token, visitor.expires_at), None);
    }

    #[test]
    fn every_flipped_character_is_refused() {
        let tokens = tokens();
        let token = tokens.mint_visitor(&visitor(&tokens), NOW).expect("a token");
        for at in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(bytes).expect("ascii");
            // The last character of a part may carry unused bits; those decode to an error as well.
            assert_eq!(tokens.verify_visitor(&forged, NOW), None, "at {at}");
        }
    }

    #[test]
    fn a_header_that_names_more_than_our_key_is_refused() {
        let tokens = tokens();
        let token = tokens.mint_visitor(&visitor(&tokens), NOW).expect("a token");
        let (_, rest) = token.split_once('.').expect("parts");
        for header in [
            r#"{"alg":"none","typ":"visitor+jwt","kid":"a"}"#,
            r#"{"alg":"HS512","typ":"visitor+jwt","kid":"a"}"#,
            r#"{"alg":"HS256","typ":"JWT","kid":"a"}"#,
            r#"{"alg":"HS256","typ":"visitor+jwt"}"#,
            r#"{"alg":"HS256","typ":"visitor+jwt","kid":"zz"}"#,
            r#"{"alg":"HS256","typ":"visitor+jwt","kid":"a","jku":"https://evil.example"}"#,
            r#"{"alg":"HS256","typ":"visitor+jwt","kid":"a","jwk":{}}"#,
            r#"{"alg":"HS256","typ":"visitor+jwt","kid":"a","crit":["exp"]}"#,
            r#"{"alg":"HS256","typ":"visitor+jwt","kid":"a","x5u":"https://evil.example"}"#,
            r#"{"alg":"HS256","alg":"none","typ":"visitor+jwt","kid":"a"}"#,
        ] {
            let head = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(header);
            // Signed with the right key, so that only the header can be what is refused.
            let (claims, _) = rest.split_once('.').expect("parts");
            let message = format!("{head}.{claims}");
            let signature = base64::engine::general_purpose::URL_SAFE_NO_PAD
                .encode(chatward_vault::hmac_sha256(&Secret::new([1_u8; 32]), message.as_bytes()));
            assert_eq!(tokens.verify_visitor(&format!("{message}.{signature}"), NOW), None, "{header}");
        }
    }

    #[test]
    fn an_oversized_token_is_refused_unread() {
        let tokens = tokens();
        let token = tokens.mint_visitor(&visitor(&tokens), NOW).expect("a token");
        assert_eq!(tokens.verify_visitor(&format!("{token}{}", "A".repeat(LONGEST)), NOW), None);
    }
}
