//! When parts fail (ERR-02, ERR-03): the next provider answers, the sources answer last, and a broken log, a dead
//! provider or an answer that breaks off never takes the server down or ends as if it were whole.

use crate::world::{QUESTION, World, fake_key};
use chatward_testkit::provider::{Ending, FakeProvider, Reply as Script};
use http::{Method, StatusCode};
use http_body_util::BodyExt;

#[tokio::test]
async fn when_the_first_provider_fails_the_next_one_answers() {
    let ollama = FakeProvider::start(vec![Script::status(500, "{}")]).await.unwrap();
    let openai = FakeProvider::start(vec![Script::text(["From the second [1]."])]).await.unwrap();
    let world = World::builder()
        .variable("OLLAMA_BASE_URL", &ollama.ollama_url())
        .openai(&openai.openai_url(), &fake_key())
        .start()
        .await;
    let visitor = world.visitor().await;
    for reply in [world.ask(&visitor, QUESTION).await, world.ask_streamed(&visitor, QUESTION).await] {
        assert_eq!(reply.status, StatusCode::OK);
        assert!(reply.text().contains("From the second [1]."), "{}", reply.text());
    }
    assert!(world.has_event("PROVIDER_FAILED"));
    assert_eq!(ollama.received().len(), 2, "the first is asked first");
}

#[tokio::test]
async fn when_every_provider_fails_the_sources_answer() {
    let openai = FakeProvider::start(vec![Script::Garbage]).await.unwrap();
    let world = World::builder().openai(&openai.openai_url(), &fake_key()).start().await;
    let visitor = world.visitor().await;
    let answer = world.ask(&visitor, QUESTION).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.text().contains("12.50 dollars"), "{}", answer.text());
}

#[tokio::test]
async fn an_answer_that_breaks_off_ends_as_an_error_and_never_as_done() {
    for ending in [Ending::Truncated, Ending::Cut, Ending::Error("upstream canary")] {
        let openai = FakeProvider::start(vec![Script::Gated(vec!["It costs ".to_owned()], ending)]).await.unwrap();
        let world = World::builder().openai(&openai.openai_url(), &fake_key()).start().await;
        let visitor = world.visitor().await;
        let mut response = world
            .by(&visitor, Method::POST, "/api/v1/widget/messages")
            .header("accept", "text/event-stream")
            .json(&serde_json::json!({ "message": QUESTION }))
            .open()
            .await;
        openai.release(1);
        let first = response.body_mut().frame().await.unwrap().unwrap();
        assert!(String::from_utf8_lossy(first.data_ref().unwrap()).contains("It costs"));
        openai.release(1);
        let rest = response.into_body().collect().await.unwrap().to_bytes();
        let rest = String::from_utf8_lossy(&rest).into_owned();
        assert!(rest.contains("event: error") && rest.contains("answer_interrupted"), "{ending:?}: {rest}");
        assert!(!rest.contains("event: done") && !rest.contains("canary"), "{ending:?}: {rest}");
        // The next provider is not asked in the middle of an answer: nothing of another stands behind it.
        assert!(!rest.contains("12.50"), "{ending:?}: {rest}");
        assert!(world.has_event("CHAT_ERROR"));
    }
}

#[tokio::test]
async fn a_log_that_cannot_be_written_does_not_stop_the_chat() {
    let world = World::builder().set("logging.security_file", "/proc/no/such/folder/security.log").start().await;
    let visitor = world.visitor().await;
    assert_eq!(world.ask(&visitor, QUESTION).await.status, StatusCode::OK);
    assert_eq!(world.get("/readyz").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_disk_that_is_full_does_not_stop_the_chat() {
    let world = World::builder().set("logging.security_file", "/dev/full").start().await;
    let visitor = world.visitor().await;
    for _ in 0..3 {
        assert_eq!(world.ask(&visitor, QUESTION).await.status, StatusCode::OK);
    }
    assert!(world.has_event("CHAT_MESSAGE_PROCESSED"), "the event is there, though its line is not");
    assert_eq!(world.get("/readyz").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_store_that_is_gone_gives_a_plain_error_and_the_process_lives() {
    let world = World::start().await;
    let visitor = world.visitor().await;
    world.app.store.close().await;
    let reply = world.ask(&visitor, QUESTION).await;
    assert!(reply.status.is_server_error(), "{}", reply.status);
    assert_eq!(world.get("/readyz").await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(world.call(Method::GET, "/healthz").send().await.status, StatusCode::OK);
}
