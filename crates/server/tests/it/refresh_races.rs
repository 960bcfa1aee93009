//! Two tabs that refresh one login at once (AUTH-04): harmless for whoever is honest, and of no use to a thief.

use crate::people::{PASSWORD, Tokens, roomy};
use crate::world::{Reply, World};
use chatward_store::Engine;
use chatward_types::{Role, SECOND};
use http::{Method, StatusCode};
use serde_json::json;

const HERE: (&str, &str) = ("192.0.2.7", "a browser");

/// A world whose clients say who they are.
async fn behind_a_proxy(engine: Engine) -> World {
    let builder = roomy().engine(engine).set("server.trusted_proxies", "127.0.0.0/8");
    let world = builder.set("server.client_address_header", "x-real-ip").start().await;
    world.user("ann@example.test", Role::Owner).await;
    world
}

async fn refresh_from(world: &World, (address, agent): (&str, &str), token: &str) -> Reply {
    let call = world.call(Method::POST, "/api/v1/auth/refresh").header("x-real-ip", address);
    call.header("user-agent", agent).json(&json!({ "refresh_token": token })).send().await
}

fn is_told_and_gets_nothing(reply: &Reply) -> bool {
    (reply.status, reply.code().as_str()) == (StatusCode::CONFLICT, "refresh_traded")
        && reply.headers.get("set-cookie").is_none()
        && !reply.text().contains("cw_rt_")
        && !reply.text().contains("access_token")
}

fn ended(reply: &Reply) -> bool {
    (reply.status, reply.code().as_str()) == (StatusCode::UNAUTHORIZED, "refresh_invalid")
}

/// Of replies to one token at once: the one that goes on, while the others are told.
fn winner(replies: &[Reply]) -> &Reply {
    let won: Vec<&Reply> = replies.iter().filter(|reply| reply.status == StatusCode::OK).collect();
    assert_eq!(won.len(), 1, "{:?}", replies.iter().map(Reply::text).collect::<Vec<_>>());
    assert_eq!(replies.iter().filter(|reply| is_told_and_gets_nothing(reply)).count(), replies.len() - 1);
    won[0]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_tabs_that_refresh_at_once_one_is_answered_and_the_login_goes_on() {
    for engine in World::ENGINES {
        let world = behind_a_proxy(engine).await;
        let mut tokens = world.tokens("ann@example.test").await;
        for turn in 0..5 {
            let tabs = (0..8).map(|_| refresh_from(&world, HERE, &tokens.refresh));
            let replies = futures_util::future::join_all(tabs).await;
            let next = Tokens::of(winner(&replies));
            assert!(world.holds(&tokens.access).await && world.holds(&next.access).await, "turn {turn}");
            tokens = next;
        }
        assert!(!world.has_event("REFRESH_REUSED"));

        // In a browser: what the one tab is answered is in the other tab's cookies.
        let own = world.own_origin();
        let body = json!({ "email": "ann@example.test", "password": PASSWORD, "mode": "cookie" });
        let login = world.post("/api/v1/auth/login", &body).await;
        let kept = |reply: &Reply| {
            let fields = reply.headers.get_all("set-cookie").iter().map(|field| field.to_str().unwrap());
            let field = fields.into_iter().find(|field| field.starts_with("__Host-chatward_refresh")).unwrap();
            field.split(';').next().unwrap().to_owned()
        };
        let by_cookie = |pair: String| {
            let call = world.call(Method::POST, "/api/v1/auth/refresh").header("origin", &own);
            call.header("cookie", &pair).raw_json("{}").send()
        };
        let pair = kept(&login);
        let replies = [by_cookie(pair.clone()), by_cookie(pair)];
        let replies = futures_util::future::join_all(replies).await;
        let again = by_cookie(kept(winner(&replies))).await;
        assert_eq!(again.status, StatusCode::OK, "the second tab's next try: {}", again.text());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_judge_a_race_alike() {
    let world = roomy().engine(Engine::Postgres).start().await;
    let other = world.another_node().await;
    world.user("ann@example.test", Role::Owner).await;
    let mut tokens = world.tokens("ann@example.test").await;
    for turn in 0..5 {
        let tabs = (0..8).map(|tab| if tab % 2 == 0 { &world } else { &other }.refresh(&tokens.refresh));
        let replies = futures_util::future::join_all(tabs).await;
        let next = Tokens::of(winner(&replies));
        assert!(world.holds(&next.access).await && other.holds(&next.access).await, "turn {turn}");
        tokens = next;
    }
    let next = Tokens::of(&other.refresh(&tokens.refresh).await);
    world.clock.advance(10 * SECOND);
    assert!(ended(&world.refresh(&tokens.refresh).await), "later it is reuse");
    assert!(!other.holds(&next.access).await);
    other.app.stop().await;
}

#[tokio::test]
async fn a_spent_token_ends_its_login_later_from_elsewhere_and_once_its_successor_was_traded() {
    for engine in World::ENGINES {
        let world = behind_a_proxy(engine).await;
        let traded = async || {
            let first = world.tokens("ann@example.test").await;
            let next = Tokens::of(&refresh_from(&world, HERE, &first.refresh).await);
            (first, next)
        };
        let (first, next) = traded().await;
        world.clock.advance(10 * SECOND - 1);
        assert!(is_told_and_gets_nothing(&refresh_from(&world, HERE, &first.refresh).await), "a moment later");
        assert!(is_told_and_gets_nothing(&refresh_from(&world, HERE, &first.refresh).await), "as often as it comes");
        assert!(world.holds(&next.access).await && !world.has_event("REFRESH_REUSED"));
        world.clock.advance(1);
        assert!(ended(&refresh_from(&world, HERE, &first.refresh).await), "asking does not make the moment longer");
        assert!(!world.holds(&next.access).await && world.has_event("REFRESH_REUSED"));
        assert!(ended(&refresh_from(&world, HERE, &next.refresh).await));

        for elsewhere in [("192.0.2.8", HERE.1), (HERE.0, "another browser"), ("2001:db8::7", HERE.1)] {
            let (first, next) = traded().await;
            assert!(ended(&refresh_from(&world, elsewhere, &first.refresh).await), "{elsewhere:?}");
            assert!(!world.holds(&next.access).await, "{elsewhere:?}");
        }
        let (first, next) = traded().await;
        let last = Tokens::of(&refresh_from(&world, HERE, &next.refresh).await);
        assert!(ended(&refresh_from(&world, HERE, &first.refresh).await), "two turns ago, within the moment");
        assert!(!world.holds(&last.access).await);
    }
}
