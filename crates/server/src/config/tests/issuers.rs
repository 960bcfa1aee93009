//! Outside issuers: the defaults of their kinds, and what may not stand together.

use super::super::*;
use super::{PRODUCTION, canary, load};

/// An issuer that starts, to break one thing at a time.
const ISSUER: &str = "[[issuer]]\nname = \"idp\"\nkind = \"oidc\"\nissuer = \"https://idp.example/\"\n\
     audience = \"chatward\"\njwks_url = \"https://idp.example/keys\"\n";
const SUPABASE: &str =
    "[[issuer]]\nname = \"supabase\"\nkind = \"supabase\"\nissuer = \"https://p.supabase.example/auth/v1\"\n";

#[test]
fn an_issuer_has_the_defaults_of_its_kind() {
    let config = load(&format!("{ISSUER}{SUPABASE}"), &[]).expect("issuers");
    let (oidc, supabase) = (&config.issuers[0], &config.issuers[1]);
    assert_eq!(oidc.algorithms, [IssuerAlgorithm::Rs256, IssuerAlgorithm::Es256]);
    assert_eq!((oidc.max_age.as_secs(), oidc.clock_skew.as_secs(), oidc.new_users), (3600, 30, NewUsers::None));
    assert_eq!(supabase.audience, "authenticated");
    let keys = "https://p.supabase.example/auth/v1/.well-known/jwks.json";
    assert_eq!(supabase.jwks_url.as_ref().map(Url::as_str), Some(keys));
    let secret = canary("jwt");
    let config = load(&format!("{SUPABASE}secret = \"{secret}\"\n"), &[]).expect("an issuer with a secret");
    assert_eq!(
        (&config.issuers[0].algorithms[..], &config.issuers[0].jwks_url),
        (&[IssuerAlgorithm::Hs256][..], &None)
    );
    assert!(!config.redacted().contains(&secret) && !format!("{config:?}").contains(&secret));
}

#[test]
fn dangerous_mixtures_of_an_issuer_are_refused() {
    let secret = canary("jwt");
    let with = |base: &str, line: &str| {
        let key = line.split(' ').next().unwrap_or_default();
        let kept: Vec<&str> = base.lines().filter(|there| !there.starts_with(&format!("{key} "))).collect();
        format!("{}\n{line}\n", kept.join("\n"))
    };
    let without = |base: &str, key: &str| {
        let kept: Vec<&str> = base.lines().filter(|line| !line.starts_with(key)).collect();
        kept.join("\n")
    };
    let shared = format!("{SUPABASE}secret = \"{secret}\"\n");
    let production = |base: &str| format!("{PRODUCTION}{base}");
    for (file, setting, problem) in [
        (with(ISSUER, "algorithms = [\"RS256\", \"HS256\"]"), "algorithms", "mixes HS256"),
        (with(ISSUER, "algorithms = [\"HS256\"]"), "secret", "HS256 do not stand together"),
        (with(ISSUER, "algorithms = [\"none\"]"), "algorithms", "is not one of its words"),
        (with(ISSUER, "algorithms = [\"RS512\"]"), "algorithms", "is not one of its words"),
        (with(ISSUER, "algorithms = []"), "algorithms", "is empty"),
        (without(ISSUER, "audience"), "audience", "is missing"),
        (with(ISSUER, "audience = \"\""), "audience", "is empty"),
        (without(ISSUER, "issuer"), "issuer", "is missing"),
        (with(ISSUER, "issuer = \"chatward\""), "issuer", "our own"),
        (without(ISSUER, "jwks_url"), "jwks_url", "is missing"),
        (with(ISSUER, "jwks_url = \"file:///etc/passwd\""), "jwks_url", "is not an http or https address"),
        (with(ISSUER, &format!("secret = \"{secret}\"")), "secret", "is given to an issuer that signs by public keys"),
        (with(&shared, "jwks_url = \"https://p.example/keys\""), "jwks_url", "stands beside a secret"),
        (with(&shared, "algorithms = [\"ES256\"]"), "secret", "HS256 do not stand together"),
        (with(&shared, "secret = \"short\""), "secret", "is shorter"),
        (with(SUPABASE, "audience = \"anon\""), "audience", "is another than Supabase"),
        (with(ISSUER, "clock_skew = \"61s\""), "clock_skew", "is out of range"),
        (with(ISSUER, "stale = \"30m\""), "stale", "is shorter than refresh"),
        (format!("{ISSUER}{ISSUER}"), "name", "is the name of an earlier issuer"),
        (format!("{ISSUER}{}", with(ISSUER, "name = \"other\"")), "issuer", "is that of an earlier issuer"),
        (production(&with(ISSUER, "jwks_url = \"http://10.0.0.7/keys\"")), "jwks_url", "is not an https address"),
        (production(&with(ISSUER, "issuer = \"http://idp.example\"")), "issuer", "is not an https address"),
        (ISSUER.replace("[[issuer]]", "[issuer]"), "issuer", "is not a section"),
    ] {
        let error = load(&file, &[]).expect_err(&file).to_string();
        assert!(error.starts_with("issuer") && error.contains(setting) && error.contains(problem), "{file}\n{error}");
        assert!(!error.contains(&secret), "{error}");
    }
    load(&production(ISSUER), &[]).expect("and a good one starts in production");
}
