//! Keys that take another's place: with an overlap or at once, secret and publishable ones, the providers' too; how old
//! each is; and the commands for it beside a running server.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use crate::keys::{eventually, second_node};
use crate::people::roomy;
use crate::process::{Server, add_site, command, run};
use crate::world::{QUESTION, Reply, SHOP, World, fake_key, request};
use chatward::ops::issued_keys::{self, OVERLAP};
use chatward::ops::trail::Actor;
use chatward::ops::{identities, key_ages, key_lookup, master_key, site_keys, upstreams};
use chatward_store::{Engine, SiteRow};
use chatward_testkit::provider::{FakeProvider, Reply as Script};
use chatward_types::{Clock, DAY, HOUR, KeyScope, MINUTE, Role, SECOND, Scope};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

const BY: Actor = Actor::Operator;

async fn holds(world: &World, key: &str) -> bool {
    let call = world.call(Method::GET, "/api/v1/sites").header("authorization", &format!("Bearer {key}"));
    let reply = call.send().await;
    assert!(reply.status == StatusCode::OK || reply.code() == "key_invalid", "{}", reply.text());
    reply.status == StatusCode::OK
}

#[tokio::test]
async fn a_rotated_key_is_honoured_until_its_overlap_ends() {
    for engine in World::ENGINES {
        let world = roomy().engine(engine).start().await;
        let scope = Scope::of(world.app.owner);
        let old = issued_keys::create(&world.app, &scope, KeyScope::Manage, "deploy", Some(90)).await.unwrap();
        let key = old.text.expose();
        assert!(holds(&world, key).await);
        world.clock.advance(1);
        let new = issued_keys::rotate(&world.app, &scope, &old.row.id, OVERLAP, None, &BY).await.unwrap();
        let rights =
            |row: &chatward_store::IssuedKeyRow| (row.name.clone(), row.scopes, row.sites.clone(), row.expires_at);
        assert_eq!(rights(&new.row), rights(&old.row), "the same rights, and no longer life");
        assert!(holds(&world, key).await && holds(&world, new.text.expose()).await);
        let again = issued_keys::rotate(&world.app, &scope, &old.row.id, OVERLAP, None, &BY).await.unwrap_err();
        assert_eq!(again.code(), "key_rotated");
        world.clock.advance(DAY - 1);
        assert!(holds(&world, key).await);
        world.clock.advance(1);
        assert!(!holds(&world, key).await && holds(&world, new.text.expose()).await);
        let again = issued_keys::rotate(&world.app, &scope, &old.row.id, OVERLAP, None, &BY).await.unwrap_err();
        assert_eq!(again.code(), "key_rotated");

        let last = issued_keys::rotate(&world.app, &scope, &new.row.id, 0, Some(1), &BY).await.unwrap();
        assert!(!holds(&world, new.text.expose()).await, "cut off on demand");
        assert!(holds(&world, last.text.expose()).await);
        let rows = world.app.store.list_issued_keys(&scope).await.unwrap();
        let chain: Vec<_> = rows.iter().map(|row| row.successor.as_deref()).collect();
        assert_eq!(chain, [Some(new.row.id.as_str()), Some(&last.row.id), None]);
        assert!(rows.iter().all(|row| row.lineage == old.row.id));
        for (overlap, days) in [(-1, None), (31 * DAY, None), (0, Some(0)), (0, Some(4000))] {
            let refused = issued_keys::rotate(&world.app, &scope, &last.row.id, overlap, days, &BY).await;
            assert!(refused.is_err(), "{overlap} {days:?}");
        }
        world.clock.advance(DAY);
        assert!(!holds(&world, last.text.expose()).await);
        let refused = issued_keys::rotate(&world.app, &scope, &last.row.id, 0, None, &BY).await.unwrap_err();
        assert_eq!(refused.code(), "key_expired");
        let other = issued_keys::create(&world.app, &scope, KeyScope::Chat, "", None).await.unwrap();
        issued_keys::revoke(&world.app, &scope, &other.row.id).await.unwrap();
        let refused = issued_keys::rotate(&world.app, &scope, &other.row.id, 0, None, &BY).await.unwrap_err();
        assert_eq!(refused.code(), "key_revoked");
    }
}

#[tokio::test]
async fn two_rotations_at_once_leave_one_successor() {
    for engine in World::ENGINES {
        let world = roomy().engine(engine).start().await;
        let user = world.user("admin@example.test", Role::Admin).await;
        let access = world.access(world.app.owner, &user).await;
        let scope = Scope::of(world.app.owner);
        let old = issued_keys::create(&world.app, &scope, KeyScope::Manage, "", None).await.unwrap();
        let path = format!("/api/v1/keys/{}/rotate", old.row.id);
        let tries = (0..4).map(|_| {
            let call = world.call(Method::POST, &path).header("authorization", &format!("Bearer {access}"));
            call.json(&json!({ "overlap_seconds": 60 })).send()
        });
        let replies = futures_util::future::join_all(tries).await;
        let (won, lost): (Vec<_>, Vec<_>) = replies.iter().partition(|reply| reply.status == StatusCode::CREATED);
        assert_eq!(won.len(), 1);
        assert!(lost.iter().all(|reply| reply.status == StatusCode::CONFLICT && reply.code() == "key_rotated"));
        let rows = world.app.store.list_issued_keys(&scope).await.unwrap();
        assert_eq!(rows.len(), 2, "one successor");
        assert!(holds(&world, won[0].json()["key"].as_str().unwrap()).await && holds(&world, old.text.expose()).await);
        world.clock.advance(MINUTE);
        assert!(!holds(&world, old.text.expose()).await);
    }
}

async fn ticket(world: &World, key: &str) -> Reply {
    let call = world.call(Method::POST, "/api/v1/widget/tickets").header("origin", SHOP);
    call.json(&json!({ "site": key })).send().await
}

/// Whether pages with this key work: the frame, the ticket, and an older page's session.
async fn answers_to(world: &World, key: &str) -> bool {
    let session = world.call(Method::POST, "/api/v1/widget/sessions").header("origin", SHOP);
    let replies = [
        world.get(&format!("/embed/{key}")).await,
        ticket(world, key).await,
        session.json(&json!({ "site": key })).send().await,
        world.get(&format!("/preview/{key}")).await,
    ];
    let fine = replies.iter().filter(|reply| reply.status.is_success()).count();
    assert!(fine == 0 || fine == 4, "all or none: {:?}", replies.map(|reply| reply.status));
    fine == 4
}

async fn site(world: &World) -> SiteRow {
    world.app.store.get_site(&Scope::of(world.app.owner), world.site.id).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_site_answers_to_both_keys_until_the_overlap_ends() {
    for engine in World::ENGINES {
        let world = roomy().engine(engine).set("limits.per_minute", 1000).start().await;
        let scope = Scope::of(world.app.owner);
        let old = world.site.publishable_key.clone();
        assert!(answers_to(&world, &old).await);
        let new = site_keys::rotate(&world.app, &scope, &site(&world).await, HOUR, &BY).await.unwrap().publishable_key;
        assert!(new != old && new.starts_with("cw_pk_dev_"));
        assert!(answers_to(&world, &old).await && answers_to(&world, &new).await);
        assert!(world.get(&format!("/preview/{old}")).await.text().contains(&new), "what we write has the new one");
        // What the owner's server signs is of either key, too.
        let secret = identities::rotate_secret(&world.app, &scope, world.site.id).await.unwrap();
        let identify = async |key: &str| {
            let now = world.clock.now() / SECOND;
            let claims = json!({ "sub": "user-7", "aud": key, "exp": now + 600, "iat": now });
            let signing = jsonwebtoken::EncodingKey::from_secret(secret.expose().as_bytes());
            let header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS256);
            let token = jsonwebtoken::encode(&header, &claims, &signing).unwrap();
            let call = world.call(Method::POST, "/api/v1/widget/sessions").header("origin", SHOP);
            let session = call.json(&json!({ "site": new })).send().await.json();
            let call = world.call(Method::POST, "/api/v1/widget/identity").header("origin", SHOP);
            let call = call.header("authorization", &format!("Bearer {}", session["token"].as_str().unwrap()));
            call.json(&json!({ "token": token })).send().await.status.as_u16()
        };
        assert_eq!((identify(&old).await, identify(&new).await), (204, 204));
        let refused = site_keys::rotatable(&world.app, &old).await.unwrap_err();
        assert_eq!(refused.code(), "key_rotated");
        world.clock.advance(HOUR);
        assert!(!answers_to(&world, &old).await && answers_to(&world, &new).await);
        assert_eq!((identify(&old).await, identify(&new).await), (422, 204));
        let told = ticket(&world, &old).await;
        assert_eq!(told.code(), "site_unknown");

        let current = site(&world).await;
        let tries = (0..3).map(|_| site_keys::rotate(&world.app, &scope, &current, 0, &BY));
        let won = futures_util::future::join_all(tries).await;
        assert_eq!(won.iter().filter(|won| won.is_ok()).count(), 1, "two at once leave one successor");
        assert!(!answers_to(&world, &new).await, "cut off on demand");
        assert!(answers_to(&world, &site(&world).await.publishable_key).await);
    }
}

#[tokio::test]
async fn a_revoked_publishable_key_opens_nothing_and_its_site_gets_another() {
    for engine in World::ENGINES {
        let world = roomy().engine(engine).set("limits.per_minute", 1000).start().await;
        let scope = Scope::of(world.app.owner);
        let first = world.site.publishable_key.clone();
        world.database.tamper("ALTER TABLE audit_trail RENAME TO gone").await;
        assert_eq!(site_keys::revoke(&world.app, world.app.owner, &first, &BY).await.unwrap(), world.site.id);
        assert!(!answers_to(&world, &first).await, "also where it cannot be recorded");
        assert_eq!(world.app.trail.waiting(), 1);
        world.database.tamper("ALTER TABLE gone RENAME TO audit_trail").await;
        assert!(site_keys::revoke(&world.app, world.app.owner, &first, &BY).await.is_err(), "it is over already");
        assert_eq!(site_keys::rotatable(&world.app, &first).await.unwrap_err().code(), "key_revoked");
        let second =
            site_keys::rotate(&world.app, &scope, &site(&world).await, DAY, &BY).await.unwrap().publishable_key;
        assert!(!answers_to(&world, &first).await, "no overlap brings it back");
        assert!(answers_to(&world, &second).await);
        assert_eq!(site_keys::revoke_all(&world.app, &scope, &BY).await.unwrap(), [world.site.id]);
        assert!(!answers_to(&world, &second).await);
    }
}

#[tokio::test]
async fn a_rotation_that_cuts_off_is_heard_on_every_node() {
    let one = roomy().engine(Engine::Postgres).set("limits.per_minute", 100_000).start().await;
    let (other, jobs) = second_node(&one).await;
    let scope = Scope::of(one.app.owner);
    let made = issued_keys::create(&one.app, &scope, KeyScope::Manage, "", None).await.unwrap();
    let (key, page) = (made.text.expose(), one.site.publishable_key.clone());
    let embed = async |key: &str| other.get(&format!("/embed/{key}")).await.status == StatusCode::OK;
    assert!(holds(&other, key).await && embed(&page).await);
    let next = issued_keys::rotate(&one.app, &scope, &made.row.id, 0, None, &BY).await.unwrap();
    eventually("the other node refuses the old one", async || !holds(&other, key).await).await;
    assert!(holds(&other, next.text.expose()).await);
    let site = site_keys::rotate(&one.app, &scope, &site(&one).await, 0, &BY).await.unwrap();
    eventually("and the page's", async || !embed(&page).await).await;
    assert!(embed(&site.publishable_key).await);
    site_keys::revoke_all(&one.app, &scope, &BY).await.unwrap();
    eventually("all of them", async || !embed(&site.publishable_key).await).await;
    other.app.stopping.cancel();
    tokio::time::timeout(crate::world::PATIENCE, jobs).await.unwrap().unwrap();
}

#[tokio::test]
async fn every_key_has_an_age_and_is_told_once_a_day_when_it_is_due() {
    for engine in World::ENGINES {
        let provider = FakeProvider::start(vec![Script::text(["x"])]).await.unwrap();
        let secret = fake_key();
        let device = "d".repeat(16) + &secret.replace('-', "_");
        let world = roomy()
            .engine(engine)
            .openai(&provider.openai_url(), &secret)
            .variable("JWT_SECRET", &device)
            .set("keys.rotation_days", 10)
            .start()
            .await;
        let scope = Scope::of(world.app.owner);
        let old = issued_keys::create(&world.app, &scope, KeyScope::Manage, "", None).await.unwrap();
        let ages = async || {
            let ages = key_ages::report(&world.app).await.unwrap();
            let mut all: Vec<_> = ages.into_iter().map(|key| (key.kind, key.name, key.days, key.due)).collect();
            all.sort();
            all
        };
        let all = |days, due| {
            let mut all = vec![
                ("configured", "feeds.jwt_secret".to_owned(), days, due),
                ("master", world.app.vault.master_key_id(), days, due),
                ("provider", "openai".to_owned(), days, due),
                ("publishable", world.site.publishable_key.clone(), days, due),
                ("secret", old.row.id.clone(), days, due),
            ];
            all.sort();
            all
        };
        assert_eq!(key_ages::tell_due(&world.app).await.unwrap(), 0);
        assert_eq!(ages().await, all(0, false));
        world.clock.advance(10 * DAY - 1);
        assert_eq!(ages().await, all(9, false));
        world.clock.advance(1);
        assert_eq!(ages().await, all(10, true), "a provider's is as old as the first sight of it");
        assert_eq!(key_ages::tell_due(&world.app).await.unwrap(), 5);
        assert_eq!(key_ages::tell_due(&world.app).await.unwrap(), 0, "once a day");
        // Signing keys are told together, in an event of their own.
        let due = || {
            let tail = world.app.events.tail().into_iter().filter(|event| event.name.as_str() == "KEY_OVERDUE");
            tail.filter(|event| event.detail.as_deref().is_some_and(|text| text.contains(" days old; rotate it: ")))
        };
        assert_eq!(due().count(), 5);
        world.clock.advance(DAY);
        chatward::jobs::run_housekeeping(&world.app).await.unwrap();
        assert_eq!(due().count(), 10, "and the next day again, by itself");
        let stored = world.database.everything().await;
        let digest = chatward_vault::digest(secret.as_bytes());
        let plain: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        for hidden in [secret.as_bytes(), device.as_bytes(), plain.as_bytes(), &digest] {
            assert!(!stored.windows(hidden.len()).any(|window| window == hidden), "neither the key nor its plain hash");
        }
        // Rotated keys are young again, and so is another provider key.
        issued_keys::rotate(&world.app, &scope, &old.row.id, OVERLAP, None, &BY).await.unwrap();
        let site = site(&world).await;
        site_keys::rotate(&world.app, &scope, &site, OVERLAP, &BY).await.unwrap();
        master_key::rotate(&world.app, 0, false, &BY).await.unwrap();
        let (database, folder) = world.stop().await;
        let other = fake_key().replace("Zq8", "Qz9");
        let world = roomy().again(database, folder).openai(&provider.openai_url(), &other).start().await;
        world.clock.advance(11 * DAY);
        let ages = key_ages::report(&world.app).await.unwrap();
        assert_eq!(ages.len(), 4);
        assert!(ages.iter().all(|key| key.days == 0 && !key.due), "{ages:?}");
    }
}

#[tokio::test]
async fn a_providers_key_in_a_file_is_replaced_between_two_calls() {
    let provider = FakeProvider::start(vec![Script::text(["An answer."])]).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("openai.key");
    let keys = [fake_key(), fake_key().replace("Zq8", "Qz9")];
    std::fs::write(&file, format!("{}\n", keys[0])).unwrap();
    let world = World::builder()
        .variable("OPENAI_BASE_URL", &provider.openai_url())
        .variable("OPENAI_API_KEY_FILE", file.to_str().unwrap())
        .start()
        .await;
    let visitor = world.visitor().await;
    let used = async || {
        assert_eq!(world.ask(&visitor, QUESTION).await.status, StatusCode::OK);
        provider.received().last().unwrap().header("authorization").unwrap().to_owned()
    };
    assert_eq!(used().await, format!("Bearer {}", keys[0]));
    std::fs::write(&file, &keys[1]).unwrap();
    assert_eq!(used().await, format!("Bearer {}", keys[0]), "not before it is told");
    let seq = world.app.store.latest_change().await.unwrap();
    upstreams::announce(&world.app, &BY).await.unwrap();
    chatward::ops::changes::apply_since(&world.app, seq).await.unwrap();
    assert_eq!(used().await, format!("Bearer {}", keys[1]), "without a restart");
    for bad in ["", "your-key-here", "two\nlines"] {
        std::fs::write(&file, bad).unwrap();
        assert_eq!(upstreams::reread(&world.app).await, Vec::<String>::new());
    }
    std::fs::remove_file(&file).unwrap();
    assert_eq!(upstreams::reread(&world.app).await, Vec::<String>::new());
    assert_eq!(used().await, format!("Bearer {}", keys[1]), "what will not do changes nothing");
    let told = world.app.events.tail();
    assert!(told.iter().all(|event| event.detail.as_deref().is_none_or(|text| !text.contains("Qz9"))));
}

fn done(folder: &Path, arguments: &[&str]) -> Value {
    let arguments: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
    let output = run(folder, &arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_command_rotates_and_revokes_beside_a_running_server() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let page = add_site(folder);
    let server = Server::start(folder, &[("CHATWARD_LIMITS_API_REQUESTS", "100000")]);
    let status = async |key: &str| {
        let call = request(server.address, Method::GET, "/api/v1/sites");
        call.header("authorization", &format!("Bearer {key}")).send().await.status
    };
    let embed = async |key: &str| request(server.address, Method::GET, &format!("/embed/{key}")).send().await.status;
    let text = |value: &Value, name: &str| value[name].as_str().unwrap().to_owned();

    let made =
        done(folder, &["key", "create", "--scope", "manage,chat", "--site", "shop.example", "--per-minute", "50"]);
    assert_eq!((&made["scopes"], &made["per_minute"]), (&json!(["chat", "manage"]), &json!(50)));
    let (id, key) = (text(&made, "id"), text(&made, "key"));
    assert_eq!(status(&key).await, StatusCode::OK);
    let next = done(folder, &["key", "rotate", &id, "--overlap", "7d"]);
    let (next_id, next_key) = (text(&next, "id"), text(&next, "key"));
    assert_eq!((status(&key).await, status(&next_key).await), (StatusCode::OK, StatusCode::OK));
    assert_eq!(run(folder, &["key", "rotate", &id]).status.code(), Some(1));
    let listed = run(folder, &["key", "list"]).stdout;
    let listed = String::from_utf8(listed).unwrap();
    assert!(
        listed.contains(&format!("{id}  chat,manage  rotated until ")) && listed.contains(&format!("-> {next_id}"))
    );
    let last = done(folder, &["key", "rotate", &next_id, "--now"]);
    eventually("the one before is cut off", async || status(&next_key).await == StatusCode::UNAUTHORIZED).await;

    // A leaked key, cut short as it was pasted into a report, ends without being shown.
    let leaked = format!("curl -H 'Authorization: Bearer {}'\n", &key[..key.len() - 12]);
    let mut child = command(folder)
        .args(["key", "revoke"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(leaked.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains(&id) && !said.contains(&key[..key.len() - 12]), "{said}");
    eventually("it is refused", async || status(&key).await == StatusCode::UNAUTHORIZED).await;

    // The page's key.
    let rotated = done(folder, &["key", "rotate", &page]);
    let new_page = text(&rotated, "site");
    assert_eq!(rotated["before"], json!(page));
    eventually("both are answered", async || {
        embed(&new_page).await == StatusCode::OK && embed(&page).await == StatusCode::OK
    })
    .await;
    let snippet = done(folder, &["site", "embed", "shop.example"]);
    assert!(snippet["snippet"].as_str().unwrap().contains(&new_page));
    assert_eq!(run(folder, &["key", "rotate", &page]).status.code(), Some(1), "rotated before");
    done(folder, &["key", "revoke", &page]);
    eventually("the old one is refused", async || embed(&page).await == StatusCode::NOT_FOUND).await;
    assert_eq!(embed(&new_page).await, StatusCode::OK);

    let ages = done(folder, &["key", "ages"]);
    assert_eq!(ages.as_array().unwrap().len(), 3, "two issued ones and the master key: {ages}");

    // Everything of a kind.
    for refused in [
        vec!["key", "revoke", "--all"],
        vec!["key", "revoke", "--all", "--kind", "publishable", "--scope", "chat", "--yes"],
        vec!["key", "revoke", "--yes", &next_id],
        vec!["key", "revoke", "nonsense"],
        vec!["key", "rotate", &next_id, "--now", "--overlap", "1h"],
    ] {
        assert_eq!(run(folder, &refused).status.code(), Some(2), "{refused:?}");
    }
    let last_key = text(&last, "key");
    assert_eq!(status(&last_key).await, StatusCode::OK);
    let ended = done(folder, &["key", "revoke", "--all", "--scope", "chat", "--yes"]);
    assert_eq!(ended["revoked"].as_array().unwrap().len(), 2);
    eventually("every key is refused", async || status(&last_key).await == StatusCode::UNAUTHORIZED).await;
    done(folder, &["key", "revoke", "--all", "--kind", "publishable", "--yes"]);
    eventually("every page's is refused", async || embed(&new_page).await == StatusCode::NOT_FOUND).await;
    let again = text(&done(folder, &["key", "rotate", "shop.example"]), "site");
    eventually("a new one works", async || embed(&again).await == StatusCode::OK).await;
}

#[tokio::test]
async fn what_runs_on_a_key_ends_when_its_overlap_does() {
    let world = roomy().start().await;
    let scope = Scope::of(world.app.owner);
    let made = issued_keys::create(&world.app, &scope, KeyScope::Manage, "", None).await.unwrap();
    let entered = key_lookup::enter(&world.app, made.text.expose()).await.unwrap().unwrap();
    issued_keys::rotate(&world.app, &scope, &made.row.id, HOUR, None, &BY).await.unwrap();
    world.app.issued.end_due(world.clock.now());
    assert!(!entered.ended.is_cancelled(), "it is honoured yet");
    world.clock.advance(HOUR);
    world.app.issued.end_due(world.clock.now());
    assert!(entered.ended.is_cancelled());
    assert_eq!(world.app.issued.running(), 1);
    drop(entered);
    assert_eq!(world.app.issued.running(), 0);
}
