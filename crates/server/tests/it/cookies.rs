//! Cookie mode, on the real router: what is set, what counts, and who may not make a browser use it.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use crate::people::{PASSWORD, Tokens, roomy};
use crate::world::{Call, QUESTION, Reply, SHOP, STRANGER, World};
use chatward::routes::{self, Policy, Row};
use chatward_types::{MINUTE, OwnerId, Role};
use http::{Method, StatusCode};
use serde_json::{Value, json};

const ACCESS: &str = "__Host-chatward_access";
const REFRESH: &str = "__Host-chatward_refresh";
const ATTRIBUTES: &str = "Path=/; HttpOnly; Secure; SameSite=Strict";
/// What the configuration allows beside our own pages.
const ALLOWED: &str = "https://partner.test";

/// Header fields of a request.
type Fields<'a> = &'a [(&'a str, &'a str)];

/// The value of a cookie that a reply sets, whose attributes are exactly ours.
fn set_by(reply: &Reply, name: &str, seconds: i64) -> String {
    let fields: Vec<&str> = reply.headers.get_all("set-cookie").iter().map(|field| field.to_str().unwrap()).collect();
    assert_eq!(fields.len(), 2, "{fields:?}");
    let field = fields.iter().find(|field| field.starts_with(&format!("{name}="))).unwrap();
    let (pair, attributes) = field.split_once("; ").unwrap();
    assert_eq!(attributes, format!("Max-Age={seconds}; {ATTRIBUTES}"));
    assert_eq!(reply.header("cache-control"), "no-store");
    pair.split_once('=').unwrap().1.to_owned()
}

/// The tokens in the cookies of a login, of which the body has none.
fn tokens_of(reply: &Reply) -> Tokens {
    assert!(reply.status.is_success(), "{}", reply.text());
    let tokens = Tokens { access: set_by(reply, ACCESS, 1800), refresh: set_by(reply, REFRESH, 30 * 86_400) };
    assert!(!reply.text().contains(&tokens.access) && !reply.text().contains(&tokens.refresh));
    let body = reply.json();
    let names: Vec<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, ["access_expires_at", "refresh_expires_at"]);
    tokens
}

fn cookie(name: &str, value: &str) -> String {
    format!("{name}={value}")
}

fn by_mode(mut body: Value) -> Value {
    body["mode"] = json!("cookie");
    body
}

impl World {
    /// A request as a browser on our own pages sends it, with this cookie among others.
    fn in_browser(&self, pair: &str, method: Method, path: &str) -> Call {
        let call = self.call(method, path).header("origin", &self.own_origin()).header("sec-fetch-site", "same-origin");
        call.header("cookie", &format!("theme=dark; {pair}; lang=de"))
    }
}

#[tokio::test]
async fn cookies_have_every_attribute_and_the_body_has_no_token() {
    for engine in World::ENGINES {
        let world = roomy().engine(engine).start().await;
        let token = world.setup_token().await;
        let first =
            json!({ "token": token, "email": "ann@example.test", "password": PASSWORD, "full_name": "Ann Example" });
        let ann = tokens_of(&world.post("/api/v1/auth/setup", &by_mode(first)).await);
        let body = json!({ "email": "new@example.test", "role": "viewer" });
        let invited = world.in_browser(&cookie(ACCESS, &ann.access), Method::POST, "/api/v1/invitations");
        let token = invited.json(&body).send().await.json()["token"].as_str().unwrap().to_owned();
        let body = json!({ "token": token, "password": PASSWORD, "full_name": "New Person" });
        tokens_of(&world.post("/api/v1/auth/accept", &by_mode(body)).await);
        let body = json!({ "email": "ann@example.test", "password": PASSWORD });
        let one = tokens_of(&world.post("/api/v1/auth/login", &by_mode(body.clone())).await);
        assert!(world.post("/api/v1/auth/login", &body).await.headers.get("set-cookie").is_none(), "only when asked");

        // Whatever the body says: what came in a cookie never goes out in a body.
        let refresh =
            |pair: &str, body: &str| world.in_browser(pair, Method::POST, "/api/v1/auth/refresh").raw_json(body).send();
        let two = tokens_of(&refresh(&cookie(REFRESH, &one.refresh), "{}").await);
        let three = tokens_of(&refresh(&cookie(REFRESH, &two.refresh), r#"{"mode":"token"}"#).await);
        let moved = world.post("/api/v1/auth/refresh", &by_mode(json!({ "refresh_token": three.refresh }))).await;
        let four = tokens_of(&moved);

        let me = async |access: &str| {
            world.in_browser(&cookie(ACCESS, access), Method::GET, "/api/v1/auth/me").send().await.status.as_u16()
        };
        assert_eq!(me(&four.access).await, 200);
        let out = world.in_browser(&cookie(ACCESS, &four.access), Method::POST, "/api/v1/auth/logout").send().await;
        assert_eq!(out.status, StatusCode::NO_CONTENT);
        assert_eq!((set_by(&out, ACCESS, 0), set_by(&out, REFRESH, 0)), (String::new(), String::new()));
        assert_eq!(me(&four.access).await, 401);
        assert_eq!(refresh(&cookie(REFRESH, &four.refresh), "{}").await.code(), "refresh_invalid");
        let by_bearer = world.with(&ann.access, Method::POST, "/api/v1/auth/logout").send().await;
        assert!(by_bearer.headers.get("set-cookie").is_none());
    }
}

async fn ask(world: &World, row: &Row, pair: &str, headers: &[(&str, &str)]) -> Reply {
    let headers = [&[("cookie", pair)], headers].concat();
    crate::policies::call(world, row, "", &headers).await
}

fn is_of_people(row: &Row) -> bool {
    matches!(row.policy, Policy::User(_) | Policy::Manage(..) | Policy::Enrolment)
}

/// Whether the guard let it in, whatever the operation then said of a login that is not there or a factor nobody has.
fn let_in(reply: &Reply) -> bool {
    reply.status.is_success() || reply.status == StatusCode::NOT_FOUND || reply.code() == "no_second_factor"
}

#[tokio::test]
async fn a_cookie_counts_from_our_own_pages_alone() {
    let world = roomy().set("cors.allowed_origins", ALLOWED).start().await;
    // Whoever calls may leave, because there is another owner.
    world.user("keeper@example.test", Role::Owner).await;
    let user = world.user("owner@example.test", Role::Owner).await;
    let own = world.own_origin();
    let own = ("origin", own.as_str());
    let same = ("sec-fetch-site", "same-origin");
    // (what the browser says, whether it may read, whether it may change)
    let matrix: [(Fields<'_>, bool, bool); 15] = [
        (&[own, same], true, true),
        (&[own], true, true),
        (&[same], true, true),
        (&[], true, false),
        (&[("sec-fetch-site", "none")], true, false),
        (&[("sec-fetch-site", "same-site")], false, false),
        (&[("sec-fetch-site", "cross-site")], false, false),
        (&[("origin", "null")], false, false),
        (&[("origin", "null"), same], false, false),
        (&[("origin", STRANGER)], false, false),
        (&[("origin", SHOP)], false, false),
        (&[("origin", ALLOWED)], false, false),
        (&[("origin", ALLOWED), same], false, false),
        (&[own, ("sec-fetch-site", "cross-site")], false, false),
        (&[own, ("sec-fetch-site", "same-site")], false, false),
    ];
    let mut methods = std::collections::BTreeSet::new();
    for row in routes::rows().iter().filter(|row| is_of_people(row)) {
        methods.insert(row.method.to_string());
        for (headers, reads, changes) in matrix {
            // Each has a login of its own, since some rows end it, and an account that is there: some remove it.
            let pair = cookie(ACCESS, &world.access_again(world.app.owner, &user).await);
            let reply = ask(&world, row, &pair, headers).await;
            let what = format!("{} {} with {headers:?}: {}", row.method, row.path, reply.text());
            let may = if *row.method == Method::GET { reads } else { changes };
            if may {
                assert!(let_in(&reply), "{what}");
            } else {
                assert_eq!(reply.status, StatusCode::FORBIDDEN, "{what}");
                assert!(["cookie_from_elsewhere", "origin_not_allowed"].contains(&reply.code().as_str()), "{what}");
                assert_eq!(reply.header("access-control-allow-origin"), "", "{what}");
            }
            assert!(reply.headers.get("access-control-allow-credentials").is_none(), "{what}");
        }
    }
    assert_eq!(methods.into_iter().collect::<Vec<_>>(), ["DELETE", "GET", "PATCH", "POST", "PUT"]);
    for (headers, _, changes) in matrix {
        let login = by_mode(json!({ "email": "owner@example.test", "password": PASSWORD }));
        let tokens = tokens_of(&world.post("/api/v1/auth/login", &login).await);
        let mut call =
            world.call(Method::POST, "/api/v1/auth/refresh").header("cookie", &cookie(REFRESH, &tokens.refresh));
        for (name, value) in headers {
            call = call.header(name, value);
        }
        let reply = call.raw_json("{}").send().await;
        assert_eq!(reply.status.as_u16(), if changes { 200 } else { 403 }, "a refresh with {headers:?}");
        assert_eq!(reply.headers.contains_key("set-cookie"), changes);
    }
}

#[tokio::test]
async fn a_cookie_that_does_not_hold_is_refused_as_a_token_is() {
    let world = roomy().start().await;
    let user = world.user("owner@example.test", Role::Owner).await;
    let other = OwnerId::generate(world.app.clock.as_ref(), world.app.entropy.as_ref()).unwrap();
    world.app.store.insert_owner(other, "another", world.app.clock.now()).await.unwrap();
    let stranger = world.user_of(other, "theirs@example.test", Role::Owner).await;
    let expired = world.access(world.app.owner, &user).await;
    world.clock.advance(30 * MINUTE);
    let ended = world.access(world.app.owner, &user).await;
    world.with(&ended, Method::POST, "/api/v1/auth/logout").send().await;
    let good = world.access(world.app.owner, &user).await;
    let login = by_mode(json!({ "email": "owner@example.test", "password": PASSWORD }));
    let refresh = tokens_of(&world.post("/api/v1/auth/login", &login).await).refresh;
    let visitor = world.visitor().await;
    let own = world.own_origin();
    let from_ours = [("origin", own.as_str()), ("sec-fetch-site", "same-origin")];
    for row in routes::rows().iter().filter(|row| is_of_people(row)) {
        for (who, pair) in [
            ("expired", cookie(ACCESS, &expired)),
            ("ended", cookie(ACCESS, &ended)),
            ("a refresh token", cookie(ACCESS, &refresh)),
            ("a visitor's token", cookie(ACCESS, &visitor.token)),
            ("a publishable key", cookie(ACCESS, &world.site.publishable_key)),
            ("nothing", cookie(ACCESS, "")),
            ("quoted", format!("{ACCESS}=\"{good}\"")),
            ("two of the name", format!("{ACCESS}={good}; {ACCESS}={good}")),
            ("one that ended and one that holds", format!("{ACCESS}={ended}; {ACCESS}={good}")),
        ] {
            let reply = ask(&world, row, &pair, &from_ours).await;
            let what = format!("{} {} by {who}: {}", row.method, row.path, reply.text());
            assert_eq!((reply.status.as_u16(), reply.code().as_str()), (401, "token_invalid"), "{what}");
        }
        for name in ["chatward_access", "__host-chatward_access", "__Secure-chatward_access", REFRESH] {
            let reply = ask(&world, row, &cookie(name, &good), &from_ours).await;
            assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{} {} by {name}", row.method, row.path);
        }
        let theirs = cookie(ACCESS, &world.access_again(other, &stranger).await);
        let reply = ask(&world, row, &theirs, &from_ours).await;
        let what = format!("{} {} by another owner's user: {}", row.method, row.path, reply.text());
        assert!(!reply.text().contains(&world.site.publishable_key), "{what}");
        assert!(!row.path.contains('{') || reply.status == StatusCode::NOT_FOUND, "{what}");
    }
    let split = world.call(Method::GET, "/api/v1/auth/me").header("cookie", &cookie(ACCESS, &good));
    let split = split.another_header("cookie", &cookie(ACCESS, &good)).send().await;
    assert_eq!(split.status, StatusCode::UNAUTHORIZED, "two in two fields");
}

#[tokio::test]
async fn a_bearer_counts_and_the_cookie_beside_it_does_not() {
    let world = roomy().start().await;
    let ann = world.user("ann@example.test", Role::Owner).await;
    let bob = world.user("bob@example.test", Role::Viewer).await;
    let (hers, his) = (world.access(world.app.owner, &ann).await, world.access(world.app.owner, &bob).await);
    let both = |bearer: &str, path: &str, method: Method| {
        let call = world.call(method, path).header("authorization", bearer);
        call.header("cookie", &cookie(ACCESS, &hers))
    };
    let me = both(&format!("Bearer {his}"), "/api/v1/auth/me", Method::GET).send().await;
    assert_eq!(me.json()["email"], "bob@example.test");
    for bearer in ["Bearer x", "Basic x", "Bearer", ""] {
        let reply = both(bearer, "/api/v1/auth/me", Method::GET).send().await;
        assert_eq!(reply.code(), "token_invalid", "{bearer}: a cookie does not mend a token");
    }
    let key = world.key().await;
    let path = format!("/api/v1/sites/{}", world.site.id);
    let program = both(&format!("Bearer {key}"), &path, Method::PATCH).json(&json!({ "name": "Tea" })).send().await;
    assert_eq!(program.status, StatusCode::OK, "a program's key as well, from wherever: {}", program.text());
    let no_page = both(&format!("Bearer {his}"), "/api/v1/account/sessions", Method::GET).send().await;
    assert_eq!(no_page.status, StatusCode::OK);
}

#[tokio::test]
async fn no_route_of_visitors_knows_a_cookie() {
    let world = roomy().set("limits.per_minute", 1000).start().await;
    let user = world.user("owner@example.test", Role::Owner).await;
    let visitor = world.visitor().await;
    let message = world.ask(&visitor, QUESTION).await.json()["message_id"].as_str().unwrap().to_owned();
    let access = world.access(world.app.owner, &user).await;
    let own = world.own_origin();
    for row in routes::rows().iter().filter(|row| !is_of_people(row) && row.policy != Policy::SignIn) {
        for value in [access.as_str(), &visitor.token] {
            for origin in [own.as_str(), SHOP] {
                let pair = cookie(ACCESS, value);
                let send = |with: bool| {
                    let call = world.call(row.method.clone(), &world.concrete(row.path)).header("origin", origin);
                    let call = if with { call.header("cookie", &pair) } else { call };
                    let body = world.good_body(row, &message);
                    if body.is_null() { call.send() } else { call.json(&body).send() }
                };
                let (with, without) = (send(true).await, send(false).await);
                let what = format!("{} {} on {origin}", row.method, row.path);
                assert_eq!((with.status, with.code()), (without.status, without.code()), "{what}");
                assert!(row.policy != Policy::Visitor || with.code() == "session_invalid", "{what}");
                assert!(with.headers.get("set-cookie").is_none(), "{what}");
            }
        }
    }
}
