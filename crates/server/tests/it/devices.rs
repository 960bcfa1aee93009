//! Devices (AUTH-03, AUTH-08): the owner's list, tokens of a purpose of their own, renewal, revocation, and the command line.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail by panicking, as tests do")]

use crate::frames::sockets_world;
use crate::process::{Server, add_site, run};
use crate::world::{Reply, World, request};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chatward::ops::devices;
use chatward::ops::trail::Actor;
use chatward_types::{Clock, DAY, DeviceId, HOUR, MINUTE, OwnerId, Role, SECOND, Scope, Secret};
use chatward_vault::{SystemEntropy, hmac_sha256};
use http::{Method, StatusCode};
use serde_json::{Value, json};

const RENEW: &str = "/api/v1/devices/renew";

async fn renew(world: &World, token: &str) -> Reply {
    world.call(Method::POST, RENEW).header("authorization", &format!("Bearer {token}")).raw_json("{}").send().await
}

#[tokio::test]
async fn admins_add_list_and_revoke_devices_of_their_own_owner_alone() {
    for engine in World::ENGINES {
        let world = sockets_world().engine(engine).start().await;
        let app = &world.app;
        let other = OwnerId::generate(app.clock.as_ref(), app.entropy.as_ref()).unwrap();
        app.store.insert_owner(other, "another", app.clock.now()).await.unwrap();
        let ours = world.user("admin@example.test", Role::Admin).await;
        let theirs = world.user_of(other, "cafe@example.test", Role::Owner).await;
        let (ours, theirs) = (world.access(app.owner, &ours).await, world.access(other, &theirs).await);
        let post = async |access: &str, path: &str, body: Value| {
            world.with(access, Method::POST, path).json(&body).send().await
        };
        let made = post(&ours, "/api/v1/devices", json!({ "name": "terminal-1", "feeds": ["art"] })).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
        assert_eq!((&made.json()["state"], &made.json()["seen_at"]), (&json!("allowed"), &Value::Null));
        let id = made.json()["id"].as_str().unwrap().to_owned();
        assert!(id.starts_with("dev_"));
        let again = post(&ours, "/api/v1/devices", json!({ "name": "terminal-1" })).await;
        assert_eq!((again.status.as_u16(), again.code().as_str()), (409, "device_name_taken"));
        assert_eq!(post(&theirs, "/api/v1/devices", json!({ "name": "terminal-1" })).await.status, StatusCode::CREATED);
        for bad in [
            json!({ "name": "" }),
            json!({ "name": "a b" }),
            json!({ "name": "x".repeat(65) }),
            json!({ "name": "ünit" }),
            json!({ "name": "a", "feeds": ["b c"] }),
            json!({ "name": "a", "feeds": vec!["b"; 17] }),
            json!({ "name": "a", "expires_days": 0 }),
            json!({ "name": "a", "expires_days": 3651 }),
            json!({ "name": "a", "owner": other }),
        ] {
            assert_eq!(post(&ours, "/api/v1/devices", bad.clone()).await.status.as_u16(), 422, "{bad}");
        }
        let issued = post(&ours, &format!("/api/v1/devices/{id}/token"), json!({ "expires_in": 3600 })).await;
        assert_eq!(issued.status, StatusCode::CREATED, "{}", issued.text());
        let token = issued.json()["token"].as_str().unwrap().to_owned();
        for bad in [59, 90 * 86_400 + 1, -1, i64::MAX] {
            let refused = post(&ours, &format!("/api/v1/devices/{id}/token"), json!({ "expires_in": bad })).await;
            assert_eq!(refused.status.as_u16(), 422, "{bad}");
        }
        // Another owner's admin finds nothing of it.
        let list = async |access: &str| world.with(access, Method::GET, "/api/v1/devices").send().await.json();
        assert!(!list(&theirs).await.to_string().contains(&id));
        let elsewhere = post(&theirs, &format!("/api/v1/devices/{id}/token"), json!({})).await;
        assert_eq!(elsewhere.status.as_u16(), 404);
        let path = format!("/api/v1/devices/{id}");
        assert_eq!(world.with(&theirs, Method::DELETE, &path).send().await.status.as_u16(), 404);
        assert_eq!(renew(&world, &token).await.status, StatusCode::OK);

        // It was there, which is written down once a minute.
        let seen = list(&ours).await["devices"][0]["seen_at"].as_i64().unwrap();
        world.clock.advance(MINUTE - SECOND);
        renew(&world, &token).await;
        assert_eq!(list(&ours).await["devices"][0]["seen_at"], json!(seen));
        world.clock.advance(SECOND);
        renew(&world, &token).await;
        assert_eq!(list(&ours).await["devices"][0]["seen_at"], json!(seen + 60));

        assert_eq!(world.with(&ours, Method::DELETE, &path).send().await.status.as_u16(), 204);
        assert_eq!(world.with(&ours, Method::DELETE, &path).send().await.status.as_u16(), 404);
        assert_eq!(renew(&world, &token).await.code(), "device_token_invalid");
        assert_eq!(list(&ours).await["devices"][0]["state"], "revoked");
        let after = post(&ours, &format!("{path}/token"), json!({})).await;
        assert_eq!(after.status.as_u16(), 404, "a revoked device gets no token");
        // Whoever did what is in the trail.
        let records = app.store.trail_after(0, 0, 100).await.unwrap();
        let done: Vec<String> = records
            .iter()
            .filter(|record| record.name == "DEVICE_CHANGED" && record.subject == id)
            .map(|record| serde_json::from_str::<Value>(&record.detail).unwrap()["what"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(done, ["device added", "device token issued", "device revoked"]);
        assert!(records.iter().all(|record| !record.detail.contains(&token)));
    }
}

#[tokio::test]
async fn a_device_is_added_and_gets_a_token_with_a_record_or_not_at_all_and_is_revoked_anyway() {
    for engine in World::ENGINES {
        let world = sockets_world().engine(engine).start().await;
        let scope = Scope::of(world.app.owner);
        let (id, token) = world.device("terminal-1").await;
        world.database.tamper("ALTER TABLE audit_trail RENAME TO gone").await;
        let by = Actor::Operator;
        assert!(devices::add(&world.app, &scope, "terminal-2", Vec::new(), None, &by).await.is_err());
        assert_eq!(world.app.store.list_devices(&scope).await.unwrap().len(), 1);
        assert!(devices::issue(&world.app, &scope, id, HOUR, &by).await.is_err());
        devices::revoke(&world.app, &scope, id, &by).await.unwrap();
        assert_eq!(renew(&world, &token).await.status, StatusCode::UNAUTHORIZED);
        world.database.tamper("ALTER TABLE gone RENAME TO audit_trail").await;
        assert_eq!(world.app.trail.waiting(), 1);
    }
}

#[tokio::test]
async fn a_token_is_renewed_while_it_holds_and_for_a_year_in_all() {
    let world = sockets_world().start().await;
    let owner = world.app.owner;
    let (id, _) = world.device("terminal-1").await;
    let began = world.clock.now();
    let first = world.token_of(owner, id, 90 * DAY).await;
    assert_eq!(first.renewable_until, (began + 365 * DAY) / SECOND);
    let mut token = first.token.clone();
    let mut end = first.expires_at;
    for _ in 0..4 {
        world.clock.advance(end * SECOND - world.clock.now() - SECOND);
        let next = renew(&world, &token).await;
        assert_eq!(next.status, StatusCode::OK, "{}", next.text());
        let ends = next.json()["expires_at"].as_i64().unwrap();
        assert!(ends > end && ends <= first.renewable_until, "{}", next.text());
        (token, end) = (next.json()["token"].as_str().unwrap().to_owned(), ends);
    }
    assert_eq!(end, first.renewable_until, "the last one ends with the line");
    let refused = renew(&world, &token).await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (403, "device_token_final"));
    assert_eq!(renew(&world, &first.token).await.status.as_u16(), 401, "the first ran out long ago");
    world.clock.advance(end * SECOND - world.clock.now());
    assert_eq!(renew(&world, &token).await.status.as_u16(), 401);

    // A device with an end of its own takes its tokens along.
    let scope = Scope::of(owner);
    let row = devices::add(&world.app, &scope, "brief", Vec::new(), Some(DAY), &Actor::Operator).await.unwrap();
    let token = world.token_of(owner, row.id, 30 * DAY).await;
    assert_eq!(token.expires_at, row.expires_at.unwrap() / SECOND);
    assert_eq!(renew(&world, &token.token).await.code(), "device_token_final");
}

#[tokio::test]
async fn renewals_are_limited_by_address() {
    let world = World::start().await;
    let (_, token) = world.device("terminal-1").await;
    for _ in 0..20 {
        assert_eq!(renew(&world, &token).await.status, StatusCode::OK);
    }
    assert_eq!(renew(&world, &token).await.code(), "rate_limited");
}

/// The object with one member replaced, or taken out by `null`.
fn with(object: &Value, name: &str, value: Value) -> Value {
    let mut object = object.clone();
    let members = object.as_object_mut().unwrap();
    if value.is_null() {
        members.remove(name)
    } else {
        members.insert(name.to_owned(), value)
    };
    object
}

/// A ring's signing key, for a forger who holds it.
async fn key_of(world: &World, purpose: &str) -> (String, Secret<[u8; 32]>) {
    let row = world.app.store.signing_keys(purpose).await.unwrap();
    let row = row.into_iter().next().expect("each purpose has a key of its own");
    let bytes = world.app.vault.open(&format!("signing:{purpose}:{}", row.kid), &row.sealed).unwrap();
    (row.kid, Secret::new(bytes.try_into().unwrap()))
}

fn sign(key: &Secret<[u8; 32]>, header: &Value, claims: &Value) -> String {
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", encode(header), encode(claims));
    let signature = URL_SAFE_NO_PAD.encode(hmac_sha256(key, message.as_bytes()));
    format!("{message}.{signature}")
}

#[tokio::test]
async fn purpose_issuer_audience_expiry_and_algorithm_of_every_access_token_are_pinned() {
    let world = sockets_world().set("limits.per_minute", 1000).start().await;
    let (id, _) = world.device("terminal-1").await;
    let owner = world.app.owner;
    let user = world.user("owner@example.test", Role::Owner).await;
    let access = world.access(owner, &user).await;
    let login = chatward::ops::logins::recognise(&world.app, &access).await.unwrap().unwrap().login;
    let now = world.clock.now() / SECOND;
    let unknown = DeviceId::generate(world.clock.as_ref(), &SystemEntropy).unwrap();
    let another = OwnerId::generate(world.clock.as_ref(), &SystemEntropy).unwrap();
    let device_claims = json!({
        "iss": "chatward", "aud": "chatward:device", "sub": id.to_string(), "own": owner.to_string(),
        "device": "terminal-1", "fst": now, "iat": now, "exp": now + 3600,
    });
    let user_claims = json!({
        "iss": "chatward", "aud": "chatward:user", "sub": user.id.to_string(), "own": owner.to_string(),
        "lgn": login.unwrap().to_string(), "iat": now, "exp": now + 1800,
    });
    let purposes = [
        ("device", "device+jwt", Method::POST, RENEW, device_claims),
        ("user", "user+jwt", Method::GET, "/api/v1/auth/me", user_claims),
    ];
    for (purpose, kind, method, path, claims) in purposes {
        let (kid, key) = key_of(&world, purpose).await;
        let header = json!({ "alg": "HS256", "typ": kind, "kid": kid });
        let ask = async |token: &str| {
            let call = world.call(method.clone(), path).header("authorization", &format!("Bearer {token}"));
            if method == Method::POST { call.raw_json("{}").send().await } else { call.send().await }
        };
        let good = ask(&sign(&key, &header, &claims)).await;
        assert_eq!(good.status, StatusCode::OK, "the forger's own form is right: {}", good.text());
        let mut cases = Vec::new();
        for (what, name, value) in [
            ("expired", "exp", json!(now)),
            ("never expiring", "exp", Value::Null),
            ("expiring beyond the numbers", "exp", json!(i64::MAX)),
            ("from the future", "iat", json!(now + 3600)),
            ("another issuer", "iss", json!("stranger")),
            ("no issuer", "iss", Value::Null),
            ("another audience", "aud", json!("chatward:visitor")),
            ("a list of audiences", "aud", json!(["chatward:device", "chatward:user"])),
            ("no audience", "aud", Value::Null),
            ("another owner", "own", json!(another.to_string())),
            ("another's id", "sub", json!(unknown.to_string())),
            ("a role of its own choice", "role", json!("owner")),
        ] {
            cases.push((what, sign(&key, &header, &with(&claims, name, value))));
        }
        for (what, name, value) in [
            ("another algorithm", "alg", json!("HS512")),
            ("no algorithm", "alg", json!("none")),
            ("an algorithm of public keys", "alg", json!("RS256")),
            ("the common type", "typ", json!("JWT")),
            ("a visitor's type", "typ", json!("visitor+jwt")),
            ("no type", "typ", Value::Null),
            ("an unknown key", "kid", json!("0000000000000000")),
            ("no key's name", "kid", Value::Null),
            ("a key's address", "jku", json!("http://stranger.test/keys")),
            ("a key in its header", "jwk", json!({ "kty": "oct", "k": "AAAA" })),
            ("a certificate's address", "x5u", json!("http://stranger.test/")),
            ("a critical extension", "crit", json!(["exp"])),
        ] {
            cases.push((what, sign(&key, &with(&header, name, value), &claims)));
        }
        if purpose == "device" {
            for (what, name, value) in [
                ("a name that is not the device's", "device", json!("terminal-2")),
                ("no name", "device", Value::Null),
                ("no beginning", "fst", Value::Null),
            ] {
                cases.push((what, sign(&key, &header, &with(&claims, name, value))));
            }
        }
        // Every other purpose's key, under this purpose's own header and claims.
        for other in ["user", "device", "visitor", "ticket", "resume", "receipt", "account"] {
            if other != purpose {
                let (other_kid, other_key) = key_of(&world, other).await;
                cases.push(("another purpose's key", sign(&other_key, &header, &claims)));
                cases.push((
                    "another purpose's key by name",
                    sign(&other_key, &with(&header, "kid", json!(other_kid)), &claims),
                ));
            }
        }
        for (what, token) in cases {
            assert_eq!(ask(&token).await.status, StatusCode::UNAUTHORIZED, "{purpose}: {what}");
        }
    }
}

#[tokio::test]
async fn an_access_token_holds_for_thirty_minutes_unless_a_setting_says_otherwise() {
    for (setting, minutes) in [(None, 30), (Some("5"), 5)] {
        let mut builder = sockets_world();
        if let Some(value) = setting {
            builder = builder.set("accounts.access_minutes", value);
        }
        let world = builder.start().await;
        let user = world.user("ann@example.test", Role::Viewer).await;
        let access = world.access(world.app.owner, &user).await;
        let header: Value =
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(access.split('.').next().unwrap()).unwrap()).unwrap();
        assert_eq!((&header["alg"], &header["typ"]), (&json!("HS256"), &json!("user+jwt")));
        world.clock.advance(minutes * MINUTE - 1);
        assert!(world.holds(&access).await);
        world.clock.advance(1);
        assert!(!world.holds(&access).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn devices_are_managed_beside_a_running_server() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    add_site(folder);
    let server = Server::start(folder, &[]);
    let done = |arguments: &[&str]| {
        let output = run(folder, arguments);
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let added = done(&["device", "add", "terminal-1", "--feed", "art", "--for", "90d", "--json"]);
    assert_eq!((&added["name"], &added["state"]), (&json!("terminal-1"), &json!("allowed")));
    let issued = done(&["device", "token", "terminal-1", "--for", "30d", "--json"]);
    let token = issued["token"].as_str().unwrap().to_owned();
    let ask = async || {
        let call = request(server.address, Method::POST, RENEW).header("authorization", &format!("Bearer {token}"));
        call.raw_json("{}").send().await.status
    };
    assert_eq!(ask().await, StatusCode::OK);
    let listed = done(&["device", "list", "--json"]);
    assert_eq!(listed[0]["id"], added["id"]);
    assert!(!listed.to_string().contains(&token) && listed[0]["seen_at"].is_i64());
    assert_eq!(run(folder, &["device", "add", "terminal-1"]).status.code(), Some(1), "the name is taken");
    assert_eq!(run(folder, &["device", "add", "a b"]).status.code(), Some(2));
    assert_eq!(run(folder, &["device", "token", "terminal-1", "--for", "91d"]).status.code(), Some(2));
    assert_eq!(run(folder, &["device", "token", "nobody"]).status.code(), Some(1));
    let text = String::from_utf8(run(folder, &["device", "list"]).stdout).unwrap();
    assert!(text.contains("allowed  terminal-1"), "{text}");
    done(&["device", "revoke", "terminal-1", "--json"]);
    assert_eq!(ask().await, StatusCode::UNAUTHORIZED, "a running server refuses it");
    assert_eq!(run(folder, &["device", "revoke", "terminal-1"]).status.code(), Some(1));
}
