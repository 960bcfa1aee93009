//! The settings of tokens: our own, and those of outside issuers.
//!
//! Owns: the sections' structs. Never does: relate one setting to another; that is `rules_issuers.rs`.

use super::error::ConfigError;
use super::kinds::{choice, name, secret, span, text, web_address};
use super::layers::Fallback::{Derived, Required, Text, Unset};
use super::layers::Layers;
use super::section::{Section, key, section, setting};
use super::shape::{Shape, list, optional};
use chatward_types::Secret;
use std::time::Duration;
use url::Url;

/// What a signing key of ours signs by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenAlgorithm {
    /// HMAC with SHA-256: whoever checks can sign.
    Hs256,
    /// Ed25519: others check with a public key.
    EdDsa,
}

impl TokenAlgorithm {
    /// The `alg` of a token.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The algorithm of this name.
    pub fn named(text: &str) -> Option<Self> {
        [Self::Hs256, Self::EdDsa].into_iter().find(|known| known.as_str() == text)
    }
}

section! {
    /// The tokens that Chatward signs.
    Tokens "tokens" {
        /// What users' access tokens are signed by. With `EdDSA` others can check them: the public keys stand at
        /// `/.well-known/jwks.json`. A change takes effect with the next `chatward secret rotate user`; tokens that are out
        /// hold until they end.
        algorithm: TokenAlgorithm = Text("HS256"), choice(&[
            ("HS256", TokenAlgorithm::Hs256),
            ("EdDSA", TokenAlgorithm::EdDsa),
        ]), [];
    }
}

/// Whose tokens an outside issuer's are like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IssuerKind {
    /// Any OpenID provider: public keys at an address.
    Oidc,
    /// Supabase Auth: public keys, or the project's shared secret; only the role `authenticated` is a person.
    Supabase,
}

/// An algorithm of an outside issuer's tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IssuerAlgorithm {
    /// RSA with PKCS #1 v1.5 padding and SHA-256.
    Rs256,
    /// RSA with PSS padding and SHA-256.
    Ps256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
    /// HMAC with SHA-256 and the issuer's shared secret.
    Hs256,
}

impl IssuerAlgorithm {
    /// The `alg` of a token.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
            Self::Hs256 => "HS256",
        }
    }
}

/// What becomes of somebody whom an issuer names and nobody has linked to a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewUsers {
    /// They are refused.
    None,
    /// They become a user who may look.
    Viewer,
}

section! {
    /// Outside issuers whose tokens are accepted wherever a user's access token is (OpenID Connect, Supabase).
    ///
    /// A token speaks for the user whom `chatward user link` has linked to its issuer and subject; role and state are that
    /// user's here, whatever the token says. A user who has a second factor, or must have one (`accounts.second_factor`), comes
    /// in by a login here alone. What the issuer revokes is out of our hands until the token ends, so a token
    /// older than `max_age` is refused. There is no discovery document: the keys' address is written down once, because a
    /// document that names the next address to call would let whoever serves it choose where this server connects.
    IssuerConfig "issuer" {
        /// The name on the command line and in logs.
        name: String = Required, name(32), [];
        /// Whose tokens they are like.
        kind: IssuerKind = Required, choice(&[("oidc", IssuerKind::Oidc), ("supabase", IssuerKind::Supabase)]), [];
        /// The exact `iss` of its tokens, to the last slash.
        issuer: String = Required, text(255), [];
        /// The `aud` that its tokens must carry: what the issuer calls this installation.
        audience: String = Derived("`authenticated` for supabase; must be set for oidc"), text(255), [];
        /// The algorithms that are accepted. HS256 goes with `secret` and nothing else, the others with `jwks_url`.
        algorithms: Vec<IssuerAlgorithm> = Derived("`HS256` where there is a `secret`, else `RS256` and `ES256`"),
            list(choice(&[
                ("RS256", IssuerAlgorithm::Rs256),
                ("PS256", IssuerAlgorithm::Ps256),
                ("ES256", IssuerAlgorithm::Es256),
                ("EdDSA", IssuerAlgorithm::EdDsa),
                ("HS256", IssuerAlgorithm::Hs256),
            ]), 5), [];
        /// Where its public keys are (a JSON Web Key Set), with https.
        jwks_url: Option<Url> = Derived("`issuer` and `/.well-known/jwks.json` for supabase without a `secret`"),
            optional(web_address()), [];
        /// Supabase: the project's shared JWT secret, for projects that still sign by HS256.
        secret: Option<Secret<String>> = Unset("keys come from `jwks_url`"),
            optional(secret("at least 32 characters")), [];
        /// How long fetched keys are used before they are fetched again. A key that is not among them is asked for at most
        /// once a minute.
        refresh: Duration = Text("1h"), span("1m", "1d"), [];
        /// How long after they were fetched keys are used while the issuer does not answer.
        stale: Duration = Text("1d"), span("1m", "7d"), [];
        /// How long a fetch may take.
        fetch_deadline: Duration = Text("5s"), span("50ms", "30s"), [];
        /// How far the issuer's clock may be from ours.
        clock_skew: Duration = Text("30s"), span("0s", "60s"), [];
        /// How long after its `iat` a token is accepted at most, whatever its `exp` says.
        max_age: Duration = Text("1h"), span("1m", "1d"), [];
        /// Whether somebody without a link becomes a user who may look. It takes an e-mail address that the issuer has
        /// verified, and never joins an account that is there: whoever could make an issuer verify an address, or an
        /// address that was given to somebody else since, would take the account over. An operator links those by name.
        new_users: NewUsers = Text("none"), choice(&[("none", NewUsers::None), ("viewer", NewUsers::Viewer)]), [];
    }
}
