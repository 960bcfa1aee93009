//! Canaries in the place of every secret and of what people say, then everything that can go well or wrong, then a
//! search: no response, page, header, log line, security event, metric or database byte may hold what it must not.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail by panicking, as tests do")]

use crate::security_log;
use crate::world::{QUESTION, Reply, SHOP, STRANGER, Visitor, World};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chatward::config::LogLevel;
use chatward::{routes, telemetry};
use chatward_store::Engine;
use chatward_testkit::TestDb;
use chatward_testkit::provider::{Ending, FakeProvider, Reply as Script};
use chatward_types::{HOUR, SECOND};
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use serde_json::json;
use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::{LazyLock, Mutex, PoisonError};
use tracing_subscriber::fmt::MakeWriter;

/// What the whole process logs, at the most talkative level, as the product filters it.
static LOGGED: Mutex<Vec<u8>> = Mutex::new(Vec::new());
static CAPTURE: LazyLock<()> = LazyLock::new(|| {
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(telemetry::filter(LogLevel::Trace))
        .with_ansi(false)
        .with_writer(Capture)
        .finish();
    tracing::subscriber::set_global_default(subscriber).expect("no other test installs a log");
});

#[derive(Clone, Copy)]
struct Capture;

impl Write for Capture {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOGGED.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Capture {
    type Writer = Self;
    fn make_writer(&'a self) -> Self {
        Self
    }
}

/// The part of the provider's key that is secret.
const ECHOED: &str = "CnrPrv7Zq8Lm2Wx5Rt9Yu3Io6Pa1Sd4Fg0Hj";

/// The canaries: obviously nobody's, put together here so that scanners stay quiet.
struct Canaries {
    provider_key: String,
    master_key: [u8; 32],
    token_secret: String,
    database_password: String,
    said: String,
    answered: String,
    reason: String,
}

impl Canaries {
    fn new() -> Self {
        Self {
            provider_key: ["sk-", "proj-", ECHOED].concat(),
            master_key: chatward_vault::digest(b"a canary in the place of the master key"),
            token_secret: ["CnrJwt-", "8kQ2zW5xR7tV1mN4", "yL9pB3sD6fG0hJ"].concat(),
            database_password: ["CnrPwd", "3vT8nK1qZ6"].concat(),
            said: ["CnrSaid", "x7Kp2Vw9"].concat(),
            answered: ["CnrAnswer", "m4Rt8Lq1"].concat(),
            reason: ["CnrReason", "b6Yd3Ns5"].concat(),
        }
    }
}

/// Everything that came out of a server in its life.
struct Traces {
    canaries: Canaries,
    replies: Vec<(String, Reply)>,
    metrics: String,
    security_log: String,
    log: Vec<u8>,
    database: Vec<u8>,
    /// Every file of the data folder but the master key's.
    folder: Vec<u8>,
    visitor: Visitor,
    /// The keys that sign visitors' tokens and session ids.
    signing_keys: Vec<Vec<u8>>,
}

/// The forms in which a secret may hide.
fn forms(secret: &[u8]) -> Vec<Vec<u8>> {
    let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let list = format!("{secret:?}");
    vec![
        secret.to_vec(),
        hex.to_uppercase().into_bytes(),
        hex.into_bytes(),
        STANDARD.encode(secret).trim_end_matches('=').as_bytes().to_vec(),
        URL_SAFE_NO_PAD.encode(secret).into_bytes(),
        list.trim_matches(['[', ']']).as_bytes().to_vec(),
    ]
}

fn holds(bytes: &[u8], secret: &[u8]) -> bool {
    forms(secret).iter().any(|form| contains(bytes, form))
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    // A vectorised search for the first byte makes megabytes of log bearable in an unoptimised build.
    let Ok(text) = std::str::from_utf8(wanted) else {
        return bytes.windows(wanted.len()).any(|window| window == wanted);
    };
    String::from_utf8_lossy(bytes).contains(text)
}

/// Runs a server with canaries through all that can happen to it.
async fn live(engine: Engine) -> Traces {
    LazyLock::force(&CAPTURE);
    let canaries = Canaries::new();
    let provider = FakeProvider::start(Vec::new()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let key_file = folder.path().join("vault.key");
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&key_file).unwrap();
    file.write_all(STANDARD.encode(canaries.master_key).as_bytes()).unwrap();
    let database = TestDb::new(engine).await;
    let mut address = database.config().url.expose().clone();
    if engine == Engine::Postgres {
        let mut url = url::Url::parse(&address).unwrap();
        url.set_password(Some(&canaries.database_password)).unwrap();
        address = url.to_string();
    }
    let world = World::builder()
        .openai(&provider.openai_url(), &canaries.provider_key)
        .variable("JWT_SECRET", &canaries.token_secret)
        .set("vault.key_file", key_file.display())
        .set("database.url", address)
        .set("limits.per_minute", 150)
        .set("limits.per_hour", 100_000)
        .set("budgets.site_daily_usd", 1000)
        .set("budgets.installation_daily_usd", 1000)
        .again(database, folder)
        .start()
        .await;
    let mut replies = Vec::new();
    let visitor = world.visitor().await;
    let question = format!("{QUESTION} {}", canaries.said);

    // What goes well.
    provider.set_script(vec![Script::text([&format!("{} costs 12.50 dollars [1].", canaries.answered)])]);
    let answer = world.ask(&visitor, &question).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let message = answer.json()["message_id"].clone();
    let judged = world
        .by(&visitor, Method::POST, "/api/v1/widget/feedback")
        .json(&json!({ "message_id": message, "rating": "down", "reason": canaries.reason }))
        .send()
        .await;
    assert_eq!(judged.status, StatusCode::NO_CONTENT, "{}", judged.text());
    let history = world.by(&visitor, Method::GET, "/api/v1/widget/session").send().await;
    assert!(history.text().contains(&canaries.said), "the visitor reads their own words");

    // A provider that repeats the key, the question and its own inside in every way there is.
    let echo = format!("bad key {} for {}", canaries.provider_key, canaries.said);
    let error = json!({ "error": { "message": echo, "type": echo, "code": echo } }).to_string();
    let header = vec![("x-detail".to_owned(), echo.clone())];
    let mut scripts: Vec<Script> =
        [400, 401, 403, 404, 429, 500, 503].map(|status| Script::Status(status, header.clone(), error.clone())).into();
    scripts.extend([
        Script::Typed("application/json".to_owned(), error.clone()),
        Script::Typed("text/plain".to_owned(), echo.clone()),
        Script::Raw(vec![format!("data: {error}\n\n")]),
        Script::Garbage,
        Script::Truncated(vec!["half an answer".to_owned()]),
        Script::Cut(vec!["half an answer".to_owned()]),
    ]);
    for script in scripts {
        // The breaker of the provider opens after some failures, for longer each time; an hour later it asks again.
        world.clock.advance(HOUR);
        let asked = provider.received().len();
        provider.set_script(vec![script.clone()]);
        for streamed in [false, true] {
            let asker = world.visitor().await;
            let reply =
                if streamed { world.ask_streamed(&asker, &question).await } else { world.ask(&asker, &question).await };
            replies.push((format!("{script:?} streamed {streamed}"), reply));
        }
        assert!(provider.received().len() > asked, "the provider was asked: {script:?}");
    }
    // The same in the middle of an answer, after its first words have been handed on.
    world.clock.advance(HOUR);
    provider.set_script(vec![Script::Gated(vec!["half an answer".to_owned()], Ending::Error(ECHOED))]);
    let asker = world.visitor().await;
    let call = world.by(&asker, Method::POST, "/api/v1/widget/messages").header("accept", "text/event-stream");
    let mut broken = call.json(&json!({ "message": question })).open().await;
    provider.release(1);
    let first = broken.body_mut().frame().await.unwrap().unwrap().into_data().unwrap();
    assert!(first.starts_with(b"event: delta"), "{first:?}");
    provider.release(1);
    let (head, rest) = broken.into_parts();
    let body = rest.collect().await.unwrap().to_bytes();
    assert!(body.starts_with(b"event: error"), "{body:?}");
    replies.push(("an answer that breaks".to_owned(), Reply { status: head.status, headers: head.headers, body }));
    exercise_routes(&world, &visitor, &canaries, &mut replies).await;
    let metrics = world.admin_get("/metrics").await;
    assert_eq!(metrics.status, StatusCode::OK);
    replies.push(("/metrics".to_owned(), metrics.clone()));

    let mut signing_keys = Vec::new();
    for purpose in ["visitor", "session"] {
        for row in world.app.store.signing_keys(purpose).await.unwrap() {
            signing_keys.push(world.app.vault.open(&format!("signing:{purpose}:{}", row.kid), &row.sealed).unwrap());
        }
    }
    let mut database = world.database.everything().await;
    world.app.store.close().await;
    world.clock.advance(61 * SECOND);
    exercise_routes(&world, &visitor, &canaries, &mut replies).await;
    let security_log = security_log::text_of(&world).await;
    let (closed, folder) = world.stop().await;
    database.extend(closed.everything().await);
    Traces {
        replies,
        metrics: metrics.text(),
        security_log,
        log: LOGGED.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        database,
        folder: files_in(folder.path()),
        visitor,
        signing_keys,
        canaries,
    }
}

/// Every route with what it expects and with whatever it does not, then over its limit.
async fn exercise_routes(world: &World, visitor: &Visitor, canaries: &Canaries, replies: &mut Vec<(String, Reply)>) {
    let bodies = BTreeMap::from([
        ("/api/v1/widget/sessions", json!({ "site": world.site.publishable_key })),
        ("/api/v1/widget/messages", json!({ "message": canaries.said })),
        ("/api/v1/widget/feedback", json!({ "message_id": "nothing", "rating": "up", "reason": canaries.reason })),
    ]);
    for row in routes::rows() {
        let path = world.concrete(row.path);
        let body = bodies.get(row.path).cloned().unwrap_or_default().to_string();
        // A visitor's own history is theirs; the session is kept for the other calls.
        let own = row.policy == routes::Policy::Visitor && row.path == "/api/v1/widget/session";
        let call = |method: &Method| world.by(visitor, method.clone(), &path).raw_json(&body);
        let mut calls = vec![
            ("a stranger's page", call(row.method).header("origin", STRANGER)),
            ("no token", call(row.method).without("authorization")),
            ("a wrong token", call(row.method).header("authorization", &format!("Bearer {}x", visitor.token))),
            ("a foreign name", call(row.method).header("host", "stranger.test")),
            ("a wrong method", call(&Method::PATCH)),
            (
                "half a body",
                call(row.method).header("origin", SHOP).raw_json(&body[..body.len() / 2]).without(if own {
                    "authorization"
                } else {
                    "x-none"
                }),
            ),
            (
                "a large body",
                call(row.method).raw_json(&canaries.said.repeat(10_000)).without(if own {
                    "authorization"
                } else {
                    "x-none"
                }),
            ),
            (
                "a field too many",
                call(row.method).raw_json(&json!({ &canaries.said: 1 }).to_string()).without(if own {
                    "authorization"
                } else {
                    "x-none"
                }),
            ),
        ];
        if !own {
            calls.push(("as it should be", call(row.method)));
        }
        for (what, call) in calls {
            replies.push((format!("{} {}: {what}", row.method, row.path), call.send().await));
        }
    }
    let mut over = None;
    for _ in 0..160 {
        over = Some(world.by(visitor, Method::POST, "/api/v1/widget/feedback").send().await);
    }
    let over = over.expect("replies");
    assert_eq!(over.status, StatusCode::TOO_MANY_REQUESTS);
    replies.push(("over the limit".to_owned(), over));
}

fn files_in(folder: &std::path::Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            bytes.extend(files_in(&path));
        } else if !path.ends_with("vault.key") {
            bytes.extend(std::fs::read(&path).unwrap());
        }
    }
    bytes
}

/// A response as it went over the wire.
fn wire(reply: &Reply) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in &reply.headers {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.push(b'\n');
    }
    bytes.extend_from_slice(&reply.body);
    bytes
}

#[tokio::test]
async fn no_secret_of_the_server_comes_out_anywhere() {
    for engine in World::ENGINES {
        let traces = live(engine).await;
        let canaries = &traces.canaries;
        let mut secrets: Vec<(&str, &[u8])> = vec![
            ("the provider's key", canaries.provider_key.as_bytes()),
            ("the key's secret part", &canaries.provider_key.as_bytes()[8..]),
            ("the master key", &canaries.master_key),
            ("the token-signing secret", canaries.token_secret.as_bytes()),
            ("the database's password", canaries.database_password.as_bytes()),
        ];
        secrets.extend(traces.signing_keys.iter().map(|key| ("a signing key", key.as_slice())));
        assert!(secrets.len() >= 7 && traces.replies.len() > 150, "{}", traces.replies.len());
        for (name, secret) in secrets {
            for (what, reply) in &traces.replies {
                assert!(!holds(&wire(reply), secret), "{name} is in the response to {what}: {}", reply.text());
            }
            for (place, bytes) in [
                ("the security log", traces.security_log.as_bytes()),
                ("the log", &traces.log),
                ("the metrics", traces.metrics.as_bytes()),
                ("the database", &traces.database),
                ("the data folder", &traces.folder),
            ] {
                assert!(!holds(bytes, secret), "{name} is in {place} on {engine:?}");
            }
        }
    }
}

#[tokio::test]
async fn no_word_that_was_said_and_no_token_is_in_a_log_or_in_clear_on_disk() {
    for engine in World::ENGINES {
        let traces = live(engine).await;
        let canaries = &traces.canaries;
        assert!(contains(&traces.log, b"chatward::access"), "the log was captured");
        let errors = traces.security_log.matches("\"CHAT_ERROR\"").count();
        assert!(errors >= 2, "a broken answer and a store that is gone, {errors} on {engine:?}");
        assert!(contains(&traces.database, traces.visitor.session.as_bytes()), "the database was read: {engine:?}");
        let (_, signature) = traces.visitor.token.rsplit_once('.').unwrap();
        let words = [
            ("the question", canaries.said.as_str()),
            ("the answer", &canaries.answered),
            ("the reason", &canaries.reason),
            ("the token", &traces.visitor.token),
            ("the token's signature", signature),
        ];
        for (name, word) in words {
            for (place, bytes) in [
                ("the security log", traces.security_log.as_bytes()),
                ("the log", &traces.log),
                ("the metrics", traces.metrics.as_bytes()),
                ("the database", &traces.database),
                ("the data folder", &traces.folder),
            ] {
                assert!(!holds(bytes, word.as_bytes()), "{name} is in {place} on {engine:?}");
            }
        }
        for (place, text) in [("the security log", traces.security_log.as_bytes()), ("the log", &traces.log)] {
            assert!(!contains(text, traces.visitor.session.as_bytes()), "a whole session id is in {place}");
        }
    }
}
