//! Whose an event is: whatever is proven to be about somebody's site, account or device is told to them, and the addresses of
//! their visitors to nobody else, also when the site is gone.

use crate::events_back::all_events;
use crate::people::{PASSWORD, Tokens, roomy};
use crate::world::{Reply, SHOP, STRANGER, World};
use chatward::ops::trail::Actor;
use chatward::ops::{devices, site_keys, sites};
use chatward_store::UserRow;
use chatward_types::{Clock as _, OwnerId, Role, SECOND, Scope};
use http::Method;
use serde_json::{Value, json};

/// The address of everybody who has to do with the other owner; no one else has it.
const THEIRS: &str = "203.0.113.9";
const CAFE: &str = "http://cafe.test";

/// A request of somebody at that address.
async fn call(world: &World, method: Method, path: &str, headers: &[(&str, &str)], body: &Value) -> Reply {
    let mut call = world.call(method, path).header("x-real-ip", THEIRS);
    for (name, value) in headers {
        call = call.header(name, value);
    }
    if body.is_null() { call } else { call.json(body) }.send().await
}

fn of(events: &[Value], name: &str, outcome: &str) -> usize {
    let found = |event: &&Value| event["event"] == name && event["outcome"] == outcome && event["address"] == THEIRS;
    events.iter().filter(found).count()
}

#[tokio::test]
async fn what_is_proven_to_be_an_owners_is_told_to_them_alone_and_stays_theirs_without_the_site() {
    let world = roomy()
        .set("server.trusted_proxies", "127.0.0.0/8")
        .set("server.client_address_header", "x-real-ip")
        .start()
        .await;
    let (app, own) = (&world.app, world.own_origin());
    let other = OwnerId::generate(app.clock.as_ref(), app.entropy.as_ref()).unwrap();
    app.store.insert_owner(other, "another", world.clock.now()).await.unwrap();
    let theirs = Scope::of(other);
    let site = sites::add(app, &theirs, CAFE, None, &[]).await.unwrap();
    let admin = world.user("admin@example.test", Role::Admin).await;
    let their_admin = world.user_of(other, "theirs@example.test", Role::Owner).await;
    let key = json!({ "site": site.publishable_key });

    // A visitor's session: on another page, after its end, and by tickets of pages that may not have one.
    let begun = call(&world, Method::POST, "/api/v1/widget/sessions", &[("origin", CAFE)], &key).await.json();
    let bearer = format!("Bearer {}", begun["token"].as_str().unwrap());
    let visitor = |origin| [("origin", origin), ("authorization", bearer.as_str())];
    call(&world, Method::GET, "/api/v1/widget/session", &visitor(SHOP), &Value::Null).await;
    call(&world, Method::DELETE, "/api/v1/widget/session", &visitor(CAFE), &Value::Null).await;
    call(&world, Method::GET, "/api/v1/widget/session", &visitor(CAFE), &Value::Null).await;
    call(&world, Method::POST, "/api/v1/widget/tickets", &[("origin", STRANGER)], &key).await;
    let ticket = call(&world, Method::POST, "/api/v1/widget/tickets", &[("origin", CAFE)], &key).await.json();
    for _ in 0..2 {
        let body = json!({ "ticket": ticket["ticket"] });
        call(&world, Method::POST, "/api/v1/widget/sessions", &[("origin", &own)], &body).await;
    }
    // People and devices.
    let login = |password: &str| json!({ "email": "theirs@example.test", "password": password });
    let log_in = async |password: &str| call(&world, Method::POST, "/api/v1/auth/login", &[], &login(password)).await;
    log_in("a wrong password").await;
    let tokens = Tokens::of(&log_in(PASSWORD).await);
    let with = format!("Bearer {}", tokens.access);
    let authorized = [("authorization", with.as_str())];
    call(&world, Method::POST, "/api/v1/auth/logout", &authorized, &Value::Null).await;
    call(&world, Method::GET, "/api/v1/auth/me", &authorized, &Value::Null).await;
    call(&world, Method::POST, "/api/v1/auth/refresh", &[], &json!({ "refresh_token": tokens.refresh })).await;
    let (device, token) = world.device_of(other, "terminal").await;
    devices::revoke(app, &theirs, device, &Actor::Operator).await.unwrap();
    let token = format!("Bearer {token}");
    call(&world, Method::POST, "/api/v1/devices/renew", &[("authorization", &token)], &Value::Null).await;
    // A key of the site that was revoked.
    world.clock.advance(SECOND);
    site_keys::revoke_all(app, &theirs, &Actor::Operator).await.unwrap();
    call(&world, Method::POST, "/api/v1/widget/tickets", &[("origin", CAFE)], &key).await;

    let events_of =
        async |owner: OwnerId, user: &UserRow| all_events(&world, &world.access(owner, user).await, "limit=50").await;
    let wanted = [
        ("SESSION_CREATED", "success", 1),
        ("CORS_BLOCKED", "refused", 2),
        ("INVALID_SESSION_ID", "refused", 1),
        ("TICKET_REFUSED", "refused", 1),
        ("LOGIN_FAILED", "refused", 1),
        ("TOKEN_REFUSED", "refused", 2),
        ("DEVICE_AUTHENTICATION", "refused", 1),
        ("API_KEY_VALIDATION", "refused", 1),
    ];
    for removed in [false, true] {
        if removed {
            sites::remove(app, &theirs, site.id).await.unwrap();
        }
        let (seen, elsewhere) = (events_of(other, &their_admin).await, events_of(app.owner, &admin).await);
        for (name, outcome, least) in wanted {
            assert!(of(&seen, name, outcome) >= least, "removed: {removed}: no {name} ({outcome}) in {seen:#?}");
        }
        let leaked: Vec<&Value> = elsewhere.iter().filter(|event| event["address"] == THEIRS).collect();
        assert!(leaked.is_empty(), "removed: {removed}: {leaked:#?}");
    }
    // What is nobody's stays the installation's.
    call(&world, Method::GET, "/api/v1/sites", &[], &Value::Null).await;
    assert_eq!(of(&events_of(app.owner, &admin).await, "CREDENTIAL_MISSING", "refused"), 1);
}
