//! Who answers when somebody fails, and when somebody is left alone.

use crate::{Log, TestClock, compatible, egress, no_keys, ollama, owned, request, rest, set, settings};
use chatward_providers::{
    BreakerState, Delivery, FailureClass, Piece, Provider, ProviderKind, ProviderSet, Usage, cited_numbers,
};
use chatward_testkit::provider::{Ending, FakeProvider, Reply};
use chatward_types::SECOND;

#[tokio::test]
async fn before_the_first_piece_every_failure_leads_to_the_next_provider() {
    let html = Reply::Typed("text/html".to_owned(), "<h1>Proxy</h1>".to_owned());
    let json_error = Reply::Typed("application/json".to_owned(), "{\"error\":{\"message\":\"x\"}}".to_owned());
    for (reply, class) in [
        (Reply::status(500, "{}"), "upstream"),
        (Reply::status(503, "no JSON"), "upstream"),
        (Reply::status(429, "{}"), "rate_limited"),
        (Reply::status(402, "{}"), "rate_limited"),
        (Reply::status(401, "{}"), "unauthorized"),
        (Reply::status(404, "{}"), "not_found"),
        (Reply::status(307, ""), "not_found"),
        (Reply::status(400, "{}"), "rejected"),
        (Reply::status(418, "{}"), "rejected"),
        (Reply::Garbage, "connect"),
        (html, "wrong_content_type"),
        (json_error, "upstream"),
        (Reply::Typed("application/json".to_owned(), "{\"choices\":[".to_owned()), "truncated"),
        (Reply::Typed("application/json".to_owned(), "nonsense".to_owned()), "malformed"),
        (Reply::Text(Vec::new()), "empty"),
        (Reply::text([" ", "\n"]), "empty"),
    ] {
        for delivery in [Delivery::Streamed, Delivery::Whole] {
            let bad = FakeProvider::start(vec![reply.clone()]).await.expect("a fake");
            let good = FakeProvider::start(vec![Reply::text(["good"])]).await.expect("a fake");
            let log = Log::default();
            let set = set(vec![compatible("bad", &bad), ollama("good", &good)]);
            let mut answering = set.answer(&request(delivery), &no_keys, &log).await;
            assert_eq!(rest(&mut answering).await.0, "good", "{reply:?}");
            assert_eq!(log.lines(), [format!("bad {class}"), "good answers".to_owned()], "{reply:?}");
            assert_eq!(bad.received().len(), 1, "nobody is asked twice");
        }
    }
}

#[tokio::test]
async fn a_stream_that_breaks_before_its_first_piece_fails_over() {
    for (reply, class) in [
        (Reply::Truncated(Vec::new()), "truncated"),
        (Reply::Cut(Vec::new()), "truncated"),
        (Reply::HugeLine(70_000), "too_large"),
        (Reply::Raw(owned(["data: nonsense\n\n"])), "malformed"),
        (
            Reply::Raw(owned(["data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\ndata: nonsense\n\n"])),
            "malformed",
        ),
        (Reply::Raw(owned(["data: {\"error\":{\"message\":\"overloaded\"}}\n\n"])), "upstream"),
        (Reply::Raw(owned([": ping\n\n", "data: [DONE]\n\n"])), "empty"),
    ] {
        let bad = FakeProvider::start(vec![reply.clone()]).await.expect("a fake");
        let log = Log::default();
        let set = set(vec![compatible("bad", &bad)]);
        let mut answering = set.answer(&request(Delivery::Streamed), &no_keys, &log).await;
        assert_eq!(&**answering.provider(), "extractive", "{reply:?}");
        assert_eq!(log.lines(), [format!("bad {class}"), "extractive answers".to_owned()], "{reply:?}");
        assert!(rest(&mut answering).await.2.is_none());
    }
}

#[tokio::test]
async fn a_whole_answer_fails_over_even_when_it_breaks_in_the_middle() {
    for reply in [
        Reply::Cut(Vec::new()),
        Reply::Typed("application/json".to_owned(), "{\"choices\":[{\"message\":{\"content\":\"half".to_owned()),
    ] {
        let bad = FakeProvider::start(vec![reply]).await.expect("a fake");
        let log = Log::default();
        let answering = set(vec![compatible("bad", &bad)]).answer(&request(Delivery::Whole), &no_keys, &log).await;
        assert_eq!(&**answering.provider(), "extractive");
        assert_eq!(log.lines()[0], "bad truncated");
    }
}

#[tokio::test]
async fn once_a_piece_is_out_nobody_else_is_asked() {
    let first = FakeProvider::start(vec![Reply::Gated(owned(["begun "]), Ending::Cut)]).await.expect("a fake");
    let second = FakeProvider::start(vec![Reply::text(["other"])]).await.expect("a fake");
    let set = set(vec![compatible("first", &first), compatible("second", &second)]);
    first.release(1);
    let mut answering = set.answer(&request(Delivery::Streamed), &no_keys, &()).await;
    assert_eq!(answering.next().await, Some(Ok(Piece::Text("begun ".to_owned()))));
    first.release(1);
    let (text, _, error) = rest(&mut answering).await;
    assert_eq!((text.as_str(), error.map(|error| error.class)), ("", Some(FailureClass::Truncated)));
    assert!(second.received().is_empty());
}

#[tokio::test]
async fn when_nobody_answers_the_sources_do() {
    let gone = FakeProvider::start(vec![Reply::Silent]).await.expect("a fake");
    let provider = compatible("gone", &gone);
    drop(gone);
    let log = Log::default();
    // The fake's task ends at its next turn; until then its port may still take a connection and drop it.
    let set = set(vec![provider]);
    let mut answering = set.answer(&request(Delivery::Streamed), &no_keys, &log).await;
    assert_eq!(log.lines(), ["gone connect", "extractive answers"]);
    let (text, others, error) = rest(&mut answering).await;
    assert_eq!(text, "From the sources. [1]");
    assert_eq!(cited_numbers(&text, &request(Delivery::Streamed).passages), [1]);
    assert!(matches!(others.as_slice(), [Piece::Usage(Usage { input_tokens: 0, output_tokens: 0 }), Piece::Done(_)]));
    assert_eq!((error, answering.cost()), (None, 0));
}

#[tokio::test]
async fn nothing_behind_extractive_is_ever_asked() {
    let fake = FakeProvider::start(vec![Reply::text(["x"])]).await.expect("a fake");
    let set = set(vec![Provider::Extractive, compatible("behind", &fake)]);
    assert_eq!(set.providers().map(Provider::name).collect::<Vec<_>>(), ["extractive"]);
    let answering = set.answer(&request(Delivery::Whole), &no_keys, &()).await;
    assert_eq!(&**answering.provider(), "extractive");
    assert!(fake.received().is_empty());
}

#[tokio::test]
async fn the_breaker_opens_after_failures_and_tries_again_by_one_call() {
    let clock = TestClock::new();
    let fake = FakeProvider::start(vec![Reply::status(500, "{}")]).await.expect("a fake");
    let set = ProviderSet::new(vec![compatible("one", &fake)], egress(), clock.clone());
    let ask = async || {
        let log = Log::default();
        let mut answering = set.answer(&request(Delivery::Whole), &no_keys, &log).await;
        rest(&mut answering).await;
        log.lines()[0].clone()
    };
    let state = || set.breakers().next().map(|(_, state)| state);
    for _ in 0..5 {
        assert_eq!(ask().await, "one upstream");
    }
    assert_eq!(state(), Some(BreakerState::Open));
    for _ in 0..20 {
        assert_eq!(ask().await, "one circuit_open");
    }
    assert_eq!(fake.received().len(), 5, "an open breaker spares the provider");

    clock.advance(15 * SECOND);
    assert_eq!(state(), Some(BreakerState::HalfOpen));
    assert_eq!(ask().await, "one upstream");
    assert_eq!((fake.received().len(), state()), (6, Some(BreakerState::Open)), "one probe, and it failed");

    clock.advance(30 * SECOND);
    fake.set_script(vec![Reply::text(["back"])]);
    assert_eq!(ask().await, "one answers");
    assert_eq!(state(), Some(BreakerState::Closed));
    assert_eq!(ask().await, "one answers");
}

#[tokio::test]
async fn streams_that_break_in_the_middle_count_for_the_breaker_too() {
    let fake = FakeProvider::start(vec![Reply::Gated(owned(["a"]), Ending::Truncated)]).await.expect("a fake");
    let set = set(vec![compatible("one", &fake)]);
    for _ in 0..5 {
        fake.release(1);
        let mut answering = set.answer(&request(Delivery::Streamed), &no_keys, &()).await;
        assert!(matches!(answering.next().await, Some(Ok(Piece::Text(_)))));
        fake.release(1);
        assert!(rest(&mut answering).await.2.is_some());
    }
    assert_eq!(set.breakers().next().map(|(_, state)| state), Some(BreakerState::Open));
}

#[tokio::test]
async fn a_request_that_is_refused_for_itself_does_not_open_the_breaker() {
    let fake = FakeProvider::start(vec![Reply::status(400, "{}")]).await.expect("a fake");
    let set = set(vec![compatible("one", &fake)]);
    for _ in 0..20 {
        set.answer(&request(Delivery::Whole), &no_keys, &()).await;
    }
    assert_eq!(fake.received().len(), 20);
    assert_eq!(set.breakers().next().map(|(_, state)| state), Some(BreakerState::Closed));
}

#[tokio::test]
async fn a_provider_that_asks_for_a_pause_gets_it() {
    let clock = TestClock::new();
    let headers = vec![("retry-after".to_owned(), "20".to_owned())];
    let fake = FakeProvider::start(vec![Reply::Status(429, headers, "{}".to_owned()), Reply::text(["ok"])])
        .await
        .expect("a fake");
    let set = ProviderSet::new(vec![compatible("one", &fake)], egress(), clock.clone());
    for (advance, who) in [(0, "extractive"), (19, "extractive"), (1, "one")] {
        clock.advance(advance * SECOND);
        let answering = set.answer(&request(Delivery::Whole), &no_keys, &()).await;
        assert_eq!(&**answering.provider(), who, "after {advance} s more");
    }
    assert_eq!(fake.received().len(), 2);
}

#[tokio::test]
async fn what_to_reserve_is_the_dearest_of_the_set() {
    let fake = FakeProvider::start(Vec::new()).await.expect("a fake");
    let dear = |model: &str| {
        let mut settings = settings(ProviderKind::OpenAiCompatible, model, &fake);
        settings.model = model.to_owned();
        Provider::new(settings).expect("a provider")
    };
    let usage = Usage { input_tokens: 1_000_000, output_tokens: 0 };
    assert_eq!(set(vec![ollama("local", &fake)]).dearest_cost(usage), 0);
    assert_eq!(set(vec![ollama("local", &fake), dear("gpt-4o-mini"), dear("gpt-4o")]).dearest_cost(usage), 2_500_000);
    assert_eq!(set(vec![dear("gpt-4o"), dear("unheard-of")]).dearest_cost(usage), 15_000_000);
}
