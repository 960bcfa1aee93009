//! The papers at the root: licences, what a newcomer and a reviewer read first, and how CI calls the check.
//!
//! Owns: that they exist and agree with the manifests.
//! Never does: judge their prose.

use crate::demand_none;
use crate::tree;

/// Paper, and a word that shows it is more than an empty file.
const PAPERS: &[(&str, &str)] = &[
    ("README.md", "cargo run --release -- demo"),
    ("ARCHITECTURE.md", "Direction"),
    ("CHANGELOG.md", "Unreleased"),
    ("SECURITY.md", "controls.toml"),
    ("LICENSE-MIT", "MIT License"),
    ("LICENSE-APACHE", "Apache License"),
    ("chatward.example.toml", "["),
    ("clippy.toml", "disallowed-methods"),
    ("controls.toml", "[[control]]"),
    ("docs/controls.md", "SEC-01"),
    ("docs/openapi.json", "\"openapi\""),
    ("docs/configuration.md", "CHATWARD_"),
    (".ci/run", "check"),
    ("check", "quick"),
];

#[test]
fn the_papers_are_there() {
    let findings: Vec<String> = PAPERS
        .iter()
        .filter(|(path, word)| !tree::read(path).is_some_and(|text| text.contains(word)))
        .map(|(path, word)| format!("{path} is missing or does not mention `{word}`"))
        .collect();
    demand_none(&findings, "Write it; generated ones are made by `./check generate`.");
}

#[test]
fn every_crate_inherits_licence_edition_and_toolchain() {
    let workspace: toml::Value =
        toml::from_str(tree::read("Cargo.toml").expect("Cargo.toml")).expect("Cargo.toml is TOML");
    let licence = workspace["workspace"]["package"]["license"].as_str();
    assert_eq!(licence, Some("MIT OR Apache-2.0"));

    let mut findings = Vec::new();
    for file in tree::files() {
        if file.path.starts_with("crates/") && file.path.ends_with("/Cargo.toml") {
            findings.extend(judge_manifest(&file.path, &file.text));
        }
        // A package that cannot be published needs no licence of its own.
        let covered =
            file.text.contains("\"private\": true") || file.text.contains("\"license\": \"MIT OR Apache-2.0\"");
        if file.path.ends_with("package.json") && !covered {
            findings.push(format!("{}: neither `\"private\": true` nor the licence", file.path));
        }
    }
    demand_none(&findings, "Take the field from the workspace: `license.workspace = true`.");
    assert_eq!(judge_manifest("a", "[package]\nname = \"a\"\nlicense = \"MIT\"").len(), 4);
}

fn judge_manifest(path: &str, text: &str) -> Vec<String> {
    let manifest: toml::Value = toml::from_str(text).expect("a manifest is TOML");
    ["license", "edition", "rust-version", "publish"]
        .into_iter()
        .filter(|field| {
            let value = manifest["package"].get(*field).and_then(|value| value.get("workspace"));
            value.and_then(toml::Value::as_bool) != Some(true)
        })
        .map(|field| format!("{path}: {field}"))
        .collect()
}

#[test]
fn ci_only_calls_the_check() {
    let script = tree::read(".ci/run").expect(".ci/run is committed");
    let commands: Vec<&str> =
        script.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    assert!(
        commands.len() <= 2 && commands.last().is_some_and(|line| line.contains("check")),
        ".ci/run must only call ./check, so that what CI runs is what everybody runs; it has {commands:?}"
    );
}
