//! The catalogue of controls, held to its word: nothing dropped or reworded, and whatever says `kept` can prove it.
//!
//! Owns: the finding of a named test in the sources, and the generated table's freshness.
//! Never does: run the tests or the breaks; `./check` and `./check prove` do.

use std::collections::BTreeSet;

use crate::catalogue::{Catalogue, Control, Status, catalogue, table};
use crate::code::{Code, words};
use crate::demand_none;
use crate::tree::{self, File};

/// The promises as first written: id, proof, says.
const PROMISES: &str = include_str!("promises.tsv");

fn judge_promises(catalogue: &Catalogue, promises: &str) -> Vec<String> {
    let mut findings = Vec::new();
    for line in promises.lines().filter(|line| !line.starts_with('#')) {
        let parts: Vec<&str> = line.splitn(3, '\t').collect();
        let [id, proof, says] = parts[..] else {
            findings.push(format!("promises.tsv: `{line}` is not id, proof, says"));
            continue;
        };
        match catalogue.control.iter().find(|control| control.id == id) {
            None => findings.push(format!("{id} is gone")),
            Some(control) if control.says != says => findings.push(format!("{id} is reworded")),
            Some(control) if control.proof.word() != proof => findings.push(format!("{id}: the proof is changed")),
            Some(_) => {}
        }
    }
    for control in &catalogue.control {
        let start = format!("{}\t", control.id);
        if !promises.lines().any(|line| line.starts_with(&start)) {
            findings.push(format!("{} is new: add its line to promises.tsv", control.id));
        }
    }
    findings
}

#[test]
fn no_promise_is_dropped_or_reworded() {
    let catalogue = catalogue();
    demand_none(
        &judge_promises(&catalogue, PROMISES),
        "A promise stays as it was given; build it or leave it planned.",
    );

    let mut changed = catalogue.clone();
    changed.control[0].says.push_str(" (mostly)");
    changed.control.remove(1);
    assert_eq!(judge_promises(&changed, PROMISES).len(), 2);
}

fn judge_form(catalogue: &Catalogue) -> Vec<String> {
    let mut findings = Vec::new();
    let mut seen = BTreeSet::new();
    for control in &catalogue.control {
        let id = &control.id;
        if !seen.insert(id) {
            findings.push(format!("{id} stands twice"));
        }
        let (group, number) = id.split_once('-').unwrap_or_default();
        let good = group.len() >= 2
            && group.chars().all(|c| c.is_ascii_uppercase())
            && number.len() == 2
            && number.chars().all(|c| c.is_ascii_digit());
        if !good {
            findings.push(format!("{id} is not of the form GROUP-01"));
        }
        if control.from.is_empty() {
            findings.push(format!("{id} does not say where it is from"));
        }
        let breaks = control.breaks.names();
        match control.status {
            Status::Planned if !(control.tests.is_empty() && breaks.is_empty()) => {
                findings.push(format!("{id} is planned and names tests or breaks; say `kept`, or use `also`"));
            }
            Status::Kept if control.tests.is_empty() => findings.push(format!("{id} is kept without a test")),
            Status::Kept if breaks.is_empty() => findings.push(format!("{id} is kept without a break")),
            _ => {}
        }
        for name in breaks {
            let stem = name.strip_suffix(".patch").unwrap_or_default();
            if !stem.starts_with(id.as_str()) {
                findings.push(format!("{id}: a break is named {id}.patch or {id}-<what>.patch, not {name}"));
            }
        }
    }
    findings
}

fn sample(text: &str) -> Catalogue {
    toml::from_str(text).expect("a sample is well formed")
}

#[test]
fn ids_are_unique_and_what_is_kept_names_its_proof() {
    demand_none(&judge_form(&catalogue()), "Correct controls.toml; its head explains the form.");
    let control = |id: &str, rest: &str| {
        format!("[[control]]\nid = \"{id}\"\nsays = \"x\"\nfrom = [\"+\"]\nproof = \"test\"\n{rest}\n")
    };
    let good = "status = \"kept\"\ntests = [\"a::b\"]\nbreaks = \"AA-01.patch\"";
    assert_eq!(judge_form(&sample(&control("AA-01", good))).len(), 0);
    assert_eq!(judge_form(&sample(&control("AA-01", "status = \"kept\""))).len(), 1);
    assert_eq!(judge_form(&sample(&control("AA-01", "status = \"kept\"\ntests = [\"a::b\"]"))).len(), 1);
    assert_eq!(judge_form(&sample(&control("AA-02", good))).len(), 1, "another control's break");
    assert_eq!(judge_form(&sample(&control("A1", "status = \"planned\""))).len(), 1);
    let twice = format!("{}{}", control("AA-01", good), control("AA-01", good));
    assert_eq!(judge_form(&sample(&twice)).len(), 1);
}

/// Finds a test by its name in controls.toml; the error says what was looked for.
fn find_test(name: &str, files: &[File]) -> Result<(), String> {
    if let Some(rest) = name.strip_prefix("ui/") {
        let (path, title) = rest.split_once("::").ok_or("a browser test is ui/tests/file.mjs::title")?;
        let path = format!("ui/{path}");
        let file = files.iter().find(|file| file.path == path).ok_or_else(|| format!("{path} is not there"))?;
        let strings = Code::javascript(&file.text).strings;
        let found = strings.iter().any(|(_, string)| string == title);
        return found.then_some(()).ok_or_else(|| format!("{path} has no test titled so"));
    }
    let parts: Vec<&str> = name.split("::").collect();
    let [krate, middle @ .., function] = &parts[..] else {
        return Err("a test is <crate>::…::<test>".to_owned());
    };
    let in_folder = |folder: &str| files.iter().any(|file| file.path.starts_with(folder));
    let home = format!("crates/{krate}");
    if !in_folder(&format!("{home}/")) {
        return Err(format!("{home} is not there; a test is named by its crate's folder"));
    }
    let (folder, modules) = match middle.split_first() {
        Some((binary, modules)) if in_folder(&format!("{home}/tests/{binary}/")) => {
            (format!("{home}/tests/{binary}"), modules)
        }
        Some((binary, modules)) if in_folder(&format!("{home}/tests/{binary}.rs")) => {
            return find_function(files, &format!("{home}/tests/{binary}.rs"), modules, function);
        }
        _ => (format!("{home}/src"), middle),
    };
    // The longest start of the module path that is a file; what is left must be modules inside that file.
    for length in (0..=modules.len()).rev() {
        let place = modules[..length].join("/");
        let candidates = if length == 0 {
            vec![format!("{folder}/lib.rs"), format!("{folder}/main.rs")]
        } else {
            vec![format!("{folder}/{place}.rs"), format!("{folder}/{place}/mod.rs")]
        };
        if let Some(path) = candidates.iter().find(|path| files.iter().any(|file| file.path == **path)) {
            return find_function(files, path, &modules[length..], function);
        }
    }
    Err(format!("no file for the module {} under {folder}", modules.join("::")))
}

fn find_function(files: &[File], path: &str, inner: &[&str], function: &str) -> Result<(), String> {
    let file = files.iter().find(|file| file.path == path).ok_or_else(|| format!("{path} is not there"))?;
    let plain = Code::rust(&file.text).plain;
    // `on_both!` makes of one function a module with a test for each engine.
    if let [modules @ .., body] = inner
        && ["sqlite", "postgres"].contains(&function)
        && plain.contains("on_both!")
    {
        let found = modules.is_empty() && words(&plain, body).any(|at| plain[..at].ends_with("fn "));
        return found.then_some(()).ok_or_else(|| format!("{path} has no {body} for both engines"));
    }
    for module in inner {
        if !words(&plain, module).any(|at| plain[..at].ends_with("mod ")) {
            return Err(format!("{path} has no module {module}"));
        }
    }
    let defined = words(&plain, function).find(|at| plain[..*at].ends_with("fn "));
    let at = defined.ok_or_else(|| format!("{path} has no function {function}"))?;
    // Between the item before and this function stand its attributes; one of them makes it a test. A test written
    // through a macro (`proptest!`, one body on both engines) has the attribute, or the macro has it for it.
    let before = &plain[..at];
    let start = before.rfind(['}', ';']).map_or(0, |offset| offset + 1);
    let head = &before[start..];
    let is_test = head.contains("test]") || head.contains("test(") || head.contains("! {") || head.contains("!(");
    is_test.then_some(()).ok_or_else(|| format!("{path}: {function} is not a test"))
}

fn judge_proofs(controls: &[Control], files: &[File]) -> Vec<String> {
    let mut findings = Vec::new();
    for control in controls {
        for test in control.tests.iter().chain(&control.also) {
            if let Err(reason) = find_test(test, files) {
                findings.push(format!("{}: {test}: {reason}", control.id));
            }
        }
        for name in control.breaks.names() {
            let path = format!("controls/breaks/{name}");
            match files.iter().find(|file| file.path == path) {
                None => findings.push(format!("{}: {path} is not there", control.id)),
                Some(patch) if !patch.text.contains("\n+++ ") => {
                    findings.push(format!("{}: {path} is not a patch", control.id));
                }
                Some(patch) if breaks_a_test(&patch.text) => {
                    findings.push(format!("{}: {path} changes a test; it must break the product", control.id));
                }
                Some(_) => {}
            }
        }
    }
    findings
}

fn breaks_a_test(patch: &str) -> bool {
    patch
        .lines()
        .filter_map(|line| line.strip_prefix("+++ b/"))
        .any(|path| tree::is_test_path(path) || path == "controls.toml")
}

#[test]
fn every_proof_that_is_named_exists() {
    demand_none(
        &judge_proofs(&catalogue().control, tree::files()),
        "Name the tests as they are; controls.toml's head shows how.",
    );

    let file = |path: &str, text: &str| File { path: path.to_owned(), text: text.to_owned() };
    let files = [
        file("crates/vault/src/lib.rs", "//! x\nmod seal;\n"),
        file(
            "crates/vault/src/seal.rs",
            "fn helper() {}\n#[cfg(test)]\nmod tests {\n    #[test]\n    fn opens() {}\n    fn not_one() {}\n}\n",
        ),
        file("crates/server/tests/it/limits.rs", "//! x\n#[tokio::test]\nasync fn sixty_a_minute() {}\n"),
        file("crates/store/tests/it/sites.rs", "//! x\non_both! {\n    async fn a_site_stays(world) {}\n}\n"),
        file("ui/tests/chat.mjs", "test('a link is dead', () => {});\n// a comment\n"),
        file("controls/breaks/AA-01.patch", "--- a/crates/vault/tests/x.rs\n+++ b/crates/vault/tests/x.rs\n"),
    ];
    let found = |name: &str| find_test(name, &files);
    assert_eq!(found("vault::seal::tests::opens"), Ok(()));
    assert_eq!(found("server::it::limits::sixty_a_minute"), Ok(()));
    assert_eq!(found("ui/tests/chat.mjs::a link is dead"), Ok(()));
    assert_eq!(found("store::it::sites::a_site_stays::postgres"), Ok(()));
    for missing in [
        "store::it::sites::a_site_goes::postgres",
        "store::it::sites::a_site_stays::oracle",
        "vault::seal::tests::closes",
        "vault::seal::tests::not_one",
        "vault::seal::helper",
        "vault::seal::proofs::opens",
        "vault::sealing::tests::opens",
        "nothing::seal::tests::opens",
        "server::it::limits::a_hundred",
        "ui/tests/chat.mjs::a comment",
        "ui/tests/other.mjs::a link is dead",
        "alone",
    ] {
        assert!(found(missing).is_err(), "{missing} was found");
    }
    let kept = "[[control]]\nid = \"AA-01\"\nsays = \"x\"\nfrom = [\"+\"]\nproof = \"test\"\nstatus = \"kept\"\ntests = [\"vault::seal::tests::closes\"]\nbreaks = [\"AA-01.patch\", \"AA-01-more.patch\"]\n";
    let findings = judge_proofs(&sample(kept).control, &files);
    assert_eq!(findings.len(), 3, "a missing test, a break of a test, a missing break: {findings:?}");
}

#[test]
fn every_patch_belongs_to_a_control() {
    let catalogue = catalogue();
    let named: BTreeSet<&str> = catalogue.control.iter().flat_map(|control| control.breaks.names()).collect();
    let findings: Vec<String> = tree::files()
        .iter()
        .filter_map(|file| file.path.strip_prefix("controls/breaks/"))
        .filter(|name| name.ends_with(".patch") && !named.contains(name))
        .map(str::to_owned)
        .collect();
    demand_none(&findings, "Name it in `breaks` of its control, or delete it.");
}

/// `./check` reads controls.toml with awk: the strict form is what makes that safe.
#[test]
fn the_catalogue_keeps_the_form_that_scripts_read() {
    let text = tree::read("controls.toml").expect("controls.toml is committed");
    let findings: Vec<String> = text
        .lines()
        .enumerate()
        .filter(|(_, line)| {
            let starts = [
                "#",
                "[[control]]",
                "id = \"",
                "says = \"",
                "from = [",
                "proof = \"",
                "status = \"",
                "note = \"",
                "tests = [",
                "also = [",
                "breaks = ",
                "  \"",
                "    \"",
                "]",
            ];
            !line.is_empty() && !starts.iter().any(|start| line.starts_with(start))
        })
        .map(|(index, line)| format!("controls.toml:{}: {line}", index + 1))
        .collect();
    demand_none(&findings, "One key a line; a list on one line, or one quoted item a line, indented.");
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "`./check generate` names its folder in the environment; the product reads nothing here"
)]
fn the_table_of_controls_is_up_to_date() {
    let wanted = table(&catalogue());
    if let Some(folder) = std::env::var_os("CHATWARD_GENERATE") {
        let path = std::path::Path::new(&folder).join("docs/controls.md");
        std::fs::write(path, wanted).expect("the folder of `./check generate` is there");
        return;
    }
    assert!(
        tree::read("docs/controls.md") == Some(wanted.as_str()),
        "docs/controls.md is not what controls.toml says; run `./check generate` and commit the result"
    );
}
