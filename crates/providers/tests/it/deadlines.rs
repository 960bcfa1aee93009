//! Nothing waits for ever, and nothing goes on upstream for somebody who left.

use crate::{Log, no_keys, owned, request, rest, set, settings};
use chatward_providers::{Deadlines, Delivery, FailureClass, Piece, Provider, ProviderKind};
use chatward_testkit::provider::{FakeProvider, Reply};
use std::time::{Duration, Instant};

const SHORT: Duration = Duration::from_millis(80);
const LONG: Duration = Duration::from_secs(60);
const ALL_LONG: Deadlines =
    Deadlines { connect: LONG, first_byte: LONG, first_piece: LONG, between_bytes: LONG, total: LONG };

fn provider(fake: &FakeProvider, kind: ProviderKind, deadlines: Deadlines) -> Provider {
    Provider::new(chatward_providers::ProviderSettings { deadlines, ..settings(kind, "one", fake) })
        .expect("a provider")
}

#[tokio::test]
async fn each_deadline_before_the_first_piece_leads_to_the_next_provider() {
    for (reply, delivery, deadlines, class) in [
        (Reply::Silent, Delivery::Streamed, Deadlines { first_byte: SHORT, ..ALL_LONG }, "first_byte_timeout"),
        (Reply::Silent, Delivery::Whole, Deadlines { first_byte: SHORT, ..ALL_LONG }, "first_byte_timeout"),
        (Reply::Silent, Delivery::Whole, Deadlines { total: SHORT, ..ALL_LONG }, "timeout"),
        (
            Reply::Stalled(Vec::new()),
            Delivery::Streamed,
            Deadlines { first_byte: SHORT, first_piece: SHORT, ..ALL_LONG },
            "first_byte_timeout",
        ),
        (Reply::Stalled(Vec::new()), Delivery::Streamed, Deadlines { between_bytes: SHORT, ..ALL_LONG }, "timeout"),
        (Reply::Stalled(Vec::new()), Delivery::Whole, Deadlines { between_bytes: SHORT, ..ALL_LONG }, "timeout"),
        (Reply::Stalled(Vec::new()), Delivery::Streamed, Deadlines { total: SHORT, ..ALL_LONG }, "timeout"),
    ] {
        for kind in [ProviderKind::OpenAiCompatible, ProviderKind::Ollama] {
            let fake = FakeProvider::start(vec![reply.clone()]).await.expect("a fake");
            let (log, began) = (Log::default(), Instant::now());
            let answering =
                set(vec![provider(&fake, kind, deadlines)]).answer(&request(delivery), &no_keys, &log).await;
            assert_eq!(&**answering.provider(), "extractive");
            assert_eq!(
                log.lines(),
                [format!("one {class}"), "extractive answers".to_owned()],
                "{reply:?} {deadlines:?}"
            );
            assert!(began.elapsed() >= SHORT && began.elapsed() < LONG);
            assert!(fake.wait_for_hang_ups(1).await, "the call is given up upstream as well");
        }
    }
}

#[tokio::test]
async fn a_stream_that_only_keeps_the_connection_alive_is_given_up() {
    // Deltas without a character: bytes keep coming, text never does.
    let script = vec![Reply::Slow(vec![String::new(); 2000], Duration::from_millis(10))];
    let fake = FakeProvider::start(script).await.expect("a fake");
    let deadlines = Deadlines { first_byte: SHORT, first_piece: SHORT, ..ALL_LONG };
    let log = Log::default();
    set(vec![provider(&fake, ProviderKind::OpenAiCompatible, deadlines)])
        .answer(&request(Delivery::Streamed), &no_keys, &log)
        .await;
    assert_eq!(log.lines()[0], "one first_byte_timeout");
    assert!(fake.wait_for_hang_ups(1).await);
}

#[tokio::test]
async fn a_stream_that_stalls_after_its_first_piece_ends_with_an_error() {
    for deadlines in
        [Deadlines { between_bytes: SHORT, ..ALL_LONG }, Deadlines { total: Duration::from_millis(400), ..ALL_LONG }]
    {
        let fake = FakeProvider::start(vec![Reply::Stalled(owned(["begun"]))]).await.expect("a fake");
        let set = set(vec![provider(&fake, ProviderKind::OpenAiCompatible, deadlines)]);
        let mut answering = set.answer(&request(Delivery::Streamed), &no_keys, &()).await;
        assert_eq!(answering.next().await, Some(Ok(Piece::Text("begun".to_owned()))));
        let (_, others, error) = rest(&mut answering).await;
        assert_eq!((others.as_slice(), error.map(|error| error.class)), ([].as_slice(), Some(FailureClass::Timeout)));
        assert!(fake.wait_for_hang_ups(1).await);
    }
}

#[tokio::test]
async fn a_stream_that_drips_for_ever_ends_at_the_total_deadline() {
    let script = vec![Reply::Slow(vec!["drip ".to_owned(); 2000], Duration::from_millis(10))];
    let fake = FakeProvider::start(script).await.expect("a fake");
    let deadlines = Deadlines { total: Duration::from_secs(1), ..ALL_LONG };
    let set = set(vec![provider(&fake, ProviderKind::OpenAiCompatible, deadlines)]);
    let mut answering = set.answer(&request(Delivery::Streamed), &no_keys, &()).await;
    let (text, _, error) = rest(&mut answering).await;
    assert!(text.starts_with("drip "));
    assert_eq!(error.map(|error| error.class), Some(FailureClass::Timeout));
}

#[tokio::test]
async fn leaving_cancels_the_call_upstream() {
    for kind in [ProviderKind::OpenAiCompatible, ProviderKind::Ollama] {
        let fake = FakeProvider::start(vec![Reply::Stalled(owned(["begun"])), Reply::Silent]).await.expect("a fake");
        let set = set(vec![provider(&fake, kind, ALL_LONG)]);

        let mut answering = set.answer(&request(Delivery::Streamed), &no_keys, &()).await;
        assert!(matches!(answering.next().await, Some(Ok(Piece::Text(_)))));
        drop(answering);
        assert!(fake.wait_for_hang_ups(1).await, "dropped between two pieces");

        let question = request(Delivery::Streamed);
        let waiting = set.answer(&question, &no_keys, &());
        tokio::select! {
            _ = waiting => panic!("a silent provider answered"),
            arrived = fake.wait_for_requests(2) => assert!(arrived),
        }
        assert!(fake.wait_for_hang_ups(2).await, "dropped before the first byte");
    }
}
