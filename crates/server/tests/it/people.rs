//! Users for tests: made through ops, logged in through HTTP.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail by panicking, as tests do")]

use crate::world::{Builder, Call, Reply, World};
use chatward::client::Client;
use chatward::ops::users::{self, NewUser};
use chatward::ops::{logins, setup, totp};
use chatward_store::UserRow;
use chatward_types::{Clock as _, OwnerId, Role, SECOND, Scope, Secret};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr};

/// A password that every rule takes.
pub(crate) const PASSWORD: &str = "seven lamps under glass";

/// A login's tokens.
#[derive(Debug, Clone)]
pub(crate) struct Tokens {
    pub(crate) access: String,
    pub(crate) refresh: String,
}

impl Tokens {
    pub(crate) fn of(reply: &Reply) -> Self {
        assert!(reply.status.is_success(), "{}", reply.text());
        let text = |name: &str| reply.json()[name].as_str().unwrap().to_owned();
        Self { access: text("access_token"), refresh: text("refresh_token") }
    }
}

/// A secret from its base32, as the user's program reads it.
pub(crate) fn key_of(text: &str) -> totp::Key {
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let bits: String = text.chars().map(|c| format!("{:05b}", alphabet.find(c).unwrap())).collect();
    let bytes: Vec<u8> = (0..20).map(|at| u8::from_str_radix(&bits[8 * at..8 * at + 8], 2).unwrap()).collect();
    Secret::new(bytes.try_into().unwrap())
}

/// A world without limits in the way.
pub(crate) fn roomy() -> Builder {
    World::builder()
        .set("limits.api_requests", 10_000)
        .set("limits.per_minute", 10_000)
        .set("limits.per_hour", 100_000)
        .set("limits.sign_in_per_minute", 10_000)
}

impl World {
    /// A user of the default owner.
    pub(crate) async fn user(&self, email: &str, role: Role) -> UserRow {
        self.user_of(self.app.owner, email, role).await
    }

    /// A user of an owner.
    pub(crate) async fn user_of(&self, owner: OwnerId, email: &str, role: Role) -> UserRow {
        let password = Secret::new(PASSWORD.to_owned());
        let new = NewUser { email: email.to_owned(), name: "Ann Example".to_owned(), role, password };
        users::add(&self.app, &Scope::of(owner), &new).await.expect("a user")
    }

    /// An access token of a new login, made without a password.
    pub(crate) async fn access(&self, owner: OwnerId, user: &UserRow) -> String {
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let client = Client { request_id: "test".into(), address, user_agent: None, path: None };
        logins::begin(&self.app, &Scope::of(owner), user, &client).await.expect("a login").access_token
    }

    /// The same for whoever has the user's address now; some rows change or remove whoever calls them.
    pub(crate) async fn access_again(&self, owner: OwnerId, user: &UserRow) -> String {
        let known = self.app.store.find_user(&self.app.account_keys.lookup(&user.email)).await.unwrap();
        let user = match known {
            Some((_, id)) => self.app.store.get_user(&Scope::of(owner), id).await.unwrap().expect("a user"),
            None => self.user_of(owner, &user.email, user.role).await,
        };
        self.access(owner, &user).await
    }

    /// The set-up token, as a start makes it.
    pub(crate) async fn setup_token(&self) -> String {
        setup::prepare(&self.app).await.unwrap().expect("no user yet").expose().clone()
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Reply {
        self.call(Method::POST, path).json(body).send().await
    }

    pub(crate) async fn log_in(&self, email: &str, password: &str) -> Reply {
        self.post("/api/v1/auth/login", &json!({ "email": email, "password": password })).await
    }

    pub(crate) async fn tokens(&self, email: &str) -> Tokens {
        Tokens::of(&self.log_in(email, PASSWORD).await)
    }

    pub(crate) async fn refresh(&self, token: &str) -> Reply {
        self.post("/api/v1/auth/refresh", &json!({ "refresh_token": token })).await
    }

    /// Logs in with the password and a code.
    pub(crate) async fn log_in_with(&self, email: &str, code: &str) -> Reply {
        self.post("/api/v1/auth/login", &json!({ "email": email, "password": PASSWORD, "code": code })).await
    }

    /// Begins a second factor by an access token; its secret.
    pub(crate) async fn begin_factor(&self, access: &str) -> totp::Key {
        let call = self.with(access, Method::POST, "/api/v1/account/totp").json(&json!({ "password": PASSWORD }));
        let reply = call.send().await;
        assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text());
        key_of(reply.json()["secret"].as_str().unwrap())
    }

    pub(crate) async fn confirm_factor(&self, access: &str, code: &str) -> Reply {
        let call = self.with(access, Method::POST, "/api/v1/account/totp/confirm");
        call.json(&json!({ "code": code })).send().await
    }

    /// Enrols the user of an access token; the secret and the recovery codes.
    pub(crate) async fn enrol(&self, access: &str) -> (totp::Key, Vec<String>) {
        let key = self.begin_factor(access).await;
        let reply = self.confirm_factor(access, &self.code(&key)).await;
        assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text());
        (key, serde_json::from_value(reply.json()["recovery_codes"].clone()).unwrap())
    }

    /// What the user's program shows now.
    pub(crate) fn code(&self, key: &totp::Key) -> String {
        totp::code(key, totp::step_at(self.clock.now()))
    }

    /// What it shows next; the clock moves on to it.
    pub(crate) fn next_code(&self, key: &totp::Key) -> String {
        self.clock.advance(30 * SECOND);
        self.code(key)
    }

    /// A request with an access token.
    pub(crate) fn with(&self, access: &str, method: Method, path: &str) -> Call {
        self.call(method, path).header("authorization", &format!("Bearer {access}"))
    }

    /// Whether an access token holds, asked of this server.
    pub(crate) async fn holds(&self, access: &str) -> bool {
        let reply = self.with(access, Method::GET, "/api/v1/auth/me").send().await;
        assert!(matches!(reply.status, StatusCode::OK | StatusCode::UNAUTHORIZED), "{}", reply.text());
        reply.status == StatusCode::OK
    }

    /// Another node on the same database, with the same master key.
    pub(crate) async fn another_node(&self) -> World {
        let key = self.folder.path().join("keys/master.key");
        roomy()
            .set("database.url", self.database.config().url.expose())
            .set("vault.key_file", key.display())
            .start()
            .await
    }
}
