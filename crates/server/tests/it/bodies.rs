//! What comes in: bodies, messages, addresses and tokens are parsed strictly, bounded, and never echoed.

use crate::wire;
use crate::world::{QUESTION, Reply, SHOP, Visitor as Guest, World};
use chatward::ops::tokens::Visitor;
use chatward_types::{HOUR, SECOND, SessionId};
use http::{Method, StatusCode};

const SESSIONS: &str = "/api/v1/widget/sessions";
const SESSION: &str = "/api/v1/widget/session";
const MESSAGES: &str = "/api/v1/widget/messages";
const FEEDBACK: &str = "/api/v1/widget/feedback";
/// Stands in what is sent and must stand in nothing that comes back.
const CANARY: &str = "canaryQx7";

async fn send(world: &World, visitor: &Guest, path: &str, body: impl Into<Vec<u8>>) -> Reply {
    let call = world.by(visitor, Method::POST, path).header("content-type", "application/json");
    call.body(body.into()).send().await
}

/// The head of a POST with a JSON body to come.
fn head(visitor: &Guest, rest: &str) -> String {
    format!(
        "POST {MESSAGES} HTTP/1.1\r\nHost: localhost\r\nOrigin: {SHOP}\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\n{rest}\r\n\r\n",
        visitor.token
    )
}

#[tokio::test]
async fn what_is_no_json_gets_400_and_is_not_echoed() {
    let world = World::start().await;
    let visitor = world.visitor().await;
    for path in [SESSIONS, MESSAGES, FEEDBACK] {
        for body in [
            CANARY.as_bytes().to_vec(),
            Vec::new(),
            format!("{{\"message\":\"{CANARY}").into_bytes(),
            format!("{{\"message\":\"a\"}}{CANARY}").into_bytes(),
            format!("{{'{CANARY}':1}}").into_bytes(),
            [b"{\"message\":\"\xff\xfe ", CANARY.as_bytes(), b"\"}"].concat(),
            [b"{\"", CANARY.as_bytes(), b"\xc3\x28\":1}"].concat(),
            "[".repeat(60_000).into_bytes(),
        ] {
            let reply = send(&world, &visitor, path, body.clone()).await;
            let what = format!("{path}: {:.80}: {}", String::from_utf8_lossy(&body), reply.text());
            // Where a field of another route stands before the bad part, that is what is found.
            let is_refused = reply.status == 400 || path != MESSAGES && reply.status == 422;
            assert!(is_refused, "{what}");
            assert!(!reply.text().contains(CANARY), "{what}");
        }
    }
}

#[tokio::test]
async fn json_of_the_wrong_form_gets_422_that_names_the_field_and_echoes_nothing() {
    let world = World::builder().set("limits.per_minute", 1000).start().await;
    let visitor = world.visitor().await;
    for (path, body, named) in [
        (MESSAGES, format!(r#"{{"message":"{CANARY}","message":"b"}}"#), "Field `message` stands twice"),
        (MESSAGES, format!(r#"{{"message":"a","{CANARY}":1}}"#), "a field too many; expected `message`"),
        (MESSAGES, format!(r#"{{"{CANARY}":1}}"#), "a field too many"),
        (MESSAGES, "{}".to_owned(), "Field `message` is missing"),
        (MESSAGES, r#"{"message":null}"#.to_owned(), "Field `message`"),
        (MESSAGES, format!(r#"{{"message":["{CANARY}"]}}"#), "Field `message`"),
        (MESSAGES, format!(r#"{{"message":{{"{CANARY}":1}}}}"#), "Field `message`"),
        (MESSAGES, format!(r#""{CANARY}""#), "form"),
        (MESSAGES, format!(r#"["{CANARY}"]"#), "form"),
        (MESSAGES, format!(r#"{{"message":"\ud800{CANARY}"}}"#), "Field `message`"),
        (SESSIONS, format!(r#"{{"site":5,"{CANARY}":5}}"#), "Field `site`"),
        (SESSIONS, format!(r#"{{"site":"a","owner":"{CANARY}"}}"#), "a field too many"),
        (FEEDBACK, format!(r#"{{"message_id":"{CANARY}","rating":"up"}}"#), "Field `message_id`"),
        (FEEDBACK, format!(r#"{{"message_id":"a/../{CANARY}","rating":"up"}}"#), "Field `message_id`"),
        (FEEDBACK, r#"{"rating":"up"}"#.to_owned(), "Field `message_id` is missing"),
    ] {
        let reply = send(&world, &visitor, path, body.clone()).await;
        assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}: {}", reply.text());
        let text = reply.json()["error"]["message"].as_str().unwrap_or_default().to_owned();
        assert!(text.contains(named), "{body}: {text}");
        assert!(!reply.text().contains(CANARY) && !format!("{:?}", reply.headers).contains(CANARY), "{body}: {text}");
    }
    let answer = world.ask(&visitor, QUESTION).await.json();
    let id = answer["message_id"].as_str().unwrap_or_default();
    for rating in [format!(r#""{CANARY}""#), "5".to_owned(), "\"UP\"".to_owned()] {
        let reply = send(&world, &visitor, FEEDBACK, format!(r#"{{"message_id":"{id}","rating":{rating}}}"#)).await;
        assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY, "{rating}");
        assert!(reply.text().contains("Field `rating`") && !reply.text().contains(CANARY), "{}", reply.text());
    }
}

#[tokio::test]
async fn an_address_that_is_no_text_is_refused_in_the_one_shape() {
    let world = World::start().await;
    for (path, parameter) in
        [("/embed/%ff", "`site`"), ("/assets/embed/%c3%28", "`file`"), ("/assets/%ff/x", "`folder`")]
    {
        let reply = world.get(path).await;
        assert_eq!((reply.status, reply.code().as_str()), (StatusCode::BAD_REQUEST, "malformed_address"), "{path}");
        assert!(reply.text().contains(parameter), "{}", reply.text());
    }
    for path in [
        format!("/embed/{CANARY}"),
        format!("/{CANARY}"),
        format!("/assets/embed/{CANARY}"),
        "/assets/embed/..%2f..%2fCargo.toml".to_owned(),
        "/assets/loader/widget.js".to_owned(),
        format!("/docs/{CANARY}?{CANARY}"),
    ] {
        let reply = world.get(&path).await;
        assert_eq!((reply.status, reply.code().as_str()), (StatusCode::NOT_FOUND, "not_found"), "{path}");
        assert!(!reply.text().contains(CANARY), "{path}: {}", reply.text());
    }
}

#[tokio::test]
async fn a_body_over_its_cap_gets_413_declared_or_not() {
    let world = World::builder().set("server.max_body_bytes", 2048).start().await;
    let visitor = world.visitor().await;
    let declared = wire::exchange(&world, head(&visitor, "Content-Length: 2049")).await;
    assert_eq!(wire::status(&declared), 413, "{declared}");
    assert!(declared.contains(r#""code":"too_large""#), "refused unread: {declared}");
    let mut undeclared = head(&visitor, "Transfer-Encoding: chunked").into_bytes();
    for _ in 0..3 {
        undeclared.extend_from_slice(format!("400\r\n{}\r\n", "a".repeat(1024)).as_bytes());
    }
    let undeclared = wire::exchange(&world, undeclared).await;
    assert_eq!(wire::status(&undeclared), 413, "not read to its end: {undeclared}");
    let fitting = format!("{:<2048}", serde_json::json!({ "message": QUESTION }).to_string());
    assert_eq!(send(&world, &visitor, MESSAGES, fitting).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_body_that_does_not_arrive_in_time_gets_408() {
    let world = World::builder().set("server.body_timeout", "200ms").start().await;
    let visitor = world.visitor().await;
    for (fields, beginning) in [
        ("Content-Length: 100", ""),
        ("Content-Length: 100", "{\"message\":"),
        ("Transfer-Encoding: chunked", "5\r\n{\"mes\r\n"),
    ] {
        let answer = wire::exchange(&world, head(&visitor, fields) + beginning).await;
        assert_eq!(wire::status(&answer), 408, "{answer}");
        assert!(answer.contains(r#""code":"body_too_slow""#), "{answer}");
    }
    wire::until(|| world.app.load.running() == 0).await;
    assert_eq!(world.ask(&visitor, QUESTION).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_message_has_a_thousand_characters_at_most_and_none_is_cut() {
    let world = World::start().await;
    let visitor = world.visitor().await;
    // Scalar values, not bytes and not UTF-16 units.
    for scalar in ["a", "é", "語", "🦀"] {
        let longest = scalar.repeat(1000);
        world.clock.advance(SECOND);
        let reply = world.ask(&visitor, &longest).await;
        assert_eq!(reply.status, StatusCode::OK, "{scalar}: {}", reply.text());
        let state = world.by(&visitor, Method::GET, SESSION).send().await.json();
        let messages = state["messages"].as_array().cloned().unwrap_or_default();
        assert_eq!(messages[messages.len() - 2]["text"], longest, "stored whole");
        let longer = world.ask(&visitor, &format!("{longest}{scalar}")).await;
        assert_eq!((longer.status, longer.code().as_str()), (StatusCode::UNPROCESSABLE_ENTITY, "message_too_long"));
        assert!(longer.text().contains("1000 characters"), "{}", longer.text());
    }
    let state = world.by(&visitor, Method::GET, SESSION).send().await.json();
    assert_eq!(state["messages"].as_array().map(Vec::len), Some(8), "what was refused is not stored");
    assert_eq!(world.ask(&visitor, " \n\t ").await.code(), "message_empty");
    let short = World::builder().set("messages.max_characters", 5).start().await;
    let visitor = short.visitor().await;
    assert_eq!(short.ask(&visitor, "123456").await.code(), "message_too_long");
}

#[tokio::test]
async fn a_session_id_of_the_wrong_form_is_refused_before_anything_is_looked_up() {
    let world = World::start().await;
    let visitor = world.visitor().await;
    let now = world.app.clock.now();
    let token = |session: &str| {
        let claims = Visitor {
            owner: world.app.owner,
            site: world.site.id,
            session: SessionId::from_verified(session),
            origin: SHOP.into(),
            expires_at: now + HOUR,
        };
        // Signed by our own key, so that only the id can be what is refused.
        Guest { session: session.to_owned(), token: world.app.tokens.mint_visitor(&claims, now).expect("a token") }
    };
    let last = visitor.session.len() - 1;
    let flipped = format!("{}{}", &visitor.session[..last], if visitor.session.ends_with('A') { 'B' } else { 'A' });
    let bad = [
        "",
        "session_",
        "session_' OR '1'='1",
        "../../etc/passwd",
        &visitor.session[..last],
        &format!("{}A", visitor.session),
        &visitor.session.to_uppercase(),
        &visitor.session.replace("session_", "sess_"),
        &format!("session_{}", "0".repeat(44)),
        &flipped,
    ];
    // With the store gone, whatever is looked up fails loudly.
    world.app.sessions.forget(&SessionId::from_verified(visitor.session.as_str()));
    world.app.store.close().await;
    let fine = world.by(&token(&visitor.session), Method::GET, SESSION).send().await;
    assert!(fine.status.is_server_error(), "a good id is looked up: {}", fine.text());
    for session in bad {
        let before = wire::count_of(&world, "INVALID_SESSION_ID");
        for (method, path) in [(Method::GET, SESSION), (Method::DELETE, SESSION)] {
            let reply = world.by(&token(session), method, path).send().await;
            assert_eq!(
                (reply.status, reply.code().as_str()),
                (StatusCode::UNAUTHORIZED, "session_invalid"),
                "{session}"
            );
            assert!(session.len() < 10 || !reply.text().contains(session), "{session} came back");
        }
        assert_eq!(wire::count_of(&world, "INVALID_SESSION_ID") - before, 2, "{session}");
    }
}
