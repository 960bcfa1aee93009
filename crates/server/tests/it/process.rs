//! The real program as a process (OPS-03, OPS-07): what it prints, how it refuses a bad start, how it stops, what the
//! command line does beside it, and what kill -9 leaves.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail by panicking, as tests do")]
#![expect(clippy::disallowed_methods, reason = "these tests are about processes")]

use crate::world::{fake_key, request};
use chatward_testkit::provider::{Ending, FakeProvider, Reply as Script};
use http::{Method, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_chatward");

/// A server that runs as a process of its own; killed when the test is over.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    pub(crate) fn start(folder: &Path, variables: &[(&str, &str)]) -> Self {
        let mut child = command(folder)
            .args(["serve", "--listen", "127.0.0.1:0", "--json"])
            .env("CHATWARD_ADMIN_LISTEN", "off")
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program");
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).expect("one line of JSON when ready");
        let address = ready["listening"].as_str().unwrap().trim_start_matches("http://").parse().unwrap();
        Self { child, address }
    }

    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    pub(crate) fn wait(&mut self) -> i32 {
        let deadline = Instant::now() + Duration::from_secs(30);
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().unwrap_or(-1);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("the server did not stop in time");
    }

    pub(crate) async fn visitor(&self, key: &str) -> String {
        let origin = format!("http://{}", self.address);
        let reply = request(self.address, Method::POST, "/api/v1/widget/sessions")
            .header("origin", &origin)
            .json(&json!({ "site": key }))
            .send()
            .await;
        reply.json()["token"].as_str().unwrap_or_else(|| panic!("a token: {}", reply.text())).to_owned()
    }

    /// The stream of an answer of which the first piece has come; the provider is gated.
    pub(crate) async fn begun_answer(&self, token: &str, provider: &FakeProvider) -> Response<Incoming> {
        let mut response = request(self.address, Method::POST, "/api/v1/widget/messages")
            .header("authorization", &format!("Bearer {token}"))
            .header("accept", "text/event-stream")
            .json(&json!({ "message": "Hello there?" }))
            .open()
            .await;
        provider.release(1);
        let first = response.body_mut().frame().await.unwrap().unwrap();
        assert!(String::from_utf8_lossy(first.data_ref().unwrap()).contains("First"));
        response
    }
}

/// The program with a data folder and nothing of this machine's environment.
pub(crate) fn command(folder: &Path) -> Command {
    let mut command = Command::new(PROGRAM);
    command.current_dir(folder).arg("--data").arg(folder).env_clear().env("PATH", "/usr/bin:/bin");
    command
}

pub(crate) fn run(folder: &Path, arguments: &[&str]) -> Output {
    command(folder).args(arguments).output().expect("the program")
}

pub(crate) fn add_site(folder: &Path) -> String {
    let output = run(folder, &["site", "add", "https://shop.example/", "--no-crawl", "--json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let value: Value = serde_json::from_slice(&output.stdout).unwrap();
    value["site"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_lets_an_open_stream_end_and_loses_nothing() {
    let parts = vec!["First ".to_owned(), "second.".to_owned()];
    let provider = FakeProvider::start(vec![Script::Gated(parts, Ending::Complete)]).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let key = add_site(folder.path());
    let secret = fake_key();
    let variables = [("OPENAI_BASE_URL", provider.openai_url()), ("OPENAI_API_KEY", secret)];
    let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut server = Server::start(folder.path(), &variables);
    let token = server.visitor(&key).await;
    let response = server.begun_answer(&token, &provider).await;

    server.signal("-TERM");
    // New work is refused from now on; how soon the port closes is the kernel's matter, so it is tried until then.
    let refused = async {
        while tokio::net::TcpSocket::new_v4().unwrap().connect(server.address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), refused).await.expect("new connections are refused");
    provider.release(2);
    let rest = response.into_body().collect().await.unwrap().to_bytes();
    let rest = String::from_utf8_lossy(&rest).into_owned();
    assert!(rest.contains("event: done") && rest.contains("First second."), "{rest}");
    assert_eq!(server.wait(), 0);

    let server = Server::start(folder.path(), &variables);
    let state = request(server.address, Method::GET, "/api/v1/widget/session")
        .header("authorization", &format!("Bearer {token}"))
        .send()
        .await
        .json();
    assert_eq!(state["messages"][1]["text"], "First second.");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_nine_loses_no_acknowledged_answer() {
    let folder = tempfile::tempdir().unwrap();
    let key = add_site(folder.path());
    let mut acknowledged = Vec::new();
    let mut token = None;
    for round in 0..5 {
        let mut server = Server::start(folder.path(), &[]);
        let token = match &token {
            Some(token) => String::clone(token),
            None => token.insert(server.visitor(&key).await).clone(),
        };
        for number in 0..6 {
            let reply = request(server.address, Method::POST, "/api/v1/widget/messages")
                .header("authorization", &format!("Bearer {token}"))
                .json(&json!({ "message": format!("Question {round} {number}?") }))
                .send()
                .await;
            acknowledged.push(reply.json()["message_id"].as_str().expect("an answer").to_owned());
        }
        server.signal("-KILL");
        server.wait();
    }
    let server = Server::start(folder.path(), &[]);
    let state = request(server.address, Method::GET, "/api/v1/widget/session")
        .header("authorization", &format!("Bearer {}", token.unwrap()))
        .send()
        .await
        .text();
    for id in &acknowledged {
        assert!(state.contains(id), "{id} was acknowledged and is lost");
    }
}

#[test]
fn a_second_server_on_one_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let _server = Server::start(folder.path(), &[]);
    let output = command(folder.path())
        .args(["serve", "--listen", "127.0.0.1:0"])
        .env("CHATWARD_ADMIN_LISTEN", "off")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("another server"));
}

#[test]
fn a_bad_setting_stops_the_start_with_one_line_and_status_two() {
    let folder = tempfile::tempdir().unwrap();
    let secret = ["not-a-key-", "canary"].concat();
    for (variables, setting) in [
        (vec![("OPENAI_API_KEY", secret.as_str())], "api_key"),
        (vec![("CHATWARD_LIMITS_PER_MINUTE", "many")], "limits.per_minute"),
        (vec![("CHATWARD_LIMITS_PER_MINIT", "5")], "CHATWARD_LIMITS_PER_MINUTE"),
        (vec![("NODE_ENV", "production")], "public_url"),
        (vec![("JWT_SECRET", "short")], "jwt_secret"),
    ] {
        let output =
            command(folder.path()).args(["serve", "--listen", "127.0.0.1:0"]).envs(variables.clone()).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{variables:?}: {error}");
        assert_eq!(error.trim_end().lines().count(), 1, "{error}");
        assert!(error.contains(setting), "{variables:?}: {error}");
        assert!(!error.contains("canary"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_command_line_changes_a_running_server_sees() {
    let folder = tempfile::tempdir().unwrap();
    let key = add_site(folder.path());
    let server = Server::start(folder.path(), &[]);
    let begin = |origin: &'static str| {
        request(server.address, Method::POST, "/api/v1/widget/sessions")
            .header("origin", origin)
            .json(&json!({ "site": key }))
            .send()
    };
    assert_eq!(begin("https://app.shop.example").await.status, 403);
    let output = run(folder.path(), &["site", "set", "shop.example", "--add-origin", "https://app.shop.example"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let seen = async {
        while begin("https://app.shop.example").await.status != 201 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), seen).await.expect("the change within seconds");
    let output = run(folder.path(), &["site", "remove", "shop.example"]);
    assert_eq!(output.status.code(), Some(2), "removal asks for --yes");
}

#[test]
fn every_command_has_help_with_an_example() {
    let folder = tempfile::tempdir().unwrap();
    for command in [
        vec!["demo"],
        vec!["serve"],
        vec!["site", "add"],
        vec!["site", "set"],
        vec!["site", "remove"],
        vec!["site", "crawl"],
        vec!["site", "list"],
        vec!["ask"],
        vec!["config", "check"],
        vec!["config", "example"],
        vec!["config", "print"],
        vec!["migrate"],
        vec!["health"],
    ] {
        let mut arguments = command.clone();
        arguments.push("--help");
        let output = run(folder.path(), &arguments);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && text.contains("Example: chatward"), "{command:?}: {text}");
        assert!(text.contains("--json"), "{command:?}");
    }
}

#[test]
fn a_private_address_is_not_crawled_by_the_real_thing() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), &["site", "add", "http://127.0.0.1:9/", "--json"]);
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("\"swapped\":false"), "{text}");
}
