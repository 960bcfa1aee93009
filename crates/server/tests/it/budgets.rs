//! Money (RATE-10): reserved before, settled after, capped whatever the number of addresses, nodes and requests.

#![expect(clippy::expect_used, reason = "helpers of tests fail by panicking, as tests do")]

use crate::world::{QUESTION, SHOP, Visitor, World, fake_key};
use chatward::ops::budgets::{Budgets, Caps, Reserved};
use chatward::ops::chat::{self, Asked};
use chatward::ops::{lookup, sites};
use chatward_providers::{Delivery, Provider, Usage, estimate_request_tokens, estimate_tokens};
use chatward_store::{Engine, Store};
use chatward_testkit::TestDb;
use chatward_testkit::provider::{Ending, FakeProvider, Reply as Script};
use chatward_types::{DAY, Scope, SiteId, SystemClock};
use chatward_vault::SystemEntropy;
use http::{Method, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const ADDRESSES: usize = 10_000;
const CONNECTIONS: usize = 16;
/// Each session takes part of the questions, because a conversation has an end.
const QUESTIONS_A_SESSION: usize = 90;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_addresses_cannot_exceed_the_budget() {
    let provider = FakeProvider::start(vec![Script::text(["It costs 12.50 dollars [1]."])]).await.unwrap();
    let cap_micro_usd = 20_000;
    let world = World::builder()
        .openai(&provider.openai_url(), &fake_key())
        .set("server.trusted_proxies", "127.0.0.0/8")
        .set("server.client_address_header", "x-forwarded-for")
        .set("budgets.site_daily_usd", "0.02")
        .set("budgets.installation_daily_usd", "0.03")
        .start()
        .await;
    let mut visitors = Vec::new();
    for number in 0..ADDRESSES.div_ceil(QUESTIONS_A_SESSION) {
        visitors.push(visitor_from(&world, &format!("198.51.100.{}", number % 250)).await);
    }
    let answered = Arc::new(AtomicU64::new(0));
    let world = Arc::new(world);
    let visitors = Arc::new(visitors);
    let mut tasks = Vec::new();
    for connection in 0..CONNECTIONS {
        let (world, visitors, answered) = (Arc::clone(&world), Arc::clone(&visitors), Arc::clone(&answered));
        tasks.push(tokio::spawn(async move {
            let stream = world.connect().await;
            let (mut sender, driver) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
            tokio::spawn(driver);
            for number in (connection..ADDRESSES).step_by(CONNECTIONS) {
                let address = format!("10.{}.{}.{}", number / 65_536, (number / 256) % 256, number % 256);
                let visitor = &visitors[number % visitors.len()];
                let request = http::Request::post("/api/v1/widget/messages")
                    .header("host", "localhost")
                    .header("origin", SHOP)
                    .header("authorization", format!("Bearer {}", visitor.token))
                    .header("x-forwarded-for", &address)
                    .header("content-type", "application/json")
                    .body(Full::<bytes::Bytes>::from(format!("{{\"message\":\"{QUESTION}\"}}")))
                    .unwrap();
                let response = sender.send_request(request).await.unwrap();
                if response.status() == StatusCode::OK {
                    answered.fetch_add(1, Ordering::Relaxed);
                }
                response.into_body().collect().await.unwrap();
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let scope = Scope::of(world.app.owner);
    let spent: i64 =
        world.app.store.usage_since(&scope, world.site.id, 0).await.unwrap().iter().map(|total| total.micro_usd).sum();
    let calls = provider.received().len();
    assert!(answered.load(Ordering::Relaxed) > 9_000, "the sources answer when the money is gone: {answered:?}");
    assert!(spent > 0 && spent <= cap_micro_usd, "{spent} micro dollars of {cap_micro_usd}");
    assert!(calls > 0 && calls < ADDRESSES / 2, "{calls} calls reached the provider");
    assert!(world.has_event("BUDGET_EXHAUSTED"));
}

#[tokio::test]
async fn at_the_cap_the_sources_answer_and_the_owner_is_told() {
    let provider = FakeProvider::start(vec![Script::text(["From the model."])]).await.unwrap();
    let world = World::builder()
        .openai(&provider.openai_url(), &fake_key())
        .set("budgets.site_daily_usd", "0.00001")
        .start()
        .await;
    let visitor = world.visitor().await;
    let answer = world.ask(&visitor, QUESTION).await.json();
    assert!(answer["text"].as_str().unwrap().contains("12.50 dollars"), "{answer}");
    assert!(provider.received().is_empty(), "nothing may be spent beyond the cap");
    assert!(world.has_event("BUDGET_EXHAUSTED"));

    world.clock.advance(DAY);
    assert!(matches!(
        world.app.budgets.reserve(world.site.id, 5, world.app.clock.now()).await.unwrap(),
        Reserved::Granted(_)
    ));
}

#[tokio::test]
async fn the_caps_are_on_without_any_setting() {
    let world = World::start().await;
    let (budgets, now) = (&world.app.budgets, world.app.clock.now());
    let site = world.site.id;
    assert!(matches!(budgets.reserve(site, 1_000_001, now).await.unwrap(), Reserved::Exhausted("site")));
    let mut granted = Vec::new();
    for _ in 0..6 {
        let site = SiteId::generate(&SystemClock, &SystemEntropy).unwrap();
        match budgets.reserve(site, 900_000, now).await.unwrap() {
            Reserved::Granted(reservation) => granted.push(reservation),
            Reserved::Exhausted(which) => assert_eq!(which, "installation"),
        }
    }
    assert_eq!(granted.len(), 5, "five dollars a day for the whole installation");
    // What is not settled stays spent, also for another site on the same day.
    drop(granted);
    let later = now + 2_000_000;
    assert!(matches!(budgets.reserve(site, 900_000, later).await.unwrap(), Reserved::Exhausted("installation")));
}

#[tokio::test]
async fn a_warning_comes_before_the_cap() {
    let provider = FakeProvider::start(vec![Script::text(["From the model."])]).await.unwrap();
    let world = World::builder()
        .openai(&provider.openai_url(), &fake_key())
        .set("budgets.site_daily_usd", "0.001")
        .set("budgets.warn_at", "0.2")
        .start()
        .await;
    let visitor = world.visitor().await;
    world.ask(&visitor, QUESTION).await;
    assert!(world.has_event("BUDGET_WARNING") && !world.has_event("BUDGET_EXHAUSTED"), "{:?}", world.events());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_together_stay_under_one_cap() {
    for engine in World::ENGINES {
        let database = TestDb::new(engine).await;
        let second = Store::connect(database.config()).await.unwrap();
        let caps = Caps { site: 10_000, installation: 10_000, warn_at: 0.8 };
        let nodes = [Budgets::new(database.store().clone(), caps), Budgets::new(second.clone(), caps)];
        let site = SiteId::generate(&SystemClock, &SystemEntropy).unwrap();
        let mut tasks = Vec::new();
        for (number, node) in nodes.iter().cycle().take(64).cloned().enumerate() {
            tasks.push(tokio::spawn(async move {
                let mut kept = 0;
                for round in 0..10 {
                    if let Reserved::Granted(reservation) = node.reserve(site, 97, 1_800_000_000_000_000).await.unwrap()
                    {
                        // Some cost less than was put aside, and the rest is free again.
                        let spent = if (number + round) % 2 == 0 { 97 } else { 13 };
                        reservation.settle(spent);
                        kept += spent;
                    }
                }
                kept
            }));
        }
        let mut spent = 0;
        for task in tasks {
            spent += task.await.unwrap();
        }
        assert!(spent <= 10_000, "{engine:?}: {spent} of 10000 were spent");
        assert!(spent > 8_000, "{engine:?}: only {spent} of 10000 could be used");
        second.close().await;
    }
}

#[tokio::test]
async fn what_is_sent_upstream_is_bounded() {
    let provider = FakeProvider::start(vec![Script::text(["Yes [1]."])]).await.unwrap();
    let world = World::builder().openai(&provider.openai_url(), &fake_key()).start().await;
    let visitor = world.visitor().await;
    for _ in 0..8 {
        assert_eq!(world.ask(&visitor, QUESTION).await.status, StatusCode::OK);
    }
    let body = provider.received().last().unwrap().json();
    let limit = body["max_completion_tokens"].as_u64().or(body["max_tokens"].as_u64());
    assert_eq!(limit, Some(500), "{body}");
    // The rules, at most ten earlier messages, the question.
    assert_eq!(body["messages"].as_array().unwrap().len(), 12, "{body}");
}

#[tokio::test]
async fn no_less_is_reserved_than_what_is_sent_is_worth() {
    let provider = FakeProvider::start(vec![Script::text(["Yes [1]."])]).await.unwrap();
    let world = World::builder().openai(&provider.openai_url(), &fake_key()).start().await;
    let visitor = world.visitor().await;
    assert_eq!(world.ask(&visitor, QUESTION).await.status, StatusCode::OK);
    let body = provider.received().last().unwrap().json();
    let contents = body["messages"].as_array().unwrap().iter().map(|message| message["content"].as_str().unwrap());
    let sent: u32 = contents.map(estimate_tokens).sum();

    let site = sites::by_id(&world.app, &Scope::of(world.site.owner), world.site.id).await.unwrap().unwrap();
    let found = Arc::new(lookup::find(&world.app, &site, QUESTION, &[]).await.unwrap());
    assert!(!found.passages().is_empty());
    let asked = Asked { question: QUESTION.to_owned(), ..Asked::default() };
    let request = chat::request(&world.app, &site, Vec::new(), asked, &found, Delivery::Whole);
    let estimated = estimate_request_tokens(&request);
    assert!(estimated >= sent, "{estimated} estimated, {sent} sent");
    assert!(estimated < sent + sent / 2, "{estimated} estimated, {sent} sent");
    let usage = Usage { input_tokens: sent, output_tokens: request.max_output_tokens };
    let price = world.app.providers.providers().find_map(Provider::price).unwrap().cost(usage);
    assert!(chat::highest_cost(&world.app, &request) >= price);
}

#[tokio::test]
async fn a_full_house_of_calls_is_answered_from_the_sources() {
    let provider = FakeProvider::start(vec![Script::Silent]).await.unwrap();
    let world =
        World::builder().openai(&provider.openai_url(), &fake_key()).set("budgets.concurrent_calls", 1).start().await;
    let (first, second) = (world.visitor().await, world.visitor().await);
    let waiting = tokio::spawn(
        world
            .by(&first, Method::POST, "/api/v1/widget/messages")
            .json(&serde_json::json!({ "message": QUESTION }))
            .open(),
    );
    assert!(provider.wait_for_requests(1).await);
    let answer = world.ask(&second, QUESTION).await;
    assert!(answer.text().contains("12.50 dollars"), "{}", answer.text());
    assert_eq!(provider.received().len(), 1);
    waiting.abort();
}

#[tokio::test]
async fn a_client_that_leaves_pays_for_what_it_used_and_no_more() {
    let parts = vec!["Once ".to_owned(), "upon ".to_owned(), "a time.".to_owned()];
    let provider = FakeProvider::start(vec![Script::Gated(parts, Ending::Complete)]).await.unwrap();
    let world = World::builder().openai(&provider.openai_url(), &fake_key()).start().await;
    let visitor = world.visitor().await;
    let mut response = world
        .by(&visitor, Method::POST, "/api/v1/widget/messages")
        .header("accept", "text/event-stream")
        .json(&serde_json::json!({ "message": QUESTION }))
        .open()
        .await;
    provider.release(1);
    let first = response.body_mut().frame().await.unwrap().unwrap();
    assert!(String::from_utf8_lossy(first.data_ref().unwrap()).contains("Once"));
    drop(response);
    assert!(provider.wait_for_hang_ups(1).await, "the upstream call is cancelled after the grace");
    let state = until_answered(&world, &visitor).await;
    assert_eq!(state["messages"][1]["text"], "Once ", "what arrived is stored");
    let spent = world.app.store.usage_since(&Scope::of(world.app.owner), world.site.id, 0).await.unwrap();
    assert!(spent[0].micro_usd > 0 && spent[0].output_tokens < 50, "{spent:?}");
}

#[tokio::test]
async fn erasing_a_conversation_under_its_answer_does_not_erase_the_cost() {
    for engine in World::ENGINES {
        let parts = vec!["Once ".to_owned(), "upon a time.".to_owned()];
        let provider = FakeProvider::start(vec![Script::Gated(parts, Ending::Complete)]).await.unwrap();
        let world = World::builder().engine(engine).openai(&provider.openai_url(), &fake_key()).start().await;
        let visitor = world.visitor().await;
        let mut response = world
            .by(&visitor, Method::POST, "/api/v1/widget/messages")
            .header("accept", "text/event-stream")
            .json(&serde_json::json!({ "message": QUESTION }))
            .open()
            .await;
        provider.release(1);
        response.body_mut().frame().await.unwrap().unwrap();
        let erased = world.by(&visitor, Method::DELETE, "/api/v1/widget/session").send().await;
        assert_eq!(erased.status, StatusCode::OK);
        provider.release(2);
        let rest = response.into_body().collect().await.unwrap().to_bytes();
        assert!(String::from_utf8_lossy(&rest).contains("event: error"), "{engine:?}: it cannot be acknowledged");
        let spent = world.app.store.usage_since(&Scope::of(world.app.owner), world.site.id, 0).await.unwrap();
        assert!(spent.iter().any(|total| total.micro_usd > 0), "{engine:?}: the cost is lost: {spent:?}");
    }
}

/// Reads the session until it has an answer; the task that stores it runs apart from the request.
async fn until_answered(world: &World, visitor: &Visitor) -> serde_json::Value {
    for _ in 0..200 {
        let state = world.by(visitor, Method::GET, "/api/v1/widget/session").send().await.json();
        if state["messages"].as_array().is_some_and(|messages| messages.len() > 1) {
            return state;
        }
        world.clock.advance(60_000_000);
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    panic!("no answer was stored");
}

async fn visitor_from(world: &World, address: &str) -> Visitor {
    let reply = world
        .call(Method::POST, "/api/v1/widget/sessions")
        .header("origin", SHOP)
        .header("x-forwarded-for", address)
        .json(&serde_json::json!({ "site": world.site.publishable_key }))
        .send()
        .await;
    let body = reply.json();
    Visitor {
        session: body["session"].as_str().expect("a session").to_owned(),
        token: body["token"].as_str().expect("a token").to_owned(),
    }
}

/// The engine is named so that a failure says which.
#[test]
fn both_engines_are_tested() {
    assert_eq!(World::ENGINES, [Engine::Sqlite, Engine::Postgres]);
}
