//! The commands about people, as the real program beside a running server; and the set-up token that a start leaves.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use crate::people::{PASSWORD, key_of};
use crate::process::{Server, command, run};
use crate::world::{Reply, request};
use chatward::ops::totp;
use chatward_types::{Clock as _, SystemClock};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;

fn json_of(folder: &Path, arguments: &[&str]) -> Value {
    let arguments: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
    let output = run(folder, &arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn with_input(folder: &Path, arguments: &[&str], input: &str) -> bool {
    let mut child = command(folder).args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait().unwrap().success()
}

async fn post(server: &Server, path: &str, body: &Value) -> Reply {
    request(server.address, Method::POST, path).json(body).send().await
}

async fn me(server: &Server, access: &str) -> Reply {
    let call = request(server.address, Method::GET, "/api/v1/auth/me");
    call.header("authorization", &format!("Bearer {access}")).send().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_leaves_a_token_that_only_its_user_can_read_and_that_makes_the_first_user() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    let file = folder.path().join("setup-token");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let token = std::fs::read_to_string(&file).unwrap().trim().to_owned();
    let body = json!({ "token": token, "email": "ann@example.test", "password": PASSWORD, "full_name": "Ann" });
    assert_eq!(post(&server, "/api/v1/auth/setup", &body).await.status, StatusCode::CREATED);
    assert!(!file.exists(), "it is of no use any more");
    assert_eq!(post(&server, "/api/v1/auth/setup", &body).await.status, StatusCode::UNAUTHORIZED);
    drop(server);
    let _again = Server::start(folder.path(), &[]);
    assert!(!file.exists(), "there is a user");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_are_managed_beside_a_running_server() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let server = Server::start(folder, &[]);
    let name = "ann@example.test";
    let owner = json_of(folder, &["user", "add", "owner@example.test", "--name", "Olga", "--role", "owner"]);
    assert_eq!(owner["password"].as_str().unwrap().len(), 22);
    let made = json_of(folder, &["user", "add", name, "--name", "Ann Example", "--role", "member"]);
    let log_in = async |password: &str| {
        post(&server, "/api/v1/auth/login", &json!({ "email": name, "password": password })).await
    };
    let tokens = log_in(made["password"].as_str().unwrap()).await.json();
    let access = tokens["access_token"].as_str().unwrap();
    json_of(folder, &["user", "roles", name, "admin"]);
    assert_eq!(me(&server, access).await.json()["role"], "admin");
    let listed = json_of(folder, &["user", "list"]);
    assert_eq!(listed.as_array().unwrap().len(), 2);
    assert!(!listed.to_string().contains("argon2"), "nothing to guess at");

    let logins = json_of(folder, &["login-session", "list", name]);
    let id = logins[0]["id"].as_str().unwrap();
    json_of(folder, &["login-session", "end", name, id]);
    assert_eq!(me(&server, access).await.status, StatusCode::UNAUTHORIZED);

    assert!(with_input(folder, &["user", "reset-password", name, "--password-stdin"], &format!("{PASSWORD}\n")));
    assert!(!with_input(folder, &["user", "reset-password", name, "--password-stdin"], "password1234\n"));
    for _ in 0..8 {
        log_in("a wrong password").await;
    }
    assert_eq!(log_in(PASSWORD).await.status, StatusCode::TOO_MANY_REQUESTS);
    json_of(folder, &["user", "unlock", name]);
    let tokens = log_in(PASSWORD).await.json();
    let access = tokens["access_token"].as_str().unwrap();
    json_of(folder, &["user", "disable", made["id"].as_str().unwrap()]);
    assert_eq!(me(&server, access).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(log_in(PASSWORD).await.status, StatusCode::UNAUTHORIZED);
    json_of(folder, &["user", "enable", name]);
    assert_eq!(log_in(PASSWORD).await.status, StatusCode::CREATED);
    assert_eq!(json_of(folder, &["login-session", "end", name, "--all"])["ended"].as_array().unwrap().len(), 1);

    let link = json_of(folder, &["user", "reset-password", name]);
    let (page, token) = link["url"].as_str().unwrap().split_once('#').unwrap();
    assert!(page.ends_with("/account/recover") && link.get("password").is_none(), "{link}");
    let again = json!({ "token": token, "password": "tide-oboe-fern-9" });
    assert_eq!(log_in(PASSWORD).await.status, StatusCode::CREATED, "the link alone changes nothing");
    assert_eq!(post(&server, "/api/v1/auth/recover", &again).await.status, StatusCode::NO_CONTENT);
    assert_eq!(post(&server, "/api/v1/auth/recover", &again).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(log_in("tide-oboe-fern-9").await.status, StatusCode::CREATED);
    let said = run(folder, &["user", "reset-password", name]);
    assert!(String::from_utf8_lossy(&said.stdout).contains("once and for an hour"));
    let help = run(folder, &["user", "reset-password", "--help"]);
    assert!(String::from_utf8_lossy(&help.stdout).contains("No mail is sent yet"));

    for arguments in
        [["user", "disable", "owner@example.test"].as_slice(), &["user", "roles", "owner@example.test", "viewer"]]
    {
        let output = run(folder, arguments);
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&output.stderr).contains("would be left"), "the last owner stays");
    }
    assert_eq!(run(folder, &["user", "disable", "nobody@example.test"]).status.code(), Some(1));
    assert_eq!(run(folder, &["user", "roles", name, "king"]).status.code(), Some(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_second_factor_is_shown_and_reset_beside_a_running_server() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let server = Server::start(folder, &[]);
    let name = "ann@example.test";
    let made = json_of(folder, &["user", "add", name, "--name", "Ann Example", "--role", "owner"]);
    let credentials = json!({ "email": name, "password": made["password"] });
    let tokens = post(&server, "/api/v1/auth/login", &credentials).await.json();
    let with = async |path: &str, body: &Value| {
        let bearer = format!("Bearer {}", tokens["access_token"].as_str().unwrap());
        request(server.address, Method::POST, path).header("authorization", &bearer).json(body).send().await.json()
    };
    let begun = with("/api/v1/account/totp", &json!({ "password": made["password"] })).await;
    let key = key_of(begun["secret"].as_str().unwrap());
    let code = totp::code(&key, totp::step_at(SystemClock.now()));
    with("/api/v1/account/totp/confirm", &json!({ "code": code })).await;
    assert_eq!(json_of(folder, &["user", "list"])[0]["second_factor"], true);
    let listed = String::from_utf8_lossy(&run(folder, &["user", "list"]).stdout).into_owned();
    assert!(listed.contains("second-factor") && !listed.contains(begun["secret"].as_str().unwrap()), "{listed}");
    let needed = post(&server, "/api/v1/auth/login", &credentials).await;
    assert_eq!(needed.code(), "second_factor_needed");
    json_of(folder, &["user", "reset-second-factor", name]);
    assert_eq!(me(&server, tokens["access_token"].as_str().unwrap()).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(json_of(folder, &["user", "list"])[0]["second_factor"], false);
    assert_eq!(post(&server, "/api/v1/auth/login", &credentials).await.status, StatusCode::CREATED);
    let told = String::from_utf8_lossy(&run(folder, &["events"]).stdout).into_owned();
    assert!(told.contains("SECOND_FACTOR_CHANGED"), "{told}");
}

#[test]
fn one_command_makes_strong_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let made: std::collections::BTreeSet<String> =
        (0..8).map(|_| json_of(folder.path(), &["secret"])["secret"].as_str().unwrap().to_owned()).collect();
    assert_eq!(made.len(), 8, "no two are the same");
    assert!(made.iter().all(|secret| secret.len() == 44 && secret.bytes().all(|byte| byte.is_ascii_alphanumeric())));
    // Eight of 44 random characters of 62 show nearly all of them; a counter or a clock does not.
    let characters: std::collections::BTreeSet<char> = made.iter().flat_map(|secret| secret.chars()).collect();
    assert!(characters.len() > 50, "{}", characters.len());
    let secret = made.into_iter().next().unwrap();
    let output = command(folder.path()).args(["config", "check"]).env("JWT_SECRET", &secret).output().unwrap();
    assert!(
        output.status.success(),
        "it is taken where a secret is asked for: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}
