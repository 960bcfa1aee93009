//! Connections that rest before their answer has begun: nothing of it can be told from outside either.

use crate::listen::{HELLO, PATIENCE, Server, read_to_close, start_with};
use crate::resting::{LAST, in_pieces, never, read_until, soon, timeless};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use chatward::listen::ListenSettings;
use futures_util::{StreamExt as _, stream};
use http::StatusCode;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

const WHOLE: &[u8] = b"GET /whole HTTP/1.1\r\nHost: chat.test\r\n\r\n";

const LARGE: usize = 3 << 20;

/// Every route answers when released, and each in another way.
async fn start(settings: ListenSettings) -> Server {
    let release = Arc::new(Notify::new());
    let held = |make: fn(Arc<Notify>) -> Response| {
        let release = Arc::clone(&release);
        move || {
            let release = Arc::clone(&release);
            async move {
                release.notified().await;
                make(release)
            }
        }
    };
    let (echo, unread) = (held(|_| "heard".into_response()), held(|_| "unheard".into_response()));
    let app = Router::new()
        .route("/whole", get(held(|_| ([("x-own", "1"), ("x-own", "2")], "all of it").into_response())))
        .route("/empty", get(held(|_| StatusCode::NO_CONTENT.into_response())))
        .route("/refused", get(held(|_| (StatusCode::CONFLICT, "no").into_response())))
        .route("/large", get(held(|_| "x".repeat(LARGE).into_response())))
        .route("/close", get(held(|_| ([("connection", "close")], "bye").into_response())))
        .route("/streamed", get(held(streamed)))
        .route("/echo", post(move |_: Bytes| echo()))
        .route("/unread", post(unread));
    start_with(settings, app, release.clone()).await
}

fn streamed(release: Arc<Notify>) -> Response {
    let rest = stream::once(async move {
        release.notified().await;
        Ok(Bytes::from("second"))
    });
    Body::from_stream(stream::iter([Ok::<_, io::Error>(Bytes::from("first "))]).chain(rest)).into_response()
}

#[tokio::test]
async fn a_late_answer_comes_as_if_its_connection_had_not_rested() {
    let post = "POST /echo HTTP/1.1\r\nHost: chat.test\r\nContent-Length: 4\r\n";
    for (request, end) in [
        (String::from_utf8(WHOLE.to_vec()).unwrap(), "all of it"),
        ("GET /empty HTTP/1.1\r\nHost: chat.test\r\n\r\n".to_owned(), "\r\n\r\n"),
        ("GET /refused HTTP/1.1\r\nHost: chat.test\r\n\r\n".to_owned(), "no"),
        ("GET /large HTTP/1.1\r\nHost: chat.test\r\n\r\n".to_owned(), "xxx"),
        (format!("{post}\r\nbody"), "heard"),
        (format!("{post}Expect: 100-continue\r\n\r\nbody"), "heard"),
    ] {
        let mut answers = Vec::new();
        for settings in [soon(), never()] {
            let rests = settings.rest_after < Duration::from_secs(1);
            let server = start(settings).await;
            let mut stream = server.send(request.as_bytes()).await;
            if rests {
                server.until_resting(1).await;
            } else {
                sleep(Duration::from_millis(20)).await;
            }
            server.release.notify_one();
            let mut answer = read_until(&mut stream, end).await;
            let body = answer.find("\r\n\r\n").expect("a head") + 4;
            while end == "xxx" && answer.len() < body + LARGE {
                answer.push_str(&read_until(&mut stream, end).await);
            }
            // The connection serves the next request.
            stream.write_all(HELLO).await.unwrap();
            let peer = stream.local_addr().unwrap().to_string();
            let hello = read_until(&mut stream, &peer).await;
            assert!(hello.starts_with("HTTP/1.1 200"), "{request}: {hello}");
            assert_eq!(server.connections.resting(), 0);
            answers.push(timeless(&answer));
        }
        assert_eq!(answers[0], answers[1], "{request}");
    }
}

#[tokio::test]
async fn a_late_answer_that_is_streamed_may_rest_again() {
    let server = start(soon()).await;
    let mut stream = server.send(b"GET /streamed HTTP/1.1\r\nHost: chat.test\r\n\r\n").await;
    for _ in 0..2 {
        server.until_resting(1).await;
        server.release.notify_one();
        let head = read_until(&mut stream, "first \r\n").await;
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        server.until_resting(1).await;
        server.release.notify_one();
        assert_eq!(read_until(&mut stream, LAST).await, format!("6\r\nsecond{LAST}"));
        stream.write_all(b"GET /streamed HTTP/1.1\r\nHost: chat.test\r\n\r\n").await.unwrap();
    }
}

#[tokio::test]
async fn what_a_client_sends_ahead_of_a_late_answer_is_answered_after_it() {
    let server = start(soon()).await;
    let mut stream = server.send(&[WHOLE, HELLO].concat()).await;
    server.until_resting(1).await;
    in_pieces(&mut stream, HELLO).await;
    server.release.notify_one();
    let peer = stream.local_addr().unwrap().to_string();
    let mut all = read_until(&mut stream, &peer).await;
    while all.matches(&peer).count() < 2 {
        all.push_str(&read_until(&mut stream, &peer).await);
    }
    let (late, hellos) = all.split_once("all of it").expect("the late answer comes first");
    assert_eq!((late.matches("HTTP/1.1 200").count(), hellos.matches("HTTP/1.1 200").count()), (1, 2), "{all}");
}

#[tokio::test]
async fn a_client_that_leaves_before_a_late_answer_ends_the_work_for_it() {
    struct Noted(Arc<AtomicBool>);
    impl Drop for Noted {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let ended = Arc::new(AtomicBool::new(false));
    let work = {
        let ended = Arc::clone(&ended);
        move || {
            let noted = Noted(Arc::clone(&ended));
            async move {
                std::future::pending::<()>().await;
                drop(noted);
            }
        }
    };
    let server = start_with(soon(), Router::new().route("/whole", get(work)), Arc::default()).await;
    let stream = server.send(WHOLE).await;
    server.until_resting(1).await;
    assert!(!ended.load(Ordering::SeqCst));
    drop(stream);
    server.until_open(0).await;
    assert!(ended.load(Ordering::SeqCst), "nobody waits for it any more");
    assert_eq!(server.connections.resting(), 0);
}

#[tokio::test]
async fn a_late_answer_that_never_comes_is_cut_at_the_stall_timeout() {
    let server = start(ListenSettings { stall_timeout: Duration::from_millis(500), ..soon() }).await;
    let mut stream = server.send(WHOLE).await;
    server.until_resting(1).await;
    let (rest, _) = read_to_close(&mut stream).await;
    assert_eq!(rest, b"");
    server.until_open(0).await;
}

#[tokio::test]
async fn a_late_answer_is_the_last_of_its_connection_in_a_drain_and_where_it_says_so() {
    let server = start(soon()).await;
    let (mut early, mut late) = (server.send(WHOLE).await, server.send(WHOLE).await);
    server.until_resting(2).await;
    server.shutdown.cancel();
    sleep(Duration::from_millis(50)).await;
    server.release.notify_waiters();
    for stream in [&mut early, &mut late] {
        let (answer, _) = read_to_close(stream).await;
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.contains("\r\nconnection: close\r\n") && answer.ends_with("all of it"), "{answer}");
    }
    assert_eq!(server.stop().await.aborted, 0);

    let server = start(soon()).await;
    let mut stream = server.send(b"GET /close HTTP/1.1\r\nHost: chat.test\r\n\r\n").await;
    server.until_resting(1).await;
    server.release.notify_one();
    let (answer, _) = read_to_close(&mut stream).await;
    assert!(String::from_utf8(answer).unwrap().ends_with("bye"));
}

#[tokio::test]
async fn what_would_be_answered_otherwise_without_its_request_does_not_rest() {
    let server = start(soon()).await;
    for request in [
        "HEAD /whole HTTP/1.1\r\nHost: chat.test\r\n\r\n",
        "GET /whole HTTP/1.0\r\nHost: chat.test\r\nConnection: keep-alive\r\n\r\n",
        "GET /whole HTTP/1.1\r\nHost: chat.test\r\nConnection: close\r\n\r\n",
        "GET /whole HTTP/1.1\r\nHost: chat.test\r\nConnection: Upgrade\r\nUpgrade: example\r\n\r\n",
        "POST /unread HTTP/1.1\r\nHost: chat.test\r\nContent-Length: 4\r\n\r\nbod",
        "POST /echo HTTP/1.1\r\nHost: chat.test\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
    ] {
        let mut stream = server.send(request.as_bytes()).await;
        sleep(Duration::from_millis(150)).await;
        assert_eq!(server.connections.resting(), 0, "{request}");
        server.release.notify_one();
        let mut answer = Vec::new();
        timeout(PATIENCE, stream.read_buf(&mut answer)).await.expect(request).unwrap();
        assert!(answer.starts_with(b"HTTP/1."), "{request}");
        drop(stream);
        server.until_open(0).await;
    }
}
