//! An issuer's published keys (RFC 7517), as far as they are of use here.
//!
//! Owns: which of them are (a name, a kind and curve that a pinned algorithm takes, meant for signatures, strong enough, and
//! without the private half), and which one a token may be checked with: the name and the algorithm must fit exactly one.
//! A set with a doubled member is none. Never fetches.

use crate::config::IssuerAlgorithm;
use crate::ops::strict_json;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::{Map, Value};

/// Keys of one issuer that are looked at.
const MOST: usize = 64;
/// Bits of an RSA modulus. Less is weak; more is work for whoever checks.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// What a key is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Rsa,
    P256,
    Ed25519,
}

/// A key that a token may be checked with.
pub(super) struct PublicKey {
    kid: String,
    family: Family,
    /// The one algorithm that the issuer means it for, if it says so.
    algorithm: Option<IssuerAlgorithm>,
    key: DecodingKey,
}

/// The keys of use.
pub(super) struct KeySet(Vec<PublicKey>);

impl PublicKey {
    /// The key itself.
    pub(super) fn key(&self) -> &DecodingKey {
        &self.key
    }

    fn fits(&self, kid: &str, algorithm: IssuerAlgorithm) -> bool {
        self.kid == kid
            && family(algorithm) == Some(self.family)
            && self.algorithm.is_none_or(|meant| meant == algorithm)
    }
}

impl KeySet {
    /// Reads a document; only keys that one of these algorithms takes are kept.
    pub(super) fn read(document: &[u8], pinned: &[IssuerAlgorithm]) -> Result<Self, &'static str> {
        let set: Map<String, Value> =
            strict_json::read(document).ok_or("the document is not JSON, or has a member twice")?;
        let Some(Value::Array(keys)) = set.get("keys") else { return Err("the document has no list of keys") };
        if keys.len() > MOST {
            return Err("the document has too many keys");
        }
        let kept: Vec<PublicKey> = keys.iter().filter_map(|key| read_key(key.as_object()?, pinned)).collect();
        if kept.is_empty() { Err("the document has no key that a pinned algorithm takes") } else { Ok(Self(kept)) }
    }

    /// The one key of this name for this algorithm. Two are none: which of them is meant, nobody can tell.
    pub(super) fn position(&self, kid: &str, algorithm: IssuerAlgorithm) -> Option<usize> {
        let mut fitting = self.0.iter().enumerate().filter(|(_, key)| key.fits(kid, algorithm));
        match (fitting.next(), fitting.next()) {
            (Some((at, _)), None) => Some(at),
            _ => None,
        }
    }

    /// The key at a position.
    pub(super) fn at(&self, position: usize) -> &PublicKey {
        &self.0[position]
    }
}

fn read_key(key: &Map<String, Value>, pinned: &[IssuerAlgorithm]) -> Option<PublicKey> {
    let text = |name: &str| key.get(name).and_then(Value::as_str);
    let bytes = |name: &str| URL_SAFE_NO_PAD.decode(text(name)?).ok();
    let kid = text("kid").filter(|kid| !kid.is_empty() && kid.len() <= 256)?;
    // A private half that was published is everybody's, and what it signs is nobody's word.
    let is_private = ["d", "p", "q", "dp", "dq", "qi", "k", "oth"].iter().any(|name| key.contains_key(*name));
    let is_for_signing = key.get("use").is_none_or(|meant| meant == "sig");
    let may_verify = match key.get("key_ops") {
        None => true,
        Some(Value::Array(uses)) => uses.iter().any(|meant| meant == "verify"),
        Some(_) => false,
    };
    if is_private || !is_for_signing || !may_verify {
        return None;
    }
    let (family_of, decoding) = match (text("kty")?, text("crv")) {
        ("RSA", _) => {
            let (modulus, exponent) = (bytes("n")?, bytes("e")?);
            let bits = modulus.iter().skip_while(|byte| **byte == 0).count() * 8;
            let odd = exponent.last().is_some_and(|last| last % 2 == 1);
            if !RSA_BITS.contains(&bits) || exponent.len() > 8 || !odd || exponent == [1] {
                return None;
            }
            (Family::Rsa, DecodingKey::from_rsa_raw_components(&modulus, &exponent))
        }
        ("EC", Some("P-256")) => {
            let (x, y) = (bytes("x")?, bytes("y")?);
            if x.len() != 32 || y.len() != 32 {
                return None;
            }
            (Family::P256, DecodingKey::from_ec_components(text("x")?, text("y")?).ok()?)
        }
        ("OKP", Some("Ed25519")) => {
            let x = bytes("x")?;
            (x.len() == 32).then(|| (Family::Ed25519, DecodingKey::from_ed_der(&x)))?
        }
        _ => return None,
    };
    let algorithm = match key.get("alg") {
        None => None,
        Some(meant) => Some(*pinned.iter().find(|algorithm| meant == algorithm.as_str())?),
    };
    let key = PublicKey { kid: kid.to_owned(), family: family_of, algorithm, key: decoding };
    pinned.iter().any(|algorithm| key.fits(kid, *algorithm)).then_some(key)
}

/// What kind of key an algorithm takes; a shared secret is never published.
fn family(algorithm: IssuerAlgorithm) -> Option<Family> {
    match algorithm {
        IssuerAlgorithm::Rs256 | IssuerAlgorithm::Ps256 => Some(Family::Rsa),
        IssuerAlgorithm::Es256 => Some(Family::P256),
        IssuerAlgorithm::EdDsa => Some(Family::Ed25519),
        IssuerAlgorithm::Hs256 => None,
    }
}

/// The library's name of an algorithm.
pub(super) fn as_library(algorithm: IssuerAlgorithm) -> Algorithm {
    match algorithm {
        IssuerAlgorithm::Rs256 => Algorithm::RS256,
        IssuerAlgorithm::Ps256 => Algorithm::PS256,
        IssuerAlgorithm::Es256 => Algorithm::ES256,
        IssuerAlgorithm::EdDsa => Algorithm::EdDSA,
        IssuerAlgorithm::Hs256 => Algorithm::HS256,
    }
}
