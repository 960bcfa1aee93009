//! Users who manage users: rank, the last owner, other owners' users, also when two do it at once; and one's own account.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use crate::people::{PASSWORD, roomy};
use crate::world::{Reply, World};
use chatward_store::UserRow;
use chatward_types::{OwnerId, Role, SECOND, Scope};
use http::{Method, StatusCode};
use serde_json::{Value, json};

const ROLES: [Role; 4] = [Role::Viewer, Role::Member, Role::Admin, Role::Owner];
const ANOTHER: &str = "tide-oboe-fern-9";

async fn other_owner(world: &World) -> OwnerId {
    let owner = OwnerId::generate(world.app.clock.as_ref(), world.app.entropy.as_ref()).unwrap();
    world.app.store.insert_owner(owner, "another", world.app.clock.now()).await.unwrap();
    owner
}

/// A call of a user by a login of its own.
async fn call(world: &World, by: &UserRow, method: Method, path: &str, body: &Value) -> Reply {
    let access = world.access(world.app.owner, by).await;
    with(world, &access, method, path, body).await
}

async fn with(world: &World, access: &str, method: Method, path: &str, body: &Value) -> Reply {
    let call = world.with(access, method, path);
    if body.is_null() { call } else { call.json(body) }.send().await
}

fn at(user: &UserRow) -> String {
    format!("/api/v1/users/{}", user.id)
}

async fn change(world: &World, by: &UserRow, user: &UserRow, body: &Value) -> Reply {
    call(world, by, Method::PATCH, &at(user), body).await
}

async fn role_of(world: &World, user: &UserRow) -> Option<Role> {
    let row = world.app.store.get_user(&Scope::of(world.app.owner), user.id).await.unwrap();
    row.map(|row| row.role)
}

#[tokio::test]
async fn nobody_acts_on_a_user_above_their_role_or_gives_a_role_above_it() {
    for engine in World::ENGINES {
        let world = roomy().engine(engine).start().await;
        world.user("first@example.test", Role::Owner).await;
        for acting in [Role::Admin, Role::Owner] {
            let by = world.user(&format!("{}-acts@example.test", acting.as_str()), acting).await;
            for target in ROLES {
                let name = format!("{}-of-{}@example.test", target.as_str(), acting.as_str());
                let user = world.user(&name, target).await;
                let refused = target > acting;
                for role in ROLES {
                    let before = role_of(&world, &user).await.unwrap();
                    let reply = call(&world, &by, Method::PATCH, &at(&user), &json!({ "role": role })).await;
                    let what = format!("{acting:?} makes {before:?} {role:?}: {}", reply.text());
                    if refused || role > acting {
                        assert_eq!((reply.status.as_u16(), reply.code().as_str()), (403, "role_too_high"), "{what}");
                        assert_eq!(role_of(&world, &user).await, Some(before), "{what}");
                    } else {
                        assert_eq!((reply.status.as_u16(), &reply.json()["role"]), (200, &json!(role)), "{what}");
                    }
                }
                for (method, path, body, good) in [
                    (Method::PATCH, at(&user), json!({ "full_name": "Another" }), 200),
                    (Method::PATCH, at(&user), json!({ "state": "disabled" }), 200),
                    (Method::PATCH, at(&user), json!({ "state": "active" }), 200),
                    (Method::POST, format!("{}/unlock", at(&user)), Value::Null, 204),
                    (Method::POST, format!("{}/recovery", at(&user)), Value::Null, 201),
                    (Method::DELETE, at(&user), Value::Null, 204),
                ] {
                    let reply = call(&world, &by, method.clone(), &path, &body).await;
                    let expected = if refused { 403 } else { good };
                    assert_eq!(reply.status.as_u16(), expected, "{acting:?} {method} {path}: {}", reply.text());
                }
                assert_eq!(role_of(&world, &user).await.is_some(), refused);
            }
        }
    }
}

#[tokio::test]
async fn the_last_owner_stays_whoever_asks_and_of_two_at_once_one() {
    for engine in World::ENGINES {
        let world = roomy().engine(engine).start().await;
        let (one, two) =
            (world.user("one@example.test", Role::Owner).await, world.user("two@example.test", Role::Owner).await);
        let admin = world.user("admin@example.test", Role::Admin).await;
        let down = json!({ "role": "viewer" });
        let (first, second) = tokio::join!(change(&world, &one, &two, &down), change(&world, &two, &one, &down),);
        let mut both = [first.status.as_u16(), second.status.as_u16()];
        both.sort_unstable();
        assert_eq!(both, [200, 403], "whoever came second was no owner any more: {} {}", first.text(), second.text());
        let last = if first.status == StatusCode::OK { &one } else { &two };
        for (method, path, body) in [
            (Method::PATCH, at(last), down.clone()),
            (Method::PATCH, at(last), json!({ "state": "disabled" })),
            (Method::DELETE, at(last), Value::Null),
            (Method::DELETE, "/api/v1/account".to_owned(), json!({ "password": PASSWORD })),
        ] {
            let reply = call(&world, last, method, &path, &body).await;
            assert_eq!((reply.status.as_u16(), reply.code().as_str()), (409, "last_owner"), "{}", reply.text());
        }
        // Two who leave at once, both of them owners.
        let three = world.user("three@example.test", Role::Owner).await;
        let leave = json!({ "password": PASSWORD });
        let (first, second) = tokio::join!(
            call(&world, last, Method::DELETE, "/api/v1/account", &leave),
            call(&world, &three, Method::DELETE, "/api/v1/account", &leave),
        );
        let mut both = [first.status.as_u16(), second.status.as_u16()];
        both.sort_unstable();
        assert_eq!(both, [204, 409], "{} {}", first.text(), second.text());
        // Two administrators who shut one another out at once.
        let other = world.user("other@example.test", Role::Admin).await;
        let out = json!({ "state": "disabled" });
        let (first, second) = tokio::join!(change(&world, &admin, &other, &out), change(&world, &other, &admin, &out),);
        let won = [&first, &second].iter().filter(|reply| reply.status == StatusCode::OK).count();
        assert_eq!(won, 1, "{} {}", first.text(), second.text());
    }
}

#[tokio::test]
async fn users_and_invitations_of_another_owner_are_not_there() {
    for engine in World::ENGINES {
        let world = roomy().engine(engine).start().await;
        let owner = world.user("owner@example.test", Role::Owner).await;
        let elsewhere = other_owner(&world).await;
        let stranger = world.user_of(elsewhere, "stranger@example.test", Role::Owner).await;
        let member = world.user_of(elsewhere, "member@example.test", Role::Member).await;
        let theirs = world.access(elsewhere, &stranger).await;
        let body = json!({ "email": "new@example.test", "role": "viewer" });
        let invited = with(&world, &theirs, Method::POST, "/api/v1/invitations", &body).await.json();
        let invitation = format!("/api/v1/invitations/{}", invited["id"].as_str().unwrap());
        for (method, path, body) in [
            (Method::GET, at(&member), Value::Null),
            (Method::PATCH, at(&member), json!({ "role": "owner" })),
            (Method::PATCH, at(&member), json!({ "state": "disabled" })),
            (Method::DELETE, at(&member), Value::Null),
            (Method::POST, format!("{}/unlock", at(&member)), Value::Null),
            (Method::POST, format!("{}/recovery", at(&member)), Value::Null),
            (Method::DELETE, invitation.clone(), Value::Null),
        ] {
            let reply = call(&world, &owner, method.clone(), &path, &body).await;
            assert_eq!((reply.status.as_u16(), reply.code().as_str()), (404, "not_found"), "{method} {path}");
        }
        let listed = call(&world, &owner, Method::GET, "/api/v1/users", &Value::Null).await.json();
        assert_eq!(listed["users"].as_array().unwrap().len(), 1, "{listed}");
        let listed = call(&world, &owner, Method::GET, "/api/v1/invitations", &Value::Null).await.json();
        assert_eq!(listed["invitations"], json!([]));
        let unchanged = world.app.store.get_user(&Scope::of(elsewhere), member.id).await.unwrap();
        assert_eq!(unchanged, Some(member));
        let listed = with(&world, &theirs, Method::GET, "/api/v1/invitations", &Value::Null).await.json();
        let listed = &listed["invitations"][0];
        assert_eq!((&listed["email"], &listed["invited_by"]), (&json!("new@example.test"), &json!(stranger.id)));
        assert!(listed.get("token").is_none() && listed.get("hash").is_none());
        assert_eq!(
            with(&world, &theirs, Method::DELETE, &invitation, &Value::Null).await.status,
            StatusCode::NO_CONTENT
        );
        assert_eq!(
            with(&world, &theirs, Method::DELETE, &invitation, &Value::Null).await.status,
            StatusCode::NOT_FOUND
        );
        let token = invited["token"].as_str().unwrap();
        let accept = json!({ "token": token, "password": PASSWORD, "full_name": "New" });
        assert_eq!(world.post("/api/v1/auth/accept", &accept).await.code(), "invitation_invalid");
    }
}

#[tokio::test]
async fn users_are_listed_page_by_page_and_bounds_are_told() {
    let world = roomy().start().await;
    let owner = world.user("owner@example.test", Role::Owner).await;
    for number in 0..4 {
        world.user(&format!("{number}@example.test"), Role::Viewer).await;
    }
    let list = async |query: &str| {
        let path = format!("/api/v1/users{query}");
        call(&world, &owner, Method::GET, &path, &Value::Null).await
    };
    let (mut seen, mut query) = (Vec::new(), "?limit=2".to_owned());
    for _ in 0..3 {
        let page = list(&query).await.json();
        seen.extend(page["users"].as_array().unwrap().iter().map(|user| user["email"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => query = format!("?limit=2&after={next}"),
            None => break,
        }
    }
    assert_eq!(seen.len(), 5, "{seen:?}");
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 5, "each once");
    assert!(!list("").await.text().contains("argon2"), "nothing to guess at");
    for (query, status) in [
        ("?limit=0", 422),
        ("?limit=101", 422),
        ("?limit=-1", 400),
        ("?after=x", 400),
        ("?limit=1&limit=2", 400),
        ("?role=owner", 400),
    ] {
        let reply = list(query).await;
        assert_eq!(reply.status.as_u16(), status, "{query}: {}", reply.text());
        assert!(!reply.code().is_empty());
    }
    for body in [json!({}), json!({ "state": "disabled", "role": "viewer" }), json!({ "full_name": " " })] {
        let reply = call(&world, &owner, Method::PATCH, &at(&owner), &body).await;
        assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}: {}", reply.text());
    }
    let reply = call(&world, &owner, Method::GET, "/api/v1/users/nonsense", &Value::Null).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_password_is_changed_by_whoever_knows_it_and_ends_the_other_logins() {
    for engine in World::ENGINES {
        let world = roomy().engine(engine).start().await;
        world.user("ann@example.test", Role::Viewer).await;
        let (here, there) = (world.tokens("ann@example.test").await, world.tokens("ann@example.test").await);
        let change = async |current: &str, new: &str| {
            let body = json!({ "current_password": current, "new_password": new });
            with(&world, &here.access, Method::POST, "/api/v1/account/password", &body).await
        };
        let weak = change(PASSWORD, "password1234").await;
        assert_eq!((weak.status.as_u16(), weak.code().as_str()), (422, "password_refused"));
        let wrong = change("a wrong password", ANOTHER).await;
        assert_eq!((wrong.status.as_u16(), wrong.code().as_str()), (403, "password_wrong"));
        assert!(world.holds(&there.access).await, "nothing was changed");
        let changed = change(PASSWORD, ANOTHER).await;
        assert_eq!(changed.status, StatusCode::NO_CONTENT, "{}", changed.text());
        assert!(world.holds(&here.access).await && !world.holds(&there.access).await);
        assert_eq!(world.refresh(&there.refresh).await.status, StatusCode::UNAUTHORIZED);
        assert_eq!(world.log_in("ann@example.test", PASSWORD).await.status, StatusCode::UNAUTHORIZED);
        assert_eq!(world.log_in("ann@example.test", ANOTHER).await.status, StatusCode::CREATED);
        for _ in 0..5 {
            assert_eq!(change("a wrong password", PASSWORD).await.status, StatusCode::FORBIDDEN);
        }
        let held = change(ANOTHER, PASSWORD).await;
        assert_eq!((held.status.as_u16(), held.code().as_str()), (429, "login_held"), "a guess like any other");
        assert_eq!(world.log_in("ann@example.test", ANOTHER).await.code(), "login_held", "counted together");
        world.clock.advance(2 * SECOND);
        let (one, two) = tokio::join!(change(ANOTHER, PASSWORD), change(ANOTHER, PASSWORD));
        let won = [&one, &two].iter().filter(|reply| reply.status == StatusCode::NO_CONTENT).count();
        assert_eq!(won, 1, "of two at once one succeeds: {} {}", one.text(), two.text());
    }
}

#[tokio::test]
async fn a_user_names_themselves_and_leaves_with_everything_that_leads_to_them() {
    for engine in World::ENGINES {
        let world = roomy().engine(engine).start().await;
        world.user("owner@example.test", Role::Owner).await;
        let admin = world.user("ann@example.test", Role::Admin).await;
        let tokens = world.tokens("ann@example.test").await;
        let own =
            async |method: Method, path: &str, body: Value| with(&world, &tokens.access, method, path, &body).await;
        let named = own(Method::PATCH, "/api/v1/account", json!({ "full_name": " Ann Marie " })).await;
        assert_eq!((named.status.as_u16(), &named.json()["full_name"]), (200, &json!("Ann Marie")));
        assert_eq!(own(Method::GET, "/api/v1/auth/me", Value::Null).await.json()["full_name"], "Ann Marie");
        let bad = own(Method::PATCH, "/api/v1/account", json!({ "full_name": "a\nb" })).await;
        assert_eq!(bad.status, StatusCode::UNPROCESSABLE_ENTITY);
        let raised = own(Method::PATCH, "/api/v1/account", json!({ "full_name": "x", "role": "owner" })).await;
        assert_eq!(raised.status, StatusCode::UNPROCESSABLE_ENTITY, "nobody raises themselves");
        let body = json!({ "email": "new@example.test", "role": "viewer" });
        let invited = own(Method::POST, "/api/v1/invitations", body).await.json();
        let leave = json!({ "password": PASSWORD });
        assert_eq!(own(Method::DELETE, "/api/v1/account", leave).await.status, StatusCode::NO_CONTENT);
        assert!(!world.holds(&tokens.access).await);
        assert_eq!(world.refresh(&tokens.refresh).await.status, StatusCode::UNAUTHORIZED);
        assert_eq!(world.log_in("ann@example.test", PASSWORD).await.code(), "login_failed");
        let accept = json!({ "token": invited["token"], "password": PASSWORD, "full_name": "New" });
        assert_eq!(world.post("/api/v1/auth/accept", &accept).await.code(), "invitation_invalid");
        let stored = world.app.store.get_user(&Scope::of(world.app.owner), admin.id).await.unwrap();
        assert_eq!(stored, None);
        world.user("ann@example.test", Role::Viewer).await;
    }
}

#[tokio::test]
async fn nobody_leaves_by_a_token_alone_without_the_password_and_the_code_that_a_login_takes() {
    for engine in World::ENGINES {
        let world = roomy().engine(engine).start().await;
        world.user("owner@example.test", Role::Owner).await;
        let user = world.user("ann@example.test", Role::Member).await;
        let tokens = world.tokens("ann@example.test").await;
        let leave = async |body: Value| with(&world, &tokens.access, Method::DELETE, "/api/v1/account", &body).await;
        let said = async |body: Value| {
            let reply = leave(body).await;
            (reply.status.as_u16(), reply.code())
        };
        let refused = |status: u16, code: &str| (status, code.to_owned());
        assert_eq!(said(Value::Null).await, refused(400, "not_json"), "the token alone");
        assert_eq!(said(json!({})).await, refused(422, "invalid"));
        assert_eq!(said(json!({ "password": "x".repeat(257) })).await, refused(422, "invalid"));
        let before = world.app.passwords.evaluations();
        for _ in 0..5 {
            assert_eq!(said(json!({ "password": "a wrong password" })).await, refused(403, "password_wrong"));
        }
        assert_eq!(world.app.passwords.evaluations() - before, 5, "in the pool of the logins");
        let told = world.app.events.tail();
        let told = told.iter().find(|event| event.name.as_str() == "LOGIN_FAILED").unwrap();
        assert_eq!(told.owner, Some(world.app.owner), "a guess is told as one");
        assert_eq!(said(json!({ "password": PASSWORD })).await, refused(429, "login_held"), "and counted as one");
        assert_eq!(world.log_in("ann@example.test", PASSWORD).await.code(), "login_held", "with those of the logins");
        world.clock.advance(2 * SECOND);

        let (key, _) = world.enrol(&tokens.access).await;
        assert_eq!(said(json!({ "password": PASSWORD })).await, refused(403, "second_factor_needed"));
        let stale = world.code(&key);
        let bare = json!({ "password": PASSWORD, "code": stale });
        assert_eq!(said(bare).await, refused(403, "second_factor_refused"), "taken by the enrolment");
        let code = world.next_code(&key);
        let wrong = json!({ "password": "a wrong password", "code": code });
        assert_eq!(said(wrong).await, refused(403, "password_wrong"), "of a code nothing is told without the password");
        assert!(world.holds(&tokens.access).await, "and she is still there");
        assert_eq!(leave(json!({ "password": PASSWORD, "code": code })).await.status, StatusCode::NO_CONTENT);
        assert!(!world.holds(&tokens.access).await);
        let stored = world.app.store.get_user(&Scope::of(world.app.owner), user.id).await.unwrap();
        assert_eq!(stored, None);
    }
}
