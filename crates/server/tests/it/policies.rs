//! The route table, walked: who is refused where, that the API's description is the table, and what is not in it.

#![expect(clippy::expect_used, reason = "helpers of tests fail by panicking, as tests do")]

use crate::world::{QUESTION, Reply, SHOP, STRANGER, Visitor, World};
use chatward::routes::{self, Policy, Row};
use chatward_store::SiteRow;
use chatward_types::{OwnerId, Scope};
use http::{Method, StatusCode};
use std::collections::{BTreeMap, BTreeSet};

/// Another tenant with a site of its own at another origin, and a visitor of it.
const CAFE: &str = "http://cafe.test";

struct Other {
    site: SiteRow,
    visitor: Visitor,
}

async fn other_owner(world: &World) -> Other {
    let app = &world.app;
    let owner = OwnerId::generate(app.clock.as_ref(), app.entropy.as_ref()).expect("an id");
    app.store.insert_owner(owner, "another", app.clock.now()).await.expect("an owner");
    let scope = Scope::of(owner);
    let site = chatward::ops::sites::add(app, &scope, CAFE, None, &[]).await.expect("a site");
    let reply = world
        .call(Method::POST, "/api/v1/widget/sessions")
        .header("origin", CAFE)
        .json(&serde_json::json!({ "site": site.publishable_key }))
        .send()
        .await;
    assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text());
    let text = |name: &str| reply.json()[name].as_str().unwrap_or_default().to_owned();
    Other { site, visitor: Visitor { session: text("session"), token: text("token") } }
}

/// Calls a row with a body that it would accept.
async fn call(world: &World, row: &Row, message_id: &str, headers: &[(&str, &str)]) -> Reply {
    let path = row.path.replace("{site}", &world.site.publishable_key).replace("{folder}/{file}", "embed/app.js");
    let mut call = world.call(row.method.clone(), &path);
    for (name, value) in headers {
        call = call.header(name, value);
    }
    match row.path {
        "/api/v1/widget/sessions" => call.json(&serde_json::json!({ "site": world.site.publishable_key })),
        "/api/v1/widget/messages" => call.json(&serde_json::json!({ "message": QUESTION })),
        "/api/v1/widget/feedback" => call.json(&serde_json::json!({ "message_id": message_id, "rating": "up" })),
        _ => call,
    }
    .send()
    .await
}

fn assert_refused(reply: &Reply, status: u16, what: &str) {
    assert_eq!(reply.status, status, "{what}: {}", reply.text());
    let error = &reply.json()["error"];
    assert!(error["code"].is_string() && error["message"].is_string(), "{what}: {}", reply.text());
    assert_eq!(error["request_id"], reply.header("x-request-id"), "{what}");
}

#[tokio::test]
async fn every_route_refuses_whom_its_policy_does_not_name() {
    let world = World::builder().set("limits.per_minute", 1000).start().await;
    let (visitor, other) = (world.visitor().await, other_owner(&world).await);
    let answer = world.ask(&visitor, QUESTION).await.json();
    let message = answer["message_id"].as_str().unwrap_or_default();
    let bearer = format!("Bearer {}", visitor.token);
    let (head, rest) = visitor.token.split_once('.').unwrap_or_default();
    let (claims, signature) = rest.split_once('.').unwrap_or_default();
    let reversed: String = signature.chars().rev().collect();
    let forged = [
        "Bearer x".to_owned(),
        format!("Bearer {head}.{claims}."),
        format!("Bearer {head}.{claims}.{reversed}"),
        format!("Bearer {head}.{}.{signature}", other.visitor.token.split('.').nth(1).unwrap_or_default()),
        format!("Bearer eyJhbGciOiJub25lIn0.{claims}."),
        format!("Basic {}", visitor.token),
        format!("Bearer {}", visitor.session),
        format!("Bearer {}", world.site.publishable_key),
    ];
    let foreign = format!("Bearer {}", other.visitor.token);
    let mut seen = BTreeSet::new();
    for row in routes::rows() {
        let what = |who: &str| format!("{} {} as {who}", row.method, row.path);
        let ask = async |headers: &[(&str, &str)]| call(&world, &row, message, headers).await;
        seen.insert(format!("{:?}", row.policy));
        match row.policy {
            Policy::Public => {
                for origin in ["null", STRANGER, SHOP] {
                    let reply = ask(&[("origin", origin), ("authorization", "Bearer x")]).await;
                    assert!(reply.status.is_success(), "{}: {}", what("anybody"), reply.text());
                    assert_eq!(reply.header("access-control-allow-origin"), "", "{}", what("anybody"));
                }
            }
            Policy::SiteOrigin => {
                assert_refused(&ask(&[]).await, 403, &what("nobody"));
                for origin in ["null", STRANGER, CAFE] {
                    assert_refused(&ask(&[("origin", origin)]).await, 403, &what(origin));
                    let with_token = ask(&[("origin", origin), ("authorization", &bearer)]).await;
                    assert_refused(&with_token, 403, &what("a visitor from elsewhere"));
                }
                assert!(ask(&[("origin", SHOP)]).await.status.is_success(), "{}", what("its page"));
            }
            Policy::Visitor => {
                assert_refused(&ask(&[]).await, 401, &what("nobody"));
                assert_refused(&ask(&[("origin", SHOP)]).await, 401, &what("a page without a token"));
                for token in &forged {
                    let reply = ask(&[("origin", SHOP), ("authorization", token)]).await;
                    assert_refused(&reply, 401, &what(token));
                    assert_eq!(reply.code(), "session_invalid");
                }
                for origin in ["null", STRANGER, CAFE] {
                    let reply = ask(&[("origin", origin), ("authorization", &bearer)]).await;
                    assert_refused(&reply, 403, &what(origin));
                    assert_eq!(reply.header("access-control-allow-origin"), "");
                }
                // Another owner's visitor is somebody, but only at home, and finds nothing of ours there.
                let stolen = ask(&[("origin", SHOP), ("authorization", &foreign)]).await;
                assert_refused(&stolen, 403, &what("another's visitor on our page"));
            }
        }
    }
    assert_eq!(seen.len(), 3, "every policy is on some route: {seen:?}");
    let state = world.by(&visitor, Method::GET, "/api/v1/widget/session").send().await;
    assert_eq!(state.json()["messages"].as_array().map(Vec::len), Some(2), "all of it changed nothing");
}

#[tokio::test]
async fn a_visitor_of_another_owner_reaches_nothing_of_this_one() {
    for engine in World::ENGINES {
        let world = World::builder().engine(engine).start().await;
        let (visitor, other) = (world.visitor().await, other_owner(&world).await);
        let answer = world.ask(&visitor, QUESTION).await.json();
        let message = answer["message_id"].as_str().unwrap_or_default();
        let at_home = |method: Method, path: &str| {
            let call = world.call(method, path).header("origin", CAFE);
            call.header("authorization", &format!("Bearer {}", other.visitor.token))
        };
        let judged = at_home(Method::POST, "/api/v1/widget/feedback")
            .json(&serde_json::json!({ "message_id": message, "rating": "down" }))
            .send()
            .await;
        assert_refused(&judged, 404, "another's answer");
        let state = at_home(Method::GET, "/api/v1/widget/session").send().await;
        assert_eq!(state.json()["messages"], serde_json::json!([]), "{}", state.text());
        let asked = at_home(Method::POST, "/api/v1/widget/messages");
        let asked = asked.json(&serde_json::json!({ "message": QUESTION })).send().await;
        assert_eq!(asked.json()["citations"], serde_json::json!([]), "not from our pages: {}", asked.text());
        assert_eq!(at_home(Method::DELETE, "/api/v1/widget/session").send().await.status, StatusCode::NO_CONTENT);
        let ours = world.by(&visitor, Method::GET, "/api/v1/widget/session").send().await;
        assert_eq!(ours.json()["messages"].as_array().map(Vec::len), Some(2));
        assert_ne!(other.site.owner, world.site.owner);
    }
}

#[tokio::test]
async fn the_description_of_the_api_is_the_route_table() {
    let document: serde_json::Value = serde_json::from_str(&chatward::openapi::text()).expect("JSON");
    let mut described = BTreeMap::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            described.insert((path.clone(), method.to_uppercase()), operation.clone());
        }
    }
    let rows = routes::rows();
    let table: BTreeSet<_> = rows.iter().map(|row| (row.path.to_owned(), row.method.to_string())).collect();
    assert_eq!(table.len(), rows.len(), "no row stands twice");
    assert_eq!(described.keys().cloned().collect::<BTreeSet<_>>(), table);
    for row in &rows {
        let operation = &described[&(row.path.to_owned(), row.method.to_string())];
        let needs_token = operation["security"].as_array().is_some_and(|list| !list.is_empty());
        assert_eq!(needs_token, row.policy == Policy::Visitor, "{} {}", row.method, row.path);
        let status = |code: &str| operation["responses"].as_object().is_some_and(|codes| codes.contains_key(code));
        assert_eq!(status("401"), row.policy == Policy::Visitor, "{} {}", row.method, row.path);
        assert_eq!(status("403") && status("429"), row.policy != Policy::Public, "{} {}", row.method, row.path);
    }
    let written = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    let written = std::fs::read_to_string(written).expect("docs/openapi.json is committed");
    assert!(written == chatward::openapi::text(), "docs/openapi.json is not up to date; run `./check generate`");
    let world = World::start().await;
    assert_eq!(world.get("/openapi.json").await.text(), written);
}

#[tokio::test]
async fn a_method_that_an_address_does_not_take_gets_405_with_those_it_takes() {
    let world = World::builder().set("limits.api_requests", 1000).start().await;
    let mut methods: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for row in routes::rows() {
        methods.entry(row.path).or_default().insert(row.method.to_string());
    }
    for (path, taken) in methods {
        let concrete = path.replace("{site}", "x").replace("{folder}/{file}", "embed/app.js");
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"] {
            if taken.contains(method) {
                continue;
            }
            let reply = world.call(Method::from_bytes(method.as_bytes()).expect("a method"), &concrete).send().await;
            assert_refused(&reply, 405, &format!("{method} {path}"));
            assert_eq!(reply.code(), "method_not_allowed");
            let allowed = reply.header("allow").split(',').map(|method| method.trim().to_owned());
            let allowed: BTreeSet<String> = allowed.filter(|method| method != "HEAD").collect();
            assert_eq!(allowed, taken, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn an_address_that_is_not_in_the_table_gets_404_in_the_one_shape() {
    let world = World::start().await;
    for path in
        ["/", "/api", "/api/v1/", "/api/v1/widget/sessions/", "/admin", "/metrics", "/.env", "/docs/../docs", "/%2e%2e"]
    {
        for method in [Method::GET, Method::POST] {
            let reply = world.call(method, path).send().await;
            assert_refused(&reply, 404, path);
            assert_eq!(reply.code(), "not_found", "{path}");
            assert_eq!(reply.header("content-type"), "application/json");
        }
    }
}
