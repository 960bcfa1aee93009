//! The accept loop over real sockets: who is cut off, who is served, and how it ends.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail by panicking, as tests do")]

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Extension;
use axum::routing::get;
use chatward::limits::ConnectionCounter;
use chatward::listen::{DrainReport, ListenSettings, PeerAddress, serve};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

/// No test waits longer than this for what it expects.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
pub(super) const HELLO: &[u8] = b"GET /hello HTTP/1.1\r\nHost: chat.test\r\n\r\n";

pub(super) struct Server {
    address: SocketAddr,
    pub(super) connections: Arc<ConnectionCounter>,
    pub(super) shutdown: CancellationToken,
    pub(super) release: Arc<Notify>,
    task: JoinHandle<DrainReport>,
}

/// `/hello` answers at once, `/held` begins an answer and ends it when released, `/late` begins when released,
/// `/endless` never ends.
async fn start(settings: ListenSettings) -> Server {
    start_with(settings, Router::new(), Arc::new(Notify::new())).await
}

/// The same, with more routes; `release` is theirs as well.
pub(super) async fn start_with(settings: ListenSettings, more: Router, release: Arc<Notify>) -> Server {
    let (held, late) = (release.clone(), release.clone());
    let app = Router::new()
        .route("/hello", get(|Extension(peer): Extension<PeerAddress>| async move { peer.0.to_string() }))
        .route(
            "/held",
            get(move || async move {
                let rest = futures_util::stream::once(async move {
                    held.notified().await;
                    Ok::<_, Infallible>(Bytes::from("second"))
                });
                let first = futures_util::stream::iter([Ok(Bytes::from("first "))]);
                Body::from_stream(futures_util::StreamExt::chain(first, rest))
            }),
        )
        .route(
            "/late",
            get(move || async move {
                late.notified().await;
                "late"
            }),
        )
        .route(
            "/endless",
            get(|| async {
                Body::from_stream(futures_util::stream::repeat_with(|| {
                    Ok::<_, Infallible>(Bytes::from_static(&[b'x'; 16 * 1024]))
                }))
            }),
        )
        .merge(more);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Arc::new(ConnectionCounter::new());
    let shutdown = CancellationToken::new();
    let task = tokio::spawn(serve(listener, app, settings, connections.clone(), shutdown.clone()));
    Server { address, connections, shutdown, release, task }
}

impl Server {
    pub(super) async fn connect(&self) -> TcpStream {
        self.connect_from("127.0.0.1").await
    }

    async fn connect_from(&self, source: &str) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(source.parse().unwrap(), 0)).unwrap();
        timeout(PATIENCE, socket.connect(self.address)).await.expect("in time").expect("a connection")
    }

    /// Waits until so many connections are open; the test fails if that never comes.
    pub(super) async fn until_open(&self, count: usize) {
        let reached = async {
            while self.connections.total() != count {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, reached).await.unwrap_or_else(|_| panic!("{} open, not {count}", self.connections.total()));
    }

    pub(super) async fn stop(self) -> DrainReport {
        self.shutdown.cancel();
        timeout(PATIENCE, self.task).await.expect("drained in time").expect("no panic")
    }
}

/// Reads until the other side closes (or resets), and says what came and how long it took.
pub(super) async fn read_to_close(stream: &mut TcpStream) -> (Vec<u8>, Duration) {
    let begun = Instant::now();
    let mut received = Vec::new();
    let closed = timeout(PATIENCE, stream.read_to_end(&mut received)).await;
    let _ = closed.expect("the server closes");
    (received, begun.elapsed())
}

/// Sends `/hello` on an open connection and reads its answer without closing.
async fn hello(stream: &mut TcpStream) -> Option<String> {
    stream.write_all(HELLO).await.ok()?;
    let mut received = String::new();
    let mut buffer = [0; 1024];
    while !received.contains("127.0.0.") {
        let count = timeout(PATIENCE, stream.read(&mut buffer)).await.expect("an answer or a close").ok()?;
        if count == 0 {
            return None;
        }
        received.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
    }
    assert!(received.starts_with("HTTP/1.1 200"), "{received}");
    Some(received)
}

fn quick() -> ListenSettings {
    ListenSettings { header_timeout: Duration::from_millis(300), ..ListenSettings::default() }
}

#[tokio::test]
async fn a_head_that_never_ends_is_cut_at_the_header_timeout() {
    let server = start(quick()).await;
    for beginning in ["", "G", "GET /hello HTTP/1.1\r\nHost: chat.test\r\nX-Slow: ", "PRI * HTTP/2.0\r\n"] {
        let stream = server.connect().await;
        let (mut reader, mut writer) = stream.into_split();
        let begun = Instant::now();
        let dripping = async {
            let _ = writer.write_all(beginning.as_bytes()).await;
            let mut pace = tokio::time::interval(Duration::from_millis(20));
            // A byte now and then must not buy more time. (None at all for the one who says nothing.)
            while !beginning.is_empty() && !beginning.starts_with("PRI") && writer.write_all(b"a").await.is_ok() {
                pace.tick().await;
            }
            std::future::pending::<()>().await;
        };
        let mut received = Vec::new();
        tokio::select! {
            closed = timeout(PATIENCE, reader.read_to_end(&mut received)) => { let _ = closed.expect("the server closes"); }
            () = dripping => {}
        }
        let elapsed = begun.elapsed();
        assert!(elapsed >= Duration::from_millis(290), "{beginning:?} was cut after {elapsed:?}");
        assert!(elapsed < Duration::from_secs(3), "{beginning:?} was cut after {elapsed:?}");
        assert!(received.is_empty(), "the refusal stays bare");
    }
    server.until_open(0).await;
}

#[tokio::test]
async fn a_second_head_on_the_same_connection_has_the_same_timeout() {
    let server = start(quick()).await;
    let mut stream = server.connect().await;
    hello(&mut stream).await.expect("an answer");
    stream.write_all(b"GET /hello HTTP/1.1\r\nHo").await.unwrap();
    let (received, elapsed) = read_to_close(&mut stream).await;
    assert!(received.is_empty());
    assert!(elapsed >= Duration::from_millis(250) && elapsed < Duration::from_secs(3), "cut after {elapsed:?}");
}

#[tokio::test]
async fn an_idle_connection_lives_past_the_header_timeout_and_ends_at_the_idle_timeout() {
    let server = start(ListenSettings {
        header_timeout: Duration::from_millis(100),
        idle_timeout: Duration::from_millis(700),
        ..ListenSettings::default()
    })
    .await;
    let mut stream = server.connect().await;
    hello(&mut stream).await.expect("an answer");
    let (received, elapsed) = read_to_close(&mut stream).await;
    assert!(received.is_empty());
    assert!(elapsed >= Duration::from_millis(650) && elapsed < Duration::from_secs(4), "closed after {elapsed:?}");
    server.until_open(0).await;
}

#[tokio::test]
async fn a_running_request_outlives_header_and_idle_timeouts() {
    let server = start(ListenSettings {
        header_timeout: Duration::from_millis(50),
        idle_timeout: Duration::from_millis(50),
        ..ListenSettings::default()
    })
    .await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /late HTTP/1.1\r\nHost: chat.test\r\n\r\n").await.unwrap();
    let mut byte = [0; 1];
    let early = timeout(Duration::from_millis(400), stream.read(&mut byte)).await;
    assert!(early.is_err(), "neither answered nor closed while it runs");
    server.release.notify_one();
    let (received, _) = read_to_close(&mut stream).await;
    assert!(String::from_utf8(received).unwrap().ends_with("late"));
}

#[tokio::test]
async fn a_client_that_stops_reading_is_cut_at_the_stall_timeout() {
    let server = start(ListenSettings { stall_timeout: Duration::from_millis(300), ..quick() }).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /endless HTTP/1.1\r\nHost: chat.test\r\n\r\n").await.unwrap();
    server.until_open(1).await;
    server.until_open(0).await;
    drop(stream);
}

#[tokio::test]
async fn an_http2_client_that_grants_no_window_is_cut_at_the_stall_timeout() {
    let server = start(ListenSettings { stall_timeout: Duration::from_millis(300), ..quick() }).await;
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(server.connect().await))
            .await
            .unwrap();
    // The client's connection lives and answers pings; only the body is not read.
    let connection = tokio::spawn(connection);
    let request = http::Request::get("http://chat.test/endless").body(Empty::<Bytes>::new()).unwrap();
    let response = timeout(PATIENCE, sender.send_request(request)).await.expect("in time").unwrap();
    server.until_open(0).await;
    assert!(timeout(PATIENCE, connection).await.is_ok());
    drop(response);
}

#[tokio::test]
async fn an_address_has_its_cap_and_a_closed_connection_makes_room() {
    let server = start(ListenSettings { max_connections_per_address: 2, ..ListenSettings::default() }).await;
    let mut first = server.connect().await;
    let mut second = server.connect().await;
    hello(&mut first).await.expect("an answer");
    hello(&mut second).await.expect("an answer");

    let mut third = server.connect().await;
    let (received, elapsed) = read_to_close(&mut third).await;
    assert!(received.is_empty() && elapsed < Duration::from_secs(2), "closed at once");
    let mut other = server.connect_from("127.0.0.2").await;
    hello(&mut other).await.expect("another address has its own cap");

    drop(first);
    server.until_open(2).await;
    let mut fourth = server.connect().await;
    hello(&mut fourth).await.expect("an answer in the freed place");
}

#[tokio::test]
async fn a_trusted_proxy_has_no_cap_of_its_own_but_the_total_holds() {
    let server = start(ListenSettings {
        max_connections_per_address: 1,
        max_connections: 3,
        trusted_peers: vec!["127.0.0.2/32".parse().unwrap()],
        ..ListenSettings::default()
    })
    .await;
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut stream = server.connect_from("127.0.0.2").await;
        hello(&mut stream).await.expect("an answer");
        held.push(stream);
    }
    for source in ["127.0.0.1", "127.0.0.2"] {
        let mut over = server.connect_from(source).await;
        assert!(read_to_close(&mut over).await.0.is_empty(), "over the total");
    }
    held.clear();
    server.until_open(0).await;
    let mut stream = server.connect().await;
    hello(&mut stream).await.expect("there is room again");
}

#[tokio::test]
async fn http1_and_http2_are_both_served_and_know_their_peer() {
    let server = start(ListenSettings::default()).await;
    let mut stream = server.connect().await;
    let own = stream.local_addr().unwrap().to_string();
    let answer = hello(&mut stream).await.expect("an answer");
    assert!(answer.ends_with(&own), "{answer} is not {own}");

    let stream = server.connect().await;
    let own = stream.local_addr().unwrap().to_string();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    for _ in 0..3 {
        let request = http::Request::get("http://chat.test/hello").body(Empty::<Bytes>::new()).unwrap();
        let response = timeout(PATIENCE, sender.send_request(request)).await.expect("in time").unwrap();
        assert_eq!((response.status(), response.version()), (http::StatusCode::OK, http::Version::HTTP_2));
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), own);
    }
}

#[tokio::test]
async fn an_idle_http2_connection_ends_too() {
    let server = start(ListenSettings { idle_timeout: Duration::from_millis(300), ..quick() }).await;
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(server.connect().await))
            .await
            .unwrap();
    let connection = tokio::spawn(connection);
    let request = http::Request::get("http://chat.test/hello").body(Empty::<Bytes>::new()).unwrap();
    let response = timeout(PATIENCE, sender.send_request(request)).await.expect("in time").unwrap();
    assert!(response.into_body().collect().await.is_ok());
    let ended = timeout(PATIENCE, connection).await.expect("the server says goodbye").unwrap();
    assert!(ended.is_ok(), "{ended:?}");
    server.until_open(0).await;
}

#[tokio::test]
async fn an_oversized_head_is_refused_before_any_handler() {
    let server = start(ListenSettings { max_header_bytes: 8 * 1024, ..ListenSettings::default() }).await;
    let mut stream = server.connect().await;
    let head = format!("GET /hello HTTP/1.1\r\nHost: chat.test\r\nX-Long: {}\r\n\r\n", "a".repeat(64 * 1024));
    let _ = stream.write_all(head.as_bytes()).await;
    let (received, _) = read_to_close(&mut stream).await;
    let received = String::from_utf8_lossy(&received);
    assert!(received.is_empty() || received.starts_with("HTTP/1.1 431"), "{received}");
    server.until_open(0).await;
}

#[tokio::test]
async fn draining_refuses_new_work_ends_idle_connections_and_lets_answers_finish() {
    let server = start(ListenSettings::default()).await;
    let mut idle = server.connect().await;
    hello(&mut idle).await.expect("an answer");
    let mut running = server.connect().await;
    running.write_all(b"GET /held HTTP/1.1\r\nHost: chat.test\r\n\r\n").await.unwrap();
    let mut received = String::new();
    let mut buffer = [0; 1024];
    while !received.contains("first ") {
        let count = timeout(PATIENCE, running.read(&mut buffer)).await.expect("in time").unwrap();
        received.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
    }

    server.shutdown.cancel();
    read_to_close(&mut idle).await;
    let refused = TcpSocket::new_v4().unwrap().connect(server.address).await;
    assert_eq!(refused.unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
    assert!(!server.task.is_finished(), "a request still runs");

    server.release.notify_one();
    let (rest, _) = read_to_close(&mut running).await;
    received.push_str(std::str::from_utf8(&rest).unwrap());
    assert!(received.contains("second") && received.ends_with("0\r\n\r\n"), "cut short: {received}");
    let connections = server.connections.clone();
    assert_eq!(server.stop().await, DrainReport { open: 2, aborted: 0 });
    assert_eq!(connections.total(), 0);
}

#[tokio::test]
async fn a_client_that_has_said_nothing_yet_ends_when_the_drain_begins() {
    let server =
        start(ListenSettings { drain_deadline: Duration::from_millis(200), ..ListenSettings::default() }).await;
    let mut silent = server.connect().await;
    server.until_open(1).await;
    assert_eq!(server.stop().await, DrainReport { open: 1, aborted: 0 });
    assert!(read_to_close(&mut silent).await.0.is_empty());
}

#[tokio::test]
async fn what_does_not_end_is_cut_at_the_drain_deadline() {
    let server =
        start(ListenSettings { drain_deadline: Duration::from_millis(200), ..ListenSettings::default() }).await;
    let mut running = server.connect().await;
    running.write_all(b"GET /late HTTP/1.1\r\nHost: chat.test\r\n\r\n").await.unwrap();
    let mut quick = server.connect().await;
    hello(&mut quick).await.expect("an answer");
    server.until_open(2).await;
    let connections = server.connections.clone();
    let begun = Instant::now();
    assert_eq!(server.stop().await, DrainReport { open: 2, aborted: 1 });
    assert!(begun.elapsed() >= Duration::from_millis(200));
    assert_eq!(connections.total(), 0);
    assert!(read_to_close(&mut running).await.0.is_empty());
}
