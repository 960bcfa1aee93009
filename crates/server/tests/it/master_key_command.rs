//! `chatward secret rotate master` and `secret ages` beside running servers: the real program, on both databases.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use crate::keys::eventually;
use crate::process::{Server, add_site, command, run};
use crate::world::{fake_key, request};
use chatward_store::Engine;
use chatward_testkit::TestDb;
use chatward_testkit::provider::{Ending, FakeProvider, Reply as Script};
use chatward_vault::MasterKeyFile;
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

fn names(folder: &Path) -> Vec<String> {
    let file = MasterKeyFile::load(&folder.join("keys/master.key")).unwrap();
    file.ring().ids().into_iter().map(str::to_owned).collect()
}

fn parsed(output: &Output) -> Value {
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

async fn state(server: &Server, token: &str) -> (StatusCode, Value) {
    let call = request(server.address, Method::GET, "/api/v1/widget/session");
    let reply = call.header("authorization", &format!("Bearer {token}")).send().await;
    (reply.status, reply.json())
}

async fn ask(server: &Server, token: &str, question: &str) -> StatusCode {
    let call = request(server.address, Method::POST, "/api/v1/widget/messages");
    call.header("authorization", &format!("Bearer {token}")).json(&json!({ "message": question })).send().await.status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_command_rotates_the_master_key_while_an_answer_streams() {
    let parts = vec!["First ".to_owned(), "second.".to_owned()];
    let provider = FakeProvider::start(vec![Script::Gated(parts, Ending::Complete)]).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let key = add_site(folder);
    let variables = [("OPENAI_BASE_URL", provider.openai_url()), ("OPENAI_API_KEY", fake_key())];
    let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut server = Server::start(folder, &variables);
    let token = server.visitor(&key).await;
    let old = names(folder);
    let response = server.begun_answer(&token, &provider).await;

    let rotated = parsed(&run(folder, &["secret", "rotate", "master", "--overlap", "7d", "--json"]));
    let new = names(folder);
    assert_eq!((rotated["state"].as_str(), &rotated["before"]), (Some("kept"), &json!(old[0])));
    assert_eq!((new.len(), &rotated["master_key"], &new[1]), (2, &json!(new[0]), &old[0]));
    let ages = parsed(&run(folder, &["secret", "ages", "--json"]));
    let ages: Vec<_> = ages.as_array().unwrap().iter().filter(|age| age["key"] == "master key").collect();
    assert_eq!((&ages[0]["id"], &ages[0]["state"]), (&json!(new[0]), &json!("wraps")));
    assert_eq!((&ages[1]["state"], ages[1]["until"].is_null()), (&json!("held"), false));

    provider.release(2);
    let rest = response.into_body().collect().await.unwrap().to_bytes();
    let rest = String::from_utf8_lossy(&rest).into_owned();
    assert!(rest.contains("event: done") && rest.contains("First second."), "{rest}");
    let done = parsed(&run(folder, &["secret", "rotate", "master", "--at-once", "--json"]));
    assert_eq!((done["state"].as_str(), names(folder)), (Some("over"), vec![new[0].clone()]));
    // A new visitor's token, and everything from before, on the server that ran all the while and on the next one.
    for restart in [false, true] {
        if restart {
            server.signal("-KILL");
            server.wait();
            server = Server::start(folder, &variables);
        }
        let (status, body) = state(&server, &token).await;
        assert_eq!((status, &body["messages"][1]["text"]), (StatusCode::OK, &json!("First second.")));
        let visitor = server.visitor(&key).await;
        assert_eq!(state(&server, &visitor).await.0, StatusCode::OK);
    }
    for refused in [
        vec!["secret", "rotate", "visitor", "--at-once"],
        vec!["secret", "rotate", "master", "--now"],
        vec!["secret", "rotate", "master", "--at-once", "--overlap", "1h"],
        vec!["secret", "rotate", "master", "--overlap", "soon"],
        vec!["secret", "rotate", "master", "--to-file", "other.key"],
    ] {
        assert_eq!(run(folder, &refused).status.code(), Some(2), "{refused:?}");
    }
    assert_eq!(run(folder, &["secret", "rotate", "master", "--prepared"]).status.code(), Some(1), "none is prepared");
    assert_eq!(names(folder), [new[0].clone()]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_on_one_database_go_on_through_a_rotation() {
    let database = TestDb::new(Engine::Postgres).await;
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let (here, there) = (folders[0].path(), folders[1].path());
    let url = database.config().url.expose().clone();
    let file = here.join("keys/master.key");
    let variables = [("CHATWARD_DATABASE_URL", url.as_str()), ("CHATWARD_VAULT_KEY_FILE", file.to_str().unwrap())];
    let with = |arguments: &[&str]| command(here).args(arguments).envs(variables).output().unwrap();
    let site = parsed(&with(&["site", "add", "https://shop.example/", "--no-crawl", "--json"]));
    let site = site["site"].as_str().unwrap();
    let servers = [Server::start(here, &variables), Server::start(there, &variables)];
    let token = servers[0].visitor(site).await;
    assert_eq!(ask(&servers[0], &token, "Before?").await, StatusCode::OK);
    let old = names(here);
    let mut asked = 1;
    for _ in 0..3 {
        let rotated = parsed(&with(&["secret", "rotate", "master", "--at-once", "--json"]));
        assert_eq!(rotated["state"], "over");
        assert_eq!(names(here).len(), 1);
        for server in &servers {
            assert_eq!(ask(server, &token, "And now?").await, StatusCode::OK);
            asked += 1;
            let (status, body) = state(server, &token).await;
            assert_eq!((status, body["messages"].as_array().unwrap().len()), (StatusCode::OK, 2 * asked));
            assert_eq!(state(server, &server.visitor(site).await).await.0, StatusCode::OK);
        }
    }
    assert!(!names(here).contains(&old[0]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_rotation_loses_nothing_and_is_finished_by_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let key = add_site(folder);
    let server = Server::start(folder, &[]);
    let token = server.visitor(&key).await;
    assert_eq!(ask(&server, &token, "Before?").await, StatusCode::OK);
    // From nearly nothing to whatever it takes: somewhere in between each step is cut off.
    for milliseconds in [5, 20, 35, 50, 65, 80, 100, 130, 160, 200] {
        let mut child = command(folder)
            .args(["secret", "rotate", "master", "--at-once"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        let _ = child.kill();
        child.wait().unwrap();
        let (status, body) = state(&server, &token).await;
        assert_eq!((status, &body["messages"][0]["text"]), (StatusCode::OK, &json!("Before?")), "{milliseconds}");
    }
    eventually("the next one finishes it", async || {
        run(folder, &["secret", "rotate", "master", "--at-once"]).status.success()
    })
    .await;
    let left: Vec<String> = names(folder);
    let ages = parsed(&run(folder, &["secret", "ages", "--json"]));
    let wraps = ages.as_array().unwrap().iter().find(|age| age["state"] == "wraps").unwrap();
    assert_eq!((left.len(), &wraps["id"]), (1, &json!(left[0])));
    assert_eq!(ask(&server, &token, "After?").await, StatusCode::OK);
    drop(server);
    let server = Server::start(folder, &[]);
    let (status, body) = state(&server, &token).await;
    assert_eq!((status, body["messages"].as_array().unwrap().len()), (StatusCode::OK, 4));
}

#[test]
fn a_key_moves_from_a_variable_into_a_file_without_being_shown() {
    use base64::Engine as _;
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let bytes = chatward_vault::random_secret(&chatward_vault::SystemEntropy).unwrap();
    let key = base64::engine::general_purpose::STANDARD.encode(bytes.expose());
    let with = |arguments: &[&str], variable: (&str, &str)| {
        let output = command(folder).args(arguments).env(variable.0, variable.1).output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(!said.contains(&key), "the key is never shown");
        (output.status.code(), said)
    };
    let variable = ("CHATWARD_VAULT_KEY", key.as_str());
    assert_eq!(with(&["site", "add", "https://shop.example/", "--no-crawl"], variable).0, Some(0));
    let (code, said) = with(&["secret", "rotate", "master"], variable);
    assert!(code == Some(1) && said.contains("--to-file"), "{said}");
    let path = folder.join("moved/master.key");
    let to = path.to_str().unwrap();
    assert_eq!(with(&["secret", "rotate", "master", "--to-file", to], variable).0, Some(0));
    let (code, said) = with(&["secret", "rotate", "master", "--to-file", to], variable);
    assert!(code == Some(1) && said.contains("already"), "{said}");
    let file = ("CHATWARD_VAULT_KEY_FILE", to);
    let (code, said) = with(&["secret", "rotate", "master", "--at-once"], file);
    assert_eq!(code, Some(0), "{said}");
    assert!(!std::fs::read_to_string(&path).unwrap().contains(&key));
    assert_eq!(with(&["site", "list"], file).0, Some(0));
    let (code, said) = with(&["site", "list"], variable);
    assert!(code == Some(2) && said.contains("not the master key"), "{said}");
}
