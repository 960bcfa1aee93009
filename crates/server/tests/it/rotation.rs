//! Rotation of signing keys (INC-02, SEC-08, SEC-09): what the old key signed ends in its time or at once, on every node, and
//! so do the streams of it.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use crate::people::{Tokens, roomy};
use crate::process::{Server, add_site, run};
use crate::world::{Builder, PATIENCE, QUESTION, Reply, SHOP, Visitor, World, fake_key, request};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chatward::jobs;
use chatward::ops::rotation::{self, Before};
use chatward::ops::signing::PURPOSES;
use chatward::ops::trail::Actor;
use chatward::ops::verified;
use chatward_store::Engine;
use chatward_testkit::provider::{Ending, FakeProvider, Reply as Script};
use chatward_types::{Clock, DAY, HOUR, Kind, MINUTE, Role, SECOND, Secret};
use chatward_vault::hmac_sha256;
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const BY: Actor = Actor::Operator;
/// What "on every node within a second" means on a machine that is busy with other tests.
const SOON: Duration = Duration::from_secs(4);

async fn session(world: &World, visitor: &Visitor) -> StatusCode {
    world.by(visitor, Method::GET, "/api/v1/widget/session").send().await.status
}

async fn jwks(world: &World) -> Vec<Value> {
    let reply = world.get("/.well-known/jwks.json").await;
    assert_eq!(reply.status, StatusCode::OK);
    reply.json()["keys"].as_array().unwrap().clone()
}

/// The same token with an end in a year, signed by the key that signs now: what whoever has stolen that key can make.
async fn forged_by_the_key_of_now(world: &World, purpose: &str, token: &str) -> String {
    let row = world.app.store.signing_keys(purpose).await.unwrap().remove(0);
    let bytes = world.app.vault.open(&format!("signing:{purpose}:{}", row.kid), &row.sealed).unwrap();
    let secret = Secret::new(bytes.try_into().unwrap());
    let parts: Vec<&str> = token.split('.').collect();
    let mut claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
    claims["exp"] = json!(world.clock.now() / SECOND + 365 * 86_400);
    let message = format!("{}.{}", parts[0], URL_SAFE_NO_PAD.encode(claims.to_string()));
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(hmac_sha256(&secret, message.as_bytes())))
}

/// The login ends with the cut as well; this is about the signature, which must not be believed from memory.
#[tokio::test]
async fn a_token_that_was_checked_before_a_cut_is_checked_again_after_it() {
    let world = roomy().start().await;
    world.user("ann@example.test", Role::Owner).await;
    let (user, visitor) = (world.tokens("ann@example.test").await.access, world.visitor().await.token);
    for _ in 0..2 {
        assert!(verified::user(&world.app, &user).is_some() && verified::visitor(&world.app, &visitor).is_some());
    }
    rotation::rotate(&world.app, "user", true, &BY).await.unwrap();
    assert!(verified::user(&world.app, &user).is_none() && verified::visitor(&world.app, &visitor).is_some());
    rotation::rotate(&world.app, "visitor", true, &BY).await.unwrap();
    assert!(verified::visitor(&world.app, &visitor).is_none());
}

#[tokio::test]
async fn a_rotation_signs_anew_and_the_old_key_checks_until_a_stated_end() {
    for engine in World::ENGINES {
        let world = roomy().engine(engine).start().await;
        world.user("ann@example.test", Role::Owner).await;
        let old = world.tokens("ann@example.test").await;
        let (visitor, forged) = (world.visitor().await, forged_by_the_key_of_now(&world, "user", &old.access).await);
        let mut thief = visitor.clone();
        thief.token = forged_by_the_key_of_now(&world, "visitor", &visitor.token).await;
        assert_eq!(session(&world, &thief).await, StatusCode::OK, "the forger's form is right");
        let now = world.clock.now();
        let done = rotation::rotate_all(&world.app, false, &BY).await.unwrap();
        assert_eq!(done.len(), PURPOSES.len() + 1, "every ring, and the trail's");
        let before = |name: &str| done.iter().find(|it| it.purpose == name).unwrap().before;
        assert_eq!(before("user"), Before::Until(now + 30 * MINUTE + MINUTE));
        assert_eq!(before("visitor"), Before::Until(now + 24 * HOUR + MINUTE));
        assert_eq!(before("ticket"), Before::Until(now + 30 * SECOND + MINUTE));
        assert_eq!((before("receipt"), before("trail")), (Before::Kept, Before::Kept));
        assert!(done.iter().all(|it| it.logins_ended == 0));
        let new = Tokens::of(&world.refresh(&old.refresh).await);
        let kid = |token: &str| {
            let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
            serde_json::from_slice::<Value>(&header).unwrap()["kid"].as_str().unwrap().to_owned()
        };
        assert_ne!(kid(&old.access), kid(&new.access));
        for token in [&old.access, &new.access, &forged] {
            assert!(world.holds(token).await);
        }
        assert_eq!(session(&world, &visitor).await, StatusCode::OK);
        world.clock.advance(31 * MINUTE - 1);
        assert!(world.holds(&forged).await, "the old key checks until then");
        world.clock.advance(1);
        assert!(!world.holds(&forged).await, "and not longer, whatever the token says");
        assert_eq!(session(&world, &thief).await, StatusCode::OK);
        world.clock.advance(24 * HOUR);
        assert_eq!(session(&world, &thief).await, StatusCode::UNAUTHORIZED, "nor where it is remembered as checked");
        jobs::run_housekeeping(&world.app).await.unwrap();
        for (name, kept) in [("user", 1), ("visitor", 1), ("ticket", 1), ("receipt", 2), ("trail", 2)] {
            assert_eq!(world.app.store.signing_keys(name).await.unwrap().len(), kept, "{name}");
        }
        let head = world.app.store.trail_head().await.unwrap().unwrap();
        assert_eq!((head.name.as_str(), head.subject.as_str()), ("SIGNING_KEY_ROTATED", "trail"));
        assert!(world.app.trail.holds(&head), "signed by the key before it, which checks on");
        rotation::rotate(&world.app, "user", false, &BY).await.unwrap();
        let next = world.app.store.trail_head().await.unwrap().unwrap();
        assert!(world.app.trail.holds(&next) && next.key_id != head.key_id, "signed by the new one");
    }
}

#[tokio::test]
async fn two_rotations_at_once_follow_one_another() {
    for engine in World::ENGINES {
        let world = roomy().engine(engine).start().await;
        let one = rotation::rotate(&world.app, "user", false, &BY);
        let (one, other) = tokio::join!(one, rotation::rotate(&world.app, "user", false, &BY));
        let (one, other) = (one.unwrap().kid, other.unwrap().kid);
        let rows = world.app.store.signing_keys("user").await.unwrap();
        assert_eq!(rows.len(), 3);
        assert!(rows[0].until_at.is_none() && (rows[0].kid == one || rows[0].kid == other));
        assert!(rows[1..].iter().all(|row| row.until_at.is_some() && row.state == "checking"), "{rows:?}");
    }
}

/// A provider whose answers wait to be let go.
async fn gated() -> FakeProvider {
    let parts = || ["It costs ", "12", ".50", "."].map(str::to_owned).to_vec();
    let scripts = (0..3).map(|_| Script::Gated(parts(), Ending::Complete)).collect();
    FakeProvider::start(scripts).await.unwrap()
}

async fn rest_of(response: hyper::Response<hyper::body::Incoming>) -> String {
    let rest = tokio::time::timeout(SOON, response.into_body().collect()).await;
    String::from_utf8(rest.unwrap().unwrap().to_bytes().to_vec()).unwrap()
}

async fn open_stream(world: &World, visitor: &Visitor) -> hyper::Response<hyper::body::Incoming> {
    let call = world.by(visitor, Method::POST, "/api/v1/widget/messages").header("accept", "text/event-stream");
    call.json(&json!({ "message": QUESTION })).open().await
}

#[tokio::test]
async fn one_cut_ends_every_token_stream_and_login_on_every_node() {
    let provider = gated().await;
    let build = |builder: Builder| builder.openai(&provider.openai_url(), &fake_key());
    let one = build(roomy().engine(Engine::Postgres)).start().await;
    let key_file = one.folder.path().join("keys/master.key");
    let url = one.database.config().url.expose().clone();
    let other = build(roomy().set("database.url", url).set("vault.key_file", key_file.display())).start().await;
    let running = tokio::spawn(jobs::run(other.app.clone()));
    while other.app.store.live_nodes(other.clock.now()).await.unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    one.user("ann@example.test", Role::Owner).await;
    let owner = chatward_types::OwnerId::generate(one.app.clock.as_ref(), one.app.entropy.as_ref()).unwrap();
    one.app.store.insert_owner(owner, "another", one.clock.now()).await.unwrap();
    one.user_of(owner, "bob@example.test", Role::Owner).await;
    let (ann, bob) = (other.tokens("ann@example.test").await, one.tokens("bob@example.test").await);
    let invite = json!({ "email": "new@example.test", "role": "viewer" });
    let invited = other.with(&ann.access, Method::POST, "/api/v1/invitations").json(&invite).send().await;
    let invitation = invited.json()["token"].as_str().unwrap().to_owned();
    let begun = other.begin(SHOP).await.json();
    let text = |name: &str| begun[name].as_str().unwrap().to_owned();
    let visitor = Visitor { session: text("session"), token: text("token") };
    let (resume, ticket) = (text("resume"), other.ticket().await);
    let erased = other.visitor().await;
    let erased = other.by(&erased, Method::DELETE, "/api/v1/widget/session").send().await.json();
    assert_eq!(session(&other, &visitor).await, StatusCode::OK);
    // An open stream, and an answer that somebody waits for in one piece.
    let mut stream = open_stream(&other, &visitor).await;
    provider.release(1);
    let first = stream.body_mut().frame().await.unwrap().unwrap().into_data().unwrap();
    assert!(first.starts_with(b"event: delta"), "{first:?}");
    let waiting_for = other.visitor().await;
    let waiting = other.ask(&waiting_for, QUESTION);
    let cut = async {
        assert!(provider.wait_for_requests(2).await);
        rotation::rotate_all(&one.app, true, &BY).await.unwrap()
    };
    let (waited, done) = tokio::join!(tokio::time::timeout(SOON, waiting), cut);
    let waited = waited.unwrap();
    assert_eq!((waited.status.as_u16(), waited.code().as_str()), (401, "session_invalid"));
    let ended: u64 = done.iter().map(|rotated| rotated.logins_ended).sum();
    assert_eq!(ended, 2, "every owner's logins");
    let rest = rest_of(stream).await;
    assert!(rest.contains("event: error") && rest.contains("session_invalid") && !rest.contains("done"), "{rest}");
    let began = Instant::now();
    for token in [&visitor.token, &ticket, &resume, &ann.access] {
        while other.app.tokens.still_signed(token, other.clock.now()) {
            assert!(began.elapsed() < SOON);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    for node in [&one, &other] {
        assert_eq!(session(node, &visitor).await, StatusCode::UNAUTHORIZED);
        for tokens in [&ann, &bob] {
            assert!(!node.holds(&tokens.access).await);
            assert_eq!(node.refresh(&tokens.refresh).await.code(), "refresh_invalid");
        }
        let traded = node.trade(&json!({ "ticket": ticket })).await;
        assert_eq!((traded.status.as_u16(), traded.code().as_str()), (401, "ticket_invalid"));
        let again = node.trade(&json!({ "ticket": node.ticket().await, "resume": resume })).await;
        assert_ne!(again.json()["session"], visitor.session, "a resume brings nothing back");
        let accepted = json!({ "token": invitation, "password": "x", "full_name": "New" });
        assert_eq!(node.post("/api/v1/auth/accept", &accepted).await.status, StatusCode::UNAUTHORIZED);
    }
    assert!(!one.has_event("REFRESH_REUSED") && !other.has_event("REFRESH_REUSED"), "an ended login is no theft");
    let receipt = serde_json::from_value(erased["receipt"].clone()).unwrap();
    assert!(chatward::ops::receipts::is_genuine(&one.app, &receipt, None), "evidence is kept");
    // And everything begins anew, on either node.
    let ann = one.tokens("ann@example.test").await;
    assert!(other.holds(&ann.access).await);
    let visitor = one.visitor().await;
    assert_eq!(session(&other, &visitor).await, StatusCode::OK);
    provider.release(20);
    let whole = other.ask(&visitor, QUESTION).await;
    assert_eq!(whole.status, StatusCode::OK, "{}", whole.text());
    other.app.stopping.cancel();
    tokio::time::timeout(PATIENCE, running).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_rotation_leaves_streams_alone_and_a_cut_of_one_ring_the_others() {
    for engine in World::ENGINES {
        let provider = gated().await;
        let world = roomy().engine(engine).openai(&provider.openai_url(), &fake_key()).start().await;
        world.user("ann@example.test", Role::Owner).await;
        let (ann, visitor) = (world.tokens("ann@example.test").await, world.visitor().await);
        let stream = open_stream(&world, &visitor).await;
        rotation::rotate(&world.app, "visitor", false, &BY).await.unwrap();
        rotation::rotate(&world.app, "user", true, &BY).await.unwrap();
        provider.release(8);
        let rest = rest_of(stream).await;
        assert!(rest.contains("event: done"), "{rest}");
        assert_eq!(session(&world, &visitor).await, StatusCode::OK);
        assert!(!world.holds(&ann.access).await);
        let ann = world.tokens("ann@example.test").await;
        rotation::rotate(&world.app, "visitor", true, &BY).await.unwrap();
        assert_eq!(session(&world, &visitor).await, StatusCode::UNAUTHORIZED);
        assert!(world.holds(&ann.access).await && world.refresh(&ann.refresh).await.status == StatusCode::OK);
        for (name, cut) in [("account", false), ("session", true), ("", true), ("trail", true)] {
            assert_eq!(rotation::rotate(&world.app, name, cut, &BY).await.unwrap_err().kind(), Kind::Invalid, "{name}");
        }
    }
}

#[tokio::test]
async fn a_rotation_does_not_happen_without_its_record_and_a_cut_does() {
    for engine in World::ENGINES {
        let world = roomy().engine(engine).start().await;
        let visitor = world.visitor().await;
        world.database.tamper("ALTER TABLE audit_trail RENAME TO gone").await;
        assert!(rotation::rotate(&world.app, "visitor", false, &BY).await.is_err());
        assert_eq!(world.app.store.signing_keys("visitor").await.unwrap().len(), 1);
        rotation::rotate(&world.app, "visitor", true, &BY).await.unwrap();
        assert_eq!(session(&world, &visitor).await, StatusCode::UNAUTHORIZED);
        assert_eq!(world.app.trail.waiting(), 1);
        world.database.tamper("ALTER TABLE gone RENAME TO audit_trail").await;
        chatward::ops::trail::flush_reserve(&world.app).await.unwrap();
        assert_eq!(world.app.store.trail_head().await.unwrap().unwrap().name, "SIGNING_KEY_ROTATED");
    }
}

#[tokio::test]
async fn keys_have_ages_and_old_ones_are_told_once_a_day() {
    for engine in World::ENGINES {
        let world = roomy().engine(engine).set("keys.rotation_days", 30).start().await;
        let overdue = async || {
            let ages = rotation::ages(&world.app).await.unwrap();
            ages.into_iter().filter(|age| age.overdue).map(|age| age.purpose).collect::<Vec<_>>()
        };
        let told = || {
            let tail = world.app.events.tail().into_iter().filter(|event| event.name.as_str() == "KEY_OVERDUE");
            tail.filter(|event| event.detail.as_deref().is_some_and(|text| text.contains("the signing keys of")))
                .count()
        };
        let ages = rotation::ages(&world.app).await.unwrap();
        for name in rotation::names().into_iter().chain(["session", "account", "master key"]) {
            assert!(ages.iter().any(|age| age.purpose == name && age.since == world.clock.now()), "{name}");
        }
        world.clock.advance(30 * DAY - 1);
        jobs::run_housekeeping(&world.app).await.unwrap();
        assert_eq!((overdue().await.len(), told()), (0, 0), "not thirty days yet");
        world.clock.advance(1);
        let mut names = rotation::names();
        names.sort_unstable();
        names.insert(0, rotation::MASTER);
        assert_eq!(overdue().await, names, "and not the keys of names");
        for _ in 0..3 {
            jobs::run_housekeeping(&world.app).await.unwrap();
        }
        assert_eq!(told(), 1);
        world.clock.advance(DAY);
        jobs::run_housekeeping(&world.app).await.unwrap();
        assert_eq!(told(), 2);
        rotation::rotate_all(&world.app, false, &BY).await.unwrap();
        assert_eq!(overdue().await, [rotation::MASTER], "a key that checks only is not overdue");
        world.clock.advance(DAY);
        jobs::run_housekeeping(&world.app).await.unwrap();
        assert_eq!(told(), 2);
    }
}

#[tokio::test]
async fn eddsa_comes_with_the_next_rotation_and_others_check_with_the_public_key() {
    for engine in World::ENGINES {
        let world = roomy().engine(engine).start().await;
        world.user("ann@example.test", Role::Owner).await;
        let shared = world.tokens("ann@example.test").await;
        rotation::rotate(&world.app, "user", false, &BY).await.unwrap();
        assert_eq!(jwks(&world).await, Vec::<Value>::new(), "a shared secret is never published");
        let (database, folder) = world.stop().await;
        let world = roomy().again(database, folder).set("tokens.algorithm", "EdDSA").start().await;
        assert_eq!(jwks(&world).await.len(), 0, "not before a rotation");
        assert!(world.holds(&shared.access).await);
        assert_eq!(rotation::rotate(&world.app, "user", false, &BY).await.unwrap().algorithm, "EdDSA");
        assert_eq!(rotation::rotate(&world.app, "visitor", false, &BY).await.unwrap().algorithm, "HS256");
        let published = jwks(&world).await;
        assert_eq!(published.len(), 1);
        let names: Vec<&String> = published[0].as_object().unwrap().keys().collect();
        assert_eq!(names, ["alg", "crv", "kid", "kty", "use", "x"], "the public half alone");
        let tokens = Tokens::of(&world.refresh(&shared.refresh).await);
        let (message, signature) = tokens.access.rsplit_once('.').unwrap();
        let header = URL_SAFE_NO_PAD.decode(message.split('.').next().unwrap()).unwrap();
        let header: Value = serde_json::from_slice(&header).unwrap();
        assert_eq!(header, json!({ "alg": "EdDSA", "typ": "user+jwt", "kid": published[0]["kid"] }));
        let public = URL_SAFE_NO_PAD.decode(published[0]["x"].as_str().unwrap()).unwrap();
        let key = aws_lc_rs::signature::UnparsedPublicKey::new(&aws_lc_rs::signature::ED25519, public);
        key.verify(message.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
        assert!(world.holds(&tokens.access).await && world.holds(&shared.access).await);
        let (database, folder) = world.stop().await;
        let world = roomy().again(database, folder).start().await;
        assert!(world.holds(&tokens.access).await, "its keys are opened by their own algorithm");
        rotation::rotate(&world.app, "user", true, &BY).await.unwrap();
        assert!(!world.holds(&tokens.access).await);
        assert_eq!(jwks(&world).await.len(), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_command_rotates_beside_a_running_server() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let key = add_site(folder);
    let server = Server::start(folder, &[]);
    let done = |arguments: &[&str]| {
        let output = run(folder, arguments);
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let token = server.visitor(&key).await;
    let ask = async || -> Reply {
        let call = request(server.address, Method::GET, "/api/v1/widget/session");
        call.header("authorization", &format!("Bearer {token}")).send().await
    };
    assert_eq!(ask().await.status, StatusCode::OK);
    let rotated = done(&["secret", "rotate", "visitor", "--json"]);
    assert_eq!((&rotated[0]["ring"], &rotated[0]["cut"]), (&json!("visitor"), &json!(false)));
    assert_eq!(ask().await.status, StatusCode::OK);
    let cut = done(&["secret", "rotate", "all", "--now", "--json"]);
    assert_eq!(cut.as_array().unwrap().len(), PURPOSES.len() + 1);
    let began = Instant::now();
    while ask().await.status != StatusCode::UNAUTHORIZED {
        assert!(began.elapsed() < SOON);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let ages = done(&["secret", "ages", "--json"]);
    let one = ages.as_array().unwrap().iter().filter(|age| age["key"] == "visitor").collect::<Vec<_>>();
    assert_eq!((one.len(), &one[0]["state"], &one[0]["age_days"]), (1, &json!("signs"), &json!(0)));
    assert_eq!(run(folder, &["secret", "rotate", "account"]).status.code(), Some(2));
    assert_eq!(done(&["secret", "--json"])["secret"].as_str().unwrap().len(), 44);
}
