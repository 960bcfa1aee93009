//! The windows of each address over HTTP: how many requests pass, what counts, and what a refusal says.

use crate::wire;
use crate::world::{QUESTION, Reply, SHOP, STRANGER, World, fake_key};
use chatward_testkit::provider::{Ending, FakeProvider, Reply as Script};
use chatward_types::{HOUR, MINUTE, SECOND};
use http::{Method, StatusCode};
use tokio::task::JoinSet;

const SESSION: &str = "/api/v1/widget/session";
const LIMITED: StatusCode = StatusCode::TOO_MANY_REQUESTS;

/// The values of the fields that every counted response has: limit, rest, seconds to the reset, window.
fn fields(reply: &Reply) -> (u32, u32, u32, u32) {
    let number = |name: &str| reply.header(name).parse::<u32>().unwrap_or_else(|_| panic!("{name} of {reply:?}"));
    let (limit, rest, reset) = (number("ratelimit-limit"), number("ratelimit-remaining"), number("ratelimit-reset"));
    assert_eq!(reply.header("ratelimit"), format!("\"address\";r={rest};t={reset}"));
    let policy = reply.header("ratelimit-policy");
    let window = policy.strip_prefix(&format!("\"address\";q={limit};w=")).unwrap_or_default();
    (limit, rest, reset, window.parse().unwrap_or_else(|_| panic!("{policy}")))
}

#[tokio::test]
async fn sixty_a_minute_pass_by_default_and_refused_requests_count() {
    let world = World::start().await;
    for left in (0..60).rev() {
        // Whatever is wrong with a request, it is counted before anything finds that out.
        let (reply, status) = match left % 4 {
            0 => (world.get(SESSION).await, StatusCode::UNAUTHORIZED),
            1 => (world.begin(STRANGER).await, StatusCode::FORBIDDEN),
            2 => {
                let call = world.call(Method::POST, "/api/v1/widget/sessions").header("origin", SHOP);
                (call.raw_json("{").send().await, StatusCode::BAD_REQUEST)
            }
            _ => (world.begin(SHOP).await, StatusCode::CREATED),
        };
        assert_eq!(reply.status, status, "{}", reply.text());
        assert_eq!(fields(&reply), (60, left, 60, 60));
    }
    assert_eq!(world.begin(SHOP).await.status, LIMITED, "the sixty-first");
    assert_eq!(world.get(SESSION).await.status, LIMITED, "on whichever route of the chat");
    world.clock.advance(MINUTE - 1);
    assert_eq!(world.begin(SHOP).await.status, LIMITED);
    world.clock.advance(1);
    assert_eq!(world.begin(SHOP).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn a_thousand_an_hour_pass_by_default() {
    let world = World::start().await;
    let mut passed = 0;
    for _ in 0..17 {
        for _ in 0..60 {
            let reply = world.get(SESSION).await;
            passed += u32::from(reply.status != LIMITED);
        }
        world.clock.advance(MINUTE);
    }
    assert_eq!(passed, 1000);
    let refused = world.get(SESSION).await;
    assert_eq!(refused.status, LIMITED);
    assert_eq!(fields(&refused), (1000, 0, 43 * 60, 3600), "the hour refuses");
    world.clock.advance(HOUR - 17 * MINUTE);
    assert_eq!(world.get(SESSION).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn other_routes_have_a_hundred_in_fifteen_minutes_by_default() {
    let world = World::start().await;
    for left in (0..100).rev() {
        let reply = world.get("/api/v1/nothing").await;
        assert_eq!((reply.status, fields(&reply)), (StatusCode::NOT_FOUND, (100, left, 900, 900)));
    }
    assert_eq!(world.get("/api/v1/nothing").await.status, LIMITED);
    assert_eq!(world.begin(SHOP).await.status, StatusCode::CREATED, "the chat has windows of its own");
    world.clock.advance(15 * MINUTE - 1);
    assert_eq!(world.get("/api/v1/nothing").await.status, LIMITED);
    world.clock.advance(1);
    assert_eq!(world.get("/api/v1/nothing").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn each_group_of_routes_has_limits_to_set() {
    let world = World::builder()
        .set("limits.per_minute", 2)
        .set("limits.per_hour", 3)
        .set("limits.api_requests", 1)
        .set("limits.api_window_seconds", 30)
        .start()
        .await;
    assert_eq!(fields(&world.get("/api/v1/nothing").await), (1, 0, 30, 30));
    assert_eq!(world.get("/api/v1/nothing").await.status, LIMITED);
    assert_eq!(fields(&world.get("/docs").await), (10, 9, 30, 30), "a page loads several files");
    assert_eq!(fields(&world.get(SESSION).await).0, 2);
    assert_eq!(world.get(SESSION).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(world.get(SESSION).await.status, LIMITED);
    world.clock.advance(MINUTE);
    assert_eq!(fields(&world.get(SESSION).await), (3, 0, 3540, 3600));
}

#[tokio::test]
async fn a_refusal_says_when_to_return_and_is_logged() {
    let world = World::builder().set("limits.per_minute", 1).set("limits.api_requests", 1).start().await;
    let unknown = || world.call(Method::GET, "/api/v1/nothing").send();
    let preflight = || {
        let call = world.call(Method::OPTIONS, "/api/v1/widget/messages").header("origin", SHOP);
        call.header("access-control-request-method", "POST").send()
    };
    for _ in 0..10 {
        assert_eq!(world.get("/docs").await.status, StatusCode::OK);
    }
    assert_eq!(unknown().await.status, StatusCode::NOT_FOUND);
    assert_eq!(world.get(SESSION).await.status, StatusCode::UNAUTHORIZED);
    world.clock.advance(10 * SECOND);
    let refusals = [
        (world.get(SESSION).await, (1, 0, 50, 60), Some(SESSION)),
        (unknown().await, (1, 0, 890, 900), None),
        (preflight().await, (1, 0, 890, 900), None),
        (world.get("/docs").await, (10, 0, 890, 900), Some("/docs")),
    ];
    for (reply, expected, _) in &refusals {
        assert_eq!((reply.status, reply.code().as_str()), (LIMITED, "rate_limited"));
        assert_eq!(&fields(reply), expected);
        assert_eq!(reply.header("retry-after"), expected.2.to_string());
        assert_eq!(reply.json()["error"]["request_id"], reply.header("x-request-id"));
        assert_eq!(reply.header("content-type"), "application/json");
    }
    let events = world.app.events.tail();
    let logged: Vec<_> = events.iter().filter(|event| event.name.as_str() == "RATE_LIMIT_EXCEEDED").collect();
    assert_eq!(logged.len(), refusals.len());
    for (event, (reply, _, path)) in logged.iter().zip(&refusals) {
        assert_eq!(event.request_id.as_deref(), Some(reply.header("x-request-id")));
        assert_eq!(event.address.map(|address| address.to_string()).as_deref(), Some("127.0.0.1"));
        assert_eq!(event.path, *path);
    }
    world.app.events.flush(crate::world::PATIENCE).await;
    let file = std::fs::read_to_string(world.folder.path().join("logs/security.log")).unwrap_or_default();
    assert!(file.contains("RATE_LIMIT_EXCEEDED"), "{file}");
}

#[tokio::test]
async fn every_counted_response_says_how_much_is_left() {
    let world = World::start().await;
    let visitor = world.visitor().await;
    let preflight = world.call(Method::OPTIONS, SESSION).header("access-control-request-method", "GET");
    for (reply, status) in [
        (world.get("/docs").await, 200),
        (world.by(&visitor, Method::GET, SESSION).send().await, 200),
        (world.ask(&visitor, "").await, 422),
        (world.get(SESSION).await, 401),
        (world.by(&visitor, Method::GET, SESSION).header("origin", STRANGER).send().await, 403),
        (world.get("/nothing").await, 404),
        (world.call(Method::DELETE, "/docs").send().await, 405),
        (preflight.send().await, 200),
    ] {
        assert_eq!(reply.status, status, "{}", reply.text());
        assert!(fields(&reply).1 > 0);
    }
    assert_eq!(world.get("/healthz").await.header("ratelimit"), "", "probes are not counted");
}

#[tokio::test]
async fn of_many_at_once_exactly_as_many_pass_as_the_limit_says() {
    let world = World::builder().set("limits.per_minute", 20).start().await;
    let mut calls = JoinSet::new();
    for _ in 0..80 {
        calls.spawn(world.call(Method::GET, SESSION).send());
    }
    let statuses: Vec<StatusCode> = calls.join_all().await.into_iter().map(|reply| reply.status).collect();
    let count = |wanted| statuses.iter().filter(|status| **status == wanted).count();
    assert_eq!((count(StatusCode::UNAUTHORIZED), count(LIMITED)), (20, 60));
}

#[tokio::test]
async fn above_the_stated_load_the_stated_fraction_is_left() {
    let world = World::builder()
        .set("limits.tighten_above", 3)
        .set("limits.tighten_to", 0.5)
        .set("limits.per_minute", 10)
        .start()
        .await;
    let slow = format!(
        "POST /api/v1/widget/sessions HTTP/1.1\r\nHost: localhost\r\nOrigin: {SHOP}\r\n\
         Content-Type: application/json\r\nContent-Length: 10\r\n\r\n{{"
    );
    let held = [wire::begin(&world, &slow).await, wire::begin(&world, &slow).await];
    wire::until(|| world.app.load.running() == 2).await;
    for left in (0..3).rev() {
        assert_eq!(fields(&world.get(SESSION).await), (5, left, 60, 60), "two run, this is the third");
    }
    assert_eq!(world.get(SESSION).await.status, LIMITED, "the two that run are counted, too");
    drop(held);
    wire::until(|| world.app.load.running() == 0).await;
    assert_eq!(fields(&world.get(SESSION).await), (10, 3, 60, 60));
}

#[tokio::test]
async fn an_answer_that_is_streamed_is_load_until_its_end() {
    let deltas = vec!["It costs ".to_owned(), "12.50 dollars [1].".to_owned()];
    let provider = FakeProvider::start(vec![Script::Gated(deltas, Ending::Complete)]).await.expect("a provider");
    let world = World::builder().openai(&provider.openai_url(), &fake_key()).start().await;
    let visitor = world.visitor().await;
    let ask = || {
        world
            .by(&visitor, Method::POST, "/api/v1/widget/messages")
            .header("accept", "text/event-stream")
            .json(&serde_json::json!({ "message": QUESTION }))
    };
    provider.release(1);
    let response = ask().open().await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(world.app.load.running(), 1, "the head is out, the answer still comes");
    drop(response);
    wire::until(|| world.app.load.running() == 0).await;
}
