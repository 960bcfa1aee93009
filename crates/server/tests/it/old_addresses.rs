//! Where a client's address is kept whole, for how long, and that nothing of it is left after that.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use crate::security_log::{path_of, text_of};
use crate::world::{QUESTION, SHOP, World};
use chatward::jobs;
use chatward::ops::blocks;
use chatward::ops::trail::Actor;
use chatward_types::{Clock, DAY, HOUR, MINUTE};
use http::{Method, StatusCode};
use serde_json::json;
use std::path::Path;

const CLIENT: &str = "203.0.113.77";
const AROUND: &str = "203.0.113.0/24";
const BY: Actor = Actor::Operator;

/// Every byte that the server keeps: its database, and the files of its folder.
async fn kept(world: &World) -> Vec<u8> {
    let mut all = world.database.everything().await;
    for file in files(world.folder.path()) {
        all.extend(std::fs::read(file).unwrap());
    }
    all
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn holds(all: &[u8], text: &str) -> bool {
    all.windows(text.len()).any(|window| window == text.as_bytes())
}

#[tokio::test]
async fn no_whole_address_is_left_anywhere_when_its_time_is_over() {
    for engine in World::ENGINES {
        let world = World::builder()
            .engine(engine)
            .set("server.trusted_proxies", "127.0.0.0/8")
            .set("server.client_address_header", "x-forwarded-for")
            .set("logging.address_days", 3)
            .start()
            .await;
        let from = |method, path: &str| world.call(method, path).header("x-forwarded-for", CLIENT);
        let begun = from(Method::POST, "/api/v1/widget/sessions").header("origin", SHOP);
        let begun = begun.json(&json!({ "site": world.site.publishable_key })).send().await;
        assert_eq!(begun.status, StatusCode::CREATED);
        let token = format!("Bearer {}", begun.json()["token"].as_str().unwrap());
        let asked = from(Method::POST, "/api/v1/widget/messages").header("origin", SHOP);
        let asked = asked.header("authorization", &token).json(&json!({ "message": QUESTION })).send().await;
        assert_eq!(asked.status, StatusCode::OK, "{}", asked.text());
        // An account's attempt, a refusal, and a block that ends.
        let login = json!({ "email": "a@example.test", "password": "not the password" });
        from(Method::POST, "/api/v1/auth/login").json(&login).send().await;
        blocks::block(&world.app, CLIENT, blocks::Block { reason: "flooded", length: Some(HOUR), force: false }, &BY)
            .await
            .unwrap();
        assert_eq!(from(Method::GET, "/docs").send().await.status, StatusCode::FORBIDDEN);
        blocks::block(&world.app, "203.0.113.78", blocks::Block { reason: "", length: Some(HOUR), force: false }, &BY)
            .await
            .unwrap();
        blocks::unblock(&world.app, "203.0.113.78", &BY).await.unwrap();

        let text = text_of(&world).await;
        assert!(text.contains(&format!("\"address\":\"{CLIENT}\"")), "it is there while it may be");
        let lines_before = text.lines().count();
        let turn = async || {
            jobs::run_housekeeping(&world.app).await.unwrap();
            jobs::shorten_addresses(&world.app, world.clock.now()).await.unwrap()
        };
        world.clock.advance(3 * DAY - 30 * MINUTE);
        // The next event finds that the file is old enough to be rotated.
        world.call(Method::POST, "/api/v1/auth/login").json(&login).send().await;
        text_of(&world).await;
        assert_eq!(turn().await, 0, "not yet");
        assert!(holds(&kept(&world).await, CLIENT));
        world.clock.advance(30 * MINUTE);
        assert_eq!(turn().await, 1);
        assert_eq!(turn().await, 0);
        world.app.store.empty_log().await.unwrap();

        let all = kept(&world).await;
        for whole in [CLIENT, "203.0.113.78"] {
            assert!(!holds(&all, whole), "{whole} is still kept");
        }
        assert!(holds(&all, AROUND), "the network is");
        let folder = path_of(&world).parent().unwrap().to_owned();
        let rotated = files(&folder).into_iter().find(|path| path.to_string_lossy().contains("security-")).unwrap();
        let text = std::fs::read_to_string(rotated).unwrap();
        assert_eq!(text.lines().count(), lines_before + 1, "no line is lost: {text}");
        assert!(text.lines().all(|line| line.contains("SECURITY")), "{text}");
        assert!(text.contains(&format!("{AROUND} was blocked by operator")), "{text}");
        world.app.stop().await;
    }
}

#[tokio::test]
async fn a_block_that_holds_keeps_what_it_blocks_and_the_trail_its_network() {
    let world = World::builder()
        .set("server.trusted_proxies", "127.0.0.0/8")
        .set("server.client_address_header", "x-forwarded-for")
        .start()
        .await;
    blocks::block(&world.app, CLIENT, blocks::Block { reason: "", length: None, force: false }, &BY).await.unwrap();
    world.clock.advance(30 * DAY);
    jobs::run_housekeeping(&world.app).await.unwrap();
    blocks::refresh(&world.app).await.unwrap();
    let ask =
        async |address: &str| world.call(Method::GET, "/docs").header("x-forwarded-for", address).send().await.status;
    assert_eq!((ask(CLIENT).await, ask("203.0.113.78").await), (StatusCode::FORBIDDEN, StatusCode::OK));
    let record = world.app.store.trail_head().await.unwrap().unwrap();
    assert_eq!((record.name.as_str(), record.subject.as_str()), ("BLOCK_CHANGED", AROUND));
}
