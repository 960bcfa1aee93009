//! WebSockets opened by the cookie of a login (AUTH-09, AUTH-12, LOG-09): from exactly our own origin, as long as it holds,
//! and by nobody else's page.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use crate::frames::{DEVICE, EVENTS, Heard, Ws, sockets_world};
use crate::people::PASSWORD;
use crate::wire::{count_of, until};
use crate::world::{Reply, SHOP, STRANGER, World};
use chatward_types::{MINUTE, OwnerId, Role};
use http::{Method, StatusCode};
use serde_json::json;

const ACCESS: &str = "__Host-chatward_access";
/// What the configuration allows beside our own pages.
const ALLOWED: &str = "https://partner.test";

impl World {
    /// The access cookie of a new login, as a browser sends it back.
    async fn cookie_of(&self, email: &str) -> String {
        let body = json!({ "email": email, "password": PASSWORD, "mode": "cookie" });
        let reply = self.post("/api/v1/auth/login", &body).await;
        assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text());
        let fields = reply.headers.get_all("set-cookie").iter().map(|field| field.to_str().unwrap());
        let field = fields.into_iter().find(|field| field.starts_with(ACCESS)).unwrap();
        field.split(';').next().unwrap().to_owned()
    }

    /// Opens the live view as a page of ours does in a browser.
    async fn open_by_cookie(&self, cookie: &str) -> Result<Ws, Reply> {
        let own = self.own_origin();
        self.open_socket(EVENTS, &[("origin", &own), ("cookie", &format!("theme=dark; {cookie}"))]).await
    }
}

fn refusal(opened: Result<Ws, Reply>) -> (u16, String) {
    opened.err().map_or((101, "let in".to_owned()), |reply| (reply.status.as_u16(), reply.code()))
}

#[tokio::test]
async fn the_cookie_of_a_login_opens_the_live_view_of_its_owner_from_our_own_page() {
    for engine in World::ENGINES {
        let world = sockets_world().engine(engine).start().await;
        world.user("admin@example.test", Role::Admin).await;
        let another = OwnerId::generate(world.app.clock.as_ref(), world.app.entropy.as_ref()).unwrap();
        world.app.store.insert_owner(another, "another", 0).await.unwrap();
        world.user_of(another, "theirs@example.test", Role::Owner).await;
        let cookie = world.cookie_of("admin@example.test").await;
        let own = world.own_origin();
        let said = [("origin", own.as_str()), ("sec-fetch-site", "same-origin"), ("cookie", cookie.as_str())];
        let mut page = world.open_socket(EVENTS, &said).await.ok().unwrap();
        page.expect("ready").await;
        page.say(&json!({ "type": "filter", "name": "LOGIN_SUCCEEDED" })).await;
        page.expect("filtered").await;
        let mut theirs = world.open_by_cookie(&world.cookie_of("theirs@example.test").await).await.ok().unwrap();
        theirs.expect("ready").await;
        theirs.say(&json!({ "type": "filter", "name": "LOGIN_SUCCEEDED" })).await;
        theirs.expect("filtered").await;
        let seen = async |socket: &mut Ws, owner: OwnerId| {
            let event = socket.expect("event").await["event"].clone();
            assert_eq!(event["owner"], json!(owner.to_string()), "{event}");
        };
        // A login of each: whoever saw another's would see it first, or second.
        world.cookie_of("theirs@example.test").await;
        world.cookie_of("admin@example.test").await;
        seen(&mut page, world.app.owner).await;
        seen(&mut theirs, another).await;
        assert!(page.is_alive().await && theirs.is_alive().await);
    }
}

#[tokio::test]
async fn a_cookie_opens_no_socket_for_another_origin_or_for_none() {
    let world = sockets_world().set("cors.allowed_origins", ALLOWED).start().await;
    world.user("admin@example.test", Role::Owner).await;
    let cookie = world.cookie_of("admin@example.test").await;
    let own = world.own_origin();
    let (shouting, longer, slash) =
        (own.to_ascii_uppercase(), format!("{own}.stranger.test"), format!("{}/", own.as_str()));
    let own = own.as_str();
    let foreign: [(&[(&str, &str)], &str); 13] = [
        (&[("origin", STRANGER)], "origin_not_allowed"),
        (&[("origin", SHOP)], "origin_not_allowed"),
        (&[("origin", ALLOWED)], "origin_not_allowed"),
        (&[("origin", "null")], "origin_not_allowed"),
        (&[("origin", "")], "origin_not_allowed"),
        (&[("origin", &shouting)], "origin_not_allowed"),
        (&[("origin", &longer)], "origin_not_allowed"),
        (&[("origin", &slash)], "origin_not_allowed"),
        (&[("origin", own), ("origin", own)], "origin_not_allowed"),
        (&[("origin", own), ("sec-fetch-site", "cross-site")], "origin_not_allowed"),
        (&[("origin", own), ("sec-fetch-site", "same-site")], "origin_not_allowed"),
        (&[("sec-fetch-site", "same-origin")], "origin_not_allowed"),
        (&[], "cookie_from_elsewhere"),
    ];
    let blocked = count_of(&world, "CORS_BLOCKED");
    for (headers, code) in foreign {
        let headers = [headers, &[("cookie", cookie.as_str())]].concat();
        assert_eq!(refusal(world.open_socket(EVENTS, &headers).await), (403, code.to_owned()), "{headers:?}");
    }
    assert_eq!(count_of(&world, "CORS_BLOCKED") - blocked, 13, "each is told");
    assert_eq!(count_of(&world, "WEBSOCKET_OPENED"), 0);
    assert!(world.open_by_cookie(&cookie).await.is_ok());
}

#[tokio::test]
async fn a_bearer_beside_a_cookie_is_the_one_that_counts() {
    let world = sockets_world().start().await;
    let admin = world.user("admin@example.test", Role::Admin).await;
    let member = world.user("member@example.test", Role::Member).await;
    let cookie = world.cookie_of("admin@example.test").await;
    let own = world.own_origin();
    let good = format!("Bearer {}", world.access(world.app.owner, &admin).await);
    let lesser = format!("Bearer {}", world.access(world.app.owner, &member).await);
    let both = async |bearer: &str, cookie: &str| {
        world.open_socket(EVENTS, &[("origin", &own), ("authorization", bearer), ("cookie", cookie)]).await
    };
    for bad in ["Bearer a.b.c", "Bearer", "Basic eDp5", ""] {
        assert_eq!(refusal(both(bad, &cookie).await), (401, "token_invalid".to_owned()), "{bad}");
    }
    assert_eq!(refusal(both(&lesser, &cookie).await), (403, "role_insufficient".to_owned()));
    both(&good, &format!("{ACCESS}=a.b.c")).await.ok().unwrap().expect("ready").await;
    // A program that has a token needs no origin, whatever cookie lies beside it.
    let program = [("authorization", good.as_str()), ("cookie", cookie.as_str())];
    world.open_socket(EVENTS, &program).await.ok().unwrap().expect("ready").await;
}

#[tokio::test]
async fn a_cookie_that_does_not_hold_is_refused_at_the_upgrade_and_no_first_frame_is_waited_for() {
    let world = sockets_world().start().await;
    world.user("admin@example.test", Role::Admin).await;
    world.user("member@example.test", Role::Member).await;
    let expired = world.cookie_of("admin@example.test").await;
    world.clock.advance(31 * MINUTE);
    let out = world.cookie_of("admin@example.test").await;
    let own = world.own_origin();
    let leaving = world.call(Method::POST, "/api/v1/auth/logout").header("origin", &own).header("cookie", &out);
    assert_eq!(leaving.send().await.status, StatusCode::NO_CONTENT);
    let good = world.cookie_of("admin@example.test").await;
    for (what, cookie) in [
        ("expired", expired.clone()),
        ("logged out", out.clone()),
        ("two of them", format!("{good}; {good}")),
        ("nonsense", format!("{ACCESS}=x")),
        ("empty", format!("{ACCESS}=")),
        ("the visitor's", format!("{ACCESS}={}", world.visitor().await.token)),
        ("too long", format!("{good}{}", "A".repeat(9000))),
    ] {
        assert_eq!(refusal(world.open_by_cookie(&cookie).await), (401, "token_invalid".to_owned()), "{what}");
    }
    let member = world.cookie_of("member@example.test").await;
    assert_eq!(refusal(world.open_by_cookie(&member).await), (403, "role_insufficient".to_owned()));
    assert_eq!(count_of(&world, "WEBSOCKET_OPENED"), 0);
    assert!(world.open_by_cookie(&good).await.is_ok());
}

#[tokio::test]
async fn whoever_must_have_a_second_factor_first_opens_nothing_by_cookie() {
    let world = sockets_world().set("accounts.second_factor", "admins").start().await;
    world.user("admin@example.test", Role::Admin).await;
    let cookie = world.cookie_of("admin@example.test").await;
    assert_eq!(refusal(world.open_by_cookie(&cookie).await), (403, "second_factor_required".to_owned()));
}

#[tokio::test]
async fn logging_out_ends_the_sockets_of_that_cookie_and_no_others() {
    let world = sockets_world().start().await;
    world.user("admin@example.test", Role::Admin).await;
    let (one, other) = (world.cookie_of("admin@example.test").await, world.cookie_of("admin@example.test").await);
    let mut first = world.open_by_cookie(&one).await.ok().unwrap();
    let mut second = world.open_by_cookie(&other).await.ok().unwrap();
    first.expect("ready").await;
    second.expect("ready").await;
    let leaving = world.call(Method::POST, "/api/v1/auth/logout").header("origin", &world.own_origin());
    assert_eq!(leaving.header("cookie", &one).send().await.status, StatusCode::NO_CONTENT);
    world.app.sockets.wake_all();
    assert_eq!(first.close_code().await, 1008);
    assert!(second.is_alive().await);
    world.clock.advance(31 * MINUTE);
    world.app.sockets.wake_all();
    assert_eq!(second.close_code().await, 4001, "at the end of its token");
    until(|| world.app.sockets.open() == 0).await;
}

#[tokio::test]
async fn no_socket_of_devices_knows_a_cookie() {
    let world = sockets_world().set("sockets.first_frame_timeout", "100ms").start().await;
    let (_, token) = world.device("terminal-1").await;
    world.user("admin@example.test", Role::Owner).await;
    for cookie in [format!("{ACCESS}={token}"), world.cookie_of("admin@example.test").await] {
        let mut socket = world.open_socket(DEVICE, &[("cookie", &cookie)]).await.ok().unwrap();
        assert!(matches!(socket.hear().await, Heard::Text(told) if told["type"] == "error"));
        assert_eq!(socket.close_code().await, 1008);
        let own = world.own_origin();
        let page = world.open_socket(DEVICE, &[("origin", &own), ("cookie", &cookie)]).await;
        assert_eq!(refusal(page), (403, "origin_not_allowed".to_owned()));
    }
}
