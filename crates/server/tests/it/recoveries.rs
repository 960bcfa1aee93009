//! Recovery by link: for one user, once, an hour; it ends every login and no longer holds than what it stands on.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use crate::people::{PASSWORD, roomy};
use crate::world::{Reply, World};
use chatward::ops::{recoveries, users};
use chatward_store::{UserRow, UserState};
use chatward_types::{HOUR, Role, Scope};
use http::{Method, StatusCode};
use serde_json::{Value, json};

const ANOTHER: &str = "tide-oboe-fern-9";

async fn recover(world: &World, token: &str, password: &str) -> Reply {
    world.post("/api/v1/auth/recover", &json!({ "token": token, "password": password })).await
}

async fn made(world: &World, user: &UserRow) -> String {
    recoveries::make(&world.app, &Scope::of(world.app.owner), user.id).await.unwrap().token.expose().clone()
}

async fn made_by(world: &World, by: &UserRow, user: &UserRow) -> Value {
    let access = world.access(world.app.owner, by).await;
    let reply = world.with(&access, Method::POST, &format!("/api/v1/users/{}/recovery", user.id)).send().await;
    assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text());
    reply.json()
}

fn is_refused(reply: &Reply) {
    assert_eq!((reply.status.as_u16(), reply.code().as_str()), (401, "recovery_invalid"), "{}", reply.text());
}

#[tokio::test]
async fn a_link_sets_a_password_once_and_ends_every_login() {
    for engine in World::ENGINES {
        let world = roomy().engine(engine).start().await;
        let owner = world.user("owner@example.test", Role::Owner).await;
        let user = world.user("ann@example.test", Role::Member).await;
        let tokens = world.tokens("ann@example.test").await;
        let access = world.access(world.app.owner, &owner).await;
        let own = world.with(&access, Method::POST, &format!("/api/v1/users/{}/recovery", owner.id)).send().await;
        assert_eq!(
            (own.status.as_u16(), own.code().as_str()),
            (403, "own_account"),
            "a stolen token takes nothing over"
        );
        let link = made_by(&world, &owner, &user).await;
        let token = link["token"].as_str().unwrap();
        let page = world.app.config.public_url.join("account/recover").unwrap();
        assert_eq!(link["url"], format!("{page}#{token}"), "behind the #, which no server sees");
        let stored = world.database.everything().await;
        assert!(!stored.windows(token.len()).any(|window| window == token.as_bytes()), "only its hash is stored");
        assert!(world.holds(&tokens.access).await, "the link alone changes nothing");

        let weak = recover(&world, token, "password1234").await;
        assert_eq!((weak.status.as_u16(), weak.code().as_str()), (422, "password_refused"), "and does not use it up");
        for _ in 0..6 {
            world.log_in("ann@example.test", "a wrong password").await;
        }
        let (one, two) = tokio::join!(recover(&world, token, ANOTHER), recover(&world, token, "vorhang-und-oboe-9"));
        let (won, lost) = if one.status == StatusCode::NO_CONTENT { (&one, &two) } else { (&two, &one) };
        assert_eq!(won.status, StatusCode::NO_CONTENT, "{}", won.text());
        is_refused(lost);
        is_refused(&recover(&world, token, ANOTHER).await);
        assert!(!world.holds(&tokens.access).await);
        assert_eq!(world.refresh(&tokens.refresh).await.status, StatusCode::UNAUTHORIZED);
        assert_eq!(world.log_in("ann@example.test", PASSWORD).await.status, StatusCode::UNAUTHORIZED);
        let new = if one.status == StatusCode::NO_CONTENT { ANOTHER } else { "vorhang-und-oboe-9" };
        assert_eq!(world.log_in("ann@example.test", new).await.status, StatusCode::CREATED, "nor held any more");
        let told = format!("{:?}", world.app.events.tail());
        assert!(!told.contains(token) && !told.contains(new) && !told.contains("ann@example.test"));
    }
}

#[tokio::test]
async fn a_link_ends_after_an_hour_with_the_next_one_and_with_what_it_stands_on() {
    for engine in World::ENGINES {
        let world = roomy().engine(engine).start().await;
        let scope = Scope::of(world.app.owner);
        world.user("owner@example.test", Role::Owner).await;
        let admin = world.user("admin@example.test", Role::Admin).await;
        let user = world.user("ann@example.test", Role::Member).await;
        let token = made(&world, &user).await;
        for strange in ["", "x", &token[..token.len() - 1], &token.replace("cw_rc_", "cw_iv_")] {
            is_refused(&recover(&world, strange, ANOTHER).await);
        }
        let (first, second) = (made(&world, &user).await, made(&world, &user).await);
        is_refused(&recover(&world, &token, ANOTHER).await);
        is_refused(&recover(&world, &first, ANOTHER).await);
        world.clock.advance(HOUR);
        is_refused(&recover(&world, &second, ANOTHER).await);

        // Whoever has a link for a member must not become an owner by it.
        let link = made_by(&world, &admin, &user).await;
        users::set_role(&world.app, &scope, user.id, Role::Owner).await.unwrap();
        is_refused(&recover(&world, link["token"].as_str().unwrap(), ANOTHER).await);
        users::set_role(&world.app, &scope, user.id, Role::Member).await.unwrap();
        // A link does not outlast the rank of whoever made it.
        let link = made_by(&world, &admin, &user).await;
        users::set_state(&world.app, &scope, admin.id, UserState::Disabled).await.unwrap();
        is_refused(&recover(&world, link["token"].as_str().unwrap(), ANOTHER).await);
        // Whoever is shut out stays so.
        let token = made(&world, &user).await;
        users::set_state(&world.app, &scope, user.id, UserState::Disabled).await.unwrap();
        is_refused(&recover(&world, &token, ANOTHER).await);
        let token = made(&world, &user).await;
        let before = world.app.passwords.evaluations();
        is_refused(&recover(&world, &token, ANOTHER).await);
        assert_eq!(world.app.passwords.evaluations(), before, "a link that does not hold costs no hashing");
        let stored = world.app.store.get_user(&scope, user.id).await.unwrap().unwrap();
        assert_eq!(stored.password, user.password, "all of it changed nothing");
    }
}
