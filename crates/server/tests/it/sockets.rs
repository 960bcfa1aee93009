//! WebSockets over real connections (AUTH-09, RATE-04): who gets in, by what, in what time, and what a socket may cost.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use crate::frames::{DEVICE, EVENTS, Heard, Ws, sockets_world};
use crate::wire::{count_of, until};
use crate::world::{PATIENCE, SHOP, STRANGER, World};
use chatward::ops::trail::Actor;
use chatward::ops::{devices, logins};
use chatward_types::{Clock, HOUR, MINUTE, Role, Scope};
use http::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

/// Whatever is no credential of this path, by name.
async fn wrong_credentials(world: &World, path: &str) -> Vec<(&'static str, String)> {
    let (app, owner) = (&world.app, world.app.owner);
    let admin = world.user(&format!("admin{}@example.test", path.len()), Role::Admin).await;
    let short = world.device(&format!("short{}", path.len())).await;
    let expired_device = world.token_of(owner, short.0, MINUTE).await.token;
    let expired_user = world.access(owner, &admin).await;
    world.clock.advance(HOUR);
    let revoked = world.device(&format!("revoked{}", path.len())).await;
    devices::revoke(app, &Scope::of(owner), revoked.0, &Actor::Operator).await.unwrap();
    let ended = world.access(owner, &admin).await;
    let login = logins::recognise(app, &ended).await.unwrap().unwrap().login;
    logins::end_one(app, &Scope::of(owner), admin.id, login.unwrap(), None).await.unwrap();
    let (_, device) = world.device(&format!("good{}", path.len())).await;
    let user = world.access(owner, &admin).await;
    let another = if path == DEVICE { user.clone() } else { device.clone() };
    let part = |token: &str, at: usize| token.split('.').nth(at).unwrap_or_default().to_owned();
    let good = if path == DEVICE { &device } else { &user };
    let mut wrong = vec![
        ("another purpose's token", another),
        ("an expired device token", expired_device),
        ("an expired access token", expired_user),
        ("a revoked device's token", revoked.1),
        ("an ended login's token", ended),
        ("a visitor's token", world.visitor().await.token),
        ("a ticket", world.ticket().await),
        (
            "another's signature",
            format!("{}.{}.{}", part(good, 0), part(good, 1), part(&world.visitor().await.token, 2)),
        ),
        ("no signature", format!("{}.{}.", part(good, 0), part(good, 1))),
        ("an oversized token", format!("{good}{}", "A".repeat(9000))),
        ("a secret key", world.key().await),
        ("nonsense", "x".to_owned()),
        ("nothing", String::new()),
    ];
    if path == EVENTS {
        let member = world.user("member@example.test", Role::Member).await;
        wrong.push(("a member's token", world.access(owner, &member).await));
    }
    wrong
}

#[tokio::test]
async fn a_missing_wrong_or_late_credential_is_refused_at_the_upgrade_or_closed_with_1008() {
    let world =
        sockets_world().set("limits.per_minute", 1000).set("sockets.first_frame_timeout", "100ms").start().await;
    for path in [DEVICE, EVENTS] {
        for (who, token) in wrong_credentials(&world, path).await {
            let refused = world.open_socket(path, &[("authorization", &format!("Bearer {token}"))]).await;
            let status = refused.err().map(|reply| reply.status.as_u16());
            let expected = if who == "a member's token" { 403 } else { 401 };
            assert_eq!(status, Some(expected), "{path} at the upgrade with {who}");
            let mut socket = world.open_with_frame(path, &token).await;
            assert_eq!(socket.close_code().await, 1008, "{path} in the first frame with {who}");
        }
        for other in ["Basic eDp5", "Bearer"] {
            let refused = world.open_socket(path, &[("authorization", other)]).await;
            assert_eq!(refused.err().map(|reply| reply.status.as_u16()), Some(401), "{path} {other}");
        }
        for frame in [json!({ "type": "ping" }), json!({}), json!({ "type": "auth" }), json!([1])] {
            let mut socket = world.open_socket(path, &[]).await.ok().unwrap();
            socket.say(&frame).await;
            let told = socket.hear().await;
            assert!(matches!(&told, Heard::Text(value) if value["type"] == "error"), "{path} {frame}: {told:?}");
            assert_eq!(socket.close_code().await, 1008, "{path} {frame}");
        }
        // Late: nothing at all, or nothing but pings.
        let mut silent = world.open_socket(path, &[]).await.ok().unwrap();
        let mut chatty = world.open_socket(path, &[]).await.ok().unwrap();
        for _ in 0..5 {
            chatty.send(Message::Ping(Vec::new().into())).await;
        }
        assert_eq!(silent.close_code().await, 1008, "{path}");
        assert_eq!(chatty.close_code().await, 1008, "{path}");
    }
    until(|| world.app.sockets.open() == 0).await;
    assert!(world.has_event("DEVICE_AUTHENTICATION") && world.has_event("TOKEN_REFUSED"));
}

#[tokio::test]
async fn a_credential_that_holds_opens_the_socket_at_the_upgrade_or_in_the_first_frame() {
    for engine in World::ENGINES {
        let world = sockets_world().engine(engine).start().await;
        let (id, token) = world.device("terminal-1").await;
        let bearer = format!("Bearer {token}");
        let mut at_upgrade = world.open_socket(DEVICE, &[("authorization", &bearer)]).await.ok().unwrap();
        let ready = at_upgrade.expect("ready").await;
        assert_eq!((&ready["device"], &ready["name"]), (&json!(id.to_string()), &json!("terminal-1")));
        assert_eq!(ready["feeds"], json!(["art"]));
        // As older devices do it, and everything at once: token, message and close are all read.
        let mut piped = world.open_socket(DEVICE, &[]).await.ok().unwrap();
        piped.say(&json!({ "token": token })).await;
        piped.say(&json!({ "type": "ping" })).await;
        piped.send(Message::Close(None)).await;
        piped.expect("ready").await;
        piped.expect("pong").await;
        assert!(matches!(piped.hear().await, Heard::Closed(..)));
        at_upgrade.say(&json!({ "text": "hello" })).await;
        let refused = at_upgrade.expect("error").await;
        assert_eq!(refused["error"]["code"], "feeds_not_served");
        assert!(at_upgrade.is_alive().await);

        let admin = world.user("admin@example.test", Role::Admin).await;
        let access = world.access(world.app.owner, &admin).await;
        world.ready(EVENTS, &access).await;
        let own = world.own_origin();
        let mut page =
            world.open_socket(EVENTS, &[("origin", &own), ("sec-fetch-site", "same-origin")]).await.ok().unwrap();
        page.say(&json!({ "type": "auth", "token": access })).await;
        page.expect("ready").await;
        assert!(
            world
                .app
                .store
                .find_device(&Scope::of(world.app.owner), "terminal-1")
                .await
                .unwrap()
                .unwrap()
                .seen_at
                .is_some()
        );
    }
}

#[tokio::test]
async fn whoever_must_have_a_second_factor_first_opens_nothing() {
    let world = sockets_world().set("accounts.second_factor", "admins").start().await;
    let admin = world.user("admin@example.test", Role::Admin).await;
    let access = world.access(world.app.owner, &admin).await;
    let refused = world.open_socket(EVENTS, &[("authorization", &format!("Bearer {access}"))]).await.err().unwrap();
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (403, "second_factor_required"));
    let mut socket = world.open_with_frame(EVENTS, &access).await;
    assert_eq!(socket.expect("error").await["error"]["code"], "second_factor_required");
    assert_eq!(socket.close_code().await, 1008);
}

#[tokio::test]
async fn no_page_of_anybody_else_opens_a_socket_and_no_query_or_cookie_of_another_name_proves_anything() {
    let world = sockets_world().set("sockets.first_frame_timeout", "100ms").start().await;
    let (_, device) = world.device("terminal-1").await;
    let admin = world.user("admin@example.test", Role::Owner).await;
    let access = world.access(world.app.owner, &admin).await;
    let own = world.own_origin();
    for (path, token) in [(DEVICE, &device), (EVENTS, &access)] {
        let bearer = format!("Bearer {token}");
        let cookies = ["session", "__Host-session", "__Host-chatward", "token", "access_token"];
        let cookie = cookies.map(|name| format!("{name}={token}")).join("; ");
        let shouting = own.to_ascii_uppercase();
        let longer = format!("{own}.stranger.test");
        let mut foreign = vec![
            vec![("origin", "null")],
            vec![("origin", STRANGER)],
            vec![("origin", SHOP)],
            vec![("origin", longer.as_str())],
            vec![("origin", shouting.as_str())],
            vec![("origin", own.as_str()), ("origin", own.as_str())],
            vec![("origin", own.as_str()), ("sec-fetch-site", "cross-site")],
            vec![("origin", own.as_str()), ("sec-fetch-site", "same-site")],
            vec![("sec-fetch-site", "cross-site")],
            vec![("sec-fetch-dest", "websocket")],
        ];
        if path == DEVICE {
            foreign.push(vec![("origin", own.as_str())]);
        }
        for headers in foreign {
            for credential in [&[][..], &[("authorization", bearer.as_str())], &[("cookie", cookie.as_str())]] {
                let all: Vec<_> = headers.iter().chain(credential).copied().collect();
                let refused = world.open_socket(path, &all).await.err().unwrap();
                assert_eq!(
                    (refused.status.as_u16(), refused.code().as_str()),
                    (403, "origin_not_allowed"),
                    "{path} {all:?}"
                );
            }
        }
        // From our own page, or from no page: a cookie of another name is not looked at.
        let ours: &[(&str, &str)] = if path == DEVICE { &[] } else { &[("origin", &own)] };
        let all: Vec<_> = ours.iter().copied().chain([("cookie", cookie.as_str())]).collect();
        let mut socket = world.open_socket(path, &all).await.ok().unwrap();
        assert_eq!(socket.close_code().await, 1008, "{path}: a cookie alone");
        for query in [format!("?token={token}"), format!("?access_token={token}"), "?".to_owned(), "?x=1".to_owned()] {
            for headers in [&[][..], &[("authorization", bearer.as_str())]] {
                let refused = world.open_socket(&format!("{path}{query}"), headers).await.err().unwrap();
                assert_eq!((refused.status.as_u16(), refused.code().as_str()), (400, "query_refused"), "{path}");
            }
        }
        // The other places where tokens are seen in the wild.
        let mut socket = world.open_socket(path, &[("x-access-token", token)]).await.ok().unwrap();
        assert_eq!(socket.close_code().await, 1008, "{path}: a header of no meaning");
    }
    assert!(world.has_event("CORS_BLOCKED"));
    assert_eq!(count_of(&world, "WEBSOCKET_OPENED"), 4);
}

#[tokio::test]
async fn what_is_no_handshake_gets_an_answer_and_no_socket() {
    let world = sockets_world().start().await;
    let (_, token) = world.device("terminal-1").await;
    let bearer = format!("Bearer {token}");
    let good = [
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    for missing in 0..good.len() {
        let mut call = world.call(Method::GET, DEVICE).header("authorization", &bearer);
        for (at, (name, value)) in good.iter().enumerate() {
            if at != missing {
                call = call.header(name, value);
            }
        }
        let reply = call.send().await;
        assert_eq!(
            (reply.status.as_u16(), reply.code().as_str()),
            (400, "not_a_websocket"),
            "without {}",
            good[missing].0
        );
        assert_eq!(reply.header("sec-websocket-version"), "13");
    }
    for (name, value) in [("sec-websocket-version", "8"), ("sec-websocket-key", "short"), ("upgrade", "h2c")] {
        let mut call = world.call(Method::GET, DEVICE).header("authorization", &bearer);
        for (good_name, good_value) in good {
            call = call.header(good_name, if good_name == name { value } else { good_value });
        }
        assert_eq!(call.send().await.status.as_u16(), 400, "{name}: {value}");
    }
    assert_eq!(world.app.sockets.open(), 0);
}

#[tokio::test]
async fn what_is_no_json_gets_an_error_and_a_close_and_what_is_refused_an_error() {
    let world = sockets_world().start().await;
    let (_, device) = world.device("terminal-1").await;
    let admin = world.user("admin@example.test", Role::Admin).await;
    let access = world.access(world.app.owner, &admin).await;
    for (path, token, invalid) in [(DEVICE, &device, "feeds_not_served"), (EVENTS, &access, "invalid")] {
        let mut socket = world.ready(path, token).await;
        for message in [json!({ "type": "poem" }), json!({}), json!([]), json!("x"), json!({ "type": "ping", "x": 1 })]
        {
            socket.say(&message).await;
            let error = socket.expect("error").await;
            assert_eq!(error["error"]["code"], invalid, "{path} {message}");
            assert!(!error.to_string().contains("poem"), "nothing is echoed: {error}");
        }
        assert!(socket.is_alive().await, "{path}: it stays open");
        for text in ["", "{", "{\"type\":\"ping\"} x", "poem", "{\"type\":\"ping\"", "\u{feff}{}"] {
            let mut socket = world.ready(path, token).await;
            socket.send(Message::Text(text.into())).await;
            let error = socket.expect("error").await;
            assert_eq!(error["error"]["code"], "malformed_json", "{path} {text}");
            assert_eq!(socket.close_code().await, 1007, "{path} {text}");
            let mut nobody = world.open_socket(path, &[]).await.ok().unwrap();
            nobody.send(Message::Text(text.into())).await;
            nobody.expect("error").await;
            assert_eq!(nobody.close_code().await, 1008, "{path} {text}");
        }
    }
}

/// A fragment: the first of a text where `first`, never the last.
fn fragment(first: bool, payload: &[u8]) -> Message {
    let code = if first { Data::Text } else { Data::Continue };
    Message::Frame(Frame::message(payload.to_vec(), OpCode::Data(code), false))
}

#[tokio::test]
async fn frames_that_are_too_large_too_many_or_no_text_end_the_socket() {
    let world =
        sockets_world().set("sockets.max_message_bytes", 1024).set("sockets.messages_per_minute", 100).start().await;
    let (_, token) = world.device("terminal-1").await;
    let open = async || world.ready(DEVICE, &token).await;

    let mut socket = open().await;
    socket.send(Message::Text(format!("\"{}\"", "x".repeat(1022)).into())).await;
    assert_eq!(socket.expect("error").await["error"]["code"], "feeds_not_served", "as large as may be");
    socket.send(Message::Text("x".repeat(1025).into())).await;
    assert_eq!(socket.close_code().await, 1009, "a frame over the cap");

    let mut socket = open().await;
    for at in 0..5 {
        socket.send(fragment(at == 0, &[b'x'; 300])).await;
    }
    assert_eq!(socket.close_code().await, 1009, "a message over the cap in small frames");

    let mut socket = open().await;
    for at in 0..6000 {
        socket.send(fragment(at == 0, b"")).await;
    }
    assert_eq!(socket.close_code().await, 1008, "fragments without end, each of them empty");

    let mut socket = open().await;
    for _ in 0..200 {
        socket.send(Message::Ping(Vec::new().into())).await;
    }
    assert_eq!(socket.close_code().await, 1008, "a flood of pings");

    let mut socket = open().await;
    for _ in 0..200 {
        socket.send(Message::Pong(Vec::new().into())).await;
    }
    assert_eq!(socket.close_code().await, 1008, "a flood of answers that nobody asked for");

    let mut socket = open().await;
    socket.send(Message::Binary(vec![1].into())).await;
    assert_eq!(socket.close_code().await, 1003);

    let mut socket = open().await;
    socket.send(Message::Frame(Frame::message(vec![0xff, 0xfe], OpCode::Data(Data::Text), true))).await;
    assert_eq!(socket.close_code().await, 1007, "not UTF-8");

    // A header that says 2^40 bytes: refused before one of them is waited for. Also before anybody is known.
    let mut unproven = world.open_socket(DEVICE, &[]).await.ok().unwrap();
    let huge = [0x81, 0xff, 0, 0, 1, 0, 0, 0, 0, 0, 1, 2, 3, 4];
    unproven.0.get_mut().write_all(&huge).await.unwrap();
    assert_eq!(unproven.close_code().await, 1009);
    // Not masked, as a client must.
    let mut socket = open().await;
    socket.0.get_mut().write_all(&[0x81, 0x01, b'x']).await.unwrap();
    assert_eq!(socket.close_code().await, 1002);
    until(|| world.app.sockets.open() == 0).await;
}

#[tokio::test]
async fn a_client_that_is_silent_is_given_up_and_one_that_answers_is_not() {
    let world = sockets_world().set("sockets.ping_every", "80ms").start().await;
    let (_, token) = world.device("terminal-1").await;
    let mut silent = world.ready(DEVICE, &token).await;
    let mut alive = world.ready(DEVICE, &token).await;
    // Reading answers the pings; the other one is not read.
    let answering = tokio::spawn(async move {
        let closed = alive.hear().await;
        (alive, closed)
    });
    until(|| world.app.sockets.open() == 1).await;
    assert_eq!(silent.close_code().await, 1008);
    assert!(!answering.is_finished());
    answering.abort();
}

#[tokio::test]
async fn a_reader_that_is_too_slow_is_dropped_and_nothing_is_kept_for_it() {
    let world = sockets_world().set("sockets.write_timeout", "100ms").start().await;
    let admin = world.user("admin@example.test", Role::Admin).await;
    let access = world.access(world.app.owner, &admin).await;
    let mut slow = world.ready(EVENTS, &access).await;
    let closed = || {
        let tail = world.app.events.tail();
        tail.iter().any(|event| {
            event.name.as_str() == "WEBSOCKET_CLOSED"
                && event.detail.as_ref().is_some_and(|text| text.contains("too slow"))
        })
    };
    let flood = async {
        while !closed() {
            world
                .app
                .event(
                    chatward_types::EventName::ChatError,
                    chatward_types::Severity::Info,
                    chatward_types::Outcome::Failure,
                )
                .detail("x".repeat(1000))
                .emit();
            tokio::task::yield_now().await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, flood).await.is_ok(), "it is dropped");
    until(|| world.app.sockets.open() == 0).await;
    let code = slow.close_code().await;
    assert!(matches!(code, 0 | 1013), "{code}");
}

#[tokio::test]
async fn an_address_a_credential_and_all_together_have_their_caps_and_places_come_back() {
    let world = sockets_world()
        .set("sockets.max", 8)
        .set("sockets.max_per_address", 6)
        .set("sockets.max_per_credential", 2)
        .start()
        .await;
    let (_, token) = world.device("terminal-1").await;
    let mut one = world.ready(DEVICE, &token).await;
    let _two = world.ready(DEVICE, &token).await;
    let mut three = world.open_with_frame(DEVICE, &token).await;
    assert_eq!(three.close_code().await, 1013, "a credential has too many");
    until(|| world.app.sockets.open() == 2).await;
    one.send(Message::Close(None)).await;
    until(|| world.app.sockets.open() == 1).await;
    let _again = world.ready(DEVICE, &token).await;

    // Half of all places are for those who have proved themselves.
    let mut unproven: Vec<Ws> = Vec::new();
    for _ in 0..4 {
        unproven.push(world.open_socket(DEVICE, &[]).await.ok().unwrap());
    }
    let (_, other) = world.device("terminal-2").await;
    let bearer = format!("Bearer {other}");
    let refused = world.open_socket(DEVICE, &[]).await.err().unwrap();
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (503, "sockets_full"));
    let refused = world.open_socket(DEVICE, &[("authorization", &bearer)]).await.err().unwrap();
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (429, "sockets_limited"));
    assert!(!refused.header("retry-after").is_empty());
    unproven.clear();
    until(|| world.app.sockets.open() == 2).await;
    let mut held = world.open_socket(DEVICE, &[("authorization", &bearer)]).await.ok().unwrap();
    held.expect("ready").await;
    assert_eq!(world.app.connections.total(), 3, "each is counted among the connections as well");
    drop(held);
    until(|| world.app.connections.total() == 2).await;
}

#[tokio::test]
async fn ten_new_sockets_a_minute_pass_by_default_and_the_next_gets_429_before_the_upgrade() {
    let world = World::start().await;
    let mut open = Vec::new();
    for _ in 0..10 {
        open.push(world.open_socket(DEVICE, &[]).await.ok().unwrap());
    }
    let refused = world.open_socket(DEVICE, &[]).await.err().unwrap();
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (429, "rate_limited"));
    assert_eq!(refused.header("retry-after"), "60");
    drop(open);
    let refused = world.open_socket(EVENTS, &[]).await.err().unwrap();
    assert_eq!(refused.status.as_u16(), 429, "of whatever socket, and closed ones count");
    world.clock.advance(MINUTE);
    assert!(world.open_socket(DEVICE, &[]).await.is_ok());
    assert!(world.clock.now() > 0 && world.has_event("RATE_LIMIT_EXCEEDED"));
}

#[tokio::test]
async fn opening_and_closing_are_told_with_counts_and_without_content() {
    let world = sockets_world().start().await;
    let (id, token) = world.device("terminal-1").await;
    let mut socket = world.ready(DEVICE, &token).await;
    socket.say(&json!({ "text": "a very secret poem" })).await;
    socket.expect("error").await;
    socket.send(Message::Close(None)).await;
    until(|| world.app.sockets.open() == 0).await;
    let tail = world.app.events.tail();
    let closed = tail.iter().find(|event| event.name.as_str() == "WEBSOCKET_CLOSED").unwrap();
    let detail = closed.detail.as_deref().unwrap_or_default();
    assert!(detail.starts_with(&format!("device {id}: closed by the client (1000) after ")), "{detail}");
    assert!(detail.ends_with(" s, 2 in, 2 out"), "{detail}");
    assert_eq!((closed.path, closed.owner), (Some(DEVICE), Some(world.app.owner)));
    assert!(world.has_event("WEBSOCKET_OPENED"));
    for event in &tail {
        let text = format!("{event:?}");
        assert!(!text.contains("poem") && !text.contains(&token), "{text}");
    }
}

#[tokio::test]
async fn a_connection_that_is_no_socket_any_more_leaves_nothing_behind() {
    let world = sockets_world().start().await;
    let (_, token) = world.device("terminal-1").await;
    // Gone without a word, before and after the proof, and in the midst of a frame.
    drop(world.open_socket(DEVICE, &[]).await.ok().unwrap());
    drop(world.ready(DEVICE, &token).await);
    let mut broken = world.ready(DEVICE, &token).await;
    broken.0.get_mut().write_all(&[0x81, 0x85, 1, 2]).await.unwrap();
    drop(broken);
    // Or before the handshake's answer is read.
    let mut early = world.connect().await;
    let head = format!(
        "GET {DEVICE} HTTP/1.1\r\nHost: localhost:{}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        world.address.port()
    );
    early.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    early.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 101");
    drop(early);
    until(|| world.app.sockets.open() == 0 && world.app.connections.total() == 0).await;
}
