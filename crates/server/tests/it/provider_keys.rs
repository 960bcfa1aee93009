//! A provider's key that is replaced by one command, without a restart (SEC-09).

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use crate::keys::eventually;
use crate::people::roomy;
use crate::process::{add_site, command, run};
use crate::world::{QUESTION, World, fake_key};
use chatward::ops::trail::Actor;
use chatward::ops::{key_ages, master_key, provider_keys};
use chatward_store::Engine;
use chatward_testkit::provider::{FakeProvider, Reply as Script};
use chatward_types::{Kind, Secret};
use http::StatusCode;
use std::io::Write as _;
use std::process::Stdio;

const BY: Actor = Actor::Operator;

fn another_key() -> String {
    fake_key().replace("Zq8", "Qz9")
}

async fn provider() -> FakeProvider {
    FakeProvider::start(vec![Script::text(["An answer."])]).await.unwrap()
}

/// The key that the provider is asked with.
async fn used(world: &World, provider: &FakeProvider) -> String {
    let visitor = world.visitor().await;
    assert_eq!(world.ask(&visitor, QUESTION).await.status, StatusCode::OK);
    let last = provider.received().last().unwrap().header("authorization").unwrap().to_owned();
    last.trim_start_matches("Bearer ").to_owned()
}

async fn set(world: &World, key: &str) -> chatward_types::Result<()> {
    provider_keys::set(&world.app, "openai", &Secret::new(key.to_owned()), &BY).await
}

#[tokio::test]
async fn a_key_that_is_set_takes_the_variables_place_until_it_is_unset() {
    for engine in World::ENGINES {
        let provider = provider().await;
        let world = roomy().engine(engine).openai(&provider.openai_url(), &fake_key()).start().await;
        let source = async |world: &World| {
            let ages = key_ages::report(&world.app).await.unwrap();
            ages.into_iter().find(|key| key.kind == "provider").map(|key| (key.source, key.fix)).unwrap()
        };
        assert_eq!(used(&world, &provider).await, fake_key());
        assert_eq!(source(&world).await, ("configuration", "chatward key set openai".to_owned()));
        set(&world, &another_key()).await.unwrap();
        assert_eq!(used(&world, &provider).await, another_key());
        assert_eq!(source(&world).await.0, "database");
        let head = world.app.store.trail_head().await.unwrap().unwrap();
        assert_eq!((head.name.as_str(), head.subject.as_str()), ("CONFIGURATION_CHANGED", "openai"));
        assert!(head.detail.contains("provider key set") && !head.detail.contains("Qz9"));
        let stored = world.database.everything().await;
        assert!(!stored.windows(40).any(|window| window == &another_key().as_bytes()[..40]), "it is sealed");
        // The master key may change below it.
        master_key::rotate(&world.app, 0, false, &BY).await.unwrap();
        let (database, folder) = world.stop().await;
        let world = roomy().again(database, folder).openai(&provider.openai_url(), &fake_key()).start().await;
        assert_eq!(used(&world, &provider).await, another_key(), "also after a restart");
        for bad in ["", "your-key-here", "two\nlines", "x"] {
            assert_eq!(set(&world, bad).await.unwrap_err().kind(), Kind::Invalid, "{bad:?}");
        }
        let secret = Secret::new(another_key());
        let unknown = provider_keys::set(&world.app, "nobody", &secret, &BY).await.unwrap_err();
        assert_eq!(unknown.kind(), Kind::NotFound);
        let keyless = provider_keys::set(&world.app, "extractive", &secret, &BY).await.unwrap_err();
        assert_eq!(keyless.kind(), Kind::Invalid);
        assert_eq!(used(&world, &provider).await, another_key(), "what will not do changes nothing");
        assert!(provider_keys::unset(&world.app, "openai", &BY).await.unwrap());
        assert_eq!(used(&world, &provider).await, fake_key());
        assert!(!provider_keys::unset(&world.app, "openai", &BY).await.unwrap(), "there is none any more");
        let told = world.app.events.tail();
        assert!(told.iter().all(|event| event.detail.as_deref().is_none_or(|text| !text.contains("Qz9"))));
    }
}

#[tokio::test]
async fn a_key_is_not_set_without_its_record() {
    for engine in World::ENGINES {
        let provider = provider().await;
        let world = roomy().engine(engine).openai(&provider.openai_url(), &fake_key()).start().await;
        world.database.tamper("ALTER TABLE audit_trail RENAME TO gone").await;
        assert!(set(&world, &another_key()).await.is_err());
        world.database.tamper("ALTER TABLE gone RENAME TO audit_trail").await;
        assert_eq!(used(&world, &provider).await, fake_key());
        assert!(!provider_keys::unset(&world.app, "openai", &BY).await.unwrap());
    }
}

#[tokio::test]
async fn a_set_key_is_never_sent_to_another_host() {
    let provider = provider().await;
    let world = roomy().openai(&provider.openai_url(), &fake_key()).start().await;
    set(&world, &another_key()).await.unwrap();
    let (database, folder) = world.stop().await;
    let elsewhere = provider.openai_url().replace("127.0.0.1", "localhost");
    let world = roomy().again(database, folder).openai(&elsewhere, &fake_key()).start().await;
    assert_eq!(used(&world, &provider).await, fake_key(), "it was set for the other one");
    assert!(
        world
            .app
            .events
            .tail()
            .iter()
            .any(|event| { event.detail.as_deref().is_some_and(|text| text.contains("provider openai is not used")) })
    );
    // Nor where somebody writes the new host into the database.
    world
        .database
        .tamper(
            "UPDATE settings SET value = replace(value, '127.0.0.1', 'localhost') WHERE name = 'provider_key.openai'",
        )
        .await;
    provider_keys::reload(&world.app).await.unwrap();
    assert_eq!(used(&world, &provider).await, fake_key());
}

#[tokio::test]
async fn every_node_uses_a_key_that_is_set_within_a_second() {
    let provider = provider().await;
    let one = roomy().engine(Engine::Postgres).start().await;
    let url = one.database.config().url.expose().clone();
    let key_file = one.folder.path().join("keys/master.key");
    let node = || {
        let node = roomy().set("database.url", url.clone()).set("vault.key_file", key_file.display());
        node.openai(&provider.openai_url(), &fake_key())
    };
    let (here, there) = (node().start().await, node().start().await);
    let jobs = tokio::spawn(chatward::jobs::run(there.app.clone()));
    set(&here, &another_key()).await.unwrap();
    eventually("the other node uses it", async || used(&there, &provider).await == another_key()).await;
    provider_keys::unset(&here.app, "openai", &BY).await.unwrap();
    eventually("and the configured one again", async || used(&there, &provider).await == fake_key()).await;
    there.app.stopping.cancel();
    tokio::time::timeout(crate::world::PATIENCE, jobs).await.unwrap().unwrap();
}

#[test]
fn the_command_reads_the_key_from_standard_input_and_never_shows_it() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    add_site(folder);
    let given = |arguments: &[&str], input: &str| {
        let mut child = command(folder)
            .args(arguments)
            .env("OPENAI_API_KEY", fake_key())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(!said.contains("Qz9") && !said.contains("Zq8"), "{said}");
        (output.status.code(), said)
    };
    let (code, said) = given(&["key", "set", "openai"], &format!("{}\n", another_key()));
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = given(&["key", "ages"], "");
    assert!(code == Some(0) && said.contains("database") && said.contains("openai"), "{said}");
    assert_eq!(given(&["key", "set", "openai"], "nonsense").0, Some(2));
    assert_eq!(given(&["key", "set", "openai", "as-an-argument"], "").0, Some(2), "never as an argument");
    assert_eq!(given(&["key", "set", "nobody"], &another_key()).0, Some(1));
    assert_eq!(given(&["key", "unset", "openai"], "").0, Some(0));
    assert_eq!(given(&["key", "unset", "openai"], "").0, Some(1));
    let listed = run(folder, &["key", "list"]);
    assert!(listed.status.success());
}
