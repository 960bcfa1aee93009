//! Starts that the real program refuses because they would not be safe (SEC-04, OPS-03, DATA-08): one line with the
//! setting and never its value, status 2, and nothing listens.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use crate::process::{Server, command};
use crate::world::PATIENCE;
use chatward::app::{App, Options};
use chatward::config::{Config, Overrides};
use chatward_egress::{Resolve, Resolving};
use chatward_testkit::TestDb;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a production server needs at least, and a folder for its key beside its data.
fn production(folder: &Path) -> Vec<(&'static str, String)> {
    let key = folder.join("keys").join("master.key");
    std::fs::create_dir_all(folder.join("keys")).unwrap();
    vec![
        ("CHATWARD_ENVIRONMENT", "production".to_owned()),
        ("CHATWARD_PUBLIC_URL", "https://chat.example.com".to_owned()),
        ("CHATWARD_VAULT_KEY_FILE", key.to_str().unwrap().to_owned()),
    ]
}

/// Starts it where it must not start; returns the one line. One that starts all the same is stopped and fails the test.
fn refused(folder: &Path, variables: &[(&str, String)], extra: &[&str]) -> String {
    let mut child = command(&folder.join("data"))
        .args(["serve", "--listen", "127.0.0.1:0", "--json"])
        .args(extra)
        .env("CHATWARD_ADMIN_LISTEN", "off")
        .envs(variables.iter().map(|(name, value)| (*name, value.as_str())))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + PATIENCE;
    let mut stopped = false;
    while !stopped && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
        stopped = child.try_wait().unwrap().is_some();
    }
    let _ = child.kill();
    let output = child.wait_with_output().unwrap();
    assert!(stopped, "it started: {variables:?} {extra:?}");
    let line = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{variables:?}: {line}");
    assert_eq!(line.trim_end().lines().count(), 1, "{line}");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!printed.contains("listening"), "{variables:?}: {printed}");
    line
}

/// Writes a file that its owner alone can read, as one with a secret must be.
fn write_private(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("data")).unwrap();
    folder
}

#[test]
fn a_placeholder_key_is_refused_from_the_environment_and_from_a_file() {
    let folder = folder();
    let crossed_out = format!("sk-{}", "x".repeat(48));
    let long = ["sk-proj-", "your-openai-api-key-goes-here-please-replace"].concat();
    for placeholder in [
        "your-key-here",
        "sk-your-key-here",
        &long,
        "sk-...",
        "<your key>",
        "changeme",
        &crossed_out,
        "${OPENAI_API_KEY}",
    ] {
        let line = refused(folder.path(), &[("OPENAI_API_KEY", placeholder.to_owned())], &[]);
        assert!(line.contains("api_key") && line.contains("placeholder"), "{line}");
        assert!(!line.contains(placeholder), "{line}");

        write_private(&folder.path().join("key"), placeholder);
        let file = folder.path().join("chatward.toml");
        let text = format!(
            "[[providers]]\nname = \"mine\"\nkind = \"openai-compatible\"\nbase_url = \"https://llm.example.com/v1\"\n\
             model = \"m\"\napi_key_file = \"{}\"\n",
            folder.path().join("key").display()
        );
        write_private(&file, &text);
        let line = refused(folder.path(), &[], &["--config", file.to_str().unwrap()]);
        assert!(line.contains("providers.mine.api_key") && line.contains("placeholder"), "{line}");
        assert!(!line.contains(placeholder), "{line}");
    }
}

#[test]
fn a_key_of_the_wrong_form_is_refused() {
    let folder = folder();
    let body = ["Zq8Lm2Wx5Rt7Yu9I", "o3Pa6Sd1Fg4Hj0KlVb2Nc8Me5"].concat();
    for (key, problem) in [
        (format!("pk-{body}"), "does not begin"),
        (format!("sk-{}", &body[..20]), "too short"),
        (format!("sk-admin-{body}"), "administration key"),
        (format!("sk-{body} {body}"), "white space"),
    ] {
        let line = refused(folder.path(), &[("OPENAI_API_KEY", key.clone())], &[]);
        assert!(line.contains("api_key") && line.contains(problem), "{line}");
        assert!(!line.contains(&body[..12]), "{line}");
    }
}

#[test]
fn production_is_one_switch_and_refuses_each_unsafe_setting() {
    let folder = folder();
    let safe = production(folder.path());
    let inside = folder.path().join("data").join("master.key").to_str().unwrap().to_owned();
    for (name, value, setting) in [
        ("CHATWARD_PUBLIC_URL", "http://chat.example.com", "public_url"),
        ("CHATWARD_PUBLIC_URL", "https://localhost", "public_url"),
        ("CHATWARD_VAULT_KEY_FILE", inside.as_str(), "vault.key_file"),
        ("ALLOWED_ORIGINS", "http://localhost:3000", "cors.allowed_origins"),
        ("ALLOWED_ORIGINS", "http://shop.example", "cors.allowed_origins"),
        ("ALLOWED_ORIGINS", "*", "cors.allowed_origins"),
        ("CHATWARD_LOGGING_LEVEL", "debug", "logging.level"),
        ("CHATWARD_LOGGING_SECURITY_FILE", "off", "logging.security_file"),
        ("DATABASE_URL", "postgres://app@8.8.8.8/chatward?sslmode=verify-full", "database.url"),
        ("DATABASE_URL", "postgres://app@10.0.0.4/chatward", "database.url"),
        ("DATABASE_URL", "postgres://app@localhost/chatward", "database.migrate_url"),
        ("OLLAMA_BASE_URL", "http://ollama.example.com", "base_url"),
        ("CHATWARD_ADMIN_LISTEN", "0.0.0.0:9464", "admin.listen"),
        ("CHATWARD_SERVER_TRUSTED_PROXIES", "0.0.0.0/0", "server.trusted_proxies"),
    ] {
        let mut variables: Vec<_> = safe.iter().filter(|(other, _)| *other != name).cloned().collect();
        variables.push((name, value.to_owned()));
        let line = refused(folder.path(), &variables, &[]);
        assert!(line.contains(setting), "{name}={value}: {line}");
    }
    // Without the unsafe setting the same server starts.
    let variables: Vec<(&str, &str)> = safe.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let _server = Server::start(&folder.path().join("data"), &variables);
}

/// Where the database's name leads, for one test.
#[derive(Debug)]
struct LeadsTo(&'static [&'static str]);

impl Resolve for LeadsTo {
    fn resolve(&self, _: String) -> Resolving {
        let addresses = self.0.iter().map(|address| address.parse().unwrap()).collect();
        Box::pin(async move { Ok(addresses) })
    }
}

#[tokio::test]
async fn a_database_whose_name_leads_to_a_public_address_is_refused_in_production() {
    let folder = folder();
    let start = |environment: &str, addresses: &'static [&'static str]| {
        let url = |login: &str| format!("postgres://{login}@db.example.com:1/chatward?sslmode=verify-full");
        let mut variables: BTreeMap<String, String> =
            production(folder.path()).into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        variables.insert("CHATWARD_ENVIRONMENT".to_owned(), environment.to_owned());
        variables.insert("DATABASE_URL".to_owned(), url("app"));
        variables.insert("CHATWARD_DATABASE_MIGRATE_URL".to_owned(), url("owner"));
        variables.insert("CHATWARD_DATABASE_ADMIN_URL".to_owned(), url("admin"));
        let overrides = Overrides { data_dir: Some(folder.path().join("data")), ..Overrides::default() };
        let config = Config::load(None, &variables, &overrides).unwrap();
        let options = Options { resolver: Some(Arc::new(LeadsTo(addresses))), ..Options::default() };
        async move { App::start(config, options).await.unwrap_err() }
    };
    for addresses in [&["93.184.216.34"][..], &["10.0.0.4", "93.184.216.34"], &["2606:4700::1111"], &["0.0.0.0"]] {
        let error = start("production", addresses).await;
        assert!(error.public().contains("database.url") && error.public().contains("public address"), "{error}");
        assert!(!error.public().contains("example"), "{error}");
    }
    // Beyond that nothing is wrong with them: what fails then is the connection.
    for (environment, addresses) in [("production", &["10.0.0.4"][..]), ("staging", &["93.184.216.34"])] {
        let error = start(environment, addresses).await;
        assert!(!error.public().contains("public address"), "{error}");
    }
}

#[tokio::test]
async fn a_database_login_that_could_pass_the_fence_is_refused_outside_development() {
    let database = TestDb::postgres().await;
    let url = database.config().url.expose().clone();
    for environment in ["staging", "production"] {
        let folder = folder();
        let mut variables = production(folder.path());
        variables[0].1 = environment.to_owned();
        variables.push(("DATABASE_URL", url.clone()));
        if environment == "production" {
            // Three names of one superuser: the rules of the configuration see three logins, the database tells.
            let (_, place) = url.split_once('@').unwrap();
            let login = |name: &str| format!("postgres://{name}@{place}");
            variables.push(("CHATWARD_DATABASE_MIGRATE_URL", login("someone")));
            variables.push(("CHATWARD_DATABASE_ADMIN_URL", login("another")));
        }
        let line = refused(folder.path(), &variables, &[]);
        assert!(line.contains("database.url") && line.contains("superuser"), "{environment}: {line}");
        assert!(!line.contains(&url), "{line}");
    }
}
