//! Sessions over HTTP: ids that nobody guesses, one refusal for whatever is not a session, an end by idleness with
//! everything that was said, a tie to the network that began it, and the time of the last message.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use crate::world::{Builder, QUESTION, Reply, SHOP, Visitor, World};
use chatward::ops::{sessions, tokens};
use chatward_store::{HotRow, SessionRow};
use chatward_types::{Clock, ConversationId, HOUR, MINUTE, MessageId, SECOND, Scope, SessionId};
use chatward_vault::{SystemEntropy, base62_decode};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn roomy() -> Builder {
    World::builder().set("limits.per_minute", 1000).set("limits.per_hour", 10_000)
}

/// Two things that a session's row belongs to: what the store has of it.
async fn stored(world: &World, session: &str) -> Option<SessionRow> {
    let id = SessionId::from_verified(session);
    world.app.store.load_session(&Scope::of(world.app.owner), &id).await.unwrap()
}

async fn messages_of(world: &World, row: &SessionRow) -> u64 {
    world.app.store.count_messages(&Scope::of(world.app.owner), row.conversation).await.unwrap()
}

/// A token of ours for a session that need not exist.
fn token_for(world: &World, session: SessionId) -> String {
    let now = world.clock.now();
    let visitor = tokens::Visitor {
        owner: world.app.owner,
        site: world.site.id,
        session,
        origin: SHOP.into(),
        expires_at: now + HOUR,
    };
    world.app.tokens.mint_visitor(&visitor, now).unwrap()
}

/// A fresh token for the same session, as a page that comes back is given.
async fn renewed(world: &World, visitor: &Visitor) -> Visitor {
    let reply = world.by(visitor, Method::GET, "/api/v1/widget/session").send().await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    Visitor { token: reply.json()["token"].as_str().unwrap().to_owned(), ..visitor.clone() }
}

/// Every call that a visitor can make, with this Authorization field or none.
async fn all_calls(world: &World, authorization: Option<&str>) -> Vec<Reply> {
    let message = MessageId::generate(world.clock.as_ref(), &SystemEntropy).unwrap().to_string();
    let calls = [
        (Method::GET, "/api/v1/widget/session", None),
        (Method::POST, "/api/v1/widget/messages", Some(json!({ "message": QUESTION }))),
        (Method::POST, "/api/v1/widget/feedback", Some(json!({ "message_id": message, "rating": "up" }))),
        (Method::DELETE, "/api/v1/widget/session", None),
    ];
    let mut replies = Vec::new();
    for (method, path, body) in calls {
        let mut call = world.call(method, path).header("origin", SHOP);
        if let Some(value) = authorization {
            call = call.header("authorization", value);
        }
        if let Some(body) = body {
            call = call.json(&body);
        }
        replies.push(call.send().await);
    }
    replies
}

/// A reply without what must differ: its id, and how much of the limit is left.
fn alike(reply: &Reply) -> (StatusCode, Value, Vec<(String, String)>) {
    let mut body = reply.json();
    body["error"]["request_id"] = Value::Null;
    let varies = ["x-request-id", "date", "ratelimit", "ratelimit-remaining", "ratelimit-reset"];
    let headers = reply
        .headers
        .iter()
        .filter(|(name, _)| !varies.contains(&name.as_str()))
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    (reply.status, body, headers)
}

#[tokio::test]
async fn an_id_has_128_random_bits() {
    let world = roomy().start().await;
    let (mut zeros, mut ones, mut seen) = (0_u128, 0_u128, BTreeSet::new());
    for _ in 0..60 {
        let session = world.visitor().await.session;
        let rest = session.strip_prefix("session_").unwrap();
        assert!(rest.len() == 44 && rest.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{session}");
        let bits = u128::from_be_bytes(base62_decode(&rest[..22]).unwrap());
        (zeros, ones) = (zeros | !bits, ones | bits);
        assert!(seen.insert(session));
    }
    // A bit that is not random is the same in all sixty; one that is does so once in 2^59.
    assert_eq!((zeros, ones), (u128::MAX, u128::MAX));
}

#[tokio::test]
async fn a_forged_id_is_told_from_a_real_one_without_a_look_up() {
    let world = roomy().start().await;
    let genuine = world.app.tokens.new_session_id(&SystemEntropy).unwrap();
    let mut forged = genuine.as_str().to_owned();
    let last = forged.pop().unwrap();
    forged.push(if last == '0' { '1' } else { '0' });
    let (genuine, forged) = (token_for(&world, genuine), token_for(&world, SessionId::from_verified(forged)));
    world.app.store.close().await;
    for reply in all_calls(&world, Some(&format!("Bearer {genuine}"))).await {
        assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE, "a genuine id needs the store: {}", reply.text());
    }
    for reply in all_calls(&world, Some(&format!("Bearer {forged}"))).await {
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "a forged one does not: {}", reply.text());
    }
}

#[tokio::test]
async fn whatever_is_no_session_is_refused_alike_and_never_adopted() {
    for engine in World::ENGINES {
        let world = roomy().engine(engine).start().await;
        let expired = world.visitor().await;
        let idle = world.visitor().await;
        let swept = world.visitor().await;
        world.clock.advance(12 * HOUR);
        let (idle, swept_later) = (renewed(&world, &idle).await, renewed(&world, &swept).await);
        world.clock.advance(12 * HOUR + SECOND);
        let deleted = world.visitor().await;
        let gone = world.by(&deleted, Method::DELETE, "/api/v1/widget/session").send().await;
        assert_eq!(gone.status, StatusCode::OK, "{}", gone.text());

        let unknown = world.app.tokens.new_session_id(&SystemEntropy).unwrap();
        let mut forged = world.visitor().await.token;
        let last = forged.pop().unwrap();
        forged.push(if last == 'A' { 'Q' } else { 'A' });
        let cases = [
            ("none", None),
            ("garbage", Some("Bearer garbage".to_owned())),
            ("another scheme", Some(format!("Basic {}", deleted.token))),
            ("forged", Some(format!("Bearer {forged}"))),
            ("expired", Some(format!("Bearer {}", expired.token))),
            ("unknown", Some(format!("Bearer {}", token_for(&world, unknown.clone())))),
            ("deleted", Some(format!("Bearer {}", deleted.token))),
            ("idle too long", Some(format!("Bearer {}", idle.token))),
        ];
        let mut wanted = None;
        for (name, authorization) in cases {
            let before = world.app.events.counts();
            for reply in all_calls(&world, authorization.as_deref()).await {
                let seen = alike(&reply);
                assert_eq!((seen.0, reply.code().as_str()), (StatusCode::UNAUTHORIZED, "session_invalid"), "{name}");
                assert_eq!(reply.header("x-request-id"), reply.json()["error"]["request_id"], "{name}");
                assert_eq!(wanted.get_or_insert_with(|| seen.clone()), &seen, "{name} on {engine:?}");
            }
            let count = |counts: &[(&str, u64)]| {
                counts.iter().find(|(name, _)| *name == "INVALID_SESSION_ID").map_or(0, |(_, count)| *count)
            };
            assert_eq!(count(&world.app.events.counts()), count(&before) + 4, "{name}: each refusal is an event");
        }
        world.clock.advance(MINUTE);
        assert_eq!(sessions::sweep(&world.app, world.clock.now()).await.unwrap(), 3, "expired, idle and swept");
        for reply in all_calls(&world, Some(&format!("Bearer {}", swept_later.token))).await {
            assert_eq!(Some(alike(&reply)), wanted, "swept on {engine:?}");
        }
        for session in [unknown.as_str(), &deleted.session, &swept.session] {
            assert!(stored(&world, session).await.is_none(), "{session} was adopted");
        }
    }
}

#[tokio::test]
async fn an_idle_session_goes_with_its_messages_and_an_active_one_stays() {
    for engine in World::ENGINES {
        let world = roomy().engine(engine).start().await;
        let (idle, active) = (world.visitor().await, world.visitor().await);
        for visitor in [&idle, &active] {
            assert_eq!(world.ask(visitor, QUESTION).await.status, StatusCode::OK);
        }
        let (idle_row, active_row) =
            (stored(&world, &idle.session).await.unwrap(), stored(&world, &active.session).await.unwrap());
        assert_eq!((messages_of(&world, &idle_row).await, messages_of(&world, &active_row).await), (2, 2));

        world.clock.advance(23 * HOUR);
        assert_eq!(world.ask(&active, QUESTION).await.status, StatusCode::OK);
        world.clock.advance(HOUR);
        assert_eq!(sessions::sweep(&world.app, world.clock.now()).await.unwrap(), 0, "24 hours are not over");
        // The store may be a minute behind with what it knows of a session's use.
        world.clock.advance(MINUTE + SECOND);
        assert_eq!(sessions::sweep(&world.app, world.clock.now()).await.unwrap(), 1);
        assert!(stored(&world, &idle.session).await.is_none());
        assert_eq!(messages_of(&world, &idle_row).await, 0);
        assert_eq!(messages_of(&world, &active_row).await, 4, "the active one keeps what was said");
        assert!(stored(&world, &active.session).await.is_some());
        let tail = world.app.events.tail();
        let cleanup = tail.iter().find(|event| event.name.as_str() == "SESSION_CLEANUP").unwrap();
        assert_eq!(cleanup.detail.as_deref(), Some("1 idle sessions removed"));
        assert_eq!(sessions::sweep(&world.app, world.clock.now()).await.unwrap(), 0);
        assert_eq!(world.events().iter().filter(|name| **name == "SESSION_CLEANUP").count(), 1, "nothing, no event");
    }
}

#[tokio::test]
async fn the_idle_time_is_a_setting_and_more_than_one_batch_is_swept() {
    let world = roomy().set("sessions.idle_hours", 1).start().await;
    for _ in 0..20 {
        world.visitor().await;
    }
    let scope = Scope::of(world.app.owner);
    let one = stored(&world, &world.visitor().await.session).await.unwrap();
    let row = || {
        let id = world.app.tokens.new_session_id(&SystemEntropy).unwrap();
        let conversation = ConversationId::generate(world.clock.as_ref(), &SystemEntropy).unwrap();
        HotRow::Session(SessionRow { id, conversation, ..one.clone() })
    };
    for _ in 0..100 {
        world.app.store.append((0..10).map(|_| row()).collect()).await.unwrap();
    }
    world.clock.advance(HOUR + MINUTE + SECOND);
    assert_eq!(sessions::sweep(&world.app, world.clock.now()).await.unwrap(), 1021);
    assert!(world.app.store.load_session(&scope, &one.id).await.unwrap().is_none());
}

#[tokio::test]
async fn a_message_moves_the_last_activity() {
    for engine in World::ENGINES {
        let world = roomy().engine(engine).start().await;
        let visitor = world.visitor().await;
        let began = stored(&world, &visitor.session).await.unwrap();
        assert_eq!((began.created_at, began.last_activity_at), (world.clock.now(), world.clock.now()));
        world.clock.advance(5 * HOUR);
        assert_eq!(world.ask(&visitor, QUESTION).await.status, StatusCode::OK);
        let used = stored(&world, &visitor.session).await.unwrap();
        assert_eq!((used.created_at, used.last_activity_at), (began.created_at, world.clock.now()));
    }
}

/// A call from an address, as the trusted proxy reports it.
async fn from(world: &World, address: &str, visitor: &Visitor, method: Method, path: &str, body: &Value) -> Reply {
    let call = world.by(visitor, method, path).header("x-real-ip", address);
    let call = if body.is_null() { call } else { call.json(body) };
    call.send().await
}

fn behind_a_proxy() -> Builder {
    roomy().set("server.trusted_proxies", "127.0.0.0/8").set("server.client_address_header", "x-real-ip")
}

async fn visitor_at(world: &World, address: &str) -> Visitor {
    let call = world.call(Method::POST, "/api/v1/widget/sessions").header("origin", SHOP).header("x-real-ip", address);
    let body = call.json(&json!({ "site": world.site.publishable_key })).send().await.json();
    let text = |name: &str| body[name].as_str().unwrap().to_owned();
    Visitor { session: text("session"), token: text("token") }
}

fn address_changes(world: &World) -> Vec<(String, &'static str)> {
    let tail = world.app.events.tail();
    tail.iter()
        .filter(|event| event.name.as_str() == "SESSION_ADDRESS_CHANGED")
        .map(|event| (event.address.unwrap().to_string(), event.outcome.as_str()))
        .collect()
}

#[tokio::test]
async fn another_network_is_logged() {
    let world = behind_a_proxy().start().await;
    let visitor = visitor_at(&world, "203.0.113.7").await;
    let ask = json!({ "message": QUESTION });
    for neighbour in ["203.0.113.7", "203.0.113.250"] {
        let reply = from(&world, neighbour, &visitor, Method::POST, "/api/v1/widget/messages", &ask).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    }
    assert_eq!(address_changes(&world), [], "the same network is no change");
    for _ in 0..3 {
        let reply = from(&world, "198.51.100.9", &visitor, Method::POST, "/api/v1/widget/messages", &ask).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    }
    assert_eq!(address_changes(&world), [("198.51.100.9".to_owned(), "success")], "told once, not at every message");
    from(&world, "192.0.2.1", &visitor, Method::GET, "/api/v1/widget/session", &Value::Null).await;
    assert_eq!(address_changes(&world).len(), 2, "a third network is news again");
}

#[tokio::test]
async fn another_network_is_refused_like_an_unknown_session_where_that_is_set() {
    let world = behind_a_proxy().set("sessions.on_address_change", "refuse").start().await;
    let visitor = visitor_at(&world, "203.0.113.7").await;
    let unknown = Visitor {
        session: String::new(),
        token: token_for(&world, world.app.tokens.new_session_id(&SystemEntropy).unwrap()),
    };
    let (ask, none) = (json!({ "message": QUESTION }), Value::Null);
    let message = MessageId::generate(world.clock.as_ref(), &SystemEntropy).unwrap().to_string();
    let judge = json!({ "message_id": message, "rating": "down" });
    let calls = [
        (Method::GET, "/api/v1/widget/session", &none),
        (Method::POST, "/api/v1/widget/messages", &ask),
        (Method::POST, "/api/v1/widget/feedback", &judge),
        (Method::DELETE, "/api/v1/widget/session", &none),
    ];
    for (index, (method, path, body)) in calls.into_iter().enumerate() {
        let wanted = from(&world, "198.51.100.9", &unknown, method.clone(), path, body).await;
        let reply = from(&world, "198.51.100.9", &visitor, method.clone(), path, body).await;
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{method} {path}");
        assert_eq!(alike(&reply), alike(&wanted), "{method} {path}");
        assert_eq!(address_changes(&world).len(), index + 1);
    }
    assert!(address_changes(&world).iter().all(|change| *change == ("198.51.100.9".to_owned(), "refused")));
    let at_home = from(&world, "203.0.113.8", &visitor, Method::DELETE, "/api/v1/widget/session", &none).await;
    assert_eq!(at_home.status, StatusCode::OK, "it is still there for whoever began it");
}
