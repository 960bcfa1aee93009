//! Visitor tokens: short, and bound to owner, site, session and origin. And the rings of every other kind of token.
//!
//! Owns: what a visitor's token claims. How it is signed and checked is the rings' (`signing`). A token is not a session:
//! the session is looked up as well, so that a deleted one ends at once.

use crate::ops::signing::{self, ISSUER, Ring};
use crate::ops::signing_keys::Source;
use chatward_types::{Entropy, OwnerId, Result, SECOND, SessionId, SiteId, Timestamp};
use chatward_vault::SessionIds;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

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

/// The keys that mint and check tokens and session ids, one ring a purpose.
#[derive(Debug)]
pub struct Tokens {
    /// For visitors' bearer tokens.
    pub visitors: Ring,
    /// For `ops::logins`.
    pub users: Ring,
    /// For `ops::devices`.
    pub devices: Ring,
    /// For `ops::tickets`.
    pub tickets: Ring,
    /// For `ops::resumes`.
    pub resumes: Ring,
    /// For `ops::receipts`.
    pub receipts: Ring,
    sessions: SessionIds,
    news: watch::Sender<u64>,
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

impl Tokens {
    /// Loads the rings, and makes their first keys on the first start of an installation.
    ///
    /// # Errors
    /// When the store or the vault fails, for example because the master key is another one.
    pub async fn load(source: Source<'_>) -> Result<Self> {
        let session_key = source.secret("session").await?;
        let ring = async |purpose| Ring::of(purpose, source.keys(purpose).await?);
        Ok(Self {
            visitors: ring(signing::VISITOR).await?,
            users: ring(signing::USER).await?,
            devices: ring(signing::DEVICE).await?,
            tickets: ring(signing::TICKET).await?,
            resumes: ring(signing::RESUME).await?,
            receipts: ring(signing::RECEIPT).await?,
            sessions: SessionIds::new(&session_key),
            news: watch::Sender::new(0),
        })
    }

    /// Every ring; a test holds them equal to [`signing::PURPOSES`].
    pub fn rings(&self) -> [&Ring; signing::PURPOSES.len()] {
        [&self.visitors, &self.users, &self.devices, &self.tickets, &self.resumes, &self.receipts]
    }

    /// Reads the keys of a purpose again, or of every one, and tells whoever waits for it.
    ///
    /// # Errors
    /// When the store or the vault fails; the ring stays as it is.
    pub async fn reload(&self, source: Source<'_>, purpose: Option<&str>) -> Result<()> {
        for ring in self.rings().into_iter().filter(|ring| purpose.is_none_or(|name| name == ring.purpose().name)) {
            ring.replace(source.keys(ring.purpose()).await?)?;
        }
        self.news.send_modify(|turn| *turn = turn.wrapping_add(1));
        Ok(())
    }

    /// Hears of every rotation from now on.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    /// Whether the key that signed a token of ours, which was checked before, still checks.
    pub fn still_signed(&self, token: &str, now: Timestamp) -> bool {
        self.rings().into_iter().any(|ring| ring.still_names_a_key(token, now))
    }

    /// Mints a token for a visitor.
    ///
    /// # Errors
    /// [`chatward_types::Kind::Internal`] when signing fails.
    pub fn mint_visitor(&self, visitor: &Visitor, now: Timestamp) -> Result<String> {
        self.visitors.sign(&Claims {
            iss: ISSUER.to_owned(),
            aud: self.visitors.audience(),
            sub: visitor.session.as_str().to_owned(),
            own: visitor.owner,
            site: visitor.site,
            org: visitor.origin.to_string(),
            iat: now / SECOND,
            exp: visitor.expires_at / SECOND,
        })
    }

    /// Who the token speaks for, or nothing when it is not one of ours or no longer holds.
    pub fn verify_visitor(&self, token: &str, now: Timestamp) -> Option<Visitor> {
        let (claims, until): (Claims, Timestamp) = self.visitors.check(token, now)?;
        let expires_at = signing::end_of(claims.iat, claims.exp, now)?.min(until);
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

    /// The session id that a text is, if it is one of ours.
    pub fn verify_session_id(&self, text: &str) -> Option<SessionId> {
        self.sessions.verify(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use chatward_types::Secret;

    const NOW: Timestamp = 1_800_000_000 * SECOND;

    fn tokens() -> Tokens {
        Tokens {
            visitors: Ring::sample(signing::VISITOR),
            users: Ring::sample(signing::USER),
            devices: Ring::sample(signing::DEVICE),
            tickets: Ring::sample(signing::TICKET),
            resumes: Ring::sample(signing::RESUME),
            receipts: Ring::sample(signing::RECEIPT),
            sessions: SessionIds::new(&Secret::new([7_u8; 32])),
            news: watch::Sender::new(0),
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
    fn every_purpose_has_its_ring() {
        let tokens = tokens();
        assert_eq!(tokens.rings().map(Ring::purpose), signing::PURPOSES);
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
        assert_eq!(tokens.verify_visitor(&format!("{token}{}", "A".repeat(8 * 1024)), NOW), None);
    }
}
