//! Which host names are answered: ours and no other, on loopback too, over each version of HTTP.

use crate::wire;
use crate::world::{PATIENCE, SHOP, World};
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::Empty;
use hyper_util::rt::{TokioExecutor, TokioIo};

/// Names that a rebinding page, a look-alike or a confused proxy could send.
const FOREIGN: [&str; 14] = [
    "evil.test",
    "evil.test:80",
    "localhost.evil.test",
    "localhost.",
    "xlocalhost",
    "127.0.0.1.evil.test",
    "127.0.0.2",
    "0.0.0.0",
    "[::2]",
    "[::1]evil",
    "localhost@evil.test",
    "evil.test@localhost",
    "localhost:80:80",
    "localhost:x",
];

async fn with_host(world: &World, target: &str, hosts: &[&str]) -> String {
    let fields: String = hosts.iter().map(|host| format!("Host: {host}\r\n")).collect();
    wire::exchange(world, format!("GET {target} HTTP/1.1\r\n{fields}Connection: close\r\n\r\n")).await
}

#[tokio::test]
async fn a_foreign_host_gets_421_on_loopback_too() {
    let world = World::builder().set("limits.api_requests", 1000).start().await;
    for host in FOREIGN {
        for target in ["/docs", "/api/v1/widget/session", "/nothing", "/widget.js"] {
            let answer = with_host(&world, target, &[host]).await;
            assert_eq!(wire::status(&answer), 421, "{host} at {target}: {answer}");
            assert!(answer.contains(r#""code":"misdirected""#) && !answer.contains("evil"), "{answer}");
        }
    }
    assert!(world.events().iter().all(|name| *name != "INVALID_SESSION_ID"), "nothing ran");
    assert!(world.has_event("HOST_REFUSED"));
}

#[tokio::test]
async fn a_foreign_name_in_the_request_line_or_beside_ours_gets_421() {
    let world = World::start().await;
    assert_eq!(wire::status(&with_host(&world, "http://evil.test/docs", &["localhost"]).await), 421, "absolute form");
    for hosts in [&["localhost", "evil.test"][..], &["evil.test", "localhost"], &["localhost", "localhost"]] {
        assert_eq!(wire::status(&with_host(&world, "/docs", hosts).await), 421, "{hosts:?}");
    }
    assert_eq!(wire::status(&with_host(&world, "/docs", &[""]).await), 421);
    assert_eq!(wire::status(&wire::exchange(&world, "GET /docs HTTP/1.0\r\n\r\n").await), 421, "no host at all");
}

#[tokio::test]
async fn a_foreign_authority_over_http2_gets_421() {
    let world = World::start().await;
    for (authority, status) in [("evil.test", 421), ("127.0.0.2", 421), ("localhost", 200), ("127.0.0.1:99", 200)] {
        let stream = TokioIo::new(world.connect().await);
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.expect("a connection");
        tokio::spawn(connection);
        let request = Request::get(format!("http://{authority}/docs")).body(Empty::<Bytes>::new()).expect("a request");
        let response = tokio::time::timeout(PATIENCE, sender.send_request(request)).await.expect("in time");
        assert_eq!(response.expect("an answer").status(), status, "{authority}");
    }
}

#[tokio::test]
async fn a_page_that_rebinds_its_name_can_neither_ask_nor_begin() {
    let world = World::start().await;
    let call = |method: Method| {
        let call = world.call(method, "/api/v1/widget/sessions").header("host", "evil.test").header("origin", SHOP);
        call.header("access-control-request-method", "POST")
    };
    let body = serde_json::json!({ "site": world.site.publishable_key });
    for reply in [call(Method::OPTIONS).send().await, call(Method::POST).json(&body).send().await] {
        assert_eq!(reply.status, StatusCode::MISDIRECTED_REQUEST);
        assert_eq!(reply.header("access-control-allow-origin"), "");
    }
}

#[tokio::test]
async fn our_own_names_are_answered_and_the_public_url_is_one() {
    let world = World::builder()
        .set("public_url", "https://chat.shop.test")
        .set("server.hosts", "inner.test,127.0.0.1,::1")
        .start()
        .await;
    for host in ["chat.shop.test", "CHAT.shop.test:443", "inner.test", "127.0.0.1:1", "[::1]", "[::1]:3001"] {
        assert_eq!(wire::status(&with_host(&world, "/docs", &[host]).await), 200, "{host}");
    }
    assert_eq!(wire::status(&with_host(&world, "http://inner.test/docs", &["inner.test"]).await), 200);
    assert_eq!(wire::status(&with_host(&world, "/docs", &["localhost"]).await), 421, "no longer among the names");
}

#[tokio::test]
async fn probes_are_answered_whatever_the_host() {
    let world = World::start().await;
    for target in ["/healthz", "/readyz"] {
        for host in ["10.1.2.3:8080", "evil.test"] {
            assert_eq!(wire::status(&with_host(&world, target, &[host]).await), 200, "{host}{target}");
        }
    }
    for near in ["/healthz/", "/healthz/x", "//healthz", "/docs?/healthz"] {
        assert_eq!(wire::status(&with_host(&world, near, &["evil.test"]).await), 421, "{near}");
    }
}

#[tokio::test]
async fn the_administrative_listener_is_addressed_by_number_or_as_localhost() {
    let world = World::start().await;
    assert_eq!(world.admin_get("/metrics").await.status, StatusCode::OK);
    for (host, status) in [("evil.test", 421), ("localhost.evil.test", 421), ("localhost", 200)] {
        let reply = world.call(Method::GET, "/metrics").to(world.admin_address).header("host", host).send().await;
        assert_eq!(reply.status, status, "{host}: {}", reply.text());
    }
}

#[tokio::test]
async fn no_name_that_a_client_sends_comes_back() {
    let world = World::builder().set("limits.api_requests", 1000).start().await;
    let embed = format!("/embed/{}", world.site.publishable_key);
    for path in ["/docs", "/widget.js", &embed, "/openapi.json", "/nothing", "/healthz", "/docs/"] {
        let mut call = world.call(Method::GET, path);
        for name in ["x-forwarded-host", "x-host", "x-original-host", "forwarded", "referer"] {
            call = call.header(name, "http://evil.test");
        }
        let reply = call.send().await;
        let all = format!("{:?}{}", reply.headers, reply.text());
        assert!(!all.contains("evil.test"), "{path}: {all}");
        assert_eq!(reply.header("location"), "", "there are no redirects");
    }
}
