//! How users come in, go on and leave: alike for known and unknown, slower with each failure, ended on the server.

use crate::people::{PASSWORD, Tokens, roomy};
use crate::world::{Reply, World};
use chatward::ops::users;
use chatward_store::{Engine, UserState};
use chatward_types::{MINUTE, Role, SECOND, Scope};
use http::{Method, StatusCode};
use serde_json::json;

fn what_it_says(reply: &Reply) -> (StatusCode, String, String) {
    let names: Vec<&str> = reply.headers.keys().map(http::HeaderName::as_str).collect();
    (reply.status, reply.json()["error"]["message"].to_string(), names.join(" "))
}

#[tokio::test]
async fn known_and_unknown_accounts_are_answered_alike_after_the_same_work() {
    for engine in World::ENGINES {
        let world = roomy().engine(engine).start().await;
        let scope = Scope::of(world.app.owner);
        world.user("known@example.test", Role::Owner).await;
        let disabled = world.user("disabled@example.test", Role::Member).await;
        users::set_state(&world.app, &scope, disabled.id, UserState::Disabled).await.unwrap();
        let tries = [
            ("known@example.test", "a wrong password"),
            ("unknown@example.test", "a wrong password"),
            ("disabled@example.test", PASSWORD),
        ];
        // Four that fail, the fifth after which there is a wait, and one that is held.
        for turn in 0..6 {
            let mut said = Vec::new();
            for (email, password) in tries {
                let before = world.app.passwords.evaluations();
                let reply = world.log_in(email, password).await;
                said.push((what_it_says(&reply), world.app.passwords.evaluations() - before));
            }
            assert_eq!(said[0], said[1], "turn {turn}");
            assert_eq!(said[0], said[2], "turn {turn}");
            let (status, work) = if turn < 5 { (401, 1) } else { (429, 0) };
            assert_eq!((said[0].0.0.as_u16(), said[0].1), (status, work), "turn {turn}");
        }
        let before = world.app.passwords.evaluations();
        world.clock.advance(2 * SECOND);
        assert_eq!(world.log_in(" KNOWN@example.test", PASSWORD).await.status, StatusCode::CREATED);
        assert_eq!(world.app.passwords.evaluations() - before, 1, "a good one is as much work");
    }
}

#[tokio::test]
async fn waits_of_an_account_double_and_hold_whoever_asks_until_unlocked() {
    for engine in World::ENGINES {
        let world = roomy().engine(engine).start().await;
        let user = world.user("ann@example.test", Role::Owner).await;
        for _ in 0..4 {
            assert_eq!(world.log_in("ann@example.test", "a wrong password").await.status, StatusCode::UNAUTHORIZED);
        }
        for seconds in [1, 2, 4, 8] {
            assert_eq!(world.log_in("ann@example.test", "a wrong password").await.status, StatusCode::UNAUTHORIZED);
            let held = world.log_in("ann@example.test", PASSWORD).await;
            assert_eq!((held.status, held.code().as_str()), (StatusCode::TOO_MANY_REQUESTS, "login_held"));
            let wait: i64 = held.header("retry-after").parse().unwrap();
            assert!((seconds..=seconds + 1).contains(&wait), "{wait} for {seconds}");
            world.clock.advance(seconds * SECOND);
        }
        assert!(world.has_event("LOGIN_HELD"));
        world.log_in("ann@example.test", "a wrong password").await;
        assert_eq!(world.log_in("ann@example.test", PASSWORD).await.status, StatusCode::TOO_MANY_REQUESTS);
        assert!(users::unlock(&world.app, &Scope::of(world.app.owner), &user).await.unwrap());
        assert_eq!(world.log_in("ann@example.test", PASSWORD).await.status, StatusCode::CREATED);
        assert_eq!(world.log_in("ann@example.test", "a wrong password").await.status, StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn a_bcrypt_hash_from_elsewhere_holds_and_is_upgraded_at_login() {
    for engine in World::ENGINES {
        let world = roomy().engine(engine).start().await;
        let scope = Scope::of(world.app.owner);
        let theirs = bcrypt::hash_with_salt(PASSWORD, 4, [7; 16]).unwrap().to_string();
        let import = async |email: &str, proof: &str| {
            users::import(&world.app, &scope, email, "Ann Example", Role::Owner, proof).await
        };
        let user = import("ann@example.test", &theirs).await.unwrap();
        for weak in ["", "plain", "$2b$31$abc", "$argon2id$v=19$m=8,t=1,p=1$AAAAAAAAAAA$AAAA", &theirs[..59]] {
            assert!(import("b@example.test", weak).await.is_err(), "{weak}");
        }
        let proof = async || world.app.store.get_user(&scope, user.id).await.unwrap().unwrap().password;
        assert_eq!(world.log_in("ann@example.test", "a wrong password").await.status, StatusCode::UNAUTHORIZED);
        assert_eq!(proof().await, theirs, "a wrong password changes nothing");
        let first = world.tokens("ann@example.test").await;
        assert!(proof().await.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert!(world.holds(&first.access).await);
        assert_eq!(world.log_in("ann@example.test", "a wrong password").await.status, StatusCode::UNAUTHORIZED);
        assert_eq!(world.log_in("ann@example.test", PASSWORD).await.status, StatusCode::CREATED);
    }
}

#[tokio::test]
async fn many_guesses_at_once_are_not_one() {
    let world = roomy().start().await;
    world.user("ann@example.test", Role::Owner).await;
    let tries = (0..12).map(|_| world.log_in("ann@example.test", "a wrong password"));
    let replies = futures_util::future::join_all(tries).await;
    assert_eq!(replies.iter().filter(|reply| reply.status == StatusCode::UNAUTHORIZED).count(), 5);
    assert_eq!(replies.iter().filter(|reply| reply.code() == "login_held").count(), 7);
}

#[tokio::test]
async fn an_address_waits_whatever_accounts_it_tries_and_has_a_limit_of_its_own() {
    let world = roomy().set("limits.sign_in_per_minute", 24).start().await;
    let mut codes = Vec::new();
    for number in 0..26 {
        codes.push(world.log_in(&format!("{number}@example.test"), "a wrong password").await.code());
    }
    assert_eq!(codes.iter().filter(|code| *code == "login_failed").count(), 20, "{codes:?}");
    assert_eq!(codes[20..], ["login_held", "login_held", "login_held", "login_held", "rate_limited", "rate_limited"]);
    assert_eq!(world.get("/api/v1/sites").await.status, StatusCode::UNAUTHORIZED, "other routes have their own");
}

#[tokio::test]
async fn a_refresh_token_goes_on_once_and_a_spent_one_ends_its_whole_login() {
    for engine in World::ENGINES {
        let world = roomy().engine(engine).start().await;
        world.user("ann@example.test", Role::Owner).await;
        let (one, other) = (world.tokens("ann@example.test").await, world.tokens("ann@example.test").await);
        let two = Tokens::of(&world.refresh(&one.refresh).await);
        world.clock.advance(20 * MINUTE);
        let three = Tokens::of(&world.refresh(&two.refresh).await);
        assert!(world.holds(&one.access).await && world.holds(&three.access).await);
        let stored = world.database.everything().await;
        for plain in [&one.refresh, &three.refresh] {
            assert!(!stored.windows(plain.len()).any(|window| window == plain.as_bytes()), "only a hash is stored");
        }
        let last = if three.refresh.ends_with('A') { 'B' } else { 'A' };
        for strange in ["", "x", &three.access, &format!("{}{last}", &three.refresh[..three.refresh.len() - 1])] {
            assert_eq!(world.refresh(strange).await.code(), "refresh_invalid");
        }
        assert!(world.holds(&three.access).await, "what we never issued ends nothing");
        // The oldest of them, two turns ago.
        let reused = world.refresh(&one.refresh).await;
        assert_eq!((reused.status, reused.code().as_str()), (StatusCode::UNAUTHORIZED, "refresh_invalid"));
        assert_eq!(world.refresh(&three.refresh).await.status, StatusCode::UNAUTHORIZED);
        for token in [&one, &two, &three] {
            assert!(!world.holds(&token.access).await, "the whole login has ended");
        }
        assert!(world.has_event("REFRESH_REUSED"));
        assert!(world.holds(&other.access).await, "another device goes on");
    }
}

#[tokio::test]
async fn a_refresh_token_ends_unused_and_an_access_token_after_half_an_hour() {
    let world = roomy().set("accounts.login_days", 2).start().await;
    world.user("ann@example.test", Role::Owner).await;
    let tokens = world.tokens("ann@example.test").await;
    world.clock.advance(30 * MINUTE - SECOND);
    assert!(world.holds(&tokens.access).await);
    world.clock.advance(SECOND);
    assert!(!world.holds(&tokens.access).await);
    world.clock.advance(47 * 60 * MINUTE);
    let next = Tokens::of(&world.refresh(&tokens.refresh).await);
    world.clock.advance(48 * 60 * MINUTE);
    assert_eq!(world.refresh(&next.refresh).await.code(), "refresh_invalid");
}

#[tokio::test]
async fn logout_ends_every_token_on_every_node_at_once() {
    let world = roomy().engine(Engine::Postgres).start().await;
    let other = world.another_node().await;
    world.user("ann@example.test", Role::Owner).await;
    let (tokens, device) = (world.tokens("ann@example.test").await, other.tokens("ann@example.test").await);
    for node in [&world, &other] {
        assert!(
            node.holds(&tokens.access).await && node.holds(&device.access).await,
            "a node takes the other's tokens"
        );
    }
    let out = world.with(&tokens.access, Method::POST, "/api/v1/auth/logout").send().await;
    assert_eq!(out.status, StatusCode::NO_CONTENT, "{}", out.text());
    for node in [&other, &world] {
        assert!(!node.holds(&tokens.access).await);
        assert_eq!(node.refresh(&tokens.refresh).await.code(), "refresh_invalid");
        assert!(node.holds(&device.access).await, "the other device stays");
    }
    assert!(!world.has_event("REFRESH_REUSED"), "an ended login is no theft");
    other.app.stop().await;
}

#[tokio::test]
async fn a_user_sees_and_ends_their_logins_device_by_device() {
    for engine in World::ENGINES {
        let world = roomy().engine(engine).start().await;
        world.user("ann@example.test", Role::Viewer).await;
        world.user("bob@example.test", Role::Owner).await;
        let on = async |device: &str, email: &str| {
            let call = world.call(Method::POST, "/api/v1/auth/login").header("user-agent", device);
            Tokens::of(&call.json(&json!({ "email": email, "password": PASSWORD })).send().await)
        };
        let (phone, laptop) = (on("phone", "ann@example.test").await, on("laptop", "ann@example.test").await);
        let bobs = on("desk", "bob@example.test").await;
        let list = async |tokens: &Tokens| {
            let reply = world.with(&tokens.access, Method::GET, "/api/v1/account/sessions").send().await;
            reply.json()["sessions"].as_array().unwrap().clone()
        };
        let seen = list(&laptop).await;
        assert_eq!(seen.len(), 2, "hers alone: {seen:?}");
        let find = |agent: &str| seen.iter().find(|login| login["user_agent"] == agent).unwrap();
        assert_eq!((&find("laptop")["current"], &find("phone")["current"]), (&json!(true), &json!(false)));
        assert_eq!(find("phone")["network"], "127.0.0.0/24");
        let end = async |tokens: &Tokens, id: &str| {
            let path = format!("/api/v1/account/sessions/{id}");
            world.with(&tokens.access, Method::DELETE, &path).send().await.status
        };
        let id = find("phone")["id"].as_str().unwrap();
        assert_eq!(end(&bobs, id).await, StatusCode::NOT_FOUND, "another's login");
        assert!(world.holds(&phone.access).await);
        assert_eq!(end(&laptop, "nonsense").await, StatusCode::BAD_REQUEST);
        assert_eq!(end(&laptop, id).await, StatusCode::NO_CONTENT);
        assert!(!world.holds(&phone.access).await && world.holds(&laptop.access).await);
        assert_eq!(world.refresh(&phone.refresh).await.status, StatusCode::UNAUTHORIZED);
        assert_eq!(end(&laptop, id).await, StatusCode::NOT_FOUND, "once");
        assert_eq!(list(&laptop).await.len(), 1);
    }
}

#[tokio::test]
async fn a_role_a_disabling_and_a_password_hold_from_the_next_request_on() {
    for engine in World::ENGINES {
        let world = roomy().engine(engine).start().await;
        let scope = Scope::of(world.app.owner);
        world.user("owner@example.test", Role::Owner).await;
        let user = world.user("ann@example.test", Role::Member).await;
        let tokens = world.tokens("ann@example.test").await;
        let path = format!("/api/v1/sites/{}", world.site.id);
        let change = async || {
            let call = world.with(&tokens.access, Method::PATCH, &path).json(&json!({ "name": "Tea" }));
            call.send().await.status.as_u16()
        };
        assert_eq!(change().await, 200);
        users::set_role(&world.app, &scope, user.id, Role::Viewer).await.unwrap();
        assert_eq!(change().await, 403);
        users::set_role(&world.app, &scope, user.id, Role::Admin).await.unwrap();
        assert_eq!(change().await, 200);
        let by_user = format!("by user {}", user.id);
        let told = world.app.events.tail();
        assert!(told.iter().any(|event| event.detail.as_deref() == Some(by_user.as_str())), "told with who it was");
        users::set_state(&world.app, &scope, user.id, UserState::Disabled).await.unwrap();
        assert_eq!(change().await, 401);
        assert_eq!(world.refresh(&tokens.refresh).await.status, StatusCode::UNAUTHORIZED);
        users::set_state(&world.app, &scope, user.id, UserState::Active).await.unwrap();
        assert!(!world.holds(&tokens.access).await, "what was ended stays so");
        let tokens = world.tokens("ann@example.test").await;
        let another = chatward_types::Secret::new("tide-oboe-fern-9".to_owned());
        users::reset_password(&world.app, &scope, &user, &another).await.unwrap();
        assert!(!world.holds(&tokens.access).await);
        assert_eq!(world.log_in("ann@example.test", PASSWORD).await.status, StatusCode::UNAUTHORIZED);
        assert_eq!(world.log_in("ann@example.test", "tide-oboe-fern-9").await.status, StatusCode::CREATED);
    }
}
