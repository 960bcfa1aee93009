//! The second factor over HTTP: enrolled, asked for, taken once, required, lost.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use crate::people::{PASSWORD, Tokens, roomy};
use crate::world::{Reply, World};
use chatward::ops::{second_factor, totp, users};
use chatward::routes::{self, Policy};
use chatward_types::{MINUTE, Role, SECOND, Scope, Secret};
use futures_util::future::join_all;
use http::{Method, StatusCode};
use serde_json::{Value, json};

const ANN: &str = "ann@example.test";

fn said(reply: &Reply) -> (u16, String) {
    (reply.status.as_u16(), reply.code())
}

fn refused(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

async fn prove(world: &World, access: &str, method: Method, path: &str, password: &str, code: &str) -> Reply {
    world.with(access, method, path).json(&json!({ "password": password, "code": code })).send().await
}

async fn me(world: &World, access: &str) -> Value {
    world.with(access, Method::GET, "/api/v1/auth/me").send().await.json()
}

/// What the audit trail says about second factors, oldest first.
async fn recorded(world: &World) -> Vec<(String, String)> {
    let rows = world.app.store.trail_after(0, 0, 1000).await.unwrap();
    let rows = rows.into_iter().filter(|row| row.name == "SECOND_FACTOR_CHANGED");
    rows.map(|row| {
        let detail: Value = serde_json::from_str(&row.detail).unwrap();
        (row.actor, detail["what"].as_str().unwrap().to_owned())
    })
    .collect()
}

#[tokio::test]
async fn a_factor_is_asked_for_once_it_is_confirmed_and_a_code_holds_once() {
    for engine in World::ENGINES {
        let world = roomy().engine(engine).start().await;
        let user = world.user(ANN, Role::Member).await;
        let (mine, device) = (world.tokens(ANN).await, world.tokens(ANN).await);
        let begin = world.with(&mine.access, Method::POST, "/api/v1/account/totp");
        let wrong = begin.json(&json!({ "password": "a wrong password" })).send().await;
        assert_eq!(said(&wrong), refused(403, "proof_refused"));
        assert_eq!(said(&world.confirm_factor(&mine.access, "000000").await), refused(409, "no_second_factor"));
        let stale = world.begin_factor(&mine.access).await;
        let key = world.begin_factor(&mine.access).await;
        assert_eq!(world.log_in(ANN, PASSWORD).await.status, StatusCode::CREATED, "it is not active yet");
        let code = world.code(&key);
        assert_eq!(said(&world.confirm_factor(&device.access, &code).await), refused(409, "no_second_factor"));
        let replaced = world.confirm_factor(&mine.access, &world.code(&stale)).await;
        assert_eq!(said(&replaced), refused(403, "proof_refused"), "it was begun anew");
        let reply = world.confirm_factor(&mine.access, &format!("{} {}", &code[..3], &code[3..])).await;
        let codes: Vec<String> = serde_json::from_value(reply.json()["recovery_codes"].clone()).unwrap();
        assert_eq!((reply.status.as_u16(), codes.len()), (201, 10));
        assert!(codes.iter().all(|code| code.len() == 19), "sixteen characters of five bits: {codes:?}");
        assert!(world.holds(&mine.access).await && !world.holds(&device.access).await, "other logins end");
        assert_eq!(world.refresh(&device.refresh).await.status, StatusCode::UNAUTHORIZED);
        let mine = Tokens::of(&world.refresh(&mine.refresh).await);
        assert_eq!(me(&world, &mine.access).await["has_second_factor"], true);

        assert_eq!(said(&world.log_in(ANN, PASSWORD).await), refused(401, "second_factor_needed"));
        assert_eq!(said(&world.log_in(ANN, "a wrong password").await), refused(401, "login_failed"));
        assert_eq!(said(&world.log_in_with(ANN, &code).await), refused(401, "second_factor_refused"), "it confirmed");
        let code = world.next_code(&key);
        let wrong = json!({ "email": ANN, "password": "a wrong password", "code": code });
        assert_eq!(said(&world.post("/api/v1/auth/login", &wrong).await), refused(401, "login_failed"));
        users::unlock(&world.app, &Scope::of(world.app.owner), &user).await.unwrap();
        let at_once = join_all((0..4).map(|_| world.log_in_with(ANN, &code))).await;
        let admitted = at_once.iter().filter(|reply| reply.status == StatusCode::CREATED).count();
        assert_eq!(admitted, 1, "of four at once one: a wrong password before it has not used it up");
        users::unlock(&world.app, &Scope::of(world.app.owner), &user).await.unwrap();
        assert_eq!(said(&world.log_in_with(ANN, &code).await), refused(401, "second_factor_refused"), "a replay");
        world.clock.advance(30 * SECOND);
        assert_eq!(said(&world.log_in_with(ANN, &code).await), refused(401, "second_factor_refused"), "and later");

        users::unlock(&world.app, &Scope::of(world.app.owner), &user).await.unwrap();
        let at_once = join_all((0..4).map(|_| world.log_in_with(ANN, &codes[0]))).await;
        let admitted = at_once.iter().filter(|reply| reply.status == StatusCode::CREATED).count();
        assert_eq!(admitted, 1, "a recovery code too");
        users::unlock(&world.app, &Scope::of(world.app.owner), &user).await.unwrap();
        assert_eq!(said(&world.log_in_with(ANN, &codes[0]).await), refused(401, "second_factor_refused"));
        let shouted = codes[1].to_uppercase().replace('-', " ");
        assert_eq!(world.log_in_with(ANN, &shouted).await.status, StatusCode::CREATED, "as people write it");
        let ann = format!("user:{}", user.id);
        let what = ["second factor activated", "recovery code used", "recovery code used"];
        assert_eq!(recorded(&world).await, what.map(|what| (ann.clone(), what.to_owned())));
    }
}

#[tokio::test]
async fn wrong_codes_wait_as_wrong_passwords_do_by_account_and_by_address() {
    let world = roomy().start().await;
    world.user(ANN, Role::Member).await;
    let mine = world.tokens(ANN).await;
    let (key, _) = world.enrol(&mine.access).await;
    for _ in 0..3 {
        assert_eq!(said(&world.log_in_with(ANN, "000000").await), refused(401, "second_factor_refused"));
    }
    assert_eq!(said(&world.log_in(ANN, PASSWORD).await), refused(401, "second_factor_needed"));
    assert_eq!(said(&world.log_in(ANN, PASSWORD).await), refused(401, "second_factor_needed"), "counted as well");
    let code = world.next_code(&key);
    world.clock.advance(-SECOND * 30);
    assert_eq!(said(&world.log_in_with(ANN, &code).await), refused(429, "login_held"), "whoever asks");
    let path = "/api/v1/account/totp";
    let held = prove(&world, &mine.access, Method::DELETE, path, PASSWORD, &code).await;
    assert_eq!(said(&held), refused(429, "login_held"), "by a token too");
    world.clock.advance(30 * SECOND);
    let guess = prove(&world, &mine.access, Method::DELETE, path, PASSWORD, "000000").await;
    assert_eq!(said(&guess), refused(403, "proof_refused"));
    // A right password on a route that asks for no code forgets nothing.
    let again = world.with(&mine.access, Method::POST, path).json(&json!({ "password": PASSWORD })).send().await;
    assert_eq!(said(&again), refused(409, "second_factor_active"));
    let held = prove(&world, &mine.access, Method::DELETE, path, PASSWORD, "000000").await;
    assert_eq!(said(&held), refused(429, "login_held"), "the next wait is longer");
    assert!(world.has_event("SECOND_FACTOR_FAILED"));

    // An address: twenty wrong codes, whatever accounts they are for. To be asked for a code is no failure of an address.
    let world = roomy().start().await;
    let mut people = Vec::new();
    for number in 0..8 {
        let user = world.user(&format!("{number}@example.test"), Role::Member).await;
        let tokens = world.tokens(&user.email).await;
        world.enrol(&tokens.access).await;
        people.push(user);
    }
    for turn in 0..24 {
        let asked = world.log_in(&people[turn % 8].email, PASSWORD).await;
        assert_eq!(said(&asked), refused(401, "second_factor_needed"), "{turn}");
    }
    for user in &people {
        users::unlock(&world.app, &Scope::of(world.app.owner), user).await.unwrap();
    }
    let mut codes = Vec::new();
    for turn in 0..22 {
        codes.push(world.log_in_with(&people[turn % 8].email, "000000").await.code());
    }
    assert!(codes[..20].iter().all(|code| code == "second_factor_refused"), "{codes:?}");
    assert_eq!(codes[20..], ["login_held", "login_held"]);
}

#[tokio::test]
async fn whoever_must_have_a_factor_reaches_nothing_else_before() {
    for engine in World::ENGINES {
        let world = roomy().engine(engine).set("accounts.second_factor", "everyone").start().await;
        world.user("owner@example.test", Role::Owner).await;
        let (mine, other) = (world.tokens("owner@example.test").await, world.tokens("owner@example.test").await);
        let cookie = format!("__Host-chatward_access={}", mine.access);
        let own = world.own_origin();
        let bodies = async |row: &routes::Row, by_cookie: bool| {
            let mut call = world.call(row.method.clone(), &world.concrete(row.path));
            call = match by_cookie {
                true => call.header("cookie", &cookie).header("origin", &own),
                false => call.header("authorization", &format!("Bearer {}", mine.access)),
            };
            let body = world.good_body(row, "");
            if body.is_null() { call.raw_json("{}").send().await } else { call.json(&body).send().await }
        };
        let mut seen = 0;
        for row in routes::rows() {
            if !matches!(row.policy, Policy::User(_) | Policy::Manage(..)) {
                continue;
            }
            for by_cookie in [false, true] {
                let reply = bodies(&row, by_cookie).await;
                let what = format!("{} {} by cookie: {by_cookie}: {}", row.method, row.path, reply.text());
                assert_eq!(said(&reply), refused(403, "second_factor_required"), "{what}");
                seen += 1;
            }
        }
        assert!(seen >= 16, "{seen}");
        let shown = me(&world, &mine.access).await;
        assert_eq!((&shown["must_enrol"], &shown["has_second_factor"]), (&json!(true), &json!(false)));
        let mine = Tokens::of(&world.refresh(&mine.refresh).await);
        let sites = async |access: &str| world.with(access, Method::GET, "/api/v1/sites").send().await.status.as_u16();
        let (key, codes) = world.enrol(&mine.access).await;
        assert_eq!(sites(&mine.access).await, 200, "the login that confirmed goes on");
        assert_eq!(sites(&other.access).await, 401, "the others have ended");
        let code = world.next_code(&key);
        let next = Tokens::of(&world.log_in_with("owner@example.test", &code).await);
        assert_eq!(sites(&next.access).await, 200);
        // Without the factor they are where they began, each login of theirs.
        let gone = prove(&world, &next.access, Method::DELETE, "/api/v1/account/totp", PASSWORD, &codes[0]).await;
        assert_eq!(gone.status, StatusCode::NO_CONTENT, "{}", gone.text());
        assert_eq!((sites(&next.access).await, sites(&mine.access).await), (403, 403));
        assert!(world.holds(&next.access).await);
        world.enrol(&next.access).await;
        assert_eq!((sites(&next.access).await, sites(&mine.access).await), (200, 401));
        let out = world.with(&next.access, Method::POST, "/api/v1/auth/logout").send().await;
        assert_eq!(out.status, StatusCode::NO_CONTENT);
    }
}

#[tokio::test]
async fn administrators_must_have_one_from_the_request_on_that_finds_them_so() {
    for engine in World::ENGINES {
        let world = roomy().engine(engine).set("accounts.second_factor", "admins").start().await;
        let scope = Scope::of(world.app.owner);
        world.user("owner@example.test", Role::Owner).await;
        let user = world.user(ANN, Role::Member).await;
        let mine = world.tokens(ANN).await;
        let sites = async || world.with(&mine.access, Method::GET, "/api/v1/sites").send().await.status.as_u16();
        assert_eq!(sites().await, 200);
        users::set_role(&world.app, &scope, user.id, Role::Admin).await.unwrap();
        assert_eq!(sites().await, 403, "decided with each request");
        users::set_role(&world.app, &scope, user.id, Role::Member).await.unwrap();
        assert_eq!(sites().await, 200);
        let owner = world.tokens("owner@example.test").await;
        let sessions = world.with(&owner.access, Method::GET, "/api/v1/account/sessions").send().await;
        assert_eq!(said(&sessions), refused(403, "second_factor_required"));
    }
}

#[tokio::test]
async fn codes_are_renewed_and_a_factor_removed_by_password_and_code_together() {
    for engine in World::ENGINES {
        let world = roomy().engine(engine).start().await;
        let user = world.user(ANN, Role::Member).await;
        let mine = world.tokens(ANN).await;
        let none =
            prove(&world, &mine.access, Method::POST, "/api/v1/account/recovery-codes", PASSWORD, "000000").await;
        assert_eq!(said(&none), refused(409, "no_second_factor"));
        let (key, old) = world.enrol(&mine.access).await;
        let renew = async |password: &str, code: &str| {
            prove(&world, &mine.access, Method::POST, "/api/v1/account/recovery-codes", password, code).await
        };
        let remove = async |password: &str, code: &str| {
            prove(&world, &mine.access, Method::DELETE, "/api/v1/account/totp", password, code).await
        };
        for (password, code) in [("a wrong password", old[0].as_str()), (PASSWORD, "000000"), (PASSWORD, "")] {
            assert_eq!(said(&renew(password, code).await), refused(403, "proof_refused"));
        }
        users::unlock(&world.app, &Scope::of(world.app.owner), &user).await.unwrap();
        let renewed = renew(PASSWORD, &world.next_code(&key)).await;
        let new: Vec<String> = serde_json::from_value(renewed.json()["recovery_codes"].clone()).unwrap();
        assert!(new.len() == 10 && new.iter().all(|code| !old.contains(code)));
        assert_eq!(said(&remove(PASSWORD, &old[1]).await), refused(403, "proof_refused"), "all were replaced");
        assert_eq!(said(&remove("a wrong password", &new[0]).await), refused(403, "proof_refused"));
        assert_eq!(remove(PASSWORD, &new[0]).await.status, StatusCode::NO_CONTENT, "which a wrong password left alone");
        assert_eq!(world.log_in(ANN, PASSWORD).await.status, StatusCode::CREATED);
        assert!(world.holds(&mine.access).await);
        assert_eq!(said(&remove(PASSWORD, &new[1]).await), refused(409, "no_second_factor"));
    }
}

#[tokio::test]
async fn a_lost_factor_is_reset_by_the_operator_and_by_no_new_password() {
    for engine in World::ENGINES {
        let world = roomy().engine(engine).start().await;
        let scope = Scope::of(world.app.owner);
        let user = world.user(ANN, Role::Owner).await;
        let mine = world.tokens(ANN).await;
        let (key, _) = world.enrol(&mine.access).await;
        users::reset_password(&world.app, &scope, &user, &Secret::new("tide-oboe-fern-9".to_owned())).await.unwrap();
        let fresh = world.app.store.get_user(&scope, user.id).await.unwrap().unwrap();
        assert_eq!(said(&world.log_in(ANN, "tide-oboe-fern-9").await), refused(401, "second_factor_needed"));
        // What lets a user in by other proof than the password, such as a link, is no second factor either.
        let client = chatward::client::Client {
            request_id: "test".into(),
            address: [127, 0, 0, 1].into(),
            user_agent: None,
            path: None,
        };
        let past = chatward::ops::logins::begin(&world.app, &scope, &fresh, &client).await;
        assert_eq!(past.err().map(|error| error.code()), Some("second_factor_needed"));
        let body = json!({ "email": ANN, "password": "tide-oboe-fern-9", "code": world.next_code(&key) });
        let inside = Tokens::of(&world.post("/api/v1/auth/login", &body).await);
        assert!(second_factor::reset(&world.app, &scope, &fresh).await.unwrap());
        assert!(!world.holds(&inside.access).await, "every login has ended");
        assert_eq!(world.log_in(ANN, "tide-oboe-fern-9").await.status, StatusCode::CREATED);
        assert!(!second_factor::reset(&world.app, &scope, &fresh).await.unwrap());
        let last = recorded(&world).await.pop().unwrap();
        assert_eq!(last, ("operator".to_owned(), "second factor reset".to_owned()));
    }
}

#[tokio::test]
async fn a_secret_is_sealed_for_its_user_and_codes_stand_nowhere() {
    for engine in World::ENGINES {
        let world = roomy().engine(engine).start().await;
        let user = world.user(ANN, Role::Member).await;
        world.user("bob@example.test", Role::Member).await;
        let (mine, bobs) = (world.tokens(ANN).await, world.tokens("bob@example.test").await);
        let (key, codes) = world.enrol(&mine.access).await;
        let (his, _) = world.enrol(&bobs.access).await;
        let code = world.next_code(&key);
        assert_eq!(world.log_in_with(ANN, &codes[0]).await.status, StatusCode::CREATED);
        assert_eq!(world.log_in_with(ANN, &code).await.status, StatusCode::CREATED);
        let stored = world.database.everything().await;
        let told: Vec<String> =
            world.app.events.tail().iter().filter_map(|event| event.detail.as_ref().map(ToString::to_string)).collect();
        let told = told.join("\n");
        assert!(told.contains(", with a second factor") && told.contains("was used; 9 are left"), "{told}");
        let (base32, bare) = (totp::base32(&key), codes[1].replace('-', ""));
        for plain in [base32.expose().as_bytes(), key.expose().as_slice(), codes[1].as_bytes(), bare.as_bytes()] {
            assert!(!stored.windows(plain.len()).any(|window| window == plain), "only sealed and hashed");
        }
        for said in [base32.expose(), &codes[0], &codes[1], &code] {
            assert!(!told.contains(said.as_str()), "never told");
        }
        // Another user's secret in her row, by whoever can write to the database: it does not open there.
        let moved = format!(
            "UPDATE second_factors SET sealed = (SELECT sealed FROM second_factors WHERE user_id <> '{0}') \
             WHERE user_id = '{0}'",
            user.id
        );
        assert_eq!(world.database.tamper(&moved).await, 1);
        assert_eq!(said(&world.log_in_with(ANN, &world.next_code(&his)).await), refused(500, "internal"));
    }
}

#[tokio::test]
async fn without_its_record_no_factor_is_activated_or_removed() {
    for engine in World::ENGINES {
        let world = roomy().engine(engine).start().await;
        world.user(ANN, Role::Member).await;
        world.user("bob@example.test", Role::Member).await;
        let (mine, bobs) = (world.tokens(ANN).await, world.tokens("bob@example.test").await);
        let (key, codes) = world.enrol(&mine.access).await;
        let his = world.begin_factor(&bobs.access).await;
        world.database.tamper("ALTER TABLE audit_trail RENAME TO gone").await;
        let confirmed = world.confirm_factor(&bobs.access, &world.code(&his)).await;
        assert!(confirmed.status.is_server_error(), "{}", confirmed.text());
        assert_eq!(world.log_in("bob@example.test", PASSWORD).await.status, StatusCode::CREATED);
        let code = world.next_code(&key);
        let removed = prove(&world, &mine.access, Method::DELETE, "/api/v1/account/totp", PASSWORD, &code).await;
        assert!(removed.status.is_server_error(), "{}", removed.text());
        assert!(world.log_in_with(ANN, &codes[0]).await.status.is_server_error(), "a recovery code is not used up");
        assert_eq!(said(&world.log_in(ANN, PASSWORD).await), refused(401, "second_factor_needed"));
    }
}

#[tokio::test]
async fn what_was_begun_ends_after_a_quarter_of_an_hour() {
    let world = roomy().start().await;
    world.user(ANN, Role::Member).await;
    let mine = world.tokens(ANN).await;
    let key = world.begin_factor(&mine.access).await;
    world.clock.advance(15 * MINUTE);
    assert_eq!(said(&world.confirm_factor(&mine.access, &world.code(&key)).await), refused(409, "no_second_factor"));
    assert_eq!(world.log_in(ANN, PASSWORD).await.status, StatusCode::CREATED);
}
