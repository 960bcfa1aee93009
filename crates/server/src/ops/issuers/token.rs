//! A token of an outside issuer, read strictly.
//!
//! Owns: the form (three parts of canonical base64url, JSON objects without doubled members, 8 KB at most), the header (no
//! member that brings a key along, points to one or changes the meaning), and the claims: who it is from and for, its times,
//! and for Supabase the one role that is a person. Nothing of the claims is believed before the signature holds.

use super::key_set::as_library;
use crate::config::{IssuerAlgorithm, IssuerConfig, IssuerKind};
use crate::ops::strict_json;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chatward_types::{SECOND, Timestamp};
use jsonwebtoken::DecodingKey;
use serde_json::{Map, Value};
use std::time::Duration;

const LONGEST: usize = 8 * 1024;
/// Audiences of one token.
const MOST_AUDIENCES: usize = 16;
/// Members of a header by which a token would choose its own key, or mean something else than it seems to.
const FORBIDDEN: [&str; 8] = ["jku", "jwk", "x5u", "x5c", "crit", "b64", "zip", "enc"];

type Members = Map<String, Value>;

/// A token in parts; nothing of it is verified yet.
pub(super) struct Parsed<'a> {
    header: Members,
    claims: Members,
    message: &'a str,
    signature: &'a str,
}

/// What a token that holds says about a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claims {
    /// The issuer's own word for the person.
    pub(super) subject: String,
    /// Their e-mail address, if the issuer says that it has verified it.
    pub(super) email: Option<String>,
    /// Their name, if it says one.
    pub(super) name: Option<String>,
}

impl<'a> Parsed<'a> {
    /// Reads the form of a token.
    pub(super) fn read(token: &'a str) -> Result<Self, &'static str> {
        if token.len() > LONGEST {
            return Err("it is too long");
        }
        let (message, signature) = token.rsplit_once('.').ok_or("it is no token")?;
        let (head, body) = message.split_once('.').ok_or("it is no token")?;
        if body.contains('.') || URL_SAFE_NO_PAD.decode(signature).map_or(0, |bytes| bytes.len()) == 0 {
            return Err("it is no token");
        }
        let header = members(head).ok_or("its header is not clear")?;
        if FORBIDDEN.iter().any(|name| header.contains_key(*name)) {
            return Err("its header brings or points to a key, or means something else");
        }
        let of_kind = |name: &str, kinds: &[&str]| match header.get(name) {
            None => true,
            Some(Value::String(text)) => kinds.iter().any(|kind| kind.eq_ignore_ascii_case(text)),
            Some(_) => false,
        };
        // Our own kinds of tokens are not among them, nor is a token in a token.
        if !of_kind("typ", &["JWT", "at+jwt", "application/at+jwt"]) || header.contains_key("cty") {
            return Err("it is of another kind");
        }
        let claims = members(body).ok_or("its claims are not clear")?;
        Ok(Self { header, claims, message, signature })
    }

    /// Who it says it is from.
    pub(super) fn issuer(&self) -> &str {
        text(&self.claims, "iss").unwrap_or_default()
    }

    /// The algorithm that it says.
    pub(super) fn algorithm(&self) -> &str {
        text(&self.header, "alg").unwrap_or_default()
    }

    /// The key that it names.
    pub(super) fn key_id(&self) -> Option<&str> {
        text(&self.header, "kid").filter(|kid| !kid.is_empty() && kid.len() <= 256)
    }

    /// Whether this key made its signature by this algorithm.
    pub(super) fn is_signed_by(&self, key: &DecodingKey, algorithm: IssuerAlgorithm) -> bool {
        let checked = jsonwebtoken::crypto::verify(self.signature, self.message.as_bytes(), key, as_library(algorithm));
        checked.unwrap_or(false)
    }

    /// What it says, if it is from and for whom it must be and holds now; called once its signature is known to be right.
    pub(super) fn claims(&self, config: &IssuerConfig, now: Timestamp) -> Result<Claims, &'static str> {
        let claims = &self.claims;
        if self.issuer() != config.issuer {
            return Err("an unknown issuer");
        }
        if !is_for(claims.get("aud"), config) {
            return Err("it is for somebody else");
        }
        let time = |name: &str| match claims.get(name) {
            None => Ok(None),
            Some(value) => match value.as_i64().and_then(|seconds| seconds.checked_mul(SECOND)) {
                Some(time) => Ok(Some(time)),
                None => Err("a time that is none"),
            },
        };
        let (issued, ends, begins) = (time("iat")?, time("exp")?, time("nbf")?);
        let (Some(issued), Some(ends)) = (issued, ends) else { return Err("it does not say when it was made or ends") };
        let skew = microseconds(config.clock_skew);
        if ends.saturating_add(skew) <= now {
            return Err("it has run out");
        }
        if issued.saturating_sub(skew) > now || begins.is_some_and(|begins| begins.saturating_sub(skew) > now) {
            return Err("it is from the future");
        }
        if now.saturating_sub(issued) > microseconds(config.max_age) {
            return Err("it is older than max_age");
        }
        if config.kind == IssuerKind::Supabase {
            refuse_no_person(claims)?;
        }
        let subject = text(claims, "sub").filter(|subject| is_line(subject, 255)).ok_or("it names nobody")?;
        let verified = claims.get("email_verified") == Some(&Value::Bool(true));
        let line = |name: &str, most: usize| text(claims, name).filter(|text| is_line(text, most)).map(str::to_owned);
        Ok(Claims {
            subject: subject.to_owned(),
            email: line("email", 254).filter(|_| verified),
            name: line("name", 200),
        })
    }
}

/// Supabase signs tokens of the same form for a project's own keys, and for visitors who never logged in.
fn refuse_no_person(claims: &Members) -> Result<(), &'static str> {
    if text(claims, "role") != Some("authenticated") {
        return Err("its role is not a person's");
    }
    match claims.get("is_anonymous") {
        None | Some(Value::Bool(false)) => Ok(()),
        Some(_) => Err("it is of somebody who never logged in"),
    }
}

fn is_for(audience: Option<&Value>, config: &IssuerConfig) -> bool {
    match audience {
        Some(Value::String(one)) => *one == config.audience,
        // Supabase writes one, and a project's own hook could add others.
        Some(Value::Array(several)) if config.kind == IssuerKind::Oidc => {
            several.len() <= MOST_AUDIENCES
                && several.iter().all(Value::is_string)
                && several.iter().any(|one| one.as_str() == Some(&config.audience))
        }
        _ => false,
    }
}

fn members(part: &str) -> Option<Members> {
    strict_json::read(&URL_SAFE_NO_PAD.decode(part).ok()?)
}

fn text<'m>(members: &'m Members, name: &str) -> Option<&'m str> {
    members.get(name).and_then(Value::as_str)
}

fn is_line(text: &str, most: usize) -> bool {
    !text.trim().is_empty() && text.chars().count() <= most && !text.chars().any(char::is_control)
}

fn microseconds(span: Duration) -> Timestamp {
    Timestamp::try_from(span.as_micros()).unwrap_or(Timestamp::MAX)
}
