//! Blocks and the lockdown (RATE-09, INC-03, INC-06): refused before anything else, on every node, open connections and
//! streams included, for a growing time after abuse, and also where nothing can be recorded.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use crate::process::{Server, add_site, run};
use crate::world::{Builder, Call, PATIENCE, QUESTION, STRANGER, World, fake_key, request};
use chatward::ops::blocks::{self, Block};
use chatward::ops::trail::Actor;
use chatward::ops::{changes, lockdown, trail};
use chatward::routes;
use chatward_store::Engine;
use chatward_testkit::provider::{Ending, FakeProvider, Reply as Script};
use chatward_types::{Clock, DAY, MINUTE};
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;
use tokio::net::TcpSocket;

const BY: Actor = Actor::Operator;
/// What "at once, on every node" means here; four times the interval of the poll, and room for a busy machine.
const SOON: Duration = Duration::from_secs(4);

fn because(reason: &str) -> Block<'_> {
    Block { reason, ..Block::default() }
}

/// A world behind a proxy on loopback that says who the client is.
fn proxied() -> Builder {
    World::builder()
        .set("server.trusted_proxies", "127.0.0.1/32")
        .set("server.client_address_header", "x-forwarded-for")
}

fn from(world: &World, address: &str, path: &str) -> Call {
    world.call(Method::GET, path).header("x-forwarded-for", address)
}

/// A request that is refused with 403 because of its origin.
async fn offend(world: &World, address: &str) -> StatusCode {
    let call = world.call(Method::POST, "/api/v1/widget/sessions").header("x-forwarded-for", address);
    call.header("origin", STRANGER).json(&json!({ "site": world.site.publishable_key })).send().await.status
}

#[tokio::test]
async fn a_blocked_network_is_refused_first_of_all_and_nobody_else() {
    let world = proxied().start().await;
    blocks::block(&world.app, "203.0.113.0/24", because("scraping"), &BY).await.unwrap();
    blocks::block(&world.app, "2001:db8:1::/64", Block { length: Some(10 * MINUTE), ..because("") }, &BY)
        .await
        .unwrap();
    let mut bodies = Vec::new();
    for address in ["203.0.113.7", "::ffff:203.0.113.8", "2001:db8:1::9"] {
        // Before the host name is looked at, the limit counted, the route found.
        for path in ["/healthz", "/widget.js", "/no-such-path", "/api/v1/widget/session"] {
            let reply = from(&world, address, path).header("host", "foreign.test").send().await;
            assert_eq!(reply.status, StatusCode::FORBIDDEN, "{address} {path}");
            assert!(!reply.headers.contains_key("ratelimit"), "{address} {path}");
            let mut body = reply.json();
            assert_eq!(body["error"]["code"], "address_blocked");
            body["error"]["request_id"] = Value::Null;
            bodies.push(body);
        }
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "one constant answer");
    for address in ["203.0.114.7", "2001:db8:1:1::9", "198.51.100.1"] {
        assert_eq!(from(&world, address, "/healthz").send().await.status, StatusCode::OK, "{address}");
    }
    assert!(world.has_event("ADDRESS_BLOCKED") && world.has_event("BLOCK_CHANGED"));
    let metrics = world.admin_get("/metrics").await.text();
    assert!(metrics.contains("chatward_blocked_networks 2") && metrics.contains("chatward_blocked_requests_total 12"));

    world.clock.advance(10 * MINUTE);
    assert_eq!(from(&world, "2001:db8:1::9", "/healthz").send().await.status, StatusCode::OK, "it has ended");
    assert!(blocks::unblock(&world.app, "203.0.113.0/24", &BY).await.unwrap());
    assert!(!blocks::unblock(&world.app, "203.0.113.0/24", &BY).await.unwrap());
    assert_eq!(from(&world, "203.0.113.7", "/healthz").send().await.status, StatusCode::OK, "it is lifted");
}

#[tokio::test]
async fn trusted_proxies_and_allowed_networks_are_never_blocked() {
    let world = proxied().set("blocks.allowed", "198.51.100.0/24").set("blocks.refusals", 5).start().await;
    for spared in ["127.0.0.1", "198.51.100.7", "198.51.100.0/25"] {
        assert!(blocks::block(&world.app, spared, because(""), &BY).await.is_err(), "{spared}");
    }
    for bad in ["shop.test", "1.2.3.4/33", ""] {
        assert!(blocks::block(&world.app, bad, because(""), &BY).await.is_err(), "{bad}");
    }
    assert!(blocks::block(&world.app, "203.0.113.7", because("two\nlines"), &BY).await.is_err());
    // A wider network covers them, and spares them.
    blocks::block(&world.app, "0.0.0.0/0", because("everybody"), &BY).await.unwrap();
    assert_eq!(from(&world, "198.51.100.7", "/healthz").send().await.status, StatusCode::OK);
    assert_eq!(world.get("/healthz").await.status, StatusCode::OK, "the proxy itself");
    assert_eq!(from(&world, "203.0.113.7", "/healthz").send().await.status, StatusCode::FORBIDDEN);
    for _ in 0..20 {
        for spared in ["198.51.100.7", "127.0.0.9"] {
            offend(&world, spared).await;
        }
    }
    assert_eq!(blocks::impose(&world.app).await.unwrap(), 0, "nor automatically, nor loopback");
}

#[tokio::test]
async fn abuse_is_blocked_for_a_growing_time() {
    for engine in World::ENGINES {
        let world = proxied().engine(engine).set("blocks.refusals", 5).start().await;
        let offender = "203.0.113.7";
        let mut lengths = Vec::new();
        for _ in 0..10 {
            for _ in 0..4 {
                assert_eq!(offend(&world, offender).await, StatusCode::FORBIDDEN);
            }
            assert_eq!(blocks::impose(&world.app).await.unwrap(), 0, "four are not five");
            for _ in 0..3 {
                offend(&world, offender).await;
            }
            assert_eq!(blocks::impose(&world.app).await.unwrap(), 1);
            assert_eq!(from(&world, offender, "/healthz").send().await.json()["error"]["code"], "address_blocked");
            assert_eq!(from(&world, "203.0.113.8", "/healthz").send().await.status, StatusCode::OK);
            let row = world.app.store.get_block("203.0.113.7/32").await.unwrap().unwrap();
            assert_eq!(row.created_by, "server");
            lengths.push((row.until.unwrap() - row.created_at) / MINUTE);
            world.clock.advance(row.until.unwrap() - world.clock.now());
            assert_eq!(from(&world, offender, "/healthz").send().await.status, StatusCode::OK, "it has ended");
        }
        assert_eq!(lengths, [10, 20, 40, 80, 160, 320, 640, 1280, 1440, 1440]);
        // Two quiet days later it is forgotten.
        world.clock.advance(2 * DAY + 1);
        chatward::jobs::run_housekeeping(&world.app).await.unwrap();
        assert!(world.app.store.get_block("203.0.113.7/32").await.unwrap().is_none());
        // One subscriber has a whole /64.
        for host in 0..7 {
            offend(&world, &format!("2001:db8:1:2::{host}")).await;
        }
        assert_eq!(blocks::impose(&world.app).await.unwrap(), 1);
        let listed = world.app.store.list_blocks(world.clock.now()).await.unwrap();
        assert_eq!(listed[0].network, "2001:db8:1:2::/64");
    }
}

#[tokio::test]
async fn automatic_blocks_can_be_switched_off() {
    let world = proxied().set("blocks.automatic", "off").set("blocks.refusals", 5).start().await;
    for _ in 0..20 {
        offend(&world, "203.0.113.7").await;
    }
    assert_eq!(blocks::impose(&world.app).await.unwrap(), 0);
}

#[tokio::test]
async fn a_block_closes_open_connections_and_takes_no_new_ones() {
    let world = World::start().await;
    let connect = || async {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
        socket.connect(world.address).await.unwrap()
    };
    let mut idle = connect().await;
    let mut mine = world.connect().await;
    // It is accepted once the server counts it.
    while world.app.connections.of_address("127.0.0.2".parse().unwrap()) == 0 {
        tokio::task::yield_now().await;
    }
    blocks::block(&world.app, "127.0.0.2", because(""), &BY).await.unwrap();
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(SOON, idle.read_to_end(&mut rest)).await;
    assert!(ended.is_ok() && rest.is_empty(), "the open one is cut");
    let mut new = connect().await;
    let ended = tokio::time::timeout(SOON, new.read_to_end(&mut rest)).await;
    assert!(ended.is_ok() && rest.is_empty(), "a new one is closed");
    assert!(tokio::time::timeout(Duration::from_millis(50), mine.read_u8()).await.is_err(), "another's stays open");
}

/// A stream of an answer from this address, after its first piece.
async fn open_stream(
    world: &World,
    provider: &FakeProvider,
    address: &str,
    pieces: usize,
) -> hyper::Response<hyper::body::Incoming> {
    let visitor = world.visitor().await;
    let call = world.by(&visitor, Method::POST, "/api/v1/widget/messages").header("accept", "text/event-stream");
    let call = call.header("x-forwarded-for", address);
    let mut response = call.json(&json!({ "message": QUESTION })).open().await;
    provider.release(pieces);
    let first = response.body_mut().frame().await.unwrap().unwrap().into_data().unwrap();
    assert!(first.starts_with(b"event: delta"), "{first:?}");
    response
}

async fn gated() -> FakeProvider {
    let parts = || ["It costs ", "12", ".50", "."].map(str::to_owned).to_vec();
    FakeProvider::start(vec![Script::Gated(parts(), Ending::Complete), Script::Gated(parts(), Ending::Complete)])
        .await
        .unwrap()
}

/// What is left of a stream; it must end soon.
async fn rest_of(response: hyper::Response<hyper::body::Incoming>) -> String {
    let rest = tokio::time::timeout(SOON, response.into_body().collect()).await;
    String::from_utf8(rest.unwrap().unwrap().to_bytes().to_vec()).unwrap()
}

#[tokio::test]
async fn a_block_ends_the_open_streams_of_its_network_alone() {
    let provider = gated().await;
    let world = proxied().openai(&provider.openai_url(), &fake_key()).start().await;
    let theirs = open_stream(&world, &provider, "203.0.113.7", 1).await;
    // The first one waits already, and takes the first of the two pieces.
    let other = open_stream(&world, &provider, "203.0.114.7", 2).await;
    blocks::block(&world.app, "203.0.113.0/24", because(""), &BY).await.unwrap();
    let rest = rest_of(theirs).await;
    assert!(rest.contains("event: error") && rest.contains("address_blocked") && !rest.contains("done"), "{rest}");
    provider.release(8);
    let rest = rest_of(other).await;
    assert!(rest.contains("event: done"), "{rest}");
}

#[tokio::test]
async fn a_lockdown_serves_nobody_but_probes_and_ends_what_is_open() {
    for engine in World::ENGINES {
        let provider = gated().await;
        let world = World::builder().engine(engine).openai(&provider.openai_url(), &fake_key()).start().await;
        let key = world.key().await;
        let open = open_stream(&world, &provider, "203.0.113.7", 1).await;
        assert!(lockdown::begin(&world.app, "a key leaked", false, &BY).await.unwrap());
        assert!(!lockdown::begin(&world.app, "again", false, &BY).await.unwrap(), "it is on already");
        let rest = rest_of(open).await;
        assert!(rest.starts_with("event: error") && rest.contains("lockdown") && !rest.contains("done"), "{rest}");
        for row in routes::rows() {
            let call = world.call(row.method.clone(), &world.concrete(row.path));
            let reply = call.header("authorization", &format!("Bearer {key}")).send().await;
            if row.path == "/healthz" || row.path == "/readyz" {
                assert_eq!(reply.status, StatusCode::OK, "{}", row.path);
            } else {
                assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE, "{} {}", row.method, row.path);
                assert_eq!(reply.header("retry-after"), "300");
                assert_eq!(reply.json()["error"]["code"], "lockdown");
            }
        }
        assert_eq!(world.get("/nothing").await.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(world.admin_get("/metrics").await.text().contains("chatward_lockdown 1"));
        assert!(world.has_event("LOCKDOWN_CHANGED"));
        let last = world.app.store.trail_head().await.unwrap().unwrap();
        assert_eq!((last.name.as_str(), last.subject.as_str()), ("LOCKDOWN_CHANGED", "lockdown"));
        assert!(last.detail.contains("a key leaked"));

        let (database, folder) = world.stop().await;
        let world = World::builder().again(database, folder).start().await;
        assert_eq!(world.get("/widget.js").await.status, StatusCode::SERVICE_UNAVAILABLE, "a restart ends it not");
        assert!(lockdown::end(&world.app, "", &BY).await.unwrap());
        assert_eq!(world.get("/widget.js").await.status, StatusCode::OK);
        world.visitor().await;
    }
}

#[tokio::test]
async fn another_node_hears_of_blocks_and_lockdown_at_once() {
    let one = proxied().engine(Engine::Postgres).start().await;
    let key_file = one.folder.path().join("keys/master.key");
    let other = proxied()
        .engine(Engine::Postgres)
        .set("database.url", one.database.config().url.expose())
        .set("vault.key_file", key_file.display())
        .start()
        .await;
    let jobs = tokio::spawn(chatward::jobs::run(other.app.clone()));
    let status = |path: &'static str| from(&other, "203.0.113.7", path).send();
    let becomes = async |wanted: StatusCode, path: &'static str| {
        let began = Instant::now();
        while status(path).await.status != wanted {
            assert!(began.elapsed() < SOON, "{path} is not {wanted}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    // The other node listens to changes once it serves.
    becomes(StatusCode::OK, "/healthz").await;
    while other.app.store.live_nodes(other.clock.now()).await.unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    blocks::block(&one.app, "203.0.113.7", because(""), &BY).await.unwrap();
    becomes(StatusCode::FORBIDDEN, "/healthz").await;
    blocks::unblock(&one.app, "203.0.113.7", &BY).await.unwrap();
    becomes(StatusCode::OK, "/healthz").await;
    lockdown::begin(&one.app, "", false, &BY).await.unwrap();
    becomes(StatusCode::SERVICE_UNAVAILABLE, "/widget.js").await;
    lockdown::end(&one.app, "", &BY).await.unwrap();
    becomes(StatusCode::OK, "/widget.js").await;
    other.app.stopping.cancel();
    tokio::time::timeout(PATIENCE, jobs).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_change_that_is_read_is_applied() {
    let world = proxied().start().await;
    let seq = world.app.store.latest_change().await.unwrap();
    let row = blocks::block(&world.app, "203.0.113.7", because(""), &BY).await.unwrap();
    // As a node that knows nothing yet.
    world.app.gate.replace(std::iter::empty());
    assert_eq!(from(&world, "203.0.113.7", "/healthz").send().await.status, StatusCode::OK);
    changes::apply_since(&world.app, seq).await.unwrap();
    assert_eq!(from(&world, "203.0.113.7", "/healthz").send().await.status, StatusCode::FORBIDDEN, "{row:?}");
}

#[tokio::test]
async fn blocks_and_lockdown_act_without_the_trail_and_are_recorded_later() {
    for engine in World::ENGINES {
        let world = proxied().engine(engine).start().await;
        world.database.tamper("ALTER TABLE audit_trail RENAME TO gone").await;
        blocks::block(&world.app, "203.0.113.7", because(""), &BY).await.unwrap();
        assert_eq!(from(&world, "203.0.113.7", "/healthz").send().await.status, StatusCode::FORBIDDEN);
        assert!(lockdown::begin(&world.app, "", false, &BY).await.unwrap());
        assert_eq!(world.get("/widget.js").await.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(world.app.trail.waiting(), 2);
        for number in 0..300 {
            blocks::block(&world.app, &format!("198.51.100.{}", number % 200), because(""), &BY).await.unwrap();
        }
        assert_eq!((world.app.trail.waiting(), world.app.trail.lost()), (256, 46), "the reserve is bounded");
        world.database.tamper("ALTER TABLE gone RENAME TO audit_trail").await;
        trail::flush_reserve(&world.app).await.unwrap();
        let head = world.app.store.trail_head().await.unwrap().unwrap();
        let names: Vec<String> =
            world.app.store.trail_after(head.seq - 256, 0, 2).await.unwrap().into_iter().map(|row| row.name).collect();
        assert_eq!(names, ["BLOCK_CHANGED", "LOCKDOWN_CHANGED"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_command_blocks_and_locks_beside_a_running_server() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    add_site(folder);
    let variables =
        [("CHATWARD_SERVER_TRUSTED_PROXIES", "127.0.0.1/32"), ("CHATWARD_SERVER_CLIENT_ADDRESS_HEADER", "x-real-ip")];
    let server = Server::start(folder, &variables);
    let becomes = async |wanted: StatusCode| {
        let began = Instant::now();
        let ask = || request(server.address, Method::GET, "/widget.js").header("x-real-ip", "203.0.113.7").send();
        while ask().await.status != wanted {
            assert!(began.elapsed() < SOON, "not {wanted}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let done = |arguments: &[&str]| {
        let output = run(folder, arguments);
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    becomes(StatusCode::OK).await;
    let made = done(&["block", "203.0.113.9/24", "--for", "1h", "--reason", "scraping", "--json"]);
    assert_eq!((&made["network"], &made["reason"]), (&json!("203.0.113.0/24"), &json!("scraping")));
    becomes(StatusCode::FORBIDDEN).await;
    assert_eq!(done(&["blocks", "--json"]).as_array().unwrap().len(), 1);
    done(&["unblock", "203.0.113.0/24", "--json"]);
    becomes(StatusCode::OK).await;
    assert_eq!(run(folder, &["unblock", "203.0.113.0/24"]).status.code(), Some(1));
    assert_eq!(run(folder, &["block", "nowhere"]).status.code(), Some(2));
    assert_eq!(run(folder, &["block", "203.0.113.7", "--for", "soon"]).status.code(), Some(2));
    assert_eq!(done(&["lockdown", "on", "--reason", "a leak", "--json"])["lockdown"], true);
    becomes(StatusCode::SERVICE_UNAVAILABLE).await;
    let status = done(&["lockdown", "status", "--json"]);
    assert_eq!((&status["lockdown"], &status["reason"]), (&json!(true), &json!("a leak")));
    assert!(run(folder, &["site", "list", "--json"]).status.success(), "the command line works on");
    done(&["lockdown", "off", "--json"]);
    becomes(StatusCode::OK).await;
}
