//! The security log as an operator finds it: each named event provoked over HTTP and found in the file by the guides'
//! grep, with who, what and how it ended; and nothing that a stranger sends can forge a line.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use crate::world::{PATIENCE, QUESTION, SHOP, STRANGER, World, fake_key};
use chatward::ops::sessions;
use chatward_testkit::provider::{Ending, FakeProvider, Reply as Script};
use chatward_types::{Clock, Environment, HOUR};
use chatward_vault::{PublishableKey, SystemEntropy};
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::path::PathBuf;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Where the log is.
pub(crate) fn path_of(world: &World) -> PathBuf {
    world.app.config.logging.security_file.clone().unwrap()
}

/// What is in it once everything emitted so far is written.
pub(crate) async fn text_of(world: &World) -> String {
    assert!(world.app.events.flush(PATIENCE).await, "the log is written");
    std::fs::read_to_string(path_of(world)).unwrap()
}

/// `grep SECURITY | grep name`, each line read as JSON.
async fn grep(world: &World, name: &str) -> Vec<Value> {
    let text = text_of(world).await;
    let lines = text.lines().filter(|line| line.contains("SECURITY") && line.contains(name));
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The last line of an event, with everything that a request's line must say.
async fn told(world: &World, name: &str, request_id: &str, path: &str, outcome: &str) -> Value {
    let lines = grep(world, name).await;
    let line = lines.iter().rfind(|line| line["request_id"] == request_id);
    let line = line.unwrap_or_else(|| panic!("no {name} of {request_id} in {lines:#?}")).clone();
    assert_eq!((&line["category"], &line["event"]), (&json!("SECURITY"), &json!(name)));
    assert_eq!((&line["address"], &line["user_agent"]), (&json!("127.0.0.1"), &json!("Probe/1.0 (a test)")), "{line}");
    assert_eq!((&line["path"], &line["outcome"]), (&json!(path), &json!(outcome)), "{line}");
    assert!(line["time"].as_str().unwrap().ends_with('Z'), "{line}");
    assert!(["info", "warning", "error"].contains(&line["severity"].as_str().unwrap()), "{line}");
    line
}

const SESSIONS: &str = "/api/v1/widget/sessions";
const MESSAGES: &str = "/api/v1/widget/messages";
const AGENT: &str = "Probe/1.0 (a test)";

#[tokio::test]
async fn every_named_event_is_found_by_the_guides_grep() {
    let broken =
        FakeProvider::start(vec![Script::Gated(vec!["It costs ".to_owned()], Ending::Truncated)]).await.unwrap();
    let world = World::builder().openai(&broken.openai_url(), &fake_key()).start().await;
    let begin = |origin: &str, key: &str| {
        let call = world.call(Method::POST, SESSIONS).header("origin", origin).header("user-agent", AGENT);
        call.json(&json!({ "site": key })).send()
    };

    let began = begin(SHOP, &world.site.publishable_key).await;
    assert_eq!(began.status, StatusCode::CREATED);
    let id = began.header("x-request-id");
    let created = told(&world, "SESSION_CREATED", id, SESSIONS, "success").await;
    assert_eq!(created["site"], world.site.id.to_string());
    told(&world, "API_KEY_VALIDATION", id, SESSIONS, "success").await;
    let token = began.json()["token"].as_str().unwrap().to_owned();

    let unknown = PublishableKey::generate(Environment::Development, &SystemEntropy).unwrap();
    let foreign = PublishableKey::generate(Environment::Production, &SystemEntropy).unwrap();
    for key in [unknown.as_str(), foreign.as_str(), "not a key"] {
        let refused = begin(SHOP, key).await;
        assert_eq!(refused.status, StatusCode::NOT_FOUND);
        told(&world, "API_KEY_VALIDATION", refused.header("x-request-id"), SESSIONS, "refused").await;
    }
    let frame = world.call(Method::GET, &format!("/embed/{unknown}")).header("user-agent", AGENT).send().await;
    told(&world, "API_KEY_VALIDATION", frame.header("x-request-id"), "/embed/{site}", "refused").await;

    let blocked = begin(STRANGER, &world.site.publishable_key).await;
    assert_eq!(blocked.status, StatusCode::FORBIDDEN);
    told(&world, "CORS_BLOCKED", blocked.header("x-request-id"), SESSIONS, "refused").await;

    let ask = |token: &str, accept: &str| {
        let call = world.call(Method::POST, MESSAGES).header("origin", SHOP).header("user-agent", AGENT);
        let call = call.header("authorization", &format!("Bearer {token}")).header("accept", accept);
        call.json(&json!({ "message": QUESTION })).send()
    };
    let forged = ask("forged", "application/json").await;
    assert_eq!(forged.status, StatusCode::UNAUTHORIZED);
    told(&world, "INVALID_SESSION_ID", forged.header("x-request-id"), MESSAGES, "refused").await;

    // The provider's stream ends without an end, after its first words have been handed on.
    broken.release(1);
    let call = world.call(Method::POST, MESSAGES).header("origin", SHOP).header("user-agent", AGENT);
    let call = call.header("authorization", &format!("Bearer {token}")).header("accept", "text/event-stream");
    let mut failed = call.json(&json!({ "message": QUESTION })).open().await;
    let first = failed.body_mut().frame().await.unwrap().unwrap().into_data().unwrap();
    assert!(first.starts_with(b"event: delta"), "{first:?}");
    broken.release(1);
    let id = failed.headers()["x-request-id"].to_str().unwrap().to_owned();
    let rest = failed.into_body().collect().await.unwrap().to_bytes();
    assert!(rest.starts_with(b"event: error"), "{rest:?}");
    let error = told(&world, "CHAT_ERROR", &id, MESSAGES, "failure").await;
    assert_eq!(error["severity"], "error");

    broken.set_script(vec![Script::text(["It costs 12.50 dollars [1]."])]);
    let answered = ask(&token, "text/event-stream").await;
    assert_eq!(answered.stream().last().unwrap().0, "done", "{}", answered.text());
    let processed = told(&world, "CHAT_MESSAGE_PROCESSED", answered.header("x-request-id"), MESSAGES, "success").await;
    assert_eq!(processed["session"], began.json()["session"].as_str().unwrap()[..16], "cut, so that it opens nothing");

    world.clock.advance(25 * HOUR);
    sessions::sweep(&world.app, world.clock.now()).await.unwrap();
    let swept = grep(&world, "SESSION_CLEANUP").await;
    assert_eq!((swept.len(), &swept[0]["outcome"]), (1, &json!("success")));
    assert_eq!(swept[0]["detail"], "1 idle sessions removed");

    for _ in 0..60 {
        ask("forged", "application/json").await;
    }
    let limited = ask("forged", "application/json").await;
    assert_eq!(limited.status, StatusCode::TOO_MANY_REQUESTS);
    told(&world, "RATE_LIMIT_EXCEEDED", limited.header("x-request-id"), MESSAGES, "refused").await;
}

#[tokio::test]
async fn the_file_is_the_owners_alone_and_each_line_is_an_object() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::start().await;
    let visitor = world.visitor().await;
    world.ask(&visitor, QUESTION).await;
    let text = text_of(&world).await;
    let mode = std::fs::metadata(path_of(&world)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600, "{mode:o}");
    let members = [
        "category",
        "time",
        "event",
        "severity",
        "outcome",
        "request_id",
        "address",
        "user_agent",
        "path",
        "site",
        "session",
        "detail",
    ];
    assert!(text.lines().count() >= 3, "{text}");
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        for member in members {
            assert!(line.get(member).is_some(), "{member} is missing in {line}");
        }
        assert_eq!(line["category"], "SECURITY");
    }
}

#[tokio::test]
async fn no_header_or_path_forges_a_line() {
    let world = World::builder().set("limits.per_minute", 1000).start().await;
    // As JSON that closes its own text, folded over lines, with a bare return, and with what a terminal obeys.
    let forgery = "\"},\n{\"category\":\"SECURITY\",\"event\":\"FORGED\",\"x\":\"";
    let agents: [&[u8]; 6] = [
        b"x\",\"event\":\"FORGED\",\"outcome\":\"success",
        b"folded\r\n {\"category\":\"SECURITY\",\"event\":\"FORGED\"}",
        b"returned\r{\"category\":\"SECURITY\",\"event\":\"FORGED\"}",
        b"line\n{\"category\":\"SECURITY\",\"event\":\"FORGED\"}",
        b"tab\tand\x1b[2K\x1b[31mFORGED",
        b"nul\0FORGED \xff\xfe\xe2\x80\xae",
    ];
    for agent in agents {
        let mut stream = world.connect().await;
        let head = format!("POST {MESSAGES} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nuser-agent: ");
        let request = [head.as_bytes(), agent, b"\r\ncontent-length: 0\r\n\r\n"].concat();
        stream.write_all(&request).await.unwrap();
        let mut answer = Vec::new();
        tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap().unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 4"), "{}", String::from_utf8_lossy(&answer));
    }
    let encoded: String = forgery.bytes().map(|byte| format!("%{byte:02x}")).collect();
    for path in [format!("/embed/{encoded}"), format!("/assets/{encoded}/x"), format!("/{encoded}")] {
        assert_eq!(world.get(&path).await.status, StatusCode::NOT_FOUND);
    }
    let begin = world.call(Method::POST, SESSIONS).header("origin", SHOP);
    begin.json(&json!({ "site": forgery })).send().await;
    world.call(Method::POST, SESSIONS).header("origin", "http://x\",\"event\":\"FORGED").send().await;

    let text = text_of(&world).await;
    assert!(text.contains("INVALID_SESSION_ID") && text.contains("CORS_BLOCKED"), "{text}");
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert_ne!(line["event"], "FORGED", "{line}");
        let agent = line["user_agent"].as_str().unwrap_or_default();
        assert!(!agent.chars().any(char::is_control), "{agent:?}");
    }
}
