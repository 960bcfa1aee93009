//! The paths that a Rust source names, in `use` trees and in code, written out from the crate's root.
//!
//! Owns: the expansion of `use a::{b, c::d}`, of `self::` and `super::`, and a source's place in its crate.
//! Never does: name resolution; a path through a re-export is taken as it is written.

use crate::code::line_at;

/// Every path of two or more segments, and every imported name, with its line.
pub(crate) fn named_paths(plain: &str, module: &[String]) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let bytes = plain.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if !is_word_start(bytes[at]) {
            // A number's suffix or a lifetime is no path.
            at += if bytes[at].is_ascii_digit() || bytes[at] == b'\'' { word_length(&bytes[at + 1..]) + 1 } else { 1 };
            continue;
        }
        let length = word_length(&bytes[at..]);
        if &plain[at..at + length] == "use" {
            let end = plain[at..].find(';').map_or(plain.len(), |offset| at + offset);
            let line = line_at(plain, at);
            let mut paths = Vec::new();
            expand(&plain[at + length..end], "", &mut paths);
            found.extend(paths.into_iter().map(|path| (line, absolute(&path, module))));
            at = end;
            continue;
        }
        let start = at;
        at += length;
        while bytes[at..].starts_with(b"::") && bytes.get(at + 2).copied().is_some_and(is_word_start) {
            at += 2 + word_length(&bytes[at + 2..]);
        }
        if at > start + length {
            found.push((line_at(plain, start), absolute(&plain[start..at], module)));
        }
    }
    found
}

/// Where a source stands in its crate: `crates/server/src/api/messages.rs` is `["api", "messages"]`.
pub(crate) fn module_of(path: &str) -> Vec<String> {
    let inside = path.split_once("/src/").map_or(path, |(_, inside)| inside);
    let stem = inside.strip_suffix(".rs").unwrap_or(inside);
    let mut module: Vec<String> = stem.split('/').map(str::to_owned).collect();
    if module.last().is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str())) {
        module.pop();
    }
    module
}

/// Whether `path` is `start` or lies below it.
pub(crate) fn under(path: &str, start: &str) -> bool {
    path.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

fn is_word_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_'
}

fn word_length(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count()
}

fn expand(tree: &str, prefix: &str, paths: &mut Vec<String>) {
    let tree = tree.trim();
    if let Some((head, rest)) = tree.split_once('{') {
        let inside = rest.strip_suffix('}').unwrap_or(rest);
        let prefix = format!("{prefix}{}", head.trim());
        for branch in branches(inside) {
            expand(branch, &prefix, paths);
        }
    } else if !tree.is_empty() {
        let name = tree.split_whitespace().next().unwrap_or(tree);
        let path = format!("{prefix}{name}");
        let path = path.strip_prefix("::").unwrap_or(&path);
        paths.push(path.strip_suffix("::self").unwrap_or(path).to_owned());
    }
}

/// Splits at the commas that stand outside inner braces.
fn branches(inside: &str) -> Vec<&str> {
    let (mut depth, mut start, mut parts) = (0_i32, 0, Vec::new());
    for (at, character) in inside.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&inside[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&inside[start..]);
    parts
}

fn absolute(path: &str, module: &[String]) -> String {
    let mut place: Vec<&str> = module.iter().map(String::as_str).collect();
    let mut rest = path;
    let mut relative = false;
    while let Some((first, after)) = rest.split_once("::") {
        match first {
            "self" => relative = true,
            "super" => {
                relative = true;
                place.pop();
            }
            _ => break,
        }
        rest = after;
    }
    if !relative {
        return path.to_owned();
    }
    place.insert(0, "crate");
    place.push(rest);
    place.join("::")
}

#[test]
fn use_trees_and_relative_paths_are_written_out() {
    let module = module_of("crates/server/src/api/messages.rs");
    assert_eq!(module, ["api", "messages"]);
    let plain = "use crate::{ops::chat::{self, ask}, api::sites as other};\nuse super::session::Row;\nfn f() { axum::serve(a::B::c()); let x = 1_u32; }\n";
    let paths: Vec<String> = named_paths(plain, &module).into_iter().map(|(_, path)| path).collect();
    for expected in [
        "crate::ops::chat",
        "crate::ops::chat::ask",
        "crate::api::sites",
        "crate::api::session::Row",
        "axum::serve",
        "a::B::c",
    ] {
        assert!(paths.iter().any(|path| path == expected), "{expected} is not in {paths:?}");
    }
    assert!(under("axum::serve", "axum") && under("axum", "axum") && !under("axum_extra::x", "axum"));
    assert!(module_of("crates/server/src/api/mod.rs") == ["api"] && module_of("crates/store/src/lib.rs").is_empty());
}
