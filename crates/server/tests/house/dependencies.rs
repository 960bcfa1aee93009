//! What is really compiled, asked of `cargo tree` for this machine: banned crates, and one copy of what must be one.
//!
//! Owns: the ban list with its reasons. A crate may stand in Cargo.lock without being compiled (`ring` does, for
//! targets and features that are off); only what is built counts.
//! Never does: audit advisories; that needs a network and is its own command.

use std::collections::{BTreeMap, BTreeSet};

use crate::{demand_none, tree};

/// Crate name (`*` at the end stands for any ending), the versions meant (a start, "" for all), and why not.
const BANNED: &[(&str, &str, &str)] = &[
    ("ring", "", "one cryptographic provider: aws-lc-rs"),
    ("openssl", "", "one cryptographic provider: aws-lc-rs"),
    ("openssl-sys", "", "one cryptographic provider: aws-lc-rs"),
    ("native-tls", "", "TLS is rustls"),
    ("rsa", "", "RUSTSEC-2023-0071 is unpatched"),
    ("tonic", "", "no gRPC stack: OTLP goes over HTTP"),
    ("prost-build", "", "no protocol compiler in the build"),
    ("aws-sdk*", "", "key services are called by three REST calls of our own"),
    ("aws-smithy*", "", "key services are called by three REST calls of our own"),
    ("sqlx-macros", "", "builds the database drivers twice; queries are const texts"),
    ("sqlx-macros-core", "", "builds the database drivers twice; queries are const texts"),
    ("sqlx-mysql", "", "two engines are enough"),
    ("secrecy", "", "types::Secret is the one secret type"),
    ("governor", "", "limits are fixed windows of our own"),
    ("tower_governor", "", "limits are fixed windows of our own"),
    ("tantivy", "", "the lexical index is ours, per site"),
    ("reqwest", "", "outbound HTTP is the egress crate on hyper"),
    ("ureq", "", "outbound HTTP is the egress crate on hyper"),
    ("isahc", "", "outbound HTTP is the egress crate on hyper"),
    ("chrono", "", "time is types::Timestamp"),
    ("time", "0.1", "unmaintained"),
    ("hyper", "0.", "one HTTP stack, version 1"),
    ("http", "0.", "one HTTP stack, version 1"),
    ("dotenv", "", "the environment is read, not written"),
    ("serde_yaml", "", "unmaintained; configuration is TOML"),
];

/// Crates of which a second version would mean a second stack.
const ONE_COPY: &[&str] = &[
    "aws-lc-rs",
    "aws-lc-sys",
    "axum",
    "http",
    "hyper",
    "libsqlite3-sys",
    "rustls",
    "sqlx-core",
    "tokio",
    "tokio-rustls",
];

/// Above this, a newcomer's first build is no longer short. Raise it with a reason in the commit.
const MOST_CRATES: usize = 420;

/// Name to versions, of everything that a build and its tests compile on this machine.
fn compiled() -> BTreeMap<String, BTreeSet<String>> {
    let listing = tree::cargo(&[
        "tree",
        "--workspace",
        "--edges",
        "normal,build,dev",
        "--prefix",
        "none",
        "--format",
        "{p}",
        "--locked",
        "--offline",
    ]);
    parse(&listing)
}

fn parse(listing: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut crates: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in listing.lines() {
        let mut parts = line.split_whitespace();
        if let (Some(name), Some(version)) = (parts.next(), parts.next())
            && let Some(version) = version.strip_prefix('v')
        {
            crates.entry(name.to_owned()).or_default().insert(version.to_owned());
        }
    }
    crates
}

fn judge_bans(crates: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let mut findings = Vec::new();
    for (name, versions) in crates {
        for (banned, start, why) in BANNED {
            let named = match banned.strip_suffix('*') {
                Some(beginning) => name.starts_with(beginning),
                None => name == banned,
            };
            for version in versions.iter().filter(|version| named && version.starts_with(start)) {
                findings.push(format!("{name} {version}: {why}"));
            }
        }
    }
    findings
}

fn judge_copies(crates: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    crates
        .iter()
        .filter(|(name, versions)| ONE_COPY.contains(&name.as_str()) && versions.len() > 1)
        .map(|(name, versions)| format!("{name}: {versions:?}"))
        .collect()
}

#[test]
fn nothing_banned_is_compiled() {
    demand_none(
        &judge_bans(&compiled()),
        "`cargo tree -i NAME` shows who brings it; turn the feature off or choose another crate.",
    );
}

#[test]
fn stacks_are_compiled_once() {
    demand_none(&judge_copies(&compiled()), "`cargo tree -d` shows who asks for which; align the versions.");
}

#[test]
fn the_first_build_stays_short() {
    let crates = compiled();
    assert!(crates.contains_key("tokio"), "cargo tree was not understood: {crates:?}");
    let count: usize = crates.values().map(BTreeSet::len).sum();
    assert!(count <= MOST_CRATES, "{count} crates are compiled, at most {MOST_CRATES} are meant to be");
}

#[test]
fn banned_and_doubled_crates_would_be_found() {
    let crates = parse(
        "ring v0.17.8\nhyper v0.14.30\nhyper v1.4.1\naws-sdk-kms v1.2.3\ntime v0.1.45\ntime v0.3.36\nserde v1.0.2 (proc-macro)\n",
    );
    let findings = judge_bans(&crates);
    for banned in ["ring 0.17.8", "hyper 0.14.30", "aws-sdk-kms 1.2.3", "time 0.1.45"] {
        assert!(findings.iter().any(|finding| finding.starts_with(banned)), "{banned} in {findings:?}");
    }
    assert_eq!(findings.len(), 4, "{findings:?}");
    assert_eq!(judge_copies(&crates).len(), 1);
}

#[test]
fn every_dependency_comes_from_the_public_registry() {
    let lock = tree::read("Cargo.lock").expect("Cargo.lock is committed");
    let findings: Vec<String> = lock
        .lines()
        .filter_map(|line| line.strip_prefix("source = "))
        .filter(|source| *source != "\"registry+https://github.com/rust-lang/crates.io-index\"")
        .map(str::to_owned)
        .collect();
    demand_none(&findings, "Depend on a published version; a fork or mirror cannot be rebuilt by others.");
}
