//! The other side of an outside issuer: key pairs made for the test, and whatever they sign. It uses none of the server's own
//! code for tokens, so that both sides cannot be wrong alike.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
    RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// The object with one member replaced, or taken out by `null`.
pub(crate) fn with(object: &Value, name: &str, value: Value) -> Value {
    let mut object = object.clone();
    let members = object.as_object_mut().unwrap();
    if value.is_null() {
        members.remove(name)
    } else {
        members.insert(name.to_owned(), value)
    };
    object
}

enum Pair {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
    Shared(Vec<u8>),
}

/// A key of an issuer.
pub(crate) struct ForeignKey {
    pub(crate) kid: String,
    pub(crate) algorithm: &'static str,
    pair: Pair,
}

impl ForeignKey {
    /// A new pair for an algorithm.
    pub(crate) fn new(algorithm: &'static str, kid: &str) -> Self {
        let random = SystemRandom::new();
        let pair = match algorithm {
            "RS256" | "PS256" => Pair::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()),
            "ES256" => {
                let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
                Pair::Ec(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref()).unwrap())
            }
            "EdDSA" => {
                let document = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
                Pair::Ed(Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap())
            }
            other => panic!("no pair of {other}"),
        };
        Self { kid: kid.to_owned(), algorithm, pair }
    }

    /// A shared secret of an issuer that signs by HS256.
    pub(crate) fn shared(secret: &str, kid: &str) -> Self {
        Self { kid: kid.to_owned(), algorithm: "HS256", pair: Pair::Shared(secret.as_bytes().to_vec()) }
    }

    /// The public half as the issuer publishes it.
    pub(crate) fn jwk(&self) -> Value {
        let mut jwk = json!({ "kid": self.kid, "use": "sig", "alg": self.algorithm });
        let parts: Vec<(&str, String)> = match &self.pair {
            Pair::Rsa(pair) => {
                // RSAPublicKey of 2048 bits: a header of 9 bytes, the modulus, an exponent of 65537.
                let der = pair.public_key().as_ref();
                assert_eq!((der.len(), &der[der.len() - 3..]), (270, &[1, 0, 1][..]));
                let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
                vec![("kty", "RSA".to_owned()), ("n", text(&der[9..265])), ("e", text(&[1, 0, 1]))]
            }
            Pair::Ec(pair) => {
                let point = pair.public_key().as_ref();
                let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
                let (x, y) = (text(&point[1..33]), text(&point[33..]));
                vec![("kty", "EC".to_owned()), ("crv", "P-256".to_owned()), ("x", x), ("y", y)]
            }
            Pair::Ed(pair) => {
                let x = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
                vec![("kty", "OKP".to_owned()), ("crv", "Ed25519".to_owned()), ("x", x)]
            }
            Pair::Shared(secret) => vec![("kty", "oct".to_owned()), ("k", URL_SAFE_NO_PAD.encode(secret))],
        };
        for (name, value) in parts {
            jwk[name] = json!(value);
        }
        jwk
    }

    /// A signature over bytes.
    pub(crate) fn signature(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair) => {
                let padding: &'static dyn aws_lc_rs::signature::RsaEncoding =
                    if self.algorithm == "PS256" { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(padding, &random, message, &mut signature).unwrap();
                signature
            }
            Pair::Ec(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Pair::Ed(pair) => pair.sign(message).as_ref().to_vec(),
            Pair::Shared(secret) => hmac(secret, message),
        }
    }

    /// The header of an honest token.
    pub(crate) fn header(&self) -> Value {
        json!({ "alg": self.algorithm, "typ": "JWT", "kid": self.kid })
    }

    /// An honest token of these claims.
    pub(crate) fn token(&self, claims: &Value) -> String {
        self.sign(&self.header(), claims)
    }

    /// A token of any header.
    pub(crate) fn sign(&self, header: &Value, claims: &Value) -> String {
        let message =
            format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()));
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(self.signature(message.as_bytes())))
    }
}

/// HMAC-SHA-256 with a key of any length.
pub(crate) fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, key);
    aws_lc_rs::hmac::sign(&key, message).as_ref().to_vec()
}

/// A document of these keys.
pub(crate) fn key_set(keys: &[&ForeignKey]) -> String {
    json!({ "keys": keys.iter().map(|key| key.jwk()).collect::<Vec<_>>() }).to_string()
}
