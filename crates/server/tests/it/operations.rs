//! Health and metrics: who may see what, and where.

use crate::world::{QUESTION, World};
use http::{Method, StatusCode};

#[tokio::test]
async fn metrics_are_on_the_administrative_listener_alone() {
    let world = World::start().await;
    let visitor = world.visitor().await;
    world.ask(&visitor, QUESTION).await;
    assert_eq!(world.get("/metrics").await.status, StatusCode::NOT_FOUND);
    let metrics = world.admin_get("/metrics").await;
    assert_eq!(metrics.status, StatusCode::OK);
    assert!(metrics.text().contains("/api/v1/widget/messages"), "{}", metrics.text());
    assert!(!metrics.text().contains(&visitor.session) && !metrics.text().contains("Canada"));
    let foreign = world.call(Method::GET, "/metrics").header("host", "rebound.test");
    assert_eq!(foreign.to(world.admin_address).send().await.status, StatusCode::MISDIRECTED_REQUEST);
}

#[tokio::test]
async fn probes_answer_by_address_and_readiness_follows_the_store() {
    for engine in World::ENGINES {
        let world = World::builder().engine(engine).start().await;
        for path in ["/healthz", "/readyz"] {
            let reply = world.call(Method::GET, path).header("host", "10.0.0.7:3001").send().await;
            assert_eq!(reply.status, StatusCode::OK, "{path}");
            assert_eq!(reply.text(), r#"{"status":"ok"}"#);
        }
        world.app.store.close().await;
        world.clock.advance(2_000_000);
        assert_eq!(world.get("/readyz").await.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(world.get("/healthz").await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_stopping_server_says_that_it_is_not_ready() {
    let world = World::start().await;
    let mut stream = world.connect().await;
    world.app.stopping.cancel();
    // The connection was open before the stop began, so it may still ask.
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut text = String::new();
    let _ = stream.read_to_string(&mut text).await;
    assert!(text.is_empty() || text.starts_with("HTTP/1.1 503"), "{text}");
}
