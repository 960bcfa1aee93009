//! How an open socket ends from our side: expiry, revocation, block, lockdown, shutdown; here and on another node.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use crate::frames::{DEVICE, EVENTS, Heard, Ws, sockets_world};
use crate::wire::until;
use crate::world::{PATIENCE, World};
use chatward::jobs;
use chatward::ops::trail::Actor;
use chatward::ops::{blocks, devices, lockdown, logins, users};
use chatward_store::{Engine, UserState};
use chatward_types::{Clock, DAY, MINUTE, Role, SECOND, Scope, Secret};
use http::{Method, StatusCode};
use serde_json::json;
use std::time::Duration;

const BY: Actor = Actor::Operator;

#[tokio::test]
async fn a_socket_ends_when_its_token_does() {
    let world = sockets_world().start().await;
    let (id, _) = world.device("terminal-1").await;
    let token = world.token_of(world.app.owner, id, MINUTE).await.token;
    let admin = world.user("admin@example.test", Role::Admin).await;
    let access = world.access(world.app.owner, &admin).await;
    let mut device = world.ready(DEVICE, &token).await;
    let mut page = world.ready(EVENTS, &access).await;
    world.clock.advance(MINUTE - 1);
    world.app.sockets.wake_all();
    assert!(device.is_alive().await && page.is_alive().await);
    world.clock.advance(1);
    world.app.sockets.wake_all();
    assert_eq!(device.close_code().await, 4001);
    assert!(page.is_alive().await);
    world.clock.advance(30 * MINUTE);
    world.app.sockets.wake_all();
    assert_eq!(page.close_code().await, 4001);
}

#[tokio::test]
async fn nobody_has_to_wake_a_socket_for_its_end() {
    let world = sockets_world().start().await;
    let (id, _) = world.device("terminal-1").await;
    let token = world.token_of(world.app.owner, id, MINUTE).await.token;
    // A fifth of a second is left when it is opened; the test's clock stands still from then on.
    world.clock.advance(MINUTE - SECOND / 5);
    let mut socket = world.ready(DEVICE, &token).await;
    assert_eq!(socket.close_code().await, 4001);
}

#[tokio::test]
async fn a_renewal_lets_a_socket_go_on() {
    let world = sockets_world().start().await;
    let (id, _) = world.device("terminal-1").await;
    let token = world.token_of(world.app.owner, id, 10 * MINUTE).await.token;
    let mut socket = world.ready(DEVICE, &token).await;
    world.clock.advance(9 * MINUTE);
    socket.say(&json!({ "type": "renew" })).await;
    let renewed = socket.expect("token").await;
    assert_eq!(renewed["expires_at"], json!((world.clock.now() + 10 * MINUTE) / SECOND));
    socket.say(&json!({ "type": "renew" })).await;
    assert_eq!(socket.expect("error").await["error"]["code"], "renewed_too_soon");
    world.clock.advance(5 * MINUTE);
    world.app.sockets.wake_all();
    assert!(socket.is_alive().await, "past the end of the first token");
    world.ready(DEVICE, renewed["token"].as_str().unwrap()).await;
    let mut old = world.open_with_frame(DEVICE, &token).await;
    assert_eq!(old.close_code().await, 1008);
    world.clock.advance(5 * MINUTE);
    world.app.sockets.wake_all();
    assert_eq!(socket.close_code().await, 4001);
}

/// The sockets of a device and of users on one node, while another node does something to them.
struct Nodes {
    one: World,
    other: World,
    jobs: tokio::task::JoinHandle<()>,
}

impl Nodes {
    async fn start() -> Self {
        let one = sockets_world().engine(Engine::Postgres).start().await;
        let key = one.folder.path().join("keys/master.key");
        let other = sockets_world()
            .set("database.url", one.database.config().url.expose())
            .set("vault.key_file", key.display())
            .start()
            .await;
        let jobs = tokio::spawn(jobs::run(other.app.clone()));
        // It listens to changes once it is there.
        let there = async {
            while other.app.store.live_nodes(other.clock.now()).await.unwrap().is_empty() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, there).await.unwrap();
        Self { one, other, jobs }
    }

    async fn stop(self) {
        self.other.app.stopping.cancel();
        tokio::time::timeout(PATIENCE, self.jobs).await.unwrap().unwrap();
    }
}

/// The close must come long before the store would be asked anyhow (30 seconds).
async fn ends(socket: &mut Ws, code: u16, what: &str) {
    let heard = tokio::time::timeout(Duration::from_secs(10), socket.close_code()).await;
    assert_eq!(heard.ok(), Some(code), "{what}");
}

#[tokio::test]
async fn a_revocation_on_one_node_ends_the_sockets_on_another_and_no_others() {
    let nodes = Nodes::start().await;
    let (one, other) = (&nodes.one, &nodes.other);
    let scope = Scope::of(one.app.owner);
    let (id, token) = one.device("terminal-1").await;
    let (_, token_two) = one.device("terminal-2").await;
    let mut device = other.ready(DEVICE, &token).await;
    let mut bystander = other.ready(DEVICE, &token_two).await;
    let mut people = Vec::new();
    for name in ["logout", "disabled", "demoted", "password"] {
        let user = one.user(&format!("{name}@example.test"), Role::Admin).await;
        let access = one.access(one.app.owner, &user).await;
        let socket = other.ready(EVENTS, &access).await;
        people.push((user, access, socket));
    }
    let keeper = one.user("keeper@example.test", Role::Owner).await;
    let mut kept = other.ready(EVENTS, &one.access(one.app.owner, &keeper).await).await;

    devices::revoke(&one.app, &scope, id, &BY).await.unwrap();
    ends(&mut device, 1008, "a revoked device").await;
    let login = logins::recognise(&one.app, &people[0].1).await.unwrap().unwrap().login;
    logins::end_one(&one.app, &scope, people[0].0.id, login.unwrap(), None).await.unwrap();
    ends(&mut people[0].2, 1008, "a login that was ended").await;
    users::set_state(&one.app, &scope, people[1].0.id, UserState::Disabled).await.unwrap();
    ends(&mut people[1].2, 1008, "a user who was disabled").await;
    users::set_role(&one.app, &scope, people[2].0.id, Role::Member).await.unwrap();
    ends(&mut people[2].2, 1008, "a role that is not enough any more").await;
    let password = Secret::new("eleven boats at the pier".to_owned());
    users::reset_password(&one.app, &scope, &people[3].0, &password).await.unwrap();
    ends(&mut people[3].2, 1008, "another password").await;

    assert!(bystander.is_alive().await && kept.is_alive().await, "nobody else");
    nodes.stop().await;
}

#[tokio::test]
async fn a_block_and_the_lockdown_on_one_node_end_the_sockets_on_another() {
    let nodes = Nodes::start().await;
    let (one, other) = (&nodes.one, &nodes.other);
    let (_, token) = one.device("terminal-1").await;
    let from = async |address: &str| {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(format!("{address}:0").parse().unwrap()).unwrap();
        let stream = socket.connect(other.address).await.unwrap();
        let mut socket = other.open_socket_on(stream, DEVICE, &[]).await.ok().unwrap();
        socket.say(&json!({ "token": token })).await;
        socket.expect("ready").await;
        socket
    };
    let mut theirs = from("127.0.0.2").await;
    let mut mine = from("127.0.0.1").await;
    let mut unproven = other.open_socket(DEVICE, &[]).await.ok().unwrap();
    blocks::block(&one.app, "127.0.0.2", blocks::Block { reason: "", length: None, force: false }, &BY).await.unwrap();
    ends(&mut theirs, 1008, "a blocked address").await;
    assert!(mine.is_alive().await);
    lockdown::begin(&one.app, "", false, &BY).await.unwrap();
    ends(&mut mine, 1008, "the lockdown").await;
    ends(&mut unproven, 1008, "also of nobody yet").await;
    let refused = other.open_socket(DEVICE, &[]).await.err().unwrap();
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (503, "lockdown"));
    nodes.stop().await;
}

#[tokio::test]
async fn a_server_that_stops_says_so_to_every_socket_and_waits_for_none() {
    let world = sockets_world().start().await;
    let (_, token) = world.device("terminal-1").await;
    let mut ready = world.ready(DEVICE, &token).await;
    let mut unproven = world.open_socket(DEVICE, &[]).await.ok().unwrap();
    // One that answers nothing any more holds nobody up.
    let deaf = world.ready(DEVICE, &token).await;
    world.app.stopping.cancel();
    assert_eq!(ready.hear().await, Heard::Closed(1001, "the server stops".to_owned()));
    assert_eq!(unproven.close_code().await, 1001);
    until(|| world.app.sockets.open() == 0 && world.app.connections.total() == 0).await;
    drop(deaf);
}

#[tokio::test]
async fn a_word_that_was_lost_is_noticed_at_the_next_look() {
    let world = sockets_world().set("sockets.ping_every", "100ms").start().await;
    let (id, token) = world.device("terminal-1").await;
    let mut socket = world.ready(DEVICE, &token).await;
    // By the store alone: no node runs its jobs here, and nobody wakes the socket.
    world.app.store.revoke_device(&Scope::of(world.app.owner), id, world.clock.now()).await.unwrap();
    assert_eq!(socket.close_code().await, 1008);
}

#[tokio::test]
async fn a_store_that_does_not_answer_closes_what_it_cannot_vouch_for() {
    let world = sockets_world().set("sockets.ping_every", "100ms").start().await;
    let (_, token) = world.device("terminal-1").await;
    let mut socket = world.ready(DEVICE, &token).await;
    world.database.tamper("ALTER TABLE devices RENAME TO gone").await;
    assert_eq!(socket.close_code().await, 1011);
    let mut new = world.open_with_frame(DEVICE, &token).await;
    assert_eq!(new.close_code().await, 1011, "nor does it say that the credential is a wrong one");
}

#[tokio::test]
async fn an_owners_events_are_shown_to_their_admins_and_nobody_elses() {
    for engine in World::ENGINES {
        let world = sockets_world().engine(engine).set("limits.per_minute", 1000).start().await;
        let app = &world.app;
        let other = chatward_types::OwnerId::generate(app.clock.as_ref(), app.entropy.as_ref()).unwrap();
        app.store.insert_owner(other, "another", app.clock.now()).await.unwrap();
        let theirs = Scope::of(other);
        let cafe = chatward::ops::sites::add(app, &theirs, "http://cafe.test", None, &[]).await.unwrap();
        let our_admin = world.user("admin@example.test", Role::Admin).await;
        let their_admin = world.user_of(other, "cafe@example.test", Role::Owner).await;
        let mut ours = world.ready(EVENTS, &world.access(app.owner, &our_admin).await).await;
        let mut others = world.ready(EVENTS, &world.access(other, &their_admin).await).await;

        // Theirs: a session on their site, a device of theirs, a login of theirs. Ours: the same, and what is nobody's.
        let begin = async |origin: &str, key: &str| {
            let call = world.call(Method::POST, "/api/v1/widget/sessions").header("origin", origin);
            assert_eq!(call.json(&json!({ "site": key })).send().await.status, StatusCode::CREATED);
        };
        begin("http://cafe.test", &cafe.publishable_key).await;
        world.device_of(other, "their-device").await;
        world.access(other, &their_admin).await;
        begin(crate::world::SHOP, &world.site.publishable_key).await;
        world.device("our-device").await;
        world.call(Method::GET, "/healthz").header("host", "x.test").send().await;
        world.call(Method::GET, "/docs").header("host", "foreign.test").send().await;
        // The last word, after which nothing is waited for.
        let end = async |owner| {
            app.event(
                chatward_types::EventName::ServerLifecycle,
                chatward_types::Severity::Info,
                chatward_types::Outcome::Success,
            )
            .owner(owner)
            .emit();
        };
        end(app.owner).await;
        end(other).await;
        let read = async |socket: &mut Ws| {
            let mut seen = Vec::new();
            loop {
                let event = socket.expect("event").await["event"].clone();
                if event["event"] == "SERVER_LIFECYCLE" {
                    return seen;
                }
                seen.push(event);
            }
        };
        let (seen, seen_there) = (read(&mut ours).await, read(&mut others).await);
        let names = |seen: &[serde_json::Value]| {
            seen.iter().map(|event| event["event"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(
            names(&seen_there),
            ["API_KEY_VALIDATION", "SESSION_CREATED", "DEVICE_CHANGED", "DEVICE_CHANGED", "LOGIN_SUCCEEDED"],
            "{seen_there:?}"
        );
        let site = world.site.id.to_string();
        for event in &seen {
            assert!(event["site"].is_null() || event["site"] == json!(site), "{event}");
            assert!(!event.to_string().contains(&their_admin.id.to_string()), "{event}");
        }
        assert!(names(&seen).contains(&"HOST_REFUSED".to_owned()), "what is nobody's is the installation's: {seen:?}");
        for event in &seen_there {
            assert!(!event.to_string().contains(&site) && !event.to_string().contains("foreign"), "{event}");
        }

        ours.say(&json!({ "type": "filter", "name": "device", "address": "127.0.0.0/8" })).await;
        ours.expect("filtered").await;
        begin(crate::world::SHOP, &world.site.publishable_key).await;
        let (_, token) = world.device("another-device").await;
        world.ready(DEVICE, &token).await;
        let first = ours.expect("event").await;
        assert_eq!(first["event"]["event"], "DEVICE_AUTHENTICATION", "{first}");
        ours.say(&json!({ "type": "filter", "address": "nowhere" })).await;
        assert_eq!(ours.expect("error").await["error"]["code"], "invalid");
        world.clock.advance(DAY);
    }
}
