//! Connections that rest while a streamed answer is silent: nothing of it can be told from outside.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail by panicking, as tests do")]

use crate::listen::{HELLO, PATIENCE, Server, read_to_close, start_with};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::routing::{get, post};
use chatward::listen::ListenSettings;
use futures_util::{StreamExt as _, stream};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

const HELD: &[u8] = b"GET /held HTTP/1.1\r\nHost: chat.test\r\n\r\n";
const LARGE: usize = 24 << 20;
/// The end of the body in chunks.
pub(super) const LAST: &str = "\r\n0\r\n\r\n";

/// Rests after a moment. Beside the other routes: `/echo` reads its request first, `/broken` breaks off when released,
/// `/large` begins with more than a socket holds, `/flood` never ends once released.
async fn start(settings: ListenSettings) -> Server {
    let release = Arc::new(Notify::new());
    let held = |first: Bytes, rest: Rest| {
        let release = Arc::clone(&release);
        move || answer(first.clone(), rest, Arc::clone(&release))
    };
    let whole = held(Bytes::from("first "), Rest::Second);
    let app = Router::new()
        .route("/echo", post(move |_: Bytes| whole()))
        .route("/unread", post(held(Bytes::from("first "), Rest::Second)))
        .route("/broken", get(held(Bytes::from("first "), Rest::Error)))
        .route("/large", get(held(Bytes::from(vec![b'x'; LARGE]), Rest::Second)))
        .route("/flood", get(held(Bytes::from("first "), Rest::Flood)));
    start_with(settings, app, release.clone()).await
}

#[derive(Debug, Clone, Copy)]
enum Rest {
    Second,
    Error,
    Flood,
}

async fn answer(first: Bytes, rest: Rest, release: Arc<Notify>) -> Body {
    let wait = stream::once(async move {
        release.notified().await;
        Ok(Bytes::new())
    });
    let rest = match rest {
        Rest::Second => stream::iter([Ok(Bytes::from("second"))]).boxed(),
        Rest::Error => stream::iter([Err(io::Error::other("broken"))]).boxed(),
        Rest::Flood => stream::repeat_with(|| Ok(Bytes::from_static(&[b'x'; 16 * 1024]))).boxed(),
    };
    Body::from_stream(stream::iter([Ok(first)]).chain(wait).chain(rest))
}

pub(super) fn soon() -> ListenSettings {
    ListenSettings { rest_after: Duration::from_millis(30), ..ListenSettings::default() }
}

pub(super) fn never() -> ListenSettings {
    ListenSettings { rest_after: Duration::from_secs(1000), ..ListenSettings::default() }
}

impl Server {
    pub(super) async fn until_resting(&self, count: usize) {
        let reached = async {
            while self.connections.resting() != count {
                sleep(Duration::from_millis(2)).await;
            }
        };
        timeout(PATIENCE, reached).await.unwrap_or_else(|_| panic!("{} rest, not {count}", self.connections.resting()));
    }

    pub(super) async fn send(&self, request: &[u8]) -> TcpStream {
        let mut stream = self.connect().await;
        stream.write_all(request).await.unwrap();
        stream
    }
}

/// Reads until `end` has come, and fails if something else comes instead.
pub(super) async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut received = Vec::new();
    while !received.ends_with(end.as_bytes()) {
        let count = timeout(PATIENCE, stream.read_buf(&mut received)).await.expect("more of it in time").unwrap();
        assert!(count > 0, "closed after {:?}", String::from_utf8_lossy(&received));
    }
    String::from_utf8(received).unwrap()
}

pub(super) async fn in_pieces(stream: &mut TcpStream, request: &[u8]) {
    for piece in request.chunks(5) {
        stream.write_all(piece).await.unwrap();
        sleep(Duration::from_millis(1)).await;
    }
}

/// Without the one line that tells the time.
pub(super) fn timeless(answer: &str) -> String {
    answer.split_inclusive("\r\n").filter(|line| !line.starts_with("date: ")).collect()
}

#[tokio::test]
async fn a_silent_answer_rests_and_comes_as_if_it_had_not() {
    let mut answers = Vec::new();
    for settings in [soon(), never()] {
        let rests = settings.rest_after < Duration::from_secs(1);
        let server = start(settings).await;
        let mut stream = server.send(HELD).await;
        let mut answer = read_until(&mut stream, "first \r\n").await;
        if rests {
            server.until_resting(1).await;
        }
        server.release.notify_one();
        answer.push_str(&read_until(&mut stream, LAST).await);
        // The connection serves the next request.
        stream.write_all(HELLO).await.unwrap();
        let peer = stream.local_addr().unwrap().to_string();
        let hello = read_until(&mut stream, &peer).await;
        assert!(hello.starts_with("HTTP/1.1 200"), "{hello}");
        assert_eq!(server.connections.resting(), 0);
        answers.push(timeless(&answer));
    }
    assert_eq!(answers[0], answers[1]);
    assert!(answers[0].ends_with("6\r\nfirst \r\n6\r\nsecond\r\n0\r\n\r\n"), "{}", answers[0]);
}

#[tokio::test]
async fn a_connection_rests_as_often_as_its_answers_are_silent() {
    let server = start(soon()).await;
    let mut stream = server.connect().await;
    let body = b"POST /echo HTTP/1.1\r\nHost: chat.test\r\nConnection: keep-alive\r\nContent-Length: 4\r\n\r\nbody";
    for request in [HELD, body, HELD] {
        stream.write_all(request).await.unwrap();
        read_until(&mut stream, "first \r\n").await;
        server.until_resting(1).await;
        server.release.notify_one();
        read_until(&mut stream, LAST).await;
        server.until_resting(0).await;
    }
}

#[tokio::test]
async fn what_a_client_sends_ahead_is_answered_next() {
    let server = start(soon()).await;
    // One request stands behind the first in the library's buffer; two come while it rests, the first of them in pieces.
    let mut stream = server.send(&[HELD, HELLO].concat()).await;
    read_until(&mut stream, "first \r\n").await;
    server.until_resting(1).await;
    in_pieces(&mut stream, HELLO).await;
    server.release.notify_one();
    let peer = stream.local_addr().unwrap().to_string();
    let mut all = read_until(&mut stream, &peer).await;
    if all.matches("HTTP/1.1 200").count() < 2 {
        all.push_str(&read_until(&mut stream, &peer).await);
    }
    let (second, hellos) = all.split_once(LAST).expect("the rest of the first answer comes first");
    assert_eq!((second, hellos.matches("HTTP/1.1 200").count()), ("6\r\nsecond", 2), "{all}");

    // Nothing stands behind the first: what comes while it rests is seen there.
    let mut stream = server.send(HELD).await;
    read_until(&mut stream, "first \r\n").await;
    server.until_resting(1).await;
    in_pieces(&mut stream, HELLO).await;
    server.release.notify_one();
    let peer = stream.local_addr().unwrap().to_string();
    let all = read_until(&mut stream, &peer).await;
    assert!(all.contains("second\r\n0\r\n\r\nHTTP/1.1 200"), "{all}");
}

#[tokio::test]
async fn a_client_that_leaves_is_noticed_while_its_answer_rests() {
    let server = start(soon()).await;
    let mut stream = server.send(HELD).await;
    read_until(&mut stream, "first \r\n").await;
    server.until_resting(1).await;
    drop(stream);
    server.until_open(0).await;
    assert_eq!(server.connections.resting(), 0);
}

#[tokio::test]
async fn an_answer_that_breaks_off_while_it_rests_does_not_look_whole() {
    let server = start(soon()).await;
    let mut stream = server.send(b"GET /broken HTTP/1.1\r\nHost: chat.test\r\n\r\n").await;
    read_until(&mut stream, "first \r\n").await;
    server.until_resting(1).await;
    server.release.notify_one();
    let (rest, _) = read_to_close(&mut stream).await;
    assert_eq!(rest, b"", "no last chunk");
}

#[tokio::test]
async fn nothing_rests_before_all_that_was_written_has_gone_out() {
    let server = start(soon()).await;
    let mut stream = server.send(b"GET /large HTTP/1.1\r\nHost: chat.test\r\n\r\n").await;
    sleep(Duration::from_millis(300)).await;
    assert_eq!(server.connections.resting(), 0, "the client has read nothing yet");
    let mut received = 0;
    while received < LARGE {
        let mut part = Vec::with_capacity(1 << 20);
        assert!(timeout(PATIENCE, stream.read_buf(&mut part)).await.expect("more of it").unwrap() > 0);
        received += part.iter().filter(|byte| **byte == b'x').count();
    }
    server.until_resting(1).await;
    server.release.notify_one();
    read_until(&mut stream, LAST).await;
}

#[tokio::test]
async fn a_client_that_reads_nothing_of_what_comes_after_a_rest_is_cut_at_the_stall_timeout() {
    let server = start(ListenSettings { stall_timeout: Duration::from_millis(500), ..soon() }).await;
    let mut stream = server.send(b"GET /flood HTTP/1.1\r\nHost: chat.test\r\n\r\n").await;
    read_until(&mut stream, "first \r\n").await;
    server.until_resting(1).await;
    server.release.notify_one();
    server.until_open(0).await;
}

#[tokio::test]
async fn a_drain_lets_a_resting_answer_end_and_takes_no_further_request() {
    let server = start(soon()).await;
    let mut stream = server.send(HELD).await;
    let mut begun_later = server.send(HELD).await;
    read_until(&mut stream, "first \r\n").await;
    server.until_resting(2).await;
    read_until(&mut begun_later, "first \r\n").await;
    server.shutdown.cancel();
    sleep(Duration::from_millis(50)).await;
    server.release.notify_waiters();
    for mut stream in [stream, begun_later] {
        let (rest, _) = read_to_close(&mut stream).await;
        assert_eq!(String::from_utf8(rest).unwrap(), "6\r\nsecond\r\n0\r\n\r\n");
    }
    let report = server.stop().await;
    assert_eq!((report.open, report.aborted), (2, 0));

    let server = start(ListenSettings { drain_deadline: Duration::from_millis(100), ..soon() }).await;
    let mut stream = server.send(HELD).await;
    read_until(&mut stream, "first \r\n").await;
    server.until_resting(1).await;
    assert_eq!(server.stop().await.aborted, 1, "one that never ends is cut");
}

#[tokio::test]
async fn what_ends_with_its_connection_or_has_not_been_read_does_not_rest() {
    let server = start(soon()).await;
    for (request, may_end_open) in [
        ("GET /held HTTP/1.0\r\nHost: chat.test\r\n\r\n", false),
        ("GET /held HTTP/1.0\r\nHost: chat.test\r\nConnection: keep-alive\r\n\r\n", false),
        ("GET /held HTTP/1.1\r\nHost: chat.test\r\nConnection: close\r\n\r\n", false),
        ("GET /held HTTP/1.1\r\nHost: chat.test\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n", false),
        ("GET /held HTTP/1.1\r\nHost: chat.test\r\nConnection: Upgrade\r\nUpgrade: example\r\n\r\n", true),
        ("POST /echo HTTP/1.1\r\nHost: chat.test\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", true),
        ("POST /unread HTTP/1.1\r\nHost: chat.test\r\nContent-Length: 4\r\n\r\nbod", false),
    ] {
        let mut stream = server.send(request.as_bytes()).await;
        let mut answer = Vec::new();
        while !String::from_utf8_lossy(&answer).contains("first ") {
            assert!(timeout(PATIENCE, stream.read_buf(&mut answer)).await.expect(request).unwrap() > 0, "{request}");
        }
        sleep(Duration::from_millis(150)).await;
        assert_eq!(server.connections.resting(), 0, "{request}");
        server.release.notify_one();
        if may_end_open {
            read_until(&mut stream, LAST).await;
        } else {
            let (rest, _) = read_to_close(&mut stream).await;
            assert!(String::from_utf8_lossy(&rest).contains("second"), "{request}");
        }
    }
}

/// What may become HTTP/2 is left to the library to the end, and its silence is not asked about again and again.
#[tokio::test]
async fn a_connection_that_began_undecided_neither_rests_nor_spins() {
    let asked = Arc::new(AtomicUsize::new(0));
    let silent = {
        let asked = Arc::clone(&asked);
        move || {
            let asked = Arc::clone(&asked);
            let silence = stream::poll_fn(move |_| {
                asked.fetch_add(1, Ordering::Relaxed);
                Poll::<Option<io::Result<Bytes>>>::Pending
            });
            async move { Body::from_stream(stream::iter([Ok(Bytes::from("first "))]).chain(silence)) }
        }
    };
    let server = start_with(soon(), Router::new().route("/silent", post(silent)), Arc::default()).await;
    let mut stream = server.send(b"P").await;
    // The first byte alone is what is looked at.
    sleep(Duration::from_millis(100)).await;
    stream.write_all(b"OST /silent HTTP/1.1\r\nHost: chat.test\r\nContent-Length: 0\r\n\r\n").await.unwrap();
    read_until(&mut stream, "first \r\n").await;
    sleep(Duration::from_millis(300)).await;
    assert_eq!(server.connections.resting(), 0);
    let asked = asked.load(Ordering::Relaxed);
    assert!(asked < 10, "asked {asked} times in a third of a second");
}
