//! Tickets: handed to a page of the site, good once, for half a minute, in our own frame; and coming back with a resume.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use crate::world::{Builder, QUESTION, Reply, SHOP, STRANGER, World};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chatward::jobs::run_housekeeping;
use chatward::ops::sites;
use chatward_store::SiteRow;
use chatward_types::{Clock, HOUR, MINUTE, SECOND, Scope, Secret};
use chatward_vault::{PublishableKey, SystemEntropy, hmac_sha256};
use http::{Method, StatusCode};
use serde_json::{Value, json};

const TICKETS: &str = "/api/v1/widget/tickets";
const SESSIONS: &str = "/api/v1/widget/sessions";
const CAFE: &str = "http://cafe.test";

fn roomy() -> Builder {
    World::builder().set("limits.per_minute", 1000).set("limits.per_hour", 10_000)
}

async fn cafe(world: &World) -> SiteRow {
    sites::add(&world.app, &Scope::of(world.app.owner), CAFE, None, &[]).await.unwrap()
}

async fn ticket_of(world: &World, site: &SiteRow, origin: &str) -> String {
    let call = world.call(Method::POST, TICKETS).header("origin", origin);
    let reply = call.json(&json!({ "site": site.publishable_key })).send().await;
    assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text());
    reply.json()["ticket"].as_str().unwrap().to_owned()
}

fn assert_invalid(reply: &Reply, what: &str) {
    assert_eq!((reply.status.as_u16(), reply.code().as_str()), (401, "ticket_invalid"), "{what}: {}", reply.text());
}

/// Signs claims with one of the installation's own keys, so that only the claims or the header can be what is wrong.
async fn signed(world: &World, purpose: &str, header: Value, claims: &Value) -> String {
    let row = world.app.store.signing_keys(purpose).await.unwrap().remove(0);
    let bytes = world.app.vault.open(&format!("signing:{purpose}:{}", row.kid), &row.sealed).unwrap();
    let secret = Secret::new(bytes.try_into().unwrap());
    let mut header = header;
    header["kid"] = json!(row.kid);
    let message =
        format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()));
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(hmac_sha256(&secret, message.as_bytes())))
}

#[tokio::test]
async fn a_ticket_lets_the_frame_in_for_the_page_that_got_it() {
    for engine in World::ENGINES {
        let world = roomy().engine(engine).start().await;
        let reply = world.ticket_from(SHOP).await;
        assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text());
        assert_eq!(reply.header("access-control-allow-origin"), SHOP);
        let ticket = reply.json();
        assert_eq!(
            (ticket["origin"].as_str(), ticket["expires_at"].as_i64()),
            (Some(SHOP), Some(world.clock.now() / SECOND + 30))
        );
        let begun = world.trade(&json!({ "ticket": ticket["ticket"] })).await;
        assert_eq!(begun.status, StatusCode::CREATED, "{}", begun.text());
        let begun = begun.json();
        assert_eq!((&begun["origin"], &begun["resumed"]), (&json!(SHOP), &json!(false)));
        assert!(begun["resume"].as_str().unwrap().len() <= 1024);
        assert_eq!(begun["look"]["name"], "Test Shop");
        // The token works in the frame, whose origin is ours, and not on another site's page.
        let state = |origin: &str| {
            let call = world.call(Method::GET, "/api/v1/widget/session").header("origin", origin);
            call.header("authorization", &format!("Bearer {}", begun["token"].as_str().unwrap())).send()
        };
        let own = state(&world.own_origin()).await;
        assert_eq!(own.status, StatusCode::OK, "{}", own.text());
        assert!(own.json()["resume"].is_string());
        assert_eq!(state(STRANGER).await.status, StatusCode::FORBIDDEN);
    }
}

#[tokio::test]
async fn a_ticket_is_good_once() {
    for engine in World::ENGINES {
        let world = roomy().engine(engine).start().await;
        let ticket = world.ticket().await;
        assert_eq!(world.trade(&json!({ "ticket": ticket })).await.status, StatusCode::CREATED);
        for _ in 0..2 {
            assert_invalid(&world.trade(&json!({ "ticket": ticket })).await, "a replay");
        }
        assert!(world.has_event("TICKET_REFUSED"));
        // Traded at once by many, exactly one gets a session.
        let ticket = world.ticket().await;
        let body = json!({ "ticket": ticket });
        let replies = futures_util::future::join_all((0..12).map(|_| world.trade(&body))).await;
        let (won, lost): (Vec<_>, Vec<_>) = replies.iter().partition(|reply| reply.status == StatusCode::CREATED);
        assert_eq!((won.len(), lost.len()), (1, 11));
        lost.into_iter().for_each(|reply| assert_invalid(reply, "the slower ones"));
        // A trade that fails for another reason spends the ticket as well.
        let ticket = world.ticket().await;
        let failed = world.trade(&json!({ "ticket": ticket, "identity": "x" })).await;
        assert_eq!((failed.status.as_u16(), failed.code().as_str()), (422, "identity_invalid"));
        assert_invalid(&world.trade(&json!({ "ticket": ticket })).await, "after an identity that does not hold");
    }
}

#[tokio::test]
async fn a_ticket_ends_after_thirty_seconds() {
    let world = roomy().start().await;
    let (early, late) = (world.ticket().await, world.ticket().await);
    world.clock.advance(30 * SECOND - 1);
    assert_eq!(world.trade(&json!({ "ticket": early })).await.status, StatusCode::CREATED);
    world.clock.advance(1);
    assert_invalid(&world.trade(&json!({ "ticket": late })).await, "at its end");
}

#[tokio::test]
async fn spent_tickets_stay_spent_over_a_restart_and_are_forgotten_after_their_end() {
    for engine in World::ENGINES {
        let world = roomy().engine(engine).start().await;
        let (spent, open) = (world.ticket().await, world.ticket().await);
        assert_eq!(world.trade(&json!({ "ticket": spent })).await.status, StatusCode::CREATED);
        let (database, folder) = world.stop().await;
        let world = roomy().again(database, folder).start().await;
        assert_invalid(&world.trade(&json!({ "ticket": spent })).await, "after a restart");
        assert_eq!(world.trade(&json!({ "ticket": open })).await.status, StatusCode::CREATED, "keys are kept");
        run_housekeeping(&world.app).await.unwrap();
        assert_invalid(&world.trade(&json!({ "ticket": open })).await, "after a sweep that comes too early");
        world.clock.advance(11 * MINUTE);
        run_housekeeping(&world.app).await.unwrap();
        assert_eq!(world.app.store.prune_tickets(i64::MAX).await.unwrap(), 0, "nothing is left");
        assert_invalid(&world.trade(&json!({ "ticket": open })).await, "after it was forgotten");
    }
}

#[tokio::test]
async fn whatever_is_no_ticket_is_refused_alike() {
    let world = roomy().start().await;
    let elsewhere = roomy().start().await;
    let visitor = world.visitor().await;
    let now = world.clock.now() / SECOND;
    let header = json!({ "alg": "HS256", "typ": "ticket+jwt" });
    let claims = json!({
        "iss": "chatward", "aud": "chatward:ticket", "jti": "one", "own": world.app.owner.to_string(),
        "site": world.site.id.to_string(), "org": SHOP, "iat": now, "exp": now + 30,
    });
    let with = |name: &str, value: Value| {
        let mut claims = claims.clone();
        claims[name] = value;
        claims
    };
    let good = signed(&world, "ticket", header.clone(), &claims).await;
    assert_eq!(world.trade(&json!({ "ticket": good })).await.status, StatusCode::CREATED, "the forger's form is right");
    let resume = world.trade(&json!({ "ticket": world.ticket().await })).await.json()["resume"].clone();
    let mut flipped = world.ticket().await;
    let last = flipped.pop().unwrap();
    flipped.push(if last == 'A' { 'Q' } else { 'A' });
    let none = URL_SAFE_NO_PAD.encode(json!({ "alg": "none", "typ": "ticket+jwt" }).to_string());
    let visitors = json!({ "alg": "HS256", "typ": "visitor+jwt" });
    for (what, ticket) in [
        ("nothing", json!("")),
        ("nonsense", json!("a.b.c")),
        ("oversized", json!("x".repeat(9000))),
        ("flipped", json!(flipped)),
        ("another installation's", json!(elsewhere.ticket().await)),
        ("a visitor's token", json!(visitor.token)),
        ("a resume", resume),
        (
            "without an algorithm",
            json!(format!("{none}.{}.", URL_SAFE_NO_PAD.encode(with("jti", json!("two")).to_string()))),
        ),
        ("another type", json!(signed(&world, "ticket", visitors, &with("jti", json!("three"))).await)),
        ("a visitor's key", json!(signed(&world, "visitor", header.clone(), &with("jti", json!("four"))).await)),
        (
            "a visitor's audience",
            json!(signed(&world, "ticket", header.clone(), &with("aud", json!("chatward:visitor"))).await),
        ),
        ("from the future", json!(signed(&world, "ticket", header.clone(), &with("iat", json!(now + 3600))).await)),
        (
            "an origin that is nobody's",
            json!(
                signed(&world, "ticket", header.clone(), &{
                    let mut claims = with("org", json!(STRANGER));
                    claims["jti"] = json!("five");
                    claims
                })
                .await
            ),
        ),
        ("a claim too many", json!(signed(&world, "ticket", header.clone(), &with("role", json!("x"))).await)),
    ] {
        assert_invalid(&world.trade(&json!({ "ticket": ticket })).await, what);
    }
    // Nor is a ticket anything else.
    let ticket = world.ticket().await;
    let call = world.call(Method::GET, "/api/v1/widget/session").header("origin", SHOP);
    let reply = call.header("authorization", &format!("Bearer {ticket}")).send().await;
    assert_eq!(reply.code(), "session_invalid");
    for body in [
        json!({}),
        json!({ "site": "x", "ticket": ticket }),
        json!({ "site": "x", "resume": "y" }),
        json!({ "resume": "y" }),
    ] {
        let reply = world.trade(&body).await;
        assert_eq!((reply.status, reply.code().as_str()), (StatusCode::UNPROCESSABLE_ENTITY, "invalid"), "{body}");
    }
}

#[tokio::test]
async fn a_host_page_cannot_trade_a_ticket() {
    // Not even one that the configuration allows to call us: its scripts are not ours.
    let world = roomy().variable("ALLOWED_ORIGINS", SHOP).start().await;
    let other = cafe(&world).await;
    let ticket = world.ticket().await;
    for origin in [SHOP, CAFE, STRANGER, "null"] {
        let call = world.call(Method::POST, SESSIONS).header("origin", origin).json(&json!({ "ticket": ticket }));
        let reply = call.send().await;
        assert_eq!((reply.status, reply.code().as_str()), (StatusCode::FORBIDDEN, "origin_not_allowed"), "{origin}");
    }
    let absent = world.call(Method::POST, SESSIONS).json(&json!({ "ticket": ticket })).send().await;
    assert_eq!(absent.status, StatusCode::FORBIDDEN);
    assert_eq!(world.trade(&json!({ "ticket": ticket })).await.status, StatusCode::CREATED, "the frame can");
    // A ticket of one site never opens another's: the site stands in it and nowhere else.
    let theirs = world.trade(&json!({ "ticket": ticket_of(&world, &other, CAFE).await })).await.json();
    assert_eq!((&theirs["origin"], &theirs["look"]["name"]), (&json!(CAFE), &json!("cafe.test")));
}

#[tokio::test]
async fn a_page_gets_a_ticket_for_its_own_site_alone_and_may_read_why_not() {
    let world = roomy().start().await;
    let other = cafe(&world).await;
    let preflight = |origin: &str| {
        let call = world.call(Method::OPTIONS, TICKETS).header("origin", origin);
        call.header("access-control-request-method", "POST")
            .header("access-control-request-headers", "content-type")
            .send()
    };
    let mut bodies = Vec::new();
    for origin in [STRANGER, CAFE, "https://shop.test", "http://shop.test:8080"] {
        let asked = preflight(origin).await;
        assert_eq!((asked.status, asked.header("access-control-allow-origin")), (StatusCode::OK, origin));
        let reply = world.ticket_from(origin).await;
        assert_eq!((reply.status, reply.code().as_str()), (StatusCode::FORBIDDEN, "origin_not_allowed"), "{origin}");
        assert_eq!(reply.header("access-control-allow-origin"), origin);
        assert!(!reply.headers.contains_key("access-control-allow-credentials"));
        // How much of the limit is left would tell a stranger's page what the visitor does elsewhere.
        let exposed =
            if origin == CAFE { "ratelimit, ratelimit-policy, retry-after, x-request-id" } else { "retry-after" };
        assert_eq!(reply.header("access-control-expose-headers"), exposed, "{origin}");
        let mut body = reply.json();
        body["error"]["request_id"] = Value::Null;
        bodies.push(body);
    }
    assert!(bodies.windows(2).all(|pair| pair[0] == pair[1]), "one constant text: {bodies:?}");
    for origin in ["null", "http://shop.test/", "HTTP://SHOP.TEST", "*", "shop.test", "http://a.test http://b.test"] {
        let asked = preflight(origin).await;
        assert_eq!(asked.header("access-control-allow-origin"), "", "{origin}");
        let reply = world.ticket_from(origin).await;
        assert_eq!(
            (reply.status, reply.header("access-control-allow-origin")),
            (StatusCode::FORBIDDEN, ""),
            "{origin}"
        );
    }
    // No other route answers a strange page's preflight with a grant.
    let elsewhere = world.call(Method::OPTIONS, SESSIONS).header("origin", STRANGER);
    let elsewhere = elsewhere.header("access-control-request-method", "POST").send().await;
    assert_eq!(elsewhere.header("access-control-allow-origin"), "");

    let foreign = PublishableKey::generate(chatward_types::Environment::Production, &SystemEntropy).unwrap();
    let unknown = PublishableKey::generate(chatward_types::Environment::Development, &SystemEntropy).unwrap();
    for (key, code) in [
        (foreign.as_str(), "site_unknown_environment"),
        (unknown.as_str(), "site_unknown"),
        ("nonsense", "site_unknown"),
    ] {
        let call = world.call(Method::POST, TICKETS).header("origin", STRANGER).json(&json!({ "site": key }));
        let reply = call.send().await;
        assert_eq!((reply.status, reply.code().as_str()), (StatusCode::NOT_FOUND, code), "{key}");
        assert_eq!(reply.header("access-control-allow-origin"), STRANGER, "the page's console may say so");
    }
    let own = world.ticket_from(&world.own_origin()).await;
    assert_eq!(own.status, StatusCode::CREATED, "the preview is a page of ours");
    ticket_of(&world, &other, CAFE).await;
}

#[tokio::test]
async fn a_ticket_dies_with_its_origin_and_its_site() {
    let world = roomy().start().await;
    let (first, second) = (world.ticket().await, world.ticket().await);
    let scope = Scope::of(world.app.owner);
    let mut row = world.app.store.get_site(&scope, world.site.id).await.unwrap().unwrap();
    row.origins = vec!["http://new.test".to_owned()];
    sites::update(&world.app, &scope, &row).await.unwrap();
    assert_invalid(&world.trade(&json!({ "ticket": first })).await, "its origin was taken away");
    sites::remove(&world.app, &scope, world.site.id).await.unwrap();
    assert_invalid(&world.trade(&json!({ "ticket": second })).await, "its site is gone");
}

/// A trade from an address, as the trusted proxy reports it.
async fn trade_from(world: &World, address: &str, body: &Value) -> Value {
    let origin = world.own_origin();
    let call = world.call(Method::POST, SESSIONS).header("origin", &origin).header("x-real-ip", address).json(body);
    let reply = call.send().await;
    assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text());
    reply.json()
}

#[tokio::test]
async fn a_resume_brings_a_visitor_back_and_nobody_else() {
    for engine in World::ENGINES {
        let proxied =
            roomy().set("server.trusted_proxies", "127.0.0.0/8").set("server.client_address_header", "x-real-ip");
        let world = proxied.engine(engine).start().await;
        let other = cafe(&world).await;
        let first = trade_from(&world, "203.0.113.7", &json!({ "ticket": world.ticket().await })).await;
        let resume = first["resume"].clone();
        let asked = world
            .call(Method::POST, "/api/v1/widget/messages")
            .header("origin", &world.own_origin())
            .header("x-real-ip", "203.0.113.7")
            .header("authorization", &format!("Bearer {}", first["token"].as_str().unwrap()))
            .json(&json!({ "message": QUESTION }));
        assert_eq!(asked.send().await.status, StatusCode::OK);

        let back =
            trade_from(&world, "203.0.113.7", &json!({ "ticket": world.ticket().await, "resume": resume })).await;
        assert_eq!((&back["session"], &back["resumed"]), (&first["session"], &json!(true)));
        let is_new = |reply: &Value, what: &str| {
            assert!(reply["resumed"] == json!(false) && reply["session"] != first["session"], "{what}: {reply}");
        };
        for (address, what) in [("203.0.113.8", "the neighbour's address"), ("198.51.100.9", "another network")] {
            let body = json!({ "ticket": world.ticket().await, "resume": resume });
            is_new(&trade_from(&world, address, &body).await, what);
        }
        let body = json!({ "ticket": ticket_of(&world, &other, CAFE).await, "resume": resume });
        is_new(&trade_from(&world, "203.0.113.7", &body).await, "another site");
        let body = json!({ "ticket": ticket_of(&world, &world.site, "http://www.shop.test").await, "resume": resume });
        is_new(&trade_from(&world, "203.0.113.7", &body).await, "another origin of the site");
        for bad in [json!("x"), first["token"].clone(), json!(world.ticket().await), json!("x".repeat(9000))] {
            let body = json!({ "ticket": world.ticket().await, "resume": bad });
            is_new(&trade_from(&world, "203.0.113.7", &body).await, "no resume");
        }
        // Without a ticket it is worth nothing.
        assert_invalid(&world.trade(&json!({ "ticket": resume, "resume": resume })).await, "a resume as a ticket");
        let body = json!({ "ticket": world.ticket().await, "resume": resume });
        assert_eq!(trade_from(&world, "203.0.113.7", &body).await["resumed"], json!(true), "it still holds");
        world.clock.advance(24 * HOUR + SECOND);
        let body = json!({ "ticket": world.ticket().await, "resume": resume });
        is_new(&trade_from(&world, "203.0.113.7", &body).await, "after a day of silence");
    }
}

#[tokio::test]
async fn an_erased_session_does_not_come_back() {
    let world = roomy().start().await;
    let first = world.trade(&json!({ "ticket": world.ticket().await })).await.json();
    let call = world.call(Method::DELETE, "/api/v1/widget/session").header("origin", &world.own_origin());
    let bearer = format!("Bearer {}", first["token"].as_str().unwrap());
    assert_eq!(call.header("authorization", &bearer).send().await.status, StatusCode::OK);
    let again = world.trade(&json!({ "ticket": world.ticket().await, "resume": first["resume"] })).await.json();
    assert!(again["resumed"] == json!(false) && again["session"] != first["session"]);
}

#[tokio::test]
async fn a_site_that_asks_for_consent_stores_nothing_before_it() {
    let world = roomy().start().await;
    let scope = Scope::of(world.app.owner);
    let mut row = world.app.store.get_site(&scope, world.site.id).await.unwrap().unwrap();
    row.settings = json!({ "consent": true, "privacy_url": "https://shop.test/privacy" }).to_string();
    sites::update(&world.app, &scope, &row).await.unwrap();
    let asked = world.trade(&json!({ "ticket": world.ticket().await })).await;
    assert_eq!(asked.status, StatusCode::OK, "{}", asked.text());
    let asked = asked.json();
    assert_eq!((&asked["needs_consent"], &asked["origin"]), (&json!(true), &json!(SHOP)));
    assert_eq!(asked["look"]["privacy_url"], "https://shop.test/privacy");
    assert!(asked.get("token").is_none() && asked.get("session").is_none());
    let idle = world.app.store.admin_idle_sessions(i64::MAX, 10).await.unwrap();
    assert!(idle.is_empty(), "no session is stored");
    let begun = world.trade(&json!({ "ticket": world.ticket().await, "agreed": true })).await;
    assert_eq!(begun.status, StatusCode::CREATED, "{}", begun.text());
    let body = json!({ "ticket": world.ticket().await, "resume": begun.json()["resume"] });
    assert_eq!(world.trade(&body).await.json()["resumed"], json!(true), "who agreed once is not asked again");
}
