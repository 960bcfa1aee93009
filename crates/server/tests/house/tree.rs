//! The repository as a list of texts: what git tracks or would track, without what it ignores.
//!
//! Owns: where the root is, which files count, which of them are test code, and the calls to git and cargo.
//! Never does: judge. A copy without git (a release archive) is walked instead.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::code::{self, Code};

/// One text file, by its path from the root with forward slashes.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl File {
    /// Whether the name ends in one of `endings` (without the dot).
    pub(crate) fn is(&self, endings: &[&str]) -> bool {
        self.path.rsplit_once('.').is_some_and(|(_, ending)| endings.contains(&ending))
    }

    /// The crate's folder name, for a file under crates/.
    pub(crate) fn krate(&self) -> Option<&str> {
        self.path.strip_prefix("crates/")?.split('/').next()
    }
}

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("crates/server stands two levels under the root").to_path_buf()
}

/// Every text file of the repository, read once.
pub(crate) fn files() -> &'static [File] {
    static FILES: OnceLock<Vec<File>> = OnceLock::new();
    FILES.get_or_init(|| {
        let root = root();
        let mut paths = tracked(&root).unwrap_or_else(|| {
            let mut found = Vec::new();
            walk(&root, "", &mut found);
            found
        });
        paths.sort();
        paths.dedup();
        let files: Vec<File> = paths
            .into_iter()
            .filter_map(|path| {
                let bytes = std::fs::read(root.join(&path)).ok()?;
                let text = String::from_utf8(bytes).ok()?;
                (!text.contains('\0')).then_some(File { path, text })
            })
            .collect();
        assert!(
            files.iter().any(|file| file.path == "Cargo.toml"),
            "the rules found no files to judge under {}",
            root.display()
        );
        files
    })
}

/// One file's text, or `None`.
pub(crate) fn read(path: &str) -> Option<&'static str> {
    files().iter().find(|file| file.path == path).map(|file| file.text.as_str())
}

/// The Rust files under crates/ that end up in the product (no tests, no testkit), lexed without their test items.
pub(crate) fn product_sources() -> &'static [(&'static File, Code)] {
    static SOURCES: OnceLock<Vec<(&'static File, Code)>> = OnceLock::new();
    SOURCES.get_or_init(|| {
        let test_modules = test_only_modules();
        files()
            .iter()
            .filter(|file| file.is(&["rs"]) && file.krate().is_some_and(|name| name != "testkit"))
            .filter(|file| file.path.contains("/src/") && !is_test_path(&file.path))
            .filter(|file| !test_modules.iter().any(|start| file.path.starts_with(start)))
            .map(|file| (file, Code::rust_product(&file.text)))
            .collect()
    })
}

/// Whether a path by itself says that it is test code.
pub(crate) fn is_test_path(path: &str) -> bool {
    path.contains("/tests/")
        || path.starts_with("bench/")
        || path.starts_with("crates/testkit/")
        || ["/tests.rs", "_tests.rs", "_test.rs"].iter().any(|ending| path.ends_with(ending))
}

/// Path starts of the modules that are declared `#[cfg(test)] mod name;`.
fn test_only_modules() -> Vec<String> {
    let mut starts = Vec::new();
    for file in files().iter().filter(|file| file.is(&["rs"])) {
        let folder = match file.path.strip_suffix(".rs") {
            Some(stem) if !["mod", "lib", "main"].iter().any(|name| stem.ends_with(&format!("/{name}"))) => {
                stem.to_owned()
            }
            _ => file.path.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned(),
        };
        for name in code::test_module_declarations(&Code::rust(&file.text).plain) {
            starts.push(format!("{folder}/{name}.rs"));
            starts.push(format!("{folder}/{name}/"));
        }
    }
    starts
}

/// Runs a tool at the root and returns what it printed, or why it could not.
#[expect(
    clippy::disallowed_methods,
    reason = "the rule keeps requests from starting processes; a test asks git and cargo about the repository"
)]
fn output_of(program: &str, arguments: &[&str]) -> Result<String, String> {
    let output = std::process::Command::new(program)
        .args(arguments)
        .current_dir(root())
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// Runs the cargo that built this test.
#[track_caller]
pub(crate) fn cargo(arguments: &[&str]) -> String {
    match output_of(env!("CARGO"), arguments) {
        Ok(printed) => printed,
        Err(reason) => panic!("`cargo {}` failed: {reason}", arguments.join(" ")),
    }
}

fn tracked(root: &Path) -> Option<Vec<String>> {
    if !root.join(".git").exists() {
        return None;
    }
    let listed = output_of("git", &["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).ok()?;
    Some(listed.split('\0').filter(|path| !path.is_empty()).map(str::to_owned).collect())
}

fn walk(root: &Path, folder: &str, found: &mut Vec<String>) {
    let Ok(entries) = std::fs::read_dir(root.join(folder)) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if ["target", ".git", "node_modules", "data"].contains(&name.as_str()) {
            continue;
        }
        let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => walk(root, &path, found),
            Ok(kind) if kind.is_file() => found.push(path),
            _ => {}
        }
    }
}

#[test]
fn the_tree_is_seen_whole() {
    let paths: Vec<&str> = files().iter().map(|file| file.path.as_str()).collect();
    for expected in ["clippy.toml", "controls.toml", "crates/types/src/lib.rs"] {
        assert!(paths.contains(&expected), "{expected} is not among the {} files", paths.len());
    }
    assert!(!paths.iter().any(|path| path.starts_with("target/")));
    assert!(product_sources().iter().all(|(file, _)| !file.path.contains("/tests/")));
}
