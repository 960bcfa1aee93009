//! Every authentication event, good and bad, walked over HTTP (AUTH-13): each is in the security log's file with the address
//! and the request that it came from, and no credential that was shown is anywhere in it.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use crate::people::{PASSWORD, Tokens, roomy};
use crate::security_log::text_of;
use crate::world::{Reply, World};
use chatward::ops::{issued_keys, recoveries};
use chatward_types::{DAY, HOUR, KeyScope, Role, SECOND, Scope};
use chatward_vault::{SecretKey, SystemEntropy};
use http::{Method, StatusCode};
use serde_json::{Value, json};

const ANOTHER: &str = "tide-oboe-fern-9";
const WRONG: &str = "an-entirely-wrong-guess-77";
/// As the proxy names it: no other line of the log has it.
const CLIENT: &str = "198.51.100.23";

/// A walk: what was done, and every credential that was shown in it.
struct Walk {
    world: World,
    shown: Vec<String>,
    steps: usize,
}

impl Walk {
    async fn call(&mut self, method: Method, path: &str, token: &str, body: &Value) -> Reply {
        let mut call = self.world.call(method, path).header("x-real-ip", CLIENT);
        if !token.is_empty() {
            call = call.header("authorization", &format!("Bearer {token}"));
            self.shown.push(token.to_owned());
        }
        for name in ["password", "token", "refresh_token", "current_password", "new_password"] {
            self.shown.extend(body[name].as_str().filter(|text| text.len() > 3).map(str::to_owned));
        }
        let reply = if body.is_null() { call } else { call.json(body) }.send().await;
        for name in ["access_token", "refresh_token", "token", "url"] {
            self.shown.extend(reply.json()[name].as_str().map(str::to_owned));
        }
        reply
    }

    /// Posts, and demands what came of it and which event tells it.
    async fn post(&mut self, path: &str, token: &str, body: Value, status: u16, event: &str, outcome: &str) -> Reply {
        let reply = self.call(Method::POST, path, token, &body).await;
        self.told(&reply, path, status, event, outcome).await;
        reply
    }

    /// The event of this request is in the file, with the address and the outcome.
    async fn told(&mut self, reply: &Reply, what: &str, status: u16, event: &str, outcome: &str) {
        self.steps += 1;
        assert_eq!(reply.status.as_u16(), status, "{what}: {}", reply.text());
        let id = reply.header("x-request-id");
        let text = text_of(&self.world).await;
        let lines: Vec<Value> =
            text.lines().filter(|line| line.contains(id)).map(|line| serde_json::from_str(line).unwrap()).collect();
        let line = lines.iter().find(|line| line["event"] == event && line["outcome"] == outcome);
        let line = line.unwrap_or_else(|| panic!("{what}: no {event} ({outcome}) in {lines:#?}"));
        assert_eq!((&line["address"], &line["category"]), (&json!(CLIENT), &json!("SECURITY")), "{what}");
        assert!(line["path"].is_string() && line["time"].is_string(), "{what}: {line}");
    }
}

#[tokio::test]
async fn every_authentication_event_is_told_with_its_address_and_without_the_credential() {
    let world = roomy()
        .set("server.trusted_proxies", "127.0.0.0/8")
        .set("server.client_address_header", "x-real-ip")
        .set("accounts.registration", "open")
        .start()
        .await;
    let (app, scope) = (world.app.clone(), Scope::of(world.app.owner));
    let setup = world.setup_token().await;
    let mut walk = Walk { world, shown: Vec::new(), steps: 0 };
    let new = |token: &str, name: &str| json!({ "token": token, "email": format!("{name}@example.test"), "password": PASSWORD, "full_name": "Ann" });
    let join = |token: &str| json!({ "token": token, "password": PASSWORD, "full_name": "Bob" });
    let login = |name: &str, password: &str| json!({ "email": format!("{name}@example.test"), "password": password });

    // The set-up.
    walk.post("/api/v1/auth/setup", "", new("forged-set-up-token", "x"), 401, "TOKEN_REFUSED", "refused").await;
    let reply = walk.post("/api/v1/auth/setup", "", new(&setup, "ann"), 201, "USER_CHANGED", "success").await;
    walk.told(&reply, "the login of the set-up", 201, "LOGIN_SUCCEEDED", "success").await;
    let ann = Tokens::of(&reply);

    // Invitations.
    let body = json!({ "email": "bob@example.test", "role": "member" });
    let invited =
        walk.post("/api/v1/invitations", &ann.access, body.clone(), 201, "USER_CHANGED", "success").await.json();
    walk.post("/api/v1/auth/accept", "", join("forged-invitation"), 401, "TOKEN_REFUSED", "refused").await;
    let token = invited["token"].as_str().unwrap();
    let reply = walk.post("/api/v1/auth/accept", "", join(token), 201, "USER_CHANGED", "success").await;
    walk.told(&reply, "the login of the invitation", 201, "LOGIN_SUCCEEDED", "success").await;
    walk.post("/api/v1/auth/accept", "", join(token), 401, "TOKEN_REFUSED", "refused").await;
    let body = json!({ "email": "new@example.test", "role": "viewer" });
    let invited = walk.post("/api/v1/invitations", &ann.access, body, 201, "USER_CHANGED", "success").await.json();
    let path = format!("/api/v1/invitations/{}", invited["id"].as_str().unwrap());
    let reply = walk.call(Method::DELETE, &path, &ann.access, &Value::Null).await;
    walk.told(&reply, "an invitation taken back", 204, "USER_CHANGED", "success").await;

    // Logins, refreshes, reuse, the end.
    let bob = Tokens::of(
        &walk.post("/api/v1/auth/login", "", login("bob", PASSWORD), 201, "LOGIN_SUCCEEDED", "success").await,
    );
    walk.post("/api/v1/auth/login", "", login("bob", WRONG), 401, "LOGIN_FAILED", "refused").await;
    walk.post("/api/v1/auth/login", "", login("nobody", WRONG), 401, "LOGIN_FAILED", "refused").await;
    let spend = |token: &str| json!({ "refresh_token": token });
    let next = walk.post("/api/v1/auth/refresh", "", spend(&bob.refresh), 200, "LOGIN_CONTINUED", "success").await;
    let next = Tokens::of(&next);
    walk.post("/api/v1/auth/refresh", "", spend("forged-refresh-token"), 401, "TOKEN_REFUSED", "refused").await;
    walk.post("/api/v1/auth/refresh", "", spend(&bob.refresh), 409, "TOKEN_REFUSED", "refused").await;
    walk.world.clock.advance(10 * SECOND);
    let reply = walk.post("/api/v1/auth/refresh", "", spend(&bob.refresh), 401, "REFRESH_REUSED", "refused").await;
    walk.told(&reply, "a spent token", 401, "TOKEN_REFUSED", "refused").await;
    walk.post("/api/v1/auth/refresh", "", spend(&next.refresh), 401, "TOKEN_REFUSED", "refused").await;
    let me = walk.call(Method::GET, "/api/v1/auth/me", &next.access, &Value::Null).await;
    walk.told(&me, "an access token that was ended", 401, "TOKEN_REFUSED", "refused").await;
    let me = walk.call(Method::GET, "/api/v1/auth/me", "forged.access.token", &Value::Null).await;
    walk.told(&me, "a forged access token", 401, "TOKEN_REFUSED", "refused").await;
    let me = walk.call(Method::GET, "/api/v1/auth/me", "", &Value::Null).await;
    walk.told(&me, "no access token", 401, "CREDENTIAL_MISSING", "refused").await;
    let bob = Tokens::of(&walk.call(Method::POST, "/api/v1/auth/login", "", &login("bob", PASSWORD)).await);
    let list = walk.call(Method::GET, "/api/v1/account/sessions", &bob.access, &Value::Null).await.json();
    let others = list["sessions"].as_array().unwrap().iter().find(|login| login["current"] == false).unwrap();
    let path = format!("/api/v1/account/sessions/{}", others["id"].as_str().unwrap());
    let reply = walk.call(Method::DELETE, &path, &bob.access, &Value::Null).await;
    walk.told(&reply, "a device that was logged out", 204, "LOGIN_ENDED", "success").await;
    walk.post("/api/v1/auth/logout", &bob.access, Value::Null, 204, "LOGIN_ENDED", "success").await;

    // Passwords and recovery.
    let swap = |current: &str| json!({ "current_password": current, "new_password": ANOTHER });
    walk.post("/api/v1/account/password", &ann.access, swap(WRONG), 403, "LOGIN_FAILED", "refused").await;
    walk.post("/api/v1/account/password", &ann.access, swap(PASSWORD), 204, "USER_CHANGED", "success").await;
    let bobs_id = walk.call(Method::GET, "/api/v1/users", &ann.access, &Value::Null).await.json();
    let bobs_id =
        bobs_id["users"].as_array().unwrap().iter().find(|user| user["role"] == "member").unwrap()["id"].clone();
    let at = format!("/api/v1/users/{}", bobs_id.as_str().unwrap());
    let made =
        walk.post(&format!("{at}/recovery"), &ann.access, Value::Null, 201, "USER_CHANGED", "success").await.json();
    let with = |token: &str| json!({ "token": token, "password": ANOTHER });
    walk.post("/api/v1/auth/recover", "", with("forged-recovery"), 401, "TOKEN_REFUSED", "refused").await;
    let token = made["token"].as_str().unwrap();
    walk.post("/api/v1/auth/recover", "", with(token), 204, "USER_CHANGED", "success").await;
    walk.post("/api/v1/auth/recover", "", with(token), 401, "TOKEN_REFUSED", "refused").await;
    let late = recoveries::make(&app, &scope, bobs_id.as_str().unwrap().parse().unwrap()).await.unwrap();
    walk.world.clock.advance(HOUR);
    walk.post("/api/v1/auth/recover", "", with(late.token.expose()), 401, "TOKEN_REFUSED", "refused").await;
    let ann = Tokens::of(&walk.call(Method::POST, "/api/v1/auth/login", "", &login("ann", ANOTHER)).await);

    // Waits.
    for _ in 0..5 {
        walk.call(Method::POST, "/api/v1/auth/login", "", &login("bob", WRONG)).await;
    }
    walk.post("/api/v1/auth/login", "", login("bob", ANOTHER), 429, "LOGIN_HELD", "refused").await;
    walk.post(&format!("{at}/unlock"), &ann.access, Value::Null, 204, "USER_CHANGED", "success").await;

    // Rights and ends.
    for change in [json!({ "role": "viewer" }), json!({ "state": "disabled" })] {
        let reply = walk.call(Method::PATCH, &at, &ann.access, &change).await;
        walk.told(&reply, "a change of a user", 200, "USER_CHANGED", "success").await;
    }
    walk.post("/api/v1/auth/login", "", login("bob", ANOTHER), 401, "LOGIN_FAILED", "refused").await;
    let reply = walk.call(Method::DELETE, &at, &ann.access, &Value::Null).await;
    walk.told(&reply, "a user removed", 204, "USER_CHANGED", "success").await;

    // Registration.
    let register =
        |name: &str| json!({ "email": format!("{name}@example.test"), "password": PASSWORD, "full_name": "Eve" });
    walk.post("/api/v1/auth/register", "", register("eve"), 202, "USER_CHANGED", "success").await;
    walk.post("/api/v1/auth/register", "", register("ann"), 202, "LOGIN_FAILED", "refused").await;
    let eve = Tokens::of(&walk.call(Method::POST, "/api/v1/auth/login", "", &login("eve", PASSWORD)).await);
    walk.world.user_of(app.owner, "other@example.test", Role::Owner).await;
    let leave = |password: &str| json!({ "password": password });
    let reply = walk.call(Method::DELETE, "/api/v1/account", &ann.access, &leave(WRONG)).await;
    walk.told(&reply, "a stranger with a user's token", 403, "LOGIN_FAILED", "refused").await;
    let reply = walk.call(Method::DELETE, "/api/v1/account", &ann.access, &leave(ANOTHER)).await;
    walk.told(&reply, "a user who leaves", 204, "USER_CHANGED", "success").await;
    let reply = walk.call(Method::DELETE, "/api/v1/account", &ann.access, &leave(ANOTHER)).await;
    walk.told(&reply, "the token of whoever left", 401, "TOKEN_REFUSED", "refused").await;
    walk.call(Method::GET, "/api/v1/auth/me", &eve.access, &Value::Null).await;

    // Keys of programs.
    let made = issued_keys::create(&app, &scope, KeyScope::Manage, "test", Some(1)).await.unwrap();
    let unknown = SecretKey::generate(app.config.environment, &SystemEntropy).unwrap();
    let key = made.text.expose().clone();
    let reply = walk.call(Method::GET, "/api/v1/sites", &key, &Value::Null).await;
    walk.told(&reply, "a key that holds", 200, "API_KEY_VALIDATION", "success").await;
    let reply = walk.call(Method::GET, "/api/v1/sites", unknown.reveal().expose(), &Value::Null).await;
    walk.told(&reply, "an unknown key", 401, "API_KEY_VALIDATION", "refused").await;
    walk.world.clock.advance(2 * DAY);
    let reply = walk.call(Method::GET, "/api/v1/sites", &key, &Value::Null).await;
    walk.told(&reply, "a key that ran out", 401, "API_KEY_VALIDATION", "refused").await;
    let call =
        walk.world.call(Method::GET, "/api/v1/sites").header("x-real-ip", CLIENT).header("sec-fetch-site", "none");
    let reply = call.header("authorization", &format!("Bearer {key}")).send().await;
    walk.told(&reply, "a key in a browser", 403, "SECRET_KEY_EXPOSED", "refused").await;

    assert!(walk.steps >= 40, "{}", walk.steps);
    let told = [text_of(&walk.world).await, format!("{:?}", walk.world.app.events.tail())].concat();
    assert!(walk.shown.len() > 60, "{}", walk.shown.len());
    for credential in walk.shown.iter().filter(|credential| credential.len() > 3) {
        assert!(!told.contains(credential.as_str()), "a credential is in the log: {credential}");
    }
    for address in ["ann@", "bob@", "eve@", "nobody@"] {
        assert!(!told.contains(address), "nor whose it was by name: {address}");
    }
    assert_eq!(walk.world.get("/api/v1/auth/me").await.status, StatusCode::UNAUTHORIZED);
}
