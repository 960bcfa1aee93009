//! The main job over HTTP: a session, a question, an answer with sources, the history, its end.

use crate::world::{QUESTION, SHOP, STRANGER, World, fake_key};
use chatward_testkit::provider::{FakeProvider, Reply as Script};
use http::{Method, StatusCode};

#[tokio::test]
async fn a_visitor_is_answered_from_the_site_with_a_source() {
    for engine in World::ENGINES {
        let world = World::builder().engine(engine).start().await;
        let visitor = world.visitor().await;
        let reply = world.ask(&visitor, QUESTION).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
        let answer = reply.json();
        assert!(answer["text"].as_str().unwrap().contains("12.50 dollars"), "{answer}");
        assert_eq!(answer["citations"][0]["url"], format!("{SHOP}/shipping"));
        assert!(answer["text"].as_str().unwrap().contains("[1]"));

        let state = world.by(&visitor, Method::GET, "/api/v1/widget/session").send().await.json();
        assert_eq!(state["messages"][0]["text"], QUESTION);
        assert_eq!(state["messages"][1]["id"], answer["message_id"]);
    }
}

#[tokio::test]
async fn what_the_site_does_not_say_is_not_invented() {
    let world = World::start().await;
    let visitor = world.visitor().await;
    let answer = world.ask(&visitor, "Do you repair motorcycles?").await.json();
    assert_eq!(answer["citations"].as_array().unwrap().len(), 0, "{answer}");
    assert!(!answer["text"].as_str().unwrap().contains('['), "{answer}");
}

#[tokio::test]
async fn a_provider_streams_and_what_it_cites_comes_with_it() {
    let provider = FakeProvider::start(vec![Script::text(["It costs ", "12.50 dollars ", "[1]."])]).await.unwrap();
    let world = World::builder().openai(&provider.openai_url(), &fake_key()).start().await;
    let visitor = world.visitor().await;
    let reply = world.ask_streamed(&visitor, QUESTION).await;
    let events = reply.stream();
    let text: String =
        events.iter().filter(|(name, _)| name == "delta").filter_map(|(_, data)| data["text"].as_str()).collect();
    assert_eq!(text, "It costs 12.50 dollars [1].");
    let names: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(&names[names.len() - 2..], ["citations", "done"]);
    assert_eq!(events.last().unwrap().1["citations"][0]["url"], format!("{SHOP}/shipping"));
    let sent = provider.received()[0].json().to_string();
    assert!(sent.contains("Shipping to Canada costs 12.50"), "the passages go with the question");
}

#[tokio::test]
async fn deleting_a_session_erases_it() {
    for engine in World::ENGINES {
        let world = World::builder().engine(engine).start().await;
        let visitor = world.visitor().await;
        world.ask(&visitor, QUESTION).await;
        let path = "/api/v1/widget/session";
        assert_eq!(world.by(&visitor, Method::DELETE, path).send().await.status, StatusCode::OK);
        assert_eq!(world.by(&visitor, Method::GET, path).send().await.status, StatusCode::UNAUTHORIZED);
        assert_eq!(world.ask(&visitor, QUESTION).await.status, StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn feedback_is_taken_for_an_own_answer_and_no_other() {
    let world = World::start().await;
    let (visitor, other) = (world.visitor().await, world.visitor().await);
    let answer = world.ask(&visitor, QUESTION).await.json();
    let body = serde_json::json!({ "message_id": answer["message_id"], "rating": "down", "reason": "too short" });
    let path = "/api/v1/widget/feedback";
    let own = world.by(&visitor, Method::POST, path).json(&body).send().await;
    assert_eq!(own.status, StatusCode::NO_CONTENT, "{}", own.text());
    assert_eq!(world.by(&other, Method::POST, path).json(&body).send().await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_page_of_a_stranger_gets_no_session() {
    let world = World::start().await;
    assert_eq!(world.begin(STRANGER).await.status, StatusCode::FORBIDDEN);
    assert_eq!(world.begin("null").await.status, StatusCode::FORBIDDEN);
    assert!(world.has_event("CORS_BLOCKED"));
}
