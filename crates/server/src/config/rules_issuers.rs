//! Rules about outside issuers: what may not stand together.
//!
//! Owns: the refusal of every mixture in which a public key could pass for a secret, a token of another service for one
//! meant for us, or a stranger on the way for the issuer. Never does: repeat a value.

use super::rules::Findings;
use super::sections_tokens::{IssuerAlgorithm, IssuerKind};
use std::collections::BTreeSet;

/// What our own tokens call their issuer.
const OURS: &str = "chatward";

/// Every broken rule of every issuer.
pub(super) fn issuers(found: &mut Findings<'_>) {
    let config = found.config;
    let production = found.production();
    let (mut names, mut words) = (BTreeSet::new(), BTreeSet::new());
    for (index, issuer) in config.issuers.iter().enumerate() {
        let at = |key: &str| format!("issuer[{index}].{key}");
        let mut expect = |fine: bool, key: &str, problem: &str, fix: &str| found.expect(fine, &at(key), problem, fix);
        expect(
            names.insert(issuer.name.to_ascii_lowercase()),
            "name",
            "is the name of an earlier issuer",
            "give each issuer a name of its own",
        );
        expect(
            words.insert(issuer.issuer.clone()) && issuer.issuer != OURS,
            "issuer",
            "is that of an earlier issuer, or our own",
            "write the exact `iss` of this issuer's tokens, once",
        );
        expect(
            !production || issuer.issuer.starts_with("https://"),
            "issuer",
            "is not an https address in production",
            "write the exact `iss` of its tokens, which begins with https://",
        );
        expect(
            !issuer.audience.trim().is_empty(),
            "audience",
            "is missing, so that a token for any other service would do",
            "write what the issuer calls this installation",
        );
        let shared = issuer.algorithms.contains(&IssuerAlgorithm::Hs256);
        expect(!issuer.algorithms.is_empty(), "algorithms", "is empty", "name at least one, such as [\"ES256\"]");
        expect(
            !shared || issuer.algorithms.iter().all(|algorithm| *algorithm == IssuerAlgorithm::Hs256),
            "algorithms",
            "mixes HS256 with public keys, so that a public key could pass for the secret",
            "keep HS256 with a secret, or the others with jwks_url",
        );
        expect(
            shared == issuer.secret.is_some(),
            "secret",
            "and HS256 do not stand together",
            "set algorithms = [\"HS256\"] and secret_file together, or neither",
        );
        expect(
            issuer.secret.is_none() || issuer.kind == IssuerKind::Supabase,
            "secret",
            "is given to an issuer that signs by public keys",
            "remove it and set jwks_url",
        );
        expect(
            issuer.secret.as_ref().is_none_or(|secret| secret.expose().len() >= 32),
            "secret",
            "is shorter than 32 characters",
            "copy the project's JWT secret, which is longer",
        );
        expect(
            issuer.jwks_url.is_some() != issuer.secret.is_some(),
            "jwks_url",
            "is missing, or stands beside a secret",
            "set jwks_url, or for Supabase secret_file, and not both",
        );
        expect(
            !production || issuer.jwks_url.as_ref().is_none_or(|url| url.scheme() == "https"),
            "jwks_url",
            "is not an https address in production",
            "write it with https",
        );
        expect(
            issuer.kind != IssuerKind::Supabase || issuer.audience == "authenticated",
            "audience",
            "is another than Supabase gives to people",
            "remove it",
        );
        expect(
            issuer.stale >= issuer.refresh,
            "stale",
            "is shorter than refresh",
            "let keys be used at least as long as they are not fetched again",
        );
    }
}
