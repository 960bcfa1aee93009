//! What an error tells: a code, a sentence, a request id; and nothing of the inside, whatever is broken and whoever
//! asks. A store that is gone is the hardest case: every route is asked then.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use crate::world::{Call, QUESTION, Reply, SHOP, STRANGER, Visitor, World};
use chatward::ops::opaque::Kind;
use chatward::routes::{self, Policy, Row, SocketCaller, SocketPolicy};
use chatward_store::{HotRow, MessageRow, MessageState, Role};
use chatward_types::{Clock, MessageId, SECOND, Scope, SessionId};
use chatward_vault::SystemEntropy;
use http::{Method, StatusCode};
use serde_json::{Value, json};

/// Sent wherever a stranger's words may stand; no error may repeat it.
const ECHO: &str = "zq-echo-of-a-stranger-zq";
const INTERNAL: &str = "Something went wrong on our side. Try again; if it persists, report the request id.";
const UNAVAILABLE: &str = "The service cannot answer at the moment. Try again in a few seconds.";

/// Pieces of the inside that no stranger reads.
fn inside(world: &World) -> Vec<String> {
    let mut words: Vec<String> = [
        "sqlx",
        "sqlite",
        "postgres",
        "SELECT",
        "INSERT",
        "pool",
        "axum",
        "hyper",
        "tokio",
        "serde",
        "panicked",
        "crates/",
        "src/",
        ".rs",
        ".db",
        "/tmp",
        "chatward/",
        "at line",
        "column",
        "stack",
        "thread",
        "127.0.0.1",
        env!("CARGO_PKG_VERSION"),
        ECHO,
    ]
    .map(str::to_owned)
    .to_vec();
    words.push(world.folder.path().display().to_string());
    words
}

/// Checks the one shape and returns the body without its id.
fn checked(world: &World, reply: &Reply, what: &str) -> Value {
    let mut body = reply.json();
    assert_eq!(reply.header("content-type"), "application/json", "{what}: {}", reply.text());
    let id = body["error"]["request_id"].as_str().unwrap_or_default().to_owned();
    assert!(id.starts_with("req_") && reply.header("x-request-id") == id, "{what}: {}", reply.text());
    body["error"]["request_id"] = Value::Null;
    let members: Vec<&str> = body["error"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, ["code", "message", "request_id"], "{what}");
    assert_eq!(body.as_object().unwrap().len(), 1, "{what}");
    let text = body.to_string();
    for word in inside(world) {
        assert!(!text.contains(&word), "{what} tells `{word}`: {text}");
    }
    for (name, value) in &reply.headers {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        assert!(!value.contains(ECHO) && name != "server" && name != "x-powered-by", "{what}: {name}: {value}");
    }
    body
}

/// A well-formed call of a route.
fn call_of(world: &World, visitor: &Visitor, [key, access, device]: [&str; 3], row: &Row) -> Call {
    let path = world.concrete(row.path);
    let call = match row.policy {
        Policy::Manage(..) => world.with(key, row.method.clone(), &path),
        Policy::User(_) | Policy::Enrolment => world.with(access, row.method.clone(), &path),
        Policy::WebSocket(SocketPolicy { caller: SocketCaller::User(_), .. }) => {
            world.with(access, row.method.clone(), &path)
        }
        Policy::Device | Policy::WebSocket(_) => world.with(device, row.method.clone(), &path),
        Policy::SignIn => world.call(row.method.clone(), &path),
        _ => world.by(visitor, row.method.clone(), &path),
    };
    let issued = |kind| {
        let (keys, owner) = (&world.app.account_keys, world.app.owner);
        keys.mint(kind, owner, &[7; 16], &SystemEntropy).unwrap().0.expose().clone()
    };
    match row.path {
        "/api/v1/auth/refresh" => return call.json(&json!({ "refresh_token": issued(Kind::Refresh) })),
        "/api/v1/auth/accept" => {
            let body = json!({ "token": issued(Kind::Invitation), "password": "x", "full_name": "x" });
            return call.json(&body);
        }
        "/api/v1/auth/recover" => {
            return call.json(&json!({ "token": issued(Kind::Recovery), "password": "x" }));
        }
        _ => {}
    }
    let message = MessageId::generate(world.clock.as_ref(), &SystemEntropy).unwrap().to_string();
    let body = world.good_body(row, &message);
    if body.is_null() || *row.method == http::Method::GET { call } else { call.json(&body) }
}

#[tokio::test]
async fn with_the_store_gone_no_route_says_more_than_the_constant() {
    // Registration too, which asks nothing where it is closed.
    let open = || World::builder().set("limits.per_minute", 1000).set("accounts.registration", "open");
    for engine in World::ENGINES {
        for warm in [true, false] {
            let mut world = open().engine(engine).start().await;
            let visitor = world.visitor().await;
            let key = world.key().await;
            let user = world.user("ann@example.test", chatward_types::Role::Owner).await;
            let access = world.access(world.app.owner, &user).await;
            let (_, device) = world.device("terminal-1").await;
            assert_eq!(world.ask(&visitor, QUESTION).await.status, StatusCode::OK);
            if !warm {
                // A restart forgets every cached site and session, so that each route must ask the store.
                let (database, folder) = world.stop().await;
                world = open().again(database, folder).start().await;
            }
            world.app.store.close().await;
            world.clock.advance(2 * SECOND);
            let mut broken = Vec::new();
            for row in routes::rows() {
                let reply = call_of(&world, &visitor, [&key, &access, &device], &row).send().await;
                let what = format!("{} {} on {engine:?}", row.method, row.path);
                if reply.status.is_success() {
                    continue;
                }
                assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE, "{what}: {}", reply.text());
                let wanted = json!({ "error": { "code": "unavailable", "message": UNAVAILABLE, "request_id": null } });
                assert_eq!(checked(&world, &reply, &what), wanted, "{what}");
                assert!(!reply.header("retry-after").is_empty(), "{what}");
                broken.push(row.path);
            }
            let api = routes::rows().iter().filter(|row| row.path.starts_with("/api/")).count();
            // A ticket for a site in the cache needs no store: it is spent when it is traded.
            assert_eq!(broken.contains(&routes::TICKETS), !warm);
            assert!(
                broken.contains(&"/readyz") && broken.len() + usize::from(warm) > api,
                "each of the API: {broken:?}"
            );

            let streamed = world.ask_streamed(&visitor, QUESTION).await;
            let mut event = match streamed.status {
                StatusCode::OK => streamed.stream().pop().unwrap().1,
                _ => streamed.json(),
            };
            event["error"]["request_id"] = Value::Null;
            assert_eq!(event["error"], json!({ "code": "unavailable", "message": UNAVAILABLE, "request_id": null }));
            let admin = world.admin_get("/readyz").await;
            assert_eq!(checked(&world, &admin, "the administrative listener")["error"]["message"], UNAVAILABLE);
        }
    }
}

#[tokio::test]
async fn a_damaged_row_is_told_as_one_constant_sentence() {
    for engine in World::ENGINES {
        let world = World::builder().engine(engine).start().await;
        let visitor = world.visitor().await;
        let scope = Scope::of(world.app.owner);
        let id = SessionId::from_verified(visitor.session.as_str());
        let session = world.app.store.load_session(&scope, &id).await.unwrap().unwrap();
        let row = MessageRow {
            id: MessageId::generate(world.clock.as_ref(), &SystemEntropy).unwrap(),
            conversation: session.conversation,
            role: Role::Assistant,
            state: MessageState::Complete,
            provider: ECHO.to_owned(),
            sealed: ECHO.as_bytes().to_vec(),
            created_at: world.clock.now(),
        };
        world.app.store.append(vec![HotRow::Message { scope, row }]).await.unwrap();
        let reply = world.by(&visitor, Method::GET, "/api/v1/widget/session").send().await;
        assert_eq!(reply.status, StatusCode::INTERNAL_SERVER_ERROR, "{}", reply.text());
        let wanted = json!({ "error": { "code": "internal", "message": INTERNAL, "request_id": null } });
        assert_eq!(checked(&world, &reply, "a damaged row"), wanted);
    }
}

#[tokio::test]
async fn no_refusal_repeats_the_request_or_shows_the_inside() {
    let world = World::builder().set("limits.per_minute", 200).start().await;
    let visitor = world.visitor().await;
    let by = |method: Method, path: &str| world.by(&visitor, method, path);
    let post = |path: &str, body: &str| by(Method::POST, path).raw_json(body);
    let (sessions, messages, feedback) =
        ("/api/v1/widget/sessions", "/api/v1/widget/messages", "/api/v1/widget/feedback");
    let in_json = |text: &str| text.replace("ECHO", ECHO);
    let cases = [
        ("an unknown route", 404, by(Method::GET, &format!("/{ECHO}?{ECHO}={ECHO}"))),
        ("a wrong method", 405, by(Method::PUT, messages)),
        ("a made-up method", 405, by(Method::from_bytes(b"ZQECHO").unwrap(), messages)),
        ("an asset that is not there", 404, by(Method::GET, &format!("/assets/embed/{ECHO}.js"))),
        ("a path in no encoding", 400, by(Method::GET, &format!("/assets/%ff{ECHO}/x"))),
        ("a site in no encoding", 400, by(Method::GET, &format!("/embed/%ff{ECHO}"))),
        ("an unknown site", 404, post(sessions, &in_json("{\"site\":\"ECHO\"}"))),
        ("no JSON", 400, post(messages, &in_json("{\"message\": ECHO"))),
        ("no JSON type", 400, by(Method::POST, messages).header("content-type", ECHO).body(ECHO)),
        ("a field too many", 422, post(messages, &in_json("{\"message\":\"a\",\"ECHO\":1}"))),
        ("a field of a wrong type", 422, post(messages, &in_json("{\"message\":{\"ECHO\":1}}"))),
        ("a field twice", 422, post(messages, &in_json("{\"message\":\"ECHO\",\"message\":\"ECHO\"}"))),
        ("an empty message", 422, post(messages, "{\"message\":\" \"}")),
        ("a long message", 422, post(messages, &format!("{{\"message\":\"{}\"}}", ECHO.repeat(100)))),
        ("a large body", 413, post(messages, &format!("{{\"message\":\"{}\"}}", ECHO.repeat(10_000)))),
        ("an id that is none", 422, post(feedback, &in_json("{\"message_id\":\"ECHO\",\"rating\":\"up\"}"))),
        ("a rating that is none", 422, post(feedback, &in_json("{\"message_id\":\"ECHO\",\"rating\":\"ECHO\"}"))),
        (
            "a forged token",
            401,
            by(Method::GET, "/api/v1/widget/session").header("authorization", &format!("Bearer {ECHO}")),
        ),
        ("a foreign origin", 403, post(sessions, "{}").header("origin", STRANGER)),
        ("a foreign host", 421, by(Method::GET, "/docs").header("host", &format!("{ECHO}.test"))),
        ("a host that is none", 421, by(Method::GET, "/docs").header("host", "a@b@c")),
    ];
    for (what, status, call) in cases {
        let reply = call.header("user-agent", ECHO).header("referer", ECHO).send().await;
        assert_eq!(reply.status.as_u16(), status, "{what}: {}", reply.text());
        checked(&world, &reply, what);
    }
    let mut limited = world.get("/readyz").await;
    for _ in 0..200 {
        limited = by(Method::GET, "/api/v1/widget/session").header("origin", SHOP).send().await;
    }
    assert_eq!(limited.status, StatusCode::TOO_MANY_REQUESTS);
    checked(&world, &limited, "over the limit");
}
