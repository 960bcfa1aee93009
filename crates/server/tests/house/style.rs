//! Style that a reader relies on: short files that say what they own, full words, no switched-off lints or tests.
//!
//! Owns: file lengths, module headers, names, and words that must not stand in code.
//! Never does: formatting and lints; rustfmt and clippy do.

use crate::code::{Code, line_at, words};
use crate::demand_none;
use crate::tree::{self, File};

/// Longer is worth a thought; such files are listed.
const LONG: usize = 400;
/// Longer fails.
const TOO_LONG: usize = 800;

const SOURCES: &[&str] = &["rs", "js", "mjs", "css", "html", "sh", "sql"];

fn judge_length(file: &File) -> Option<String> {
    let lines = file.text.lines().count();
    (file.is(SOURCES) && lines > TOO_LONG).then(|| format!("{}: {lines} lines", file.path))
}

#[test]
fn no_file_is_longer_than_a_reader_can_hold() {
    let mut long: Vec<(usize, &str)> = tree::files()
        .iter()
        .filter(|file| file.is(SOURCES))
        .map(|file| (file.text.lines().count(), file.path.as_str()))
        .filter(|(lines, _)| *lines > LONG)
        .collect();
    long.sort_unstable();
    for (lines, path) in long {
        println!("long ({lines} lines): {path}");
    }
    let findings: Vec<String> = tree::files().iter().filter_map(judge_length).collect();
    demand_none(&findings, "Split by topic into files of at most 400 lines.");
    let sample = |lines: usize| File { path: "crates/a/src/b.rs".to_owned(), text: "//! x\n".repeat(lines) };
    assert!(judge_length(&sample(TOO_LONG + 1)).is_some());
    assert!(judge_length(&sample(TOO_LONG)).is_none());
}

/// What the build of the interface makes; its sources say what they own.
const BUILT: &str = "ui/dist/";

fn judge_header(file: &File) -> Option<String> {
    if file.path.starts_with(BUILT) {
        return None;
    }
    let first = file.text.lines().find(|line| !line.starts_with("#!"))?;
    let good = match file.path.rsplit_once('.')?.1 {
        "rs" => first.starts_with("//! "),
        "js" | "mjs" => first.starts_with("// ") || first.starts_with("/*"),
        "sh" => first.starts_with("# "),
        _ => true,
    };
    (!good).then(|| format!("{}: begins with `{}`", file.path, first.chars().take(60).collect::<String>()))
}

#[test]
fn every_source_begins_by_saying_what_it_owns() {
    let findings: Vec<String> = tree::files().iter().filter_map(judge_header).collect();
    demand_none(&findings, "Begin the file with a header of 3 to 10 lines: what it owns, what it never does.");
    let sample = |path: &str, text: &str| judge_header(&File { path: path.to_owned(), text: text.to_owned() });
    assert!(sample("crates/a/src/b.rs", "use x;\n//! late").is_some());
    assert!(sample("ui/a.mjs", "import x from 'y';").is_some());
    assert!(sample("ui/dist/embed/app.js", "var a=1").is_none());
    assert!(sample("scripts/a.sh", "#!/usr/bin/env bash\n# Says it.").is_none());
}

/// What must not stand in Rust code, in pieces so that this file passes its own rule, and what to do instead.
fn forbidden_in_rust() -> Vec<(String, &'static str)> {
    [
        (["#[al", "low("], "use #[expect(lint, reason = \"…\")]"),
        (["#![al", "low("], "use #[expect(lint, reason = \"…\")]"),
        (["#[ig", "nore"], "make the test run, or delete it"),
        (["to", "do!("], "finish it, or write down what is missing"),
        (["unimple", "mented!("], "finish it, or write down what is missing"),
        (["db", "g!("], "log a field"),
        (["unbounded_", "channel"], "every queue is bounded"),
        (["mpsc::unb", "ounded"], "every queue is bounded"),
    ]
    .into_iter()
    .map(|(pieces, instead)| (pieces.concat(), instead))
    .collect()
}

fn judge_words_in_rust(path: &str, text: &str) -> Vec<String> {
    let plain = Code::rust(text).plain;
    let mut findings = Vec::new();
    for (word, instead) in forbidden_in_rust() {
        // A test may collect without a bound what the product may not.
        if word.contains("unbounded") && tree::is_test_path(path) {
            continue;
        }
        for (at, _) in plain.match_indices(&word) {
            findings.push(format!("{path}:{}: `{word}`: {instead}", line_at(&plain, at)));
        }
    }
    for attribute in ["#[expect(", "#![expect("] {
        for (at, _) in plain.match_indices(attribute) {
            let end = plain[at..].find(")]").map_or(plain.len(), |length| at + length);
            if !plain[at..end].contains("reason") {
                findings.push(format!("{path}:{}: {attribute}…)] without a reason", line_at(&plain, at)));
            }
        }
    }
    findings
}

#[test]
fn nothing_is_switched_off_or_left_open() {
    let findings: Vec<String> = tree::files()
        .iter()
        .filter(|file| file.is(&["rs"]))
        .flat_map(|file| judge_words_in_rust(&file.path, &file.text))
        .collect();
    demand_none(&findings, "Each line says what to do instead.");
    for (word, _) in forbidden_in_rust() {
        assert_eq!(judge_words_in_rust("a.rs", &format!("fn f() {{}}\n{word}")).len(), 1, "{word}");
        assert_eq!(judge_words_in_rust("a.rs", &format!("// {word}")).len(), 0, "{word} in a comment");
    }
    assert_eq!(judge_words_in_rust("a.rs", "#[expect(dead_code)]\nfn f() {}").len(), 1);
    assert_eq!(judge_words_in_rust("a.rs", "#[expect(dead_code, reason = \"x\")]\nfn f() {}").len(), 0);
}

fn judge_browser_test(path: &str, text: &str) -> Vec<String> {
    let plain = Code::javascript(text).plain;
    let mut findings = Vec::new();
    for caller in ["test", "it", "describe", "suite"] {
        for at in words(&plain, caller) {
            let rest = &plain[at + caller.len()..];
            for switch in [".only(", ".skip(", ".todo("] {
                if rest.starts_with(switch) {
                    findings.push(format!("{path}:{}: {caller}{switch}", line_at(&plain, at)));
                }
            }
        }
    }
    findings
}

#[test]
fn no_browser_test_is_skipped() {
    let findings: Vec<String> = tree::files()
        .iter()
        .filter(|file| file.path.starts_with("ui/tests/") && file.is(&["js", "mjs"]))
        .flat_map(|file| judge_browser_test(&file.path, &file.text))
        .collect();
    demand_none(&findings, "Make the test run, or delete it.");
    assert_eq!(judge_browser_test("a.mjs", "test.skip('x', () => {});").len(), 1);
    assert_eq!(judge_browser_test("a.mjs", "test('x', () => {}); // test.only(").len(), 0);
}

/// Names that say nothing.
const EMPTY_NAMES: &[&str] = &["util", "utils", "helper", "helpers", "manager", "common", "misc", "stuff"];

fn judge_name(path: &str) -> bool {
    path.split('/').any(|part| {
        let stem = part.split('.').next().unwrap_or(part);
        EMPTY_NAMES.contains(&stem)
    })
}

#[test]
fn modules_are_named_for_what_they_hold() {
    let findings: Vec<String> =
        tree::files().iter().filter(|file| judge_name(&file.path)).map(|file| file.path.clone()).collect();
    demand_none(&findings, "Name the file for the one thing it holds.");
    assert!(judge_name("crates/server/src/utils.rs") && judge_name("ui/common/a.js"));
    assert!(!judge_name("crates/server/src/commonwealth.rs"));
}
