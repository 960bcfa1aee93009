//! Secret keys for programs: made by users, bounded in what they do, reach and ask, and ended at once everywhere.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use crate::people::roomy;
use crate::world::{PATIENCE, QUESTION, Reply, SHOP, World};
use chatward::ops::issued_keys::{self, NewKey};
use chatward::ops::trail::Actor;
use chatward::ops::{changes, key_lookup, sites};
use chatward::routes::{self, Policy};
use chatward_store::{Engine, IssuedKeyChange, SiteRow};
use chatward_types::{Clock, KeyScope, MINUTE, OwnerId, Role, SECOND, Scope};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const BY: Actor = Actor::Operator;
/// What "at once, on every node" means here; four times the interval of the poll, and room for a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(4);

async fn send(world: &World, token: &str, method: Method, path: &str, body: &Value) -> Reply {
    let call = world.call(method, path).header("authorization", &format!("Bearer {token}"));
    if body.is_null() { call.send().await } else { call.json(body).send().await }
}

async fn list_sites(world: &World, key: &str) -> Reply {
    send(world, key, Method::GET, "/api/v1/sites", &Value::Null).await
}

/// A body that the row takes; a partial change may be empty.
fn body_for(world: &World, row: &routes::Row) -> Value {
    let body = world.good_body(row, "");
    if body.is_null() && !matches!(*row.method, Method::GET | Method::DELETE) { json!({}) } else { body }
}

/// A user of the default owner, logged in.
async fn admin(world: &World) -> String {
    let user = world.user("admin@example.test", Role::Admin).await;
    world.access(world.app.owner, &user).await
}

/// A key made over the API: its id and its text.
async fn made(world: &World, access: &str, body: &Value) -> (String, String) {
    let reply = send(world, access, Method::POST, "/api/v1/keys", body).await;
    assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text());
    assert_eq!(reply.header("cache-control"), "no-store");
    let text = |name: &str| reply.json()[name].as_str().unwrap().to_owned();
    (text("id"), text("key"))
}

#[tokio::test]
async fn a_user_makes_a_key_that_is_shown_once_and_revokes_it() {
    for engine in World::ENGINES {
        let world = roomy().engine(engine).start().await;
        let access = admin(&world).await;
        let body = json!({ "scopes": ["manage", "feed:publish"], "name": "deploy", "models": ["small"],
            "sites": [world.site.id.to_string()], "expires_days": 90, "per_minute": 100, "daily_micro_usd": 5_000_000 });
        let (id, key) = made(&world, &access, &body).await;
        let path = format!("/api/v1/keys/{id}");
        let read = send(&world, &access, Method::GET, &path, &Value::Null).await;
        let view = read.json();
        assert_eq!(view["scopes"], json!(["feed:publish", "manage"]));
        for (name, value) in [
            ("name", json!("deploy")),
            ("models", json!(["small"])),
            ("per_minute", json!(100)),
            ("per_hour", Value::Null),
            ("daily_micro_usd", json!(5_000_000)),
            ("environment", json!("development")),
            ("state", json!("holds")),
            ("sites", body["sites"].clone()),
        ] {
            assert_eq!(view[name], value, "{name}");
        }
        assert_eq!(view["expires_at"].as_i64().unwrap() - view["created_at"].as_i64().unwrap(), 90 * 86_400);
        let list = send(&world, &access, Method::GET, "/api/v1/keys", &Value::Null).await;
        let secret = key.rsplit('_').next().unwrap();
        let stored = world.database.everything().await;
        assert!(!read.text().contains(secret) && !list.text().contains(secret), "shown once");
        assert!(!stored.windows(44).any(|window| window == &secret.as_bytes()[..44]), "stored as a hash");
        assert!(list.text().contains(&id));
        assert_eq!(list_sites(&world, &key).await.status, StatusCode::OK);

        let change = json!({ "name": "other", "per_minute": null, "per_hour": 7 });
        let changed = send(&world, &access, Method::PATCH, &path, &change).await.json();
        assert_eq!(
            (&changed["name"], &changed["per_minute"], &changed["per_hour"]),
            (&json!("other"), &Value::Null, &json!(7))
        );
        assert_eq!(changed["daily_micro_usd"], 5_000_000, "what is absent stays");
        let gone = send(&world, &access, Method::DELETE, &path, &Value::Null).await;
        assert_eq!(gone.status, StatusCode::NO_CONTENT);
        assert_eq!(list_sites(&world, &key).await.code(), "key_invalid");
        assert_eq!(send(&world, &access, Method::DELETE, &path, &Value::Null).await.status, StatusCode::NOT_FOUND);
        let head = world.app.store.trail_head().await.unwrap().unwrap();
        assert!(head.subject == id && head.actor.starts_with("user:"), "{head:?}");
    }
}

#[tokio::test]
async fn what_a_key_cannot_be_given_is_refused_and_makes_none() {
    let world = roomy().start().await;
    let access = admin(&world).await;
    let stranger = OwnerId::generate(world.app.clock.as_ref(), world.app.entropy.as_ref()).unwrap();
    world.app.store.insert_owner(stranger, "another", world.app.clock.now()).await.unwrap();
    let theirs = sites::add(&world.app, &Scope::of(stranger), "http://cafe.test", None, &[]).await.unwrap();
    for (body, named) in [
        (json!({}), "scopes"),
        (json!({ "scopes": [] }), "scopes"),
        (json!({ "scopes": ["admin"] }), "scopes"),
        (json!({ "scopes": ["chat"], "sites": [theirs.id.to_string()] }), "sites"),
        (json!({ "scopes": ["chat"], "sites": ["x"] }), "sites"),
        (json!({ "scopes": ["chat"], "models": [""] }), "models"),
        (json!({ "scopes": ["chat"], "models": vec!["m"; 101] }), "100"),
        (json!({ "scopes": ["chat"], "per_minute": 0 }), "minute"),
        (json!({ "scopes": ["chat"], "daily_micro_usd": -1 }), "budget"),
        (json!({ "scopes": ["chat"], "expires_days": 0 }), "days"),
        (json!({ "scopes": ["chat"], "name": "a\nb" }), "name"),
        (json!({ "scopes": ["chat"], "owner": "x" }), "too many"),
    ] {
        let reply = send(&world, &access, Method::POST, "/api/v1/keys", &body).await;
        assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}: {}", reply.text());
        assert!(reply.text().contains(named), "{body}: {}", reply.text());
    }
    assert_eq!(world.app.store.count_issued_keys(&Scope::of(world.app.owner), 0).await.unwrap(), 0);
    let reply = issued_keys::check_role(KeyScope::Manage.into(), Role::Member).unwrap_err();
    assert_eq!(reply.code(), "role_insufficient", "nobody hands out more than they have");
}

#[tokio::test]
async fn a_key_of_another_tenant_is_not_there() {
    for engine in World::ENGINES {
        let world = roomy().engine(engine).start().await;
        let access = admin(&world).await;
        let (id, key) = made(&world, &access, &json!({ "scopes": ["manage"] })).await;
        let stranger = OwnerId::generate(world.app.clock.as_ref(), world.app.entropy.as_ref()).unwrap();
        world.app.store.insert_owner(stranger, "another", world.app.clock.now()).await.unwrap();
        let user = world.user_of(stranger, "theirs@example.test", Role::Owner).await;
        let theirs = world.access(stranger, &user).await;
        let path = format!("/api/v1/keys/{id}");
        for (method, path, body) in [
            (Method::GET, path.clone(), Value::Null),
            (Method::PATCH, path.clone(), json!({ "name": "mine" })),
            (Method::POST, format!("{path}/rotate"), json!({})),
            (Method::DELETE, path.clone(), Value::Null),
        ] {
            let reply = send(&world, &theirs, method.clone(), &path, &body).await;
            assert_eq!((reply.status, reply.code().as_str()), (StatusCode::NOT_FOUND, "not_found"), "{method}");
        }
        assert_eq!(
            send(&world, &theirs, Method::GET, "/api/v1/keys", &Value::Null).await.json(),
            json!({ "keys": [] })
        );
        for id in ["%00", "x", "%2e%2e", &"0".repeat(400)] {
            let reply = send(&world, &theirs, Method::GET, &format!("/api/v1/keys/{id}"), &Value::Null).await;
            assert_eq!(reply.status, StatusCode::NOT_FOUND, "{id}: {}", reply.text());
        }
        assert_eq!(list_sites(&world, &key).await.status, StatusCode::OK, "it is as it was");
    }
}

#[tokio::test]
async fn a_key_does_only_what_its_scopes_say() {
    let world = roomy().start().await;
    let access = admin(&world).await;
    for scope in ["chat", "gateway", "realtime", "feed:publish"] {
        let (_, key) = made(&world, &access, &json!({ "scopes": [scope] })).await;
        for row in routes::rows() {
            if !matches!(row.policy, Policy::Manage(..)) {
                continue;
            }
            let body = body_for(&world, &row);
            let reply = send(&world, &key, row.method.clone(), &world.concrete(row.path), &body).await;
            assert_eq!(
                (reply.status, reply.code().as_str()),
                (StatusCode::FORBIDDEN, "key_scope"),
                "{} {}",
                scope,
                row.path
            );
        }
    }
}

#[tokio::test]
async fn a_key_that_a_browser_sends_is_refused_by_every_route_and_told() {
    let world = roomy().set("limits.per_minute", 10_000).set("limits.sign_in_per_minute", 10_000).start().await;
    let key = world.key().await;
    let mut refused = 0_u64;
    for row in routes::rows().into_iter().filter(|row| row.policy != Policy::Public) {
        let body = body_for(&world, &row);
        let ask = async |name: &str, value: &str| {
            let call = world.call(row.method.clone(), &world.concrete(row.path));
            let call = call.header("authorization", &format!("Bearer {key}")).header(name, value);
            if body.is_null() { call.send().await } else { call.json(&body).send().await }
        };
        for (name, value) in [("origin", SHOP), ("sec-fetch-site", "same-origin"), ("sec-fetch-dest", "empty")] {
            let reply = ask(name, value).await;
            assert_eq!((reply.status, reply.code().as_str()), (StatusCode::FORBIDDEN, "secret_key_exposed"), "{row:?}");
            refused += 1;
        }
        // Programs send this one, too.
        assert_ne!(ask("sec-fetch-mode", "cors").await.code(), "secret_key_exposed", "{row:?}");
    }
    let counts = world.app.events.counts();
    let told = counts.iter().find(|(name, _)| *name == "SECRET_KEY_EXPOSED").map_or(0, |(_, count)| *count);
    assert!(refused > 60 && told == refused, "each is told: {told} of {refused}");
}

#[tokio::test]
async fn a_key_for_one_site_reaches_no_other_by_any_route() {
    for engine in World::ENGINES {
        let world = roomy().engine(engine).set("limits.per_minute", 1000).start().await;
        let scope = Scope::of(world.app.owner);
        let other = sites::add(&world.app, &scope, "http://cafe.test", None, &[]).await.unwrap();
        let key_for = async |site: &SiteRow| {
            let new = NewKey { scopes: KeyScope::Manage.into(), sites: vec![site.id], ..NewKey::default() };
            issued_keys::create_by(&world.app, &scope, &new, &BY).await.unwrap().text.expose().clone()
        };
        let (ours, others) = (key_for(&world.site).await, key_for(&other).await);
        let mut walked = 0;
        for row in routes::rows() {
            if !matches!(row.policy, Policy::Manage(..)) {
                continue;
            }
            walked += 1;
            let body = body_for(&world, &row);
            // A conversation of our site, for the rows that name one.
            let visitor = world.visitor().await;
            assert_eq!(world.ask(&visitor, QUESTION).await.status, StatusCode::OK);
            let talks = world.app.store.list_conversations(&scope, world.site.id, None, 1).await.unwrap();
            let address = world.concrete(row.path).replace("{conversation}", &talks[0].id.to_string());
            let ask = async |key: &str| send(&world, key, row.method.clone(), &address, &body).await;
            let what = format!("{} {}", row.method, row.path);
            if row.path.starts_with("/api/v1/conversations/{") {
                let reply = ask(&others).await;
                assert_eq!((reply.status, reply.code().as_str()), (StatusCode::NOT_FOUND, "not_found"), "{what}");
                assert!(ask(&ours).await.status.is_success(), "{what}");
            } else if row.path.starts_with("/api/v1/sites/{") {
                let reply = ask(&others).await;
                assert_eq!((reply.status, reply.code().as_str()), (StatusCode::NOT_FOUND, "not_found"), "{what}");
                let nobodys = world
                    .concrete(row.path)
                    .replace(&world.site.id.to_string(), "site_00000000000000000000000000000000");
                let absent = send(&world, &others, row.method.clone(), &nobodys, &body).await;
                let text = |reply: &Reply| reply.json()["error"]["message"].clone();
                assert_eq!(text(&absent), text(&reply), "{what}: as if it were not there");
                // Another way of writing the same address is no way around.
                let written = world.concrete(row.path).replace("site_", "site%5F");
                let reply = send(&world, &others, row.method.clone(), &written, &body).await;
                assert_eq!(reply.status, StatusCode::NOT_FOUND, "{what}");
                // The site itself is needed for the rows to come.
                let destroys = row.method == Method::DELETE && row.path == "/api/v1/sites/{id}";
                assert!(destroys || ask(&ours).await.status.is_success(), "{what}");
            } else if row.path == "/api/v1/sites" && row.method == Method::GET {
                for (key, site, absent) in [(&ours, &world.site, &other), (&others, &other, &world.site)] {
                    let text = ask(key).await.text();
                    assert!(text.contains(&site.id.to_string()) && !text.contains(&absent.id.to_string()), "{what}");
                }
            } else {
                let reply = ask(&ours).await;
                assert_eq!((reply.status, reply.code().as_str()), (StatusCode::FORBIDDEN, "key_sites"), "{what}");
            }
        }
        assert!(walked >= 12);
        // A key whose only site is gone reaches none, and not all.
        sites::remove(&world.app, &scope, other.id).await.unwrap();
        assert_eq!(list_sites(&world, &others).await.json()["sites"], json!([]));
        let site = send(&world, &others, Method::GET, &format!("/api/v1/sites/{}", world.site.id), &Value::Null).await;
        assert_eq!(site.status, StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn a_key_is_counted_by_itself_and_a_successor_goes_on_counting() {
    let world = roomy().start().await;
    let access = admin(&world).await;
    let (id, key) = made(&world, &access, &json!({ "scopes": ["manage"], "per_minute": 3 })).await;
    let (_, other) = made(&world, &access, &json!({ "scopes": ["manage"] })).await;
    for _ in 0..3 {
        assert_eq!(list_sites(&world, &key).await.status, StatusCode::OK);
    }
    world.clock.advance(20 * SECOND);
    let refused = list_sites(&world, &key).await;
    assert_eq!((refused.status, refused.code().as_str()), (StatusCode::TOO_MANY_REQUESTS, "key_rate_limited"));
    assert_eq!(refused.header("retry-after"), "40");
    assert_eq!(list_sites(&world, &other).await.status, StatusCode::OK, "another key has its own");
    let rotated = send(&world, &access, Method::POST, &format!("/api/v1/keys/{id}/rotate"), &json!({})).await.json();
    let next = rotated["key"].as_str().unwrap();
    assert_eq!(list_sites(&world, next).await.code(), "key_rate_limited", "a rotation buys no fresh window");
    world.clock.advance(40 * SECOND);
    assert_eq!(list_sites(&world, next).await.status, StatusCode::OK);
    // A new bound holds for the next request.
    let change = IssuedKeyChange { per_minute: Some(Some(1)), ..IssuedKeyChange::default() };
    let next_id = rotated["id"].as_str().unwrap();
    issued_keys::change(&world.app, &Scope::of(world.app.owner), next_id, &change, &BY).await.unwrap();
    assert_eq!(list_sites(&world, next).await.code(), "key_rate_limited");
    assert!(world.has_event("RATE_LIMIT_EXCEEDED"));
}

#[tokio::test]
async fn the_last_use_is_noted_apart_from_the_request_and_once_a_minute() {
    for engine in World::ENGINES {
        let world = roomy().engine(engine).start().await;
        let access = admin(&world).await;
        let (id, key) = made(&world, &access, &json!({ "scopes": ["manage"] })).await;
        let noted = async || {
            let row = world.app.store.get_issued_key(&Scope::of(world.app.owner), &id).await.unwrap().unwrap();
            row.last_used_at
        };
        let first = world.clock.now();
        assert_eq!(list_sites(&world, &key).await.status, StatusCode::OK);
        assert_eq!(noted().await, None, "a use is no write");
        key_lookup::flush_uses(&world.app).await.unwrap();
        assert_eq!(noted().await, Some(first));
        world.clock.advance(MINUTE - 1);
        list_sites(&world, &key).await;
        key_lookup::flush_uses(&world.app).await.unwrap();
        assert_eq!(noted().await, Some(first));
        world.clock.advance(1);
        list_sites(&world, &key).await;
        key_lookup::flush_uses(&world.app).await.unwrap();
        assert_eq!(noted().await, Some(first + MINUTE));
        let told: Vec<_> = world.app.events.tail();
        let used = format!("key {id}");
        let uses = told.iter().filter(|event| event.detail.as_deref() == Some(&used));
        assert_eq!(uses.filter(|event| event.name.as_str() == "API_KEY_VALIDATION").count(), 3, "each use is told");
    }
}

#[tokio::test]
async fn a_known_key_asks_the_store_nothing_and_an_unknown_text_is_not_remembered() {
    let world = roomy().start().await;
    let key = world.key().await;
    let holds = async |text: &str| key_lookup::recognise(&world.app, text).await.unwrap().is_some();
    assert!(holds(&key).await);
    assert_eq!(world.app.issued.remembered(), 1);
    for number in 0..50 {
        let other =
            chatward_vault::SecretKey::generate(world.app.config.environment, world.app.entropy.as_ref()).unwrap();
        assert!(!holds(other.reveal().expose()).await, "{number}");
        assert!(!holds(&format!("{}{number:02}", &key[..key.len() - 2])).await, "{number}");
    }
    assert_eq!(world.app.issued.remembered(), 1, "only keys that hold are");
    world.database.tamper("ALTER TABLE issued_keys RENAME TO away").await;
    assert!(holds(&key).await, "from memory");
    world.database.tamper("ALTER TABLE away RENAME TO issued_keys").await;
    // Ended by another node, whose change this one has not heard of: believed for a minute at most.
    let seq = world.app.store.latest_change().await.unwrap();
    let scope = Scope::of(world.app.owner);
    world.app.store.revoke_issued_keys(&scope, None, world.clock.now()).await.unwrap();
    assert!(holds(&key).await);
    changes::apply_since(&world.app, seq).await.unwrap();
    assert!(!holds(&key).await, "heard of");
    let key = world.key().await;
    assert!(holds(&key).await);
    world.app.store.revoke_issued_keys(&scope, None, world.clock.now()).await.unwrap();
    world.clock.advance(MINUTE);
    assert!(!holds(&key).await, "read again");
}

/// A request whose body is not all there: it runs until its key ends.
async fn half_a_request(world: &World, key: &str) -> tokio::net::TcpStream {
    let running = world.app.issued.running();
    let mut stream = world.connect().await;
    let head = format!(
        "PATCH /api/v1/sites/{} HTTP/1.1\r\nhost: localhost:{}\r\nauthorization: Bearer {key}\r\n\
         content-type: application/json\r\ncontent-length: 50\r\n\r\n{{",
        world.site.id,
        world.address.port()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let began = Instant::now();
    while world.app.issued.running() == running {
        assert!(began.elapsed() < PATIENCE, "the request runs");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    stream
}

async fn answer(stream: &mut tokio::net::TcpStream) -> String {
    let mut bytes = vec![0; 8192];
    let count = tokio::time::timeout(SOON, stream.read(&mut bytes)).await.unwrap().unwrap();
    String::from_utf8_lossy(&bytes[..count]).into_owned()
}

/// Another node on the first one's database, with the task that follows changes.
pub(crate) async fn second_node(one: &World) -> (World, tokio::task::JoinHandle<()>) {
    let other = roomy()
        .engine(Engine::Postgres)
        .set("database.url", one.database.config().url.expose())
        .set("vault.key_file", one.folder.path().join("keys/master.key").display())
        .start()
        .await;
    let jobs = tokio::spawn(chatward::jobs::run(other.app.clone()));
    while other.app.store.live_nodes(other.clock.now()).await.unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    (other, jobs)
}

pub(crate) async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !is_so().await {
        assert!(began.elapsed() < SOON, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_revoked_key_ends_at_once_on_every_node_with_what_runs_on_it() {
    let one = roomy().engine(Engine::Postgres).start().await;
    let (other, jobs) = second_node(&one).await;
    let scope = Scope::of(one.app.owner);
    let (key, kept) = (one.key().await, one.key().await);
    for world in [&one, &other] {
        assert_eq!(list_sites(world, &key).await.status, StatusCode::OK);
    }
    let (mut here, mut there) = (half_a_request(&one, &key).await, half_a_request(&other, &key).await);
    let mut others = half_a_request(&other, &kept).await;
    issued_keys::revoke(&one.app, &scope, &key).await.unwrap();
    assert_eq!(list_sites(&one, &key).await.code(), "key_invalid", "here without any delay");
    eventually("the other node refuses it", async || list_sites(&other, &key).await.code() == "key_invalid").await;
    for stream in [&mut here, &mut there] {
        let text = answer(stream).await;
        assert!(text.starts_with("HTTP/1.1 401") && text.contains("key_invalid"), "{text}");
    }
    let quiet = tokio::time::timeout(Duration::from_millis(300), others.read_u8()).await;
    assert!(quiet.is_err(), "another key's request runs on");

    // All keys that may do one thing, together.
    let chat = issued_keys::create(&one.app, &scope, KeyScope::Chat, "", None).await.unwrap();
    assert!(key_lookup::recognise(&other.app, chat.text.expose()).await.unwrap().is_some());
    assert_eq!(issued_keys::revoke_all(&one.app, &scope, Some(KeyScope::Manage), &BY).await.unwrap().len(), 1);
    eventually("all are refused", async || list_sites(&other, &kept).await.code() == "key_invalid").await;
    assert!(answer(&mut others).await.starts_with("HTTP/1.1 401"));
    assert!(key_lookup::recognise(&other.app, chat.text.expose()).await.unwrap().is_some(), "it may not manage");
    assert_eq!((one.app.issued.running(), other.app.issued.running()), (0, 0));
    other.app.stopping.cancel();
    tokio::time::timeout(PATIENCE, jobs).await.unwrap().unwrap();
}

#[tokio::test]
async fn keys_end_together_without_the_trail_and_are_recorded_later() {
    for engine in World::ENGINES {
        let world = roomy().engine(engine).start().await;
        let scope = Scope::of(world.app.owner);
        let keys = [world.key().await, world.key().await];
        for key in &keys {
            assert_eq!(list_sites(&world, key).await.status, StatusCode::OK);
        }
        world.database.tamper("ALTER TABLE audit_trail RENAME TO gone").await;
        let ended = issued_keys::revoke_all(&world.app, &scope, None, &BY).await.unwrap();
        assert_eq!(ended.len(), 2);
        for key in &keys {
            assert_eq!(list_sites(&world, key).await.code(), "key_invalid");
        }
        assert_eq!(world.app.trail.waiting(), 1);
        world.database.tamper("ALTER TABLE gone RENAME TO audit_trail").await;
        chatward::ops::trail::flush_reserve(&world.app).await.unwrap();
        let head = world.app.store.trail_head().await.unwrap().unwrap();
        assert!(head.detail.contains("all keys revoked"), "{}", head.detail);
        assert_eq!(issued_keys::revoke_all(&world.app, &scope, None, &BY).await.unwrap(), Vec::<String>::new());
    }
}
