//! Registration: closed unless opened; then a tenant of one's own, alike for known and unknown addresses, and bounded.

use crate::people::{PASSWORD, roomy};
use crate::world::{Builder, Reply, World};
use chatward_types::{DAY, Role, Scope};
use http::{Method, StatusCode};
use serde_json::json;

fn open() -> Builder {
    roomy().set("accounts.registration", "open")
}

async fn register(world: &World, email: &str, password: &str) -> Reply {
    let body = json!({ "email": email, "password": password, "full_name": "Ann Example" });
    world.post("/api/v1/auth/register", &body).await
}

fn what_it_says(reply: &Reply) -> (StatusCode, String, String) {
    let names: Vec<&str> = reply.headers.keys().map(http::HeaderName::as_str).collect();
    (reply.status, reply.text(), names.join(" "))
}

#[tokio::test]
async fn nobody_registers_by_themselves_unless_the_operator_opens_it() {
    let world = roomy().start().await;
    world.user("known@example.test", Role::Owner).await;
    let before = world.app.passwords.evaluations();
    for (email, password) in [("known@example.test", PASSWORD), ("new@example.test", PASSWORD), ("x", "short")] {
        let reply = register(&world, email, password).await;
        assert_eq!((reply.status.as_u16(), reply.code().as_str()), (403, "registration_closed"));
    }
    assert_eq!(world.app.passwords.evaluations(), before, "at no cost");
    assert_eq!(world.log_in("new@example.test", PASSWORD).await.code(), "login_failed");
}

#[tokio::test]
async fn whoever_registers_is_an_owner_of_their_own_and_sees_nobody_elses() {
    for engine in World::ENGINES {
        let world = open().engine(engine).start().await;
        let known = world.user("known@example.test", Role::Owner).await;
        assert_eq!(register(&world, "New@example.test", PASSWORD).await.status, StatusCode::ACCEPTED);
        let tokens = world.tokens("new@example.test").await;
        let me = world.with(&tokens.access, Method::GET, "/api/v1/auth/me").send().await.json();
        assert_eq!((&me["role"], &me["email"]), (&json!("owner"), &json!("new@example.test")));
        assert_ne!(me["owner"], json!(world.app.owner));
        let sites = world.with(&tokens.access, Method::GET, "/api/v1/sites").send().await;
        assert!(sites.status.is_success() && !sites.text().contains(&world.site.publishable_key), "{}", sites.text());
        let users = world.with(&tokens.access, Method::GET, "/api/v1/users").send().await.json();
        assert_eq!(users["users"].as_array().unwrap().len(), 1, "{users}");
        let theirs = world.with(&tokens.access, Method::GET, &format!("/api/v1/users/{}", known.id)).send().await;
        assert_eq!(theirs.status, StatusCode::NOT_FOUND);
        assert_eq!(world.app.store.count_users(&Scope::of(world.app.owner)).await.unwrap(), 1);
    }
}

#[tokio::test]
async fn known_and_unknown_addresses_are_answered_alike_after_the_same_work() {
    for engine in World::ENGINES {
        let world = open().engine(engine).start().await;
        let known = world.user("known@example.test", Role::Owner).await;
        for turn in 0..6 {
            let mut said = Vec::new();
            for email in ["known@example.test", "unknown@example.test"] {
                let (work, records) = (world.app.passwords.evaluations(), world.app.store.trail_head().await.unwrap());
                let reply = register(&world, email, "tide-oboe-fern-9").await;
                let after = world.app.store.trail_head().await.unwrap();
                let written = after.map_or(0, |row| row.seq) - records.map_or(0, |row| row.seq);
                let mut told = what_it_says(&reply);
                if told.0 == StatusCode::TOO_MANY_REQUESTS {
                    told.1 = reply.code();
                }
                said.push((told, world.app.passwords.evaluations() - work, written));
            }
            assert_eq!(said[0], said[1], "turn {turn}");
            let expected = if turn < 5 { (202, 1, 1) } else { (429, 0, 0) };
            assert_eq!((said[0].0.0.as_u16(), said[0].1, said[0].2), expected, "turn {turn}: {said:?}");
        }
        let stored = world.app.store.get_user(&Scope::of(world.app.owner), known.id).await.unwrap();
        assert_eq!(stored, Some(known), "whoever had the address keeps it as it was");
        let same = (0..3).map(|_| register(&world, "race@example.test", PASSWORD));
        let replies = futures_util::future::join_all(same).await;
        assert!(replies.iter().all(|reply| reply.status == StatusCode::ACCEPTED), "alike at once too");
        assert_eq!(world.log_in("race@example.test", PASSWORD).await.status, StatusCode::CREATED);
    }
}

#[tokio::test]
async fn a_day_has_its_places_and_they_are_taken_alike() {
    for engine in World::ENGINES {
        let world = open().engine(engine).set("accounts.registrations_per_day", 2).start().await;
        world.user("known@example.test", Role::Owner).await;
        let weak = register(&world, "weak@example.test", "password1234").await;
        assert_eq!(weak.code(), "password_refused", "what is refused for itself takes no place");
        assert_eq!(register(&world, "known@example.test", PASSWORD).await.status, StatusCode::ACCEPTED);
        assert_eq!(register(&world, "one@example.test", PASSWORD).await.status, StatusCode::ACCEPTED);
        let before = world.app.passwords.evaluations();
        for email in ["known@example.test", "two@example.test"] {
            let full = register(&world, email, PASSWORD).await;
            assert_eq!((full.status.as_u16(), full.code().as_str()), (429, "registrations_full"), "{email}");
            let wait: i64 = full.header("retry-after").parse().unwrap();
            assert!((1..=86_401).contains(&wait), "{wait}");
        }
        assert_eq!(world.app.passwords.evaluations(), before, "and costs no hashing");
        world.clock.advance(DAY);
        assert_eq!(register(&world, "two@example.test", PASSWORD).await.status, StatusCode::ACCEPTED);
    }
}
