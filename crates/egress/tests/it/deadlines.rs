//! Deadlines of provider calls, and that whoever stops listening is heard upstream.

use crate::raw::{drip, ended, fall_silent, raw};
use chatward_egress::{Call, CallFailure, Egress, Reach, Resolve, Resolving, Url};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;

const SHORT: Duration = Duration::from_millis(120);
/// Longer than any test may take; who waits for it has missed the short one.
const LONG: Duration = Duration::from_secs(60);
const HEAD: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

#[derive(Debug)]
struct Never;

impl Resolve for Never {
    fn resolve(&self, _: String) -> Resolving {
        Box::pin(std::future::pending())
    }
}

fn egress() -> Egress {
    Egress::builder().resolver(Arc::new(Never)).build().unwrap()
}

/// A call whose every deadline is long.
fn call(scheme: &str, host: impl std::fmt::Display) -> Call {
    let url = Url::parse(&format!("{scheme}://{host}/")).unwrap();
    let mut call = Call::post_json(url, Reach::Operator, "{}");
    call.connect_deadline = LONG;
    call.first_byte_deadline = LONG;
    call.between_bytes_deadline = LONG;
    call.total_deadline = LONG;
    call
}

async fn fails_in_time(call: Call) -> CallFailure {
    let begun = Instant::now();
    let failure = egress().call(call).await.unwrap_err().failure();
    assert!(begun.elapsed() >= SHORT && begun.elapsed() < LONG / 2, "{:?}", begun.elapsed());
    failure
}

#[tokio::test]
async fn a_name_that_never_resolves_and_a_handshake_that_never_ends_are_connect_timeouts() {
    let (silent, mut ends) =
        raw(|mut stream| async move { while stream.read(&mut [0; 1024]).await.is_ok_and(|n| n > 0) {} }).await;
    for (scheme, host) in [("http", "model.example:11434".to_owned()), ("https", silent.to_string())] {
        let mut slow = call(scheme, &host);
        slow.connect_deadline = SHORT;
        assert_eq!(fails_in_time(slow).await, CallFailure::ConnectTimeout);
        let mut slow = call(scheme, &host);
        slow.total_deadline = SHORT;
        assert_eq!(fails_in_time(slow).await, CallFailure::TotalTimeout);
    }
    ended(&mut ends).await;
    ended(&mut ends).await;
}

#[tokio::test]
async fn a_silent_provider_is_a_first_byte_timeout() {
    let (silent, mut ends) = raw(|stream| fall_silent(stream, Vec::new())).await;
    let mut slow = call("http", silent);
    slow.first_byte_deadline = SHORT;
    assert_eq!(fails_in_time(slow).await, CallFailure::FirstByteTimeout);
    ended(&mut ends).await;
}

#[tokio::test]
async fn a_head_that_drips_does_not_count_as_an_answer() {
    let pause = Duration::from_millis(5);
    let (slow_head, mut ends) =
        raw(move |stream| drip(stream, b"HTTP/1.1 200 OK\r\n".to_vec(), b"x".to_vec(), pause)).await;
    let mut slow = call("http", slow_head);
    slow.first_byte_deadline = SHORT;
    assert_eq!(fails_in_time(slow).await, CallFailure::FirstByteTimeout);
    ended(&mut ends).await;
}

#[tokio::test]
async fn a_provider_that_stops_in_the_middle_is_a_timeout_between_bytes() {
    let first = format!("{HEAD}5\r\nhello\r\n");
    let (stalls, mut ends) = raw(move |stream| fall_silent(stream, first.clone().into())).await;
    let mut slow = call("http", stalls);
    slow.between_bytes_deadline = SHORT;
    let mut body = egress().call(slow).await.unwrap().body;
    assert_eq!(&body.chunk().await.unwrap().unwrap()[..], b"hello");
    let begun = Instant::now();
    for _ in 0..2 {
        assert_eq!(body.chunk().await.unwrap_err().failure(), CallFailure::BetweenBytesTimeout);
    }
    assert!(begun.elapsed() >= SHORT && begun.elapsed() < LONG / 2);
    ended(&mut ends).await;
}

/// The pieces are closer together than the deadline between them, and there is no end of them.
#[tokio::test]
async fn a_stream_without_end_ends_at_the_total_deadline() {
    let piece = b"1\r\nx\r\n".to_vec();
    let pause = Duration::from_millis(5);
    let (endless, mut ends) = raw(move |stream| drip(stream, HEAD.into(), piece.clone(), pause)).await;
    let mut slow = call("http", endless);
    slow.total_deadline = SHORT * 2;
    let begun = Instant::now();
    let mut body = egress().call(slow).await.unwrap().body;
    let mut pieces = 0;
    let failure = loop {
        assert!(begun.elapsed() < LONG / 2, "the stream outran its deadline");
        match body.chunk().await {
            Ok(piece) => pieces += usize::from(piece.is_some()),
            Err(error) => break error.failure(),
        }
    };
    assert_eq!(failure, CallFailure::TotalTimeout);
    assert!(pieces > 0 && begun.elapsed() >= SHORT * 2 && begun.elapsed() < LONG / 2);
    ended(&mut ends).await;
}

#[tokio::test]
async fn dropping_the_body_hangs_up_upstream() {
    let first = format!("{HEAD}5\r\nhello\r\n");
    let (streams, mut ends) = raw(move |stream| fall_silent(stream, first.clone().into())).await;
    let mut body = egress().call(call("http", streams)).await.unwrap().body;
    body.chunk().await.unwrap();
    assert!(ends.try_recv().is_err(), "the exchange is still open");
    drop(body);
    ended(&mut ends).await;
}

#[tokio::test]
async fn dropping_the_call_before_its_answer_hangs_up_upstream() {
    let (told, mut asked) = tokio::sync::mpsc::unbounded_channel();
    let (silent, mut ends) = raw(move |mut stream| {
        let told = told.clone();
        async move {
            crate::support::read_request(&mut stream).await;
            told.send(()).unwrap();
            while stream.read(&mut [0; 64]).await.is_ok_and(|n| n > 0) {}
        }
    })
    .await;
    let egress = egress();
    let calling = tokio::spawn(async move { egress.call(call("http", silent)).await });
    asked.recv().await.unwrap();
    calling.abort();
    ended(&mut ends).await;
}

#[tokio::test]
async fn deadlines_too_long_to_add_up_do_not_panic() {
    let server = crate::support::serve(|_| crate::support::ok("", "{}")).await;
    let mut patient = call("http", server.address);
    for deadline in [
        &mut patient.connect_deadline,
        &mut patient.first_byte_deadline,
        &mut patient.between_bytes_deadline,
        &mut patient.total_deadline,
    ] {
        *deadline = Duration::MAX;
    }
    let answer = egress().call(patient).await.unwrap();
    assert_eq!(&answer.body.collect().await.unwrap()[..], b"{}");
}
