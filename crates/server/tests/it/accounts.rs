//! How somebody becomes a user: the set-up token, invitations; and what a password must be.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use crate::people::{PASSWORD, Tokens, roomy};
use crate::world::{Reply, World};
use chatward::ops::{setup, users};
use chatward_store::UserState;
use chatward_types::{HOUR, Role, Scope};
use http::{Method, StatusCode};
use serde_json::{Value, json};

fn first(token: &str, email: &str) -> Value {
    json!({ "token": token, "email": email, "password": PASSWORD, "full_name": "Ann Example" })
}

async fn set_up(world: &World, body: &Value) -> Reply {
    world.post("/api/v1/auth/setup", body).await
}

fn is_refused(reply: &Reply, code: &str) {
    assert_eq!((reply.status, reply.code().as_str()), (StatusCode::UNAUTHORIZED, code), "{}", reply.text());
}

#[tokio::test]
async fn the_first_user_is_made_once_with_the_token_and_by_one_of_two_at_once() {
    for engine in World::ENGINES {
        let world = roomy().engine(engine).start().await;
        let old = world.setup_token().await;
        let token = world.setup_token().await;
        let stored = world.database.everything().await;
        for plain in [&old, &token] {
            assert!(!stored.windows(plain.len()).any(|window| window == plain.as_bytes()), "only its hash is stored");
        }
        for wrong in [old.as_str(), "", "x", &"A".repeat(44)] {
            is_refused(&set_up(&world, &first(wrong, "x@example.test")).await, "setup_invalid");
        }
        let (one, two) = (first(&token, "one@example.test"), first(&token, "two@example.test"));
        let (one, two) = tokio::join!(set_up(&world, &one), set_up(&world, &two));
        let (won, lost) = if one.status == StatusCode::CREATED { (one, two) } else { (two, one) };
        is_refused(&lost, "setup_invalid");
        let me = world.with(&Tokens::of(&won).access, Method::GET, "/api/v1/auth/me").send().await.json();
        assert_eq!((&me["role"], &me["owner"]), (&json!("owner"), &json!(world.app.owner)));
        assert_eq!(world.app.store.count_users(&Scope::of(world.app.owner)).await.unwrap(), 1);
        is_refused(&set_up(&world, &first(&token, "three@example.test")).await, "setup_invalid");
        assert!(setup::prepare(&world.app).await.unwrap().is_none(), "there is a user: no other token is made");
    }
}

#[tokio::test]
async fn a_set_up_token_ends_after_an_hour_and_when_there_is_a_user() {
    let world = roomy().start().await;
    let token = world.setup_token().await;
    world.clock.advance(HOUR);
    is_refused(&set_up(&world, &first(&token, "x@example.test")).await, "setup_invalid");
    let token = world.setup_token().await;
    world.user("ann@example.test", Role::Member).await;
    is_refused(&set_up(&world, &first(&token, "x@example.test")).await, "setup_invalid");
}

async fn invite(world: &World, access: &str, email: &str, role: &str) -> Reply {
    let call = world.with(access, Method::POST, "/api/v1/invitations");
    call.json(&json!({ "email": email, "role": role })).send().await
}

async fn invited(world: &World, access: &str, email: &str, role: &str) -> String {
    let reply = invite(world, access, email, role).await;
    assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text());
    reply.json()["token"].as_str().unwrap().to_owned()
}

async fn accept(world: &World, token: &str) -> Reply {
    let body = json!({ "token": token, "password": PASSWORD, "full_name": "New Person" });
    world.post("/api/v1/auth/accept", &body).await
}

#[tokio::test]
async fn an_invitation_makes_one_user_of_its_role_and_ends_with_its_sender() {
    for engine in World::ENGINES {
        let world = roomy().engine(engine).start().await;
        let scope = Scope::of(world.app.owner);
        world.user("owner@example.test", Role::Owner).await;
        let admin = world.user("admin@example.test", Role::Admin).await;
        let access = world.access(world.app.owner, &admin).await;
        let above = invite(&world, &access, "new@example.test", "owner").await;
        assert_eq!((above.status, above.code().as_str()), (StatusCode::FORBIDDEN, "role_too_high"));

        let token = invited(&world, &access, "New@Example.test", "member").await;
        let stored = world.database.everything().await;
        assert!(!stored.windows(token.len()).any(|window| window == token.as_bytes()), "only its hash is stored");
        let (one, two) = tokio::join!(accept(&world, &token), accept(&world, &token));
        let (won, lost) = if one.status == StatusCode::CREATED { (one, two) } else { (two, one) };
        is_refused(&lost, "invitation_invalid");
        let me = world.with(&Tokens::of(&won).access, Method::GET, "/api/v1/auth/me").send().await.json();
        assert_eq!((&me["role"], &me["email"]), (&json!("member"), &json!("new@example.test")));
        is_refused(&accept(&world, &token).await, "invitation_invalid");

        // An address with an account, a token that is none, one that ran out: told alike.
        let taken = invited(&world, &access, "owner@example.test", "viewer").await;
        let taken = accept(&world, &taken).await;
        is_refused(&taken, "invitation_invalid");
        let forged = accept(&world, &token[..token.len() - 1]).await;
        is_refused(&forged, "invitation_invalid");
        assert_eq!(taken.json()["error"]["message"], forged.json()["error"]["message"]);
        let late = invited(&world, &access, "late@example.test", "viewer").await;
        let orphan = invited(&world, &access, "orphan@example.test", "viewer").await;
        users::set_state(&world.app, &scope, admin.id, UserState::Disabled).await.unwrap();
        is_refused(&accept(&world, &orphan).await, "invitation_invalid");
        users::set_state(&world.app, &scope, admin.id, UserState::Active).await.unwrap();
        world.clock.advance(72 * HOUR);
        is_refused(&accept(&world, &late).await, "invitation_invalid");
    }
}

#[tokio::test]
async fn a_password_that_is_weak_is_refused_with_what_to_do_and_never_repeated() {
    let world = roomy().start().await;
    let token = world.setup_token().await;
    for (password, named) in [
        ("short", "at least 12"),
        ("eleven chrs", "at least 12"),
        ("Password2024!", "first that anybody tries"),
        ("qwertyuiop[]", "first that anybody tries"),
        // From the list of breached passwords, as they are and with what people put behind them.
        ("1qaz2wsx3edc4rfv", "first that anybody tries"),
        ("Liverpoolfc2024", "first that anybody tries"),
        ("annexample123", "own names"),
        (&"long enough ".repeat(22), "at most 256"),
    ] {
        let mut body = first(&token, "ann@example.test");
        body["password"] = json!(password);
        let reply = set_up(&world, &body).await;
        assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY, "{password}: {}", reply.text());
        assert!(reply.text().contains(named) && !reply.text().contains(password), "{password}: {}", reply.text());
    }
    let reply = set_up(&world, &first(&token, "ann@example.test")).await;
    assert_eq!(reply.status, StatusCode::CREATED, "the token was not used up by it: {}", reply.text());
    let stored = world.database.everything().await;
    assert!(!stored.windows(PASSWORD.len()).any(|window| window == PASSWORD.as_bytes()));
    let form = b"$argon2id$v=19$m=19456,t=2,p=1$";
    assert!(stored.windows(form.len()).any(|window| window == form), "argon2id with 19 MiB and two passes");
    let told = format!("{:?}", world.app.events.tail());
    assert!(!told.contains(PASSWORD) && !told.contains(&token) && !told.contains("ann@example.test"));
    let shorter = roomy().set("accounts.password_min_length", 8).start().await;
    let mut body = first(&shorter.setup_token().await, "ann@example.test");
    body["password"] = json!("fjord-92");
    assert_eq!(set_up(&shorter, &body).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn the_policy_of_small_apps_is_a_matter_of_settings_and_still_refuses_what_was_breached() {
    let policy = roomy().set("accounts.password_min_length", 6).set("accounts.password_letters_and_digits", "on");
    let world = policy.start().await;
    let token = world.setup_token().await;
    let set = async |password: &str| {
        let mut body = first(&token, "ann@example.test");
        body["password"] = json!(password);
        set_up(&world, &body).await
    };
    for (password, named) in [
        ("fj9-x", "at least 6"),
        ("fjordwaldes", "letters and digits"),
        ("8297-4163-50", "letters and digits"),
        ("abc123", "first that anybody tries"),
        ("trustno1", "first that anybody tries"),
        // On the list of breached ones alone.
        ("qvw6n2", "first that anybody tries"),
    ] {
        let reply = set(password).await;
        assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY, "{password}");
        assert!(reply.text().contains(named) && !reply.text().contains(password), "{password}: {}", reply.text());
    }
    assert_eq!(set("fjq-92x").await.status, StatusCode::CREATED);
    let default = roomy().start().await;
    let mut body = first(&default.setup_token().await, "ann@example.test");
    body["password"] = json!("seven lamps under glass");
    assert_eq!(set_up(&default, &body).await.status, StatusCode::CREATED, "the rule of digits is off by default");
}

#[tokio::test]
async fn a_full_pool_says_when_to_come_back() {
    let world = roomy()
        .set("server.trusted_proxies", "127.0.0.0/8")
        .set("server.client_address_header", "x-real-ip")
        .start()
        .await;
    let tries = (0..60).map(|number| {
        let call = world.call(Method::POST, "/api/v1/auth/login").header("x-real-ip", &format!("192.0.2.{number}"));
        call.json(&json!({ "email": format!("{number}@example.test"), "password": PASSWORD })).send()
    });
    let replies = futures_util::future::join_all(tries).await;
    let full: Vec<&Reply> = replies.iter().filter(|reply| reply.status == StatusCode::SERVICE_UNAVAILABLE).collect();
    assert!(!full.is_empty(), "60 at once are more than wait");
    assert!(full.iter().all(|reply| reply.code() == "passwords_busy" && reply.header("retry-after") == "2"));
    assert!(replies.iter().filter(|reply| reply.status == StatusCode::UNAUTHORIZED).count() >= 33);
    assert_eq!(world.app.passwords.evaluations(), 60 - full.len() as u64, "who was sent away cost nothing");
    assert_eq!(world.log_in("x@example.test", PASSWORD).await.status, StatusCode::UNAUTHORIZED, "and it is free again");
}
