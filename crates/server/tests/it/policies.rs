//! The route table, walked: who is refused where, that the API's description is the table, and what is not in it.

#![expect(clippy::expect_used, reason = "helpers of tests fail by panicking, as tests do")]

use crate::frames::sockets_world;
use crate::socket_walk::{self, Case, Devices};
use crate::world::{QUESTION, Reply, SHOP, STRANGER, Visitor, World};
use base64::Engine as _;
use chatward::ops::blocks::{self, Block};
use chatward::ops::trail::Actor;
use chatward::ops::{issued_keys, lockdown};
use chatward::routes::{self, Class, Policy, Row, SocketCaller};
use chatward_store::{JobState, SiteRow, UserRow, UserState};
use chatward_types::{DAY, Environment, KeyScope, MINUTE, OwnerId, Role, Scope, SessionId};
use chatward_vault::{SecretKey, SystemEntropy};
use http::{Method, StatusCode};
use std::collections::{BTreeMap, BTreeSet};

/// Another tenant with a site of its own at another origin, and a visitor of it.
const CAFE: &str = "http://cafe.test";

/// The one route of its policy that asks for no credential, and is closed unless the operator opens it.
const REGISTER: &str = "/api/v1/auth/register";

struct Other {
    site: SiteRow,
    visitor: Visitor,
}

async fn other_owner(world: &World) -> Other {
    let app = &world.app;
    let owner = OwnerId::generate(app.clock.as_ref(), app.entropy.as_ref()).expect("an id");
    app.store.insert_owner(owner, "another", app.clock.now()).await.expect("an owner");
    let scope = Scope::of(owner);
    let site = chatward::ops::sites::add(app, &scope, CAFE, None, &[]).await.expect("a site");
    let visitor = visitor_of(world, &site).await;
    Other { site, visitor }
}

async fn visitor_of(world: &World, site: &SiteRow) -> Visitor {
    visitor_at(world, site, CAFE).await
}

async fn visitor_at(world: &World, site: &SiteRow, origin: &str) -> Visitor {
    let reply = world
        .call(Method::POST, "/api/v1/widget/sessions")
        .header("origin", origin)
        .json(&serde_json::json!({ "site": site.publishable_key }))
        .send()
        .await;
    assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text());
    let text = |name: &str| reply.json()[name].as_str().unwrap_or_default().to_owned();
    Visitor { session: text("session"), token: text("token") }
}

/// Calls a row with a body that it would accept.
pub(crate) async fn call(world: &World, row: &Row, message_id: &str, headers: &[(&str, &str)]) -> Reply {
    let address = prepare(world, row).await;
    let mut call = world.call(row.method.clone(), &address);
    for (name, value) in headers {
        call = call.header(name, value);
    }
    let mut body = world.good_body(row, message_id);
    if *row.method == Method::DELETE && matches!(row.path, "/api/v1/blocks" | "/api/v1/lockdown") {
        body = serde_json::Value::Null;
    }
    let bodiless = *row.method == Method::GET || *row.method == Method::DELETE && body.is_null();
    let reply = match (bodiless, body.is_null()) {
        _ if is_removal(row) => call.json(&serde_json::json!({ "name": "Gone soon" })),
        (true, _) => call,
        (false, true) => call.raw_json("{}"),
        (false, false) => call.json(&body),
    }
    .send()
    .await;
    if row.path == "/api/v1/lockdown" && *row.method == Method::PUT {
        lockdown::end(&world.app, "", &Actor::Operator).await.expect("the walk goes on");
    }
    reply
}

/// Removes a site, which the next call must find again.
fn is_removal(row: &Row) -> bool {
    *row.method == Method::DELETE && row.path == "/api/v1/sites/{id}"
}

/// The row's path with what it names, made anew where the row takes it away.
async fn prepare(world: &World, row: &Row) -> String {
    let (app, scope) = (&world.app, Scope::of(world.app.owner));
    let address = world.concrete(row.path);
    if is_removal(row) {
        let victim =
            chatward::ops::sites::add(app, &scope, "http://gone.test", Some("Gone soon"), &[]).await.expect("a site");
        return address.replace(&world.site.id.to_string(), &victim.id.to_string());
    }
    if row.path.contains("{conversation}") {
        let visitor = visitor_at(world, &world.site, SHOP).await;
        let session = SessionId::from_verified(visitor.session);
        let row = app.store.load_session(&scope, &session).await.expect("a read").expect("a session");
        return address.replace("{conversation}", &row.conversation.to_string());
    }
    if *row.method == Method::DELETE && row.path == "/api/v1/blocks" {
        blocks::block(app, "203.0.113.77", Block::default(), &Actor::Operator).await.expect("a block");
        return format!("{address}?network=203.0.113.77");
    }
    if *row.method == Method::POST && row.path == "/api/v1/sites/{id}/crawls" {
        // What waits is done, so that it is in nobody's way.
        while let Some(job) =
            app.store.claim_job(app.node, app.clock.now(), app.clock.now() + MINUTE).await.expect("a job")
        {
            let ended = app.store.finish_job(job.id, app.node, "{}", JobState::Done, app.clock.now()).await;
            assert!(ended.expect("an end"));
        }
    }
    address
}

/// What only the installation's own owner has.
fn is_installations(row: &Row) -> bool {
    row.path.starts_with("/api/v1/blocks") || row.path == "/api/v1/lockdown"
}

/// Keys that hold and keys that do not.
struct Keys {
    good: String,
    other_owners: String,
    refused: Vec<(&'static str, String)>,
}

impl Keys {
    async fn new(world: &World, other: &Other) -> Self {
        let app = &world.app;
        let (ours, theirs) = (Scope::of(app.owner), Scope::of(other.site.owner));
        let make = async |scope: &Scope, days| {
            let made = issued_keys::create(app, scope, KeyScope::Manage, "", days).await.expect("a key");
            (made.row.id, made.text.expose().clone())
        };
        let (revoked_id, revoked) = make(&ours, None).await;
        issued_keys::revoke(app, &ours, &revoked_id).await.expect("revoked");
        let (_, expired) = make(&ours, Some(1)).await;
        world.clock.advance(2 * DAY);
        let (_, good) = make(&ours, Some(1)).await;
        let (_, other_owners) = make(&theirs, None).await;
        let unknown = SecretKey::generate(Environment::Development, &SystemEntropy).expect("a key");
        let production = SecretKey::generate(Environment::Production, &SystemEntropy).expect("a key");
        let text = |key: &SecretKey| key.reveal().expose().clone();
        // The public part of a good key with the secret of another: only the hash can tell.
        let swapped = mixed(&good, &text(&unknown));
        let refused = [
            ("a revoked key", revoked),
            ("an expired key", expired),
            ("an unknown key", text(&unknown)),
            ("another environment's key", text(&production)),
            ("a good id with another secret", swapped),
            ("a key cut short", good[..good.len() - 1].to_owned()),
            ("a publishable key", world.site.publishable_key.clone()),
            ("nonsense", "x".repeat(9000)),
        ];
        let bearer = |text: &str| format!("Bearer {text}");
        let mut refused: Vec<_> = refused.iter().map(|(who, text)| (*who, bearer(text))).collect();
        refused.push(("another scheme", format!("Basic {good}")));
        Self { other_owners: bearer(&other_owners), refused, good: bearer(&good) }
    }
}

/// What a page of somebody else makes a browser send.
const FOREIGN_PAGES: [(&str, &str); 5] = [
    ("origin", "null"),
    ("origin", STRANGER),
    ("origin", SHOP),
    ("sec-fetch-site", "cross-site"),
    ("sec-fetch-site", "same-site"),
];

/// Users of every role, and tokens of users that do not hold.
struct People {
    users: Vec<UserRow>,
    other: (OwnerId, UserRow),
    refused: Vec<(&'static str, String)>,
}

impl People {
    async fn new(world: &World, other: &Other) -> Self {
        let (app, ours) = (&world.app, world.app.owner);
        let mut users = Vec::new();
        for role in [Role::Viewer, Role::Member, Role::Admin, Role::Owner] {
            users.push(world.user(&format!("{}@example.test", role.as_str()), role).await);
        }
        // Whoever is walked may leave, because there is another owner.
        world.user("keeper@example.test", Role::Owner).await;
        let theirs = world.user_of(other.site.owner, "theirs@example.test", Role::Owner).await;
        let expired = world.access(ours, &users[3]).await;
        world.clock.advance(30 * MINUTE);
        let leaver = world.user("leaver@example.test", Role::Owner).await;
        let disabled = world.access(ours, &leaver).await;
        chatward::ops::users::set_state(app, &Scope::of(ours), leaver.id, UserState::Disabled).await.expect("disabled");
        let ended = world.access(ours, &users[3]).await;
        let out = world.with(&ended, Method::POST, "/api/v1/auth/logout").send().await;
        assert_eq!(out.status, StatusCode::NO_CONTENT);
        let good = world.access(ours, &users[3]).await;
        let foreign = world.access(other.site.owner, &theirs).await;
        let part = |token: &str, at: usize| token.split('.').nth(at).unwrap_or_default().to_owned();
        let ticket = world.ticket().await;
        let refused = vec![
            ("an expired token", expired),
            ("a disabled user", disabled),
            ("an ended login", ended),
            ("a ticket", ticket),
            ("another's claims", format!("{}.{}.{}", part(&good, 0), part(&foreign, 1), part(&good, 2))),
            ("no algorithm", format!("eyJhbGciOiJub25lIn0.{}.", part(&good, 1))),
            ("no signature", format!("{}.{}.", part(&good, 0), part(&good, 1))),
            (
                "a key beside a key",
                format!("{}.{}.{}", header_with_jwk(&part(&good, 0)), part(&good, 1), part(&good, 2)),
            ),
            ("an oversized token", format!("{good}{}", "A".repeat(8 * 1024))),
        ];
        let refused = refused.into_iter().map(|(who, token)| (who, format!("Bearer {token}"))).collect();
        Self { users, other: (other.site.owner, theirs), refused }
    }

    /// Each call has a login of its own, since some rows end it.
    async fn walk(&self, world: &World, row: &Row, least: Role, visitor: &str) {
        let ask = async |headers: &[(&str, &str)]| call(world, row, "", headers).await;
        let fresh = async |owner, user| format!("Bearer {}", world.access_again(owner, user).await);
        let what = |who: &str| format!("{} {} as {who}", row.method, row.path);
        for (who, token) in
            self.refused.iter().map(|(who, token)| (*who, token.as_str())).chain([("a visitor", visitor)])
        {
            let reply = ask(&[("authorization", token)]).await;
            assert_refused(&reply, 401, &what(who));
            assert_eq!(reply.code(), "token_invalid", "{}", what(who));
        }
        let owner = &self.users[3];
        for (name, value) in FOREIGN_PAGES {
            let token = fresh(world.app.owner, owner).await;
            let reply = ask(&[("authorization", &token), (name, value)]).await;
            assert_refused(&reply, 403, &what("a user on another's page"));
            assert_eq!(reply.header("access-control-allow-origin"), "");
        }
        let own_page =
            ask(&[("authorization", &fresh(world.app.owner, owner).await), ("origin", &world.own_origin())]).await;
        assert!(passes(row, &own_page), "{}: {}", what("a user on our page"), own_page.text());
        for user in &self.users {
            let reply = ask(&[("authorization", &fresh(world.app.owner, user).await)]).await;
            if user.role < least {
                assert_refused(&reply, 403, &what(user.role.as_str()));
                assert_eq!(reply.code(), "role_insufficient");
            } else {
                assert!(passes(row, &reply), "{}: {}", what(user.role.as_str()), reply.text());
            }
        }
        let foreign = ask(&[("authorization", &fresh(self.other.0, &self.other.1).await)]).await;
        if row.path.contains('{') || is_installations(row) {
            assert_refused(&foreign, 404, &what("another owner's user"));
        } else {
            assert!(!foreign.text().contains(&world.site.publishable_key), "{}", what("another owner's user"));
        }
    }
}

/// Whether whoever may call the row was let in: the id of a login, a user, a device, an invitation or a key in the address
/// is nobody's here, and nobody has a second factor.
fn passes(row: &Row, reply: &Reply) -> bool {
    let nobodys = ["{login}", "{user}", "{device}", "{invitation}", "{key}"].iter().any(|name| row.path.contains(name));
    reply.status.is_success()
        || (nobodys && reply.status == StatusCode::NOT_FOUND)
        || (row.policy == Policy::Enrolment && reply.code() == "no_second_factor")
}

fn header_with_jwk(head: &str) -> String {
    let engine = base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let bytes = engine.decode(head).expect("a header");
    let mut header: serde_json::Value = serde_json::from_slice(&bytes).expect("JSON");
    header["jwk"] = serde_json::json!({});
    engine.encode(header.to_string())
}

/// A key of the right shape with the id of one and the secret of another.
fn mixed(one: &str, other: &str) -> String {
    let (head, _) = one.rsplit_once('_').expect("a secret");
    let (_, secret) = other.rsplit_once('_').expect("a secret");
    let covered = format!("{head}_{}", &secret[..44]);
    // The check is CRC-32 in six digits of base62; the six that fit are found from a key's own form.
    format!("{covered}{}", check_of(&covered))
}

fn check_of(text: &str) -> String {
    let mut crc = !text.bytes().fold(u32::MAX, |mut state, byte| {
        state ^= u32::from(byte);
        for _ in 0..8 {
            state = (state >> 1) ^ (0xEDB8_8320 & (state & 1).wrapping_neg());
        }
        state
    });
    let digits = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut check = [b'0'; 6];
    for place in check.iter_mut().rev() {
        *place = digits[(crc % 62) as usize];
        crc /= 62;
    }
    String::from_utf8_lossy(&check).into_owned()
}

fn assert_refused(reply: &Reply, status: u16, what: &str) {
    assert_eq!(reply.status, status, "{what}: {}", reply.text());
    let error = &reply.json()["error"];
    assert!(error["code"].is_string() && error["message"].is_string(), "{what}: {}", reply.text());
    assert_eq!(error["request_id"], reply.header("x-request-id"), "{what}");
}

#[tokio::test]
async fn every_route_refuses_whom_its_policy_does_not_name() {
    let world = sockets_world().set("limits.per_minute", 1000).set("sockets.max_per_address", 1000).start().await;
    let other = other_owner(&world).await;
    // They need the clock to move on, which ends visitors' tokens; so the visitors come after.
    let keys = Keys::new(&world, &other).await;
    let other = Other { visitor: visitor_of(&world, &other.site).await, ..other };
    let devices = Devices::new(&world, other.site.owner).await;
    let other = Other { visitor: visitor_of(&world, &other.site).await, ..other };
    let mut people = People::new(&world, &other).await;
    people.refused.push(("a device", format!("Bearer {}", devices.good)));
    let visitor = world.visitor().await;
    let answer = world.ask(&visitor, QUESTION).await.json();
    let message = answer["message_id"].as_str().unwrap_or_default();
    let bearer = format!("Bearer {}", visitor.token);
    let (head, rest) = visitor.token.split_once('.').unwrap_or_default();
    let (claims, signature) = rest.split_once('.').unwrap_or_default();
    let reversed: String = signature.chars().rev().collect();
    let forged = [
        "Bearer x".to_owned(),
        format!("Bearer {head}.{claims}."),
        format!("Bearer {head}.{claims}.{reversed}"),
        format!("Bearer {head}.{}.{signature}", other.visitor.token.split('.').nth(1).unwrap_or_default()),
        format!("Bearer eyJhbGciOiJub25lIn0.{claims}."),
        format!("Basic {}", visitor.token),
        format!("Bearer {}", visitor.session),
        format!("Bearer {}", world.site.publishable_key),
        format!("Bearer {}", devices.good),
        format!("Bearer {}", world.access(world.app.owner, &people.users[3]).await),
    ];
    let foreign = format!("Bearer {}", other.visitor.token);
    let mut seen = BTreeSet::new();
    for row in routes::rows() {
        let what = |who: &str| format!("{} {} as {who}", row.method, row.path);
        let ask = async |headers: &[(&str, &str)]| call(&world, &row, message, headers).await;
        seen.insert(format!("{:?}", row.policy));
        match row.policy {
            Policy::Public => {
                for origin in ["null", STRANGER, SHOP] {
                    let reply = ask(&[("origin", origin), ("authorization", "Bearer x")]).await;
                    assert!(reply.status.is_success(), "{}: {}", what("anybody"), reply.text());
                    // The loader holds nothing of anybody's, and `integrity` needs to read it.
                    let grant = if row.class == Class::Loader { "*" } else { "" };
                    assert_eq!(reply.header("access-control-allow-origin"), grant, "{}", what("anybody"));
                }
            }
            Policy::NamedOrigin => {
                for headers in [&[][..], &[("origin", "null")], &[("origin", "http://shop.test/")]] {
                    let reply = ask(headers).await;
                    assert_refused(&reply, 403, &what("no page"));
                    assert_eq!(reply.header("access-control-allow-origin"), "");
                }
                for origin in [STRANGER, CAFE] {
                    let reply = ask(&[("origin", origin), ("authorization", &bearer)]).await;
                    assert_refused(&reply, 403, &what(origin));
                    assert_eq!(reply.header("access-control-allow-origin"), origin, "its console may say why");
                }
                assert!(ask(&[("origin", SHOP)]).await.status.is_success(), "{}", what("its page"));
            }
            Policy::Manage(_, least) => {
                for (who, authorization) in &keys.refused {
                    let reply = ask(&[("authorization", authorization)]).await;
                    assert_refused(&reply, 401, &what(who));
                    assert_eq!(reply.code(), "key_invalid", "{}", what(who));
                }
                assert_refused(&ask(&[]).await, 401, &what("nobody"));
                assert_refused(&ask(&[("origin", SHOP)]).await, 401, &what("a page without a key"));
                for (name, value) in [("origin", SHOP), ("sec-fetch-site", "same-origin"), ("sec-fetch-dest", "empty")]
                {
                    let reply = ask(&[("authorization", &keys.good), (name, value)]).await;
                    assert_refused(&reply, 403, &what("a key from a browser"));
                    assert_eq!(reply.code(), "secret_key_exposed");
                    assert_eq!(reply.header("access-control-allow-origin"), "");
                }
                let foreign = ask(&[("authorization", &keys.other_owners)]).await;
                match row.path.contains('{') {
                    true => assert_refused(&foreign, 404, &what("another owner")),
                    false => {
                        assert!(!foreign.text().contains(&world.site.publishable_key), "{}", what("another owner"))
                    }
                }
                let reply = ask(&[("authorization", &keys.good)]).await;
                assert!(reply.status.is_success(), "{}: {}", what("its owner"), reply.text());
                assert_eq!(reply.header("access-control-allow-origin"), "");
                people.walk(&world, &row, least, &bearer).await;
            }
            Policy::User(_) | Policy::Enrolment => {
                let least = if let Policy::User(least) = row.policy { least } else { Role::Viewer };
                assert_refused(&ask(&[]).await, 401, &what("nobody"));
                // The credential of programs opens no account.
                let reply = ask(&[("authorization", &keys.good)]).await;
                assert_refused(&reply, 401, &what("a program with a secret key"));
                assert_eq!(reply.code(), "token_invalid");
                people.walk(&world, &row, least, &bearer).await;
            }
            Policy::Device => {
                let owner = world.access_again(world.app.owner, &people.users[3]).await;
                let refused = devices.refused.iter().map(|(who, token)| (*who, format!("Bearer {token}")));
                let others = [
                    ("an owner", format!("Bearer {owner}")),
                    ("a visitor", bearer.clone()),
                    ("a program with a secret key", keys.good.clone()),
                ];
                assert_refused(&ask(&[]).await, 401, &what("nobody"));
                for (who, token) in refused.chain(others) {
                    let reply = ask(&[("authorization", &token)]).await;
                    assert_refused(&reply, 401, &what(who));
                    assert_eq!(reply.code(), "device_token_invalid", "{}", what(who));
                }
                let good = format!("Bearer {}", devices.good);
                for (name, value) in FOREIGN_PAGES.into_iter().chain([("origin", world.own_origin().as_str())]) {
                    let reply = ask(&[("authorization", &good), (name, value)]).await;
                    assert_refused(&reply, 403, &what("a device in a page"));
                    assert_eq!(reply.header("access-control-allow-origin"), "");
                }
                let (ours, theirs) = (ask(&[("authorization", &good)]).await, format!("Bearer {}", devices.others));
                let theirs = ask(&[("authorization", &theirs)]).await;
                assert!(
                    ours.status.is_success() && theirs.status.is_success(),
                    "{}: {}",
                    what("a device"),
                    ours.text()
                );
                assert_ne!(ours.json()["device"], theirs.json()["device"], "each for itself");
            }
            Policy::WebSocket(policy) => {
                let mut cases: Vec<Case> = Vec::new();
                let bare = |token: &str| token.trim_start_matches("Bearer ").to_owned();
                for (who, token) in people.refused.iter().filter(|(who, _)| *who != "a device") {
                    cases.push(((*who).to_owned(), bare(token), Some(401)));
                }
                for (who, token) in &devices.refused {
                    cases.push(((*who).to_owned(), token.clone(), Some(401)));
                }
                cases.push(("a visitor".to_owned(), visitor.token.clone(), Some(401)));
                cases.push(("a program with a secret key".to_owned(), bare(&keys.good), Some(401)));
                for user in &people.users {
                    let refusal = match policy.caller {
                        SocketCaller::Device => Some(401),
                        SocketCaller::User(least) => (user.role < least).then_some(403),
                    };
                    let token = world.access_again(world.app.owner, user).await;
                    cases.push((user.role.as_str().to_owned(), token, refusal));
                }
                for (who, token) in [("a device", &devices.good), ("another owner's device", &devices.others)] {
                    let refusal = (policy.caller != SocketCaller::Device).then_some(401);
                    cases.push((who.to_owned(), token.clone(), refusal));
                }
                socket_walk::walk(&world, &row, policy, &cases).await;
            }
            Policy::SignIn => {
                for (name, value) in FOREIGN_PAGES {
                    let reply = ask(&[(name, value)]).await;
                    assert_refused(&reply, 403, &what("another's page"));
                    assert_eq!(reply.header("access-control-allow-origin"), "");
                }
                for headers in [&[][..], &[("authorization", keys.good.as_str())], &[("sec-fetch-site", "same-origin")]]
                {
                    let reply = ask(headers).await;
                    if row.path == REGISTER {
                        assert_refused(&reply, 403, &what("anybody, while registration is closed"));
                        assert_eq!(reply.code(), "registration_closed");
                    } else {
                        assert_refused(&reply, 401, &what("nobody, by a credential that does not hold"));
                    }
                }
            }
            Policy::SiteOrigin => {
                assert_refused(&ask(&[]).await, 403, &what("nobody"));
                for origin in ["null", STRANGER, CAFE] {
                    assert_refused(&ask(&[("origin", origin)]).await, 403, &what(origin));
                    let with_token = ask(&[("origin", origin), ("authorization", &bearer)]).await;
                    assert_refused(&with_token, 403, &what("a visitor from elsewhere"));
                }
                assert!(ask(&[("origin", SHOP)]).await.status.is_success(), "{}", what("its page"));
            }
            Policy::Visitor => {
                assert_refused(&ask(&[]).await, 401, &what("nobody"));
                assert_refused(&ask(&[("origin", SHOP)]).await, 401, &what("a page without a token"));
                for token in &forged {
                    let reply = ask(&[("origin", SHOP), ("authorization", token)]).await;
                    assert_refused(&reply, 401, &what(token));
                    assert_eq!(reply.code(), "session_invalid");
                }
                for origin in ["null", STRANGER, CAFE] {
                    let reply = ask(&[("origin", origin), ("authorization", &bearer)]).await;
                    assert_refused(&reply, 403, &what(origin));
                    assert_eq!(reply.header("access-control-allow-origin"), "");
                }
                let key = ask(&[("authorization", &keys.good)]).await;
                assert_refused(&key, 401, &what("a program with a secret key"));
                let shown = ask(&[("origin", SHOP), ("authorization", &keys.good)]).await;
                assert_eq!((shown.status.as_u16(), shown.code().as_str()), (403, "secret_key_exposed"));
                // Another owner's visitor is somebody, but only at home, and finds nothing of ours there.
                let stolen = ask(&[("origin", SHOP), ("authorization", &foreign)]).await;
                assert_refused(&stolen, 403, &what("another's visitor on our page"));
            }
        }
    }
    assert_eq!(seen.len(), 14, "every policy is on some route: {seen:?}");
    let state = world.by(&visitor, Method::GET, "/api/v1/widget/session").send().await;
    assert_eq!(state.json()["messages"].as_array().map(Vec::len), Some(2), "all of it changed nothing");
}

#[tokio::test]
async fn a_visitor_of_another_owner_reaches_nothing_of_this_one() {
    for engine in World::ENGINES {
        let world = World::builder().engine(engine).start().await;
        let (visitor, other) = (world.visitor().await, other_owner(&world).await);
        let answer = world.ask(&visitor, QUESTION).await.json();
        let message = answer["message_id"].as_str().unwrap_or_default();
        let at_home = |method: Method, path: &str| {
            let call = world.call(method, path).header("origin", CAFE);
            call.header("authorization", &format!("Bearer {}", other.visitor.token))
        };
        let judged = at_home(Method::POST, "/api/v1/widget/feedback")
            .json(&serde_json::json!({ "message_id": message, "rating": "down" }))
            .send()
            .await;
        assert_refused(&judged, 404, "another's answer");
        let state = at_home(Method::GET, "/api/v1/widget/session").send().await;
        assert_eq!(state.json()["messages"], serde_json::json!([]), "{}", state.text());
        let asked = at_home(Method::POST, "/api/v1/widget/messages");
        let asked = asked.json(&serde_json::json!({ "message": QUESTION })).send().await;
        assert_eq!(asked.json()["citations"], serde_json::json!([]), "not from our pages: {}", asked.text());
        assert_eq!(at_home(Method::DELETE, "/api/v1/widget/session").send().await.status, StatusCode::OK);
        let ours = world.by(&visitor, Method::GET, "/api/v1/widget/session").send().await;
        assert_eq!(ours.json()["messages"].as_array().map(Vec::len), Some(2));
        assert_ne!(other.site.owner, world.site.owner);
    }
}

#[tokio::test]
async fn the_description_of_the_api_is_the_route_table() {
    let document: serde_json::Value = serde_json::from_str(&chatward::openapi::text()).expect("JSON");
    let mut described = BTreeMap::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            described.insert((path.clone(), method.to_uppercase()), operation.clone());
        }
    }
    let rows = routes::rows();
    let table: BTreeSet<_> = rows.iter().map(|row| (row.path.to_owned(), row.method.to_string())).collect();
    assert_eq!(table.len(), rows.len(), "no row stands twice");
    assert_eq!(described.keys().cloned().collect::<BTreeSet<_>>(), table);
    for row in &rows {
        let operation = &described[&(row.path.to_owned(), row.method.to_string())];
        let needs_token = operation["security"].as_array().is_some_and(|list| !list.is_empty());
        let authenticates = matches!(
            row.policy,
            Policy::Visitor
                | Policy::Manage(..)
                | Policy::User(_)
                | Policy::Enrolment
                | Policy::Device
                | Policy::WebSocket(_)
        );
        assert_eq!(needs_token, authenticates, "{} {}", row.method, row.path);
        let status = |code: &str| operation["responses"].as_object().is_some_and(|codes| codes.contains_key(code));
        // A ticket is a credential in the body, and so are passwords and refresh tokens.
        let in_body = row.path == "/api/v1/widget/sessions" || (row.policy == Policy::SignIn && row.path != REGISTER);
        assert_eq!(status("401"), authenticates || in_body, "{} {}", row.method, row.path);
        assert_eq!(status("403") && status("429"), row.policy != Policy::Public, "{} {}", row.method, row.path);
    }
    let written = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    let written = std::fs::read_to_string(written).expect("docs/openapi.json is committed");
    assert!(written == chatward::openapi::text(), "docs/openapi.json is not up to date; run `./check generate`");
    let world = World::start().await;
    assert_eq!(world.get("/openapi.json").await.text(), written);
}

#[tokio::test]
async fn a_method_that_an_address_does_not_take_gets_405_with_those_it_takes() {
    let world = World::builder().set("limits.api_requests", 1000).set("limits.sign_in_per_minute", 1000).start().await;
    let mut methods: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for row in routes::rows() {
        methods.entry(row.path).or_default().insert(row.method.to_string());
    }
    for (path, taken) in methods {
        let concrete = world.concrete(path);
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"] {
            if taken.contains(method) {
                continue;
            }
            let reply = world.call(Method::from_bytes(method.as_bytes()).expect("a method"), &concrete).send().await;
            assert_refused(&reply, 405, &format!("{method} {path}"));
            assert_eq!(reply.code(), "method_not_allowed");
            let allowed = reply.header("allow").split(',').map(|method| method.trim().to_owned());
            let allowed: BTreeSet<String> = allowed.filter(|method| method != "HEAD").collect();
            assert_eq!(allowed, taken, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn an_address_that_is_not_in_the_table_gets_404_in_the_one_shape() {
    let world = World::start().await;
    for path in
        ["/", "/api", "/api/v1/", "/api/v1/widget/sessions/", "/admin", "/metrics", "/.env", "/docs/../docs", "/%2e%2e"]
    {
        for method in [Method::GET, Method::POST] {
            let reply = world.call(method, path).send().await;
            assert_refused(&reply, 404, path);
            assert_eq!(reply.code(), "not_found", "{path}");
            assert_eq!(reply.header("content-type"), "application/json");
        }
    }
}
