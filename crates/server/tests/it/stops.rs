//! How the real program stops (OPS-07): who is connected is told, what cannot end in time ends with an event that says
//! so, and what had arrived is kept.

use crate::process::{Server, add_site};
use crate::world::{PATIENCE, fake_key, request};
use bytes::Bytes;
use chatward_testkit::provider::{Ending, FakeProvider, Reply as Script};
use http::{Method, Request};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use std::time::{Duration, Instant};
use tokio::net::TcpSocket;
use tokio::time::timeout;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_cannot_end_in_time_is_told_and_its_part_is_kept() {
    let parts = vec!["First ".to_owned(), "second.".to_owned()];
    let provider = FakeProvider::start(vec![Script::Gated(parts, Ending::Complete)]).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let key = add_site(folder.path());
    let (url, secret) = (provider.openai_url(), fake_key());
    let variables =
        [("OPENAI_BASE_URL", &*url), ("OPENAI_API_KEY", &*secret), ("CHATWARD_SERVER_DRAIN_DEADLINE", "2s")];
    let mut server = Server::start(folder.path(), &variables);
    let token = server.visitor(&key).await;
    let response = server.begun_answer(&token, &provider).await;

    // The provider never says another word.
    let asked = Instant::now();
    server.signal("-TERM");
    let rest =
        timeout(PATIENCE, response.into_body().collect()).await.expect("an end").expect("a whole one").to_bytes();
    let rest = String::from_utf8_lossy(&rest).into_owned();
    assert!(rest.contains("event: error") && rest.contains("answer_interrupted"), "{rest}");
    assert!(!rest.contains("event: done"), "{rest}");
    assert_eq!(server.wait(), 0);
    assert!(asked.elapsed() < Duration::from_secs(10), "the drain has an end: {:?}", asked.elapsed());

    let server = Server::start(folder.path(), &variables);
    let state = request(server.address, Method::GET, "/api/v1/widget/session")
        .header("authorization", &format!("Bearer {token}"))
        .send()
        .await
        .json();
    assert_eq!(state["messages"][1]["text"], "First ", "{state}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_at_rest_is_closed_and_takes_no_new_work() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path(), &[]);
    let stream = TcpSocket::new_v4().unwrap().connect(server.address).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    let closed = tokio::spawn(connection);
    let ask = || {
        let host = format!("localhost:{}", server.address.port());
        Request::get("/healthz").header("host", host).body(Empty::<Bytes>::new()).unwrap()
    };
    let reply = sender.send_request(ask()).await.unwrap();
    assert_eq!(reply.status(), 200);
    reply.into_body().collect().await.unwrap();
    sender.ready().await.expect("the connection stays for a next request");

    let next = ask();
    server.signal("-TERM");
    let _ =
        timeout(Duration::from_secs(10), closed).await.expect("the connection is closed long before the drain ends");
    assert!(sender.send_request(next).await.is_err(), "nothing new is taken on it");
    assert_eq!(server.wait(), 0);
}
