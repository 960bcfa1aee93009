//! Administrators during an incident (INC-06) and blocks over HTTP (RATE-09): who gets through a lockdown, who never does,
//! and that a block is made by no mistake.

#![expect(clippy::expect_used, reason = "helpers of tests fail by panicking, as tests do")]

use crate::people::{PASSWORD, roomy};
use crate::world::{QUESTION, Reply, World};
use chatward::ops::blocks::{self, Block};
use chatward::ops::lockdown;
use chatward::ops::trail::Actor;
use chatward::routes::{self, Policy};
use chatward_store::UserState;
use chatward_types::{Clock, MINUTE, OwnerId, Role, Scope};
use http::{Method, StatusCode};
use serde_json::{Value, json};

const LOCKDOWN: &str = "/api/v1/lockdown";
const BLOCKS: &str = "/api/v1/blocks";

fn is_locked_out(reply: &Reply) -> bool {
    let same = reply.status == StatusCode::SERVICE_UNAVAILABLE && reply.header("retry-after") == "300";
    same && reply.code() == "lockdown"
}

async fn foreign_owner(world: &World) -> OwnerId {
    let owner = OwnerId::generate(world.app.clock.as_ref(), world.app.entropy.as_ref()).expect("an id");
    world.app.store.insert_owner(owner, "another", world.clock.now()).await.expect("an owner");
    owner
}

#[tokio::test]
async fn an_administrator_looks_and_lifts_a_lockdown_and_nobody_else_does() {
    for engine in World::ENGINES {
        let world = roomy().engine(engine).start().await;
        let ours = world.app.owner;
        let mut tokens = Vec::new();
        for role in [Role::Viewer, Role::Member, Role::Admin, Role::Owner] {
            let user = world.user(&format!("{}@example.test", role.as_str()), role).await;
            tokens.push((role, world.access(ours, &user).await));
        }
        let admin = &tokens[2].1;
        let leaver = world.user("leaver@example.test", Role::Admin).await;
        let left = world.access(ours, &leaver).await;
        chatward::ops::users::set_state(&world.app, &Scope::of(ours), leaver.id, UserState::Disabled)
            .await
            .expect("out");
        let foreign = foreign_owner(&world).await;
        let theirs = world.user_of(foreign, "theirs@example.test", Role::Owner).await;
        let theirs = world.access(foreign, &theirs).await;
        let visitor = world.visitor().await;
        let key = world.key().await;

        let on = world.with(admin, Method::PUT, LOCKDOWN).json(&json!({ "reason": "a key leaked" })).send().await;
        assert_eq!((on.status, &on.json()["on"]), (StatusCode::OK, &json!(true)), "{}", on.text());
        assert_eq!((&on.json()["reason"], &on.json()["allow_sign_in"]), (&json!("a key leaked"), &json!(false)));
        for row in
            routes::rows().iter().filter(|row| row.policy == Policy::User(Role::Admin) || row.path.ends_with("/me"))
        {
            if *row.method != Method::GET {
                continue;
            }
            let path = world.concrete(row.path);
            let nobodys = |reply: &Reply| row.path.contains('{') && reply.status == StatusCode::NOT_FOUND;
            for (role, token) in &tokens {
                let reply = world.with(token, Method::GET, &path).send().await;
                assert_eq!(!is_locked_out(&reply), *role >= Role::Admin, "{} as {}", row.path, role.as_str());
                assert!(*role < Role::Admin || reply.status == StatusCode::OK || nobodys(&reply), "{}", reply.text());
            }
            // A bad token is refused as everybody, before anything is said about it.
            let (head, rest) = admin.split_once('.').expect("a token");
            let forged = format!("{head}.{}", rest.chars().rev().collect::<String>());
            for token in [left.as_str(), theirs.as_str(), &forged, "a.b.c", &visitor.token, &key] {
                let reply = world.with(token, Method::GET, &path).send().await;
                assert!(is_locked_out(&reply), "{}: {}", row.path, reply.text());
            }
        }
        // The rest of the world stays out, also beside an administrator.
        assert!(is_locked_out(&world.get("/widget.js").await));
        assert!(is_locked_out(&world.ask(&visitor, QUESTION).await));
        assert!(is_locked_out(&world.log_in("admin@example.test", PASSWORD).await), "nobody logs in");
        world.clock.advance(60 * MINUTE);
        assert!(
            is_locked_out(&world.with(admin, Method::GET, LOCKDOWN).send().await),
            "an hour later the token has ended"
        );
        let again = world.user("again@example.test", Role::Admin).await;
        let again = world.access(ours, &again).await;
        let off = world.with(&again, Method::DELETE, LOCKDOWN).send().await;
        assert_eq!((off.status, &off.json()["on"]), (StatusCode::OK, &json!(false)), "{}", off.text());
        assert_eq!(world.get("/widget.js").await.status, StatusCode::OK);
        let record = world.app.store.trail_head().await.expect("a read").expect("a record");
        assert!(record.name == "LOCKDOWN_CHANGED" && record.actor.starts_with("user:"), "{record:?}");
    }
}

#[tokio::test]
async fn logging_in_stays_closed_unless_the_lockdown_allows_it_and_serves_administrators_alone() {
    let world = roomy().start().await;
    for (email, role) in [("admin@example.test", Role::Admin), ("member@example.test", Role::Member)] {
        world.user(email, role).await;
    }
    let member_before = world.tokens("member@example.test").await;
    lockdown::begin(&world.app, "", true, &Actor::Operator).await.expect("on");
    let admin = world.tokens("admin@example.test").await;
    assert_eq!(world.with(&admin.access, Method::GET, LOCKDOWN).send().await.json()["allow_sign_in"], true);
    assert_eq!(world.refresh(&admin.refresh).await.status, StatusCode::OK);
    assert_eq!(world.log_in("admin@example.test", "wrong").await.status, StatusCode::UNAUTHORIZED);
    let member = world.tokens("member@example.test").await;
    for token in [&member.access, &member_before.access] {
        assert!(is_locked_out(&world.with(token, Method::GET, "/api/v1/auth/me").send().await), "it opens nothing");
    }
    for path in ["/api/v1/auth/setup", "/api/v1/auth/accept"] {
        assert!(
            is_locked_out(&world.post(path, &json!({ "token": "x" })).await),
            "{path}: nobody becomes a user meanwhile"
        );
    }
    assert!(lockdown::begin(&world.app, "", false, &Actor::Operator).await.expect("closed"));
    assert!(is_locked_out(&world.refresh(&admin.refresh).await));
    assert!(is_locked_out(&world.log_in("admin@example.test", PASSWORD).await));
}

#[tokio::test]
async fn tokens_in_a_lockdown_are_counted_before_they_are_looked_at() {
    let world = World::builder().set("limits.api_requests", 5).start().await;
    let admin = world.user("admin@example.test", Role::Admin).await;
    let token = world.access(world.app.owner, &admin).await;
    lockdown::begin(&world.app, "", false, &Actor::Operator).await.expect("on");
    for _ in 0..5 {
        assert!(is_locked_out(&world.with("a.b.c", Method::GET, LOCKDOWN).send().await));
    }
    let reply = world.with(&token, Method::GET, LOCKDOWN).send().await;
    assert!(is_locked_out(&reply), "this address has asked too often: {}", reply.text());
    world.clock.advance(15 * MINUTE);
    assert_eq!(world.with(&token, Method::GET, LOCKDOWN).send().await.status, StatusCode::OK);
}

#[tokio::test]
async fn an_administrators_block_shuts_an_address_out_and_lifts_again() {
    for engine in World::ENGINES {
        let world = roomy()
            .engine(engine)
            .set("server.trusted_proxies", "127.0.0.1/32")
            .set("server.client_address_header", "x-forwarded-for")
            .set("blocks.allowed", "198.51.100.0/24")
            .start()
            .await;
        let admin = world.user("admin@example.test", Role::Admin).await;
        let token = world.access(world.app.owner, &admin).await;
        let block = async |body: Value| {
            let call = world.with(&token, Method::POST, BLOCKS).header("x-forwarded-for", "192.0.2.1");
            call.json(&body).send().await
        };
        let status = async |address: &str| {
            world.call(Method::GET, "/healthz").header("x-forwarded-for", address).send().await.status
        };
        let made = block(json!({ "network": "203.0.113.7/24", "seconds": 3600, "reason": "scraping" })).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
        assert_eq!((&made.json()["network"], &made.json()["forced"]), (&json!("203.0.113.0/24"), &json!(false)));
        assert!(made.json()["by"].as_str().is_some_and(|by| by.starts_with("user:")));
        assert_eq!(status("203.0.113.9").await, StatusCode::FORBIDDEN);

        let mistake = block(json!({ "network": "198.51.100.7" })).await;
        assert_eq!((mistake.status.as_u16(), mistake.code().as_str()), (409, "network_allowed"));
        let own = block(json!({ "network": "192.0.2.0/24" })).await;
        assert_eq!((own.status.as_u16(), own.code().as_str()), (409, "network_own"));
        assert_eq!(
            block(json!({ "network": "127.0.0.1", "force": true })).await.status.as_u16(),
            422,
            "a proxy, never"
        );
        for bad in [json!({ "network": "nowhere" }), json!({ "network": "203.0.113.7", "seconds": 0 }), json!({})] {
            assert_eq!(block(bad.clone()).await.status.as_u16(), 422, "{bad}");
        }
        assert_eq!(status("198.51.100.7").await, StatusCode::OK);
        assert_eq!(block(json!({ "network": "198.51.100.7", "force": true })).await.status, StatusCode::CREATED);
        assert_eq!(status("198.51.100.7").await, StatusCode::FORBIDDEN, "by force, it is meant");
        assert_eq!(status("198.51.100.8").await, StatusCode::OK);

        let page = world.with(&token, Method::GET, &format!("{BLOCKS}?limit=1")).send().await.json();
        assert_eq!(page["blocks"].as_array().map(Vec::len), Some(1));
        let next = page["next_cursor"].as_str().expect("a second page");
        let page = world.with(&token, Method::GET, &format!("{BLOCKS}?cursor={next}")).send().await.json();
        assert_eq!((page["blocks"].as_array().map(Vec::len), page.get("next_cursor")), (Some(1), None));
        let lift = async |network: &str| {
            let path = format!("{BLOCKS}?network={network}");
            world.with(&token, Method::DELETE, &path).send().await.status
        };
        assert_eq!(lift("203.0.113.0/24").await, StatusCode::NO_CONTENT);
        assert_eq!(lift("203.0.113.0/24").await, StatusCode::NOT_FOUND);
        assert_eq!(status("203.0.113.9").await, StatusCode::OK);
    }
}

#[tokio::test]
async fn an_allowed_network_is_blocked_by_hand_only_by_force() {
    let world = World::builder()
        .set("server.trusted_proxies", "127.0.0.1/32")
        .set("server.client_address_header", "x-forwarded-for")
        .set("blocks.allowed", "198.51.100.0/24")
        .start()
        .await;
    let served = async |address: &str| {
        let reply = world.call(Method::GET, "/healthz").header("x-forwarded-for", address).send().await;
        reply.status == StatusCode::OK
    };
    let make = async |network: &str, force: bool| {
        blocks::block(&world.app, network, Block { force, ..Block::default() }, &Actor::Operator).await
    };
    assert_eq!(make("198.51.100.7", false).await.expect_err("allowed").code(), "network_allowed");
    make("0.0.0.0/0", false).await.expect("everybody");
    assert!(served("198.51.100.7").await && !served("203.0.113.7").await, "but those that are allowed");
    make("198.51.100.7", true).await.expect("forced");
    assert!(!served("198.51.100.7").await && served("198.51.100.8").await);
    assert!(make("127.0.0.1", true).await.is_err());
    make("0.0.0.0/0", true).await.expect("forced");
    assert!(!served("198.51.100.8").await && world.get("/healthz").await.status == StatusCode::OK, "never a proxy");
}
