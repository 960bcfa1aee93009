//! What operators look for and find: each kind of event that LOG-03 names, provoked and found in the log; and the log with
//! the trail read back by filters, from the command line and over HTTP, each owner its own (LOG-09).

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use crate::frames::{DEVICE, sockets_world};
use crate::people::{PASSWORD, roomy};
use crate::process::{add_site, command, run};
use crate::security_log::text_of;
use crate::wire::until;
use crate::world::{PATIENCE, QUESTION, Reply, SHOP, STRANGER, World};
use chatward::jobs::run_housekeeping;
use chatward::ops::{issued_keys, sessions, sites};
use chatward_types::{Clock, EventName, KeyScope, Outcome, OwnerId, Role, SECOND, Scope, Severity};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tokio_tungstenite::tungstenite::Message;

/// The lines of an event with this outcome.
async fn lines(world: &World, name: &str, outcome: &str) -> Vec<Value> {
    let text = text_of(world).await;
    let all = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    all.filter(|line| line["event"] == name && line["outcome"] == outcome).collect()
}

#[tokio::test]
async fn each_kind_of_security_event_is_in_the_log() {
    let world = sockets_world().set("limits.per_minute", 1000).set("budgets.upstream_messages", 2).start().await;
    let scope = Scope::of(world.app.owner);
    world.user("ann@example.test", Role::Owner).await;
    let sites = "/api/v1/sites";
    let bearer = |text: &str| format!("Bearer {text}");
    let get = async |path: &str, authorization: &str| {
        let call = world.call(Method::GET, path);
        if authorization.is_empty() {
            call.send().await
        } else {
            call.header("authorization", authorization).send().await
        }
    };

    // Logging in, and failing to.
    assert_eq!(world.log_in("ann@example.test", "wrong").await.status, StatusCode::UNAUTHORIZED);
    let tokens = world.tokens("ann@example.test").await;
    // Calls without a credential, and with one that does not hold.
    for path in [sites, "/api/v1/auth/me"] {
        assert_eq!(get(path, "").await.status, StatusCode::UNAUTHORIZED);
        assert_eq!(get(path, &bearer("a.b.c")).await.status, StatusCode::UNAUTHORIZED);
    }
    // A key: made, used, revoked, used in vain.
    let key = issued_keys::create(&world.app, &scope, KeyScope::Manage, "deploy", None).await.unwrap();
    let text = key.text.expose().clone();
    assert_eq!(get(sites, &bearer(&text)).await.status, StatusCode::OK);
    issued_keys::revoke(&world.app, &scope, &key.row.id).await.unwrap();
    assert_eq!(get(sites, &bearer(&text)).await.status, StatusCode::UNAUTHORIZED);
    // A device that proves itself and one that does not, with their connections.
    let (device, device_token) = world.device("terminal").await;
    world.ready(DEVICE, &device_token).await.send(Message::Close(None)).await;
    assert_eq!(world.open_with_frame(DEVICE, "a.b.c").await.close_code().await, 1008);
    until(|| world.app.sockets.open() == 0).await;
    let device = format!("device {device}");
    // A page of somebody else's.
    assert_eq!(world.begin(STRANGER).await.status, StatusCode::FORBIDDEN);
    // A conversation that grows beyond what a provider is told.
    let visitor = world.visitor().await;
    for _ in 0..3 {
        assert_eq!(world.ask(&visitor, QUESTION).await.status, StatusCode::OK);
    }
    // The store, asked across owners.
    sessions::sweep(&world.app, world.clock.now()).await.unwrap();
    run_housekeeping(&world.app).await.unwrap();
    // A setting.
    let change = world.with(&tokens.access, Method::PATCH, &format!("{sites}/{}", world.site.id));
    assert_eq!(change.json(&json!({ "name": "Changed" })).send().await.status, StatusCode::OK);

    let wanted = [
        ("login success", "LOGIN_SUCCEEDED", "success", 1, "user usr_"),
        ("login failure", "LOGIN_FAILED", "refused", 1, ""),
        ("calls without credentials", "CREDENTIAL_MISSING", "refused", 2, ""),
        ("tokens that do not hold", "TOKEN_REFUSED", "refused", 2, "an access token"),
        ("key use", "API_KEY_VALIDATION", "success", 1, &*key.row.id),
        ("keys that do not hold", "API_KEY_VALIDATION", "refused", 1, "a secret key"),
        ("device authentication", "DEVICE_AUTHENTICATION", "success", 1, &*device),
        ("devices that do not hold", "DEVICE_AUTHENTICATION", "refused", 1, ""),
        ("WebSocket open", "WEBSOCKET_OPENED", "success", 2, ""),
        ("WebSocket close", "WEBSOCKET_CLOSED", "success", 1, &*device),
        ("WebSocket refused", "WEBSOCKET_CLOSED", "refused", 1, "1008"),
        ("origin refusals", "CORS_BLOCKED", "refused", 1, ""),
        ("history trimming", "HISTORY_TRIMMED", "success", 1, "turns"),
        ("database access patterns", "ADMINISTRATIVE_READ", "success", 2, "admin_"),
        ("configuration changes", "CONFIGURATION_CHANGED", "success", 1, "by user usr_"),
        ("key changes", "ISSUED_KEY_CHANGED", "success", 2, &*key.row.id),
    ];
    for (what, name, outcome, least, detail) in wanted {
        let found = lines(&world, name, outcome).await;
        let of_detail = found.iter().filter(|line| line["detail"].as_str().unwrap_or_default().contains(detail));
        assert!(of_detail.count() >= least, "{what}: {name} {outcome} {detail:?} is not {least} times in {found:#?}");
    }
    assert_eq!(lines(&world, "HISTORY_TRIMMED", "success").await.len(), 1, "once a conversation");
    let reads = lines(&world, "ADMINISTRATIVE_READ", "success").await;
    assert!(
        reads.iter().any(|line| line["detail"].as_str().unwrap().starts_with("admin_idle_sessions, ")),
        "{reads:#?}"
    );
    let all = text_of(&world).await;
    for secret in [&text, &device_token, &tokens.access, &PASSWORD.to_owned()] {
        assert!(!all.contains(secret.as_str()));
    }
}

#[tokio::test]
async fn a_flood_of_calls_is_counted_and_not_listed_nor_in_the_trail() {
    let world = roomy().start().await;
    let key = world.key().await;
    let before = world.app.store.trail_head().await.unwrap().unwrap().seq;
    for _ in 0..40 {
        world.get("/api/v1/sites").await;
        world.call(Method::GET, "/api/v1/sites").header("authorization", &format!("Bearer {key}")).send().await;
        world.with("a.b.c", Method::GET, "/api/v1/auth/me").send().await;
    }
    for (name, outcome) in
        [("CREDENTIAL_MISSING", "refused"), ("API_KEY_VALIDATION", "success"), ("TOKEN_REFUSED", "refused")]
    {
        let found = lines(&world, name, outcome).await;
        let counted: u64 = found.iter().map(|line| line["count"].as_u64().unwrap_or(1)).sum();
        assert_eq!((found.len(), counted), (11, 40), "{name}: {found:#?}");
    }
    assert_eq!(world.app.store.trail_head().await.unwrap().unwrap().seq, before);
}

/// Every page of what an administrator asks for, joined.
pub(crate) async fn all_events(world: &World, access: &str, query: &str) -> Vec<Value> {
    assert!(world.app.events.flush(PATIENCE).await);
    let (mut events, mut cursor) = (Vec::new(), String::new());
    for _ in 0..200 {
        let reply = world.with(access, Method::GET, &format!("/api/v1/events?{query}{cursor}")).send().await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
        events.extend(reply.json()["events"].as_array().unwrap().clone());
        match reply.json()["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return events,
        }
    }
    panic!("the pages do not end");
}

#[tokio::test]
async fn an_administrator_finds_events_by_name_time_address_key_and_session_page_by_page() {
    for engine in World::ENGINES {
        let world = roomy().engine(engine).set("logging.rotate_bytes", 65_536).start().await;
        let admin = world.user("admin@example.test", Role::Admin).await;
        let access = world.access(world.app.owner, &admin).await;
        let key =
            issued_keys::create(&world.app, &Scope::of(world.app.owner), KeyScope::Manage, "", None).await.unwrap();
        let began = world.clock.now();
        // More than a file holds, several at one time, and a record of the trail between them.
        for number in 0..600 {
            if number % 3 == 0 {
                world.clock.advance(SECOND);
            }
            if number % 100 == 0 {
                world.key().await;
            }
            let event = world.app.event(EventName::ConfigurationChanged, Severity::Info, Outcome::Success);
            event.site(world.app.owner, world.site.id).detail(format!("number {number}")).emit();
        }
        let visitor = world.visitor().await;
        let all = all_events(&world, &access, "limit=97").await;
        let numbers: Vec<&str> =
            all.iter().filter_map(|event| event["detail"].as_str()?.strip_prefix("number ")).collect();
        assert_eq!(numbers.len(), 600, "each once");
        assert_eq!(numbers.iter().collect::<BTreeSet<_>>().len(), 600);
        let folder = world.app.config.logging.security_file.clone().unwrap().parent().unwrap().to_owned();
        let files = std::fs::read_dir(folder)
            .unwrap()
            .filter(|entry| entry.as_ref().unwrap().file_name().to_str().unwrap().starts_with("security"));
        assert!(files.count() >= 2, "over a rotation");
        let times: Vec<&str> = all.iter().map(|event| event["time"].as_str().unwrap()).collect();
        assert!(times.is_sorted_by(|one, next| one >= next), "newest first");
        let records = all.iter().filter(|event| event["category"] == "AUDIT").count();
        let whole = world.app.store.trail_after(0, 0, 1000).await.unwrap().len();
        assert_eq!(records, whole, "the whole trail between them");

        let from = began / SECOND;
        for (query, most) in [
            ("name=issued_key".to_owned(), 30),
            (format!("since={}&until={}", from + 10, from + 12), 6),
            ("address=127.0.0.0/8&name=SESSION".to_owned(), 2),
            (format!("key={}", key.row.id), 3),
            (format!("session={}", visitor.session), 3),
        ] {
            let found = all_events(&world, &access, &format!("{query}&limit=4")).await;
            assert!(!found.is_empty() && found.len() <= most, "{query}: {found:#?}");
        }
        let of_key = all_events(&world, &access, &format!("key={}", key.row.id)).await;
        assert!(of_key.iter().any(|event| event["category"] == "AUDIT" && event["subject"] == key.row.id));
        assert!(all_events(&world, &access, "address=192.0.2.9").await.is_empty());
        for (bad, status) in [
            ("address=nowhere", 422),
            ("name=two%20words", 422),
            ("session=a%20b", 422),
            ("key=cw_sk_dev_typo", 422),
            ("since=9&until=9", 422),
            ("since=yesterday", 400),
            ("kind=x", 400),
            ("cursor=x", 400),
            ("limit=0", 422),
        ] {
            let reply: Reply = world.with(&access, Method::GET, &format!("/api/v1/events?{bad}")).send().await;
            assert_eq!(reply.status.as_u16(), status, "{bad}: {}", reply.text());
        }
    }
}

#[tokio::test]
async fn an_owner_sees_its_own_events_and_the_installations_owner_also_those_of_nobody() {
    let world = roomy().start().await;
    let foreign = OwnerId::generate(world.app.clock.as_ref(), world.app.entropy.as_ref()).unwrap();
    world.app.store.insert_owner(foreign, "another", world.clock.now()).await.unwrap();
    let (ours, theirs) = (Scope::of(world.app.owner), Scope::of(foreign));
    let site = sites::add(&world.app, &theirs, "http://cafe.test", None, &[]).await.unwrap();
    let their_key = issued_keys::create(&world.app, &theirs, KeyScope::Manage, "", None).await.unwrap();
    let our_key = issued_keys::create(&world.app, &ours, KeyScope::Manage, "", None).await.unwrap();
    for key in [&their_key, &our_key] {
        let bearer = format!("Bearer {}", key.text.expose());
        world.call(Method::GET, "/api/v1/sites").header("authorization", &bearer).send().await;
    }
    world.begin(STRANGER).await;
    world.begin(SHOP).await;
    let call = world.call(Method::POST, "/api/v1/widget/sessions").header("origin", "http://cafe.test");
    call.json(&json!({ "site": site.publishable_key })).send().await;
    let admin = world.user("admin@example.test", Role::Admin).await;
    let their_admin = world.user_of(foreign, "theirs@example.test", Role::Admin).await;
    let member = world.user("member@example.test", Role::Member).await;
    let our_events = all_events(&world, &world.access(world.app.owner, &admin).await, "limit=3").await;
    let their_events = all_events(&world, &world.access(foreign, &their_admin).await, "limit=3").await;
    let text = |events: &[Value]| json!(events).to_string();
    let (of_us, of_them) = (text(&our_events), text(&their_events));
    for (what, ours, theirs) in [
        (world.site.id.to_string(), true, false),
        (our_key.row.id.clone(), true, false),
        (site.id.to_string(), false, true),
        (their_key.row.id.clone(), false, true),
        ("CORS_BLOCKED".to_owned(), true, false),
    ] {
        assert_eq!((of_us.contains(&what), of_them.contains(&what)), (ours, theirs), "{what}");
    }
    assert!(their_events.iter().any(|event| event["event"] == "LOGIN_SUCCEEDED"), "their own logins");
    assert!(their_events.iter().any(|event| event["category"] == "AUDIT"), "their own records");
    let access = world.access(world.app.owner, &member).await;
    assert_eq!(world.with(&access, Method::GET, "/api/v1/events").send().await.status, StatusCode::FORBIDDEN);
    let key = format!("Bearer {}", our_key.text.expose());
    let by_key = world.call(Method::GET, "/api/v1/events").header("authorization", &key).send().await;
    assert_eq!(by_key.status, StatusCode::UNAUTHORIZED, "a program's key reads no log");
}

#[test]
fn the_command_line_refuses_a_filter_that_is_none_and_takes_both_ends_of_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for (arguments, says) in [
        (&["--name", "TWO WORDS"][..], "name"),
        (&["--address", "nowhere"], "address"),
        (&["--key", "cw_sk_dev_typo"], "key"),
        (&["--session", "a b"], "session"),
        (&["--since", "yesterday"], "time"),
        (&["--until", "2026-13-01"], "time"),
        (&["--since", "1h", "--until", "2h"], "until"),
        (&["--follow", "--until", "1h"], "--until"),
        (&["--limit", "0"], "--limit"),
    ] {
        let refused = command(folder).arg("events").args(arguments).output().unwrap();
        let text = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}: {text}");
        assert!(text.contains(says), "{arguments:?}: {text}");
        assert!(!folder.join("chatward.db").exists(), "nothing was opened for it");
    }
    add_site(folder);
    let count = |arguments: &[&str]| {
        let output = run(folder, &[&["events", "--json"], arguments].concat());
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().lines().count()
    };
    assert!(count(&["--since", "1h"]) > 0);
    assert_eq!(count(&["--until", "1h"]), 0);
    assert_eq!(count(&["--since", "1h", "--until", "2100-01-01"]), count(&[]));
}
