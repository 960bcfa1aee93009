//! What must never be committed: secrets, machines' own paths and hosts, deployment addresses in the front-ends.
//!
//! Owns: the patterns, written in pieces so that this file does not find itself.
//! Never does: replace the secret scan that operators run over their own repositories; this one guards ours.

use std::collections::BTreeSet;

use crate::code::Code;
use crate::demand_none;
use crate::tree;

/// How a secret begins, the characters that may follow and how many make it one.
type Shape = (String, fn(char) -> bool, usize);

fn secret_shapes() -> Vec<Shape> {
    let key: fn(char) -> bool = |c| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let upper: fn(char) -> bool = |c| c.is_ascii_uppercase() || c.is_ascii_digit();
    let plain: fn(char) -> bool = |c| c.is_ascii_alphanumeric();
    [
        (["s", "k-"], key, 20),
        (["hf", "_"], plain, 30),
        (["AK", "IA"], upper, 16),
        (["AS", "IA"], upper, 16),
        (["AI", "za"], key, 35),
        (["gh", "p_"], plain, 30),
        (["github_", "pat_"], key, 30),
        (["xo", "xb-"], key, 20),
        (["s", "k_live_"], plain, 16),
        (["cw_", "sk_"], key, 30),
        (["ey", "JhbGciOi"], key, 10),
    ]
    .into_iter()
    .map(|(pieces, allowed, length)| (pieces.concat(), allowed, length))
    .collect()
}

fn judge_secrets(path: &str, text: &str) -> Vec<String> {
    let private_key = ["PRIVATE", " KEY-----"].concat();
    let mut findings = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for (start, allowed, length) in secret_shapes() {
            for (at, _) in line.match_indices(&start) {
                let inside_word =
                    line[..at].chars().next_back().is_some_and(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
                let run: String = line[at + start.len()..].chars().take_while(|c| allowed(*c)).collect();
                if !inside_word && run.len() >= length && is_random(&run) {
                    // The finding names the place and the kind, never the secret.
                    findings.push(format!("{path}:{}: {start}…", index + 1));
                }
            }
        }
        if line.contains("-----BEGIN ") && line.contains(&private_key) {
            findings.push(format!("{path}:{}: a private key", index + 1));
        }
    }
    findings
}

/// A secret has many different characters; a placeholder repeats a few or counts up.
fn is_random(run: &str) -> bool {
    let different: BTreeSet<char> = run.chars().collect();
    different.len() >= 8 && !run.contains("1234567890")
}

#[test]
fn nothing_that_looks_like_a_secret_is_committed() {
    let findings: Vec<String> = tree::files().iter().flat_map(|file| judge_secrets(&file.path, &file.text)).collect();
    demand_none(&findings, "Revoke it if it is real. A test builds its fake secret at run time from pieces.");
    for (start, allowed, length) in secret_shapes() {
        let letters = "QWERTYUIOPASDFGHJKLZXCVBNM".repeat(2);
        let random: String = letters.chars().filter(|c| allowed(*c)).take(length).collect();
        let sample = format!("key = \"{start}{random}\"");
        assert_eq!(judge_secrets("a", &sample).len(), 1, "{start}");
        assert_eq!(judge_secrets("a", &format!("x{start}{random}")).len(), 0, "{start}");
        assert_eq!(judge_secrets("a", &format!("{start}{}", "xX".repeat(length))).len(), 0, "{start}");
    }
    let key = format!("-----BEGIN RSA {} KEY-----", "PRIVATE");
    assert_eq!(judge_secrets("a", &key).len(), 1);
}

/// Words of machines and of how the work was done, which say nothing about Chatward.
fn foreign_words() -> Vec<String> {
    [
        ["/wo", "rk/"],
        ["/ro", "ot/."],
        ["/home/", "user"],
        ["/tmp/bash", "_"],
        ["cla", "ude"],
        ["anthro", "pic"],
        ["ai a", "gent"],
        ["coding a", "gent"],
        ["sub", "agent"],
        ["as an a", "i "],
        ["co-auth", "ored-by"],
        ["generated w", "ith ai"],
        ["contracts", ".md"],
        ["npmm", "irror"],
        ["artif", "actory"],
        ["jfr", "og.io"],
        ["verd", "accio"],
        ["goproxy", ".cn"],
        ["index-url", " ="],
        ["replace-", "with ="],
    ]
    .into_iter()
    .map(|pieces| pieces.concat())
    .collect()
}

fn judge_words(path: &str, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let lower = line.to_lowercase();
        for word in foreign_words() {
            // A path is meant from its root: "a/work/b" is somebody's folder, not a machine's.
            let found = lower.match_indices(&word).any(|(at, _)| {
                !word.starts_with('/') || !lower[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '.')
            });
            if found {
                findings.push(format!("{path}:{}: `{word}`", index + 1));
            }
        }
    }
    findings
}

/// A list of what other people chose as passwords, first names among it; none of it are words of ours.
const OTHERS_WORDS: &str = "crates/server/src/ops/breached_passwords.txt";

#[test]
fn the_tree_speaks_of_chatward_only() {
    let findings: Vec<String> = tree::files()
        .iter()
        .filter(|file| file.path != OTHERS_WORDS)
        .flat_map(|file| judge_words(&file.path, &file.text).into_iter().chain(judge_words("name", &file.path)))
        .collect();
    demand_none(&findings, "Leave out machine paths, mirrors and how the work was done; say what the code does.");
    for word in foreign_words() {
        assert_eq!(judge_words("a", &format!("see {}", word.to_uppercase())).len(), 1, "{word}");
    }
    assert_eq!(judge_words("a", "src/work/item and the user agent of a session").len(), 0);
}

#[test]
fn packages_of_the_browser_tests_come_from_the_public_registry() {
    let mut findings = Vec::new();
    for file in tree::files().iter().filter(|file| file.path.ends_with("package-lock.json")) {
        for (index, line) in file.text.lines().enumerate() {
            if let Some((_, address)) = line.split_once("\"resolved\": \"")
                && !address.starts_with("https://registry.npmjs.org/")
            {
                findings.push(format!("{}:{}: {}", file.path, index + 1, line.trim()));
            }
        }
    }
    demand_none(&findings, "Make the lock file with `npm install --registry https://registry.npmjs.org/`.");
}

/// Whether `.gitignore` has every one of `lines`.
fn ignores(gitignore: &str, wanted: &[&str]) -> bool {
    wanted.iter().all(|line| gitignore.lines().any(|found| found.trim() == *line))
}

#[test]
fn environment_files_are_ignored_and_a_template_without_secrets_is_there() {
    let gitignore = tree::read(".gitignore").expect(".gitignore is committed");
    assert!(ignores(gitignore, &[".env", ".env.*"]), ".gitignore must have the lines `.env` and `.env.*`");
    assert!(!ignores("# .env\n.env.*", &[".env", ".env.*"]));

    let committed: Vec<String> = tree::files()
        .iter()
        .filter(|file| {
            let name = file.path.rsplit('/').next().unwrap_or(&file.path);
            name.starts_with(".env") && name != ".env.example"
        })
        .map(|file| file.path.clone())
        .collect();
    demand_none(&committed, "`git rm --cached` it and revoke what stood in it.");

    let template = tree::read("chatward.example.toml")
        .expect("chatward.example.toml is missing: the template that stands beside the environment files");
    demand_none(&filled_secrets(template), "The template shows names, never values of secrets.");
    assert_eq!(filled_secrets("api_key = \"abc\"\n# master_key = \"\"\napi_key_file = \"/x\"").len(), 1);
    assert_eq!(filled_secrets("# jwt_secret = \"s3cret\"").len(), 1);
}

/// Lines of a TOML template, commented out or not, that give a secret a value.
fn filled_secrets(template: &str) -> Vec<String> {
    template
        .lines()
        .filter_map(|line| {
            let (name, value) = line.trim_start_matches(['#', ' ']).split_once('=')?;
            let name = name.trim();
            let secret = ["key", "secret", "password", "token"]
                .iter()
                .any(|word| name == *word || name.ends_with(&format!("_{word}")));
            let value = value.trim();
            let text = value.strip_prefix('"').unwrap_or(value);
            (secret && value.starts_with('"') && !text.starts_with('"') && !text.starts_with('<'))
                .then(|| format!("chatward.example.toml: {name} has a value"))
        })
        .collect()
}

/// Addresses that name a language, not a place.
const NAMESPACES: &[&str] = &["http://www.w3.org/", "https://www.w3.org/"];

fn judge_addresses(path: &str, text: &str) -> Vec<String> {
    let script = path.ends_with(".js") || path.ends_with(".mjs");
    let strings: Vec<(usize, String)> = if script {
        Code::javascript(text).strings
    } else {
        text.lines().map(str::to_owned).enumerate().map(|(index, line)| (index + 1, line)).collect()
    };
    let mut findings = Vec::new();
    for (line, string) in strings {
        for scheme in ["http://", "https://", "ws://", "wss://"] {
            for (at, _) in string.match_indices(scheme) {
                let address = &string[at..];
                let host = &address[scheme.len()..];
                // A bare scheme is a test of one, not an address.
                let bare = !host.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[');
                if !bare && !NAMESPACES.iter().any(|namespace| address.starts_with(namespace)) {
                    findings.push(format!("{path}:{line}: an address"));
                }
            }
        }
        for host in ["localhost", "127.0.0.1"] {
            if string.contains(host) {
                findings.push(format!("{path}:{line}: {host}"));
            }
        }
        // A key's beginning may be looked for; a whole one may not stand here.
        for (at, start) in string.match_indices("cw_") {
            let run = string[at + start.len()..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').count();
            if run >= 20 {
                findings.push(format!("{path}:{line}: an issued key"));
            }
        }
    }
    findings
}

#[test]
fn front_ends_have_no_key_and_no_address_of_their_own() {
    let findings: Vec<String> = tree::files()
        .iter()
        .filter(|file| file.path.starts_with("ui/") && !file.path.starts_with("ui/tests/"))
        .filter(|file| file.is(&["js", "mjs", "html", "css", "svg"]))
        .flat_map(|file| judge_addresses(&file.path, &file.text))
        .collect();
    demand_none(&findings, "Use relative addresses, or what the server hands to the page.");
    assert_eq!(judge_addresses("ui/a.js", "const a = 'https://api.example.com/v1';").len(), 1);
    assert_eq!(judge_addresses("ui/a.js", "fetch(`ws://localhost:3001`)").len(), 2);
    assert_eq!(judge_addresses("ui/a.js", &format!("const k = 'cw_pk_live_{}';", "aB3".repeat(9))).len(), 1);
    assert_eq!(judge_addresses("ui/a.js", "if (k.startsWith('cw_pk_')) {}").len(), 0);
    assert_eq!(judge_addresses("ui/a.html", "<script src=\"https://cdn.example/x.js\">").len(), 1);
    assert_eq!(judge_addresses("ui/a.js", "// https://x.example\nif (u.startsWith('https://')) {}").len(), 0);
    assert_eq!(judge_addresses("ui/a.js", "createElementNS('http://www.w3.org/2000/svg')").len(), 0);
}
