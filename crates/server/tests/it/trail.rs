//! The audit trail (LOG-06): what it holds, that changes need it, and that whoever has the database but not the key
//! changes nothing of it unnoticed. Reading it back (LOG-09) is tried on the real program.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail by panicking, as tests do")]
#![expect(clippy::disallowed_methods, reason = "a test stops the program that it follows")]

use crate::process::{add_site, command, run};
use crate::world::World;
use chatward::ops::trail_heads::{self, Heads};
use chatward::ops::trail_verify::{self, Report, Wrong};
use chatward::ops::{issued_keys, key_lookup, sites, trail, trail_webhook};
use chatward_store::{Engine, TrailRow};
use chatward_testkit::provider::{FakeProvider, Reply as Script};
use chatward_types::{Clock, DAY, KeyScope, MINUTE, SECOND, Scope};
use http::{Method, StatusCode};
use serde_json::{Value, json};

/// A world whose trail has this many records: changes of its site.
async fn recorded(engine: Engine, count: usize) -> World {
    let world = World::builder().engine(engine).start().await;
    for _ in records(&world).await.len()..count {
        rename(&world).await;
    }
    assert_eq!(records(&world).await.len(), count);
    world
}

async fn rename(world: &World) {
    let scope = Scope::of(world.app.owner);
    let mut row = world.app.store.get_site(&scope, world.site.id).await.unwrap().unwrap();
    row.name = format!("{}.", &row.name[..row.name.len().min(60)]);
    world.clock.advance(1_000_000);
    sites::update(&world.app, &scope, &row).await.unwrap();
}

async fn records(world: &World) -> Vec<TrailRow> {
    world.app.store.trail_after(0, 0, 1000).await.unwrap()
}

async fn verify(world: &World, heads: &Heads) -> Report {
    trail_verify::verify(&world.app, heads).await.unwrap()
}

/// The head of now, as if it had been kept elsewhere.
async fn keep_head(world: &World, heads: &mut Heads) {
    let head = trail_heads::current(&world.app).await.unwrap().unwrap();
    heads.heads.insert(head.count, head);
}

/// What the walk says first, and of which record.
async fn found(world: &World, heads: &Heads) -> (Wrong, i64) {
    let fault = verify(world, heads).await.fault.expect("a fault");
    assert!(fault.text.contains(&fault.record.to_string()), "it is named: {}", fault.text);
    (fault.what, fault.record)
}

#[tokio::test]
async fn changes_are_recorded_with_who_made_them_and_the_chain_holds() {
    for engine in World::ENGINES {
        let world = World::builder().engine(engine).start().await;
        let key = world.key().await;
        let path = format!("/api/v1/sites/{}", world.site.id);
        let call = world.call(Method::PATCH, &path).header("authorization", &format!("Bearer {key}"));
        assert_eq!(call.json(&json!({ "name": "Tea & More" })).send().await.status, StatusCode::OK);
        let scope = Scope::of(world.app.owner);
        let id = issued_keys::revoke(&world.app, &scope, &key).await.unwrap();
        let rows = records(&world).await;
        let told: Vec<(&str, String)> = rows.iter().map(|row| (row.name.as_str(), row.actor.clone())).collect();
        let operator = || "operator".to_owned();
        // The test's site is added and named by the set-up.
        assert_eq!(told[0], ("CONFIGURATION_CHANGED", operator()));
        let last: Vec<_> = told.into_iter().rev().take(3).rev().collect();
        assert_eq!(
            last,
            [
                ("ISSUED_KEY_CHANGED", operator()),
                ("CONFIGURATION_CHANGED", format!("key:{id}")),
                ("ISSUED_KEY_CHANGED", operator()),
            ]
        );
        assert_eq!(rows.iter().map(|row| row.seq).collect::<Vec<_>>(), (1..=rows.len() as i64).collect::<Vec<_>>());
        assert!(rows.iter().all(|row| !row.detail.contains(&key)), "ids, never keys");
        let report = verify(&world, &Heads::default()).await;
        assert_eq!((report.fault, report.records), (None, rows.len() as u64));
    }
}

#[tokio::test]
async fn an_edited_record_is_found_and_named() {
    for engine in World::ENGINES {
        let world = recorded(engine, 6).await;
        for change in ["detail = '{}'", "actor = 'key:other'", "at = at + 1", "name = 'X'", "owner_id = NULL"] {
            let before = records(&world).await;
            assert_eq!(world.database.tamper(&format!("UPDATE audit_trail SET {change} WHERE seq = 3")).await, 1);
            assert_eq!(found(&world, &Heads::default()).await, (Wrong::Edited, 3), "{change}");
            restore(&world, &before[2]).await;
            assert_eq!(verify(&world, &Heads::default()).await.fault, None, "{change} undone");
        }
    }
}

/// Puts a record back as it was.
async fn restore(world: &World, row: &TrailRow) {
    world.database.tamper(&format!("DELETE FROM audit_trail WHERE seq = {}", row.seq)).await;
    insert(world, row).await;
}

async fn insert(world: &World, row: &TrailRow) {
    let owner = row.owner.as_ref().map_or("NULL".to_owned(), |owner| format!("'{owner}'"));
    let text = format!(
        "INSERT INTO audit_trail (seq, name, at, owner_id, actor, subject, detail, key_id, previous, hash)
         VALUES ({}, '{}', {}, {owner}, '{}', '{}', '{}', '{}', '{}', '{}')",
        row.seq, row.name, row.at, row.actor, row.subject, row.detail, row.key_id, row.previous, row.hash
    );
    assert_eq!(world.database.tamper(&text).await, 1);
}

#[tokio::test]
async fn a_dropped_record_is_found_and_named_also_when_the_rest_moves_up() {
    for engine in World::ENGINES {
        let world = recorded(engine, 6).await;
        world.database.tamper("DELETE FROM audit_trail WHERE seq = 3").await;
        assert_eq!(found(&world, &Heads::default()).await, (Wrong::Dropped, 3));
        for seq in 4..=6 {
            world.database.tamper(&format!("UPDATE audit_trail SET seq = {} WHERE seq = {seq}", seq - 1)).await;
        }
        assert_eq!(found(&world, &Heads::default()).await, (Wrong::Dropped, 3));

        let world = recorded(engine, 4).await;
        world.database.tamper("DELETE FROM audit_trail WHERE seq <= 2").await;
        assert_eq!(verify(&world, &Heads::default()).await.fault.expect("a fault").what, Wrong::Dropped);
    }
}

#[tokio::test]
async fn an_inserted_record_is_found_and_named() {
    for engine in World::ENGINES {
        // At the end, as a copy of a true one, and in the middle, with room made for it.
        let world = recorded(engine, 5).await;
        let rows = records(&world).await;
        let forged = TrailRow { seq: 6, previous: rows[4].hash.clone(), ..rows[1].clone() };
        insert(&world, &forged).await;
        assert_eq!(found(&world, &Heads::default()).await, (Wrong::Inserted, 6));
        world.database.tamper("DELETE FROM audit_trail WHERE seq = 6").await;
        for seq in (3..=5).rev() {
            world.database.tamper(&format!("UPDATE audit_trail SET seq = {} WHERE seq = {seq}", seq + 1)).await;
        }
        let forged = TrailRow { seq: 3, previous: rows[1].hash.clone(), hash: "ab".repeat(32), ..rows[1].clone() };
        insert(&world, &forged).await;
        assert_eq!(found(&world, &Heads::default()).await, (Wrong::Inserted, 3));
    }
}

#[tokio::test]
async fn a_truncated_trail_is_found_by_a_head_that_was_kept() {
    for engine in World::ENGINES {
        let world = recorded(engine, 6).await;
        let mut heads = Heads::default();
        keep_head(&world, &mut heads).await;
        assert_eq!(verify(&world, &heads).await.newest_head, Some(6));
        world.database.tamper("DELETE FROM audit_trail WHERE seq > 4").await;
        assert_eq!(found(&world, &heads).await, (Wrong::Truncated, 5));
        assert_eq!(verify(&world, &Heads::default()).await.fault, None, "the chain alone cannot know");
        world.database.tamper("DELETE FROM audit_trail").await;
        assert_eq!(found(&world, &heads).await, (Wrong::Truncated, 1));
    }
}

#[tokio::test]
async fn a_trail_that_was_rolled_back_and_written_on_is_found() {
    for engine in World::ENGINES {
        let world = recorded(engine, 4).await;
        let mut heads = Heads::default();
        keep_head(&world, &mut heads).await;
        rename(&world).await;
        rename(&world).await;
        keep_head(&world, &mut heads).await;
        // An older copy is put back, and the server goes on by itself.
        world.database.tamper("DELETE FROM audit_trail WHERE seq > 4").await;
        for _ in 0..4 {
            rename(&world).await;
        }
        assert_eq!(verify(&world, &Heads::default()).await.fault, None, "a chain of its own");
        let fault = verify(&world, &heads).await.fault.expect("a fault");
        assert_eq!((fault.what, fault.record), (Wrong::RolledBack, 6));
        assert!(fault.text.contains("after record 4"), "{}", fault.text);
    }
}

#[tokio::test]
async fn a_pruned_trail_holds_and_says_so_and_a_forged_pruning_does_not() {
    for engine in World::ENGINES {
        let world = recorded(engine, 4).await;
        world.clock.advance(10 * DAY);
        rename(&world).await;
        let mut heads = Heads::default();
        keep_head(&world, &mut heads).await;
        assert!(trail_verify::prune(&world.app, 5).await.is_err(), "nothing is that old");
        assert_eq!(trail_verify::prune(&world.app, world.clock.now() - DAY).await.unwrap(), 4);
        let rows = records(&world).await;
        assert_eq!(rows.iter().map(|row| row.seq).collect::<Vec<_>>(), [5, 6]);
        assert_eq!(rows[1].name, "AUDIT_TRAIL_PRUNED");
        assert_eq!(verify(&world, &heads).await.fault, None);
        // Once more, with the record of the first pruning among what goes.
        world.clock.advance(10 * DAY);
        assert_eq!(trail_verify::prune(&world.app, world.clock.now() - DAY).await.unwrap(), 2);
        assert_eq!(verify(&world, &heads).await.fault, None);
        rename(&world).await;
        world.database.tamper("DELETE FROM audit_trail WHERE seq = 7").await;
        assert_eq!(verify(&world, &heads).await.fault.expect("a fault").what, Wrong::Dropped);
    }
}

#[tokio::test]
async fn without_the_trail_nothing_is_changed_but_a_key_is_revoked_and_recorded_later() {
    for engine in World::ENGINES {
        let world = World::builder().engine(engine).start().await;
        let scope = Scope::of(world.app.owner);
        let made = issued_keys::create(&world.app, &scope, KeyScope::Manage, "leaks", None).await.unwrap();
        let before = records(&world).await.len();
        world.database.tamper("ALTER TABLE audit_trail RENAME TO gone").await;
        let mut row = world.app.store.get_site(&scope, world.site.id).await.unwrap().unwrap();
        row.name = "Unrecorded".to_owned();
        sites::update(&world.app, &scope, &row).await.expect_err("a change");
        issued_keys::create(&world.app, &scope, KeyScope::Manage, "another", None).await.expect_err("a key");
        sites::add(&world.app, &scope, "http://cafe.test", None, &[]).await.expect_err("a site");
        sites::remove(&world.app, &scope, world.site.id).await.expect_err("a removal");
        assert_ne!(world.app.store.get_site(&scope, world.site.id).await.unwrap().unwrap().name, "Unrecorded");
        assert_eq!(world.app.store.list_issued_keys(&scope).await.unwrap().len(), 1);
        assert_eq!(world.app.store.list_sites(&scope).await.unwrap().len(), 1);

        issued_keys::revoke(&world.app, &scope, &made.row.id).await.expect("it ends, trail or not");
        assert!(key_lookup::recognise(&world.app, made.text.expose()).await.unwrap().is_none());
        assert_eq!(world.app.trail.waiting(), 1);
        trail::flush_reserve(&world.app).await.expect_err("still no trail");
        assert_eq!(world.app.trail.waiting(), 1);
        world.database.tamper("ALTER TABLE gone RENAME TO audit_trail").await;
        trail::flush_reserve(&world.app).await.unwrap();
        assert_eq!(world.app.trail.waiting(), 0);
        let rows = records(&world).await;
        assert_eq!(rows.len(), before + 1);
        assert!(rows[before].subject == made.row.id && rows[before].detail.contains("revoked"));
        assert_eq!(verify(&world, &Heads::default()).await.fault, None);
    }
}

#[tokio::test]
async fn heads_are_added_to_the_file_as_the_trail_grows_and_a_forged_one_is_found() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = recorded(Engine::Sqlite, 3).await;
    let path = world.app.config.audit.head_file.clone().unwrap();
    trail_heads::write(&world.app).await.unwrap();
    trail_heads::write(&world.app).await.unwrap();
    rename(&world).await;
    trail_heads::write(&world.app).await.unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let heads = trail_heads::read(&path).unwrap();
    assert_eq!(heads.heads.keys().copied().collect::<Vec<_>>(), [3, 4], "one each time it had grown");
    assert_eq!(verify(&world, &heads).await.fault, None);
    let text = std::fs::read_to_string(&path).unwrap().replace("\"count\":4", "\"count\":9");
    std::fs::write(&path, text + "not a head\n").unwrap();
    let forged = trail_heads::read(&path).unwrap();
    assert_eq!(forged.unreadable, [3]);
    assert_eq!(verify(&world, &forged).await.fault.expect("a fault").what, Wrong::ForgedHead);
}

#[tokio::test]
async fn heads_are_sent_to_another_machine_signed_and_again_until_they_arrive() {
    let receiver = FakeProvider::start(vec![
        Script::status(500, "no"),
        Script::Status(302, vec![("location".to_owned(), "http://127.0.0.1:1/".to_owned())], String::new()),
        Script::Status(204, Vec::new(), String::new()),
        Script::Status(200, Vec::new(), String::new()),
    ])
    .await
    .unwrap();
    let world =
        World::builder().set("audit.head_webhook", format!("http://{}/heads", receiver.address())).start().await;
    let deliver = async || trail_webhook::deliver(&world.app).await.unwrap();
    rename(&world).await;
    assert!(!deliver().await, "refused by an error");
    assert!(!deliver().await, "not at once again");
    assert_eq!(receiver.received().len(), 1);
    world.clock.advance(5 * SECOND);
    assert!(!deliver().await, "a redirect is none that received it");
    world.clock.advance(9 * SECOND);
    assert!(!deliver().await, "each wait is twice as long as the one before");
    world.clock.advance(SECOND);
    assert!(deliver().await);
    assert!(!deliver().await, "it has not grown");
    rename(&world).await;
    assert!(!deliver().await, "not before its time");
    world.clock.advance(10 * MINUTE);
    assert!(deliver().await);
    let received = receiver.received();
    assert_eq!(received.len(), 4);
    assert!(received.iter().all(|request| request.path == "/heads" && request.header("authorization").is_none()));
    assert!(!world.has_event("AUDIT_HEAD_UNDELIVERED"));

    // What was received is an anchor as it is: added to a file, it holds and finds a cut.
    let anchor = world.folder.path().join("anchor");
    std::fs::write(&anchor, [&received[2].body[..], &received[3].body[..]].concat()).unwrap();
    let heads = trail_heads::read(&anchor).unwrap();
    assert!(heads.unreadable.is_empty() && heads.heads.len() == 2);
    assert_eq!(heads.heads.values().next_back().unwrap().at, world.clock.now(), "it says when");
    assert_eq!(verify(&world, &heads).await.fault, None);
    world.database.tamper("DELETE FROM audit_trail WHERE seq = (SELECT MAX(seq) FROM audit_trail)").await;
    assert!(verify(&world, &heads).await.fault.is_some());
}

#[tokio::test]
async fn an_hour_without_a_delivered_head_is_an_event_and_the_waits_are_bounded() {
    let receiver = FakeProvider::start(vec![Script::status(503, "busy"); 40]).await.unwrap();
    let world = World::builder().set("audit.head_webhook", format!("http://{}/", receiver.address())).start().await;
    let told = || world.events().iter().filter(|name| **name == "AUDIT_HEAD_UNDELIVERED").count();
    rename(&world).await;
    for _ in 0..(58 * 60 / 5) {
        trail_webhook::deliver(&world.app).await.unwrap();
        world.clock.advance(5 * SECOND);
    }
    assert_eq!(told(), 0);
    let attempts = receiver.received().len();
    assert!((10..=14).contains(&attempts), "{attempts} attempts in an hour");
    for _ in 0..(60 * 60 / 5) {
        trail_webhook::deliver(&world.app).await.unwrap();
        world.clock.advance(5 * SECOND);
    }
    assert_eq!(told(), 1, "once an hour");
    assert!((15..=21).contains(&receiver.received().len()), "at most ten minutes apart");
    receiver.set_script(vec![Script::Status(200, Vec::new(), String::new())]);
    world.clock.advance(10 * MINUTE);
    assert!(trail_webhook::deliver(&world.app).await.unwrap(), "it gets through once it can");
}

#[test]
fn the_command_line_verifies_heads_and_reads_events_back() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    add_site(folder);
    let made = run(folder, &["key", "create", "--scope", "manage", "--name", "leaks", "--json"]);
    let made: Value = serde_json::from_slice(&made.stdout).unwrap();
    let id = made["id"].as_str().unwrap();
    assert!(run(folder, &["key", "revoke", id]).status.success());
    let head = run(folder, &["audit", "head", "--json"]);
    let head: Value = serde_json::from_slice(&head.stdout).unwrap();
    assert!(head["count"].as_i64().unwrap() >= 3 && head["signature"].as_str().unwrap().len() == 64, "{head}");
    let verified = run(folder, &["audit", "verify", "--json"]);
    let report: Value = serde_json::from_slice(&verified.stdout).unwrap();
    assert!(
        verified.status.success() && report["fault"].is_null() && report["newest_head"] == head["count"],
        "{report}"
    );
    let forged = format!("{}\n", head.to_string().replace("\"count\":", "\"count\":1"));
    std::fs::write(folder.join("anchor"), forged).unwrap();
    let refused = run(folder, &["audit", "verify", "--anchor", "anchor"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stdout).contains("BROKEN"), "{refused:?}");

    let events = |arguments: &[&str]| -> Vec<Value> {
        let output = command(folder).args(["events", "--json"]).args(arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let of_key = events(&["--key", id]);
    assert!(of_key.iter().any(|event| event["category"] == "AUDIT" && event["subject"] == id), "{of_key:#?}");
    assert!(of_key.iter().any(|event| event["category"] == "SECURITY"), "{of_key:#?}");
    assert!(of_key.iter().all(|event| event["event"] == "ISSUED_KEY_CHANGED"), "{of_key:#?}");
    assert!(events(&["--since", "2100-01-01"]).is_empty());
    assert!(!events(&["--since", "1h", "--name", "configuration"]).is_empty());
    assert_eq!(run(folder, &["events", "--since", "yesterday"]).status.code(), Some(2));

    // A line that somebody else wrote into the file must not steer the terminal.
    let log = folder.join("logs/security.log");
    let line = r#"{"category":"SECURITY","time":"2026-11-21T01:02:03.000004Z","event":"FORGED","address":"::ffff:192.0.2.7","session":"0123456789abcdef","detail":"x\u001b[2J\u009b1m\u202ey"}"#;
    let before = std::fs::read_to_string(&log).unwrap();
    std::fs::write(&log, format!("{before}{line}\nraw \u{1b}[31m bytes\n")).unwrap();
    for arguments in [&["events"][..], &["events", "--json"]] {
        let shown = String::from_utf8(run(folder, arguments).stdout).unwrap();
        assert!(shown.contains("FORGED") && shown.contains("UNREADABLE"), "{shown}");
        assert!(!shown.chars().any(|c| c != '\n' && (c.is_control() || c == '\u{202e}')), "{shown:?}");
    }
    for found in [&["--address", "192.0.2.0/24"][..], &["--session", "0123456789abcdefRESTOFIT"]] {
        let found = events(found);
        assert_eq!((found.len(), found[0]["event"].as_str()), (1, Some("FORGED")), "{found:#?}");
    }
    assert!(events(&["--address", "192.0.2.8"]).is_empty());
    assert_eq!(events(&["--limit", "1"]).len(), 1);
}

#[test]
fn followed_events_come_as_they_happen_also_over_a_rotation() {
    use std::io::{BufRead as _, BufReader};
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    add_site(folder);
    let mut follower = command(folder)
        .args(["events", "--follow", "--json", "--name", "ISSUED_KEY"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(follower.stdout.take().unwrap()).lines();
    let mut next_two = |name: &str| {
        let made = run(folder, &["key", "create", "--scope", "manage", "--name", name, "--json"]);
        assert!(made.status.success());
        let mut categories: Vec<String> = (0..2)
            .map(|_| {
                let event: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
                event["category"].as_str().unwrap().to_owned()
            })
            .collect();
        categories.sort();
        categories
    };
    assert_eq!(next_two("one"), ["AUDIT", "SECURITY"]);
    std::fs::rename(folder.join("logs/security.log"), folder.join("logs/security-2026-11-21T010203.000004Z.log"))
        .unwrap();
    assert_eq!(next_two("two"), ["AUDIT", "SECURITY"]);
    let status = std::process::Command::new("kill").arg(follower.id().to_string()).status().unwrap();
    assert!(status.success() && follower.wait().unwrap().success(), "it ends when it is told to");
}
