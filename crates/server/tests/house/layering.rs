//! Who may know whom: between the crates by their manifests, inside the server by the paths that its sources name.
//!
//! Owns: the direction types <- vault, store, egress <- providers, knowledge <- server, and the layers
//! routes -> api -> ops of the server.
//! Never does: allow an exception by comment. A rule that is wrong is changed here, in view.

use std::collections::{BTreeMap, BTreeSet};

use crate::code::Code;
use crate::demand_none;
use crate::paths::{module_of, named_paths, under};
use crate::tree::{self, File};

/// Which of our crates a crate may build on.
const DIRECTION: &[(&str, &[&str])] = &[
    ("types", &[]),
    ("vault", &["types"]),
    ("store", &["types"]),
    ("egress", &["types"]),
    ("providers", &["types", "egress"]),
    ("knowledge", &["types", "egress"]),
    ("server", &["types", "vault", "store", "egress", "providers", "knowledge"]),
];

/// Outside crates that only some of ours may use outside tests.
const FENCED: &[(&str, &[&str], &str)] = &[
    ("sqlx", &["store", "testkit"], "all SQL lives in the store crate"),
    ("axum", &["server", "testkit"], "HTTP is the server's"),
    ("hyper", &["egress", "server", "testkit"], "outbound HTTP is egress's, inbound the server's"),
    ("hyper-rustls", &["egress"], "outbound TLS is egress's"),
    ("webpki-roots", &["egress"], "outbound TLS is egress's"),
    ("jsonwebtoken", &["server"], "tokens are the server's"),
];

/// The crates that are audited alone, with everything they may depend on.
const CLOSED: &[(&str, &[&str])] =
    &[("types", &["serde", "uuid", "zeroize"]), ("vault", &["aws-lc-rs", "base64", "chatward-types", "zeroize"])];

/// A layer of the server and what it may not name.
struct Layer {
    module: &'static str,
    forbidden: &'static [&'static str],
    why: &'static str,
}

const LAYERS: &[Layer] = &[
    Layer {
        module: "ops",
        forbidden: &["axum", "crate::api", "crate::routes", "crate::middleware", "crate::error", "crate::cli"],
        why: "ops is called by HTTP, jobs and the command line alike and knows none of them",
    },
    Layer {
        module: "api",
        forbidden: &["crate::routes", "crate::cli", "sqlx", "chatward_egress"],
        why: "a handler parses and calls ops (a plain read may call the store)",
    },
    Layer {
        module: "routes",
        forbidden: &["crate::ops", "chatward_store", "chatward_providers", "chatward_egress"],
        why: "routes is the table of contents and names handlers only",
    },
    Layer {
        module: "config",
        forbidden: &["crate::api", "crate::ops", "crate::routes", "crate::middleware", "crate::app", "axum"],
        why: "the configuration is read before anything runs",
    },
    Layer {
        module: "limits",
        forbidden: &["axum", "crate::api", "crate::ops", "crate::routes", "chatward_store"],
        why: "limits are pure: an address, a rule and a time",
    },
];

#[derive(serde::Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(serde::Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(serde::Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
}

fn packages() -> Vec<Package> {
    let text = tree::cargo(&["metadata", "--no-deps", "--format-version", "1", "--offline"]);
    let metadata: Metadata = serde_json::from_str(&text).expect("cargo metadata prints JSON");
    metadata.packages
}

/// Findings about one crate's dependencies outside tests; `dependencies` are package names.
fn judge_dependencies(krate: &str, dependencies: &BTreeSet<&str>) -> Vec<String> {
    let mut findings = Vec::new();
    if krate != "testkit" && !DIRECTION.iter().any(|(name, _)| *name == krate) {
        findings.push(format!("{krate} is a new crate without a place in DIRECTION"));
    }
    if let Some((_, allowed)) = DIRECTION.iter().find(|(name, _)| *name == krate) {
        for ours in dependencies.iter().filter_map(|name| name.strip_prefix("chatward-")) {
            if !allowed.contains(&ours) {
                findings.push(format!("{krate} builds on {ours}, which lies above or beside it"));
            }
        }
    }
    for (outside, allowed, why) in FENCED {
        if dependencies.contains(outside) && !allowed.contains(&krate) {
            findings.push(format!("{krate} depends on {outside}: {why}"));
        }
    }
    if let Some((_, allowed)) = CLOSED.iter().find(|(name, _)| *name == krate) {
        for name in dependencies.iter().filter(|name| !allowed.contains(name)) {
            findings.push(format!("{krate} depends on {name}; it is meant to be audited alone"));
        }
    }
    findings
}

#[test]
fn crates_build_only_on_what_lies_below_them() {
    let mut findings = Vec::new();
    let mut seen = BTreeSet::new();
    for package in packages() {
        let krate = package.name.strip_prefix("chatward-").unwrap_or(&package.name);
        seen.insert(krate.to_owned());
        let normal: BTreeSet<&str> = package
            .dependencies
            .iter()
            .filter(|dependency| dependency.kind.as_deref() != Some("dev"))
            .map(|dependency| dependency.name.as_str())
            .collect();
        findings.extend(judge_dependencies(krate, &normal));
    }
    for (krate, _) in DIRECTION {
        assert!(seen.contains(*krate), "the crate {krate} is gone; correct DIRECTION in this file");
    }
    demand_none(&findings, "Move the code to the crate that may know both, or pass a value or a trait instead.");
}

#[test]
fn a_wrong_dependency_would_be_found() {
    let found = |krate, names: &[&str]| judge_dependencies(krate, &names.iter().copied().collect()).len();
    assert_eq!(found("vault", &["chatward-types", "zeroize"]), 0);
    assert_eq!(found("vault", &["chatward-store"]), 2, "wrong direction, and not on its closed list");
    assert_eq!(found("providers", &["chatward-knowledge"]), 1);
    assert_eq!(found("knowledge", &["sqlx"]), 1);
    assert_eq!(found("types", &["tokio"]), 1);
    assert_eq!(found("server", &["webpki-roots"]), 1);
    assert_eq!(found("new", &[]), 1);
}

/// A judge looks at one product source and says what is wrong with it.
pub(crate) type Judge = fn(&File, &Code) -> Vec<String>;

pub(crate) fn judge_all(judge: Judge) -> Vec<String> {
    tree::product_sources().iter().flat_map(|(file, code)| judge(file, code)).collect()
}

/// The same judge on a made-up source, to show that it can find something.
pub(crate) fn judge_sample(judge: Judge, path: &str, text: &str) -> usize {
    let file = File { path: path.to_owned(), text: text.to_owned() };
    judge(&file, &Code::rust_product(text)).len()
}

fn judge_crate_paths(file: &File, code: &Code) -> Vec<String> {
    let krate = file.krate().unwrap_or_default();
    let Some((_, allowed)) = DIRECTION.iter().find(|(name, _)| *name == krate) else {
        return vec![format!("{}: an unknown crate; add it to DIRECTION", file.path)];
    };
    let mut findings = Vec::new();
    for (line, path) in named_paths(&code.plain, &module_of(&file.path)) {
        let first = path.split("::").next().unwrap_or_default();
        let foreign = first.strip_prefix("chatward_").is_some_and(|ours| ours != krate && !allowed.contains(&ours));
        let too_low = krate == "types" && ["tokio", "axum", "sqlx"].contains(&first);
        if foreign || too_low || (first == "sqlx" && krate != "store") {
            findings.push(format!("{}:{line}: {krate} names {path}", file.path));
        }
    }
    findings
}

#[test]
fn sources_name_only_crates_that_lie_below() {
    demand_none(&judge_all(judge_crate_paths), "See the direction in ARCHITECTURE.md.");
    assert_eq!(judge_sample(judge_crate_paths, "crates/vault/src/a.rs", "use chatward_store::Store;"), 1);
    assert_eq!(judge_sample(judge_crate_paths, "crates/types/src/a.rs", "use tokio::sync::Mutex;"), 1);
    assert_eq!(judge_sample(judge_crate_paths, "crates/server/src/a.rs", "fn f() { sqlx::query(X); }"), 1);
    assert_eq!(judge_sample(judge_crate_paths, "crates/providers/src/a.rs", "use chatward_egress::Egress;"), 0);
}

fn judge_layers(file: &File, code: &Code) -> Vec<String> {
    if file.krate() != Some("server") {
        return Vec::new();
    }
    let module = module_of(&file.path);
    let mut findings = Vec::new();
    for layer in LAYERS.iter().filter(|layer| module.first().is_some_and(|first| first == layer.module)) {
        for (line, path) in named_paths(&code.plain, &module) {
            if layer.forbidden.iter().any(|start| under(&path, start)) {
                findings.push(format!("{}:{line}: {} names {path}; {}", file.path, layer.module, layer.why));
            }
        }
    }
    findings
}

#[test]
fn layers_of_the_server_look_only_downwards() {
    demand_none(&judge_all(judge_layers), "routes -> api -> ops -> store; move what both need downwards.");
    assert_eq!(judge_sample(judge_layers, "crates/server/src/ops/chat.rs", "use axum::http::StatusCode;"), 1);
    assert_eq!(judge_sample(judge_layers, "crates/server/src/ops/mod.rs", "fn f() -> super::error::Failure {}"), 1);
    assert_eq!(judge_sample(judge_layers, "crates/server/src/routes.rs", "use crate::{api::x, ops::y};"), 1);
    assert_eq!(judge_sample(judge_layers, "crates/server/src/api/chat.rs", "use crate::ops::chat;"), 0);
}

/// One api file's own module and its parents; any other module under api is a stranger.
fn judge_api(file: &File, code: &Code) -> Vec<String> {
    let module = module_of(&file.path);
    let in_api = file.krate() == Some("server") && module.first().is_some_and(|first| first == "api");
    if !in_api || file.path.ends_with("/mod.rs") || module.len() < 2 {
        return Vec::new();
    }
    let own = format!("crate::{}", module.join("::"));
    let strangers: Vec<String> = tree::product_sources()
        .iter()
        .map(|(other, _)| other)
        .filter(|other| other.path.starts_with("crates/server/src/api/") && !other.path.ends_with("/mod.rs"))
        .map(|other| format!("crate::{}", module_of(&other.path).join("::")))
        .chain(["crate::api::a_sample".to_owned()])
        .filter(|other| !under(other, &own) && !under(&own, other))
        .collect();
    named_paths(&code.plain, &module)
        .into_iter()
        .filter(|(_, path)| strangers.iter().any(|stranger| under(path, stranger)))
        .map(|(line, path)| format!("{}:{line}: names its neighbour {path}", file.path))
        .collect()
}

#[test]
fn one_endpoint_file_never_imports_another() {
    demand_none(&judge_all(judge_api), "Move what both need to ops or to api/mod.rs.");
    let path = "crates/server/src/api/another.rs";
    assert_eq!(judge_sample(judge_api, path, "use super::a_sample::Body;"), 1);
    assert_eq!(judge_sample(judge_api, path, "use crate::api::another::Own; use super::Shared;"), 0);
}

#[test]
fn every_version_stands_once_in_the_workspace_table() {
    let mut findings = Vec::new();
    for file in
        tree::files().iter().filter(|file| file.path.starts_with("crates/") && file.path.ends_with("/Cargo.toml"))
    {
        let manifest: BTreeMap<String, toml::Value> = toml::from_str(&file.text).expect("a manifest is TOML");
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let entries = manifest.get(section).and_then(toml::Value::as_table);
            for (name, value) in entries.into_iter().flatten() {
                if value.get("workspace").and_then(toml::Value::as_bool) != Some(true) {
                    findings.push(format!("{}: {name} in [{section}]", file.path));
                }
            }
        }
        if manifest.get("lints").and_then(|lints| lints.get("workspace")).is_none() {
            findings.push(format!("{}: no `[lints] workspace = true`", file.path));
        }
    }
    demand_none(&findings, "Write `name.workspace = true` and keep the version in the root Cargo.toml.");
}
