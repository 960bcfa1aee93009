//! Changes of people and the audit trail: each is recorded with who made it, none is made without its record but those that
//! shut somebody out, and nothing of a person stands in it but ids.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use crate::people::{PASSWORD, Tokens, roomy};
use crate::world::{Reply, World};
use chatward::ops::trail_heads::Heads;
use chatward::ops::users::{self, NewUser};
use chatward::ops::{recoveries, setup, trail, trail_verify};
use chatward_store::{TrailRow, UserRow, UserState};
use chatward_types::{Role, Scope, Secret};
use http::{Method, StatusCode};
use serde_json::{Value, json};

async fn records(world: &World) -> Vec<TrailRow> {
    world.app.store.trail_after(0, 0, 1000).await.unwrap()
}

/// What the last record says: its name, who did it and to what, and what.
async fn last(world: &World) -> (String, String, String, String) {
    let row = records(world).await.pop().unwrap();
    let detail: Value = serde_json::from_str(&row.detail).unwrap();
    (row.name, row.actor, row.subject, detail["what"].as_str().unwrap().to_owned())
}

async fn with(world: &World, access: &str, method: Method, path: &str, body: &Value) -> Reply {
    let call = world.with(access, method, path);
    if body.is_null() { call } else { call.json(body) }.send().await
}

fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

#[tokio::test]
async fn every_change_of_people_is_recorded_with_who_made_it_and_by_ids_alone() {
    for engine in World::ENGINES {
        let world = roomy().engine(engine).set("accounts.registration", "open").start().await;
        let scope = Scope::of(world.app.owner);
        let told = async |actor: &str, subject: &str, what: &str| {
            let expected = ("USER_CHANGED", actor, subject, what);
            let found = last(&world).await;
            assert_eq!((found.0.as_str(), found.1.as_str(), found.2.as_str(), found.3.as_str()), expected);
        };
        let me = async |tokens: &Tokens| {
            let me = world.with(&tokens.access, Method::GET, "/api/v1/auth/me").send().await.json();
            me["id"].as_str().unwrap().to_owned()
        };
        let body = json!({ "token": world.setup_token().await, "email": "ann@example.test", "password": PASSWORD, "full_name": "Annabel" });
        let owner = Tokens::of(&world.post("/api/v1/auth/setup", &body).await);
        let id = me(&owner).await;
        let by = format!("user:{id}");
        told(&by, &id, "first user made").await;

        let body = json!({ "email": "bob@example.test", "role": "admin" });
        let invited = with(&world, &owner.access, Method::POST, "/api/v1/invitations", &body).await.json();
        told(&by, invited["id"].as_str().unwrap(), "invitation made").await;
        let body = json!({ "token": invited["token"], "password": PASSWORD, "full_name": "Bobby" });
        let bob = me(&Tokens::of(&world.post("/api/v1/auth/accept", &body).await)).await;
        told(&format!("user:{bob}"), &bob, "user added").await;
        let body = json!({ "email": "new@example.test", "role": "viewer" });
        let invited = with(&world, &owner.access, Method::POST, "/api/v1/invitations", &body).await.json();
        let path = format!("/api/v1/invitations/{}", invited["id"].as_str().unwrap());
        assert_eq!(with(&world, &owner.access, Method::DELETE, &path, &Value::Null).await.status, 204);
        told(&by, invited["id"].as_str().unwrap(), "invitation revoked").await;

        let at = format!("/api/v1/users/{bob}");
        for change in [
            json!({ "role": "member" }),
            json!({ "full_name": "Robert" }),
            json!({ "state": "disabled" }),
            json!({ "state": "active" }),
        ] {
            assert_eq!(with(&world, &owner.access, Method::PATCH, &at, &change).await.status, StatusCode::OK);
            told(&by, &bob, "user changed").await;
        }
        let made = with(&world, &owner.access, Method::POST, &format!("{at}/recovery"), &Value::Null).await.json();
        told(&by, &bob, "recovery made").await;
        let body = json!({ "token": made["token"], "password": "tide-oboe-fern-9" });
        assert_eq!(world.post("/api/v1/auth/recover", &body).await.status, StatusCode::NO_CONTENT);
        told(&format!("user:{bob}"), &bob, "password recovered").await;
        world.log_in("bob@example.test", "a wrong password").await;
        assert_eq!(with(&world, &owner.access, Method::POST, &format!("{at}/unlock"), &Value::Null).await.status, 204);
        told(&by, &bob, "attempts forgotten").await;
        assert_eq!(with(&world, &owner.access, Method::DELETE, &at, &Value::Null).await.status, 204);
        told(&by, &bob, "user removed").await;

        let body = json!({ "current_password": PASSWORD, "new_password": "vorhang-und-oboe-9" });
        assert_eq!(with(&world, &owner.access, Method::POST, "/api/v1/account/password", &body).await.status, 204);
        told(&by, &id, "password changed").await;
        let body = json!({ "full_name": "Annalena" });
        assert_eq!(with(&world, &owner.access, Method::PATCH, "/api/v1/account", &body).await.status, 200);
        told(&by, &id, "user changed").await;

        // At the command line.
        let carl = world.user("carl@example.test", Role::Owner).await;
        told("operator", &carl.id.to_string(), "user added").await;
        users::set_role(&world.app, &scope, carl.id, Role::Admin).await.unwrap();
        told("operator", &carl.id.to_string(), "user changed").await;
        users::reset_password(&world.app, &scope, &carl, &secret(PASSWORD)).await.unwrap();
        told("operator", &carl.id.to_string(), "password set").await;
        recoveries::make(&world.app, &scope, carl.id).await.unwrap();
        told("operator", &carl.id.to_string(), "recovery made").await;
        let theirs = bcrypt::hash_with_salt(PASSWORD, 4, [7; 16]).unwrap().to_string();
        let dora =
            users::import(&world.app, &scope, "dora@example.test", "Dorothea", Role::Member, &theirs).await.unwrap();
        told("operator", &dora.id.to_string(), "user imported").await;
        let dora_in = world.tokens("dora@example.test").await;
        told("server", &dora.id.to_string(), "proof of the password upgraded").await;
        let leave = json!({ "password": PASSWORD });
        assert_eq!(with(&world, &dora_in.access, Method::DELETE, "/api/v1/account", &leave).await.status, 204);
        told(&format!("user:{}", dora.id), &dora.id.to_string(), "user left").await;

        let body = json!({ "email": "eve@example.test", "password": PASSWORD, "full_name": "Evelyn" });
        assert_eq!(world.post("/api/v1/auth/register", &body).await.status, StatusCode::ACCEPTED);
        let eve = me(&world.tokens("eve@example.test").await).await;
        told(&format!("user:{eve}"), &eve, "owner registered").await;
        assert_eq!(world.post("/api/v1/auth/register", &body).await.status, StatusCode::ACCEPTED);
        told("server", "registration", "registration refused").await;

        let out = with(&world, &owner.access, Method::POST, "/api/v1/auth/logout", &Value::Null).await;
        assert_eq!(out.status, StatusCode::NO_CONTENT);
        let ended = last(&world).await;
        assert_eq!((ended.0.as_str(), ended.1.as_str(), ended.3.as_str()), ("LOGIN_ENDED", by.as_str(), "login ended"));

        let text = format!("{:?}", records(&world).await);
        for personal in
            ["example.test", "Annabel", "Bobby", "Robert", "Annalena", "Dorothea", "Evelyn", PASSWORD, "cw_", "argon2"]
        {
            assert!(!text.contains(personal), "the trail keeps for good what is in it: {personal}");
        }
        assert_eq!(trail_verify::verify(&world.app, &Heads::default()).await.unwrap().fault, None);
    }
}

#[tokio::test]
async fn without_the_trail_nobody_is_made_or_changed_but_shut_out_all_the_same() {
    for engine in World::ENGINES {
        let world = roomy().engine(engine).set("accounts.registration", "open").start().await;
        let scope = Scope::of(world.app.owner);
        let setup_token = setup::prepare(&world.app).await.unwrap().unwrap();
        let owner = world.user("owner@example.test", Role::Owner).await;
        let ann = world.user("ann@example.test", Role::Member).await;
        let bob = world.user("bob@example.test", Role::Admin).await;
        let access = world.access(world.app.owner, &owner).await;
        let anns = world.tokens("ann@example.test").await;
        let bobs = world.tokens("bob@example.test").await;
        let invite = async |email: &str| {
            let body = json!({ "email": email, "role": "viewer" });
            with(&world, &access, Method::POST, "/api/v1/invitations", &body).await
        };
        let invited = invite("new@example.test").await.json();
        let recovery = recoveries::make(&world.app, &scope, bob.id).await.unwrap();
        let (users_before, trail_before) =
            (world.app.store.list_users(&scope).await.unwrap(), records(&world).await.len());

        world.database.tamper("ALTER TABLE audit_trail RENAME TO gone").await;
        let at = |user: &UserRow| format!("/api/v1/users/{}", user.id);
        let body =
            json!({ "token": setup_token.expose(), "email": "x@example.test", "password": PASSWORD, "full_name": "X" });
        assert!(!world.post("/api/v1/auth/setup", &body).await.status.is_success());
        for (path, body) in [
            ("/api/v1/auth/accept", json!({ "token": invited["token"], "password": PASSWORD, "full_name": "New" })),
            ("/api/v1/auth/recover", json!({ "token": recovery.token.expose(), "password": "tide-oboe-fern-9" })),
            ("/api/v1/auth/register", json!({ "email": "y@example.test", "password": PASSWORD, "full_name": "Y" })),
            // As for a new address.
            ("/api/v1/auth/register", json!({ "email": "ann@example.test", "password": PASSWORD, "full_name": "Y" })),
        ] {
            let reply = world.post(path, &body).await;
            assert_eq!(reply.status, StatusCode::INTERNAL_SERVER_ERROR, "{path}: {}", reply.text());
        }
        assert_eq!(invite("other@example.test").await.status, StatusCode::INTERNAL_SERVER_ERROR);
        let password = json!({ "current_password": PASSWORD, "new_password": "tide-oboe-fern-9" });
        for (access, method, path, body) in [
            (&access, Method::PATCH, at(&ann), json!({ "role": "owner" })),
            (&access, Method::PATCH, at(&ann), json!({ "full_name": "Another" })),
            (&access, Method::DELETE, at(&ann), Value::Null),
            (&access, Method::POST, format!("{}/recovery", at(&ann)), Value::Null),
            (&anns.access, Method::PATCH, "/api/v1/account".to_owned(), json!({ "full_name": "Another" })),
            (&anns.access, Method::POST, "/api/v1/account/password".to_owned(), password),
            (&anns.access, Method::DELETE, "/api/v1/account".to_owned(), json!({ "password": PASSWORD })),
        ] {
            let reply = with(&world, access, method.clone(), &path, &body).await;
            assert_eq!(reply.status, StatusCode::INTERNAL_SERVER_ERROR, "{method} {path}: {}", reply.text());
        }
        let new = NewUser {
            email: "z@example.test".to_owned(),
            name: "Z".to_owned(),
            role: Role::Viewer,
            password: secret(PASSWORD),
        };
        users::add(&world.app, &scope, &new).await.expect_err("a user");
        users::set_role(&world.app, &scope, ann.id, Role::Owner).await.expect_err("a role");
        users::reset_password(&world.app, &scope, &ann, &secret("tide-oboe-fern-9")).await.expect_err("a password");
        assert_eq!(world.app.store.list_users(&scope).await.unwrap(), users_before, "nothing of it was done");
        assert!(world.holds(&anns.access).await);

        let shut = with(&world, &access, Method::PATCH, &at(&ann), &json!({ "state": "disabled" })).await;
        assert_eq!(shut.status, StatusCode::OK, "{}", shut.text());
        assert!(!world.holds(&anns.access).await, "shut out, trail or not");
        let let_in = with(&world, &access, Method::PATCH, &at(&ann), &json!({ "state": "active" })).await;
        assert_eq!(let_in.status, StatusCode::INTERNAL_SERVER_ERROR, "letting somebody in waits for it");
        let out = with(&world, &bobs.access, Method::POST, "/api/v1/auth/logout", &Value::Null).await;
        assert_eq!(out.status, StatusCode::NO_CONTENT);
        assert!(!world.holds(&bobs.access).await);
        let path = format!("/api/v1/invitations/{}", invited["id"].as_str().unwrap());
        assert_eq!(with(&world, &access, Method::DELETE, &path, &Value::Null).await.status, StatusCode::NO_CONTENT);
        assert_eq!(world.app.trail.waiting(), 3);

        world.database.tamper("ALTER TABLE gone RENAME TO audit_trail").await;
        trail::flush_reserve(&world.app).await.unwrap();
        let rows = records(&world).await;
        assert_eq!(rows.len(), trail_before + 3);
        assert_eq!(rows[trail_before].actor, format!("user:{}", owner.id), "with who did it");
        let ann = world.app.store.get_user(&scope, ann.id).await.unwrap().unwrap();
        assert_eq!(ann.state, UserState::Disabled);
        assert_eq!(trail_verify::verify(&world.app, &Heads::default()).await.unwrap().fault, None);
    }
}
