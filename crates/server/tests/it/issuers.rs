//! Tokens of outside issuers: whose they are, with which keys, and what they are worth here.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use crate::foreign::{ForeignKey, key_set, with};
use crate::people::{PASSWORD, roomy};
use crate::world::{Builder, Reply, World};
use chatward::ops::issuers::links;
use chatward::ops::trail::Actor;
use chatward::ops::users;
use chatward_store::{Engine, UserRow, UserState};
use chatward_testkit::issuer::{Answer, FakeIssuer};
use chatward_types::{Clock, HOUR, Kind, MINUTE, Role, SECOND, Scope};
use http::{Method, StatusCode};
use serde_json::{Value, json};

pub(crate) const ISSUER: &str = "https://idp.example/";
pub(crate) const SUPABASE: &str = "https://project.supabase.example/auth/v1";
pub(crate) const AUDIENCE: &str = "chatward-of-the-shop";
const BY: Actor = Actor::Operator;

/// A world with an OpenID issuer whose keys are there.
pub(crate) fn with_issuer(server: &FakeIssuer, more: &str) -> Builder {
    roomy().file(&format!(
        "[[issuer]]\nname = \"idp\"\nkind = \"oidc\"\nissuer = \"{ISSUER}\"\naudience = \"{AUDIENCE}\"\n\
         algorithms = [\"RS256\", \"PS256\", \"ES256\", \"EdDSA\"]\njwks_url = \"{}\"\n{more}\n",
        server.url()
    ))
}

/// The claims of an honest token of an OpenID issuer.
pub(crate) fn claims(world: &World, subject: &str) -> Value {
    let now = world.clock.now() / SECOND;
    json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": subject, "iat": now, "exp": now + 600 })
}

/// The claims of an honest token of a person who is logged in with Supabase.
pub(crate) fn supabase_claims(world: &World, subject: &str) -> Value {
    let now = world.clock.now() / SECOND;
    json!({
        "iss": SUPABASE, "aud": "authenticated", "sub": subject, "iat": now, "exp": now + 600, "role": "authenticated",
        "email": "ann@example.test", "phone": "", "aal": "aal1", "session_id": "00000000-0000-0000-0000-000000000001",
        "is_anonymous": false, "app_metadata": { "provider": "email" }, "user_metadata": { "email_verified": true },
    })
}

async fn me(world: &World, token: &str) -> Reply {
    world.with(token, Method::GET, "/api/v1/auth/me").send().await
}

/// A user who is linked to a subject of the issuer of this name.
pub(crate) async fn linked(world: &World, email: &str, role: Role, issuer: &str, subject: &str) -> UserRow {
    let user = world.user(email, role).await;
    links::link(&world.app, &Scope::of(world.app.owner), &user, issuer, subject, &BY).await.unwrap();
    user
}

#[tokio::test]
async fn a_linked_subjects_token_speaks_for_its_user_by_every_pinned_algorithm() {
    let keys: Vec<ForeignKey> = ["RS256", "PS256", "ES256", "EdDSA"]
        .into_iter()
        .map(|algorithm| ForeignKey::new(algorithm, algorithm))
        .collect();
    let server = FakeIssuer::start(Answer::Keys(key_set(&keys.iter().collect::<Vec<_>>()))).await.unwrap();
    for engine in World::ENGINES {
        let world = with_issuer(&server, "").engine(engine).start().await;
        world.user("owner@example.test", Role::Owner).await;
        let user = linked(&world, "ann@example.test", Role::Member, "idp", "subject-1").await;
        for key in &keys {
            let said = me(&world, &key.token(&claims(&world, "subject-1"))).await;
            assert_eq!(said.status, StatusCode::OK, "{}: {}", key.algorithm, said.text());
            let said = said.json();
            assert_eq!((&said["id"], &said["role"]), (&json!(user.id.to_string()), &json!("member")));
            let several = with(&claims(&world, "subject-1"), "aud", json!(["another", AUDIENCE]));
            assert!(world.holds(&key.token(&several)).await, "{}: ours among its audiences", key.algorithm);
            // The same key by another algorithm of its kind: the issuer meant it for one.
            for other in ["RS256", "PS256", "HS256", "none"].iter().filter(|other| **other != key.algorithm) {
                let header = with(&key.header(), "alg", json!(other));
                assert!(!world.holds(&key.sign(&header, &claims(&world, "subject-1"))).await, "{other}");
            }
        }
        let key = &keys[2];
        let token = key.token(&with(&claims(&world, "subject-1"), "role", json!("owner")));
        assert_eq!(me(&world, &token).await.json()["role"], "member", "the store's role, not the token's");
        let path = format!("/api/v1/sites/{}", world.site.id);
        let rename = async || {
            let call = world.with(&token, Method::PATCH, &path).json(&json!({ "name": "Tea" }));
            call.send().await.status.as_u16()
        };
        assert_eq!(rename().await, 200, "accepted wherever our own is");
        let scope = Scope::of(world.app.owner);
        users::set_role(&world.app, &scope, user.id, Role::Viewer).await.unwrap();
        assert_eq!(rename().await, 403);
        assert_eq!(world.with(&token, Method::POST, "/api/v1/auth/logout").send().await.code(), "no_login");
        users::set_state(&world.app, &scope, user.id, UserState::Disabled).await.unwrap();
        assert!(!world.holds(&token).await, "a disabled user");
        users::set_state(&world.app, &scope, user.id, UserState::Active).await.unwrap();
        assert!(world.holds(&token).await);
        assert!(!world.holds(&key.token(&claims(&world, "subject-2"))).await, "nobody's subject");
        let links_of = async || world.app.store.list_user_links(&scope, user.id).await.unwrap().len();
        assert_eq!(links_of().await, 1);
        links::unlink(&world.app, &scope, &user, "idp", None, &BY).await.unwrap();
        assert!(!world.holds(&token).await, "no longer linked");
        assert_eq!(
            links::unlink(&world.app, &scope, &user, "idp", None, &BY).await.unwrap_err().kind(),
            Kind::NotFound
        );
        let record = world.app.store.trail_head().await.unwrap().unwrap();
        assert_eq!((record.name.as_str(), record.subject), ("USER_CHANGED", user.id.to_string()));
        assert!(record.detail.contains("unlinked"), "{}", record.detail);
    }
}

#[tokio::test]
async fn an_algorithm_that_is_not_pinned_is_refused_though_its_key_is_published() {
    let (pinned, other) = (ForeignKey::new("ES256", "one"), ForeignKey::new("RS256", "two"));
    let server = FakeIssuer::start(Answer::Keys(key_set(&[&pinned, &other]))).await.unwrap();
    let table = format!(
        "[[issuer]]\nname = \"idp\"\nkind = \"oidc\"\nissuer = \"{ISSUER}\"\naudience = \"{AUDIENCE}\"\n\
         algorithms = [\"ES256\"]\njwks_url = \"{}\"\n",
        server.url()
    );
    let world = roomy().file(&table).start().await;
    linked(&world, "ann@example.test", Role::Member, "idp", "s").await;
    assert!(world.holds(&pinned.token(&claims(&world, "s"))).await);
    let refused = me(&world, &other.token(&claims(&world, "s"))).await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (401, "token_invalid"));
}

#[tokio::test]
async fn a_token_is_held_to_our_clock_and_to_its_age() {
    let key = ForeignKey::new("EdDSA", "one");
    let server = FakeIssuer::start(Answer::Keys(key_set(&[&key]))).await.unwrap();
    let world = with_issuer(&server, "clock_skew = \"30s\"\nmax_age = \"1h\"").start().await;
    linked(&world, "ann@example.test", Role::Member, "idp", "s").await;
    let now = world.clock.now() / SECOND;
    let at = |issued: i64, ends: i64| {
        key.token(&with(&with(&claims(&world, "s"), "iat", json!(issued)), "exp", json!(ends)))
    };
    for (name, token, holds) in [
        ("until its end and the skew", at(now - 60, now - 29), true),
        ("run out", at(now - 60, now - 30), false),
        ("from a clock that is ahead", at(now + 30, now + 600), true),
        ("from the future", at(now + 31, now + 600), false),
        ("an hour old", at(now - 3600, now + 600), true),
        ("older than it may be, whatever it says", at(now - 3601, now + 100_000), false),
        ("soon", key.token(&with(&claims(&world, "s"), "nbf", json!(now + 30))), true),
        ("not yet", key.token(&with(&claims(&world, "s"), "nbf", json!(now + 31))), false),
    ] {
        assert_eq!(world.holds(&token).await, holds, "{name}");
    }
}

#[tokio::test]
async fn keys_are_fetched_once_for_all_who_wait_and_again_for_a_name_that_is_new() {
    let (one, two, three) =
        (ForeignKey::new("ES256", "one"), ForeignKey::new("ES256", "two"), ForeignKey::new("ES256", "three"));
    let server = FakeIssuer::start(Answer::Held(key_set(&[&one]))).await.unwrap();
    let world = with_issuer(&server, "refresh = \"1h\"").start().await;
    linked(&world, "ann@example.test", Role::Member, "idp", "s").await;
    let token = |key: &ForeignKey| key.token(&claims(&world, "s"));
    let first = token(&one);
    let crowd = futures_util::future::join_all((0..50).map(|_| world.holds(&first)));
    let (held, ()) = tokio::join!(crowd, async {
        while server.asked() == 0 {
            tokio::task::yield_now().await;
        }
        server.release(1);
    });
    assert!(held.iter().all(|holds| *holds));
    assert_eq!(server.asked(), 1, "one fetch for fifty");

    // The issuer goes over to another key: a name that is new is asked for, once a minute.
    server.set(Answer::Keys(key_set(&[&one, &two])));
    assert!(world.holds(&token(&two)).await);
    assert_eq!(server.asked(), 2);
    for _ in 0..5 {
        assert!(!world.holds(&token(&three)).await);
    }
    assert_eq!(server.asked(), 2, "once a minute");
    server.set(Answer::Keys(key_set(&[&two, &three])));
    world.clock.advance(MINUTE);
    assert!(world.holds(&token(&three)).await);
    assert_eq!(server.asked(), 3);
    assert!(!world.holds(&token(&one)).await, "withdrawn");
    world.clock.advance(59 * MINUTE);
    assert!(world.holds(&token(&two)).await);
    assert_eq!(server.asked(), 3, "not for every token");
    world.clock.advance(HOUR);
    assert!(world.holds(&token(&two)).await);
    assert_eq!(server.asked(), 4, "no longer fresh");
}

#[tokio::test]
async fn a_fetch_goes_on_when_whoever_began_it_leaves() {
    let key = ForeignKey::new("ES256", "one");
    let server = FakeIssuer::start(Answer::Held(key_set(&[&key]))).await.unwrap();
    let world = with_issuer(&server, "").start().await;
    linked(&world, "ann@example.test", Role::Member, "idp", "s").await;
    let token = key.token(&claims(&world, "s"));
    {
        let mut leaving = std::pin::pin!(world.holds(&token));
        while server.asked() == 0 {
            let _ = futures_util::future::poll_immediate(&mut leaving).await;
            tokio::task::yield_now().await;
        }
    }
    server.release(1);
    assert!(world.holds(&token).await);
    assert_eq!(server.asked(), 1);
}

#[tokio::test]
async fn known_keys_outlive_a_silent_issuer_for_a_while() {
    let key = ForeignKey::new("ES256", "one");
    let server = FakeIssuer::start(Answer::Keys(key_set(&[&key]))).await.unwrap();
    let world = with_issuer(&server, "refresh = \"10m\"\nstale = \"1h\"").start().await;
    linked(&world, "ann@example.test", Role::Member, "idp", "s").await;
    let holds = async || world.holds(&key.token(&claims(&world, "s"))).await;
    assert!(holds().await);
    server.set(Answer::Other(503, Vec::new(), String::new()));
    world.clock.advance(10 * MINUTE);
    assert!(holds().await, "what is known goes on");
    assert_eq!(server.asked(), 2);
    assert!(world.has_event("ISSUER_UNREACHABLE"));
    assert!(holds().await);
    assert_eq!(server.asked(), 2, "not asked again at once");
    world.clock.advance(50 * MINUTE);
    assert!(holds().await);
    world.clock.advance(SECOND);
    assert!(!holds().await, "not for ever");
    let asked = server.asked();
    server.set(Answer::Keys(key_set(&[&key])));
    assert!(!holds().await, "a moment later");
    assert_eq!(server.asked(), asked);
    world.clock.advance(10 * SECOND);
    assert!(holds().await, "and then it is there again");
}

#[tokio::test]
async fn an_issuer_that_does_not_give_its_keys_is_believed_in_nothing() {
    let key = ForeignKey::new("ES256", "one");
    let good = key_set(&[&key]);
    let elsewhere = FakeIssuer::start(Answer::Keys(good.clone())).await.unwrap();
    let server = FakeIssuer::start(Answer::Silent).await.unwrap();
    let world = with_issuer(&server, "fetch_deadline = \"100ms\"").start().await;
    linked(&world, "ann@example.test", Role::Member, "idp", "s").await;
    let json = || vec![("content-type", "application/json".to_owned())];
    let typed = |kind: &str| vec![("content-type", kind.to_owned())];
    let jwk = key.jwk();
    let alone = |jwk: Value| json!({ "keys": [jwk] }).to_string();
    let rsa = ForeignKey::new("RS256", "one").jwk();
    for (name, answer) in [
        ("slow", Answer::Silent),
        ("a redirect", Answer::Other(302, vec![("location", elsewhere.url())], String::new())),
        ("a redirect with the keys", Answer::Other(302, vec![("location", elsewhere.url())], good.clone())),
        ("an error", Answer::Other(500, json(), good.clone())),
        ("another success", Answer::Other(203, json(), good.clone())),
        ("a page", Answer::Other(200, typed("text/html"), good.clone())),
        ("no type", Answer::Other(200, Vec::new(), good.clone())),
        ("huge", Answer::Keys(format!("{}{good}", " ".repeat(256 * 1024)))),
        ("no JSON", Answer::Keys("keys".to_owned())),
        ("broken off", Answer::Keys(good[..good.len() - 1].to_owned())),
        ("a list", Answer::Keys(format!("[{good}]"))),
        ("no keys", Answer::Keys("{\"keys\":[]}".to_owned())),
        ("keys of another form", Answer::Keys("{\"keys\":{}}".to_owned())),
        ("keys twice", Answer::Keys(good.replacen('{', "{\"keys\":[],", 1))),
        ("a key with a member twice", Answer::Keys(good.replacen("\"kty\"", "\"kty\":\"RSA\",\"kty\"", 1))),
        ("too many keys", Answer::Keys(json!({ "keys": vec![jwk.clone(); 65] }).to_string())),
        (
            "the same name twice",
            Answer::Keys(json!({ "keys": [jwk, ForeignKey::new("ES256", "one").jwk()] }).to_string()),
        ),
        ("no name", Answer::Keys(alone(with(&jwk, "kid", Value::Null)))),
        ("for encryption", Answer::Keys(alone(with(&jwk, "use", json!("enc"))))),
        ("for signing alone", Answer::Keys(alone(with(&jwk, "key_ops", json!(["sign"]))))),
        ("for another algorithm", Answer::Keys(alone(with(&jwk, "alg", json!("ES384"))))),
        ("of another curve", Answer::Keys(alone(with(&jwk, "crv", json!("P-384"))))),
        ("of another kind", Answer::Keys(alone(with(&jwk, "kty", json!("OKP"))))),
        ("with its private half", Answer::Keys(alone(with(&jwk, "d", json!("AAAA"))))),
        ("a shared secret", Answer::Keys(alone(ForeignKey::shared("a secret of thirty-two characters", "one").jwk()))),
        ("a short point", Answer::Keys(alone(with(&jwk, "x", json!("AAAA"))))),
        ("a weak modulus", Answer::Keys(alone(with(&rsa, "n", json!(format!("_{}", "A".repeat(169))))))),
        ("an exponent of one", Answer::Keys(alone(with(&rsa, "e", json!("AQ"))))),
    ] {
        server.set(answer);
        world.clock.advance(MINUTE);
        let asked = server.asked();
        assert!(!world.holds(&key.token(&claims(&world, "s"))).await, "{name}");
        assert_eq!(server.asked(), asked + 1, "{name}: it was asked once");
    }
    assert_eq!(elsewhere.asked(), 0, "no redirect is followed");
    server.set(Answer::Other(200, typed("application/jwk-set+json; charset=utf-8"), good));
    world.clock.advance(MINUTE);
    assert!(world.holds(&key.token(&claims(&world, "s"))).await, "and then it gives them");
    server.stop();
}

#[tokio::test]
async fn supabases_people_come_in_and_its_other_tokens_do_not() {
    let secret = ["test-only-", "Zq8Lm2Wx5Rt7Yu9Io3Pa6Sd1Fg4Hj0Kl"].concat();
    let published = ForeignKey::new("ES256", "one");
    let server = FakeIssuer::start(Answer::Keys(key_set(&[&published]))).await.unwrap();
    let table = format!("[[issuer]]\nname = \"supabase\"\nkind = \"supabase\"\nissuer = \"{SUPABASE}\"\n");
    for (key, more) in [
        (ForeignKey::shared(&secret, "any"), format!("secret = \"{secret}\"\n")),
        (published, format!("jwks_url = \"{}\"\n", server.url())),
    ] {
        for engine in World::ENGINES {
            let world = roomy().engine(engine).file(&format!("{table}{more}")).start().await;
            linked(&world, "ann@example.test", Role::Member, "supabase", "s").await;
            let claims = supabase_claims(&world, "s");
            assert!(world.holds(&key.token(&claims)).await, "{}", key.algorithm);
            for (name, claim, value) in [
                ("the project's own key", "role", json!("service_role")),
                ("the key of its pages", "role", json!("anon")),
                ("a role of the database", "role", json!("postgres")),
                ("no role", "role", Value::Null),
                ("two roles", "role", json!(["authenticated"])),
                ("somebody who never logged in", "is_anonymous", json!(true)),
                ("whatever that is", "is_anonymous", json!("false")),
                ("for its own service", "aud", json!("service_role")),
                ("for several", "aud", json!(["authenticated"])),
                ("another project", "iss", json!("https://other.supabase.example/auth/v1")),
                ("as its keys are written", "iss", json!("supabase")),
                ("nobody", "sub", Value::Null),
            ] {
                let reply = me(&world, &key.token(&with(&claims, claim, value))).await;
                assert_eq!((reply.status.as_u16(), reply.code().as_str()), (401, "token_invalid"), "{name}");
            }
        }
    }
}

#[tokio::test]
async fn a_new_person_becomes_a_viewer_only_where_that_is_set_and_never_joins_an_account() {
    let key = ForeignKey::new("EdDSA", "one");
    let server = FakeIssuer::start(Answer::Keys(key_set(&[&key]))).await.unwrap();
    for engine in World::ENGINES {
        let world = with_issuer(&server, "").engine(engine).start().await;
        let known = |world: &World, subject: &str, email: &str| {
            let claims = with(&claims(world, subject), "email", json!(email));
            with(&with(&claims, "email_verified", json!(true)), "name", json!("Bob Example"))
        };
        assert!(!world.holds(&key.token(&known(&world, "bob", "bob@example.test"))).await, "not by default");

        let world = with_issuer(&server, "new_users = \"viewer\"").engine(engine).start().await;
        let ann = world.user("ann@example.test", Role::Owner).await;
        let scope = Scope::of(world.app.owner);
        let good = known(&world, "bob", " Bob@Example.test");
        for (name, claims) in [
            ("no address", with(&good, "email", Value::Null)),
            ("an address that is none", with(&good, "email", json!("bob"))),
            ("not verified", with(&good, "email_verified", json!(false))),
            ("not said to be verified", with(&good, "email_verified", Value::Null)),
            ("verified in a word", with(&good, "email_verified", json!("true"))),
            ("an account's address", with(&good, "email", json!("ANN@example.test"))),
        ] {
            assert!(!world.holds(&key.token(&claims)).await, "{name}");
        }
        assert_eq!(world.app.store.list_users(&scope).await.unwrap().len(), 1, "nobody was made");
        assert_eq!(world.app.store.list_user_links(&scope, ann.id).await.unwrap(), []);
        let token = key.token(&good);
        let said = futures_util::future::join_all((0..8).map(|_| me(&world, &token))).await;
        for reply in &said {
            assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
            assert_eq!(reply.json(), said[0].json(), "one and the same");
        }
        let bob = said[0].json();
        assert_eq!((&bob["role"], &bob["email"]), (&json!("viewer"), &json!("bob@example.test")));
        assert_eq!(world.app.store.list_users(&scope).await.unwrap().len(), 2);
        assert_eq!(world.log_in("bob@example.test", PASSWORD).await.status, StatusCode::UNAUTHORIZED);
        let record = world.app.store.trail_head().await.unwrap().unwrap();
        assert!(record.detail.contains("made by a token") && record.actor == "server", "{record:?}");
        let bob = users::named(&world.app, &scope, "bob@example.test").await.unwrap();
        users::set_state(&world.app, &scope, bob.id, UserState::Disabled).await.unwrap();
        assert!(!world.holds(&token).await);
        links::unlink(&world.app, &scope, &bob, ISSUER, Some("bob"), &BY).await.unwrap();
        assert!(!world.holds(&token).await, "not made a second time");
        // The subject is another user's from now on.
        links::link(&world.app, &scope, &ann, "IDP", "bob", &BY).await.unwrap();
        assert_eq!(me(&world, &token).await.json()["id"], ann.id.to_string());
        let again = links::link(&world.app, &scope, &bob, "idp", "bob", &BY).await.unwrap_err();
        assert_eq!(again.kind(), Kind::Conflict);
        for (issuer, subject, kind) in
            [("none", "x", Kind::NotFound), ("idp", "", Kind::Invalid), ("idp", "a\nb", Kind::Invalid)]
        {
            let refused = links::link(&world.app, &scope, &ann, issuer, subject, &BY).await.unwrap_err();
            assert_eq!(refused.kind(), kind);
        }
    }
}

#[tokio::test]
async fn another_owners_user_is_reached_by_their_own_link_alone() {
    let key = ForeignKey::new("EdDSA", "one");
    let server = FakeIssuer::start(Answer::Keys(key_set(&[&key]))).await.unwrap();
    let world = with_issuer(&server, "").engine(Engine::Postgres).start().await;
    let other = chatward_types::OwnerId::generate(world.app.clock.as_ref(), world.app.entropy.as_ref()).unwrap();
    world.app.store.insert_owner(other, "another", world.clock.now()).await.unwrap();
    let ours = linked(&world, "ann@example.test", Role::Owner, "idp", "ours").await;
    let theirs = world.user_of(other, "bob@example.test", Role::Owner).await;
    links::link(&world.app, &Scope::of(other), &theirs, "idp", "theirs", &BY).await.unwrap();
    let taken = links::link(&world.app, &Scope::of(other), &theirs, "idp", "ours", &BY).await.unwrap_err();
    assert_eq!(taken.kind(), Kind::Conflict, "a subject is one user, whoever's");
    let wrong = links::unlink(&world.app, &Scope::of(other), &ours, "idp", None, &BY).await.unwrap_err();
    assert_eq!(wrong.kind(), Kind::NotFound);
    let said = me(&world, &key.token(&claims(&world, "theirs"))).await.json();
    assert_eq!((&said["owner"], &said["id"]), (&json!(other.to_string()), &json!(theirs.id.to_string())));
    let path = format!("/api/v1/sites/{}", world.site.id);
    let crossing = world.with(&key.token(&claims(&world, "theirs")), Method::GET, &path).send().await;
    assert_eq!(crossing.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn whoever_needs_a_second_factor_comes_in_by_a_login_of_ours_alone() {
    let key = ForeignKey::new("EdDSA", "one");
    let server = FakeIssuer::start(Answer::Keys(key_set(&[&key]))).await.unwrap();
    for (demand, member, admin) in [("optional", true, true), ("admins", true, false), ("everyone", false, false)] {
        let world = with_issuer(&server, "").set("accounts.second_factor", demand).start().await;
        linked(&world, "ann@example.test", Role::Member, "idp", "member").await;
        linked(&world, "bob@example.test", Role::Admin, "idp", "admin").await;
        for (subject, holds) in [("member", member), ("admin", admin)] {
            assert_eq!(world.holds(&key.token(&claims(&world, subject))).await, holds, "{demand} {subject}");
        }
        if demand == "optional" {
            let factor = json!({ "password": PASSWORD });
            let call = world.with(&key.token(&claims(&world, "member")), Method::POST, "/api/v1/account/totp");
            assert_eq!(call.json(&factor).send().await.code(), "no_login");
            let leave = world.with(&key.token(&claims(&world, "member")), Method::DELETE, "/api/v1/account");
            let leave = leave.json(&factor).send().await;
            assert_eq!((leave.status.as_u16(), leave.code().as_str()), (409, "no_login"), "nor leaves by it");
            world.enrol(&world.tokens("ann@example.test").await.access).await;
            assert!(!world.holds(&key.token(&claims(&world, "member"))).await, "now there is one to prove");
        }
    }
}

#[tokio::test]
async fn a_refused_token_is_told_once_with_why_and_whose_user_it_was_meant_for() {
    let key = ForeignKey::new("EdDSA", "one");
    let server = FakeIssuer::start(Answer::Keys(key_set(&[&key]))).await.unwrap();
    let world = with_issuer(&server, "").start().await;
    let scope = Scope::of(world.app.owner);
    world.user("owner@example.test", Role::Owner).await;
    let user = linked(&world, "ann@example.test", Role::Member, "idp", "s").await;
    let refused = async |token: &str| {
        let reply = me(&world, token).await;
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{}", reply.text());
        let told = world.app.events.tail();
        let of_it = told.iter().filter(|event| event.request_id.as_deref() == Some(reply.header("x-request-id")));
        let told: Vec<_> =
            of_it.map(|event| (event.name.as_str(), event.owner, event.detail.clone().unwrap().into_owned())).collect();
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(told[0].0, "TOKEN_REFUSED");
        (told[0].1, told[0].2.clone())
    };
    let (owner, why) = refused(&key.token(&with(&claims(&world, "s"), "aud", json!("another")))).await;
    assert_eq!((owner, why.contains("for somebody else")), (None, true), "{why}");
    let (owner, why) = refused(&key.token(&claims(&world, "nobody"))).await;
    assert_eq!((owner, why.contains("nobody is linked")), (None, true), "{why}");
    assert!(refused("a.b.c").await.1.contains("access token"));
    users::set_state(&world.app, &scope, user.id, UserState::Disabled).await.unwrap();
    let (owner, why) = refused(&key.token(&claims(&world, "s"))).await;
    assert_eq!((owner, why.contains("may not log in")), (Some(world.app.owner), true), "{why}");
}
