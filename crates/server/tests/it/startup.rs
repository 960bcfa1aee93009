//! A start with a setting missing or wrong: the program ends with status 2 and one line that names the setting and the
//! fix, never its value; nothing is made and nobody is listened to.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]
#![expect(clippy::disallowed_methods, reason = "these tests are about processes")]

use crate::world::PATIENCE;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Starts the server with a configuration file and variables; returns its only line.
fn refused(file: &str, variables: &[(&str, &str)]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::write(folder.path().join("chatward.toml"), file).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_chatward"))
        .current_dir(folder.path())
        .args(["serve", "--listen", "127.0.0.1:0", "--json", "--data"])
        .arg(&data)
        .env_clear()
        .envs(variables.iter().copied())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + PATIENCE;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("it started: {file} {variables:?}");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().unwrap();
    let line = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{file} {variables:?}: {line}");
    assert_eq!(line.lines().count(), 1, "{line}");
    assert!(!String::from_utf8_lossy(&output.stdout).contains("listening"), "{file}");
    assert!(!data.join("chatward.db").exists(), "nothing is made: {file}");
    line
}

#[test]
fn a_bad_setting_stops_the_start_with_one_line_that_names_it() {
    let canary = ["cnr", "7Kq2Zw9x"].concat();
    let placeholder = ["your-openai-", "api-key-here"].concat();
    let production = "environment = \"production\"\npublic_url = \"https://chat.example.com\"\n";
    let cases = [
        (format!("[database]\nurl = \"mysql://u:{canary}@localhost/c\"\n"), None, "database.url"),
        (format!("[vault]\nkey = \"{canary}\"\n"), None, "vault.key"),
        (format!("[server]\nbody_timeout = \"{canary}\"\n"), None, "server.body_timeout"),
        (format!("[limits]\nper_minute = \"{canary}\"\n"), None, "limits.per_minute"),
        (format!("[cors]\nallowed_origins = [\"{canary}\"]\n"), None, "cors.allowed_origins"),
        (format!("{canary} = 1\n"), None, "configuration file"),
        (String::new(), Some(("OPENAI_API_KEY", &placeholder)), "providers.openai"),
        (String::new(), Some(("OPENAI_API_KEY", &canary)), "providers.openai"),
        (String::new(), Some(("DATABASE_URL", &canary)), "database.url"),
        (String::new(), Some(("MAX_REQUESTS_PER_MINUTE", &canary)), "limits.per_minute"),
        (String::new(), Some(("CHATWARD_SERVER_LISEN", &canary)), "CHATWARD_SERVER_LISEN"),
        (production.to_owned(), Some(("CHATWARD_DATABASE_ACQUIRE_DEADLINE", &canary)), "database.acquire_deadline"),
    ];
    for (file, variable, setting) in cases {
        let variable = variable.map(|(name, value): (&str, &String)| (name, value.as_str()));
        let line = refused(&file, variable.as_slice());
        assert!(line.contains(setting), "{setting} is not named: {line}");
        assert!(!line.contains(&canary) && !line.contains(&placeholder), "the value is repeated: {line}");
    }
}

#[test]
fn what_production_requires_is_demanded_by_name() {
    let line = refused("environment = \"production\"\n", &[]);
    assert!(line.contains("public_url: is missing"), "{line}");
    let line = refused("environment = \"production\"\npublic_url = \"https://chat.example.com\"\n", &[]);
    assert!(line.contains("vault.key_file"), "{line}");
}

#[test]
fn a_weak_token_signing_secret_stops_the_start() {
    let weak = [
        ["k9Q2x", "7Zw4"].concat(),
        ["my-super-", "secret-jwt-token-that-is-long-enough"].concat(),
        "your-very-long-secure-random-string-here-32-chars-minimum".to_owned(),
        "a".repeat(48),
        ["k3Jx9Qw7zT5 ", "with a space inside it, long"].concat(),
        ["0123456789", "abcdefghijklmnopqrstuvwxyz"].concat(),
    ];
    for secret in weak {
        let line = refused("", &[("JWT_SECRET", &secret)]);
        assert!(line.contains("feeds.jwt_secret") && line.contains("JWT_SECRET"), "{secret}: {line}");
        assert!(!line.contains(&secret), "{line}");
    }
}
