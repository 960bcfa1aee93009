//! The security headers of every kind of response that the server gives: answers, refusals, files, preflights.

#![expect(clippy::expect_used, reason = "helpers of tests fail by panicking, as tests do")]

use crate::wire;
use crate::world::{QUESTION, Reply, SHOP, STRANGER, World};
use chatward::routes::{self, Class};
use http::{Method, StatusCode};

/// A response with what it was asked for.
struct Sample {
    what: String,
    /// Whether it is the page that is made to be framed.
    framed: bool,
    /// Whether it is one of our own pages.
    page: bool,
    reply: Reply,
}

/// Every file that is embedded, by its address.
fn files() -> Vec<String> {
    let pinned = format!("/widget/{}/widget.js", chatward::ui::loader_pin().0);
    let mut found = vec!["/widget.js".to_owned(), pinned, "/docs".to_owned(), "/openapi.json".to_owned()];
    for (folder, source) in [
        ("embed", "dist/embed"),
        ("preview", "dist/preview"),
        ("notice", "dist/notice"),
        ("dashboard", "dist/dashboard"),
        ("docs", "docs"),
        ("account", "account"),
    ] {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ui").join(source);
        for entry in std::fs::read_dir(path).expect("the folder of the pages").flatten() {
            found.push(format!("/assets/{folder}/{}", entry.file_name().to_string_lossy()));
        }
    }
    found
}

/// A response of every status, class and method that the server knows.
async fn samples(world: &World) -> Vec<Sample> {
    let visitor = world.visitor().await;
    let embed = format!("/embed/{}", world.site.publishable_key);
    let mut samples = Vec::new();
    let mut add = |what: String, reply: Reply, framed: bool, page: bool| {
        samples.push(Sample { what: format!("{what} -> {}", reply.status), framed, page, reply });
    };
    for row in routes::rows() {
        let path = world.concrete(row.path);
        let (framed, page) = (row.class == Class::Frame, matches!(row.class, Class::Frame | Class::Page));
        let call = |method: &Method| world.by(&visitor, method.clone(), &path);
        let body = world.good_body(&row, "msg_x");
        // The visitor's own session goes last.
        if *row.method != Method::DELETE {
            let call = call(row.method);
            let reply = if *row.method == Method::GET { call.send().await } else { call.json(&body).send().await };
            add(format!("{} {path}", row.method), reply, framed, page);
        }
        if *row.method == Method::GET {
            add(format!("HEAD {path}"), call(&Method::HEAD).send().await, framed, page);
        }
        let strange = call(row.method).header("origin", STRANGER).json(&body).send().await;
        let plain = strange.status.is_success();
        add(format!("{} {path} from a stranger", row.method), strange, framed && plain, page && plain);
        add(format!("PUT {path}"), call(&Method::PUT).send().await, false, false);
        let preflight = call(&Method::OPTIONS).header("access-control-request-method", row.method.as_str());
        add(format!("OPTIONS {path}"), preflight.send().await, false, false);
        let misdirected = call(row.method).header("host", "evil.test").send().await;
        let probe = misdirected.status.is_success();
        assert!(probe || misdirected.status == StatusCode::MISDIRECTED_REQUEST, "{path}");
        add(format!("{} {path} of another host", row.method), misdirected, false, false);
    }
    for path in files().into_iter().chain([embed.clone()]) {
        let reply = world.get(&path).await;
        assert_eq!(reply.status, StatusCode::OK, "{path}");
        let (framed, page) = (path == embed, path == embed || path == "/docs");
        let known = world.call(Method::GET, &path).header("if-none-match", reply.header("etag")).send().await;
        if reply.headers.contains_key("etag") {
            assert_eq!(known.status, StatusCode::NOT_MODIFIED, "{path}");
        }
        add(format!("GET {path} again"), known, framed, page);
        add(format!("GET {path}"), reply, framed, page);
    }
    for path in ["/", "/nothing", "/api/v1/nothing", "/embed/cw_pk_dev_x", "/assets/embed/none.js", "/embed/%ff"] {
        let reply = world.get(path).await;
        assert!(reply.status.is_client_error(), "{path}");
        add(format!("GET {path}"), reply, false, false);
    }
    let streamed = world.ask_streamed(&visitor, QUESTION).await;
    assert!(streamed.header("content-type").starts_with("text/event-stream"), "{streamed:?}");
    add("a stream".to_owned(), streamed, false, false);
    let answer = world.ask(&visitor, QUESTION).await.json();
    let judgement = serde_json::json!({ "message_id": answer["message_id"], "rating": "up" });
    let judged = world.by(&visitor, Method::POST, "/api/v1/widget/feedback").json(&judgement).send().await;
    add("a judgement".to_owned(), judged, false, false);
    let deleted = world.by(&visitor, Method::DELETE, "/api/v1/widget/session").send().await;
    assert_eq!(deleted.status, StatusCode::OK);
    add("DELETE session".to_owned(), deleted, false, false);
    add("a session that is gone".to_owned(), world.ask(&visitor, QUESTION).await, false, false);
    let huge = world.call(Method::POST, "/api/v1/widget/sessions").header("origin", SHOP).raw_json(&" ".repeat(70_000));
    add("a body too large".to_owned(), huge.send().await, false, false);
    for path in ["/metrics", "/healthz", "/nothing"] {
        add(format!("{path} of the administrative listener"), world.admin_get(path).await, false, false);
    }
    world.app.store.close().await;
    world.clock.advance(3_600_000_000);
    add("no store".to_owned(), world.get("/readyz").await, false, false);
    add("a limit".to_owned(), over_the_limit(world).await, false, false);
    for status in [200, 201, 204, 304, 400, 401, 403, 404, 405, 413, 421, 422, 429, 503] {
        assert!(samples.iter().any(|sample| sample.reply.status == status), "there is a response with {status}");
    }
    samples
}

/// Asks for a page until a limit refuses.
async fn over_the_limit(world: &World) -> Reply {
    for _ in 0..2000 {
        let reply = world.get("/api/v1/nothing").await;
        if reply.status == StatusCode::TOO_MANY_REQUESTS {
            return reply;
        }
    }
    panic!("no limit refused");
}

async fn world() -> World {
    World::builder().set("limits.per_minute", 1000).set("limits.api_requests", 300).start().await
}

#[tokio::test]
async fn every_response_carries_what_protects_it() {
    let world = world().await;
    for Sample { what, framed, page, reply } in samples(&world).await {
        assert_eq!(reply.header("x-content-type-options"), "nosniff", "{what}");
        assert_eq!(reply.header("referrer-policy"), "strict-origin-when-cross-origin", "{what}");
        assert_eq!(reply.header("x-xss-protection"), "1; mode=block", "{what}");
        let policy = reply.header("content-security-policy");
        if framed {
            assert_eq!(reply.header("x-frame-options"), "", "{what}");
            assert!(policy.ends_with("; frame-ancestors http://shop.test http://www.shop.test"), "{what}: {policy}");
        } else {
            assert_eq!(reply.header("x-frame-options"), "DENY", "{what}");
            assert!(policy.ends_with("frame-ancestors 'none'"), "{what}: {policy}");
        }
        assert!(policy.starts_with("default-src 'none'"), "{what}: {policy}");
        // The privacy notice is a text: nothing of it may run.
        let runs = page && !what.contains("/privacy/");
        assert_eq!(policy.contains("script-src"), runs, "{what}: {policy}");
        assert!(reply.header("permissions-policy").contains("camera=(), "), "{what}");
        let sharing = reply.header("cross-origin-resource-policy");
        assert!(matches!(sharing, "same-origin" | "cross-origin"), "{what}");
        let pinned = what.contains("/widget/") && what.contains("/widget.js") && !reply.header("etag").is_empty();
        let caching: &[&str] =
            if pinned { &["public, max-age=31536000, immutable"] } else { &["no-store", "no-cache"] };
        assert!(caching.iter().any(|value| reply.header("cache-control").starts_with(value)), "{what}");
        for name in ["server", "x-powered-by", "via", "access-control-allow-credentials"] {
            assert_eq!(reply.header(name), "", "{what}: {name}");
        }
        // The loader alone, which holds nothing of anybody's.
        let everybody = reply.header("access-control-allow-origin") == "*";
        assert_eq!(everybody, what.contains("widget.js") && !reply.header("etag").is_empty(), "{what}");
        assert!(!format!("{:?}", reply.headers).contains(env!("CARGO_PKG_VERSION")), "{what}");
        for name in ["x-content-type-options", "x-frame-options", "content-security-policy", "cache-control"] {
            assert!(reply.headers.get_all(name).iter().count() <= 1, "{what}: {name} twice");
        }
        if reply.status.is_client_error() || reply.status.is_server_error() {
            assert_eq!(reply.header("content-type"), "application/json", "{what}");
            assert_eq!(reply.header("cache-control"), "no-store", "{what}");
        }
    }
}

#[tokio::test]
async fn the_policy_of_a_page_names_its_sources_and_allows_nothing_inline() {
    let world = World::start().await;
    for path in ["/docs".to_owned(), "/dashboard".to_owned(), format!("/embed/{}", world.site.publishable_key)] {
        let reply = world.get(&path).await;
        let policy = reply.header("content-security-policy");
        let sources = |name: &str| {
            let directive = policy.split("; ").find_map(|directive| directive.strip_prefix(name)?.strip_prefix(' '));
            directive.unwrap_or_else(|| panic!("{path} has no {name}: {policy}")).to_owned()
        };
        for (name, expected) in [
            ("default-src", "'none'"),
            ("script-src", "'self'"),
            ("style-src", "'self'"),
            ("connect-src", "'self'"),
            ("img-src", "'self'"),
            ("base-uri", "'none'"),
            ("form-action", "'none'"),
        ] {
            assert_eq!(sources(name), expected, "{path}");
        }
        for loose in ["unsafe-", "*", "data:", "blob:", "https:"] {
            assert!(!policy.contains(loose), "{path}: {policy}");
        }
        // What the policy forbids is not in the page either, or the page would be broken.
        let text = reply.text();
        for inline in ["<style", " style=", " onclick=", " onload=", "javascript:", "<script>"] {
            assert!(!text.contains(inline), "{path} holds {inline}");
        }
    }
}

#[tokio::test]
async fn the_guides_xss_header_is_a_setting() {
    for (value, expected) in [("0", "0"), ("1", "1"), ("off", "")] {
        let world = World::builder().set("headers.x_xss_protection", value).start().await;
        for path in ["/docs", "/nothing", "/healthz"] {
            assert_eq!(world.get(path).await.header("x-xss-protection"), expected, "{value} at {path}");
        }
    }
}

#[tokio::test]
async fn pages_are_opened_alone_and_only_what_is_meant_for_others_can_be_included() {
    let world = World::start().await;
    assert_eq!(world.get("/docs").await.header("cross-origin-opener-policy"), "same-origin");
    let dashboard = world.get("/dashboard").await;
    let kept = (dashboard.header("cross-origin-opener-policy"), dashboard.header("cache-control"));
    assert_eq!(kept, ("same-origin", "no-store"), "what stood on it was somebody's");
    let embed = format!("/embed/{}", world.site.publishable_key);
    for (path, sharing) in [
        ("/widget.js", "cross-origin"),
        (&*embed, "cross-origin"),
        ("/docs", "same-origin"),
        ("/assets/embed/app.js", "same-origin"),
        ("/api/v1/widget/session", "same-origin"),
        ("/nothing", "same-origin"),
    ] {
        assert_eq!(world.get(path).await.header("cross-origin-resource-policy"), sharing, "{path}");
    }
    let visitor = world.visitor().await;
    let state = world.by(&visitor, Method::GET, "/api/v1/widget/session").send().await;
    assert_eq!(state.header("cache-control"), "no-store", "a conversation is kept by nobody on the way");
    assert!(world.ask_streamed(&visitor, QUESTION).await.header("cache-control").starts_with("no-store"));
    // A body that never comes makes a response, too.
    let slow = World::builder().set("server.body_timeout", "100ms").start().await;
    let head = format!(
        "POST /api/v1/widget/sessions HTTP/1.1\r\nHost: localhost\r\nOrigin: {SHOP}\r\n\
         Content-Type: application/json\r\nContent-Length: 10\r\n\r\n"
    );
    let answer = wire::exchange(&slow, head).await;
    assert_eq!(wire::status(&answer), 408, "{answer}");
    assert!(answer.contains("x-content-type-options: nosniff") && answer.contains("x-frame-options: DENY"), "{answer}");
}
