//! Which pages may call: what a preflight grants, what a page of a stranger gets, and that each site has its own.

#![expect(clippy::expect_used, reason = "helpers of tests fail by panicking, as tests do")]

use crate::wire;
use crate::world::{QUESTION, SHOP, STRANGER, Visitor, World};
use chatward::config::{Config, Overrides};
use chatward::ops::sites;
use chatward::routes::{self, Policy};
use chatward_store::SiteRow;
use chatward_types::Scope;
use http::{Method, StatusCode};
use std::collections::BTreeMap;

const SESSION: &str = "/api/v1/widget/session";
/// What looks like the shop's origin and is not it.
const LOOK_ALIKES: [&str; 12] = [
    "https://shop.test",
    "http://shop.test:8080",
    "http://shop.test.evil.test",
    "http://evilshop.test",
    "http://shop.test/",
    "HTTP://SHOP.TEST",
    "http://shop.test http://stranger.test",
    "http://*.test",
    "*",
    "shop.test",
    "null",
    STRANGER,
];

async fn add_site(world: &World, url: &str) -> SiteRow {
    sites::add(&world.app, &Scope::of(world.app.owner), url, None, &[]).await.expect("a site")
}

/// Every state-changing row, called with the visitor's good token and a good body.
async fn change(world: &World, visitor: &Visitor, row: &routes::Row, headers: &[(&str, &str)]) -> crate::world::Reply {
    let mut call = world.by(visitor, row.method.clone(), row.path).without("origin");
    if *row.method != Method::DELETE {
        call = call.json(&world.good_body(row, "msg_x"));
    }
    for (name, value) in headers {
        call = call.another_header(name, value);
    }
    call.send().await
}

#[tokio::test]
async fn a_preflight_of_a_known_page_is_answered_with_200_and_an_exact_grant() {
    let world = World::builder().set("cors.allowed_origins", "https://portal.test").start().await;
    for origin in [SHOP, "http://www.shop.test", "https://portal.test", &world.own_origin()] {
        let reply = world
            .call(Method::OPTIONS, "/api/v1/widget/messages")
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization,content-type")
            .send()
            .await;
        assert_eq!(reply.status, StatusCode::OK);
        assert_eq!(reply.header("access-control-allow-origin"), origin);
        assert_eq!(reply.header("access-control-allow-methods"), "GET, POST, DELETE");
        assert_eq!(reply.header("access-control-allow-headers"), "authorization, content-type");
        assert!(!reply.headers.contains_key("access-control-allow-credentials"));
        assert!(reply.header("vary").contains("Origin"));
        assert!(reply.body.is_empty());
    }
}

#[tokio::test]
async fn a_preflight_of_a_strange_page_is_answered_with_200_and_no_grant() {
    let world = World::start().await;
    for origin in LOOK_ALIKES {
        let call = world.call(Method::OPTIONS, SESSION).header("origin", origin);
        let reply = call.header("access-control-request-method", "DELETE").send().await;
        assert_eq!(reply.status, StatusCode::OK, "{origin}");
        assert!(reply.headers.keys().all(|name| !name.as_str().starts_with("access-control-")), "{origin}: {reply:?}");
        assert!(reply.header("vary").contains("Origin"));
    }
    assert!(world.has_event("CORS_BLOCKED"));
}

#[tokio::test]
async fn the_answer_to_a_known_page_grants_that_page_alone_and_never_credentials() {
    let world = World::start().await;
    let visitor = world.visitor().await;
    for origin in [SHOP, &world.own_origin()] {
        let reply = world.by(&visitor, Method::GET, SESSION).header("origin", origin).send().await;
        assert_eq!((reply.status, reply.header("access-control-allow-origin")), (StatusCode::OK, origin));
        assert!(!reply.headers.contains_key("access-control-allow-credentials"));
    }
    // Its own page must be able to read a refusal, too.
    let refused = world.call(Method::GET, SESSION).header("origin", SHOP).send().await;
    assert_eq!((refused.status, refused.header("access-control-allow-origin")), (StatusCode::UNAUTHORIZED, SHOP));
}

#[tokio::test]
async fn every_change_from_a_strange_page_is_refused_and_logged_even_with_a_good_token() {
    let world = World::builder().set("limits.per_minute", 1000).start().await;
    let visitor = world.visitor().await;
    // Keys are no browser's; pages may read why they get no ticket (see `tickets`).
    let changing =
        |row: &routes::Row| *row.method != Method::GET && matches!(row.policy, Policy::SiteOrigin | Policy::Visitor);
    let rows: Vec<_> = routes::rows().into_iter().filter(changing).collect();
    assert_eq!(rows.len(), 5);
    let mut refused = 0;
    for row in &rows {
        for origin in LOOK_ALIKES {
            let reply = change(&world, &visitor, row, &[("origin", origin)]).await;
            assert_eq!(
                (reply.status, reply.code().as_str()),
                (StatusCode::FORBIDDEN, "origin_not_allowed"),
                "{origin}"
            );
            assert!(!reply.headers.contains_key("access-control-allow-origin"), "{origin}");
            refused += 1;
        }
        let two = [("origin", SHOP), ("origin", STRANGER)];
        assert_eq!(change(&world, &visitor, row, &two).await.status, StatusCode::FORBIDDEN);
        for site in ["cross-site", "same-site", "sideways"] {
            let reply = change(&world, &visitor, row, &[("sec-fetch-site", site)]).await;
            assert_eq!(reply.status, StatusCode::FORBIDDEN, "an origin that is hidden: {site}");
        }
        refused += 4;
    }
    assert_eq!(wire::count_of(&world, "CORS_BLOCKED"), refused);
    let state = world.by(&visitor, Method::GET, SESSION).send().await;
    assert_eq!(state.status, StatusCode::OK, "it was not deleted");
    assert_eq!(state.json()["messages"], serde_json::json!([]), "nothing was asked");
}

#[tokio::test]
async fn a_strange_page_is_told_so_before_its_credential_is_looked_at() {
    let world = World::start().await;
    for token in ["", "Bearer x"] {
        let call = world.call(Method::POST, "/api/v1/widget/messages").header("origin", STRANGER);
        let reply = call.header("authorization", token).json(&serde_json::json!({ "message": "Hello" })).send().await;
        assert_eq!((reply.status, reply.code().as_str()), (StatusCode::FORBIDDEN, "origin_not_allowed"));
    }
    assert_eq!(world.events(), ["CONFIGURATION_CHANGED", "CORS_BLOCKED", "CORS_BLOCKED"]);
}

#[tokio::test]
async fn a_body_that_does_not_call_itself_json_is_refused() {
    let world = World::start().await;
    let visitor = world.visitor().await;
    let body = serde_json::json!({ "message": QUESTION }).to_string();
    let ask = || world.by(&visitor, Method::POST, "/api/v1/widget/messages").body(body.clone());
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "text/json",
        "application/jsonp",
        "text/plain; application/json",
        "",
    ] {
        let reply = ask().header("content-type", kind).send().await;
        assert_eq!((reply.status, reply.code().as_str()), (StatusCode::BAD_REQUEST, "not_json"), "{kind}");
    }
    assert_eq!(ask().send().await.code(), "not_json", "no type at all");
    let two = ask().header("content-type", "application/json").another_header("content-type", "text/plain");
    assert_eq!(two.send().await.code(), "not_json");
    for kind in ["application/json", "Application/JSON; charset=utf-8"] {
        assert_eq!(ask().header("content-type", kind).send().await.status, StatusCode::OK, "{kind}");
    }
}

#[tokio::test]
async fn a_session_starts_only_from_the_sites_own_origins() {
    let world = World::start().await;
    let other = add_site(&world, "http://cafe.test/").await;
    let begin = async |site: &SiteRow, origin: &str| {
        let call = world.call(Method::POST, "/api/v1/widget/sessions").header("origin", origin);
        call.json(&serde_json::json!({ "site": site.publishable_key })).send().await
    };
    assert_eq!(begin(&world.site, SHOP).await.status, StatusCode::CREATED);
    assert_eq!(begin(&other, "http://cafe.test").await.status, StatusCode::CREATED);
    for (site, origin) in [(&other, SHOP), (&world.site, "http://cafe.test")] {
        let reply = begin(site, origin).await;
        assert_eq!((reply.status, reply.code().as_str()), (StatusCode::FORBIDDEN, "origin_not_allowed"));
        assert_eq!(reply.header("access-control-allow-origin"), "");
    }
    let visitor = world.visitor().await;
    let elsewhere = world.by(&visitor, Method::GET, SESSION).header("origin", "http://cafe.test").send().await;
    assert_eq!(elsewhere.status, StatusCode::FORBIDDEN, "a token holds on its own page");
    assert!(elsewhere.text().contains("origin_not_allowed"));

    // An origin that is taken from the site is cut off at once, with the tokens that were minted for it.
    let scope = Scope::of(world.app.owner);
    let mut row = world.app.store.get_site(&scope, world.site.id).await.expect("the store").expect("the site");
    row.origins = vec!["http://new.test".to_owned()];
    sites::update(&world.app, &scope, &row).await.expect("a change");
    assert_eq!(world.begin(SHOP).await.status, StatusCode::FORBIDDEN);
    assert_eq!(world.begin("http://new.test").await.status, StatusCode::CREATED);
    assert_eq!(world.by(&visitor, Method::GET, SESSION).send().await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn the_frame_is_embedded_by_the_sites_origins_alone() {
    let world = World::builder().set("cors.allowed_origins", "https://portal.test").start().await;
    let other = add_site(&world, "http://cafe.test/").await;
    let ancestors = async |site: &SiteRow| {
        let reply = world.get(&format!("/embed/{}", site.publishable_key)).await;
        assert_eq!(reply.status, StatusCode::OK);
        let policy = reply.header("content-security-policy").to_owned();
        policy.split("frame-ancestors ").nth(1).unwrap_or_default().to_owned()
    };
    assert_eq!(ancestors(&world.site).await, "http://shop.test http://www.shop.test");
    assert_eq!(ancestors(&other).await, "http://cafe.test http://www.cafe.test");
    let scope = Scope::of(world.app.owner);
    let mut row = world.app.store.get_site(&scope, other.id).await.expect("the store").expect("the site");
    row.origins = Vec::new();
    sites::update(&world.app, &scope, &row).await.expect("a change");
    assert_eq!(ancestors(&other).await, "'none'");
}

#[test]
fn a_wildcard_is_no_origin_in_any_environment() {
    for text in ["*", "https://*.shop.test", "[\"*\"]"] {
        for environment in ["development", "production"] {
            let variables = BTreeMap::from([
                ("ALLOWED_ORIGINS".to_owned(), text.to_owned()),
                ("CHATWARD_ENVIRONMENT".to_owned(), environment.to_owned()),
            ]);
            let error = Config::load(None, &variables, &Overrides::default()).expect_err("a refusal").to_string();
            assert!(error.contains("cors.allowed_origins"), "{error}");
        }
    }
}
