//! Answers as they come in, in both formats and both deliveries.

use crate::{compatible, no_keys, ollama, owned, request, rest, set};
use chatward_providers::{Delivery, FailureClass, Finish, Piece, Usage, UsageSource};
use chatward_testkit::provider::{Ending, FakeProvider, Reply};

#[tokio::test]
async fn both_formats_are_asked_and_read_streamed_and_whole() {
    for delivery in [Delivery::Streamed, Delivery::Whole] {
        let fake = FakeProvider::start(vec![Reply::text(["It costs ", "12 \u{20ac}", " [1]."])]).await.expect("a fake");
        for (provider, path) in
            [(compatible("one", &fake), "/v1/chat/completions"), (ollama("two", &fake), "/api/chat")]
        {
            let name = provider.name().to_owned();
            let mut answering = set(vec![provider]).answer(&request(delivery), &no_keys, &()).await;
            let (text, others, error) = rest(&mut answering).await;
            assert_eq!((text.as_str(), error), ("It costs 12 \u{20ac} [1].", None));
            let usage = Usage { input_tokens: 42, output_tokens: 3 };
            assert_eq!(others, [Piece::Usage(usage), Piece::Done(Finish::Stop)]);
            assert_eq!(answering.usage(), (usage, UsageSource::Reported));
            assert_eq!(**answering.provider(), name);

            let sent = fake.received().pop().expect("a request");
            assert_eq!(sent.path, path);
            assert_eq!(sent.header("content-type"), Some("application/json"));
            assert_eq!(sent.header("authorization"), None, "no key, no header");
            let body = sent.json();
            assert_eq!(body["stream"], delivery == Delivery::Streamed);
            assert_eq!(body["model"], "gpt-4o-mini");
            let messages = body["messages"].as_array().expect("messages");
            assert_eq!(messages.len(), 3);
            assert!(messages[0]["content"].as_str().expect("text").contains("costs 12 dollars"));
            assert_eq!(messages[2]["content"], "What does shipping to Canada cost?");
        }
    }
}

#[tokio::test]
async fn connections_are_used_again() {
    let fake = FakeProvider::start(vec![Reply::Burst(owned(["a", "b"]))]).await.expect("a fake");
    for provider in [compatible("one", &fake), ollama("two", &fake)] {
        let before = fake.connections();
        let set = set(vec![provider]);
        for delivery in [Delivery::Whole, Delivery::Streamed, Delivery::Streamed, Delivery::Whole, Delivery::Streamed] {
            let mut answering = set.answer(&request(delivery), &no_keys, &()).await;
            assert_eq!(rest(&mut answering).await.0, "ab");
        }
        assert_eq!(fake.connections(), before + 1);
    }
}

#[tokio::test]
async fn a_burst_of_many_chunks_comes_out_in_few_pieces() {
    let deltas: Vec<String> = (0..64).map(|number| format!("word{number} ")).collect();
    let fake = FakeProvider::start(vec![Reply::Burst(deltas.clone())]).await.expect("a fake");
    for provider in [compatible("one", &fake), ollama("two", &fake)] {
        let mut answering = set(vec![provider]).answer(&request(Delivery::Streamed), &no_keys, &()).await;
        let (mut text, mut texts) = (String::new(), 0);
        while let Some(piece) = answering.next().await {
            if let Piece::Text(more) = piece.expect("a piece") {
                text.push_str(&more);
                texts += 1;
            }
        }
        assert_eq!(text, deltas.concat());
        assert!(texts < 64, "what came together goes out together, not in {texts} pieces");
    }
}

#[tokio::test]
async fn characters_torn_between_chunks_arrive_whole() {
    let deltas = owned(["Grüße ", "\u{1F600}\u{1F469}\u{200D}\u{1F680}", "\u{4f60}\u{597d} \"\\\n"]);
    for size in [1, 2, 3, 5, 50] {
        let fake = FakeProvider::start(vec![Reply::Torn(deltas.clone(), size)]).await.expect("a fake");
        for provider in [compatible("one", &fake), ollama("two", &fake)] {
            for delivery in [Delivery::Streamed, Delivery::Whole] {
                let set = set(vec![provider.clone()]);
                let mut answering = set.answer(&request(delivery), &no_keys, &()).await;
                assert_eq!(rest(&mut answering).await.0, deltas.concat(), "{size}");
            }
        }
    }
}

#[tokio::test]
async fn half_a_character_in_one_delta_is_completed_by_the_next() {
    let halves = owned([
        "data: {\"choices\":[{\"delta\":{\"content\":\"go \\ud83d\"}}]}\n\n",
        "data: {\"choices\":[{\"delta\":{\"content\":\"\\ude80!\"}}]}\n\n",
        "data: [DONE]\n\n",
    ]);
    let fake = FakeProvider::start(vec![Reply::Raw(halves)]).await.expect("a fake");
    let mut answering = set(vec![compatible("one", &fake)]).answer(&request(Delivery::Streamed), &no_keys, &()).await;
    assert_eq!(rest(&mut answering).await.0, "go \u{1F680}!");
}

#[tokio::test]
async fn a_stream_that_ends_early_is_an_error_and_never_done() {
    for (ending, class) in [
        (Ending::Truncated, FailureClass::Truncated),
        (Ending::Cut, FailureClass::Truncated),
        (Ending::Error("boom"), FailureClass::Upstream),
    ] {
        let fake = FakeProvider::start(vec![Reply::Gated(owned(["half an "]), ending)]).await.expect("a fake");
        for provider in [compatible("one", &fake), ollama("two", &fake)] {
            let name = provider.name().to_owned();
            fake.release(1);
            let mut answering = set(vec![provider]).answer(&request(Delivery::Streamed), &no_keys, &()).await;
            assert_eq!(answering.next().await, Some(Ok(Piece::Text("half an ".to_owned()))));
            assert_eq!(answering.next_ready(), None, "the rest is not there yet");
            fake.release(1);
            let (text, others, error) = rest(&mut answering).await;
            let error = error.expect("an error");
            assert_eq!((text.as_str(), others.as_slice()), ("", [].as_slice()));
            assert_eq!((error.class, &*error.provider), (class, name.as_str()), "{ending:?}");
            let (usage, source) = answering.usage();
            assert_eq!(source, UsageSource::Estimated);
            assert!(usage.input_tokens > 40 && usage.output_tokens >= 2, "what was used is not nothing: {usage:?}");
        }
    }
}

#[tokio::test]
async fn pieces_come_as_the_provider_sends_them() {
    let fake = FakeProvider::start(vec![Reply::Gated(owned(["one ", "two"]), Ending::Complete)]).await.expect("a fake");
    fake.release(1);
    let mut answering = set(vec![compatible("one", &fake)]).answer(&request(Delivery::Streamed), &no_keys, &()).await;
    assert_eq!(answering.next().await, Some(Ok(Piece::Text("one ".to_owned()))));
    assert_eq!(answering.next_ready(), None);
    fake.release(1);
    assert_eq!(answering.next().await, Some(Ok(Piece::Text("two".to_owned()))));
    fake.release(1);
    assert!(matches!(answering.next().await, Some(Ok(Piece::Usage(_)))));
    assert_eq!(answering.next_ready(), Some(Ok(Piece::Done(Finish::Stop))), "it came in the same chunk");
    assert_eq!(answering.next().await, None);
}

#[tokio::test]
async fn a_server_that_ignores_the_delivery_is_understood() {
    let whole = "{\"choices\":[{\"message\":{\"content\":\"whole\"},\"finish_reason\":\"length\"}]}";
    let fake =
        FakeProvider::start(vec![Reply::Typed("application/json".to_owned(), whole.to_owned())]).await.expect("a fake");
    let mut answering = set(vec![compatible("one", &fake)]).answer(&request(Delivery::Streamed), &no_keys, &()).await;
    let (text, others, _) = rest(&mut answering).await;
    assert_eq!((text.as_str(), others.as_slice()), ("whole", [Piece::Done(Finish::Length)].as_slice()));

    let stream = "data: {\"choices\":[{\"delta\":{\"content\":\"stre\"}}]}\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"amed\"}}]}\n\ndata: [DONE]\n\n";
    let fake = FakeProvider::start(vec![Reply::Typed("text/event-stream".to_owned(), stream.to_owned())])
        .await
        .expect("a fake");
    let mut answering = set(vec![compatible("one", &fake)]).answer(&request(Delivery::Whole), &no_keys, &()).await;
    assert_eq!(answering.next().await, Some(Ok(Piece::Text("streamed".to_owned()))), "in one piece, as asked for");
}
